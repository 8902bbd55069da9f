"""The world with complete vehicles, a platform beside it, and the job as the scheduler runs it."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text

from fleetapp.energy.models import EnergyEntry
from fleetapp.exchange import jobs, mapping
from fleetapp.exchange.adapter import HttpsJson
from fleetapp.exchange.interfaces import BY_CODE
from fleetapp.exchange.models import ExchangeInterface, ExchangeLink, ExchangeOutbox, ExchangeReceipt
from fleetapp.kit.actor import SYSTEM
from fleetapp.vehicles.models import Vehicle
from tests.exchange.platform import Platform


class Desk:
    """Runs the job against a platform at any moment; no jitter but what a test gives."""

    def __init__(self, database, now, platform):
        self.database, self.now, self.platform = database, now, platform
        self.adapter = HttpsJson(platform.url, "hangzhou", "secret", platform.mapped, timeout_s=5.0)

    def run(self, after=timedelta(0), adapter=None, jitter=1.0):
        return jobs.run(self.database, self.now + after, adapter=adapter or self.adapter, jitter=lambda: jitter)

    def all(self, model, *conditions):
        with self.database.transaction(SYSTEM) as session:
            return session.scalars(select(model).where(*conditions).order_by(*model.__mapper__.primary_key)).all()

    def rows(self, interface=None, *states):
        conditions = [ExchangeOutbox.interface == interface] if interface else []
        return self.all(ExchangeOutbox, *conditions, *([ExchangeOutbox.state.in_(states)] if states else []))

    def receipts(self, *conditions):
        return self.all(ExchangeReceipt, *conditions)

    def link(self):
        return self.all(ExchangeLink)[0]

    def interface(self, code):
        return next(row for row in self.all(ExchangeInterface) if row.code == code)

    def states(self, interface=None):
        return {row.state for row in self.rows(interface)}

    def sql(self, statement, **values):
        with self.database.transaction(SYSTEM) as session:
            session.execute(text(statement), values)

    def fill(self, at, plate="浙A10001", km=10_000, **more):
        """Enter a filling of a vehicle; returns its id."""
        with self.database.transaction(SYSTEM) as session:
            car = session.scalars(select(Vehicle).where(Vehicle.plate == plate)).one()
            entry = EnergyEntry(org_id=car.org_id, vehicle_id=car.id, kind="fuel", at=at, quantity=Decimal(40), unit_price=Decimal("7.5"),
                                amount=Decimal(300), odometer_m=None if km is None else km * 1000, source="manual", created_at=at, **more)  # fmt: skip
            session.add(entry)
            session.flush()
            return entry.id


@pytest.fixture
def platform():
    running = Platform(mapping.load()).start()
    yield running
    running.stop()


SOME = ("units", "vehicles", "drivers", "energy")


@pytest.fixture
def desk(database, now, platform, monkeypatch) -> Desk:
    """Four interfaces are enough to misbehave with; ``test_sources`` has them all."""
    monkeypatch.setattr(jobs, "SENT", tuple(BY_CODE[code] for code in SOME))
    made = Desk(database, now, platform)
    made.sql("UPDATE vehicle SET price_ex_tax = 120000, engine_no = 'E' || id")
    return made
