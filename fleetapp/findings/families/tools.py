"""What the families share: putting a clue together, clusters of places, parts of the day."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

from fleetapp.findings.inputs import ApprovedStop, OrderFacts
from fleetapp.findings.known import External, Known, Poi, Stay
from fleetapp.findings.rules import Clue, Line, Severity, Silence, assembled, plain
from fleetapp.kit import clock
from fleetapp.orders.rules import OrderKind
from fleetapp.places import roads

Answers = Iterator[Clue | Silence]
T = TypeVar("T")


def distance_m(lat: float, lon: float, lat_b: float, lon_b: float) -> float:
    """Return the distance of two positions on a local plane, good to 0.1 % over a city."""
    return roads.distance_m((lon, lat), (lon_b, lat_b))


def hour(at: datetime) -> float:
    """Return the local time of day in hours."""
    local = clock.local(at)
    return local.hour + local.minute / 60 + local.second / 3600


def hm(at: datetime | None) -> str:
    """Return a local moment as pages write it."""
    return "" if at is None else f"{clock.local(at):%m-%d %H:%M}"


def minutes(start: datetime, end: datetime) -> float:
    """Return the minutes from one moment to another."""
    return (end - start).total_seconds() / 60


def km(metres: float) -> str:
    """Return kilometres as evidence states them."""
    return f"{metres / 1000:.1f}"


def month_of(at: datetime) -> str:
    """Return the local month, ``2026-11``."""
    return f"{clock.local(at):%Y-%m}"


def in_bands(at: datetime, *bands: tuple[float, float]) -> bool:
    """Tell whether a local time of day lies in one of the half-open bands."""
    return any(first <= hour(at) < last for first, last in bands)


def near_stop(stops: Iterable[ApprovedStop], lat: float, lon: float, *, widen: float = 1.0) -> bool:
    """Tell whether a position lies within the tolerance of an approved stop."""
    return any(distance_m(lat, lon, stop.lat, stop.lon) <= stop.tolerance_m * widen for stop in stops)


def approved_at(known: Known, stay: Stay, *, grace: timedelta = timedelta(hours=1)) -> bool:
    """Tell whether a stay lies at a stop of an order in force then, or at the designated place."""
    if stay.home_m is not None and stay.home_m <= HOME_M:
        return True
    middle = stay.start_at + (stay.end_at - stay.start_at) / 2
    return any(
        near_stop(order.stops, stay.lat, stay.lon)
        for order in known.orders
        if min(order.start_at, order.checked_out_at or order.start_at) - grace
        <= middle
        < max(order.end_at, order.returned_at or order.end_at) + grace
    )


HOME_M = 150.0
"""A stay this near the designated place stands at its gate or on the street before it."""
SERVICE_KINDS = frozenset(["energy", "repair", "station", "hospital", "government", "toll"])
"""Classes of places where standing is part of the work."""


def surest(stay: Stay, kinds: Iterable[str]) -> Poi | None:
    """Return the place of some classes that a stay belongs to most surely."""
    wanted = frozenset(kinds)
    return max((poi for poi in stay.pois if poi.kind in wanted), key=lambda poi: poi.confidence, default=None)


def place_name(stay: Stay) -> str:
    """Return the name of the surest place of a stay, else its position."""
    return stay.pois[0].name if stay.pois else f"{stay.lat:.4f}, {stay.lon:.4f}"


def others(stay: Stay, chosen: Poi) -> list[Line]:
    """Return the line that names the other places within reach."""
    rest = [poi for poi in stay.pois if poi is not chosen]
    if not rest:
        return []
    return [{"code": "other_places", "places": "、".join(f"{poi.name}（{poi.distance_m:.0f} m）" for poi in rest[:4])}]


def clusters(stays: Sequence[Stay], radius_m: float) -> list[list[Stay]]:
    """Group stays by place: each joins the nearest group whose mean lies within the radius, else begins one."""
    groups: list[list[Stay]] = []
    centres: list[tuple[float, float]] = []
    for stay in stays:
        away = [distance_m(stay.lat, stay.lon, *centre) for centre in centres]
        best = min(range(len(away)), key=away.__getitem__, default=None)
        if best is None or away[best] > radius_m:
            groups.append([stay])
            centres.append((stay.lat, stay.lon))
            continue
        groups[best].append(stay)
        number = len(groups[best])
        lat, lon = centres[best]
        centres[best] = (lat + (stay.lat - lat) / number, lon + (stay.lon - lon) / number)
    return groups


def trailing(items: Sequence[T], at: Any, days: float) -> Iterator[tuple[T, list[T]]]:
    """Yield each item with those of the ``days`` up to and with it; ``at`` gives an item's moment. Items in time order."""
    first = 0
    for last, item in enumerate(items):
        while at(items[first]) < at(item) - timedelta(days=days):
            first += 1
        yield item, list(items[first : last + 1])


def merged(spans: Iterable[tuple[datetime, datetime]], gap: timedelta) -> list[tuple[datetime, datetime]]:
    """Join spans that touch or lie less than ``gap`` apart."""
    found: list[tuple[datetime, datetime]] = []
    for start, end in sorted(spans):
        if found and start - found[-1][1] < gap:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def exempt(order: OrderFacts | None) -> Silence | None:
    """Return why an order lifts a rule: an activated emergency or a service errand (primitive P14)."""
    if order is None:
        return None
    return {OrderKind.EMERGENCY: Silence.EMERGENCY_ORDER, OrderKind.SERVICE: Silence.SERVICE_ORDER}.get(
        OrderKind(order.kind)
    )


def latest(answers: Iterable[Clue | Silence]) -> Answers:
    """Keep of the clues with one key the last: a pattern that goes on is one incident."""
    kept: dict[str, Clue] = {}
    for answer in answers:
        if isinstance(answer, Clue):
            kept[answer.key] = answer
        else:
            yield answer
    yield from kept.values()


def clue(
    known: Known, rule: str, *, key: str, start: datetime, end: datetime, severity: Severity, saw: dict[str, Any],
    confidence: float = 1.0, coverage: float | None = None, supporting: Sequence[Line] = (), against: Sequence[Line] = (),
    order: OrderFacts | None = None, order_id: int | None = None, trip_ids: Sequence[int] = (), concerned_id: int | None = None, **facts: Any,
) -> Clue:  # fmt: skip
    """Put a clue together: the sentence of the catalogue first, what would clear it last."""
    low = [{"code": "coverage", "percent": round(coverage * 100)}] if coverage is not None and coverage < 0.9 else []
    return assembled(
        rule, vehicle_id=known.car.id, key=key, start=start, end=end, severity=severity, confidence=confidence, facts=facts,
        figures=known.figures(start), coverage=coverage, trip_ids=trip_ids, trips=len(trip_ids) or None, order=order, order_id=order_id,
        supporting=[{"code": "saw", "rule": rule, **{name: plain(value) for name, value in saw.items()}}, *supporting],
        against=[*low, *against, {"code": "clears", "rule": rule}], concerned_id=concerned_id,
    )  # fmt: skip


def length_m(lats: Sequence[float], lons: Sequence[float]) -> float:
    """Return the length of a line of positions."""
    return sum(distance_m(a, b, c, d) for (a, b), (c, d) in pairwise(zip(lats, lons, strict=True)))


def of_others(known: Known, kind: str, rule: str) -> Iterator[tuple[External, float | None]]:
    """Yield what others recorded of the plate with how near the vehicle came to it within ``<rule>.within_min``, metres.

    ``None`` stands for no position around that time.
    """
    for record in known.externals:
        if record.kind == kind and known.holds(record.at):
            within_min = known.value(f"{rule}.within_min", record.at)
            near = [one for one in known.positions if abs(minutes(one.at, record.at)) <= within_min]
            yield record, min((distance_m(one.lat, one.lon, record.lat, record.lon) for one in near), default=None)
