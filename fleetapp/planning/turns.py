"""In which turn the stops of a journey come: as kept when somebody joined, and as its orders stand now."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.orders.models import OrderEvent, OrderStop
from fleetapp.orders.rules import OrderAction
from fleetapp.planning.models import Assignment, JourneyStop


class Turn(NamedTuple):
    """One stop of a journey; ``planned_at`` is None where nobody has estimated it."""

    assignment: Assignment
    stop: OrderStop
    planned_at: datetime | None


def kept(session: Session, *, assignment_ids: Collection[int]) -> Sequence[JourneyStop]:
    """Return the stops of journeys in their turn, those included that a change has ended since."""
    query = select(JourneyStop).where(JourneyStop.assignment_id.in_(assignment_ids))
    return session.scalars(query.order_by(JourneyStop.turn, JourneyStop.id)).all()


def of(session: Session, *, rows: Sequence[Assignment]) -> list[Turn]:
    """Return the stops of a journey's orders in their turn; what a change has brought since comes last."""
    stops = {stop.id: (row, stop) for row in rows for stop in row.order.stops}
    found = [
        Turn(*stops.pop(one.order_stop_id), one.planned_at)
        for one in kept(session, assignment_ids=[row.id for row in rows])
        if one.order_stop_id in stops
    ]
    return found + [Turn(row, stop, None) for row, stop in stops.values()]


def arrivals(session: Session, *, order_ids: Collection[int]) -> int:
    """Return how many places the car has left or reached: the start, and every arrival reported, at once for several."""
    done = select(OrderEvent.action, OrderEvent.at).where(OrderEvent.order_id.in_(order_ids)).distinct()
    arrived = session.execute(done.where(OrderEvent.action == OrderAction.ARRIVE)).all()
    is_out = session.execute(done.where(OrderEvent.action == OrderAction.CHECK_OUT)).first() is not None
    return is_out + len(arrived)
