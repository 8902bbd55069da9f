"""Cells from facts: one statement for every source and kind of rows, whatever number of tables asks for it."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, any_, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.statistics import facts
from fleetapp.statistics.catalogue import ORG, Kind, parted, row_key, tables
from fleetapp.statistics.indicators import Definition, dictionary
from fleetapp.statistics.models import StatisticEntry
from fleetapp.statistics.rules import TOTAL, Content, Period, figure, number
from fleetapp.statistics.terms import Term

INDICATORS = "ind"
"""The part of a content that keeps numerators and denominators of indicators."""


@dataclass(frozen=True, slots=True)
class Over:
    """What is counted: some units, a period, up to ``now`` while that runs."""

    org_ids: Collection[int]
    period: Period
    now: datetime
    known: dict[str, FromClause] = field(default_factory=dict, compare=False, repr=False)

    def rows(self, session: Session, source: str) -> FromClause:
        """Return the facts of a source in the period; what it asks of the policies is read once."""
        if source not in self.known:
            self.known[source] = facts.rows(session, source, self.period, self.now)
        return self.known[source]

    def holds(self, rows: FromClause) -> ColumnElement[bool]:
        """Return the condition that facts belong to one of the units."""
        found: ColumnElement[bool] = rows.c.org_id == any_(literal(list(self.org_ids), ARRAY(BigInteger)))
        return found


def content(session: Session, over: Over, *, only: str | None = None) -> Content:
    """Return the base cells of all tables, or of ``only`` one without indicators; cells of nothing are left out."""
    rows = select(Organisation.id, Organisation.code).where(Organisation.id.in_(over.org_ids))
    codes = {row.id: row.code for row in session.execute(rows)}
    found: Content = {}
    totals: dict[Term, Any] = {}
    for source, cells in _asked(only).items():
        for axis, key, values in _groups(session, over, source, cells):
            if axis is None:
                totals |= {term: value for term, value in values.items() if isinstance(term, Term)}
                continue
            row = row_key(axis, codes[key] if axis == ORG else str(key or ""))
            for cell in cells:
                if cell.axis == axis and values[cell.wanted]:
                    _put(found.setdefault(cell.table, {}).setdefault(row, {}), cell.column, values[cell.wanted])
    if only is None:
        found[INDICATORS] = {
            one.code: {
                part: number(sum(totals[term] for term in terms))
                for part, terms in (("up", one.up), ("down", one.down))
            }
            for one in _summed_indicators()
        }
    _typed(session, over, found)
    return found


def _put(cells: dict[str, str], column: str, value: Any) -> None:
    """Put a value into a cell: a text as it is, a figure on top of what other terms gave."""
    cells[column] = value if isinstance(value, str) else number((figure(cells.get(column)) or 0) + value)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A term, or a dimension that is shown, asked for by a column for the rows of an axis; without table by an indicator."""

    table: str
    column: str
    axis: str | None
    wanted: Term | str


def _asked(only: str | None) -> dict[str, list[_Asked]]:
    """Return what all tables and indicators, or ``only`` one table, ask of every source."""
    found: dict[str, list[_Asked]] = defaultdict(list)
    for table in (tables()[only],) if only else tables().values():
        for column in table.columns:
            for axis in table.axes:
                for term in column.up:
                    if has_axis(term.source, axis):
                        found[term.source].append(_Asked(table.code, column.key, axis, term))
                if column.kind is Kind.TEXT:
                    found[column.text[0]].append(_Asked(table.code, column.key, axis, column.text[1]))
    for one in () if only else _summed_indicators():
        for term in (*one.up, *one.down):
            found[term.source].append(_Asked("", one.code, None, term))
    return found


def _summed_indicators() -> list[Definition]:
    return [one for one in dictionary().values() if one.how in {"ratio", "sum"}]


def has_axis(source: str, axis: str) -> bool:
    """Tell whether the facts of a source can be told apart by an axis."""
    return axis in {ORG, "label"} or axis in facts.SOURCES[source].dims


def _groups(
    session: Session, over: Over, source: str, cells: Sequence[_Asked]
) -> Iterator[tuple[str | None, Any, dict[Term | str, Any]]]:  # fmt: skip
    """Yield (axis, its value, what was asked) for every row, all axes in one pass over the facts; the whole has no axis."""
    rows = over.rows(session, source)
    axes = sorted({one.axis for one in cells if one.axis is not None})
    columns = [rows.c.org_id if axis == ORG else rows.c[axis] for axis in axes]
    terms = sorted({one.wanted for one in cells if isinstance(one.wanted, Term)})
    dims = sorted({one.wanted for one in cells if isinstance(one.wanted, str)})
    asked = [*(term.sum_of(rows) for term in terms), *(func.max(rows.c[dim]) for dim in dims)]
    query = select(*columns, *asked).where(over.holds(rows))
    if not axes:
        yield None, None, dict(zip((*terms, *dims), session.execute(query).one(), strict=True))
        return
    sets = func.grouping_sets(*(tuple_(column) for column in columns), tuple_())
    query = query.add_columns(func.grouping(*columns)).group_by(sets)
    # A bit is set for every column that a row is not grouped by, the first column's being the highest.
    whole = (1 << len(axes)) - 1
    place_of = {whole ^ (1 << (len(axes) - 1 - place)): place for place in range(len(axes))}
    for row in session.execute(query):
        values: dict[Term | str, Any] = dict(zip((*terms, *dims), row[len(axes) : -1], strict=True))
        place = place_of.get(row[-1])
        yield (None, None, values) if place is None else (axes[place], row[place], values)


def _typed(session: Session, over: Over, found: Content) -> None:
    """Add what was typed for these units, cell by cell the newest."""
    for row in session.scalars(entries(over.org_ids, over.period)):
        if row.value:
            column = tables()[row.form].by_key[row.column_key]
            cells = found.setdefault(row.form, {}).setdefault(row.row_key, {})
            cells[row.column_key] = number(figure(row.value)) if column.typed == "number" else row.value


def entries(org_ids: Collection[int], of: Period) -> Select[StatisticEntry]:
    """Return the typed cells of some units that are in force."""
    cell = (StatisticEntry.org_id, StatisticEntry.form, StatisticEntry.row_key, StatisticEntry.column_key)
    return (
        select(StatisticEntry)
        .where(StatisticEntry.period == of.code, StatisticEntry.org_id.in_(org_ids))
        .ext(distinct_on(*cell))
        .order_by(*cell, StatisticEntry.id.desc())
    )


# ---- what stands behind a cell -------------------------------------------------------------------------------------------


def behind(session: Session, over: Over, terms: Sequence[Term], row: str) -> list[Select[Any]]:
    """Return the facts that terms add up in a row, one SELECT for each term: common columns and ``value``, the latest first.

    The sum of ``value`` over all of them is the cell. ``row`` is a row's key or the total; a row of units is that of ``over``.
    """
    axis, value = parted(row) if row != TOTAL else ("", "")
    found = []
    for term in terms:
        rows = over.rows(session, term.source)
        amount = rows.c[term.measure]
        query = select(*(rows.c[name] for name in facts.COMMON), amount.label("value")).where(
            over.holds(rows), term.condition(rows), amount != 0
        )
        if axis and axis != ORG:
            query = query.where(func.coalesce(rows.c[axis], "") == value)
        found.append(query.order_by(rows.c.on.desc().nulls_last(), rows.c.label, rows.c.ref))
    return found
