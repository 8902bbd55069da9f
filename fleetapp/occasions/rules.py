"""How an event moves on, its days, what its roster leaves open, what its summary counts: values in, values out."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders.rules import DRIVEN, OccasionState, OrderState

LONGEST = timedelta(days=60)
"""An event longer than this is not one."""
OPEN = frozenset({OccasionState.PLANNED, OccasionState.ACTIVE})
"""While these last, orders may name the event and vehicles may be kept for it."""
NEVER_DRIVEN = frozenset({OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.CANCELLED, OrderState.NO_SHOW})
"""Orders that came to nothing; whatever else is not driven still lives."""


class OccasionAction(StrEnum):
    """What moves an event."""

    START = "start"
    FINISH = "finish"
    CANCEL = "cancel"


TRANSITIONS: Mapping[tuple[OccasionState, OccasionAction], OccasionState] = {
    (OccasionState.PLANNED, OccasionAction.START): OccasionState.ACTIVE,
    (OccasionState.PLANNED, OccasionAction.CANCEL): OccasionState.CANCELLED,
    (OccasionState.ACTIVE, OccasionAction.FINISH): OccasionState.DONE,
    (OccasionState.ACTIVE, OccasionAction.CANCEL): OccasionState.CANCELLED,
}
"""Where an action leads; a pair that is not here is refused."""


REACHED = {action: after for (_, action), after in TRANSITIONS.items()}
"""The state that each action ends in."""


def next_state(state: OccasionState | str, action: OccasionAction) -> OccasionState:
    """Return where an action leads.

    :raises RuleBroken: ``occasions.wrong_step``.
    """
    found = TRANSITIONS.get((OccasionState(state), action))
    if found is None:
        raise RuleBroken("occasions.wrong_step")
    return found


def check_window(start_at: datetime, end_at: datetime, now: datetime) -> None:
    """Refuse an event that is reversed, over, or too long.

    :raises RuleBroken: ``occasions.reversed``, ``over``, ``too_long``.
    """
    if start_at >= end_at:
        raise RuleBroken("occasions.reversed")
    if end_at <= now:
        raise RuleBroken("occasions.over")
    if end_at - start_at > LONGEST:
        raise RuleBroken("occasions.too_long", days=LONGEST.days)


def check_open(state: str) -> None:
    """Refuse to change what is kept for an event that is over.

    :raises RuleBroken: ``occasions.closed``.
    """
    if state not in OPEN:
        raise RuleBroken("occasions.closed")


def check_cancel(states: Iterable[str]) -> None:
    """Refuse to cancel an event while orders of it live: each has an applicant who must be told.

    :raises RuleBroken: ``occasions.orders_live`` with their number.
    """
    living = sum(state not in NEVER_DRIVEN | DRIVEN for state in states)
    if living:
        raise RuleBroken("occasions.orders_live", n=living)


def days_of(start_at: datetime, end_at: datetime) -> list[date]:
    """Return the local days that ``[start_at, end_at)`` touches."""
    first, last = clock.local_date(start_at), clock.local_date(end_at - timedelta(microseconds=1))
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def gaps(days: Collection[date], vehicle_ids: Collection[int], filled: Collection[tuple[int, date]]) -> int:
    """Return how many vehicle days have no driver."""
    return sum((vehicle_id, on) not in filled for vehicle_id in vehicle_ids for on in days)


@dataclass(frozen=True, slots=True)
class Served:
    """One order of an event: ``metres`` by odometer where its vehicle is back, of its journey once."""

    state: str
    passengers: int
    journey: int | None
    vehicle_id: int | None
    driver_id: int | None
    metres: int | None


@dataclass(frozen=True, slots=True)
class Summary:
    """What an event came to; ``cost`` in CNY, None where nothing is known."""

    orders: int
    served: int
    dropped: int
    passengers: int
    vehicles_kept: int
    vehicles_used: int
    drivers_used: int
    metres: int
    cost: Decimal | None


def summary(orders: Iterable[Served], *, kept: int, costs: Iterable[Decimal]) -> Summary:
    """Return an event's figures: kilometres of a shared journey count once."""
    found, amounts = list(orders), list(costs)
    driven = [order for order in found if order.state in DRIVEN]
    metres = {order.journey: order.metres or 0 for order in driven}
    return Summary(
        orders=len(found), served=len(driven), dropped=sum(order.state in NEVER_DRIVEN for order in found),
        passengers=sum(order.passengers for order in driven), vehicles_kept=kept,
        vehicles_used=len({order.vehicle_id for order in driven} - {None}),
        drivers_used=len({order.driver_id for order in driven} - {None}), metres=sum(metres.values()),
        cost=sum(amounts, Decimal(0)) if amounts else None,
    )  # fmt: skip
