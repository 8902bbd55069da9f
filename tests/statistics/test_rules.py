"""Periods, figures, sums and differences of contents; tables laid out and read back."""

import io
from datetime import date
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.statistics import layout, reading, rules, workbook
from fleetapp.statistics.catalogue import ORG, Kind, fixed_rows, parted, row_key, tables
from fleetapp.statistics.layout import Unit
from fleetapp.statistics.rules import Action, PeriodKind, ReportState
from fleetapp.web.texts import t_or

UNITS = {
    one.code: one
    for one in (
        Unit("C", "/1/", "市"),
        Unit("D", "/1/2/", "区"),
        Unit("U", "/1/2/3/", "局"),
        Unit("V", "/1/2/4/", "委"),
    )
}
DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))


def say(key, **params):
    return t_or(key, key.rpartition(".")[2], **{"lang": "zh", **params})


@given(st.sampled_from(list(PeriodKind)), DAYS)
def test_a_period_is_found_again_by_its_code_and_touches_the_one_before(kind, on):
    found = rules.of(kind, on)
    assert found.first <= on < found.until
    assert rules.period(found.code) == found
    assert found.before().until == found.first


@pytest.mark.parametrize(
    ("code", "first", "until"),
    [
        ("2026", (1, 1), (2027, 1)),
        ("2026H2", (7, 1), (2027, 1)),
        ("2026Q3", (7, 1), (2026, 10)),
        ("2026-11", (11, 1), (2026, 12)),
    ],
)
def test_codes_of_periods(code, first, until):
    found = rules.period(code)
    assert (found.first, found.until) == (date(2026, *first), date(*until, 1))


@pytest.mark.parametrize("code", ["", "26", "2026-13", "2026-00", "2026Q5", "2026H3", "1999", "2026-1", "２０２６"])
def test_other_codes_are_refused(code):
    with pytest.raises(RuleBroken, match=r"statistics\.period"):
        rules.period(code)


def test_states_go_forward_and_end_with_the_submission():
    assert rules.next_state("DRAFT", Action.CHECK) is ReportState.CHECKED
    assert rules.next_state("SUBMITTED", Action.CORRECT) is ReportState.SUBMITTED
    for state, action in (
        ("DRAFT", Action.SUBMIT),
        ("SUBMITTED", Action.CHECK),
        ("SUBMITTED", Action.REOPEN),
        ("CHECKED", Action.CORRECT),
    ):
        with pytest.raises(RuleBroken, match="wrong_step"):
            rules.next_state(state, action)


FIGURES = st.decimals(-(10**9), 10**9, allow_nan=False, allow_infinity=False, places=6).map(rules.number)
CELLS = st.dictionaries(st.sampled_from("abc"), FIGURES, max_size=3)
CONTENTS = st.dictionaries(
    st.sampled_from(["t02", "t07"]), st.dictionaries(st.sampled_from(["org=U", "org=V"]), CELLS, max_size=2), max_size=2
)


@given(CONTENTS, CONTENTS, CONTENTS)
def test_sums_do_not_depend_on_who_is_gathered_first(one, two, three):
    assert rules.changes(rules.together([one, two, three]), rules.together([three, rules.together([two, one])])) == []


@given(CONTENTS, CONTENTS)
def test_changes_are_none_exactly_between_equals(one, two):
    assert rules.changes(one, one) == []
    back = [(change.after, change.before) for change in rules.changes(two, one)]
    assert back == [(change.before, change.after) for change in rules.changes(one, two)]


def cells_of(column):
    if column.kind is Kind.SUM:
        return st.decimals(0, 10**8, places=3).map(rules.number)
    if column.kind is Kind.TEXT:
        return st.sampled_from(["330106", "浙A10001", "=1+1"]) if not column.words else st.just("")
    if column.typed == "number":
        return st.decimals(0, 10**8, places=2).map(rules.number)
    return (
        st.sampled_from(column.choices) if column.choices else st.text("大修原因abc，=-@1", max_size=12).map(str.strip)
    )


@st.composite
def contents(draw):
    """Any content of one table."""
    table = draw(st.sampled_from(list(tables().values())))
    rows = {}
    for axis in table.axes:
        known = (
            list(UNITS)
            if axis == ORG
            else list(fixed_rows()[axis].keys)
            if axis in fixed_rows()
            else ["甲 → 乙", "=丙"]
        )
        for value in draw(st.lists(st.sampled_from(known), max_size=3, unique=True)):
            stored = [one for one in table.columns if one.stored and (one.kind is not Kind.TYPED or one.has_cell(axis))]
            rows[row_key(axis, value)] = {one.key: draw(cells_of(one)) for one in stored}
    return table, {table.code: rows}


@settings(max_examples=12, deadline=None)
@given(contents())
def test_a_workbook_read_back_says_what_was_written(drawn):
    table, content = drawn
    laid = layout.laid_out(table, content, top=UNITS["U"], units=UNITS, words=say, lang="zh")

    def editable(column, row):
        axis, value = parted(row.key)
        return column.has_cell(axis) and (axis != ORG or value == "U")

    file = io.BytesIO()
    workbook.write(
        [laid],
        workbook.Head("U", "局", "2026 年", "2026", "TJ", "甲 2026"),
        file,
        editable=editable,
        say=say,
        lang="zh",
    )
    found = reading.read(file.getvalue(), [laid], unit_code="U", period_code="2026", editable=editable, say=say)
    assert found.faults == []
    typed = {(table.code, row.key, column.key): reading.shown(column, row.cells[column.key])
             for row in laid.rows for column in table.columns if editable(column, row)}  # fmt: skip
    assert found.cells == typed


@settings(max_examples=25, deadline=None)
@given(contents())
def test_the_total_is_the_sum_of_the_first_rows_and_heads_cover_every_column_once(drawn):
    table, content = drawn
    laid = layout.laid_out(table, content, top=UNITS["C"], units=UNITS, words=say, lang="zh")
    first = [row for row in laid.rows[1:] if row.axis == table.axes[0]]
    for column in table.columns:
        if column.kind is Kind.SUM and column.total:
            assert laid.total.cells[column.key] == sum((row.cells[column.key] for row in first), Decimal(0))
    bottom = sorted(place for head in laid.heads if head.bottom == 1 for place in range(head.first, head.last + 1))
    assert bottom == list(range(1, len(table.columns) + 1))


def test_units_are_added_up_by_branch_as_seen_from_above():
    content = {"t06": {"org=U": {"journeys": "3"}, "org=V": {"journeys": "4"}, "org=C": {"journeys": "1"}}}
    seen = {top: {row.label: row.cells["journeys"] for row in layout.laid_out(tables()["t06"], content, top=UNITS[top], units=UNITS, words=say, lang="zh").rows}
            for top in "CD"}  # fmt: skip
    assert seen["C"] == {"合计": 8, "市": 1, "区": 7}
    assert seen["D"]["局"] == 3


def book(content, name="t07"):
    laid = layout.laid_out(tables()[name], content, top=UNITS["U"], units=UNITS, words=say, lang="zh")

    def editable(column, row):
        return column.has_cell(row.axis) and row.key == "org=U"

    file = io.BytesIO()
    workbook.write(
        [laid], workbook.Head("U", "局", "2026 年", "2026", "TJ", "甲"), file, editable=editable, say=say, lang="zh"
    )
    return laid, editable, file.getvalue()


def test_the_sheet_has_the_official_form():
    _laid, _editable, content = book({"t01": {"org=U": {"code": "U", "staff": "40"}}}, "t01")
    sheet = openpyxl.load_workbook(io.BytesIO(content))["T01"]
    assert sheet.print_title_rows == "$4:$5"
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize, sheet.protection.sheet) == ("landscape", 9, True)
    assert (sheet.row_dimensions[1].hidden, sheet.column_dimensions["A"].hidden) == (True, True)
    merged = {str(one) for one in sheet.merged_cells.ranges}
    assert {"B4:B5", "G4:I4", "B2:O2"} <= merged
    assert sheet["B6"].value == "合计"
    keys = [cell.value for cell in sheet[1]]
    nature = sheet.cell(7, keys.index("nature") + 1)
    assert nature.protection.locked is False
    assert sheet.cell(7, keys.index("code") + 1).protection.locked is True
    assert any(
        nature.coordinate in rule.sqref and "机关" in rule.formula1 for rule in sheet.data_validations.dataValidation
    )
    assert any("填报人" in str(cell.value) for row in sheet.iter_rows() for cell in row)


def test_wrong_cells_come_back_with_comments_and_nothing_is_taken():
    laid, editable, content = book({"t07": {"org=U": {"running": "730", "fuel": "320"}}})
    filled = openpyxl.load_workbook(io.BytesIO(content))
    sheet = filled["T07"]
    keys = {cell.value: cell.column for cell in sheet[1]}
    at = next(row for row in range(6, 12) if sheet.cell(row, 1).value == "org=U")
    sheet.cell(at, keys["fuel"]).value = 999
    sheet.cell(at, keys["norm"]).value = "很多"
    sheet.cell(at, keys["major"]).value = "=1+1"
    sheet.cell(at, keys["finance_running"]).value = 12.5
    out = io.BytesIO()
    filled.save(out)
    found = reading.read(out.getvalue(), [laid], unit_code="U", period_code="2026", editable=editable, say=say)
    assert {fault.code.partition(".")[2] for fault in found.faults} == {"cell_derived", "cell_number", "cell_formula"}
    returned = openpyxl.load_workbook(io.BytesIO(reading.returned(out.getvalue(), found.faults, say)))["T07"]
    assert "推导" in returned.cell(at, keys["fuel"]).comment.text
    assert "数字" in returned.cell(at, keys["norm"]).comment.text
    with pytest.raises(RuleBroken, match="file_other"):
        reading.read(content, [laid], unit_code="V", period_code="2026", editable=editable, say=say)
    with pytest.raises(RuleBroken, match="file_unreadable"):
        reading.read(b"no workbook", [laid], unit_code="U", period_code="2026", editable=editable, say=say)
