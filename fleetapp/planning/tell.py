"""Who is told of an assignment besides the applicant, whom orders tell. The words are ``notice.…`` of this slice."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts import queries as accounts
from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import Role
from fleetapp.orders import tell
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderState
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.vehicles.models import Vehicle


def assigned(session: Session, *, held: Assignment, now: datetime) -> None:
    """Tell the driver of a new journey."""
    tell.person(session, order=held.order, to={held.driver.user_id}, code="planning.notice.assigned", now=now, event_id=held.id,
                note=held.vehicle.plate, link="/duty")  # fmt: skip


def taken_back(session: Session, *, held: Assignment, reason: str, now: datetime) -> None:
    """Tell the driver that a journey is off."""
    tell.person(session, order=held.order, to={held.driver.user_id}, code="planning.notice.taken_back", now=now, event_id=held.id,
                note=reason, link="/duty")  # fmt: skip


def unaccepted(session: Session, *, held: Assignment, now: datetime) -> None:
    """Tell whoever looks after an assignment that its driver has not accepted in time."""
    tell.person(session, order=held.order, to=dispatchers_of(session, held), code="planning.notice.unaccepted", now=now,
                event_id=held.id, note=f"{held.vehicle.plate} {held.driver.user.name_zh}")  # fmt: skip


def waiting(session: Session, *, now: datetime) -> Sequence[Assignment]:
    """Return the active assignments of journeys ahead whose driver has not accepted, for the reminder."""
    query = (
        select(Assignment)
        .join(Assignment.order)
        .where(
            Assignment.state == AssignmentState.ACTIVE,
            TravelOrder.state == OrderState.DISPATCHED,
            TravelOrder.end_at > now,
        )
        .options(
            joinedload(Assignment.vehicle).joinedload(Vehicle.org),
            joinedload(Assignment.driver).joinedload(Driver.user),
            joinedload(Assignment.order).joinedload(TravelOrder.org),
            joinedload(Assignment.order).selectinload(TravelOrder.stops),
        )
    )
    return session.scalars(query).all()


def dispatchers_of(session: Session, held: Assignment) -> set[int]:
    """Return who looks after an assignment: whoever made it by hand, else the dispatchers nearest to the vehicle."""
    if held.assigned_by is not None:
        return {held.assigned_by}
    return set(accounts.holders(session, role=Role.DISPATCHER, org_path=held.vehicle.org.path))
