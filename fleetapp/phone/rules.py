"""What a phone may claim: its clock, the code it read, the walk-round it made; driving time and rest."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.jsonable import jsonable
from fleetapp.orders.rules import OrderState


class Kind(StrEnum):
    """What a driver taps; the four steps of a duty bear the duty's own names."""

    ACCEPT = "ACCEPT"
    SCAN = "SCAN"
    WALK_ROUND = "WALK_ROUND"
    CHECK_OUT = "CHECK_OUT"
    BOARD = "BOARD"
    ARRIVE = "ARRIVE"
    CHECK_IN = "CHECK_IN"
    EXPENSE = "EXPENSE"
    ACCIDENT = "ACCIDENT"
    LEAVE = "LEAVE"
    SOS = "SOS"


STEPS = {kind: DutyAction(kind.value) for kind in Kind if kind.value in set(DutyAction)}
"""Kinds that are steps of a duty."""
FREE = frozenset({Kind.LEAVE, Kind.SOS})
"""Kinds that need no duty."""
UNDER_WAY = frozenset({OrderState.CHECKED_OUT, OrderState.EN_ROUTE})
"""The states in which a phone's position is taken."""


class Outcome(StrEnum):
    """What became of an action."""

    APPLIED = "APPLIED"
    REFUSED = "REFUSED"


class Part(StrEnum):
    """What is looked at on a walk round the vehicle."""

    TYRES = "tyres"
    LIGHTS = "lights"
    GLASS = "glass"
    LEAKS = "leaks"
    BRAKES = "brakes"
    WARNINGS = "warnings"
    BODY = "body"
    KIT = "kit"


SKEW_TOLD = timedelta(minutes=2)
"""A clock that differs by more is remarked on."""


@dataclass(frozen=True, slots=True)
class Believed:
    """When an action was done by the server's clock, how far the phone's clock was ahead (s), and remarks."""

    at: datetime
    skew_s: float
    remarks: tuple[str, ...]


def believed(*, tapped_at: datetime, sent_at: datetime, now: datetime) -> Believed:
    """Return when an action was done: the time of the tap less how far the phone's clock was ahead when it was sent.

    A tap after its own sending shows that the clock was set back meanwhile: then the moment of arrival stands, with a remark.
    How old an action may be is for the rules of what it does.
    """
    skew = sent_at - now
    if tapped_at > sent_at:
        return Believed(now, skew.total_seconds(), ("clock_moved",))
    remarks = ("clock_skew",) if abs(skew) > SKEW_TOLD else ()
    return Believed(now - (sent_at - tapped_at), skew.total_seconds(), remarks)


def digest(*, kind: str, assignment_id: int | None, body: dict[str, Any], photos: Iterable[bytes]) -> str:
    """Return what tells two actions apart that bear one key: the same key with another digest is a fault."""
    sums = [hashlib.sha256(photo).hexdigest() for photo in photos]
    return hashlib.sha256(jsonable([kind, assignment_id, body, sums]).encode()).hexdigest()


def check_window(at: datetime, *, start_at: datetime, end_at: datetime, early: timedelta) -> None:
    """Refuse a vehicle's code that is read too long before the order or after its end.

    :raises RuleBroken: ``phone.scan_early`` with when it may be read, ``phone.scan_late``.
    """
    if at < start_at - early:
        raise RuleBroken("phone.scan_early", at=f"{clock.local(start_at - early):%m-%d %H:%M}")
    if at >= end_at:
        raise RuleBroken("phone.scan_late", at=f"{clock.local(end_at):%m-%d %H:%M}")


def check_walk(good: Sequence[Part], defects: Sequence[Part]) -> None:
    """Refuse a walk-round that leaves a part out or names one twice.

    :raises RuleBroken: ``phone.walk_incomplete``.
    """
    if sorted([*good, *defects]) != sorted(Part):
        raise RuleBroken("phone.walk_incomplete", n=len(Part))


@dataclass(frozen=True, slots=True)
class Hours:
    """Driving of a day in seconds, the stretch since the last rest, and whether a rest is due."""

    driven_s: int
    stretch_s: int
    rest_due: bool


def hours(spans: Iterable[tuple[datetime, datetime]], *, now: datetime, most: timedelta, rest: timedelta) -> Hours:
    """Return what somebody drove in ``[out, in)`` spans in order of time; a gap of ``rest`` or more ends a stretch.

    Between check-out and check-in all time counts as driving: the phone does not know of stops, so the figure errs on the side
    of rest. 《道路交通安全法实施条例》 Art. 62 (7).
    """
    driven = stretch = timedelta()
    last: datetime | None = None
    for out, back in spans:
        if last is not None and out - last >= rest:
            stretch = timedelta()
        driven, stretch, last = driven + (back - out), stretch + (back - out), back
    if last is not None and now - last >= rest:
        stretch = timedelta()
    return Hours(int(driven.total_seconds()), int(stretch.total_seconds()), stretch >= most)
