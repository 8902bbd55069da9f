"""What phones sent, the codes of vehicles, and all that a driver's phone shows."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, contains_eager

from fleetapp.accounts.queries import within_reach
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.duty import queries as duties
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.phone import rules
from fleetapp.phone.models import PhoneAction, PhonePosition, VehicleCode
from fleetapp.phone.rules import Hours, Kind, Outcome
from fleetapp.planning.models import Assignment
from fleetapp.policies import queries as policies
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle

LOOK_BACK = timedelta(hours=12)
LOOK_AHEAD = timedelta(days=6)


def find_action(session: Session, *, key: str) -> PhoneAction | None:
    """Return the action that a key has already brought, if any that the actor may see."""
    return session.scalar(select(PhoneAction).where(PhoneAction.key == key))


def kinds_done(session: Session, *, duty: Assignment, actor: Actor) -> set[Kind]:
    """Return the kinds of actions that the actor has done on a duty's journey through the app."""
    rows = (
        select(PhoneAction.kind)
        .join(Assignment, Assignment.id == PhoneAction.assignment_id)
        .where(
            Assignment.pool_key == duty.pool_key, PhoneAction.user_id == actor.user_id, PhoneAction.outcome == Outcome.APPLIED
        )
    )  # fmt: skip
    return {Kind(kind) for kind in session.scalars(rows)}


def newest_codes(session: Session, *, vehicle_ids: Collection[int]) -> dict[int, VehicleCode]:
    """Return the code that counts of each vehicle that has one: the one issued last."""
    rows = select(VehicleCode).where(VehicleCode.vehicle_id.in_(vehicle_ids)).order_by(VehicleCode.serial)
    return {code.vehicle_id: code for code in session.scalars(rows)}


def codable(actor: Actor, *, q: str = "", vehicle_ids: Collection[int] | None = None) -> Select[Vehicle]:
    """Return the vehicles whose codes the actor keeps, by plate, narrowed by part of a plate or to some."""
    rows = (
        select(Vehicle)
        .join(Vehicle.org)
        .where(within_reach(actor, "phone.codes"), Vehicle.state != "RETIRED")
        .options(contains_eager(Vehicle.org))
        .order_by(Vehicle.plate)
    )
    if vehicle_ids is not None:
        rows = rows.where(Vehicle.id.in_(vehicle_ids))
    return rows.where(Vehicle.plate.icontains(q, autoescape=True)) if q else rows


@dataclass(frozen=True, slots=True)
class Task:
    """A journey as the phone shows it, with what was paid on its first order and which kinds of actions are done."""

    duty: Assignment
    journey: duties.Journey
    expenses: Sequence[TripExpense]
    done: frozenset[Kind]
    coded: bool


def tasks(session: Session, *, actor: Actor, now: datetime) -> list[Task]:
    """Return the actor's journeys of today and the days ahead in order of time, and one that ran past midnight."""
    start, end = clock.day_span(clock.local_date(now))
    rows = duties.between(duties.visible_to(actor), start=start - LOOK_BACK, end=end + LOOK_AHEAD)
    first: dict[int, Assignment] = {}
    for duty in session.scalars(rows).unique():
        first.setdefault(duty.pool_key, duty)
    paid = duties.expenses_of(session, assignment_ids=[duty.id for duty in first.values()])
    coded = newest_codes(session, vehicle_ids=[duty.vehicle_id for duty in first.values()])
    found = []
    for duty in first.values():
        journey = duties.journey_of(session, duty=duty, actor=actor)
        done = frozenset(kinds_done(session, duty=duty, actor=actor))
        found.append(Task(duty, journey, paid[duty.id], done, duty.vehicle_id in coded))
    return found


def hours_today(session: Session, *, actor: Actor, now: datetime) -> Hours:
    """Return what the actor drove today, between check-outs and check-ins, and whether a rest is due."""
    start, _ = clock.day_span(clock.local_date(now))
    rows = (
        select(DutyEvent)
        .join(Driver, Driver.id == DutyEvent.driver_id)
        .where(
            Driver.user_id == actor.user_id,
            DutyEvent.action.in_([DutyAction.CHECK_OUT, DutyAction.CHECK_IN]), DutyEvent.at >= start - LOOK_BACK,
            ~DutyEvent.idempotency_key.contains(duties.SIBLING),
        )
        .order_by(DutyEvent.at, DutyEvent.id)
    )  # fmt: skip
    spans, out = list[tuple[datetime, datetime]](), None
    events = session.scalars(rows).all()
    handed = dict(session.execute(  # the way of a vehicle that broke down ends without a check-in
        select(Assignment.id, Assignment.released_at)
        .where(Assignment.id.in_({event.assignment_id for event in events}), Assignment.released_at.is_not(None))
    ).all())  # fmt: skip
    for event in events:
        if event.action == DutyAction.CHECK_OUT:
            until = handed.get(event.assignment_id)
            out = event.at if until is None else None
            if until is not None:
                spans.append((max(event.at, start), until))
        elif out is not None:
            spans.append((max(out, start), event.at))
            out = None
    if out is not None:
        spans.append((max(out, start), now))
    figures = policies.values(session, "driver.", clock.local_date(now), actor.org_path)
    return rules.hours(
        [span for span in spans if span[1] > start], now=now, most=timedelta(hours=float(figures["driver.continuous_max_h"])),
        rest=timedelta(minutes=float(figures["driver.rest_min"])),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Paper:
    """A paper with its last day; ``kind`` is a vehicle's document or ``licence``."""

    kind: str
    of: str
    valid_to: date


def papers(session: Session, *, actor: Actor, vehicle_ids: Collection[int], plates: dict[int, str]) -> list[Paper]:
    """Return the driver's licence and the papers of the vehicles of the days ahead, the first to end first."""
    found = []
    driver = drivers.driver_of_user(session, user_id=actor.user_id) if actor.user_id else None
    if driver is not None:
        found.append(Paper("licence", driver.licence, driver.licence_valid_to))
    kinds = ("compulsory_insurance", "commercial_insurance", "inspection")
    for (vehicle_id, kind), paper in vehicles.latest_papers(session, vehicle_ids=vehicle_ids, kinds=kinds).items():
        if paper.valid_to is not None:
            found.append(Paper(kind, plates[vehicle_id], paper.valid_to))
    return sorted(found, key=lambda paper: paper.valid_to)


def newest_positions(session: Session, *, assignment_ids: Collection[int]) -> Sequence[PhonePosition]:
    """Return where the driver's phone was last, one row for each journey that has any; support only, never the vehicle's record."""
    query = (
        select(PhonePosition)
        .where(PhonePosition.assignment_id.in_(assignment_ids))
        .ext(distinct_on(PhonePosition.assignment_id))
        .order_by(PhonePosition.assignment_id, PhonePosition.at.desc())
    )
    return session.scalars(query).all()
