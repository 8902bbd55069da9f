"""Command line: solve an instance, check a plan, print an example or the schema. All JSON, one sentence on bad input."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dispatch.bounds import InvalidModel
from dispatch.check import check
from dispatch.costs import known_ids, plan_cost
from dispatch.example import example
from dispatch.files import dump_instance, dump_plan, load_instance, load_locked, load_plan, parse
from dispatch.imports import FORMATS, read
from dispatch.model import Plan
from dispatch.params import Params
from dispatch.pool import offered
from dispatch.problem import Problem
from dispatch.route import Index, by_vehicle, walk
from dispatch.schedule import Schedule
from dispatch.schema import FileError, schema
from dispatch.solve import LockedBroken, Progress, Until, solve


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 1 for a plan with violations, 2 for input that cannot be used."""
    given = _parser().parse_args(argv)
    try:
        status: int = given.run(given)
    except (FileError, InvalidModel, LockedBroken) as error:
        print(f"dispatch: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dispatch", description="Plan official vehicles, or judge a plan.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    solving = commands.add_parser("solve", help="make a plan and print its figures as one JSON line")
    solving.add_argument("instance", metavar="INSTANCE.json")
    solving.add_argument("--seconds", type=float, default=30.0, metavar="S", help="time limit, default 30")
    solving.add_argument(
        "--gap", type=float, default=0.0, metavar="PCT", help="stop when this close to the bound, percent"
    )
    solving.add_argument("--seed", type=int, default=0, metavar="N")
    solving.add_argument("--locked", metavar="FILE", help="assignments to keep: an array, or a plan")
    solving.add_argument("--progress", action="store_true", help="tell on standard error how far it is")
    solving.add_argument("-o", "--output", metavar="PLAN.json", help="write the plan there")
    solving.set_defaults(run=_solve)
    checking = commands.add_parser("check", help="judge a plan, or only the instance")
    checking.add_argument("instance", metavar="INSTANCE.json")
    checking.add_argument("plan", nargs="?", metavar="PLAN.json", help="default: the instance's own 'plan', if any")
    checking.add_argument("--locked", metavar="FILE", help="assignments the plan must keep")
    checking.set_defaults(run=_check)
    importing = commands.add_parser("import", help="turn a published problem into an instance")
    importing.add_argument("file", metavar="FILE", help="plain or compressed with xz")
    importing.add_argument("--format", required=True, choices=FORMATS)
    importing.add_argument("-o", "--output", required=True, metavar="INSTANCE.json")
    importing.set_defaults(run=_import)
    warming = commands.add_parser("warm", help="compile the inner loops, once after installing")
    warming.set_defaults(run=_warm)
    showing = commands.add_parser("example", help="print a small valid instance")
    showing.set_defaults(run=lambda _: _print(dump_instance(example(), Params())))
    telling = commands.add_parser("schema", help="print the JSON Schema of instance files")
    telling.set_defaults(run=lambda _: _print(schema()))
    return parser


def _read(path: str) -> Any:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}. Give the path of a readable JSON file.") from None
    except UnicodeDecodeError:
        raise FileError(f"{path} is not UTF-8 text. Save it as UTF-8 JSON.") from None
    return parse(text, path)


def _print(data: Any) -> int:
    print(json.dumps(data, ensure_ascii=False, indent=1))
    return 0


def _write(path: str, data: Any) -> None:
    try:
        Path(path).write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}. Choose a writable path.") from None


def _solve(given: argparse.Namespace) -> int:
    instance, params, _ = load_instance(_read(given.instance))
    locked = load_locked(_read(given.locked)) if given.locked else ()
    stop = Until(given.seconds, gap=given.gap / 100)
    plan = solve(
        instance, params=params, stop=stop, seed=given.seed, locked=locked, progress=_tell if given.progress else None
    )
    if given.output:
        _write(given.output, dump_plan(plan))
    print(json.dumps(figures(Index(instance, params), plan)))
    return 0


def _tell(step: Progress) -> None:
    print(json.dumps(asdict(step)), file=sys.stderr, flush=True)


def figures(index: Index, plan: Plan) -> dict[str, Any]:
    """Return the figures of a plan that people compare."""
    days = by_vehicle(plan.assignments)
    outings = [outing for v, day in days.items() for outing in walk(index, index.vehicles[v], day)[0]]
    return {
        "cost": plan.cost_fen,
        "bound": plan.bound_fen,
        "gap_pct": None if plan.gap is None else round(100 * plan.gap, 4),
        "seconds": plan.elapsed_s,
        "vehicles": len(days),
        "rented": len(plan.rented),
        "unassigned": len(plan.unassigned),
        "deadhead_km": round(sum(sum(o.empty_m) for o in outings) / 1_000, 1),
        "pooled": sum(a.ride is not None for a in plan.assignments),
        "stopped": plan.stopped,
        "method": plan.method,
    }


def _import(given: argparse.Namespace) -> int:
    instance, params = read(given.file, given.format)
    _write(given.output, dump_instance(instance, params))
    print(json.dumps({"requests": len(instance.requests), "vehicles": len(instance.vehicles)}))
    return 0


def _warm(_: argparse.Namespace) -> int:
    """Plan a small day with and without drivers, so that everything compiled is on disk."""
    from dispatch.day import generate  # OR-Tools takes a second to load

    began, day = time.monotonic(), example()
    bare = replace(day, drivers=(), reserves=(), vehicles=tuple(replace(v, driver_id=None) for v in day.vehicles))
    shared = replace(
        day, requests=tuple(replace(r, pooling=True, stops=r.stops[:2], duration_s=0) for r in day.requests)
    )
    offered(Index(shared, Params()))
    for instance in (day, bare):
        generate(Schedule(Problem(instance, Params()), seed=0), Patient(), seed=0)
    print(json.dumps({"seconds": round(time.monotonic() - began, 1)}))
    return 0


class Patient:
    """A clock that never presses."""

    def left_s(self) -> float:
        """Seconds left: more than enough."""
        return 3_600.0

    def expired(self) -> bool:
        """Never."""
        return False


def _check(given: argparse.Namespace) -> int:
    instance, params, embedded = load_instance(_read(given.instance))
    plan = load_plan(_read(given.plan)) if given.plan else embedded
    locked = load_locked(_read(given.locked)) if given.locked else ()
    if plan is None:
        return _print({"ok": True, "violations": [], "cost_fen": None})
    violations = check(instance, plan, params=params, locked=locked)
    index = Index(instance, params)
    cost_fen = plan_cost(index, plan).total_fen if known_ids(index, plan) else None
    _print({"ok": not violations, "violations": [asdict(v) for v in violations], "cost_fen": cost_fen})
    return 1 if violations else 0
