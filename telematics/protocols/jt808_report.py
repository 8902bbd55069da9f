"""JT/T 808 messages of a terminal that carry no position: driver card, attributes, parameters, passed-through data.

Source: JT/T 808-2013 and -2019, chapter 8 (0x0005, 0x0104, 0x0107, 0x0702, 0x0900, 0x0901); 0x0702 also in the
layout of 2011. Every content is plain JSON once ``asdict`` has seen it, apart from its ``at``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from telematics.protocols.jt808 import Version
from telematics.protocols.jt808_fields import BodyError, device_time, need, text_of

RESEND_REQUEST = 0x0005
PARAMETERS = 0x0104
ATTRIBUTES = 0x0107
DRIVER_CARD = 0x0702
TRANSPARENT = 0x0900
COMPRESSED = 0x0901

CARD_IN, CARD_OUT = 1, 2
ICCID_BYTES = 10

TEXT_PARAMETERS = frozenset({*range(0x10, 0x18), 0x1A, 0x1D, *range(0x23, 0x27), *range(0x40, 0x45), 0x48, 0x49, 0x83})
WORD_PARAMETERS = frozenset({0x31, *range(0x5B, 0x5F), 0x81, 0x82})
BYTE_PARAMETERS = frozenset({0x84, *range(0x90, 0x93), 0x94})
"""Parameter ids (table 12) that are a text, two bytes or one; every other standard id is a number of four bytes."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """0x0104. ``parameters`` maps the id, four hex digits at least, to a number, a text or ``{"hex": ...}``."""

    serial: int
    declared: int
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attributes:
    """0x0107. ``type_bits``: 0 passenger, 1 dangerous goods, 2 freight, 3 taxi, 6 disk recorder, 7 split unit."""

    type_bits: int
    manufacturer: str
    model: str
    terminal_id: str
    iccid: str
    hardware: str
    firmware: str
    gnss_bits: int
    network_bits: int


@dataclass(frozen=True, slots=True)
class DriverCard:
    """0x0702: a driver's card was put in or taken out ``at``; the rest only for a card that could be read.

    ``read_result``: 0 read, 1 card not authorised, 2 locked, 3 pulled out, 4 checksum wrong. The layout of 2011 has
    neither time nor status: ``at`` is None and ``status`` "in".
    """

    status: str
    at: datetime | None
    read_result: int | None = None
    name: str = ""
    licence: str = ""
    agency: str = ""
    valid_until: str = ""
    id_card: str = ""


@dataclass(frozen=True, slots=True)
class Transparent:
    """0x0900: data of a device behind the terminal, by its type (0x00 GNSS, 0x0B card, 0x41 and 0x42 serial ports)."""

    type: int
    hex: str


@dataclass(frozen=True, slots=True)
class Compressed:
    """0x0901: a gzip message, kept as it is and never unpacked: what it unpacks to has no bound."""

    declared_bytes: int
    hex: str


@dataclass(frozen=True, slots=True)
class Resend:
    """0x0005 (2019), and 0x8003 in the other direction: pieces ``indexes`` of the message that began with ``serial``."""

    serial: int
    indexes: tuple[int, ...]


def parameter_value(number: int, value: bytes) -> Any:
    """Value of one parameter: text and numbers of the standard's widths, else ``{"hex": ...}``."""
    if number in TEXT_PARAMETERS:
        return text_of(value)
    if len(value) == parameter_bytes(number):
        return int.from_bytes(value)
    return {"hex": value.hex()}


def parameter_bytes(number: int) -> int:
    """Width of a parameter that is a number."""
    return 1 if number in BYTE_PARAMETERS else 2 if number in WORD_PARAMETERS else 4


def parse_parameters(body: bytes, _version: Version) -> Parameters:
    """0x0104; raises BodyError where an item runs over the end."""
    need(body, 3, "parameters")
    found: dict[str, Any] = {}
    at = 3
    while at < len(body):
        start = at + 5
        at = start + body[at + 4] if start <= len(body) else len(body) + 1
        if at > len(body):
            raise BodyError("parameters body: an item runs over the end")
        number = int.from_bytes(body[start - 5 : start - 1])
        found[f"{number:04x}"] = parameter_value(number, body[start:at])
    return Parameters(int.from_bytes(body[:2]), body[2], found)


def parse_attributes(body: bytes, version: Version) -> Attributes:
    """0x0107. The 2019 print gives the maker 5 bytes, units in the field send 11: the layout that fits is taken."""
    for maker, model, terminal in ((11, 30, 30), (5, 30, 30)) if version == "2019" else ((5, 20, 7), (5, 30, 7)):
        terminal_at = 2 + maker + model
        iccid_at = terminal_at + terminal
        hardware_at = iccid_at + ICCID_BYTES
        firmware_at = hardware_at + 1 + (body[hardware_at] if hardware_at < len(body) else 0)
        end = firmware_at + 1 + (body[firmware_at] if firmware_at < len(body) else 0)
        if end + 2 != len(body):
            continue
        return Attributes(
            type_bits=int.from_bytes(body[:2]),
            manufacturer=text_of(body[2 : 2 + maker]),
            model=text_of(body[2 + maker : terminal_at]),
            terminal_id=text_of(body[terminal_at:iccid_at]),
            iccid=body[iccid_at:hardware_at].hex(),
            hardware=text_of(body[hardware_at + 1 : firmware_at]),
            firmware=text_of(body[firmware_at + 1 : end]),
            gnss_bits=body[end],
            network_bits=body[end + 1],
        )
    raise BodyError(f"attributes body of {len(body)} bytes fits no layout of the standard")


def parse_driver_card(body: bytes, version: Version) -> DriverCard:
    """0x0702 of 2013 and 2019; what does not begin like one (status, time) is read in the layout of 2011."""
    need(body, 1, "driver card")
    if body[0] not in {CARD_IN, CARD_OUT}:
        return _driver_of_2011(body)
    need(body, 7, "driver card")
    at = device_time(body[1:7])
    if body[0] == CARD_OUT:
        return DriverCard("out", at)
    need(body, 8, "driver card")
    if body[7]:
        return DriverCard("in", at, body[7])
    name, after = _counted(body, 8)
    agency, end = _counted(body, after + 20)
    need(body, end + 4, "driver card")
    return DriverCard(
        "in",
        at,
        0,
        name,
        text_of(body[after : after + 20]),
        agency,
        _day(body[end : end + 4]),
        text_of(body[end + 4 : end + 24]) if version == "2019" else "",
    )


def _driver_of_2011(body: bytes) -> DriverCard:
    name, after = _counted(body, 0)
    agency, _ = _counted(body, after + 60)
    return DriverCard(
        "in",
        None,
        name=name,
        licence=text_of(body[after + 20 : after + 60]),
        agency=agency,
        id_card=text_of(body[after : after + 20]),
    )


def _counted(body: bytes, at: int) -> tuple[str, int]:
    """Text behind its length byte, and where it ends."""
    need(body, at + 1, "driver card")
    end = at + 1 + body[at]
    need(body, end, "driver card")
    return text_of(body[at + 1 : end]), end


def _day(raw: bytes) -> str:
    """``YYYYMMDD`` as an ISO date; what is no date stays as its digits: it is printed on a card, not ours to judge."""
    try:
        return date.fromisoformat(raw.hex()).isoformat()
    except ValueError:
        return raw.hex()


def parse_transparent(body: bytes, _version: Version) -> Transparent:
    """0x0900."""
    need(body, 1, "pass-through")
    return Transparent(body[0], body[1:].hex())


def parse_compressed(body: bytes, _version: Version) -> Compressed:
    """0x0901."""
    need(body, 4, "compressed")
    return Compressed(int.from_bytes(body[:4]), body[4:].hex())


def parse_resend(body: bytes, _version: Version) -> Resend:
    """0x0005 and 0x8003; the count has one byte (2013) or two (2019), whichever fits the length."""
    need(body, 3, "resend request")
    for width in (1, 2):
        start = 2 + width
        if start + 2 * int.from_bytes(body[2:start]) == len(body):
            indexes = tuple(int.from_bytes(body[at : at + 2]) for at in range(start, len(body), 2))
            return Resend(int.from_bytes(body[:2]), indexes)
    raise BodyError("resend request: its count does not fit its length")


REPORTS: dict[
    int, Callable[[bytes, Version], Parameters | Attributes | DriverCard | Transparent | Compressed | Resend]
] = {
    RESEND_REQUEST: parse_resend,
    PARAMETERS: parse_parameters,
    ATTRIBUTES: parse_attributes,
    DRIVER_CARD: parse_driver_card,
    TRANSPARENT: parse_transparent,
    COMPRESSED: parse_compressed,
}
