"""Chains: what one vehicle could do on a day, extended job by job with every rule that concerns it alone."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from dispatch.problem import NEVER, Problem, VehicleType
from dispatch.tariff import drive_fen, wait_fen

Visit = tuple[int, int, int]  # job, start_s, end_s


class Trip(NamedTuple):
    """One outing as the crew sees it; driving is split at the first and last rest inside.

    `head_s` is -1 without a rest inside (then `tail_s` is all the driving); `lead_idle_s` and `tail_idle_s` are idle
    times at its ends.
    """

    out_s: int
    in_s: int
    lead_idle_s: int
    head_s: int
    tail_s: int
    tail_idle_s: int
    pinned_driver: int
    emergency: bool
    secret: bool
    visits: tuple[Visit, ...]


class Chain(NamedTuple):
    """A vehicle's whole day: trips in order, and its cost with the day price."""

    cost_fen: int
    trips: tuple[Trip, ...]

    def jobs(self) -> tuple[int, ...]:
        """Jobs in order of service."""
        return tuple(visit[0] for trip in self.trips for visit in trip.visits)


class Label(NamedTuple):
    """A chain under construction, standing at the last stop of its last request."""

    cost_fen: int  # without the way home
    done: tuple[Trip, ...]
    visits: tuple[Visit, ...]
    until_s: int  # end of the availability span
    out_s: int
    used_m: int
    left_m: int  # range at departure
    lead_idle_s: int
    head_s: int
    run_s: int
    idle_s: int
    pinned_driver: int
    emergency: bool
    secret: bool


NO_CHAIN = Chain(0, ())


def _drive(seconds: int, state: tuple[int, int, int, int], rest_min_s: int) -> tuple[int, int, int, int]:
    """Advance (lead idle, head, run, idle) over a driven leg."""
    lead, head, run, idle = state
    if seconds == 0:
        return state
    if lead < 0:
        return idle, head, seconds, 0
    if idle >= rest_min_s:
        return lead, run if head < 0 else head, seconds, 0
    return lead, head, run + seconds, 0


class Chains:
    """Extends, closes and evaluates chains of one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.crewed = bool(problem.crew)

    def extend(self, t: VehicleType, label: Label | None, r: int, at_s: int | None = None) -> Label | None:
        """Append a job at the earliest start the rules allow, or exactly at `at_s`; return None where it cannot be."""
        if label is None:
            return self._depart(t, r, None, at_s)
        problem = self.problem
        last, _, end_s = label.visits[-1]
        free_s = end_s + problem.after_s
        here = problem.last_of[last]
        direct_s = (
            free_s
            + problem.slowed(problem.at_link_s[problem.last_at[last], problem.first_at[r]], free_s)
            + problem.before_s
        )
        in_s = free_s + problem.slowed(problem.at_back_s[here, t.yard], free_s)
        start_s = self.start(r, direct_s, at_s)
        if start_s is not None:
            fits = in_s + problem.params.yard_stop_s <= self._out_s(t, r, start_s)
            wait_s = start_s - direct_s
            if not fits or not (
                t.bev or wait_s > problem.params.max_wait_s or self._home_is_cheaper(t, last, r, wait_s)
            ):
                return self._link(t, r, label, wait_s)
        return self._depart(t, r, label, start_s if at_s is None else at_s)

    def start(self, r: int, least_s: int, at_s: int | None = None) -> int | None:
        """Return the first permitted start no earlier than a moment, or None."""
        job = self.problem.jobs[r]
        if at_s is None and self.problem.told_start:
            told_s = self.problem.told_start.get(r, -NEVER) if r < self.problem.size else -NEVER
            if max(least_s, job.earliest_s) <= told_s <= job.latest_s:
                return told_s
        if at_s is not None or job.earliest_s == job.latest_s or least_s <= job.earliest_s:
            start_s = job.earliest_s if at_s is None else at_s
            return start_s if least_s <= start_s else None
        step_s = self.problem.instance.start_step_s
        start_s = job.earliest_s - (job.earliest_s - least_s) // step_s * step_s
        return start_s if start_s <= job.latest_s else job.latest_s if least_s <= job.latest_s else None

    def _out_s(self, t: VehicleType, r: int, start_s: int) -> int:
        """Return when to leave the yard for a start."""
        ready_s = start_s - self.problem.before_s
        return ready_s - self.problem.slowed(self.problem.at_out_s[t.yard, self.problem.first_of[r]], ready_s)

    def _home_is_cheaper(self, t: VehicleType, last: int, r: int, wait_s: int) -> bool:
        problem = self.problem
        here, there = problem.last_of[last], problem.first_of[r]
        home_fen: int = drive_fen(t.rate, problem.at_back_m[here, t.yard])
        home_fen += drive_fen(t.rate, problem.at_out_m[t.yard, there])
        link_fen: int = drive_fen(t.rate, problem.at_link_m[problem.last_at[last], problem.first_at[r]])
        return home_fen < link_fen + wait_fen(problem.params, wait_s)

    def _depart(self, t: VehicleType, r: int, label: Label | None, at_s: int | None) -> Label | None:
        """Leave the yard for a request: for the first time, or after coming home from the label's last one."""
        problem = self.problem
        params = problem.params
        done: tuple[Trip, ...] = ()
        cost_fen, left_m, ready_s = t.day_fen, t.left_m, -NEVER
        if label is not None:
            trip = self._close(t, label)
            if trip is None:
                return None
            back_m = problem.at_back_m[problem.last_of[label.visits[-1][0]], t.yard]
            cost_fen, done = label.cost_fen + drive_fen(t.rate, back_m), (*label.done, trip)
            left_m, ready_s = max(0, label.left_m - label.used_m - back_m), trip.in_s + params.yard_stop_s
        start_s = out_s = until_s = None
        for span_start_s, span_end_s in t.outing_spans:
            start_s = self._first_start(t, r, max(span_start_s, ready_s), at_s)
            if start_s is None:
                return None
            out_s, until_s = self._out_s(t, r, start_s), span_end_s
            if start_s + problem.busy_at(r, start_s) <= span_end_s and max(span_start_s, ready_s) <= out_s:
                break
        else:
            return None
        to_m = problem.at_out_m[t.yard, problem.first_of[r]]
        if done and t.bev:
            left_m = min(t.range_m, left_m + (out_s - done[-1].in_s) * t.charge_m_per_h // 3_600)
        to_s = start_s - problem.before_s - out_s
        lead, head, run, idle = _drive(to_s, (-1, -1, 0, 0), params.rest_min_s)
        cost_fen += drive_fen(t.rate, to_m)
        return self._serve(t, r, start_s, Label(
            cost_fen, done, (), until_s, out_s, to_m, left_m, lead, head, run, idle + problem.before_s, -1, True, False
        ))  # fmt: skip

    def _first_start(self, t: VehicleType, r: int, leave_s: int, at_s: int | None) -> int | None:
        """Return the first permitted start for which the vehicle leaves no earlier than a moment."""
        least_s = leave_s + self.problem.before_s + self.problem.at_out_s[t.yard, self.problem.first_of[r]]
        start_s = self.start(r, least_s, at_s)
        while start_s is not None and at_s is None and self._out_s(t, r, start_s) < leave_s:
            start_s = self.start(r, start_s + 1)
        return start_s if start_s is None or self._out_s(t, r, start_s) >= leave_s else None

    def _link(self, t: VehicleType, r: int, label: Label, wait_s: int) -> Label | None:
        """Drive straight on to the next request and wait there."""
        problem = self.problem
        last, _, end_s = label.visits[-1]
        free_s, here, there = end_s + problem.after_s, problem.last_at[last], problem.first_at[r]
        link_s, link_m = problem.slowed(problem.at_link_s[here, there], free_s), problem.at_link_m[here, there]
        state = (label.lead_idle_s, label.head_s, label.run_s, label.idle_s + problem.after_s)
        lead, head, run, idle = _drive(link_s, state, problem.params.rest_min_s)
        if self.crewed and run > problem.params.drive_max_s:
            return None
        cost_fen = label.cost_fen + drive_fen(t.rate, link_m) + wait_fen(problem.params, wait_s)
        start_s = free_s + link_s + wait_s + problem.before_s
        return self._serve(t, r, start_s, Label(
            cost_fen, label.done, label.visits, label.until_s, label.out_s, label.used_m + link_m, label.left_m,
            lead, head, run, idle + wait_s + problem.before_s, label.pinned_driver, label.emergency, label.secret,
        ))  # fmt: skip

    def _serve(self, t: VehicleType, r: int, start_s: int, at: Label) -> Label | None:
        """Serve a request from its pick-up on; `at` is the label standing there."""
        job, params = self.problem.jobs[r], self.problem.params
        if at.pinned_driver >= 0 and job.pinned_driver >= 0 and at.pinned_driver != job.pinned_driver:
            return None
        end_s, used_m = start_s + self.problem.busy_at(r, start_s), at.used_m + job.loaded_m
        if end_s > at.until_s or (t.bev and used_m > at.left_m):
            return None
        state = (at.lead_idle_s, at.head_s, at.run_s, at.idle_s)
        if self.crewed:
            if end_s - at.out_s > self.problem.longest_out_s:
                return None
            for driving, seconds in self.problem.timeline_at(r, start_s):
                if not driving:
                    state = (*state[:3], state[3] + seconds)
                else:
                    state = _drive(seconds, state, params.rest_min_s)
                    if state[2] > params.drive_max_s:
                        return None
        fen = t.serve_fen[r] + (self.problem.shifted_fen(t.id, r, start_s) if self.problem.told_start else 0)
        return Label(
            at.cost_fen + fen, at.done, (*at.visits, (r, start_s, end_s)), at.until_s, at.out_s, used_m,
            at.left_m, *state, max(at.pinned_driver, job.pinned_driver), at.emergency and job.emergency,
            at.secret or job.secret,
        )  # fmt: skip

    def _close(self, t: VehicleType, label: Label) -> Trip | None:
        problem = self.problem
        params = problem.params
        last, _, end_s = label.visits[-1]
        back_s = problem.slowed(problem.at_back_s[problem.last_of[last], t.yard], end_s + problem.after_s)
        in_s = end_s + problem.after_s + back_s
        if in_s > label.until_s:
            return None
        if t.bev:
            trip_m = label.used_m + problem.at_back_m[problem.last_of[last], t.yard]
            if label.left_m * 1_000 < trip_m * params.range_reserve_permille:
                return None
        lead, head, run, idle = _drive(
            back_s, (label.lead_idle_s, label.head_s, label.run_s, label.idle_s + problem.after_s), params.rest_min_s
        )
        if self.crewed and (in_s - label.out_s > problem.longest_out_s or run > params.drive_max_s):
            return None
        return Trip(
            label.out_s, in_s, max(lead, 0), head, run, idle, label.pinned_driver, label.emergency, label.secret,
            label.visits,
        )  # fmt: skip

    def close(self, t: VehicleType, label: Label) -> Chain | None:
        """Send the vehicle home, or return None where range, availability or rest forbid it."""
        trip = self._close(t, label)
        if trip is None:
            return None
        back_m = self.problem.at_back_m[self.problem.last_of[label.visits[-1][0]], t.yard]
        return Chain(label.cost_fen + drive_fen(t.rate, back_m), (*label.done, trip))

    def evaluate(
        self, t: VehicleType, jobs: Iterable[int], starts_s: Iterable[int | None] | None = None
    ) -> Chain | None:
        """Return the chain that does the jobs in this order (from these starts, where given), or None."""
        label: Label | None = None
        for r, at_s in zip(jobs, itertools.repeat(None) if starts_s is None else starts_s, strict=False):
            if not t.serves[r]:
                return None
            label = self.extend(t, label, r, at_s)
            if label is None:
                return None
        return NO_CHAIN if label is None else self.close(t, label)

    def enumerate(self, t: VehicleType, jobs: Iterable[int], most: int) -> tuple[list[Chain], bool]:
        """List chains over jobs (in order of earliest start), and tell whether these are all there are.

        At most `most` chains are listed, short ones first within each branch.
        """
        order = sorted((r for r in jobs if t.serves[r]), key=self.order_key)
        covers = [frozenset(self.problem.covers(r)) for r in order]
        found: list[Chain] = []
        stack: list[tuple[Label | None, int, frozenset[int]]] = [(None, 0, frozenset())]
        while stack:
            label, k, served = stack.pop()
            for j in range(k, len(order)):
                if not served.isdisjoint(covers[j]):
                    continue
                longer = self.extend(t, label, order[j])
                if longer is None:
                    continue
                chain = self.close(t, longer)
                if chain is not None:
                    if len(found) >= most:
                        return found, False
                    found.append(chain)
                stack.append((longer, j + 1, served | covers[j]))
        return found, True

    def order_key(self, r: int) -> tuple[int, int, str]:
        """Order of jobs by time, ties as the judge breaks them."""
        job = self.problem.jobs[r]
        return job.earliest_s, job.earliest_s + job.busy_s, self.problem.order_id(r)
