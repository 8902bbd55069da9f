"""The figures of a time, put together for the page, the workbook and the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.spans import Span
from fleetapp.pool import queries, rules
from fleetapp.pool.queries import Levels, Missed
from fleetapp.pool.rules import Balance, Saved, Unmet

USUAL_DAYS = 28


@dataclass(frozen=True, slots=True)
class Figures:
    """Days ``[start_on, end_on)``: what was not served, what sharing saved, each level's balance."""

    start_on: date
    end_on: date
    levels: Levels
    missed: Sequence[Missed]
    saved: Mapping[str, Saved]
    balances: Sequence[Balance]

    @property
    def weeks(self) -> list[date]:
        """The Mondays of the weeks touched."""
        first, last = rules.week_of(self.start_on), rules.week_of(self.end_on - timedelta(days=1))
        return [first + timedelta(days=7 * n) for n in range((last - first).days // 7 + 1)]

    def missed_at(self, path: str, body: str | None = None) -> dict[str, int]:
        """Return how many orders of a level (and body) went without a vehicle, each way; every way is there."""
        rows = [one for one in self.missed if one.pool == path and body in {None, one.order.body}]
        return {how.value: sum(one.how is how for one in rows) for how in Unmet}

    def bodies_missed(self) -> list[str]:
        """Return the bodies that were asked for in vain."""
        return sorted({one.order.body for one in self.missed})


def days_of(start_on: date | None, last_on: date | None, today: date) -> tuple[date, date]:
    """Return the half-open days asked for: four weeks to today when nothing was said."""
    end = (last_on or today) + timedelta(days=1)
    return start_on or end - timedelta(days=USUAL_DAYS), end


def over(session: Session, *, actor: Actor, start_on: date, end_on: date, now: datetime) -> Figures:
    """Return the figures of the days ``[start_on, end_on)`` as far as the actor reaches."""
    found = queries.levels(session, actor=actor)
    span = Span(clock.start_of(start_on), clock.start_of(end_on))
    uses = queries.uses(session, actor=actor, span=span)
    return Figures(
        start_on, end_on, found, queries.unmet(session, actor=actor, span=span, now=now, found=found),
        rules.saved(uses, districts=found.districts),
        rules.balances(
            uses, queries.holders(session, actor=actor), districts=found.districts, paths=[org.path for org in found.orgs]
        ),
    )  # fmt: skip
