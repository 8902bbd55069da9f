"""Approved orders to find a vehicle for, policy figures loaded.

An actor is looked up before the transaction opens: on the one connection of a test the look-up would go on as SYSTEM.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fleetapp.accounts.models import UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.orders import service as orders
from fleetapp.orders.rules import OrderKind, Purpose, Stop
from fleetapp.planning import journeys, service
from fleetapp.planning.models import Assignment
from fleetapp.policies import service as policies
from fleetapp.vehicles.models import Vehicle
from tests import world

ORIGIN = Stop("西湖区教育局", 30.2640, 120.1260)
LAKE = Stop("西湖国宾馆", 30.2300, 120.1290)
EAST = Stop("杭州东站", 30.2905, 120.2125)
NEAR_EAST = Stop("艮山西路", 30.2880, 120.2010)
ASKED = "已电话征得双方同意"


@pytest.fixture(autouse=True)
def policy_figures(request, now):
    """Load the policy file where a test uses a database."""
    for name in ("database", "live_database"):
        if name in request.fixturenames:
            with request.getfixturevalue(name).transaction(SYSTEM) as session:
                policies.load_file(session, actor=SYSTEM, now=now)


def approve_one(
    database: Database, now: datetime, *, unit: str = "xhedu", start_h: float = 4, end_h: float = 7,
    occasion_id: int | None = None, **changes: Any,
) -> int:  # fmt: skip
    """Submit and approve an order of a unit, of an event if named; hours count from ``now``. Returns its id."""
    applicant, approver = world.actor(database, f"applicant.{unit}"), world.actor(database, f"approver.{unit}")
    application = {
        "kind": OrderKind.ORDINARY, "purpose": Purpose.MEETING, "reason": "参加全市教育工作会议", "passengers": "科室 2 人",
        "passenger_count": 2, "contact": "0571-87000000", "body": "sedan", "start_at": now + timedelta(hours=start_h),
        "end_at": now + timedelta(hours=end_h), "stops": [ORIGIN, LAKE], "occasion_id": occasion_id, **changes,
    }  # fmt: skip
    with database.transaction(applicant) as session:
        order_id = orders.submit(session, **application, actor=applicant, now=now).id
    with database.transaction(approver) as session:
        orders.approve(session, order_id=order_id, actor=approver, now=now)
    return order_id


def ids(database: Database) -> dict[str, int]:
    """Return vehicle ids by plate and driver ids by username."""
    with database.transaction(SYSTEM) as session:
        cars = session.execute(select(Vehicle.plate, Vehicle.id)).all()
        people = select(UserAccount.username, Driver.id).join(Driver, Driver.user_id == UserAccount.id)
        return {name: row_id for name, row_id in [*cars, *session.execute(people).all()]}  # noqa: C416 -- rows, not pairs


@pytest.fixture
def approved(database, now) -> Callable[..., int]:
    """Return a maker of approved orders."""
    return lambda **changes: approve_one(database, now, **changes)


@pytest.fixture
def known(database) -> dict[str, int]:
    """Return vehicle ids by plate and driver ids by username."""
    return ids(database)


@pytest.fixture
def assign(database, acting, known, now) -> Callable[..., int]:
    """Assign a plate and a driver's username to an order as a dispatcher; returns the assignment's id."""

    def run(
        order_id: int, plate: str = "浙A10001", driver: str = "driver.xhedu", by: str = "dispatcher.xihu", at=now
    ) -> int:
        actor = acting(by)
        with database.transaction(actor) as session:
            made = service.assign(
                session, order_id=order_id, vehicle_id=known[plate], driver_id=known[driver], actor=actor, now=at
            )
            return made.id

    return run


@pytest.fixture
def row(database):
    """Return a row by its class and id, as the system sees it."""

    def get(kind, row_id):
        with database.transaction(SYSTEM) as session:
            return session.get_one(kind, row_id)

    return get


@pytest.fixture
def join(database, acting, now):
    """Let an order join the journey of an assignment as a dispatcher; returns the new assignment's id."""

    def run(order_id, into, *, by="dispatcher.xihu", consent=ASKED):
        actor = acting(by)
        with database.transaction(SYSTEM) as session:
            key = session.get_one(Assignment, into).pool_key
        with database.transaction(actor) as session:
            return journeys.join(session, order_id=order_id, pool_key=key, actor=actor, now=now, consent=consent).id

    return run
