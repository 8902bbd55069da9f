"""Column generation: chains that a linear master programme asks for, the bound they prove, and the plan they make.

The master chooses chains so that every request is covered or left at its price, with no more chains per type than
vehicles and no more trips under way than drivers on duty (Dantzig-Wolfe form of the multi-depot vehicle scheduling
problem; Ribeiro and Soumis, doi:10.1287/opre.42.1.41). `Paths` finds chains cheaper than the master's duals; for any
duals, the cheapest paths also give a lower bound of every plan (Lagrange). A dive rounds the last master to whole chains.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ortools.linear_solver import pywraplp

from dispatch.chains import Chain
from dispatch.columns import Limit, crew_limits
from dispatch.greedy import greedy, lock
from dispatch.paths import Duals, Floats, Paths, Swept
from dispatch.problem import Problem
from dispatch.schedule import Clock, Schedule

MOST_REQUESTS = 3_000  # memory: matrices of requests by requests for every price of a km
PER_ROUND = 1_500  # chains added per round
SHARE = 4  # chains of one round that may share a request
SMOOTH = 0.5  # weight of the best duals so far against the newest (Wentges, doi:10.1016/S0969-6016(97)00001-4)
LOCKED_FEN = 10**10  # price of leaving a locked request: never worth it
CLOSE_ENOUGH = 3e-4  # stop when the master is within this of its bound
MOST_ROUNDS = 300
CREW_STEP_S = 900  # drivers on duty are counted every quarter of an hour


@dataclass(frozen=True, slots=True)
class Earlier:
    """A clock that ends some time before another one, to leave time for what follows."""

    clock: Clock
    kept_s: float

    def left_s(self) -> float:
        """Seconds left before the earlier end."""
        return self.clock.left_s() - self.kept_s

    def expired(self) -> bool:
        """Tell whether to stop now."""
        return self.left_s() <= 0 or self.clock.expired()


class Master:
    """The linear programme, kept warm between rounds."""

    def __init__(self, problem: Problem, limits: Sequence[Limit]) -> None:
        self.problem, self.limits = problem, limits
        self.solver = pywraplp.Solver.CreateSolver("GLOP")
        self.solver.SetSolverSpecificParametersAsString("use_preprocessing: false")
        infinity: float = self.solver.infinity()
        self.rows = [self.solver.Constraint(1, infinity) for _ in problem.jobs]
        self.fleet = [self.solver.Constraint(-infinity, len(m)) for m in problem.members]
        self.crew = [[self.solver.Constraint(-infinity, most) for most in m.most_at.values()] for m in limits]
        self.objective = self.solver.Objective()
        self.objective.SetMinimization()
        self.left_fen = np.array([min(job.else_fen, LOCKED_FEN) for job in problem.jobs], dtype=np.float64)
        self.columns: list[tuple[int, Chain]] = []
        self.variables: list[pywraplp.Variable] = []
        self.known: set[tuple[int, tuple[int, ...]]] = set()
        for price, row in zip(self.left_fen.tolist(), self.rows, strict=True):
            var = self.solver.NumVar(0, infinity, "")
            row.SetCoefficient(var, 1)
            self.objective.SetCoefficient(var, price)

    def add(self, t: int, chain: Chain) -> bool:
        """Add a chain unless it is there."""
        requests = chain.requests()
        if (t, requests) in self.known:
            return False
        self.known.add((t, requests))
        var = self.solver.NumVar(0, self.solver.infinity(), "")
        self.objective.SetCoefficient(var, chain.cost_fen)
        self.fleet[t].SetCoefficient(var, 1)
        for r in requests:
            self.rows[r].SetCoefficient(var, 1)
        for limit, rows in zip(self.limits, self.crew, strict=True):
            if t in limit.types:
                for at_s, row in zip(limit.most_at, rows, strict=True):
                    if any(trip.out_s <= at_s < trip.in_s for trip in chain.trips):
                        row.SetCoefficient(var, 1)
        self.columns.append((t, chain))
        self.variables.append(var)
        return True

    def solve(self, clock: Clock) -> tuple[float, Duals] | None:
        """Return value and duals; None if late."""
        self.solver.SetTimeLimit(max(1, int(1_000 * clock.left_s())))
        if self.solver.Solve() != pywraplp.Solver.OPTIMAL:
            return None
        y = np.array([max(0.0, row.dual_value()) for row in self.rows])
        s = np.array([min(0.0, row.dual_value()) for row in self.fleet])
        crew = tuple(np.array([max(0.0, -row.dual_value()) for row in rows]) for rows in self.crew)
        return self.objective.Value(), Duals(np.minimum(y, self.left_fen), s, crew)

    def dive(self, clock: Clock) -> list[tuple[int, Chain]]:
        """Round the solution: take the fullest chains, solve again, until all chains are whole; most certain first."""
        taken: list[int] = []
        open_ = set(range(len(self.variables)))
        while self.solve(clock) is not None and not clock.expired():
            values = {k: self.variables[k].solution_value() for k in open_}
            part = sorted((k for k in open_ if values[k] > 1e-6), key=lambda k: (-values[k], k))
            if not part:
                break
            few = max(1, len(part) // 16)
            now = [k for n, k in enumerate(part) if values[k] > 0.999 or (n < few and values[k] > 0.6) or n == 0]
            for k in now:
                self.variables[k].SetLb(1)
            taken += now
            open_ -= set(now)
        for variable in self.variables:
            variable.SetLb(0)
        return [self.columns[k] for k in taken]


def generate(schedule: Schedule, clock: Clock, *, seed: int) -> tuple[Schedule, int | None]:
    """Return the better of the given schedule and a generated one, and a proven lower bound or None.

    Two thirds of the time go to generation, the rest is left to rounding and to whatever improves the plan afterwards.
    The bound is proven for fixed starts only: with start windows, paths start early.
    """
    problem = schedule.problem
    if not problem.jobs or not problem.types or len(problem.jobs) > MOST_REQUESTS:
        return schedule, None
    generating = Earlier(clock, clock.left_s() / 3)
    moments = range(int(problem.earliest_s.min()), int((problem.latest_s + problem.busy_s).max()), CREW_STEP_S)
    limits = list(crew_limits(problem, moments))
    paths, master = Paths(problem, limits), Master(problem, limits)
    for v, chain in enumerate(schedule.chains):
        if chain.trips:
            master.add(problem.type_of[v], chain)
    bound = _grow(master, paths, generating)
    built = build(problem, master.dive(clock), clock, seed=seed)
    fixed = bool((problem.earliest_s == problem.latest_s).all())
    better = built if built is not None and built.cost_fen() < schedule.cost_fen() else schedule
    # One fen for rounding errors of the sums.
    return better, max(0, math.ceil(bound - 1)) if fixed and bound > 0 else None


def _grow(master: Master, paths: Paths, clock: Clock) -> float:
    """Add chains until the master is close to its bound; return the bound."""
    bound, center = -math.inf, None
    for _ in range(MOST_ROUNDS):
        solved = master.solve(clock)
        if solved is None:
            break
        value, newest = solved
        added = 0
        # Mixed duals give better chains; where they ask for nothing new, the newest have the last word.
        for duals in (newest,) if center is None else (center.mixed(newest, SMOOTH), newest):
            swept = paths.sweep(duals, clock)
            if swept is None:
                break
            proven = paths.bound(duals, swept)
            if proven > bound:
                bound, center = proven, duals
            added = _add(master, paths, swept, duals.fleet)
            if added:
                break
        if not added or value - bound <= CLOSE_ENOUGH * value or clock.expired():
            break
    return bound


def _add(master: Master, paths: Paths, swept: Swept, fleet: Floats) -> int:
    """Add the best chain through each request where its reduced cost is negative, the best first, few per request."""
    reduced = swept.through - fleet[:, None]
    kinds = reduced.argmin(axis=0)
    least = reduced[kinds, np.arange(len(paths.order))]
    times, order = [0] * len(paths.order), paths.order.tolist()
    added = 0
    for middle in np.argsort(least, kind="stable").tolist():
        if least[middle] >= -1.0 or added >= PER_ROUND:
            break
        if times[middle] >= SHARE:
            continue
        t = int(kinds[middle])
        path = swept.path(t, middle)
        if any(times[k] >= SHARE for k in path):
            continue
        chain = paths.chains.evaluate(paths.problem.types[t], [order[k] for k in path])
        if chain is not None and master.add(t, chain):
            added += 1
            for k in path:
                times[k] += 1
    return added


def build(problem: Problem, chosen: Iterable[tuple[int, Chain]], clock: Clock, *, seed: int) -> Schedule | None:
    """Build a schedule from chains by type: what a chain before serves is cut out, what no chain serves is inserted.

    Chains for which no driver is found are taken apart and inserted request by request.
    """
    built = Schedule(problem, seed=seed)
    if not lock(built):
        return None
    free = [list(reversed(members)) for members in problem.members]
    for t, chain in chosen:
        rest = [r for r in chain.requests() if built.vehicle_of[r] < 0 or problem.jobs[r].pinned_vehicle >= 0]
        if not free[t] or not rest:
            continue
        trimmed = chain if len(rest) == len(chain.requests()) else built.chains_of.evaluate(problem.types[t], rest)
        keeps_locked = set(built.chains[free[t][-1]].requests()) <= set(rest)
        if trimmed is not None and keeps_locked and built.put({free[t][-1]: trimmed}) is not None:
            free[t].pop()
    greedy(built, expired=clock.expired)
    return built
