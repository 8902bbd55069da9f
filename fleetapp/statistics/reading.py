"""A filled-in workbook read back: the typed cells it says, and what is wrong with it cell by cell."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import openpyxl
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill

from fleetapp.kit.errors import RuleBroken
from fleetapp.ledgers.reading import UNREADABLE, check_size
from fleetapp.statistics.catalogue import Column, Kind
from fleetapp.statistics.layout import Row, Sheet, Value
from fleetapp.statistics.rules import figure, number
from fleetapp.statistics.service import parse_cell
from fleetapp.statistics.workbook import FIRST_COLUMN, FIRST_ROW, MARK

MOST_ROWS = 20_000
WRONG = PatternFill("solid", fgColor="FBD5D5")
Say = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a cell, such as ``D7`` of sheet ``T07``: the code of a message with its parameters."""

    sheet: str
    cell: str
    code: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Filled:
    """The typed cells of a file by (table, row, column), and its faults; with faults nothing of it is taken."""

    cells: Mapping[tuple[str, str, str], str]
    faults: Sequence[Fault]


def read(
    content: bytes, laid: Sequence[Sheet], *, unit_code: str, period_code: str, editable: Callable[[Column, Row], bool], say: Say
) -> Filled:  # fmt: skip
    """Compare a workbook with the tables as they are; ``say`` knows the words of both languages by key and ``lang``.

    :raises RuleBroken: ``ledgers.file_*``, ``statistics.file_other``: it is no workbook of this unit and period.
    """
    check_size("report.xlsx", content, MOST_ROWS)
    book = _load(content)
    cells: dict[tuple[str, str, str], str] = {}
    faults: list[Fault] = []
    by_name = {f"T{one.table.number:02}": one for one in laid}
    known = [sheet for sheet in book.worksheets if sheet.title in by_name]
    if not known:
        raise RuleBroken("statistics.file_other")
    for sheet in known:
        one = by_name[sheet.title]
        if sheet.cell(1, 1).value != MARK or sheet.cell(1, 2).value != f"{one.table.code}|{unit_code}|{period_code}":
            raise RuleBroken("statistics.file_other")
        for column, row, cell in _cells(sheet, one):
            open_ = editable(column, row)
            if not open_ and not column.stored:
                continue  # reckoned by the sheet itself
            try:
                value = _value(column, cell, say)
                if open_:
                    cells[one.table.code, row.key, column.key] = parse_cell(column, value)
                elif value != shown(column, row.cells[column.key]):
                    faults.append(Fault(sheet.title, cell.coordinate, "statistics.cell_derived", {}))
            except RuleBroken as refused:
                faults.append(Fault(sheet.title, cell.coordinate, refused.code, refused.params))
    return Filled(cells, faults)


def _load(content: bytes) -> Any:
    try:
        return openpyxl.load_workbook(io.BytesIO(content), data_only=False, keep_links=False)
    except UNREADABLE as error:
        raise RuleBroken("ledgers.file_unreadable") from error


def _cells(sheet: Any, one: Sheet) -> Iterator[tuple[Column, Row, Any]]:
    """Yield the cells of a sheet that belong to the table, by the keys in its hidden row and column."""
    by_key = one.table.by_key
    columns = {
        place: by_key[key]
        for place in range(FIRST_COLUMN + 1, sheet.max_column + 1)
        if (key := sheet.cell(1, place).value) in by_key
    }
    rows = {row.key: row for row in one.rows}
    for at in range(FIRST_ROW + 1, sheet.max_row + 1):
        row = rows.get(str(sheet.cell(at, 1).value or ""))
        if row is not None:
            for place, column in columns.items():
                yield column, row, sheet.cell(at, place)


def shown(column: Column, value: Value) -> str:
    """Return a cell as it is compared: figures without zeros at the end, nothing as an empty text."""
    if isinstance(value, Decimal):
        return number(value)
    return "0" if value is None and column.kind is Kind.SUM else value or ""


def _value(column: Column, cell: Any, say: Say) -> str:
    """Return a cell's text: figures in their plain form, words of a list as their codes."""
    found = cell.value
    if found is None:
        return "0" if column.kind is Kind.SUM else ""
    if isinstance(found, bool) or cell.data_type == "f":
        raise RuleBroken("statistics.cell_formula")
    if isinstance(found, int | float):
        return number(Decimal(str(found))) if column.is_number else f"{found}"
    text = str(found).strip()
    prefix, codes = ("statistics.choice", column.choices) if column.choices else (column.words, ())
    for code in codes:
        if text in {code, say(f"{prefix}.{code}", lang="zh"), say(f"{prefix}.{code}", lang="en")}:
            return code
    if column.is_number and (told := figure(text)) is not None:
        return number(told)
    return text


def returned(content: bytes, faults: Sequence[Fault], say: Say) -> bytes:
    """Return the file with a red ground and a comment on every wrong cell."""
    book, out = _load(content), io.BytesIO()
    for fault in faults:
        cell = book[fault.sheet][fault.cell]
        cell.fill = WRONG
        cell.comment = Comment(say(fault.code, **fault.params), "")
    book.save(out)
    return out.getvalue()
