"""JSON files: what is written is read back, errors name the field, the published schema is in step."""

import base64
import copy
import json
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch import (
    Assignment,
    FileError,
    Instance,
    Params,
    Place,
    Plan,
    Travel,
    dump_instance,
    dump_plan,
    load_instance,
    load_plan,
)
from dispatch.example import example
from dispatch.files import load_locked, parse
from dispatch.schema import schema
from tests.dispatch.anyday import instances, params

ROOT = Path(__file__).parents[2]
EXAMPLE = dump_instance(example(), Params())


def test_published_schema_is_in_step():
    published = json.loads((ROOT / "dispatch" / "schema.json").read_text(encoding="utf-8"))
    assert published == schema()


@settings(max_examples=60, deadline=None)
@given(instances(), params)
def test_instance_parameters_and_plan_survive_a_file(problem, figures):
    ids = [r.id for r in problem.requests]
    made = Plan(problem.told, dict.fromkeys(ids[1::2], "reserve"), tuple(ids[::2]), 7, 5, 2 / 7, "gap", "x", 3, 0.5)
    text = json.dumps(dump_instance(problem, figures, made))
    again, read, plan = load_instance(json.loads(text))
    assert json.dumps(dump_instance(again, read, plan)) == text
    assert (plan, read) == (made, figures)
    for f in fields(Instance):
        if f.name != "travel":
            assert getattr(again, f.name) == getattr(problem, f.name)
    assert again.travel.paces == problem.travel.paces
    assert (again.travel.time_s == problem.travel.time_s).all()
    assert (again.travel.distance_m == problem.travel.distance_m).all()


def test_ride_survives_a_file():
    kept = (Assignment("a", "v", "d", 0, 60, "ride-" + "+".join(3 * ["x" * 200])), Assignment("b", "v", None, 30, 90))
    made = Plan(kept, {}, (), 0)
    assert load_plan(json.loads(json.dumps(dump_plan(made)))) == made
    assert load_locked(dump_plan(made)["assignments"]) == kept


# ---- packed matrices ------------------------------------------------------------------------------------------------


def roads(count):
    """Make a file with `count` places, driving between which takes other times there and back."""
    places = tuple(Place(f"p{k}", 30.0, 120.0 + k / 1_000) for k in range(count))
    row = np.arange(count, dtype=np.int32)
    time_s = (7 * row[:, None] + 3 * row[None, :]).astype(np.int32)
    np.fill_diagonal(time_s, 0)
    day = Instance(example().epoch, Travel(places, time_s, 2 * time_s, "roads"), (), ())
    return json.loads(json.dumps(dump_instance(day))), time_s


@pytest.mark.parametrize(("count", "kind"), [(200, list), (201, dict)])
def test_large_matrices_are_packed(count, kind):
    data, time_s = roads(count)
    assert type(data["travel"]["time_s"]) is kind
    travel = load_instance(data)[0].travel
    assert (travel.time_s == time_s).all()
    assert (travel.distance_m == 2 * time_s).all()
    assert travel.time_s.flags.writeable


def pack(raw, level=1):
    return base64.b64encode(zlib.compress(raw, level)).decode()


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        ({"data": "%%%"}, "travel.time_s.data must be the base64 text of zlib-compressed numbers."),
        ({"data": "AAAA"}, "travel.time_s.data must be the base64 text of zlib-compressed numbers."),
        ({"data": pack(bytes(8))}, "travel.time_s.data must hold 6 x 6 numbers of 4 bytes, got 8 bytes."),
        ({"data": pack(bytes(145))}, "travel.time_s.data must hold 6 x 6 numbers of 4 bytes, got more."),
        ({"data": pack(bytes(10**8), 9)}, "travel.time_s.data must hold 6 x 6 numbers of 4 bytes, got more."),
        ({"data": pack(b"\xff" * 144)}, "Travel: time_s must lie between 0 and 2678400, got (-1, -1)."),
        ({"data": pack(b"\x01" + bytes(143))}, "Travel: time_s from a place to itself must be 0"),
        ({"data": 5}, "travel.time_s.data must be a text, got 5."),
        ({"encoding": "gzip"}, 'travel.time_s.encoding must be one of zlib+base64, got "gzip".'),
        ({"dtype": ">f8"}, 'travel.time_s.dtype must be one of <i4, got ">f8".'),
    ],
)
def test_packed_matrix_that_is_not_one_is_refused(packed, message):
    sound = {"encoding": "zlib+base64", "dtype": "<i4", "data": pack(bytes(144))}
    travel = {"source": "roads", "time_s": sound, "distance_m": sound}
    assert load_instance({**EXAMPLE, "travel": travel})[0].travel.time_s.max() == 0
    with pytest.raises(FileError) as caught:
        load_instance({**EXAMPLE, "travel": {**travel, "time_s": {**sound, **packed}}})
    assert str(caught.value).startswith(message)


def units(kind, name=""):
    """Yield names of numbers in a schema with what it says about them."""
    for inner, value in kind.get("properties", {}).items():
        yield inner, value.get("description", "")
        yield from units(value, inner)
    for part in ("items", "additionalProperties"):
        if isinstance(kind.get(part), dict):
            yield from units(kind[part], name)


def test_schema_tells_the_unit_of_every_figure():
    told = list(units(schema()))
    for ending, word in (("_s", "second"), ("_m", "metres"), ("_fen", "fen"), ("_permille", "1/1000")):
        named = [(name, text) for name, text in told if name.endswith(ending)]
        assert named
        assert [name for name, text in named if word not in text] == []


def test_estimated_travel_is_written_as_its_two_figures():
    assert EXAMPLE["travel"] == {"source": "estimate", "detour": 1.35, "speed_kmh": 32.0}
    assert (load_instance(EXAMPLE)[0].travel.distance_m == example().travel.distance_m).all()


def edited(path, value):
    """Set or (with ...) delete one field of the example by its path."""
    data = copy.deepcopy(EXAMPLE)
    *way, last = path
    inner = data
    for step in way:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("requests", 1, "passengers"), "five", 'requests[1].passengers must be a whole number, got "five".'),
        (("requests", 1, "passengers"), 2.5, "requests[1].passengers must be a whole number, got 2.5."),
        (("requests", 1, "passengers"), True, "requests[1].passengers must be a whole number, got true."),
        (("requests", 1, "passengers"), -1, "requests[1].passengers must be at least 0, got -1."),
        (("requests", 1, "passengers"), 61, "Request pick-up-guests: passengers must be a whole number from 0 to 60, got 61."),
        (("requests", 0, "id"), ..., "requests[0].id is missing."),
        (("requests", 0, "id"), "", 'requests[0].id must be a text of 1 to 200 characters, got "".'),
        (("requests", 0, "vehicle_class"), "tank", "requests[0].vehicle_class must be one of sedan, suv, "),
        (("requests", 0, "colour"), "red", "requests[0].colour is not a known field; known are: id, stops, "),
        (("requests", 0, "latest_s"), 0, "Request meeting: latest_s must be a whole number from 30600 to "),
        (("requests", 0, "stops", 1, "place"), "moon", "Request meeting: the place must be one of travel.places, got 'moon'."),
        (("requests", 1, "id"), "meeting", "Request: every id must occur once, got 'meeting'."),
        (("vehicles", 0, "available"), [], "vehicles[0].available must be an array of 1 or more items, got []."),
        (("vehicles", 0, "available", 0), [5], "vehicles[0].available[0] must be an array of 2 items, got [5]."),
        (("vehicles", 0, "available", 0), [5, 5], "Span: start_s must be before end_s, got (5, 5)."),
        (("vehicles", 2, "range_m"), None, "Vehicle district-sedan: range_m of a bev must be a whole number from 1000 to "),
        (("vehicles", 2, "soc"), 1.1, "Vehicle district-sedan: soc must be a number from 0 to 1, got 1.1."),
        (("vehicles", 2, "soc"), float("nan"), "vehicles[2].soc must be a finite number."),
        (("drivers", 0, "licence"), "Z9", "drivers[0].licence must be one of A1, "),
        (("drivers", 0, "may_drive"), ["coach"], "Driver city-driver-1: may_drive must stay within licence C1, got ['coach']."),
        (("epoch",), "tomorrow", "epoch must be a date and time like 2026-03-01T16:00:00Z, got 'tomorrow'."),
        (("epoch",), "2026-03-01T16:00:00", "epoch must say its zone, like 2026-03-01T16:00:00Z, got "),
        (("places", 0, "lat"), 95, "Place city-yard: lat must be a number from -90 to 90, got 95."),
        (("travel",), {"source": "roads"}, "travel.time_s and travel.distance_m are missing; only source 'estimate' works "),
        (("travel", "time_s"), [[0]], "travel must have both time_s and distance_m, or neither"),
        (("travel",), {"source": "roads", "time_s": [[0]], "distance_m": [[0]]}, "travel.time_s must have 6 rows of 6 numbers"),
        (("params", "rental", "tank"), {"base_fen": 1, "km_fen": 1, "hour_fen": 1}, "Params: rental must name vehicle classes"),
        (("params", "penalty_fen"), {"high": 1}, "params.penalty_fen must have the priorities 1 to 4 as names."),
        (("params", "range_reserve_permille"), 900, "Params: range_reserve_permille must be a whole number from 1000 to "),
        (("reserves", 0, "min_free"), 0, "Reserve at district-yard: min_free must be a whole number from 1 to "),
        (("plan",), {"assignments": []}, "plan.cost_fen is missing."),
        (("travel", "paces"), [{"span": [0, 9]}], "travel.paces[0].permille is missing."),
        (("travel", "paces"), [{"span": [0, 9], "permille": 499}], "Pace: permille must be a whole number from 500 to 5000, got 499."),
        (("travel", "paces"), [{"span": [0, 9], "permille": 900}, {"span": [8, 9], "permille": 900}], "Travel: paces must be in order"),
        (("vehicles", 0, "driver_id"), "ghost", "Vehicle city-sedan: driver_id must be one of the drivers, got 'ghost'."),
        (("vehicles", 0, "charge_m_per_h"), -1, "vehicles[0].charge_m_per_h must be at least 0, got -1."),
        (("drivers", 0, "off_since_s"), "noon", 'drivers[0].off_since_s must be a whole number, got "noon".'),
        (("bands",), [{"org": "city", "measure": "joy", "low": 0, "high": 1, "fen": 1}], "bands[0].measure must be one of lent_m, rented"),
        (("bands",), [{"org": "city", "measure": "rented", "low": 2, "high": 1, "fen": 1}], "Band of city: high must be a whole number from 2 to"),
        (("told",), [{"request_id": "meeting"}], "told[0].vehicle_id is missing."),
        (("start_step_s",), 0, "Instance: start_step_s must be a whole number from 60 to 3600, got 0."),
        (("params", "pool_most"), 4, "Params: pool_most must be a whole number from 1 to 3, got 4."),
        (("params", "between_shifts_s"), -1, "params.between_shifts_s must be at least 0, got -1."),
    ],
)  # fmt: skip
def test_error_names_the_field(path, value, message):
    load_instance(EXAMPLE)
    with pytest.raises(FileError) as caught:
        load_instance(edited(path, value))
    assert message in str(caught.value)


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["epoch", "requests", "places", "plan", "id"]), inner, max_size=4)
        ),
        max_leaves=12,
    )
)
def test_any_json_is_refused_by_a_sentence(data):
    with pytest.raises(FileError):
        load_instance(data)


def test_parameters_given_in_part_keep_the_other_defaults():
    read = load_instance({**EXAMPLE, "params": {"km_fen": {"sedan": 7}, "penalty_fen": {"4": 9}}})[1]
    assert read.km_fen["sedan"] == 7
    assert read.km_fen["van"] == Params().km_fen["van"]
    assert dict(read.penalty_fen) == {**Params().penalty_fen, 4: 9}


def test_text_that_is_not_json_tells_the_place():
    with pytest.raises(FileError, match=r"x.json is not JSON: .* at line 2, column"):
        parse('{"a":\n oops}', "x.json")


@pytest.mark.parametrize("text", ["[" * 200_000, "1" * 5_000])
def test_hostile_json_is_refused_by_a_sentence(text):
    with pytest.raises(FileError, match=r"^x.json .*\.$"):
        parse(text, "x.json")
