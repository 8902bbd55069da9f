"""Periods, states, and what is done with the figures of a report: values in, values or ``RuleBroken`` out.

A report's content maps a table to its rows and their base cells: ``{"t02": {"JYTX": {"quota": "3"}}}``. Figures are decimal texts.
Every base cell is a sum, so that the content of a higher level is the sum of those below; shares are reckoned when shown.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken

Content = dict[str, dict[str, dict[str, str]]]
ZERO = Decimal(0)
TOTAL = "*"
"""The row that sums all rows of a table."""


class PeriodKind(StrEnum):
    """How long a report reaches."""

    MONTH = "month"
    QUARTER = "quarter"
    HALF = "half"
    YEAR = "year"


MONTHS: Mapping[PeriodKind, int] = {
    PeriodKind.MONTH: 1,
    PeriodKind.QUARTER: 3,
    PeriodKind.HALF: 6,
    PeriodKind.YEAR: 12,
}
CODE = re.compile(r"(20\d\d)(?:(-(\d\d))|(Q([1-4]))|(H([12])))?")


@dataclass(frozen=True, slots=True)
class Period:
    """The office's days ``[first, until)``. Its code is ``2026``, ``2026H1``, ``2026Q3`` or ``2026-11``."""

    kind: PeriodKind
    first: date
    until: date

    @property
    def code(self) -> str:
        """The short name."""
        number = (self.first.month - 1) // MONTHS[self.kind] + 1
        ends = {
            PeriodKind.MONTH: f"-{number:02}",
            PeriodKind.QUARTER: f"Q{number}",
            PeriodKind.HALF: f"H{number}",
            PeriodKind.YEAR: "",
        }
        return f"{self.first.year}{ends[self.kind]}"  # fmt: skip

    @property
    def last_on(self) -> date:
        """The last day."""
        return self.until - timedelta(days=1)

    def upto(self, now: datetime) -> date:
        """Return the first day that is not counted: the end, or tomorrow while the period runs; never before the first day."""
        return max(min(self.until, clock.local_date(now) + timedelta(days=1)), self.first)

    def is_over(self, now: datetime) -> bool:
        """Tell whether its last day has passed."""
        return clock.local_date(now) >= self.until

    def before(self) -> "Period":
        """Return the period of the same kind that ends where this one begins."""
        return of(self.kind, self.first - timedelta(days=1))


def of(kind: PeriodKind, on: date) -> Period:
    """Return the period of a kind that holds a day."""
    months = MONTHS[kind]
    first = date(on.year, (on.month - 1) // months * months + 1, 1)
    end = first.month + months
    return Period(kind, first, date(first.year + (end > 12), end - 12 if end > 12 else end, 1))


def period(code: str) -> Period:
    """Return the period of a code.

    :raises RuleBroken: ``statistics.period``.
    """
    found = CODE.fullmatch(code)
    if found is None:
        raise RuleBroken("statistics.period", given=code)
    year, month, quarter, half = int(found[1]), found[3], found[5], found[7]
    if month:
        if not 1 <= int(month) <= 12:
            raise RuleBroken("statistics.period", given=code)
        return of(PeriodKind.MONTH, date(year, int(month), 1))
    if quarter:
        return of(PeriodKind.QUARTER, date(year, int(quarter) * 3, 1))
    return of(PeriodKind.HALF, date(year, int(half) * 6, 1)) if half else of(PeriodKind.YEAR, date(year, 1, 1))


# ---- reports ------------------------------------------------------------------------------------------------------------


class ReportState(StrEnum):
    """Where a report stands. After SUBMITTED its figures change by numbered corrections only."""

    DRAFT = "DRAFT"
    CHECKED = "CHECKED"
    SUBMITTED = "SUBMITTED"


class Action(StrEnum):
    """What moves a report."""

    OPEN = "open"
    CHECK = "check"
    REOPEN = "reopen"
    SUBMIT = "submit"
    CORRECT = "correct"


_S, _A = ReportState, Action
TRANSITIONS: Mapping[tuple[ReportState, Action], ReportState] = {
    (_S.DRAFT, _A.CHECK): _S.CHECKED,
    (_S.CHECKED, _A.CHECK): _S.CHECKED,
    (_S.CHECKED, _A.REOPEN): _S.DRAFT,
    (_S.CHECKED, _A.SUBMIT): _S.SUBMITTED,
    (_S.SUBMITTED, _A.CORRECT): _S.SUBMITTED,
}


def next_state(state: str, action: Action) -> ReportState:
    """Return where an action leads.

    :raises RuleBroken: ``statistics.wrong_step``.
    """
    after = TRANSITIONS.get((ReportState(state), action))
    if after is None:
        raise RuleBroken("statistics.wrong_step", state={"text": f"statistics.state.{state}"})
    return after


REASON_MIN = 4


def reason(text: str) -> str:
    """Return a reason without blanks around it.

    :raises RuleBroken: ``statistics.reason``.
    """
    found = text.strip()
    if len(found) < REASON_MIN:
        raise RuleBroken("statistics.reason")
    return found


# ---- figures ------------------------------------------------------------------------------------------------------------


def number(value: Decimal | float | None) -> str:
    """Return a figure as a report keeps it: no exponent, no zeros at the end, at most six places."""
    found = Decimal(str(value or 0)).quantize(Decimal("0.000001"))
    text = f"{found:f}".rstrip("0").rstrip(".")
    return "0" if text in {"", "-0"} else text


def figure(text: str | None) -> Decimal | None:
    """Return the figure that a text is, None for another text or nothing."""
    if text is None:
        return None
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def together(parts: Iterable[Content]) -> Content:
    """Return the sum of contents cell by cell; what is no figure is kept where all parts say the same, else left out."""
    found: Content = {}
    differing: set[tuple[str, str, str]] = set()
    for part in parts:
        for table, rows in part.items():
            for row, cells in rows.items():
                into = found.setdefault(table, {}).setdefault(row, {})
                for column, value in cells.items():
                    mine, theirs = figure(into.get(column)), figure(value)
                    if column not in into:
                        into[column] = value
                    elif mine is not None and theirs is not None:
                        into[column] = number(mine + theirs)
                    elif into[column] != value:
                        differing.add((table, row, column))
    for table, row, column in differing:
        found[table][row][column] = ""
    return found


@dataclass(frozen=True, slots=True)
class Change:
    """A cell that is not what it was; None where one side does not have it."""

    table: str
    row: str
    column: str
    before: str | None
    after: str | None


def changes(before: Content, after: Content) -> list[Change]:
    """Return the cells that differ; a cell that is missing on one side counts as nothing when the other is 0 or empty."""
    found = []
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table, {}), after.get(table, {})
        for row in sorted(old.keys() | new.keys()):
            was, now = old.get(row, {}), new.get(row, {})
            for column in sorted(was.keys() | now.keys()):
                one, two = was.get(column), now.get(column)
                if one != two and not {one, two} <= {None, "0", ""}:
                    found.append(Change(table, row, column, one, two))
    return found


def reckoned(formula: Sequence[str], cells: Mapping[str, Decimal | None]) -> Decimal:
    """Return the sum of the columns a formula names, those with ``-`` before them taken off."""
    total = Decimal(0)
    for name in formula:
        value = cells.get(name.removeprefix("-")) or Decimal(0)
        total += -value if name.startswith("-") else value
    return total


def share(numerator: Decimal, denominator: Decimal, scale: Decimal = Decimal(1)) -> Decimal | None:
    """Return one over the other times ``scale``, None over nothing."""
    return None if denominator == 0 else (numerator / denominator * scale).quantize(Decimal("0.0001"))
