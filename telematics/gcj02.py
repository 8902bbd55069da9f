"""WGS-84 <-> GCJ-02, the offset datum of Chinese map providers; used only at the edge (map tiles, bought POIs).

The offset is a published empirical series on the Krasovsky 1940 ellipsoid; it has no official text. Outside a
rectangle around China both functions return the point unchanged, as the map providers do.
"""

from math import atan2, cos, pi, sin, sqrt

SEMI_MAJOR_M = 6_378_245.0
ECCENTRICITY_2 = 0.006_693_421_622_965_943
LAT_RANGE = (0.8293, 55.8271)
LON_RANGE = (72.004, 137.8347)

# 1e-8 degrees is about 1 mm; the map contracts by some 1e-4 a round, so a few rounds suffice.
TOLERANCE_DEG = 1e-8
MAX_ROUNDS = 30
BD09_TURN = pi * 3000.0 / 180.0


def wgs84_to_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """GCJ-02 (lat, lon) of a WGS-84 point, degrees."""
    if not _in_china(lat, lon):
        return lat, lon
    dlat, dlon = _offset_deg(lat, lon)
    return lat + dlat, lon + dlon


def gcj02_to_wgs84(lat: float, lon: float) -> tuple[float, float]:
    """WGS-84 (lat, lon) of a GCJ-02 point, degrees, by fixed-point iteration to below 1 cm."""
    if not _in_china(lat, lon):
        return lat, lon
    wgs_lat, wgs_lon = lat, lon
    for _ in range(MAX_ROUNDS):
        dlat, dlon = _offset_deg(wgs_lat, wgs_lon)
        error_lat, error_lon = wgs_lat + dlat - lat, wgs_lon + dlon - lon
        wgs_lat, wgs_lon = wgs_lat - error_lat, wgs_lon - error_lon
        if max(abs(error_lat), abs(error_lon)) < TOLERANCE_DEG:
            break
    return wgs_lat, wgs_lon


def gcj02_to_bd09(lat: float, lon: float) -> tuple[float, float]:
    """BD-09 (lat, lon) of a GCJ-02 point, degrees: Baidu's own turn of the offset datum, in polar form."""
    radius = sqrt(lon * lon + lat * lat) + 0.00002 * sin(lat * BD09_TURN)
    angle = atan2(lat, lon) + 0.000003 * cos(lon * BD09_TURN)
    return radius * sin(angle) + 0.006, radius * cos(angle) + 0.0065


def bd09_to_gcj02(lat: float, lon: float) -> tuple[float, float]:
    """GCJ-02 (lat, lon) of a BD-09 point, degrees, to about 1 m: Baidu's published inverse is no exact one."""
    y, x = lat - 0.006, lon - 0.0065
    radius = sqrt(x * x + y * y) - 0.00002 * sin(y * BD09_TURN)
    angle = atan2(y, x) - 0.000003 * cos(x * BD09_TURN)
    return radius * sin(angle), radius * cos(angle)


def _in_china(lat: float, lon: float) -> bool:
    return LAT_RANGE[0] <= lat <= LAT_RANGE[1] and LON_RANGE[0] <= lon <= LON_RANGE[1]


def _offset_deg(lat: float, lon: float) -> tuple[float, float]:
    """Offset (dlat, dlon) in degrees at a WGS-84 point."""
    x, y = lon - 105.0, lat - 35.0
    common = (20.0 * sin(6.0 * pi * x) + 20.0 * sin(2.0 * pi * x)) * 2.0 / 3.0
    north_m = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + common
    north_m += (20.0 * sin(pi * y) + 40.0 * sin(pi * y / 3.0)) * 2.0 / 3.0
    north_m += (160.0 * sin(pi * y / 12.0) + 320.0 * sin(pi * y / 30.0)) * 2.0 / 3.0
    east_m = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + common
    east_m += (20.0 * sin(pi * x) + 40.0 * sin(pi * x / 3.0)) * 2.0 / 3.0
    east_m += (150.0 * sin(pi * x / 12.0) + 300.0 * sin(pi * x / 30.0)) * 2.0 / 3.0
    phi = lat * pi / 180.0
    w2 = 1.0 - ECCENTRICITY_2 * sin(phi) ** 2
    meridian_m = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_2) / (w2 * sqrt(w2))
    parallel_m = SEMI_MAJOR_M / sqrt(w2) * cos(phi)
    return north_m / meridian_m * 180.0 / pi, east_m / parallel_m * 180.0 / pi
