"""Stored fixes as a track: columns at once, each fix made when somebody asks for it. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from telematics.kernels import stored as kernels
from telematics.kernels.stored import Bytes, Indices
from telematics.model import Fix
from telematics.rows import Row, from_row, micros, moment
from telematics.track import Track, number

Y2000_US = 946_684_800_000_000
"""Microseconds from 1970 to 2000, where PostgreSQL counts from."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rows(Sequence[Fix]):
    """Rows whose ``rest`` lies in one buffer."""

    data: Bytes
    at_us: Indices
    lat_e6: Indices
    lon_e6: Indices
    first: Indices
    end: Indices

    def __len__(self) -> int:
        return len(self.at_us)

    @overload
    def __getitem__(self, i: int) -> Fix: ...

    @overload
    def __getitem__(self, i: slice) -> Sequence[Fix]: ...

    def __getitem__(self, i: int | slice) -> Fix | Sequence[Fix]:
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        rest = self.data[self.first[i] : self.end[i]].tobytes()
        return from_row((moment(int(self.at_us[i])), int(self.lat_e6[i]), int(self.lon_e6[i]), rest))


def of_arrays(at: bytes, lat_e6: bytes, lon_e6: bytes, length: bytes, rest: bytes) -> Track:
    """Track of the columns ``store.read_columns`` asks for: four arrays in PostgreSQL's binary form, ``rest`` end to end."""
    ends = np.cumsum(np.append(0, _array(length, ">i4")))
    at_us = _array(at, ">i8") + Y2000_US
    buffer = np.frombuffer(rest, dtype=np.uint8)
    return _track(_Rows(buffer, at_us, _array(lat_e6, ">i4"), _array(lon_e6, ">i4"), ends[:-1], ends[1:]))


def _array(sent: bytes, kind: str) -> Indices:
    """Values of a one-dimensional array without nulls: 20 bytes of head, then each behind its length of four bytes."""
    return np.frombuffer(sent, dtype=[("length", ">i4"), ("value", kind)], offset=20)["value"].astype(np.int64)


def of_rows(rows: Sequence[Row]) -> Track:
    """Track of rows of (time, digest, latitude, longitude, rest), in the order given."""
    ends = np.cumsum([0, *(len(row[4]) for row in rows)], dtype=np.int64)
    at_us, lat_e6, lon_e6 = (
        np.array(values, dtype=np.int64)
        for values in ([micros(row[0]) for row in rows], [row[2] for row in rows], [row[3] for row in rows])
    )
    buffer = np.frombuffer(b"".join(row[4] for row in rows), dtype=np.uint8)
    return _track(_Rows(buffer, at_us, lat_e6, lon_e6, ends[:-1], ends[1:]))


def _track(rows: _Rows) -> Track:
    speed, odometer, acc, fixed, mock, accuracy, satellites, json_at = kernels.unpack(rows.data, rows.first, rows.end)
    hdop = np.full(len(rows), np.nan)
    for i in np.flatnonzero(json_at >= 0):
        text = rows.data[json_at[i] : rows.end[i]].tobytes()
        if b'"hdop"' in text or b'"satellites"' in text:
            items = json.loads(text)
            hdop[i], satellites[i] = number(items.get("hdop")), number(items.get("satellites"))
    return Track(
        rows, np.arange(len(rows), dtype=np.int64), rows.at_us / 1e6, rows.lat_e6 / 1e6, rows.lon_e6 / 1e6, speed, odometer, acc,
        fixed, mock, accuracy, hdop, satellites,
    )  # fmt: skip
