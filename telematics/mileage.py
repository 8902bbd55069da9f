"""Distance of a piece of track by three independent methods, and which of them to believe."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import hypot, isfinite, sqrt

import numpy as np

from telematics.kernels.length import along
from telematics.model import Distance, Fix
from telematics.track import Floats, Track, columns


@dataclass(frozen=True, slots=True, kw_only=True)
class MileageParams:
    """Limits and error figures of distance measuring.

    ``hold_m`` is four standard deviations of a 5 m receiver: less is jitter until the vehicle is really elsewhere;
    ``hold_still_m`` applies while the terminal itself reports standing still. ``block_s`` averages denser fixes.
    ``gap_s`` is the GAP of rule catalogue P3, ``max_speed_step_s`` the longest step over which reported speed is
    integrated, ``max_kmh`` P1's implied speed. ``odometer_share`` and ``speed_share`` are relative standard errors
    of the two (tyre wear and pressure; 1 km/h resolution), ``gps_share`` the floor for positions.
    ``max_patched`` is the share of an odometer distance that may be filled in from positions.
    ``max_speed_median_s`` is the widest usual step at which sampled speed may be believed more than positions.
    ``rollovers_m`` are the ends of counters in use: 999,999.9 km and the 32-bit item 0x01 of JT/T 808-2019
    (table 27, 0.1 km).
    """

    hold_m: float = 20.0
    hold_still_m: float = 50.0
    still_kmh: float = 1.0
    block_s: float = 5.0
    gap_s: float = 600.0
    max_speed_step_s: float = 120.0
    max_kmh: float = 200.0
    gps_share: float = 0.005
    odometer_share: float = 0.02
    speed_share: float = 0.03
    clearly_better: float = 0.7
    max_patched: float = 0.10
    max_speed_median_s: float = 30.0
    rollovers_m: tuple[float, ...] = (1_000_000_000.0, 429_496_729_600.0)

    def __post_init__(self) -> None:
        """Refuse limits that cannot be meant."""
        for field in fields(self):
            value = getattr(self, field.name)
            for figure in value if isinstance(value, tuple) else (value,):
                if not (isfinite(figure) and figure > 0):
                    raise ValueError(f"MileageParams.{field.name} must be a positive number, not {value!r}.")


DEFAULT = MileageParams()


def measure(fixes: Sequence[Fix], *, params: MileageParams = DEFAULT) -> Distance:
    """Distance over clean fixes in time order; see ``measure_track``."""
    return measure_track(columns(fixes), params=params)


def measure_track(track: Track, *, params: MileageParams = DEFAULT) -> Distance:
    """Distance by every method and the best of them.

    Positions are the best by default, because every metre of them can be shown on a map; another method is better
    if its estimated standard error is below ``clearly_better`` of theirs. The errors are:

    * positions: chords cut corners, the more the sparser the fixes. The loss shows in the data: leaving out every
      second fix loses as much again on streets with corners (three times as much on smooth curves), so that further
      loss is the error, plus 10 m for the ends and a floor of 0.5 %;
    * odometer: 2 %, plus the rounding of its resolution at both ends. It counts wheel turns whatever the sampling,
      so it beats sparse positions and not dense ones;
    * speed integral: 3 % and the error of its trapezoids. It is not believed where steps are usually longer than
      30 s: a speed says nothing about the half minute next to it, while two positions are evidence of all that
      happened between them. Where it covers less than 90 % of the time it is not believed either.

    The last two must be plausible: not shorter than the chords (less 10 %) and not 35 % longer, else the counter or
    the sensor is wrong and its figure is reported but not believed.
    """
    along_m, loss_m = _along_gps(track, params)
    gps_m = float(along_m[-1]) if len(along_m) else 0.0
    gps_error_m = sqrt(loss_m**2 + 10.0**2 + (params.gps_share * gps_m) ** 2)
    odometer_m, odometer_error_m = _odometer(track, along_m, params)
    speed_m, speed_error_m = _speed(track, params)
    error_m, best_source, best_m = gps_error_m, "gps", gps_m
    for source, other_m, other_error_m in (
        ("odometer", odometer_m, odometer_error_m),
        ("speed", speed_m, speed_error_m),
    ):
        if other_m is None or not 0.90 * gps_m - 200 <= other_m <= 1.35 * gps_m + 500:
            continue
        if other_error_m < min(error_m, params.clearly_better * gps_error_m):
            error_m, best_source, best_m = other_error_m, source, other_m
    return Distance(gps_m, odometer_m, speed_m, best_m, best_source, error_m)


def gps_distance_m(track: Track, *, params: MileageParams = DEFAULT) -> float:
    """Distance by positions alone, metres."""
    along_m, _ = _along_gps(track, params)
    return float(along_m[-1]) if len(along_m) else 0.0


def _along_gps(track: Track, params: MileageParams) -> tuple[Floats, float]:
    """Distance driven up to each fix ``(n,)``, and the loss when every second counted fix is left out (mean of both ways).

    Fixes denser than ``block_s`` are averaged: their chords are as short as the noise and their sum is mostly noise.
    A fix is counted when it is ``hold_m`` away from the last counted one, so a standing vehicle's jitter adds nothing
    and nothing is lost either: the next counted chord starts where the last one ended. Steps over a GAP are left out.
    """
    return along(
        track.at_s, track.lat, track.lon, track.speed_kmh, params.block_s, params.gap_s, params.still_kmh, params.hold_m,
        params.hold_still_m,
    )  # fmt: skip


def _odometer(track: Track, along_m: Floats, params: MileageParams) -> tuple[float | None, float]:
    """Distance by the counter and its standard error; (None, 0) where the counter says nothing usable.

    A reading that goes back (reset, change of meter) or forward faster than a vehicle can drive (jump) makes that one
    step unusable; the distance by position stands in for it and for the ends without readings. Roll-over at a known
    counter end is added up. A counter with too much filled in, or one that never moves while the vehicle does, is no
    counter.
    """
    read = np.flatnonzero(np.isfinite(track.odometer_m))
    if len(read) < 2:
        return None, 0.0
    step_m = np.diff(track.odometer_m[read])
    along_step_m = np.diff(along_m[read])
    reach_m = np.diff(track.at_s[read]) * params.max_kmh / 3.6 + 1_000.0
    for rollover_m in params.rollovers_m:
        rolled = (step_m < 0) & (step_m + rollover_m >= 0) & (step_m + rollover_m <= reach_m)
        step_m = np.where(rolled, step_m + rollover_m, step_m)
    usable = (step_m >= 0) & (step_m <= reach_m)
    counted_m = float(step_m[usable].sum())
    ends_m = float(along_m[read[0]] + along_m[-1] - along_m[read[-1]])
    patched_m = float(along_step_m[~usable].sum()) + ends_m
    total_m = counted_m + patched_m
    stuck = counted_m == 0.0 and float(along_m[-1]) > 300.0
    if stuck or patched_m > params.max_patched * total_m + 100.0:
        return None, 0.0
    # Readings come in whole resolutions (100 m by the standard, 1 km in some vehicles): their common divisor.
    resolution_m = float(np.gcd.reduce(np.round(step_m[usable]).astype(np.int64), initial=0)) or 100.0
    return total_m, hypot(resolution_m / sqrt(6), params.odometer_share * total_m)


def _speed(track: Track, params: MileageParams) -> tuple[float | None, float]:
    """Trapezoid integral of reported speed and its standard error, infinite where it is not to be believed."""
    known = np.flatnonzero(np.isfinite(track.speed_kmh))
    if len(known) < 2:
        return None, 0.0
    step_s = np.diff(track.at_s[known])
    speed_ms = track.speed_kmh[known] / 3.6
    integrated = step_s <= params.max_speed_step_s
    total_m = float((step_s * (speed_ms[1:] + speed_ms[:-1]) / 2)[integrated].sum())
    moving_s = step_s[(speed_ms[1:] > 0) | (speed_ms[:-1] > 0)]
    covered_s, duration_s = float(step_s[integrated].sum()), float(track.at_s[-1] - track.at_s[0])
    too_sparse = len(moving_s) == 0 or float(np.median(moving_s)) > params.max_speed_median_s
    if too_sparse or covered_s < 0.9 * duration_s:
        return total_m, np.inf
    # Between two samples the speed may be anywhere between them: uniform, independent from step to step.
    trapezoid_m = (step_s * np.diff(speed_ms) / sqrt(12))[integrated]
    return total_m, hypot(float(np.sqrt((trapezoid_m**2).sum())), params.speed_share * total_m)
