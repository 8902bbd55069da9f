"""Fixes and order windows in, trips and matches out: the only door to the GPS library here."""

import hashlib
import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import shapely
import structlog
from sqlalchemy.orm import Session

from fleetapp.duty.queries import OrderOfVehicle
from fleetapp.kit.jsonable import jsonable
from telematics import gpx, mileage, store
from telematics import match as matching
from telematics.geo import haversine_m
from telematics.match import MatchParams
from telematics.model import Fix, Match, MatchKind, OrderWindow, Place, Score, Trip
from telematics.segment import segment
from telematics.store import Touched

__all__ = ["Fix", "Match", "MatchKind", "MatchParams", "Score", "Touched", "Trip"]

log = structlog.get_logger()

RULES_VERSION = "2026.11"
ESTIMATE_FACTOR = 1.02
"""Road distance over the sum of straight steps where no road engine answers (rule catalogue, primitive P5)."""
OSRM_POINTS = 100
OSRM_TIMEOUT_S = 2.0


def driver_connection(session: Session) -> Any:
    """Return the psycopg connection of this transaction."""
    return session.connection().connection.driver_connection


def read_touched(session: Session, *, limit: int) -> list[Touched]:
    """Return windows with new fixes, longest waiting first."""
    return store.read_touched(driver_connection(session), limit)


def clear_touched(session: Session, *, done: Iterable[Touched]) -> int:
    """Remove processed windows that were not touched again meanwhile."""
    return store.clear_touched(driver_connection(session), done)


def derive(
    fixes: Sequence[Fix], *, parking: shapely.Polygon | None, boundaries: Sequence[datetime], now: datetime
) -> tuple[Trip, ...]:
    """Return the trips of one vehicle's fixes; ``boundaries`` are the check-outs and check-ins that end a trip."""
    places = _outside(parking) if parking is not None else None
    return segment(fixes, boundaries=sorted(boundaries), places=places, now=now).trips


def _outside(parking: shapely.Polygon) -> Any:
    """Return the distance in metres outside a WGS-84 polygon, for whole arrays of positions."""
    centre = parking.centroid
    scale = np.array([math.cos(math.radians(centre.y)) * 111_195.0, 111_195.0])
    local = shapely.transform(parking, lambda xy: (xy - (centre.x, centre.y)) * scale)

    def outside_m(lat: Any, lon: Any) -> Any:
        return shapely.distance(local, shapely.points((lon - centre.x) * scale[0], (lat - centre.y) * scale[1]))

    return outside_m


def match(trips: Sequence[Trip], orders: Sequence[OrderOfVehicle], *, params: MatchParams) -> list[tuple[Match, float]]:
    """Return the parts of each trip with the order each belongs to and its distance in metres."""
    windows = [_window(order, orders) for order in orders]
    drivers = {index: _driver(trip, orders) for index, trip in enumerate(trips)}
    found = matching.match(trips, windows, trip_drivers=drivers, params=params)
    return [(part, part_m(trips[part.trip_index], part.start_at, part.end_at)) for part in found]


def _window(order: OrderOfVehicle, orders: Sequence[OrderOfVehicle]) -> OrderWindow:
    """Return an order as the matcher sees it: those that share the journey have one window and all its stops."""
    mates = [other for other in orders if other.journey == order.journey]
    places = [Place(stop.lat, stop.lon, float(stop.tolerance_m)) for mate in mates for stop in mate.stops]
    return OrderWindow(
        order_id=order.order_id, slip=str(order.journey), start_at=min(mate.start_at for mate in mates),
        end_at=max(mate.end_at for mate in mates), origin=places[0] if places else None, stops=tuple(places[1:]), driver_id=order.driver_id,
        checked_out_at=order.checked_out_at, returned_at=order.returned_at,
    )  # fmt: skip


def _driver(trip: Trip, orders: Sequence[OrderOfVehicle]) -> int | None:
    """Return who was checked out in the middle of a trip."""
    middle = trip.start_at + (trip.end_at - trip.start_at) / 2
    for order in orders:
        if (
            order.checked_out_at
            and order.checked_out_at <= middle
            and (order.returned_at is None or middle < order.returned_at)
        ):
            return order.driver_id
    return None


def part_m(trip: Trip, start: datetime, end: datetime) -> float:
    """Return the best distance of a part of a trip; the whole trip's own figure where the part is the whole."""
    if start <= trip.start_at and trip.end_at <= end:
        return trip.distance.best_m
    inside = [fix for fix in trip.fixes if start <= fix.at <= end]
    return mileage.measure(inside).best_m if len(inside) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class MatchedDistance:
    """Length along roads, metres, and where it comes from: ``osrm`` or ``estimate``."""

    metres: float
    source: str


def matched_distance(trip: Trip, *, osrm_url: str) -> MatchedDistance:
    """Return a trip's length along the road network; without an engine or an answer, an estimate that says so."""
    if osrm_url:
        metres = _osrm_match(trip.fixes, osrm_url)
        if metres is not None:
            return MatchedDistance(metres, "osrm")
    return MatchedDistance(trip.distance.gps_m * ESTIMATE_FACTOR, "estimate")


def _osrm_match(fixes: Sequence[Fix], osrm_url: str) -> float | None:
    """Return the matched length in metres, or None where the engine has no answer for a piece."""
    total = 0.0
    for first in range(0, len(fixes) - 1, OSRM_POINTS - 1):
        piece = fixes[first : first + OSRM_POINTS]
        points = ";".join(f"{fix.lon:.6f},{fix.lat:.6f}" for fix in piece)
        times = ";".join(str(int(fix.at.timestamp())) for fix in piece)
        address = f"{osrm_url}/match/v1/driving/{points}?timestamps={times}&overview=false&gaps=ignore"
        try:
            with urllib.request.urlopen(address, timeout=OSRM_TIMEOUT_S) as answer:  # noqa: S310 -- address from settings
                total += sum(float(found["distance"]) for found in json.load(answer)["matchings"])
        except (urllib.error.URLError, TimeoutError, KeyError, ValueError) as error:
            log.warning("road_engine_unavailable", error=str(error))
            return None
    return total


class PlaceNames:
    """The nearest known place of a fix, for naming where a trip begins and ends."""

    def __init__(self, places: Sequence[tuple[str, float, float]], *, within_m: float) -> None:
        """Take (name, lat, lon) of every place."""
        self._names = [name for name, _, _ in places]
        self._lat = np.array([lat for _, lat, _ in places])
        self._lon = np.array([lon for _, _, lon in places])
        self._within_m = within_m

    def near(self, fix: Fix) -> str | None:
        """Return the name of the nearest place within reach, if any."""
        if not self._names:
            return None
        away_m = haversine_m(self._lat, self._lon, fix.lat, fix.lon)
        best = int(away_m.argmin())
        return self._names[best] if away_m[best] <= self._within_m else None


def trip_values(trip: Trip) -> dict[str, Any]:
    """Return the columns of a trip's row that follow from the fixes alone, with their digest."""
    values: dict[str, Any] = {
        "start_at": trip.start_at,
        "end_at": trip.end_at,
        "gps_m": round(trip.distance.gps_m, 1),
        "odometer_m": None if trip.distance.odometer_m is None else round(trip.distance.odometer_m, 1),
        "speed_m": None if trip.distance.speed_m is None else round(trip.distance.speed_m, 1),
        "best_m": round(trip.distance.best_m, 1),
        "best_source": trip.distance.best_source,
        "error_m": round(trip.distance.error_m, 1),
        "coverage": round(min(1.0, trip.coverage), 4),
        "points": len(trip.fixes),
        "max_speed_kmh": round(trip.max_speed_kmh, 1),
        "stops": [
            {"start": stop.start_at.isoformat(), "end": stop.end_at.isoformat(), "lat": round(stop.lat, 6),
             "lon": round(stop.lon, 6), "points": stop.points}
            for stop in trip.stops
        ],
        "gaps": [
            {"start": gap.start_at.isoformat(), "end": gap.end_at.isoformat(), "chord_m": round(gap.chord_m, 1)}
            for gap in trip.gaps
        ],
        "path": _path(trip.fixes),
    }  # fmt: skip
    values["content_digest"] = hashlib.sha256(f"{RULES_VERSION}{jsonable(values)}".encode()).hexdigest()
    return values


def _path(fixes: Sequence[Fix]) -> str:
    points = [f"{fix.lon:.6f} {fix.lat:.6f}" for fix in fixes]
    return f"SRID=4326;LINESTRING({', '.join(points if len(points) > 1 else points * 2)})"


def score_values(score: Score | None) -> dict[str, float | None]:
    """Return the parts of a score as columns."""
    names = {"score_time": "time", "score_dest": "dest", "score_orig": "orig", "score_driver": "driver",
             "score_events": "events", "score": "total"}  # fmt: skip
    return {column: None if score is None else round(getattr(score, part), 4) for column, part in names.items()}


POLICY_NAMES = {"ambiguous_margin": "clear_margin"}


def match_params(figures: Mapping[str, Decimal]) -> MatchParams:
    """Return the match parameters of the policy figures ``match.*``: minutes become seconds, names are the library's."""
    given: dict[str, float] = {}
    for code, figure in figures.items():
        name = code.removeprefix("match.")
        if name.endswith("_min"):
            given[name.removesuffix("_min") + "_s"] = float(figure) * 60
        else:
            given[POLICY_NAMES.get(name, name)] = float(figure)
    return MatchParams(**given)


def to_gpx(fixes: Sequence[Fix], *, name: str) -> str:
    """Return fixes as GPX 1.1."""
    return gpx.write_gpx(fixes, name=name)


QUIET = timedelta(hours=12)
"""Margin on both sides of a touched window: no vehicle drives that long without a standstill that cuts the trip."""
