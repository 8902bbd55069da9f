"""What the rules look at: frozen values made from rows. Metres, aware UTC times, half-open spans, local dates."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from fleetapp.workdays.rules import Day


@dataclass(frozen=True, slots=True)
class ApprovedStop:
    """A stop of an order, WGS-84 degrees, with the tolerance its address deserves."""

    name: str
    lat: float
    lon: float
    tolerance_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """An order of the vehicle with its approved window ``[start_at, end_at)`` and what was reported.

    ``stops`` has the origin first; ``area`` is how far it was approved for (``urban``, ``city``, ``province``, ``beyond``).
    """

    order_id: int
    kind: str
    slip: str
    start_at: datetime
    end_at: datetime
    driver_user_id: int
    checked_out_at: datetime | None = None
    returned_at: datetime | None = None
    stops: tuple[ApprovedStop, ...] = ()
    area: str | None = None
    checked_out_m: int | None = None
    returned_m: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outing:
    """Unmatched movement from one departure to the return: one or several trip parts.

    ``from_m``, ``to_m`` and ``farthest_m`` are metres outside the designated place at the start, at the end and at
    most; ``None`` without such a place. ``best_score`` and ``best_slip`` belong to the best order that was considered.
    """

    vehicle_id: int
    trip_ids: tuple[int, ...]
    start_at: datetime
    end_at: datetime
    distance_m: float
    coverage: float
    day: Day
    from_m: float | None = None
    to_m: float | None = None
    farthest_m: float | None = None
    best_score: float = 0.0
    best_slip: str | None = None
    nearest: OrderFacts | None = None
    start_place: str | None = None
    end_place: str | None = None
    has_gap: bool = False
    vehicle_state: str = "IN_SERVICE"
    ongoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WeakPart:
    """A trip part matched weakly or not clearly; ``parts`` are the score's parts by name, 0..1."""

    vehicle_id: int
    trip_id: int
    start_at: datetime
    end_at: datetime
    order: OrderFacts
    kind: str
    score: float
    parts: dict[str, float]
    margin: float
    rival_slip: str | None
    coverage: float
    distance_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUse:
    """How long a vehicle really moved for an order: ``out_at`` first departure, ``back_at`` end of the last trip."""

    vehicle_id: int
    order: OrderFacts
    out_at: datetime
    back_at: datetime
    trip_ids: tuple[int, ...]
    distance_m: float
    coverage: float
    margin: float
    end_place: str | None = None
    ongoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUse:
    """Movement of a vehicle on one local day, for one order or for none."""

    vehicle_id: int
    day: Day
    start_at: datetime
    end_at: datetime
    trip_ids: tuple[int, ...]
    distance_m: float
    coverage: float
    order: OrderFacts | None = None
    nearest: OrderFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overnight:
    """Where a vehicle was at a local evening hour ``at``: ``away_m`` outside its designated place.

    ``since_at`` is the end of its last trip, or the start of the one it was on; ``silent_min`` the minutes to the
    nearest fix on either side.
    """

    vehicle_id: int
    on: date
    at: datetime
    since_at: datetime
    until_at: datetime | None
    away_m: float
    silent_min: float
    trip_id: int
    place: str | None
    day: Day
    orders: Sequence[OrderFacts] = ()
