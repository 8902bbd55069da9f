"""Long rows put into a finished workbook read back as what they were, and nothing in them runs."""

import io
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetapp.kit import rows, sheets

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001 -- cells have no zone
ROWS = st.tuples(
    st.none() | st.text(max_size=20),
    st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9, width=32),
    st.none() | MOMENTS,
)


def book(table):
    frame, out = io.BytesIO(), io.BytesIO()
    made = sheets.workbook(frame, mark="")
    sheet = made.add_worksheet()
    sheet.write_string(0, 0, "head")
    plain, quoted = made.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}), made.add_format({"quote_prefix": True})
    for at, form in enumerate((made.add_format({"bold": True}), made.add_format({"num_format": "0.0"}), plain)):
        sheet.write_blank(1, at, None, form)
    sheet.write_blank(1, 3, None, quoted)
    made.close()
    rows.spliced(frame, out, sheet=1, sample=2, rows=table)
    return openpyxl.load_workbook(out).worksheets[0]


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_what_goes_in_comes_out(table):
    sheet = book(table)
    assert sheet["A1"].value == "head"
    for number, (words, figure, moment) in enumerate(table, start=2):
        text, value, at = (sheet.cell(number, column).value for column in (1, 2, 3))
        assert sheet.cell(number, 1).data_type != "f"
        assert openpyxl.utils.escape.unescape(text or "") == (words or "")
        assert value == (None if figure is None else pytest.approx(figure))
        assert at is moment is None or abs((at - moment).total_seconds()) < 1


def test_a_formula_is_a_text_and_says_so():
    sheet = book([("=1+1", "plain", date(2026, 11, 18))])
    assert (sheet["A2"].value, sheet["A2"].data_type, sheet["A2"].quotePrefix) == ("=1+1", "s", True)
    assert not sheet["B2"].quotePrefix
    assert sheet["C2"].value == datetime(2026, 11, 18)  # noqa: DTZ001 -- cells have no zone


@pytest.mark.parametrize(("number", "name"), [(0, "A"), (25, "Z"), (26, "AA"), (701, "ZZ"), (702, "AAA")])
def test_columns_are_named(number, name):
    assert rows.letters(number) == name


def test_another_sheet_is_refused():
    frame = io.BytesIO()
    made = sheets.workbook(frame, mark="")
    made.add_worksheet().write_string(4, 0, "x")
    made.close()
    with pytest.raises(ValueError, match="row 2"):
        rows.spliced(frame, io.BytesIO(), sheet=1, sample=2, rows=[])
