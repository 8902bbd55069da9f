"""No cell runs, every sheet says who took it out; nothing writes sheets past the one place that sees to it."""

import ast
import csv
import io
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pytest

import fleetapp
from fleetapp.kit import sheets

ROOT = Path(fleetapp.__file__).parent
HOSTILE = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1"]
AT = datetime(2026, 11, 18, 1, 30, tzinfo=UTC)
ELSEWHERE = {
    "demo/energy.py": "makes the file of a bank that the demonstration then reads in; nobody takes it out",
    "kit/sheets.py": "the place",
}
"""Write CSV or open workbooks themselves, and why."""
UNMARKED = {"energy/exports.py": "the empty template"}
"""Open a workbook without a mark, and why."""
RECKONING = {"statistics/workbook.py": "sums of its own cells; no text of anybody goes into them"}
"""Write formulas, and why."""


def modules():
    """Return the modules that say anything of sheets, read once."""
    texts = {str(path.relative_to(ROOT)): path.read_text() for path in sorted(ROOT.rglob("*.py"))}
    return {
        name: ast.parse(source)
        for name, source in texts.items()
        if any(word in source for word in ("csv", "xlsx", "workbook", "sheet"))
    }


def calls(tree, *names):
    """Return the calls of functions or methods of these names."""
    return [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Call) and (node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")) in names
    ]  # fmt: skip


@pytest.fixture(scope="module")
def sources():
    return modules()


def test_only_one_place_writes_csv_or_opens_a_workbook_to_write(sources):
    found = set()
    for name, tree in sources.items():
        for node in ast.walk(tree):
            writes = (
                isinstance(node, ast.Attribute)
                and node.attr in {"writer", "DictWriter"}
                and getattr(node.value, "id", "") == "csv"
            )
            opens = (
                isinstance(node, ast.Attribute)
                and node.attr == "Workbook"
                and getattr(node.value, "id", "") in {"xlsxwriter", "openpyxl"}
            )
            by_name = (
                isinstance(node, ast.ImportFrom)
                and node.module in {"csv", "xlsxwriter", "openpyxl"}
                and {"writer", "DictWriter", "Workbook"} & {one.name for one in node.names}
            )
            if writes or opens or by_name:
                found.add(name)
    assert found == ELSEWHERE.keys()


def test_no_sheet_writes_a_formula_or_guesses_what_a_cell_is(sources):
    formulas = {
        name
        for name, tree in sources.items()
        if calls(
            tree,
            "write_formula",
            "write_array_formula",
            "write_dynamic_array_formula",
            "write_url",
            "write_row",
            "write_column",
        )
    }
    assert formulas == RECKONING.keys()
    guessing = {
        name for name, tree in sources.items() for node in calls(tree, "write")
        if isinstance(node.func, ast.Attribute) and len(node.args) >= 3 and getattr(getattr(node.func, "value", None), "id", "") not in {"writing", "workbook"}
    }  # fmt: skip
    assert not guessing


def test_what_people_typed_goes_through_the_quoting_writer(sources):
    """``write_string`` never makes a formula, but only ``put`` sets the mark that keeps one from coming up when the cell is edited."""
    typed = {"name", "reason", "note", "plate", "void_reason", "place", "title"}
    found = {
        f"{name}:{node.lineno}" for name, tree in sources.items() if not name.startswith("kit/") for node in calls(tree, "write_string")
        if len(node.args) >= 3 and isinstance(node.args[2], ast.Attribute) and node.args[2].attr in typed
    }  # fmt: skip
    assert not found


def test_every_workbook_is_marked_with_who_takes_it_out_and_when(sources):
    opened, unmarked = {}, set()
    for name, tree in sources.items():
        for node in calls(tree, "workbook"):
            ours = not isinstance(node.func, ast.Attribute) or getattr(node.func.value, "id", "") == "sheets"
            if ours and name != "kit/sheets.py":
                opened[name] = {one.arg for one in node.keywords}
                unmarked |= {
                    name for one in ast.walk(tree) if isinstance(one, ast.keyword) and one.arg == "mark"
                    and isinstance(one.value, ast.Constant) and not one.value.value
                }  # fmt: skip
    assert len(opened) >= 11
    assert [name for name, given in opened.items() if "mark" not in given] == []
    assert unmarked == UNMARKED.keys()


def test_a_cell_that_looks_like_a_formula_stays_a_text_in_both_forms():
    out = io.BytesIO()
    with sheets.workbook(out, mark="") as book:
        sheet, plain, quoted = book.add_worksheet(), book.add_format(), book.add_format({"quote_prefix": True})
        for row, text in enumerate(HOSTILE):
            sheets.put(sheet, row, 0, text, form=plain, quoted=quoted)
    read = openpyxl.load_workbook(out).worksheets[0]
    for row, text in enumerate(HOSTILE, start=1):
        cell = read.cell(row, 1)
        assert (cell.data_type, cell.quotePrefix) == ("s", True), text
    lines = io.StringIO(newline="")
    sheets.write_csv(lines, [[text, 5, None] for text in HOSTILE])
    lines.seek(0)
    assert list(csv.reader(lines)) == [[f"'{text}", "5", ""] for text in HOSTILE]


def test_every_sheet_says_on_paper_who_took_it_out_and_when():
    out = io.BytesIO()
    with sheets.workbook(out, mark=sheets.mark("R&D 张三", AT)) as book:
        book.add_worksheet("a")
        book.add_worksheet("b")
    read = openpyxl.load_workbook(out)
    assert [sheet.oddHeader.right.text for sheet in read.worksheets] == ["R&&D 张三 2026-11-18 09:30"] * 2
    assert read.properties.creator == "R&D 张三 2026-11-18 09:30"
