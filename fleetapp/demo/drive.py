"""Drives a terminal could have reported: speeds, lights, noise, odometer, and the faults that real data has."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from fleetapp.places.roads import METRES_PER_DEGREE, Route
from telematics.model import Fix

Floats = NDArray[np.float64]
LonLat = tuple[float, float]

LOCAL = ZoneInfo("Asia/Shanghai")
NIGHT = (22, 6)
STEP_M = 20.0
ACCELERATION_MS2 = 1.2
BRAKING_MS2 = 1.5
LIGHT_CHANCE = 0.35
LIGHT_WAIT_S = (5.0, 60.0)
CORNERS = ((60.0, 18.0), (35.0, 30.0), (15.0, 60.0))
"""Turn of at least so many degrees -> no faster than so many km/h; the first row that fits counts."""
CORNER_REPORT_DEG = 30.0
"""Default of the turning-angle report, JT/T 808-2019 parameter 0x0030 (拐点补传角度)."""
NOISE_M = 4.0
NOISE_MEMORY = 0.8
PARKED_NOISE_M = 1.5
ACC_BIT, FIXED_BIT = 0b01, 0b10
"""JT/T 808-2019 table 24, status bits 0 and 1."""
BLIND_TAIL_S = 60


@dataclass(frozen=True, slots=True)
class Quirks:
    """Faults of one drive, offsets in seconds from its start.

    ``gap_s``: nothing was stored or sent. ``blind_s``: sent later as a blind-area supplement. ``flicker_s``: ignition
    off for one second. ``basement``: the last minute and the stay after it are missing (no sky, no network).
    """

    gap_s: tuple[int, int] | None = None
    blind_s: tuple[int, int] | None = None
    flicker_s: int | None = None
    basement: bool = False


PLAIN = Quirks()


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the car is when: ``at_s`` (k,) never falls, ``gone_m`` (k,) from 0 to the route's length."""

    at_s: Floats
    gone_m: Floats
    corners_s: Floats

    @property
    def seconds(self) -> int:
        """Whole seconds from ignition to standstill."""
        return math.ceil(float(self.at_s[-1]))


def profile(route: Route, rng: Random, *, pace: float = 1.0) -> Profile:
    """Drive a route: limits times ``pace``, slow corners, some red lights, bounded acceleration and braking."""
    vertices_m = _along_m(route.points)
    length_m = float(vertices_m[-1])
    count = max(2, math.ceil(length_m / STEP_M) + 1)
    grid_m = np.linspace(0.0, length_m, count)
    step_m = grid_m[1] - grid_m[0]
    piece = np.clip(np.searchsorted(vertices_m, grid_m, side="right") - 1, 0, len(vertices_m) - 2)
    allowed = route.limits_kmh[piece] * pace * rng.uniform(0.9, 1.0) / 3.6
    nearest = np.minimum(np.rint(vertices_m / max(step_m, 1e-9)).astype(np.int64), count - 1)
    turns = _turns_deg(route.points)
    for angle_deg, limit_kmh in reversed(CORNERS):
        sharp = nearest[1:-1][turns >= angle_deg]
        allowed[sharp] = np.minimum(allowed[sharp], limit_kmh / 3.6)
    waits_s = {
        int(nearest[index]): rng.uniform(*LIGHT_WAIT_S)
        for index in np.flatnonzero(route.lights)
        if rng.random() < LIGHT_CHANCE and 0 < nearest[index] < count - 1
    }
    stops = [0, count - 1, *waits_s]
    allowed[stops] = 0.0
    speed_ms = _reachable(allowed, step_m)
    leg_s = step_m / np.maximum((speed_ms[:-1] + speed_ms[1:]) / 2, 1.0)
    at_s = np.concatenate(([0.0], np.cumsum(leg_s)))
    halts = np.array(sorted(waits_s), dtype=np.int64)
    pauses = np.array([waits_s[int(halt)] for halt in halts])
    delay = np.zeros(count)
    delay[halts] = pauses
    arrive_s = at_s + np.cumsum(delay) - delay
    corners = nearest[1:-1][turns >= CORNER_REPORT_DEG]
    return Profile(
        at_s=np.insert(arrive_s, halts + 1, arrive_s[halts] + pauses),
        gone_m=np.insert(grid_m, halts + 1, grid_m[halts]),
        corners_s=arrive_s[corners],
    )


def drive(
    route: Route,
    start_at: datetime,
    rng: Random,
    *,
    odometer_m: float = 0.0,
    sampling_s: int = 20,
    pace: float = 1.0,
    quirks: Quirks = PLAIN,
) -> list[Fix]:
    """Return the fixes of one drive, ignition on, from standstill at ``start_at`` to standstill at the end.

    A fix every ``sampling_s`` and at corners, whole seconds; the same ``rng`` state as for :func:`profile` gives the
    same drive. The odometer counts true metres and is reported in steps of 100 m (JT/T 808 item 0x01).
    """
    run = profile(route, rng, pace=pace)
    noise = np.random.default_rng(rng.getrandbits(64))
    ticks = np.unique(
        np.concatenate((np.arange(0, run.seconds, sampling_s), np.rint(run.corners_s), [run.seconds])).astype(np.int64)
    )
    ticks = ticks[ticks <= run.seconds]
    gone_m = np.interp(ticks, run.at_s, run.gone_m)
    ahead_m = np.interp(ticks + 0.5, run.at_s, run.gone_m)
    behind_m = np.interp(ticks - 0.5, run.at_s, run.gone_m)
    true_kmh = (ahead_m - behind_m) * 3.6
    true_kmh[[0, -1]] = 0.0
    lon, lat = _positions(route.points, gone_m)
    east_m, north_m = _wander(noise, len(ticks))
    lon = lon + east_m / (METRES_PER_DEGREE * math.cos(math.radians(float(lat[0]))))
    lat = lat + north_m / METRES_PER_DEGREE
    directions = _headings_deg(route.points)[
        np.clip(np.searchsorted(_along_m(route.points), gone_m, side="right") - 1, 0, len(route.points) - 2)
    ]
    speeds = np.where(true_kmh < 1.0, 0.0, np.maximum(0.0, true_kmh + noise.normal(0.0, 0.4, len(ticks))))
    satellites = noise.integers(9, 22, len(ticks))
    fixes = []
    for index, tick in enumerate(ticks.tolist()):
        if quirks.gap_s and quirks.gap_s[0] <= tick < quirks.gap_s[1]:
            continue
        if quirks.basement and tick > run.seconds - BLIND_TAIL_S:
            continue
        fixes.append(
            _fix(
                start_at + timedelta(seconds=tick),
                (float(lon[index]), float(lat[index])),
                speed_kmh=round(float(speeds[index]), 1),
                direction_deg=round(float(directions[index])) % 360,
                acc=True,
                odometer_m=odometer_m + float(gone_m[index]),
                satellites=int(satellites[index]),
                blind=quirks.blind_s is not None and quirks.blind_s[0] <= tick < quirks.blind_s[1],
            )
        )
    if quirks.flicker_s is not None:
        fixes = _flickered(fixes, start_at + timedelta(seconds=quirks.flicker_s))
    return fixes


def park(
    lonlat: LonLat,
    start_at: datetime,
    end_at: datetime,
    rng: Random,
    *,
    odometer_m: float = 0.0,
    every_s: int = 300,
    first_s: int = 5,
    night_silence: bool = False,
) -> list[Fix]:
    """Return heartbeats of a standing car with ignition off over ``[start_at, end_at)``, the first after ``first_s``.

    ``night_silence`` leaves out 22:00 to 06:00 local time, as a terminal does that sleeps to save the battery.
    """
    spread = PARKED_NOISE_M / METRES_PER_DEGREE
    fixes = []
    at = start_at + timedelta(seconds=first_s)
    while at < end_at:
        moved = (lonlat[0] + rng.gauss(0.0, spread), lonlat[1] + rng.gauss(0.0, spread))
        satellites = rng.randint(7, 18)
        if not (night_silence and is_night(at)):
            fixes.append(
                _fix(
                    at,
                    moved,
                    speed_kmh=0.0,
                    direction_deg=0,
                    acc=False,
                    odometer_m=odometer_m,
                    satellites=satellites,
                )
            )
        at += timedelta(seconds=every_s)
    return fixes


def is_night(at: datetime) -> bool:
    """Tell whether a moment lies between 22:00 and 06:00 local time."""
    hour = at.astimezone(LOCAL).hour
    return hour >= NIGHT[0] or hour < NIGHT[1]


def _fix(
    at: datetime,
    lonlat: LonLat,
    *,
    speed_kmh: float,
    direction_deg: int,
    acc: bool,
    odometer_m: float,
    satellites: int,
    blind: bool = False,
) -> Fix:
    return Fix(
        at=at,
        lat=round(lonlat[1], 6),
        lon=round(lonlat[0], 6),
        speed_kmh=speed_kmh,
        direction_deg=direction_deg,
        altitude_m=12,
        acc=acc,
        odometer_m=int(odometer_m // 100) * 100,
        status=FIXED_BIT | (ACC_BIT if acc else 0),
        blind=blind,
        items={"satellites": satellites, "signal": 20 + satellites // 2},
    )


def _flickered(fixes: list[Fix], at: datetime) -> list[Fix]:
    """Turn the ignition off for one second after the first fix from ``at`` on that leaves room before the next."""
    for index, (fix, following) in enumerate(pairwise(fixes)):
        if fix.at >= at and following.at - fix.at > timedelta(seconds=2):
            off = _again(fix, seconds=1, acc=False)
            on = _again(fix, seconds=2, acc=True)
            return [*fixes[: index + 1], off, on, *fixes[index + 1 :]]
    return fixes


def _again(fix: Fix, *, seconds: int, acc: bool) -> Fix:
    return _fix(
        fix.at + timedelta(seconds=seconds),
        (fix.lon, fix.lat),
        speed_kmh=fix.speed_kmh or 0.0,
        direction_deg=fix.direction_deg or 0,
        acc=acc,
        odometer_m=fix.odometer_m or 0,
        satellites=fix.items["satellites"],
        blind=fix.blind,
    )


def _reachable(allowed_ms: Floats, step_m: float) -> Floats:
    """Lower the speeds so that v^2 rises by at most 2 a ds and falls by at most 2 b ds from step to step."""
    ramp = np.arange(len(allowed_ms)) * 2 * step_m
    square = allowed_ms**2
    square = np.minimum.accumulate(square - ramp * ACCELERATION_MS2) + ramp * ACCELERATION_MS2
    back = (square - ramp[::-1] * BRAKING_MS2)[::-1]
    square = np.minimum.accumulate(back)[::-1] + ramp[::-1] * BRAKING_MS2
    return np.sqrt(np.maximum(square, 0.0))


def _along_m(points: Floats) -> Floats:
    """Distance from the start to every vertex, metres, (n,)."""
    east, north = _steps_m(points)
    return np.concatenate(([0.0], np.cumsum(np.hypot(east, north))))


def _steps_m(points: Floats) -> tuple[Floats, Floats]:
    middle = np.radians((points[1:, 1] + points[:-1, 1]) / 2)
    delta = np.diff(points, axis=0) * METRES_PER_DEGREE
    return delta[:, 0] * np.cos(middle), delta[:, 1]


def _headings_deg(points: Floats) -> Floats:
    east, north = _steps_m(points)
    return np.degrees(np.arctan2(east, north)) % 360.0


def _turns_deg(points: Floats) -> Floats:
    """Turn at every inner vertex, degrees without sign, (n - 2,)."""
    change = np.diff(_headings_deg(points))
    return np.abs((change + 180.0) % 360.0 - 180.0)


def _positions(points: Floats, gone_m: Floats) -> tuple[Floats, Floats]:
    along_m = _along_m(points)
    return np.interp(gone_m, along_m, points[:, 0]), np.interp(gone_m, along_m, points[:, 1])


def _wander(noise: np.random.Generator, count: int) -> tuple[Floats, Floats]:
    """Autocorrelated position error (first-order, standard deviation ``NOISE_M`` overall), metres east and north."""
    side_m = NOISE_M / math.sqrt(2)
    fresh = noise.normal(0.0, side_m * math.sqrt(1 - NOISE_MEMORY**2), (2, count)).tolist()
    error = []
    for axis in fresh:
        run = list(
            accumulate(axis[1:], lambda state, step: state * NOISE_MEMORY + step, initial=noise.normal(0.0, side_m))
        )
        error.append(np.array(run))
    return error[0], error[1]
