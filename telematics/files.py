"""Track files as they are handed in: GPX, CSV, JSON lines and logs of JT/T 808 frames.

CSV and JSON carry ``at`` (ISO 8601), ``lat``, ``lon`` (WGS-84 degrees) and optionally ``speed_kmh``,
``direction_deg``, ``altitude_m``, ``acc``, ``fixed``, ``odometer_km`` or ``odometer_m``, ``accuracy_m``, ``mock`` and ``terminal``;
CSV names them in its first line, separated by comma, semicolon or tab. Names that platforms use for the same are known
(``ALIASES``); a ``speed`` without a unit is in the caller's ``speed_unit``. JSON is one object a line, an array of them, or an
object with one such array in it. The format is told by the content, not by the ending. A row that cannot be used is
reported with its line and costs nothing else. Positions of several terminals are no track: the caller names the one meant.

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

ALIASES = {
    "time": "at", "timestamp": "at", "datetime": "at", "datatime": "at", "gpstime": "at", "gps_time": "at", "fixtime": "at",
    "devicetime": "at", "device_time": "at", "时间": "at", "定位时间": "at", "latitude": "lat", "纬度": "lat", "longitude": "lon",
    "lng": "lon", "经度": "lon", "速度": "speed", "direction": "direction_deg", "heading": "direction_deg", "course": "direction_deg",
    "bearing": "direction_deg", "方向": "direction_deg", "altitude": "altitude_m", "ignition": "acc", "speed_kn": "speed_knots",
    "mileage_km": "odometer_km", "里程": "odometer_km", "device": "terminal", "deviceid": "terminal", "device_id": "terminal",
    "terminal_id": "terminal", "phone": "terminal", "imei": "terminal", "sim": "terminal", "plate": "terminal", "车牌号": "terminal",
}  # fmt: skip
"""Names in lower case; a mileage without a unit is not taken for an odometer, because some platforms mean the day's."""

KMH_PER = {"kmh": 1.0, "knots": 1.852, "ms": 3.6}

NEEDED = ("at", "lat", "lon")

HEX_LINE = re.compile(r"(0x)?[0-9a-fA-F\s]+")

WORDS = {"true": True, "1": True, "on": True, "yes": True, "false": False, "0": False, "off": False, "no": False}


class TrackFileError(ValueError):
    """The file as a whole cannot be used; the message is one sentence for a person, ``zh`` the same in Chinese."""

    def __init__(self, message: str, zh: str = "轨迹文件无法使用") -> None:
        super().__init__(message)
        self.zh = zh


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
Entry = tuple[int, Fix | Row | _BadValueError, str | None]
"""A line, what it holds (a row is still to be read) and the terminal it names."""


REASON_ZH = {
    "no_time": "缺少时间", "no_zone": "时间没有时区，请指明文件的时区", "unreadable": "内容无法识别",
}  # fmt: skip


def read_track(path: Path | str, *, zone: tzinfo | None = None, max_bytes: int = MAX_BYTES) -> list[Fix]:
    """Fixes of a track file, without those rows that give none; see ``load_track``."""
    return list(load_track(path, zone=zone, max_bytes=max_bytes).fixes)


def load_track(
    path: Path | str, *, zone: tzinfo | None = None, max_bytes: int = MAX_BYTES, speed_unit: str = "kmh", terminal: str | None = None
) -> TrackFile:  # fmt: skip
    """Fixes and unusable rows of a track file.

    Raises
    ------
    TrackFileError
        If the file cannot be opened, is larger than ``max_bytes``, is of no known format, has no usable position, or has
        positions of several terminals and ``terminal`` names none.
    """
    try:
        with Path(path).open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise TrackFileError(
            f"Cannot open {path}: {error.strerror or error}.", f"无法打开 {path}：请检查文件名与读取权限"
        ) from None
    if len(data) > max_bytes:
        raise TrackFileError(
            f"{path} is larger than {max_bytes:,} bytes: split it and hand in the parts.",
            f"{path} 超过 {max_bytes:,} 字节：请拆分",
        )
    return parse_track(data, name=str(path), zone=zone, speed_unit=speed_unit, terminal=terminal)


def parse_track(
    data: bytes,
    *,
    name: str = "The file",
    zone: tzinfo | None = None,
    speed_unit: str = "kmh",
    terminal: str | None = None,
) -> TrackFile:
    """Like ``load_track``, of the content itself, for instance of an upload."""
    text = _text(data, name)
    format_, read = _format(text, name)
    assumed_zone = zone if zone is not None or format_ != "gpx" else UTC
    fixes: list[Fix] = []
    bad_rows: list[BadRow] = []
    terminals: dict[str, None] = {}
    try:
        for line, found, of in read(data, text):
            if of is not None:
                terminals[of] = None
                if terminal is not None and of != terminal:
                    continue
            if isinstance(found, Fix):
                fixes.append(found)
                continue
            try:
                if isinstance(found, _BadValueError):
                    raise found
                fixes.append(_fix(found, assumed_zone, format_, KMH_PER[speed_unit]))
            except _BadValueError as error:
                bad_rows.append(BadRow(line, error.reason, str(error)))
    except (GpxError, csv.Error) as error:
        raise TrackFileError(f"{name} cannot be read: {error}.", f"{name} 无法读取") from None
    if terminal is None and len(terminals) > 1:
        some = ", ".join([*terminals][:5]) + (", ..." if len(terminals) > 5 else "")
        raise TrackFileError(
            f"{name} has positions of {len(terminals)} terminals ({some}): name the one meant.",
            f"{name} 混有 {len(terminals)} 台终端的定位（{some}）：请指定其中一台",
        )
    if not fixes:
        first = f"; the first problem is in line {bad_rows[0].line}: {bad_rows[0].detail}" if bad_rows else ""
        first_zh = f"，第 {bad_rows[0].line} 行：{REASON_ZH[bad_rows[0].reason]}" if bad_rows else ""
        raise TrackFileError(f"{name} has no usable position{first}.", f"{name} 没有可用的定位{first_zh}")
    return TrackFile(format_, tuple(fixes), tuple(bad_rows))


# -- formats


def _text(data: bytes, name: str) -> str:
    if not data.strip():
        raise TrackFileError(f"{name} is empty.", f"{name} 是空文件")
    if b"\0" in data:
        raise TrackFileError(
            f"{name} is a binary file; expected GPX, CSV, JSON lines or hexadecimal frames.",
            f"{name} 是二进制文件：应为 GPX、CSV、JSON 行或十六进制报文",
        )
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
        raise TrackFileError(
            f"{name} looks like CSV but its first line lacks the column {' and '.join(missing)}.",
            f"{name} 像是 CSV，但首行缺少列 {'、'.join(missing)}",
        )
    raise TrackFileError(
        f"{name} is in no known format; expected GPX, CSV with the columns at, lat, lon, JSON lines or"
        " hexadecimal JT/T 808 frames.",
        f"{name} 格式无法识别：应为 GPX、含 at、lat、lon 列的 CSV、JSON 行或 JT/T 808 十六进制报文",
    )


def _read_gpx(data: bytes, _text: str) -> Iterator[Entry]:
    for number, point in enumerate(read_points(data), start=1):
        yield number, point, None


def _read_json(_data: bytes, text: str) -> Iterator[Entry]:
    """One object a line; or one array of objects (numbered by position), alone or as the only one in an object."""
    values = _array(text)
    if values is not None:
        for number, value in enumerate(values, start=1):
            yield _entry(number, _object(value))
        return
    for line, content in enumerate(text.splitlines(), start=1):
        if not content.strip():
            continue
        try:
            yield _entry(line, _object(json.loads(content)))
        except (ValueError, RecursionError) as error:
            yield line, _BadValueError(Rejection.UNREADABLE, f"not JSON: {error}"), None


def _array(text: str) -> list[Any] | None:
    """The positions of a document that is one JSON value, ``None`` for JSON lines."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise TrackFileError(
                f"The file is not a JSON array of positions: {error}.", "文件不是由定位组成的 JSON 数组"
            ) from None
        return None
    if isinstance(whole, list):
        return whole
    inside = [value for value in whole.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    return inside[0] if len(inside) == 1 and "lat" not in map(_name, whole) else None


def _entry(line: int, found: Row | _BadValueError) -> Entry:
    of = None if isinstance(found, _BadValueError) else found.get("terminal")
    return line, found, None if of is None or of == "" else str(of).strip()


def _name(given: str) -> str:
    name = given.strip().strip('"').lower()
    return ALIASES.get(name, name)


def _object(value: Any) -> dict[str, Any] | _BadValueError:
    if isinstance(value, dict):
        return {_name(str(key)): item for key, item in value.items()}
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
            yield reader.line_num, _BadValueError(Rejection.UNREADABLE, detail), None
        else:
            yield _entry(reader.line_num, dict(zip(header, values, strict=True)))


def _delimiter(first_line: str) -> str:
    return max(",;\t", key=first_line.count)


def _header(first_line: str) -> list[str]:
    return [_name(name) for name in first_line.strip().split(_delimiter(first_line))]


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
            yield line, _BadValueError(Rejection.UNREADABLE, "not hexadecimal digits"), None
            continue
        if splitter.pending:
            yield line, _BadValueError(Rejection.UNREADABLE, "a frame does not end with a 7e flag"), None
        for piece in pieces:
            if isinstance(piece, BadPiece):
                yield line, _BadValueError(Rejection.UNREADABLE, piece.reason), None
                continue
            try:
                for fix in fixes_of(piece):
                    yield line, fix, piece.phone
            except ProtocolError as error:
                yield line, _BadValueError(Rejection.UNREADABLE, str(error)), piece.phone


# -- values


def _fix(row: Row, zone: tzinfo | None, source: str, kmh_per_speed: float) -> Fix:
    """A fix of a row whose values are text or JSON; raises _BadValueError."""
    odometer_km, odometer_m = _number(row, "odometer_km"), _number(row, "odometer_m")
    items = {key: value for key in ("hdop", "satellites") if (value := _number(row, key)) is not None}
    fixed = _truth(row, "fixed")
    return Fix(
        at=_time(row.get("at"), zone),
        lat=_needed_number(row, "lat"),
        lon=_needed_number(row, "lon"),
        speed_kmh=_speed_kmh(row, kmh_per_speed),
        direction_deg=_whole(_number(row, "direction_deg")),
        altitude_m=_whole(_number(row, "altitude_m")),
        acc=_truth(row, "acc"),
        fixed=True if fixed is None else fixed,
        odometer_m=_whole(odometer_km * 1000 if odometer_km is not None else odometer_m),
        accuracy_m=_number(row, "accuracy_m"),
        mock=_truth(row, "mock") or False,
        source=source,
        items=items,
    )


def _speed_kmh(row: Row, kmh_per_speed: float) -> float | None:
    for key, kmh_per in (("speed_kmh", 1.0), ("speed_ms", 3.6), ("speed_knots", 1.852), ("speed", kmh_per_speed)):
        speed = _number(row, key)
        if speed is not None:
            return speed * kmh_per
    return None


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
