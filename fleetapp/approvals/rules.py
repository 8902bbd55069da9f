"""Which levels an application gets, what a case is after a decision, who may decide now: values in, values out.

A case is the ordered tuple of its tasks: the levels of the frozen chain and what decisions put between them. Exactly one
task is open while the case is. A decision returns the tasks as they are afterwards.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from fleetapp.kit.actor import Role
from fleetapp.kit.errors import NotAllowed, RuleBroken


class CaseState(StrEnum):
    """Where a case stands; RETURNED waits for the applicant, ENDED was taken back or lapsed."""

    OPEN = "OPEN"
    AGREED = "AGREED"
    REJECTED = "REJECTED"
    RETURNED = "RETURNED"
    ENDED = "ENDED"


class TaskState(StrEnum):
    """One task; REDONE: a later level gave it back and a new task took its place, DROPPED: the case ended before it."""

    WAITING = "WAITING"
    OPEN = "OPEN"
    AGREED = "AGREED"
    REDONE = "REDONE"
    DROPPED = "DROPPED"


class Mode(StrEnum):
    """How many must sign: one of them (或签) or each of them (会签)."""

    ANY = "any"
    ALL = "all"


class Place(StrEnum):
    """Where the role of a level is held: the applicant's unit, the organisation above it, the top organisation."""

    UNIT = "unit"
    PARENT = "parent"
    BUREAU = "bureau"


class Origin(StrEnum):
    """Why a task is there."""

    CHAIN = "chain"
    ADDED = "added"


class Verdict(StrEnum):
    """What is done to a case. The last three are the system's, or take no position."""

    AGREE = "agree"
    REJECT = "reject"
    SEND_BACK = "send_back"
    STEP_BACK = "step_back"
    ADD_BEFORE = "add_before"
    ADD_AFTER = "add_after"
    TRANSFER = "transfer"
    REMIND = "remind"
    ESCALATE = "escalate"
    END = "end"


class Flag(StrEnum):
    """Conditions of a level that are true or not."""

    OFF_DAY = "off_day"
    NIGHT = "night"
    OVERNIGHT = "overnight"
    SUPPLEMENTARY = "supplementary"
    LATE = "late"


NEEDS_NOTE = frozenset({Verdict.REJECT, Verdict.SEND_BACK, Verdict.STEP_BACK, Verdict.TRANSFER, Verdict.ADD_BEFORE,
                        Verdict.ADD_AFTER})  # fmt: skip
"""Verdicts that cost somebody work: they give a reason."""
NEEDS_PERSON = frozenset({Verdict.TRANSFER, Verdict.ADD_BEFORE, Verdict.ADD_AFTER})
CHAIN_ROLES = (
    Role.APPROVER,
    Role.LEADER,
    Role.UNIT_ADMIN,
    Role.VEHICLE_OFFICE,
)  # a level's, a deputy's, an added person's
AREAS = ("urban", "city", "province", "beyond")
KINDS = ("ordinary", "emergency", "confidential", "enforcement", "event", "veterans", "service")
"""What orders call their areas and kinds; a level may name any of them."""
MOST_LEVELS = 6
LONGEST_CASE = 20
"""Tasks that one case may have in all: decisions that lead nowhere end here."""
LONGEST_DELEGATION = timedelta(days=93)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a level's condition is asked about: metres there and back if known, area, kind of order, and flags that are true."""

    kind: str
    route_m: int | None = None
    area: str | None = None
    flags: frozenset[str] = frozenset()

    def as_json(self) -> dict[str, object]:
        """Return the facts as they are kept with a case."""
        return {"kind": self.kind, "route_m": self.route_m, "area": self.area, "flags": sorted(self.flags)}


@dataclass(frozen=True, slots=True)
class Level:
    """A level of a chain: who signs, how long they have, and when it is needed; without any condition, always.

    Either ``role`` with ``place``, or ``user_ids``. ``over_m``: a journey longer than that many metres there and back.
    """

    name: str
    role: str | None = None
    place: str = Place.UNIT
    user_ids: tuple[int, ...] = ()
    mode: str = Mode.ANY
    deadline_h: int = 24
    over_m: int | None = None
    areas: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether it is needed only sometimes."""
        return self.over_m is not None or bool(self.areas or self.kinds or self.flags)


@dataclass(frozen=True, slots=True)
class Task:
    """One place for signatures. ``user_ids`` are who it waits for, ``signed`` in whose name it was agreed to so far."""

    id: int | None
    name: str
    state: str = TaskState.WAITING
    level: int | None = None
    origin: str = Origin.CHAIN
    mode: str = Mode.ANY
    user_ids: tuple[int, ...] = ()
    signed: frozenset[int] = frozenset()
    hands: frozenset[int] = frozenset()

    @property
    def complete(self) -> bool:
        """Whether the signatures suffice: one, or that of everybody it waits for."""
        wanted = frozenset(self.user_ids)
        return bool(self.signed) if self.mode == Mode.ANY else bool(wanted) and wanted <= self.signed


Tasks = tuple[Task, ...]

LATE_LEVEL = Level("车管机构审核（逾期补单）", role=Role.VEHICLE_OFFICE, place=Place.BUREAU)
"""What an order filled in too late gets whatever its unit's chain says."""


def reasons(level: Level, facts: Facts) -> list[str]:
    """Return which of a level's conditions hold, as codes; empty for a level without conditions or one not needed."""
    found = [flag for flag in level.flags if flag in facts.flags]
    if level.over_m is not None and facts.route_m is not None and facts.route_m > level.over_m:
        found.append("distance")
    if facts.area is not None and facts.area in level.areas:
        found.append("area")
    if facts.kind in level.kinds:
        found.append("kind")
    return found


def needed(levels: Sequence[Level], facts: Facts) -> list[int]:
    """Return the positions of the levels that an application gets: never none, the first one stands in."""
    found = [at for at, level in enumerate(levels) if not level.conditional or reasons(level, facts)]
    return found or [0]


def touched(levels: Sequence[Level], before: Facts, after: Facts, *, first: bool) -> list[int]:
    """Return the levels that must agree to a change: those needed now for a reason that was not there or has grown.

    With ``first`` the first needed level is asked, too; a longer journey touches every level that looks at distance.
    """
    found = set()
    for at, level in enumerate(levels):
        now, was = reasons(level, after), reasons(level, before)
        longer = (after.route_m or 0) > (before.route_m or 0)
        if set(now) - set(was) or ("distance" in now and longer) or ("area" in now and before.area != after.area):
            found.add(at)
    if first:
        found.add(needed(levels, after)[0])
    return sorted(found)


def with_escalation(wanted: Sequence[tuple[int, Level]], facts: Facts) -> list[tuple[int | None, Level]]:
    """Add the top organisation's vehicle office to a late supplementary order whose chain does not ask it anyway."""
    found: list[tuple[int | None, Level]] = list(wanted)
    asked = any(level.role == Role.VEHICLE_OFFICE and level.place == Place.BUREAU for _, level in wanted)
    if Flag.LATE in facts.flags and not asked:
        found.append((None, LATE_LEVEL))
    return found


def check_chain(levels: Sequence[Level]) -> None:
    """Refuse a chain that no order could go through.

    :raises RuleBroken: ``approvals.no_levels``, ``too_many_levels``, ``no_signer``, ``first_conditional``.
    """
    if not levels:
        raise RuleBroken("approvals.no_levels")
    if len(levels) > MOST_LEVELS:
        raise RuleBroken("approvals.too_many_levels", most=MOST_LEVELS)
    if levels[0].conditional:
        raise RuleBroken("approvals.first_conditional")
    for at, level in enumerate(levels, 1):
        if (level.role is None) == (not level.user_ids):
            raise RuleBroken("approvals.no_signer", level=at)


def check_delegation(
    *, delegator_id: int, delegate_id: int | None, start_at: datetime, end_at: datetime, now: datetime
) -> None:
    """Refuse a period ``[start_at, end_at)`` that is empty, over or too long, and a deputy who is oneself.

    :raises RuleBroken: ``approvals.bad_period``, ``period_too_long``, ``self_delegation``.
    """
    if delegate_id == delegator_id:
        raise RuleBroken("approvals.self_delegation")
    if start_at >= end_at or end_at <= now:
        raise RuleBroken("approvals.bad_period")
    if end_at - start_at > LONGEST_DELEGATION:
        raise RuleBroken("approvals.period_too_long", days=LONGEST_DELEGATION.days)


def open_task(tasks: Tasks) -> Task | None:
    """Return the task that the case waits for, if it waits."""
    return next((task for task in tasks if task.state == TaskState.OPEN), None)


def state_of(tasks: Tasks) -> CaseState:
    """Return what a case is by its tasks alone, as long as nobody refuses it or takes it back."""
    living = [task for task in tasks if task.state not in {TaskState.REDONE, TaskState.DROPPED}]
    return CaseState.AGREED if all(task.state == TaskState.AGREED for task in living) and living else CaseState.OPEN


def seats(
    holders: Iterable[int], *, barred: Collection[int], away: Collection[int]
) -> tuple[tuple[int, ...], list[str]]:
    """Return who of some people can sign and why others cannot: ``own`` is their application, ``away`` without a deputy."""
    kept, why = [], set()
    for user_id in holders:
        if user_id in barred:
            why.add("own")
        elif user_id in away:
            why.add("away")
        else:
            kept.append(user_id)
    return tuple(kept), sorted(why)


def in_whose_name(task: Task, *, user_id: int, principals: Collection[int]) -> int | None:
    """Return in whose name a person may sign: their own first, else that of somebody they stand in for; None: nobody's.

    One hand signs a task once, so that signing together stays signing together.
    """
    if user_id in task.user_ids and user_id not in task.signed:
        return user_id
    if user_id in task.hands:
        return None
    return next((one for one in task.user_ids if one in principals and one not in task.signed), None)


def agree(tasks: Tasks, *, user_id: int, for_id: int) -> Tasks:
    """Sign the open task; the next one opens by ``advance`` once the signatures suffice."""
    task = _waited_for(tasks)
    if user_id in task.hands:
        raise RuleBroken("approvals.signed_already")
    signed = replace(task, signed=task.signed | {for_id}, hands=task.hands | {user_id})
    return _put(tasks, replace(signed, state=TaskState.AGREED) if signed.complete else signed, task)


def next_waiting(tasks: Tasks) -> int | None:
    """Return the index of the task to open now; None while one is open, or when none is left."""
    if open_task(tasks) is not None:
        return None
    return next((at for at, task in enumerate(tasks) if task.state == TaskState.WAITING), None)


def opened(tasks: Tasks, at: int, user_ids: tuple[int, ...]) -> Tasks:
    """Open a task for some people."""
    return (*tasks[:at], replace(tasks[at], state=TaskState.OPEN, user_ids=user_ids), *tasks[at + 1 :])


def step_back(tasks: Tasks) -> Tasks:
    """Give the case to the level before: it and what is open are done again by new tasks.

    :raises RuleBroken: ``approvals.no_level_before``.
    """
    task = _waited_for(tasks)
    at = tasks.index(task)
    before = [one for one in tasks[:at] if one.state == TaskState.AGREED]
    if not before:
        raise RuleBroken("approvals.no_level_before")
    again = [
        replace(one, id=None, state=TaskState.WAITING, signed=frozenset(), hands=frozenset())
        for one in (before[-1], task)
    ]
    redone = tuple(
        replace(one, state=TaskState.REDONE) if one in (before[-1], task) else one for one in tasks[: at + 1]
    )
    return _short((*redone, *again, *tasks[at + 1 :]))


def add_sign(tasks: Tasks, *, person_id: int, before: bool, name: str, barred: Collection[int]) -> Tasks:
    """Ask another person to sign, too: before the open task, which then waits, or after it.

    :raises RuleBroken: ``approvals.person_barred``, ``person_there``, ``too_many_tasks``.
    """
    task = _waited_for(tasks)
    _check_person(task, person_id, barred)
    if before and task.signed:
        raise RuleBroken("approvals.signed_partly")
    added = Task(None, name, origin=Origin.ADDED, level=task.level, user_ids=(person_id,))
    at = tasks.index(task)
    if before:
        return _short((*tasks[:at], added, replace(task, state=TaskState.WAITING), *tasks[at + 1 :]))
    return _short((*tasks[: at + 1], added, *tasks[at + 1 :]))


def transfer(tasks: Tasks, *, from_id: int, person_id: int, barred: Collection[int]) -> Tasks:
    """Hand one's place in the open task to somebody else.

    :raises RuleBroken: ``approvals.person_barred``, ``person_there``.
    """
    task = _waited_for(tasks)
    _check_person(task, person_id, barred)
    kept = (
        (person_id,) if task.mode == Mode.ANY else tuple(person_id if one == from_id else one for one in task.user_ids)
    )
    return _put(tasks, replace(task, user_ids=kept), task)


def ended(tasks: Tasks) -> Tasks:
    """End what has not been signed: the case was refused, sent back, or taken back."""
    return tuple(
        replace(task, state=TaskState.DROPPED) if task.state in {TaskState.OPEN, TaskState.WAITING} else task
        for task in tasks
    )


def check_note(verdict: Verdict, note: str | None) -> None:
    """Refuse a verdict that needs a reason without one.

    :raises RuleBroken: ``approvals.reason_needed``.
    """
    if verdict in NEEDS_NOTE and not (note or "").strip():
        raise RuleBroken("approvals.reason_needed")


def check_hand(user_id: int | None, *, barred: Collection[int]) -> int:
    """Return the person who decides; whoever applied, filed or drives decides nothing.

    :raises NotAllowed: ``kit.not_allowed`` for the system, ``kit.own_row`` for a barred person.
    """
    if user_id is None:
        raise NotAllowed("kit.not_allowed", action="approvals.decide")
    if user_id in barred:
        raise NotAllowed("kit.own_row", action="approvals.decide")
    return user_id


def _waited_for(tasks: Tasks) -> Task:
    task = open_task(tasks)
    if task is None:
        raise RuleBroken("approvals.not_open")
    return task


def _check_person(task: Task, person_id: int, barred: Collection[int]) -> None:
    if person_id in barred:
        raise RuleBroken("approvals.person_barred")
    if person_id in task.user_ids or person_id in task.hands:
        raise RuleBroken("approvals.person_there")


def _put(tasks: Tasks, new: Task, old: Task) -> Tasks:
    return tuple(new if task is old else task for task in tasks)


def _short(tasks: Tasks) -> Tasks:
    if len(tasks) > LONGEST_CASE:
        raise RuleBroken("approvals.too_many_tasks", most=LONGEST_CASE)
    return tasks
