"""A report as a workbook in the official layout, one sheet for each table.

Row 1 and column A are hidden and say which cell is which, so that a file that was sorted or filled elsewhere is still understood.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO

from xlsxwriter.utility import xl_rowcol_to_cell

from fleetapp.kit import sheets
from fleetapp.statistics.catalogue import Column, Kind
from fleetapp.statistics.layout import Row, Sheet

MARK = "fleet-statistics"
HEAD_ROWS = (3, 4)
"""Indices of the two rows of heads, below the hidden keys, the title and the line of unit and period."""
FIRST_ROW = 5
LABEL_AT, FIRST_COLUMN = 1, 2
FONT = {"font_name": "宋体", "font_size": 10, "valign": "vcenter"}
NUMBERS: Mapping[str, str] = {"CNY": "#,##0.00", "percent": "0.00", "km": "#,##0.0##", "vehicle": "#,##0.##"}
PLAIN_NUMBER = "#,##0.######"
Say = Callable[..., str]


@dataclass(frozen=True, slots=True)
class Head:
    """What stands around the tables: whose report, of which period, by whom; ``mark`` goes to the top of every printed sheet."""

    unit_code: str
    unit: str
    period: str
    period_code: str
    number: str
    mark: str


class _Book:
    """A workbook being written."""

    def __init__(self, file: BinaryIO, head: Head, say: Say, lang: str) -> None:
        self.head, self.say, self.lang = head, say, lang
        self.book = sheets.workbook(file, mark=head.mark, constant_memory=False)
        self.forms: dict[tuple[Any, ...], Any] = {}

    def form(self, **options: Any) -> Any:
        key = tuple(sorted(options.items()))
        if key not in self.forms:
            self.forms[key] = self.book.add_format({**FONT, **options})
        return self.forms[key]

    def cell_form(self, column: Column, *, open_: bool, bold: bool) -> Any:
        options: dict[str, Any] = {"border": 1, "bold": bold, "locked": not open_}
        options["num_format"] = NUMBERS.get(column.unit, PLAIN_NUMBER) if column.is_number else "@"
        if open_:
            options["bg_color"] = "#FFF9DB"
        return self.form(**options)

    def sheet(self, laid: Sheet, editable: Callable[[Column, Row], bool]) -> None:
        """Write one table."""
        table, say, width = laid.table, self.say, FIRST_COLUMN + len(laid.table.columns)
        sheet = self.book.add_worksheet(f"T{table.number:02}")
        sheet.set_column(0, 0, 2, None, {"hidden": True})
        sheet.set_column(LABEL_AT, LABEL_AT, 26)
        sheet.set_column(FIRST_COLUMN, width - 1, 11)
        sheet.set_row(0, 2, None, {"hidden": True})
        for place, key in enumerate(
            (MARK, f"{table.code}|{self.head.unit_code}|{self.head.period_code}", *(one.key for one in table.columns))
        ):
            sheet.write_string(0, place, key)
        sheet.set_row(1, 28)
        last = width - 1
        title = say("statistics.table_title", number=table.number, title=table.names[self.lang])
        sheet.merge_range(
            1, LABEL_AT, 1, last, title, self.form(font_size=16, bold=True, align="center", font_name="仿宋")
        )
        line = say("statistics.file_line", unit=self.head.unit, period=self.head.period, number=self.head.number)
        sheet.merge_range(2, LABEL_AT, 2, last, line, self.form())
        self.heads(sheet, laid)
        for at, row in enumerate(laid.rows, start=FIRST_ROW):
            self.row(sheet, at, row, laid, editable)
        self.foot(sheet, FIRST_ROW + len(laid.rows), last, laid)
        sheet.set_landscape()
        sheet.set_paper(9)
        sheet.fit_to_pages(1, 0)
        sheet.repeat_rows(HEAD_ROWS[0], HEAD_ROWS[1])
        sheet.freeze_panes(FIRST_ROW, FIRST_COLUMN)
        sheet.set_footer("&R&8&P / &N")
        sheet.protect("", {"format_columns": True, "format_rows": True})

    def heads(self, sheet: Any, laid: Sheet) -> None:
        form = self.form(bold=True, align="center", text_wrap=True, border=1, bg_color="#E8EEF7")
        sheet.merge_range(HEAD_ROWS[0], LABEL_AT, HEAD_ROWS[1], LABEL_AT, self.say("statistics.rows_of"), form)
        sheet.set_row(HEAD_ROWS[1], 42)
        for head in laid.heads:
            column = laid.table.columns[head.first - 1]
            text = head.text
            if head.bottom == 1 and column.unit:
                text += f"\n（{self.say(f'statistics.unit.{column.unit}')}）"
            top, first, bottom, last = (
                HEAD_ROWS[head.top],
                LABEL_AT + head.first,
                HEAD_ROWS[head.bottom],
                LABEL_AT + head.last,
            )
            if (top, first) == (bottom, last):
                sheet.write_string(top, first, text, form)
            else:
                sheet.merge_range(top, first, bottom, last, text, form)
            if head.bottom == 1 and column.kind is Kind.TYPED:
                sheet.write_comment(
                    bottom if top == bottom else top, first, self.say("statistics.typed_hint"), {"author": ""}
                )

    def row(self, sheet: Any, at: int, row: Row, laid: Sheet, editable: Callable[[Column, Row], bool]) -> None:
        bold = row is laid.total
        sheet.write_string(at, 0, row.key)
        sheets.put(sheet, at, LABEL_AT, row.label, form=self.form(border=1, bold=bold, text_wrap=True),
                   quoted=self.form(border=1, bold=bold, quote_prefix=True))  # fmt: skip
        for place, column in enumerate(laid.table.columns, start=FIRST_COLUMN):
            open_ = editable(column, row)
            form, value = self.cell_form(column, open_=open_, bold=bold), row.cells[column.key]
            if open_:
                self.choices(sheet, at, place, column)
            if isinstance(value, Decimal) and column.kind in {Kind.FORMULA, Kind.SHARE}:
                sheet.write_formula(at, place, self.formula(at, column, laid), form, float(value))
            elif isinstance(value, Decimal):
                sheet.write_number(at, place, float(value), form)
            elif value is None:
                sheet.write_blank(at, place, None, form)
            else:
                said = self.word(column, value)
                sheets.put(
                    sheet,
                    at,
                    place,
                    said,
                    form=form,
                    quoted=self.form(border=1, quote_prefix=True, locked=not open_, num_format="@"),
                )

    def word(self, column: Column, value: str) -> str:
        if column.choices:
            return self.say(f"statistics.choice.{value}")
        return self.say(f"{column.words}.{value}") if column.words and value else value

    def choices(self, sheet: Any, at: int, place: int, column: Column) -> None:
        error = {"error_title": self.say("statistics.cell_wrong"), "error_message": self.say("statistics.cell_choice")}
        if column.choices:
            sheet.data_validation(
                at,
                place,
                at,
                place,
                {"validate": "list", "source": [self.word(column, one) for one in column.choices], **error},
            )
        elif column.typed == "number":
            sheet.data_validation(at, place, at, place, {"validate": "decimal", "criteria": ">=", "value": 0, **error,
                                                         "error_message": self.say("statistics.cell_number")})  # fmt: skip

    def formula(self, at: int, column: Column, laid: Sheet) -> str:
        """Return a reckoned cell as a spreadsheet's formula over its row."""
        cells = {
            one.key: xl_rowcol_to_cell(at, place) for place, one in enumerate(laid.table.columns, start=FIRST_COLUMN)
        }

        def added(names: Sequence[str]) -> str:
            return "".join(
                f"{'-' if name.startswith('-') else '+'}N({cells[name.removeprefix('-')]})" for name in names
            )

        if column.kind is Kind.FORMULA:
            return f"={added(column.formula)}"
        return f'=IF(({added(column.under)})=0,"",({added(column.over)})/({added(column.under)})*{column.scale})'

    def foot(self, sheet: Any, at: int, last: int, laid: Sheet) -> None:
        """Write the notes and the line of signatures below the rows."""
        notes = [laid.table.notes[self.lang], self.say("statistics.note_typed"), self.say("statistics.note_derived")]
        for number, note in enumerate((one for one in notes if one), start=1):
            sheet.merge_range(
                at,
                LABEL_AT,
                at,
                last,
                f"{self.say('statistics.note')}{number}：{note}",
                self.form(font_size=9, text_wrap=True),
            )
            at += 1
        sheet.set_row(at, 24)
        sheet.merge_range(at, LABEL_AT, at, last, self.say("statistics.signatures"), self.form())


def write(
    laid: Sequence[Sheet], head: Head, file: BinaryIO, *, editable: Callable[[Column, Row], bool], say: Say, lang: str
) -> None:
    """Write tables into ``file``; cells for which ``editable`` says so are open, all others protected."""
    book = _Book(file, head, say, lang)
    for one in laid:
        book.sheet(one, editable)
    book.book.close()
