"""Distance along a track with a hold against jitter; ``telematics.mileage`` says what the figures mean."""

from math import sqrt

import numpy as np
import numpy.typing as npt
from numba import njit

from telematics.kernels.moves import METRES_PER_DEGREE, haversine_m

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@njit(cache=True, nogil=True)
def along(
    at_s: Floats,
    lat: Floats,
    lon: Floats,
    speed_kmh: Floats,
    block_s: float,
    gap_s: float,
    still_kmh: float,
    hold_m: float,
    hold_still_m: float,
) -> tuple[Floats, float]:
    """Distance driven up to each fix ``(n,)``, and how much of it is lost when every second counted fix is left out.

    Fixes of one block are averaged. A block is counted when it is ``hold`` away from the last counted one; nothing is
    counted over a step longer than ``gap_s``.
    """
    n = len(at_s)
    found = np.empty(n)
    total, loss = 0.0, 0.0
    # The last counted block and, for the loss, the two counted before it in the same piece.
    anchor_lat, anchor_lon, anchor_cos = 0.0, 0.0, 0.0
    before_lat, before_lon, before_cos, chord_before = 0.0, 0.0, 0.0, 0.0
    counted = 0
    was_still, was_at_s = True, 0.0
    first = 0
    while first < n:
        slot = np.floor((at_s[first] - at_s[0]) / block_s)
        sum_s, sum_lat, sum_lon, still = 0.0, 0.0, 0.0, True
        last = first
        while last < n and np.floor((at_s[last] - at_s[0]) / block_s) == slot:
            sum_s += at_s[last]
            sum_lat += lat[last]
            sum_lon += lon[last]
            still = still and speed_kmh[last] < still_kmh
            last += 1
        count = last - first
        mean_s, mean_lat, mean_lon = sum_s / count, sum_lat / count, sum_lon / count
        cos = np.cos(np.radians(mean_lat))
        if first == 0 or mean_s - was_at_s > gap_s:
            anchor_lat, anchor_lon, anchor_cos = mean_lat, mean_lon, cos
            counted = 1
        else:
            # Equirectangular with the mean of both cosines: a few 1e-6 off over one step, and fast.
            dx = (mean_lon - anchor_lon) * (cos + anchor_cos) / 2
            dy = mean_lat - anchor_lat
            step_m = METRES_PER_DEGREE * sqrt(dx * dx + dy * dy)
            # Still at both ends of the step: a vehicle that has crept up and stopped has moved.
            if step_m >= (hold_still_m if still and was_still else hold_m):
                total += step_m
                chord = haversine_m(anchor_lat, anchor_lon, anchor_cos, mean_lat, mean_lon, cos)
                if counted > 1:
                    double = haversine_m(before_lat, before_lon, before_cos, mean_lat, mean_lon, cos)
                    loss += chord_before + chord - double
                before_lat, before_lon, before_cos, chord_before = anchor_lat, anchor_lon, anchor_cos, chord
                anchor_lat, anchor_lon, anchor_cos = mean_lat, mean_lon, cos
                counted += 1
        for k in range(first, last):
            found[k] = total
        was_still, was_at_s = still, mean_s
        first = last
    return found, loss / 2
