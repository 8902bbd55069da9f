"""A furnished world with a notice for the National Day of the year, and steps of people in short."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import select

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.seals import service
from fleetapp.seals.models import SealRecord
from fleetapp.seals.rules import KeyHolder
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.serving import furnish

OFFICE, UNIT, APPROVER, LEADER, MANAGER = (
    "vehicle_office.city", "unit_admin.xhedu", "approver.xhedu", "leader.city", "fleet_manager.xihu",
)  # fmt: skip
PLATE, SECOND = "浙A10001", "浙AD00002"
PNG = b"\x89PNG\r\n\x1a\n a car in its place"
BEFORE = datetime(2026, 9, 30, 9, tzinfo=UTC)
DURING = datetime(2026, 10, 3, 4, tzinfo=UTC)
AFTER = datetime(2026, 10, 8, 1, tzinfo=UTC)
START_ON, END_ON = date(2026, 10, 1), date(2026, 10, 8)
ODOMETER_M = 10_000_000


@dataclass
class Seals:
    """Steps in a database, each by whoever takes it."""

    database: Database
    campaign_id: int = 0

    def take(self, username: str, function: Any, now: datetime = BEFORE, **given: Any) -> Any:
        who = world.actor(self.database, username)
        with self.database.transaction(who) as session:
            return function(session, actor=who, now=now, **given)

    def org_id(self, code: str) -> int:
        with self.database.transaction(SYSTEM) as session:
            return session.scalars(select(Organisation.id).where(Organisation.code == code)).one()

    def draft(self, code: str = "330100", **given: Any) -> Any:
        given = {"holiday": "国庆节", "start_on": START_ON, "end_on": END_ON} | given
        return self.take(OFFICE, service.draft, org_id=self.org_id(code), **given)

    def record(self, plate: str = PLATE) -> SealRecord:
        with self.database.transaction(SYSTEM) as session:
            query = select(SealRecord).join(Vehicle, Vehicle.id == SealRecord.vehicle_id).where(Vehicle.plate == plate)
            return session.scalars(query.order_by(SealRecord.id.desc())).first()

    def vehicle(self, plate: str = PLATE) -> Vehicle:
        with self.database.transaction(SYSTEM) as session:
            return session.scalars(select(Vehicle).where(Vehicle.plate == plate)).one()

    def prove(self, plate: str = PLATE, *, username: str = UNIT, now: datetime = BEFORE, **given: Any) -> SealRecord:
        proof: dict[str, Any] = {"parking_id": self.vehicle(plate).parking_id, "odometer_m": ODOMETER_M, "keys_with": KeyHolder.DUTY_ROOM,
                                 "photo": ("car.png", PNG)}  # fmt: skip
        return self.take(username, service.prove, now, record_id=self.record(plate).id, **(proof | given))

    def ask(self, plate: str = PLATE, *, username: str = UNIT, now: datetime = BEFORE, **given: Any) -> Any:
        wish: dict[str, Any] = {"purpose": "防汛值班备勤", "start_on": START_ON, "end_on": END_ON}
        return self.take(username, service.ask_exception, now, record_id=self.record(plate).id, **(wish | given))

    def decide(self, asked: Any, *, approve: bool = True, username: str = APPROVER, now: datetime = BEFORE) -> Any:
        return self.take(username, service.decide_exception, now, exception_id=asked.id, approve=approve, note="同意。")


@pytest.fixture
def seals(database, now):
    """The furnished world without a notice."""
    furnish(database, now)
    return Seals(database)


@pytest.fixture
def published(seals):
    """A published notice for the whole city."""
    seals.campaign_id = seals.draft().id
    seals.take(OFFICE, service.publish, campaign_id=seals.campaign_id, notice_no="杭机管办〔2026〕18号")
    return seals
