"""Spreadsheets: how a text is kept from running as a formula, how a cell is written as what it is, how a file is called and marked.

Nothing else of the application writes CSV or opens a workbook to write.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO, TextIO

import xlsxwriter

from fleetapp.kit import clock

Cell = str | float | datetime | date | None

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet reads a cell that starts with one of these as a formula (OWASP, "CSV Injection")."""

LONGEST_MARK = 200
"""A page's head holds 255 characters with its codes (ECMA-376 part 1, 18.3.1.54)."""


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: a dangerous start gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def safe_name(stem: str, suffix: str) -> str:
    """Return a file's name; characters that file systems refuse become ``-``."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "-", stem) + f".{suffix}"


def mark(who: str, at: datetime) -> str:
    """Return what says on every sheet who took it out and when, by the office's clock."""
    return f"{who} {clock.local(at):%Y-%m-%d %H:%M}"


class _Workbook(xlsxwriter.Workbook):  # type: ignore[misc]
    """A workbook with a mark at the top of every printed page and among its properties."""

    def __init__(self, file: BinaryIO, options: dict[str, Any], mark: str) -> None:
        super().__init__(file, options)
        self.mark = mark
        if mark:
            self.set_properties({"author": mark})

    def add_worksheet(self, name: str | None = None, worksheet_class: Any = None) -> Any:
        """Add a sheet with the mark."""
        sheet = super().add_worksheet(name, worksheet_class)
        if self.mark:
            sheet.set_header(f"&R&9&K808080{self.mark.replace('&', '&&')[:LONGEST_MARK]}")
        return sheet


def workbook(file: BinaryIO, *, mark: str, constant_memory: bool = True) -> Any:
    """Open a workbook in which no text becomes a formula, a link or a number; with constant memory rows go top to bottom.

    ``mark`` says who takes it out and when (``mark``); empty for an empty form that has nobody's data in it.
    """
    options = {"constant_memory": constant_memory, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}  # fmt: skip
    return _Workbook(file, options, mark)


def write_csv(file: TextIO, rows: Iterable[Sequence[Any]], *, delimiter: str = ",") -> None:
    """Write rows as CSV in which no text becomes a formula; None is an empty cell."""
    csv.writer(file, delimiter=delimiter).writerows(
        [guarded(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )


def put(sheet: Any, row: int, column: int, value: Cell, *, form: Any, quoted: Any) -> None:
    """Write one cell as what it is; a text that looks like a formula gets the format with the quote prefix."""
    if value is None:
        return
    if isinstance(value, str):
        sheet.write_string(row, column, value, quoted if value.startswith(FORMULA_STARTS) else form)
    elif isinstance(value, datetime | date):
        sheet.write_datetime(row, column, value, form)
    else:
        sheet.write_number(row, column, value, form)
