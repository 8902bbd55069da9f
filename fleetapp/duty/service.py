"""What a driver reports: accept, check out, arrive, check in. A retry of the same step changes nothing."""

from datetime import datetime

from geoalchemy2.shape import to_shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.duty import bridge, queries, rules
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict
from fleetapp.notices import service as notices
from fleetapp.orders import queries as order_queries
from fleetapp.orders import service as orders
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
    """Take a step of one's own duty and move the order on.

    The same ``idempotency_key`` again returns what the first call made.

    :raises NotFound: not the actor's duty.
    :raises NotAllowed: the order is not in a state for this step.
    :raises Conflict: the key was used for another step.
    :raises RuleBroken: odometer missing or going back, time in the future.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": idempotency_key})
    duty = queries.get_duty(session, assignment_id=assignment_id, actor=actor)
    known = queries.find_event(session, idempotency_key=idempotency_key)
    if known is not None:
        if (known.assignment_id, known.action) != (assignment_id, action):
            raise Conflict("duty.already_received")
        return known
    order = order_queries.hold_order(session, order_id=duty.order_id)
    permits.require(f"duty.{action.lower()}", actor, owner_id=duty.driver.user_id, state=order.state)
    done_at = rules.event_time(at, now=now)
    last = vehicle_queries.last_reading(session, vehicle_id=duty.vehicle_id, at=done_at)
    rules.check_odometer(action, odometer_m, last.reading_m if last else duty.vehicle.odometer_m)
    if action in rules.WITH_ODOMETER and odometer_m is not None:
        vehicles.advance_odometer(session, vehicle_id=duty.vehicle_id, odometer_m=odometer_m, at=done_at,
                                  source=ReadingSource(action.lower()), actor=actor, now=now)  # fmt: skip
    notes = [part for part in (note, _where(duty, action, lat, lon)) if part]
    event = DutyEvent(
        org_id=duty.org_id, assignment_id=duty.id, driver_id=duty.driver_id, action=action,
        idempotency_key=idempotency_key, at=done_at, received_at=now,
        odometer_m=odometer_m if action in rules.WITH_ODOMETER else None, lat=lat, lon=lon, accuracy_m=accuracy_m,
        note="; ".join(notes) or None,
    )  # fmt: skip
    session.add(event)
    orders.advance(session, order=order, action=rules.ORDER_ACTION[action], actor=actor, now=done_at, note=event.note)
    audit.record(session, actor=actor, now=now, action=f"duty.{action.lower()}", subject_type="assignment",
                 subject_id=duty.id, org_id=duty.org_id, at=done_at, odometer_m=odometer_m, lat=lat, lon=lon,
                 note=event.note)  # fmt: skip
    if action is DutyAction.CHECK_IN:
        notices.notify(session, to=[order.applicant_id, order.filed_by_id], code="duty.notice.returned", params={"number": order.number},
                       link=f"/orders/{order.id}/confirmation", key=f"returned-{order.id}", now=now)  # fmt: skip
    return event


def _where(duty: Assignment, action: DutyAction, lat: float | None, lon: float | None) -> str | None:
    """Return a remark for the reviewer when the car was not picked up or left at its place."""
    if action not in rules.WITH_ODOMETER or lat is None or lon is None or duty.vehicle.parking is None:
        return None
    away_m = bridge.distance_m(lat, lon, to_shape(duty.vehicle.parking.area))
    return f"离停放点 {away_m:.0f} m" if away_m > rules.AT_THE_CAR_M else None
