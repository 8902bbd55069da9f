"""Track files as they are handed in: GPX, CSV, JSON lines and logs of JT/T 808 frames.

CSV and JSON carry ``at`` (ISO 8601), ``lat``, ``lon`` (WGS-84 degrees) and optionally ``speed_kmh``,
``direction_deg``, ``altitude_m``, ``acc``, ``fixed``, ``odometer_km``, ``accuracy_m`` and ``mock``; CSV names them in its
first line, separated by comma, semicolon or tab. The format is told by the content, not by the ending. A row that
cannot be used is reported with its line and costs nothing else.

A time without a zone is refused, because guessing costs eight hours: the caller names the ``zone`` if he knows it.
GPX is the exception, since its specification says that times are UTC; a ``zone`` given wins there too.
"""

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from io import StringIO
from math import isfinite
from pathlib import Path
from typing import Any

from telematics.gpx import GpxError, read_points
from telematics.model import Fix, Rejection

MAX_BYTES = 64 * 1024 * 1024
"""About half a million points of the wordiest format; a vehicle makes some 2,000 a day."""

ALIASES = {"time": "at", "timestamp": "at", "latitude": "lat", "longitude": "lon", "lng": "lon"}

NEEDED = ("at", "lat", "lon")

HEX_LINE = re.compile(r"(0x)?[0-9a-fA-F\s]+")

WORDS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}


class TrackFileError(ValueError):
    """The file as a whole cannot be used; the message is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that gives no fix. ``line`` counts from 1; in a GPX file it is the number of the point."""

    line: int
    reason: Rejection
    detail: str


@dataclass(frozen=True, slots=True)
class TrackFile:
    """What a file holds: ``format`` is "gpx", "csv", "json" or "jt808"; fixes as found, neither sorted nor cleaned."""

    format: str
    fixes: tuple[Fix, ...]
    bad_rows: tuple[BadRow, ...]


class _BadValueError(ValueError):
    def __init__(self, reason: Rejection, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


Row = Mapping[str, Any]
Entry = tuple[int, Fix | Row | _BadValueError]
"""A line and what it holds; a row is still to be read."""


def read_track(path: Path | str, *, zone: tzinfo | None = None, max_bytes: int = MAX_BYTES) -> list[Fix]:
    """Fixes of a track file, without those rows that give none; see ``load_track``."""
    return list(load_track(path, zone=zone, max_bytes=max_bytes).fixes)


def load_track(path: Path | str, *, zone: tzinfo | None = None, max_bytes: int = MAX_BYTES) -> TrackFile:
    """Fixes and unusable rows of a track file.

    Raises
    ------
    TrackFileError
        If the file cannot be opened, is larger than ``max_bytes``, is of no known format or has no usable position.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise TrackFileError(f"Cannot open {path}: {error.strerror or error}.") from None
    if len(data) > max_bytes:
        raise TrackFileError(f"{path} is larger than {max_bytes:,} bytes: split it and hand in the parts.")
    return parse_track(data, name=str(path), zone=zone)


def parse_track(data: bytes, *, name: str = "The file", zone: tzinfo | None = None) -> TrackFile:
    """Like ``load_track``, of the content itself, for instance of an upload."""
    text = _text(data, name)
    format_, read = _format(text, name)
    assumed_zone = zone if zone is not None or format_ != "gpx" else UTC
    fixes: list[Fix] = []
    bad_rows: list[BadRow] = []
    try:
        for line, found in read(data, text):
            if isinstance(found, Fix):
                fixes.append(found)
                continue
            try:
                if isinstance(found, _BadValueError):
                    raise found
                fixes.append(_fix(found, assumed_zone, format_))
            except _BadValueError as error:
                bad_rows.append(BadRow(line, error.reason, str(error)))
    except (GpxError, csv.Error) as error:
        raise TrackFileError(f"{name} cannot be read: {error}.") from None
    if not fixes:
        first = f"; the first problem is in line {bad_rows[0].line}: {bad_rows[0].detail}" if bad_rows else ""
        raise TrackFileError(f"{name} has no usable position{first}.")
    return TrackFile(format_, tuple(fixes), tuple(bad_rows))


# -- formats


def _text(data: bytes, name: str) -> str:
    if not data.strip():
        raise TrackFileError(f"{name} is empty.")
    if b"\0" in data:
        raise TrackFileError(f"{name} is a binary file; expected GPX, CSV, JSON lines or hexadecimal frames.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Spreadsheets on Chinese computers save CSV in GBK; only free text can suffer from a wrong guess.
        return data.decode("gb18030", errors="replace")


def _format(text: str, name: str) -> tuple[str, Callable[[bytes, str], Iterator[Entry]]]:
    start = text.lstrip()
    first_line = start.partition("\n")[0].strip()
    if start.startswith("<"):
        return "gpx", _read_gpx
    if start.startswith(("{", "[")):
        return "json", _read_json
    if HEX_LINE.fullmatch(first_line) and "7e" in first_line.lower():
        return "jt808", _read_hex
    missing = [field for field in NEEDED if field not in _header(first_line)]
    if not missing:
        return "csv", _read_csv
    if len(missing) < len(NEEDED):
        raise TrackFileError(f"{name} looks like CSV but its first line lacks the column {' and '.join(missing)}.")
    raise TrackFileError(
        f"{name} is in no known format; expected GPX, CSV with the columns at, lat, lon, JSON lines or"
        " hexadecimal JT/T 808 frames."
    )


def _read_gpx(data: bytes, _text: str) -> Iterator[Entry]:
    yield from enumerate(read_points(data), start=1)


def _read_json(_data: bytes, text: str) -> Iterator[Entry]:
    """One object a line, or one array of objects (numbered by position)."""
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(map(_object, json.loads(text)), start=1)
        except (ValueError, RecursionError) as error:
            raise TrackFileError(f"The file is not a JSON array of positions: {error}.") from None
        return
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            yield line, _object(json.loads(content))
        except (ValueError, RecursionError) as error:
            yield line, _BadValueError(Rejection.UNREADABLE, f"not JSON: {error}")


def _object(value: Any) -> Row | _BadValueError:
    if isinstance(value, dict):
        return {ALIASES.get(str(key), str(key)): item for key, item in value.items()}
    return _BadValueError(Rejection.UNREADABLE, "not a JSON object")


def _read_csv(_data: bytes, text: str) -> Iterator[Entry]:
    first_line = text.lstrip().partition("\n")[0]
    reader = csv.reader(StringIO(text, newline=""), delimiter=_delimiter(first_line))
    header: list[str] | None = None
    for values in reader:
        if not any(value.strip() for value in values):
            continue
        if header is None:
            header = _header(first_line)
        elif len(values) != len(header):
            detail = f"{len(values)} values, the first line names {len(header)} columns"
            yield reader.line_num, _BadValueError(Rejection.UNREADABLE, detail)
        else:
            yield reader.line_num, dict(zip(header, values, strict=True))


def _delimiter(first_line: str) -> str:
    return max(",;\t", key=first_line.count)


def _header(first_line: str) -> list[str]:
    names = [name.strip().strip('"').lower() for name in first_line.strip().split(_delimiter(first_line))]
    return [ALIASES.get(name, name) for name in names]


def _read_hex(_data: bytes, text: str) -> Iterator[Entry]:
    """Frames, one or several a line; those of other messages than positions are passed over."""
    from telematics.protocols.jt808 import BadPiece, FrameSplitter, ProtocolError
    from telematics.protocols.jt808_body import fixes_of

    for line, content in enumerate(text.splitlines(), start=1):
        compact = "".join(content.split()).lower().removeprefix("0x")
        if not compact:
            continue
        try:
            splitter = FrameSplitter()
            pieces = splitter.feed(bytes.fromhex(compact))
        except ValueError:
            yield line, _BadValueError(Rejection.UNREADABLE, "not hexadecimal digits")
            continue
        if splitter.pending:
            yield line, _BadValueError(Rejection.UNREADABLE, "a frame does not end with a 7e flag")
        for piece in pieces:
            if isinstance(piece, BadPiece):
                yield line, _BadValueError(Rejection.UNREADABLE, piece.reason)
                continue
            try:
                for fix in fixes_of(piece):
                    yield line, fix
            except ProtocolError as error:
                yield line, _BadValueError(Rejection.UNREADABLE, str(error))


# -- values


def _fix(row: Row, zone: tzinfo | None, source: str) -> Fix:
    """A fix of a row whose values are text or JSON; raises _BadValueError."""
    odometer_km = _number(row, "odometer_km")
    speed_kmh, speed_ms = _number(row, "speed_kmh"), _number(row, "speed_ms")
    items = {key: value for key in ("hdop", "satellites") if (value := _number(row, key)) is not None}
    fixed = _truth(row, "fixed")
    return Fix(
        at=_time(row.get("at"), zone),
        lat=_needed_number(row, "lat"),
        lon=_needed_number(row, "lon"),
        speed_kmh=speed_ms * 3.6 if speed_kmh is None and speed_ms is not None else speed_kmh,
        direction_deg=_whole(_number(row, "direction_deg")),
        altitude_m=_whole(_number(row, "altitude_m")),
        acc=_truth(row, "acc"),
        fixed=True if fixed is None else fixed,
        odometer_m=_whole(odometer_km * 1000 if odometer_km is not None else None),
        accuracy_m=_number(row, "accuracy_m"),
        mock=_truth(row, "mock") or False,
        source=source,
        items=items,
    )


def _time(value: Any, zone: tzinfo | None) -> datetime:
    if value is None or value == "":
        raise _BadValueError(Rejection.NO_TIME, "no time")
    try:
        at = datetime.fromisoformat(value.strip())
    except (ValueError, TypeError, AttributeError):
        raise _BadValueError(Rejection.UNREADABLE, f"time {value!r} is not ISO 8601") from None
    if at.tzinfo is None:
        if zone is None:
            raise _BadValueError(Rejection.NO_ZONE, f"time {value} has no zone; name the zone of the file")
        at = at.replace(tzinfo=zone)
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise _BadValueError(Rejection.UNREADABLE, f"time {value} is out of range") from None


def _number(row: Row, key: str) -> float | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    try:
        # float(True) would be 1.
        number = float(str(value) if isinstance(value, bool) else value)
    except (ValueError, TypeError, OverflowError):
        raise _BadValueError(Rejection.UNREADABLE, f"{key} {value!r} is not a number") from None
    if not isfinite(number):
        raise _BadValueError(Rejection.UNREADABLE, f"{key} {value!r} is not a finite number")
    return number


def _needed_number(row: Row, key: str) -> float:
    number = _number(row, key)
    if number is None:
        raise _BadValueError(Rejection.UNREADABLE, f"no {key}")
    return number


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _truth(row: Row, key: str) -> bool | None:
    value = row.get(key)
    if value is None or value == "":
        return None
    known = WORDS.get(str(value).strip().lower())
    if known is None:
        raise _BadValueError(Rejection.UNREADABLE, f"{key} {value!r} is neither true nor false")
    return known
