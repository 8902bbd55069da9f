"""One vehicle as somebody who watches the map sees it: where it is, what it drives for, who drives."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import literal, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.drivers.models import Driver
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.orders import queries as orders
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.tracking import bridge, queries
from fleetapp.tracking.bridge import LastPosition
from fleetapp.tracking.rules import LiveState, live_state
from fleetapp.vehicles.models import TerminalBinding, Vehicle


@dataclass(frozen=True, slots=True)
class Card:
    """A vehicle, its newest position if there is one, and the journeys it is on that the actor may open."""

    vehicle: Vehicle
    position: LastPosition | None
    state: LiveState
    journeys: list[Assignment]


def show(session: Session, *, vehicle_id: int, actor: Actor, now: datetime) -> Card:
    """Return a vehicle's card.

    :raises NotAllowed: the actor watches nobody.
    :raises NotFound: out of reach, restricted or retired.
    """
    permits.require("tracking.live", actor)
    vehicle = session.scalar(queries.visible_to(actor).where(Vehicle.id == vehicle_id))
    if vehicle is None:
        raise NotFound("kit.not_found")
    terminal_id = session.scalar(
        select(TerminalBinding.terminal_id).where(
            TerminalBinding.vehicle_id == vehicle_id, TerminalBinding.during.contains(literal(now))
        )
    )
    found = bridge.last_positions(session, terminal_ids=[terminal_id]) if terminal_id is not None else []
    position = found[0] if found else None
    state = LiveState.OFFLINE
    if position:
        state = live_state(at=position.at, received_at=position.received_at, speed_kmh=position.speed_kmh, now=now)
    under_way = session.scalars(
        select(Assignment)
        .where(
            Assignment.vehicle_id == vehicle_id,
            Assignment.state == AssignmentState.ACTIVE,
            Assignment.during.contains(literal(now)),
        )
        .options(joinedload(Assignment.order), joinedload(Assignment.driver).joinedload(Driver.user))
        .order_by(Assignment.id)
    ).all()
    open_to = orders.readable(session, order_ids=[one.order_id for one in under_way], actor=actor)
    return Card(vehicle, position, state, [one for one in under_way if one.order_id in open_to])
