"""What drivers reported, and the orders of a vehicle as trips need to know them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from geoalchemy2.shape import to_shape
from sqlalchemy import Select, exists, func, or_, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.drivers.models import Driver
from fleetapp.duty import rules
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.planning import pooling
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.planning.paper import Actuals
from fleetapp.planning.turns import of as turns_of_journey
from fleetapp.vehicles.models import Vehicle


@dataclass(frozen=True, slots=True)
class Stop:
    """An approved stop, WGS-84, with the tolerance its address deserves."""

    name: str
    lat: float
    lon: float
    tolerance_m: int


@dataclass(frozen=True, slots=True)
class OrderOfVehicle:
    """An assigned order of a vehicle: approved window ``[start_at, end_at)``, stops (the origin first), what was reported.

    Orders of one ``journey`` share the vehicle (拼车): a trip of one of them is a trip of all.
    """

    order_id: int
    journey: int
    order_kind: str
    slip: str
    start_at: datetime
    end_at: datetime
    stops: tuple[Stop, ...]
    driver_id: int
    driver_user_id: int
    checked_out_at: datetime | None
    checked_out_odometer_m: int | None
    returned_at: datetime | None
    returned_odometer_m: int | None


def orders_of_vehicle(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[OrderOfVehicle]:
    """Return the orders of a vehicle that touch ``[start, end)``, in time order: those it has, and those it had left for when it broke down."""
    assignments = session.scalars(
        select(Assignment)
        .join(TravelOrder, TravelOrder.id == Assignment.order_id)
        .where(
            Assignment.vehicle_id == vehicle_id,
            or_(
                Assignment.state == AssignmentState.ACTIVE,
                exists().where(DutyEvent.assignment_id == Assignment.id, DutyEvent.action == DutyAction.CHECK_OUT),
            ),
            Assignment.during.op("&&")(func.tstzrange(start, end)),
        )
        .options(
            joinedload(Assignment.order).selectinload(TravelOrder.stops),
            joinedload(Assignment.slip),
            joinedload(Assignment.driver),
        )
        .order_by(TravelOrder.start_at, Assignment.id)
    ).all()
    events = _first_events(session, [assignment.id for assignment in assignments])
    return [_order_of_vehicle(assignment, events) for assignment in assignments]


def actuals(session: Session, assignment_ids: Collection[int]) -> dict[int, Actuals]:
    """Return what drivers reported of journeys as dispatch slips show it, by assignment."""
    events = _first_events(session, list(assignment_ids))
    found = {}
    for assignment_id in assignment_ids:
        out, back = (events.get((assignment_id, action)) for action in (DutyAction.CHECK_OUT, DutyAction.CHECK_IN))
        found[assignment_id] = Actuals(
            out_at=out.at if out else None, out_m=out.odometer_m if out else None,
            in_at=back.at if back else None, in_m=back.odometer_m if back else None,
        )  # fmt: skip
    return found


def _first_events(session: Session, assignment_ids: Sequence[int]) -> dict[tuple[int, str], DutyEvent]:
    """Return each assignment's check-out and check-in."""
    if not assignment_ids:
        return {}
    rows = session.scalars(
        select(DutyEvent)
        .where(
            DutyEvent.assignment_id.in_(assignment_ids),
            DutyEvent.action.in_([DutyAction.CHECK_OUT, DutyAction.CHECK_IN]),
        )
        .order_by(DutyEvent.id.desc())
    )
    return {(event.assignment_id, event.action): event for event in rows}


def _order_of_vehicle(assignment: Assignment, events: dict[tuple[int, str], DutyEvent]) -> OrderOfVehicle:
    out = events.get((assignment.id, DutyAction.CHECK_OUT))
    back = events.get((assignment.id, DutyAction.CHECK_IN))
    points = [(stop, to_shape(stop.point).centroid) for stop in assignment.order.stops]
    return OrderOfVehicle(
        order_id=assignment.order_id,
        journey=assignment.pool_key,
        order_kind=assignment.order.kind,
        slip=assignment.slip.number,
        start_at=assignment.order.start_at,
        end_at=assignment.order.end_at,
        stops=tuple(Stop(stop.name, point.y, point.x, stop.tolerance_m) for stop, point in points),
        driver_id=assignment.driver_id,
        driver_user_id=assignment.driver.user_id,
        checked_out_at=out.at if out else None,
        checked_out_odometer_m=out.odometer_m if out else None,
        returned_at=back.at if back else None,
        returned_odometer_m=back.odometer_m if back else None,
    )


def visible_to(actor: Actor) -> Select[Assignment]:
    """Return the actor's own duties: active assignments where he is the driver, the earliest first."""
    return (
        select(Assignment)
        .join(Driver, Driver.id == Assignment.driver_id)
        .join(TravelOrder, TravelOrder.id == Assignment.order_id)
        .where(Driver.user_id == actor.user_id, Assignment.state == AssignmentState.ACTIVE)
        .options(
            joinedload(Assignment.order).selectinload(TravelOrder.stops),
            joinedload(Assignment.order).joinedload(TravelOrder.org),
            joinedload(Assignment.order).joinedload(TravelOrder.applicant),
            joinedload(Assignment.vehicle).joinedload(Vehicle.parking),
            joinedload(Assignment.slip),
            joinedload(Assignment.driver),
        )
        .order_by(TravelOrder.start_at, Assignment.id)
    )


def between(query: Select[Assignment], *, start: datetime, end: datetime) -> Select[Assignment]:
    """Narrow duties to those whose order touches ``[start, end)``."""
    return query.where(TravelOrder.start_at < end, TravelOrder.end_at > start)


def get_duty(session: Session, *, assignment_id: int, actor: Actor) -> Assignment:
    """Return one of the actor's own duties.

    :raises NotFound: none, released, or somebody else's.
    """
    duty = session.scalar(visible_to(actor).where(Assignment.id == assignment_id))
    if duty is None:
        raise NotFound("kit.not_found")
    return duty


def events_of(session: Session, *, assignment_ids: Sequence[int]) -> dict[int, list[DutyEvent]]:
    """Return what was reported on each duty, in order."""
    found: dict[int, list[DutyEvent]] = {assignment_id: [] for assignment_id in assignment_ids}
    rows = select(DutyEvent).where(DutyEvent.assignment_id.in_(assignment_ids)).order_by(DutyEvent.id)
    for event in session.scalars(rows):
        found[event.assignment_id].append(event)
    return found


@dataclass(frozen=True, slots=True)
class Turn:
    """One stop of a duty in its turn; ``planned_at`` only on a shared journey.

    ``place`` counts from 0: stops at one point that follow each other are one place, arrived at once.
    """

    place: int
    assignment_id: int
    order_number: str
    stop: OrderStop
    planned_at: datetime | None


@dataclass(frozen=True, slots=True)
class Journey:
    """What a driver does in one go: one order or those that share the vehicle, by start, with the turn of their stops."""

    duties: Sequence[Assignment]
    turns: Sequence[Turn]
    events: Sequence[DutyEvent]

    @property
    def state(self) -> str:
        """How far it has come: as far as the order that needs the driver first."""
        return rules.least_advanced(duty.order.state for duty in self.duties)

    @property
    def arrived(self) -> int:
        """Stops reached after the first."""
        return sum(event.action == DutyAction.ARRIVE for event in self.events)

    @property
    def steps(self) -> tuple[DutyAction, ...]:
        """The steps open now, the likeliest first."""
        return rules.next_steps(self.state, arrived=self.arrived, stops=self.turns[-1].place)

    @property
    def ahead(self) -> list[Turn]:
        """The stops at the next place; at the last one once all are reached."""
        place = min(self.arrived + 1, self.turns[-1].place)
        return [turn for turn in self.turns if turn.place == place]


def journey_of(session: Session, *, duty: Assignment, actor: Actor) -> Journey:
    """Return the journey that one of the actor's duties belongs to."""
    duties = session.scalars(visible_to(actor).where(Assignment.pool_key == duty.pool_key)).unique().all()
    stops = turns_of_journey(session, rows=duties)
    places = pooling.places([(turn.stop.lat, turn.stop.lon) for turn in stops])
    turns = [
        Turn(place, turn.assignment.id, turn.assignment.order.number, turn.stop, turn.planned_at)
        for place, turn in zip(places, stops, strict=True)
    ]
    rows = select(DutyEvent).join(Assignment, Assignment.id == DutyEvent.assignment_id)
    rows = rows.where(Assignment.pool_key == duty.pool_key, ~DutyEvent.idempotency_key.contains(SIBLING))
    return Journey(duties, turns, session.scalars(rows.order_by(DutyEvent.id)).all())


SIBLING = "/"
"""Stands in the key of an event that a step made for another order of the journey; no key from outside has it."""


def find_event(session: Session, *, idempotency_key: str) -> DutyEvent | None:
    """Return the event that a key has already made, if any."""
    return session.scalar(select(DutyEvent).where(DutyEvent.idempotency_key == idempotency_key))


def checked_out_at(session: Session, *, assignment_id: int) -> datetime | None:
    """Return when the driver of a duty took the car."""
    event = _first_events(session, [assignment_id]).get((assignment_id, DutyAction.CHECK_OUT))
    return event.at if event else None


# ---- what was paid ------------------------------------------------------------------------------------------------------


def expenses_of(session: Session, *, assignment_ids: Collection[int]) -> dict[int, list[TripExpense]]:
    """Return what was paid on each duty in the order of time, void ones too."""
    found: dict[int, list[TripExpense]] = {assignment_id: [] for assignment_id in assignment_ids}
    rows = select(TripExpense).where(TripExpense.assignment_id.in_(found)).order_by(TripExpense.at, TripExpense.id)
    for expense in session.scalars(rows):
        found[expense.assignment_id].append(expense)
    return found


def expenses_of_orders(session: Session, *, order_ids: Collection[int]) -> dict[int, list[TripExpense]]:
    """Return what counts as paid on each order in the order of time, void ones left out.

    For slices that have already checked that the actor may read these orders; row-level security still holds.
    """
    found: dict[int, list[TripExpense]] = {order_id: [] for order_id in order_ids}
    rows = (
        select(TripExpense, Assignment.order_id)
        .join(Assignment, Assignment.id == TripExpense.assignment_id)
        .where(Assignment.order_id.in_(found), TripExpense.void_at.is_(None))
        .order_by(TripExpense.at, TripExpense.id)
    )
    for expense, order_id in session.execute(rows):
        found[order_id].append(expense)
    return found


def find_expense(session: Session, *, idempotency_key: str) -> TripExpense | None:
    """Return the expense that a key has already made, if any."""
    return session.scalar(select(TripExpense).where(TripExpense.idempotency_key == idempotency_key))


def find_twin(
    session: Session, *, driver_id: int, kind: str, amount: Decimal, at: datetime, within: timedelta
) -> TripExpense | None:
    """Return an expense of the driver that counts, of the same kind and amount, paid within some time of ``at``."""
    return session.scalar(
        select(TripExpense)
        .where(
            TripExpense.driver_id == driver_id, TripExpense.kind == kind, TripExpense.amount == amount,
            TripExpense.at.between(at - within, at + within), TripExpense.void_at.is_(None),
        )
        .order_by(TripExpense.id)
        .limit(1)
    )  # fmt: skip


def expenses_visible_to(actor: Actor) -> Select[TripExpense]:
    """Return the expenses of vehicles within the actor's reach, the newest first, with what lists show."""
    return (
        select(TripExpense)
        .join(TripExpense.org)
        .where(within_reach(actor, "duty.expenses"))
        .options(
            joinedload(TripExpense.org),
            joinedload(TripExpense.driver).joinedload(Driver.user),
            joinedload(TripExpense.assignment).joinedload(Assignment.vehicle),
            joinedload(TripExpense.assignment).joinedload(Assignment.order),
        )
        .order_by(TripExpense.at.desc(), TripExpense.id.desc())
    )


def expenses_filtered(
    rows: Select[TripExpense],
    *,
    kind: str | None = None,
    twins: bool = False,
    start: datetime | None = None,
    end: datetime | None = None,
) -> Select[TripExpense]:
    """Narrow expenses to a kind, to those that look like another one, to a time ``[start, end)``."""
    if kind:
        rows = rows.where(TripExpense.kind == kind)
    if twins:
        rows = rows.where(TripExpense.twin_id.is_not(None), TripExpense.void_at.is_(None))
    if start:
        rows = rows.where(TripExpense.at >= start)
    if end:
        rows = rows.where(TripExpense.at < end)
    return rows


def get_expense(session: Session, *, expense_id: int, actor: Actor) -> TripExpense:
    """Return an expense within the actor's reach or of the actor's own duty, locked.

    :raises NotFound: none such.
    """
    inside = select(Organisation.id).where(within_reach(actor, "duty.expenses"))
    own = select(Driver.id).where(Driver.user_id == actor.user_id)
    expense = session.scalar(
        select(TripExpense)
        .where(TripExpense.id == expense_id, or_(TripExpense.org_id.in_(inside), TripExpense.driver_id.in_(own)))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if expense is None:
        raise NotFound("kit.not_found")
    return expense
