"""What a draft would have cost for last month's journeys, beside what is in force.

The journeys lie in slices above this one; ``wiring`` puts the function that reads them into ``SOURCES``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.pricing import queries, rules
from fleetapp.pricing.models import PriceBook
from fleetapp.pricing.rules import ZERO, Use


@dataclass(frozen=True, slots=True)
class Past:
    """A journey made, with the body type that drove and the path of its holder."""

    use: Use
    body: str
    org_path: str


@dataclass(slots=True)
class Effect:
    """Sums over the journeys of a body type, CNY; a journey that one of the two books does not price is a gap."""

    journeys: int = 0
    before: Decimal = ZERO
    after: Decimal = ZERO
    gaps: int = 0


SOURCES: list[Callable[..., Sequence[Past]]] = []
"""Each: ``source(session, actor=, start=, end=)`` gives the paid journeys that ended in ``[start, end)``."""


def last_month(today: date) -> tuple[datetime, datetime]:
    """Return ``[start, end)`` of the month before a day."""
    this = today.replace(day=1)
    before = (this - rules.DAY).replace(day=1)
    return clock.start_of(before), clock.start_of(this)


def effect(session: Session, *, book: PriceBook, actor: Actor, today: date) -> dict[str, Effect]:
    """Return last month's sums by body type, as they are in force today and by a book; the draft counts as in force below it."""
    start, end = last_month(today)
    found: dict[str, Effect] = {}
    by_body = {rate.body: rate for rate in book.rates}
    for past in (past for source in SOURCES for past in source(session, actor=actor, start=start, end=end)):
        if not past.org_path.startswith(book.org.path):
            continue
        one = found.setdefault(past.body, Effect())
        one.journeys += 1
        before = queries.price(session, use=past.use, body=past.body, on=today, org_path=past.org_path)
        rate = by_body.get(past.body)
        try:
            holidays = queries.holidays(session, past.use.start_at, past.use.end_at)
            after = rules.fee(past.use, rate.prices, book.terms, holidays=holidays) if rate else None
        except RuleBroken:
            after = None
        if after is None or isinstance(before, queries.Gap):
            one.gaps += 1
            continue
        one.before += before.total
        one.after += after.total
    return dict(sorted(found.items()))
