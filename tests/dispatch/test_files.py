"""JSON files: what is written is read back, errors name the field, the published schema is in step."""

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch import FileError, Params, Until, dump_instance, load_instance, solve
from dispatch.example import example
from dispatch.files import parse
from dispatch.schema import schema
from tests.dispatch.anyday import instances

ROOT = Path(__file__).parents[2]
EXAMPLE = dump_instance(example(), Params())


def test_published_schema_is_in_step():
    published = json.loads((ROOT / "dispatch" / "schema.json").read_text(encoding="utf-8"))
    assert published == schema()


@settings(max_examples=30, deadline=None)
@given(instances())
def test_instance_and_plan_survive_a_file(problem):
    made = solve(problem, stop=Until(time_limit_s=None, rounds=0))
    text = json.dumps(dump_instance(problem, Params(), made))
    again, params, plan = load_instance(json.loads(text))
    assert json.dumps(dump_instance(again, params, plan)) == text
    assert plan == made
    assert params == Params()
    assert again.requests == problem.requests
    assert again.vehicles == problem.vehicles
    assert again.drivers == problem.drivers
    assert (again.travel.time_s == problem.travel.time_s).all()


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
    params = load_instance({**EXAMPLE, "params": {"km_fen": {"sedan": 7}, "penalty_fen": {"4": 9}}})[1]
    assert params.km_fen["sedan"] == 7
    assert params.km_fen["van"] == Params().km_fen["van"]
    assert dict(params.penalty_fen) == {**Params().penalty_fen, 4: 9}


def test_text_that_is_not_json_tells_the_place():
    with pytest.raises(FileError, match=r"x.json is not JSON: .* at line 2, column"):
        parse('{"a":\n oops}', "x.json")


@pytest.mark.parametrize("text", ["[" * 200_000, "1" * 5_000])
def test_hostile_json_is_refused_by_a_sentence(text):
    with pytest.raises(FileError, match=r"^x.json .*\.$"):
        parse(text, "x.json")
