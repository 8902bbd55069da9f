"""An event with cars kept for it, orders that name it, and two orders that share a car."""

from datetime import datetime, time, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database, become
from fleetapp.kit.errors import FleetError
from fleetapp.occasions import queries as occasion_queries
from fleetapp.occasions import service as occasions
from fleetapp.orders import service as orders
from fleetapp.orders.models import Occasion, TravelOrder
from fleetapp.orders.rules import OrderKind, OrderState, Purpose, Stop
from fleetapp.planning import journeys
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.vehicles.models import Vehicle

NAME = "全市数字经济大会"
KEPT = 3
"""Cars, and drivers, of the event."""
TRIES = 6
"""Journeys looked at for one that another order can join."""


def gather(database: Database, city: City, *, now: datetime) -> int:
    """Plan the event and share a car, in the names of those who would; returns how many orders there are of either."""
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
    by_role = {(account.role, account.org): everybody[account.username] for account in city.accounts}
    top = next(org.code for org in city.orgs if org.kind == "city")
    seat = by_role["dispatcher", top]
    occasion = _plan(database, seat, now)
    applicants = [actor for (role, _), actor in by_role.items() if role == "applicant" and _is_below(actor, seat)][:2]
    with database.transaction(SYSTEM) as session:
        for hour, applicant in enumerate(applicants, start=1):
            _order(session, applicant, kind=OrderKind.EVENT, start_at=occasion.start_at + timedelta(hours=hour), now=now,
                   occasion_id=occasion.id)  # fmt: skip
    return len(applicants) + _share(database, everybody, city, now)


def _is_below(actor: Actor, seat: Actor) -> bool:
    return actor.org_path is not None and seat.org_path is not None and actor.org_path.startswith(seat.org_path)


def _plan(database: Database, seat: Actor, now: datetime) -> Occasion:
    """Plan the event three days ahead, keep what is free of the operator's and fill the roster of one car."""
    on = clock.local_date(now) + timedelta(days=3)
    with database.transaction(seat) as session:
        occasion = occasions.create(
            session, org_id=seat.org_id or 0, name=NAME, start_at=clock.start_of(on, time(8)),
            end_at=clock.start_of(on + timedelta(days=1), time(18)), note="会务保障组统一调度。", actor=seat, now=now,
        )  # fmt: skip
    with database.transaction(seat) as session:
        cars, crew = occasion_queries.offered(session, occasion=occasion, actor=seat)
        busy, away = occasion_queries.clashes(
            session, occasion=occasion, vehicle_ids=[car.id for car in cars], driver_ids=[one.id for one in crew]
        )
        pairs: list[tuple[int, int]] = []
        taken: set[int] = set()
        for car in cars:
            driver = next((one for one in crew if one.org_id == car.org_id and one.id not in taken | away.keys()), None)
            if car.id not in busy and driver is not None and len(pairs) < KEPT:
                pairs.append((car.id, driver.id))
                taken.add(driver.id)
        if pairs:
            occasions.reserve(session, occasion_id=occasion.id, vehicle_ids=[car for car, _ in pairs],
                              driver_ids=[driver for _, driver in pairs], actor=seat, now=now)  # fmt: skip
            occasions.roster(session, occasion_id=occasion.id, vehicle_id=pairs[0][0], driver_id=pairs[0][1], from_on=on,
                             to_on=on + timedelta(days=1), actor=seat, now=now)  # fmt: skip
    return occasion


def _order(
    session: Session, applicant: Actor, *, kind: OrderKind, start_at: datetime, now: datetime, like: TravelOrder | None = None,
    occasion_id: int | None = None,
) -> int:  # fmt: skip
    """Apply in a unit's name, on the way of another order if there is one."""
    become(session, applicant)
    stops = [Stop(stop.name, stop.lat, stop.lon) for stop in like.stops] if like else VENUE
    return orders.submit(
        session, kind=kind, purpose=Purpose.MEETING, reason="参加会议", passengers="科室 1 人", passenger_count=1,
        contact="0571-12345", body=like.body if like else "sedan", start_at=start_at,
        end_at=like.end_at if like else start_at + timedelta(hours=2), stops=stops, pooling_ok=like is not None,
        occasion_id=occasion_id, actor=applicant, now=now,
    ).id  # fmt: skip


VENUE = [Stop("杭州市民中心", 30.2486, 120.2059), Stop("杭州国际博览中心", 30.2293, 120.2410)]


def _share(database: Database, everybody: dict[str, Actor], city: City, now: datetime) -> int:
    """Let an order of another unit join the first journey ahead that takes it."""
    with database.transaction(SYSTEM) as session:
        ahead = session.scalars(
            select(Assignment).join(Assignment.order).join(Assignment.vehicle)
            .where(Assignment.state == AssignmentState.ACTIVE, TravelOrder.state == OrderState.DISPATCHED,
                   TravelOrder.kind == OrderKind.ORDINARY, TravelOrder.start_at > now + timedelta(minutes=40),
                   TravelOrder.passenger_count + 1 < Vehicle.seats)
            .options(joinedload(Assignment.order).selectinload(TravelOrder.stops), joinedload(Assignment.order).joinedload(TravelOrder.org),
                     selectinload(Assignment.vehicle).joinedload(Vehicle.org), joinedload(Assignment.assigner))
            .order_by(TravelOrder.start_at).limit(TRIES)
        ).all()  # fmt: skip
    for held in ahead:
        dispatcher = everybody[held.assigner.username] if held.assigner else None
        applicant, approver = (
            next((everybody[account.username] for account in city.accounts if account.role == role and
                  everybody[account.username].org_id != held.order_org_id and
                  (everybody[account.username].org_path or "").rsplit("/", 2)[0] == held.order.org.path.rsplit("/", 2)[0]), None)
            for role in ("applicant", "approver")
        )  # fmt: skip
        if dispatcher is None or applicant is None or approver is None or applicant.org_id != approver.org_id:
            continue
        try:
            with database.transaction(SYSTEM) as session:  # all of it, or no trace of it
                order_id = _order(
                    session, applicant, kind=OrderKind.ORDINARY, start_at=held.order.start_at, now=now, like=held.order
                )
                become(session, approver)
                orders.approve(session, order_id=order_id, actor=approver, now=now)
                become(session, dispatcher)
                journeys.join(
                    session,
                    order_id=order_id,
                    pool_key=held.pool_key,
                    consent="已电话征得同意",
                    actor=dispatcher,
                    now=now,
                )
        except FleetError:
            continue
        return 2
    return 0
