"""Where a cleaned track moves, stays and falls silent: the evidence from which ``segment`` makes trips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from math import hypot, isfinite

import numpy as np

from telematics.clean import CleanParams
from telematics.geo import METRES_PER_DEGREE, haversine_m
from telematics.mileage import MileageParams
from telematics.model import Place
from telematics.track import Bools, Floats, Track

Span = tuple[int, int]
"""Fixes ``first`` to ``last`` of a track, both included."""

PlaceTest = Callable[[Floats, Floats], Floats]
"""Of (lat, lon), each ``(n,)``: metres outside the nearest designated place, zero or less inside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentParams:
    """Figures of segmentation (rule catalogue, primitives P2, P3, P4, P9; GAP length and distances in ``mileage``).

    Moving is ``moving_kmh`` reported or ``pace_m_per_min`` of displacement (P2), seen over ``pace_window_s`` or one
    step, whichever is longer. A trip is cut by ``cut_s`` of standing and is none below ``min_trip_m`` and
    ``min_trip_s`` (P3). A stay is ``stay_s`` within ``stay_radius_m`` (P4). A silence longer than a GAP is a stop if
    both ends lie within ``same_place_m``, the reach of an underground car park and of a receiver's first fixes after
    it, unless the odometer gained ``silent_odometer_m`` more than the chord. ``drift_m`` (F-05's 500 m) bounds the
    excursions of a vehicle whose own speed says it stands. A designated place is entered within ``place_buffer_m``,
    left ``place_hysteresis_m`` further out, and takes ``place_points`` fixes (P9).
    """

    moving_kmh: float = 5.0
    pace_m_per_min: float = 50.0
    pace_window_s: float = 30.0
    cut_s: float = 900.0
    min_trip_m: float = 200.0
    min_trip_s: float = 60.0
    stay_radius_m: float = 80.0
    stay_s: float = 300.0
    drift_m: float = 500.0
    drift_s: float = 600.0
    same_place_m: float = 300.0
    silent_odometer_m: float = 1_000.0
    place_buffer_m: float = 50.0
    place_hysteresis_m: float = 30.0
    place_points: int = 3
    coverage_step_s: float = 60.0
    clean: CleanParams = field(default_factory=CleanParams)
    mileage: MileageParams = field(default_factory=MileageParams)

    def __post_init__(self) -> None:
        """Refuse figures that cannot be meant."""
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, int | float) and not (isfinite(value) and value > 0):
                raise ValueError(f"SegmentParams.{item.name} must be a positive number, not {value!r}.")
        if self.cut_s < self.stay_s:
            raise ValueError(f"SegmentParams.cut_s ({self.cut_s:g}) must not be below stay_s ({self.stay_s:g}).")


def outside_places(places: Sequence[Place]) -> PlaceTest:
    """Test for round designated places: metres outside the nearest one's tolerance."""

    def outside_m(lat: Floats, lon: Floats) -> Floats:
        nearest = np.full(lat.shape, np.inf)
        for place in places:
            nearest = np.minimum(nearest, haversine_m(lat, lon, place.lat, place.lon) - place.tolerance_m)
        return nearest

    return outside_m


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """Evidence of movement on a track of n fixes.

    ``fix`` ``(n,)`` and ``step`` ``(n - 1,)`` say where it moves; ``creeping`` ``(n - 1,)`` are the steps beyond
    jitter for which the terminal's own speed, walking pace or more, accounts at least by half: two independent
    witnesses, so even a slow one is movement, and it interrupts a stay. ``step_m`` and ``step_s`` are the steps' chords and
    times, ``pace_kmh`` ``(n,)`` the speed by displacement over the window after each fix. Where ``gap`` ``(n - 1,)``
    is true nothing is known of the step, where ``silent_stop`` is true it was a long silence at one place.
    """

    fix: Bools
    step: Bools
    creeping: Bools
    step_m: Floats
    step_s: Floats
    pace_kmh: Floats
    gap: Bools
    silent_stop: Bools


def motion(track: Track, params: SegmentParams) -> Motion:
    """Classify every fix and step of a cleaned track (at least one fix)."""
    step_m = haversine_m(track.lat[:-1], track.lon[:-1], track.lat[1:], track.lon[1:])
    step_s = np.diff(track.at_s)
    silent = step_s > params.mileage.gap_s
    odometer_gain_m = np.nan_to_num(np.diff(track.odometer_m), nan=0.0)
    driven_unseen = odometer_gain_m > step_m + params.silent_odometer_m
    silent_stop = silent & (step_m <= params.same_place_m) & ~driven_unseen
    teleport = step_m > params.clean.slack_m + step_s * params.clean.max_implied_kmh / 3.6
    gap = (silent & ~silent_stop) | teleport

    unseen = gap | silent_stop
    after_m, after_s = _displacement(track, unseen, params, forward=True)
    before_m, before_s = _displacement(track, unseen, params, forward=False)
    pace_ms = params.pace_m_per_min / 60.0
    # With the ignition off only a real change of place counts: the vehicle is being towed or ferried.
    least_m = np.where(track.acc == 0, params.min_trip_m, pace_ms * params.pace_window_s)
    # Both sides: the fix where a vehicle arrives has moved before but not after.
    displaced = (np.minimum(after_m, before_m) >= least_m) & (after_m >= pace_ms * after_s)
    displaced &= before_m >= pace_ms * before_s
    fix = (track.speed_kmh >= params.moving_kmh) | displaced
    step = (fix[:-1] & fix[1:]) | ((fix[:-1] | fix[1:]) & (step_m > params.mileage.hold_m))
    step |= (step_m > params.min_trip_m) & (step_m >= pace_ms * step_s)
    own_m = step_s * (track.speed_kmh[:-1] + track.speed_kmh[1:]) / 7.2
    # A receiver's drift shows 1 or 2 km/h too; the pace of P2 is 3 km/h.
    own_pace = np.maximum(track.speed_kmh[:-1], track.speed_kmh[1:]) >= pace_ms * 3.6 - 0.01
    creeping = (step_m > params.mileage.hold_m) & (own_m >= step_m / 2) & own_pace & (track.acc[1:] != 0) & ~unseen
    pace_kmh = np.divide(after_m * 3.6, after_s, out=np.zeros_like(after_m), where=after_s > 0)
    return Motion(fix, (step & ~unseen) | creeping, creeping, step_m, step_s, pace_kmh, gap, silent_stop)


def _displacement(track: Track, unseen: Bools, params: SegmentParams, *, forward: bool) -> tuple[Floats, Floats]:
    """Distance and time ``(n,)`` from each fix to the one a window later or earlier, at most to the next unseen step."""
    here = np.arange(len(track))
    breaks = np.flatnonzero(unseen)
    if forward:
        there = np.searchsorted(track.at_s, track.at_s + params.pace_window_s, side="left")
        there = np.minimum(there, np.append(breaks, len(track) - 1)[np.searchsorted(breaks, here, side="left")])
    else:
        there = np.searchsorted(track.at_s, track.at_s - params.pace_window_s, side="right") - 1
        there = np.maximum(there, np.append(0, breaks + 1)[np.searchsorted(breaks + 1, here, side="right")])
    distance_m = haversine_m(track.lat, track.lon, track.lat[there], track.lon[there])
    return distance_m, np.abs(track.at_s[there] - track.at_s)


def stays(track: Track, moved: Motion, params: SegmentParams) -> list[Span]:
    """Maximal stays of at least ``stay_s`` within ``stay_radius_m`` of their own centre, in time order, disjoint.

    Only a standing fix opens a stay, and it ends at a standing fix. The centre is the running mean of the standing
    fixes, so that a vehicle creeping along drags it only slowly. Excursions that are no movement are part of the
    stay: shorter than ``min_trip_m`` and ``min_trip_s``, or with the vehicle's own speed at standstill throughout.
    Creeping interrupts it. Long silences at one place are stays by themselves and join those they touch.
    """
    scan = _Scan(track, moved, params)
    found: list[Span] = []
    i, n = 0, len(track)
    while i < n:
        if scan.moving[i]:
            i += 1
            continue
        last = scan.last_inside(i)
        if scan.at_s[last] - scan.at_s[i] >= params.stay_s:
            first = scan.extended_back(i, last, found[-1][1] + 1 if found else 0)
            while scan.moving[last]:
                last -= 1
            if scan.at_s[last] - scan.at_s[first] >= params.stay_s:
                found.append((first, last))
                i = last + 1
                continue
        # Dense tracks need not be tried at every fix: the start is found again backwards.
        retry_at_s = scan.at_s[i] + 15.0
        while i < n and scan.at_s[i] < retry_at_s:
            i += 1
    found = [piece for span in found for piece in _split(span, moved.creeping, track.at_s, params.stay_s)]
    silent = [(int(k), int(k) + 1) for k in np.flatnonzero(moved.silent_stop)]
    return joined([*found, *silent])


def _split(span: Span, creeping: Bools, at_s: Floats, stay_s: float) -> list[Span]:
    first, last = span
    steps = first + np.flatnonzero(creeping[first:last])
    pieces = zip([first, *(steps + 1).tolist()], [*steps.tolist(), last], strict=True)
    return [(i, j) for i, j in pieces if at_s[j] - at_s[i] >= stay_s]


class _Scan:
    """The track as plain lists: scalar access is what the stay search does, and lists are quicker at it."""

    def __init__(self, track: Track, moved: Motion, params: SegmentParams) -> None:
        self.params = params
        self.at_s: list[float] = track.at_s.tolist()
        self.lat: list[float] = track.lat.tolist()
        self.lon: list[float] = track.lon.tolist()
        self.cos_lat: list[float] = np.cos(np.radians(track.lat)).tolist()
        self.moving: list[bool] = moved.fix.tolist()
        self.gap: list[bool] = [*moved.gap.tolist(), True]
        self.own_standstill: list[bool] = (track.speed_kmh < params.moving_kmh).tolist()

    def distance_m(self, k: int, lat: float, lon: float) -> float:
        return METRES_PER_DEGREE * hypot(self.lat[k] - lat, (self.lon[k] - lon) * self.cos_lat[k])

    def last_inside(self, i: int) -> int:
        """Last fix of the stay that opens at fix ``i``."""
        lat, lon, count = self.lat[i], self.lon[i], 1
        last = i
        while not self.gap[last]:
            k = last + 1
            if self.distance_m(k, lat, lon) > self.params.stay_radius_m:
                back = self.back_inside(k, lat, lon)
                if back is None:
                    break
                k = back
            if not self.moving[k]:
                count += 1
                lat += (self.lat[k] - lat) / count
                lon += (self.lon[k] - lon) / count
            last = k
        return last

    def back_inside(self, out: int, lat: float, lon: float) -> int | None:
        """First fix back inside after an excursion that begins at fix ``out``, ``None`` if it is a real move."""
        params = self.params
        standstill = True
        k = out
        while True:
            away_m = self.distance_m(k, lat, lon)
            if away_m <= params.stay_radius_m:
                return k
            lasted_s = self.at_s[k] - self.at_s[out]
            standstill = standstill and self.own_standstill[k]
            short = away_m < params.min_trip_m and lasted_s < params.min_trip_s
            drift = standstill and away_m <= params.drift_m and lasted_s <= params.drift_s
            if self.gap[k] or not (short or drift):
                return None
            k += 1

    def extended_back(self, i: int, last: int, floor: int) -> int:
        """First standing fix of the stay, looking back from where the search happened to meet it."""
        lat, lon = float(np.median(self.lat[i : last + 1])), float(np.median(self.lon[i : last + 1]))
        while (
            i > floor
            and not self.gap[i - 1]
            and not self.moving[i - 1]
            and self.distance_m(i - 1, lat, lon) <= self.params.stay_radius_m
        ):
            i -= 1
        return i


def place_stays(track: Track, moved: Motion, at_place: PlaceTest, params: SegmentParams) -> list[Span]:
    """Returns to a designated place: from the first fix inside to the last before leaving, with hysteresis.

    A visit counts with ``place_points`` fixes of which one stands, so that driving past is no return.
    """
    outside_m = at_place(track.lat, track.lon).tolist()
    moving, gap = moved.fix.tolist(), moved.gap.tolist()
    visits: list[Span] = []
    first: int | None = None
    for k, metres in enumerate(outside_m):
        if first is not None and (metres > params.place_buffer_m + params.place_hysteresis_m or gap[k - 1]):
            visits.append((first, k - 1))
            first = None
        if first is None and metres <= params.place_buffer_m:
            first = k
    if first is not None:
        visits.append((first, len(outside_m) - 1))
    return [(i, j) for i, j in visits if j - i + 1 >= params.place_points and not all(moving[i : j + 1])]


def joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those that share a fix made one."""
    result: list[Span] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1]:
            result[-1] = result[-1][0], max(last, result[-1][1])
        else:
            result.append((first, last))
    return result
