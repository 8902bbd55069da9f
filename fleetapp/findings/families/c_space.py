"""Family C: where a vehicle went, C-01 to C-05: areas and routes are compared as straight geometry."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import shapely
from numpy.typing import NDArray

from fleetapp.findings.families.tools import (
    SERVICE_KINDS,
    Answers,
    approved_at,
    clue,
    distance_m,
    exempt,
    km,
    minutes,
    place_name,
    surest,
)
from fleetapp.findings.inputs import OrderFacts
from fleetapp.findings.known import Known, Trip
from fleetapp.findings.rules import MIN_COVERAGE, Line, Severity, Silence
from fleetapp.findings.ways import STILL, finished, pairs
from fleetapp.places import areas
from fleetapp.places.roads import METRES_PER_DEGREE, RoadGraph, Route, load_roads

Floats = NDArray[np.float64]
SENSITIVE = ("residential", "school", "scenic", "mall", "hotel", "entertainment", "funeral")
AREAS = {"urban": ("城区", "the urban area"), "city": ("市域", "the city"), "province": ("省内", "the province"),
         "beyond": ("省外", "beyond the province")}  # fmt: skip
EXPRESS_KMH = 80.0
"""Roads this fast have the wider corridor."""


@functools.cache
def _ring(level: str, adcode: str | None) -> shapely.Polygon | None:
    outlines = areas.load_outlines()
    if level == "city":
        return shapely.Polygon(outlines.city)
    if level == "province":
        return shapely.Polygon(outlines.province)
    rings = [shapely.Polygon(zone.ring) for zone in outlines.urban if adcode in zone.adcodes and zone.ring]
    return rings[0] if rings else None


def _beyond_m(level: str, adcode: str | None, lats: Floats, lons: Floats) -> Floats:
    """Return how far positions lie outside an area, metres; nothing for an area without an outline."""
    ring = _ring(level, adcode)
    if ring is None:
        return np.zeros(len(lats))
    scale = np.array([np.cos(np.radians(30.2)), 1.0]) * METRES_PER_DEGREE
    local = shapely.transform(ring, lambda xy: xy * scale)
    outside: Floats = shapely.distance(local, shapely.points(lons * scale[0], lats * scale[1]))
    return outside


def out_of_area(known: Known) -> Answers:
    """C-01: the journey left the area its order was approved for, by more than the buffer, far or long enough."""
    for order in known.orders:
        if order.area in {None, "beyond"}:
            continue
        for trip in known.trips_of(order.order_id):
            if not trip.path[0] or not known.holds(trip.start_at):
                continue
            lats, lons = np.array(trip.path[0]), np.array(trip.path[1])
            buffer_m = known.value("C-01.buffer_km", trip.start_at) * 1000
            beyond = _beyond_m(order.area or "", known.car.adcode, lats, lons) > buffer_m
            if not beyond.any():
                continue
            if silence := exempt(order):
                yield silence
                continue
            share = _share_of_length(lats, lons, beyond)
            metres, length_min = share * trip.best_m, share * minutes(trip.start_at, trip.end_at)
            if metres < known.value("C-01.min_km", trip.start_at) * 1000 and length_min < known.value(
                "C-01.min_min", trip.start_at
            ):
                continue
            if trip.coverage < MIN_COVERAGE:
                yield Silence.INSUFFICIENT_DATA
                continue
            reached = _reached(known, lats[beyond], lons[beyond])
            approved_zh, approved_en = AREAS[order.area or "urban"]
            yield clue(
                known, "C-01", key=f"{trip.start_at:%Y%m%d%H%M}", start=trip.start_at, end=trip.end_at, order=order, trip_ids=[trip.id],
                severity=Severity.RED if reached == "beyond" else Severity.ORANGE, confidence=trip.coverage, coverage=trip.coverage,
                saw={"approved_zh": approved_zh, "approved_en": approved_en, "reached_zh": AREAS[reached][0],
                     "reached_en": AREAS[reached][1], "km": km(metres), "minutes": round(length_min)},
                distance_m=metres, end_place=trip.end_place, against=[{"code": "order_exists", "slip": order.slip}],
            )  # fmt: skip


def _reached(known: Known, lats: Floats, lons: Floats) -> str:
    """Return the widest area that the positions reached."""
    for level in ("province", "city"):
        if (_beyond_m(level, known.car.adcode, lats, lons) > 0).any():
            return "beyond" if level == "province" else "province"
    return "city"


def _share_of_length(lats: Floats, lons: Floats, outside: NDArray[np.bool_]) -> float:
    """Return the share of a line's length whose points lie outside, both ends of a step counting half."""
    steps = np.hypot(np.diff(lons) * np.cos(np.radians(lats[:-1])), np.diff(lats))
    total = float(steps.sum())
    weight = (outside[:-1].astype(float) + outside[1:]) / 2
    return float((steps * weight).sum() / total) if total else 0.0


# ---- routes ---------------------------------------------------------------------------------------------------------


@functools.cache
def _graph() -> RoadGraph:
    return load_roads()


@dataclass(frozen=True, slots=True)
class Compared:
    """A driven line against the expected route: shares of 1, metres; whether all of its legs come from a road engine."""

    outside_share: float
    extra_m: float
    route_m: float
    by_engine: bool

    @property
    def against(self) -> list[Line]:
        """What weakens the comparison."""
        return [] if self.by_engine else [{"code": "main_roads_only"}]


def compare(
    lats: Floats, lons: Floats, driven_m: float, legs: Sequence[Sequence[Route]], *, corridor_m: float, express_m: float,
    by_engine: bool,
) -> Compared:  # fmt: skip
    """Compare a driven line with the legs of the expected route (primitive P12), point to segment.

    The corridor is ``express_m`` wide on each side of roads of 80 km/h and more, ``corridor_m`` elsewhere. A leg may have
    several ways: any of them may be taken, and none is held against the driver, who may choose the longest.
    """
    scale = np.array([np.cos(np.radians(float(lats.mean()))), 1.0]) * METRES_PER_DEGREE
    points = shapely.points(lons * scale[0], lats * scale[1])
    inside = np.zeros(len(lats), dtype=bool)
    for way in chain.from_iterable(legs):
        xy = way.points * scale
        fast = way.limits_kmh[:-1] >= EXPRESS_KMH
        lines = np.asarray(shapely.linestrings(np.stack((xy[:-1], xy[1:]), axis=1)))
        for wanted, width in ((~fast, corridor_m), (fast, express_m)):
            if wanted.any():
                inside |= np.asarray(shapely.distance(shapely.multilinestrings(lines[wanted]), points)) <= width
    route_m = sum(max(way.length_m for way in leg) for leg in legs)
    return Compared(_share_of_length(lats, lons, ~inside), driven_m - route_m, route_m, by_engine)


def _compared(known: Known, order: OrderFacts) -> tuple[Compared, list[Trip]] | None:
    """Compare all trips of a finished order with the routes over the stops that each of them came by."""
    trips = finished(known, order)
    if not trips:
        return None
    key = ("route", order.order_id)
    if key not in known.cache:
        at = order.start_at
        asked = pairs(trips, order)
        known.cache[key] = compare(
            np.concatenate([trip.path[0] for trip in trips]), np.concatenate([trip.path[1] for trip in trips]),
            sum(trip.best_m for trip in trips), [known.legs.get(pair) or [_graph().route(*pair)] for pair in asked],
            corridor_m=known.value("C-02.corridor_m", at), express_m=known.value("C-02.corridor_express_m", at),
            by_engine=all(pair in known.legs for pair in asked),
        ) if asked else None  # fmt: skip
    found = known.cache[key]
    return (found, trips) if found is not None else None


def _silent(order: OrderFacts, coverage: float) -> Silence | None:
    return exempt(order) or (Silence.INSUFFICIENT_DATA if coverage < MIN_COVERAGE else None)


def off_route(known: Known) -> Answers:
    """C-02: too much of the distance lies outside the corridor and too much more was driven; orange with a sensitive stay."""
    for order in known.orders:
        found = _compared(known, order)
        if found is None:
            continue
        compared, trips = found
        at = order.start_at
        limit_m = max(known.value("C-02.extra_km", at) * 1000, known.value("C-02.extra_share", at) * compared.route_m)
        if compared.outside_share <= known.value("C-02.outside_share", at) or compared.extra_m <= limit_m:
            continue
        coverage = min(trip.coverage for trip in trips)
        if silence := _silent(order, coverage):
            yield silence
            continue
        ids = {trip.id for trip in trips}
        sensitive = next(
            (stay for stay in known.stays if stay.trip_id in ids and surest(stay, SENSITIVE) and not approved_at(known, stay)), None
        )  # fmt: skip
        supporting = (
            [{"code": "sensitive_stay", "place": place_name(sensitive), "minutes": round(sensitive.minutes)}]
            if sensitive
            else []
        )
        yield clue(
            known, "C-02", key=str(order.order_id), start=trips[0].start_at, end=trips[-1].end_at, order=order, trip_ids=sorted(ids),
            severity=Severity.ORANGE if sensitive else Severity.YELLOW, confidence=coverage, coverage=coverage, supporting=supporting,
            saw={"percent": round(compared.outside_share * 100), "km": km(compared.extra_m)},
            distance_m=sum(trip.best_m for trip in trips), against=compared.against,
        )  # fmt: skip


def detour(known: Known) -> Answers:
    """C-03: drove far more than the route and never stopped on the way."""
    for order in known.orders:
        found = _compared(known, order)
        if found is None:
            continue
        compared, trips = found
        at = order.start_at
        driven_m = compared.route_m + compared.extra_m
        ids = {trip.id for trip in trips}
        stopped = any(stay.trip_id in ids and not approved_at(known, stay) for stay in known.stays)
        if (
            stopped
            or driven_m <= known.value("C-03.min_km", at) * 1000
            or driven_m <= known.value("C-03.ratio", at) * compared.route_m
        ):
            continue
        coverage = min(trip.coverage for trip in trips)
        if silence := _silent(order, coverage):
            yield silence
            continue
        yield clue(
            known, "C-03", key=str(order.order_id), start=trips[0].start_at, end=trips[-1].end_at, order=order, trip_ids=sorted(ids),
            severity=Severity.YELLOW, confidence=coverage, coverage=coverage, saw={"km": km(driven_m), "route_km": km(compared.route_m)},
            distance_m=driven_m, against=compared.against,
        )  # fmt: skip


# ---- stops ----------------------------------------------------------------------------------------------------------


def not_reached(known: Known) -> Answers:
    """C-04: no stay and no end of the order's trips lies near any approved stop but the origin."""
    for order in known.orders:
        trips = known.trips_of(order.order_id)
        if len(order.stops) < 2 or not trips or not known.holds(trips[0].start_at) or order.end_at > known.now:
            continue
        if any(known.now - trip.end_at < STILL for trip in trips):
            continue
        widen = known.value("C-04.widen", order.start_at)
        points = [(lat, lon) for trip in trips for lat, lon in _halts(trip)]
        if not points:
            continue
        nearest = min(
            (distance_m(lat, lon, stop.lat, stop.lon) - stop.tolerance_m * widen, distance_m(lat, lon, stop.lat, stop.lon), stop.tolerance_m)
            for lat, lon in points for stop in order.stops[1:]
        )  # fmt: skip
        if nearest[0] <= 0:
            continue
        if silence := exempt(order):
            yield silence
            continue
        coverage = min(trip.coverage for trip in trips)
        if coverage < known.value("C-04.min_coverage", order.start_at) or any(trip.gaps for trip in trips):
            yield Silence.INSUFFICIENT_DATA
            continue
        yield clue(
            known, "C-04", key=str(order.order_id), start=trips[0].start_at, end=trips[-1].end_at, order=order,
            trip_ids=[trip.id for trip in trips], severity=Severity.ORANGE, confidence=min(coverage, _clearly_off(nearest[1], nearest[2] * widen)), coverage=coverage,
            saw={"metres": round(nearest[1]), "limit": round(nearest[2] * widen)}, end_place=trips[-1].end_place,
            against=[{"code": "address_possible"}, {"code": "order_exists", "slip": order.slip}],
        )  # fmt: skip


def _clearly_off(away_m: float, allowed_m: float) -> float:
    """Return how sure a miss is: an address on the wrong side of a park is off by less than twice what is allowed."""
    return min(1.0, 0.1 + (away_m / allowed_m - 1) / 2)


def _halts(trip: Trip) -> list[tuple[float, float]]:
    """Return where a trip stopped and ended."""
    halts = [(stop["lat"], stop["lon"]) for stop in trip.stops]
    if trip.path[0]:
        halts += [(trip.path[0][-1], trip.path[1][-1]), (trip.path[0][0], trip.path[1][0])]
    return halts


def extra_stop(known: Known) -> Answers:
    """C-05: during an order stood for ``min_min`` at a place that is no approved stop, no service place, no sensitive one.

    Sensitive places are D-01's with a limit of their own.
    """
    for stay in known.stays:
        if not known.holds(stay.start_at) or stay.minutes < known.value("C-05.min_min", stay.start_at):
            continue
        order = known.order_at(stay.start_at)
        if order is None or approved_at(known, stay) or surest(stay, SENSITIVE) or surest(stay, SERVICE_KINDS):
            continue
        if silence := exempt(order):
            yield silence
            continue
        trip = next((trip for trip in known.trips if trip.id == stay.trip_id), None)
        coverage = trip.coverage if trip else 1.0
        yield clue(
            known, "C-05", key=f"{stay.start_at:%Y%m%d%H%M}", start=stay.start_at, end=stay.end_at, severity=Severity.YELLOW,
            saw={"place": place_name(stay), "minutes": round(stay.minutes)}, order=order, trip_ids=[trip.id] if trip else [],
            coverage=coverage, confidence=coverage, at=stay.start_at, end_place=place_name(stay),
            against=[{"code": "order_exists", "slip": order.slip}, {"code": "waiting_possible"}],
        )  # fmt: skip


JUDGES = {
    "C-01": out_of_area, "C-02": off_route, "C-03": detour, "C-04": not_reached, "C-05": extra_stop,
}  # fmt: skip
