"""Who pays what for a journey, and which way a statement may go: values in, values or ``RuleBroken`` out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.pricing import rules as pricing
from fleetapp.pricing.rules import ZERO, Fee, Rate, Share, Terms, Use


class ChargeKind(StrEnum):
    """Why an order costs what it costs: the unit's own car is free, another's is paid, a rental is settled at its bill."""

    OWN = "own"
    PAID = "paid"
    OUTSOURCED = "outsourced"


class DistanceSource(StrEnum):
    """What the kilometres of a charge were taken from, the best first."""

    CONFIRMED = "confirmed"
    ODOMETER = "odometer"
    PLANNED = "planned"


class StatementState(StrEnum):
    """Where a statement stands."""

    DRAFT = "DRAFT"
    ISSUED = "ISSUED"
    DISPUTED = "DISPUTED"
    CONFIRMED = "CONFIRMED"
    PAID = "PAID"


class StatementAction(StrEnum):
    """What moves a statement; ``ANSWER`` leads on when the last disputed line is answered."""

    ISSUE = "issue"
    DISPUTE = "dispute"
    ANSWER = "answer"
    CONFIRM = "confirm"
    PAY = "pay"


_S, _A = StatementState, StatementAction
TRANSITIONS: Mapping[tuple[StatementState, StatementAction], StatementState] = {
    (_S.DRAFT, _A.ISSUE): _S.ISSUED,
    (_S.ISSUED, _A.DISPUTE): _S.DISPUTED,
    (_S.DISPUTED, _A.DISPUTE): _S.DISPUTED,
    (_S.DISPUTED, _A.ANSWER): _S.ISSUED,
    (_S.ISSUED, _A.CONFIRM): _S.CONFIRMED,
    (_S.CONFIRMED, _A.PAY): _S.PAID,
}
FINAL = frozenset([_S.CONFIRMED, _S.PAID])
"""What both sides agreed on: frozen, its orders are settled."""


@dataclass(frozen=True, slots=True)
class Rider:
    """One order of a journey: its unit, how far it would have gone alone, how many people."""

    order_id: int
    org_id: int
    share: Share


@dataclass(frozen=True, slots=True)
class Journey:
    """One use of a vehicle by one or several orders."""

    holder_org_id: int
    use: Use
    riders: tuple[Rider, ...]


def next_state(state: str, action: StatementAction) -> StatementState:
    """Return where an action leads.

    :raises RuleBroken: ``settlement.wrong_step``.
    """
    after = TRANSITIONS.get((StatementState(state), action))
    if after is None:
        raise RuleBroken("settlement.wrong_step", state=state)
    return after


def level_of(org_path: str, district_paths: Collection[str]) -> str:
    """Return the district's path that an organisation lies in; empty at the city's own level."""
    return next((path for path in district_paths if org_path.startswith(path)), "")


def shares_of(
    journey: Journey, rate: Rate, terms: Terms, *, cross_level: Collection[int], holidays: Collection[date]
) -> dict[int, Fee]:
    """Return the fee of each order of a journey; one of the holder's own unit pays nothing, the others only their part.

    ``cross_level`` names the orders whose unit is of another level than the holder: their part is of the capped fee.

    :raises RuleBroken: ``pricing.no_market``.
    """
    shares = [rider.share for rider in journey.riders]
    use = journey.use
    by_level = {
        across: pricing.split(
            pricing.fee(
                Use(use.start_at, use.end_at, use.distance_m, use.wait_min, use.toll, use.parking, cross_level=across),
                rate, terms, holidays=holidays,
            ), shares)
        for across in {rider.order_id in cross_level for rider in journey.riders if rider.org_id != journey.holder_org_id}
    }  # fmt: skip
    return {
        rider.order_id: Fee(())
        if rider.org_id == journey.holder_org_id
        else by_level[rider.order_id in cross_level][number]
        for number, rider in enumerate(journey.riders)
    }


def month_of(on: date) -> date:
    """Return the first day of a day's month."""
    return on.replace(day=1)


def month_after(month: date) -> date:
    """Return the first day of the next month."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)


def total(charges: Sequence[Decimal], adjustments: Sequence[Decimal]) -> Decimal:
    """Return what a statement comes to, CNY."""
    return sum(charges, ZERO) + sum(adjustments, ZERO)


def check_adjustment(*, net: Decimal, amount: Decimal) -> None:
    """Refuse a correction of nothing, and one that leaves a charge below zero; ``net`` is what it comes to before.

    :raises RuleBroken: ``settlement.adjust_nothing``, ``settlement.adjust_below``.
    """
    if not amount:
        raise RuleBroken("settlement.adjust_nothing")
    if net + amount < 0:
        raise RuleBroken("settlement.adjust_below", net=f"{net:,.2f}")


def check_issue(*, period: date, today: date) -> None:
    """Refuse to issue a month that is not over.

    :raises RuleBroken: ``settlement.month_runs``.
    """
    if month_after(period) > today:
        raise RuleBroken("settlement.month_runs", month=f"{period:%Y-%m}")


def used_min(start_at: datetime, end_at: datetime) -> int:
    """Return the whole minutes of a span."""
    return int((end_at - start_at).total_seconds() // 60)
