"""Reading of trips and of what they belong to."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import DateTime, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.duty.models import DutyEvent
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import OrderChange
from fleetapp.planning.models import Assignment
from fleetapp.trips.models import DeriveCursor, Trip, TripMatch
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Secrecy

READERS = frozenset(
    {Role.UNIT_ADMIN, Role.DISPATCHER, Role.FLEET_MANAGER, Role.VEHICLE_OFFICE, Role.AUDITOR, Role.SYSTEM}
)


def visible_to(actor: Actor) -> Select[Trip]:
    """Return the current trips of normal vehicles inside the actor's sub-trees, newest first."""
    return _readable(actor).where(Trip.superseded_at.is_(None))


def _readable(actor: Actor) -> Select[Trip]:
    paths = actor.paths(READERS)
    return (
        select(Trip)
        .join(Vehicle, Vehicle.id == Trip.vehicle_id)
        .join(Organisation, Organisation.id == Trip.org_id)
        .where(
            Vehicle.secrecy == Secrecy.NORMAL,
            or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths)),
        )
        .options(
            joinedload(Trip.vehicle).joinedload(Vehicle.org), selectinload(Trip.matches).joinedload(TripMatch.order)
        )
        .order_by(Trip.start_at.desc(), Trip.id)
    )


def filtered(
    query: Select[Trip],
    *,
    plate: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
    kind: str = "",
    vehicle_id: int | None = None,
    order_id: int | None = None,
    org_id: int | None = None,
) -> Select[Trip]:
    """Narrow trips by plate, start within ``[start, end)``, kind of match, vehicle, order or unit with its sub-tree."""
    if org_id is not None:
        top = select(Organisation.path).where(Organisation.id == org_id).scalar_subquery()
        query = query.where(func.starts_with(Organisation.path, top))
    if plate:
        query = query.where(Vehicle.plate.icontains(plate.strip().upper(), autoescape=True))
    if start:
        query = query.where(Trip.start_at >= start)
    if end:
        query = query.where(Trip.start_at < end)
    if vehicle_id is not None:
        query = query.where(Trip.vehicle_id == vehicle_id)
    part = exists().where(TripMatch.trip_id == Trip.id, TripMatch.superseded_at.is_(None))
    if kind:
        query = query.where(part.where(TripMatch.kind == kind))
    if order_id is not None:
        query = query.where(part.where(TripMatch.order_id == order_id))
    return query


def get_trip(session: Session, *, trip_id: int, actor: Actor) -> Trip:
    """Return a trip the actor may read; a superseded one is still found by its id, for old links and evidence.

    :raises NotFound: none, or out of scope.
    """
    trip = session.scalar(
        _readable(actor).where(Trip.id == trip_id).options(joinedload(Trip.vehicle).joinedload(Vehicle.parking))
    )
    if trip is None:
        raise NotFound("kit.not_found")
    return trip


def current_in(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> Sequence[Trip]:
    """Return a vehicle's current trips that touch ``[start, end)``, in time order."""
    return session.scalars(
        select(Trip)
        .where(
            Trip.vehicle_id == vehicle_id,
            Trip.superseded_at.is_(None),
            func.tstzrange(Trip.start_at, Trip.end_at).op("&&")(func.tstzrange(start, end)),
        )
        .options(selectinload(Trip.matches))
        .order_by(Trip.start_at)
    ).all()


def bindings(session: Session, *, terminal_id: int, start: datetime, end: datetime) -> Sequence[TerminalBinding]:
    """Return who carried a terminal over ``[start, end)``."""
    touching = TerminalBinding.during.op("&&")(func.tstzrange(start, end, "[]"))
    return session.scalars(select(TerminalBinding).where(TerminalBinding.terminal_id == terminal_id, touching)).all()


def vehicle_with_parking(session: Session, *, vehicle_id: int) -> Vehicle:
    """Return a vehicle with its designated parking and organisation."""
    return session.scalars(
        select(Vehicle).where(Vehicle.id == vehicle_id).options(joinedload(Vehicle.parking), joinedload(Vehicle.org))
    ).one()


def cursor_at(session: Session, *, name: str) -> datetime | None:
    """Return up to when a cursor has read."""
    row = session.get(DeriveCursor, name)
    return row.at if row else None


def changed_windows(session: Session, *, since: datetime) -> list[tuple[int, datetime, datetime]]:
    """Return (vehicle, start, end) of assignments made, released or reported on, or whose order was changed, since a moment.

    The hours an order had before a change count too: what was matched to it then may not be any more.
    """
    reported = exists().where(DutyEvent.assignment_id == Assignment.id, DutyEvent.received_at >= since)
    before_start, before_end = (
        func.timestamptz(OrderChange.before[name].astext, type_=DateTime(timezone=True))
        for name in ("start_at", "end_at")
    )
    changed = OrderChange.applied_at >= since
    rows = session.execute(
        select(
            Assignment.vehicle_id,
            func.min(func.least(func.lower(Assignment.during), before_start)),
            func.max(func.greatest(func.upper(Assignment.during), before_end)),
        )
        .outerjoin(OrderChange, and_(OrderChange.order_id == Assignment.order_id, changed))
        .where(or_(Assignment.assigned_at >= since, Assignment.released_at >= since, reported, changed))
        .group_by(Assignment.vehicle_id)
    )
    return [(vehicle_id, start, end) for vehicle_id, start, end in rows]


class Driven(NamedTuple):
    """What a vehicle drove over a time; ``first_at`` is when the first trip began."""

    metres: float
    trips: int
    first_at: datetime | None


def driven(session: Session, *, vehicle_ids: Collection[int], start: datetime, end: datetime) -> dict[int, Driven]:
    """Return distance, number and begin of the current trips that began in ``[start, end)`` by vehicle, as far as row-level security shows them.

    For slices that have already checked that the actor may read these vehicles; no place and no time of a trip is told.
    """
    rows = session.execute(
        select(Trip.vehicle_id, func.sum(Trip.best_m), func.count(), func.min(Trip.start_at))
        .where(
            Trip.vehicle_id.in_(vehicle_ids), Trip.superseded_at.is_(None), Trip.start_at >= start, Trip.start_at < end
        )
        .group_by(Trip.vehicle_id)
    )
    return {vehicle_id: Driven(metres, number, first_at) for vehicle_id, metres, number, first_at in rows}
