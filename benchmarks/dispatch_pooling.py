"""Plan the same synthetic day with and without consent to share vehicles, and print what sharing saves as JSON.

The day is that of `benchmarks.dispatch_day` with the way out of every order only: two stops, two minutes to get in or out.
Every order has the same purpose and consents, which is the most that pooling can do.

    python -m benchmarks.dispatch_pooling [--size 200] [--seconds 30] [--seed 0]
"""

import argparse
import json
import time
from dataclasses import replace

import dispatch
from benchmarks.dispatch_day import PARAMS, day
from dispatch.pool import offered, saved
from dispatch.route import Index

BOARDING_S = 120


def consenting(size: int, *, seed: int) -> dispatch.Instance:
    """Invent a day on which everybody would share."""
    given = day(size, seed=seed)
    ways = [tuple(dispatch.Stop(stop.place, BOARDING_S) for stop in r.stops[:2]) for r in given.requests]
    requests = [replace(r, stops=w, duration_s=0, pooling=True) for r, w in zip(given.requests, ways, strict=True)]
    return replace(given, requests=tuple(requests))


def alone(instance: dispatch.Instance) -> dispatch.Instance:
    """Withdraw all consent."""
    return replace(instance, requests=tuple(replace(r, pooling=False) for r in instance.requests))


def compare(instance: dispatch.Instance, *, params: dispatch.Params, seconds: float, seed: int) -> dict[str, object]:
    """Solve with and without consent and compare cost, vehicles, kilometres."""
    index = Index(instance, params)
    began = time.perf_counter()
    rides, complete = offered(index)
    offered_s = time.perf_counter() - began
    until = dispatch.Until(time_limit_s=seconds)
    shared = dispatch.solve(instance, params=params, stop=until, seed=seed)
    single = dispatch.solve(alone(instance), params=params, stop=until, seed=seed)
    km, count, requests = saved(index, shared)
    vehicles = [len({a.vehicle_id for a in plan.assignments}) for plan in (single, shared)]
    return {
        "requests": len(instance.requests), "rides_offered": len(rides), "all_rides": complete,
        "offered_s": round(offered_s, 2), "rides": count, "requests_pooled": requests, "km_saved": round(km, 1),
        "fen_alone": single.cost_fen, "fen_shared": shared.cost_fen, "gap_alone": single.gap, "gap_shared": shared.gap,
        "vehicles_alone": vehicles[0], "vehicles_saved": vehicles[0] - vehicles[1],
        "rented_alone": len(single.rented), "rented_shared": len(shared.rented),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    instance = consenting(given.size, seed=given.seed)
    result = compare(instance, params=PARAMS, seconds=given.seconds, seed=given.seed)
    print(json.dumps({"benchmark": "dispatch_pooling", **result}, indent=1))


if __name__ == "__main__":
    main()
