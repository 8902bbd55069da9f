"""Exports as downloads: written to a file without a name, handed over only after the commit."""

import tempfile
from collections.abc import Callable
from typing import Any, BinaryIO
from urllib.parse import quote

from flask import Response, send_file

from fleetapp.web.request import transaction

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TYPES = {"xlsx": XLSX, "csv": "text/csv; charset=utf-8", "pdf": "application/pdf", "zip": "application/zip"}


def named(response: Response, file_name: str, *, inline: bool = False) -> Response:
    """Name a response's file in any script: plain letters for old readers, the whole name by RFC 8187 for the others."""
    plain = (
        "".join(letter for letter in file_name if letter.isascii() and (letter.isalnum() or letter in "-_. ")) or "file"
    )
    way = "inline" if inline else "attachment"
    response.headers["Content-Disposition"] = (
        f"{way}; filename=\"{plain}\"; filename*=UTF-8''{quote(file_name, safe='')}"
    )
    return response


def recorded(make: Callable[[Any, BinaryIO], Any]) -> Response:
    """Send what ``make`` writes; it returns the record of the export (name, hash, length)."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- the server closes it when it has been sent
    try:
        with transaction() as session:
            record = make(session, file)
    except BaseException:
        file.close()
        raise
    response = send_file(file, mimetype=TYPES[record.file_name.rsplit(".", 1)[-1]], as_attachment=True,
                         download_name=record.file_name)  # fmt: skip
    response.headers["X-Content-SHA256"] = record.sha256
    response.content_length = record.bytes
    return response
