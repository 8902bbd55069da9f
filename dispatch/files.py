"""Instances and plans as JSON files: reading with errors that name the field, writing, and the published JSON Schema.

Times in a file are whole seconds after the file's ``epoch``; distances metres; money fen (0.01 CNY).
"""

import binascii
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from dispatch.bounds import InvalidModel
from dispatch.model import (
    Assignment,
    Band,
    Driver,
    Instance,
    Lending,
    Matrix,
    Pace,
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
from dispatch.schema import ASSIGNMENT, INSTANCE, PLAN, FileError, Json, array, validate

MOST_ROWS = 200  # larger matrices are written packed


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
    validate(data, array(ASSIGNMENT), "locked")
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
    paces = tuple(Pace(_span(p["span"]), p["permille"]) for p in given.get("paces", ()))
    if ("time_s" in given) != ("distance_m" in given):
        raise FileError("travel must have both time_s and distance_m, or neither and source 'estimate'.")
    if "time_s" not in given:
        if given["source"] != "estimate":
            raise FileError(
                "travel.time_s and travel.distance_m are missing; only source 'estimate' works without them."
            )
        return replace(
            estimate_travel(places, **{k: given[k] for k in ("detour", "speed_kmh") if k in given}), paces=paces
        )
    matrices: dict[str, Matrix] = {}
    for name in ("time_s", "distance_m"):
        rows = given[name]
        if isinstance(rows, dict):
            matrices[name] = _unpacked(rows, name, len(places))
            continue
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
        paces=paces,
    )


def _unpacked(packed: Json, name: str, count: int) -> Matrix:
    size = 4 * count * count
    try:
        # One byte more than wanted tells that there is too much, however much that is.
        raw = zlib.decompressobj().decompress(binascii.a2b_base64(packed["data"], strict_mode=True), size + 1)
    except (ValueError, zlib.error):
        raise FileError(f"travel.{name}.data must be the base64 text of zlib-compressed numbers.") from None
    if len(raw) != size:
        got = f"{len(raw)} bytes" if len(raw) < size else "more"
        raise FileError(f"travel.{name}.data must hold {count} x {count} numbers of 4 bytes, got {got}.")
    return np.frombuffer(raw, dtype="<i4").astype(np.int32).reshape(count, count)


def _packed(matrix: Matrix) -> Any:
    if len(matrix) <= MOST_ROWS:
        return matrix.tolist()
    compressed = zlib.compress(np.ascontiguousarray(matrix, dtype="<i4").tobytes(), 1)
    data = binascii.b2a_base64(compressed, newline=False).decode("ascii")
    return {"encoding": "zlib+base64", "dtype": "<i4", "data": data}


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
        bands=tuple(Band(**b) for b in data.get("bands", ())),
        told=tuple(_assignment(a) for a in data.get("told", ())),
        **{name: data[name] for name in ("before_s", "after_s", "start_step_s") if name in data},
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
        how |= {"time_s": _packed(travel.time_s), "distance_m": _packed(travel.distance_m)}
    if travel.paces:
        how["paces"] = [_plain(pace) for pace in travel.paces]
    data: Json = {
        "epoch": instance.epoch.isoformat().replace("+00:00", "Z"),
        "places": [asdict(p) for p in travel.places],
        "travel": how,
        "requests": [_plain(r) for r in instance.requests],
        "vehicles": [_plain(v) for v in instance.vehicles],
        "drivers": [_plain(d) for d in instance.drivers],
        "lending": [_plain(rule) for rule in instance.lending],
        "reserves": [_plain(r) for r in instance.reserves],
        "bands": [_plain(b) for b in instance.bands],
        "told": [_plain(a) for a in instance.told],
        "before_s": instance.before_s,
        "after_s": instance.after_s,
        "start_step_s": instance.start_step_s,
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
