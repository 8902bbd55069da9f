"""What happens in the demo month: orders, legs driven, labelled truth. Plain values."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

from fleetapp.demo.drive import PLAIN, Quirks
from fleetapp.demo.places import Point


@dataclass(frozen=True, slots=True)
class Leg:
    """One drive of a vehicle from standstill to standstill over ``[start_at, end_at)``.

    ``odometer_m`` is the reading at its start. ``seed`` and ``pace`` make :func:`fleetapp.demo.drive.drive` repeat it
    exactly. ``order`` is ``None`` when no order covers it.
    """

    plate: str
    order: str | None
    label: str
    origin: Point
    destination: Point
    start_at: datetime
    end_at: datetime
    length_m: float
    seed: int
    pace: float
    odometer_m: int = 0
    quirks: Quirks = PLAIN


@dataclass(frozen=True, slots=True)
class Order:
    """One order with everything that happened to it up to ``now``; what has not happened is ``None`` or empty.

    ``state``: pending, approved, dispatched, driving, done, rejected, cancelled. ``arrivals`` are at the stops, in
    order. ``applicant``, ``approver``, ``dispatcher``, ``driver`` are usernames; ``body`` is the class wanted.
    """

    key: str
    kind: str
    state: str
    unit: str
    applicant: str
    approver: str
    purpose: str
    reason: str
    reason_en: str
    passengers: int
    body: str
    origin: Point
    stops: tuple[Point, ...]
    start_at: datetime
    end_at: datetime
    created_at: datetime
    decided_at: datetime | None = None
    dispatched_at: datetime | None = None
    dispatcher: str | None = None
    plate: str | None = None
    driver: str | None = None
    accepted_at: datetime | None = None
    checked_out_at: datetime | None = None
    arrivals: tuple[datetime, ...] = ()
    checked_in_at: datetime | None = None
    odometer_out_m: int | None = None
    odometer_in_m: int | None = None
    closed_at: datetime | None = None
    closing_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about a span of one vehicle (or an order that never drove).

    ``rule`` is a code of the rule catalogue. ``deviates``: the rule should raise a clue here; otherwise this is its
    benign cousin and the rule should stay silent. ``also`` are further rules that may rightly speak up.
    """

    kind: str
    rule: str
    deviates: bool
    plate: str | None
    order: str | None
    start_at: datetime
    end_at: datetime
    note: str
    note_en: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Story:
    """A month that ends at ``now``; ``legs`` are by plate in time order, those after ``now`` are still to be driven."""

    first_on: date
    end_on: date
    now: datetime
    orders: tuple[Order, ...]
    legs: dict[str, tuple[Leg, ...]]
    labels: tuple[Label, ...]

    def all_legs(self) -> Iterator[Leg]:
        for legs in self.legs.values():
            yield from legs
