"""Whether a vehicle and a driver are free for an order, and writing the booking that takes them."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict
from fleetapp.kit.spans import Span
from fleetapp.orders import service as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderAction
from fleetapp.planning import queries
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.planning.rules import Fault
from fleetapp.vehicles.models import Vehicle


def check(session: Session, *, vehicle: Vehicle, driver: Driver, during: Span, besides: int | None) -> None:
    """Refuse what is taken, naming the order that has it; the database's constraints stand behind this."""
    taken = queries.booking(session, span=during, vehicle_id=vehicle.id, besides=besides)
    if taken is not None:
        raise Conflict("planning.vehicle_taken", plate=vehicle.plate, number=taken.order.number, **_hours(taken))
    taken = queries.booking(session, span=during, driver_id=driver.id, besides=besides)
    if taken is not None:
        raise Conflict("planning.driver_taken", number=taken.order.number, **_hours(taken))


def _hours(assignment: Assignment) -> dict[str, str]:
    form = "%m-%d %H:%M"
    lower, upper = assignment.during.lower, assignment.during.upper
    if lower is None or upper is None:
        return {"start": "", "end": ""}
    return {"start": clock.local(lower).strftime(form), "end": clock.local(upper).strftime(form)}


def make(
    session: Session, *, order: TravelOrder, vehicle: Vehicle, driver: Driver, during: Span, slip_org_id: int, against: Sequence[Fault],
    actor: Actor, now: datetime, run_id: int | None = None, pool_key: int | None = None, consent: str | None = None,
) -> Assignment:  # fmt: skip
    """Give an order its vehicle and driver with a slip of ``slip_org_id``: the order is DISPATCHED, the log knows what was ``against``.

    :raises Conflict: the database knows of a booking, a hold or a reserve in the way.
    """
    slip = orders.issue_slip(session, org_id=slip_org_id, actor=actor, now=now)
    made = Assignment(
        org_id=vehicle.org_id, order_org_id=order.org_id, order=order, vehicle=vehicle, driver=driver, slip=slip,
        during=Range(during.start, during.end), state=AssignmentState.ACTIVE, assigned_at=now, assigned_by=actor.user_id,
        run_id=run_id, consent=consent,
    )  # fmt: skip
    if pool_key is not None:
        made.pool_key = pool_key
    order.serving_org_id = vehicle.org_id
    _keep(session, made)
    orders.advance(session, order=order, action=OrderAction.DISPATCH, actor=actor, now=now,
                   note=f"{vehicle.plate} {slip.number}")  # fmt: skip
    audit.record(session, actor=actor, now=now, action="planning.assigned", subject_type="assignment", subject_id=made.id,
                 org_id=vehicle.org_id, order=order.number, plate=vehicle.plate, driver_id=driver.id, slip=slip.number,
                 run_id=run_id, journey=pool_key, consent=consent, decided_against=[fault.code for fault in against])  # fmt: skip
    return made


def _keep(session: Session, assignment: Assignment) -> None:
    """Write the row; a constraint that refuses it is a conflict, also inside somebody's savepoint."""
    session.add(assignment)
    try:
        session.flush()
    except IntegrityError as error:
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        codes = {
            "ex_assignment_vehicle": "planning.vehicle_booked",
            "ex_assignment_driver": "planning.driver_booked",
            "uq_assignment_order_active": "planning.already_assigned",
            "ck_assignment_hold": "planning.kept_for_other",
            "ck_assignment_pool": "planning.pool_refused",
            "ck_assignment_seats": "planning.pool_refused",
            "ck_assignment_reserve": "reserves.broken",
            "ck_assignment_fit_rest": "planning.rest_short",
        }
        if name in codes:
            raise Conflict(codes[name]) from error
        raise
