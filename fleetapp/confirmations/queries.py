"""Reading of journeys that end: their three distances, what was said, who still has to confirm or rate."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select, text
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.confirmations import rules
from fleetapp.confirmations.models import MileageConfirmation, MileageRemark, TripRating
from fleetapp.drivers.models import Driver
from fleetapp.duty import queries as duties
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.orders import queries as orders
from fleetapp.orders import rules as order_rules
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.orders.rules import Area, OrderAction, OrderState
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.policies import queries as policies
from fleetapp.vehicles.models import Vehicle

DRIVEN = text("SELECT metres, sources, coverage FROM order_driven(:order_id)")
ON_GRAPH = frozenset({Area.URBAN, Area.CITY})
"""How far the roads reach that a plan follows; farther ones are beelines and come out short."""
WAITING = frozenset({OrderState.RETURNED, OrderState.OUTSOURCED})
"""The states in which a journey waits for somebody to confirm it."""


@dataclass(frozen=True, slots=True)
class Journey:
    """A journey that ends: what was planned and what was driven, side by side; distances in metres.

    ``due_at`` is when it is confirmed by itself, None while an objection is open or when it never is. ``shared``: other
    orders were on board, so that the odometer is that of all of them.
    """

    order: TravelOrder
    duty: Assignment | None
    out: DutyEvent | None
    back: DutyEvent | None
    found: rules.Distances
    gps_sources: str
    differences: tuple[rules.Difference, ...]
    expenses: Sequence[TripExpense]
    remarks: Sequence[MileageRemark]
    confirmation: MileageConfirmation | None
    due_at: datetime | None
    shared: bool = False

    @property
    def to_explain(self) -> bool:
        """Whether a difference is beyond policy."""
        return rules.to_explain(self.differences)

    @property
    def proposal(self) -> tuple[int, rules.Source] | None:
        """The distance to confirm and where it comes from."""
        answers = [remark.proposed_m for remark in self.remarks if remark.proposed_m is not None]
        return rules.proposal(self.found, corrected_m=answers[-1] if answers else None)

    @property
    def objected(self) -> bool:
        """Whether an objection waits for its answer."""
        return rules.is_open(len(self.remarks))

    @property
    def outsourced(self) -> bool:
        """Whether a hired vehicle or public transport served it, which ends with a bill."""
        return self.order.state == OrderState.OUTSOURCED or (
            self.confirmation is not None and self.confirmation.bill_cny is not None
        )

    @property
    def tolls_cny(self) -> Decimal:
        """What was paid for this one journey, CNY."""
        return sum((one.amount for one in self.expenses), Decimal(0))


def duty_of(session: Session, *, order_id: int) -> Assignment | None:
    """Return the vehicle and driver that served an order, None if none of ours did."""
    return session.scalar(
        select(Assignment)
        .where(Assignment.order_id == order_id, Assignment.state == AssignmentState.ACTIVE)
        .options(
            joinedload(Assignment.vehicle).joinedload(Vehicle.org),
            joinedload(Assignment.driver).joinedload(Driver.user),
        )
    )


def journey(session: Session, *, order: TravelOrder) -> Journey:
    """Return how an order's journey ended; the caller has checked that the actor may read the order."""
    duty = duty_of(session, order_id=order.id)
    events = duties.events_of(session, assignment_ids=[duty.id])[duty.id] if duty else []
    first = {DutyAction(event.action): event for event in reversed(events)}
    out, back = first.get(DutyAction.CHECK_OUT), first.get(DutyAction.CHECK_IN)
    on, path = clock.local_date(order.start_at), order.org.path
    figures = policies.values(session, "confirm.", on, path)
    metres, sources, coverage = session.execute(DRIVEN, {"order_id": order.id}).one()
    odometer_m = None
    if out and back and out.odometer_m is not None and back.odometer_m is not None:
        odometer_m = back.odometer_m - out.odometer_m
    beeline_m = order_rules.round_trip_m([(stop.lat, stop.lon) for stop in order.stops]) * float(
        figures["confirm.road_factor"]
    )
    shared = duty is not None and bool(session.scalar(
        select(exists().where(Assignment.pool_key == duty.pool_key, Assignment.id != duty.id, Assignment.state == AssignmentState.ACTIVE))
    ))  # fmt: skip
    found = rules.Distances(
        planned_m=order.route_m if order.route_m is not None else beeline_m or None, planned_sure=order.route_m is not None and order.area in ON_GRAPH and order.round_trip and not shared,
        gps_m=metres, gps_coverage=coverage, odometer_m=odometer_m if odometer_m is None or odometer_m >= 0 else None,
    )  # fmt: skip
    limits = rules.Limits(share=float(figures["confirm.diff_share"]), metres=float(figures["confirm.diff_km"]) * 1000,
                          coverage=float(figures["confirm.coverage"]))  # fmt: skip
    remarks = session.scalars(
        select(MileageRemark).where(MileageRemark.order_id == order.id).options(joinedload(MileageRemark.person))
        .order_by(MileageRemark.seq)
    ).all()  # fmt: skip
    due_at = None
    if order.state == OrderState.RETURNED and not rules.is_open(len(remarks)):
        after = timedelta(hours=float(figures["confirm.auto_h"]))
        due_at = rules.due_at(returned_at(session, order=order), remarks[-1].at if remarks else None, after)
    return Journey(
        order=order, duty=duty, out=out, back=back, found=found, gps_sources=sources or "",
        differences=rules.differences(found, limits), remarks=remarks, due_at=due_at,
        expenses=duties.expenses_of_orders(session, order_ids=[order.id])[order.id],
        confirmation=find_confirmation(session, order_id=order.id), shared=shared,
    )  # fmt: skip


def returned_at(session: Session, *, order: TravelOrder) -> datetime:
    """Return when an order's vehicle came back."""
    at = session.scalar(
        select(func.max(OrderEvent.at)).where(
            OrderEvent.order_id == order.id, OrderEvent.action == OrderAction.CHECK_IN
        )
    )
    return at or order.end_at


def find_confirmation(session: Session, *, order_id: int) -> MileageConfirmation | None:
    """Return the confirmed distance of an order, if it is confirmed."""
    return session.scalar(
        select(MileageConfirmation)
        .where(MileageConfirmation.order_id == order_id)
        .options(joinedload(MileageConfirmation.person))
    )


def find_rating(session: Session, *, order_id: int) -> TripRating | None:
    """Return the rating of an order that the actor may see, if there is one."""
    return session.scalar(select(TripRating).where(TripRating.order_id == order_id))


# ---- whose turn it is ---------------------------------------------------------------------------------------------------

REMARKS = select(func.count()).where(MileageRemark.order_id == TravelOrder.id).correlate(TravelOrder).scalar_subquery()
IS_OBJECTED: ColumnElement[bool] = and_(TravelOrder.state == OrderState.RETURNED, REMARKS % 2 == 1)


def _own(actor: Actor) -> ColumnElement[bool]:
    return or_(TravelOrder.applicant_id == actor.user_id, TravelOrder.filed_by_id == actor.user_id)


def _loaded(rows: Select[TravelOrder]) -> Select[TravelOrder]:
    return rows.options(joinedload(TravelOrder.org), joinedload(TravelOrder.applicant), selectinload(TravelOrder.stops))


def to_confirm(actor: Actor, *, now: datetime) -> Select[TravelOrder]:
    """Return the actor's own journeys that are over and wait to be confirmed, the oldest first."""
    over = or_(TravelOrder.state == OrderState.RETURNED, TravelOrder.end_at <= now)
    rows = select(TravelOrder).where(_own(actor), TravelOrder.state.in_(WAITING), over, ~IS_OBJECTED)
    return _loaded(rows).order_by(TravelOrder.start_at, TravelOrder.id)


def to_rate(session: Session, *, actor: Actor, now: datetime) -> Sequence[TravelOrder]:
    """Return the actor's own journeys that may still be rated, the newest first."""
    within = timedelta(
        days=float(policies.value(session, "rating.days", clock.local_date(now), actor.org_path or None))
    )
    back = exists().where(
        DutyEvent.assignment_id == Assignment.id, DutyEvent.action == DutyAction.CHECK_IN, DutyEvent.at > now - within
    )
    rows = (
        select(TravelOrder)
        .join(Assignment, and_(Assignment.order_id == TravelOrder.id, Assignment.state == AssignmentState.ACTIVE))
        .join(Driver, Driver.id == Assignment.driver_id)
        .where(
            _own(actor), TravelOrder.state.in_(order_rules.DRIVEN), Driver.user_id != actor.user_id, back,
            ~exists().where(TripRating.order_id == TravelOrder.id),
        )
        .order_by(TravelOrder.start_at.desc(), TravelOrder.id)
    )  # fmt: skip
    return session.scalars(_loaded(rows)).unique().all()


def listed(actor: Actor, group: str) -> Select[TravelOrder]:
    """Return the journeys within reach of a tab: ``waiting`` for their confirmation, ``objected``, or ``done``."""
    rows = orders.visible_to(actor)
    match group:
        case "objected":
            return rows.where(IS_OBJECTED)
        case "done":
            return rows.where(exists().where(MileageConfirmation.order_id == TravelOrder.id))
    return rows.where(TravelOrder.state.in_(WAITING), ~IS_OBJECTED)


def confirmations_of(session: Session, *, order_ids: Sequence[int]) -> dict[int, MileageConfirmation]:
    """Return the confirmed distances of some orders by order."""
    rows = session.scalars(
        select(MileageConfirmation)
        .where(MileageConfirmation.order_id.in_(order_ids))
        .options(joinedload(MileageConfirmation.person))
    )
    return {row.order_id: row for row in rows}


def due(session: Session, *, now: datetime) -> list[int]:
    """Return the orders whose time to be confirmed by a person is over, the oldest first; none with an open objection."""
    since = func.greatest(
        select(func.max(OrderEvent.at)).where(OrderEvent.order_id == TravelOrder.id, OrderEvent.action == OrderAction.CHECK_IN)
        .correlate(TravelOrder).scalar_subquery(),
        select(func.max(MileageRemark.at)).where(MileageRemark.order_id == TravelOrder.id).correlate(TravelOrder).scalar_subquery(),
    )  # fmt: skip
    rows = session.execute(
        select(TravelOrder.id, TravelOrder.start_at, Organisation.path, func.coalesce(since, TravelOrder.end_at))
        .join(TravelOrder.org)
        .where(TravelOrder.state == OrderState.RETURNED, REMARKS % 2 == 0)
        .order_by(TravelOrder.id)
    ).all()
    on = clock.local_date(now)
    hours = policies.by_org(session, "confirm.auto_h", on=on, org_paths={path for _, _, path, _ in rows})
    return [
        order_id for order_id, _, path, since_at in rows
        if path in hours and since_at + timedelta(hours=float(hours[path])) <= now
    ]  # fmt: skip


# ---- ratings ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Average:
    """Averages of one driver or unit by item; empty below the least number of ratings that may be shown."""

    name_of: Any
    number: int
    scores: dict[str, float]


def _averages(
    session: Session, entity: Any, on: ColumnElement[bool], within: ColumnElement[bool], least: int
) -> list[Average]:
    columns = [func.avg(getattr(TripRating, item)) for item in rules.ITEMS]
    overall = sum((getattr(TripRating, item) for item in rules.ITEMS[1:]), getattr(TripRating, rules.ITEMS[0]))
    rows = session.execute(
        select(entity, func.count(TripRating.punctual), func.avg(overall) / len(rules.ITEMS), *columns)
        .join(TripRating, on)
        .where(within, TripRating.punctual.is_not(None))
        .group_by(entity)
        .order_by(case((func.count() >= least, func.avg(overall))).asc().nulls_last(), func.count().desc())
    ).all()
    return [
        Average(row[0], row[1], {} if row[1] < least else
                dict(zip(("overall", *rules.ITEMS), (float(value) for value in row[2:]), strict=True)))
        for row in rows
    ]  # fmt: skip


def managed_by(actor: Actor) -> ColumnElement[bool]:
    """Return the condition under which the actor watches over a rating; a driver's own ones are read another way."""
    roles = permits.table()["confirmations.ratings"].roles
    paths = actor.paths({*(role for role, scope in roles.items() if scope != "own"), Role.SYSTEM})
    inside = select(Organisation.id).where(
        or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths))
    )
    return TripRating.org_id.in_(inside)


def of_driver(user_id: int | None) -> ColumnElement[bool]:
    """Return the condition of ratings of one driver's journeys."""
    return TripRating.driver_id.in_(select(Driver.id).where(Driver.user_id == user_id))


def driver_averages(session: Session, *, within: ColumnElement[bool], least: int) -> list[Average]:
    """Return each driver's averages, the lowest first; ``name_of`` is the driver."""
    return _averages(session, Driver, Driver.id == TripRating.driver_id, within, least)


def unit_averages(session: Session, *, within: ColumnElement[bool], least: int) -> list[Average]:
    """Return each vehicle unit's averages, the lowest first; ``name_of`` is the organisation."""
    return _averages(session, Organisation, Organisation.id == TripRating.org_id, within, least)


def low_ratings(*, within: ColumnElement[bool], low: int) -> Select[TripRating]:
    """Return ratings with a low score, the newest first."""
    return (
        select(TripRating)
        .where(within, or_(*(getattr(TripRating, item) <= low for item in rules.ITEMS)))
        .options(joinedload(TripRating.order))
        .order_by(TripRating.at.desc(), TripRating.id.desc())
    )


def comments(session: Session, *, within: ColumnElement[bool]) -> Sequence[str | None]:
    """Return what was written, in no order that would tell when or by whom."""
    return session.scalars(
        select(TripRating.comment).where(within, TripRating.comment.is_not(None)).order_by(func.md5(TripRating.comment))
    ).all()
