"""What sharing comes to: hours by holder and by user, journeys served by others' vehicles, what renting would have cost."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum

from fleetapp.sharing.rules import pool_of


class Unmet(StrEnum):
    """How an approved order went without an official vehicle."""

    WAITING = "waiting"
    LAPSED = "lapsed"
    OUTSOURCED = "outsourced"


@dataclass(frozen=True, slots=True)
class Use:
    """One journey: whose vehicle, for whom (tree paths), hours of its window, planned km, price of renting instead in CNY."""

    holder_path: str
    user_path: str
    hours: float
    km: float
    rental: Decimal


@dataclass(slots=True)
class Balance:
    """A level's two sides: what its ``vehicles`` did, whose quota is here, and what its units used, whosever the vehicle."""

    path: str
    vehicles: int = 0
    hours_held: float = 0.0
    hours_lent: float = 0.0
    hours_used: float = 0.0
    hours_borrowed: float = 0.0


@dataclass(slots=True)
class Saved:
    """Journeys in another unit's vehicle: how many, planned km, what renting would have cost in CNY."""

    orders: int = 0
    km: float = 0.0
    rental: Decimal = Decimal(0)

    def add(self, use: Use) -> None:
        """Count a journey."""
        self.orders += 1
        self.km += use.km
        self.rental += use.rental


def balances(
    uses: Iterable[Use], vehicles: Iterable[str], *, districts: Collection[str], paths: Iterable[str]
) -> list[Balance]:
    """Return each level's balance, in the order of ``paths``; ``vehicles`` are the holders' paths, one for each vehicle.

    The sum of hours by holder is the sum by user, and what is lent is what is borrowed, whatever the journeys.
    """
    found = {path: Balance(path) for path in paths}

    def at(path: str) -> Balance:
        pool = pool_of(path, districts)
        return found.setdefault(pool, Balance(pool))

    for path in vehicles:
        at(path).vehicles += 1
    for use in uses:
        holder, user = at(use.holder_path), at(use.user_path)
        holder.hours_held += use.hours
        user.hours_used += use.hours
        if holder is not user:
            holder.hours_lent += use.hours
            user.hours_borrowed += use.hours
    return list(found.values())


def saved(uses: Iterable[Use], *, districts: Collection[str]) -> dict[str, Saved]:
    """Return what other units' vehicles served: ``within`` a level and ``across`` levels."""
    found = {"within": Saved(), "across": Saved()}
    for use in uses:
        if use.holder_path != use.user_path:
            same = pool_of(use.holder_path, districts) == pool_of(use.user_path, districts)
            found["within" if same else "across"].add(use)
    return found


def week_of(on: date) -> date:
    """Return the Monday of a day's week."""
    return on - timedelta(days=on.weekday())


def heat(free: int, total: int) -> str:
    """Return the colour of a cell: nothing there, none free, few (less than a third), some."""
    if not total:
        return "none"
    return "empty" if not free else "few" if free * 3 < total else "some"
