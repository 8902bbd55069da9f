"""What ``telematics.packed`` packs, unpacked into columns for many fixes at once."""

import numpy as np
import numpy.typing as npt
from numba import njit

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]

NAMED = 7
SATELLITES = 1
"""Place of the name in ``packed.NAMES``."""
JSON_START = 123


@njit(cache=True, nogil=True)
def _number(data: Bytes, at: int) -> tuple[np.int64, int]:
    """A variable-length number and the byte after it."""
    byte = np.int64(data[at])
    rising = byte & 127
    shift = 7
    while byte > 127:
        at += 1
        byte = np.int64(data[at])
        rising |= (byte & 127) << shift
        shift += 7
    # The sign bit of 64 must not smear while the number is halved.
    half = (rising >> 1) & 0x7FFFFFFFFFFFFFFF
    return (~half if rising & 1 else half), at + 1


@njit(cache=True, nogil=True)
def unpack(
    data: Bytes, first: Indices, end: Indices
) -> tuple[Floats, Floats, npt.NDArray[np.int8], Bools, Bools, Floats, Floats, Indices]:
    """Speed (km/h), odometer (m), ignition, ``fixed``, ``mock``, accuracy (m), satellites, where JSON items begin (or -1).

    Each ``(n,)``, NaN or -1 where the fix does not say. Speeds come in 0.1 km/h.
    """
    n = len(first)
    speed, odometer, accuracy, satellites = (
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.full(n, np.nan),
        np.full(n, np.nan),
    )
    acc = np.empty(n, np.int8)
    fixed, mock = np.empty(n, np.bool_), np.empty(n, np.bool_)
    json_at = np.full(n, -1, np.int64)
    word = np.empty(1, np.uint32)
    for i in range(n):
        at = first[i]
        bits = np.int64(data[at]) | np.int64(data[at + 1]) << 8
        acc[i] = (bits & 3) - 1
        fixed[i] = bits & 4 != 0
        mock[i] = bits & 8 != 0
        _, at = _number(data, at + 2)
        if bits & 256:
            packed = np.int64(data[at]) | np.int64(data[at + 1]) << 8 | np.int64(data[at + 2]) << 16
            speed[i] = (packed >> 9 & 2047) / 10
            at += 4
        else:
            for bit in range(9, 12):
                if bits & 1 << bit:
                    value, at = _number(data, at)
                    if bit == 9:
                        speed[i] = value / 10
        _, at = _number(data, at)
        if bits & 1 << 12:
            value, at = _number(data, at)
            odometer[i] = value
        if bits & 1 << 13:
            word[0] = (
                np.uint32(data[at])
                | np.uint32(data[at + 1]) << 8
                | np.uint32(data[at + 2]) << 16
                | np.uint32(data[at + 3]) << 24
            )
            accuracy[i] = word.view(np.float32)[0]
            at += 4
        if bits & 1 << 14:
            _, at = _number(data, at)
        if bits >> 5 & 7 == NAMED:
            length, at = _number(data, at)
            at += length
        if not bits & 1 << 15:
            continue
        if data[at] == JSON_START:
            json_at[i] = at
            continue
        while at < end[i]:
            name = data[at]
            value, at = _number(data, at + 1)
            if name == SATELLITES:
                satellites[i] = value
    return speed, odometer, acc, fixed, mock, accuracy, satellites, json_at
