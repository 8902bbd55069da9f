"""The published form of instance and plan files, JSON Schema 2020-12, and the validation that names the field."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from dispatch.model import ENERGIES, LICENCES, VEHICLE_CLASSES
from dispatch.params import Params

Json = dict[str, Any]


class FileError(ValueError):
    """A file cannot be used; the message names the field and says what is expected."""


TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 200}
WHOLE: Json = {"type": "integer"}
SIZE: Json = {"type": "integer", "minimum": 0}
NUMBER: Json = {"type": "number"}
YES_NO: Json = {"type": "boolean"}


def array(items: Json) -> Json:
    return {"type": "array", "items": items}


def _maybe(kind: Json) -> Json:
    return {"anyOf": [kind, {"type": "null"}]}


def _choice(*values: str) -> Json:
    return {"type": "string", "enum": list(values)}


# Endings of names, the first that fits counts; what has a text of its own keeps it.
_UNITS: Mapping[str, str] = {
    "_m_per_h": "metres per hour",
    "hour_fen": "fen per hour",
    "km_fen": "fen per km",
    "_fen": "fen (0.01 CNY)",
    "_permille": "1/1000",
    "permille": "1/1000",
    "_kmh": "km/h",
    "_m": "metres",
    "_s": "seconds",
    "lat": "degrees, WGS-84",
    "lon": "degrees, WGS-84",
}
_AFTER = "seconds after epoch"


def _with_unit(name: str, kind: Json) -> Json:
    unit = next((text for ending, text in _UNITS.items() if name.endswith(ending)), None)
    return kind if unit is None or "description" in kind else _described(kind, unit)


def _object(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Json:
    return {
        "type": "object",
        "properties": {name: _with_unit(name, kind) for name, kind in {**required, **(optional or {})}.items()},
        "required": list(required),
        "additionalProperties": False,
    }


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _described(kind: Json, text: str) -> Json:
    return kind | {"description": text}


SPAN = _described(array(WHOLE) | {"minItems": 2, "maxItems": 2}, "[start_s, end_s), seconds after epoch")
SPANS = array(SPAN) | {"minItems": 1}
CLASS = _choice(*VEHICLE_CLASSES)
PLACE = _object({"id": TEXT, "lat": NUMBER, "lon": NUMBER})
STOP = _object({"place": TEXT}, {"dwell_s": _described(SIZE, "seconds the vehicle stands there, its driver at rest")})
MOMENT = _described(WHOLE, _AFTER)
# A matrix is written in rows, or, where it is large, packed: whole numbers of four bytes, row by row.
PACKED = _object({"encoding": _choice("zlib+base64"), "dtype": _choice("<i4"), "data": {"type": "string"}})
MATRIX: Json = {"oneOf": [array(array(SIZE)), PACKED]}
PACE = _object({"span": SPAN, "permille": SIZE})
TRAVEL = _object(
    {"source": TEXT},
    {
        "time_s": _described(MATRIX, "seconds from (row) to (column), in order of places"),
        "distance_m": _described(MATRIX, "metres from (row) to (column), in order of places"),
        "detour": _described(NUMBER, "of an estimate: metres on the road per metre as the crow flies"),
        "speed_kmh": _described(NUMBER, "of an estimate: km/h"),
        "paces": _described(array(PACE), "when driving takes permille / 1000 of time_s"),
    },
)
REQUEST = _object(
    {
        "id": TEXT,
        "stops": array(STOP),
        "earliest_s": MOMENT,
        "latest_s": MOMENT,
        "duration_s": _described(SIZE, "seconds the vehicle is needed at least"),
        "passengers": SIZE,
        "vehicle_class": CLASS,
        "purpose": TEXT,
        "owner_org": TEXT,
    },
    {
        "priority": _described(WHOLE, "1 routine to 4 emergency"),
        "needs": array(TEXT),
        "secret": YES_NO,
        "pooling": _described(YES_NO, "consents to share a vehicle"),
        "rentable": YES_NO,
        "rental_fen": _described(_maybe(SIZE), "quoted price of a rented vehicle, fen; null: the table of params"),
    },
)
VEHICLE = _object(
    {
        "id": TEXT,
        "yard": TEXT,
        "owner_org": TEXT,
        "vehicle_class": CLASS,
        "seats": _described(SIZE, "without the driver's"),
        "available": SPANS,
    },
    {
        "energy": _choice(*ENERGIES),
        "range_m": _described(_maybe(SIZE), "full range of a bev, metres"),
        "soc": _described(NUMBER, "charge at the start, 0 to 1"),
        "charge_m_per_h": _described(_maybe(SIZE), "range regained per hour at the yard; null: params.charge_m_per_h"),
        "driver_id": _described(_maybe(TEXT), "the one driver of this vehicle, who drives no other"),
        "purposes": _maybe(array(TEXT)),
        "tags": array(TEXT),
    },
)
DRIVER = _object(
    {"id": TEXT, "yard": TEXT, "org": TEXT, "licence": _choice(*LICENCES), "on_duty": SPANS},
    {
        "shift_max_s": _described(SIZE, "seconds from leaving the yard to being back, per on-duty span"),
        "may_drive": _maybe(array(CLASS)),
        "tags": array(TEXT),
        "off_since_s": _described(
            _maybe(WHOLE), "end of the duty before, seconds after epoch; params.between_shifts_s counts from here"
        ),
    },
)
LENDING = _object({"owner_org": TEXT, "borrower_org": TEXT})
RESERVE = _object({"yard": TEXT, "vehicle_class": CLASS, "span": SPAN, "min_free": SIZE})
BAND = _object(
    {
        "org": TEXT,
        "measure": _described(_choice("lent_m", "rented"), "metres driven for others; requests no own vehicle serves"),
        "low": _described(SIZE, "metres or requests"),
        "high": _described(SIZE, "metres or requests"),
        "fen": _described(SIZE, "fen for every metre or request outside"),
    },
)
RENTAL = _object({"base_fen": SIZE, "km_fen": SIZE, "hour_fen": SIZE})
_TABLES = {"day_fen": SIZE, "km_fen": SIZE, "energy_permille": SIZE, "rental": RENTAL, "penalty_fen": SIZE}
PARAMS = _object({}, {f.name: _map(_TABLES[f.name]) if f.name in _TABLES else SIZE for f in fields(Params)})
RIDE = TEXT | {"maxLength": 700}  # it may be made of the ids of three requests
ASSIGNMENT = _object(
    {"request_id": TEXT, "vehicle_id": TEXT, "start_s": MOMENT, "end_s": MOMENT},
    {"driver_id": _maybe(TEXT), "ride": _described(_maybe(RIDE), "assignments with the same key ride together")},
)
PLAN = _object(
    {"assignments": array(ASSIGNMENT), "cost_fen": SIZE},
    {
        "unassigned": _map(TEXT),
        "rented": array(TEXT),
        "bound_fen": _described(_maybe(SIZE), "no plan costs less, fen"),
        "gap": _described(_maybe(NUMBER), "(cost - bound) / cost"),
        "stopped": TEXT,
        "method": TEXT,
        "seed": WHOLE,
        "elapsed_s": NUMBER,
    },
)
INSTANCE = _object(
    {
        "epoch": TEXT | {"format": "date-time"},
        "places": array(PLACE),
        "requests": array(REQUEST),
        "vehicles": array(VEHICLE),
    },
    {
        "travel": TRAVEL,
        "drivers": array(DRIVER),
        "lending": array(LENDING),
        "reserves": array(RESERVE),
        "bands": _described(
            array(BAND), "what organisations lend (metres) or have rented (requests) costs fen per unit outside"
        ),
        "told": _described(array(ASSIGNMENT), "what people were told; changing it costs params.change_fen"),
        "before_s": _described(SIZE, "seconds kept at the pick-up before the start"),
        "after_s": _described(SIZE, "seconds kept at the last stop after the end"),
        "start_step_s": _described(SIZE, "seconds; starts lie whole steps after the earliest, or at the latest"),
        "params": PARAMS,
        "plan": PLAN,
    },
)


def schema() -> Json:
    """Return the JSON Schema of instance files; a plan file is ``#/properties/plan`` of it."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Dispatch instance",
        "description": (
            "Times: whole seconds after epoch (UTC). Distances: metres. Money: fen (0.01 CNY). Spans: [start_s, end_s), "
            "half-open. Coordinates: WGS-84. A plan file has the form of the property 'plan'; a file of locked "
            "assignments is an array of its assignments."
        ),
    }
    return {**head, **INSTANCE}


# ---- validation -----------------------------------------------------------------------------------------------------

_TYPES: Mapping[str, tuple[str, tuple[type, ...]]] = {
    "string": ("a text", (str,)),
    "integer": ("a whole number", (int,)),
    "number": ("a number", (int, float)),
    "boolean": ("true or false", (bool,)),
    "array": ("an array", (list,)),
    "object": ("an object", (dict,)),
    "null": ("null", (type(None),)),
}


class _Wrong(Exception):
    """What is wrong with a value; `path` grows on the way out, so that sound values need not know where they are."""

    def __init__(self, sentence: str, *path: str) -> None:
        self.sentence, self.path = sentence, list(path)


def validate(value: Any, kind: Json, where: str = "") -> None:
    """Check parsed JSON against the part of JSON Schema used here; raise `FileError` naming the field."""
    try:
        _check(value, kind)
    except _Wrong as wrong:
        parts = [where, *reversed(wrong.path)]
        path = "".join(part if part.startswith("[") else f".{part}" for part in parts if part)
        raise FileError(f"{path.removeprefix('.') or 'the file'} {wrong.sentence}") from None


def _must(rule: str, got: object) -> _Wrong:
    shown = json.dumps(got, ensure_ascii=False)
    return _Wrong(f"must be {rule}, got {shown if len(shown) <= 60 else shown[:57] + '...'}.")


def _check(value: Any, kind: Json) -> None:
    if "oneOf" in kind:
        return _check(value, kind["oneOf"][isinstance(value, dict)])
    if "anyOf" in kind:
        return None if value is None else _check(value, kind["anyOf"][0])
    name, types = _TYPES[kind["type"]]
    if not isinstance(value, types) or (value.__class__ is bool and kind["type"] != "boolean"):
        raise _must(name, value)
    if value.__class__ is str:
        if not kind.get("minLength", 0) <= len(value) <= kind.get("maxLength", len(value)):
            raise _must(f"a text of {kind['minLength']} to {kind['maxLength']} characters", value)
        if "enum" in kind and value not in kind["enum"]:
            raise _must(f"one of {', '.join(kind['enum'])}", value)
    elif value.__class__ is list:
        _check_array(value, kind)
    elif value.__class__ is dict:
        _check_object(value, kind)
    elif value.__class__ is float and not math.isfinite(value):
        raise _Wrong("must be a finite number.")
    elif "minimum" in kind and value < kind["minimum"]:
        raise _must(f"at least {kind['minimum']}", value)
    return None


def _check_array(value: list[Any], kind: Json) -> None:
    if not kind.get("minItems", 0) <= len(value) <= kind.get("maxItems", len(value)):
        raise _must(f"an array of {kind['minItems']}{' or more' if 'maxItems' not in kind else ''} items", value)
    items, k = kind["items"], 0
    try:
        for k, item in enumerate(value):  # noqa: B007 - k is where it went wrong
            _check(item, items)
    except _Wrong as wrong:
        wrong.path.append(f"[{k}]")
        raise


def _check_object(value: Json, kind: Json) -> None:
    known = kind.get("properties", {})
    for name in kind.get("required", ()):
        if name not in value:
            raise _Wrong("is missing.", name)
    others, name = kind["additionalProperties"], ""
    if others is False and not known.keys() >= value.keys():
        name = next(name for name in value if name not in known)
        raise _Wrong(f"is not a known field; known are: {', '.join(known)}.", name)
    try:
        for name, item in value.items():
            _check(item, known.get(name, others))
    except _Wrong as wrong:
        wrong.path.append(name)
        raise
