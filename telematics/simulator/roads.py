"""Where simulated vehicles drive: recorded tracks, or smooth roads made up around Hangzhou. WGS-84 degrees."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, hypot, radians, sin
from pathlib import Path
from random import Random
from typing import Protocol

from telematics.files import TrackFileError, read_track
from telematics.geo import METRES_PER_DEGREE, bearing_deg, distance_m
from telematics.model import Fix

CENTRE = (30.2741, 120.1551)
"""Wulin Square, Hangzhou: latitude, longitude."""
RADIUS_M = 15_000.0
STEP_S = 1.0
TARGETS_KMH = (0.0, 20.0, 40.0, 50.0, 60.0, 80.0)
ACCELERATION_KMH_S = 5.0
ENDINGS = frozenset({".gpx", ".csv", ".json", ".jsonl"})


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """A vehicle at one moment; ``odometer_m`` counts from the begin of its drive."""

    lat: float
    lon: float
    speed_kmh: float
    direction_deg: int
    odometer_m: float


class Road(Protocol):
    """Something a vehicle follows without end."""

    def advance(self, seconds: float) -> Whereabouts:
        """Drive on for some seconds; returns where the vehicle is then."""


class MadeRoad:
    """A smooth road drawn while it is driven: bends that change slowly, speeds of a town, stops, never far away."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._east_m, self._north_m = rng.uniform(-8_000, 8_000), rng.uniform(-8_000, 8_000)
        self._heading_deg = rng.uniform(0, 360)
        self._bend_deg_s = 0.0
        self._speed_kmh = self._target_kmh = rng.choice(TARGETS_KMH)
        self._odometer_m = 0.0

    def advance(self, seconds: float) -> Whereabouts:
        """Drive on in steps of a second."""
        while seconds > 0:
            step_s = min(STEP_S, seconds)
            self._step(step_s)
            seconds -= step_s
        lat = CENTRE[0] + self._north_m / METRES_PER_DEGREE
        lon = CENTRE[1] + self._east_m / METRES_PER_DEGREE / cos(radians(CENTRE[0]))
        return Whereabouts(lat, lon, self._speed_kmh, int(self._heading_deg), self._odometer_m)

    def _step(self, step_s: float) -> None:
        rng = self._rng
        if rng.random() < 0.03 * step_s:
            self._target_kmh = rng.choice(TARGETS_KMH)
        if rng.random() < 0.1 * step_s:
            self._bend_deg_s = rng.gauss(0, 3)
        most_kmh = ACCELERATION_KMH_S * step_s
        self._speed_kmh += min(max(self._target_kmh - self._speed_kmh, -most_kmh), most_kmh)
        if self._speed_kmh:
            self._heading_deg = (self._heading_deg + self._bend_deg_s * step_s) % 360
        if hypot(self._east_m, self._north_m) > RADIUS_M:
            home_deg = float(bearing_deg(self._north_m / 1e5, self._east_m / 1e5, 0.0, 0.0))
            turn_deg = (home_deg - self._heading_deg + 180) % 360 - 180
            self._heading_deg = (self._heading_deg + min(max(turn_deg, -10), 10) * step_s) % 360
        way_m = self._speed_kmh / 3.6 * step_s
        self._east_m += way_m * sin(radians(self._heading_deg))
        self._north_m += way_m * cos(radians(self._heading_deg))
        self._odometer_m += way_m


class RecordedRoad:
    """A recorded track followed at its own pace, straight between its positions; at its end it begins anew."""

    def __init__(self, fixes: Sequence[Fix], rng: Random) -> None:
        ordered = sorted(fixes, key=lambda fix: fix.at)
        self._fixes = [ordered[0], *(fix for last, fix in pairwise(ordered) if fix.at > last.at)]
        self._at_s = [(fix.at - ordered[0].at).total_seconds() for fix in self._fixes]
        self._time_s = rng.uniform(0, self._at_s[-1])
        self._odometer_m = 0.0

    def advance(self, seconds: float) -> Whereabouts:
        """Drive on along the track."""
        length_s = self._at_s[-1]
        self._time_s = (self._time_s + seconds) % length_s if length_s else 0.0
        i = bisect_right(self._at_s, self._time_s)
        before, after = self._fixes[i - 1], self._fixes[min(i, len(self._fixes) - 1)]
        span_s = (after.at - before.at).total_seconds()
        share = (self._time_s - self._at_s[i - 1]) / span_s if span_s else 0.0
        lat = before.lat + share * (after.lat - before.lat)
        lon = before.lon + share * (after.lon - before.lon)
        way_m = distance_m(before.lat, before.lon, after.lat, after.lon)
        speed_kmh = min(way_m / span_s * 3.6 if span_s else 0.0, 200.0)
        self._odometer_m += speed_kmh / 3.6 * seconds
        direction_deg = int(bearing_deg(before.lat, before.lon, after.lat, after.lon))
        return Whereabouts(lat, lon, speed_kmh, direction_deg, self._odometer_m)


def read_tracks(folder: Path) -> list[list[Fix]]:
    """Tracks of a folder's GPX, CSV and JSON files, by name. Raises TrackFileError if it holds none."""
    tracks = [read_track(path) for path in sorted(folder.glob("*")) if path.suffix.lower() in ENDINGS]
    if not tracks:
        raise TrackFileError(f"{folder} holds no track file ({', '.join(sorted(ENDINGS))}).")
    return tracks
