"""Everything known of one vehicle over a time, frozen: what every rule of every family is asked about.

Rows become these values in ``gather``; a simulated city makes the same ones from its own fixes. WGS-84 degrees, metres,
aware UTC times, half-open spans, local dates, CNY, litres and kilowatt hours.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from fleetapp.findings.escalation import Earlier
from fleetapp.findings.inputs import OrderFacts
from fleetapp.findings.ledger_values import External, Fill, Life, Paper, Peers, Reading, Rental, SealFacts, Ticket, Work
from fleetapp.findings.rules import FigureBook, FigureRow, Figures
from fleetapp.kit import clock
from fleetapp.places.roads import LonLat, Route
from fleetapp.workdays.rules import Day, DayKind

__all__ = [
    "Away",
    "Blank",
    "Car",
    "External",
    "Fill",
    "Known",
    "Legs",
    "Life",
    "Paper",
    "Part",
    "Peers",
    "Poi",
    "Position",
    "Reading",
    "Rental",
    "SealFacts",
    "Signal",
    "Stay",
    "Ticket",
    "Trip",
    "Work",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Car:
    """The vehicle as its file has it; ``quota`` and ``active`` are those of its unit and category."""

    id: int
    org_id: int
    org_path: str
    plate: str
    category: str = "JYTX"
    body: str = "sedan"
    energy: str = "petrol"
    seats: int = 5
    state: str = "IN_SERVICE"
    parking_id: int | None = None
    adcode: str | None = None
    registered_on: date | None = None
    acquired_by: str = "purchase"
    tank_l: float | None = None
    battery_kwh: float | None = None
    fuel_grade: str | None = None
    price: float | None = None
    displacement_ml: int | None = None
    in_reserve: bool = False


@dataclass(frozen=True, slots=True)
class Poi:
    """A place near a position, with its class and how sure it is that the position belongs to it, 0..1."""

    name: str
    kind: str
    distance_m: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Part of a trip and the order it belongs to, with the score's parts."""

    id: int
    start_at: datetime
    end_at: datetime
    order_id: int | None
    kind: str
    distance_m: float
    margin: float
    score: float | None = None
    score_time: float | None = None
    score_dest: float | None = None
    score_orig: float | None = None
    score_driver: float | None = None
    score_events: float | None = None
    candidates: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A compliance trip; ``path`` is (lat, lon) of its points, empty for those read as history only."""

    id: int
    start_at: datetime
    end_at: datetime
    best_m: float
    gps_m: float
    coverage: float
    matches: Sequence[Part]
    odometer_m: float | None = None
    start_place: str | None = None
    end_place: str | None = None
    stops: Sequence[Mapping[str, Any]] = ()
    gaps: Sequence[Mapping[str, Any]] = ()
    path: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def order_ids(self) -> frozenset[int]:
        """Orders that some part of it belongs to."""
        return frozenset(part.order_id for part in self.matches if part.order_id is not None)


@dataclass(frozen=True, slots=True)
class Away:
    """Metres outside the designated place at the first and last point of a trip, and at most."""

    from_m: float
    to_m: float
    farthest_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """The vehicle stood in one place; ``home_m`` is metres outside the designated place, ``None`` without one.

    ``pois`` are all places within reach, the surest first: what is ambiguous stays so. Of a short pause, ``junction_m`` is
    how far the next junction of main roads is, and ``crawling`` that others came right before or after it: a jam.
    """

    start_at: datetime
    end_at: datetime
    lat: float
    lon: float
    pois: tuple[Poi, ...] = ()
    trip_id: int | None = None
    home_m: float | None = None
    junction_m: float | None = None
    crawling: bool = False

    @property
    def minutes(self) -> float:
        """How long it stood."""
        return (self.end_at - self.start_at).total_seconds() / 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What the terminal itself said over a span; ``value`` is in metres or km/h.

    Kinds: ``power``, ``antenna``, ``frozen`` (odometer without movement), ``jump`` (odometer jumped while standing), ``speed``.
    """

    kind: str
    start_at: datetime
    end_at: datetime
    value: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blank:
    """No data over a span; ``chord_m`` between its ends, ``advanced_m`` by the odometer."""

    start_at: datetime
    end_at: datetime
    chord_m: float
    moving_before: bool
    advanced_m: float | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where the vehicle was at a moment: for what must be compared with somebody else's record.

    ``home_m`` is metres outside the designated place, ``None`` without one.
    """

    at: datetime
    lat: float
    lon: float
    home_m: float | None = None


Legs = Mapping[tuple[LonLat, LonLat], Sequence[Route]]
"""The ways between two places that a road engine knows, the quickest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A vehicle over ``[start, end)``; whatever is older is history that patterns are made of.

    ``away`` by trip id; without a designated place empty. ``covered`` is the share of each local day that fixes cover;
    on the days of ``other_datum`` the terminal seems to report GCJ-02 for WGS-84. ``legs`` is empty without a road engine.
    """

    car: Car
    start: datetime
    end: datetime
    now: datetime
    trips: Sequence[Trip] = ()
    orders: Sequence[OrderFacts] = ()
    slips: Mapping[int, str] = field(default_factory=dict)
    papers: Sequence[Paper] = ()
    days: Mapping[date, Day] = field(default_factory=dict)
    away: Mapping[int, Away] = field(default_factory=dict)
    stays: Sequence[Stay] = ()
    pauses: Sequence[Stay] = ()
    blanks: Sequence[Blank] = ()
    signals: Sequence[Signal] = ()
    positions: Sequence[Position] = ()
    covered: Mapping[date, float] = field(default_factory=dict)
    fills: Sequence[Fill] = ()
    readings: Sequence[Reading] = ()
    works: Sequence[Work] = ()
    seals: Sequence[SealFacts] = ()
    tickets: Sequence[Ticket] = ()
    externals: Sequence[External] = ()
    life: Life | None = None
    peers: Peers = field(default_factory=Peers)
    other_datum: frozenset[date] = frozenset()
    earlier: Sequence[Earlier] = ()
    legs: Legs = field(default_factory=dict)
    figure_rows: Sequence[FigureRow] = ()
    cache: dict[Any, Any] = field(default_factory=dict, compare=False)
    """Values worked out once: figures by day, routes."""

    def figures(self, at: datetime) -> Figures:
        """Return the figures in force on a moment's local day for the vehicle's unit and category."""
        book = self.figure_rows
        if not isinstance(book, FigureBook):
            if "book" not in self.cache:
                self.cache["book"] = FigureBook(self.figure_rows)
            book = self.cache["book"]
        return book.on(clock.local_date(at), self.car.org_path, self.car.category)

    def value(self, code: str, at: datetime) -> float:
        """Return one figure's value at a moment."""
        return self.figures(at)[code].value

    def day(self, at: datetime) -> Day:
        """Return the kind of a moment's local day."""
        return self.days[clock.local_date(at)]

    def is_workday(self, at: datetime) -> bool:
        """Tell whether a moment lies on a workday, make-up workdays among them."""
        return self.day(at).kind is DayKind.WORKDAY

    def holds(self, at: datetime) -> bool:
        """Tell whether a moment lies in the window that is judged."""
        return self.start <= at < self.end

    def order(self, order_id: int | None) -> OrderFacts | None:
        """Return an order by its id."""
        return next((order for order in self.orders if order.order_id == order_id), None)

    def order_at(self, at: datetime, *, grace: timedelta = timedelta()) -> OrderFacts | None:
        """Return the order in force at a moment: approved then, or checked out and not back."""
        for order in self.orders:
            first = min(order.start_at, order.checked_out_at or order.start_at) - grace
            last = max(order.end_at, order.returned_at or order.end_at) + grace
            if first <= at < last:
                return order
        return None

    def trips_of(self, order_id: int) -> list[Trip]:
        """Return the trips that belong to an order, in time order."""
        if "trips_of" not in self.cache:
            by_order: dict[int, list[Trip]] = {}
            for trip in self.trips:
                for own in trip.order_ids:
                    by_order.setdefault(own, []).append(trip)
            self.cache["trips_of"] = by_order
        found: list[Trip] = self.cache["trips_of"].get(order_id, [])
        return found

    def on_duty_list(self, at: datetime) -> bool:
        """Tell whether the vehicle is exempt from sealing on a moment's local day: the duty list."""
        on = clock.local_date(at)
        return any(
            seal.state == "EXEMPT" and seal.exempt_from is not None and seal.exempt_until is not None
            and seal.exempt_from <= on < seal.exempt_until for seal in self.seals
        )  # fmt: skip

    def in_shop(self, at: datetime) -> Work | None:
        """Return the work order that had the vehicle in the shop at a moment."""
        return next(
            (work for work in self.works if work.in_at and work.in_at <= at and (work.out_at is None or at < work.out_at)),
            None,
        )  # fmt: skip
