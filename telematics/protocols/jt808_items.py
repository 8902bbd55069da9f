"""Additional items of a JT/T 808 location body: ``{id u8, length u8, value}`` until the end.

Source: JT/T 808-2019 table 27 (2013 table 27, 2011 table 17) and JT/T 1078-2016 table 13 for 0x14-0x18.

A known id is decoded only if its length is the standard one, because vendors re-use ids with lengths of their own.
Everything else, and a repeated item, is kept under ``raw`` as ``{"id": "e1", "hex": "..."}``; a length that runs over
the end of the body ends the list and its bytes are kept under ``truncated``.
"""

from collections.abc import Callable
from typing import Any

from telematics.protocols.jt808 import ProtocolError

FUEL_PERCENT_BIT = 0x8000

# id, length in bytes, name, divisor (1: whole number)
NUMBERS: tuple[tuple[int, int, str, int], ...] = (
    (0x01, 4, "odometer_km", 10),
    (0x02, 2, "fuel_l", 10),
    (0x03, 2, "recorder_speed_kmh", 10),
    (0x04, 2, "manual_alarm_id", 1),
    (0x14, 4, "video_alarm_bits", 1),
    (0x15, 4, "video_lost_bits", 1),
    (0x16, 4, "video_covered_bits", 1),
    (0x17, 2, "storage_fault_bits", 1),
    (0x18, 2, "driver_behaviour_bits", 1),
    (0x25, 4, "vehicle_signal_bits", 1),
    (0x2A, 2, "io_bits", 1),
    (0x30, 1, "signal", 1),
    (0x31, 1, "satellites", 1),
)


def _number(name: str, divisor: int) -> Callable[[bytes], dict[str, Any]]:
    if divisor == 1:
        return lambda value: {name: int.from_bytes(value)}
    return lambda value: {name: int.from_bytes(value) / divisor}


def _fuel(value: bytes) -> dict[str, Any]:
    # Vendors set bit 15 to say percent of the tank; no official vehicle holds 3,276.8 litres.
    level = int.from_bytes(value)
    return {"fuel_percent": level & ~FUEL_PERCENT_BIT} if level & FUEL_PERCENT_BIT else {"fuel_l": level / 10}


def _tyres(value: bytes) -> dict[str, Any]:
    return {"tyre_pressures": [None if pressure == 0xFF else pressure for pressure in value]}


def _cabin_temperature(value: bytes) -> dict[str, Any]:
    # Sign and magnitude, not two's complement.
    magnitude = int.from_bytes(value) & 0x7FFF
    return {"cabin_temperature_c": -magnitude if value[0] & 0x80 else magnitude}


def _overspeed(value: bytes) -> dict[str, Any]:
    return {"overspeed": {"type": value[0], "id": int.from_bytes(value[1:]) if len(value) > 1 else None}}


def _area(value: bytes) -> dict[str, Any]:
    return {"area": {"type": value[0], "id": int.from_bytes(value[1:5]), "direction": value[5]}}


def _route_time(value: bytes) -> dict[str, Any]:
    return {"route": {"id": int.from_bytes(value[:4]), "time_s": int.from_bytes(value[4:6]), "result": value[6]}}


def _analog(value: bytes) -> dict[str, Any]:
    return {"analog": {"ad0": int.from_bytes(value[2:]), "ad1": int.from_bytes(value[:2])}}


DECODERS: dict[tuple[int, int], Callable[[bytes], dict[str, Any]]] = {
    **{(item_id, length): _number(name, divisor) for item_id, length, name, divisor in NUMBERS},
    (0x02, 2): _fuel,
    (0x05, 30): _tyres,
    (0x06, 2): _cabin_temperature,
    (0x11, 1): _overspeed,
    (0x11, 5): _overspeed,
    (0x12, 6): _area,
    (0x13, 7): _route_time,
    (0x2B, 4): _analog,
}


def decode_items(data: bytes) -> dict[str, Any]:
    """All items as JSON-able values by name; never raises."""
    items: dict[str, Any] = {}
    raw: list[dict[str, str]] = []
    at, end = 0, len(data)
    while at < end:
        stop = at + 2 + data[at + 1] if at + 1 < end else end + 1
        if stop > end:
            items["truncated"] = data[at:].hex()
            break
        item_id, value = data[at], data[at + 2 : stop]
        decode = DECODERS.get((item_id, len(value)))
        named = decode(value) if decode else {}
        if named and named.keys().isdisjoint(items):
            items |= named
        else:
            raw.append({"id": f"{item_id:02x}", "hex": value.hex()})
        at = stop
    if raw:
        items["raw"] = raw
    return items


def encode_items(items: dict[str, Any]) -> bytes:
    """Bytes of the plain numbers of :data:`NUMBERS` and of ``raw``; the composite items are not encoded.

    Raises ProtocolError if a number does not fit its field.
    """
    parts = [
        _encode_item(item_id, length, round(items[name] * divisor), name)
        for item_id, length, name, divisor in NUMBERS
        if items.get(name) is not None
    ]
    if items.get("fuel_percent") is not None:
        parts.append(_encode_item(0x02, 2, items["fuel_percent"] | FUEL_PERCENT_BIT, "fuel_percent"))
    for item in items.get("raw", ()):
        value = bytes.fromhex(item["hex"])
        parts.append(bytes((int(item["id"], 16), len(value))) + value)
    return b"".join(parts)


def _encode_item(item_id: int, length: int, number: int, name: str) -> bytes:
    try:
        return bytes((item_id, length)) + number.to_bytes(length)
    except OverflowError:
        raise ProtocolError(f"{name} does not fit {length} bytes") from None
