"""Positions from phones over HTTP: OsmAnd, Traccar Client (form, JSON array) and Traccar Client 9 (JSON object).

The four payload shapes, by sender:

A. OsmAnd and scripts: everything in the query string.
B. Traccar client SDK: urlencoded body, one position.
C. The same with JSON: an array of flat objects (one flat object is accepted too).
D. Traccar Client 9: ``{"device_id": "..", "location": {"timestamp": .., "coords": {..}, ..}}``.

Source: www.traccar.org/osmand and the senders named. Pure: the receipt time and the unit of speed are arguments.

Two kinds of permanent error are told apart, because a phone repeats its oldest point until it gets a 2xx answer:
RequestError means the request itself is wrong (no device, unreadable) and deserves a 4xx; a BadPoint is one point of a
sound request, to be kept aside and still answered with 200, else it blocks the phone's queue for ever.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Literal
from urllib.parse import parse_qsl

from telematics.model import Fix

SpeedUnit = Literal["knots", "ms", "kmh"]
KMH_PER_UNIT: dict[SpeedUnit, float] = {"knots": 1.852, "ms": 3.6, "kmh": 1.0}

SECONDS_LIMIT = (1 << 31) - 1  # a larger whole number is milliseconds, as Traccar reads it
MAX_SPEED_KMH = 6_553.5  # as far as JT/T 808 reaches; a number beyond these is no measurement
MAX_ALTITUDE_M = 32_767
MAX_ACCURACY_M = 1_000_000
MAX_PARAMETERS = 200
MAX_POINTS = 10_000
IDENTITY_KEYS = ("id", "deviceid", "device_id")
READ_KEYS = frozenset(
    (
        *IDENTITY_KEYS,
        *("token", "timestamp", "lat", "lon", "location", "valid", "speed", "bearing", "heading", "altitude"),
        *("accuracy", "hdop", "mock", "batt", "charge"),
    )
)
"""What has a field of its own in a fix; everything else is kept under ``items``."""


class RequestError(ValueError):
    """The request as a whole is wrong; the text says what the sender must change."""


@dataclass(frozen=True, slots=True)
class BadPoint:
    """One point that gives no fix, for good: sending it again would not help. ``raw`` is JSON without the token."""

    raw: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """What one request says. ``heartbeats`` counts points without coordinates: a sign of life, not a position."""

    device_id: str
    token: str | None
    fixes: tuple[Fix, ...]
    bad: tuple[BadPoint, ...]
    heartbeats: int


class _BadValue(ValueError):
    """One value of a point cannot be used."""


def parse_request(
    query: str,
    body: bytes = b"",
    *,
    received_at: datetime,
    speed_unit: SpeedUnit = "knots",
    zone: tzinfo | None = None,
) -> Report:
    """Read any of the four shapes.

    Parameters
    ----------
    query, body
        The raw query string (without ``?``) and request body; the shape is told by the body, not by its declared type.
    received_at
        Used only for a point that carries no time; such a fix says ``items["at_from"] == "receipt"``.
    speed_unit
        Unit of ``speed`` in shapes A-C, a property of the registered phone: OsmAnd sends m/s, the Traccar client
        knots, and nothing in the message tells which. Shape D is always m/s.
    zone
        Zone of a time that names none; without it such a point is bad.

    Raises RequestError for a request that names no device, names several, or cannot be read.

    """
    try:
        return _report(query, body.strip(), received_at=received_at, speed_unit=speed_unit, zone=zone)
    except RecursionError:
        raise RequestError("the JSON body is nested too deeply") from None


def _report(query: str, body: bytes, *, received_at: datetime, speed_unit: SpeedUnit, zone: tzinfo | None) -> Report:
    parameters = _form(query)
    points: list[Mapping[str, Any]]
    if body[:1] in (b"{", b"["):
        points = _json_points(body)
    else:
        parameters |= _form(body.decode("utf-8", errors="replace"))
        points = [parameters]
    named = [source[key] for source in (parameters, *points) for key in IDENTITY_KEYS if key in source]
    devices = {text for value in named if value is not None and (text := _text(value).strip())}
    if len(devices) != 1:
        found = "no device: give its id as parameter 'id'" if not devices else "more than one device id"
        raise RequestError(f"the request names {found}")
    tokens = [source["token"] for source in (parameters, *points) if source.get("token")]
    fixes: list[Fix] = []
    bad: list[BadPoint] = []
    heartbeats = 0
    for point in points:
        try:
            fix = _fix(point, received_at=received_at, speed_unit=speed_unit, zone=zone)
        except _BadValue as error:
            shown = {key: value for key, value in point.items() if key != "token"}
            bad.append(BadPoint(_text(json.dumps(shown, ensure_ascii=False)), str(error)))
            continue
        if fix is None:
            heartbeats += 1
        else:
            fixes.append(fix)
    return Report(devices.pop(), _text(tokens[0]) if tokens else None, tuple(fixes), tuple(bad), heartbeats)


def _form(text: str) -> dict[str, Any]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise RequestError(f"more than {MAX_PARAMETERS} parameters in one request") from None


def _json_points(text: bytes) -> list[Mapping[str, Any]]:
    try:
        content = json.loads(text)
    except ValueError:
        raise RequestError("the body starts like JSON but cannot be read as JSON") from None
    objects = content if isinstance(content, list) else [content]
    if len(objects) > MAX_POINTS:
        raise RequestError(f"more than {MAX_POINTS} points in one request")
    if not objects or not all(isinstance(item, dict) for item in objects):
        raise RequestError("the JSON body must be a position or an array of positions")
    points: list[Mapping[str, Any]] = []
    for item in objects:
        location = item.get("location")
        if isinstance(location, list) and location:  # several positions of one phone
            points += [{**item, "location": one} for one in location]
        else:
            points.append(item)
    return points


def _fix(point: Mapping[str, Any], *, received_at: datetime, speed_unit: SpeedUnit, zone: tzinfo | None) -> Fix | None:
    location = point.get("location")
    if isinstance(location, dict):
        flat = {**{key: value for key, value in point.items() if key != "location"}, **_flatten(location)}
        return _flat_fix(flat, received_at=received_at, speed_unit="ms", zone=zone)
    flat = dict(point)
    if isinstance(location, str) and location.count(",") == 1:
        flat["lat"], flat["lon"] = location.split(",")
    return _flat_fix(flat, received_at=received_at, speed_unit=speed_unit, zone=zone)


def _flatten(location: Mapping[str, Any]) -> dict[str, Any]:
    """Shape D in the names of shapes A-C."""
    flat = {key: value for key, value in location.items() if key not in {"coords", "battery", "activity", "odometer"}}
    coords, battery, activity = (_mapping(location.get(key)) for key in ("coords", "battery", "activity"))
    level = _measure(battery, "level", 0, 1)
    return flat | {
        "lat": coords.get("latitude"),
        "lon": coords.get("longitude"),
        "accuracy": coords.get("accuracy"),
        "speed": coords.get("speed"),
        "heading": coords.get("heading"),
        "altitude": coords.get("altitude"),
        "batt": None if level is None else round(level * 100),
        "charge": battery.get("is_charging"),
        "activity": activity.get("type"),
        # The phone's own distance counter: not the vehicle's, so never an odometer reading.
        "phone_odometer_m": location.get("odometer"),
    }


def _flat_fix(
    point: Mapping[str, Any], *, received_at: datetime, speed_unit: SpeedUnit, zone: tzinfo | None
) -> Fix | None:
    if _blank(point.get("lat")) and _blank(point.get("lon")):
        return None
    lat, lon = _degrees(point, "lat", 90), _degrees(point, "lon", 180)
    at = _time(point.get("timestamp"), zone)
    speed = _measure(point, "speed", 0, MAX_SPEED_KMH / KMH_PER_UNIT[speed_unit])
    direction = _measure(point, "bearing" if "bearing" in point else "heading", 0, 360)
    altitude = _measure(point, "altitude", -MAX_ALTITUDE_M, MAX_ALTITUDE_M)
    accuracy = _measure(point, "accuracy", 0, MAX_ACCURACY_M)
    items = {
        **{_text(key): _clean(value) for key, value in point.items() if key not in READ_KEYS},
        "at_from": "receipt" if at is None else None,
        "battery_percent": _measure(point, "batt", 0, 100),
        "charging": None if _blank(point.get("charge")) else _truth(point["charge"]),
    }
    return Fix(
        at=received_at if at is None else at,
        lat=lat,
        lon=lon,
        speed_kmh=None if speed is None else speed * KMH_PER_UNIT[speed_unit],
        direction_deg=None if direction is None else round(direction) % 360,
        altitude_m=None if altitude is None else round(altitude),
        fixed=_truth(point.get("valid", True)),
        # OsmAnd sends its accuracy in metres as "hdop".
        accuracy_m=_measure(point, "hdop", 0, MAX_ACCURACY_M) if accuracy is None else accuracy,
        mock=_truth(point.get("mock", False)),
        source="osmand",
        items={key: value for key, value in items.items() if value is not None},
    )


def _time(value: Any, zone: tzinfo | None) -> datetime | None:
    """Seconds, milliseconds or ISO 8601; None when there is no time at all."""
    if _blank(value):
        return None
    number = _finite(value)
    if number is None:
        return _written_time(str(value), zone)
    try:
        return datetime.fromtimestamp(number if number < SECONDS_LIMIT else number / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise _BadValue(f"timestamp {_shown(value)} is out of range") from None


def _written_time(text: str, zone: tzinfo | None) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        named = at if at.tzinfo else at.replace(tzinfo=zone)
        at_utc = named.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _BadValue(f"timestamp {_shown(text)} is not a time") from None
    if named.tzinfo is None:
        raise _BadValue(f"timestamp {_shown(text)} names no time zone")
    return at_utc


def _degrees(point: Mapping[str, Any], key: str, limit: float) -> float:
    value = point.get(key)
    if _blank(value):
        raise _BadValue(f"{key} is missing")
    number = _finite(value)
    if number is None:
        raise _BadValue(f"{key} {_shown(value)} is not a number")
    if abs(number) > limit:
        raise _BadValue(f"{key} {_shown(value)} is out of range")
    return number


def _measure(point: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    """An optional number; None where it is absent, unreadable or outside ``[low, high]`` (-1 means unknown).

    A position is worth keeping even if its speed is not.
    """
    number = _finite(point.get(key))
    return number if number is not None and low <= number <= high else None


def _finite(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _blank(value: Any) -> bool:
    return value is None or value == ""


def _truth(value: Any) -> bool:
    return str(value).lower() in {"true", "1"}


def _text(value: Any) -> str:
    # PostgreSQL text holds neither zero characters nor halves of surrogate pairs.
    return str(value).replace("\0", "").encode("utf-8", errors="replace").decode()


def _shown(value: Any) -> str:
    return _text(value)[:60]


def _clean(value: Any) -> Any:
    """JSON-able copy that a database accepts; None for what has no value."""
    if isinstance(value, dict):
        return {_text(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return _text(value) if isinstance(value, str) else value
