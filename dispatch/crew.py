"""Drivers for trips: each trip has one driver, who must be able to do all of their trips of the day."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from dispatch.chains import Trip
from dispatch.model import VEHICLE_CLASSES
from dispatch.problem import NEVER, Crewman, Problem


class Duty(NamedTuple):
    """A trip of a vehicle in a driver's day."""

    out_s: int
    in_s: int
    yard: int
    class_no: int
    vehicle: int
    trip: Trip


def duty_of(problem: Problem, vehicle: int, trip: Trip) -> Duty:
    """Return the duty that a vehicle's trip is for its driver."""
    kind = problem.types[problem.type_of[vehicle]]
    return Duty(trip.out_s, trip.in_s, kind.yard, kind.class_no, vehicle, trip)


class Crew:
    """Who drives what, so far: `rosters` holds each driver's duties in order."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.rosters: list[list[Duty]] = [[] for _ in problem.crew]
        men = problem.crew
        homes = [problem.yards_s[man.yard] for man in men]
        self.home_s = np.array(homes, dtype=np.int64).reshape(len(men), len(problem.yards_s))
        self.near = [np.argsort(self.home_s[:, yard], kind="stable") for yard in range(len(problem.yards_s))]
        # Hulls of duty spans and of rosters rule out most drivers at once.
        self._from_s = np.array([man.spans[0][0] for man in men], dtype=np.int64)
        self._to_s = np.array([man.spans[-1][1] for man in men], dtype=np.int64)
        self._shift_s = np.array([man.shift_max_s if len(man.spans) == 1 else NEVER for man in men], dtype=np.int64)
        self._first_s = np.full(len(men), NEVER, dtype=np.int64)
        self._last_s = np.full(len(men), -NEVER, dtype=np.int64)
        self._able = np.array([[c in man.classes for man in men] for c in range(len(VEHICLE_CLASSES))], dtype=np.bool_)

    def may(self, d: int, duty: Duty) -> bool:
        """Tell whether licence, clearance and on-duty spans let a driver take a duty at all."""
        man = self.problem.crew[d]
        own = self.problem.driver_of[duty.vehicle]
        return (
            duty.trip.pinned_driver in (-1, d)
            and (own == d if own >= 0 or man.bound else own < 0)
            and duty.class_no in man.classes
            and (man.secret or not duty.trip.secret)
            and any(start_s <= duty.out_s and duty.in_s <= end_s for start_s, end_s in man.spans)
        )

    def fits(self, d: int, duty: Duty) -> bool:
        """Tell whether a driver can take one more duty."""
        for other in self.rosters[d]:
            if other.out_s < duty.in_s and duty.out_s < other.in_s:
                return False
        return self.may(d, duty) and sound(self.problem, self.problem.crew[d], sorted([*self.rosters[d], duty]))

    def add(self, d: int, duty: Duty) -> None:
        """Give a driver a duty that fits."""
        self._set(d, sorted([*self.rosters[d], duty]))

    def drop(self, d: int, duty: Duty) -> None:
        """Take a duty back."""
        self._set(d, [other for other in self.rosters[d] if other != duty])

    def _set(self, d: int, roster: list[Duty]) -> None:
        self.rosters[d] = roster
        self._first_s[d] = roster[0].out_s if roster else NEVER
        self._last_s[d] = roster[-1].in_s if roster else -NEVER

    def candidates(self, duty: Duty) -> list[int]:
        """List drivers who might take one more duty, nearest home first; `fits` decides."""
        length_s = np.maximum(self._last_s, duty.in_s) - np.minimum(self._first_s, duty.out_s)
        might = self._able[duty.class_no] & (self._from_s <= duty.out_s) & (duty.in_s <= self._to_s)
        might &= length_s <= self._shift_s
        near = self.near[duty.yard]
        found: list[int] = near[might[near]].tolist()
        return found

    def find(self, duty: Duty, hints: Iterable[int] = ()) -> int | None:
        """Return a driver for a duty: a hinted one, else one already on shift nearby, else the nearest; or None."""
        if duty.trip.pinned_driver >= 0:
            return duty.trip.pinned_driver if self.fits(duty.trip.pinned_driver, duty) else None
        own = self.problem.driver_of[duty.vehicle]
        if own >= 0:
            return own if self.fits(own, duty) else None
        for d in hints:
            if self.fits(d, duty):
                return d
        fresh = None
        candidates = self.candidates(duty)
        for d in candidates:
            # A driver on shift is preferred only at the nearest yard: far ones would ride between yards all day.
            if fresh is not None and self.home_s[d, duty.yard] > self.home_s[candidates[0], duty.yard]:
                break
            if (fresh is None or self.rosters[d]) and self.fits(d, duty):
                if self.rosters[d]:
                    return d
                fresh = d
        return fresh

    def assign(
        self, duties: Sequence[Duty], hints: Sequence[Sequence[int]], *, exactly: bool, seed: int
    ) -> list[int] | None:
        """Give every duty a driver and return them in order, or change nothing and return None.

        First come first served by departure; if that fails, `exactly` and the case is small, by CP-SAT.
        """
        given: dict[int, int] = {}
        for k in sorted(range(len(duties)), key=lambda k: (duties[k].trip.pinned_driver < 0, duties[k].out_s, k)):
            d = self.find(duties[k], hints[k])
            if d is None:
                break
            self.add(d, duties[k])
            given[k] = d
        if len(given) == len(duties):
            return [given[k] for k in range(len(duties))]
        for k, d in given.items():
            self.drop(d, duties[k])
        return self._assign_exactly(duties, seed=seed) if exactly and len(duties) > 1 else None

    def _assign_exactly(self, duties: Sequence[Duty], *, seed: int) -> list[int] | None:
        from ortools.sat.python import cp_model  # heavy, and seldom needed

        options = [[d for d in self.candidates(duty) if self.fits(d, duty)] for duty in duties]
        if not all(options) or sum(map(len, options)) > 600:
            return None
        model = cp_model.CpModel()
        x = {(k, d): model.new_bool_var("") for k, ds in enumerate(options) for d in ds}
        for k, ds in enumerate(options):
            model.add_exactly_one(x[k, d] for d in ds)
        for d in range(len(self.rosters)):
            mine = [k for k in range(len(duties)) if (k, d) in x]
            for n, a in enumerate(mine):
                for b in mine[n + 1 :]:
                    if not sound(self.problem, self.problem.crew[d], sorted([*self.rosters[d], duties[a], duties[b]])):
                        model.add_bool_or(x[a, d].negated(), x[b, d].negated())
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        solver.parameters.random_seed = seed
        solver.parameters.max_deterministic_time = 0.2
        if solver.solve(model) not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return None
        given = [next(d for d in ds if solver.boolean_value(x[k, d])) for k, ds in enumerate(options)]
        for k, d in enumerate(given):
            # Pairs that are fine can still break the rest rule as three.
            if not self.fits(d, duties[k]):
                for j in range(k):
                    self.drop(given[j], duties[j])
                return None
            self.add(d, duties[k])
        return given


def sound(problem: Problem, man: Crewman, duties: Sequence[Duty]) -> bool:
    """Tell whether one driver can do these duties (in order): ways between yards, shifts, rest."""
    yards_s, params = problem.yards_s, problem.params
    for a, b in pairwise(duties):
        if b.out_s < a.in_s + yards_s[a.yard][b.yard]:
            return False
    rested_s = man.rested_s
    for start_s, end_s in man.spans:
        shift = [duty for duty in duties if start_s <= duty.out_s and duty.in_s <= end_s]
        if not shift:
            continue
        leave_s = shift[0].out_s - yards_s[man.yard][shift[0].yard]
        home_s = shift[-1].in_s + yards_s[shift[-1].yard][man.yard]
        if leave_s < max(start_s, rested_s) or home_s > end_s or home_s - leave_s > man.shift_max_s:
            return False
        rested_s = home_s + params.between_shifts_s
    run_s = idle_s = 0
    previous: Duty | None = None
    for duty in duties:
        if previous is not None:
            idle_s += duty.out_s - previous.in_s - yards_s[previous.yard][duty.yard]
        trip = duty.trip
        if idle_s + trip.lead_idle_s >= params.rest_min_s:
            run_s = 0
        if run_s + (trip.tail_s if trip.head_s < 0 else trip.head_s) > params.drive_max_s:
            return False
        run_s = run_s + trip.tail_s if trip.head_s < 0 else trip.tail_s
        drives = trip.tail_s > 0 or trip.head_s >= 0
        idle_s, previous = trip.tail_idle_s + (0 if drives else idle_s), duty
    return True
