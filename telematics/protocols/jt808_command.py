"""What a platform asks of a terminal, from plain JSON parameters to message id and body.

Source: JT/T 808-2013 and -2019, chapter 8 (0x8003, 0x8103, 0x8104, 0x8106, 0x8107, 0x8201, 0x8202, 0x8300, 0x8500).

Kinds and their parameters:

* ``set_parameters``: ``{"parameters": {"0029": 30, "0013": "10.0.0.1", "f001": {"hex": "00ff"}}}``, ids in hex.
* ``query_parameters``: nothing for all, or ``{"ids": ["0029"]}``.
* ``query_attributes``, ``query_position``: nothing.
* ``track``: ``{"interval_s": 5, "duration_s": 600}``; interval 0 ends tracking.
* ``text``: ``{"text": "..."}``, optional ``urgent``, ``display`` (default), ``speak``, ``advertise``.
* ``control``: ``{"lock": true}``, the doors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telematics.protocols.jt808 import ProtocolError, Version
from telematics.protocols.jt808_body import LOCATION_ANSWER, VEHICLE_CONTROL_ANSWER
from telematics.protocols.jt808_fields import gbk
from telematics.protocols.jt808_report import ATTRIBUTES, PARAMETERS, TEXT_PARAMETERS, parameter_bytes

RESEND = 0x8003
TEXT_MAX_BYTES = 1024
CONTROL_DOORS = 0x0001


class CommandError(ProtocolError):
    """Parameters that make no message; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Command:
    """A message for a terminal; ``answer_id`` is the message that answers it beside 0x0001, if there is one."""

    msg_id: int
    body: bytes
    answer_id: int | None = None


def encode_command(kind: str, parameters: Mapping[str, Any], version: Version) -> Command:
    """Message of a command in the form of the header version. Raises CommandError or BodyError."""
    encode = ENCODERS.get(kind)
    if encode is None:
        raise CommandError(f"command {kind!r} is not known: {', '.join(ENCODERS)}")
    try:
        return encode(parameters, version)
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise CommandError(f"parameters of {kind} are not usable: {type(error).__name__} {error}") from None
    except ValueError as error:
        if isinstance(error, ProtocolError):
            raise
        raise CommandError(f"parameters of {kind} are not usable: {error}") from None


def _set_parameters(given: Mapping[str, Any], _version: Version) -> Command:
    items = [_parameter(int(key, 16), value) for key, value in given["parameters"].items()]
    if not 1 <= len(items) <= 255:
        raise CommandError(f"{len(items)} parameters: 1 to 255 go into one message")
    return Command(0x8103, bytes((len(items),)) + b"".join(items))


def _parameter(number: int, value: Any) -> bytes:
    if isinstance(value, Mapping):
        content = bytes.fromhex(value["hex"])
    elif number in TEXT_PARAMETERS:
        content = gbk(str(value))
    else:
        content = int(value).to_bytes(parameter_bytes(number))
    if len(content) > 255:
        raise CommandError(f"parameter {number:04x} has {len(content)} bytes: at most 255")
    return number.to_bytes(4) + bytes((len(content),)) + content


def _query_parameters(given: Mapping[str, Any], _version: Version) -> Command:
    numbers = [int(key, 16) for key in given.get("ids", ())]
    if not numbers:
        return Command(0x8104, b"", PARAMETERS)
    if len(numbers) > 255:
        raise CommandError(f"{len(numbers)} parameters: at most 255 go into one message")
    return Command(0x8106, bytes((len(numbers),)) + b"".join(number.to_bytes(4) for number in numbers), PARAMETERS)


def _track(given: Mapping[str, Any], _version: Version) -> Command:
    interval_s = int(given["interval_s"])
    duration = int(given["duration_s"]).to_bytes(4) if interval_s else b""
    return Command(0x8202, interval_s.to_bytes(2) + duration)


def _text(given: Mapping[str, Any], version: Version) -> Command:
    bits = (("urgent", 0, False), ("display", 2, True), ("speak", 3, False), ("advertise", 4, False))
    flag = sum(bool(given.get(name, default)) << bit for name, bit, default in bits)
    content = gbk(given["text"])
    if not 1 <= len(content) <= TEXT_MAX_BYTES:
        raise CommandError(f"text of {len(content)} bytes: 1 to {TEXT_MAX_BYTES} in GBK")
    notice = b"\x01" if version == "2019" else b""
    return Command(0x8300, bytes((flag,)) + notice + content)


def _control(given: Mapping[str, Any], version: Version) -> Command:
    lock = bool(given["lock"])
    # 2019: number of controls, then type and parameter of each. Some terminals leave the number out.
    content = (1).to_bytes(2) + CONTROL_DOORS.to_bytes(2) + bytes((lock,)) if version == "2019" else bytes((lock,))
    return Command(0x8500, content, VEHICLE_CONTROL_ANSWER)


ENCODERS: dict[str, Callable[[Mapping[str, Any], Version], Command]] = {
    "set_parameters": _set_parameters,
    "query_parameters": _query_parameters,
    "query_attributes": lambda _given, _version: Command(0x8107, b"", ATTRIBUTES),
    "query_position": lambda _given, _version: Command(0x8201, b"", LOCATION_ANSWER),
    "track": _track,
    "text": _text,
    "control": _control,
}


def encode_resend(serial: int, indexes: Sequence[int], version: Version) -> bytes:
    """0x8003: pieces ``indexes`` (from 1) of the message whose first piece had ``serial``; at most 255 at once."""
    asked = list(indexes)[:255]
    count = len(asked).to_bytes(2 if version == "2019" else 1)
    return (serial & 0xFFFF).to_bytes(2) + count + b"".join(index.to_bytes(2) for index in asked)
