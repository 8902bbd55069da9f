"""JT/T 808 frames: flags, escapes, check byte, header, sub-packages; bodies are in ``jt808_body``.

Source: JT/T 808-2011, -2013 and -2019, chapter 4 (escaping, message header, sub-packages). Big-endian throughout.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

Version = Literal["2013", "2019"]

FLAG = b"\x7e"
FLAGS = re.compile(rb"\x7e+")  # in a row they part nothing: a flood of them costs no more than its bytes
BODY_MAX_BYTES = 0x3FF
ENCRYPTION_BITS = 0x1C00
SUB_PACKAGE_BIT = 0x2000
VERSION_BIT = 0x4000
SHORTEST_BYTES = 13  # 12-byte header of 2011/2013, no body, check byte
PIECE_MAX_BYTES = 2 * (21 + BODY_MAX_BYTES + 1)  # 2019 header with packet item, full body, check byte, all escaped
MAX_GROUPS = 64  # messages one terminal may have under way in sub-packages: real ones have one or two
LOW_512_BITS = (1 << 512) - 1
PHONE_BYTES: dict[Version, int] = {"2013": 6, "2019": 10}


class ProtocolError(ValueError):
    """A device sent something that cannot be read; the text says what, for a person."""


class FrameError(ProtocolError):
    """The bytes are not one whole JT/T 808 frame."""


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """What an answer must repeat of a terminal's own header: layout, protocol version byte, phone bytes."""

    version: Version
    protocol_version: int
    phone_raw: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One frame, unescaped and verified.

    ``version`` is the header layout ("2013" is also that of 2011, told apart only by the body of 0x0100).
    ``phone`` has its leading zeros stripped; ``phone_raw`` keeps the bytes. ``sub_package`` is (total, index from 1).
    ``raw`` is the frame as received, flags included; of a re-assembled message, its frames in order.
    """

    msg_id: int
    version: Version
    protocol_version: int
    phone: str
    phone_raw: bytes
    serial: int
    body: bytes
    sub_package: tuple[int, int] | None = None
    encrypted: bool = False
    raw: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class BadPiece:
    """Bytes between two flags that are not a frame, kept so that they can be counted and looked at."""

    raw: bytes
    reason: str


def escape(data: bytes) -> bytes:
    """Replace 7e and 7d inside a frame (JT/T 808 4.4.2)."""
    return data.replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")


def unescape(data: bytes) -> bytes:
    """Undo :func:`escape`; raises FrameError where 7d is followed by anything but 01 or 02.

    A 7d at the very end stands for itself: some terminals forget to escape the check byte, which proves itself.
    """
    if b"\x7d" not in data:
        return data
    escapes = data.count(b"\x7d") - data.endswith(b"\x7d")
    if not escapes:
        return data
    if escapes != data.count(b"\x7d\x01") + data.count(b"\x7d\x02"):
        raise FrameError("7d is not followed by 01 or 02")
    return data.replace(b"\x7d\x02", FLAG).replace(b"\x7d\x01", b"\x7d")


def xor_of(data: bytes) -> int:
    """All bytes combined by exclusive or, 64 at a time: several times as fast as one by one."""
    word = int.from_bytes(data)
    while word >> 512:
        word = (word >> 512) ^ (word & LOW_512_BITS)
    for bits in (256, 128, 64, 32, 16, 8):
        word ^= word >> bits
    return word & 0xFF


def decode_frame(frame: bytes) -> Message:
    """Decode one frame as it came over the wire, with its two 7e flags or without both.

    Raises FrameError with the reason: flags, escape, length, check byte, header.
    """
    piece = frame
    if frame[:1] == FLAG or frame[-1:] == FLAG:
        if len(frame) < 2 or frame[:1] != frame[-1:]:
            raise FrameError("one of the two 7e flags is missing")
        piece = frame[1:-1]
    if FLAG in piece:
        raise FrameError("a 7e flag stands inside the frame")
    return _decode_piece(piece)


def _decode_piece(piece: bytes) -> Message:
    data = unescape(piece)
    if len(data) < SHORTEST_BYTES:
        raise FrameError(f"{len(data)} bytes are too short for a frame: at least {SHORTEST_BYTES}")
    if check := xor_of(data):
        raise FrameError(f"checksum is {data[-1]:02x}, computed {data[-1] ^ check:02x}")
    attributes = int.from_bytes(data[2:4])
    version: Version = "2013"
    protocol_version, phone_at = 0, 4
    if attributes & VERSION_BIT:
        version, protocol_version, phone_at = "2019", data[4], 5
    serial_at = phone_at + PHONE_BYTES[version]
    body_at = serial_at + (6 if attributes & SUB_PACKAGE_BIT else 2)
    body = data[body_at:-1]
    if len(data) <= body_at:
        raise FrameError(f"{len(data)} bytes are too short for this header: at least {body_at + 1}")
    if len(body) != attributes & BODY_MAX_BYTES:
        raise FrameError(f"header gives a body of {attributes & BODY_MAX_BYTES} bytes, the frame has {len(body)}")
    phone_raw = data[phone_at:serial_at]
    return Message(
        msg_id=int.from_bytes(data[0:2]),
        version=version,
        protocol_version=protocol_version,
        phone=phone_text(phone_raw),
        phone_raw=phone_raw,
        serial=int.from_bytes(data[serial_at : serial_at + 2]),
        body=body,
        sub_package=_sub_package(data[serial_at + 2 : body_at]),
        encrypted=bool(attributes & ENCRYPTION_BITS),
        raw=FLAG + piece + FLAG,
    )


def _sub_package(item: bytes) -> tuple[int, int] | None:
    if not item:
        return None
    total, index = int.from_bytes(item[:2]), int.from_bytes(item[2:])
    if not 1 <= index <= total:
        raise FrameError(f"sub-package {index} of {total} does not exist")
    return total, index


@lru_cache(maxsize=1 << 15)
def phone_text(phone_raw: bytes) -> str:
    """Terminal identity as text: BCD digits (vendors also send hex digits), leading zeros stripped."""
    return phone_raw.hex().lstrip("0") or "0"


def header_form(phone: str, version: Version = "2013") -> HeaderForm:
    """Header form of a terminal that has this number; raises FrameError if the number does not fit."""
    digits = 2 * PHONE_BYTES[version]
    if not (phone.isascii() and phone.isdigit() and len(phone) <= digits):
        raise FrameError(f"terminal number {phone!r} is not 1 to {digits} decimal digits, as a {version} header needs")
    return HeaderForm(version, 1 if version == "2019" else 0, bytes.fromhex(phone.zfill(digits)))


def encode_frame(
    msg_id: int,
    body: bytes,
    *,
    like: Message | HeaderForm,
    serial: int,
    sub_package: tuple[int, int] | None = None,
) -> bytes:
    """Frame with flags, in the header form of ``like`` (a terminal's message or :func:`header_form`).

    ``serial`` is taken modulo 65536. Raises FrameError for a body over 1,023 bytes.
    """
    if len(body) > BODY_MAX_BYTES:
        raise FrameError(
            f"body of {len(body)} bytes does not fit one frame: at most {BODY_MAX_BYTES}, send less at once"
        )
    is_2019 = like.version == "2019"
    bits = (VERSION_BIT if is_2019 else 0) | (SUB_PACKAGE_BIT if sub_package else 0)
    data = b"".join(
        (
            msg_id.to_bytes(2),
            (len(body) | bits).to_bytes(2),
            bytes((like.protocol_version,)) if is_2019 else b"",
            like.phone_raw,
            (serial & 0xFFFF).to_bytes(2),
            *(number.to_bytes(2) for number in sub_package or ()),
            body,
        )
    )
    return FLAG + escape(data + bytes((xor_of(data),))) + FLAG


def encode_frames(msg_id: int, body: bytes, *, like: Message | HeaderForm, serial: int) -> list[bytes]:
    """Frames of a body of any length, the first with ``serial``: one, or sub-packages with consecutive serials."""
    if len(body) <= BODY_MAX_BYTES:
        return [encode_frame(msg_id, body, like=like, serial=serial)]
    pieces = [body[at : at + BODY_MAX_BYTES] for at in range(0, len(body), BODY_MAX_BYTES)]
    return [
        encode_frame(msg_id, piece, like=like, serial=serial + index, sub_package=(len(pieces), index + 1))
        for index, piece in enumerate(pieces)
    ]


class FrameSplitter:
    """Cuts a byte stream into messages; never raises and never holds more than ``PIECE_MAX_BYTES``.

    Every 7e is a delimiter, so shared flags, doubled flags and garbage between frames need no special case: what is
    not a verified frame comes out as a BadPiece and the next flag starts afresh.
    """

    def __init__(self) -> None:
        self._pending = b""
        self._inside = False  # a flag was seen, so the pending bytes may be a frame
        self._skipping = False  # the pending piece was too long and is already reported

    @property
    def pending(self) -> bytes:
        """Bytes received since the last flag."""
        return self._pending

    def feed(self, data: bytes) -> list[Message | BadPiece]:
        """Take the next bytes of the stream, return what they complete, in order."""
        first, *rest = FLAGS.split(data)
        found: list[Message | BadPiece] = []
        self._hold(first, found)
        for piece in rest:
            self._close(found)
            self._hold(piece, found)
        return found

    def cut(self, data: bytes) -> tuple[bytes, bytes] | None:
        """Take the next bytes unread: whole pieces with the flags around them, and what follows, which is to be fed next.

        None, and nothing taken, if they complete no piece or what is pending is none.
        """
        if not self._inside or self._skipping or FLAG not in data:
            return None
        whole = FLAG + self._pending + data
        end = whole.rindex(FLAG) + 1
        self._pending = b""
        return whole[:end], whole[end:]

    def _hold(self, piece: bytes, found: list[Message | BadPiece]) -> None:
        if self._skipping:
            return
        self._pending += piece
        if len(self._pending) > PIECE_MAX_BYTES:
            found.append(BadPiece(self._pending[:PIECE_MAX_BYTES], f"no flag within {PIECE_MAX_BYTES} bytes"))
            self._pending, self._skipping = b"", True

    def _close(self, found: list[Message | BadPiece]) -> None:
        piece, inside = self._pending, self._inside
        self._pending, self._inside, self._skipping = b"", True, False
        if not piece:
            return
        if not inside:
            found.append(BadPiece(piece, "bytes before the first 7e flag"))
            return
        try:
            found.append(_decode_piece(piece))
        except FrameError as error:
            found.append(BadPiece(piece, str(error)))


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A sub-packaged message given up: what came of it and which pieces (from 1) are missing."""

    phone: str
    msg_id: int
    total: int
    missing: tuple[int, ...]
    raw: bytes


@dataclass(slots=True)
class _Group:
    last_at: datetime
    pieces: dict[int, Message] = field(default_factory=dict)
    size_bytes: int = 0


class Reassembly:
    """Joins sub-packages by (phone, message id, total) and index; real terminals skip serials, so these do not count.

    Holds at most ``max_bytes`` of frames; the group that waited longest gives way. What is given up is returned by
    :meth:`give_up`, so nothing disappears silently.
    """

    def __init__(self, *, wait_s: float = 60.0, max_bytes: int = 1 << 20) -> None:
        self._wait = timedelta(seconds=wait_s)
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._groups: dict[tuple[str, int, int], _Group] = {}
        self._given_up: list[Incomplete] = []

    def add(self, message: Message, *, now: datetime) -> Message | None:
        """Whole message once its last piece has come, else None; a message without sub-packages comes back as it is.

        The whole message carries the serial of the piece that completed it. A repeated piece changes nothing; another
        piece in its place means that the terminal began anew, and the old pieces are given up.
        """
        if message.sub_package is None:
            return message
        total, index = message.sub_package
        key = (message.phone, message.msg_id, total)
        known = self._groups[key].pieces.get(index) if key in self._groups else None
        if known is not None and known.body != message.body:
            self._drop(key)
        group = self._groups.pop(key, None) or _Group(now)
        self._groups[key] = group  # at the end: the first one has waited longest
        group.last_at = now
        if index not in group.pieces:
            group.pieces[index] = message
            group.size_bytes += len(message.raw)
            self._size_bytes += len(message.raw)
        if len(group.pieces) < total:
            while self._size_bytes > self._max_bytes or len(self._groups) > MAX_GROUPS:
                self._drop(next(iter(self._groups)))
            return None
        del self._groups[key]
        self._size_bytes -= group.size_bytes
        pieces = [group.pieces[i] for i in range(1, total + 1)]
        return replace(
            message,
            body=b"".join(piece.body for piece in pieces),
            raw=b"".join(piece.raw for piece in pieces),
            sub_package=None,
        )

    def give_up(self, *, now: datetime) -> list[Incomplete]:
        """Forget and return the groups that waited too long or had to make room since the last call.

        A clock that was set back by more than the wait ends it too, or a group could wait for years.
        """
        for key in [key for key, group in self._groups.items() if abs(now - group.last_at) >= self._wait]:
            self._drop(key)
        given_up, self._given_up = self._given_up, []
        return given_up

    def waiting(self) -> list[tuple[int, dict[int, Message]]]:
        """Number of pieces and those that came, by index, of every message that is not whole yet."""
        return [(key[2], dict(group.pieces)) for key, group in self._groups.items()]

    def _drop(self, key: tuple[str, int, int]) -> None:
        group = self._groups.pop(key)
        self._size_bytes -= group.size_bytes
        phone, msg_id, total = key
        missing = tuple(i for i in range(1, total + 1) if i not in group.pieces)
        raw = b"".join(group.pieces[i].raw for i in sorted(group.pieces))
        self._given_up.append(Incomplete(phone, msg_id, total, missing, raw))
