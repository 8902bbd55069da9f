"""The report tables as data: which columns they have, what each adds up, what their rows are called (``catalogue.toml``)."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any

from fleetapp.statistics.terms import Term, parse

FILE = Path(__file__).parent / "catalogue.toml"
ORG = "org"
"""The axis whose rows are units."""


class Kind(StrEnum):
    """What a column's cells are."""

    SUM = "sum"
    FORMULA = "formula"
    SHARE = "share"
    TEXT = "text"
    TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Column:
    """A column; ``names`` and ``groups`` by language. ``typed`` is ``number``, ``text`` or ``choice`` of ``choices``.

    ``axis``: the rows that a typed column has cells in. ``words`` begins the texts of a dimension that is shown as it is.
    """

    key: str
    names: Mapping[str, str]
    groups: Mapping[str, str]
    kind: Kind
    unit: str
    up: tuple[Term, ...] = ()
    formula: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    scale: Decimal = Decimal(1)
    text: tuple[str, str] = ("", "")
    words: str = ""
    typed: str = ""
    choices: tuple[str, ...] = ()
    axis: str = ""
    total: bool = True
    required: bool = False

    @property
    def is_number(self) -> bool:
        """Tell whether its cells are figures."""
        return self.kind in {Kind.SUM, Kind.FORMULA, Kind.SHARE} or self.typed == "number"

    @property
    def stored(self) -> bool:
        """Tell whether a report keeps its cells; the others are reckoned from these."""
        return self.kind in {Kind.SUM, Kind.TEXT, Kind.TYPED}

    def has_cell(self, axis: str) -> bool:
        """Tell whether rows of an axis have a cell to be typed in."""
        return self.kind is Kind.TYPED and axis == self.axis


@dataclass(frozen=True, slots=True)
class Table:
    """A report table. ``each``: units are listed one by one, not added up by their branches."""

    code: str
    names: Mapping[str, str]
    notes: Mapping[str, str]
    axes: tuple[str, ...]
    columns: tuple[Column, ...]
    each: bool = False
    indicators: tuple[str, ...] = ()
    by_key: Mapping[str, Column] = field(default_factory=dict)

    @property
    def number(self) -> int:
        """Which table it is, from 1."""
        return int(self.code[1:])


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that an axis always has, and where their words begin."""

    words: str
    keys: tuple[str, ...]


def _column(row: Mapping[str, Any], first_axis: str) -> Column:
    common = {
        "key": row["key"], "names": {"zh": row["zh"], "en": row["en"]}, "groups": {"zh": row.get("group_zh", ""), "en": row.get("group_en", "")},
        "unit": row.get("unit", ""), "words": row.get("words", ""), "total": row.get("total", True),
        "required": row.get("required", False),
    }  # fmt: skip
    if "up" in row:
        return Column(**common, kind=Kind.SUM, up=parse(row["up"]))
    if "formula" in row:
        return Column(**common, kind=Kind.FORMULA, formula=tuple(row["formula"]))
    if "share" in row:
        over, under = row["share"]
        return Column(
            **common, kind=Kind.SHARE, over=tuple(over), under=tuple(under), scale=Decimal(row.get("scale", 1))
        )
    if "text" in row:
        source, _, dim = row["text"].partition(".")
        return Column(**common, kind=Kind.TEXT, text=(source, dim))
    choices = tuple(row["typed"]) if isinstance(row["typed"], list) else ()
    typed = "choice" if choices else row["typed"]
    return Column(**common, kind=Kind.TYPED, typed=typed, choices=choices, axis=row.get("axis", first_axis))


@functools.cache
def _file() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


@functools.cache
def tables() -> dict[str, Table]:
    """Return all tables by code, T1 first."""
    found = {}
    for code, row in _file().items():
        if code == "rows":
            continue
        columns = tuple(_column(one, row["axes"][0]) for one in row["columns"])
        found[code] = Table(
            code, {"zh": row["zh"], "en": row["en"]}, {"zh": row.get("note_zh", ""), "en": row.get("note_en", "")}, tuple(row["axes"]), columns,
            row.get("each", False), tuple(row.get("indicators", ())), {column.key: column for column in columns},
        )  # fmt: skip
    return found


@functools.cache
def fixed_rows() -> dict[str, Rows]:
    """Return the rows of every axis that has fixed ones."""
    return {axis: Rows(row["words"], tuple(row["keys"])) for axis, row in _file()["rows"].items()}


def row_key(axis: str, value: str) -> str:
    """Return the key of a row in a report's content."""
    return f"{axis}={value}"


def parted(key: str) -> tuple[str, str]:
    """Return axis and value of a row's key."""
    axis, _, value = key.partition("=")
    return axis, value
