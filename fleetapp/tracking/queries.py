"""Which vehicle carried which terminal, where everybody is, one vehicle's track."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, literal, or_, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import Actor, Role
from fleetapp.tracking import bridge
from fleetapp.tracking.bridge import Fix, LastPosition, Track
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


def watchable(actor: Actor) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions on vehicle and unit under which the actor may watch a position."""
    paths = actor.paths(WATCHERS)
    return (
        or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths)),
        Vehicle.secrecy == Secrecy.NORMAL,
        Vehicle.state != VehicleState.RETIRED,
    )


def visible_to(actor: Actor) -> Select[Vehicle]:
    """Return the vehicles whose position the actor may watch: no restricted or secret ones, none retired."""
    return (
        select(Vehicle)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(*watchable(actor))
        .options(joinedload(Vehicle.org))
        .order_by(Vehicle.plate)
    )


def live(session: Session, *, actor: Actor, now: datetime) -> list[LiveVehicle]:
    """Return the vehicles ever heard of with their newest position."""
    bound = {binding.terminal_id: binding.vehicle_id for binding in session.scalars(bindings_at(now=now))}
    vehicles = {vehicle.id: vehicle for vehicle in session.scalars(visible_to(actor))}
    wanted = [terminal for terminal, vehicle in bound.items() if vehicle in vehicles]
    return [
        LiveVehicle(
            vehicles[bound[position.terminal_id]],
            position,
            live_state(at=position.at, received_at=position.received_at, speed_kmh=position.speed_kmh, now=now),
        )
        for position in bridge.last_positions(session, terminal_ids=wanted)
    ]


def states(session: Session, *, now: datetime) -> dict[int, LiveState]:
    """Return what the newest position of each vehicle ever heard of shows now, by vehicle, as far as row-level security shows its binding."""
    bound = bindings_at(now=now).with_only_columns(TerminalBinding.terminal_id, TerminalBinding.vehicle_id)
    vehicle_of = {terminal_id: vehicle_id for terminal_id, vehicle_id in session.execute(bound)}  # noqa: C416 -- rows are not tuples to a type checker
    return {
        vehicle_of[one.terminal_id]: live_state(
            at=one.at, received_at=one.received_at, speed_kmh=one.speed_kmh, now=now
        )
        for one in bridge.last_positions(session, terminal_ids=list(vehicle_of))
    }


def newest(session: Session, *, vehicle_ids: Collection[int], now: datetime) -> dict[int, LastPosition]:
    """Return the newest position of each vehicle as far as row-level security shows it, for slices whose own row names the vehicle."""
    bound = bindings_at(now=now).where(TerminalBinding.vehicle_id.in_(vehicle_ids))
    vehicle_of = {binding.terminal_id: binding.vehicle_id for binding in session.scalars(bound)}
    found = bridge.last_positions(session, terminal_ids=list(vehicle_of))
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
    return list(track_columns(session, vehicle_id=vehicle_id, start=start, end=end).fixes)


def track_columns(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> Track:
    """Return the same as columns, no fix made."""
    found = []
    for binding in bindings_of(session, vehicle_id=vehicle_id, start=start, end=end):
        first = max(start, binding.during.lower or start)
        last = min(end, binding.during.upper or end)
        found.append(bridge.read_columns(session, terminal_id=binding.terminal_id, start=first, end=last))
    return bridge.joined(found)


def nearest_at(session: Session, *, vehicle_id: int, start: datetime, end: datetime, last: bool) -> datetime | None:
    """Return when the first, or the last, fix of a vehicle in ``[start, end)`` was made, if there is one; archived days do not count."""
    found = [
        at
        for binding in bindings_of(session, vehicle_id=vehicle_id, start=start, end=end)
        if (
            at := bridge.nearest_at(
                session, terminal_id=binding.terminal_id, start=max(start, binding.during.lower or start),
                end=min(end, binding.during.upper or end), last=last,
            )
        )
    ]  # fmt: skip
    return (max if last else min)(found, default=None)


def bound_vehicles(session: Session, *, now: datetime) -> dict[int, Vehicle]:
    """Return the vehicle of each bound terminal that the transaction's actor may see."""
    rows = session.execute(
        select(TerminalBinding.terminal_id, Vehicle)
        .join(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .where(TerminalBinding.during.contains(literal(now)))
        .options(joinedload(Vehicle.org))
    )
    return dict(rows.all())
