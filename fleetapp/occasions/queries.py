"""Reading of events, of what is kept for them, their rosters and orders."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Select, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.queries import within_reach
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.occasions.models import OccasionEvent, OccasionShift
from fleetapp.occasions.rules import OPEN, Served
from fleetapp.orders import queries as orders
from fleetapp.orders.models import Occasion, TravelOrder
from fleetapp.planning.models import Assignment, AssignmentState, Hold, HoldCause
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body


def visible_to(actor: Actor) -> Select[Occasion]:
    """Return the events within reach, the latest first."""
    return (
        select(Occasion)
        .join(Occasion.org)
        .where(within_reach(actor, "occasions.read"))
        .options(contains_eager(Occasion.org))
        .order_by(Occasion.start_at.desc(), Occasion.id.desc())
    )


def get_occasion(session: Session, *, occasion_id: int, actor: Actor, lock: bool = False) -> Occasion:
    """Return an event that the actor may read.

    :raises NotFound: no such event, or out of reach.
    """
    query = visible_to(actor).where(Occasion.id == occasion_id)
    if lock:
        query = query.with_for_update(of=Occasion, key_share=True).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def next_due(session: Session, *, now: datetime) -> Occasion | None:
    """Return, held, an event whose start or end has come and that has not moved on."""
    due = or_(Occasion.end_at <= now, (Occasion.state == "PLANNED") & (Occasion.start_at <= now))
    query = select(Occasion).where(Occasion.state.in_(OPEN), due).options(joinedload(Occasion.org))
    return session.scalars(query.order_by(Occasion.id).limit(1).with_for_update(of=Occasion, key_share=True)).first()


def holds(session: Session, *, occasion_id: int) -> Sequence[Hold]:
    """Return the vehicles and drivers kept for an event, as far as row-level security shows them."""
    query = select(Hold).where(
        Hold.cause == HoldCause.OCCASION, Hold.cause_id == occasion_id, Hold.released_at.is_(None)
    )
    query = query.options(
        joinedload(Hold.vehicle).joinedload(Vehicle.org),
        joinedload(Hold.driver).options(joinedload(Driver.user), joinedload(Driver.org)),
    )
    return session.scalars(query.order_by(Hold.id)).all()


def kept_once(session: Session, *, occasion_id: int) -> int:
    """Return how many vehicles were ever kept for an event, given back or not."""
    query = select(func.count(Hold.vehicle_id.distinct()))
    return session.scalar(query.where(Hold.cause == HoldCause.OCCASION, Hold.cause_id == occasion_id)) or 0


def shifts(session: Session, *, occasion_id: int) -> Sequence[OccasionShift]:
    """Return the roster of an event by day."""
    query = select(OccasionShift).where(OccasionShift.occasion_id == occasion_id, OccasionShift.removed_at.is_(None))
    query = query.options(joinedload(OccasionShift.driver).joinedload(Driver.user))
    return session.scalars(query.order_by(OccasionShift.on, OccasionShift.id)).all()


def events(session: Session, *, occasion_id: int) -> Sequence[OccasionEvent]:
    """Return the steps of an event, the oldest first."""
    query = select(OccasionEvent).where(OccasionEvent.occasion_id == occasion_id)
    return session.scalars(query.options(joinedload(OccasionEvent.actor)).order_by(OccasionEvent.id)).all()


class Clash(NamedTuple):
    """What a vehicle or driver does at the time of an event: an order's number, or the cause it is kept for."""

    number: str | None
    cause: str | None
    start_at: datetime
    end_at: datetime


def clashes(
    session: Session, *, occasion: Occasion, vehicle_ids: Collection[int] = (), driver_ids: Collection[int] = ()
) -> tuple[dict[int, list[Clash]], dict[int, list[Clash]]]:
    """Return what is in the way of keeping vehicles and drivers for an event, by vehicle and by driver."""
    during = Range(occasion.start_at, occasion.end_at)
    booked = select(Assignment).where(
        Assignment.state == AssignmentState.ACTIVE, Assignment.during.overlaps(during),
        or_(Assignment.vehicle_id.in_(vehicle_ids), Assignment.driver_id.in_(driver_ids)),
    ).options(joinedload(Assignment.order))  # fmt: skip
    kept = select(Hold).where(
        Hold.released_at.is_(None), Hold.during.overlaps(during),
        or_(Hold.vehicle_id.in_(vehicle_ids), Hold.driver_id.in_(driver_ids)),
    )  # fmt: skip
    of_vehicle: dict[int, list[Clash]] = {}
    of_driver: dict[int, list[Clash]] = {}
    for row in session.scalars(booked):
        if row.order.occasion_id != occasion.id:
            clash = Clash(row.order.number, None, row.order.start_at, row.order.end_at)
            of_vehicle.setdefault(row.vehicle_id, []).append(clash)
            of_driver.setdefault(row.driver_id, []).append(clash)
    for hold in session.scalars(kept):
        start_at, end_at = hold.during.lower or occasion.start_at, hold.during.upper or occasion.end_at
        of, key = (of_vehicle, hold.vehicle_id) if hold.vehicle_id else (of_driver, hold.driver_id)
        of.setdefault(key or 0, []).append(Clash(None, hold.cause, start_at, end_at))
    return of_vehicle, of_driver


def offered(
    session: Session, *, occasion: Occasion, actor: Actor, body: Body | None = None, q: str = ""
) -> tuple[Sequence[Vehicle], Sequence[Driver]]:
    """Return the vehicles in service, papers and all, and the licensed drivers within reach to the end of an event."""
    last_on = clock.local_date(occasion.end_at - timedelta(microseconds=1))
    query = vehicles.filtered(vehicles.in_service(actor), q=q)
    if body:
        query = query.where(Vehicle.body == body)
    cars = session.scalars(query.order_by(None).order_by(Vehicle.org_id, Vehicle.plate)).all()
    ended = vehicles.papers_ended(session, vehicle_ids=[car.id for car in cars], last_on=last_on)
    return [car for car in cars if car.id not in ended], drivers.available(session, actor=actor, until_on=last_on)


def orders_of(session: Session, *, occasion_id: int, actor: Actor) -> Sequence[TravelOrder]:
    """Return the orders of an event that the actor may see, by start."""
    query = orders.visible_to(actor).where(TravelOrder.occasion_id == occasion_id)
    return session.scalars(query.order_by(None).order_by(TravelOrder.start_at, TravelOrder.id)).all()


def states_of(session: Session, *, occasion_id: int) -> Sequence[str]:
    """Return the states of all orders of an event."""
    return session.scalars(select(TravelOrder.state).where(TravelOrder.occasion_id == occasion_id)).all()


def assignments_of(session: Session, *, order_ids: Collection[int]) -> dict[int, Assignment]:
    """Return the active assignments of orders, by order."""
    query = select(Assignment).where(
        Assignment.order_id.in_(order_ids), Assignment.state == AssignmentState.ACTIVE
    ).options(joinedload(Assignment.vehicle), joinedload(Assignment.driver).joinedload(Driver.user))  # fmt: skip
    return {row.order_id: row for row in session.scalars(query)}


def served(session: Session, *, found: Sequence[TravelOrder]) -> list[Served]:
    """Return what became of orders: vehicle, driver and the metres between check-out and check-in."""
    held = assignments_of(session, order_ids=[order.id for order in found])
    readings = session.execute(
        select(DutyEvent.assignment_id, DutyEvent.action, DutyEvent.odometer_m).where(
            DutyEvent.assignment_id.in_([row.id for row in held.values()]),
            DutyEvent.action.in_([DutyAction.CHECK_OUT, DutyAction.CHECK_IN]),
        )
    )
    read = {(assignment_id, action): metres for assignment_id, action, metres in readings}
    rows = []
    for order in found:
        row = held.get(order.id)
        out, back = (
            read.get((row.id, action)) if row else None for action in (DutyAction.CHECK_OUT, DutyAction.CHECK_IN)
        )
        rows.append(Served(
            order.state, order.passenger_count, row.pool_key if row else None, row.vehicle_id if row else None,
            row.driver_id if row else None, None if out is None or back is None else back - out,
        ))  # fmt: skip
    return rows
