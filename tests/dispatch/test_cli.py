"""Command line: JSON out, one sentence and status 2 for whatever cannot be used."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dispatch import Params, Until, check, dump_instance, dump_plan, load_instance, load_plan, solve
from dispatch.cli import main
from dispatch.example import example
from dispatch.synthetic import PARAMS, day

ROOT = Path(__file__).parents[2]
EXAMPLE = dump_instance(example(), Params())


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


def test_solve_prints_the_figures_people_compare(capsys, file):
    status, printed, said = run(capsys, "solve", str(file), "--seconds", "5", "--progress")
    told = json.loads(printed)
    assert (status, printed.count("\n")) == (0, 1)
    assert list(told) == [
        "cost", "bound", "gap_pct", "seconds", "vehicles", "rented", "unassigned", "deadhead_km", "pooled", "stopped",
        "method",
    ]  # fmt: skip
    assert (told["rented"], told["unassigned"], told["pooled"]) == (0, 0, 0)
    assert told["gap_pct"] == round(100 * (told["cost"] - told["bound"]) / told["cost"], 4)
    steps = [json.loads(line) for line in said.splitlines()]
    assert steps[0]["phase"] == "greedy"
    assert steps[-1]["cost_fen"] >= told["cost"]


def test_imported_problem_is_solved_and_checked(capsys, tmp_path):
    source, made, plan = tmp_path / "a.inp", tmp_path / "instance.json", tmp_path / "plan.json"
    source.write_text("1 2 2\n-1 9 9\n8 -1 3\n8 -1 -1\n", encoding="ascii")
    status, printed, _ = run(capsys, "import", "--format", "mdvsp", str(source), "-o", str(made))
    assert (status, json.loads(printed)) == (0, {"requests": 2, "vehicles": 2})
    status, printed, _ = run(capsys, "solve", str(made), "--seconds", "5", "-o", str(plan))
    assert (status, json.loads(printed)["cost"], json.loads(printed)["vehicles"]) == (0, 20, 1)
    assert run(capsys, "check", str(made), str(plan))[0] == 0


@pytest.mark.parametrize("more", [[], ["--duties"], ["--pooling"]])
def test_generated_day_is_the_same_for_a_seed(capsys, tmp_path, more):
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        assert run(capsys, "generate", "--size", "30", "--seed", "7", *more, "-o", str(path))[0] == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    instance, params, _ = load_instance(json.loads(paths[0].read_text(encoding="utf-8")))
    assert (len(instance.requests), len(instance.vehicles), params) == (30, 10, PARAMS)
    duties = "--duties" in more
    assert all((v.driver_id is not None) == duties for v in instance.vehicles)
    assert any(v.energy == "bev" for v in instance.vehicles) == duties
    assert all(r.pooling == ("--pooling" in more) for r in instance.requests)


def test_pooled_trips_of_a_generated_day_take_as_long_as_they_drive():
    plain, pooled = day(40, seed=2), day(40, seed=2, pooling=True)
    assert pooled.travel.places == plain.travel.places
    one_way = [r for r in pooled.requests if len(r.stops) == 2]
    assert one_way
    assert all((r.duration_s, r.stops[0].dwell_s) == (0, 120) for r in one_way)


def test_bench_prints_a_line_for_each_size(capsys):
    status, printed, _ = run(capsys, "bench", "--sizes", "8", "12", "--seconds", "3", "--seed", "1")
    rows = [json.loads(line) for line in printed.splitlines()]
    assert (status, [row["orders"] for row in rows]) == (0, [8, 12])
    assert all(row["bound"] <= row["cost"] and row["greedy_ratio"] >= 1 and row["peak_mb"] > 10 for row in rows)
    instance = day(8, seed=1)
    best = solve(instance, params=PARAMS, stop=Until(time_limit_s=None, rounds=3), seed=1)
    assert check(instance, best, params=PARAMS) == []
    assert rows[0]["cost"] <= best.cost_fen


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
        (["check", "{tmp}/halves.json"], "a text of the file holds half a character"),
        (
            ["import", "{tmp}/bad.json", "--format", "lilim", "-o", "{tmp}/x.json"],
            "bad.json: line 1, number 1: a number",
        ),
        (["import", "{tmp}/none", "--format", "mdvsp", "-o", "{tmp}/x.json"], "none: cannot be read: No such file"),
        (["generate", "--size", "0", "-o", "{tmp}/x.json"], "Day: size must be a whole number from 1 to 20000, got 0."),
        (["generate", "--size", "2", "-o", "{tmp}"], "cannot write {tmp}: Is a directory."),
        (["bench", "--sizes", "2", "--seconds", "-1"], "time_limit_s must be above 0"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(capsys, file, tmp_path, argv, message):
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    (tmp_path / "empty.json").write_text("{}", encoding="utf-8")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    halves = {"assignments": [], "rented": ["\ud800"], "cost_fen": 0}
    (tmp_path / "halves.json").write_text(json.dumps({**EXAMPLE, "plan": halves}), encoding="ascii")
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


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["solve"], "the following arguments are required: INSTANCE.json"),
        (
            ["solve", "x.json", "--seed", "-1"],
            "argument --seed: a whole number from 0 to 4294967295 expected, got '-1'",
        ),
        (["bench", "--seed", "9" * 5_000], "argument --seed: "),
        (["import", "x", "--format", "tsplib", "-o", "y"], "argument --format: invalid choice: 'tsplib'"),
        (["generate", "--size", "many", "-o", "y"], "argument --size: invalid int value: 'many'"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(capsys, argv, message):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.startswith(f"dispatch: {message}")
    assert said.count("\n") == 1
