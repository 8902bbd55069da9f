"""Passengers who did not come: the vehicle is free again, and the order is over with what was said about it."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderAction, OrderState
from fleetapp.planning import rules, service


def no_show(session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime) -> TravelOrder:
    """Note that nobody came to a vehicle that waited, from the start of the order on; its slip becomes void. Again changes nothing.

    Driver, applicant and whoever filed the order are told.

    :raises NotAllowed: not a dispatcher of the unit, one's own order, or the driver has not accepted or has left already.
    :raises RuleBroken: ``orders.reason_needed``, ``planning.not_begun``.
    """
    lock_bookings(session)
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    where: dict[str, Any] = {"org_path": order.org.path, "owner_id": order.applicant_id}
    if order.state == OrderState.NO_SHOW:
        permits.require("planning.no_show", actor, **where)
        return order
    permits.require("planning.no_show", actor, **where, state=order.state)
    rules.check_begun(order.start_at, now)
    return service.give_back(session, order=order, action=OrderAction.NO_SHOW, reason=reason, actor=actor, now=now)
