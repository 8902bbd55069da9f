"""Shares of new energy by year, and what a plan may be asked for: values in, values or ``RuleBroken`` out."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import NEV

LONGEST_YEARS = 10


@dataclass(frozen=True, slots=True)
class Held:
    """A vehicle's energy and how long it was (or is) in the fleet: ``[since, until)``, ``until`` None for today's."""

    energy: str
    since: date
    until: date | None


@dataclass(frozen=True, slots=True)
class YearShare:
    """Stock at the end of a year (or on the day asked for) and what was registered in it, all and new energy."""

    year: int
    stock: int
    stock_nev: int
    bought: int
    bought_nev: int

    @property
    def stock_share(self) -> float | None:
        """Share of new energy in the stock (电动化率)."""
        return self.stock_nev / self.stock if self.stock else None

    @property
    def bought_share(self) -> float | None:
        """Share of new energy among the year's registrations (新能源更新占比)."""
        return self.bought_nev / self.bought if self.bought else None


def shares(vehicles: Iterable[Held], *, first_year: int, today: date) -> list[YearShare]:
    """Return the shares of every year up to today's, the last one as of today."""
    held, nev = list(vehicles), {energy.value for energy in NEV}
    found = []
    for year in range(first_year, today.year + 1):
        last = min(today, date(year, 12, 31))
        stock = [one for one in held if one.since <= last and (one.until is None or one.until > last)]
        bought = [one for one in held if one.since.year == year and one.since <= today]
        found.append(YearShare(
            year, len(stock), sum(one.energy in nev for one in stock), len(bought), sum(one.energy in nev for one in bought)
        ))  # fmt: skip
    return found


def check_asked(*, years: int, budget: Decimal, stock_share: Decimal, bought_share: Decimal) -> None:
    """Refuse a plan that cannot be meant.

    :raises RuleBroken: ``renewal.years_range``, ``renewal.budget``, ``renewal.share_range``.
    """
    if not 1 <= years <= LONGEST_YEARS:
        raise RuleBroken("renewal.years_range", most=LONGEST_YEARS)
    if budget < 0:
        raise RuleBroken("renewal.budget")
    if not (0 <= stock_share <= 1 and 0 <= bought_share <= 1):
        raise RuleBroken("renewal.share_range")
