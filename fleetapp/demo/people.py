"""What the demo's people do with what the system finds, and with cars that are still on the road."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.accounts.models import RoleGrant, UserAccount
from fleetapp.accounts.queries import actor_of
from fleetapp.demo.records import Order, Story
from fleetapp.drivers.models import Driver
from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.findings import casework
from fleetapp.findings import desk_queries as cases
from fleetapp.findings import jobs as finding_jobs
from fleetapp.findings import queries as findings
from fleetapp.findings import service as finding_service
from fleetapp.findings.models import FindingCase
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database, become
from fleetapp.kit.errors import FleetError, NotAllowed
from fleetapp.orders import service as orders
from fleetapp.orders.rules import OrderKind, OrderState, Purpose, Stop
from fleetapp.planning import service as planning
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle

OPEN_FOR = timedelta(days=4)
"""Clues about the last days are still waiting for an explanation."""
ROUND = timedelta(hours=3)
MORNING_AFTER = timedelta(hours=7, minutes=10)
ANSWERED_AFTER, VERIFIED_AFTER, DECIDED_AFTER = (
    timedelta(hours=5, minutes=20),
    timedelta(hours=8),
    timedelta(hours=27, minutes=40),
)

ANSWERS: Mapping[str, tuple[str, FindingState, str]] = {
    "A-01": ("临时送件，口头请示后出车，未及时补单。", FindingState.PROCEDURAL, "属实，程序不规范，已要求补单并提醒。"),
    "A-02": ("按派车单出行，途中改走绕城。", FindingState.CLEARED, "与派车单目的地一致，予以排除。"),
    "A-03": ("会议延长，返程遇拥堵。", FindingState.CLEARED, "经核会议记录，确有延长。"),
    "B-01": ("节日值班取送物资。", FindingState.PROCEDURAL, "值班属实，未列入值班车辆名单，已补报。"),
    "B-02": ("周末加班送材料。", FindingState.PROCEDURAL, "加班属实，未提交用车申请，已提醒。"),
    "E-01": ("车辆挪位配合停车场施工。", FindingState.CLEARED, "停车场施工情况属实。"),
    "E-02": ("返程已晚，就近停放。", FindingState.PROCEDURAL, "应报批过夜停放，已要求整改。"),
}  # fmt: skip

CLEARED_FOR = {"A-02": ClearReason.ORDER_FOUND, "A-03": ClearReason.ORDER_FOUND, "E-01": ClearReason.MAINTENANCE_DRIVE}


def everybody(session: Session) -> dict[str, Actor]:
    """Return every account's actor by username."""
    grants = selectinload(UserAccount.grants).joinedload(RoleGrant.org)
    rows = session.scalars(select(UserAccount).options(joinedload(UserAccount.org), grants))
    return {user.username: actor_of(user) for user in rows}


def find_clues(database: Database, *, first_on: date, now: datetime) -> int:
    """Look at every past day as of the morning after it, so that clues are found when the job would have; then at now."""
    with database.transaction(SYSTEM) as session:
        figure_rows = findings.figure_rows(session)
        driven = session.execute(
            select(
                func.date(func.timezone(str(clock.OFFICE_ZONE), Trip.start_at)).label("on"), Trip.vehicle_id
            ).distinct()
        ).all()
    raised = 0
    for on, vehicle_id in sorted((on, vehicle_id) for on, vehicle_id in driven if on >= first_on):
        seen_at = clock.start_of(on + timedelta(days=1)) + MORNING_AFTER
        if seen_at < now:
            with database.transaction(SYSTEM) as session:
                done = finding_service.scan_vehicle(
                    session, vehicle_id=vehicle_id, first_on=on - timedelta(days=1), last_on=on, now=seen_at,
                    figure_rows=figure_rows,
                )  # fmt: skip
            raised += done["raised"]
    return raised + finding_jobs.scan(database, now).get("raised", 0)


def answer_clues(database: Database, *, now: datetime) -> dict[str, int]:
    """Have older cases explained by the person concerned, verified by the unit and decided by others; returns how many of each."""
    done = {"explained": 0, "reviewed": 0}
    with database.transaction(SYSTEM) as session:
        people = {actor.user_id: actor for actor in everybody(session).values()}
        older = cases.visible_to(SYSTEM).where(
            FindingCase.end_at < now - OPEN_FOR, FindingCase.state == FindingState.NOTIFIED
        )
        waiting = [(one.id, one.detected_at, head.rule, one.concerned_id)
                   for one in session.scalars(older) if (head := cases.head(one)) is not None]  # fmt: skip
    for number, (case_id, found_at, rule, concerned_id) in enumerate(waiting):
        concerned = people.get(concerned_id)
        if concerned is None or rule not in ANSWERS:
            continue
        said, outcome, note = ANSWERS[rule]
        reason = CLEARED_FOR.get(rule) if outcome is FindingState.CLEARED else None
        with database.transaction(concerned) as session:
            casework.explain(session, case_id=case_id, text=said, actor=concerned, now=found_at + ANSWERED_AFTER)
        done["explained"] += 1
        if number % 4 == 0:
            continue
        verifier = _who(database, case_id, "findings.verify", people.values())
        if verifier is None:
            continue
        with database.transaction(verifier) as session:
            casework.verify(session, case_id=case_id, text="已向当事人核对，说明属实。", agrees=True, actor=verifier,
                            now=found_at + VERIFIED_AFTER)  # fmt: skip
        reviewer = _who(database, case_id, "findings.review", people.values())
        if number % 3 and reviewer is not None:
            with database.transaction(reviewer) as session:
                casework.review(session, case_id=case_id, outcome=outcome, reason=reason, note=note, actor=reviewer,
                                now=found_at + DECIDED_AFTER)  # fmt: skip
            done["reviewed"] += 1
    return done


def _who(database: Database, case_id: int, action: str, people: Iterable[Actor]) -> Actor | None:
    """Return somebody who may take a step with a case and has no part in it."""
    with database.transaction(SYSTEM) as session:
        case = cases.get_case(session, case_id=case_id, actor=SYSTEM)
        for actor in people:
            try:
                casework.require(action, case, actor)
                casework.check_part(case, actor)
            except NotAllowed:
                continue
            return actor
    return None


def keep_on_the_road(database: Database, story: Story, *, now: datetime) -> int:
    """Give every car that is still circling an order for the hours ahead; returns how many got a new one.

    The one before is checked in first. Without this the live demo would end in clues about drives without an order.
    """
    with database.transaction(SYSTEM) as session:
        people = everybody(session)
        rows = session.execute(select(UserAccount.username, Driver.id).join(Driver, Driver.user_id == UserAccount.id))
        driver_ids = dict(rows.all())
    renewed = 0
    for told in story.orders:
        if told.state == "driving" and told.plate and told.driver and told.dispatcher:
            try:
                renewed += _renew(database, told, people, driver_ids[told.driver], now=now)
            except FleetError:
                continue  # the car or driver was given another task by hand meanwhile
    return renewed


def _renew(database: Database, told: Order, people: Mapping[str, Actor], driver_id: int, *, now: datetime) -> int:
    driver, applicant = people[told.driver or ""], people[told.applicant]
    with database.transaction(SYSTEM) as session:
        vehicle = session.scalars(select(Vehicle).where(Vehicle.plate == told.plate)).one()
        present = session.scalar(
            select(Assignment)
            .where(Assignment.vehicle_id == vehicle.id, Assignment.state == AssignmentState.ACTIVE)
            .options(joinedload(Assignment.order))
            .order_by(Assignment.id.desc())
            .limit(1)
        )
        if present is not None and present.order.end_at > now + timedelta(minutes=20):
            return 0
        if present is not None and present.order.state in {OrderState.CHECKED_OUT, OrderState.EN_ROUTE}:
            become(session, driver)
            duty.report(session, assignment_id=present.id, action=DutyAction.CHECK_IN, actor=driver, now=now,
                        odometer_m=vehicle.odometer_m + 30_000, idempotency_key=f"demo-in-{present.id}")  # fmt: skip
        become(session, applicant)
        order = orders.submit(
            session, kind=OrderKind.EMERGENCY, purpose=Purpose.EMERGENCY, reason="应急保障用车", passengers="1 人",
            passenger_count=1, contact="0571-12345", body=told.body, start_at=max(now, _free_from(present, now)),
            end_at=now + ROUND, actor=applicant, now=now,
            stops=[Stop(point.name, point.lat, point.lon, int(point.tolerance_m)) for point in (told.origin, *told.stops)],
        )  # fmt: skip
        session.flush()
        become(session, people[told.approver])
        orders.approve(session, order_id=order.id, actor=people[told.approver], now=now, note="同意。")
        session.flush()
        dispatcher = people[told.dispatcher or ""]
        become(session, dispatcher)
        given = planning.assign(
            session, order_id=order.id, vehicle_id=vehicle.id, driver_id=driver_id, actor=dispatcher, now=now
        )
        session.flush()
        become(session, driver)
        for action in (DutyAction.ACCEPT, DutyAction.CHECK_OUT):
            session.refresh(vehicle)
            duty.report(
                session, assignment_id=given.id, action=action, actor=driver, now=now, odometer_m=vehicle.odometer_m,
                idempotency_key=f"demo-{action}-{given.id}",
            )  # fmt: skip
            session.flush()
    return 1


def _free_from(present: Assignment | None, now: datetime) -> datetime:
    """Return when the vehicle's hold by the order before ends, buffers of both included."""
    if present is None or present.during.upper is None:
        return now
    return present.during.upper + timedelta(minutes=16) if present.during.upper > now else now
