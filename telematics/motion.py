"""Where a cleaned track moves, stays and falls silent: the evidence from which ``segment`` makes trips."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from itertools import groupby
from math import isfinite

import numpy as np

from telematics.clean import CleanParams
from telematics.geo import haversine_m
from telematics.kernels import moves as kernels
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
    times. Where ``gap`` ``(n - 1,)`` is true nothing is known of the step, where ``silent_stop`` is true it was a long
    silence at one place.
    """

    fix: Bools
    step: Bools
    creeping: Bools
    step_m: Floats
    step_s: Floats
    gap: Bools
    silent_stop: Bools


def motion(track: Track, params: SegmentParams) -> Motion:
    """Classify every fix and step of a cleaned track (at least one fix)."""
    step_m = kernels.steps_m(track.lat, track.lon)
    step_s = np.diff(track.at_s)
    silent = step_s > params.mileage.gap_s
    odometer_gain_m = np.nan_to_num(np.diff(track.odometer_m), nan=0.0)
    driven_unseen = odometer_gain_m > step_m + params.silent_odometer_m
    silent_stop = silent & (step_m <= params.same_place_m) & ~driven_unseen
    teleport = step_m > params.clean.slack_m + step_s * params.clean.max_implied_kmh / 3.6
    gap = (silent & ~silent_stop) | teleport

    unseen = gap | silent_stop
    pace_ms = params.pace_m_per_min / 60.0
    # With the ignition off only a real change of place counts: the vehicle is being towed or ferried.
    least_m = np.where(track.acc == 0, params.min_trip_m, pace_ms * params.pace_window_s)
    # Both sides: the fix where a vehicle arrives has moved before but not after.
    fix = kernels.moving(
        track.at_s, track.lat, track.lon, track.speed_kmh, least_m, unseen, params.pace_window_s, pace_ms, params.moving_kmh
    )  # fmt: skip
    step = (fix[:-1] & fix[1:]) | ((fix[:-1] | fix[1:]) & (step_m > params.mileage.hold_m))
    step |= (step_m > params.min_trip_m) & (step_m >= pace_ms * step_s)
    own_m = step_s * (track.speed_kmh[:-1] + track.speed_kmh[1:]) / 7.2
    # A receiver's drift shows 1 or 2 km/h too; the pace of P2 is 3 km/h.
    own_pace = np.maximum(track.speed_kmh[:-1], track.speed_kmh[1:]) >= pace_ms * 3.6 - 0.01
    creeping = (step_m > params.mileage.hold_m) & (own_m >= step_m / 2) & own_pace & (track.acc[1:] != 0) & ~unseen
    return Motion(fix, (step & ~unseen) | creeping, creeping, step_m, step_s, gap, silent_stop)


def pace_kmh(track: Track, moved: Motion, params: SegmentParams) -> Floats:
    """Speed ``(n,)`` by displacement over the window after each fix, at most to the next step nothing is known of."""
    breaks = np.flatnonzero(moved.gap | moved.silent_stop)
    there = np.searchsorted(track.at_s, track.at_s + params.pace_window_s, side="left")
    next_break = np.append(breaks, len(track) - 1)[np.searchsorted(breaks, np.arange(len(track)), side="left")]
    there = np.minimum(there, next_break)
    after_m = haversine_m(track.lat, track.lon, track.lat[there], track.lon[there])
    after_s = track.at_s[there] - track.at_s
    pace: Floats = np.divide(after_m * 3.6, after_s, out=np.zeros_like(after_m), where=after_s > 0)
    return pace


def stays(track: Track, moved: Motion, params: SegmentParams) -> list[Span]:
    """Maximal stays of at least ``stay_s`` within ``stay_radius_m`` of their own centre, in time order, disjoint.

    Only a standing fix opens a stay, and it ends at a standing fix. The centre is the running mean of the standing
    fixes, so that a vehicle creeping along drags it only slowly. Excursions that are no movement are part of the
    stay: shorter than ``min_trip_m`` and ``min_trip_s``, or with the vehicle's own speed at standstill throughout.
    Creeping interrupts it. Long silences at one place are stays by themselves and join those they touch.
    """
    found = kernels.stays(
        track.at_s, track.lat, track.lon, moved.fix, np.append(moved.gap, True), track.speed_kmh < params.moving_kmh,
        params.stay_radius_m, params.stay_s, params.min_trip_m, params.min_trip_s, params.drift_m, params.drift_s,
    )  # fmt: skip
    spans = [(int(first), int(last)) for first, last in found]
    pieces = [piece for span in spans for piece in _split(span, moved.creeping, track.at_s, params.stay_s)]
    silent = [(int(k), int(k) + 1) for k in np.flatnonzero(moved.silent_stop)]
    return joined([*pieces, *silent])


def _split(span: Span, creeping: Bools, at_s: Floats, stay_s: float) -> list[Span]:
    first, last = span
    steps = first + np.flatnonzero(creeping[first:last])
    pieces = zip([first, *(steps + 1).tolist()], [*steps.tolist(), last], strict=True)
    return [(i, j) for i, j in pieces if at_s[j] - at_s[i] >= stay_s]


def place_stays(track: Track, moved: Motion, at_place: PlaceTest, params: SegmentParams) -> list[Span]:
    """Returns to a designated place: from the first to the last time the vehicle rests inside, with hysteresis.

    A visit counts with ``place_points`` fixes of which one stands, so that driving past is no return. It rests where
    it stands for ``stay_s``, or as long as it ever does on a shorter visit: the way through the place, its gate and
    its traffic lights belong to the trip, for a street along the fence is inside the buffer too.
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
    spans = []
    for i, j in visits:
        if j - i + 1 >= params.place_points:
            spans += _rest(moving, track.at_s, i, j, params.stay_s)
    return spans


def _rest(moving: Sequence[bool], at_s: Floats, first: int, last: int, stay_s: float) -> list[Span]:
    """From where a visit first rests to where it last does; nothing if no fix of it stands."""
    runs = [list(run) for moves, run in groupby(range(first, last + 1), key=moving.__getitem__) if not moves]
    enough_s = min(stay_s, max((float(at_s[run[-1]] - at_s[run[0]]) for run in runs), default=0.0))
    resting = [run for run in runs if at_s[run[-1]] - at_s[run[0]] >= enough_s]
    return [(resting[0][0], resting[-1][-1])] if resting else []


def joined(spans: Sequence[Span]) -> list[Span]:
    """Spans in order, those that share a fix made one."""
    result: list[Span] = []
    for first, last in sorted(spans):
        if result and first <= result[-1][1]:
            result[-1] = result[-1][0], max(last, result[-1][1])
        else:
            result.append((first, last))
    return result
