"""Fixes and order windows in, trips and matches out: the only door to the GPS library here."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import shapely
import structlog
from sqlalchemy.orm import Session

from fleetapp.duty.queries import OrderOfVehicle
from fleetapp.kit.jsonable import jsonable
from fleetapp.places import areas
from fleetapp.trips.roads import MatchedDistance, Roads
from telematics import gpx, mileage, store
from telematics import match as matching
from telematics.geo import METRES_PER_DEGREE, distance_m, haversine_m
from telematics.match import MatchParams
from telematics.model import Fix, Match, MatchKind, OrderWindow, Place, Rejection, Score, Trip
from telematics.segment import segment_track
from telematics.store import Touched
from telematics.track import Floats, Track, columns

__all__ = ["Fix", "Match", "MatchKind", "MatchParams", "Score", "Touched", "Trip"]

log = structlog.get_logger()

RULES_VERSION = "2026.11"


def driver_connection(session: Session) -> Any:
    """Return the psycopg connection of this transaction."""
    return session.connection().connection.driver_connection


def read_touched(session: Session, *, limit: int) -> list[Touched]:
    """Return windows with new fixes, longest waiting first."""
    return store.read_touched(driver_connection(session), limit)


def clear_touched(session: Session, *, done: Iterable[Touched]) -> int:
    """Remove processed windows that were not touched again meanwhile."""
    return store.clear_touched(driver_connection(session), done)


@dataclass(frozen=True, slots=True)
class Found:
    """Trips of a track and when its usable fixes were made, POSIX seconds in order."""

    trips: tuple[Trip, ...]
    usable_s: Floats

    def usable_before(self, at: datetime) -> datetime | None:
        """Return when the last usable fix before a moment was made, if there is one."""
        k = int(np.searchsorted(self.usable_s, at.timestamp(), side="left"))
        return datetime.fromtimestamp(self.usable_s[k - 1], UTC) if k else None

    def usable_after(self, at: datetime) -> datetime | None:
        """Return when the first usable fix after a moment was made, if there is one."""
        k = int(np.searchsorted(self.usable_s, at.timestamp(), side="right"))
        return datetime.fromtimestamp(self.usable_s[k], UTC) if k < len(self.usable_s) else None


def derive(track: Track, *, parking: shapely.Polygon | None, boundaries: Sequence[datetime], now: datetime) -> Found:
    """Return the trips of one vehicle's track; ``boundaries`` are the check-outs and check-ins that end a trip."""
    places = areas.outside_of(parking) if parking is not None else None
    found = segment_track(track, boundaries=sorted(boundaries), places=places, now=now)
    # A repetition of a second is no evidence against the first fix of that second.
    refused = [one.fix.at.timestamp() for one in found.rejected if one.reason != Rejection.DUPLICATE]
    return Found(found.trips, np.setdiff1d(track.at_s, refused))


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
    track = columns(trip.fixes)
    inside = track.kept((track.at_s >= start.timestamp()) & (track.at_s <= end.timestamp()))
    return mileage.measure_track(inside).best_m if len(inside) > 1 else 0.0


def matched_distance(trip: Trip, *, roads: Roads) -> MatchedDistance:
    """Return a trip's length along the road network; without an engine or an answer, an estimate that says so."""
    track = columns(trip.fixes)
    return roads.match(track.at_s, track.lat, track.lon, gps_m=trip.distance.gps_m)


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
        "path": _path(columns(trip.fixes)),
    }  # fmt: skip
    values["content_digest"] = hashlib.sha256(f"{RULES_VERSION}{jsonable(values)}".encode()).hexdigest()
    return values


def _path(track: Track) -> str:
    points = [f"{lon:.6f} {lat:.6f}" for lat, lon in zip(track.lat.tolist(), track.lon.tolist(), strict=True)]
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


def metres_between(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Return the great-circle distance of two WGS-84 positions."""
    return distance_m(lat1, lon1, lat2, lon2)


def distance_method() -> dict[str, float]:
    """Return the figures of ``mileage`` by which ``gps_m`` can be computed again from a trip's fixes."""
    params = mileage.DEFAULT
    names = ("block_s", "hold_m", "hold_still_m", "still_kmh", "gap_s")
    return {"metres_per_degree": METRES_PER_DEGREE, **{name: getattr(params, name) for name in names}}


QUIET = timedelta(hours=12)
"""What is read on both sides of a touched window."""
EDGE = timedelta(hours=3)
"""What must have been read on both sides of a trip: twelve times the standstill that cuts one."""
SILENCE = timedelta(days=31)
"""How far away the fix before or after a window is looked for: what lies between is a GAP of the trips on both sides."""
