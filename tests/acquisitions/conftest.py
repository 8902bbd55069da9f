"""Units with a quota, and the way of an application in short."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from fleetapp.accounts.queries import get_org_by_code
from fleetapp.acquisitions import service
from fleetapp.acquisitions.rules import IndicatorAction, IndicatorKind, Step
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy
from tests import world
from tests.serving import furnish

WISH: dict[str, Any] = {
    "kind": IndicatorKind.NEW, "category": Category.YJBZ, "body": Body.SEDAN, "energy": Energy.BEV, "step": Step.NORMAL,
    "max_price": Decimal("180000.00"), "justification": "新增应急保障任务", "fiscal_year": 2026,
}  # fmt: skip
REVIEWER, APPROVER, APPLICANT = "vehicle_office.city", "leader.city", "unit_admin.xhedu"


@dataclass
class Chain:
    """Steps of the chain in a database, each by whoever takes it."""

    database: Database
    now: datetime

    def quota(
        self, delta: int, *, category: Category = Category.YJBZ, on: date = date(2026, 1, 1), unit: str = "330106-EDU"
    ) -> None:
        who = world.actor(self.database, REVIEWER)
        with self.database.transaction(who) as session:
            org = get_org_by_code(session, code=unit)
            service.change_quota(session, org_id=org.id, category=category, delta=delta, effective_on=on, document_no="杭编〔2026〕1号",
                                 actor=who, now=self.now)  # fmt: skip

    def apply(self, *, username: str = APPLICANT, **given: Any) -> int:
        who = world.actor(self.database, username)
        with self.database.transaction(who) as session:
            return service.apply(session, **(WISH | given), actor=who, now=self.now).id

    def step(self, indicator_id: int, action: IndicatorAction, username: str, note: str | None = None) -> str:
        who = world.actor(self.database, username)
        with self.database.transaction(who) as session:
            return service.advance(
                session, indicator_id=indicator_id, action=action, actor=who, now=self.now, note=note
            ).state

    def reviewed(self, **given: Any) -> int:
        made = self.apply(**given)
        self.step(made, IndicatorAction.SUBMIT, given.get("username", APPLICANT))
        self.step(made, IndicatorAction.REVIEW, REVIEWER)
        return made

    def approved(self, **given: Any) -> int:
        made = self.reviewed(**given)
        self.step(made, IndicatorAction.APPROVE, APPROVER)
        return made

    def budget(self, indicator_id: int, amount: str = "180000.00", username: str = "finance.city") -> None:
        who = world.actor(self.database, username)
        with self.database.transaction(who) as session:
            service.add_budget(session, indicator_id=indicator_id, amount=Decimal(amount), fiscal_year=2026, document_no="财预1",
                               actor=who, now=self.now)  # fmt: skip

    def car(self, plate: str, **columns: Any) -> int:
        """Return a vehicle's id, with columns set as the owner of the database would."""
        with self.database.transaction(SYSTEM) as session:
            car = session.scalars(select(Vehicle).where(Vehicle.plate == plate)).one()
            for name, value in columns.items():
                setattr(car, name, value)
            return car.id


@pytest.fixture
def chain(database, now):
    furnish(database, now)
    return Chain(database, now)
