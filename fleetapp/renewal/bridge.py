"""Rows become lots of the renewal optimizer, its plan becomes a result to keep."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from dispatch import renewal
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import NEV

FEN = 100
KM_STEP = 5_000
LEAST_KM, MOST_KM = 2_000, 40_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What a plan is asked for; money in CNY, shares 0 to 1.

    ``charging_places`` are those a unit has now; without it charging does not limit the plan.
    """

    first_year: int
    years: int
    budget: Decimal
    stock_share: Decimal
    bought_share: Decimal
    charging_places: int | None = None


def problem_of(
    vehicles: Sequence[Vehicle], *, asked: Asked, figures: Mapping[str, Decimal], left_out: Collection[int], today: date
) -> tuple[renewal.RenewalProblem, dict[str, list[Vehicle]]]:
    """Return the optimizer's problem and the vehicles of each lot, the oldest first."""
    lots: dict[tuple[str, str, str, int, int], list[Vehicle]] = defaultdict(list)
    for car in vehicles:
        if car.id not in left_out:
            lots[car.org.code, car.category, _energy(car.energy), _age(car, today), _km(car, today)].append(car)
    upkeep, growth = int(figures["plan.upkeep_new_cny"] * FEN), float(figures["plan.upkeep_growth"])
    made, cars_of = [], {}
    for number, (key, cars) in enumerate(sorted(lots.items())):
        unit, category, energy, age, km = key
        made.append(renewal.Lot(id=f"l{number}", unit=unit, category=category, energy=energy, age=age, count=len(cars), km_per_year=km,
                                upkeep_fen=round(upkeep * (1 + growth * age))))  # fmt: skip
        cars_of[f"l{number}"] = sorted(cars, key=lambda car: (car.registered_on, car.id))
    energies = ("petrol", "phev", "bev")
    options = tuple(
        renewal.Option(category=category, energy=energy, price_fen=int(figures[f"plan.price_{energy}_cny"] * FEN), upkeep_fen=upkeep,
                       per_km_fen=float(figures[f"plan.km_{energy}_cny"] * FEN))
        for category in sorted({lot.category for lot in made}) for energy in energies
    )  # fmt: skip
    targets = [
        renewal.Target(year=year, share=float(asked.bought_share), of="purchases") for year in range(asked.years)
    ]
    targets.append(renewal.Target(year=asked.years - 1, share=float(asked.stock_share), of="stock"))
    places = asked.charging_places
    return renewal.RenewalProblem(
        chargers={} if places is None else dict.fromkeys(sorted({lot.unit for lot in made}), places),
        charger_fen=int(figures["plan.charger_cny"] * FEN), charger_most=int(figures["plan.charger_most"]), years=asked.years, lots=tuple(made), options=options, targets=tuple(targets),
        per_km_fen={energy: float(figures[f"plan.km_{energy}_cny"] * FEN) for energy in energies},
        budgets_fen=(int(asked.budget * FEN),) * asked.years, min_age=int(figures["renewal.min_years"]),
        max_age=int(figures["plan.max_age_years"]),
    ), cars_of  # fmt: skip


def _energy(energy: str) -> str:
    """Return the energy as plans reckon with it: diesel and hybrid as petrol, hydrogen as electric."""
    return {"diesel": "petrol", "hev": "petrol", "fcev": "bev"}.get(energy, energy)


def _age(car: Vehicle, today: date) -> int:
    return max(0, int((today - car.registered_on).days / 365.25))


def _km(car: Vehicle, today: date) -> int:
    years = max(0.5, (today - car.registered_on).days / 365.25)
    km = min(MOST_KM, max(LEAST_KM, car.odometer_m / 1000 / years))
    return round(km / KM_STEP) * KM_STEP


def solve(
    problem: renewal.RenewalProblem, cars_of: Mapping[str, Sequence[Vehicle]], *, asked: Asked, time_limit_s: float
) -> dict[str, Any]:
    """Return the plan as a result to keep: by year and energy, cars by plate, cost, bound, gap, shares, what stands in the way.

    :raises AssertionError: the judge refused the plan: a fault of the program.
    """
    plan = renewal.solve(problem, time_limit_s=time_limit_s)
    if faults := renewal.check(problem, plan):
        raise AssertionError("; ".join(faults))
    prices = {(option.category, option.energy): option.price_fen for option in problem.options}
    lots = {lot.id: lot for lot in problem.lots}
    left = {lot_id: list(cars) for lot_id, cars in cars_of.items()}
    cars: list[dict[str, Any]] = []
    spent, counts = Counter[int](), Counter[tuple[int, str]]()
    for (lot_id, year, energy), number in sorted(
        plan.renewals.items(), key=lambda item: (item[0][1], item[0][0], item[0][2])
    ):
        spent[year] += number * prices[lots[lot_id].category, energy]
        counts[year, energy] += number
        cars += [
            {"vehicle_id": car.id, "plate": car.plate, "org": car.org.name_zh, "org_en": car.org.name_en, "category": car.category,
             "year": asked.first_year + year, "energy": energy}
            for car in left[lot_id][:number]
        ]  # fmt: skip
        left[lot_id] = left[lot_id][number:]
    nev = {energy.value for energy in NEV}
    stock = sum(lot.count for lot in problem.lots)
    now = sum(lot.count for lot in problem.lots if lot.energy in nev)
    path = [{"year": asked.first_year - 1, "share": now / stock if stock else 0.0}]
    for year in range(asked.years):
        now += sum(n * ((e in nev) - (lots[i].energy in nev)) for (i, y, e), n in plan.renewals.items() if y == year)
        path.append({"year": asked.first_year + year, "share": now / stock if stock else 0.0})
    return {
        "new_chargers": sum(plan.new_chargers.values()), "cost_cny": plan.cost_fen // FEN, "bound_cny": plan.bound_fen // FEN, "gap": plan.gap, "seconds": plan.seconds, "fleet": stock,
        "years": [{"year": asked.first_year + year, "spent_cny": spent[year] // FEN,
                   **{energy: counts[year, energy] for energy in ("petrol", "phev", "bev")}} for year in range(asked.years)],
        "path": path, "cars": cars,
        "shortfalls": [{"what": one.what, "year": asked.first_year + one.year,
                        "amount": one.amount / FEN if one.what == "budget" else one.amount} for one in plan.shortfalls],
    }  # fmt: skip
