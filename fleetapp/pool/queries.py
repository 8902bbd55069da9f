"""Reading of the shared pool's figures: free vehicles, unmet demand, use by holder and user, what a recall touches."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import and_, func, or_, select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence, may_drive
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.spans import Span
from fleetapp.orders import rules as order_rules
from fleetapp.orders.models import OrderEvent, OrderStop, TravelOrder
from fleetapp.orders.rules import ASSIGNED, DRIVEN, OrderAction, OrderState
from fleetapp.planning import queries as planning
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.policies import queries as policies
from fleetapp.pool import rules
from fleetapp.pool.rules import Unmet, Use
from fleetapp.sharing import queries as sharing
from fleetapp.sharing.models import Fallback, ShareLoan, ShareRequest
from fleetapp.sharing.rules import LIVING, LoanState, pool_of, rental_norm
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, VehicleState

OFFICE_HOURS = (timedelta(hours=8), timedelta(hours=18))
"""A vehicle is free on a day when nothing has it between eight and six."""
DETOUR = 1.35
"""Planned distance of an order without a measured route: beeline there and back x 1.35."""


@dataclass(frozen=True, slots=True)
class Levels:
    """The city and its districts as far as the actor reaches, in tree order; the paths of all districts."""

    orgs: Sequence[Organisation]
    districts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Cell:
    """Vehicles of a body at a level: free all day, and all in service."""

    free: int
    total: int

    @property
    def heat(self) -> str:
        """The colour of the cell."""
        return rules.heat(self.free, self.total)


@dataclass(frozen=True, slots=True)
class Missed:
    """An approved order without an official vehicle."""

    order: TravelOrder
    how: Unmet
    pool: str
    week: date
    price: Decimal | None


def levels(session: Session, *, actor: Actor) -> Levels:
    """Return the levels that an actor reads: the districts within reach, and the city for whoever reaches it."""
    districts = accounts.list_districts(session)
    paths = [district.path for district in districts]
    reach = session.scalars(
        select(Organisation).where(within_reach(actor, "pool.read")).order_by(Organisation.path)
    ).all()
    wanted = {pool_of(org.path, paths) for org in reach}
    orgs = session.scalars(select(Organisation).where(Organisation.path.in_(wanted)).order_by(Organisation.path)).all()
    return Levels(orgs, paths)


def office_hours(on: date) -> Span:
    """Return the hours of a day that count."""
    start = clock.start_of(on)
    return Span(start + OFFICE_HOURS[0], start + OFFICE_HOURS[1])


def free(session: Session, *, actor: Actor, on: date, found: Levels) -> dict[str, dict[str, Cell]]:
    """Return free and all vehicles in service on a day by level and body."""
    span = office_hours(on)
    cars = session.scalars(
        select(Vehicle).join(Vehicle.org).where(within_reach(actor, "pool.read"), Vehicle.state == VehicleState.IN_SERVICE)
        .options(contains_eager(Vehicle.org))
    ).all()  # fmt: skip
    busy, _ = planning.busy(session, span=span, vehicle_ids=[car.id for car in cars], driver_ids=[])
    lent = set(
        session.scalars(
            select(ShareLoan.vehicle_id).where(ShareLoan.state.in_(LIVING), ShareLoan.during.overlaps(Range(span.start, span.end)))
        )
    )  # fmt: skip
    total: Counter[tuple[str, str]] = Counter()
    there: Counter[tuple[str, str]] = Counter()
    for car in cars:
        key = (pool_of(car.org.path, found.districts), car.body)
        total[key] += 1
        there[key] += car.id not in busy and car.id not in lent
    return {
        org.path: {body.value: Cell(there[org.path, body.value], total[org.path, body.value]) for body in Body}
        for org in found.orgs
    }


def unmet(session: Session, *, actor: Actor, span: Span, now: datetime, found: Levels) -> list[Missed]:
    """Return approved orders that began in a span without an official vehicle, the latest first.

    Those still approved after their start, those that lapsed after the approval, and those served otherwise.
    """
    lapsed = (
        select(OrderEvent.id)
        .where(OrderEvent.order_id == TravelOrder.id, OrderEvent.action == OrderAction.LAPSE, OrderEvent.from_state == OrderState.APPROVED)
        .exists()
    )  # fmt: skip
    rows = session.execute(
        select(TravelOrder, Fallback.price)
        .join(TravelOrder.org)
        .outerjoin(Fallback, Fallback.order_id == TravelOrder.id)
        .where(
            within_reach(actor, "pool.read"), TravelOrder.start_at >= span.start, TravelOrder.start_at < span.end,
            or_(and_(TravelOrder.state == OrderState.APPROVED, TravelOrder.start_at <= now), lapsed, Fallback.id.is_not(None)),
        )
        .options(contains_eager(TravelOrder.org))
        .order_by(TravelOrder.start_at.desc(), TravelOrder.id.desc())
    ).all()  # fmt: skip
    return [
        Missed(
            order,
            Unmet.OUTSOURCED
            if price is not None
            else Unmet.WAITING
            if order.state == OrderState.APPROVED
            else Unmet.LAPSED,
            pool_of(order.org.path, found.districts),
            rules.week_of(clock.local_date(order.start_at)),
            price,
        )
        for order, price in rows
    ]


def uses(session: Session, *, actor: Actor, span: Span) -> list[Use]:
    """Return the journeys driven that began in a span, of vehicles or for units within reach.

    Renting would have cost the day's reference price of policy, in force on the day, for each day begun.
    """
    holder, user = aliased(Organisation), aliased(Organisation)
    reach = select(Organisation.id).where(within_reach(actor, "pool.read"))
    columns = (
        TravelOrder.id,
        TravelOrder.start_at,
        TravelOrder.end_at,
        TravelOrder.route_m,
        holder.path.label("held"),
        user.path.label("used"),
    )
    rows = session.execute(
        select(*columns)
        .select_from(Assignment)
        .join(Assignment.order)
        .join(holder, holder.id == Assignment.org_id)
        .join(user, user.id == Assignment.order_org_id)
        .where(
            Assignment.state == AssignmentState.ACTIVE, TravelOrder.state.in_(DRIVEN), TravelOrder.start_at >= span.start,
            TravelOrder.start_at < span.end, or_(Assignment.org_id.in_(reach), Assignment.order_org_id.in_(reach)),
        )
        .order_by(Assignment.id)
    ).all()  # fmt: skip
    if not rows:
        return []
    days = {row.id: clock.local_date(row.start_at) for row in rows}
    prices = policies.by_day(
        session, "rental.sedan_day_cny", days=set(days.values()), org_path=f"/{rows[0].held.split('/')[1]}/"
    )
    unmeasured = [row.id for row in rows if not row.route_m]
    points: dict[int, list[tuple[float, float]]] = {}
    stops = select(OrderStop).where(OrderStop.order_id.in_(unmeasured)).order_by(OrderStop.order_id, OrderStop.position)
    for stop in session.scalars(stops) if unmeasured else ():
        points.setdefault(stop.order_id, []).append((stop.lat, stop.lon))
    found = []
    for row in rows:
        window = Span(row.start_at, row.end_at)
        metres = row.route_m or DETOUR * order_rules.round_trip_m(points.get(row.id, []))
        found.append(
            Use(row.held, row.used, window.seconds / 3600, metres / 1000, rental_norm(prices[days[row.id]], window))
        )
    return found


def holders(session: Session, *, actor: Actor) -> list[str]:
    """Return the holder's path of every vehicle within reach that is not retired: its quota is there, lent or not."""
    query = select(Organisation.path).join(Vehicle, Vehicle.org_id == Organisation.id)
    return list(session.scalars(query.where(within_reach(actor, "pool.read"), Vehicle.state != VehicleState.RETIRED)))


# ---- what could be lent, what a recall touches --------------------------------------------------------------------------------------------


def lendable(session: Session, *, request: ShareRequest, actor: Actor) -> dict[Vehicle, list[Driver]]:
    """Return the vehicles that could be lent for a request and have no order then, with the holder's drivers free to go along."""
    cars = sharing.lendable(session, request=request, actor=actor)
    crew = sharing.drivers_of(session, org_ids={car.org_id for car in cars}, until_on=clock.local_date(request.end_at))
    busy_cars, busy_drivers = planning.busy(
        session, span=Span(request.start_at, request.end_at), vehicle_ids=[car.id for car in cars],
        driver_ids=[driver.id for driver in crew],
    )  # fmt: skip
    return {
        car: [
            driver for driver in crew
            if driver.org_id == car.org_id and driver.id not in busy_drivers and may_drive(Licence(driver.licence), car.seats)
        ]
        for car in cars
        if car.id not in busy_cars
    }  # fmt: skip


def touched(session: Session, *, loan: ShareLoan, from_at: datetime) -> Sequence[Assignment]:
    """Return the borrower's journeys with the vehicle that end after a moment and have not begun, in time order."""
    query = (
        select(Assignment)
        .join(Assignment.order)
        .join(Organisation, Organisation.id == Assignment.order_org_id)
        .where(
            Assignment.vehicle_id == loan.vehicle_id, Assignment.state == AssignmentState.ACTIVE, TravelOrder.state.in_(ASSIGNED),
            TravelOrder.end_at > from_at, Assignment.during.overlaps(loan.during),
            Organisation.path.startswith(loan.to_org.path, autoescape=True),
        )
        .options(contains_eager(Assignment.order).joinedload(TravelOrder.org), joinedload(Assignment.slip))
        .order_by(TravelOrder.start_at)
    )  # fmt: skip
    return session.scalars(query).all()


def next_without_loan(session: Session) -> tuple[int, str] | None:
    """Return an order and the number of the loan it lost: a loan was cut short or called off, and no other one covers it."""
    unit, borrower = aliased(Organisation), aliased(Organisation)
    other = aliased(ShareLoan)
    window = func.tstzrange(TravelOrder.start_at, TravelOrder.end_at)
    covered = select(other.id).where(
        other.vehicle_id == Assignment.vehicle_id, other.id != ShareLoan.id, other.state.in_(LIVING), other.during.contains(window)
    )  # fmt: skip
    query = (
        select(Assignment.order_id, ShareLoan.number)
        .join(TravelOrder, TravelOrder.id == Assignment.order_id)
        .join(ShareLoan, ShareLoan.vehicle_id == Assignment.vehicle_id)
        .join(ShareRequest, ShareRequest.id == ShareLoan.request_id)
        .join(unit, unit.id == Assignment.order_org_id)
        .join(borrower, borrower.id == ShareLoan.to_org_id)
        .where(
            ShareLoan.state.in_((LoanState.RECALLED, LoanState.CALLED_OFF, LoanState.RETURNED)),
            Assignment.state == AssignmentState.ACTIVE, TravelOrder.state.in_(ASSIGNED), Assignment.assigned_at >= ShareLoan.agreed_at,
            func.starts_with(unit.path, borrower.path), TravelOrder.start_at < ShareRequest.end_at,
            TravelOrder.start_at >= func.lower(ShareLoan.during),
            or_(ShareLoan.state == LoanState.CALLED_OFF, TravelOrder.end_at > func.upper(ShareLoan.during)),
            ~covered.exists(),
        )
        .order_by(Assignment.id)
        .limit(1)
    )  # fmt: skip
    row = session.execute(query).first()
    return (row[0], row[1]) if row else None
