"""What a cell or an indicator adds up: terms like ``cost.amount kind=fuel|charging``, several of them joined by ``+``."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, func, true

from fleetapp.statistics.facts import SOURCES


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """A measure of a source, of the facts whose dimensions have one of the values named."""

    source: str
    measure: str
    where: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def condition(self, facts: FromClause) -> ColumnElement[bool]:
        """Return the condition of the facts that count."""
        return and_(true(), *(facts.c[dim].in_(values) for dim, values in self.where))

    def sum_of(self, facts: FromClause) -> ColumnElement[Any]:
        """Return the sum over the facts that count, 0 where there are none."""
        total: Any = func.sum(facts.c[self.measure])
        return func.coalesce(total.filter(self.condition(facts)) if self.where else total, 0)


def parse(text: str) -> tuple[Term, ...]:
    """Return the terms of an expression.

    :raises ValueError: no such source, measure or dimension; the catalogues are checked by a test.
    """
    found = []
    for part in text.split(" + "):
        name, *conditions = part.split()
        source, _, measure = name.partition(".")
        known = SOURCES.get(source)
        if known is None or measure not in known.measures:
            raise ValueError(f"{text!r}: no measure {name!r}")
        where = []
        for condition in conditions:
            dim, _, values = condition.partition("=")
            if dim not in known.dims:
                raise ValueError(f"{text!r}: {source} has no dimension {dim!r}")
            where.append((dim, tuple(values.split("|"))))
        found.append(Term(source, measure, tuple(where)))
    return tuple(found)
