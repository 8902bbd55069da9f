"""Time spans, places, and driving between places: matrices of a road engine or an estimate, slower in rush hours.

Units and half-open spans as in `dispatch.model`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dispatch.bounds import LONGEST_M, LONGEST_S, number, require, text, unique, whole

Matrix = npt.NDArray[np.int32]
ROWS = 64  # of a matrix in work at once, few enough for the cache


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open time span ``[start_s, end_s)``."""

    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        whole(self.start_s, "Span", "start_s", -LONGEST_S, LONGEST_S)
        whole(self.end_s, "Span", "end_s", -LONGEST_S, LONGEST_S)
        require(self.start_s < self.end_s, "Span", "start_s must be before end_s", (self.start_s, self.end_s))

    def holds(self, start_s: int, end_s: int) -> bool:
        """Tell whether the whole of ``[start_s, end_s)`` lies inside."""
        return self.start_s <= start_s and end_s <= self.end_s


@dataclass(frozen=True, slots=True)
class Place:
    """A point vehicles drive to, WGS-84 degrees."""

    id: str
    lat: float
    lon: float

    def __post_init__(self) -> None:
        text(self.id, "Place", "id")
        number(self.lat, f"Place {self.id}", "lat", -90, 90)
        number(self.lon, f"Place {self.id}", "lon", -180, 180)


@dataclass(frozen=True, slots=True)
class Pace:
    """Over `span` driving takes `permille` / 1000 of the matrix's time (rush hours: above 1000)."""

    span: Span
    permille: int

    def __post_init__(self) -> None:
        whole(self.permille, "Pace", "permille", 500, 5_000)


@dataclass(frozen=True, eq=False)
class Travel:
    """Driving time and distance between all places, row = from, column = to.

    ``time_s`` and ``distance_m`` are int32 arrays of shape (n, n) in the order of ``places``; ``source`` says where
    they come from ("estimate": see `estimate_travel`; else the name of the road data). `paces` (in order, apart from
    each other) say when driving is slower; outside of them the matrix holds.
    """

    places: tuple[Place, ...]
    time_s: Matrix = field(repr=False)
    distance_m: Matrix = field(repr=False)
    source: str
    detour: float | None = None
    speed_kmh: float | None = None
    paces: tuple[Pace, ...] = ()
    index: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        text(self.source, "Travel", "source")
        n = len(self.places)
        unique((p.id for p in self.places), "Place")
        for name, matrix, most in (("time_s", self.time_s, LONGEST_S), ("distance_m", self.distance_m, LONGEST_M)):
            require(matrix.shape == (n, n), "Travel", f"{name} must have {n} rows and {n} columns", matrix.shape)
            low, high = (int(matrix.min()), int(matrix.max())) if n else (0, 0)
            require(low >= 0 and high <= most, "Travel", f"{name} must lie between 0 and {most}", (low, high))
            require(not matrix.diagonal().any(), "Travel", f"{name} from a place to itself must be 0", "another value")
        apart = all(a.span.end_s <= b.span.start_s for a, b in pairwise(self.paces))
        require(apart, "Travel", "paces must be in order and apart from each other", self.paces)
        object.__setattr__(self, "index", {p.id: k for k, p in enumerate(self.places)})

    def slowed(self, seconds: int, at_s: int) -> int:
        """Return a driving time of the matrix at a moment, rounded up."""
        for pace in self.paces:
            if pace.span.start_s <= at_s < pace.span.end_s:
                return -(-seconds * pace.permille // 1_000)
        return seconds

    def leg_after(self, start: str, end: str, at_s: int) -> tuple[int, int]:
        """Return seconds and metres of a leg driven from a moment on; the pace of that moment counts."""
        seconds, metres = self.leg(start, end)
        return self.slowed(seconds, at_s), metres

    def leg(self, start: str, end: str) -> tuple[int, int]:
        """Return seconds and metres from one place to another."""
        a, b = self.index[start], self.index[end]
        return int(self.time_s[a, b]), int(self.distance_m[a, b])


def estimate_travel(places: Iterable[Place], *, detour: float = 1.35, speed_kmh: float = 32.0) -> Travel:
    """Estimate travel where no road data is at hand: great circle x `detour`, driven at `speed_kmh`.

    The great circle is the haversine formula on a sphere of 6,371,008.8 m (IUGG mean radius). The result is marked
    ``source="estimate"``, so that a plan made with it can say so.
    """
    number(detour, "Travel", "detour", 1, 5)
    number(speed_kmh, "Travel", "speed_kmh", 5, 150)
    points = tuple(places)
    n = len(points)
    lat = np.radians(np.array([p.lat for p in points], dtype=np.float64))
    lon = np.radians(np.array([p.lon for p in points], dtype=np.float64))
    road_m, time_s = np.zeros((n, n), dtype=np.int32), np.zeros((n, n), dtype=np.int32)
    # Both ways are equally long: only what lies right of the diagonal is computed, some rows at a time.
    for first in range(0, n, ROWS):
        rows, cols = slice(first, first + ROWS), slice(first, n)
        half = np.sin((lat[rows, None] - lat[None, cols]) / 2) ** 2
        half += np.cos(lat[rows, None]) * np.cos(lat[None, cols]) * np.sin((lon[rows, None] - lon[None, cols]) / 2) ** 2
        metres = np.ceil(2 * 6_371_008.8 * np.arcsin(np.sqrt(np.clip(half, 0, 1))) * detour)
        road_m[rows, cols], time_s[rows, cols] = metres, np.ceil(metres * 3.6 / speed_kmh)
        road_m[cols, rows], time_s[cols, rows] = road_m[rows, cols].T, time_s[rows, cols].T
    return Travel(points, time_s, road_m, "estimate", float(detour), float(speed_kmh))
