"""Whether a vehicle and a driver are free for an order, and writing the booking that takes them."""

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleetapp.drivers.models import Driver
from fleetapp.kit import clock
from fleetapp.kit.errors import Conflict
from fleetapp.kit.spans import Span
from fleetapp.planning import queries
from fleetapp.planning.models import Assignment
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


def keep(session: Session, assignment: Assignment) -> None:
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
