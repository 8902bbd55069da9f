"""``Fix`` as a row of ``gps_fix`` and back, pure. A stored fix reads back equal, to the store's resolution."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from telematics.ingest import digest
from telematics.model import Fix
from telematics.packed import delay_of, pack, unpack

Row = tuple[Any, ...]
"""One fix in the order of ``COLUMNS``."""

COLUMNS: dict[str, str] = {
    "terminal_id": "int4",
    "at": "timestamptz",
    "digest": "int8",
    "lat_e6": "int4",
    "lon_e6": "int4",
    "rest": "bytea",
    "received_at": "timestamptz",
    "odometer_m": "int8",
    "speed_dkmh": "int4",
    "direction_deg": "int4",
    "acc": "bool",
    "fixed": "bool",
    "mock": "bool",
    "alarm": "int8",
    "satellites": "int4",
    "raw": "bytea",
}
"""What a writer stages and the type each is sent as. The first six are ``gps_fix``; the next ones ``gps_last``
and ``gps_day``."""

STORED = tuple(COLUMNS)[:6]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_AT = datetime(2000, 1, 1, tzinfo=UTC)
MAX_AHEAD = timedelta(days=1)
INT4 = 2**31
INT8 = 2**63


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
    speed = _whole(fix.speed_kmh, 10, INT4, "speed")
    direction = _whole(fix.direction_deg, 1, INT4, "direction")
    odometer = _whole(fix.odometer_m, 1, INT8, "odometer")
    alarm, satellites = _whole(fix.alarm, 1, INT8, "alarm word") or 0, fix.items.get("satellites")
    at_us, received_ms = micros(fix.at), micros(received_at) // 1000
    rest = pack(
        delay_ms=received_ms - at_us // 1000, speed_dkmh=speed, direction_deg=direction,
        altitude_m=_whole(fix.altitude_m, 1, INT4, "altitude"), odometer_m=odometer,
        alarm=alarm, status=_whole(fix.status, 1, INT8, "status word") or 0,
        accuracy_m=fix.accuracy_m, acc=fix.acc, fixed=fix.fixed, mock=fix.mock, blind=fix.blind, source=fix.source,
        items=fix.items,
    )  # fmt: skip
    return (
        terminal_id, fix.at, digest(fix), _whole(fix.lat, 1_000_000, INT4, "latitude"),
        _whole(fix.lon, 1_000_000, INT4, "longitude"), rest, received_at, odometer, speed, direction, fix.acc, fix.fixed,
        fix.mock, alarm, satellites if isinstance(satellites, int) and 0 <= satellites < 256 else None, raw,
    )  # fmt: skip


def micros(moment: datetime) -> int:
    """Microseconds since 1970 UTC, exact."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def moment(at_us: int) -> datetime:
    """The inverse of ``micros``."""
    return EPOCH + timedelta(microseconds=at_us)


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


FIX_COLUMNS = "at, lat_e6, lon_e6, rest"


def from_row(row: Row) -> Fix:
    """Fix from the values of ``FIX_COLUMNS``."""
    at, lat_e6, lon_e6, rest = row
    (
        speed_dkmh, direction, altitude, acc, fixed, odometer, alarm, status, accuracy, mock, blind, source, items, _delay_ms,
    ) = unpack(rest)  # fmt: skip
    return Fix(
        at if at.tzinfo is UTC else at.astimezone(UTC), lat_e6 / 1e6, lon_e6 / 1e6, None if speed_dkmh is None else speed_dkmh / 10,
        direction, altitude, acc, fixed, odometer, alarm, status, accuracy, mock, blind, source, items,
    )  # fmt: skip


def received_at(at: datetime, rest: bytes) -> datetime:
    """When a stored fix was received, to the millisecond."""
    return moment((micros(at) // 1000 + delay_of(rest)) * 1000)
