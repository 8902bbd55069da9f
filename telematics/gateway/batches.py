"""Messages of the group writer as one block of bytes for a stream, and back; pure.

A block holds exactly what COPY would store, frames included: deflated, after a mark that names the layout, one message
after the other, each as the number of its rows and the length of its other entries, then the rows and these entries
as JSON. Little-endian. A later layout gets another mark, so that a writer never misreads an older block.
"""

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from telematics.gateway.writer import Incoming
from telematics.rows import Quarantined, Row, micros, moment
from telematics.terminal_store import Event, Properties

MARK = b"GPS2"
LEVEL = 1  # the frames of one moment repeat each other: most of the gain for a tenth of the time
MESSAGE = struct.Struct("<II")
ROW = struct.Struct("<iqqiiqqiiqiHII")
ODOMETER, SPEED, DIRECTION, ACC_KNOWN, ACC, FIXED, MOCK, SATELLITES, RAW = (1 << bit for bit in range(9))


class NoBlock(ValueError):
    """Bytes that are no block of a layout known here."""


def pack_message(message: Incoming) -> bytes:
    """One message in a block. Raises ValueError for values that no block can hold."""
    try:
        rows = b"".join(map(_row, message.rows))
    except struct.error as error:
        raise ValueError(str(error)) from None
    others = {
        "quarantined": [[micros(q.received_at), q.peer, q.phone, q.reason, _text(q.raw)] for q in message.quarantined],
        "events": [
            [e.terminal_id, micros(e.at), micros(e.received_at), e.kind, dict(e.body), _text(e.content), _text(e.raw)]
            for e in message.events
        ],
        "properties": [[p.terminal_id, micros(p.at), dict(p.values)] for p in message.properties],
    }
    content = json.dumps({name: value for name, value in others.items() if value}).encode()
    return MESSAGE.pack(len(message.rows), len(content)) + rows + content


def pack_block(packed: Sequence[bytes]) -> bytes:
    """Block of packed messages."""
    return MARK + zlib.compress(b"".join(packed), LEVEL)


def name_of(block: bytes) -> str:
    """Digest of a block, by which a stream knows it when it comes again."""
    return blake2b(block, digest_size=16).hexdigest()


def unpack_block(block: bytes) -> list[Incoming]:
    """Messages of a block. Raises NoBlock."""
    if block[:4] != MARK:
        raise NoBlock(f"the block begins with {block[:4].hex()}: another layout, or none")
    try:
        data = zlib.decompress(block[4:])
        found = []
        at = 0
        while at < len(data):
            message, at = _message(data, at)
            found.append(message)
    except (zlib.error, struct.error, ValueError, KeyError, TypeError) as error:
        raise NoBlock(f"the block is damaged: {error}") from None
    return found


def _row(row: Row) -> bytes:
    (
        terminal_id, at, digest, lat_e6, lon_e6, rest, received_at, odometer_m, speed_dkmh, direction_deg, acc, fixed, mock,
        alarm, satellites, raw,
    ) = row  # fmt: skip
    marks = (
        (odometer_m is not None) * ODOMETER | (speed_dkmh is not None) * SPEED | (direction_deg is not None) * DIRECTION
        | (acc is not None) * ACC_KNOWN | bool(acc) * ACC | bool(fixed) * FIXED | bool(mock) * MOCK
        | (satellites is not None) * SATELLITES | (raw is not None) * RAW
    )  # fmt: skip
    kept = raw or b""
    head = ROW.pack(
        terminal_id, micros(at), digest, lat_e6, lon_e6, micros(received_at), odometer_m or 0, speed_dkmh or 0,
        direction_deg or 0, alarm, satellites or 0, marks, len(rest), len(kept),
    )  # fmt: skip
    return b"".join((head, rest, kept))


def _message(data: bytes, at: int) -> tuple[Incoming, int]:
    count, others = MESSAGE.unpack_from(data, at)
    at += MESSAGE.size
    rows = []
    for _ in range(count):
        (
            terminal_id, at_us, digest, lat_e6, lon_e6, received_us, odometer_m, speed_dkmh, direction_deg, alarm,
            satellites, marks, rest, raw,
        ) = ROW.unpack_from(data, at)  # fmt: skip
        at += ROW.size
        rows.append((
            terminal_id, moment(at_us), digest, lat_e6, lon_e6, data[at : at + rest], moment(received_us),
            odometer_m if marks & ODOMETER else None, speed_dkmh if marks & SPEED else None,
            direction_deg if marks & DIRECTION else None, bool(marks & ACC) if marks & ACC_KNOWN else None,
            bool(marks & FIXED), bool(marks & MOCK), alarm,
            satellites if marks & SATELLITES else None, data[at + rest : at + rest + raw] if marks & RAW else None,
        ))  # fmt: skip
        at += rest + raw
    end = at + others
    if end > len(data):
        raise ValueError("it is cut off")
    content = json.loads(data[at:end])
    return (
        Incoming(
            rows,
            [Quarantined(moment(us), peer, phone, why, b64decode(raw)) for us, peer, phone, why, raw in _of(content, "quarantined")],
            [
                Event(terminal, moment(us), moment(received), kind, body, b64decode(identity), b64decode(raw))
                for terminal, us, received, kind, body, identity, raw in _of(content, "events")
            ],
            [Properties(terminal, moment(us), values) for terminal, us, values in _of(content, "properties")],
        ),
        end,
    )  # fmt: skip


def _of(content: dict[str, Any], name: str) -> list[Any]:
    found: list[Any] = content.get(name, [])
    return found


def _text(raw: bytes) -> str:
    return b64encode(raw).decode()
