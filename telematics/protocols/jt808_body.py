"""JT/T 808 message bodies: those of a location gateway, both directions, and a location as a :class:`Fix`.

Source: JT/T 808-2011, -2013 and -2019, chapter 8 (bodies) and table 23 ff. (location). Strings are GBK.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from struct import Struct
from typing import Literal

from telematics.model import Fix
from telematics.protocols.jt808 import Message, Version
from telematics.protocols.jt808_fields import (
    DEVICE_CLOCK_AHEAD,
    BodyError,
    bcd_of,
    bcd_time,
    device_time,
    gbk,
    need,
    padded,
    text_of,
)
from telematics.protocols.jt808_items import decode_items, encode_items
from telematics.protocols.jt808_report import (
    REPORTS,
    Attributes,
    Compressed,
    DriverCard,
    Parameters,
    Resend,
    Transparent,
)

TERMINAL_ANSWER = 0x0001
HEARTBEAT = 0x0002
LOGOUT = 0x0003
TIME_QUERY = 0x0004
REGISTER = 0x0100
AUTHENTICATE = 0x0102
LOCATION = 0x0200
LOCATION_ANSWER = 0x0201
VEHICLE_CONTROL_ANSWER = 0x0500
BATCH = 0x0704
PLATFORM_ANSWER = 0x8001
TIME_ANSWER = 0x8004
REGISTER_ANSWER = 0x8100

RESULT_OK, RESULT_FAILED, RESULT_BAD_MESSAGE, RESULT_UNSUPPORTED = range(4)
REGISTER_OK, REGISTER_VEHICLE_TAKEN, REGISTER_NO_VEHICLE, REGISTER_TERMINAL_TAKEN, REGISTER_NO_TERMINAL = range(5)

STATUS_ACC, STATUS_FIXED, STATUS_SOUTH, STATUS_WEST = 1, 2, 4, 8
NO_VALUE = 0xFFFFFFFF

BASE = Struct(">IIIIhHH6s")
"""Alarm, status, latitude, longitude, altitude, speed, direction, time: what every location begins with."""

Layout = Literal["2011", "2013", "2019"]
REGISTER_WIDTHS: dict[Layout, tuple[int, int, int]] = {"2011": (5, 8, 7), "2013": (5, 20, 7), "2019": (11, 30, 30)}
"""Bytes of manufacturer, model and terminal id in 0x0100."""


@dataclass(frozen=True, slots=True)
class Registration:
    """0x0100. ``plate`` is empty and ``vin`` set when the vehicle has no plate yet (colour 0, since 2013)."""

    layout: Layout
    province: int
    city: int
    manufacturer: str
    model: str
    terminal_id: str
    plate_colour: int
    plate: str
    vin: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """0x0102. IMEI and software version exist since 2019."""

    code: str
    imei: str = ""
    software: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """0x0001 and 0x8001: the serial and id of the answered message, and the result (0 is success)."""

    serial: int
    msg_id: int
    result: int


@dataclass(frozen=True, slots=True)
class RegistrationAnswer:
    """0x8100; ``code`` is the authentication code, only with result 0."""

    serial: int
    result: int
    code: str = ""


@dataclass(frozen=True, slots=True)
class ServerTime:
    """0x8004 (2019): the platform's time, UTC."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Location:
    """0x0200; 0x0201 and 0x0500 also name the ``serial`` of the message they answer."""

    fix: Fix
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """0x0704. ``bodies`` are the location bodies of ``fixes``, in step; ``skipped`` says why an item gave no fix."""

    declared: int
    blind: bool
    fixes: tuple[Fix, ...]
    bodies: tuple[bytes, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plain:
    """A message without content for us: heartbeat, logout, time query, or an id not known here."""

    known: bool


Body = (
    Registration
    | Authentication
    | Answer
    | RegistrationAnswer
    | ServerTime
    | Location
    | Batch
    | Attributes
    | Parameters
    | DriverCard
    | Transparent
    | Compressed
    | Resend
    | Plain
)


def parse_body(message: Message) -> Body:
    """Decode the body by message id; an unknown id gives ``Plain(known=False)``.

    Raises BodyError for an encrypted body, a sub-package not yet joined, and content that cannot be read.
    """
    if message.encrypted:
        raise BodyError("body is encrypted: encryption is not supported, switch it off in the terminal")
    if message.sub_package:
        total, index = message.sub_package
        raise BodyError(f"sub-package {index} of {total}: join the pieces first")
    parse = PARSERS.get(message.msg_id)
    return parse(message.body, message.version) if parse else Plain(known=False)


def fixes_of(message: Message) -> list[Fix]:
    """Positions in a message, in its order; empty for messages that carry none. Raises BodyError."""
    body = parse_body(message)
    if isinstance(body, Location):
        return [body.fix]
    return list(body.fixes) if isinstance(body, Batch) else []


# -- reading


def parse_registration(body: bytes, version: Version) -> Registration:
    """0x0100 in the widths of 2011 (body under 37 bytes), 2013 or 2019."""
    layout: Layout = "2019" if version == "2019" else "2011" if len(body) < 37 else "2013"
    maker, model, terminal = REGISTER_WIDTHS[layout]
    colour_at = 4 + maker + model + terminal
    need(body, colour_at + 1, "registration")
    colour, name = body[colour_at], text_of(body[colour_at + 1 :])
    is_vin = colour == 0 and layout != "2011"
    return Registration(
        layout=layout,
        province=int.from_bytes(body[0:2]),
        city=int.from_bytes(body[2:4]),
        manufacturer=text_of(body[4 : 4 + maker]),
        model=text_of(body[4 + maker : 4 + maker + model]),
        terminal_id=text_of(body[4 + maker + model : colour_at]),
        plate_colour=colour,
        plate="" if is_vin else name,
        vin=name if is_vin else "",
    )


def parse_authentication(body: bytes, version: Version) -> Authentication:
    """0x0102: the whole body is the code in 2011 and 2013; length, code, IMEI[15], software[20] in 2019."""
    if version == "2013":
        return Authentication(text_of(body))
    need(body, 1, "authentication")
    end = 1 + body[0]
    need(body, end, "authentication")
    return Authentication(text_of(body[1:end]), text_of(body[end : end + 15]), text_of(body[end + 15 : end + 35]))


def parse_answer(body: bytes, _version: Version) -> Answer:
    """0x0001 and 0x8001; bytes appended by vendors are ignored."""
    need(body, 5, "answer")
    return Answer(int.from_bytes(body[0:2]), int.from_bytes(body[2:4]), body[4])


def parse_registration_answer(body: bytes, _version: Version) -> RegistrationAnswer:
    """0x8100."""
    need(body, 3, "registration answer")
    return RegistrationAnswer(int.from_bytes(body[0:2]), body[2], text_of(body[3:]))


def parse_server_time(body: bytes, _version: Version) -> ServerTime:
    """0x8004; the only time in JT/T 808 that is UTC."""
    need(body, 6, "time")
    return ServerTime(bcd_time(body[:6]))


def _degrees(raw: int, *, negative: bool) -> float:
    # The field is a magnitude and the status bits say south and west. Some terminals send two's complement instead,
    # which a magnitude (at most 180,000,000) can never look like. All ones means no value and stays out of range.
    if raw >= 1 << 31 and raw != NO_VALUE:
        return (raw - (1 << 32)) / 1e6
    return -raw / 1e6 if negative and raw else raw / 1e6


def parse_location(body: bytes, *, blind: bool = False) -> Fix:
    """28 bytes and additional items as a fix; values are converted, never judged: cleaning does that.

    Raises BodyError if the body is shorter or its time (GMT+8) is not a date.
    """
    need(body, BASE.size, "location")
    alarm, status, lat, lon, altitude_m, speed, direction_deg, time = BASE.unpack_from(body)
    items = decode_items(body[BASE.size :])
    odometer_km = items.get("odometer_km")
    return Fix(
        at=device_time(time),
        lat=_degrees(lat, negative=bool(status & STATUS_SOUTH)),
        lon=_degrees(lon, negative=bool(status & STATUS_WEST)),
        speed_kmh=speed / 10,
        direction_deg=direction_deg,
        altitude_m=altitude_m,
        acc=bool(status & STATUS_ACC),
        fixed=bool(status & STATUS_FIXED),
        odometer_m=None if odometer_km is None else round(odometer_km * 1000),
        alarm=alarm,
        status=status,
        blind=blind,
        items=items,
    )


def _parse_location(body: bytes, _version: Version) -> Location:
    return Location(parse_location(body))


def _parse_location_answer(body: bytes, _version: Version) -> Location:
    need(body, 2 + BASE.size, "location answer")
    return Location(parse_location(body[2:]), int.from_bytes(body[:2]))


def parse_batch(body: bytes, _version: Version) -> Batch:
    """0x0704: every item that is a location becomes a fix; the others are counted with their reason."""
    need(body, 3, "batch")
    declared, blind = int.from_bytes(body[:2]), body[2] == 1
    read: list[tuple[Fix, bytes]] = []
    skipped: list[str] = []
    at = 3
    while at < len(body):
        number = len(read) + len(skipped) + 1
        start = at + 2
        at = start + int.from_bytes(body[at:start])
        if start > len(body) or at > len(body):
            skipped.append(f"item {number}: its length runs over the end of the body")
            break
        try:
            read.append((parse_location(body[start:at], blind=blind), body[start:at]))
        except BodyError as error:
            skipped.append(f"item {number}: {error}")
    return Batch(declared, blind, tuple(fix for fix, _ in read), tuple(item for _, item in read), tuple(skipped))


def _parse_plain(_body: bytes, _version: Version) -> Plain:
    return Plain(known=True)


PARSERS: dict[int, Callable[[bytes, Version], Body]] = {
    TERMINAL_ANSWER: parse_answer,
    HEARTBEAT: _parse_plain,
    LOGOUT: _parse_plain,
    TIME_QUERY: _parse_plain,
    REGISTER: parse_registration,
    AUTHENTICATE: parse_authentication,
    LOCATION: _parse_location,
    LOCATION_ANSWER: _parse_location_answer,
    VEHICLE_CONTROL_ANSWER: _parse_location_answer,
    BATCH: parse_batch,
    PLATFORM_ANSWER: parse_answer,
    TIME_ANSWER: parse_server_time,
    REGISTER_ANSWER: parse_registration_answer,
    **REPORTS,
}


# -- writing


def encode_answer(*, serial: int, msg_id: int, result: int) -> bytes:
    """0x8001 (or 0x0001): answer to message ``msg_id`` with that ``serial``."""
    return serial.to_bytes(2) + msg_id.to_bytes(2) + bytes((result,))


def encode_registration_answer(*, serial: int, result: int, code: str = "") -> bytes:
    """0x8100; the code goes out only with result 0."""
    return serial.to_bytes(2) + bytes((result,)) + (gbk(code) if result == REGISTER_OK else b"")


def encode_server_time(at: datetime) -> bytes:
    """0x8004 (2019), UTC."""
    return bcd_of(at.astimezone(UTC))


def encode_registration(registration: Registration) -> bytes:
    """0x0100 in the registration's own layout. Raises BodyError if a text does not fit its field."""
    texts = (registration.manufacturer, registration.model, registration.terminal_id)
    return b"".join(
        (
            registration.province.to_bytes(2),
            registration.city.to_bytes(2),
            *(padded(text, width) for text, width in zip(texts, REGISTER_WIDTHS[registration.layout], strict=True)),
            bytes((registration.plate_colour,)),
            gbk(registration.vin or registration.plate),
        )
    )


def encode_authentication(authentication: Authentication, version: Version) -> bytes:
    """0x0102 in the form of the header version."""
    code = gbk(authentication.code)
    if version == "2013":
        return code
    if len(code) > 255:
        raise BodyError(f"authentication code of {len(code)} bytes is too long: at most 255")
    return bytes((len(code),)) + code + padded(authentication.imei, 15) + padded(authentication.software, 20)


def encode_location(fix: Fix) -> bytes:
    """0x0200 as a terminal would send ``fix``: its fields decide status bits 0-3, ``odometer_m`` item 0x01.

    Coordinates are rounded to 1e-6 degree, speed to 0.1 km/h, the odometer to 0.1 km; a time loses its fraction of a
    second. Raises BodyError for a value that no field can hold.
    """
    status = fix.status & ~(STATUS_FIXED | STATUS_SOUTH | STATUS_WEST)
    if fix.acc is not None:
        status = status & ~STATUS_ACC | (STATUS_ACC if fix.acc else 0)
    status |= (STATUS_FIXED * fix.fixed) | (STATUS_SOUTH * (fix.lat < 0)) | (STATUS_WEST * (fix.lon < 0))
    items = dict(fix.items)
    if fix.odometer_m is not None:
        items["odometer_km"] = fix.odometer_m / 1000
    lat_e6, lon_e6 = round(abs(fix.lat) * 1e6), round(abs(fix.lon) * 1e6)
    if lat_e6 > 90_000_000 or lon_e6 > 180_000_000:
        raise BodyError(f"latitude {fix.lat} or longitude {fix.lon} is not on earth")
    speed, altitude_m, direction_deg = round((fix.speed_kmh or 0) * 10), fix.altitude_m or 0, fix.direction_deg or 0
    if not (0 <= speed < 1 << 16 and -(1 << 15) <= altitude_m < 1 << 15 and 0 <= direction_deg < 1 << 16):
        raise BodyError("speed, altitude or direction does not fit its field")
    time = bcd_of(fix.at.astimezone(UTC) + DEVICE_CLOCK_AHEAD)
    return BASE.pack(fix.alarm, status, lat_e6, lon_e6, altitude_m, speed, direction_deg, time) + encode_items(items)


def encode_batch(fixes: Sequence[Fix], *, blind: bool = False) -> bytes:
    """0x0704; the caller keeps it within one frame (about 25 fixes without items)."""
    bodies = [encode_location(fix) for fix in fixes]
    count = len(bodies).to_bytes(2) + bytes((1 if blind else 0,))
    return count + b"".join(len(body).to_bytes(2) + body for body in bodies)
