"""JT/T 809 exchange of vehicles' moving data: 0x1200 up, 0x9200 down, and the position inside them.

Source: JT/T 809-2011 and -2019, chapter 5 (dynamic data exchange) and the tables of GNSS data. Units differ from JT/T
808: in 2011 speeds are whole km/h, the odometer whole km, longitude stands before latitude, and date and time
are plain numbers (day, month, year of two bytes, hour, minute, second) of Beijing time. In 2019 the position is a JT/T
808-2019 location body, followed by the alarm words of three platforms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from telematics.protocols.jt808_fields import DEVICE_CLOCK_AHEAD, BodyError
from telematics.protocols.jt809 import Edition, write_time
from telematics.protocols.jt809_body import Id, Reader, number, text

CATCH_UP_MOST = 5
PLATE_BYTES = 21
PLATFORM_BYTES = 11
SOURCE_BYTES = 6


class Sub(IntEnum):
    """Sub-types of 0x1200 and 0x9200."""

    REGISTER = 0x1201
    POSITION = 0x1202
    CATCH_UP = 0x1203
    START_ANSWER = 0x1205
    END_ANSWER = 0x1206
    APPLY_START = 0x1207
    APPLY_END = 0x1208
    APPLY_MISSED = 0x1209
    REGISTER_ANSWER = 0x9201
    START = 0x9205
    END = 0x9206
    APPLY_START_ANSWER = 0x9207
    APPLY_END_ANSWER = 0x9208
    APPLY_MISSED_ANSWER = 0x9209


@dataclass(frozen=True, slots=True)
class Position2011:
    """GNSS data of 2011, 36 bytes. ``at`` is UTC here, Beijing time on the wire.

    ``encrypted`` says that the coordinates went through the state's offset (GCJ-02) instead of being WGS-84.
    Coordinates are millionths of a degree, speeds km/h, the odometer km, direction degrees, altitude metres; ``state``
    and ``alarm`` are the words of JT/T 808.
    """

    encrypted: bool
    at: datetime
    lon_e6: int
    lat_e6: int
    speed_kmh: int
    recorder_kmh: int
    odometer_km: int
    direction_deg: int
    altitude_m: int
    state: int
    alarm: int


@dataclass(frozen=True, slots=True)
class Position2019:
    """GNSS data of 2019: a location body of JT/T 808-2019 and (platform id, alarm word) of three platforms.

    The platforms are, in this order, the operator's, the local (municipal) and the provincial one.
    """

    encrypted: bool
    location: bytes
    platforms: tuple[tuple[str, int], tuple[str, int], tuple[str, int]]


Position = Position2011 | Position2019


@dataclass(frozen=True, slots=True)
class Live:
    """0x1202: one position as it arrives; never answered."""

    position: Position


@dataclass(frozen=True, slots=True)
class CatchUp:
    """0x1203: one to five positions, in order of time, that a broken link held back; never answered."""

    positions: tuple[Position, ...]


@dataclass(frozen=True, slots=True)
class Register:
    """0x1201: the terminal of a vehicle; ``imei`` only in 2019."""

    platform: str
    producer: str
    model: str
    terminal: str
    sim: str
    imei: str = ""


@dataclass(frozen=True, slots=True)
class Period:
    """0x1207 (start of exchange), 0x1209 (missed positions): a period, UTC."""

    sub_type: int
    start_at: datetime
    end_at: datetime


@dataclass(frozen=True, slots=True)
class Note:
    """One byte: reason of 0x9205 and 0x9206, result of 0x9201 and 0x9207 to 0x9209.

    Since 2019 the answers name the sub-type and serial of the message they answer.
    """

    sub_type: int
    code: int
    source: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Plain:
    """A sub-type without content (0x1208; 0x1205 and 0x1206, which since 2019 name what they answer), or one not known."""

    sub_type: int
    data: bytes = b""
    source: tuple[int, int] | None = None


Content = Live | CatchUp | Register | Period | Note | Plain


@dataclass(frozen=True, slots=True)
class Vehicle:
    """Body of 0x1200 and 0x9200: plate, colour (JT/T 415: 1 blue, 2 yellow, 3 black, 4 white, 5 green, 9 other), content."""

    plate: str
    colour: int
    content: Content


ANSWERS_UP = {Sub.START_ANSWER, Sub.END_ANSWER}
REASONS = {Sub.START, Sub.END}
ANSWERS_DOWN = {Sub.REGISTER_ANSWER, Sub.APPLY_START_ANSWER, Sub.APPLY_END_ANSWER, Sub.APPLY_MISSED_ANSWER}


def parse_vehicle(body: bytes, edition: Edition) -> Vehicle:
    """Decode the body of 0x1200 or 0x9200; raises BodyError. Unknown sub-types keep their data as it is."""
    reader = Reader(body)
    plate, colour = "", 0
    if not (edition == "2019" and body[:2] == Sub.REGISTER_ANSWER.to_bytes(2)):  # this one answer names no vehicle
        plate, colour = reader.text(PLATE_BYTES), reader.number(1)
    sub_type = reader.number(2)
    if sub_type in ANSWERS_UP and edition == "2019":
        return Vehicle(plate, colour, _answer_up(sub_type, reader.take(reader.left)))
    size_bytes = reader.number(4)
    if size_bytes > reader.left:
        raise BodyError(f"{sub_type:04x} announces {size_bytes} bytes, the body has {reader.left}")
    parse = _PARSERS.get(sub_type)
    data = reader.take(size_bytes)
    return Vehicle(plate, colour, parse(Reader(data), sub_type, edition) if parse else Plain(sub_type, data))


def encode_vehicle(vehicle: Vehicle, edition: Edition) -> tuple[int, bytes]:
    """Message id and body; raises BodyError for a value that does not fit, or a position of the other edition."""
    content = vehicle.content
    sub_type, data = _encode(content, edition)
    msg_id = Id.DOWN_VEHICLE if sub_type >= 0x9000 else Id.UP_VEHICLE
    named = text(vehicle.plate, PLATE_BYTES) + number(vehicle.colour, 1)
    if edition == "2019" and sub_type == Sub.REGISTER_ANSWER:
        named = b""
    head = named + number(sub_type, 2)
    if edition == "2019" and sub_type in ANSWERS_UP and isinstance(content, Plain):
        return msg_id, head + _source(content.source) + number(0, 4)
    return msg_id, head + number(len(data), 4) + data


def _encode(content: Content, edition: Edition) -> tuple[int, bytes]:
    match content:
        case Live():
            return Sub.POSITION, encode_position(content.position, edition)
        case CatchUp():
            if not 1 <= len(content.positions) <= CATCH_UP_MOST:
                raise BodyError(f"{len(content.positions)} positions in one 0x1203: 1 to {CATCH_UP_MOST} are allowed")
            blocks = (encode_position(position, edition) for position in content.positions)
            return Sub.CATCH_UP, number(len(content.positions), 1) + b"".join(blocks)
        case Register():
            return Sub.REGISTER, _encode_register(content, edition)
        case Period():
            return content.sub_type, write_time(content.start_at) + write_time(content.end_at)
        case Note():
            named = edition == "2019" and content.sub_type in ANSWERS_DOWN
            return content.sub_type, (_source(content.source) if named else b"") + number(content.code, 1)
        case Plain():
            return content.sub_type, content.data


def encode_position(position: Position, edition: Edition) -> bytes:
    """GNSS data of one position; raises BodyError."""
    if isinstance(position, Position2019):
        if edition != "2019":
            raise BodyError("a position of 2019 does not go over a link of 2011")
        alarms = b"".join(text(name, PLATFORM_BYTES) + number(alarm, 4) for name, alarm in position.platforms)
        return number(position.encrypted, 1) + number(len(position.location), 4) + position.location + alarms
    if edition != "2011":
        raise BodyError("a position of 2011 does not go over a link of 2019")
    local = position.at.astimezone(UTC) + DEVICE_CLOCK_AHEAD
    altitude = position.altitude_m & 0xFFFF if -0x8000 <= position.altitude_m < 0 else position.altitude_m
    return b"".join(
        (
            number(position.encrypted, 1),
            bytes((local.day, local.month)) + number(local.year, 2) + bytes((local.hour, local.minute, local.second)),
            *(number(value, 4) for value in (position.lon_e6, position.lat_e6)),
            *(number(value, 2) for value in (position.speed_kmh, position.recorder_kmh)),
            number(position.odometer_km, 4),
            *(number(value, 2) for value in (position.direction_deg, altitude)),
            *(number(value, 4) for value in (position.state, position.alarm)),
        )
    )


def parse_position(reader: Reader, edition: Edition) -> Position:
    """GNSS data of one position; raises BodyError."""
    encrypted = bool(reader.number(1))
    if edition == "2019":
        location = reader.take(reader.number(4))
        one, two, three = ((reader.text(PLATFORM_BYTES), reader.number(4)) for _ in range(3))
        return Position2019(encrypted, location, (one, two, three))
    day, month, year = reader.number(1), reader.number(1), reader.number(2)
    hour, minute, second = reader.take(3)
    try:
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC) - DEVICE_CLOCK_AHEAD
    except (ValueError, OverflowError):
        raise BodyError(f"{year}-{month}-{day} {hour}:{minute}:{second} is not a date and time") from None
    lon_e6, lat_e6, speed, recorder = reader.number(4), reader.number(4), reader.number(2), reader.number(2)
    odometer_km, direction, altitude = reader.number(4), reader.number(2), reader.number(2)
    signed_m = altitude - 0x10000 if altitude >= 0x8000 else altitude
    state, alarm = reader.number(4), reader.number(4)
    return Position2011(
        encrypted, at, lon_e6, lat_e6, speed, recorder, odometer_km, direction, signed_m, state, alarm
    )  # fmt: skip


REGISTER_WIDTHS: dict[Edition, tuple[int, ...]] = {"2011": (11, 11, 20, 7, 12), "2019": (11, 11, 30, 15, 30, 13)}
"""Bytes of platform, producer, model, (IMEI,) terminal and SIM number; 2011 with the model field of its supplement."""
MODEL_BYTES_FIRST_PRINT = 8  # of 2011


def _encode_register(content: Register, edition: Edition) -> bytes:
    fields = [content.platform, content.producer, content.model, content.terminal, content.sim]
    if edition == "2019":
        fields.insert(3, content.imei)
    return b"".join(text(value, width) for value, width in zip(fields, REGISTER_WIDTHS[edition], strict=True))


def _register(reader: Reader, _sub_type: int, edition: Edition) -> Register:
    widths = list(REGISTER_WIDTHS[edition])
    if edition == "2011" and reader.left < sum(widths):
        widths[2] = MODEL_BYTES_FIRST_PRINT
    fields = [reader.text(width) for width in widths]
    imei = fields.pop(3) if edition == "2019" else ""
    platform, producer, model, terminal, sim = fields
    return Register(platform, producer, model, terminal, sim, imei)


def _live(reader: Reader, _sub_type: int, edition: Edition) -> Live:
    return Live(parse_position(reader, edition))


def _catch_up(reader: Reader, _sub_type: int, edition: Edition) -> CatchUp:
    count = reader.number(1)
    if not 1 <= count <= CATCH_UP_MOST:
        raise BodyError(f"0x1203 announces {count} positions: 1 to {CATCH_UP_MOST} are allowed")
    return CatchUp(tuple(parse_position(reader, edition) for _ in range(count)))


def _period(reader: Reader, sub_type: int, _edition: Edition) -> Period:
    return Period(sub_type, reader.time(), reader.time())


def _note(reader: Reader, sub_type: int, edition: Edition) -> Note:
    named = edition == "2019" and sub_type in ANSWERS_DOWN and reader.left >= SOURCE_BYTES + 1
    source = (reader.number(2), reader.number(4)) if named else None
    return Note(sub_type, reader.number(1), source)


def _answer_up(sub_type: int, data: bytes) -> Plain:
    """0x1205, 0x1206 of 2019: source and length as public frames have it, or length (6) before the source."""
    if len(data) >= 10 and data[:4] == SOURCE_BYTES.to_bytes(4):
        data = data[4:]
    reader = Reader(data)
    return Plain(sub_type, source=(reader.number(2), reader.number(4)))


def _source(source: tuple[int, int] | None) -> bytes:
    sub_type, serial = source or (0, 0)
    return number(sub_type, 2) + number(serial, 4)


_PARSERS: dict[int, Callable[[Reader, int, Edition], Content]] = {
    Sub.REGISTER: _register,
    Sub.POSITION: _live,
    Sub.CATCH_UP: _catch_up,
    Sub.APPLY_START: _period,
    Sub.APPLY_MISSED: _period,
    **dict.fromkeys(REASONS | ANSWERS_DOWN, _note),
}
