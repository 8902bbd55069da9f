"""Rules of this house that no linter knows, checked on the syntax trees of the sources."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetapp.web import texts

ROOT = Path(__file__).parents[2]
LONGEST_FILE = 400
PACKAGES = ("fleetapp", "dispatch", "telematics")

COMMITS = {"fleetapp/kit/db.py", "fleetapp/scheduler.py", "fleetapp/demo/cli.py"}
"""The transaction of every request and job; the advisory lock of the scheduler; the new schema of `demo reset`."""
CLOCKS = {
    "fleetapp/kit/clock.py",
    "fleetapp/demo/bridge.py",
    "telematics/commands/common.py",
    "telematics/commands/segment.py",
}
"""The application's clock; the simulated terminals, which wait for the time of a position; the gateway's clock; the command
that reads a file of the past and must know what lies in the future."""
STOPWATCHES = {"fleetapp/scheduler.py", "fleetapp/demo/seed.py", "fleetapp/operations/figures.py"}
"""Programs that tell how long something took."""
READS_CLOCK = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "localtime"),
}
MEASURES = {("time", "sleep"), ("time", "monotonic"), ("time", "perf_counter")}
CHECKERS = {"raises", "warns", "fail", "expect", "suppress"}
"""Calls after which a test can fail; ``suppress`` names the one error that may happen, any other is a failure."""


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def attribute_calls(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield (object, method, line) of every ``object.method(...)``; the object is its last name."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            yield name, node.func.attr, node.lineno


def places(found: Iterator[tuple[str, str, int]], path: Path) -> list[str]:
    return [f"{named(path)}:{line} {owner}.{method}()" for owner, method, line in found]


def test_only_the_transaction_commits():
    found = [place for path in sources("fleetapp") if named(path) not in COMMITS
             for place in places((call for call in attribute_calls(path) if call[1] == "commit"), path)]  # fmt: skip
    assert found == []


def test_only_the_clocks_ask_the_time():
    found = []
    for path in sources(*PACKAGES):
        forbidden = (set() if named(path) in CLOCKS else READS_CLOCK) | (
            set() if named(path) in STOPWATCHES else MEASURES
        )
        found += places((call for call in attribute_calls(path) if call[:2] in forbidden), path)
    assert found == []


@pytest.mark.parametrize("exception", sorted(COMMITS | CLOCKS | STOPWATCHES))
def test_every_exception_is_still_needed(exception):
    calls = {call[:2] for call in attribute_calls(ROOT / exception)}
    assert "commit" in {method for _, method in calls} or calls & (READS_CLOCK | MEASURES)


def checks(function: ast.AST, helpers: frozenset[str]) -> bool:
    """Tell whether a function can fail: asserts, expects, raises, or calls a helper of its file that does."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CHECKERS or name in helpers or name.startswith(("assert_", "expect_", "check")):
                return True
    return False


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_every_test_can_fail():
    found = []
    for path in sources("tests"):
        if not path.name.startswith("test_"):
            continue
        helpers = frozenset(
            one.name for one in functions(path) if not one.name.startswith("test_") and checks(one, frozenset())
        )
        found += [f"{named(path)}:{one.lineno} {one.name}" for one in functions(path)
                  if one.name.startswith("test_") and not checks(one, helpers)]  # fmt: skip
    assert found == []


def test_every_test_is_collected():
    """A test outside ``test_*.py``, a class not named ``Test*``, or a second test of the same name would never run."""
    found = []
    for path in sources("tests"):
        names = [node.name for node in tree(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        tests = [name for name in names if name.startswith("test_")]
        found += [f"{named(path)} {name} twice" for name in {name for name in names if names.count(name) > 1}]
        found += [f"{named(path)} {name} outside test_*.py" for name in tests if not path.name.startswith("test_")]
        found += [
            f"{named(path)} {name} misspelt" for name in names if re.match(r"(tests_|tets_|tset_|test[A-Z0-9])", name)
        ]
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("Test"):
                found += [f"{named(path)} {node.name}.{one.name}" for one in node.body
                          if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")]  # fmt: skip
    assert found == []


def test_files_stay_short():
    files = [*sources(*PACKAGES, "tests", "scripts", "benchmarks", "migrations")]
    files += [
        path
        for kind in ("html", "js", "css")
        for path in (ROOT / "fleetapp").rglob(f"*.{kind}")
        if "dist" not in path.parts
    ]
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_nothing_is_left_for_later():
    later = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X:")))
    files = [path for suffix in ("py", "html", "js", "css", "toml", "sql") for folder in (*PACKAGES, "tests", "scripts", "migrations", "config")
             for path in (ROOT / folder).rglob(f"*.{suffix}") if "dist" not in path.parts]  # fmt: skip
    assert [named(path) for path in files if later.search(path.read_text(encoding="utf-8"))] == []


def test_every_text_is_there_in_both_languages():
    assert texts.faults() == []


def test_pages_carry_nothing_inline_that_the_security_policy_would_refuse():
    inline = re.compile(r"<script(?![^>]*(\bsrc=|application/json))[^>]*>|\son[a-z]+=[\"']|\sstyle=[\"']|javascript:")
    found = [
        f"{named(path)}: {match[0]}"
        for path in sorted((ROOT / "fleetapp").glob("*/templates/**/*.html"))
        for match in inline.finditer(path.read_text(encoding="utf-8"))
    ]
    files = (
        "/case.html",
        "/slip_file.html",
        "/offline.html",
    )  # PDFs, and a page that people keep, are no pages of ours
    assert [place for place in found if not any(file in place for file in files)] == []
