"""Vehicles sent at once, and taken from other orders for it; the slice above (emergency) has checked the permission."""

from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderAction
from fleetapp.planning import bookings, lending, queries, rules, service
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import Vehicle


def span_of(session: Session, *, org_path: str, start_at: datetime, end_at: datetime, now: datetime) -> Span:
    """Return how long a vehicle is taken that goes at once: no buffer before, the usual one after."""
    return Span(start_at, end_at + queries.figures(session, now=now, org_path=org_path).after)


def send(
    session: Session, *, order: TravelOrder, vehicle: Vehicle, driver: Driver, actor: Actor, now: datetime
) -> Assignment:
    """Give an APPROVED order its vehicle and driver at once.

    :raises RuleBroken: a person in two parts, or ``planning.why.*`` for what no dispatcher may decide against.
    :raises Conflict: vehicle or driver is booked (from the database).
    """
    lock_bookings(session)
    rules.check_separation(actor_id=actor.user_id, approver_id=order.approver_id, driver_user_id=driver.user_id)
    limits = queries.figures(session, now=now, org_path=order.org.path)
    said = lending.of_holder(session, vehicle=vehicle, order=order, figures=limits, now=now)
    against = service.faults(session, order=order, vehicle=vehicle, driver=driver, limits=limits, said=said)
    refused = next((fault for fault in against if fault.refuses), None)
    if refused is not None:
        raise RuleBroken(f"planning.why.{refused.code}", **refused.params)
    during = span_of(session, org_path=order.org.path, start_at=order.start_at, end_at=order.end_at, now=now)
    return bookings.make(session, order=order, vehicle=vehicle, driver=driver, during=during, slip_org_id=vehicle.org_id,
                         against=against, actor=actor, now=now)  # fmt: skip


def take_back(
    session: Session, *, order_id: int, action: OrderAction, reason: str, actor: Actor, now: datetime
) -> TravelOrder:
    """Take the vehicle back from an order that has not left: RELEASE lets it wait again, CANCEL ends it; the slip is void.

    :raises RuleBroken: ``orders.wrong_step``, the vehicle has left already.
    """
    lock_bookings(session)
    order = order_queries.hold_order(session, order_id=order_id)
    return service.give_back(session, order=order, action=action, reason=reason, actor=actor, now=now)
