"""A file as it came, with a column that says what is wrong with a row."""

import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from fleetapp.energy.layout import ERROR_HEAD, Cell, normal
from fleetapp.energy.reading import Sheet
from fleetapp.kit import sheets

TEMPLATE = ("车牌号", "卡号", "交易时间", "类型", "油品名称", "数量", "单价", "金额", "里程", "是否加满", "SOC", "站点")


SIGNED = re.compile(r"-\d+(\.\d+)?")


def template() -> bytes:
    """Return an empty file with every column that is read; text cells, so that card numbers keep their digits."""
    return _xlsx([TEMPLATE], mark="", text_rows=500)


def with_errors(sheet: Sheet, errors: Mapping[int, str], *, mark: str) -> bytes:
    """Return the bytes of a file of the same form with the errors by line in a column of their own; an older one is replaced."""
    head = sheet.lines[sheet.head.line - 1]
    column = next((number for number, cell in enumerate(head) if normal(cell) == ERROR_HEAD), sheet.head.width)
    lines = []
    for number, cells in enumerate(sheet.lines, start=1):
        kept = [*cells, *([None] * (column + 1 - len(cells)))]
        kept[column] = ERROR_HEAD if number == sheet.head.line else errors.get(number)
        lines.append(kept)
    return _xlsx(lines, mark=mark) if sheet.form == "xlsx" else _csv(lines, sheet)


def _csv(lines: Sequence[Sequence[Cell]], sheet: Sheet) -> bytes:
    out = io.StringIO(newline="")
    sheets.write_csv(out, [[_number(cell) for cell in line] for line in lines], delimiter=sheet.delimiter)
    return out.getvalue().encode(sheet.form)


def _number(cell: Cell) -> Cell | Decimal:
    """Return a text that is a signed number as that number: it came as one, and no spreadsheet reckons anything with it."""
    return Decimal(cell) if isinstance(cell, str) and SIGNED.fullmatch(cell) else cell


def _xlsx(lines: Sequence[Sequence[Cell]], *, mark: str, text_rows: int = 0) -> bytes:
    out = io.BytesIO()
    with sheets.workbook(out, mark=mark, constant_memory=False) as book:
        sheet = book.add_worksheet()
        moment, day = (book.add_format({"num_format": form}) for form in ("yyyy-mm-dd hh:mm:ss", "yyyy-mm-dd"))
        as_text = book.add_format({"num_format": "@"})
        quoted = book.add_format({"quote_prefix": True})
        wrong = book.add_format({"font_color": "#C00000"})
        if text_rows:
            sheet.set_column(0, len(lines[0]) - 1, 14)
            for line in range(1, text_rows):
                sheet.write_blank(line, 1, None, as_text)
        for line, cells in enumerate(lines):
            for column, cell in enumerate(cells):
                if isinstance(cell, datetime):
                    sheet.write_datetime(line, column, cell.replace(tzinfo=None), moment)
                elif isinstance(cell, date):
                    sheet.write_datetime(line, column, datetime(cell.year, cell.month, cell.day), day)  # noqa: DTZ001 -- a cell
                elif isinstance(cell, str):
                    sheets.put(
                        sheet, line, column, cell, form=wrong if column == len(cells) - 1 else None, quoted=quoted
                    )
                elif isinstance(cell, bool):
                    sheet.write_boolean(line, column, cell)
                elif cell is not None:
                    sheet.write_number(line, column, cell)
    return out.getvalue()
