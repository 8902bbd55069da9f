"""Reading of assignments and runs, and of what a plan needs of the slices below."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import UserAccount
from fleetapp.accounts.queries import inside
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.columns import among
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders import rules as order_rules
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.orders.rules import OrderKind, OrderState
from fleetapp.places.models import ParkingArea
from fleetapp.planning import bridge
from fleetapp.planning.models import Assignment, AssignmentState, Hold, HoldCause, PlanRun
from fleetapp.planning.rules import Figures
from fleetapp.policies import queries as policies
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle

SHARED = frozenset({OrderState.DISPATCHED, OrderState.DRIVER_ACCEPTED, OrderState.CHECKED_OUT, OrderState.EN_ROUTE})
"""States in which a journey can still take others in."""


def visible_to(actor: Actor) -> Select[Assignment]:
    """Return the active assignments of vehicles or orders within reach, in time order, with what the board shows."""
    return (
        select(Assignment)
        .join(Assignment.order)
        .where(
            Assignment.state == AssignmentState.ACTIVE,
            or_(
                inside(Assignment.org_id, "planning.read", actor),
                inside(Assignment.order_org_id, "planning.read", actor),
            ),
        )
        .options(
            joinedload(Assignment.order).joinedload(TravelOrder.org),
            joinedload(Assignment.order).joinedload(TravelOrder.applicant),
            joinedload(Assignment.order).selectinload(TravelOrder.stops),
            joinedload(Assignment.vehicle).joinedload(Vehicle.org),
            joinedload(Assignment.driver).joinedload(Driver.user),
            joinedload(Assignment.slip),
        )
        .order_by(TravelOrder.start_at, Assignment.id)
    )


def between(query: Select[Assignment], span: Span) -> Select[Assignment]:
    """Narrow assignments to those that hold their vehicle at any time of a span."""
    return query.where(Assignment.during.overlaps(Range(span.start, span.end)))


def lock_vehicles(session: Session, vehicle_ids: Iterable[int]) -> None:
    """Hold vehicles as they are, in the order of their ids, so that none is taken out of service meanwhile."""
    rows = select(Vehicle.id).where(Vehicle.id.in_(sorted(vehicle_ids))).order_by(Vehicle.id)
    session.execute(rows.with_for_update(key_share=True))


def lock_orders(session: Session, order_ids: Iterable[int]) -> None:
    """Hold orders, in the order of their ids."""
    rows = select(TravelOrder.id).where(TravelOrder.id.in_(sorted(order_ids))).order_by(TravelOrder.id)
    session.execute(rows.with_for_update())


class Share(NamedTuple):
    """One order's part in a journey: its own way out and back, in metres, and the people on it."""

    assignment: Assignment
    direct_m: int
    passengers: int


def journey_of(session: Session, *, order_id: int) -> list[Share]:
    """Return the orders that share an order's journey, itself too, by start; none without a vehicle.

    As far as row-level security shows them: who splits a fee reads as the system.
    """
    key = select(Assignment.pool_key).where(Assignment.order_id == order_id, Assignment.state == AssignmentState.ACTIVE)
    return [
        Share(row, row.order.route_m or _direct_m(row.order), row.order.passenger_count)
        for row in journeys(session, pool_keys=session.scalars(key).all())
    ]


def _direct_m(order: TravelOrder) -> int:
    return round(order_rules.round_trip_m([(stop.lat, stop.lon) for stop in order.stops]) * bridge.DETOUR)


def journeys(session: Session, *, pool_keys: Collection[int]) -> Sequence[Assignment]:
    """Return the active assignments of journeys, by journey and start."""
    query = visible_to(SYSTEM).where(Assignment.pool_key.in_(pool_keys)).order_by(None)
    return session.scalars(query.order_by(Assignment.pool_key, TravelOrder.start_at, Assignment.id)).unique().all()


def journeys_at(
    session: Session, *, span: Span, actor: Actor, pool_key: int | None = None
) -> dict[int, list[Assignment]]:
    """Return the journeys at the time of a span, not over yet, of vehicles within a dispatcher's reach, all or one, by key."""
    query = between(visible_to(actor), span).where(TravelOrder.state.in_(SHARED)).order_by(None)
    if pool_key is not None:
        query = query.where(Assignment.pool_key == pool_key)
    keys = session.scalars(query.with_only_columns(Assignment.pool_key).distinct()).all()
    found: dict[int, list[Assignment]] = {}
    for row in journeys(session, pool_keys=keys):
        found.setdefault(row.pool_key, []).append(row)
    return {
        key: rows
        for key, rows in found.items()
        if permits.may("planning.assign", actor, org_path=rows[0].vehicle.org.path)
        and {row.order.state for row in rows} <= SHARED
    }


def active_of(session: Session, *, order_id: int) -> Assignment | None:
    """Return the active assignment of an order as far as row-level security shows it."""
    return session.scalar(_whole().where(Assignment.order_id == order_id, Assignment.state == AssignmentState.ACTIVE))


def history_of(session: Session, *, order_id: int) -> Sequence[Assignment]:
    """Return all assignments an order has had, the newest first, as far as row-level security shows them."""
    return session.scalars(_whole().where(Assignment.order_id == order_id).order_by(Assignment.id.desc())).all()


def _whole() -> Select[Assignment]:
    return select(Assignment).options(
        joinedload(Assignment.vehicle).joinedload(Vehicle.org),
        joinedload(Assignment.driver).joinedload(Driver.user),
        joinedload(Assignment.slip),
        joinedload(Assignment.assigner),
    )


def booking(
    session: Session,
    *,
    span: Span,
    vehicle_id: int | None = None,
    driver_id: int | None = None,
    besides: int | None = None,
) -> Assignment | None:
    """Return an active assignment that holds the vehicle or the driver during any of the span, if there is one.

    Those of the journey ``besides`` are left out.
    """
    wanted = Assignment.vehicle_id == vehicle_id if vehicle_id is not None else Assignment.driver_id == driver_id
    query = select(Assignment).where(wanted, Assignment.state == AssignmentState.ACTIVE)
    if besides is not None:
        query = query.where(Assignment.pool_key != besides)
    return session.scalars(between(query, span).options(joinedload(Assignment.order)).limit(1)).first()


def busy(
    session: Session,
    *,
    span: Span,
    vehicle_ids: Collection[int],
    driver_ids: Collection[int],
    order: TravelOrder | None = None,
    besides: Collection[int] = (),
) -> tuple[dict[int, list[Span]], dict[int, list[Span]]]:
    """Return the spans taken by vehicle and by driver that touch a span.

    A driver on leave counts as taken. What is kept for a cause counts as taken, except for an ``order`` of that cause. What the ``order`` itself and the
    orders ``besides`` hold is left out: they would give that up.
    """
    start, end = func.lower(Assignment.during), func.upper(Assignment.during)
    query = select(Assignment.vehicle_id, Assignment.driver_id, start, end).where(
        Assignment.state == AssignmentState.ACTIVE,
        Assignment.during.overlaps(Range(span.start, span.end)),
        or_(among(Assignment.vehicle_id, vehicle_ids), among(Assignment.driver_id, driver_ids)),
    )
    if given_up := [*besides, *([order.id] if order is not None else [])]:
        query = query.where(Assignment.order_id.not_in(given_up))
    of_vehicle: dict[int, list[Span]] = {}
    of_driver: dict[int, list[Span]] = {}
    for vehicle_id, driver_id, first, last in session.execute(query):  # no rows of the model: there may be thousands
        if first is None or last is None:
            continue  # none has an open end; the type allows it
        taken = Span(first, last)
        of_vehicle.setdefault(vehicle_id, []).append(taken)
        of_driver.setdefault(driver_id, []).append(taken)
    for kept in holds(session, span=span, vehicle_ids=vehicle_ids, driver_ids=driver_ids):
        if kept.during.lower is None or kept.during.upper is None:
            continue
        if order is not None and admits(hold=kept, order=order):
            continue
        during = Span(kept.during.lower, kept.during.upper)
        if kept.vehicle_id is not None:
            of_vehicle.setdefault(kept.vehicle_id, []).append(during)
        if kept.driver_id is not None:
            of_driver.setdefault(kept.driver_id, []).append(during)
    for driver_id, away in drivers.absent(session, driver_ids=driver_ids, span=span).items():
        of_driver.setdefault(driver_id, []).extend(away)
    return of_vehicle, of_driver


def holds(session: Session, *, span: Span, vehicle_ids: Collection[int], driver_ids: Collection[int]) -> Sequence[Hold]:
    """Return what keeps the vehicles or drivers for a cause at any time of a span."""
    return session.scalars(
        select(Hold).where(
            Hold.released_at.is_(None),
            Hold.during.overlaps(Range(span.start, span.end)),
            or_(among(Hold.vehicle_id, vehicle_ids), among(Hold.driver_id, driver_ids)),
        )
    ).all()


def held_for(
    session: Session, *, cause: HoldCause, cause_id: int, hold_ids: Collection[int] | None = None
) -> Sequence[Hold]:
    """Return, locked, what is kept for a cause, all of it or some, by id."""
    query = select(Hold).where(Hold.cause == cause, Hold.cause_id == cause_id, Hold.released_at.is_(None))
    if hold_ids is not None:
        query = query.where(Hold.id.in_(hold_ids))
    return session.scalars(query.order_by(Hold.id).with_for_update()).all()


def admits(*, hold: Hold, order: TravelOrder) -> bool:
    """Tell whether an order belongs to the cause that a vehicle or driver is kept for; the database decides the same."""
    if hold.cause == HoldCause.OCCASION:
        return order.occasion_id == hold.cause_id
    return order.kind == OrderKind.EMERGENCY


FIGURES = (
    "dispatch.buffer_before_min", "dispatch.buffer_after_min", "dispatch.ev_range_factor", "driver.shift_max_h",
    "driver.continuous_max_h", "driver.rest_min",
)  # fmt: skip
"""Codes of the policy figures that planning knows."""


def figures(session: Session, *, now: datetime, org_path: str) -> Figures:
    """Return the policy figures in force for a part of the tree.

    :raises RuleBroken: ``policies.missing``.
    """
    on = clock.local_date(now)
    rows = policies.standing(session, *FIGURES, on=on, org_path=org_path)
    values = policies.Figures({code: row.value for code, row in rows.items()}, on)
    found = {code: float(values[code]) for code in FIGURES}
    return Figures(
        before=timedelta(minutes=found["dispatch.buffer_before_min"]),
        after=timedelta(minutes=found["dispatch.buffer_after_min"]),
        range_factor=found["dispatch.ev_range_factor"],
        shift_max=timedelta(hours=found["driver.shift_max_h"]),
        drive_max=timedelta(hours=found["driver.continuous_max_h"]),
        rest_min=timedelta(minutes=found["driver.rest_min"]),
    )


def fleet(session: Session, *, actor: Actor, until_on: date) -> tuple[list[Vehicle], list[Driver]]:
    """Return the vehicles that can be dispatched and the licensed drivers within a dispatcher's part of the tree.

    Licences, insurance and inspections last to the end of ``until_on``.
    """
    cars = session.scalars(vehicles.in_service(actor)).all()
    ended = vehicles.papers_ended(session, vehicle_ids=[car.id for car in cars], last_on=until_on)
    cars = [car for car in cars if car.id not in ended]
    people = drivers.available(session, actor=actor, until_on=until_on)
    return (
        [row for row in cars if permits.may("planning.assign", actor, org_path=row.org.path)],
        [row for row in people if permits.may("planning.assign", actor, org_path=row.org.path)],
    )


def parking_of(session: Session, org_ids: Collection[int]) -> dict[int, ParkingArea]:
    """Return one parking area, the oldest, of each organisation that has one."""
    query = select(ParkingArea).where(ParkingArea.org_id.in_(org_ids)).order_by(ParkingArea.id.desc())
    return {area.org_id: area for area in session.scalars(query)}


def waiting_by_day(session: Session, *, actor: Actor, now: datetime) -> dict[date, int]:
    """Return how many approved orders that are not over wait for a vehicle, by local day of their start."""
    rows = (
        orders.visible_to(actor)
        .where(TravelOrder.state == OrderState.APPROVED, TravelOrder.end_at > now)
        .order_by(None)
        .with_only_columns(TravelOrder.start_at)
    )
    counts: dict[date, int] = {}
    for (start_at,) in session.execute(rows.order_by(TravelOrder.start_at)):
        on = clock.local_date(start_at)
        counts[on] = counts.get(on, 0) + 1
    return counts


def orders_by_id(session: Session, *, order_ids: Collection[int], actor: Actor) -> dict[int, TravelOrder]:
    """Return those of the orders that the actor may see."""
    return {row.id: row for row in session.scalars(orders.visible_to(actor).where(TravelOrder.id.in_(order_ids)))}


def vehicles_by_id(session: Session, vehicle_ids: Collection[int]) -> dict[int, Vehicle]:
    """Return vehicles with their holders as far as row-level security shows them."""
    query = select(Vehicle).where(Vehicle.id.in_(vehicle_ids)).options(joinedload(Vehicle.org))
    return {row.id: row for row in session.scalars(query)}


def drivers_by_id(session: Session, driver_ids: Collection[int]) -> dict[int, Driver]:
    """Return drivers with their names as far as row-level security shows them."""
    query = select(Driver).where(Driver.id.in_(driver_ids)).options(joinedload(Driver.user), joinedload(Driver.org))
    return {row.id: row for row in session.scalars(query)}


def runs_visible_to(actor: Actor) -> Select[PlanRun]:
    """Return the runs within reach, the newest first."""
    return (
        select(PlanRun)
        .where(inside(PlanRun.org_id, "planning.read", actor))
        .options(joinedload(PlanRun.org), joinedload(PlanRun.requester))
        .order_by(PlanRun.id.desc())
    )


def recent_runs(session: Session, *, actor: Actor, limit: int = 6) -> Sequence[Row[Any]]:
    """Return the newest runs without their plans: id, requested_at, start_at, end_at, state, requester, key figures."""
    columns = (
        PlanRun.id, PlanRun.requested_at, PlanRun.start_at, PlanRun.end_at, PlanRun.state, UserAccount.name_zh,
        UserAccount.name_en, PlanRun.plan["figures"].label("figures"),
    )  # fmt: skip
    query = (
        select(*columns)
        .join(UserAccount, UserAccount.id == PlanRun.requested_by)
        .where(inside(PlanRun.org_id, "planning.read", actor))
        .order_by(PlanRun.id.desc())
        .limit(limit)
    )
    return session.execute(query).all()


def get_run(session: Session, *, run_id: int, actor: Actor) -> PlanRun:
    """Return a run within reach.

    :raises NotFound: no such run, or out of reach.
    """
    run = session.scalar(runs_visible_to(actor).where(PlanRun.id == run_id))
    if run is None:
        raise NotFound("kit.not_found")
    return run


def active_by_order(session: Session, *, order_ids: Collection[int]) -> dict[int, Assignment]:
    """Return the active assignments of orders by order id."""
    query = _whole().where(Assignment.order_id.in_(order_ids), Assignment.state == AssignmentState.ACTIVE)
    return {row.order_id: row for row in session.scalars(query)}


def slip_status(session: Session, *, number: str) -> tuple[DispatchSlip, Assignment | None] | None:
    """Return a slip by its number with its assignment, or None when no such slip was issued."""
    slip = session.scalar(select(DispatchSlip).where(DispatchSlip.number == number))
    if slip is None:
        return None
    held = select(Assignment).where(Assignment.slip_id == slip.id)
    held = held.options(joinedload(Assignment.vehicle), joinedload(Assignment.order).selectinload(TravelOrder.stops))
    return slip, session.scalar(held)
