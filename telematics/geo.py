"""Distances and bearings on WGS-84, vectorised; every function takes floats or arrays that broadcast together."""

from math import asin, cos, radians, sin, sqrt

import numpy as np
import numpy.typing as npt

Degrees = npt.ArrayLike
Metres = npt.NDArray[np.float64]

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius (2a + b) / 3 of the WGS-84 ellipsoid; at 30 degrees north the error is below 0.3 %."""

METRES_PER_DEGREE = EARTH_RADIUS_M * np.pi / 180.0


def haversine_m(lat1: Degrees, lon1: Degrees, lat2: Degrees, lon2: Degrees) -> Metres:
    """Great-circle distance in metres between points given in degrees."""
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    half_dphi = (phi2 - phi1) / 2
    half_dlambda = np.radians(np.subtract(lon2, lon1)) / 2
    chord = np.sin(half_dphi) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin(half_dlambda) ** 2
    return np.asarray(2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(chord, 1.0))), dtype=np.float64)


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """``haversine_m`` of two single points, ten times faster in loops than by way of arrays."""
    half_dphi, half_dlambda = radians(lat2 - lat1) / 2, radians(lon2 - lon1) / 2
    chord = sin(half_dphi) ** 2 + cos(radians(lat1)) * cos(radians(lat2)) * sin(half_dlambda) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(chord, 1.0)))


def bearing_deg(lat1: Degrees, lon1: Degrees, lat2: Degrees, lon2: Degrees) -> Metres:
    """Initial great-circle bearing from the first point to the second, degrees clockwise from north in [0, 360)."""
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    dlambda = np.radians(np.subtract(lon2, lon1))
    east = np.sin(dlambda) * np.cos(phi2)
    north = np.cos(phi1) * np.sin(phi2) - np.sin(phi1) * np.cos(phi2) * np.cos(dlambda)
    # A tiny negative angle rounds up to exactly 360 in the first remainder.
    return np.asarray(np.degrees(np.arctan2(east, north)) % 360.0 % 360.0, dtype=np.float64)


def local_xy_m(lat: Degrees, lon: Degrees, lat0: float, lon0: float) -> tuple[Metres, Metres]:
    """East and north metres from an origin (equirectangular); below 0.1 % error within 50 km of the origin."""
    x = np.subtract(lon, lon0) * METRES_PER_DEGREE * np.cos(np.radians(lat0))
    y = np.subtract(lat, lat0) * METRES_PER_DEGREE
    return np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)


def point_segment_m(lat: Degrees, lon: Degrees, start: tuple[float, float], end: tuple[float, float]) -> Metres:
    """Distance in metres from points to the segment between two (lat, lon), to its nearer end where it falls outside."""
    origin = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    px, py = local_xy_m(lat, lon, *origin)
    (ax, ay), (bx, by) = local_xy_m(*start, *origin), local_xy_m(*end, *origin)
    dx, dy = bx - ax, by - ay
    length2 = float(dx * dx + dy * dy)
    share = np.clip(((px - ax) * dx + (py - ay) * dy) / length2, 0.0, 1.0) if length2 > 0 else 0.0
    return np.asarray(np.hypot(px - ax - share * dx, py - ay - share * dy), dtype=np.float64)
