"""Values shared by the whole library. All frozen; times aware UTC; WGS-84 degrees; intervals half-open."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Fix:
    """One position as a device reported it, units converted, value never altered.

    ``fixed`` is the device's own word that it had a satellite fix. ``odometer_m`` is the vehicle mileage counter
    (JT/T 808 item 0x01, 0.1 km steps). ``accuracy_m`` and ``mock`` come from phones only. ``blind`` marks a fix
    delivered in a blind-area supplement (0x0704 type 1). ``items`` keeps every further value, JSON-able.
    """

    at: datetime
    lat: float
    lon: float
    speed_kmh: float | None = None
    direction_deg: int | None = None
    altitude_m: int | None = None
    acc: bool | None = None
    fixed: bool = True
    odometer_m: int | None = None
    alarm: int = 0
    status: int = 0
    accuracy_m: float | None = None
    mock: bool = False
    blind: bool = False
    source: str = "jt808"
    items: dict[str, Any] = field(default_factory=dict, hash=False)


class Rejection(StrEnum):
    """Why a fix does not enter trips and mileage. The fix itself stays in the store."""

    DUPLICATE = "duplicate"
    NO_FIX = "no_fix"
    OUT_OF_RANGE = "out_of_range"
    ZERO_POSITION = "zero_position"
    POOR_ACCURACY = "poor_accuracy"
    MOCK = "mock"
    SPEED_IMPOSSIBLE = "speed_impossible"
    JUMP = "jump"
    FUTURE = "future"
    NO_TIME = "no_time"
    NO_ZONE = "no_zone"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A fix kept out of trips, with the reason a person is shown."""

    fix: Fix
    reason: Rejection


@dataclass(frozen=True, slots=True)
class Distance:
    """Distance of a span by every method, metres; ``None`` where the method has no data.

    ``gps_m`` is the sum of great-circle steps of clean fixes (GAP chords left out), ``odometer_m`` the counter's
    difference with jumps, resets and roll-over handled, ``speed_m`` the time integral of reported speed.
    ``best_m`` repeats one of them, ``best_source`` says which ("gps", "odometer", "speed") and ``error_m`` is the
    estimated standard error of ``best_m``.
    """

    gps_m: float
    odometer_m: float | None
    speed_m: float | None
    best_m: float
    best_source: str
    error_m: float


@dataclass(frozen=True, slots=True)
class Gap:
    """No usable data over ``[start_at, end_at)`` inside or between trips; never silently joined."""

    start_at: datetime
    end_at: datetime
    chord_m: float
    moving_before: bool


@dataclass(frozen=True, slots=True)
class Stop:
    """The vehicle stayed within a small radius over ``[start_at, end_at)``; position is the median of its fixes."""

    start_at: datetime
    end_at: datetime
    lat: float
    lon: float
    points: int


@dataclass(frozen=True, slots=True)
class Trip:
    """One compliance trip ``[start_at, end_at)``: movement cut only by a long stop, a GAP or an order boundary.

    ``coverage`` is sum(min(step, 60 s)) / duration, 0..1. ``stops`` are the shorter stays inside the trip, ``gaps``
    the GAPs that touch its start or its end (they lie outside it). Where an order boundary cuts the movement, both
    trips keep the fix nearest to the boundary, so that their distances add up to that of the uncut movement.
    ``fixes`` may make its fixes only when asked; ``track.columns`` gives their columns without making any.
    """

    start_at: datetime
    end_at: datetime
    fixes: Sequence[Fix]
    distance: Distance
    coverage: float
    max_speed_kmh: float
    stops: tuple[Stop, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Everything derived from one terminal's window of fixes, in time order."""

    trips: tuple[Trip, ...]
    stops: tuple[Stop, ...]
    gaps: tuple[Gap, ...]
    rejected: tuple[Rejected, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A point with the tolerance its address precision deserves (POI 200 m, street 300 m, town 2,000 m)."""

    lat: float
    lon: float
    tolerance_m: float = 300.0


@dataclass(frozen=True, slots=True)
class OrderWindow:
    """What matching needs to know of one approved order of the vehicle.

    ``slip`` groups pooled orders: a trip may match every order of one slip. ``driver_id`` and the check-in events
    are ``None`` when unknown.
    """

    order_id: int
    slip: str
    start_at: datetime
    end_at: datetime
    origin: Place | None
    stops: tuple[Place, ...]
    driver_id: int | None = None
    checked_out_at: datetime | None = None
    returned_at: datetime | None = None


class MatchKind(StrEnum):
    """Class of a match by score and by margin to the second-best order (rule catalogue P11)."""

    MATCHED = "matched"
    WEAK = "weak"
    AMBIGUOUS = "ambiguous"
    UNMATCHED = "unmatched"


@dataclass(frozen=True, slots=True)
class Score:
    """The parts of a match score, each 0..1, and their weighted sum, so that a person can recompute it by hand."""

    time: float
    dest: float
    orig: float
    driver: float
    events: float
    total: float


@dataclass(frozen=True, slots=True)
class Match:
    """One part of a trip and the order it belongs to, or none.

    A trip that crosses the edge of its order's window ``[start - 30 min, end + 60 min)`` yields two or three parts:
    the inside one matched, the outside ones unmatched. ``candidates`` keeps every order considered with its score,
    best first; ``margin`` is best minus second best.
    """

    trip_index: int
    start_at: datetime
    end_at: datetime
    order_id: int | None
    kind: MatchKind
    score: Score | None
    margin: float
    candidates: tuple[tuple[int, Score], ...] = ()
