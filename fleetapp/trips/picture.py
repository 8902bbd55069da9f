"""What pages draw of trips: features for the map and a time strip, as plain values. WGS-84; drawing units of the strip."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from geoalchemy2.shape import to_shape

from fleetapp.duty.queries import OrderOfVehicle
from fleetapp.duty.queries import Stop as OrderStop
from fleetapp.kit import clock
from fleetapp.places.models import ParkingArea
from fleetapp.places.queries import area_feature
from fleetapp.trips.models import Trip
from fleetapp.web.texts import t

WIDTH, LEFT, LANE, TOP = 1000.0, 90.0, 30.0, 22.0
MOST_TICKS = 9
STEPS_MIN = (5, 10, 15, 30, 60, 120, 240, 480, 720, 1440, 2880, 10080)
COLOURS = {"matched": "#206bc4", "weak": "#f59f00", "ambiguous": "#f76707", "unmatched": "#d63939"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A span on the strip; ``kind`` chooses its colour, ``title`` says what it is in words."""

    x: float
    width: float
    kind: str
    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Lane:
    """One row of the strip."""

    y: float
    label: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Strip:
    """Lanes over a common time axis; ``ticks`` are (x, words)."""

    height: float
    ticks: tuple[tuple[float, str], ...]
    lanes: tuple[Lane, ...]


@dataclass(frozen=True, slots=True)
class SpanOf:
    """What to draw on a lane."""

    start: datetime
    end: datetime
    kind: str
    title: str
    text: str = ""


def strip(start: datetime, end: datetime, lanes: Sequence[tuple[str, Iterable[SpanOf]]]) -> Strip:
    """Return the strip of ``[start, end)``; spans outside are left out, those across an edge are cut there."""
    total_s = max(1.0, (end - start).total_seconds())
    scale = (WIDTH - LEFT) / total_s

    def x(at: datetime) -> float:
        return round(LEFT + min(total_s, max(0.0, (at - start).total_seconds())) * scale, 1)

    drawn = []
    for number, (label, spans) in enumerate(lanes):
        bars = tuple(
            Bar(x(one.start), max(2.0, round(x(one.end) - x(one.start), 1)), one.kind, one.title,
                one.text if x(one.end) - x(one.start) > 12 * len(one.text) else "")
            for one in spans if one.start < end and one.end > start
        )  # fmt: skip
        drawn.append(Lane(TOP + number * LANE, label, bars))
    ticks = tuple((x(at), _tick(at, total_s)) for at in _ticks(start, end))
    return Strip(TOP + len(drawn) * LANE + 6, ticks, tuple(drawn))


def _ticks(start: datetime, end: datetime) -> list[datetime]:
    minutes = (end - start).total_seconds() / 60
    step = timedelta(minutes=next((one for one in STEPS_MIN if minutes / one <= MOST_TICKS), STEPS_MIN[-1]))
    midnight = clock.start_of(clock.local_date(start))
    first = midnight + step * -(-(start - midnight) // step)
    return [first + step * number for number in range(int((end - first) / step) + 1)] if first <= end else []


def _tick(at: datetime, total_s: float) -> str:
    return f"{clock.local(at):%m-%d %H:%M}" if total_s > 36 * 3600 else f"{clock.local(at):%H:%M}"


def window(
    spans: Iterable[tuple[datetime, datetime]], *, least: timedelta = timedelta(hours=2)
) -> tuple[datetime, datetime]:
    """Return the time that shows all spans with a margin around them."""
    both = list(spans)
    start, end = min(one for one, _ in both), max(one for _, one in both)
    margin = max((end - start) * 0.08, (least - (end - start)) / 2, timedelta(minutes=10))
    return start - margin, end + margin


def trip_features(
    trips: Sequence[Trip], *, words: dict[str, str], parking: ParkingArea | None, order_stops: Iterable[OrderStop] = ()
) -> dict[str, Any]:
    """Return trips, their stays, the approved stops and the designated place as GeoJSON, longitude first.

    ``words`` has the page's words for ``start``, ``end``, ``stay``, ``order``, ``parking``.
    """
    features: list[dict[str, Any]] = []
    if parking is not None:
        features.append(area_feature(parking, words["parking"]))
    number = 0
    for trip in trips:
        line = [[round(lon, 6), round(lat, 6)] for lon, lat in to_shape(trip.path).coords]
        kinds = [part.kind for part in trip.matches]
        colour = COLOURS[next((kind for kind in reversed(COLOURS) if kind in kinds), "matched")]
        features.append(_feature("LineString", line, kind="track", colour=colour))
        features.append(_point(line[0], "start", f"{words['start']} {clock.local(trip.start_at):%H:%M}"))
        features.append(_point(line[-1], "end", f"{words['end']} {clock.local(trip.end_at):%H:%M}"))
        for stop in trip.stops:
            number += 1
            since, until = (clock.local(datetime.fromisoformat(stop[key])) for key in ("start", "end"))
            features.append(_point([stop["lon"], stop["lat"]], "stop", words["stay"], number=number,
                                   text=f"{words['stay']} {number}\n{since:%H:%M}–{until:%H:%M}"))  # fmt: skip
    features += [_point([stop.lon, stop.lat], "order", f"{words['order']} {stop.name}") for stop in order_stops]
    return {"type": "FeatureCollection", "features": features}


def _point(where: list[float], kind: str, label: str, **properties: Any) -> dict[str, Any]:
    return _feature("Point", where, kind=kind, label=label, **properties)


def _feature(shape: str, coordinates: list[Any], **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "properties": properties, "geometry": {"type": shape, "coordinates": coordinates}}


def map_words() -> dict[str, str]:
    """Return the words on the map in the page's language."""
    return {name: t(f"trips.map.{name}") for name in ("start", "end", "stay", "order", "parking")}


def vehicle_strip(
    start: datetime,
    end: datetime,
    orders: Sequence[OrderOfVehicle],
    trips: Sequence[Trip],
    now: datetime,
    *,
    more: Sequence[tuple[str, Iterable[SpanOf]]] = (),
) -> Strip:
    """Return the strip of a vehicle: what was approved, registered and driven, where it stood, and ``more`` lanes."""
    kinds = {kind: t(f"trips.kind.{kind}") for kind in COLOURS}
    lanes: list[tuple[str, Iterable[SpanOf]]] = [
        (t("trips.lane.orders"), order_spans(orders)),
        (t("trips.lane.duties"), duty_spans(orders, now)),
        (t("trips.lane.trips"), trip_spans(trips, kinds)),
        (t("trips.lane.stays"), stay_spans(trips, t("trips.map.stay"))),
    ]
    return strip(start, end, [*lanes, *more])


PARTS = ("time", "dest", "orig", "driver", "events")


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How the score of an order comes about: rows of (part, weight, value, weight x value), and their sum."""

    order_id: int
    slip: str | None
    rows: tuple[tuple[str, float, float, float], ...]
    total: float
    chosen: bool


def reckonings(
    trips: Sequence[Trip], orders: Sequence[OrderOfVehicle], weights: Mapping[str, Decimal]
) -> list[Reckoning]:
    """Return the reckoning of every order considered for the trips, the best first; ``weights`` by policy code."""
    slips = {order.order_id: order.slip for order in orders}
    parts = [part for trip in trips for part in trip.matches]
    chosen = {part.order_id for part in parts}
    candidates: dict[int, Mapping[str, Any]] = {}
    for part in parts:
        for candidate in part.candidates:
            known = candidates.get(candidate["order_id"])
            if known is None or (candidate["score"] or 0.0) > (known["score"] or 0.0):
                candidates[candidate["order_id"]] = candidate
    found = []
    for order_id, scores in candidates.items():
        pairs = [
            (name, float(weights.get(f"match.weight_{name}", 0)), float(scores[f"score_{name}"] or 0)) for name in PARTS
        ]
        rows = tuple((name, weight, value, weight * value) for name, weight, value in pairs)
        found.append(Reckoning(order_id, slips.get(order_id), rows, scores["score"] or 0.0, order_id in chosen))
    return sorted(found, key=lambda one: (-one.total, one.order_id))


def order_spans(orders: Sequence[OrderOfVehicle]) -> list[SpanOf]:
    """Return the approved windows as spans."""
    return [
        SpanOf(one.start_at, one.end_at, "order", f"{one.slip} {_hm(one.start_at)}–{_hm(one.end_at)}", one.slip)
        for one in orders
    ]


def duty_spans(orders: Sequence[OrderOfVehicle], now: datetime) -> list[SpanOf]:
    """Return what was registered from check-out to check-in as spans; one not checked in ends at the latest now."""
    return [
        SpanOf(one.checked_out_at, one.returned_at or max(now, one.checked_out_at), "duty",
               f"{one.slip} {_hm(one.checked_out_at)}–{_hm(one.returned_at) if one.returned_at else '…'}")
        for one in orders if one.checked_out_at is not None
    ]  # fmt: skip


def trip_spans(trips: Sequence[Trip], words: dict[str, str]) -> list[SpanOf]:
    """Return trip parts as spans by kind of match; ``words`` are the names of the kinds."""
    return [
        SpanOf(part.start_at, part.end_at, part.kind,
               f"{_hm(part.start_at)}–{_hm(part.end_at)} {part.distance_m / 1000:.1f} km {words[part.kind]}",
               f"{part.distance_m / 1000:.1f} km")
        for trip in trips for part in trip.matches
    ]  # fmt: skip


def stay_spans(trips: Sequence[Trip], word: str) -> list[SpanOf]:
    """Return the stays inside trips as spans."""
    found = []
    for trip in trips:
        for stop in trip.stops:
            since, until = datetime.fromisoformat(stop["start"]), datetime.fromisoformat(stop["end"])
            found.append(SpanOf(since, until, "stay", f"{word} {_hm(since)}–{_hm(until)}"))
    return found


def _hm(at: datetime) -> str:
    return f"{clock.local(at):%H:%M}"
