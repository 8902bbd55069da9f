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


def _object(required: Mapping[str, Json], optional: Mapping[str, Json] | None = None) -> Json:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def _map(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _described(kind: Json, text: str) -> Json:
    return kind | {"description": text}


SPAN = array(WHOLE) | {"minItems": 2, "maxItems": 2}
SPANS = array(SPAN) | {"minItems": 1}
CLASS = _choice(*VEHICLE_CLASSES)
PLACE = _object({"id": TEXT, "lat": NUMBER, "lon": NUMBER})
STOP = _object({"place": TEXT}, {"dwell_s": SIZE})
# A matrix is written in rows, or, where it is large, packed: whole numbers of four bytes, row by row.
PACKED = _object({"encoding": _choice("zlib+base64"), "dtype": _choice("<i4"), "data": {"type": "string"}})
MATRIX: Json = {"oneOf": [array(array(SIZE)), PACKED]}
PACE = _object({"span": SPAN, "permille": SIZE})
TRAVEL = _object(
    {"source": TEXT},
    {
        "time_s": MATRIX, "distance_m": MATRIX, "detour": NUMBER, "speed_kmh": NUMBER,
        "paces": _described(array(PACE), "when driving takes permille / 1000 of time_s"),
    },
)  # fmt: skip
REQUEST = _object(
    {
        "id": TEXT, "stops": array(STOP), "earliest_s": WHOLE, "latest_s": WHOLE, "duration_s": SIZE,
        "passengers": SIZE, "vehicle_class": CLASS, "purpose": TEXT, "owner_org": TEXT,
    },
    {
        "priority": WHOLE, "needs": array(TEXT), "secret": YES_NO, "pooling": YES_NO, "rentable": YES_NO,
        "rental_fen": _maybe(SIZE),
    },
)  # fmt: skip
VEHICLE = _object(
    {"id": TEXT, "yard": TEXT, "owner_org": TEXT, "vehicle_class": CLASS, "seats": SIZE, "available": SPANS},
    {
        "energy": _choice(*ENERGIES), "range_m": _maybe(SIZE), "soc": NUMBER,
        "charge_m_per_h": _described(_maybe(SIZE), "range regained per hour at the yard; null: params.charge_m_per_h"),
        "driver_id": _described(_maybe(TEXT), "the one driver of this vehicle, who drives no other"), "purposes": _maybe(array(TEXT)),
        "tags": array(TEXT),
    },
)  # fmt: skip
DRIVER = _object(
    {"id": TEXT, "yard": TEXT, "org": TEXT, "licence": _choice(*LICENCES), "on_duty": SPANS},
    {
        "shift_max_s": SIZE, "may_drive": _maybe(array(CLASS)), "tags": array(TEXT),
        "off_since_s": _described(_maybe(WHOLE), "end of the duty before; params.between_shifts_s counts from here"),
    },
)  # fmt: skip
LENDING = _object({"owner_org": TEXT, "borrower_org": TEXT})
RESERVE = _object({"yard": TEXT, "vehicle_class": CLASS, "span": SPAN, "min_free": SIZE})
BAND = _object(
    {"org": TEXT, "measure": _choice("lent_m", "rented"), "low": SIZE, "high": SIZE, "fen": SIZE},
)
RENTAL = _object({"base_fen": SIZE, "km_fen": SIZE, "hour_fen": SIZE})
_TABLES = {"day_fen": SIZE, "km_fen": SIZE, "energy_permille": SIZE, "rental": RENTAL, "penalty_fen": SIZE}
PARAMS = _object({}, {f.name: _map(_TABLES[f.name]) if f.name in _TABLES else SIZE for f in fields(Params)})
ASSIGNMENT = _object(
    {"request_id": TEXT, "vehicle_id": TEXT, "start_s": WHOLE, "end_s": WHOLE},
    {"driver_id": _maybe(TEXT), "ride": _described(_maybe(TEXT), "assignments with the same key ride together")},
)
PLAN = _object(
    {"assignments": array(ASSIGNMENT), "cost_fen": SIZE},
    {
        "unassigned": _map(TEXT), "rented": array(TEXT), "bound_fen": _maybe(SIZE), "gap": _maybe(NUMBER),
        "stopped": TEXT, "method": TEXT, "seed": WHOLE, "elapsed_s": NUMBER,
    },
)  # fmt: skip
INSTANCE = _object(
    {
        "epoch": TEXT | {"format": "date-time"}, "places": array(PLACE), "requests": array(REQUEST),
        "vehicles": array(VEHICLE),
    },
    {
        "travel": TRAVEL, "drivers": array(DRIVER), "lending": array(LENDING), "reserves": array(RESERVE),
        "bands": _described(array(BAND), "what organisations lend (metres) or have rented (requests) costs fen per unit outside"),
        "told": _described(array(ASSIGNMENT), "what people were told; changing it costs params.change_fen"),
        "before_s": SIZE, "after_s": SIZE,
        "start_step_s": _described(SIZE, "starts are moved by whole steps"), "params": PARAMS, "plan": PLAN,
    },
)  # fmt: skip


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


def _fail(where: str, rule: str, got: object) -> None:
    shown = json.dumps(got, ensure_ascii=False)
    raise FileError(f"{where or 'the file'} must be {rule}, got {shown if len(shown) <= 60 else shown[:57] + '...'}.")


def validate(value: Any, kind: Json, where: str = "") -> None:
    """Check parsed JSON against the part of JSON Schema used here; raise `FileError` naming the field."""
    if "oneOf" in kind:
        validate(value, kind["oneOf"][isinstance(value, dict)], where)
        return
    if "anyOf" in kind:
        if value is not None:
            validate(value, kind["anyOf"][0], where)
        return
    name, types = _TYPES[kind["type"]]
    if not isinstance(value, types) or (isinstance(value, bool) and kind["type"] != "boolean"):
        _fail(where, name, value)
    if isinstance(value, float) and not math.isfinite(value):
        raise FileError(f"{where} must be a finite number.")
    if "enum" in kind and value not in kind["enum"]:
        _fail(where, f"one of {', '.join(kind['enum'])}", value)
    if "minimum" in kind and value < kind["minimum"]:
        _fail(where, f"at least {kind['minimum']}", value)
    if isinstance(value, str) and not kind.get("minLength", 0) <= len(value) <= kind.get("maxLength", len(value)):
        _fail(where, f"a text of {kind['minLength']} to {kind['maxLength']} characters", value)
    if isinstance(value, list):
        if not kind.get("minItems", 0) <= len(value) <= kind.get("maxItems", len(value)):
            _fail(where, f"an array of {kind['minItems']}{' or more' if 'maxItems' not in kind else ''} items", value)
        for k, item in enumerate(value):
            validate(item, kind["items"], f"{where}[{k}]")
    if isinstance(value, dict):
        _validate_object(value, kind, where)


def _validate_object(value: Json, kind: Json, where: str) -> None:
    prefix = f"{where}." if where else ""
    for name in kind.get("required", ()):
        if name not in value:
            raise FileError(f"{prefix}{name} is missing.")
    for name, item in value.items():
        inner = kind.get("properties", {}).get(name, kind["additionalProperties"])
        if inner is False:
            known = ", ".join(kind["properties"])
            raise FileError(f"{prefix}{name} is not a known field; known are: {known}.")
        validate(item, inner, f"{prefix}{name}")
