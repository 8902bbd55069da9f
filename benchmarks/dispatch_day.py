"""Plan invented days of a city's vehicle pool, or published problems, and print one JSON row for each.

A row has work, orders, seed or file, kinds of vehicles (types), cost and proven bound in fen, gap in percent of the cost,
seconds, what the plan uses, greedy_ratio = cost of the first plan over the last, and the peak memory of its process.

    python -m benchmarks.dispatch_day [--work base] [--sizes 100 500 2000] [--seconds 60] [--seeds 0]
    python -m benchmarks.dispatch_day --work mdvsp --seconds 60 FILE.inp.xz ...

Works: base (fixed starts, vehicles without drivers), duties (drivers bound to vehicles, 40 % electric), pooling (as base,
everybody consents to share), mdvsp (published files of the multi-depot vehicle scheduling problem).
"""

import argparse
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import dispatch
from dispatch.figures import measured
from dispatch.imports import read
from dispatch.synthetic import PARAMS, day

WARM_UP = (40, 5)  # requests and seconds: loads compiled loops before the clock runs

DAYS: dict[str, Callable[[int, int], dispatch.Instance]] = {
    "base": lambda size, seed: day(size, seed=seed),
    "duties": lambda size, seed: day(size, seed=seed, duties=True),
    "pooling": lambda size, seed: day(size, seed=seed, pooling=True),
}


def measure_day(work: str, size: int, seed: int, seconds: float) -> dict[str, Any]:
    instance = DAYS[work](size, seed)
    return {"work": work, "seed": seed, **_warm(work, instance, PARAMS, seconds, seed)}


def measure_file(path: str, seconds: float) -> dict[str, Any]:
    instance, params = read(path, "mdvsp")
    return {"work": "mdvsp", "file": Path(path).name, **_warm("base", instance, params, seconds, 0)}


def _warm(work: str, instance: dispatch.Instance, params: dispatch.Params, seconds: float, seed: int) -> dict[str, Any]:
    size, limit_s = WARM_UP
    dispatch.solve(DAYS[work](size, 1), params=PARAMS, stop=dispatch.Until(limit_s))
    return measured(instance, params, dispatch.Until(seconds), seed=seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", choices=[*DAYS, "mdvsp"], default="base")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("files", nargs="*", metavar="FILE")
    given = parser.parse_args()
    # A process for each row, so that its peak of memory is its own.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        if given.work == "mdvsp":
            rows = [processes.submit(measure_file, path, given.seconds) for path in given.files]
        else:
            rows = [
                processes.submit(measure_day, given.work, size, seed, given.seconds)
                for size in given.sizes
                for seed in given.seeds
            ]
        for row in rows:
            print(json.dumps(row.result()), flush=True)


if __name__ == "__main__":
    main()
