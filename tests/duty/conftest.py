"""A dispatched order with a driver, a day of real steps ahead of it."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range

from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.models import OrderEvent, OrderStop, TravelOrder
from fleetapp.orders.service import issue_slip
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import Vehicle
from tests import world

PLACES = (("西湖区教育局", 120.1260, 30.2640), ("杭州东站", 120.2125, 30.2905), ("市民中心", 120.2059, 30.2486))


@pytest.fixture
def dispatched(database, now):
    """Return the id of an assignment of driver.xhedu with vehicle 浙A10001 and two stops."""
    applicant = world.user_id(database, "applicant.xhedu")
    with database.transaction(SYSTEM) as session:
        vehicle = session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one()
        driver = session.scalars(select(Driver).where(Driver.user_id == world.user_id(database, "driver.xhedu"))).one()
        start, end = now + timedelta(hours=1), now + timedelta(hours=4)
        order = TravelOrder(
            org_id=vehicle.org_id, serving_org_id=vehicle.org_id, number="YC-T-1", kind="ordinary", purpose="meeting", reason="会议",
            applicant_id=applicant, passengers="科室 2 人", passenger_count=2, contact="0571-85000000", body="sedan",
            start_at=start, end_at=end, state="SUBMITTED", supplementary=False, created_at=now,
        )  # fmt: skip
        session.add(order)
        session.flush()
        for position, (name, lon, lat) in enumerate(PLACES):
            session.add(
                OrderStop(
                    order_id=order.id,
                    position=position,
                    name=name,
                    point=f"SRID=4326;POINT({lon} {lat})",
                    tolerance_m=300,
                )
            )
        session.flush()
        order.state = "DISPATCHED"
        session.add(OrderEvent(order_id=order.id, action="dispatch", to_state="DISPATCHED", at=now))
        slip = issue_slip(session, org_id=vehicle.org_id, actor=SYSTEM, now=now)
        duty = Assignment(org_id=vehicle.org_id, order_org_id=order.org_id, order_id=order.id, vehicle_id=vehicle.id, driver_id=driver.id,
                          slip_id=slip.id, during=Range(start, end), state="ACTIVE", assigned_at=now)  # fmt: skip
        session.add(duty)
        session.flush()
        return duty.id
