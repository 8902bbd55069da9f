"""Plan synthetic days of a city's vehicle pool and print cost, bound and time as JSON.

The days are invented (no real orders): 14 yards spread like a large city and its counties, offices around them, trips of
5 to 60 km with morning and afternoon peaks, two thirds of them round trips with a stay. The peer is the greedy plan;
the bound is the min-cost-flow relaxation, which merges yards and classes and is therefore some percent low.

    python -m benchmarks.dispatch_day [--sizes 100 500 2000] [--seconds 60] [--drivers] [--seed 0]
"""

import argparse
import json
import math
import random
import time
from datetime import UTC, datetime

import dispatch
from dispatch.problem import Problem

YARDS = (
    ("city-1", 0, 0, 14), ("city-2", 4, 3, 11), ("city-3", -4, 2, 10), ("city-4", 2, -5, 9), ("south", 2, -9, 8),
    ("southeast", 12, -10, 10), ("northwest", -16, 8, 8), ("northeast", 18, 16, 7), ("east", 24, 4, 6),
    ("southwest", -20, -24, 5), ("west", -40, 4, 4), ("county-1", -48, -50, 3), ("county-2", -72, -82, 3),
    ("county-3", -92, -50, 2),
)  # fmt: skip
CLASSES = (("sedan", 58, 4), ("mpv", 30, 6), ("van", 12, 15))
LAT, LON = 30.27, 120.16
KM_LAT, KM_LON = 1 / 111.2, 1 / (111.2 * math.cos(math.radians(LAT)))
SPEED_KMH, DETOUR = 38.0, 1.3
# A vehicle's day at full cost, so that own vehicles and rental really compete.
PARAMS = dispatch.Params(day_fen={**dispatch.Params().day_fen, "sedan": 26_000, "mpv": 32_000, "van": 52_000})


def day(size: int, *, seed: int, drivers: bool = False, duties: bool = False) -> dispatch.Instance:
    """Invent a day of `size` requests with a fleet of 0.335 vehicles per request.

    With `drivers` two shifts of drivers share the vehicles of their yard and 40 % of those are electric; with `duties`
    every vehicle has its own driver for a shift of 10 h.
    """
    rng = random.Random(seed)
    weights = [y[3] for y in YARDS]
    places = [dispatch.Place(name, LAT + y * KM_LAT, LON + x * KM_LON) for name, x, y, _ in YARDS]
    offices = [[(x + rng.gauss(0, 2.6), y + rng.gauss(0, 2.6)) for _ in range(25)] for _, x, y, _ in YARDS]

    def place(name: str, x: float, y: float) -> str:
        places.append(dispatch.Place(name, LAT + y * KM_LAT, LON + x * KM_LON))
        return name

    requests = []
    for k in range(size):
        home = rng.choices(range(len(YARDS)), weights)[0]
        x, y = rng.choice(offices[home])
        while True:
            u = rng.random()
            target = home if u < 0.62 else rng.randrange(4) if u < 0.86 else rng.choices(range(len(YARDS)), weights)[0]
            there = (YARDS[target][1] + rng.gauss(0, 6), YARDS[target][2] + rng.gauss(0, 6))
            km = DETOUR * math.dist((x, y), there)
            if 5 <= km <= 60:
                break
        u = rng.random()
        minute = (
            rng.gauss(520, 50) if u < 0.42 else rng.gauss(835, 55) if u < 0.72
            else rng.uniform(390, 1140) if u < 0.95 else rng.gauss(1110, 40)
        )  # fmt: skip
        start_s = min(1290, max(330, round(minute / 5) * 5)) * 60
        wanted = rng.choices(CLASSES, [c[1] for c in CLASSES])[0]
        pick, drop = place(f"p{k}", x, y), place(f"d{k}", *there)
        stops = [dispatch.Stop(pick), dispatch.Stop(drop)]
        if rng.random() < 0.62:
            stay_s = round(min(300, max(10, rng.gammavariate(1.6, 70)))) * 60
            stops = [dispatch.Stop(pick), dispatch.Stop(drop, stay_s), dispatch.Stop(pick)]
        requests.append(
            dispatch.Request(
                f"r{k:04d}",
                tuple(stops),
                start_s,
                start_s,
                1800,
                rng.randint(1, wanted[2]),
                wanted[0],
                "business",
                "city",
            )
        )
    spans = (dispatch.Span(0, 30 * 3600),)
    fleet, crew = [], []
    for _ in range(round(0.335 * size)):
        yard = rng.choices(YARDS, weights)[0][0]
        name, _, seats = rng.choices(CLASSES, [c[1] for c in CLASSES])[0]
        number = len(fleet)
        bev = (drivers or duties) and rng.random() < 0.4
        fleet.append(
            dispatch.Vehicle(
                f"v{number:03d}", yard, "city", name, seats, spans,
                energy="bev" if bev else "petrol", range_m=300_000 if bev else None, charge_m_per_h=150_000,
                driver_id=f"d{number:03d}" if duties else None,
            )
        )  # fmt: skip
        if duties:
            crew.append(dispatch.Driver(f"d{number:03d}", yard, "city", "A1", spans))
        elif drivers:
            for half, (a, b) in enumerate(((5, 15.5), (11, 24))):
                if half == 0 or rng.random() < 0.3:
                    duty = (dispatch.Span(int(a * 3600), int(b * 3600)),)
                    crew.append(dispatch.Driver(f"d{number:03d}-{half}", yard, "city", "A1", duty))
    travel = dispatch.estimate_travel(places, detour=DETOUR, speed_kmh=SPEED_KMH)
    return dispatch.Instance(
        datetime(2026, 3, 1, 16, tzinfo=UTC), travel, tuple(requests), tuple(fleet), tuple(crew), before_s=0, after_s=0
    )


def measure(size: int, *, seed: int, seconds: float, drivers: bool) -> dict[str, object]:
    instance = day(size, seed=seed, drivers=drivers)
    began = time.perf_counter()
    first = dispatch.solve(instance, params=PARAMS, stop=dispatch.Until(rounds=0), seed=seed)
    greedy_s = time.perf_counter() - began
    best = dispatch.solve(instance, params=PARAMS, stop=dispatch.Until(time_limit_s=seconds), seed=seed)
    bound = best.bound_fen or first.bound_fen
    return {
        "requests": size, "vehicles": len(instance.vehicles), "drivers": len(instance.drivers), "seed": seed,
        "types": len(Problem(instance, PARAMS).types),
        "greedy_fen": first.cost_fen, "greedy_s": round(greedy_s, 2), "greedy_rented": len(first.rented),
        "improved_fen": best.cost_fen, "improved_s": round(best.elapsed_s, 2), "improved_rented": len(best.rented),
        "stopped": best.stopped, "bound_fen": bound,
        "improved_over_greedy": round(best.cost_fen / first.cost_fen, 4),
        "greedy_over_bound": round(first.cost_fen / bound, 4) if bound else None,
        "improved_over_bound": round(best.cost_fen / bound, 4) if bound else None,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 500, 2000])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--drivers", action="store_true")
    given = parser.parse_args()
    results = [measure(n, seed=given.seed, seconds=given.seconds, drivers=given.drivers) for n in given.sizes]
    print(json.dumps({"benchmark": "dispatch_day", "results": results}, indent=1))


if __name__ == "__main__":
    main()
