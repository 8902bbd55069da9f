"""Instances and plans as JSON files: reading with errors that name the field, writing, and the published JSON Schema.

Times in a file are whole seconds after the file's ``epoch``; distances metres; money fen (0.01 CNY).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dispatch.bounds import InvalidModel
from dispatch.model import (
    ENERGIES,
    LICENCES,
    VEHICLE_CLASSES,
    Assignment,
    Driver,
    Instance,
    Lending,
    Matrix,
    Place,
    Plan,
    Request,
    Reserve,
    Span,
    Stop,
    Travel,
    Vehicle,
    estimate_travel,
)
from dispatch.params import Params, Rental

Json = dict[str, Any]


class FileError(ValueError):
    """A file cannot be used; the message names the field and says what is expected."""


# ---- the schema: one table per object, in JSON Schema 2020-12 -------------------------------------------------------

TEXT: Json = {"type": "string", "minLength": 1, "maxLength": 200}
WHOLE: Json = {"type": "integer"}
SIZE: Json = {"type": "integer", "minimum": 0}
NUMBER: Json = {"type": "number"}
YES_NO: Json = {"type": "boolean"}


def _array(items: Json) -> Json:
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


SPAN = _array(WHOLE) | {"minItems": 2, "maxItems": 2}
SPANS = _array(SPAN) | {"minItems": 1}
CLASS = _choice(*VEHICLE_CLASSES)
PLACE = _object({"id": TEXT, "lat": NUMBER, "lon": NUMBER})
STOP = _object({"place": TEXT}, {"dwell_s": SIZE})
TRAVEL = _object(
    {"source": TEXT},
    {"time_s": _array(_array(SIZE)), "distance_m": _array(_array(SIZE)), "detour": NUMBER, "speed_kmh": NUMBER},
)
REQUEST = _object(
    {
        "id": TEXT, "stops": _array(STOP), "earliest_s": WHOLE, "latest_s": WHOLE, "duration_s": SIZE,
        "passengers": SIZE, "vehicle_class": CLASS, "purpose": TEXT, "owner_org": TEXT,
    },
    {
        "priority": WHOLE, "needs": _array(TEXT), "secret": YES_NO, "pooling": YES_NO, "rentable": YES_NO,
        "rental_fen": _maybe(SIZE),
    },
)  # fmt: skip
VEHICLE = _object(
    {"id": TEXT, "yard": TEXT, "owner_org": TEXT, "vehicle_class": CLASS, "seats": SIZE, "available": SPANS},
    {
        "energy": _choice(*ENERGIES), "range_m": _maybe(SIZE), "soc": NUMBER, "purposes": _maybe(_array(TEXT)),
        "tags": _array(TEXT),
    },
)  # fmt: skip
DRIVER = _object(
    {"id": TEXT, "yard": TEXT, "org": TEXT, "licence": _choice(*LICENCES), "on_duty": SPANS},
    {"shift_max_s": SIZE, "may_drive": _maybe(_array(CLASS)), "tags": _array(TEXT)},
)
LENDING = _object({"owner_org": TEXT, "borrower_org": TEXT})
RESERVE = _object({"yard": TEXT, "vehicle_class": CLASS, "span": SPAN, "min_free": SIZE})
RENTAL = _object({"base_fen": SIZE, "km_fen": SIZE, "hour_fen": SIZE})
_TABLES = {"day_fen": SIZE, "km_fen": SIZE, "energy_permille": SIZE, "rental": RENTAL, "penalty_fen": SIZE}
PARAMS = _object({}, {f.name: _map(_TABLES[f.name]) if f.name in _TABLES else SIZE for f in fields(Params)})
ASSIGNMENT = _object(
    {"request_id": TEXT, "vehicle_id": TEXT, "start_s": WHOLE, "end_s": WHOLE}, {"driver_id": _maybe(TEXT)}
)
PLAN = _object(
    {"assignments": _array(ASSIGNMENT), "cost_fen": SIZE},
    {
        "unassigned": _map(TEXT), "rented": _array(TEXT), "bound_fen": _maybe(SIZE), "gap": _maybe(NUMBER),
        "stopped": TEXT, "method": TEXT, "seed": WHOLE, "elapsed_s": NUMBER,
    },
)  # fmt: skip
INSTANCE = _object(
    {
        "epoch": TEXT | {"format": "date-time"}, "places": _array(PLACE), "requests": _array(REQUEST),
        "vehicles": _array(VEHICLE),
    },
    {
        "travel": TRAVEL, "drivers": _array(DRIVER), "lending": _array(LENDING), "reserves": _array(RESERVE),
        "before_s": SIZE, "after_s": SIZE, "params": PARAMS, "plan": PLAN,
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


# ---- reading --------------------------------------------------------------------------------------------------------


def parse(text: str, what: str = "the file") -> Any:
    """Parse JSON text; raise `FileError` with line and column where it is not JSON."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise FileError(f"{what} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}.") from None
    except ValueError:
        raise FileError(f"{what} holds a number with too many digits.") from None
    except RecursionError:
        raise FileError(f"{what} is nested too deeply to be an instance or a plan.") from None


def load_instance(data: Any) -> tuple[Instance, Params, Plan | None]:
    """Build instance, parameters and the embedded plan (or None) from parsed JSON; raise `FileError`."""
    validate(data, INSTANCE)
    try:
        return _instance(data), _params(data.get("params", {})), load_plan(data["plan"]) if "plan" in data else None
    except InvalidModel as error:
        raise FileError(str(error)) from None


def load_plan(data: Any) -> Plan:
    """Build a plan from parsed JSON; raise `FileError`."""
    validate(data, PLAN, "plan")
    try:
        return Plan(
            **{
                **data,
                "assignments": tuple(_assignment(a) for a in data["assignments"]),
                "unassigned": data.get("unassigned", {}),
                "rented": tuple(data.get("rented", ())),
            }
        )
    except InvalidModel as error:
        raise FileError(str(error)) from None


def load_locked(data: Any) -> tuple[Assignment, ...]:
    """Build locked assignments from parsed JSON: an array of assignments, or a plan whose assignments are kept."""
    if isinstance(data, dict):
        return load_plan(data).assignments
    validate(data, _array(ASSIGNMENT), "locked")
    try:
        return tuple(_assignment(a) for a in data)
    except InvalidModel as error:
        raise FileError(str(error)) from None


def _assignment(data: Json) -> Assignment:
    return Assignment(**{"driver_id": None, **data})


def _epoch(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise FileError(f"epoch must be a date and time like 2026-03-01T16:00:00Z, got {text!r}.") from None
    if at.tzinfo is None:
        raise FileError(f"epoch must say its zone, like 2026-03-01T16:00:00Z, got {text!r}.")
    return at.astimezone(UTC)


def _travel(data: Json | None, places: tuple[Place, ...]) -> Travel:
    given = data or {"source": "estimate"}
    if ("time_s" in given) != ("distance_m" in given):
        raise FileError("travel must have both time_s and distance_m, or neither and source 'estimate'.")
    if "time_s" not in given:
        if given["source"] != "estimate":
            raise FileError(
                "travel.time_s and travel.distance_m are missing; only source 'estimate' works without them."
            )
        return estimate_travel(places, **{k: given[k] for k in ("detour", "speed_kmh") if k in given})
    matrices: dict[str, Matrix] = {}
    for name in ("time_s", "distance_m"):
        rows = given[name]
        if len(rows) != len(places) or any(len(row) != len(places) for row in rows):
            raise FileError(f"travel.{name} must have {len(places)} rows of {len(places)} numbers, one per place.")
        if any(value > 2_000_000_000 for row in rows for value in row):
            raise FileError(f"travel.{name} must hold numbers below 2000000000.")
        matrices[name] = np.array(rows, dtype=np.int32).reshape(len(places), len(places))
    return Travel(
        places=places,
        source=given["source"],
        detour=given.get("detour"),
        speed_kmh=given.get("speed_kmh"),
        time_s=matrices["time_s"],
        distance_m=matrices["distance_m"],
    )


def _span(pair: Sequence[int]) -> Span:
    return Span(pair[0], pair[1])


def _tags(data: Json, *names: str) -> Json:
    return {name: frozenset(data[name]) for name in names if data.get(name) is not None}


def _instance(data: Json) -> Instance:
    places = tuple(Place(**p) for p in data["places"])
    requests = tuple(
        Request(**{**r, "stops": tuple(Stop(**s) for s in r["stops"]), **_tags(r, "needs")}) for r in data["requests"]
    )
    vehicles = tuple(
        Vehicle(**{**v, "available": tuple(map(_span, v["available"])), **_tags(v, "purposes", "tags")})
        for v in data["vehicles"]
    )
    drivers = tuple(
        Driver(**{**d, "on_duty": tuple(map(_span, d["on_duty"])), **_tags(d, "may_drive", "tags")})
        for d in data.get("drivers", ())
    )
    return Instance(
        epoch=_epoch(data["epoch"]),
        travel=_travel(data.get("travel"), places),
        requests=requests,
        vehicles=vehicles,
        drivers=drivers,
        lending=tuple(Lending(**rule) for rule in data.get("lending", ())),
        reserves=tuple(Reserve(**{**r, "span": _span(r["span"])}) for r in data.get("reserves", ())),
        **{name: data[name] for name in ("before_s", "after_s") if name in data},
    )


def _params(data: Json) -> Params:
    """Read parameters; a table that is given in part keeps the default for the rest."""
    default, given = Params(), dict(data)
    if "penalty_fen" in given:
        try:
            given["penalty_fen"] = {int(k): v for k, v in given["penalty_fen"].items()}
        except ValueError:
            raise FileError("params.penalty_fen must have the priorities 1 to 4 as names.") from None
    if "rental" in given:
        given["rental"] = {k: Rental(**v) for k, v in given["rental"].items()}
    for name in ("day_fen", "km_fen", "energy_permille", "penalty_fen"):
        if name in given:
            given[name] = {**getattr(default, name), **given[name]}
    return Params(**given)


# ---- writing --------------------------------------------------------------------------------------------------------


def dump_instance(instance: Instance, params: Params | None = None, plan: Plan | None = None) -> Json:
    """Return an instance (and parameters and plan, where given) as JSON values."""
    travel = instance.travel
    rebuilt = travel.source == "estimate" and travel.detour is not None and travel.speed_kmh is not None
    how: Json = {"source": travel.source}
    how |= {name: getattr(travel, name) for name in ("detour", "speed_kmh") if getattr(travel, name) is not None}
    if not rebuilt:
        how |= {"time_s": travel.time_s.tolist(), "distance_m": travel.distance_m.tolist()}
    data: Json = {
        "epoch": instance.epoch.isoformat().replace("+00:00", "Z"),
        "places": [asdict(p) for p in travel.places],
        "travel": how,
        "requests": [_plain(r) for r in instance.requests],
        "vehicles": [_plain(v) for v in instance.vehicles],
        "drivers": [_plain(d) for d in instance.drivers],
        "lending": [_plain(rule) for rule in instance.lending],
        "reserves": [_plain(r) for r in instance.reserves],
        "before_s": instance.before_s,
        "after_s": instance.after_s,
    }
    if params:
        data["params"] = _plain(params)
    if plan:
        data["plan"] = dump_plan(plan)
    return data


def dump_plan(plan: Plan) -> Json:
    """Return a plan as JSON values."""
    return {**_plain(plan), "rented": list(plan.rented)}


def _plain(value: Any) -> Any:
    if isinstance(value, Span):
        return [value.start_s, value.end_s]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value
