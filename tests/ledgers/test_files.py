"""Files as people make them: other forms, other programs, damaged, far too large; refused as a whole with the cell named."""

import io
import time
import zipfile
from datetime import date

import openpyxl
import pytest
import xlsxwriter
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.ledgers import reading, rules
from fleetapp.ledgers.columns import VEHICLES
from tests.ledgers.conftest import MOST_ROWS, car, column, counts, faults, head_cells, workbook

CSV = "台账.csv"


def refusal(ledgers, content, name="台账.xlsx"):
    """Return why a file is refused at its upload; nothing of it is kept."""
    with pytest.raises(RuleBroken) as refused:
        ledgers.upload(content, name=name)
    assert ledgers.scalar("SELECT count(*) FROM ledger_import") + ledgers.scalar("SELECT count(*) FROM attachment") == 0
    return refused.value.code, refused.value.params


def code_of(call):
    """Return the code of the refusal of a call, None when it goes through; anything else fails the test."""
    try:
        call()
    except RuleBroken as refused:
        return refused.code
    return None


def csv_of(rows, encoding="utf-8"):
    lines = [head_cells(), *([row.get(one.key) for one in VEHICLES] for row in rows)]
    return "\r\n".join(",".join("" if value is None else str(value) for value in line) for line in lines).encode(
        encoding
    )


# ---- heads ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "cell", "wanted", "found"),
    [
        (lambda heads: [heads[0], heads[1], heads[3], heads[2], *heads[4:]], "C3", "车牌号", "车架号（VIN）"),
        (lambda heads: heads[1:], "A3", "单位代码", "使用单位"),
        (lambda heads: [None, *heads], "A3", "单位代码", "–"),
        (lambda heads: [*heads[:9], "排量", *heads[10:]], "J3", "排气量（毫升）", "排量"),
        (lambda heads: heads[:-1], "AD3", "车辆状态", "–"),
    ],
)
def test_missing_shifted_and_unknown_columns_name_the_heads_cell(ledgers, change, cell, wanted, found):
    code, params = refusal(ledgers, workbook([car(1)], heads=change(head_cells())))
    assert (code, params) == ("ledgers.file_head", {"cell": cell, "wanted": wanted, "found": found})


def test_a_column_too_many_is_named_but_that_of_faults_may_come_back(ledgers):
    assert refusal(ledgers, workbook([car(1)], heads=[*head_cells(), "备注"])) == (
        "ledgers.file_head_extra",
        {"cell": "AE3", "found": "备注"},
    )
    assert counts(ledgers.check(workbook([car(1)], heads=[*head_cells(), "错误说明"]))) == (1, 0, 0, 0)


def test_heads_may_be_english_marked_and_in_another_row(ledgers):
    heads = [f" {head} *" for head in head_cells(lang="en")]
    assert counts(ledgers.check(workbook([car(1)], heads=heads, above=0))) == (1, 0, 0, 0)


def test_no_heads_and_no_rows_are_told_apart(ledgers):
    assert refusal(ledgers, workbook([], heads=["甲", "乙"]))[0] == "ledgers.file_no_heads"
    one = ledgers.check(workbook([]))
    assert (one.state, one.failure["code"]) == ("REFUSED", "ledgers.file_empty")


# ---- cells ------------------------------------------------------------------------------------------------------------


def test_merged_cells_among_the_rows_are_refused_but_not_above_the_heads(ledgers):
    one = ledgers.check(workbook([car(1), car(2)], change=lambda sheet: sheet.merge_cells("A4:A5")))
    assert (one.state, one.failure) == ("REFUSED", {"code": "ledgers.file_merged", "params": {"cell": "A4:A5"}})
    assert counts(ledgers.check(workbook([car(1)], change=lambda sheet: sheet.merge_cells("A1:P1")))) == (1, 0, 0, 0)


def test_formulas_and_error_values_are_refused_with_their_cell(ledgers):
    def spoil(sheet):
        sheet["H4"] = "=2+3"
        sheet["I5"] = "#N/A"
        sheet["I5"].data_type = "e"

    one = ledgers.check(workbook([car(1), car(2)], change=spoil))
    assert faults(one) == {(4, "seats"): "ledgers.cell_formula", (5, "model"): "ledgers.cell_formula"}


def test_empty_rows_are_left_out_and_the_others_keep_their_numbers(ledgers):
    one = ledgers.check(workbook([car(1), {}, {}, car(2, seats=12)]))
    assert (counts(one), faults(one)) == ((1, 0, 0, 1), {(7, "seats"): "vehicles.seats"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_csv_is_read_in_the_encodings_of_the_field(ledgers, encoding):
    one = ledgers.imported(csv_of([car(1, model="轿车（舒适型）")], encoding), name=CSV)
    assert (one.state, counts(one)) == ("DONE", (1, 0, 0, 0))
    assert ledgers.scalar("SELECT model FROM vehicle WHERE plate = '浙A20001'") == "轿车（舒适型）"


def test_csv_of_no_known_encoding_and_with_a_formula_is_refused(ledgers):
    assert refusal(ledgers, csv_of([car(1)]) + b"\xff\xfe\x80", CSV)[0] == "ledgers.file_encoding"
    one = ledgers.check(csv_of([car(1, model='=HYPERLINK("x")'), car(2, model="'=普通文字")]), name=CSV)
    assert faults(one) == {(2, "model"): "ledgers.cell_formula"}


# ---- whole files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "name", "code"),
    [
        (b"", "a.xlsx", "attachments.empty"),
        (b"%PDF-1.7 not a sheet", "a.xlsx", "ledgers.file_unreadable"),
        (b"PK\x03\x04 cut off", "a.xlsx", "ledgers.file_unreadable"),
        (b"\xd0\xcf\x11\xe0 old", "a.xls", "ledgers.file_kind"),
        (b"x", "a.exe", "ledgers.file_kind"),
    ],
)
def test_what_is_no_ledger_is_refused_at_once(ledgers, content, name, code):
    assert refusal(ledgers, content, name)[0] == code


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 200))
def test_no_damage_of_a_workbook_makes_the_reader_fail_otherwise(noise, at):
    content = bytearray(SMALL)
    begin = at * len(content) // 200
    content[begin : begin + len(noise)] = noise
    heads = [[*head_cells(), "错误说明"], [*head_cells(lang="en"), "Faults"]]
    code = code_of(lambda: reading.read("a.xlsx", bytes(content), VEHICLES, heads, MOST_ROWS))
    assert code is None or code.startswith("ledgers.file_")


SMALL = workbook([car(1), car(2)])


def many_rows(count):
    """Return a workbook of many filled rows as fast as it can be made."""
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, head_cells())
    for row in range(1, count + 1):
        sheet.write_row(row, 0, ["330106-EDU", None, "浙A12345", "x"])
    book.close()
    return file.getvalue()


def test_a_hundred_thousand_rows_are_refused_plainly_before_they_are_parsed(ledgers):
    content = many_rows(100_000)
    began = time.perf_counter()
    assert refusal(ledgers, content) == ("ledgers.file_too_many", {"most": MOST_ROWS})
    assert time.perf_counter() - began < 5
    assert refusal(ledgers, b"a,b\n" * 100_000, CSV)[0] == "ledgers.file_too_many"


def test_formatted_empty_rows_to_the_end_of_the_sheet_do_not_count():
    file = io.BytesIO()
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    sheet, form = book.add_worksheet(), book.add_format({"border": 1})
    sheet.write_row(0, 0, head_cells())
    sheet.write_row(1, 0, ["330106-EDU", None, "浙A12345", "x"])
    for row in range(2, MOST_ROWS + 500):
        sheet.write_blank(row, 0, None, form)
    book.close()
    assert reading.read("a.xlsx", file.getvalue(), VEHICLES, [[*head_cells(), "错误说明"]], MOST_ROWS).total == 1


def test_a_workbook_that_unpacks_to_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(reading, "MOST_UNPACKED_BYTES", 20_000)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * 30_000)
    with pytest.raises(RuleBroken, match=r"ledgers\.file_too_large"):
        reading.check_size("a.xlsx", file.getvalue(), MOST_ROWS)


def test_entities_are_not_expanded():
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SMALL)) as good, zipfile.ZipFile(file, "w") as packed:
        for part in good.namelist():
            data = good.read(part)
            if part == "xl/worksheets/sheet1.xml":
                data = b'<!DOCTYPE x [<!ENTITY a "boom">]>' + data.removeprefix(b'<?xml version="1.0"?>')
            packed.writestr(part, data)
    with pytest.raises(RuleBroken, match=r"ledgers\.file_unreadable"):
        reading.read("a.xlsx", file.getvalue(), VEHICLES, [[*head_cells(), "错误说明"]], MOST_ROWS)


# ---- values -----------------------------------------------------------------------------------------------------------


@given(
    st.dates(date(1980, 1, 1), date(2099, 12, 31)),
    st.sampled_from(["%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y年%m月%d日"]),
    st.booleans(),
)
def test_a_date_is_read_in_every_form_and_in_full_width(on, form, wide):
    text = on.strftime(form)
    if wide:
        text = "".join(chr(ord(char) + 0xFEE0) if char.isdigit() else char for char in text)
    assert rules.read_date(text) == on


@given(st.integers(0, 18_277))
def test_letters_name_columns_as_spreadsheets_do(index):
    assert rules.letters(index) == openpyxl.utils.get_column_letter(index + 1)


@given(
    st.one_of(
        st.text(max_size=40),
        st.integers(),
        st.integers(10**25, 10**40),
        st.floats(),
        st.booleans(),
        st.dates(),
        st.datetimes(),
    ),
    st.sampled_from(VEHICLES),
)
def test_any_cell_is_read_or_refused_with_a_code(value, one):
    choices = {each.key: {} for each in VEHICLES}
    code = code_of(lambda: rules.read_cell(one, value, choices))
    assert code is None or code.startswith("ledgers.cell_")


def test_the_columns_of_the_tests_are_where_they_are_said_to_be():
    assert (column("plate"), column("displacement_ml"), column("state")) == (2, 9, 29)
