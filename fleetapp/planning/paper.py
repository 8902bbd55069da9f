"""What stands on dispatch slips, and the register of their numbers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, Select, func, or_, select
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.accounts.queries import within_reach
from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import NotFound
from fleetapp.orders import queries as orders
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.planning import queries, turns
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.vehicles.models import Vehicle

MOST_AT_ONCE = 60
"""Slips of one file; a day of a large fleet takes several."""


@dataclass(frozen=True, slots=True)
class Actuals:
    """What the journey became; metres on the odometer."""

    out_at: datetime | None = None
    out_m: int | None = None
    in_at: datetime | None = None
    in_m: int | None = None


@dataclass(frozen=True, slots=True)
class Mates:
    """Who is on board of a shared journey and in which turn its stops come.

    ``orders`` are (number, unit, people, slip number), ``stops`` (planned time, name, number of the order).
    """

    orders: Sequence[tuple[str, Organisation, int, str]]
    stops: Sequence[tuple[datetime | None, str, str]]


def mates(session: Session, held: Assignment) -> Mates | None:
    """Return the orders and stops of a shared journey; None where an order has its vehicle to itself."""
    if held.state != AssignmentState.ACTIVE:
        return None
    rows = queries.journeys(session, pool_keys=[held.pool_key])
    if len(rows) < 2:
        return None
    return Mates(
        [(row.order.number, row.order.org, row.order.passenger_count, row.slip.number) for row in rows],
        [(turn.planned_at, turn.stop.name, turn.assignment.order.number) for turn in turns.of(session, rows=rows)],
    )


ACTUALS: list[Callable[[Session, Collection[int]], Mapping[int, Actuals]]] = []
"""Who knows what journeys became, by assignment: a slice above this one, plugged in by wiring."""


def of_order(session: Session, *, order_id: int, actor: Actor) -> Assignment:
    """Return the slip to print: of whoever may read the order, or of its driver.

    :raises NotFound: no such order, none of the caller's, or never assigned.
    """
    rows = session.scalars(_whole().where(Assignment.order_id == order_id).order_by(Assignment.id.desc())).all()
    held = next((row for row in rows if row.state == AssignmentState.ACTIVE), rows[0] if rows else None)
    if held is None:
        raise NotFound("planning.no_slip")
    drives = held.driver.user_id == actor.user_id and held.state == AssignmentState.ACTIVE
    orders.get_order(session, order_id=order_id, actor=SYSTEM if drives else actor)
    return held


def by_numbers(session: Session, *, slip_ids: Collection[int], actor: Actor) -> Sequence[Assignment]:
    """Return slips to print together, by vehicle and time; those whose order the actor may not read are left out."""
    query = _whole().where(Assignment.slip_id.in_(slip_ids)).join(Assignment.order).join(Assignment.vehicle)
    held = session.scalars(query.order_by(Vehicle.plate, TravelOrder.start_at).limit(MOST_AT_ONCE)).unique().all()
    readable = orders.readable(session, order_ids=[row.order_id for row in held], actor=actor)
    return [row for row in held if row.order_id in readable]


def actuals(session: Session, held: Sequence[Assignment]) -> dict[int, Actuals]:
    """Return what became of the journeys, by assignment, as far as anybody knows."""
    ids = [row.id for row in held]
    return {key: value for known in ACTUALS for key, value in known(session, ids).items()}


def register(
    actor: Actor, *, year: int, org_id: int | None = None, q: str = "", void: bool | None = None
) -> Select[DispatchSlip, Assignment, UserAccount, UserAccount]:
    """Return every number issued in a year within reach, by unit and number, with its assignment, issuer and who made it void."""
    issuer, voider = aliased(UserAccount), aliased(UserAccount)
    query = (
        select(DispatchSlip, Assignment, issuer, voider)
        .join(Organisation, Organisation.id == DispatchSlip.org_id)
        .join(Assignment, Assignment.slip_id == DispatchSlip.id, isouter=True)
        .join(Assignment.order, isouter=True)
        .join(Assignment.vehicle, isouter=True)
        .join(issuer, issuer.id == DispatchSlip.issued_by, isouter=True)
        .join(voider, voider.id == DispatchSlip.void_by, isouter=True)
        .where(within_reach(actor, "planning.read"), DispatchSlip.year == year)
        .options(contains_eager(Assignment.order).joinedload(TravelOrder.org), contains_eager(Assignment.vehicle),
                 joinedload(Assignment.driver).joinedload(Driver.user))
        .order_by(Organisation.path, DispatchSlip.seq)
    )  # fmt: skip
    if org_id is not None:
        query = query.where(DispatchSlip.org_id == org_id)
    if void is not None:
        query = query.where(DispatchSlip.void_at.is_not(None) if void else DispatchSlip.void_at.is_(None))
    if q:
        query = query.where(
            or_(DispatchSlip.number.icontains(q, autoescape=True), Vehicle.plate.icontains(q, autoescape=True),
                TravelOrder.number.icontains(q, autoescape=True))
        )  # fmt: skip
    return query


def counts(session: Session, *, actor: Actor, year: int) -> Sequence[Row[Organisation, int, int, int]]:
    """Return of every unit within reach with slips in a year: how many numbers, the last one, how many void."""
    query = (
        select(Organisation, func.count(), func.max(DispatchSlip.seq), func.count(DispatchSlip.void_at))
        .join(DispatchSlip, DispatchSlip.org_id == Organisation.id)
        .where(within_reach(actor, "planning.read"), DispatchSlip.year == year)
        .group_by(Organisation.id)
        .order_by(Organisation.path)
    )
    return session.execute(query).all()


def years(session: Session, *, actor: Actor) -> list[int]:
    """Return the years in which slips were issued within reach, the newest first."""
    query = (
        select(DispatchSlip.year)
        .distinct()
        .join(Organisation, Organisation.id == DispatchSlip.org_id)
        .where(within_reach(actor, "planning.read"))
    )
    return sorted(session.scalars(query), reverse=True)


def _whole() -> Select[Assignment]:
    return select(Assignment).options(
        joinedload(Assignment.vehicle).joinedload(Vehicle.org),
        joinedload(Assignment.driver).joinedload(Driver.user),
        joinedload(Assignment.slip),
        joinedload(Assignment.assigner),
        joinedload(Assignment.order).joinedload(TravelOrder.org),
        joinedload(Assignment.order).joinedload(TravelOrder.applicant),
        joinedload(Assignment.order).joinedload(TravelOrder.approver),
        joinedload(Assignment.order).selectinload(TravelOrder.stops),
    )
