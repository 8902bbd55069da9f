"""``python -m fleetapp.demo.labelled --cars 60 --days 90 --seed 1``: the scorecard of the rules."""

import argparse
import sys

from fleetapp.demo.labelled import city, publish
from fleetapp.demo.labelled.score import table


def main() -> int:
    """Make the city, ask the rules, print the scorecard."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=60)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--show", default="", help="rules whose wrong clues and missed acts are listed, comma-separated"
    )
    parser.add_argument(
        "--publish", action="store_true", help="write docs/rules.md and the figures the catalogue page shows"
    )
    asked = parser.parse_args()
    made = city.make_city(cars=asked.cars, days=asked.days, seed=asked.seed, workers=asked.workers)
    card = city.score(made)
    write = sys.stdout.write
    write(f"{table(card)}\n\n")
    ends, matches = card.ends, card.matches
    write(f"trips {ends['trips']}, ends within 60 s {ends['within_60_s'] / max(1, ends['trips']):.4f}\n")
    write(f"vehicle-days {ends['days']}, count exact {ends['days_exact'] / max(1, ends['days']):.4f}\n")
    write(f"trip and order F1 {card.f1:.4f} ({dict(matches)})\n")
    write(
        f"compliant vehicle-days {card.compliant_days}: clues {card.clues_on_compliant}, red {len(card.red_on_compliant)}\n"
    )
    for rule in filter(None, asked.show.split(",")):
        one = card.rules[rule]
        write(
            f"\n{rule} wrong:\n"
            + "".join(f"  {c.key} {c.start_at} {c.severity.value} {c.evidence_for[0]}\n" for c in one.wrong[:12])
        )
        write(
            f"{rule} missed:\n"
            + "".join(f"  car {a.car_id} {a.name} {a.start_at} – {a.end_at}\n" for a in one.missed[:12])
        )
    if asked.publish:
        publish.write(card, cars=asked.cars, days=asked.days, seed=asked.seed)
    if card.red_on_compliant:
        write(
            "\nred on compliant:\n"
            + "".join(f"  {c.key} {c.start_at} {c.evidence_for[0]}\n" for c in card.red_on_compliant[:20])
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
