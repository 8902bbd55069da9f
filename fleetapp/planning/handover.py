"""A journey under way goes on with another vehicle: the passengers change over, the old slip ends, a new one begins."""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.approvals import queries as approvals
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderAction
from fleetapp.planning import bookings, lending, queries, rules, service, tell
from fleetapp.planning.models import Assignment

LEAST = timedelta(hours=1)
"""How long the new vehicle is taken at least, where the order's window is nearly over."""


def hand_over(
    session: Session, *, order_id: int, seen: int, vehicle_id: int, driver_id: int, reason: str, actor: Actor, now: datetime
) -> list[Assignment]:  # fmt: skip
    """Give the orders of a journey under way to another vehicle and driver, from now to the end of the last one.

    The way back of the old vehicle is no part of the order; its driver and the applicants are told. What the old driver
    reported stays with the old slip.

    :raises Conflict: ``planning.changed_meanwhile``, or vehicle or driver are taken.
    :raises NotAllowed: not a dispatcher of unit and holder, or the vehicle has not left or is back.
    :raises RuleBroken: a person in two parts, or ``planning.why.*``.
    """
    lock_bookings(session)
    held = queries.active_of(session, order_id=order_id)
    members = queries.journeys(session, pool_keys=[held.pool_key]) if held is not None else []
    orders = [order_queries.lock_order(session, order_id=row.order_id, actor=actor) for row in members]
    if held is None or held.id != seen:
        order = order_queries.get_order(session, order_id=order_id, actor=actor)
        raise Conflict("planning.changed_meanwhile", number=order.number)
    for order in orders:
        permits.require(
            "planning.hand_over", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state
        )
    queries.lock_vehicles(session, [vehicle_id])
    limits = queries.figures(session, now=now, org_path=orders[0].org.path)
    during = Span(now, max(*(order.end_at for order in orders), now + LEAST) + limits.after)
    vehicle, driver = lending.pair(session, vehicle_id=vehicle_id, driver_id=driver_id, span=during, actor=actor)
    against = {}
    for order in orders:
        for approver_id in {order.approver_id, *approvals.signers(session, subject_id=order.id)}:
            rules.check_separation(actor_id=actor.user_id, approver_id=approver_id, driver_user_id=driver.user_id)
        said = lending.of_holder(session, vehicle=vehicle, order=order, figures=limits, now=now)
        against[order.id] = service.faults(
            session, order=order, vehicle=vehicle, driver=driver, limits=limits, said=said
        )
        refused = rules.first_refusal(against[order.id])
        if refused:
            raise RuleBroken(f"planning.why.{refused.code}", **refused.params)
    bookings.check(session, vehicle=vehicle, driver=driver, during=during, besides=held.pool_key)
    for order in orders:
        service.give_back(session, order=order, action=OrderAction.HAND_OVER, reason=reason, actor=actor, now=now)
    session.flush()
    made: list[Assignment] = []
    for order, row in zip(orders, members, strict=True):
        one = bookings.make(
            session, order=order, vehicle=vehicle, driver=driver, during=during, slip_org_id=vehicle.org_id,
            against=against[order.id], actor=actor, now=now, pool_key=made[0].pool_key if made else None, consent=row.consent,
        )  # fmt: skip
        tell.assigned(session, held=one, now=now)
        made.append(one)
    audit.record(session, actor=actor, now=now, action="planning.handed_over", subject_type="assignment", subject_id=made[0].id,
                 org_id=vehicle.org_id, orders=[order.number for order in orders], plate=vehicle.plate,
                 before=held.vehicle.plate, reason=reason)  # fmt: skip
    return made
