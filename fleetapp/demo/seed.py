"""Fills an empty database with the demo city: every row through the services, each at its own time in the story."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from multiprocessing import get_context

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from fleetapp.accounts import service as accounts
from fleetapp.accounts.models import OrgKind, UserAccount
from fleetapp.accounts.sign_ins import hash_password
from fleetapp.approvals import chains
from fleetapp.audit import service as audit
from fleetapp.demo import bridge, files, journeys, life, people, removal, seals, travel
from fleetapp.demo.city import City, build
from fleetapp.demo.records import Order, Story
from fleetapp.demo.story import month
from fleetapp.demo.tracks import fixes_between
from fleetapp.drivers import service as drivers
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence
from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.db import Database, become, make_engine
from fleetapp.orders import service as orders
from fleetapp.orders.rules import OrderKind, Purpose, Stop
from fleetapp.places import service as places
from fleetapp.places.roads import RoadGraph, load_roads
from fleetapp.planning import service as planning
from fleetapp.policies import service as policies
from fleetapp.pricing import service as pricing
from fleetapp.trips import jobs as trip_jobs
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy
from fleetapp.workdays import queries as workdays
from fleetapp.workdays import service as workday_service
from telematics.model import Fix

SEED = 330100
CALENDAR_YEARS = (2024, 2025, 2026)
STEPS_A_COMMIT = 200
FIXES_A_COMMIT = 20_000
TELL_EVERY_S = 5.0
REGISTERED_BEFORE = timedelta(days=180)
"""So long before the story begins, organisations and vehicles are known."""
Say = Callable[[str], None]
Step = tuple[datetime, str, Callable[[Session, Actor], object]]


@dataclass(frozen=True, slots=True)
class Size:
    """How much demo there is."""

    days: int = 30
    orders_per_day: int = 18


@dataclass(frozen=True, slots=True)
class Demo:
    """The demo's values, made again from the same ``now`` at any time."""

    city: City
    story: Story
    roads: RoadGraph


def tell(*, now: datetime, size: Size, day_kind: Callable[[date], str]) -> Demo:
    """Return the city and its story up to ``now``; the same arguments always give the same."""
    roads = load_roads()
    as_of = clock.local_date(now) - timedelta(days=size.days - 1)
    city = build(seed=SEED, as_of=as_of, roads=roads)
    story = month(
        city, roads, seed=SEED, now=now, days=size.days, orders_per_day=size.orders_per_day, day_kind=day_kind
    )
    return Demo(city, story, roads)


def fill(database: Database, *, now: datetime, password: str, size: Size = Size(), say: Say = print) -> Demo:
    """Fill an empty, migrated database; ``say`` gets a line about every stage."""
    began = time.monotonic()

    def stage(text: str) -> None:
        say(f"[{time.monotonic() - began:5.1f} s] {text}")

    with database.transaction(SYSTEM) as session:
        for year in CALENDAR_YEARS:
            workday_service.load_year(session, year=year, actor=SYSTEM, now=now)
        policies.load_file(session, actor=SYSTEM, now=now)
        places.load_file(session, actor=SYSTEM, now=now)
        kinds = _day_kinds(session, now, size)
    stage("日历、政策参数、地名 / calendar, policy figures, places")
    demo = tell(now=now, size=size, day_kind=lambda on: kinds[on])
    stage(f"{len(demo.story.orders)} 份用车申请的一个月 / a month of {len(demo.story.orders)} orders told")
    terminals = _found(database, demo, password)
    with database.transaction(SYSTEM) as session:
        chains.load_default(session, actor=SYSTEM, now=now)
    life.authorise(database, demo.city, at=clock.start_of(demo.story.first_on))
    life.paper(database, demo.city, first_on=demo.story.first_on, now=now)
    files.complete(database, demo.city, seed=SEED, at=clock.start_of(demo.story.first_on))
    stage(f"{len(demo.city.vehicles)} 辆车及其档案 / {len(demo.city.vehicles)} vehicles with their files")
    # Tracks and orders do not meet before the trips are derived, so each gets a core.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        driving = beside.submit(_drive, _url(database), now, size, kinds, terminals)
        known_since = clock.start_of(demo.story.first_on) - REGISTERED_BEFORE
        sealed = seals.seal(database, demo.city, demo.story, since=known_since, now=now)
        stage(f"{sealed} 辆车国庆封存 / {sealed} vehicles were sealed over National Day")
        life.read(database, demo.city, at=clock.start_of(demo.story.first_on))
        steps = _live_through(database, demo, stage)
        stage(f"{steps} 个业务步骤 / {steps} steps of orders and duties")
        fixes = driving.result()
    stage(f"{fixes} 个定位点入库 / {fixes} positions stored")
    while trip_jobs.derive(database, now)["windows"]:
        pass
    stage("行程与匹配 / trips and matches")
    stage("{} 段行程已确认，{} 条评价 / {} journeys confirmed, {} rated".format(*journeys.end(database, now=now) * 2))
    raised = people.find_clues(database, first_on=demo.story.first_on, now=now)
    answered = people.answer_clues(database, now=now)
    stage(f"{raised} 条疑似线索，{answered['reviewed']} 条已核实 / {raised} clues, {answered['reviewed']} reviewed")
    life.keep(database, demo.city, demo.story, now=now, stage=stage)
    travel.keep(database, demo.city, demo.story, now=now, stage=stage)
    with database.transaction(SYSTEM) as session:
        audit.record(session, actor=SYSTEM, now=now, action=removal.SEEDED, subject_type="demo", subject_id=None, org_id=None,
                     days=size.days, orders_per_day=size.orders_per_day, digest=_digest(demo),
                     last_ids=removal.last_ids(session))  # fmt: skip
    return demo


def _digest(demo: Demo) -> str:
    """Return what tells one story from another: a later version of this program tells another one."""
    told = [(order.key, order.plate, order.state, order.start_at.isoformat()) for order in demo.story.orders]
    plates = [car.plate for car in demo.city.vehicles]
    return hashlib.sha256(json.dumps([plates, told]).encode()).hexdigest()


def told_again(database: Database) -> Demo:
    """Return the city and story that the database was filled with.

    :raises LookupError: it was not filled with the demo, not to the end, or by another version of this program.
    """
    with database.transaction(SYSTEM) as session:
        entry = session.execute(
            text("SELECT at, data FROM audit_entry WHERE action = :action"), {"action": removal.SEEDED}
        ).first()
        if entry is None:
            raise LookupError(
                "演示数据不完整（上次被中断），请运行 make demo-reset。The demo data is incomplete (interrupted): run make demo-reset."
            )
        size = Size(days=entry.data["days"], orders_per_day=entry.data["orders_per_day"])
        kinds = _day_kinds(session, entry.at, size)
    demo = tell(now=entry.at, size=size, day_kind=lambda on: kinds[on])
    if _digest(demo) != entry.data.get("digest"):
        raise LookupError(
            "演示数据由另一版本的程序生成，请运行 make demo-reset。"
            "The demo data was made by another version of this program: run make demo-reset."
        )
    return demo


def _day_kinds(session: Session, now: datetime, size: Size) -> dict[date, str]:
    """Return the kind of every day of the story and of those before it on which orders were made."""
    today = clock.local_date(now)
    days = workdays.day_kinds(session, today - timedelta(days=size.days + 20), today + timedelta(days=20))
    return {day.on: day.kind.value for day in days}


def _found(database: Database, demo: Demo, password: str) -> dict[str, int]:
    """Make organisations, accounts, parking, vehicles and drivers; returns the terminal id of each plate."""
    city, at = demo.city, clock.start_of(demo.story.first_on) - REGISTERED_BEFORE
    password_hash = hash_password(password)
    licences = {driver.username: driver for driver in city.drivers}
    with database.transaction(SYSTEM) as session:
        org_ids: dict[str, int] = {}
        for org in city.orgs:
            made = accounts.create_org(
                session, parent_id=org_ids[org.parent] if org.parent else None, code=org.code, kind=OrgKind(org.kind),
                name_zh=org.name, name_en=org.name_en, adcode=org.adcode, actor=SYSTEM, now=at,
            )  # fmt: skip
            session.flush()
            org_ids[org.code] = made.id
        pricing.load_file(session, actor=SYSTEM, now=at)
        for account in city.accounts:
            user = accounts.create_user(
                session, username=account.username, name_zh=account.name, name_en=account.name_en, org_id=org_ids[account.org],
                password=password, password_hash=password_hash, grants=[(Role(account.role), org_ids[account.org])],
                actor=SYSTEM, now=at,
            )  # fmt: skip
            session.flush()
            if account.username in licences:
                driver = licences[account.username]
                drivers.create(session, user_id=user.id, licence=Licence(driver.licence),
                               licence_valid_to=driver.licence_valid_to, actor=SYSTEM, now=at)  # fmt: skip
    parking_ids: dict[str, int] = {}
    with database.transaction(SYSTEM) as session:
        for area in city.parkings:
            made_area = places.create_parking(
                session, org_id=org_ids[area.org], name_zh=area.name, name_en=area.name_en,
                area={"type": "Polygon", "coordinates": [[list(point) for point in area.ring]]}, actor=SYSTEM, now=at,
            )  # fmt: skip
            session.flush()
            parking_ids[area.code] = made_area.id
        for car in city.vehicles:
            vehicles.register(
                session, org_id=org_ids[car.org], plate=car.plate, vin=car.vin, category=Category(car.category),
                body=Body(car.model.body), energy=Energy(car.model.energy), seats=car.model.seats,
                model=f"{car.model.brand} {car.model.name}", registered_on=car.registered_on, range_km=car.model.range_km,
                odometer_m=car.odometer_on(clock.local_date(at), demo.story.first_on), parking_id=parking_ids[car.parking], terminal_phone=car.terminal_phone,
                actor=SYSTEM, now=at,
            )  # fmt: skip
        session.flush()
        rows = session.execute(select(Vehicle.plate, TerminalBinding.terminal_id).join(TerminalBinding))
        return {plate: terminal_id for plate, terminal_id in rows}  # noqa: C416 -- rows are not tuples to a type checker


def _url(database: Database) -> str:
    """Return the database's address for a process of its own."""
    return database.engine.url.render_as_string(hide_password=False)  # type: ignore[union-attr]


def _drive(url: str, now: datetime, size: Size, kinds: dict[date, str], terminals: dict[str, int]) -> int:
    """Store the month's positions, some vehicles at a time; returns how many."""
    database = Database(make_engine(url))
    demo = tell(now=now, size=size, day_kind=lambda on: kinds[on])
    start = clock.start_of(demo.story.first_on)
    stored = 0
    batch: list[tuple[int, Fix]] = []
    for number, car in enumerate(demo.city.vehicles, start=1):
        found = fixes_between(demo.city, demo.story, demo.roads, plate=car.plate, start_at=start, end_at=demo.story.now)
        batch += [(terminals[car.plate], fix) for fix in found]
        if len(batch) > FIXES_A_COMMIT or number == len(demo.city.vehicles):
            with database.transaction(SYSTEM) as session:
                stored += bridge.save_fixes(session, batch, received_at=demo.story.now)
            batch.clear()
    return stored


def _live_through(database: Database, demo: Demo, stage: Say) -> int:
    """Take every step of every order in the order of time, each as the person who takes it."""
    with database.transaction(SYSTEM) as session:
        actors = people.everybody(session)
        driver_ids = dict(
            session.execute(
                select(UserAccount.username, Driver.id).join(Driver, Driver.user_id == UserAccount.id)
            ).all()
        )
        vehicle_ids = dict(session.execute(select(Vehicle.plate, Vehicle.id)).all())
    steps = sorted(
        (step for order in demo.story.orders for step in _Life(order, driver_ids, vehicle_ids).steps()),
        key=lambda step: step[0],
    )
    told = time.monotonic()
    for first in range(0, len(steps), STEPS_A_COMMIT):
        with database.transaction(SYSTEM) as session:
            for _at, username, take in steps[first : first + STEPS_A_COMMIT]:
                actor = actors[username]
                become(session, actor)
                take(session, actor)
                session.flush()
        if time.monotonic() - told > TELL_EVERY_S:
            told, done = time.monotonic(), first + STEPS_A_COMMIT
            stage(f"业务 {done}/{len(steps)} / steps {done}/{len(steps)}")
    return len(steps)


class _Life:
    """The steps of one order; later ones use the ids that earlier ones made."""

    def __init__(self, order: Order, driver_ids: dict[str, int], vehicle_ids: dict[str, int]) -> None:
        self.order = order
        self.driver_ids = driver_ids
        self.vehicle_ids = vehicle_ids
        self.order_id = 0
        self.assignment_id = 0

    def steps(self) -> Iterator[Step]:
        """Yield when, who, what."""
        order = self.order
        yield order.created_at, order.applicant, self.submit
        if order.decided_at and order.state == "rejected":
            yield order.decided_at, order.approver, self.reject
            return
        if order.decided_at:
            yield order.decided_at, order.approver, self.approve
        if order.state == "cancelled" and order.closed_at:
            yield order.closed_at, order.applicant, self.cancel
            return
        if order.dispatched_at and order.dispatcher:
            yield order.dispatched_at, order.dispatcher, self.dispatch
        if order.driver and order.accepted_at:
            yield order.accepted_at, order.driver, partial(self.report, action=DutyAction.ACCEPT, at=order.accepted_at)
        if order.driver and order.checked_out_at:
            yield (
                order.checked_out_at,
                order.driver,
                partial(
                    self.report, action=DutyAction.CHECK_OUT, at=order.checked_out_at, odometer_m=order.odometer_out_m
                ),
            )
            for number, arrived_at in enumerate(order.arrivals):
                yield (
                    arrived_at,
                    order.driver,
                    partial(
                        self.report,
                        action=DutyAction.ARRIVE,
                        at=arrived_at,
                        note=order.stops[min(number, len(order.stops) - 1)].name,
                    ),
                )
        if order.driver and order.checked_in_at:
            yield (
                order.checked_in_at,
                order.driver,
                partial(
                    self.report, action=DutyAction.CHECK_IN, at=order.checked_in_at, odometer_m=order.odometer_in_m
                ),
            )

    def submit(self, session: Session, actor: Actor) -> None:
        """Apply."""
        order = self.order
        made = orders.submit(
            session, kind=OrderKind(order.kind), purpose=Purpose(order.purpose), reason=order.reason,
            passengers=f"{order.passengers} 人" if order.passengers else "", passenger_count=order.passengers,
            contact="0571-12345", body=order.body, start_at=order.start_at, end_at=order.end_at,
            stops=[Stop(point.name, point.lat, point.lon, int(point.tolerance_m)) for point in (order.origin, *order.stops)],
            actor=actor, now=order.created_at,
        )  # fmt: skip
        self.order_id = made.id

    def approve(self, session: Session, actor: Actor) -> None:
        """Approve."""
        orders.approve(session, order_id=self.order_id, actor=actor, now=_moment(self.order.decided_at), note="同意。")

    def reject(self, session: Session, actor: Actor) -> None:
        """Refuse."""
        reason = self.order.closing_reason or "可乘坐公共交通前往。"
        orders.reject(session, order_id=self.order_id, reason=reason, actor=actor, now=_moment(self.order.decided_at))

    def cancel(self, session: Session, actor: Actor) -> None:
        """Cancel before a vehicle was assigned."""
        reason = self.order.closing_reason or "会议取消。"
        orders.cancel(session, order_id=self.order_id, reason=reason, actor=actor, now=_moment(self.order.closed_at))

    def dispatch(self, session: Session, actor: Actor) -> None:
        """Assign vehicle and driver."""
        order = self.order
        made = planning.assign(
            session, order_id=self.order_id, vehicle_id=self.vehicle_ids[order.plate or ""],
            driver_id=self.driver_ids[order.driver or ""], actor=actor, now=_moment(order.dispatched_at),
        )  # fmt: skip
        session.flush()
        self.assignment_id = made.id

    def report(
        self,
        session: Session,
        actor: Actor,
        *,
        action: DutyAction,
        at: datetime,
        odometer_m: int | None = None,
        note: str | None = None,
    ) -> None:
        """Take a step on the phone."""
        duty.report(
            session, assignment_id=self.assignment_id, action=action, actor=actor, now=at, odometer_m=odometer_m, note=note,
            idempotency_key=f"demo-{self.assignment_id}-{action}-{int(at.timestamp())}",
        )  # fmt: skip


def _moment(at: datetime | None) -> datetime:
    """Return a moment that this step must have."""
    if at is None:
        raise ValueError("the story has a step without its time")
    return at
