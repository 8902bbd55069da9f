"""The five questions. Each gives a chart, a table, the facts of its conclusion; step by step, so that it can be given up."""

import random
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.lab import bridge, rules
from fleetapp.lab.history import History
from fleetapp.lab.rules import Curve, StudyKind
from fleetapp.policies import queries as policies
from fleetapp.renewal import bridge as renewal_bridge
from fleetapp.renewal import queries as renewal

Asked = Mapping[str, Any]
Tell = Callable[[int, int], None]
"""Told the steps done and the steps in all; raises to stop."""
Group = tuple[str, str]
FEN = 100
SWEEP = (Decimal("0.5"), Decimal(1), Decimal("1.5"))
NEV_LIMIT_S = 20.0


def figures(session: Session, *, kind: StudyKind, org: Organisation, today: date) -> dict[str, dict[str, str]]:
    """Return the policy figures that a study of a kind reckons with: value, unit, source, by code."""
    prefixes = {
        StudyKind.RENT: ("plan.", "costs.depreciation_years", "costs.residual_share", "rental.sedan_day_cny"),
        StudyKind.NEV: ("plan.", "renewal."),
    }
    found: dict[str, dict[str, str]] = {}
    for prefix in prefixes.get(kind, ("dispatch.buffer_", "dispatch.ev_range_factor")):
        for code, row in policies.standing(session, prefix, on=today, org_path=org.path).items():
            found[code] = {"value": f"{row.value.normalize():f}", "unit": row.unit, "source": row.source}
    return found


def curves(days: list[bridge.Day], *, seed: int, tell: Tell) -> dict[Group, Curve]:
    """Return, by pool and class, how many orders 0, 1, 2.. vehicles served on each day."""
    groups = sorted({group for day in days for group in day.groups()})
    found, done = {}, 0
    for pool, vehicle_class in groups:
        seats = bridge.seats_of(days, pool, vehicle_class)
        asked, served = [], []
        for day in days:
            number, of_day = bridge.curve_of_day(day, pool, vehicle_class, seats=seats, seed=seed)
            asked.append(number)
            served.append(rules.never_fewer(of_day))
            done += 1
            tell(done, len(groups) * len(days))
        found[pool, vehicle_class] = Curve(tuple(asked), tuple(served))
    return found


def _now(days: list[bridge.Day]) -> dict[Group, int]:
    held: dict[Group, int] = {}
    for group in days[0].fleet():
        held[group] = held.get(group, 0) + 1
    return held


def _named(history: History, group: Group) -> dict[str, Any]:
    org = history.pools.get(group[0])
    return {"zh": org.name_zh if org else group[0], "en": org.name_en if org else group[0], "body": group[1]}


def right_size(history: History, days: list[bridge.Day], asked: Asked, tell: Tell) -> dict[str, Any]:
    """Find the smallest fleet by pool and class that serves the wanted share."""
    share, seed = float(asked["share"]), int(asked["seed"])
    found, held = curves(days, seed=seed, tell=tell), _now(days)
    rng = random.Random(seed)
    draws = [rng.choices(range(len(days)), k=len(days)) for _ in range(rules.DRAWS)]
    rows: list[dict[str, Any]] = []
    best: Group | None = None
    for group, curve in found.items():
        need = rules.smallest(curve, share)
        low, high = rules.interval(curve, share, lambda k: draws[k])
        now, orders = held.get(group, 0), sum(curve.asked)
        rows.append({"group": _named(history, group), "now": now, "need": need, "low": low, "high": high, "orders": orders,
                     "share_now": curve.share(now), "share_need": None if need is None else curve.share(need)})  # fmt: skip
        if best is None or orders > sum(found[best].asked):
            best = group
    counted = [row for row in rows if row["need"] is not None]
    return {
        "rows": rows, "curve": _curve(found[best], _named(history, best)) if best else None,
        "facts": {"now": sum(row["now"] for row in counted), "need": sum(row["need"] for row in counted),
                  "low": sum(row["low"] for row in counted), "high": sum(row["high"] for row in counted), "share": share,
                  "groups": len(counted)},
    }  # fmt: skip


def _curve(curve: Curve, group: dict[str, Any]) -> dict[str, Any]:
    return {"group": group, "shares": [curve.share(n) for n in range(curve.most() + 1)]}


def rent(history: History, days: list[bridge.Day], asked: Asked, tell: Tell) -> dict[str, Any]:
    """Find the number of own vehicles by pool and class at which a year costs least, the rest going by rental."""
    book = {code: Decimal(row["value"]) for code, row in asked["figures"].items()}
    worth = book["plan.price_petrol_cny"] * (1 - book["costs.residual_share"]) / book["costs.depreciation_years"]
    own_year, own_km, day_price = (
        worth + book["plan.upkeep_new_cny"],
        book["plan.km_petrol_cny"],
        book["rental.sedan_day_cny"],
    )
    rows: list[dict[str, Any]] = []
    widest: tuple[int, dict[str, Any]] | None = None
    held = _now(days)
    for group, curve in curves(days, seed=int(asked["seed"]), tell=tell).items():
        metres, orders = map(sum, zip(*(bridge.km_of(day, *group) for day in days), strict=True))
        km_order = Decimal(metres) / 1000 / orders
        costs = [
            rules.yearly_cost(curve, n, own_year=own_year, own_km=own_km, km_order=km_order, rental_order=day_price)
            for n in range(curve.most() + 1)
        ]
        least = min(range(len(costs)), key=costs.__getitem__)
        now = held.get(group, 0)
        rows.append({
            "group": _named(history, group), "now": now, "best": least, "cost_best": str(costs[least]), "km_order": float(round(km_order, 1)),
            "cost_now": str(costs[min(now, len(costs) - 1)] + own_year * max(0, now - len(costs) + 1)), "cost_rent": str(costs[0]), "orders": orders,
        })  # fmt: skip
        if widest is None or orders > widest[0]:
            widest = orders, {"group": _named(history, group), "costs": [float(cost) for cost in costs]}
    mean_km = sum(row["km_order"] * row["orders"] for row in rows) / max(1, sum(row["orders"] for row in rows))
    margin = day_price - own_km * Decimal(str(round(mean_km, 3)))
    return {
        "rows": rows, "curve": widest[1] if widest else None,
        "facts": {"own_year": float(own_year), "even_days": float(round(own_year / margin, 1)) if margin > 0 else None,
                  "now": sum(row["now"] for row in rows), "best": sum(row["best"] for row in rows),
                  "saved": float(sum(Decimal(row["cost_now"]) - Decimal(row["cost_best"]) for row in rows))},
    }  # fmt: skip


def _compared(
    history: History, days: list[bridge.Day], asked: Asked, tell: Tell, wider: Callable[[bridge.Day], bridge.Day]
) -> dict[str, Any]:
    """Plan every day as it was and with more freedom, and put the two side by side."""
    sums = {
        way: dict.fromkeys(("served", "rented", "unserved", "vehicles", "cost_fen", "shared"), 0)
        for way in ("without", "with")
    }
    per_day: list[dict[str, Any]] = []
    for number, day in enumerate(days):
        before = bridge.solved(day, seed=int(asked["seed"]))
        after = bridge.solved(wider(day), seed=int(asked["seed"]), known=before.plan)
        for way, one in (("without", before), ("with", after)):
            for name in sums[way]:
                sums[way][name] += getattr(one, name)
        per_day.append(
            {"on": history.days[number].isoformat(), "without": before.cost_fen / FEN, "with": after.cost_fen / FEN}
        )
        tell(number + 1, len(days))
    gains = sorted(one["without"] - one["with"] for one in per_day)
    year = sum(gains) / len(gains) * rules.WORKING_DAYS
    rows = [
        {
            "way": way,
            **{name: number for name, number in one.items() if name != "cost_fen"},
            "cost": one["cost_fen"] / FEN,
        }
        for way, one in sums.items()
    ]
    return {
        "rows": rows, "per_day": per_day,
        "facts": {"served": sums["with"]["served"] - sums["without"]["served"], "rented": sums["without"]["rented"] - sums["with"]["rented"],
                  "cost": sum(gains), "year": year, "least": gains[0], "most": gains[-1], "shared": sums["with"]["shared"]},
    }  # fmt: skip


def sharing(history: History, days: list[bridge.Day], asked: Asked, tell: Tell) -> dict[str, Any]:
    """Compare pools that keep to themselves with pools that lend to each other."""
    if len(history.pools) < 2:
        raise RuleBroken("lab.one_pool")
    return _compared(history, days, asked, tell, lambda day: bridge.with_lending(day, tuple(history.pools)))


def pooling(history: History, days: list[bridge.Day], asked: Asked, tell: Tell) -> dict[str, Any]:
    """Compare everybody in a vehicle of their own with everybody ready to share one."""
    return _compared(history, days, asked, tell, bridge.with_pooling)


def nev(
    session: Session, org: Organisation, asked: Asked, *, actor: Actor, today: date
) -> list[tuple[str, Any, Any, Any]]:
    """Return the renewal problems of the sweep of budgets, as the renewal planner makes them."""
    book = {code: Decimal(row["value"]) for code, row in asked["figures"].items()}
    cars = renewal.to_plan(session, org_path=org.path)
    if not cars:
        raise RuleBroken("lab.no_vehicles")
    left_out = renewal.renewed_already(session, actor=actor)
    found = []
    for part in SWEEP:
        wish = renewal_bridge.Asked(
            today.year + 1,
            int(asked["years"]),
            Decimal(asked["budget"]) * part,
            book["plan.stock_share"],
            Decimal(asked["bought_share"]),
        )
        found.append(
            (
                str(part),
                *renewal_bridge.problem_of(cars, asked=wish, figures=book, left_out=left_out, today=today),
                wish,
            )
        )
    return found


def nev_paths(problems: list[tuple[str, Any, Any, Any]], tell: Tell) -> dict[str, Any]:
    """Solve them and put the paths side by side."""
    rows = []
    for number, (part, problem, cars_of, wish) in enumerate(problems):
        made = renewal_bridge.solve(problem, cars_of, asked=wish, time_limit_s=NEV_LIMIT_S)
        rows.append({"part": part, "budget": str(wish.budget), "path": made["path"], "cost_cny": made["cost_cny"], "gap": made["gap"],
                     "cars": len(made["cars"]), "short": [one["what"] for one in made["shortfalls"]]})  # fmt: skip
        tell(number + 1, len(problems))
    reached = [row for row in rows if not row["short"]]
    target = float(problems[0][3].stock_share)
    return {"rows": rows, "facts": {"target": target, "years": problems[0][3].years, "last": rows[-1]["path"][-1]["year"],
                                    "cheapest": reached[0]["budget"] if reached else None, "share": rows[1]["path"][-1]["share"]}}  # fmt: skip


HISTORICAL = {
    StudyKind.RIGHT_SIZE: right_size,
    StudyKind.SHARING: sharing,
    StudyKind.POOLING: pooling,
    StudyKind.RENT: rent,
}
