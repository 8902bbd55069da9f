"""Applications to try with, policy figures loaded.

An actor is looked up before the transaction opens: on the one connection of a test the look-up would go on as SYSTEM.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.orders import queries, rules, service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderAction, OrderKind, Purpose
from fleetapp.policies import service as policies

ORIGIN = rules.Stop("西湖区教育局", 30.2640, 120.1260)
LAKE = rules.Stop("西湖国宾馆", 30.2300, 120.1290)


@pytest.fixture(autouse=True)
def policy_figures(request, now):
    """Load the policy file where a test uses a database."""
    for name in ("database", "live_database"):
        if name in request.fixturenames:
            with request.getfixturevalue(name).transaction(SYSTEM) as session:
                policies.load_file(session, actor=SYSTEM, now=now)


@pytest.fixture
def application(now: datetime) -> Callable[..., dict[str, Any]]:
    """Return the arguments of an ordinary application for this afternoon, with changes."""

    def make(**changes: Any) -> dict[str, Any]:
        return {
            "kind": OrderKind.ORDINARY, "purpose": Purpose.MEETING, "reason": "参加全市教育工作会议", "passengers": "教研员甲、教研员乙",
            "passenger_count": 2, "contact": "0571-87000000", "body": "sedan", "start_at": now + timedelta(hours=4),
            "end_at": now + timedelta(hours=7), "stops": [ORIGIN, LAKE], **changes,
        }  # fmt: skip

    return make


@pytest.fixture
def submit(database, acting, application, now) -> Callable[..., int]:
    """Submit an application as a username; returns the order's id."""

    def make(username: str = "applicant.xhedu", at: datetime = now, **changes: Any) -> int:
        actor = acting(username)
        with database.transaction(actor) as session:
            return service.submit(session, **application(**changes), actor=actor, now=at).id

    return make


@pytest.fixture
def step(database, acting, now) -> Callable[..., Any]:
    """Run a function of the service as a username; returns the order's new state."""

    def run(function: Any, username: str, order_id: int, at: datetime = now, **more: Any) -> str:
        actor: Actor = acting(username)
        with database.transaction(actor) as session:
            return str(function(session, order_id=order_id, actor=actor, now=at, **more).state)

    return run


@pytest.fixture
def read(database, acting) -> Callable[[str, int], TravelOrder]:
    """Return an order as a username sees it, with stops and events."""

    def get(username: str, order_id: int) -> TravelOrder:
        actor = acting(username)
        with database.transaction(actor) as session:
            return queries.get_order(session, order_id=order_id, actor=actor)

    return get


@pytest.fixture
def dispatched(database, acting, now) -> Callable[[int], None]:
    """Move an approved order on as planning does when it sends a vehicle."""

    def send(order_id: int) -> None:
        actor = acting("dispatcher.xihu")
        with database.transaction(actor) as session:
            order = queries.hold_order(session, order_id=order_id)
            service.advance(session, order=order, action=OrderAction.DISPATCH, actor=actor, now=now, note="浙A10001")

    return send
