"""Distances and the datum of map apps."""

from shapely import Point
from shapely.geometry.base import BaseGeometry

from telematics.gcj02 import gcj02_to_bd09, wgs84_to_gcj02
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


def baidu_point(lat: float, lon: float) -> tuple[float, float]:
    """Return a WGS-84 position in Baidu's datum (BD-09), five decimals."""
    shifted_lat, shifted_lon = gcj02_to_bd09(*wgs84_to_gcj02(lat, lon))
    return round(shifted_lat, 5), round(shifted_lon, 5)


def metres(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Return the distance of two WGS-84 positions."""
    return float(haversine_m(lat, lon, other_lat, other_lon))
