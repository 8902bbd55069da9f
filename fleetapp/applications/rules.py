"""What the form may tell, the days of a series, windows of trips taken again: values in, values or ``RuleBroken`` out."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders.rules import LAT_BOUNDS, LON_BOUNDS, Area, OrderKind, Stop
from fleetapp.vehicles.rules import Body
from fleetapp.workdays.rules import Day, DayKind

MOST_DATES = 26
"""Half a year of one weekday: longer habits are asked for anew."""
MOST_FAVOURITES = 12
HORIZON = timedelta(days=7)
"""How far the form looks for the first free vehicle."""
STEP = timedelta(minutes=5)
SEATS = {Body.MPV: 6, Body.MINIBUS: 18, Body.COACH: 50}
"""Passengers that a body carries at least about; any other carries four."""
KEPT = (
    "kind",
    "purpose",
    "reason",
    "passengers",
    "passenger_count",
    "contact",
    "body",
    "luggage",
    "pooling_ok",
    "round_trip",
)
"""What of an order a trip taken again keeps, besides its places and its hours."""


class Tone(StrEnum):
    """How loud a hint is."""

    GOOD = "good"
    INFO = "info"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Hint:
    """One line of the answer: the text of ``applications.hint.<code>`` with its parameters."""

    code: str
    tone: Tone = Tone.INFO
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Figures:
    """Policy figures of the form."""

    pool_within: timedelta
    pool_near_m: float
    transit_people: int
    night_start_h: float
    night_end_h: float


@dataclass(frozen=True, slots=True)
class Trip:
    """What is known of a journey while the form is being filled."""

    kind: OrderKind
    body: Body
    people: int
    start_at: datetime
    end_at: datetime
    stops: tuple[Stop, ...] = ()
    luggage: bool = False
    round_trip: bool = True

    @property
    def points(self) -> list[tuple[float, float]]:
        """Return the places as (lon, lat)."""
        return [(stop.lon, stop.lat) for stop in self.stops]


def carries(body: str) -> int:
    """Return how many passengers a body carries."""
    return SEATS.get(Body(body), 4)


def is_inland(stop: Stop) -> bool:
    """Tell whether a place lies where places are, degrees the right way round."""
    return LAT_BOUNDS[0] <= stop.lat <= LAT_BOUNDS[1] and LON_BOUNDS[0] <= stop.lon <= LON_BOUNDS[1]


def hints(
    trip: Trip,
    *,
    area: Area | None,
    days: Sequence[Day],
    night: bool,
    figures: Figures,
    lead: timedelta,
    now: datetime,
) -> list[Hint]:
    """Return what an applicant should know of day, hour, notice and place; the loudest first."""
    found = []
    if trip.start_at < now.replace(second=0, microsecond=0):
        found.append(Hint("past", Tone.WARN))
    elif trip.kind is OrderKind.ORDINARY and trip.start_at < now + lead:
        found.append(Hint("short_notice", Tone.WARN, {"minutes": f"{lead / timedelta(minutes=1):g}"}))
    holiday = next((day for day in days if day.kind is DayKind.HOLIDAY), None)
    if holiday is not None:
        found.append(Hint("holiday", Tone.WARN, {"day": holiday.on.isoformat()}))
    elif any(day.kind is DayKind.REST for day in days):
        found.append(Hint("rest_day", Tone.WARN))
    if any(not day.known for day in days):
        found.append(Hint("calendar_unknown"))
    if night:
        found.append(
            Hint("night", Tone.WARN, {"from_h": f"{figures.night_start_h:g}", "to_h": f"{figures.night_end_h:g}"})
        )
    if area in {Area.PROVINCE, Area.BEYOND}:
        found.append(Hint(f"area_{area}", Tone.WARN))
    ordinary = trip.kind is OrderKind.ORDINARY
    if area is Area.URBAN and ordinary and not trip.luggage and not night and 0 < trip.people <= figures.transit_people:
        found.append(Hint("subsidy_area", Tone.WARN, {"people": figures.transit_people}))
    if trip.people > carries(trip.body):
        found.append(Hint("too_many_people", Tone.WARN, {"most": carries(trip.body)}))
    found += [Hint(f"kind_{trip.kind}")] if trip.kind is not OrderKind.ORDINARY else []
    return found


def saved_m(
    mine: Sequence[tuple[float, float]],
    other: Sequence[tuple[float, float]],
    journey_m: Callable[[list[tuple[float, float]]], float],
) -> float:
    """Return the metres that one car saves for two journeys there and back, each ``[origin, destination]``; never below 0."""
    apart = journey_m(list(mine)) + journey_m(list(other))
    ways = ([mine[0], other[0], other[1], mine[1]], [mine[0], other[0], mine[1], other[1]],
            [other[0], mine[0], other[1], mine[1]], [other[0], mine[0], mine[1], other[1]])  # fmt: skip
    return max(0.0, apart - min(journey_m(list(way)) for way in ways))


def rounded_up(at: datetime) -> datetime:
    """Return the next full five minutes."""
    return at + (-(at - datetime.min.replace(tzinfo=at.tzinfo)) % STEP)


def content_of(order: Any) -> dict[str, Any]:
    """Return what of an order (or of a form's loaded data) a trip taken again keeps: values, places, hours and days."""
    stops = [{"name": stop.name, "lat": stop.lat, "lon": stop.lon} for stop in order.stops]
    local, days = clock.local(order.start_at), (clock.local_date(order.end_at) - clock.local_date(order.start_at)).days
    times = {"start": f"{local:%H:%M}", "end": f"{clock.local(order.end_at):%H:%M}", "days": days}
    return {**{name: getattr(order, name) for name in KEPT}, "stops": stops, **times}


def next_window(content: Mapping[str, Any], *, next_workday: Callable[[date], date], now: datetime) -> Span:
    """Return the hours of a trip on the next working day after today."""
    on = next_workday(clock.local_date(now) + timedelta(days=1))
    return Span(_at(on, content["start"]), _at(on + timedelta(days=int(content["days"])), content["end"]))


def _at(on: date, text: str) -> datetime:
    hours, minutes = (int(part) for part in text.split(":"))
    return clock.day_span(on)[0] + timedelta(hours=hours, minutes=minutes)


def series_dates(first: date, *, weekdays: Sequence[int], until: date, skip: Callable[[date], bool]) -> list[date]:
    """Return the days of a weekly series from ``first`` to ``until``, both included, on the given weekdays (0 is Monday).

    :raises RuleBroken: ``applications.series_days`` no weekday, ``series_empty`` no day left, ``series_long``.
    """
    if not weekdays:
        raise RuleBroken("applications.series_days")
    days = [first + timedelta(days=n) for n in range((until - first).days + 1)]
    found = [on for on in days if on.weekday() in weekdays and not skip(on)]
    if not found:
        raise RuleBroken("applications.series_empty")
    if len(found) > MOST_DATES:
        raise RuleBroken("applications.series_long", most=MOST_DATES, count=len(found))
    return found


def moved(window: Span, on: date) -> Span:
    """Return a window moved to begin on another local day at the same hours; China keeps one time all year."""
    days = on - clock.local_date(window.start)
    return Span(window.start + days, window.end + days)


def names_of(passengers: str) -> set[str]:
    """Return the names of a typed list of passengers, split at the signs people use; counts such as 科室 2 人 are none."""
    parts = re.split(r"[、,，;；/\n]+|\s{2,}", passengers)
    return {"".join(part.split()).casefold() for part in parts if part.strip() and not re.search(r"\d", part)}


def check_overlap(numbers: Sequence[str], twice: Sequence[str], reason: str) -> None:
    """Refuse a second journey of one applicant, or of one passenger, at the same time unless a reason is given.

    :raises RuleBroken: ``applications.passenger_twice`` names them, ``applications.overlap`` numbers the other orders.
    """
    if reason.strip():
        return
    if twice:
        raise RuleBroken("applications.passenger_twice", names="、".join(twice))
    if numbers:
        raise RuleBroken("applications.overlap", numbers="、".join(numbers))
