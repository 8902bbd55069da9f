"""The scorecard as a document and as the figures that the catalogue page shows beside each rule."""

from pathlib import Path

from fleetapp.demo.labelled.score import Score, table
from fleetapp.findings.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
DOCUMENT = ROOT / "docs" / "rules.md"
MEASURED = ROOT / "fleetapp" / "findings" / "measured.toml"
BEGIN, END = "<!-- scorecard begins -->", "<!-- scorecard ends -->"


def write(card: Score, *, cars: int, days: int, seed: int) -> None:
    """Put the scorecard into ``docs/rules.md`` between its marks, and the shares into ``measured.toml``."""
    ends, trips = card.ends, max(1, card.ends["trips"])
    lines = [
        BEGIN, "", f"`python -m fleetapp.demo.labelled --cars {cars} --days {days} --seed {seed}`", "",
        "| measure | figure |", "|---|--:|", f"| trips | {ends['trips']} |",
        f"| start and end within 60 s | {ends['within_60_s'] / trips:.4f} |",
        f"| vehicle-days with the exact number of trips, of {ends['days']} | {ends['days_exact'] / max(1, ends['days']):.4f} |",
        f"| trip and order, F1 | {card.f1:.4f} |",
        f"| red clues on {card.compliant_days} compliant vehicle-days | {len(card.red_on_compliant)} |",
        f"| all clues on these days | {card.clues_on_compliant} |",
        f"| acts that go on past the last day, in neither count | {card.open_acts} |", "", table(card), "", END,
    ]  # fmt: skip
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(before + "\n".join(lines) + rest.partition(END)[2], encoding="utf-8")
    rows = ["# Written by python -m fleetapp.demo.labelled --publish", f"# --cars {cars} --days {days} --seed {seed}"]
    for rule, one in card.rules.items():
        if CATALOGUE[rule].active and (one.truth or one.clues):
            shares = {"precision": one.precision, "recall": one.recall}
            rows += ["", f'["{rule}"]', f"acts = {one.truth}", f"clues = {one.clues}"]
            rows += [f"{name} = {share:.4f}" for name, share in shares.items() if share is not None]
    MEASURED.write_text("\n".join(rows) + "\n", encoding="utf-8")
