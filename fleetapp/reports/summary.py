"""The compliance report as a PDF summary: totals, charts and what a reader must know; rows are for XLSX.

It is written by the scheduler too, so its template needs no request: every word comes from ``words``.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import jinja2
from markupsafe import Markup

from fleetapp.kit import clock
from fleetapp.reports.drawing import columns_svg
from fleetapp.reports.exports import UNITS, Column, Words, by_rule, facts, unit_sums
from fleetapp.reports.service import Report, unit_totals
from fleetapp.web import pdf

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates" / "reports"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
MOST_UNITS = 12
"""Columns of a chart; the table has them all."""
BLUE, GREEN, RED = "#206bc4", "#0ca678", "#d63939"


def write_pdf(report: Report, file: BinaryIO, *, words: Words) -> None:
    """Write the summary of a report as PDF."""
    units = unit_totals(report)
    rows = [[_shown(column.value(unit, words), column) for column in UNITS] for unit in units]
    sums = unit_sums(units)
    html = PAGES.get_template("summary.html").render(
        head=words.head, lang=words.lang, report=report, facts=facts(report, words), heads=[(words.head(c.text), c.kind) for c in UNITS],
        rows=rows, sums=[_shown(sums.get(column.text), column) for column in UNITS], charts=_charts(report, units, words),
        clues=[(f"{rule} {words.rule(rule)}", words.code("findings.state", state), count) for (rule, state), count in sorted(by_rule(report.clues).items())],
        at=f"{clock.local(report.as_of):%Y-%m-%d %H:%M}",
    )  # fmt: skip
    pdf.write(html, file)


def _shown(value: Any, column: Column) -> str:
    """Return a cell as the workbook's number format would show it."""
    if value is None:
        return ""
    match column.kind:
        case "km":
            return f"{value:,.1f}"
        case "share":
            return f"{value:.1%}"
        case "count":
            return f"{value:,}"
    return str(value)


def _charts(report: Report, units: Sequence[dict[str, Any]], words: Words) -> list[tuple[str, Markup]]:
    """Return the charts with their titles; one without anything to show is left out."""
    most = sorted((unit for unit in units if unit["distance_m"]), key=lambda unit: -unit["distance_m"])[:MOST_UNITS]
    named = [str(words.pick(unit["org"], "name")) for unit in most]
    days = Counter(clock.local_date(clue.start_at) for clue in report.clues)
    rules = Counter(clue.rule for clue in report.clues).most_common(MOST_UNITS)
    series = (
        ("chart_units_km", BLUE, named, [unit["distance_m"] / 1000 for unit in most]),
        ("chart_matched", GREEN, named, [100 * unit["matched_share"] for unit in most]),
        ("chart_rules", RED, [rule for rule, _ in rules], [float(count) for _, count in rules]),
        ("chart_days", RED, [f"{on:%m-%d}" for on in sorted(days)], [float(days[on]) for on in sorted(days)]),
    )
    return [
        (words.head(title), Markup(columns_svg(values, labels=_short(labels), titles=labels, colour=colour, title=words.head(title))))  # noqa: S704 -- drawn and escaped by us
        for title, colour, labels, values in series if any(values)
    ]  # fmt: skip


def _short(labels: Sequence[str]) -> list[str]:
    """Return labels that fit under a column: of many only some."""
    step = 1 + len(labels) // 16
    return [
        f"{label[:6]}…" if len(label) > 7 else label if place % step == 0 else "" for place, label in enumerate(labels)
    ]
