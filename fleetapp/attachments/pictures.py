"""Pictures without what a camera writes beside them: place, time, owner, serial number. The picture itself is not touched.

Read: CIPA DC-008 (Exif 2.32) 4.5 and 4.7, ITU-T T.81 annex B (JPEG), W3C PNG third edition 5 and 11, RFC 9649 (WebP).
"""

import struct
import zlib
from collections.abc import Iterator

JPEG, PNG, WEBP = "image/jpeg", "image/png", "image/webp"
KEPT_PNG = frozenset({
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"bKGD", b"pHYs", b"acTL", b"fcTL", b"fdAT",
})  # fmt: skip
"""What a picture needs to look right; texts, times and Exif are not among them."""
KEPT_WEBP = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP"})
WEBP_MARKS = 0x08 | 0x04
"""Bits of ``VP8X`` that announce Exif and XMP."""
EOI, SOS, APP1, COM = 0xD9, 0xDA, 0xE1, 0xFE
KEPT_FIRST = 0xE0
KEPT_APPS = frozenset({KEPT_FIRST, 0xEE})
"""JFIF and Adobe's colour transform; APP2 stays only where it is a colour profile."""
ORIENTATION = 0x0112
TELLTALES = (b"Exif\x00", b"eXIf", b"EXIF", b"http://ns.adobe.com/xap", b"Photoshop 3.0", b"GPSLatitude")


class Unreadable(ValueError):
    """A picture that cannot be taken apart and may hold a position."""


def stripped(kind: str, content: bytes) -> bytes:
    """Return a picture without its metadata; of Exif only which way is up stays. Other kinds come back as they are.

    :raises Unreadable: the parts of the picture cannot be told apart, yet something in it looks like metadata.
    """
    take = {JPEG: _jpeg, PNG: _png, WEBP: _webp}.get(kind)
    if take is None:
        return content
    try:
        return take(content)
    except (struct.error, IndexError, ValueError) as error:
        if any(mark in content for mark in TELLTALES):
            raise Unreadable("metadata cannot be told from the picture") from error
        return content


def _jpeg(content: bytes) -> bytes:
    """Return the segments that make the picture; what follows its end (a video of the phone, a second picture) goes."""
    out, at, up, drawn = [content[:2]], 2, None, False
    while not (drawn and at >= len(content)):  # some cameras forget the end
        if content[at] != 0xFF:
            raise ValueError("no marker")
        while content[at + 1] == 0xFF:  # padding, B.1.1.2
            at += 1
        marker = content[at + 1]
        if marker == EOI:
            out.append(b"\xff\xd9")
            break
        (length,) = struct.unpack_from(">H", content, at + 2)
        end = at + 2 + length
        if length < 2 or end > len(content):
            raise ValueError("cut off")
        body = content[at + 4 : end]
        if marker == SOS:
            end, drawn = _end_of_scan(content, end), True
            out.append(content[at:end])
        elif marker == APP1 and body.startswith(b"Exif\x00\x00"):
            up = up or _orientation(body[6:])
        elif _belongs(marker, body):
            out.append(content[at:end])
        at = end
    if up is not None and up != 1:
        out.insert(2 if out[1][1] == KEPT_FIRST else 1, _upright(up))
    return b"".join(out)


def _belongs(marker: int, body: bytes) -> bool:
    if marker in range(0xE0, 0xF0):
        return marker in KEPT_APPS or (marker == 0xE2 and body.startswith(b"ICC_PROFILE\x00"))
    return marker != COM


def _end_of_scan(content: bytes, at: int) -> int:
    """Return where the next marker is that is neither stuffing nor a restart (B.1.1.5, B.2.1)."""
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        if content[at + 1] == 0 or 0xD0 <= content[at + 1] <= 0xD7:
            at += 2
        elif content[at + 1] == 0xFF:
            at += 1
        else:
            return at
    return len(content)


def _orientation(tiff: bytes) -> int | None:
    """Return which way is up, 1 to 8, None where it does not say."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, first)
        for entry in range(min(count, 200)):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * entry)
            if tag == ORIENTATION:
                return value if 1 <= value <= 8 else None
    except struct.error:
        return None
    return None


def _upright(up: int) -> bytes:
    """Return a segment of Exif with nothing but the orientation."""
    tiff = b"MM\x00\x2a" + struct.pack(">IHHHIHHI", 8, 1, ORIENTATION, 3, 1, up, 0, 0)
    body = b"Exif\x00\x00" + tiff
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def _png(content: bytes) -> bytes:
    out, at = [content[:8]], 8
    while True:
        length, name = struct.unpack_from(">I4s", content, at)
        end = at + 12 + length
        if end > len(content):
            raise ValueError("cut off")
        (sum_,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(content[at + 4 : end - 4]) != sum_:
            raise ValueError("damaged")
        if name in KEPT_PNG:
            out.append(content[at:end])
        if name == b"IEND":
            return b"".join(out)
        at = end


def _webp(content: bytes) -> bytes:
    out = []
    for name, body in _chunks(content):
        if name in KEPT_WEBP:
            kept = bytes([body[0] & ~WEBP_MARKS]) + body[1:] if name == b"VP8X" else body
            out.append(name + struct.pack("<I", len(kept)) + kept + b"\x00" * (len(kept) % 2))
    whole = b"WEBP" + b"".join(out)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    (size,) = struct.unpack_from("<I", content, 4)
    at, whole = 12, min(8 + size, len(content))
    while at < whole:
        name, length = struct.unpack_from("<4sI", content, at)
        if at + 8 + length > len(content):
            raise ValueError("cut off")
        yield name, content[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
