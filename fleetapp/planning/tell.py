"""Who is told of an assignment besides the applicant, whom orders tell. The words are ``notice.…`` of this slice."""

from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.orders import tell
from fleetapp.planning import queries
from fleetapp.planning.models import Assignment


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
    tell.person(session, order=held.order, to=queries.dispatchers_of(session, held), code="planning.notice.unaccepted", now=now,
                event_id=held.id, note=f"{held.vehicle.plate} {held.driver.user.name_zh}")  # fmt: skip
