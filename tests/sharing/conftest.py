"""Requests between Xihu and the city, and their loans."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fleetapp.kit.actor import SYSTEM
from fleetapp.notices.models import Notice
from fleetapp.sharing import service
from tests import world
from tests.planning.conftest import approve_one, ids

DAY = timedelta(days=1)


@pytest.fixture
def known(database) -> dict[str, int]:
    """Return vehicle ids by plate and driver ids by username."""
    return ids(database)


@pytest.fixture
def org(acting) -> Callable[[str], int]:
    """Return the id of an organisation of the world by its key."""
    names = {"city": "dispatcher.city", "xihu": "dispatcher.xihu", "binjiang": "dispatcher.binjiang", "fleet": "driver.fleet",
             "xhedu": "driver.xhedu", "bjwater": "driver.bjwater"}  # fmt: skip
    return lambda key: acting(names[key]).org_id


@pytest.fixture
def approved(database, now) -> Callable[..., int]:
    """Return a maker of approved orders."""
    return lambda **changes: approve_one(database, now, **changes)


@pytest.fixture
def do(database, acting, now) -> Callable[..., Any]:
    """Take a step in somebody's name; returns what the function returns."""

    def run(function, by: str, when=None, **given):
        actor = acting(by)
        with database.transaction(actor) as session:
            return function(session, **given, actor=actor, now=when or now)

    return run


@pytest.fixture
def asked(do, org, now) -> Callable[..., Any]:
    """Ask the city for a sedan for Xihu, tomorrow for a day unless told otherwise."""

    def ask(by: str = "dispatcher.xihu", to: str = "city", **given):
        usual = {
            "to_org_id": org(to), "org_id": org("xihu"), "start_at": now + DAY, "end_at": now + 2 * DAY, "body": "sedan", "seats": 3,
            "reason": "区内车辆均有任务",
        }  # fmt: skip
        return do(service.ask, by, **(usual | given))

    return ask


@pytest.fixture
def lent(do, asked, known) -> Callable[..., Any]:
    """Ask and accept: the operator's car, with its driver unless told otherwise."""

    def lend(plate: str = "浙AF00006", with_driver: bool = True, **given):
        request = asked(with_driver=with_driver, **given)
        driver_id = known["driver.fleet"] if with_driver else None
        return do(
            service.accept, "dispatcher.city", request_id=request.id, vehicle_id=known[plate], driver_id=driver_id
        )

    return lend


@pytest.fixture
def codes(database) -> Callable[[str], list[str]]:
    """Return what somebody was told, oldest first."""

    def told(username: str) -> list[str]:
        user_id = world.user_id(database, username)
        with database.transaction(SYSTEM) as session:
            return list(session.scalars(select(Notice.code).where(Notice.user_id == user_id).order_by(Notice.id)))

    return told
