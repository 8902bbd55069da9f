"""Distances and the datum of map apps."""

from shapely import Point
from shapely.geometry.base import BaseGeometry

from telematics.gcj02 import wgs84_to_gcj02
from telematics.geo import haversine_m


def distance_m(lat: float, lon: float, area: BaseGeometry) -> float:
    """Return metres from a position to the centre of an area, nothing if inside; all WGS-84."""
    if area.contains(Point(lon, lat)):
        return 0.0
    return float(haversine_m(lat, lon, area.centroid.y, area.centroid.x))


def map_app_point(lat: float, lon: float) -> tuple[float, float]:
    """Return a WGS-84 position in the datum of Chinese map apps (GCJ-02), five decimals."""
    shifted_lat, shifted_lon = wgs84_to_gcj02(lat, lon)
    return round(shifted_lat, 5), round(shifted_lon, 5)
