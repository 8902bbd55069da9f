"""Columns of a track: the same fixes as numpy arrays, for the steps that look at many of them at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from telematics.model import Fix

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Columns of fixes in time order, each of shape ``(n,)``; the fixes themselves are made where somebody wants them.

    ``at_s`` is POSIX seconds, ``lat`` and ``lon`` WGS-84 degrees. ``speed_kmh`` and ``odometer_m``, and ``accuracy_m``,
    ``hdop`` and ``satellites``, which only cleaning looks at, are NaN and ``acc`` is -1 where the fix does not say.
    ``place`` says where in ``source``, which makes fixes on demand, each one is.
    """

    source: Sequence[Fix]
    place: Indices
    at_s: Floats
    lat: Floats
    lon: Floats
    speed_kmh: Floats
    odometer_m: Floats
    acc: npt.NDArray[np.int8]
    fixed: Bools
    mock: Bools
    accuracy_m: Floats
    hdop: Floats
    satellites: Floats

    def __len__(self) -> int:
        return len(self.at_s)

    @property
    def fixes(self) -> "Fixes":
        """The fixes of the columns."""
        return Fixes(self)

    def at(self, i: int) -> datetime:
        """Time of a fix, UTC, exact to the microsecond."""
        return datetime.fromtimestamp(float(self.at_s[i]), UTC)

    def part(self, first: int, last: int) -> "Track":
        """Fixes ``first`` to ``last``, both included, without copying the columns."""
        return self._cut(slice(first, last + 1))

    def kept(self, keep: Bools) -> "Track":
        """The fixes where ``keep`` is true."""
        return self if bool(keep.all()) else self._cut(keep)

    def _cut(self, cut: slice | Bools) -> "Track":
        return Track(
            self.source, self.place[cut], self.at_s[cut], self.lat[cut], self.lon[cut], self.speed_kmh[cut], self.odometer_m[cut],
            self.acc[cut], self.fixed[cut], self.mock[cut], self.accuracy_m[cut], self.hdop[cut], self.satellites[cut],
        )  # fmt: skip


class Fixes(Sequence[Fix]):
    """Fixes of a track, made when asked for; equal to any sequence of the same fixes."""

    __slots__ = ("track",)

    def __init__(self, track: Track) -> None:
        self.track = track

    def __len__(self) -> int:
        return len(self.track)

    @overload
    def __getitem__(self, i: int) -> Fix: ...

    @overload
    def __getitem__(self, i: slice) -> tuple[Fix, ...]: ...

    def __getitem__(self, i: int | slice) -> Fix | tuple[Fix, ...]:
        if isinstance(i, slice):
            return tuple(self.track.source[int(k)] for k in self.track.place[i])
        return self.track.source[int(self.track.place[i])]

    def __iter__(self) -> Iterator[Fix]:
        return (self.track.source[int(k)] for k in self.track.place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(Fix.__eq__, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def columns(fixes: Sequence[Fix]) -> Track:
    """Columns of fixes, in the order given; of a track's fixes its own columns."""
    if isinstance(fixes, Fixes):
        return fixes.track
    return Track(
        source=tuple(fixes),
        place=np.arange(len(fixes), dtype=np.int64),
        at_s=np.array([fix.at.timestamp() for fix in fixes], dtype=np.float64),
        lat=np.array([fix.lat for fix in fixes], dtype=np.float64),
        lon=np.array([fix.lon for fix in fixes], dtype=np.float64),
        speed_kmh=np.array([fix.speed_kmh for fix in fixes], dtype=np.float64),
        odometer_m=np.array([fix.odometer_m for fix in fixes], dtype=np.float64),
        acc=np.array([-1 if fix.acc is None else fix.acc for fix in fixes], dtype=np.int8),
        fixed=np.array([fix.fixed for fix in fixes], dtype=np.bool_),
        mock=np.array([fix.mock for fix in fixes], dtype=np.bool_),
        accuracy_m=np.array([fix.accuracy_m for fix in fixes], dtype=np.float64),
        hdop=np.array([number(fix.items.get("hdop")) for fix in fixes], dtype=np.float64),
        satellites=np.array([number(fix.items.get("satellites")) for fix in fixes], dtype=np.float64),
    )


def number(value: Any) -> float:
    """A further value of a fix as a column holds it: NaN if it is no number."""
    return float(value) if isinstance(value, int | float) else np.nan


class _Chained(Sequence[Fix]):
    """Sources one after the other."""

    def __init__(self, sources: Sequence[Sequence[Fix]]) -> None:
        self.sources = sources
        self.starts = np.cumsum([0, *(len(source) for source in sources)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @overload
    def __getitem__(self, i: int) -> Fix: ...

    @overload
    def __getitem__(self, i: slice) -> Sequence[Fix]: ...

    def __getitem__(self, i: int | slice) -> Fix | Sequence[Fix]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        which = int(np.searchsorted(self.starts, i, side="right")) - 1
        return self.sources[which][i - int(self.starts[which])]


def chained(tracks: Sequence[Track]) -> Track:
    """One track of several that follow each other in time.

    Raises
    ------
    ValueError
        If one begins before the one before it is over.
    """
    tracks = [track for track in tracks if len(track)] or list(tracks[:1])
    if len(tracks) <= 1:
        return tracks[0] if tracks else columns(())
    if any(after.at_s[0] <= before.at_s[-1] for before, after in pairwise(tracks)):
        raise ValueError("Tracks overlap in time: put their fixes in order first.")
    starts = np.cumsum([0, *(len(track.source) for track in tracks[:-1])])
    return Track(
        _Chained([track.source for track in tracks]),
        np.concatenate([track.place + start for track, start in zip(tracks, starts, strict=True)]),
        *(np.concatenate([getattr(track, name) for track in tracks]) for name in Track.__slots__[2:]),
    )
