"""The linear master programme of column generation, kept warm between rounds.

Choose chains so that every open request is covered or left at its price, with no more chains per type than vehicles, and
within the rows of `limits` (Dantzig-Wolfe form of the multi-depot vehicle scheduling problem; Ribeiro and Soumis,
doi:10.1287/opre.42.1.41).
"""

from dataclasses import dataclass

import numpy as np
from ortools.linear_solver import pywraplp

from dispatch.limits import Limits
from dispatch.problem import NEVER, Floats, Ints, Problem

LOCKED_FEN = 10**9  # price of leaving a locked request: never worth it


@dataclass(frozen=True, slots=True)
class Column:
    """A chain of one type: nodes in order, the requests they cover, its price, its coefficients in rows of limits."""

    type: int
    nodes: tuple[int, ...]
    covers: tuple[int, ...]
    fen: int
    limits: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Duals:
    """Prices of the master: per request, per type (<= 0), per row of limits."""

    request: Floats
    fleet: Floats
    limit: Floats

    def mixed(self, other: "Duals", weight: float) -> "Duals":
        """Return weight x self + (1 - weight) x other."""
        rest = 1 - weight
        return Duals(
            weight * self.request + rest * other.request,
            weight * self.fleet + rest * other.fleet,
            weight * self.limit + rest * other.limit,
        )


class Master:
    """The programme over the open requests, with `caps` vehicles left per type and `used` of each row of limits gone."""

    def __init__(self, problem: Problem, limits: Limits, open_: Ints, caps: Ints, used: Floats) -> None:
        self.problem, self.limits, self.open, self.caps, self.used = problem, limits, open_, caps, used
        self.solver = pywraplp.Solver.CreateSolver("GLOP")
        # Primal simplex without presolve goes on from the last basis: by far the quickest where columns are added.
        self.solver.SetSolverSpecificParametersAsString(
            "use_dual_simplex: false use_preprocessing: false use_scaling: false"
        )
        self.infinity: float = self.solver.infinity()
        self.objective = self.solver.Objective()
        self.objective.SetMinimization()
        self.else_fen = np.minimum(problem.else_fen, LOCKED_FEN).astype(np.float64)
        self.row_of = np.full(len(self.else_fen), -1, dtype=np.int64)
        self.row_of[open_] = np.arange(len(open_))
        kept = problem.else_fen >= NEVER
        self.rows = [self.solver.Constraint(1, 1 if kept[r] else self.infinity) for r in open_.tolist()]
        self.fleet = [self.solver.Constraint(-self.infinity, float(cap)) for cap in caps.tolist()]
        self.limit = self._limit_rows()
        self.left = []
        for r in open_.tolist():
            var = self._variable(float(self.else_fen[r]), (r,))
            for row, coefficient in limits.of_leaving(r):
                self.limit[row].SetCoefficient(var, coefficient)
            self.left.append(var)
        self.columns: list[int] = []
        self.variables: list[pywraplp.Variable] = []
        self.known: set[int] = set()

    def _limit_rows(self) -> list[pywraplp.Constraint]:
        rows = []
        self.low, self.high = np.full(self.limits.size, -np.inf), np.full(self.limits.size, np.inf)
        for count in self.limits.counts:
            at = slice(count.first_row, count.first_row + len(count.most))
            self.high[at] = np.maximum(0, np.array(count.most) - self.used[at])
        for share in self.limits.shares:
            self.low[share.row], self.high[share.row] = (
                share.low - self.used[share.row],
                share.high - self.used[share.row],
            )
        for low, high in zip(self.low.tolist(), self.high.tolist(), strict=True):
            rows.append(self.solver.Constraint(-self.infinity if low == -np.inf else low, high))
        for share in self.limits.shares:
            for sign in (1.0, -1.0):
                outside = self.solver.NumVar(0, self.infinity, "")
                self.objective.SetCoefficient(outside, float(share.fen))
                rows[share.row].SetCoefficient(outside, sign)
        return rows

    def _variable(self, fen: float, covers: tuple[int, ...]) -> pywraplp.Variable:
        var = self.solver.NumVar(0, self.infinity, "")
        self.objective.SetCoefficient(var, fen)
        for r in covers:
            self.rows[self.row_of[r]].SetCoefficient(var, 1)
        return var

    def add(self, number: int, column: Column) -> bool:
        """Add a column under its number unless it is there."""
        if number in self.known:
            return False
        self.known.add(number)
        var = self._variable(float(column.fen), column.covers)
        self.fleet[column.type].SetCoefficient(var, 1)
        for row, coefficient in column.limits:
            self.limit[row].SetCoefficient(var, coefficient)
        self.columns.append(number)
        self.variables.append(var)
        return True

    def solve(self, left_s: float) -> tuple[float, Duals] | None:
        """Return value and duals; None if late."""
        if left_s <= 0:
            return None
        self.solver.SetTimeLimit(max(1, int(1_000 * min(left_s, 1e5))))
        if self.solver.Solve() != pywraplp.Solver.OPTIMAL:
            return None
        request = np.zeros(len(self.else_fen))
        request[self.open] = [row.dual_value() for row in self.rows]
        fleet = np.minimum(0.0, [row.dual_value() for row in self.fleet])
        limit = np.array([row.dual_value() for row in self.limit], dtype=np.float64)
        return self.objective.Value(), Duals(np.minimum(request, self.else_fen), fleet, self.clipped(limit))

    def clipped(self, limit: Floats) -> Floats:
        """Keep prices of limit rows within what makes the bound finite."""
        out = np.minimum(limit, 0.0)
        for share in self.limits.shares:
            out[share.row] = min(max(limit[share.row], -share.fen), share.fen)
        return out

    def constant(self, duals: Duals) -> float:
        """Return the part of the Lagrangian bound that does not depend on chains; leaving a request is in it.

        With prices y of requests, leaving costs ``min(0, else - y - rows)`` at best; fleets count with their chains.
        """
        rows = duals.limit @ np.zeros(self.limits.size) if not self.limits.size else 0.0
        for n, price in enumerate(duals.limit.tolist()):
            if price:
                rows += price * (self.high[n] if price < 0 else self.low[n])
        leave = self.else_fen[self.open] - duals.request[self.open]
        for share in self.limits.shares:
            inside = np.array([r in share.left for r in self.open.tolist()], dtype=np.bool_)
            leave[inside] -= duals.limit[share.row]
        return float(duals.request[self.open].sum() + rows + np.minimum(leave, 0.0).sum())
