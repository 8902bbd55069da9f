"""Which vehicle carried which terminal, where everybody is, one vehicle's track."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import Actor, Role
from fleetapp.tracking import bridge
from fleetapp.tracking.bridge import Fix, LastPosition
from fleetapp.tracking.rules import LiveState, live_state
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Secrecy, VehicleState

WATCHERS = frozenset({Role.DISPATCHER, Role.FLEET_MANAGER, Role.VEHICLE_OFFICE, Role.AUDITOR, Role.LEADER, Role.SYSTEM})


@dataclass(frozen=True, slots=True)
class LiveVehicle:
    """A vehicle with its last position and what it means now."""

    vehicle: Vehicle
    position: LastPosition
    state: LiveState


def bindings_at(*, now: datetime) -> Select[TerminalBinding]:
    """Return the bindings in force at a moment."""
    return select(TerminalBinding).where(TerminalBinding.during.contains(literal(now)))


def visible_to(actor: Actor) -> Select[Vehicle]:
    """Return the vehicles whose position the actor may watch: no restricted or secret ones, none retired."""
    paths = actor.paths(WATCHERS)
    return (
        select(Vehicle)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(
            or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths)),
            Vehicle.secrecy == Secrecy.NORMAL,
            Vehicle.state != VehicleState.RETIRED,
        )
        .options(joinedload(Vehicle.org))
        .order_by(Vehicle.plate)
    )


def live(session: Session, *, actor: Actor, now: datetime, since: datetime | None = None) -> list[LiveVehicle]:
    """Return the vehicles heard of since a moment (or ever) with their newest position."""
    bound = {binding.terminal_id: binding.vehicle_id for binding in session.scalars(bindings_at(now=now))}
    vehicles = {vehicle.id: vehicle for vehicle in session.scalars(visible_to(actor))}
    wanted = [terminal for terminal, vehicle in bound.items() if vehicle in vehicles]
    return [
        LiveVehicle(
            vehicles[bound[position.terminal_id]],
            position,
            live_state(at=position.at, received_at=position.received_at, speed_kmh=position.speed_kmh, now=now),
        )
        for position in bridge.last_positions(session, since=since, terminal_ids=wanted)
    ]


def newest(session: Session, *, vehicle_ids: Collection[int], now: datetime) -> dict[int, LastPosition]:
    """Return the newest position of each vehicle as far as row-level security shows it, for slices whose own row names the vehicle."""
    bound = bindings_at(now=now).where(TerminalBinding.vehicle_id.in_(vehicle_ids))
    vehicle_of = {binding.terminal_id: binding.vehicle_id for binding in session.scalars(bound)}
    found = bridge.last_positions(session, since=None, terminal_ids=list(vehicle_of))
    return {vehicle_of[position.terminal_id]: position for position in found}


def bindings_of(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> Sequence[TerminalBinding]:
    """Return the bindings of a vehicle that touch ``[start, end)``, in time order."""
    span = func.tstzrange(start, end)
    query = select(TerminalBinding).where(
        TerminalBinding.vehicle_id == vehicle_id, TerminalBinding.during.op("&&")(span)
    )
    return session.scalars(query.order_by(func.lower(TerminalBinding.during))).all()


def track(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[Fix]:
    """Return a vehicle's fixes of ``[start, end)`` over all terminals it carried."""
    found: list[Fix] = []
    for binding in bindings_of(session, vehicle_id=vehicle_id, start=start, end=end):
        first = max(start, binding.during.lower or start)
        last = min(end, binding.during.upper or end)
        found += bridge.read_fixes(session, terminal_id=binding.terminal_id, start=first, end=last)
    return found


def bound_vehicles(session: Session, *, now: datetime) -> dict[int, Vehicle]:
    """Return the vehicle of each bound terminal that the transaction's actor may see."""
    rows = session.execute(
        select(TerminalBinding.terminal_id, Vehicle)
        .join(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .where(TerminalBinding.during.contains(literal(now)))
        .options(joinedload(Vehicle.org))
    )
    return dict(rows.all())
