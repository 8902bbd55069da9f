"""Confirmed journeys of any unit with any vehicle, and the statements they lead to."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range

from fleetapp.confirmations.models import MileageConfirmation
from fleetapp.costs.models import CostEntry
from fleetapp.drivers.models import Driver
from fleetapp.duty.models import DutyEvent
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import service as orders
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.planning.models import Assignment
from fleetapp.settlement import jobs
from fleetapp.settlement.models import Charge, Statement
from fleetapp.vehicles.models import Vehicle
from tests import world

NUMBERS = count(1)
OCTOBER = datetime(2026, 10, 20, 1, 0, tzinfo=UTC)
"""Tuesday 2026-10-20, 09:00 at the office, an ordinary workday of the month before."""
NOVEMBER = datetime(2026, 11, 1, 1, 0, tzinfo=UTC)
SEDAN, OWN, MINIBUS = "浙AF00006", "浙A10001", "浙A10004"
"""The fleet centre's sedan, West Lake education's own one, the fleet centre's minibus."""


def confirm(session, order: TravelOrder, *, km: float, bill: str | None = None) -> None:
    """Confirm the distance of a journey as the system does when nobody else has."""
    session.add(MileageConfirmation(
        org_id=order.org_id, order_id=order.id, confirmed_m=int(km * 1000), source="BILL" if bill else "ODOMETER", over_limit=False, auto=True, at=order.end_at,
        bill_cny=Decimal(bill) if bill else None,
    ))  # fmt: skip
    session.flush()
    order.state = "MILEAGE_CONFIRMED"


def drive(
    database, *, unit: str = "cityedu", plate: str | None = SEDAN, at: datetime = OCTOBER, hours: float = 3, km: float | None = 60,
    toll: str | None = None, state: str = "MILEAGE_CONFIRMED", approved_at: datetime | None = None, day: int = 0, beside: int | None = None,
) -> int:  # fmt: skip
    """Put a journey that is over into the database; returns its order's id. Without a plate it was outsourced, ``beside`` another order in its vehicle."""
    number, at = next(NUMBERS), at + timedelta(days=day)
    applicant = world.actor(database, f"applicant.{unit}")
    window = {"start_at": at, "end_at": at + timedelta(hours=hours)}
    with database.transaction(SYSTEM) as session:
        order = TravelOrder(
            org_id=applicant.org_id, number=f"YC-T-{number}", kind="ordinary", purpose="meeting", reason="会议", applicant_id=applicant.user_id,
            passengers="2 人", passenger_count=2, contact="0571-85000000", body="sedan", state="SUBMITTED", supplementary=False, pooling_ok=True,
            created_at=at - timedelta(days=1), **window,
        )  # fmt: skip
        session.add(order)
        session.flush()
        for position, (name, lon) in enumerate((("甲地", 120.16), ("乙地", 120.26))):
            session.add(
                OrderStop(
                    order_id=order.id,
                    position=position,
                    name=name,
                    point=f"SRID=4326;POINT({lon} 30.27)",
                    tolerance_m=300,
                )
            )
        session.flush()
        order.approved_at = approved_at or at - timedelta(hours=20)
        order.state = "OUTSOURCED" if plate is None else "RETURNED"
        session.flush()
        if state == "MILEAGE_CONFIRMED":
            confirm(session, order, km=km or 31.4, bill="420.00" if plate is None else None)
        if plate is None:
            return order.id
        vehicle = session.scalars(select(Vehicle).where(Vehicle.plate == plate)).one()
        driver = (
            session.scalars(select(Driver).where(Driver.org_id == vehicle.org_id)).first()
            or session.scalars(select(Driver)).first()
        )
        slip = orders.issue_slip(session, org_id=vehicle.org_id, actor=SYSTEM, now=at)
        duty = Assignment(org_id=vehicle.org_id, order_org_id=order.org_id, order_id=order.id, vehicle_id=vehicle.id, driver_id=driver.id,
                          slip_id=slip.id, during=Range(order.start_at, order.end_at), state="ACTIVE", assigned_at=at)  # fmt: skip
        order.serving_org_id = vehicle.org_id
        if beside is not None:
            duty.pool_key = session.scalar(select(Assignment.pool_key).where(Assignment.order_id == beside))
        session.add(duty)
        session.flush()
        if km is not None:
            for action, moment, odometer_m in (
                ("CHECK_OUT", order.start_at, 0),
                ("CHECK_IN", order.end_at, int(km * 1000)),
            ):
                session.add(DutyEvent(org_id=vehicle.org_id, assignment_id=duty.id, driver_id=driver.id, action=action, at=moment, received_at=moment,
                                      idempotency_key=f"k{number}{action}", odometer_m=20_000_000 + odometer_m))  # fmt: skip
        if toll:
            session.add(
                CostEntry(
                    org_id=vehicle.org_id,
                    vehicle_id=vehicle.id,
                    on=at.date(),
                    kind="toll",
                    amount=Decimal(toll),
                    order_id=order.id,
                    created_at=at,
                )
            )
        return order.id


@pytest.fixture
def drove(database) -> Callable[..., int]:
    """Put confirmed journeys into the database."""
    return lambda **given: drive(database, **given)


@pytest.fixture
def charged(database, drove) -> Callable[..., Charge]:
    """Charge a journey as the job does; returns its charge."""

    def make(**given) -> Charge:
        order_id = drove(**given)
        jobs.charge(database, NOVEMBER)
        with database.transaction(SYSTEM) as session:
            return session.scalars(select(Charge).where(Charge.order_id == order_id)).one()

    return make


@pytest.fixture
def issued(database, drove) -> Callable[..., int]:
    """Issue October's statement of the city's education bureau and the fleet centre over some journeys; returns its id."""

    def make(number: int = 2, **given) -> int:
        for day in range(number):
            drove(day=day, **given)
        jobs.charge(database, NOVEMBER)
        jobs.issue(database, NOVEMBER)
        with database.transaction(SYSTEM) as session:
            return session.scalars(
                select(Statement.id).where(Statement.number.is_not(None)).order_by(Statement.id.desc())
            ).first()

    return make
