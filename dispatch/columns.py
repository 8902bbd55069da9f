"""Exact choice among enumerated chains: a set-partitioning model for CP-SAT over some vehicles and some requests."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ortools.linear_solver import pywraplp
from ortools.sat.python import cp_model

from dispatch.chains import NO_CHAIN, Chain, Trip
from dispatch.model import VEHICLE_CLASSES
from dispatch.problem import NEVER, Problem
from dispatch.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Part:
    """Vehicles by type and requests to be planned anew; everything else stays."""

    vehicles: tuple[int, ...]
    requests: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Listed:
    """Chains per vehicle type over a part's requests; `complete` if there are no others."""

    chains: tuple[tuple[int, Chain], ...]
    complete: bool


def list_chains(schedule: Schedule, part: Part, most: int) -> Listed:
    """Enumerate chains of every type in the part, and keep those driven now."""
    problem = schedule.problem
    found: list[tuple[int, Chain]] = []
    complete = True
    types, jobs = sorted({problem.type_of[v] for v in part.vehicles}), problem.jobs_within(part.requests)
    for t in types:
        chains, all_of_them = schedule.chains_of.enumerate(problem.types[t], jobs, most // len(types))
        found += [(t, chain) for chain in chains]
        complete &= all_of_them
    if not complete:
        known = {(t, chain.jobs()) for t, chain in found}
        now = [(problem.type_of[v], schedule.chains[v]) for v in part.vehicles if schedule.chains[v].trips]
        found += [(t, chain) for t, chain in now if (t, chain.jobs()) not in known]
    return Listed(tuple(found), complete)


def promising(schedule: Schedule, part: Part, listed: Listed, budget_fen: int) -> list[tuple[int, Chain]]:
    """Drop chains that no plan cheaper than `budget_fen` can contain, by the duals of the linear relaxation.

    For duals y of requests and s <= 0 of types, any choice costs at least ``sum y + sum N s + sum min(0, rc)``; a chain
    whose reduced cost rc exceeds the budget minus that is out. This holds for any duals, so rounding in the linear
    solver cannot make it wrong; driver and reserve limits only add to the cost.
    """
    problem = schedule.problem
    solver = pywraplp.Solver.CreateSolver("GLOP")
    rows = {r: solver.Constraint(1, 1) for r in part.requests}
    counts = {t: sum(problem.type_of[v] == t for v in part.vehicles) for t, _ in listed.chains}
    fleet = {t: solver.Constraint(-solver.infinity(), n) for t, n in counts.items()}
    objective = solver.Objective()
    left = [r for r in part.requests if problem.jobs[r].else_fen < NEVER]
    for r in left:
        var = solver.NumVar(0, solver.infinity(), "")
        rows[r].SetCoefficient(var, 1)
        objective.SetCoefficient(var, problem.jobs[r].else_fen)
    for t, chain in listed.chains:
        var = solver.NumVar(0, solver.infinity(), "")
        fleet[t].SetCoefficient(var, 1)
        objective.SetCoefficient(var, chain.cost_fen)
        for r in problem.covered(chain.jobs()):
            rows[r].SetCoefficient(var, 1)
    objective.SetMinimization()
    if solver.Solve() != pywraplp.Solver.OPTIMAL:
        return list(listed.chains)
    y = {r: row.dual_value() for r, row in rows.items()}
    s = {t: min(0.0, row.dual_value()) for t, row in fleet.items()}
    reduced = [chain.cost_fen - s[t] - sum(y[r] for r in problem.covered(chain.jobs())) for t, chain in listed.chains]
    bound = sum(y.values()) + sum(counts[t] * s[t] for t in s) + sum(min(0.0, rc) for rc in reduced)
    bound += sum(min(0.0, problem.jobs[r].else_fen - y[r]) for r in left)
    slack = budget_fen - bound + 1.0
    return [pair for pair, rc in zip(listed.chains, reduced, strict=True) if rc <= slack] if slack > 1.0 else []


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many trips of vehicles of some types under way at given moments (a necessary rule)."""

    types: frozenset[int]
    drawn_only: bool  # leave emergencies out
    most_at: Mapping[int, int]

    def counts(self, t: int, trip: Trip, at_s: int) -> bool:
        """Tell whether a trip counts at a moment."""
        return t in self.types and trip.out_s <= at_s < trip.in_s and not (self.drawn_only and trip.emergency)


def crew_limits(problem: Problem, departures: Iterable[int]) -> Iterator[Limit]:
    """Not more trips than drivers on duty, over all classes and for each class."""
    every = frozenset(range(len(VEHICLE_CLASSES)))
    for classes in (every, *(frozenset({c}) for c in every)):
        types = frozenset(k.id for k in problem.types if k.class_no in classes)
        if problem.crew and types:
            able = [man for man in problem.crew if man.classes & classes]
            on_duty = {at_s: sum(any(a <= at_s < b for a, b in man.spans) for man in able) for at_s in departures}
            yield Limit(types, drawn_only=False, most_at=on_duty)


def _reserve_limits(problem: Problem, departures: Iterable[int]) -> Iterator[Limit]:
    """Not more trips than vehicles available beyond each reserve, also where vehicles become unavailable."""
    for reserve, fleet in problem.reserves:
        spans = [span for v in fleet for span in problem.types[problem.type_of[v]].spans]
        moments = {*departures, reserve.span.start_s, *(end_s for _, end_s in spans)}
        most_at = {
            at_s: sum(a <= at_s < b for a, b in spans) - reserve.min_free
            for at_s in sorted(moments)
            if reserve.span.start_s <= at_s < reserve.span.end_s
        }
        yield Limit(frozenset(problem.type_of[v] for v in fleet), drawn_only=True, most_at=most_at)


@dataclass(frozen=True, slots=True)
class Answer:
    """Chosen chains by type, what they and the left requests cost, and a proven bound of the best choice."""

    chosen: tuple[tuple[int, Chain], ...]
    cost_fen: int
    bound_fen: int


class Choice:
    """The model: each request once, on a chain or left; no more chains per type than vehicles; crews and reserves."""

    def __init__(self, schedule: Schedule, part: Part, chains: Sequence[tuple[int, Chain]]) -> None:
        problem = schedule.problem
        self.schedule, self.part, self.chains = schedule, part, chains
        self.model = cp_model.CpModel()
        self.take = [self.model.new_bool_var("") for _ in chains]
        self.leave = {r: self.model.new_bool_var("") for r in part.requests}
        covers: dict[int, list[cp_model.IntVar]] = {r: [var] for r, var in self.leave.items()}
        per_type: dict[int, list[cp_model.IntVar]] = {}
        for (t, chain), var in zip(chains, self.take, strict=True):
            per_type.setdefault(t, []).append(var)
            for r in problem.covered(chain.jobs()):
                covers[r].append(var)
        for r, choices in covers.items():
            self.model.add_exactly_one(choices)
            if problem.jobs[r].else_fen >= NEVER:
                self.model.add(self.leave[r] == 0)
        for t, choices in per_type.items():
            self.model.add(sum(choices) <= sum(problem.type_of[v] == t for v in part.vehicles))
        self._limits()
        self._hint()
        self.model.minimize(
            cp_model.LinearExpr.weighted_sum(self.take, [chain.cost_fen for _, chain in chains])
            + sum(problem.jobs[r].else_fen * var for r, var in self.leave.items() if problem.jobs[r].else_fen < NEVER)
        )

    def _limits(self) -> None:
        """At every moment that matters: no more trips under way than the crew limits and the reserves allow."""
        problem, inside = self.schedule.problem, set(self.part.vehicles)
        trips = [(t, trip, var) for (t, chain), var in zip(self.chains, self.take, strict=True) for trip in chain.trips]
        others = [
            (problem.type_of[v], trip)
            for v, chain in enumerate(self.schedule.chains) if v not in inside for trip in chain.trips
        ]  # fmt: skip
        departures = sorted({trip.out_s for _, trip, _ in trips})
        for limit in (*crew_limits(problem, departures), *_reserve_limits(problem, departures)):
            here = sum(problem.type_of[v] in limit.types for v in inside)
            for at_s, most in limit.most_at.items():
                room = most - sum(limit.counts(t, trip, at_s) for t, trip in others)
                under_way = [var for t, trip, var in trips if room < here and limit.counts(t, trip, at_s)]
                if under_way:
                    self.model.add(sum(under_way) <= max(0, room))

    def _hint(self) -> None:
        now: dict[tuple[int, tuple[int, ...]], int] = {}
        for v in self.part.vehicles:
            key = (self.schedule.problem.type_of[v], self.schedule.chains[v].jobs())
            now[key] = now.get(key, 0) + 1
        for (t, chain), var in zip(self.chains, self.take, strict=True):
            self.model.add_hint(var, (t, chain.jobs()) in now)
        for r, var in self.leave.items():
            self.model.add_hint(var, self.schedule.vehicle_of[r] < 0)

    def solve(self, *, seconds: float, effort: float, seed: int) -> Answer | None:
        """Return the best choice found; None without an answer in time.

        One worker, a fixed seed and a deterministic effort limit: the same call gives the same answer unless
        `seconds` cuts it off.
        """
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = seed
        solver.parameters.max_deterministic_time = effort
        solver.parameters.max_time_in_seconds = max(0.01, seconds)
        if solver.solve(self.model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        chosen = [pair for pair, var in zip(self.chains, self.take, strict=True) if solver.boolean_value(var)]
        return Answer(tuple(chosen), round(solver.objective_value), math.ceil(solver.best_objective_bound - 1e-6))

    def forbid(self, chosen: Iterable[tuple[int, Chain]]) -> None:
        """Rule out one combination (no drivers were found for it)."""
        keys = {(t, chain.jobs()) for t, chain in chosen}
        taken = [var for (t, c), var in zip(self.chains, self.take, strict=True) if (t, c.jobs()) in keys]
        self.model.add_bool_or([var.negated() for var in taken])


def hand_out(schedule: Schedule, vehicles: Sequence[int], chosen: Iterable[tuple[int, Chain]]) -> dict[int, Chain]:
    """Give chosen chains to vehicles of their type, each to the one that keeps most of its jobs."""
    problem = schedule.problem
    todo = list(chosen)
    pairs = sorted(
        (-len(set(chain.jobs()) & set(schedule.chains[v].jobs())) - problem.told_of(chain.jobs(), v), k, v)
        for k, (t, chain) in enumerate(todo)
        for v in vehicles
        if problem.type_of[v] == t
    )
    given: dict[int, int] = {}
    done: set[int] = set()
    for _, k, v in pairs:
        if v not in given and k not in done:
            given[v] = k
            done.add(k)
    changed = {v: todo[given[v]][1] if v in given else NO_CHAIN for v in vehicles}
    return {v: chain for v, chain in changed.items() if chain != schedule.chains[v]}


def whole(problem: Problem) -> Part:
    """Return the part that is everything."""
    return Part(tuple(range(len(problem.type_of))), tuple(range(problem.size)))
