"""An uploaded file as rows of cells: XLSX or CSV, refused as a whole when it is no such ledger."""

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError  # the parser itself is defusedxml's, through openpyxl

import openpyxl
from defusedxml.common import DefusedXmlException
from openpyxl.utils.exceptions import InvalidFileException

from fleetapp.kit.errors import RuleBroken
from fleetapp.ledgers.rules import MOST_UNPACKED_BYTES, Column, Formula, half_width, letters, shown

Heads = Sequence[Sequence[str]]
HEAD_WITHIN = 10
"""In how many rows from the top the heads are looked for."""
ENOUGH_HEADS = 3
PIECE_BYTES = 1 << 20
UNREADABLE = (
    zipfile.BadZipFile, zlib.error, InvalidFileException, ParseError, DefusedXmlException, KeyError, ValueError, TypeError,
    AttributeError, IndexError, EOFError, OSError, RuntimeError, ArithmeticError, struct.error,
)  # fmt: skip
"""What a damaged workbook makes the reader raise."""
ROW = re.compile(rb"<(?:\w+:)?row\b")
FILLED = re.compile(rb"<(?:\w+:)?(?:v|is)\b")
MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')


@dataclass(frozen=True, slots=True)
class File:
    """A ledger's rows below its heads as (number in the sheet, cells); ``total`` are the filled ones."""

    head_row: int
    total: int
    rows: Sequence[tuple[int, Sequence[Any]]]


def read(name: str, content: bytes, columns: Sequence[Column], heads: Heads, most_rows: int) -> File:
    """Return the rows of a file; ``heads`` are the columns' heads in each language, that of the column of faults last.

    :raises RuleBroken: ``ledgers.file_*``, no readable ledger of this kind.
    """
    check_size(name, content, most_rows)
    lines = _lines(name, content)
    head_row = _head_row(lines, columns, heads)
    if not _is_csv(name):
        _check_merged(content, head_row)
    rows = []
    for number, cells in lines:
        kept = [*cells[: len(columns)], *[None] * (len(columns) - len(cells))]
        if all(value is None or value == "" for value in kept):
            continue
        rows.append((number, kept))
        if len(rows) > most_rows:
            raise RuleBroken("ledgers.file_too_many", most=most_rows)
    if not rows:
        raise RuleBroken("ledgers.file_empty")
    return File(head_row, len(rows), rows)


def check(name: str, content: bytes, columns: Sequence[Column], heads: Heads, most_rows: int) -> None:
    """Refuse at once what can be told without reading the rows: form, size, number of rows, heads.

    :raises RuleBroken: ``ledgers.file_*``.
    """
    check_size(name, content, most_rows)
    _head_row(_lines(name, content), columns, heads)


def _is_csv(name: str) -> bool:
    return name.lower().endswith(".csv")


def _lines(name: str, content: bytes) -> Iterator[tuple[int, list[Any]]]:
    return _csv(content) if _is_csv(name) else _xlsx(content)


def _head_row(lines: Iterator[tuple[int, list[Any]]], columns: Sequence[Column], heads: Heads) -> int:
    for number, cells in lines:
        if _fit(cells, heads) >= ENOUGH_HEADS:
            check_heads(number, cells, columns, heads)
            return number
        if number >= HEAD_WITHIN:
            break
    raise RuleBroken("ledgers.file_no_heads", within=HEAD_WITHIN, first=heads[0][0])


def check_size(name: str, content: bytes, most_rows: int) -> None:
    """Refuse a workbook that unpacks to too much or has too many rows, without parsing any of it.

    :raises RuleBroken: ``ledgers.file_unreadable``, ``ledgers.file_too_large``, ``ledgers.file_too_many``.
    """
    if _is_csv(name):
        if content.count(b"\n") > most_rows + HEAD_WITHIN:
            raise RuleBroken("ledgers.file_too_many", most=most_rows)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MOST_UNPACKED_BYTES:
                raise RuleBroken("ledgers.file_too_large", most_mb=MOST_UNPACKED_BYTES >> 20)
            if _filled_rows(packed, _first_sheet(content), most_rows + HEAD_WITHIN) > most_rows + HEAD_WITHIN:
                raise RuleBroken("ledgers.file_too_many", most=most_rows)
    except UNREADABLE as error:
        raise RuleBroken("ledgers.file_unreadable") from error


def _filled_rows(packed: zipfile.ZipFile, part: str, enough: int) -> int:
    """Return how many rows of a sheet hold anything: formatted empty ones, of which some programs write a million, do not count."""
    filled, rest = 0, b""
    with packed.open(part) as sheet:
        while piece := sheet.read(PIECE_BYTES):
            *whole, rest = ROW.split(rest + piece)
            filled += sum(FILLED.search(row) is not None for row in whole)
            if filled > enough:
                break
    return filled + (FILLED.search(rest) is not None)


def _xlsx(content: bytes) -> Iterator[tuple[int, list[Any]]]:
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        try:
            for number, row in enumerate(book.worksheets[0].iter_rows(), start=1):
                yield number, [_cell(cell) for cell in row]
        finally:
            book.close()
    except UNREADABLE as error:
        raise RuleBroken("ledgers.file_unreadable") from error


def _cell(cell: Any) -> Any:
    value = cell.value
    if value is None or isinstance(value, bool | int | float):
        return value
    if cell.data_type in {"f", "e"}:
        return Formula(str(value))
    return value.strip() if isinstance(value, str) else value


def _csv(content: bytes) -> Iterator[tuple[int, list[Any]]]:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise RuleBroken("ledgers.file_encoding")
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for number, cells in enumerate(reader, start=1):
            yield number, [_unguarded(value.strip()) or None for value in cells]
    except csv.Error as error:
        raise RuleBroken("ledgers.file_unreadable") from error


def _unguarded(text: str) -> Any:
    """Return a CSV cell: one that begins like a formula is one, an apostrophe before it says that it is not."""
    if text.startswith(("=", "@")):
        return Formula(text)
    return text[1:] if re.match(r"'[=+\-@\t\r]", text) else text


# ---- heads ------------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> str:
    return re.sub(r"[\s*＊]", "", half_width(value)).lower() if isinstance(value, str) else ""


def _fit(cells: Sequence[Any], heads: Heads) -> int:
    found = {_plain(value) for value in cells}
    return max(len(found & {_plain(head) for head in language}) for language in heads)


def check_heads(number: int, cells: Sequence[Any], columns: Sequence[Column], heads: Heads) -> None:
    """Refuse heads that are not the ledger's own, naming the first cell that differs; the column of faults may follow.

    :raises RuleBroken: ``ledgers.file_head`` a column is missing, shifted or unknown; ``ledgers.file_head_extra`` one too many.
    """
    language = max(heads, key=lambda words: _fit(cells, [words]))
    for index in range(len(columns)):
        value = cells[index] if index < len(cells) else None
        if _plain(value) not in {_plain(words[index]) for words in heads}:
            raise RuleBroken("ledgers.file_head", cell=f"{letters(index)}{number}", wanted=language[index],
                             found="–" if value in (None, "") else shown(value))  # fmt: skip
    for index, value in enumerate(cells[len(columns) :], start=len(columns)):
        returned = index == len(columns) and _plain(value) in {_plain(words[-1]) for words in heads}
        if value not in (None, "") and not returned:
            raise RuleBroken("ledgers.file_head_extra", cell=f"{letters(index)}{number}", found=shown(value))


def _check_merged(content: bytes, head_row: int) -> None:
    """Refuse merged cells among the rows: their value stands in the first cell alone.

    :raises RuleBroken: ``ledgers.file_merged``.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        part = _first_sheet(content)
        with packed.open(part) as sheet:
            rest = b""
            while piece := sheet.read(PIECE_BYTES):
                rest += piece
                for found in MERGED.finditer(rest):
                    if int(found[4]) >= head_row:
                        begin, end = (found[1] + found[2]).decode(), (found[3] + found[4]).decode()
                        raise RuleBroken("ledgers.file_merged", cell=f"{begin}:{end}")
                rest = rest[-200:]


def _first_sheet(content: bytes) -> str:
    book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, keep_links=False)
    path: str = book.worksheets[0]._worksheet_path  # type: ignore[attr-defined]  # noqa: SLF001 -- openpyxl tells it nowhere else
    book.close()
    return path
