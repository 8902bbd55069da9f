"""Rows of positions as PostgreSQL's binary COPY takes them.

Source: PostgreSQL documentation, COPY, Binary Format: header, tuples of (number of fields, (length, bytes) each), trailer; numbers
big-endian, times microseconds since 2000; bits as their number and the bytes they fill from the left (varbit.c).
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from telematics.kernels.columns import (
    ACC_KNOWN,
    ACC_ON,
    ALARM,
    AT,
    DIGEST,
    DIRECTION,
    FIXED,
    FLAGS,
    LAT,
    LON,
    MOCK,
    NONE,
    ODOMETER,
    RECEIVED,
    REST_AT,
    REST_LEN,
    SATELLITES,
    SPEED,
    TERMINAL,
)  # fmt: skip

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

HEADER = np.frombuffer(b"PGCOPY\n\xff\r\n\0" + bytes(8), dtype=np.uint8)
EPOCH_US = 946_684_800_000_000
DAY_US = 86_400_000_000
FIX_BYTES = 54
"""A tuple of ``gps_fix`` without the bytes of its rest."""
SEEN_BYTES = 220
"""More than a tuple of ``gps_seen`` takes."""
FRAME_BYTES = len(HEADER) + 2
AHEAD_US = 120_000_000
QUARTER_US, QUARTERS = 900_000_000, 96


@njit(cache=True, nogil=True)
def field(out: Bytes, at: int, value: int, size: int) -> int:
    """One whole number of ``size`` bytes; ``NONE`` is null. Returns the place after it."""
    for place in range(3):
        out[at + place] = 255 if value == NONE else 0
    out[at + 3] = 255 if value == NONE else size
    at += 4
    if value == NONE:
        return at
    for place in range(at + size - 1, at - 1, -1):
        out[place] = value & 255
        value >>= 8
    return at + size


@njit(cache=True, nogil=True)
def heard(rows: Ints, own: Ints, out: Bytes, at: int) -> int:
    """One bit(96): the quarters of an hour of the day in which ``rows[own]`` are. Returns the place after it."""
    out[at : at + 8 + QUARTERS // 8] = 0
    out[at + 3], out[at + 7] = 4 + QUARTERS // 8, QUARTERS
    at += 8
    for n in own:
        quarter = rows[n, AT] // QUARTER_US % QUARTERS
        out[at + quarter // 8] |= 128 >> quarter % 8
    return at + QUARTERS // 8


@njit(cache=True, nogil=True)
def begun(out: Bytes) -> int:
    """Write the header of a COPY; returns the place after it."""
    out[: len(HEADER)] = HEADER
    return len(HEADER)


@njit(cache=True, nogil=True)
def ended(out: Bytes, at: int) -> int:
    """Write the trailer of a COPY; returns the place after it."""
    out[at], out[at + 1] = 255, 255
    return at + 2


@njit(cache=True, nogil=True)
def fixes(rows: Ints, order: Ints, rests: Bytes, out: Bytes) -> int:
    """COPY of ``gps_fix`` (at, digest, terminal_id, lat_e6, lon_e6, rest) of ``rows[order]``; returns its bytes."""
    at = begun(out)
    for n in order:
        row = rows[n]
        out[at], out[at + 1] = 0, 6
        at = field(out, at + 2, row[AT] - EPOCH_US, 8)
        at = field(out, at, row[DIGEST], 8)
        at = field(out, at, row[TERMINAL], 4)
        at = field(out, at, row[LAT], 4)
        at = field(out, at, row[LON], 4)
        size = row[REST_LEN]
        for place in range(4):
            out[at + place] = (size >> (24 - 8 * place)) & 255
        at += 4
        out[at : at + size] = rests[row[REST_AT] : row[REST_AT] + size]
        at += size
    return ended(out, at)


@njit(cache=True, nogil=True)
def plausible(row: Ints) -> bool:
    """Whether a position may go out of the house and, if it is a fixed one, be shown as the newest."""
    lat, lon = row[LAT], row[LON]
    return (
        not row[FLAGS] & MOCK
        and row[AT] <= row[RECEIVED] + AHEAD_US
        and -90_000_000 <= lat <= 90_000_000
        and -180_000_000 <= lon <= 180_000_000
    )


@njit(cache=True, nogil=True)
def plausible_ones(rows: Ints, order: Ints, chosen: Ints) -> int:
    """Fill ``chosen`` with the plausible ones of ``order``; returns their number."""
    count = 0
    for n in order:
        if plausible(rows[n]):
            chosen[count] = n
            count += 1
    return count


@njit(cache=True, nogil=True)
def distinct(rows: Ints, order: Ints, kept: Ints) -> int:
    """Fill ``kept`` with the first of each identity of ``order``, which is sorted by it; returns their number."""
    count = 0
    for n in order:
        if count:
            row, last = rows[n], rows[kept[count - 1]]
            if row[TERMINAL] == last[TERMINAL] and row[AT] == last[AT] and row[DIGEST] == last[DIGEST]:
                continue
        kept[count] = n
        count += 1
    return count


@njit(cache=True, nogil=True)
def seen(rows: Ints, order: Ints, out: Bytes) -> int:
    """COPY of ``gps_seen`` (see ``telematics.bulk``): one tuple per terminal and UTC day; returns its bytes.

    ``order`` is sorted by terminal and time.
    """
    at = begun(out)
    first = 0
    while first < len(order):
        terminal, day = rows[order[first], TERMINAL], rows[order[first], AT] // DAY_US
        newest = -1
        touched_us = rows[order[first], RECEIVED]
        least_us = touched_us - rows[order[first], AT]
        alarms, unfixed, satellites, with_satellites = np.int64(0), 0, np.int64(0), 0
        end = first
        while end < len(order) and rows[order[end], TERMINAL] == terminal and rows[order[end], AT] // DAY_US == day:
            row = rows[order[end]]
            touched_us = max(touched_us, row[RECEIVED])
            least_us = min(least_us, row[RECEIVED] - row[AT])
            alarms |= row[ALARM]
            unfixed += 0 if row[FLAGS] & FIXED else 1
            if row[SATELLITES] != NONE:
                satellites += row[SATELLITES]
                with_satellites += 1
            # Of several at one time the one with the smallest digest, which comes first.
            later = newest < 0 or row[AT] > rows[newest, AT]
            if later and row[FLAGS] & FIXED and (row[LAT] != 0 or row[LON] != 0) and plausible(row):
                newest = order[end]
            end += 1
        out[at], out[at + 1] = 0, 20
        at = field(out, at + 2, terminal, 8)
        at = field(out, at, rows[order[first], AT] - EPOCH_US, 8)
        at = field(out, at, rows[order[end - 1], AT] - EPOCH_US, 8)
        at = field(out, at, touched_us - EPOCH_US, 8)
        at = field(out, at, least_us, 8)
        at = field(out, at, alarms, 8)
        at = field(out, at, end - first, 4)
        at = field(out, at, unfixed, 4)
        at = field(out, at, satellites, 4)
        at = field(out, at, with_satellites, 4)
        at = heard(rows, order[first:end], out, at)
        if newest < 0:
            for _ in range(9):
                at = field(out, at, NONE, 8)
        else:
            row = rows[newest]
            flags = row[FLAGS]
            at = field(out, at, row[AT] - EPOCH_US, 8)
            at = field(out, at, row[RECEIVED] - EPOCH_US, 8)
            at = field(out, at, row[ODOMETER], 8)
            at = field(out, at, row[LAT], 4)
            at = field(out, at, row[LON], 4)
            at = field(out, at, row[SPEED], 4)
            at = field(out, at, row[DIRECTION], 4)
            at = field(out, at, ((1 if flags & ACC_ON else 0) if flags & ACC_KNOWN else NONE), 1)
            at = field(out, at, (1 if flags & FIXED else 0), 1)
        first = end
    return ended(out, at)
