"""Spreadsheets: how a text is kept from running as a formula, how a cell is written as what it is, how a file is called."""

import re
from datetime import date, datetime
from typing import Any, BinaryIO

import xlsxwriter

Cell = str | float | datetime | date | None

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet reads a cell that starts with one of these as a formula (OWASP, "CSV Injection")."""


def guarded(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: a dangerous start gets an apostrophe before it."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def safe_name(stem: str, suffix: str) -> str:
    """Return a file's name; characters that file systems refuse become ``-``."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "-", stem) + f".{suffix}"


def workbook(file: BinaryIO, *, constant_memory: bool = True) -> Any:
    """Open a workbook in which no text becomes a formula, a link or a number; with constant memory rows go top to bottom."""
    return xlsxwriter.Workbook(
        file, {"constant_memory": constant_memory, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    )  # fmt: skip


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
