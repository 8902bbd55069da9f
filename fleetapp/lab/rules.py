"""What a study may be asked for, which days it looks at, and what its curves say: values in, values or ``RuleBroken`` out."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken

LONGEST_DAYS, MOST_SAMPLED, LEAST_SAMPLED = 400, 60, 3
WORKING_DAYS = 250
"""Days that a year's sums are scaled to: a year has 248 to 251 working days (全国年节及纪念日放假办法, 2024 text)."""
DRAWS, INNER = 400, (0.05, 0.95)
"""Drawings of days with replacement for the range in which the answer lies nine times of ten (B. Efron, 1979, the bootstrap)."""


class StudyKind(StrEnum):
    """The question."""

    RIGHT_SIZE = "right_size"
    SHARING = "sharing"
    POOLING = "pooling"
    RENT = "rent"
    NEV = "nev"


class StudyState(StrEnum):
    """Where a study is; the last three are ends."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN = frozenset({StudyState.QUEUED, StudyState.RUNNING})


def check_days(start_on: date, end_on: date, *, today: date, days: int) -> None:
    """Refuse a period that is reversed, too long or not over, and a sample too small or too large; both days are included.

    :raises RuleBroken: ``lab.period_reversed``, ``period_too_long``, ``period_ahead``, ``sample_size``.
    """
    if end_on < start_on:
        raise RuleBroken("lab.period_reversed")
    if (end_on - start_on).days >= LONGEST_DAYS:
        raise RuleBroken("lab.period_too_long", days=LONGEST_DAYS)
    if end_on >= today:
        raise RuleBroken("lab.period_ahead")
    if not LEAST_SAMPLED <= days <= MOST_SAMPLED:
        raise RuleBroken("lab.sample_size", least=LEAST_SAMPLED, most=MOST_SAMPLED)


def check_share(share: Decimal) -> None:
    """Refuse a share that no fleet can be asked for.

    :raises RuleBroken: ``lab.share``.
    """
    if not Decimal("0.5") <= share <= 1:
        raise RuleBroken("lab.share")


@dataclass(frozen=True, slots=True)
class Curve:
    """How many orders ``n`` vehicles served on each sampled day, ``served[day][n]``, of ``asked[day]``; no day has fewer with more."""

    asked: tuple[int, ...]
    served: tuple[tuple[int, ...], ...]

    def share(self, n: int, days: Sequence[int] | None = None) -> float:
        """Return the share of orders served with ``n`` vehicles over all days, or over some, each as often as it is named."""
        chosen = range(len(self.asked)) if days is None else days
        asked = sum(self.asked[day] for day in chosen)
        return sum(self.at(day, n) for day in chosen) / asked if asked else 1.0

    def at(self, day: int, n: int) -> int:
        """Return how many orders ``n`` vehicles served on a day."""
        of_day = self.served[day]
        return of_day[min(n, len(of_day) - 1)]

    def most(self) -> int:
        """Return the number of vehicles beyond which nothing more is served."""
        return max((len(of_day) - 1 for of_day in self.served), default=0)


def never_fewer(served: Sequence[int]) -> tuple[int, ...]:
    """Return what can be served with 0, 1, 2.. vehicles: a plan for fewer is one for more, so none serves less."""
    found: list[int] = []
    for number in served:
        found.append(max(number, found[-1] if found else 0))
    return tuple(found)


def smallest(curve: Curve, share: float, days: Sequence[int] | None = None) -> int | None:
    """Return the smallest number of vehicles that serves a share of the orders; None where none does."""
    return next((n for n in range(curve.most() + 1) if curve.share(n, days) >= share - 1e-12), None)


def interval(curve: Curve, share: float, draw: Callable[[int], Sequence[int]]) -> tuple[int, int]:
    """Return between what the smallest number lies for nine of ten drawings of as many days; ``draw(k)`` gives the k-th drawing."""
    most = curve.most()
    found = sorted(most if (n := smallest(curve, share, draw(k))) is None else n for k in range(DRAWS))
    low, high = (found[min(DRAWS - 1, math.floor(part * DRAWS))] for part in INNER)
    return low, high


def yearly_cost(
    curve: Curve, n: int, *, own_year: Decimal, own_km: Decimal, km_order: Decimal, rental_order: Decimal
) -> Decimal:
    """Return a year's CNY with ``n`` own vehicles, the orders they do not serve going by rental.

    ``own_year`` is a vehicle's fixed cost, ``own_km`` its cost per kilometre, ``km_order`` and ``rental_order`` an order's mean.
    """
    days = len(curve.asked)
    if not days:
        return own_year * n
    served = Decimal(sum(curve.at(day, n) for day in range(days))) / days * WORKING_DAYS
    asked = Decimal(sum(curve.asked)) / days * WORKING_DAYS
    total = own_year * n + served * km_order * own_km + (asked - served) * rental_order
    return total.quantize(Decimal("0.01"))
