"""Columns of a track: the same fixes as numpy arrays, for the steps that look at many of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telematics.model import Fix

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Fixes in time order and their columns, each of shape ``(n,)``.

    ``at_s`` is POSIX seconds, ``lat`` and ``lon`` WGS-84 degrees; ``speed_kmh`` and ``odometer_m`` are NaN and
    ``acc`` is -1 where the fix does not say.
    """

    fixes: tuple[Fix, ...]
    at_s: Floats
    lat: Floats
    lon: Floats
    speed_kmh: Floats
    odometer_m: Floats
    acc: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.fixes)

    def part(self, first: int, last: int) -> "Track":
        """Fixes ``first`` to ``last``, both included, without copying the columns."""
        cut = slice(first, last + 1)
        return Track(
            self.fixes[cut],
            self.at_s[cut],
            self.lat[cut],
            self.lon[cut],
            self.speed_kmh[cut],
            self.odometer_m[cut],
            self.acc[cut],
        )

    def kept(self, keep: Bools) -> "Track":
        """The fixes where ``keep`` is true."""
        if bool(keep.all()):
            return self
        return Track(
            tuple(self.fixes[i] for i in np.flatnonzero(keep)),
            self.at_s[keep],
            self.lat[keep],
            self.lon[keep],
            self.speed_kmh[keep],
            self.odometer_m[keep],
            self.acc[keep],
        )


def columns(fixes: Sequence[Fix]) -> Track:
    """Columns of fixes, in the order given."""
    return Track(
        fixes=tuple(fixes),
        at_s=np.array([fix.at.timestamp() for fix in fixes], dtype=np.float64),
        lat=np.array([fix.lat for fix in fixes], dtype=np.float64),
        lon=np.array([fix.lon for fix in fixes], dtype=np.float64),
        speed_kmh=np.array([fix.speed_kmh for fix in fixes], dtype=np.float64),
        odometer_m=np.array([fix.odometer_m for fix in fixes], dtype=np.float64),
        acc=np.array([-1 if fix.acc is None else fix.acc for fix in fixes], dtype=np.int8),
    )
