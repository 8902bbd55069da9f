"""Tables laid out for a page or a sheet: heads over several rows, the total first, units added up by branch, shares reckoned."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fleetapp.statistics.catalogue import ORG, Column, Kind, Table, fixed_rows, parted, row_key
from fleetapp.statistics.rules import TOTAL, Content, figure, reckoned, share

Value = Decimal | str | None
Words = Callable[[str], str]
"""Says a text in the language of the sheet."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as tables show it: its path in the tree and its name in the language of the sheet."""

    code: str
    path: str
    name: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row: its key in the content, what it is called, how deep it stands, its cells by column."""

    key: str
    label: str
    axis: str
    cells: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Head:
    """A cell of the heads: columns ``[first, last]`` of row 0 or 1, or both rows when there is nothing above or below."""

    text: str
    first: int
    last: int
    top: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table laid out; the first row is the total. ``blocks`` are the rows' beginnings by axis, for tables with several."""

    table: Table
    rows: Sequence[Row]
    heads: Sequence[Head]

    @property
    def total(self) -> Row:
        """The row that sums the others."""
        return self.rows[0]


def heads(table: Table, lang: str) -> list[Head]:
    """Return the heads of the columns; neighbours of one group stand below its name. Column 0 is the rows' name."""
    found: list[Head] = []
    for place, column in enumerate(table.columns, start=1):
        group = column.groups[lang]
        if not group:
            found.append(Head(column.names[lang], place, place, 0, 1))
            continue
        above = next(
            (one for one in found if one.text == group and one.top == one.bottom == 0 and one.last == place - 1), None
        )
        if above is None:
            found.append(Head(group, place, place, 0, 0))
        else:
            found[found.index(above)] = Head(group, above.first, place, 0, 0)
        found.append(Head(column.names[lang], place, place, 1, 1))
    return found


def laid_out(table: Table, content: Content, *, top: Unit, units: Mapping[str, Unit], words: Words, lang: str) -> Sheet:
    """Return a table of a content as seen from the unit ``top``: units below it are added up by its branches."""
    rows = content.get(table.code, {})
    by_axis: dict[str, dict[str, dict[str, str]]] = {axis: {} for axis in table.axes}
    for key, cells in rows.items():
        axis, value = parted(key)
        if axis not in by_axis:
            continue
        if axis == ORG and not table.each:
            value = branch(value, top, units)
        into = by_axis[axis].setdefault(value, {})
        _add(table, into, cells)
    total = _summed(table, by_axis[table.axes[0]])
    for column in table.columns:
        if column.axis not in {"", table.axes[0]}:
            total |= {key: value for key, value in _summed(table, by_axis[column.axis]).items() if key == column.key}
    found = [_row(table, TOTAL, words("statistics.total"), "", total, total=True)]
    for axis in table.axes:
        for value in _ordered(axis, by_axis[axis], units, top, table):
            called = units[value].name if axis == ORG and value in units else label(axis, value, words)
            found.append(_row(table, row_key(axis, value), called, axis, by_axis[axis].get(value, {})))
    return Sheet(table, found, heads(table, lang))


def branch(code: str, top: Unit, units: Mapping[str, Unit]) -> str:
    """Return the code of the child of ``top`` on the way to a unit; of ``top`` itself, or of one unknown, its own."""
    unit = units.get(code)
    if unit is None or not unit.path.startswith(top.path) or unit.path == top.path:
        return code
    child = f"{top.path}{unit.path[len(top.path) :].split('/')[0]}/"
    return next((one.code for one in units.values() if one.path == child), code)


def _add(table: Table, into: dict[str, str], cells: Mapping[str, str]) -> None:
    for key, value in cells.items():
        column = table.by_key.get(key)
        mine, theirs = figure(into.get(key)), figure(value)
        if column is not None and column.is_number and mine is not None and theirs is not None:
            into[key] = f"{mine + theirs:f}"
        else:
            into.setdefault(key, value)


def _summed(table: Table, rows: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for cells in rows.values():
        _add(
            table,
            found,
            {key: value for key, value in cells.items() if key in table.by_key and table.by_key[key].is_number},
        )
    return found


def _ordered(axis: str, rows: Mapping[str, object], units: Mapping[str, Unit], top: Unit, table: Table) -> list[str]:
    if axis == ORG:
        wanted = dict.fromkeys(rows)
        if not wanted and table.columns:
            wanted = {top.code: None}
        return sorted(wanted, key=lambda code: (units[code].path if code in units else "~", code))
    fixed = fixed_rows()[axis].keys if axis in fixed_rows() else ()
    return [*fixed, *sorted(value for value in rows if value not in fixed)]


def label(axis: str, value: str, words: Words) -> str:
    """Return what a row of an axis is called; a value the axis does not know is shown as it is."""
    if axis in fixed_rows() and value in fixed_rows()[axis].keys:
        return words(f"{fixed_rows()[axis].words}.{value}")
    return value or words("statistics.unknown")


def _row(table: Table, key: str, called: str, axis: str, cells: Mapping[str, str], *, total: bool = False) -> Row:
    figures = {column.key: figure(cells.get(column.key)) for column in table.columns if column.is_number}
    shown: dict[str, Value] = {}
    for column in table.columns:
        if total and not (column.is_number and column.total):
            shown[column.key] = None
        else:
            shown[column.key] = _value(column, cells, figures)
    return Row(key, called, axis, shown)


def _value(column: Column, cells: Mapping[str, str], figures: dict[str, Decimal | None]) -> Value:
    match column.kind:
        case Kind.SUM:
            return figures[column.key] or Decimal(0)
        case Kind.FORMULA:
            found = reckoned(column.formula, figures)
            figures[column.key] = found
            return found
        case Kind.SHARE:
            return share(reckoned(column.over, figures), reckoned(column.under, figures), column.scale)
        case Kind.TYPED if column.typed == "number":
            return figures[column.key]
    return cells.get(column.key) or None
