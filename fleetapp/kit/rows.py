"""A hundred thousand rows of one sheet in seconds: written straight into the sheet of a finished workbook.

A workbook library spends most of its time on cells one by one. Here it writes everything but the long rows, and one sample
row whose cells have the styles of each column (ECMA-376 part 1, 18.3.1: ``row``, ``c``, inline strings); the long rows are
then put in the sample's place while the sheet is copied. Memory stays flat.
"""

import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import BinaryIO

from fleetapp.kit.sheets import FORMULA_STARTS, Cell

ROW = re.compile(rb'<row r="(\d+)"[^>]*>(.*?)</row>', re.DOTALL)
DIMENSION = re.compile(rb'<dimension ref="[^"]*"/>')
"""Left out, as it may be (18.3.1.35): a reader then counts the rows itself."""
STYLE = re.compile(rb'<c r="[A-Z]+\d+"(?: s="(\d+)")?')
REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|[\ud800-\udfff]|_x[0-9A-Fa-f]{4}_")
"""What XML cannot hold, and what a spreadsheet would read as standing for that (18.4.12, ``ST_Xstring``)."""
MARKED = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff\ud800-\udfff]|_x[0-9A-Fa-f]{4}_")
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 -- spreadsheets know no zones
DAY_ONE = EPOCH.toordinal()
LONGEST_TEXT = 32_767
CHUNK = 500


def letters(number: int) -> str:
    """Return the name of a column counted from 0."""
    name = ""
    number += 1
    while number:
        number, left = divmod(number - 1, 26)
        name = chr(65 + left) + name
    return name


def escaped(text: str) -> str:
    """Return a text as the content of an element; what XML cannot hold becomes ``_xHHHH_``, as spreadsheets read it."""
    if not MARKED.search(text):
        return text
    text = REFUSED.sub(lambda found: f"_x{ord(found[0][0]):04X}_" + found[0][1:], text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "_x000D_")


def row_xml(number: int, cells: Sequence[Cell], starts: Sequence[tuple[str, str, str]]) -> str:
    """Return a row; ``starts`` are for each column its letters, its style and the style of texts that look like formulas."""
    pieces = []
    for cell, (column, style, quoted) in zip(cells, starts, strict=True):
        if cell is None:
            continue
        if isinstance(cell, str):
            look = quoted if cell.startswith(FORMULA_STARTS) else style
            pieces.append(
                f'<c r="{column}{number}"{look} t="inlineStr"><is><t xml:space="preserve">{escaped(cell[:LONGEST_TEXT])}</t></is></c>'
            )
        elif isinstance(cell, datetime):
            whole = cell - EPOCH
            pieces.append(f'<c r="{column}{number}"{style}><v>{whole.days + whole.seconds / 86_400:.10f}</v></c>')
        elif isinstance(cell, date):
            pieces.append(f'<c r="{column}{number}"{style}><v>{cell.toordinal() - DAY_ONE}</v></c>')
        else:
            pieces.append(f'<c r="{column}{number}"{style}><v>{cell!r}</v></c>')
    return f'<row r="{number}">{"".join(pieces)}</row>'


def spliced(book: BinaryIO, out: BinaryIO, *, sheet: int, sample: int, rows: Iterable[Sequence[Cell]]) -> None:
    """Copy a workbook into ``out`` with rows in the place of one sample row.

    ``sheet`` counts from 1. Row ``sample`` is its last; it has an empty cell in the style of every column and after them one in
    the style of texts that look like formulas.

    :raises ValueError: the sheet is not so.
    """
    name = f"xl/worksheets/sheet{sheet}.xml"
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for entry in source.infolist():
            if entry.filename == name:
                with target.open(name, "w", force_zip64=True) as file:
                    _copied(file.write, source.read(entry), sample, rows)
            else:
                target.writestr(entry, source.read(entry), zipfile.ZIP_DEFLATED)


def _copied(write: Callable[[bytes], int], xml: bytes, sample: int, rows: Iterable[Sequence[Cell]]) -> None:
    found = list(ROW.finditer(xml))
    if not found or int(found[-1][1]) != sample:
        raise ValueError(f"row {sample} is not the last of the sheet")
    *styles, quoted = (f' s="{style.decode()}"' if style else "" for style in STYLE.findall(found[-1][2]))
    starts = [(letters(place), style, quoted) for place, style in enumerate(styles)]
    write(DIMENSION.sub(b"", xml[: found[-1].start()]))
    waiting: list[str] = []
    for number, cells in enumerate(rows, start=sample):
        waiting.append(row_xml(number, cells, starts))
        if len(waiting) == CHUNK:
            write("".join(waiting).encode())
            waiting.clear()
    write("".join(waiting).encode())
    write(xml[found[-1].end() :])
