"""Plan the renewal of an invented fleet of 3,000 cars over five years; prints gap, seconds and the ratio to a plain MILP as JSON.

The fleet is invented: 40 units, four classes, ages 0 to 16, a quarter new energy. The peer is SCIP on the same lots with the
same time limit and no relaxation to start from.

    python -m benchmarks.renewal_plan [--cars 3000] [--years 5] [--seconds 60] [--seed 0]
"""

import argparse
import json
import random
import time
from collections import Counter

from dispatch.renewal import Lot, Option, RenewalProblem, Target, check, solve
from dispatch.renewal.solve import _model, _run

CATEGORIES = {"JYTX": 0.05, "YJBZ": 0.6, "ZFZQ": 0.15, "QT": 0.2}
PRICES = {"petrol": 15_000_000, "phev": 16_500_000, "bev": 17_000_000}
UPKEEP = {"petrol": 600_000, "phev": 550_000, "bev": 420_000}
PER_KM = {"petrol": 65.0, "phev": 35.0, "bev": 16.0}


def fleet(cars: int, years: int, seed: int) -> RenewalProblem:
    """Invent a fleet with tight budgets and rising targets."""
    rng = random.Random(seed)
    units = [f"u{k:02d}" for k in range(40)]
    kinds: Counter[tuple[str, str, str, int, int]] = Counter()
    for _ in range(cars):
        energy = "bev" if rng.random() < 0.18 else "phev" if rng.random() < 0.1 else "petrol"
        age = rng.randint(0, 6) if energy != "petrol" else rng.randint(0, 16)
        category = rng.choices(list(CATEGORIES), list(CATEGORIES.values()))[0]
        kinds[rng.choice(units), category, energy, age, rng.choice((6_000, 12_000, 20_000))] += 1
    lots = tuple(
        Lot(id=f"l{k}", unit=unit, category=category, energy=energy, age=age, count=count, km_per_year=km,
            upkeep_fen=round(500_000 * (1 + 0.12 * age)))
        for k, ((unit, category, energy, age, km), count) in enumerate(sorted(kinds.items()))
    )  # fmt: skip
    options = tuple(Option(category=category, energy=energy, price_fen=PRICES[energy], upkeep_fen=UPKEEP[energy], per_km_fen=PER_KM[energy])
                    for category in CATEGORIES for energy in PRICES)  # fmt: skip
    overdue = sum(lot.count for lot in lots if lot.age >= 15)
    budgets = tuple(
        round(cars * 0.075 * 16_500_000) + (overdue * 16_500_000 if year == 0 else 0) for year in range(years)
    )
    targets = [Target(year=year, share=0.3 + 0.05 * year, of="purchases") for year in range(years)]
    targets += [Target(year=years - 1, share=0.45, of="stock")]
    targets += [Target(year=years - 1, share=0.3, of="stock", units=(unit,)) for unit in units[::4]]
    return RenewalProblem(years=years, lots=lots, options=options, per_km_fen=PER_KM, budgets_fen=budgets, targets=tuple(targets),
                          chargers=dict.fromkeys(units, round(cars / 40 * 0.3)))  # fmt: skip


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cars", type=int, default=3000)
    parser.add_argument("--years", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    problem = fleet(args.cars, args.years, args.seed)
    made = solve(problem, time_limit_s=args.seconds)
    began = time.perf_counter()
    _, _, model, _ = _model(problem, elastic=bool(made.shortfalls))
    box = [(0.0, most) for most in model.most]
    values, plain_cost, _ = _run(model, "SCIP", box, args.seconds)
    plain_s = time.perf_counter() - began
    print(json.dumps({
        "benchmark": "renewal_plan", "cars": args.cars, "lots": len(problem.lots), "years": args.years, "renewed": sum(made.renewals.values()),
        "cost_fen": made.cost_fen, "bound_fen": made.bound_fen, "gap_pct": round(100 * made.gap, 4), "seconds": made.seconds,
        "shortfalls": [(one.what, one.year, one.amount) for one in made.shortfalls], "faults": check(problem, made),
        "plain_milp_seconds": round(plain_s, 2), "plain_milp_cost_fen": None if values is None else round(plain_cost),
        "seconds_ratio": round(made.seconds / plain_s, 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
