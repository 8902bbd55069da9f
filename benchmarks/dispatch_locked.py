"""Plan the rest of an invented day anew at ten o'clock, with what has begun locked, and print one JSON row.

A row has orders, those still open, vehicles under way, cost of the whole day and proven bound, gap in percent of the day's
cost, seconds, and how much the new plan saves against the old one.

    python -m benchmarks.dispatch_locked [--size 1800] [--before 40] [--seconds 15] [--seed 0]
"""

import argparse
import json
import random
from dataclasses import replace

import dispatch
from dispatch.synthetic import PARAMS, day

TEN_S = 36_000  # synthetic days begin at midnight
AWAY = 0.02  # of the vehicles with nothing begun are out of order at ten: a reason to plan anew


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=1800)
    parser.add_argument("--before", type=float, default=40)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    instance = day(given.size, seed=given.seed)
    dispatch.solve(day(40, seed=1), params=PARAMS, stop=dispatch.Until(5))
    morning = dispatch.solve(instance, params=PARAMS, stop=dispatch.Until(given.before), seed=given.seed)
    begun = [a for a in morning.assignments if a.start_s <= TEN_S]
    under_way = {a.vehicle_id for a in begun}
    rng = random.Random(given.seed)
    left = tuple(v for v in instance.vehicles if v.id in under_way or rng.random() >= AWAY)
    # What was rented before ten is driven by others already.
    gone = {r.id for r in instance.requests if r.id in morning.rented and r.earliest_s <= TEN_S}
    rest = replace(instance, vehicles=left, requests=tuple(r for r in instance.requests if r.id not in gone))
    made = dispatch.solve(rest, params=PARAMS, stop=dispatch.Until(given.seconds), seed=given.seed, locked=tuple(begun))
    assert not dispatch.check(rest, made, params=PARAMS, locked=begun)
    bound_fen = made.bound_fen
    print(
        json.dumps(
            {
                "work": "locked",
                "orders": given.size,
                "open": len(rest.requests) - len(begun),
                "under_way": len(under_way),
                "cost": made.cost_fen,
                "bound": bound_fen,
                "gap_pct": None if bound_fen is None else round(100 * (1 - bound_fen / made.cost_fen), 4),
                "seconds": made.elapsed_s,
                "before": morning.cost_fen,
                "stopped": made.stopped,
            }
        )
    )


if __name__ == "__main__":
    main()
