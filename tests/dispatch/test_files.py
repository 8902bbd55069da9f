"""JSON files: what is written is read back, errors name the field, the published schema is in step."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch import FileError, Params, Until, dump_instance, dump_plan, load_instance, load_plan, solve
from dispatch.cli import main
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


# ---- command line ---------------------------------------------------------------------------------------------------


def run(capsys, *argv):
    status = main(argv)
    said = capsys.readouterr()
    return status, said.out, said.err


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(EXAMPLE), encoding="utf-8")
    return path


def test_solve_then_check_round_trip(capsys, file, tmp_path):
    out = tmp_path / "plan.json"
    status, printed, _ = run(capsys, "solve", str(file), "--seconds", "5", "--seed", "3", "-o", str(out))
    assert status == 0
    made = load_plan(json.loads(out.read_text(encoding="utf-8")))
    assert made.seed == 3
    told = json.loads(printed)
    assert printed.count("\n") == 1
    assert (told["cost"], told["bound"], told["vehicles"]) == (
        made.cost_fen, made.bound_fen, len({a.vehicle_id for a in made.assignments}),
    )  # fmt: skip
    status, printed, _ = run(capsys, "check", str(file), str(out))
    assert (status, json.loads(printed)) == (0, {"ok": True, "violations": [], "cost_fen": made.cost_fen})


def test_check_finds_the_plan_inside_the_instance_and_names_violations(capsys, file):
    made = dump_plan(solve(example(), stop=Until(time_limit_s=None, rounds=0)))
    made["cost_fen"] += 1
    file.write_text(json.dumps({**EXAMPLE, "plan": made}), encoding="utf-8")
    status, printed, _ = run(capsys, "check", str(file))
    found = json.loads(printed)
    assert (status, found["ok"], found["cost_fen"]) == (1, False, made["cost_fen"] - 1)
    assert [v["code"] for v in found["violations"]] == ["cost_mismatch"]


def test_check_of_a_plan_with_unknown_ids_has_no_cost(capsys, file, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text('{"assignments": [], "rented": ["ghost"], "cost_fen": 0}', encoding="utf-8")
    status, printed, _ = run(capsys, "check", str(file), str(path))
    assert (status, json.loads(printed)["cost_fen"]) == (1, None)


def test_check_of_an_instance_alone(capsys, file):
    status, printed, _ = run(capsys, "check", str(file))
    assert (status, json.loads(printed)) == (0, {"ok": True, "violations": [], "cost_fen": None})


def test_locked_assignments_are_kept(capsys, file, tmp_path):
    kept = {
        "request_id": "meeting",
        "vehicle_id": "city-mpv",
        "driver_id": "city-driver-2",
        "start_s": 30600,
        "end_s": 37000,
        "ride": None,
    }
    path, out = tmp_path / "locked.json", tmp_path / "plan.json"
    path.write_text(json.dumps([kept]), encoding="utf-8")
    status, printed, _ = run(capsys, "solve", str(file), "--seconds", "5", "--locked", str(path), "-o", str(out))
    assert (status, json.loads(printed)["unassigned"]) == (0, 0)
    assert kept in json.loads(out.read_text(encoding="utf-8"))["assignments"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["solve", "{tmp}/none.json"], "cannot read {tmp}/none.json: No such file or directory. Give the path"),
        (["solve", "{tmp}/bad.json"], "bad.json is not JSON"),
        (["check", "{tmp}/empty.json"], "epoch is missing."),
        (["solve", "{file}", "--seconds", "0"], "time_limit_s must be above 0"),
        (["solve", "{file}", "-o", "{tmp}/no/such/plan.json"], "cannot write"),
        (["check", "{file}", "{tmp}/empty.json"], "plan.assignments is missing."),
        (["solve", "{file}", "--locked", "{tmp}/locked.json"], "Locked assignments break rules: unknown_request"),
        (["solve", "{tmp}/binary.json"], "is not UTF-8 text"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(capsys, file, tmp_path, argv, message):
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    ghost = {"request_id": "ghost", "vehicle_id": "city-mpv", "start_s": 0, "end_s": 1}
    (tmp_path / "locked.json").write_text(json.dumps([ghost]), encoding="utf-8")
    status, printed, said = run(capsys, *(a.format(tmp=tmp_path, file=file) for a in argv))
    assert (status, printed) == (2, "")
    assert message.format(tmp=tmp_path) in said
    assert said.count("\n") == 1


def test_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "dispatch", "example"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(EXAMPLE))
    wrong = subprocess.run(
        [sys.executable, "-m", "dispatch", "dance"], check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert wrong.returncode == 2
    assert "Traceback" not in wrong.stderr
