"""What a stored fix carries beside identity and position, packed into a few bytes; pure, and exact both ways.

``gps_fix.rest`` begins with 16 bits (little endian), then the parts the bits announce, in this order:

======  ======================================================================================================
bits    meaning
======  ======================================================================================================
0-1     ignition: 0 unknown, 1 off, 2 on
2-4     ``fixed``, ``mock``, ``blind``
5-7     source, the place in ``SOURCES``; 7: its name follows last but for the items
8       speed, direction and altitude as four bytes: 9 bits degrees, 11 bits 0.1 km/h, 12 bits metres above -1,024
9-11    speed, direction, altitude as one number each
12      odometer (m)
13      accuracy (m, four bytes IEEE 754)
14      alarm word
15      items, up to the end: pairs of (place in ``NAMES``, number; of ``TENTHS`` the number of tenths), or JSON.
        ``odometer_km`` has no number: it says the odometer again, in kilometres
======  ======================================================================================================

Always there, right after the bits: the time from device to receipt in milliseconds, then (after speed, direction and
altitude) the status word. Numbers are variable-length (7 bits a byte, low ones first) with the sign in the lowest bit.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any

SOURCES = ("jt808", "osmand", "gpx", "csv", "jsonl", "frames")
NAMES = (
    "signal", "satellites", "fuel_l", "fuel_percent", "recorder_speed_kmh", "manual_alarm_id", "video_alarm_bits",
    "video_lost_bits", "video_covered_bits", "storage_fault_bits", "driver_behaviour_bits", "vehicle_signal_bits", "io_bits",
    "odometer_km", "battery", "cabin_temperature_c",
)  # fmt: skip
"""Items kept by number; only ever added to at the end, because stored rows name them by place."""

TENTHS = frozenset({"fuel_l", "recorder_speed_kmh"})
"""Of these, numbers with one decimal; all others are whole."""
ODOMETER = "odometer_km"

PLACES = {name: place for place, name in enumerate(NAMES)}
SOURCE_PLACES = {name: place for place, name in enumerate(SOURCES)}
NAMED = 7
ACC = {None: 0, False: 1, True: 2}
ACC_BACK = (None, False, True)
LOWEST_M = 1024
MOST = 1e9  # tenths up to here are exact
JSON_START = ord("{")

_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode


def pack(
    *, delay_ms: int, speed_dkmh: int | None, direction_deg: int | None, altitude_m: int | None, odometer_m: int | None,
    alarm: int, status: int, accuracy_m: float | None, acc: bool | None, fixed: bool, mock: bool, blind: bool, source: str,
    items: Mapping[str, Any],
) -> bytes:  # fmt: skip
    """Bytes of everything named; raises TypeError or ValueError for items that are not JSON."""
    bits = ACC[acc] | fixed << 2 | mock << 3 | blind << 4 | SOURCE_PLACES.get(source, NAMED) << 5
    out = bytearray(2)
    _put(out, delay_ms)
    if (
        speed_dkmh is not None and direction_deg is not None and altitude_m is not None
        and 0 <= speed_dkmh < 2048 and 0 <= direction_deg < 512 and -LOWEST_M <= altitude_m < 4096 - LOWEST_M
    ):  # fmt: skip
        bits |= 1 << 8
        out += (direction_deg | speed_dkmh << 9 | altitude_m + LOWEST_M << 20).to_bytes(4, "little")
    else:
        for bit, value in ((9, speed_dkmh), (10, direction_deg), (11, altitude_m)):
            if value is not None:
                bits |= 1 << bit
                _put(out, value)
    _put(out, status)
    if odometer_m is not None:
        bits |= 1 << 12
        _put(out, odometer_m)
    if accuracy_m is not None:
        bits |= 1 << 13
        out += struct.pack("<f", accuracy_m)
    if alarm:
        bits |= 1 << 14
        _put(out, alarm)
    if source not in SOURCE_PLACES:
        name = source.encode()
        _put(out, len(name))
        out += name
    if items:
        bits |= 1 << 15
        out += _pack_items(items, odometer_m)
    out[0:2] = bits.to_bytes(2, "little")
    return bytes(out)


def _pack_items(items: Mapping[str, Any], odometer_m: int | None) -> bytes:
    out = bytearray()
    for place, name in sorted((PLACES.get(name, -1), name) for name in items):
        value = items[name]
        if place < 0:
            break
        out.append(place)
        if name == ODOMETER:
            if type(value) is not float or odometer_m is None or value != odometer_m / 1000:
                break
        elif name in TENTHS:
            if type(value) is not float or not abs(value) < MOST or repr(value) != repr(round(value * 10) / 10):
                break
            _put(out, round(value * 10))
        elif type(value) is int:
            _put(out, value)
        else:
            break
    else:
        return bytes(out)
    return _json(items).encode()


def delay_of(rest: bytes) -> int:
    """Milliseconds from device time to receipt alone."""
    return _take(rest, 2)[0]


def unpack(rest: bytes) -> tuple[Any, ...]:
    """Values in the order of ``Fix`` after latitude and longitude, speed in 0.1 km/h, then the delay in milliseconds."""
    bits = rest[0] | rest[1] << 8
    delay_ms, at = _take(rest, 2)
    speed: int | None = None
    direction: int | None = None
    altitude: int | None = None
    odometer: int | None = None
    accuracy: float | None = None
    alarm = 0
    if bits & 256:
        word = int.from_bytes(rest[at : at + 4], "little")
        direction, speed, altitude = word & 511, word >> 9 & 2047, (word >> 20) - LOWEST_M
        at += 4
    elif bits & 0xE00:
        if bits & 1 << 9:
            speed, at = _take(rest, at)
        if bits & 1 << 10:
            direction, at = _take(rest, at)
        if bits & 1 << 11:
            altitude, at = _take(rest, at)
    byte = rest[at]
    if byte < 128 and not byte & 1:  # nearly always: spare the call
        status = byte >> 1
        at += 1
    else:
        status, at = _take(rest, at)
    if bits & 1 << 12:
        odometer, at = _take(rest, at)
    if bits & 0x6000:
        if bits & 1 << 13:
            (accuracy,) = struct.unpack_from("<f", rest, at)
            at += 4
        if bits & 1 << 14:
            alarm, at = _take(rest, at)
    place = bits >> 5 & 7
    if place == NAMED:
        length, at = _take(rest, at)
        source = rest[at : at + length].decode()
        at += length
    else:
        source = SOURCES[place]
    items = {} if bits < 1 << 15 else _unpack_items(rest, at, odometer)
    return (
        speed, direction, altitude, ACC_BACK[bits & 3], bool(bits & 4), odometer, alarm, status, accuracy, bool(bits & 8),
        bool(bits & 16), source, items, delay_ms,
    )  # fmt: skip


def _unpack_items(rest: bytes, at: int, odometer_m: int | None) -> dict[str, Any]:
    if rest[at] == JSON_START:
        found: dict[str, Any] = json.loads(rest[at:])
        return found
    items: dict[str, Any] = {}
    end = len(rest)
    while at < end:
        name = NAMES[rest[at]]
        if name == ODOMETER:
            assert odometer_m is not None
            items[name] = odometer_m / 1000
            at += 1
            continue
        byte = rest[at + 1]
        if byte < 128 and not byte & 1:
            value, at = byte >> 1, at + 2
        else:
            value, at = _take(rest, at + 1)
        items[name] = value / 10 if name in TENTHS else value
    return items


def _put(out: bytearray, value: int) -> None:
    rising = value << 1 if value >= 0 else ~value << 1 | 1
    while rising > 127:
        out.append(rising & 127 | 128)
        rising >>= 7
    out.append(rising)


def _take(data: bytes, at: int) -> tuple[int, int]:
    byte = data[at]
    rising = byte & 127
    shift = 7
    while byte > 127:
        at += 1
        byte = data[at]
        rising |= (byte & 127) << shift
        shift += 7
    return (~(rising >> 1) if rising & 1 else rising >> 1), at + 1
