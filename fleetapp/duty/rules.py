"""Steps of a duty: which one may come next, and what a phone may claim; what may be paid on the way."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.orders.rules import OrderAction, OrderState


class DutyAction(StrEnum):
    """Steps of a duty in their order; ARRIVE may repeat, one per stop."""

    ACCEPT = "ACCEPT"
    CHECK_OUT = "CHECK_OUT"
    ARRIVE = "ARRIVE"
    CHECK_IN = "CHECK_IN"


ORDER_ACTION = {
    DutyAction.ACCEPT: OrderAction.ACCEPT,
    DutyAction.CHECK_OUT: OrderAction.CHECK_OUT,
    DutyAction.ARRIVE: OrderAction.ARRIVE,
    DutyAction.CHECK_IN: OrderAction.CHECK_IN,
}

NEXT: dict[str, tuple[DutyAction, ...]] = {
    OrderState.DISPATCHED: (DutyAction.ACCEPT,),
    OrderState.DRIVER_ACCEPTED: (DutyAction.CHECK_OUT,),
    OrderState.CHECKED_OUT: (DutyAction.ARRIVE, DutyAction.CHECK_IN),
    OrderState.EN_ROUTE: (DutyAction.ARRIVE, DutyAction.CHECK_IN),
}
"""The steps open in each state of the order, the likeliest first."""

PROGRESS = (OrderState.DISPATCHED, OrderState.DRIVER_ACCEPTED, OrderState.CHECKED_OUT, OrderState.EN_ROUTE)
"""How far an order of a shared journey has come; whatever is not here is over."""

WITH_ODOMETER = frozenset({DutyAction.CHECK_OUT, DutyAction.CHECK_IN})
PHONE_AHEAD = timedelta(minutes=2)
PHONE_BEHIND = timedelta(hours=48)
AT_THE_CAR_M = 200.0
"""A check-out farther than this from the designated parking is marked for the reviewer, never refused."""
LONGEST_DUTY_M = 3_000_000
"""A reading this far above the last one is a slip of the finger: 3,000 km."""


def least_advanced(states: Iterable[str]) -> str:
    """Return how far a shared journey has come: as far as the order that needs the driver first."""
    found = list(states)
    return min(found, key=lambda state: PROGRESS.index(OrderState(state)) if state in PROGRESS else len(PROGRESS))


def next_steps(state: str, *, arrived: int, stops: int) -> tuple[DutyAction, ...]:
    """Return the steps to offer; once every stop has been reached checking in comes first."""
    steps = NEXT.get(state, ())
    return steps[::-1] if len(steps) == 2 and arrived >= stops else steps


def event_time(reported: datetime | None, *, now: datetime) -> datetime:
    """Return when a step was done: the phone's word within limits, for steps kept while it was offline, else now.

    :raises RuleBroken: a time in the future or longer ago than two days.
    """
    if reported is None:
        return now
    if reported > now + PHONE_AHEAD:
        raise RuleBroken("duty.time_ahead")
    if reported < now - PHONE_BEHIND:
        raise RuleBroken("duty.time_long_ago")
    return min(reported, now)


def check_odometer(action: DutyAction, odometer_m: int | None, last_m: int) -> None:
    """Refuse a missing, lower or impossibly high reading.

    :raises RuleBroken: with the last reading, in km.
    """
    if action not in WITH_ODOMETER:
        return
    if odometer_m is None:
        raise RuleBroken("duty.odometer_missing")
    if odometer_m < last_m:
        raise RuleBroken("duty.odometer_back", last_km=f"{last_m / 1000:.1f}")
    if odometer_m - last_m > LONGEST_DUTY_M:
        raise RuleBroken("duty.odometer_far", last_km=f"{last_m / 1000:.1f}")


class ExpenseKind(StrEnum):
    """What a driver pays on the way."""

    TOLL = "TOLL"
    PARKING = "PARKING"
    FUEL = "FUEL"
    CHARGE = "CHARGE"
    OTHER = "OTHER"


PASS_THROUGH = frozenset({ExpenseKind.TOLL, ExpenseKind.PARKING})
"""Paid for this one journey: the unit that travelled bears them as they are; fuel and charging are in the price per km."""
EXPENSES_OPEN = frozenset({OrderState.CHECKED_OUT, OrderState.EN_ROUTE, OrderState.RETURNED})
"""The states of an order in which expenses are added and made void: from check-out until the journey is confirmed."""


def expense_time(paid: datetime | None, *, checked_out_at: datetime, now: datetime) -> datetime:
    """Return when something was paid: what the driver says, between check-out and now, else now.

    :raises RuleBroken: ``duty.time_ahead``, ``duty.expense_early``.
    """
    if paid is None:
        return now
    if paid > now + PHONE_AHEAD:
        raise RuleBroken("duty.time_ahead")
    if paid < checked_out_at.replace(second=0, microsecond=0):  # forms send whole minutes
        raise RuleBroken("duty.expense_early")
    return min(paid, now)


def check_amount(amount: Decimal, most: Decimal) -> None:
    """Refuse an amount of nothing, of parts of a fen, or above the policy's limit for one expense, CNY.

    :raises RuleBroken: ``duty.expense_amount``, ``duty.expense_too_much``.
    """
    if amount <= 0 or amount != amount.quantize(Decimal("0.01")):
        raise RuleBroken("duty.expense_amount")
    if amount > most:
        raise RuleBroken("duty.expense_too_much", most=f"{most:,.0f}")
