"""Ledgers as workbooks in the official layout: title, a line of unit, date and signatures, heads, rows; drop-downs and notes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from fleetapp.kit import clock, sheets
from fleetapp.kit.sheets import Cell
from fleetapp.ledgers.columns import COLUMNS, FAULTS
from fleetapp.ledgers.plans import Words
from fleetapp.ledgers.reading import File
from fleetapp.ledgers.rules import Column, Formula, Kind, LedgerKind, letters
from fleetapp.ledgers.service import Ledger

HEAD_ROW = 2
"""Index of the row of heads; rows begin below it."""
PREPARED_ROWS = 2000
"""How far down drop-downs reach below the rows that are there."""
FORMATS: Mapping[Kind, dict[str, Any]] = {
    Kind.TEXT: {"num_format": "@"}, Kind.CODE: {"num_format": "@"}, Kind.CHOICE: {"num_format": "@"}, Kind.FLAG: {"num_format": "@"},
    Kind.WHOLE: {"num_format": "0"}, Kind.DISPLACEMENT: {"num_format": "0"}, Kind.KM: {"num_format": "0.###"},
    Kind.TENTHS: {"num_format": "0.0"}, Kind.MONEY: {"num_format": "#,##0.00"}, Kind.DATE: {"num_format": "yyyy-mm-dd"},
}  # fmt: skip
BASE: Mapping[str, Any] = {"font_name": "宋体", "font_size": 10, "valign": "vcenter"}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands above the rows."""

    kind: LedgerKind
    unit: str
    on: str
    by: str
    mark: str = ""
    """Who takes it out and when; an empty template has none."""


class _Book:
    """A workbook of one ledger in one language, written from top to bottom."""

    def __init__(self, file: BinaryIO, head: Head, words: Words, lang: str) -> None:
        self.words, self.lang, self.head, self.columns = words, lang, head, COLUMNS[head.kind]
        self.book = sheets.workbook(file, mark=head.mark)
        self.cells = {kind: self.book.add_format({**BASE, **form, "border": 1}) for kind, form in FORMATS.items()}
        self.wrong = {
            kind: self.book.add_format({**BASE, **form, "border": 1, "bg_color": "#FBD5D5"})
            for kind, form in FORMATS.items()
        }
        self.quoted = self.book.add_format({**BASE, "border": 1, "num_format": "@", "quote_prefix": True})
        self.title = self.book.add_format({**BASE, "font_size": 16, "bold": True, "align": "center"})
        self.line = self.book.add_format({**BASE})
        self.heads = self.book.add_format(
            {**BASE, "bold": True, "text_wrap": True, "align": "center", "border": 1, "bg_color": "#E8EEF7"}
        )
        self.needed = self.book.add_format(
            {**BASE, "bold": True, "text_wrap": True, "align": "center", "border": 1, "bg_color": "#FFF3BF"}
        )
        self.told = self.book.add_format({**BASE, "text_wrap": True, "border": 1, "font_color": "#B42318"})
        self.wrap = self.book.add_format({**BASE, "text_wrap": True, "valign": "top"})

    def say(self, key: str, **params: Any) -> str:
        return self.words(f"ledgers.{key}", self.lang).format(**params)

    def head_of(self, column: Column) -> str:
        return self.say(f"col.{column.key}") + (" *" if column.required else "")

    def sheet(self, columns: Sequence[Column]) -> Any:
        """Begin the sheet of the ledger: title, line, heads with their notes."""
        sheet = self.book.add_worksheet(self.say(f"kind.{self.head.kind}"))
        for at, column in enumerate(columns):
            sheet.set_column(at, at, column.width)
        sheet.freeze_panes(HEAD_ROW + 1, 4 if len(columns) > 10 else 2)
        sheet.repeat_rows(HEAD_ROW)
        sheet.set_landscape()
        sheet.set_paper(9 if len(columns) <= 10 else 8)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer("&L&A&R&P / &N")
        sheet.set_row(0, 26)
        sheet.merge_range(0, 0, 0, min(len(columns), 15) - 1, self.say(f"title.{self.head.kind}"), self.title)
        line = self.say("line", unit=self.head.unit, on=self.head.on, by=self.head.by)
        sheets.put(sheet, 1, 0, line, form=self.line, quoted=self.line)
        sheet.set_row(HEAD_ROW, 32)
        for at, column in enumerate(columns):
            sheet.write_string(HEAD_ROW, at, self.head_of(column), self.needed if column.required else self.heads)
            note = self.note(column)
            if note:
                sheet.write_comment(HEAD_ROW, at, note, {"author": "", "x_scale": 1.6})
        return sheet

    def note(self, column: Column) -> str:
        """Return what a filler must know of a column."""
        said = [self.say("note.required")] if column.required else []
        said += [self.say(f"note.{column.key}") or self.say(f"note.kind.{column.kind}")]
        return " ".join(part for part in said if part)

    def lists(self, sheet: Any, last_row: int, units: int) -> None:
        """Add the drop-downs."""
        for at, column in enumerate(self.columns):
            choices = [self.words(f"{column.prefix}.{code}", self.lang) for code in column.choices]
            if column.kind is Kind.FLAG:
                choices = [self.say("yes"), self.say("no")]
            source: Any = choices
            if column.key == "org_code" and units:
                source = f"='{self.say('sheet.units')}'!$A$2:$A${units + 1}"
            if source:
                sheet.data_validation(HEAD_ROW + 1, at, last_row, at, {
                    "validate": "list", "source": source, "error_title": self.say("list_error_title"), "error_message": self.say("list_error"),
                })  # fmt: skip

    def guide(self) -> None:
        """Write the sheet that explains how to fill the ledger in."""
        sheet = self.book.add_worksheet(self.say("sheet.guide"))
        for at, width in enumerate((8, 26, 10, 60, 60)):
            sheet.set_column(at, at, width)
        for row, line in enumerate(self.say("guide").split("\n")):
            sheet.write_string(row, 0, line, self.line)
        top = row + 2
        for at, key in enumerate(("guide.column", "guide.head", "guide.required", "guide.note", "guide.values")):
            sheet.write_string(top, at, self.say(key), self.heads)
        for number, column in enumerate(self.columns):
            values = "、".join(self.words(f"{column.prefix}.{code}", self.lang) for code in column.choices)
            said = (
                letters(number),
                self.say(f"col.{column.key}"),
                self.say("yes" if column.required else "no"),
                self.note(column),
                values,
            )
            for at, text in enumerate(said):
                sheet.write_string(top + 1 + number, at, text, self.wrap)

    def units(self, units: Sequence[tuple[str, str]]) -> None:
        """Write the sheet of unit codes, which the drop-down reads."""
        sheet = self.book.add_worksheet(self.say("sheet.units"))
        sheet.set_column(0, 0, 20)
        sheet.set_column(1, 1, 44)
        for at, key in enumerate(("col.org_code", "col.org_name")):
            sheet.write_string(0, at, self.say(key), self.heads)
        for row, (code, name) in enumerate(units, start=1):
            sheet.write_string(row, 0, code, self.line)
            sheet.write_string(row, 1, name, self.line)

    def cell(self, column: Column, value: Any) -> Cell:
        """Return a stored value as the ledger shows it."""
        if value is None:
            return None
        if column.key in {"org_name", "parking"}:
            return str(getattr(value, f"name_{self.lang}"))
        if column.key == "state":
            return self.words(f"vehicles.state.{value}", self.lang)
        match column.kind:
            case Kind.CHOICE:
                return self.words(f"{column.prefix}.{value}", self.lang)
            case Kind.FLAG:
                return self.say("yes" if value else "no")
            case Kind.MONEY | Kind.TENTHS:
                return float(value)
            case Kind.KM:
                return float(value / 1000)
        found: Cell = value
        return found


def write(
    head: Head, rows: Iterable[Mapping[str, Any]], units: Sequence[tuple[str, str]], file: BinaryIO, *, words: Words, lang: str
) -> None:  # fmt: skip
    """Write a ledger, or its empty template: rows, drop-downs, the guide and the unit codes."""
    book = _Book(file, head, words, lang)
    sheet = book.sheet(book.columns)
    at = HEAD_ROW
    for at, row in enumerate(rows, start=HEAD_ROW + 1):
        for place, column in enumerate(book.columns):
            value = book.cell(column, row[column.key])
            form = book.cells[column.kind]
            if value is None:
                sheet.write_blank(at, place, None, form)
            else:
                sheets.put(sheet, at, place, value, form=form, quoted=book.quoted)
    book.lists(sheet, at + PREPARED_ROWS, len(units))
    book.guide()
    book.units(units)
    book.book.close()


def write_ledger(ledger: Ledger, units: Sequence[tuple[str, str]], file: BinaryIO, *, words: Words, lang: str) -> None:
    """Write the present ledger."""
    head = Head(
        ledger.kind,
        str(getattr(ledger.org, f"name_{lang}")),
        clock.local_date(ledger.on).isoformat(),
        ledger.by.name,
        sheets.mark(ledger.by.name, ledger.on),
    )
    write(head, ledger.rows, units, file, words=words, lang=lang)


def write_checked(
    head: Head, source: File, faults: Mapping[int, Mapping[str, str]], file: BinaryIO, *, words: Words, lang: str
) -> None:
    """Write an uploaded file back with what is wrong in a last column; ``faults`` are messages by row and column."""
    book = _Book(file, head, words, lang)
    sheet = book.sheet((*book.columns, FAULTS))
    for at, (number, cells) in enumerate(source.rows, start=HEAD_ROW + 1):
        wrong = faults.get(number, {})
        for place, (column, value) in enumerate(zip(book.columns, cells, strict=True)):
            form = (book.wrong if column.key in wrong else book.cells)[column.kind]
            shown = str(value) if isinstance(value, Formula | bool) else value
            if shown is None:
                sheet.write_blank(at, place, None, form)
            else:
                sheets.put(sheet, at, place, shown, form=form, quoted=book.quoted)
        said = "；".join(
            f"{letters(place)}{at + 1} {book.say(f'col.{column.key}')}：{wrong[column.key]}"
            for place, column in enumerate(book.columns) if column.key in wrong
        )  # fmt: skip
        sheet.write_string(at, len(book.columns), said, book.told)
    book.book.close()
