"""A small driving simulator: a vehicle follows a street route second by second, a terminal reports it with noise."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import cos, hypot, radians
from random import Random

from telematics.geo import METRES_PER_DEGREE
from telematics.model import Fix

HOME = (30.2741, 120.1551)
MORNING = datetime(2024, 3, 5, 0, 30, tzinfo=UTC)

Metres = tuple[float, float]


def at_metres(east_m: float, north_m: float) -> tuple[float, float]:
    """(lat, lon) of a point given in metres from HOME."""
    return HOME[0] + north_m / METRES_PER_DEGREE, HOME[1] + east_m / METRES_PER_DEGREE / cos(radians(HOME[0]))


def streets(seed: int, blocks: int, block_m: float = 400.0) -> list[Metres]:
    """Corners of a route through a street grid, never straight back."""
    rng = Random(seed)
    corners, heading = [(0.0, 0.0)], 0
    turns = {0: (1, 0), 1: (0, 1), 2: (-1, 0), 3: (0, -1)}
    for _ in range(blocks):
        heading = (heading + rng.choice((-1, 0, 0, 1))) % 4
        length_m = block_m * rng.uniform(0.6, 1.6)
        east, north = turns[heading]
        corners.append((corners[-1][0] + east * length_m, corners[-1][1] + north * length_m))
    return corners


@dataclass(frozen=True)
class Second:
    """Where the vehicle truly is at one second."""

    at: datetime
    east_m: float
    north_m: float
    speed_kmh: float
    along_m: float


def drive(
    corners: Sequence[Metres],
    *,
    start_at: datetime,
    cruise_kmh: float = 50.0,
    light_s: Sequence[int] = (),
    along_m: float = 0.0,
) -> list[Second]:
    """Drive along the corners: accelerate at 1.5 m/s2, slow to 20 km/h at corners, wait ``light_s`` at the first ones."""
    waits = dict(zip(range(1, len(corners)), light_s, strict=False))
    seconds = [Second(start_at, *corners[0], 0.0, along_m)]
    speed = 0.0
    for i in range(1, len(corners)):
        (x0, y0), (x1, y1) = corners[i - 1], corners[i]
        length = hypot(x1 - x0, y1 - y0)
        last = i == len(corners) - 1
        final = 0.0 if last or waits.get(i) else 20 / 3.6
        done = 0.0
        while length - done > 0.5:
            brake_to = (final**2 + 2 * 1.5 * (length - done)) ** 0.5
            speed = max(1.0, min(speed + 1.5, cruise_kmh / 3.6, brake_to))
            step = min(speed, length - done)
            done += step
            along_m += step
            share = done / length
            seconds.append(_next(seconds, x0 + share * (x1 - x0), y0 + share * (y1 - y0), step * 3.6, along_m))
        if final == 0.0:
            speed = 0.0
            seconds.extend(park(seconds[-1], waits.get(i, 1)))
    return seconds


def park(since: Second, duration_s: int) -> list[Second]:
    """Stand still after ``since``."""
    return [
        Second(since.at + timedelta(seconds=k), since.east_m, since.north_m, 0.0, since.along_m)
        for k in range(1, duration_s + 1)
    ]


def _next(seconds: Sequence[Second], east_m: float, north_m: float, speed_kmh: float, along_m: float) -> Second:
    return Second(seconds[-1].at + timedelta(seconds=1), east_m, north_m, speed_kmh, along_m)


def reported(
    seconds: Sequence[Second],
    *,
    every_s: int = 15,
    noise_m: float = 5.0,
    seed: int = 1,
    speeds: bool = True,
    odometer_start_m: int | None = None,
    parked_every_s: int | None = None,
) -> list[Fix]:
    """Fixes of a terminal: every ``every_s`` (``parked_every_s`` while standing), Gaussian noise of ``noise_m`` a side."""
    rng = Random(seed)
    fixes: list[Fix] = []
    for second in seconds:
        pause_s = parked_every_s if parked_every_s and second.speed_kmh == 0 else every_s
        if fixes and (second.at - fixes[-1].at).total_seconds() < pause_s:
            continue
        lat, lon = at_metres(second.east_m + rng.gauss(0, noise_m), second.north_m + rng.gauss(0, noise_m))
        fixes.append(
            Fix(
                at=second.at,
                lat=lat,
                lon=lon,
                speed_kmh=float(round(second.speed_kmh)) if speeds else None,
                acc=second.speed_kmh > 0 if speeds else None,
                odometer_m=None if odometer_start_m is None else (odometer_start_m + int(second.along_m)) // 100 * 100,
            )
        )
    return fixes
