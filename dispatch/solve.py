"""The one door: an instance in, a plan out that has passed the judge."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from dispatch.bounds import InvalidModel
from dispatch.check import Violation, check, check_locked
from dispatch.greedy import Tails, greedy, insert, keep, lock
from dispatch.model import Assignment, Instance, Plan
from dispatch.params import Params
from dispatch.pool import offered
from dispatch.problem import Problem
from dispatch.route import Index
from dispatch.schedule import Schedule

LOAD_S = 1.5
FLOW_S_PER_PAIR = 2e-6  # generous time of the bound per pair of requests, measured at 2,000


class Stopping(Protocol):
    """When to stop: after so many seconds or improvement rounds (None = no limit), close to the bound, or when cancelled."""

    @property
    def time_limit_s(self) -> float | None: ...

    @property
    def rounds(self) -> int | None: ...

    @property
    def gap(self) -> float: ...

    def cancelled(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Until:
    """Plain stopping rule: `gap` 0.001 is 0.1 % of the cost; `cancel` is asked often and must be quick."""

    time_limit_s: float | None = 30.0
    rounds: int | None = None
    gap: float = 0.0
    cancel: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        if self.time_limit_s is not None and not 0 < self.time_limit_s <= 86_400:
            raise InvalidModel(f"Until: time_limit_s must be above 0 and at most 86400, got {self.time_limit_s!r}.")
        if self.rounds is not None and self.rounds < 0:
            raise InvalidModel(f"Until: rounds must be 0 or more, got {self.rounds!r}.")
        if not 0 <= self.gap <= 1:
            raise InvalidModel(f"Until: gap must be from 0 to 1, got {self.gap!r}.")

    def cancelled(self) -> bool:
        """Tell whether someone asked to stop."""
        return self.cancel()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: its phase (greedy, bound, whole, generate, search), seconds, rounds, cost and bound so far."""

    phase: str
    elapsed_s: float
    rounds: int
    cost_fen: int
    bound_fen: int | None


class LockedBroken(ValueError):
    """Locked assignments break hard rules by themselves, so that no plan can keep them; `violations` says which."""

    def __init__(self, violations: Sequence[Violation]) -> None:
        self.violations = tuple(violations)
        named = "; ".join(
            f"{v.code} ({', '.join(x for x in (v.request_id, v.vehicle_id, v.driver_id) if x)})" for v in violations[:5]
        )
        super().__init__(f"Locked assignments break rules: {named}. Change or release them and plan again.")


class UnsoundPlan(AssertionError):
    """A solver made a plan the judge refuses: a fault of this library, never of the input."""


def solve(
    instance: Instance,
    *,
    params: Params | None = None,
    stop: Stopping | None = None,
    seed: int = 0,
    locked: Sequence[Assignment] = (),
    progress: Callable[[Progress], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Plan:
    """Plan an instance: greedy first, then a lower bound and improvement until `stop`.

    Parameters
    ----------
    stop
        Default `Until(time_limit_s=30)`. Runs that end by `rounds`, or because nothing improves any more, are
        deterministic for a seed; where the time limit ends a run the plan depends on the machine's speed.
    locked
        Assignments to keep as they are.
    progress
        Called after each phase and each gain.
    clock
        Seconds for the time limit.

    Raises
    ------
    LockedBroken
        The locked assignments break a rule by themselves.
    UnsoundPlan
        The result fails the judge (an internal error).
    """
    params, stop = params or Params(), stop or Until()
    watch = _Watch(stop, clock)
    broken = check_locked(instance, locked, params=params)
    if broken:
        raise LockedBroken(broken)
    rides, every_ride = offered(Index(instance, params))
    schedule = Schedule(Problem(instance, params, locked, rides, every_ride=every_ride), seed=seed)
    if not lock(schedule):
        raise LockedBroken([Violation("driver_overlap", a.request_id, a.vehicle_id, a.driver_id) for a in locked])
    schedule, reasons = _first(schedule, watch)
    judged_s = watch.spent_s()
    plan = schedule.plan(reasons)
    _judge(instance, plan, params, locked)
    # The judge works once more at the end: keep that time free.
    watch.kept_s = 1.5 * (watch.spent_s() - judged_s)

    def tell(phase: str, rounds: int, cost_fen: int, bound_fen: int | None) -> None:
        if progress:
            progress(Progress(phase, watch.spent_s(), rounds, cost_fen, bound_fen))

    tell("greedy", 0, plan.cost_fen, None)
    bound_fen, stopped, method = None, "time_limit", "greedy"
    # OR-Tools takes a second to load: only planning with time to spare pays for it, judging and explaining do not.
    if not watch.expired() and ("dispatch.improve" in sys.modules or watch.left_s() > LOAD_S):
        schedule, bound_fen, stopped = _improve(schedule, watch, stop, tell, seed=seed)
        if stop.rounds != 0:
            method = "column_generation+neighbourhoods"
            better = schedule.plan(_leftovers(schedule, reasons, watch))
            plan = better if better.cost_fen <= plan.cost_fen else plan
    stopped = "cancelled" if stop.cancelled() else "optimal" if plan.cost_fen == bound_fen else stopped
    gap = None
    if bound_fen is not None:
        gap = (plan.cost_fen - bound_fen) / plan.cost_fen if plan.cost_fen else 0.0
    plan = replace(plan, bound_fen=bound_fen, gap=gap, stopped=stopped, method=method, seed=seed)
    _judge(instance, plan, params, locked)
    return replace(plan, elapsed_s=round(watch.spent_s(), 3))


def _first(schedule: Schedule, watch: "_Watch") -> tuple[Schedule, dict[str, str]]:
    """Return a first schedule and why requests are left over: what people were told is kept where that is cheaper."""
    problem = schedule.problem
    kept = Schedule(problem, seed=schedule.seed) if problem.told_start else None
    reasons = greedy(schedule, expired=watch.expired)
    if kept is None or not lock(kept):
        return schedule, reasons
    keep(kept)
    others = greedy(kept, expired=watch.expired)
    return (kept, others) if kept.price_fen() < schedule.price_fen() else (schedule, reasons)


def _improve(
    schedule: Schedule, watch: "_Watch", stop: Stopping, tell: Callable[[str, int, int, int | None], None], *, seed: int
) -> tuple[Schedule, int | None, str]:
    """Find a bound, then better plans; return the best schedule, the bound and why it stopped."""
    from dispatch.day import generate
    from dispatch.flow import relax
    from dispatch.improve import search, solve_whole

    bound_fen: int | None = None

    def note(phase: str, proven_fen: int | None) -> None:
        nonlocal bound_fen
        bound_fen = max((b for b in (bound_fen, proven_fen) if b is not None), default=None)
        tell(phase, 0, schedule.cost_fen(), bound_fen)

    def quick_bound() -> None:
        if watch.left_s() > FLOW_S_PER_PAIR * len(schedule.vehicle_of) ** 2:
            relaxed = relax(schedule.problem)
            note("bound", relaxed.bound_fen if relaxed else None)

    if stop.rounds == 0:
        quick_bound()
        return schedule, bound_fen, "rounds"
    # Exact choice and neighbourhoods do not know of bands.
    bands = bool(schedule.problem.instance.bands)
    if not watch.expired() and not bands:
        note("whole", solve_whole(schedule, watch, seed=seed))
    if not watch.expired() and schedule.cost_fen() != bound_fen:
        schedule, proven_fen = generate(schedule, watch, seed=seed)
        note("generate", proven_fen)
    if bound_fen is None:
        quick_bound()
    cost_fen = schedule.cost_fen()
    stopped = "optimal"
    if bound_fen is not None and bound_fen < cost_fen <= bound_fen + stop.gap * cost_fen:
        stopped = "gap"
    elif bands:
        stopped = "time_limit" if watch.expired() else "no_improvement"
    elif cost_fen != bound_fen:
        stopped = search(
            schedule, watch, seed=seed, rounds=stop.rounds, told=lambda n, fen: tell("search", n, fen, bound_fen)
        )
    return schedule, bound_fen, stopped


class _Watch:
    """Time of one run."""

    def __init__(self, stop: Stopping, clock: Callable[[], float]) -> None:
        self._stop, self._clock, self._began = stop, clock, clock()
        self._limit_s = 10.0**6 if stop.time_limit_s is None else stop.time_limit_s
        self.kept_s = 0.0

    def spent_s(self) -> float:
        return self._clock() - self._began

    def left_s(self) -> float:
        return self._limit_s - self.spent_s() - self.kept_s

    def expired(self) -> bool:
        return self.left_s() <= 0 or self._stop.cancelled()


def _leftovers(schedule: Schedule, reasons: Mapping[str, str], watch: "_Watch") -> dict[str, str]:
    """Try every unserved request once more in the final plan, which also finds why it stays unserved."""
    problem, found = schedule.problem, dict(reasons)
    for r in [r for r, v in enumerate(schedule.vehicle_of) if v < 0]:
        if watch.expired():
            break
        tails = Tails(problem)
        for v in range(len(schedule.chains)):
            tails.set(v, schedule.visits(v), problem.jobs[r].earliest_s)
        found[problem.instance.requests[r].id] = insert(schedule, tails, r, 60)
    return found


def _judge(instance: Instance, plan: Plan, params: Params, locked: Sequence[Assignment]) -> None:
    violations = check(instance, plan, params=params, locked=locked)
    if violations:
        raise UnsoundPlan(f"The solver made a plan that breaks {len(violations)} rules, first {violations[0]}.")
