"""Frames of a read with positions (0x0200, 0x0704) as rows of the store, what is unusual left to the long way.

``scan`` gives for every frame it takes what ``decode_frame``, ``parse_body`` and ``to_row`` give; a frame with anything
out of the ordinary (damaged, another terminal, sub-package, an absurd time, items other than plain numbers) is reported
without rows.

Source: JT/T 808-2013 and -2019, chapter 4 (frames) and tables 23 to 27 (location), 0x0704.
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
    END,
    FIXED,
    FLAGS,
    LAT,
    LON,
    MSG_ID,
    NONE,
    ODOMETER,
    RAW_AT,
    RAW_LEN,
    RECEIVED,
    REST_AT,
    REST_LEN,
    ROWS,
    SATELLITES,
    SERIAL,
    SPEED,
    START,
    TERMINAL,
)  # fmt: skip
from telematics.kernels.digests import content_digest
from telematics.packed import LOWEST_M, PLACES
from telematics.packed import ODOMETER as ODOMETER_NAME
from telematics.protocols.jt808 import BODY_MAX_BYTES, ENCRYPTION_BITS, SUB_PACKAGE_BIT, VERSION_BIT
from telematics.protocols.jt808_body import BASE, BATCH, LOCATION, STATUS_ACC, STATUS_FIXED, STATUS_SOUTH, STATUS_WEST
from telematics.protocols.jt808_fields import DEVICE_CLOCK_AHEAD
from telematics.protocols.jt808_items import FUEL_PERCENT_BIT, NUMBERS
from telematics.rows import EARLIEST_AT, INT4, MAX_AHEAD, micros

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

FLAG, ESCAPE = 0x7E, 0x7D
BASE_BYTES = BASE.size
AHEAD_S = int(DEVICE_CLOCK_AHEAD.total_seconds())
EARLIEST_US = micros(EARLIEST_AT)
MAX_AHEAD_US = int(MAX_AHEAD.total_seconds()) * 1_000_000
FUEL_ID = 0x02
ODOMETER_PLACE, SATELLITES_PLACE = PLACES[ODOMETER_NAME], PLACES["satellites"]
SIZE_OF = np.zeros(256, dtype=np.int64)
PLACE_OF = np.zeros(256, dtype=np.int64)
for _id, _length, _name, _ in NUMBERS:
    SIZE_OF[_id], PLACE_OF[_id] = _length, PLACES[_name]
PLACES_MOST = len(PLACES)
REST_MOST = 160
"""More bytes than a packed rest of plain numbers can have."""
UNESCAPED_MOST = 1200


@njit(cache=True, nogil=True)
def put(out: Bytes, at: int, value: int) -> int:
    """Variable-length number of ``telematics.packed``; returns the place after it."""
    rising = (value << 1) if value >= 0 else ((~value << 1) | 1)
    while rising > 127:
        out[at] = (rising & 127) | 128
        at += 1
        rising >>= 7
    out[at] = rising
    return at + 1


@njit(cache=True, nogil=True)
def number(data: Bytes, at: int, size: int) -> int:
    """Unsigned big-endian number."""
    value = np.int64(0)
    for place in range(at, at + size):
        value = (value << 8) | np.int64(data[place])
    return value


@njit(cache=True, nogil=True)
def utc_s(data: Bytes, at: int) -> int:
    """Seconds since 1970 UTC of six BCD bytes of GMT+8; -1 if they are no time."""
    for place in range(at, at + 6):
        if data[place] & 15 > 9 or data[place] >> 4 > 9:
            return -1
    year = 2000 + 10 * np.int64(data[at] >> 4) + np.int64(data[at] & 15)
    month = 10 * np.int64(data[at + 1] >> 4) + np.int64(data[at + 1] & 15)
    day = 10 * np.int64(data[at + 2] >> 4) + np.int64(data[at + 2] & 15)
    hour = 10 * np.int64(data[at + 3] >> 4) + np.int64(data[at + 3] & 15)
    minute = 10 * np.int64(data[at + 4] >> 4) + np.int64(data[at + 4] & 15)
    second = 10 * np.int64(data[at + 5] >> 4) + np.int64(data[at + 5] & 15)
    longest = 31
    if month in (4, 6, 9, 11):
        longest = 30
    elif month == 2:
        longest = 29 if year % 4 == 0 else 28  # 2000 to 2099
    if not (1 <= month <= 12 and 1 <= day <= longest and hour < 24 and minute < 60 and second < 60):
        return -1
    # Days of the years since 2000, then of the months, counted from March so that the leap day is the last.
    shifted = year if month > 2 else year - 1
    march = (month + 9) % 12
    days = 365 * shifted + shifted // 4 - shifted // 100 + shifted // 400 + (153 * march + 2) // 5 + day - 719_469
    return ((days * 24 + hour) * 60 + minute) * 60 + second - AHEAD_S


@njit(cache=True, nogil=True)
def location(
    data: Bytes, start: int, end: int, blind: bool, terminal: int, now_us: int, row: Ints, rests: Bytes, rest_at: int,
    items: Ints, text: Bytes, m: Words, v: Words,
) -> int:  # fmt: skip
    """Fill ``row`` but for its raw bytes from a location body; returns the end of its rest, or -1 for the long way."""
    if end - start < BASE_BYTES:
        return -1
    alarm, status = number(data, start, 4), number(data, start + 4, 4)
    lat, lon = number(data, start + 8, 4), number(data, start + 12, 4)
    altitude = number(data, start + 16, 2)
    if altitude >= 1 << 15:
        altitude -= 1 << 16
    speed, direction = number(data, start + 18, 2), number(data, start + 20, 2)
    at_s = utc_s(data, start + 22)
    at_us = at_s * 1_000_000
    if at_s < 0 or at_us < EARLIEST_US or at_us > now_us + MAX_AHEAD_US or lat >= INT4 or lon >= INT4:
        return -1
    for place in range(PLACES_MOST):
        items[place] = -1
    odometer = np.int64(-1)
    at = start + BASE_BYTES
    while at < end:
        if at + 2 > end:
            return -1
        item, size = data[at], np.int64(data[at + 1])
        if SIZE_OF[item] != size or size == 0 or at + 2 + size > end or items[PLACE_OF[item]] >= 0:
            return -1
        value = number(data, at + 2, size)
        if item == FUEL_ID and value & FUEL_PERCENT_BIT:
            return -1
        items[PLACE_OF[item]] = value
        at += 2 + size
    if items[ODOMETER_PLACE] >= 0:
        odometer = items[ODOMETER_PLACE] * 100
    if status & STATUS_SOUTH:
        lat = -lat
    if status & STATUS_WEST:
        lon = -lon
    acc, fixed = status & STATUS_ACC != 0, status & STATUS_FIXED != 0
    bits = (2 if acc else 1) | (4 if fixed else 0) | (16 if blind else 0)
    out = put(rests, rest_at + 2, now_us // 1000 - at_us // 1000)
    if speed < 2048 and direction < 512 and -LOWEST_M <= altitude < 4096 - LOWEST_M:
        bits |= 1 << 8
        word = direction | (speed << 9) | ((altitude + LOWEST_M) << 20)
        for _ in range(4):
            rests[out] = word & 255
            word >>= 8
            out += 1
    else:
        bits |= 0xE00
        out = put(rests, out, speed)
        out = put(rests, out, direction)
        out = put(rests, out, altitude)
    out = put(rests, out, status)
    if odometer >= 0:
        bits |= 1 << 12
        out = put(rests, out, odometer)
    if alarm:
        bits |= 1 << 14
        out = put(rests, out, alarm)
    for place in range(PLACES_MOST):
        if items[place] >= 0:
            bits |= 1 << 15
            rests[out] = place
            out += 1
            if place != ODOMETER_PLACE:
                out = put(rests, out, items[place])
    rests[rest_at] = bits & 255
    rests[rest_at + 1] = bits >> 8
    row[TERMINAL], row[AT], row[RECEIVED] = terminal, at_us, now_us
    row[DIGEST] = content_digest(lat, lon, speed, direction, odometer, text, m, v)
    row[LAT], row[LON], row[SPEED], row[DIRECTION] = lat, lon, speed, direction
    row[ODOMETER] = odometer if odometer >= 0 else NONE
    row[FLAGS] = ACC_KNOWN | (ACC_ON if acc else 0) | (FIXED if fixed else 0)
    row[ALARM] = alarm
    row[SATELLITES] = items[SATELLITES_PLACE] if items[SATELLITES_PLACE] >= 0 else NONE
    row[REST_AT], row[REST_LEN] = rest_at, out - rest_at
    return out


@njit(cache=True, nogil=True)
def unescaped(data: Bytes, start: int, end: int, plain: Bytes) -> int:
    """Bytes of a frame without its flags, unescaped into ``plain``; their number, 0 if the frame is not sound."""
    size = 0
    check = np.uint8(0)
    at = start
    while at < end:
        if size == UNESCAPED_MOST:
            return 0
        byte = data[at]
        if byte == ESCAPE:
            at += 1
            if at == end or data[at] < 1 or data[at] > 2:
                return 0
            byte = np.uint8(ESCAPE if data[at] == 1 else FLAG)
        plain[size] = byte
        check ^= byte
        size += 1
        at += 1
    return size if check == 0 else 0


@njit(cache=True, nogil=True)
def scan(
    data: Bytes, header: Bytes, terminal: int, now_us: int, frames: Ints, rows: Ints, rests: Bytes, raws: Bytes
) -> tuple[int, int, int, int]:
    """Read the frames of ``data``, which begins and ends with a flag.

    Parameters
    ----------
    header
        Protocol version byte (2019 only) and terminal number of the terminal whose frames are taken.
    terminal, now_us
        Its id, and the time of receipt (microseconds since 1970 UTC).
    frames, rows, rests, raws
        Filled: columns as in ``telematics.kernels.columns``. ``rests`` has room for ``REST_MOST`` bytes a row, ``raws``
        for twice the data, ``frames`` for a frame every two bytes.

    Returns
    -------
    Numbers of frames, rows, bytes of rests and of raws.
    """
    plain = np.empty(UNESCAPED_MOST, dtype=np.uint8)
    items = np.empty(PLACES_MOST, dtype=np.int64)
    text = np.empty(128, dtype=np.uint8)
    m, v = np.empty(16, dtype=np.uint64), np.empty(16, dtype=np.uint64)
    version_bit = VERSION_BIT if len(header) > 8 else 0
    header_bytes = len(header)
    body_at = 4 + header_bytes + 2
    found, made, rest_at, raw_at = 0, 0, 0, 0
    opened = 0
    for closed in range(1, len(data)):
        if data[closed] != FLAG:
            continue
        start, opened = opened, closed
        if closed == start + 1:
            continue
        frame = frames[found]
        found += 1
        frame[START], frame[END], frame[ROWS] = start, closed + 1, 0
        size = unescaped(data, start + 1, closed, plain)
        if size <= body_at:
            continue
        msg_id, attributes = number(plain, 0, 2), number(plain, 2, 2)
        if msg_id not in (LOCATION, BATCH) or attributes & (ENCRYPTION_BITS | SUB_PACKAGE_BIT):
            continue
        if attributes & VERSION_BIT != version_bit or attributes & BODY_MAX_BYTES != size - 1 - body_at:
            continue
        same = True
        for place in range(header_bytes):
            same = same and plain[4 + place] == header[place]
        if not same:
            continue
        frame[SERIAL], frame[MSG_ID] = number(plain, body_at - 2, 2), msg_id
        if msg_id == LOCATION:
            if made == len(rows):
                continue
            row = rows[made]
            rest_end = location(
                plain, body_at, size - 1, False, terminal, now_us, row, rests, rest_at, items, text, m, v
            )
            if rest_end < 0:
                continue
            row[RAW_AT], row[RAW_LEN] = raw_at, closed + 1 - start
            raws[raw_at : raw_at + closed + 1 - start] = data[start : closed + 1]
            raw_at += closed + 1 - start
            rest_at = rest_end
            made += 1
            frame[ROWS] = 1
            continue
        # A batch is taken whole or not at all.
        if size - 1 < body_at + 3:
            continue
        declared, blind = number(plain, body_at, 2), plain[body_at + 2] == 1
        at, many, rest_end, raw_end = body_at + 3, 0, rest_at, raw_at
        sound = True
        while sound and at < size - 1:
            start_at = at + 2
            sound = start_at <= size - 1 and made + many < len(rows)
            if not sound:
                break
            at = start_at + number(plain, at, 2)
            sound = at <= size - 1
            if not sound:
                break
            row = rows[made + many]
            next_end = location(plain, start_at, at, blind, terminal, now_us, row, rests, rest_end, items, text, m, v)
            sound = next_end >= 0
            if not sound:
                break
            rest_end = next_end
            row[RAW_AT], row[RAW_LEN] = raw_end, at - start_at
            raws[raw_end : raw_end + at - start_at] = plain[start_at:at]
            raw_end += at - start_at
            many += 1
        if sound and many > 0 and declared <= many:
            made += many
            rest_at, raw_at = rest_end, raw_end
            frame[ROWS] = many
    return found, made, rest_at, raw_at


@njit(cache=True, nogil=True)
def answer(serials: Ints, msg_ids: Ints, result: int, header: Bytes, serial: int, out: Bytes) -> int:
    """Frames 0x8001 to the messages, the first with ``serial``; the number of bytes. ``out`` has 64 for each."""
    plain = np.empty(32, dtype=np.uint8)
    at = 0
    header_bytes = len(header)
    attributes = 5 | (VERSION_BIT if header_bytes > 8 else 0)
    plain[0], plain[1], plain[2], plain[3] = 0x80, 0x01, attributes >> 8, attributes & 255
    for place in range(header_bytes):
        plain[4 + place] = header[place]
    size = 4 + header_bytes
    for n in range(len(serials)):
        own = (serial + n) & 0xFFFF
        plain[size], plain[size + 1] = own >> 8, own & 255
        plain[size + 2], plain[size + 3] = serials[n] >> 8, serials[n] & 255
        plain[size + 4], plain[size + 5], plain[size + 6] = msg_ids[n] >> 8, msg_ids[n] & 255, result
        check = np.uint8(0)
        for place in range(size + 7):
            check ^= plain[place]
        plain[size + 7] = check
        out[at] = FLAG
        at += 1
        for place in range(size + 8):
            byte = plain[place]
            if byte in (ESCAPE, FLAG):
                out[at], out[at + 1] = ESCAPE, 1 if byte == ESCAPE else 2
                at += 2
            else:
                out[at] = byte
                at += 1
        out[at] = FLAG
        at += 1
    return at
