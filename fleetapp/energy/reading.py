"""Files of fuel companies and charging operators as rows of cells: CSV in UTF-8 or GB18030, XLSX. Nothing is kept here.

A file is refused as a whole, naming the cell, when it holds a formula, a row that is wider than its head (shifted columns),
too many rows, or is no such file.
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from xml.etree.ElementTree import ParseError

import openpyxl

from fleetapp.energy import layout
from fleetapp.energy.layout import Cell, Head
from fleetapp.kit.errors import RuleBroken

MOST_ROWS = 20_000
MOST_UNPACKED_BYTES = 200 * 1024 * 1024
ENCODINGS = ("utf-8-sig", "gb18030")
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ParseError,
    KeyError,
    ValueError,
    OSError,
    TypeError,
    IndexError,
    AttributeError,
)
"""What a damaged spreadsheet makes its reader raise."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The lines of a file, its head, and how it was written (``xlsx``, or the encoding of a CSV)."""

    lines: Sequence[Sequence[Cell]]
    head: Head
    form: str
    delimiter: str = ","

    def rows(self) -> Iterator[tuple[int, Sequence[Cell]]]:
        """Yield line number and cells of the rows below the head that hold anything."""
        for number, cells in enumerate(self.lines[self.head.line :], start=self.head.line + 1):
            if any(cell not in (None, "") for cell in cells):
                yield number, cells


def read(name: str, content: bytes) -> Sheet:
    """Return the table of a file.

    :raises RuleBroken: ``energy.file_unreadable``, ``file_formula``, ``file_shifted``, ``file_long``, ``file_head``, ``file_twice``.
    """
    delimiter = ","
    if name.lower().endswith(".xlsx"):
        form, lines = "xlsx", _limited(_xlsx(content))
    else:
        form, text = _decoded(content)
        first = text.lstrip().partition("\n")[0]
        delimiter = "\t" if first.count("\t") > first.count(",") else ","
        lines = _limited(_csv(text, delimiter))
    head = layout.find_head(lines)
    for number, cells in enumerate(lines[head.line :], start=head.line + 1):
        for column in range(head.width, len(cells)):
            if cells[column] not in (None, ""):
                raise RuleBroken("energy.file_shifted", cell=layout.cell_name(number, column))
    return Sheet(lines, head, form, delimiter)


def _limited(lines: Iterable[Sequence[Cell]]) -> list[Sequence[Cell]]:
    found = []
    for cells in lines:
        found.append(cells)
        if len(found) > MOST_ROWS + layout.HEAD_WITHIN:
            raise RuleBroken("energy.file_long", most=MOST_ROWS)
    return found


def _decoded(content: bytes) -> tuple[str, str]:
    for encoding in ENCODINGS:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        plain = encoding == "utf-8-sig" and not content.startswith(b"\xef\xbb\xbf")
        return "utf-8" if plain else encoding, text
    raise RuleBroken("energy.file_unreadable")


def _csv(text: str, delimiter: str) -> Iterator[Sequence[Cell]]:
    try:
        for line, cells in enumerate(
            csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=delimiter), start=1
        ):
            for column, cell in enumerate(cells):
                if _is_formula(cell):
                    raise RuleBroken("energy.file_formula", cell=layout.cell_name(line, column))
            yield [cell.lstrip("'") if cell.startswith("'") else cell for cell in cells]
    except csv.Error as error:
        raise RuleBroken("energy.file_unreadable") from error


def _is_formula(text: str) -> bool:
    """Tell whether a spreadsheet would take a CSV cell for a formula; signed numbers are none."""
    start = text.lstrip()
    if start[:1] in {"=", "@"}:
        return True
    return start[:1] in {"+", "-"} and not start[1:].replace(".", "", 1).replace(",", "").isdigit() and len(start) > 1


def _xlsx(content: bytes) -> Iterator[Sequence[Cell]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MOST_UNPACKED_BYTES:
                raise RuleBroken("energy.file_long", most=MOST_ROWS)
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()
        for line, cells in enumerate(sheet.iter_rows(), start=1):
            for column, cell in enumerate(cells):
                if cell.data_type == "f":
                    raise RuleBroken("energy.file_formula", cell=layout.cell_name(line, column))
            yield [_plain(cell.value) for cell in cells]
    except BROKEN as error:
        raise RuleBroken("energy.file_unreadable") from error


def _plain(value: object) -> Cell:
    """Return a spreadsheet's value as a cell; what is neither number nor date is text."""
    return value if value is None or isinstance(value, (str, int, float, datetime, date)) else str(value)
