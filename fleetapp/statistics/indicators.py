"""The indicator dictionary: what each indicator is, and its value over a part of the organisation tree and a period."""

import functools
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, func, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.statistics import facts
from fleetapp.statistics.rules import Period, share
from fleetapp.statistics.terms import Term, parse

HERE = Path(__file__).parent
QUANTILES = {"median": 0.5, "p90": 0.9, "p95_hour": 0.95}


@dataclass(frozen=True, slots=True)
class Definition:
    """An indicator of the dictionary; ``names`` and ``formulas`` by language, ``unit`` a text ``statistics.unit.*``."""

    code: str
    names: Mapping[str, str]
    formulas: Mapping[str, str]
    unit: str
    scale: int
    how: str
    up: tuple[Term, ...]
    down: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Indicator:
    """A value with what it was reckoned from, as of a moment; ``value`` is None where nothing stands below the line.

    For a median or a percentile the numerator is the value and the denominator the number of facts.
    """

    code: str
    value: Decimal | None
    numerator: Decimal
    denominator: Decimal | None
    unit: str
    as_of: datetime


@functools.cache
def dictionary() -> dict[str, Definition]:
    """Return all indicators by code, in the order of the dictionary."""
    rows = tomllib.loads((HERE / "indicators.toml").read_text(encoding="utf-8"))
    return {
        code: Definition(
            code, {"zh": row["zh"], "en": row["en"]}, {"zh": row["formula_zh"], "en": row["formula_en"]}, row["unit"], row.get("scale", 1),
            row.get("how", "ratio"), parse(row["up"]), parse(row["down"]) if "down" in row else (),
        ) for code, row in rows.items()
    }  # fmt: skip


def inside(facts_: FromClause, scope: str) -> ColumnElement[bool]:
    """Return the condition that facts belong to a unit at or below a place in the tree."""
    below = select(Organisation.id).where(Organisation.path.startswith(scope, autoescape=True))
    found: ColumnElement[bool] = facts_.c.org_id.in_(below)
    return found


def compute(
    session: Session, codes: Collection[str], scope: str, period: Period, now: datetime
) -> dict[str, Indicator]:
    """Return indicators over the units at or below ``scope``, a path in the tree, as far as the transaction's scope reaches.

    One statement for each source of facts. ``now`` bounds a period that still runs.

    :raises KeyError: no such code.
    """
    wanted = [dictionary()[code] for code in codes]
    sums = _sums(
        session,
        {term for one in wanted if one.how in {"ratio", "sum"} for term in (*one.up, *one.down)},
        scope,
        period,
        now,
    )
    quantiles = _quantiles(session, [one for one in wanted if one.how in {"median", "p90"}], scope, period, now)
    quantiles |= {one.code: _of_hours(session, one, scope, period, now) for one in wanted if one.how == "p95_hour"}
    as_of = min(now, facts.end_of(period))
    found = {}
    for one in wanted:
        if one.how in QUANTILES:
            numerator, number = quantiles[one.code]
            value = None if numerator is None else _rounded(numerator * one.scale)
            found[one.code] = Indicator(
                one.code, value, _rounded(numerator or Decimal(0)), Decimal(number), one.unit, as_of
            )
            continue
        up, down = (sum((sums[term] for term in terms), Decimal(0)) for terms in (one.up, one.down))
        if one.how == "sum":
            found[one.code] = Indicator(one.code, _rounded(up), up, None, one.unit, as_of)
        else:
            found[one.code] = Indicator(one.code, share(up, down, Decimal(one.scale)), up, down, one.unit, as_of)
    return found


def _rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.0001"))


def _sums(session: Session, terms: Collection[Term], scope: str, period: Period, now: datetime) -> dict[Term, Decimal]:
    """Return the sum of each term, asked of each source at once."""
    found: dict[Term, Decimal] = {}
    for source in sorted({term.source for term in terms}):
        rows, mine = facts.rows(session, source, period, now), sorted(term for term in terms if term.source == source)
        sums = [term.sum_of(rows) for term in mine]
        values = session.execute(select(*sums).where(inside(rows, scope))).one()
        found |= {term: Decimal(value) for term, value in zip(mine, values, strict=True)}
    return found


Quantile = tuple[Decimal | None, int]
"""Its value, and of how many facts."""


def _quantiles(
    session: Session, wanted: Collection[Definition], scope: str, period: Period, now: datetime
) -> dict[str, Quantile]:
    """Return quantiles of single facts by code, asked of each source at once: reckoning the facts is what takes time."""
    found: dict[str, Quantile] = {}
    for source in sorted({one.up[0].source for one in wanted}):
        rows, mine = facts.rows(session, source, period, now), [one for one in wanted if one.up[0].source == source]
        columns: list[Any] = []
        for one in mine:
            (up,) = one.up
            value = rows.c[up.measure]
            counts = and_(up.condition(rows), value.is_not(None))
            columns += [
                func.percentile_cont(QUANTILES[one.how]).within_group(value).filter(counts),
                func.count().filter(counts),
            ]
        said = iter(session.execute(select(*columns).where(inside(rows, scope))).one())
        found |= {
            one.code: _read(value, number)
            for one, (value, number) in zip(mine, zip(said, said, strict=True), strict=True)
        }
    return found


def _of_hours(session: Session, one: Definition, scope: str, period: Period, now: datetime) -> Quantile:
    """Return the quantile of the hours' shares."""
    (up,), (down,) = one.up, one.down
    rows = facts.rows(session, up.source, period, now)
    share_ = func.sum(rows.c[up.measure]) / func.nullif(func.sum(rows.c[down.measure]), 0)
    asked = select(share_.label("value")).where(inside(rows, scope)).group_by(rows.c.hour).subquery()
    quantile = func.percentile_cont(QUANTILES[one.how]).within_group(asked.c.value)
    return _read(*session.execute(select(quantile, func.count(asked.c.value))).one())


def _read(value: Any, number: int) -> Quantile:
    return (None if value is None else Decimal(str(value))), number
