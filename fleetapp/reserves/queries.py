"""Reading of floors and alerts, how reserves stand, and what a booking would leave free."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, func, literal, or_, select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, contains_eager

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import orgs_visible_to, within_reach
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span
from fleetapp.reserves.models import ReserveAlert, ReserveFloor
from fleetapp.reserves.rules import Standing, standing

BREACHES = text(
    "SELECT one.vehicle_id, b.pool_id, b.body, b.floor, b.free, b.at, o.name_zh, o.name_en"
    " FROM unnest(CAST(:vehicle_ids AS bigint[])) AS one (vehicle_id)"
    " CROSS JOIN LATERAL reserve_breach(one.vehicle_id, tstzrange(:start, :end)) AS b JOIN organisation o ON o.id = b.pool_id"
)
FLOORS = text(
    "SELECT o.path, f.body, max(r.vehicles) FROM (SELECT DISTINCT org_id, body FROM reserve_floor) f JOIN organisation o ON o.id = f.org_id"
    " CROSS JOIN LATERAL reserve_floors(f.org_id, f.body, tstzrange(:start, :end)) r WHERE r.body = f.body GROUP BY 1, 2"
)
STANDING = text("SELECT pool_id, body, floor, free, total FROM reserve_standing(:at)")


@dataclass(frozen=True, slots=True)
class Breach:
    """What a booking would leave of a pool's reserve at its worst moment: ``free`` of ``body``, fewer than ``floor``."""

    pool_id: int
    pool_zh: str
    pool_en: str
    body: str
    floor: int
    free: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Reserve:
    """How the reserve of a pool and body stands at a moment: ``free`` of ``total`` vehicles in service, ``floor`` in force."""

    org: Organisation
    body: str
    floor: int
    free: int
    total: int

    @property
    def standing(self) -> Standing:
        """Fine, at the floor, or below it."""
        return standing(self.floor, self.free)


def visible_to(actor: Actor) -> Select[ReserveFloor]:
    """Return the floors of the pools within reach, by pool, level and body, the newest period first."""
    return (
        select(ReserveFloor)
        .join(ReserveFloor.org)
        .where(within_reach(actor, "reserves.read"))
        .options(contains_eager(ReserveFloor.org))
        .order_by(Organisation.path, ReserveFloor.level.desc(), ReserveFloor.body, ReserveFloor.id.desc())
    )


def in_force(query: Select[ReserveFloor], *, on: date) -> Select[ReserveFloor]:
    """Narrow floors to those that hold on a local day or will later."""
    return query.where(or_(func.upper_inf(ReserveFloor.during), func.upper(ReserveFloor.during) > literal(on)))


def get_floor(session: Session, *, floor_id: int, actor: Actor) -> ReserveFloor:
    """Return a floor within reach, held.

    :raises NotFound: no such floor, or out of reach.
    """
    query = visible_to(actor).where(ReserveFloor.id == floor_id).with_for_update(of=ReserveFloor)
    found = session.scalar(query.execution_options(populate_existing=True))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def pools(session: Session, *, actor: Actor) -> Sequence[Organisation]:
    """Return the pools inside the actor's part of the tree: districts, and the city for its own level."""
    is_pool = or_(Organisation.kind == "district", Organisation.parent_id.is_(None))
    return session.scalars(orgs_visible_to(actor).where(is_pool)).all()


def alert_of(session: Session, *, org_id: int, at: datetime, lock: bool = False) -> ReserveAlert | None:
    """Return the alert in force at an organisation itself."""
    query = select(ReserveAlert).where(ReserveAlert.org_id == org_id, ReserveAlert.during.contains(literal(at)))
    return session.scalar(query.with_for_update() if lock else query)


def alerts(session: Session, *, at: datetime) -> Sequence[ReserveAlert]:
    """Return the alerts in force of the actor's part of the tree and of whoever is above it."""
    query = select(ReserveAlert).join(ReserveAlert.org).where(ReserveAlert.during.contains(literal(at)))
    return session.scalars(query.options(contains_eager(ReserveAlert.org)).order_by(Organisation.path)).all()


def reserves(session: Session, *, actor: Actor, at: datetime) -> list[Reserve]:
    """Return how every reserve within the actor's part of the tree stands at a moment, by pool and body."""
    orgs = {org.id: org for org in pools(session, actor=actor)}
    rows = session.execute(STANDING, {"at": at}).all()
    found = [Reserve(orgs[row[0]], *row[1:]) for row in rows if row[0] in orgs]
    return sorted(found, key=lambda reserve: (reserve.org.path, reserve.body))


def breaches(session: Session, *, vehicle_ids: Collection[int], span: Span) -> dict[int, Breach]:
    """Return, for each vehicle whose booking over a span would break a floor, what it would leave."""
    rows = session.execute(BREACHES, {"vehicle_ids": list(vehicle_ids), "start": span.start, "end": span.end})
    return {
        row.vehicle_id: Breach(row.pool_id, row.name_zh, row.name_en, row.body, row.floor, row.free, row.at)
        for row in rows
    }


def floors(session: Session, *, span: Span) -> dict[tuple[str, str], int]:
    """Return the highest floor by pool (its tree path) and body that is in force at any moment of a span."""
    rows = session.execute(FLOORS, {"start": span.start, "end": span.end})
    return {(path, body): vehicles for path, body, vehicles in rows}


def span_of(start_on: date, end_on: date | None) -> Range[date]:
    """Return the half-open period of two local days."""
    return Range(start_on, end_on)
