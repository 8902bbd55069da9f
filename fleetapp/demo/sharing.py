"""What city and districts share: standing offers, a loan under way, a request that waits, a journey in a rented car."""

from datetime import datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import joinedload

from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.demo.records import Story
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence, may_drive
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.spans import Span
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderState
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.sharing import fallback, service
from fleetapp.sharing.rules import FallbackKind, FallbackReason
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState

OFFERS = (
    # who offers, body, to whom (a kind of level or None), weekdays, from, to, notice in hours, note
    ("operator", "minibus", None, (1, 2, 3, 4, 5, 6, 7), time(0), None, 24, "会务、接待优先保障，节假日可用"),
    ("district", "sedan", "city", (1, 2, 3, 4, 5), time(8), time(18), 4, "工作日本区任务少时可用"),
    ("district", "mpv", None, (6, 7), time(0), None, 24, "双休日共享"),
    ("district", "suv", "city", (1, 2, 3, 4, 5), time(13), time(18), 8, "下午可用"),
)
SINCE = timedelta(days=40)
PROVIDER = "定点租赁公司"
CITY_LEVEL = 3
"""Slashes in the path of an organisation right below the city."""


def share(database: Database, city: City, story: Story, *, now: datetime) -> int:
    """Offer, ask, lend and rent in the names of those who would; returns how many rows of sharing there are."""
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
    by_role = {(account.role, account.org): everybody[account.username] for account in city.accounts}
    seats = {org.code: by_role.get(("dispatcher", org.code)) for org in city.orgs}
    districts = [org.code for org in city.orgs if org.kind == "district" and seats[org.code]]
    top = next(org.code for org in city.orgs if org.kind == "city")
    made = _offer(database, city, everybody, top, now - SINCE)
    asker, answerer = seats[districts[0]], seats[top]
    if asker is None or answerer is None:
        return made
    span = Span(
        clock.start_of(clock.local_date(now)) - timedelta(hours=8),
        clock.start_of(clock.local_date(now)) + timedelta(days=2),
    )
    lent = _idle(database, story, answerer, span)
    if lent is not None:
        vehicle, driver = lent
        asked_at = span.start - timedelta(hours=6)
        with database.transaction(asker) as session:
            request = service.ask(
                session, to_org_id=answerer.org_id or 0, org_id=asker.org_id, start_at=span.start, end_at=span.end, body=vehicle.body,
                seats=2, reason="区内车辆集中年检，保障重点项目现场调研", actor=asker, now=asked_at,
            )  # fmt: skip
        with database.transaction(answerer) as session:
            service.accept(session, request_id=request.id, vehicle_id=vehicle.id, driver_id=driver.id, note="请按时归还",
                           actor=answerer, now=asked_at + timedelta(hours=1))  # fmt: skip
        made += 2
    other = seats[districts[1]]
    if other is not None:
        tomorrow = clock.start_of(clock.local_date(now) + timedelta(days=1), time(8))
        with database.transaction(other) as session:
            service.ask(
                session, to_org_id=answerer.org_id or 0, org_id=other.org_id, start_at=tomorrow, end_at=tomorrow + timedelta(hours=10),
                body="minibus", seats=11, reason="全市现场会参会人员接送，本区无中型客车", actor=other, now=now - timedelta(minutes=40),
            )  # fmt: skip
        made += 1
    return made + _rent(database, everybody, city, now)


def _offer(database: Database, city: City, everybody: dict[str, Actor], top: str, at: datetime) -> int:
    holders = [
        org for kind in ("operator", "district", "district", "district") for org in city.orgs if org.kind == kind
    ]
    taken: set[str] = set()
    managers = {
        account.org: everybody[account.username] for account in city.accounts if account.role == "fleet_manager"
    }
    with database.transaction(SYSTEM) as session:
        for kind, body, to, weekdays, first, last, notice_h, note in OFFERS:
            holder = next(org for org in holders if org.kind == kind and org.code not in taken)
            taken.add(holder.code)
            actor = managers.get(holder.code) or managers[top]
            org_ids = {account.org: everybody[account.username].org_id for account in city.accounts}
            service.offer(
                session, org_id=org_ids[holder.code] or 0, body=body, to_org_id=org_ids[top] if to else None, weekdays=weekdays,
                from_time=first, to_time=last, valid_from=clock.local_date(at), notice_h=notice_h, note=note, actor=actor, now=at,
            )  # fmt: skip
    return len(OFFERS)


def _idle(database: Database, story: Story, lender: Actor, span: Span) -> tuple[Vehicle, Driver] | None:
    """Return a vehicle that the story leaves in its place and a driver of its holder who is free over a span."""
    used = {order.plate for order in story.orders}
    held = Range(span.start, span.end)
    with database.transaction(lender) as session:
        busy = (
            select(Assignment)
            .where(Assignment.state == AssignmentState.ACTIVE, Assignment.during.overlaps(held))
            .subquery()
        )
        cars = session.scalars(
            select(Vehicle).where(Vehicle.state == VehicleState.IN_SERVICE, Vehicle.plate.not_in(used - {None}),
                                  Vehicle.id.not_in(select(busy.c.vehicle_id)))
            .options(joinedload(Vehicle.org)).order_by(Vehicle.seats, Vehicle.plate)
        ).all()  # fmt: skip
        drivers = session.scalars(
            select(Driver).where(Driver.left_at.is_(None), Driver.id.not_in(select(busy.c.driver_id)))
        ).all()
        own = [car for car in cars if car.org.path.count("/") == CITY_LEVEL and car.org.kind != "district"]
        for car in sorted(own, key=lambda one: one.org.kind != "operator"):
            for driver in drivers:
                lasts = driver.licence_valid_to > clock.local_date(span.end)
                if driver.org_id == car.org_id and lasts and may_drive(Licence(driver.licence), car.seats):
                    return car, driver
    return None


def _rent(database: Database, everybody: dict[str, Actor], city: City, now: datetime) -> int:
    """Let one order that found no vehicle go in a rented car; the last one that waits is left to the dispatcher."""
    with database.transaction(SYSTEM) as session:
        waiting = session.scalars(
            select(TravelOrder).where(TravelOrder.state == OrderState.APPROVED, TravelOrder.kind == "ordinary")
            .options(joinedload(TravelOrder.org)).order_by(TravelOrder.start_at.desc())
        ).all()  # fmt: skip
    order = waiting[0] if len(waiting) > 1 else None
    dispatchers = [everybody[account.username] for account in city.accounts if account.role == "dispatcher"]
    actor = max(
        (one for one in dispatchers if order and order.org.path.startswith(one.org_path)),
        key=lambda one: len(one.org_path),
        default=None,
    )
    if order is None or actor is None or order.approver_id == actor.user_id:
        return 0
    with database.transaction(actor) as session:
        fallback.outsource(
            session, order_id=order.id, kind=FallbackKind.RENTAL, reason=FallbackReason.NONE_FREE, provider=PROVIDER, price=Decimal("430.00"),
            actor=actor, now=max(now - timedelta(minutes=20), order.approved_at or now),
        )  # fmt: skip
    return 1
