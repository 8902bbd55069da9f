"""Finding a renewal plan: the relaxation, then the few cars that it breaks."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dispatch.renewal.check import check, plan_cost_fen
from dispatch.renewal.model import NEW_ENERGY, PLUG_IN, Lot, Option, RenewalPlan, RenewalProblem, Shortfall

GAP = 0.0005
"""Part of the cost between a plan and its bound at which the search rests."""
SHORT_FEN = 10**9
"""What a missing car of a target costs when a plan is sought that breaks as little as possible; a fen beyond a budget: 1000."""


@dataclass(slots=True)
class _Rows:
    """A linear model as rows over numbered columns: cost, upper bound (lower 0); row = (coefficients, low, high)."""

    cost: list[float] = field(default_factory=list)
    most: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    rows: list[tuple[dict[int, float], float, float]] = field(default_factory=list)

    def column(self, cost: float, most: float, *, whole: bool = True) -> int:
        self.cost.append(cost)
        self.most.append(most)
        self.whole.append(whole)
        return len(self.cost) - 1

    def row(self, coefficients: Mapping[int, float], low: float, high: float) -> None:
        self.rows.append((dict(coefficients), low, high))


def solve(
    problem: RenewalProblem, *, time_limit_s: float = 60.0, clock: Callable[[], float] = time.monotonic
) -> RenewalPlan:
    """Return the cheapest plan found with its proven bound; where the rules cannot all hold, the plan that breaks least.

    Raises
    ------
    UnsoundPlan
        The result fails the judge (an internal error).
    """
    began = clock()
    keys, chargers, model, slack = _model(problem, elastic=False)
    values, bound = _decide(model, time_limit_s=time_limit_s)
    if values is None:
        keys, chargers, model, slack = _model(problem, elastic=True)
        values, bound = _decide(model, time_limit_s=time_limit_s)
        if values is None:
            raise UnsoundRenewal("The relaxed model has no solution: a fault of this library.")
    renewals = {key: cars for key, column in keys.items() if (cars := round(values[column]))}
    new_chargers = {unit: more for unit, column in chargers.items() if (more := round(values[column]))}
    shortfalls = tuple(
        Shortfall(what, year, units, round(values[column], 6))
        for (what, year, units), column in slack.items()
        if values[column] > 1e-6
    )
    cost_fen = plan_cost_fen(problem, renewals, new_chargers)
    plan = RenewalPlan(renewals, new_chargers, cost_fen, cost_fen if shortfalls else min(cost_fen, math.ceil(bound - 0.5)),
                       shortfalls, round(clock() - began, 3))  # fmt: skip
    if broken := check(problem, plan):
        raise UnsoundRenewal(f"The solver made a plan that breaks {len(broken)} rules, first: {broken[0]}.")
    return plan


class UnsoundRenewal(AssertionError):
    """A plan the judge refuses: a fault of this library, never of the input."""


Slack = dict[tuple[str, int, tuple[str, ...]], int]


def _model(
    problem: RenewalProblem, *, elastic: bool
) -> tuple[dict[tuple[str, int, str], int], dict[str, int], _Rows, Slack]:
    model, slack = _Rows(), Slack()
    kept = {lot.id: problem.kept_fen(lot) for lot in problem.lots}
    model.column(
        sum(lot.count * kept[lot.id] for lot in problem.lots), 1
    )  # the constant: what keeping everything costs
    model.row({0: 1.0}, 1, 1)
    keys: dict[tuple[str, int, str], int] = {}
    parts: list[tuple[Lot, int, Option, int]] = []
    for lot, year, option in problem.choices():
        extra = problem.renewed_fen(lot, year, option) - kept[lot.id]
        keys[lot.id, year, option.energy] = column = model.column(extra, lot.count)
        parts.append((lot, year, option, column))
    chargers = {unit: model.column(problem.charger_fen, problem.charger_most) for unit in problem.chargers}

    def short(what: str, year: int, units: tuple[str, ...]) -> dict[int, float]:
        if not elastic:
            return {}
        slack[what, year, units] = column = model.column(
            1000.0 if what == "budget" else SHORT_FEN, math.inf, whole=False
        )
        return {column: 1.0}

    by_lot: dict[str, list[tuple[int, int]]] = {}
    for lot, year, _, column in parts:
        by_lot.setdefault(lot.id, []).append((year, column))
    for lot in problem.lots:
        columns = by_lot.get(lot.id, [])
        if columns:
            model.row({column: 1.0 for _, column in columns}, -math.inf, lot.count)
        must_by = problem.must_by(lot)
        if must_by is not None and must_by < problem.years:
            model.row({column: 1.0 for year, column in columns if year <= must_by}, lot.count, math.inf)
    for year, budget_fen in enumerate(problem.budgets_fen):
        spent = {column: float(option.price_fen) for _, y, option, column in parts if y == year}
        model.row(spent | {k: -v for k, v in short("budget", year, ()).items()}, -math.inf, budget_fen)
    for target in problem.targets:
        inside = [part for part in parts if not target.units or part[0].unit in target.units]
        if target.of == "purchases":
            wanted = {c: (o.energy in NEW_ENERGY) - target.share for _, y, o, c in inside if y == target.year}
            low = 0.0
        else:
            lots = [lot for lot in problem.lots if not target.units or lot.unit in target.units]
            wanted = {
                c: float((o.energy in NEW_ENERGY) - (lot.energy in NEW_ENERGY))
                for lot, y, o, c in inside
                if y <= target.year
            }
            low = target.share * sum(lot.count for lot in lots) - sum(
                lot.count for lot in lots if lot.energy in NEW_ENERGY
            )
        model.row(wanted | short(target.of, target.year, target.units), low, math.inf)
    for unit, places in problem.chargers.items():
        plugged = {
            c: float((o.energy in PLUG_IN) - (lot.energy in PLUG_IN)) for lot, _, o, c in parts if lot.unit == unit
        }
        there = sum(lot.count for lot in problem.lots if lot.unit == unit and lot.energy in PLUG_IN)
        missing = {k: -v for k, v in short("chargers", problem.years - 1, (unit,)).items()}
        model.row(plugged | {chargers[unit]: -1.0} | missing, -math.inf, places - there)
    return keys, chargers, model, slack


def _decide(model: _Rows, *, time_limit_s: float) -> tuple[Sequence[float] | None, float]:
    """Return the best whole-numbered values found and a proven lower bound; None when there is no solution.

    Most of the relaxation is whole already, so only its broken parts are decided anew; the search widens to the whole
    model until the gap is within `GAP`.
    """
    relaxed, bound, _ = _run(model, "GLOP", None, time_limit_s)
    if relaxed is None:
        return None, 0.0
    best: tuple[float, Sequence[float]] | None = None
    for reach in (1.0, 4.0, math.inf):
        box = [
            (0.0, most) if not whole or reach == math.inf else (max(0.0, math.floor(value + 1e-6) - (reach - 1)), min(most, math.ceil(value - 1e-6) + reach))
            for value, most, whole in zip(relaxed, model.most, model.whole, strict=True)
        ]  # fmt: skip
        values, cost, proven = _run(model, "SCIP", box, time_limit_s)
        if reach == math.inf:  # nothing was left out: what this search proves holds for every plan
            bound = max(bound, proven)
        if values is not None and (best is None or cost < best[0]):
            best = cost, values
        if best is not None and best[0] - bound <= GAP * abs(best[0]):
            break
    return (None if best is None else best[1]), bound


def _run(
    model: _Rows, solver_name: str, box: Sequence[tuple[float, float]] | None, time_limit_s: float
) -> tuple[Sequence[float] | None, float, float]:
    """Return the values (None: no solution), their cost, and what the search has proven to be the least cost."""
    from ortools.linear_solver import pywraplp

    solver: Any = pywraplp.Solver.CreateSolver(solver_name)
    solver.SetTimeLimit(int(time_limit_s * 1000))
    infinity = solver.infinity()

    def limit(value: float) -> float:
        return infinity if value == math.inf else -infinity if value == -math.inf else value

    columns = []
    for number, (most, whole) in enumerate(zip(model.most, model.whole, strict=True)):
        low, high = box[number] if box is not None else (0.0, most)
        columns.append(solver.Var(limit(low), limit(high), whole and box is not None, f"x{number}"))
    for coefficients, low, high in model.rows:
        row = solver.Constraint(limit(low), limit(high))
        for number, coefficient in coefficients.items():
            row.SetCoefficient(columns[number], coefficient)
    objective = solver.Objective()
    for number, cost in enumerate(model.cost):
        objective.SetCoefficient(columns[number], cost)
    objective.SetMinimization()
    parameters = pywraplp.MPSolverParameters()
    parameters.SetDoubleParam(parameters.RELATIVE_MIP_GAP, GAP)
    status = solver.Solve(parameters)
    if status not in (pywraplp.Solver.OPTIMAL, pywraplp.Solver.FEASIBLE):
        return None, 0.0, -math.inf
    cost = float(objective.Value())
    proven = float(objective.BestBound()) if box is not None else cost
    return [column.solution_value() for column in columns], cost, proven
