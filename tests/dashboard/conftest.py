"""A day of the small world with something in every tile."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range

from fleetapp.acquisitions.models import QuotaEntry
from fleetapp.costs.models import CostEntry
from fleetapp.drivers.models import Driver
from fleetapp.findings.models import Finding
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.service import issue_slip
from fleetapp.planning.models import Assignment
from fleetapp.reserves.models import ReserveFloor
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.conftest import NOW
from tests.planning.conftest import approve_one
from tests.serving import connected

HOUR = timedelta(hours=1)


def _quota(session, org, number, on):
    session.add(
        QuotaEntry(
            org_id=org,
            category="YJBZ",
            delta=number,
            effective_on=on,
            document_no="杭机管〔2026〕1号",
            created_at=clock.start_of(on),
        )
    )


def _order(session, org, applicant, name, start, end, state, **more):
    order = TravelOrder(
        org_id=org, number=f"YC-{name}", kind="ordinary", purpose="meeting", reason="开会", applicant_id=applicant, passengers="同事",
        passenger_count=2, contact="0571-85000000", body="sedan", start_at=start, end_at=end, state="SUBMITTED", supplementary=False, pooling_ok=True,
        created_at=start - 20 * HOUR, **more,
    )  # fmt: skip
    session.add(order)
    session.flush()
    order.state = state
    session.flush()
    return order


def fill(database: Database, now: datetime) -> None:
    """Quotas, a sealed and a repaired car, terminals heard and silent, orders of today, two shared and two pooled ones, clues, a cost, a reserve."""
    applicant = {unit: world.user_id(database, f"applicant.{unit}") for unit in ("xhedu", "bjwater")}
    on = clock.local_date(now)
    start = max(now - 2 * HOUR, clock.start_of(on))
    step = (now - start) / 8
    with database.transaction(SYSTEM) as session:
        cars = {car.plate: car for car in session.scalars(select(Vehicle))}
        xhedu, bjwater, fleet = (cars[plate].org_id for plate in ("浙A10001", "浙A10005", "浙A10004"))
        _quota(session, xhedu, 3, on.replace(month=1, day=1))
        _quota(session, xhedu, -1, on)
        _quota(session, fleet, 1, on)
        cars["浙A10003"].state = "SEALED"
        cars["浙A10005"].state = "MAINTENANCE"
        for phone, kmh, ago in (("13900000001", 40, 1), ("13900000002", 0, 5), ("13900000004", 0, 300)):
            at = now - timedelta(minutes=ago)
            known = session.scalar(
                text("UPDATE gps_terminal SET last_seen_at = :at WHERE phone = :phone RETURNING id"),
                {"at": at, "phone": phone},
            )
            session.execute(text("INSERT INTO gps_last (terminal_id, at, lat_e6, lon_e6, speed_dkmh, fixed, received_at)"
                                 " VALUES (:id, :at, 30260000, 120120000, :kmh, true, :at)"), {"id": known, "at": at, "kmh": kmh * 10})  # fmt: skip
        orgs = {"xhedu": xhedu, "bjwater": bjwater}

        def drive(name: str, plate: str, unit: str, turn: int, **more: int | None) -> Assignment:
            begin, end = start + turn * step, start + (turn + 1) * step
            order = _order(
                session, orgs[unit], applicant[unit], name, begin, end, "RETURNED", route_m=more.get("route_m")
            )
            car = cars[plate]
            driver = session.scalars(select(Driver).where(Driver.org_id == car.org_id).order_by(Driver.id)).first()
            slip = issue_slip(session, org_id=car.org_id, actor=SYSTEM, now=start)
            held = Assignment(org_id=car.org_id, order_org_id=orgs[unit], order_id=order.id, vehicle_id=car.id, driver_id=driver.id, slip_id=slip.id,
                              during=Range(begin, end), state="ACTIVE", assigned_at=start, **({"pool_key": more["pool_key"]} if "pool_key" in more else {}))  # fmt: skip
            session.add(held)
            session.flush()
            return held

        drive("own", "浙A10001", "xhedu", 0)
        drive("lent", "浙AF00006", "xhedu", 0)
        drive("far", "浙A10004", "bjwater", 1)
        first = drive("pooled", "浙AD00002", "xhedu", 1, route_m=20_000)
        drive("joined", "浙AD00002", "xhedu", 1, route_m=8_000, pool_key=first.pool_key)
        for state in ("SUBMITTED", "WITHDRAWN"):
            _order(session, xhedu, applicant["xhedu"], state, start, start + 3 * HOUR, state)
        for number, severity in enumerate(("red", "orange", "orange", "yellow")):
            car = cars["浙A10005"] if number == 2 else cars["浙A10001"]
            clue = Finding(
                org_id=car.org_id, number=f"XS-{number}", dedupe_key=f"d{number}", rule="A-01", rule_version="1", vehicle_id=car.id,
                start_at=start, end_at=start + HOUR, severity=severity, state="DETECTED", confidence=1, facts={}, params={}, evidence_for=[],
                evidence_against=[], detected_at=now, due_at=now,
            )  # fmt: skip
            session.add(clue)
        session.flush()
        clue.state = "WITHDRAWN"
        session.add(CostEntry(org_id=xhedu, vehicle_id=cars["浙A10001"].id, on=on, kind="wash", amount=Decimal("12345.60"), document_no="P1",
                              explanation="洗车", created_at=now, created_by=applicant["xhedu"]))  # fmt: skip
        xihu = world.actor(database, "dispatcher.xihu").org_id
        session.add(ReserveFloor(org_id=xihu, body="sedan", level="usual", minutes=Range(0, 1440), during=Range(on, None), vehicles=3,
                                 reason="防汛值守", made_at=now, made_by=applicant["xhedu"]))  # fmt: skip
    approve_one(database, start - 20 * HOUR, start_h=20, end_h=23)


@pytest.fixture(scope="module")
def filled(new_database: Callable[[], str]) -> Iterator[Database]:
    """The day at the moment most tests happen at, for tests that only read."""
    with connected(new_database()) as database:
        fill(database, NOW)
        yield database


@pytest.fixture(scope="module")
def filled_today(new_database: Callable[[], str]) -> str:
    """Address of the same day at the present moment, for pages."""
    url = new_database()
    with connected(url) as database:
        fill(database, clock.now())
    return url


@pytest.fixture
def database(filled_today: str) -> Iterator[Database]:
    """What the application under test works on."""
    with connected(filled_today) as database:
        yield database
