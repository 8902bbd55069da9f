"""JT/T 809 frames: flags, escapes, CRC, header, cipher; bodies are in ``jt809_body`` and ``jt809_vehicle``.

Source: JT/T 809-2011 and -2019, chapter 4 (data types, frame, escaping, header, encryption). Big-endian throughout. Two
platforms exchange these frames over two TCP links: the main link, which the lower platform opens, and the sub link,
which the upper platform opens back to the address named in the login.
"""

import re
from binascii import crc_hqx
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from struct import Struct
from typing import Literal

from telematics.protocols.jt808 import BadPiece, FrameError

Edition = Literal["2011", "2019"]

HEAD, END = b"\x5b", b"\x5d"
CRC_BYTES = 2
CRC_START = 0xFFFF
PIECE_MAX_BYTES = 1 << 17  # twice (all escaped) what any body of a position exchange needs
SERIAL_MODULUS = 1 << 32
_FLAGS = re.compile(rb"([\x5b\x5d])")
_HEADER = Struct(">IIHI3sBI")
_TIME = Struct(">Q")
HEADER_BYTES: dict[Edition, int] = {"2011": _HEADER.size, "2019": _HEADER.size + _TIME.size}
VERSIONS: dict[Edition, tuple[int, int, int]] = {"2011": (1, 0, 0), "2019": (1, 2, 15)}
"""Version number of the protocol as the header states it unless the upper platform prescribes another."""

_ESCAPES = {b"\x5a\x01": b"\x5b", b"\x5a\x02": b"\x5a", b"\x5e\x01": b"\x5d", b"\x5e\x02": b"\x5e"}
_PLAIN = {plain: escaped for escaped, plain in _ESCAPES.items()}
_TO_ESCAPE = re.compile(rb"[\x5a\x5b\x5d\x5e]")
_ESCAPED = re.compile(rb"[\x5a\x5e].?", re.DOTALL)
WORD = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Cipher:
    """The three constants both platforms agree on; the key comes with every message (JT/T 809-2011, 4.5.3).

    A linear congruential sequence is laid over the body, so the same call enciphers and deciphers. It hides content
    from a casual eye, no more: a link over open networks needs a tunnel.
    """

    m1: int
    ia1: int
    ic1: int

    def __post_init__(self) -> None:
        if not (0 < self.m1 <= WORD and 0 <= self.ia1 <= WORD and 0 <= self.ic1 <= WORD):
            raise ValueError("M1, IA1 and IC1 are 32-bit numbers and M1 is not 0: take those the upper platform gave")

    def apply(self, data: bytes, key: int) -> bytes:
        """``data`` enciphered or deciphered with the message's key; key 0 counts as 1."""
        state = key or 1
        out = bytearray(data)
        for i, byte in enumerate(data):
            state = (self.ia1 * (state % self.m1) + self.ic1) & WORD
            out[i] = byte ^ (state >> 20 & 0xFF)
        return bytes(out)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame, unescaped, verified and deciphered.

    ``centre_id`` is the access code the upper platform gave the lower one. ``key`` is that of an enciphered message,
    None for a plain one. ``at`` is the sending time, only in the header of 2019 (whole seconds, UTC).
    """

    msg_id: int
    serial: int
    centre_id: int
    body: bytes
    version: tuple[int, int, int] = VERSIONS["2011"]
    key: int | None = None
    at: datetime | None = None
    raw: bytes = field(default=b"", repr=False, compare=False)


def crc16(data: bytes) -> int:
    """CRC-16/CCITT, polynomial 0x1021, start 0xFFFF, not reflected (JT/T 809-2011, 4.5.1.4)."""
    return crc_hqx(data, CRC_START)


def escape(data: bytes) -> bytes:
    """Replace 5a, 5b, 5d and 5e inside a frame."""
    return _TO_ESCAPE.sub(lambda found: _PLAIN[found[0]], data)


def unescape(data: bytes) -> bytes:
    """Undo :func:`escape`; raises FrameError where 5a or 5e is followed by anything but 01 or 02."""

    def plain(found: re.Match[bytes]) -> bytes:
        try:
            return _ESCAPES[found[0]]
        except KeyError:
            raise FrameError(f"{found[0][:1].hex()} is not followed by 01 or 02") from None

    return _ESCAPED.sub(plain, data)


def decode_frame(frame: bytes, edition: Edition, cipher: Cipher | None = None) -> Frame:
    """Decode one frame with its flags; raises FrameError with the reason.

    The two editions cannot be told apart by a frame, so the link's must be known. An enciphered body needs ``cipher``.
    """
    if frame[:1] != HEAD or frame[-1:] != END or len(frame) < 2:
        raise FrameError("the 5b flag at the start or the 5d flag at the end is missing")
    piece = frame[1:-1]
    if _FLAGS.search(piece):
        raise FrameError("a flag stands inside the frame")
    return _decode_piece(piece, edition, cipher)


def _decode_piece(piece: bytes, edition: Edition, cipher: Cipher | None) -> Frame:
    data = unescape(piece)
    header_bytes = HEADER_BYTES[edition]
    if len(data) < header_bytes + CRC_BYTES:
        raise FrameError(f"{len(data)} bytes are too short for a frame of {edition}: at least {header_bytes + 2}")
    expected, found = crc16(data[:-CRC_BYTES]), int.from_bytes(data[-CRC_BYTES:])
    if expected != found:
        raise FrameError(f"CRC is {found:04x}, computed {expected:04x}")
    length, serial, msg_id, centre_id, version, enciphered, key = _HEADER.unpack_from(data)
    if length != len(data) + 2:
        raise FrameError(f"header gives a frame of {length} bytes, it has {len(data) + 2}")
    body = data[header_bytes:-CRC_BYTES]
    if enciphered:
        if cipher is None:
            raise FrameError("body is enciphered: set M1, IA1 and IC1 as agreed with the upper platform")
        body = cipher.apply(body, key)
    return Frame(
        msg_id=msg_id,
        serial=serial,
        centre_id=centre_id,
        body=body,
        version=(version[0], version[1], version[2]),
        key=key if enciphered else None,
        at=read_time(data[_HEADER.size : header_bytes]) if edition == "2019" else None,
        raw=HEAD + piece + END,
    )


def encode_frame(frame: Frame, edition: Edition, cipher: Cipher | None = None) -> bytes:
    """Frame as it goes over the wire; ``serial`` is taken modulo 2^32.

    Raises FrameError when a key is given without a cipher, or the header of 2019 lacks its time.
    """
    if frame.key is not None and cipher is None:
        raise FrameError("a message with a key needs the cipher")
    if edition == "2019" and frame.at is None:
        raise FrameError("a frame of 2019 needs its sending time")
    time = write_time(frame.at) if edition == "2019" and frame.at is not None else b""
    body = frame.body if frame.key is None or cipher is None else cipher.apply(frame.body, frame.key)
    header = _HEADER.pack(
        HEADER_BYTES[edition] + len(body) + CRC_BYTES + 2,
        frame.serial % SERIAL_MODULUS,
        frame.msg_id,
        frame.centre_id,
        bytes(frame.version),
        frame.key is not None,
        frame.key or 0,
    )
    data = header + time + body
    return HEAD + escape(data + crc16(data).to_bytes(CRC_BYTES)) + END


def read_time(data: bytes) -> datetime:
    """Time of eight bytes, seconds of 1970 UTC; raises FrameError if no calendar has it."""
    seconds = int.from_bytes(data)
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise FrameError(f"{seconds} seconds since 1970 is not a date and time") from None


def write_time(at: datetime) -> bytes:
    """Eight bytes of a time with zone, fractions of a second cut off."""
    return _TIME.pack(int(at.timestamp()))


class FrameSplitter:
    """Cuts a byte stream into frames; never raises and never holds more than ``PIECE_MAX_BYTES``.

    Neither flag can stand inside a sound frame, so a 5b always begins one anew: what a cut or damaged frame left comes
    out as a BadPiece, and the frame behind it is read.
    """

    def __init__(self, edition: Edition, cipher: Cipher | None = None) -> None:
        self._decode: Callable[[bytes], Frame] = lambda piece: _decode_piece(piece, edition, cipher)
        self._pending = b""
        self._inside = False  # a 5b was seen and no flag since
        self._skipping = False  # the pending piece was too long and is already reported

    def feed(self, data: bytes) -> list[Frame | BadPiece]:
        """Take the next bytes of the stream, return what they complete, in order."""
        found: list[Frame | BadPiece] = []
        for part in _FLAGS.split(data):
            if part == HEAD:
                if self._pending:
                    reason = "a frame begins inside another" if self._inside else "bytes outside a frame"
                    found.append(BadPiece(self._pending, reason))
                self._begin(inside=True)
            elif part == END:
                self._close(found)
                self._begin(inside=False)
            elif not self._skipping:
                self._pending += part
                if len(self._pending) > PIECE_MAX_BYTES:
                    found.append(BadPiece(self._pending[:PIECE_MAX_BYTES], f"no flag within {PIECE_MAX_BYTES} bytes"))
                    self._pending, self._skipping = b"", True
        return found

    def _begin(self, *, inside: bool) -> None:
        self._pending, self._inside, self._skipping = b"", inside, False

    def _close(self, found: list[Frame | BadPiece]) -> None:
        if self._skipping:
            return
        if not self._inside:
            found.append(BadPiece(self._pending, "a 5d flag without its 5b"))
            return
        try:
            found.append(self._decode(self._pending))
        except FrameError as error:
            found.append(BadPiece(self._pending, str(error)))
