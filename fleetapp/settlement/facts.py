"""What a charge is computed from, read from the slices below: the journey driven, its kilometres, waiting, toll and parking."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.confirmations import queries as confirmations
from fleetapp.costs.models import CostEntry
from fleetapp.duty import queries as duty
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction, ExpenseKind
from fleetapp.orders.rules import DRIVEN, OrderState
from fleetapp.planning import queries as planning
from fleetapp.planning.models import Assignment
from fleetapp.pricing.rules import ZERO, Share, Use
from fleetapp.settlement.rules import DistanceSource, Journey, Rider
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind

PASSED_ON: Mapping[str, CostKind] = {ExpenseKind.TOLL: CostKind.TOLL, ExpenseKind.PARKING: CostKind.PARKING_FEE}
"""What a driver pays that the unit travelling pays back; fuel and charging are in the kilometres."""
CONFIRMED = DRIVEN - {OrderState.RETURNED}
"""States in which what a journey took is known for good."""


@dataclass(frozen=True, slots=True)
class Driven:
    """A journey that is over: the vehicle that drove it and what was driven."""

    journey: Journey
    vehicle: Vehicle
    source: DistanceSource
    waits_for: tuple[str, ...] = ()
    """Numbers of orders of the same journey whose mileage is not confirmed yet."""


def driven(session: Session, *, order_id: int) -> Driven | None:
    """Return the journey that an order was part of; None where no vehicle of ours drove it.

    What was confirmed counts; a shared journey is as long as its vehicle's odometer says, whoever was in it how far.
    """
    shares = [
        share
        for share in planning.journey_of(session, order_id=order_id)
        if share.assignment.order.state != OrderState.NO_SHOW
    ]
    riders = [share.assignment for share in shares]
    if not riders:
        return None
    first = riders[0]
    start_at, end_at, odometer_m = _reported(session, riders)
    spent = _spent(session, [row.order_id for row in riders])
    confirmed = confirmations.confirmations_of(session, order_ids=[row.order_id for row in riders])
    if len(riders) == 1 and confirmed:
        distance_m, source = confirmed[first.order_id].confirmed_m, DistanceSource.CONFIRMED
    elif odometer_m is not None:
        distance_m, source = odometer_m, DistanceSource.ODOMETER
    else:
        distance_m, source = max(share.direct_m for share in shares), DistanceSource.PLANNED
    use = Use(
        start_at=start_at, end_at=end_at, distance_m=distance_m,
        wait_min=_waited_min(session, riders), toll=spent.get(CostKind.TOLL, ZERO), parking=spent.get(CostKind.PARKING_FEE, ZERO),
    )  # fmt: skip
    part = tuple(
        Rider(row.order_id, row.order_org_id, Share(one.direct_m, one.passengers))
        for one, row in zip(shares, riders, strict=True)
    )
    waits = tuple(row.order.number for row in riders if row.order.state not in CONFIRMED)
    return Driven(Journey(first.org_id, use, part), first.vehicle, source, waits)


def bill_cny(session: Session, *, order_id: int) -> Decimal | None:
    """Return the bill that an outsourced journey was confirmed with, CNY."""
    found = confirmations.find_confirmation(session, order_id=order_id)
    return None if found is None else found.bill_cny


def _reported(session: Session, riders: Sequence[Assignment]) -> tuple[datetime, datetime, int | None]:
    """Return when the car left and came back, as far as reported else as planned, and what its odometer says."""
    events = session.execute(
        select(DutyEvent.action, func.min(DutyEvent.at), func.max(DutyEvent.at), func.min(DutyEvent.odometer_m), func.max(DutyEvent.odometer_m))
        .where(DutyEvent.assignment_id.in_([row.id for row in riders]), DutyEvent.action.in_([DutyAction.CHECK_OUT, DutyAction.CHECK_IN]))
        .group_by(DutyEvent.action)
    ).all()  # fmt: skip
    by_action = {row[0]: row for row in events}
    out, back = by_action.get(DutyAction.CHECK_OUT), by_action.get(DutyAction.CHECK_IN)
    start_at = out[1] if out else min(row.order.start_at for row in riders)
    end_at = back[2] if back else max(row.order.end_at for row in riders)
    left_m, came_m = (out[3] if out else None), (back[4] if back else None)
    odometer_m = None if left_m is None or came_m is None or came_m < left_m else came_m - left_m
    return start_at, end_at, odometer_m


def _waited_min(session: Session, riders: Sequence[Assignment]) -> int:
    """Return how long the car stood between its first departure and its last arrival, by the positions; 0 without any."""
    rows = session.execute(
        select(TripMatch.start_at, TripMatch.end_at, Trip.stops)
        .join(Trip, Trip.id == TripMatch.trip_id)
        .where(TripMatch.order_id.in_([row.order_id for row in riders]), TripMatch.superseded_at.is_(None), TripMatch.kind.in_(["matched", "weak"]))
        .order_by(TripMatch.start_at)
    ).all()  # fmt: skip
    if not rows:
        return 0
    first, last = rows[0][0], max(row[1] for row in rows)
    driving = sum(_driving_s(start, end, stops) for start, end, stops in rows)
    return max(0, int(((last - first).total_seconds() - driving) // 60))


def _driving_s(start: datetime, end: datetime, stops: Sequence[Mapping[str, str]]) -> float:
    stood = 0.0
    for stop in stops:
        begins, ends = max(start, datetime.fromisoformat(stop["start"])), min(end, datetime.fromisoformat(stop["end"]))
        stood += max(0.0, (ends - begins).total_seconds())
    return (end - start).total_seconds() - stood


def _spent(session: Session, order_ids: Collection[int]) -> dict[CostKind, Decimal]:
    """Return toll and parking paid for the orders, CNY: as the driver reported them, else as they were entered in the ledger."""
    found: dict[CostKind, Decimal] = {}
    for expenses in duty.expenses_of_orders(session, order_ids=order_ids).values():
        for expense in expenses:
            if (passed := PASSED_ON.get(expense.kind)) is not None:
                found[passed] = found.get(passed, ZERO) + expense.amount
    rows = session.execute(
        select(CostEntry.kind, func.sum(CostEntry.amount))
        .where(CostEntry.order_id.in_(order_ids), CostEntry.void_at.is_(None), CostEntry.kind.in_(PASSED_ON.values()))
        .group_by(CostEntry.kind)
    )
    for kind, amount in rows:
        found.setdefault(CostKind(kind), amount)
    return found
