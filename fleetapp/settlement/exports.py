"""A statement as XLSX: the official sheet with 合计 on top, and as PDF with places for both seals."""

import io
from collections.abc import Callable
from typing import Any, BinaryIO

from flask import render_template

from fleetapp.kit import clock, sheets
from fleetapp.settlement.models import Statement
from fleetapp.settlement.sheet import Sheet
from fleetapp.web import pdf
from fleetapp.web.display import name

Say = Callable[[str], str]
COLUMNS = (
    ("settlement.seq", 6), ("settlement.order", 18), ("settlement.on", 12), ("settlement.vehicle", 14), ("settlement.reason", 30),
    ("settlement.distance", 12), ("settlement.service_fee", 12), ("settlement.toll", 10), ("settlement.parking", 10), ("settlement.amount", 13),
)  # fmt: skip
MONEY = ("service", "toll", "parking", "amount")
FIRST_ROW = 4


def file_name(statement: Statement, suffix: str) -> str:
    """Return the file's name: unit, kind of sheet, month, edition."""
    return sheets.safe_name(f"{statement.org.name_zh}_结算单_{statement.period:%Y-%m}_v{statement.edition}", suffix)


def xlsx(sheet: Sheet, say: Say, *, mark: str) -> bytes:
    """Return the bytes of the workbook; ``mark`` says who takes it out and when."""
    out = io.BytesIO()
    statement = sheet.statement
    with sheets.workbook(out, mark=mark, constant_memory=False) as book:
        made = book.add_worksheet(say("settlement.statement"))
        cell = {"border": 1, "valign": "vcenter"}
        title = book.add_format({"bold": True, "font_size": 16, "align": "center"})
        plain = book.add_format({})
        head = book.add_format({**cell, "bold": True, "align": "center", "text_wrap": True, "bg_color": "#E9EEF5"})
        forms = {
            key: book.add_format({**cell, "num_format": form, "text_wrap": key == "text"})
            for key, form in (
                ("text", "@"),
                ("money", "#,##0.00"),
                ("km", "#,##0.0"),
                ("day", "yyyy-mm-dd"),
                ("count", "0"),
            )
        }
        bold = {
            key: book.add_format({**cell, "bold": True, "num_format": form})
            for key, form in (("text", "@"), ("money", "#,##0.00"), ("km", "#,##0.0"))
        }
        quoted = book.add_format({**cell, "num_format": "@", "quote_prefix": True})
        made.set_landscape()
        made.set_paper(9)
        made.fit_to_pages(1, 0)
        made.repeat_rows(FIRST_ROW - 1)
        made.merge_range(0, 0, 0, len(COLUMNS) - 1, say("settlement.file_title"), title)
        made.write_string(
            1,
            0,
            f"{say('settlement.payer')}：{name(statement.org)}    {say('settlement.payee')}：{name(statement.payee)}",
            plain,
        )
        number = statement.number or say("settlement.draft_mark")
        made.write_string(
            2,
            0,
            f"{say('settlement.number')}：{number}    {say('settlement.period')}：{statement.period:%Y-%m}    {say('settlement.file_unit')}",
            plain,
        )
        for column, (key, width) in enumerate(COLUMNS):
            made.write_string(FIRST_ROW - 1, column, say(key), head)
            made.set_column(column, column, width)
        _total(made, sheet, say, bold)
        for line, row in enumerate(sheet.rows, start=FIRST_ROW + 1):
            made.write_number(line, 0, row.seq, forms["count"])
            texts = ((1, row.order_no), (3, row.plate), (4, row.reason))
            for column, text in texts:
                sheets.put(made, line, column, text, form=forms["text"], quoted=quoted)
            made.write_datetime(line, 2, clock.local_date(row.at), forms["day"])
            if row.distance_m is None:
                made.write_blank(line, 5, None, forms["km"])
            else:
                made.write_number(line, 5, round(row.distance_m / 1000, 1), forms["km"])
            for column, part in enumerate(MONEY, start=6):
                made.write_number(line, column, float(getattr(row, part)), forms["money"])
        foot = FIRST_ROW + len(sheet.rows) + 2
        made.write_string(foot, 0, f"{say('settlement.sign_payer')}：", plain)
        made.write_string(foot, 5, f"{say('settlement.sign_payee')}：", plain)
        made.freeze_panes(FIRST_ROW + 1, 0)
    return out.getvalue()


def _total(made: Any, sheet: Sheet, say: Say, bold: dict[str, Any]) -> None:
    """Write the row of sums, on top."""
    made.write_string(FIRST_ROW, 0, say("settlement.sum"), bold["text"])
    for column in range(1, 5):
        made.write_blank(FIRST_ROW, column, None, bold["text"])
    made.write_number(FIRST_ROW, 5, round(sheet.distance_m / 1000, 1), bold["km"])
    for column, part in enumerate(MONEY, start=6):
        made.write_number(FIRST_ROW, column, float(sheet.sum(part)), bold["money"])


def write_pdf(sheet: Sheet, file: BinaryIO) -> None:
    """Write a statement as PDF in the page's language."""
    pdf.write(render_template("settlement/sheet.html", sheet=sheet, one=sheet.statement), file)
