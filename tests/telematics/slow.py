"""Plain statements of what the compiled loops do, one fix after the other in lists: slow, and easy to check by eye."""

from itertools import pairwise
from math import cos, radians, sqrt

import numpy as np

from telematics.geo import METRES_PER_DEGREE, haversine_m
from telematics.mileage import MileageParams
from telematics.motion import SegmentParams


def moving(track, least_m, unseen, params: SegmentParams) -> list[bool]:
    """Fast by its own word, or far enough from where it was a window before and will be a window later."""
    pace_ms, found = params.pace_m_per_min / 60.0, []
    for i in range(len(track)):
        ahead = behind = i
        while ahead < len(track) - 1 and not unseen[ahead] and track.at_s[ahead] < track.at_s[i] + params.pace_window_s:
            ahead += 1
        while behind > 0 and not unseen[behind - 1] and track.at_s[behind] > track.at_s[i] - params.pace_window_s:
            behind -= 1
        # Several fixes of the end's own second: the last of them.
        while behind < i and not unseen[behind] and track.at_s[behind + 1] <= track.at_s[i] - params.pace_window_s:
            behind += 1
        displaced = all(
            (away_m := float(haversine_m(track.lat[i], track.lon[i], track.lat[j], track.lon[j]))) >= least_m[i]
            and away_m >= pace_ms * abs(track.at_s[j] - track.at_s[i])
            for j in (ahead, behind)
        )
        found.append(bool(track.speed_kmh[i] >= params.moving_kmh) or displaced)
    return found


def stays(track, moved, gap, params: SegmentParams) -> list[tuple[int, int]]:
    """Stays before creeping splits them; ``gap`` of n values, the last one true."""
    at_s, lat, lon = track.at_s.tolist(), track.lat.tolist(), track.lon.tolist()
    standstill = [speed < params.moving_kmh for speed in track.speed_kmh.tolist()]

    def away_m(k, centre):
        dx, dy = (lon[k] - centre[1]) * cos(radians(lat[k])), lat[k] - centre[0]
        return METRES_PER_DEGREE * sqrt(dx * dx + dy * dy)

    def back_inside(out, centre):
        for k in range(out, len(at_s)):
            if away_m(k, centre) <= params.stay_radius_m:
                return k
            lasted_s = at_s[k] - at_s[out]
            short = away_m(k, centre) < params.min_trip_m and lasted_s < params.min_trip_s
            drift = all(standstill[out : k + 1]) and away_m(k, centre) <= params.drift_m and lasted_s <= params.drift_s
            if gap[k] or not (short or drift):
                return None
        return None

    found, i = [], 0
    while i < len(at_s):
        if moved[i]:
            i += 1
            continue
        centre, count, last = (lat[i], lon[i]), 1, i
        while not gap[last]:
            k = last + 1
            if away_m(k, centre) > params.stay_radius_m and (k := back_inside(k, centre)) is None:
                break
            if not moved[k]:
                count += 1
                centre = centre[0] + (lat[k] - centre[0]) / count, centre[1] + (lon[k] - centre[1]) / count
            last = k
        if at_s[last] - at_s[i] >= params.stay_s:
            middle = float(np.median(lat[i : last + 1])), float(np.median(lon[i : last + 1]))
            first, floor = i, found[-1][1] + 1 if found else 0
            while (
                first > floor
                and not gap[first - 1]
                and not moved[first - 1]
                and away_m(first - 1, middle) <= params.stay_radius_m
            ):
                first -= 1
            while moved[last]:
                last -= 1
            if at_s[last] - at_s[first] >= params.stay_s:
                found.append((first, last))
                i = last + 1
                continue
        retry_at_s = at_s[i] + 15
        while i < len(at_s) and at_s[i] < retry_at_s:
            i += 1
    return found


def along(track, params: MileageParams) -> tuple[list[float], float]:
    """Distance up to each fix, and the loss by leaving out every second counted one."""
    slots: dict[float, list[int]] = {}
    for i, at_s in enumerate(track.at_s.tolist()):
        slots.setdefault((at_s - track.at_s[0]) // params.block_s, []).append(i)
    blocks = [
        (
            *(float(np.mean(column[inside])) for column in (track.at_s, track.lat, track.lon)),
            bool((track.speed_kmh[inside] < params.still_kmh).all()),
        )
        for inside in slots.values()
    ]
    reached, pieces = [0.0], [[blocks[0]]]
    for before, block in pairwise(blocks):
        step_m = 0.0
        if block[0] - before[0] > params.gap_s:
            pieces.append([block])
        else:
            anchor = pieces[-1][-1]
            dx = (block[2] - anchor[2]) * (cos(radians(block[1])) + cos(radians(anchor[1]))) / 2
            chord_m = METRES_PER_DEGREE * sqrt(dx * dx + (block[1] - anchor[1]) ** 2)
            if chord_m >= (params.hold_still_m if block[3] and before[3] else params.hold_m):
                step_m = chord_m
                pieces[-1].append(block)
        reached.append(reached[-1] + step_m)
    loss_m = sum(
        float(haversine_m(*a[1:3], *b[1:3]) + haversine_m(*b[1:3], *c[1:3]) - haversine_m(*a[1:3], *c[1:3]))
        for piece in pieces
        for a, b, c in zip(piece, piece[1:], piece[2:], strict=False)
    )
    return [metres for inside, metres in zip(slots.values(), reached, strict=True) for _ in inside], loss_m / 2
