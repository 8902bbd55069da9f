"""Steps, displacement and stays of a track, fix by fix; ``telematics.motion`` says what they mean."""

from math import asin, pi, radians, sin, sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

RADIUS_M = 6_371_008.8
METRES_PER_DEGREE = RADIUS_M * pi / 180.0
RETRY_S = 15.0


@njit(cache=True, nogil=True)
def haversine_m(lat1: float, lon1: float, cos1: float, lat2: float, lon2: float, cos2: float) -> float:
    """Great-circle distance, the cosines of both latitudes given."""
    half_dphi = sin(radians(lat2 - lat1) / 2)
    half_dlambda = sin(radians(lon2 - lon1) / 2)
    chord = half_dphi * half_dphi + cos1 * cos2 * half_dlambda * half_dlambda
    return 2 * RADIUS_M * asin(sqrt(min(chord, 1.0)))


@njit(cache=True, nogil=True)
def steps_m(lat: Floats, lon: Floats) -> Floats:
    """Length ``(n - 1,)`` of the chords between neighbours."""
    n = len(lat)
    found = np.empty(max(n - 1, 0))
    cos = np.cos(np.radians(lat))
    for i in range(n - 1):
        found[i] = haversine_m(lat[i], lon[i], cos[i], lat[i + 1], lon[i + 1], cos[i + 1])
    return found


@njit(cache=True, nogil=True)
def moving(
    at_s: Floats,
    lat: Floats,
    lon: Floats,
    speed_kmh: Floats,
    least_m: Floats,
    unseen: Bools,
    window_s: float,
    pace_ms: float,
    moving_kmh: float,
) -> Bools:
    """Whether each fix moves: by its own speed, or displaced before and after over the window, at most to an unseen step."""
    n = len(at_s)
    found = np.empty(n, np.bool_)
    cos = np.cos(np.radians(lat))
    piece_end = np.empty(n, np.int64)
    for i in range(n - 1, -1, -1):
        piece_end[i] = i if i == n - 1 or unseen[i] else piece_end[i + 1]
    piece_start, behind, ahead = 0, -1, 0
    for i in range(n):
        if i > 0 and unseen[i - 1]:
            piece_start = i
        while behind + 1 < n and at_s[behind + 1] <= at_s[i] - window_s:
            behind += 1
        while ahead < n and at_s[ahead] < at_s[i] + window_s:
            ahead += 1
        if speed_kmh[i] >= moving_kmh:
            found[i] = True
            continue
        found[i] = False
        j = min(ahead, piece_end[i])
        after_m = haversine_m(lat[i], lon[i], cos[i], lat[j], lon[j], cos[j])
        if after_m < least_m[i] or after_m < pace_ms * abs(at_s[j] - at_s[i]):
            continue
        j = max(behind, piece_start)
        before_m = haversine_m(lat[i], lon[i], cos[i], lat[j], lon[j], cos[j])
        found[i] = before_m >= least_m[i] and before_m >= pace_ms * abs(at_s[j] - at_s[i])
    return found


@njit(cache=True, nogil=True)
def _away_m(lat: Floats, lon: Floats, cos: Floats, k: int, lat0: float, lon0: float) -> float:
    dx, dy = (lon[k] - lon0) * cos[k], lat[k] - lat0
    return METRES_PER_DEGREE * sqrt(dx * dx + dy * dy)


@njit(cache=True, nogil=True)
def _back_inside(
    at_s: Floats,
    lat: Floats,
    lon: Floats,
    cos: Floats,
    gap: Bools,
    standstill: Bools,
    out: int,
    lat0: float,
    lon0: float,
    radius_m: float,
    trip_m: float,
    trip_s: float,
    drift_m: float,
    drift_s: float,
) -> int:
    """First fix back inside after an excursion that begins at fix ``out``, -1 if it is a real move."""
    still = True
    k = out
    while True:
        away_m = _away_m(lat, lon, cos, k, lat0, lon0)
        if away_m <= radius_m:
            return k
        lasted_s = at_s[k] - at_s[out]
        still = still and standstill[k]
        short = away_m < trip_m and lasted_s < trip_s
        drift = still and away_m <= drift_m and lasted_s <= drift_s
        if gap[k] or not (short or drift):
            return -1
        k += 1


@njit(cache=True, nogil=True)
def stays(
    at_s: Floats,
    lat: Floats,
    lon: Floats,
    moved: Bools,
    gap: Bools,
    standstill: Bools,
    radius_m: float,
    stay_s: float,
    trip_m: float,
    trip_s: float,
    drift_m: float,
    drift_s: float,
) -> Indices:
    """(first, last) ``(m, 2)`` of the stays of ``motion.stays``, before creeping splits them.

    ``gap`` ``(n,)`` says that nothing is known of the step after a fix; it is true for the last one.
    """
    n = len(at_s)
    cos = np.cos(np.radians(lat))
    found = np.empty((n, 2), np.int64)
    m = 0
    i = 0
    while i < n:
        if moved[i]:
            i += 1
            continue
        lat0, lon0, count = lat[i], lon[i], 1
        last = i
        while not gap[last]:
            k = last + 1
            if _away_m(lat, lon, cos, k, lat0, lon0) > radius_m:
                k = _back_inside(
                    at_s, lat, lon, cos, gap, standstill, k, lat0, lon0, radius_m, trip_m, trip_s, drift_m, drift_s
                )
                if k < 0:
                    break
            if not moved[k]:
                count += 1
                lat0 += (lat[k] - lat0) / count
                lon0 += (lon[k] - lon0) / count
            last = k
        if at_s[last] - at_s[i] >= stay_s:
            mid_lat, mid_lon = np.median(lat[i : last + 1]), np.median(lon[i : last + 1])
            floor = found[m - 1, 1] + 1 if m else 0
            first = i
            while (
                first > floor
                and not gap[first - 1]
                and not moved[first - 1]
                and _away_m(lat, lon, cos, first - 1, mid_lat, mid_lon) <= radius_m
            ):
                first -= 1
            while moved[last]:
                last -= 1
            if at_s[last] - at_s[first] >= stay_s:
                found[m, 0], found[m, 1] = first, last
                m += 1
                i = last + 1
                continue
        # Dense tracks need not be tried at every fix: the start is found again backwards.
        retry_at_s = at_s[i] + RETRY_S
        while i < n and at_s[i] < retry_at_s:
            i += 1
    return found[:m].copy()


@njit(cache=True, nogil=True)
def centre(lat: Floats, lon: Floats) -> tuple[float, float]:
    """Medians of both."""
    return np.median(lat), np.median(lon)
