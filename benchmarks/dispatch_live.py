"""Take 200 served orders out of a planned day and put them in again one by one, and print one JSON row.

A row has work, orders, vehicles, insertions, milliseconds of an insertion with its re-matching (p50_ms, p99_ms, most_ms;
cpu_p99_ms: without what other programs took), the final cost against that of the plan before in percent (loss_pct; below
0: cheaper), the share of orders that went in rented or not at all, and the peak memory of the process.

    python -m benchmarks.dispatch_live [--sizes 2000] [--seconds 30] [--insertions 200] [--seed 0]

The places of the orders are not known before, unless --known.
"""

import argparse
import json
import random
import resource
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

import dispatch
from dispatch.check import priced
from dispatch.synthetic import PARAMS, day


def measure(size: int, seconds: float, insertions: int, seed: int, *, known: bool) -> dict[str, Any]:
    whole = day(size, seed=0)
    plan = dispatch.solve(whole, params=PARAMS, stop=dispatch.Until(seconds))
    served = sorted(a.request_id for a in plan.assignments)
    out = random.Random(seed).sample(served, min(insertions, len(served)))
    requests = {r.id: r for r in whole.requests}
    rest = without(whole, set(out), known=known)
    kept = replace(plan, assignments=tuple(a for a in plan.assignments if a.request_id not in out), bound_fen=None)
    live = dispatch.Live(rest, priced(rest, kept, params=PARAMS), PARAMS)
    spent_ms, cpu_ms, unserved = [], [], 0
    for name in out:
        ways = ways_to(whole.travel, live, requests[name])
        began, cpu = time.perf_counter(), time.process_time()
        answer = live.add(requests[name], ways)
        spent_ms.append(1_000 * (time.perf_counter() - began))
        cpu_ms.append(1_000 * (time.process_time() - cpu))
        unserved += answer.rented or answer.reason is not None
    found = dispatch.check(live.instance(), live.plan(), params=PARAMS)
    if found:
        raise SystemExit(f"The plan breaks {len(found)} rules, first {found[0]}.")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # Linux counts in KiB, macOS in bytes
    return {
        "work": "live", "orders": size, "vehicles": len(whole.vehicles), "insertions": len(out), "known": known,
        "p50_ms": round(float(np.percentile(spent_ms, 50)), 1), "p99_ms": round(float(np.percentile(spent_ms, 99)), 1),
        "most_ms": round(max(spent_ms), 1), "cpu_p99_ms": round(float(np.percentile(cpu_ms, 99)), 1), "loss_pct": round(100 * (live.cost_fen / plan.cost_fen - 1), 3),
        "unserved_pct": round(100 * unserved / len(out), 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit,
    }  # fmt: skip


def without(whole: dispatch.Instance, out: set[str], *, known: bool) -> dispatch.Instance:
    """Take requests out, and the places that nobody else uses."""
    requests = tuple(r for r in whole.requests if r.id not in out)
    used = {stop.place for r in requests for stop in r.stops} | {v.yard for v in whole.vehicles}
    at = [k for k, p in enumerate(whole.travel.places) if known or p.id in used]
    travel = replace(
        whole.travel, places=tuple(whole.travel.places[k] for k in at), time_s=whole.travel.time_s[np.ix_(at, at)],
        distance_m=whole.travel.distance_m[np.ix_(at, at)],
    )  # fmt: skip
    return replace(whole, travel=travel, requests=requests)


def ways_to(travel: dispatch.Travel, live: dispatch.Live, request: dispatch.Request) -> dispatch.Ways | None:
    """Look up what a road engine would be asked for."""
    known = [p.id for p in live.places]
    new = sorted({stop.place for stop in request.stops} - set(known))
    if not new:
        return None
    old, at = [travel.index[name] for name in known], [travel.index[name] for name in new]
    out, into = np.ix_(at, [*old, *at]), np.ix_(old, at)
    places = tuple(travel.places[k] for k in at)
    return dispatch.Ways(
        places, travel.time_s[out], travel.distance_m[out], travel.time_s[into], travel.distance_m[into]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2000])
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--insertions", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--known", action="store_true")
    given = parser.parse_args()
    for size in given.sizes:
        row = measure(size, given.seconds, given.insertions, given.seed, known=given.known)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
