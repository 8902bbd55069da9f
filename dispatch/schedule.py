"""The plan under construction: chains on vehicles, drivers on trips, reserves kept; changed all or nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from dispatch.chains import NO_CHAIN, Chain, Chains, Visit
from dispatch.costs import plan_cost
from dispatch.crew import Crew, duty_of
from dispatch.model import Assignment, Plan
from dispatch.problem import Problem


class Clock(Protocol):
    """What a search asks of time: seconds left, and whether to stop now."""

    def left_s(self) -> float: ...

    def expired(self) -> bool: ...


class Schedule:
    """A feasible state at all times; `vehicle_of` is by request.

    `refusal` says why the last change was refused: vehicle, request (served twice), driver or reserve.
    """

    def __init__(self, problem: Problem, *, seed: int) -> None:
        self.problem, self.seed = problem, seed
        self.chains_of = Chains(problem)
        self.crew = Crew(problem)
        self.chains: list[Chain] = [NO_CHAIN] * len(problem.type_of)
        self.drivers: list[tuple[int, ...]] = [()] * len(problem.type_of)
        self.vehicle_of = [-1] * problem.size
        self.refusal = ""

    def cost_fen(self) -> int:
        """Cost of the whole plan."""
        own = sum(chain.cost_fen for chain in self.chains)
        return own + sum(self.problem.jobs[r].else_fen for r, v in enumerate(self.vehicle_of) if v < 0)

    def price_fen(self) -> int:
        """Cost of the whole plan, with what lies outside of bands and every change of what people were told."""
        instance = self.problem.instance
        return self.plan({}).cost_fen if instance.bands or instance.told else self.cost_fen()

    def plan(self, reasons: Mapping[str, str]) -> Plan:
        """Read the plan off: what is cheaper rented is rented, the rest is unassigned with its reason."""
        problem = self.problem
        unserved = [r for r, v in enumerate(self.vehicle_of) if v < 0]
        ids = [request.id for request in problem.instance.requests]
        plan = Plan(
            assignments=self.assignments(),
            unassigned={
                ids[r]: reasons.get(ids[r], "no_free_vehicle") for r in unserved if not problem.jobs[r].else_rented
            },
            rented=tuple(ids[r] for r in unserved if problem.jobs[r].else_rented),
            cost_fen=0,
        )
        return replace(plan, cost_fen=plan_cost(problem.index, plan).total_fen)

    def unserved(self, job: int) -> bool:
        """Tell whether no request of a job is served."""
        return all(self.vehicle_of[r] < 0 for r in self.problem.covers(job))

    def visits(self, v: int) -> list[Visit]:
        """What a vehicle does, in order."""
        return [visit for trip in self.chains[v].trips for visit in trip.visits]

    def replace(self, changes: Mapping[int, Sequence[int]]) -> int | None:
        """Give vehicles new sequences of jobs and return the change of cost, or change nothing and return None.

        Requests that leave one vehicle and join no other become unserved.
        """
        kinds, evaluate = self.problem.types, self.chains_of.evaluate
        chains: dict[int, Chain] = {}
        for v, jobs in changes.items():
            chain = evaluate(kinds[self.problem.type_of[v]], jobs)
            if chain is None:
                self.refusal = "vehicle"
                return None
            chains[v] = chain
        return self.put(chains)

    def put(self, chains: Mapping[int, Chain], *, exactly: bool = False) -> int | None:
        """Do the same with chains evaluated before; `exactly` tries harder to find drivers."""
        old_chains = {v: self.chains[v] for v in chains}
        old_drivers = {v: self.drivers[v] for v in chains}
        if self._twice(chains):
            self.refusal = "request"
            return None
        if not self._crew(chains, exactly=exactly):
            self.refusal = "driver"
            return None
        for v, chain in chains.items():
            self.chains[v] = chain
        if not self._reserves_kept(chains):
            self.refusal = "reserve"
            for v, chain in chains.items():
                self._release(v, chain, self.drivers[v])
            for v, chain in old_chains.items():
                self.chains[v], self.drivers[v] = chain, old_drivers[v]
                self._restore(v, chain, old_drivers[v])
            return None
        delta = sum(chain.cost_fen - old_chains[v].cost_fen for v, chain in chains.items())
        for chain in old_chains.values():
            for r in self.problem.covered(chain.jobs()):
                self.vehicle_of[r] = -1
                delta += self.problem.jobs[r].else_fen
        for v, chain in chains.items():
            for r in self.problem.covered(chain.jobs()):
                self.vehicle_of[r] = v
                delta -= self.problem.jobs[r].else_fen
        return delta

    def _twice(self, chains: Mapping[int, Chain]) -> bool:
        """Tell whether some request would be served twice."""
        covers = [r for chain in chains.values() for r in self.problem.covered(chain.jobs())]
        elsewhere = (self.vehicle_of[r] >= 0 and self.vehicle_of[r] not in chains for r in covers)
        return len(set(covers)) < len(covers) or any(elsewhere)

    def _release(self, v: int, chain: Chain, drivers: Sequence[int]) -> None:
        for trip, d in zip(chain.trips, drivers, strict=False):
            self.crew.drop(d, duty_of(self.problem, v, trip))

    def _restore(self, v: int, chain: Chain, drivers: Sequence[int]) -> None:
        for trip, d in zip(chain.trips, drivers, strict=False):
            self.crew.add(d, duty_of(self.problem, v, trip))

    def _crew(self, chains: Mapping[int, Chain], *, exactly: bool) -> bool:
        """Find drivers for the trips of changed vehicles; drivers who had a request before or were told so are asked first."""
        if not self.problem.crew:
            return True
        had = {r: d for r, d in self.problem.told_driver.items() if d >= 0}
        for v in chains:
            for trip, d in zip(self.chains[v].trips, self.drivers[v], strict=True):
                had.update((visit[0], d) for visit in trip.visits)
            self._release(v, self.chains[v], self.drivers[v])
        where = [(v, trip) for v, chain in chains.items() for trip in chain.trips]
        hints = [tuple(dict.fromkeys(had[visit[0]] for visit in trip.visits if visit[0] in had)) for _, trip in where]
        given = self.crew.assign(
            [duty_of(self.problem, v, trip) for v, trip in where], hints, exactly=exactly, seed=self.seed
        )
        if given is None:
            for v in chains:
                self._restore(v, self.chains[v], self.drivers[v])
            return False
        crews: dict[int, list[int]] = {v: [] for v in chains}
        for (v, _), d in zip(where, given, strict=True):
            crews[v].append(d)
        for v, drivers in crews.items():
            self.drivers[v] = tuple(drivers)
        return True

    def _reserves_kept(self, changed: Mapping[int, Chain]) -> bool:
        for reserve, fleet in self.problem.reserves:
            if any(v in changed for v in fleet) and not self._kept(
                reserve.span.start_s, reserve.span.end_s, reserve.min_free, fleet
            ):
                return False
        return True

    def _kept(self, start_s: int, end_s: int, min_free: int, fleet: Sequence[int]) -> bool:
        """Tell whether vehicles available minus vehicles drawn is enough wherever one of the two changes."""
        spans = [(v, s) for v in fleet for s in self.problem.types[self.problem.type_of[v]].spans]
        out = [(trip.out_s, trip.in_s) for v in fleet for trip in self.chains[v].trips if not trip.emergency]
        moments = {start_s, *(a for a, _ in out), *(b for _, (_, b) in spans)}
        for at_s in moments:
            if start_s <= at_s < end_s:
                drawn = sum(a <= at_s < b for a, b in out)
                here = sum(a <= at_s < b for _, (a, b) in spans)
                if drawn and here - drawn < min_free:
                    return False
        return True

    def assignments(self) -> tuple[Assignment, ...]:
        """Return the state as assignments, in order of start; those of a ride carry its name."""
        instance = self.problem.instance
        found = []
        for v, chain in enumerate(self.chains):
            for k, trip in enumerate(chain.trips):
                driver = instance.drivers[self.drivers[v][k]].id if self.problem.crew else None
                for number, *span in trip.visits:
                    job = self.problem.jobs[number]
                    found += [
                        Assignment(instance.requests[r].id, instance.vehicles[v].id, driver, start_s, end_s, job.ride)
                        for r, (start_s, end_s) in zip(job.members, job.times or [span], strict=True)
                    ]
        return tuple(sorted(found, key=lambda a: (a.start_s, a.request_id)))
