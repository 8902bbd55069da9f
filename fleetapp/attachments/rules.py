"""Which files are accepted, told by what they contain and not by their name."""

import hashlib
import io
import zipfile

from fleetapp.attachments import pictures
from fleetapp.kit.errors import RuleBroken

MAX_BYTES = 15 * 1024 * 1024
SIGNATURES: dict[str, tuple[bytes, ...]] = {
    "application/pdf": (b"%PDF-",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (b"PK\x03\x04",),
}
"""First bytes of the accepted kinds; WebP has its mark in the middle, CSV is known by being text."""
ENDINGS = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv": "text/csv",
}
SHOWN = frozenset(["application/pdf", "image/jpeg", "image/png", "image/webp"])
"""Kinds that a browser may show in place; the rest are downloaded."""


def _fits(kind: str, content: bytes) -> bool:
    if kind == "image/webp":
        return content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    if kind == "text/csv":
        return b"\x00" not in content
    if kind == ENDINGS["xlsx"]:
        return content.startswith(SIGNATURES[kind]) and _is_plain_workbook(content)
    return content.startswith(SIGNATURES[kind])


def _is_plain_workbook(content: bytes) -> bool:
    """Tell a workbook without macros from any other archive by the names in it (ECMA-376 part 2, 7.2); nothing is unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            names = {name.lower() for name in packed.namelist()}
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return False
    book = any(name.startswith("xl/workbook") and name.endswith(".xml") for name in names)
    return book and "[content_types].xml" in names and not any(name.endswith("vbaproject.bin") for name in names)


def media_type(name: str, content: bytes) -> str:
    """Return the media type of a file.

    :raises RuleBroken: ``attachments.empty``, ``too_large``, ``kind`` for an ending that is not accepted,
        ``disguised`` when the content is of another kind than the ending says.
    """
    if not content:
        raise RuleBroken("attachments.empty")
    if len(content) > MAX_BYTES:
        raise RuleBroken("attachments.too_large", most_mb=MAX_BYTES // 1024 // 1024)
    kind = ENDINGS.get(name.rpartition(".")[2].lower())
    if kind is None:
        raise RuleBroken("attachments.kind", kinds=", ".join(sorted(ENDINGS)))
    if not _fits(kind, content):
        raise RuleBroken("attachments.disguised", name=name)
    return kind


def kept(kind: str, name: str, content: bytes) -> bytes:
    """Return a file as it is kept: pictures lose place, time and owner that a camera wrote into them.

    :raises RuleBroken: ``attachments.damaged``, such a thing may be in it and cannot be taken out.
    """
    try:
        return pictures.stripped(kind, content)
    except pictures.Unreadable as error:
        raise RuleBroken("attachments.damaged", name=name) from error


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file as hex."""
    return hashlib.sha256(content).hexdigest()
