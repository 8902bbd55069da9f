"""What drivers reported, and the orders of a vehicle as trips need to know them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from geoalchemy2.shape import to_shape
from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.orders.models import TravelOrder
from fleetapp.planning.models import Assignment, AssignmentState


@dataclass(frozen=True, slots=True)
class Stop:
    """An approved stop, WGS-84, with the tolerance its address deserves."""

    name: str
    lat: float
    lon: float
    tolerance_m: int


@dataclass(frozen=True, slots=True)
class OrderOfVehicle:
    """An assigned order of a vehicle: approved window ``[start_at, end_at)``, stops (the origin first), what was reported."""

    order_id: int
    order_kind: str
    slip: str
    start_at: datetime
    end_at: datetime
    stops: tuple[Stop, ...]
    driver_id: int
    driver_user_id: int
    checked_out_at: datetime | None
    checked_out_odometer_m: int | None
    returned_at: datetime | None
    returned_odometer_m: int | None


def orders_of_vehicle(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[OrderOfVehicle]:
    """Return the orders with an active assignment to the vehicle that touch ``[start, end)``, in time order."""
    assignments = session.scalars(
        select(Assignment)
        .join(TravelOrder, TravelOrder.id == Assignment.order_id)
        .where(
            Assignment.vehicle_id == vehicle_id,
            Assignment.state == AssignmentState.ACTIVE,
            Assignment.during.op("&&")(func.tstzrange(start, end)),
        )
        .options(
            joinedload(Assignment.order).selectinload(TravelOrder.stops),
            joinedload(Assignment.slip),
            joinedload(Assignment.driver),
        )
        .order_by(TravelOrder.start_at, Assignment.id)
    ).all()
    events = _first_events(session, [assignment.id for assignment in assignments])
    return [_order_of_vehicle(assignment, events) for assignment in assignments]


def _first_events(session: Session, assignment_ids: Sequence[int]) -> dict[tuple[int, str], DutyEvent]:
    """Return each assignment's check-out and check-in."""
    if not assignment_ids:
        return {}
    rows = session.scalars(
        select(DutyEvent)
        .where(
            DutyEvent.assignment_id.in_(assignment_ids),
            DutyEvent.action.in_([DutyAction.CHECK_OUT, DutyAction.CHECK_IN]),
        )
        .order_by(DutyEvent.id.desc())
    )
    return {(event.assignment_id, event.action): event for event in rows}


def _order_of_vehicle(assignment: Assignment, events: dict[tuple[int, str], DutyEvent]) -> OrderOfVehicle:
    out = events.get((assignment.id, DutyAction.CHECK_OUT))
    back = events.get((assignment.id, DutyAction.CHECK_IN))
    points = [(stop, to_shape(stop.point).centroid) for stop in assignment.order.stops]
    return OrderOfVehicle(
        order_id=assignment.order_id,
        order_kind=assignment.order.kind,
        slip=assignment.slip.number,
        start_at=assignment.order.start_at,
        end_at=assignment.order.end_at,
        stops=tuple(Stop(stop.name, point.y, point.x, stop.tolerance_m) for stop, point in points),
        driver_id=assignment.driver_id,
        driver_user_id=assignment.driver.user_id,
        checked_out_at=out.at if out else None,
        checked_out_odometer_m=out.odometer_m if out else None,
        returned_at=back.at if back else None,
        returned_odometer_m=back.odometer_m if back else None,
    )
