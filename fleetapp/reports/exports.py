"""The compliance report as XLSX and CSV: one table of columns for both, written row by row.

CSV cells that a spreadsheet would take for a formula get an apostrophe in front. XLSX cells have a type, so texts
stay as they are and are marked as texts (quote prefix): their values read back unchanged.
"""

import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import chain
from typing import Any, BinaryIO

from fleetapp.findings.rules import CATALOGUE
from fleetapp.kit import clock, rows, sheets
from fleetapp.kit.sheets import Cell
from fleetapp.reports.queries import Clue, Line
from fleetapp.reports.rules import ROAD_FACTOR
from fleetapp.reports.service import Report, unit_totals


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one language: ``get(key, fallback)`` from the catalogue."""

    lang: str
    get: Callable[[str, str], str]

    def head(self, key: str, **params: Any) -> str:
        """Return a text of this slice with its placeholders filled in."""
        return self.get(f"reports.{key}", key).format(**params)

    def code(self, prefix: str, value: str | None) -> str | None:
        """Return the words of a stored code; an unknown one stands for itself."""
        return None if value is None else self.get(f"{prefix}.{value}", value)

    def rule(self, rule: str) -> str:
        """Return the name of a rule of the catalogue; a rule no longer in it stands for itself."""
        known = CATALOGUE.get(rule)
        return rule if known is None else str(getattr(known, f"name_{self.lang}"))

    def pick(self, row: Any, name: str) -> str | None:
        """Return a name in this language."""
        found: str | None = getattr(row, f"{name}_{self.lang}")
        return found


@dataclass(frozen=True, slots=True)
class Column:
    """``text`` is the key of its head, ``kind`` one of the formats below, ``width`` in characters."""

    text: str
    kind: str
    width: float
    value: Callable[[Any, Words], Cell]


FORMATS: dict[str, dict[str, Any]] = {
    "text": {"text_wrap": False},
    "moment": {"num_format": "yyyy-mm-dd hh:mm:ss"},
    "date": {"num_format": "yyyy-mm-dd"},
    "km": {"num_format": "#,##0.0"},
    "count": {"num_format": "#,##0"},
    "share": {"num_format": "0.0%"},
    "score": {"num_format": "0.00"},
}


def _km(metres: float | None) -> float | None:
    """Return kilometres to the stored tenth of a metre, so that rows add up to their total exactly."""
    return None if metres is None else round(metres / 1000, 4)


def _local(at: datetime | None) -> datetime | None:
    """Return office time to the second, without a zone, as spreadsheets know it."""
    return None if at is None else clock.local(at).replace(tzinfo=None, microsecond=0)


def _driven(line: Line) -> float | None:
    if line.out is None or line.back is None or line.out.odometer_m is None or line.back.odometer_m is None:
        return None
    return _km(line.back.odometer_m - line.out.odometer_m)


def _clues(line: Line, words: Words) -> str | None:
    named = [
        f"{clue.rule} {words.rule(clue.rule)}（{words.code('findings.severity', clue.severity)}，"
        f"{words.code('findings.state', clue.state)}）"
        for clue in line.clues
    ]
    return "; ".join(named) or None


TRIPS: tuple[Column, ...] = (
    Column("col.on", "date", 11, lambda x, _: clock.local_date(x.row.start_at)),
    Column("col.plate", "text", 11, lambda x, _: x.row.plate),
    Column("col.holder", "text", 22, lambda x, w: w.pick(x.row, "holder")),
    Column("col.category", "text", 14, lambda x, w: w.code("vehicles.category", x.row.category)),
    Column("col.start_at", "moment", 19, lambda x, _: _local(x.row.start_at)),
    Column("col.end_at", "moment", 19, lambda x, _: _local(x.row.end_at)),
    Column("col.start_place", "text", 18, lambda x, _: x.row.start_place),
    Column("col.end_place", "text", 18, lambda x, _: x.row.end_place),
    Column("col.driver", "text", 16, lambda x, w: w.pick(x.row, "driver")),
    Column("col.order", "text", 18, lambda x, _: x.row.number),
    Column("col.unit", "text", 22, lambda x, w: w.pick(x.row, "unit")),
    Column("col.purpose", "text", 12, lambda x, w: w.code("orders.purpose", x.row.purpose)),
    Column("col.reason", "text", 26, lambda x, _: x.row.reason),
    Column("col.passengers", "text", 16, lambda x, _: x.row.passengers),
    Column("col.stops", "text", 30, lambda x, _: " → ".join(x.stops) or None),
    Column("col.applicant", "text", 16, lambda x, w: w.pick(x.row, "applicant")),
    Column("col.approver", "text", 16, lambda x, w: w.pick(x.row, "approver")),
    Column("col.slip", "text", 20, lambda x, _: x.row.slip),
    Column("col.order_start_at", "moment", 19, lambda x, _: _local(x.row.order_start_at)),
    Column("col.order_end_at", "moment", 19, lambda x, _: _local(x.row.order_end_at)),
    Column("col.out_at", "moment", 19, lambda x, _: _local(x.out.at if x.out else None)),
    Column("col.back_at", "moment", 19, lambda x, _: _local(x.back.at if x.back else None)),
    Column("col.part_km", "km", 12, lambda x, _: _km(x.row.distance_m)),
    Column("col.planned_km", "km", 12, lambda x, _: _km(x.planned_m)),
    Column("col.gps_km", "km", 12, lambda x, _: _km(x.row.gps_m)),
    Column("col.terminal_km", "km", 12, lambda x, _: _km(x.row.odometer_m)),
    Column("col.road_km", "km", 12, lambda x, _: _km(x.row.matched_m)),
    Column("col.road_source", "text", 10, lambda x, w: w.code("reports.source", x.row.matched_source)),
    Column("col.best_km", "km", 12, lambda x, _: _km(x.row.best_m)),
    Column("col.best_source", "text", 10, lambda x, w: w.code("reports.source", x.row.best_source)),
    Column("col.error_km", "km", 10, lambda x, _: _km(x.row.error_m)),
    Column("col.out_odometer", "km", 12, lambda x, _: _km(x.out.odometer_m if x.out else None)),
    Column("col.back_odometer", "km", 12, lambda x, _: _km(x.back.odometer_m if x.back else None)),
    Column("col.duty_km", "km", 12, lambda x, _: _driven(x)),
    Column("col.coverage", "share", 10, lambda x, _: x.row.coverage),
    Column("col.kind", "text", 12, lambda x, w: w.code("reports.kind", x.row.kind)),
    Column("col.score", "score", 9, lambda x, _: x.row.score),
    Column("col.score_time", "score", 9, lambda x, _: x.row.score_time),
    Column("col.score_dest", "score", 9, lambda x, _: x.row.score_dest),
    Column("col.score_orig", "score", 9, lambda x, _: x.row.score_orig),
    Column("col.score_driver", "score", 9, lambda x, _: x.row.score_driver),
    Column("col.score_events", "score", 9, lambda x, _: x.row.score_events),
    Column("col.clues", "text", 40, _clues),
)

GHOSTS: tuple[Column, ...] = (
    Column("col.order", "text", 18, lambda x, _: x.number),
    Column("col.slip", "text", 20, lambda x, _: x.slip),
    Column("col.plate", "text", 11, lambda x, _: x.plate),
    Column("col.holder", "text", 22, lambda x, w: w.pick(x, "holder")),
    Column("col.driver", "text", 16, lambda x, w: w.pick(x, "driver")),
    Column("col.applicant", "text", 16, lambda x, w: w.pick(x, "applicant")),
    Column("col.purpose", "text", 12, lambda x, w: w.code("orders.purpose", x.purpose)),
    Column("col.reason", "text", 26, lambda x, _: x.reason),
    Column("col.order_start_at", "moment", 19, lambda x, _: _local(x.start_at)),
    Column("col.order_end_at", "moment", 19, lambda x, _: _local(x.end_at)),
    Column("col.order_state", "text", 12, lambda x, w: w.code("orders.state", x.state)),
    Column("col.terminal", "text", 24, lambda x, w: w.head("terminal.yes" if x.has_terminal else "terminal.no")),
)

CLUES: tuple[Column, ...] = (
    Column("col.clue", "text", 18, lambda x, _: x.number),
    Column("col.rule", "text", 9, lambda x, _: x.rule),
    Column("col.rule_name", "text", 22, lambda x, w: w.rule(x.rule)),
    Column("col.rule_version", "text", 10, lambda x, _: x.rule_version),
    Column("col.severity", "text", 9, lambda x, w: w.code("findings.severity", x.severity)),
    Column("col.clue_state", "text", 12, lambda x, w: w.code("findings.state", x.state)),
    Column("col.confidence", "score", 9, lambda x, _: x.confidence),
    Column("col.plate", "text", 11, lambda x, _: x.plate),
    Column("col.order", "text", 18, lambda x, _: x.order_number),
    Column("col.start_at", "moment", 19, lambda x, _: _local(x.start_at)),
    Column("col.end_at", "moment", 19, lambda x, _: _local(x.end_at)),
    Column("col.detected_at", "moment", 19, lambda x, _: _local(x.detected_at)),
    Column("col.due_at", "moment", 19, lambda x, _: _local(x.due_at)),
)

UNITS: tuple[Column, ...] = (
    Column("col.holder", "text", 24, lambda x, w: w.pick(x["org"], "name")),
    Column("col.vehicles", "count", 10, lambda x, _: x["vehicles"]),
    Column("col.trips", "count", 10, lambda x, _: x["trips"]),
    Column("col.parts", "count", 10, lambda x, _: x["parts"]),
    Column("kind.matched", "count", 10, lambda x, _: x["matched"]),
    Column("kind.weak", "count", 10, lambda x, _: x["weak"]),
    Column("kind.ambiguous", "count", 10, lambda x, _: x["ambiguous"]),
    Column("kind.unmatched", "count", 10, lambda x, _: x["unmatched"]),
    Column("col.part_km", "km", 12, lambda x, _: _km(x["distance_m"])),
    Column("col.matched_share", "share", 12, lambda x, _: x["matched_share"]),
    Column("col.unmatched_share", "share", 12, lambda x, _: x["unmatched_share"]),
    Column("col.mean_coverage", "share", 12, lambda x, _: x["coverage"]),
    Column("col.low_coverage", "count", 14, lambda x, _: x["low_coverage"]),
    Column("col.ghosts", "count", 14, lambda x, _: x["ghosts"]),
    Column("col.clue_count", "count", 12, lambda x, _: x["clues"]),
)


def facts(report: Report, words: Words) -> list[tuple[str, str]]:
    """Return what a reader must know before the numbers, label by label."""
    calendar = (
        words.head("calendar_unknown", years="、".join(map(str, report.unknown_years)))
        if report.unknown_years
        else words.head("calendar_known")
    )
    return [
        (words.head("fact.unit"), words.pick(report.org, "name") or ""),
        (words.head("fact.period"), f"{report.period.start_on.isoformat()} – {report.period.end_on.isoformat()}"),
        (words.head("fact.as_of"), f"{clock.local(report.as_of):%Y-%m-%d %H:%M:%S} (UTC+8)"),
        (words.head("fact.reason"), report.reason),
        (words.head("fact.exporter"), report.exporter),
        (words.head("fact.version"), f"v{report.version}"),
        (words.head("fact.rules"), report.rules_version),
        (words.head("fact.calendar"), calendar),
        (words.head("fact.distance"), words.head("distance_basis", factor=ROAD_FACTOR)),
        (words.head("fact.scope"), words.head("scope_basis")),
        (words.head("fact.wording"), words.head("wording_basis")),
    ]


def write_csv(report: Report, file: BinaryIO, *, words: Words) -> None:
    """Write the trips as CSV: UTF-8 with a byte-order mark, heads, rows that end with who exported them and when; no totals."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
    mark = [report.exporter, f"{_local(report.as_of):%Y-%m-%d %H:%M:%S}"]
    heads = [words.head(text) for text in ("col.no", *(column.text for column in TRIPS), "fact.exporter", "fact.as_of")]
    lines = (
        [number, *(_csv(column.value(line, words)) for column in TRIPS), *mark]
        for number, line in enumerate(report.lines(), start=1)
    )
    sheets.write_csv(text, chain([heads], lines))
    text.detach()


def shown(value: Cell, kind: str) -> str:
    """Return a cell as a page shows it."""
    match value:
        case None:
            return "–"
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M")
        case float() | int() if kind == "km":
            return f"{value:,.1f}"
    return str(value)


def _csv(value: Cell) -> str | float:
    match value:
        case None:
            return ""
        case datetime():
            return value.strftime("%Y-%m-%d %H:%M:%S")
        case date():
            return value.isoformat()
    return value


class _Book:
    """A workbook with its formats; sheets are written from top to bottom, memory stays flat."""

    def __init__(self, file: BinaryIO, report: Report, words: Words) -> None:
        self.words = words
        self.mark = f"{report.exporter} {clock.local(report.as_of):%Y-%m-%d %H:%M}".replace("&", "&&")
        self.book = sheets.workbook(file, mark=sheets.mark(report.exporter, report.as_of))
        base: dict[str, Any] = {"font_name": "宋体", "font_size": 10, "valign": "vcenter"}
        self.formats = {kind: self.book.add_format(base | given) for kind, given in FORMATS.items()}
        self.quoted = self.book.add_format(base | {"quote_prefix": True})
        bold = base | {"bold": True}
        self.totals = {
            kind: self.book.add_format(bold | given | {"bg_color": "#FFF7E0"}) for kind, given in FORMATS.items()
        }
        self.head = self.book.add_format(
            bold | {"bg_color": "#E8EEF7", "text_wrap": True, "align": "center", "border": 1}
        )
        self.title = self.book.add_format(base | {"bold": True, "font_size": 14})
        self.label = self.book.add_format(bold)

    def put(self, sheet: Any, row: int, column: int, value: Cell, form: Any) -> None:
        """Write one cell as what it is."""
        sheets.put(sheet, row, column, value, form=form, quoted=self.quoted)

    def table(
        self, sheet: Any, top: int, columns: Sequence[Column], rows: Iterable[Any], totals: dict[str, Cell]
    ) -> int:
        """Write the 合计 row, the heads and the rows; returns the first free row."""
        words = self.words
        sheet.write_string(top, 0, words.head("total"), self.totals["text"])
        for at, column in enumerate(columns, start=1):
            sheet.write_blank(top, at, None, self.totals[column.kind])
            self.put(sheet, top, at, totals.get(column.text), self.totals[column.kind])
        sheet.set_row(top + 1, 30)
        for at, column in enumerate((_NUMBER, *columns)):
            sheet.write_string(top + 1, at, words.head(column.text), self.head)
        next_row = top + 2
        for number, row in enumerate(rows, start=1):
            sheet.write_number(next_row, 0, number, self.formats["count"])
            for at, column in enumerate(columns, start=1):
                self.put(sheet, next_row, at, column.value(row, words), self.formats[column.kind])
            next_row += 1
        return next_row

    def sign(self, sheet: Any) -> None:
        """Say on every printed page who exported it and when."""
        sheet.set_header(f'&R&"宋体,Regular"&9&K808080{self.words.head("fact.exporter")} {self.mark}')
        sheet.set_footer("&L&A&R&P / &N")

    def sheet(self, name: str, note: str, columns: Sequence[Column], frozen: int) -> Any:
        """Add a sheet with title and note in its first two rows, heads frozen in the fourth."""
        sheet = self.book.add_worksheet(self.words.head(name))
        for at, column in enumerate((_NUMBER, *columns)):
            sheet.set_column(at, at, column.width)
        sheet.freeze_panes(4, frozen)
        sheet.repeat_rows(3)
        sheet.set_landscape()
        sheet.set_paper(8)  # A3
        sheet.fit_to_pages(1, 0)
        self.sign(sheet)
        sheet.write_string(0, 0, self.words.head(name), self.title)
        sheet.write_string(1, 0, note, self.formats["text"])
        return sheet


_NUMBER = Column("col.no", "count", 7, lambda _x, _: None)


def write_xlsx(report: Report, file: BinaryIO, *, words: Words) -> None:
    """Write summary, trips, orders without a trip and clues as four sheets of an XLSX workbook.

    The trips, of which there may be a hundred thousand, are put into their sheet last, past the workbook library.
    """
    with tempfile.TemporaryFile() as frame:
        sample = _write_frame(report, frame, words)
        rows.spliced(frame, file, sheet=2, sample=sample, rows=_trip_rows(report, words))


def _trip_rows(report: Report, words: Words) -> Iterator[list[Cell]]:
    values = [column.value for column in TRIPS]
    for number, line in enumerate(report.lines(), start=1):
        yield [number, *(value(line, words) for value in values)]


def _write_frame(report: Report, file: BinaryIO, words: Words) -> int:
    """Write everything but the trips; returns the number of the sample row that stands for them."""
    book = _Book(file, report, words)
    book.book.set_properties({"title": words.head("title"), "author": report.exporter, "created": _local(report.as_of)})
    _summary(book, report)
    metres = sum(part.distance_m for part in report.parts)
    sheet = book.sheet("sheet.trips", words.head("distance_basis", factor=ROAD_FACTOR), TRIPS, 3)
    free = book.table(sheet, 2, TRIPS, (), {"col.plate": len(report.parts), "col.part_km": _km(metres)})
    for at, column in enumerate((_NUMBER, *TRIPS)):
        sheet.write_blank(free, at, None, book.formats[column.kind])
    sheet.write_blank(free, len(TRIPS) + 1, None, book.quoted)
    sheet = book.sheet("sheet.ghosts", words.head("ghosts_note"), GHOSTS, 2)
    book.table(sheet, 2, GHOSTS, report.ghosts, {"col.order": len(report.ghosts)})
    sheet = book.sheet("sheet.clues", words.head("wording_basis"), CLUES, 2)
    book.table(sheet, 2, CLUES, report.clues, {"col.clue": len(report.clues)})
    book.book.close()
    return free + 1


def _summary(book: _Book, report: Report) -> None:
    words = book.words
    sheet = book.book.add_worksheet(words.head("sheet.summary"))
    for at, column in enumerate((_NUMBER, *UNITS)):
        sheet.set_column(at, at, max(column.width, 14) if at == 0 else column.width)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    book.sign(sheet)
    sheet.write_string(0, 0, words.head("title"), book.title)
    row = 2
    for label, value in facts(report, words):
        sheet.write_string(row, 0, label, book.label)
        book.put(sheet, row, 1, value, book.formats["text"])
        row += 1
    units = unit_totals(report)
    row = book.table(sheet, row + 1, UNITS, units, unit_sums(units))
    row += 2
    sheet.write_string(row - 1, 0, words.head("by_rule"), book.label)
    for number, ((rule, state), count) in enumerate(sorted(by_rule(report.clues).items()), start=1):
        sheet.write_number(row, 0, number, book.formats["count"])
        book.put(sheet, row, 1, f"{rule} {words.rule(rule)}", book.formats["text"])
        book.put(sheet, row, 2, words.code("findings.state", state), book.formats["text"])
        book.put(sheet, row, 3, count, book.formats["count"])
        row += 1


def by_rule(clues: Sequence[Clue]) -> Counter[tuple[str, str]]:
    """Return how many clues there are of each rule in each state."""
    return Counter((clue.rule, clue.state) for clue in clues)


def unit_sums(units: Sequence[dict[str, Any]]) -> dict[str, Cell]:
    """Return the 合计 row over the units; shares are of all kilometres, not means of shares."""
    names = {"col.vehicles": "vehicles", "col.trips": "trips", "col.parts": "parts", "kind.matched": "matched",
             "kind.weak": "weak", "kind.ambiguous": "ambiguous", "kind.unmatched": "unmatched",
             "col.low_coverage": "low_coverage", "col.ghosts": "ghosts", "col.clue_count": "clues"}  # fmt: skip
    sums: dict[str, Cell] = {text: sum(unit[name] for unit in units) for text, name in names.items()}
    metres = sum(unit["distance_m"] for unit in units)
    sums["col.part_km"] = _km(metres)
    sums["col.matched_share"] = sum(unit["matched_m"] for unit in units) / metres if metres else None
    sums["col.unmatched_share"] = sum(unit["unmatched_m"] for unit in units) / metres if metres else None
    parts = sum(unit["parts"] for unit in units)
    covered = sum((unit["coverage"] or 0) * unit["parts"] for unit in units)
    sums["col.mean_coverage"] = covered / parts if parts else None
    return sums
