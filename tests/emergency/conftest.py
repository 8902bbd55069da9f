"""The furnished world with a plan of the city, and the steps of an activation in short."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from fleetapp.accounts.models import Organisation
from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.emergency import figures, plans, queries, service
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.planning import queries as planning_queries
from fleetapp.planning import service as planning
from fleetapp.reserves.rules import Level
from tests import world
from tests.planning.conftest import approve_one, ids

OFFICE, DISPATCHER, LEADER, OFFICER = "vehicle_office.city", "dispatcher.city", "leader.city", "unit_admin.cityedu"
FIRST, SECOND = ("浙A10001", "driver.xhedu"), ("浙AD00002", "driver2.xhedu")
FLEET = "浙AF00006"
EAST = {"place": "杭州东站", "lat": 30.2905, "lon": 120.2125}


@dataclass
class Emergencies:
    """Steps in a database, each by whoever takes it."""

    database: Database
    now: datetime
    plan_id: int = 0

    def __post_init__(self) -> None:
        with self.database.transaction(SYSTEM) as session:
            self.orgs = {code: row for code, row in session.execute(select(Organisation.code, Organisation.id))}  # noqa: C416 -- rows
        self.known = ids(self.database)

    @contextmanager
    def acting(self, username: str) -> Iterator[tuple[Any, Any]]:
        who = world.actor(self.database, username)
        with self.database.transaction(who) as session:
            yield session, who

    def take(self, function: Any, by: str = DISPATCHER, at: datetime | None = None, **given: Any) -> Any:
        with self.acting(by) as (session, who):
            return function(session, actor=who, now=at or self.now, **given)

    def make_plan(self) -> None:
        self.plan_id = self.take(plans.make, by=OFFICE, org_id=self.orgs["330100"], title="防汛防台车辆应急保障预案").id
        calls = [self.call("330106", "sedan", 2), self.call("330100", "any", 1)]
        for level, goes in ((Level.II, True), (Level.IV, False)):
            self.take(plans.set_level, by=OFFICE, plan_id=self.plan_id, level=level, instructions="立即集结，听从现场指挥。", hours=6, goes=goes,
                      calls=calls)  # fmt: skip
        self.take(plans.add_officer, by=OFFICE, plan_id=self.plan_id, user_id=self.user(OFFICER), task="现场调度")

    def call(self, code: str, body: str, vehicles: int) -> dict[str, Any]:
        return {"pool_id": self.orgs[code], "body": body, "vehicles": vehicles}

    def user(self, username: str) -> int:
        return world.user_id(self.database, username)

    def wish(self, **given: Any) -> dict[str, Any]:
        return {
            "plan_id": self.plan_id, "level": Level.II, "drill": False, "reason": "强降雨防汛", "hours": 6, "goes": True,
            "wanted": [self.call("330106", "sedan", 2), self.call("330100", "any", 1)], "leader_id": self.user(LEADER),
            "officer_id": self.user(OFFICER), **EAST, **given,
        }  # fmt: skip

    def draft(self, by: str = DISPATCHER, **given: Any) -> Any:
        return self.take(service.draft, by=by, **self.wish(**given))

    def preview(self, activation: Any, by: str = DISPATCHER, at: datetime | None = None) -> Any:
        return self.take(lambda session, actor, now: figures.preview(
            session, activation=queries.get_activation(session, activation_id=activation.id, actor=actor), actor=actor, now=now
        ), by=by, at=at)  # fmt: skip

    def chosen(self, activation: Any, by: str = DISPATCHER) -> dict[str, Any]:
        """Return what the preview proposes, as it is confirmed."""
        lines, effects = self.preview(activation, by)
        cars = [one.vehicle.id for line in lines for one in line.candidates if one.chosen]
        return {"activation_id": activation.id, "vehicle_ids": cars, "bumped": [effect.order.id for effect in effects]}

    def activate(self, **given: Any) -> Any:
        made = self.draft(**given)
        return self.take(service.confirm, **self.chosen(made))

    def assign(self, order_id: int, pair: tuple[str, str] = FIRST, by: str = "dispatcher.xihu") -> int:
        return self.take(
            planning.assign, by=by, order_id=order_id, vehicle_id=self.known[pair[0]], driver_id=self.known[pair[1]]
        ).slip_id

    def approved(self, **given: Any) -> int:
        return approve_one(self.database, self.now, **given)

    def cars(self, activation: Any) -> Any:
        with self.acting(DISPATCHER) as (session, _):
            return queries.cars_of(session, activation_ids=[activation.id])

    def step(self, order_id: int, action: DutyAction, minutes: float, **given: Any) -> None:
        """Let the driver of an order take a step so many minutes from now."""
        at = self.now + timedelta(minutes=minutes)
        with self.database.transaction(SYSTEM) as session:
            held = planning_queries.active_of(session, order_id=order_id)
            assert held is not None
            name, assignment_id = held.driver.user.username, held.id
        self.take(
            duty.report,
            by=name,
            at=at,
            assignment_id=assignment_id,
            action=action,
            idempotency_key=f"{order_id}{action}{minutes}",
            **given,
        )


@pytest.fixture
def emergencies(database, now) -> Emergencies:
    """The world with a plan of the city at levels II (go) and IV (stand by)."""
    made = Emergencies(database, now)
    made.make_plan()
    return made
