"""``Fix`` as a row of ``gps_fix`` and back, pure. A stored fix reads back equal, to the store's resolution."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from telematics.ingest import digest
from telematics.model import Fix

Row = tuple[Any, ...]
"""One fix in the order of ``COLUMNS``."""

COLUMNS: dict[str, str] = {
    "terminal_id": "int8",
    "at": "timestamptz",
    "digest": "int8",
    "received_at": "timestamptz",
    "odometer_m": "int8",
    "alarm": "int8",
    "status": "int8",
    "lat_e6": "int4",
    "lon_e6": "int4",
    "speed_dkmh": "int4",
    "direction_deg": "int4",
    "altitude_m": "int4",
    "accuracy_m": "float4",
    "acc": "bool",
    "fixed": "bool",
    "mock": "bool",
    "blind": "bool",
    "source": "text",
    "items": "text",
    "raw": "bytea",
}
"""Columns of ``gps_fix`` and the type each is sent as (``items`` as JSON text)."""

EARLIEST_AT = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
INT4 = 2**31
INT8 = 2**63

_json = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


class Unstorable(ValueError):
    """A fix that ``gps_fix`` cannot hold; the text says why. It belongs into quarantine."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Bytes kept although no fix could be made of them, with the reason a person is shown."""

    received_at: datetime
    peer: str
    phone: str | None
    reason: str
    raw: bytes

    def row(self) -> Row:
        """Values in the order of the table; PostgreSQL text knows no NUL."""
        phone = self.phone.replace("\0", "") if self.phone else None
        return (self.received_at, self.peer, phone, self.reason.replace("\0", ""), self.raw)


def to_row(terminal_id: int, fix: Fix, raw: bytes | None, received_at: datetime) -> Row:
    """Row of a fix; raises Unstorable for a time that must be wrong or a number no column can hold."""
    if fix.at.tzinfo is None:
        raise Unstorable("time without a zone")
    if fix.at < EARLIEST_AT:
        raise Unstorable(f"device time {fix.at.isoformat()} is before 2000: set the clock of the terminal")
    if fix.at > received_at + MAX_AHEAD:
        raise Unstorable(f"device time {fix.at.isoformat()} is more than a day ahead: set the clock of the terminal")
    return (
        terminal_id,
        fix.at,
        digest(fix),
        received_at,
        _whole(fix.odometer_m, 1, INT8, "odometer"),
        _whole(fix.alarm, 1, INT8, "alarm word"),
        _whole(fix.status, 1, INT8, "status word"),
        _whole(fix.lat, 1_000_000, INT4, "latitude"),
        _whole(fix.lon, 1_000_000, INT4, "longitude"),
        _whole(fix.speed_kmh, 10, INT4, "speed"),
        _whole(fix.direction_deg, 1, INT4, "direction"),
        _whole(fix.altitude_m, 1, INT4, "altitude"),
        fix.accuracy_m,
        fix.acc,
        fix.fixed,
        fix.mock,
        fix.blind,
        fix.source,
        _json(fix.items) if fix.items else None,
        raw,
    )


def _whole(value: float | None, per_unit: int, limit: int, what: str) -> int | None:
    if value is None:
        return None
    try:
        whole = round(value * per_unit)
    except (ValueError, OverflowError):  # not a number, infinite
        raise Unstorable(f"{what} {value} is not a number") from None
    if not -limit <= whole < limit:
        raise Unstorable(f"{what} {value} is too large to be one")
    return whole


FIX_COLUMNS = (
    "at, lat_e6, lon_e6, speed_dkmh, direction_deg, altitude_m, acc, fixed, odometer_m, alarm, status, accuracy_m,"
    " mock, blind, source, coalesce(items, '{}')"
)


def from_row(row: Row) -> Fix:
    """Fix from the values of ``FIX_COLUMNS``, which stand in the order of its fields."""
    at, lat_e6, lon_e6, speed_dkmh, *rest = row
    return Fix(at.astimezone(UTC), lat_e6 / 1e6, lon_e6 / 1e6, None if speed_dkmh is None else speed_dkmh / 10, *rest)
