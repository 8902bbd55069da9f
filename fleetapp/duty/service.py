"""What a driver reports: accept, check out, arrive, check in. A retry of the same step changes nothing."""

from datetime import datetime
from typing import Any

from geoalchemy2.shape import to_shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.duty import bridge, queries, rules
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.notices import service as notices
from fleetapp.orders import queries as order_queries
from fleetapp.orders import service as orders
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderState
from fleetapp.planning.models import Assignment
from fleetapp.vehicles import queries as vehicle_queries
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.rules import ReadingSource


def report(
    session: Session,
    *,
    assignment_id: int,
    action: DutyAction,
    idempotency_key: str,
    actor: Actor,
    now: datetime,
    at: datetime | None = None,
    odometer_m: int | None = None,
    lat: float | None = None,
    lon: float | None = None,
    accuracy_m: float | None = None,
    note: str | None = None,
) -> DutyEvent:
    """Take a step of one's own duty and move the order on, with it those that share the journey.

    An arrival moves only those whose stop is next. The odometer is read once for the journey. The same
    ``idempotency_key`` again returns what the first call made.

    :raises NotFound: not the actor's duty.
    :raises NotAllowed: the order is not in a state for this step.
    :raises Conflict: the key was used for another step.
    :raises RuleBroken: odometer missing or going back, time in the future, or ``duty.joined_waits``.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": idempotency_key})
    lock_bookings(session)  # nobody joins or leaves the journey meanwhile
    duty = queries.get_duty(session, assignment_id=assignment_id, actor=actor)
    known = queries.find_event(session, idempotency_key=idempotency_key)
    journey = queries.journey_of(session, duty=duty, actor=actor)
    if known is not None:
        if known not in journey.events or known.action != action:
            raise Conflict("duty.already_received")
        return known
    for order_id in sorted(one.order_id for one in journey.duties):
        order_queries.hold_order(session, order_id=order_id)
    movers = _movers(journey, duty, action)
    lead = movers[0]
    permits.require(f"duty.{action.lower()}", actor, owner_id=duty.driver.user_id, state=lead.order.state)
    done_at = rules.event_time(at, now=now)
    last = vehicle_queries.last_reading(session, vehicle_id=duty.vehicle_id, at=done_at)
    rules.check_odometer(action, odometer_m, last.reading_m if last else duty.vehicle.odometer_m)
    if action in rules.WITH_ODOMETER and odometer_m is not None:
        vehicles.advance_odometer(session, vehicle_id=duty.vehicle_id, odometer_m=odometer_m, at=done_at,
                                  source=ReadingSource(action.lower()), actor=actor, now=now)  # fmt: skip
    notes = [part for part in (note, _where(duty, action, lat, lon)) if part]
    step = {
        "at": done_at, "received_at": now, "odometer_m": odometer_m if action in rules.WITH_ODOMETER else None, "lat": lat,
        "lon": lon, "accuracy_m": accuracy_m, "note": "; ".join(notes) or None,
    }  # fmt: skip
    # The step's own event is that of the order it is about; the others of the journey get theirs under the same key.
    events = [
        _move(session, one, action=action, step=step, actor=actor,
              key=idempotency_key if one is lead else f"{idempotency_key}{queries.SIBLING}{one.id}")
        for one in movers
    ]  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"duty.{action.lower()}", subject_type="assignment",
                 subject_id=lead.id, org_id=duty.org_id, at=done_at, odometer_m=odometer_m, lat=lat, lon=lon,
                 note=step["note"], orders=[one.order.number for one in movers])  # fmt: skip
    out = next((event for event in journey.events if event.action == DutyAction.CHECK_OUT), None)
    if action is DutyAction.ACCEPT and out is not None:
        # Whoever joins a journey under way is out with it from now on; the odometer is that of the journey.
        for one in movers:
            _move(session, one, action=DutyAction.CHECK_OUT, step=step | {"odometer_m": out.odometer_m}, actor=actor,
                  key=f"{idempotency_key}{queries.SIBLING}out{one.id}")  # fmt: skip
    if action is DutyAction.CHECK_IN:
        for one in movers:
            told, number = [one.order.applicant_id, one.order.filed_by_id], one.order.number
            notices.notify(session, to=told, code="duty.notice.returned", params={"number": number},
                           link=f"/orders/{one.order_id}/confirmation", key=f"returned-{one.order_id}", now=now)  # fmt: skip
    return events[0]


def _movers(journey: queries.Journey, duty: Assignment, action: DutyAction) -> list[Assignment]:
    """Return the orders that a step moves, the one it is about first.

    Accepting is for all that are new, an arrival for those whose stop is next, the rest for everybody on board.

    :raises RuleBroken: ``duty.joined_waits``, an order that has joined is not accepted yet.
    """
    others = [duty, *(one for one in journey.duties if one.id != duty.id)]
    if action is DutyAction.ACCEPT:
        return [one for one in others if one.order.state == OrderState.DISPATCHED] or [duty]
    if action is DutyAction.ARRIVE:
        here = {turn.assignment_id for turn in journey.ahead}
        return [one for one in others if one.id in here]
    waiting = [one for one in others if one.order.state == OrderState.DISPATCHED]
    if waiting and len(waiting) < len(others):
        raise RuleBroken("duty.joined_waits", number=waiting[0].order.number)
    return others


def _move(
    session: Session, duty: Assignment, *, action: DutyAction, key: str, step: dict[str, Any], actor: Actor
) -> DutyEvent:
    event = DutyEvent(org_id=duty.org_id, assignment_id=duty.id, driver_id=duty.driver_id, action=action,
                      idempotency_key=key, **step)  # fmt: skip
    session.add(event)
    orders.advance(session, order=duty.order, action=rules.ORDER_ACTION[action], actor=actor, now=step["at"],
                   note=step["note"])  # fmt: skip
    return event


def _where(duty: Assignment, action: DutyAction, lat: float | None, lon: float | None) -> str | None:
    """Return a remark for the reviewer when the car was not picked up or left at its place."""
    if action not in rules.WITH_ODOMETER or lat is None or lon is None or duty.vehicle.parking is None:
        return None
    away_m = bridge.distance_m(lat, lon, to_shape(duty.vehicle.parking.area))
    return f"离停放点 {away_m:.0f} m" if away_m > rules.AT_THE_CAR_M else None
