"""The way an order's trips were to take: over the approved stops that each came by, along the roads between them. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import numpy as np
import shapely

from fleetapp.findings.inputs import OrderFacts
from fleetapp.findings.known import Known, Trip
from fleetapp.places.roads import METRES_PER_DEGREE, LonLat, distance_m

STILL = timedelta(minutes=15)
"""A trip whose last fix is younger may go on."""
NEXT_DOOR_M = 50.0
"""Places so near to each other have no route between them."""


def finished(known: Known, order: OrderFacts) -> list[Trip]:
    """Return the trips of an order that is over, nothing for one that may go on or whose trips are read as history."""
    trips = known.trips_of(order.order_id)
    if len(order.stops) < 2 or not all(trip.path[0] for trip in trips) or not known.holds(order.start_at):
        return []
    if order.end_at > known.now or any(known.now - trip.end_at < STILL for trip in trips):
        return []
    return trips


def pairs(trips: Sequence[Trip], order: OrderFacts) -> list[tuple[LonLat, LonLat]]:
    """Return what lies between two neighbouring places of the ways, in order."""
    legs = [leg for trip in trips for leg in pairwise(_places(trip, order))]
    return [(a, b) for a, b in legs if distance_m(a, b) > NEXT_DOOR_M]


def _places(trip: Trip, order: OrderFacts) -> list[LonLat]:
    """Return where a trip began, the approved stops it came by in the order it did, and where it ended.

    A vehicle may go home between bringing people and fetching them: each of its trips has a way of its own.
    """
    lats, lons = np.array(trip.path[0]), np.array(trip.path[1])
    scale = np.array([np.cos(np.radians(float(lats.mean()))), 1.0]) * METRES_PER_DEGREE
    line = shapely.linestrings(np.stack((lons, lats), axis=1) * scale) if len(lats) > 1 else None
    came_by: list[tuple[float, LonLat]] = []
    for stop in order.stops:
        point = shapely.points(stop.lon * scale[0], stop.lat * scale[1])
        if line is not None and shapely.distance(line, point) <= stop.tolerance_m:
            came_by.append((float(shapely.line_locate_point(line, point)), (round(stop.lon, 4), round(stop.lat, 4))))
    ends = [(round(float(lons[end]), 4), round(float(lats[end]), 4)) for end in (0, -1)]
    return [ends[0], *(place for _, place in sorted(came_by)), ends[1]]
