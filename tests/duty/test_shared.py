"""A shared journey on the driver's phone: one acceptance, one check-out, every stop, one check-in, all orders along."""

import uuid

import pytest
import time_machine
from sqlalchemy import func, select

from fleetapp.duty import queries, service
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.orders.models import TravelOrder
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import OdometerReading
from tests.planning.conftest import EAST, NEAR_EAST, ORIGIN, approved, assign, join, known, policy_figures, row

__all__ = ["approved", "assign", "join", "known", "policy_figures", "row"]
OUT_M, BACK_M = 10_000_400, 10_030_000


@pytest.fixture
def shared(approved, assign, join):
    """Return the assignments of two orders in one vehicle: to the east station, and to a place before it."""
    first = assign(approved(stops=[ORIGIN, EAST]))
    return first, join(approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST]), first)


@pytest.fixture
def step(database, acting, now):
    """Take a step as the driver; returns the event's id."""

    def take(duty_id, action, odometer_m=None, *, key=None, by="driver.xhedu"):
        driver = acting(by)
        with database.transaction(driver) as session:
            return service.report(session, assignment_id=duty_id, action=action, idempotency_key=key or uuid.uuid4().hex,
                                  actor=driver, now=now, odometer_m=odometer_m).id  # fmt: skip

    return take


@pytest.fixture
def states(database):
    """Return the states of the orders of assignments."""

    def read(*duty_ids):
        with database.transaction(SYSTEM) as session:
            rows = session.execute(
                select(Assignment.id, TravelOrder.state).join(TravelOrder).where(Assignment.id.in_(duty_ids))
            )
            found = dict(rows.all())
        return [found[duty_id] for duty_id in duty_ids]

    return read


def readings(database):
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(func.count()).select_from(OdometerReading))


def test_one_driver_one_odometer_every_order_moves_with_the_journey(shared, step, states, database, acting, now):
    first, second = shared
    step(second, DutyAction.ACCEPT)
    assert states(*shared) == ["DRIVER_ACCEPTED", "DRIVER_ACCEPTED"]
    before = readings(database)
    key = uuid.uuid4().hex
    made = step(first, DutyAction.CHECK_OUT, OUT_M, key=key)
    assert step(second, DutyAction.CHECK_OUT, OUT_M, key=key) == made, "a retry from the other order made another step"
    assert states(*shared) == ["CHECKED_OUT", "CHECKED_OUT"]
    assert readings(database) == before + 1
    with pytest.raises(Conflict, match="already_received"):
        step(first, DutyAction.CHECK_IN, BACK_M, key=key)
    passed = []
    for _ in range(2):  # both begin at one place, left once
        step(first, DutyAction.ARRIVE)
        passed.append(states(*shared))
    assert passed == [["CHECKED_OUT", "EN_ROUTE"], ["EN_ROUTE", "EN_ROUTE"]]
    step(first, DutyAction.CHECK_IN, BACK_M)
    assert states(*shared) == ["RETURNED", "RETURNED"]
    assert readings(database) == before + 2
    with pytest.raises(NotAllowed, match="wrong_state"):
        step(second, DutyAction.CHECK_IN, BACK_M)
    with database.transaction(SYSTEM) as session:
        found = queries.orders_of_vehicle(session, vehicle_id=session.get_one(Assignment, first).vehicle_id, start=now,
                                          end=now.replace(hour=23))  # fmt: skip
        assert len({one.journey for one in found}) == 1
        assert {(one.checked_out_odometer_m, one.returned_odometer_m) for one in found} == {(OUT_M, BACK_M)}
        assert session.scalar(select(func.count()).select_from(DutyEvent)) == 8, "two of every step but the arrivals"


def test_an_order_joins_on_the_way(approved, assign, join, step, states):
    first = assign(approved(stops=[ORIGIN, EAST]))
    step(first, DutyAction.ACCEPT)
    step(first, DutyAction.CHECK_OUT, OUT_M)
    second = join(approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST]), first)
    assert states(first, second) == ["CHECKED_OUT", "DISPATCHED"]
    with pytest.raises(RuleBroken, match="joined_waits"):
        step(first, DutyAction.CHECK_IN, BACK_M)
    step(first, DutyAction.ACCEPT)
    assert states(first, second) == ["CHECKED_OUT", "CHECKED_OUT"]
    step(second, DutyAction.CHECK_IN, BACK_M)
    assert states(first, second) == ["RETURNED", "RETURNED"]


def test_the_phone_shows_one_duty_with_everybody_on_it(shared, browse, api, now):
    with time_machine.travel(now, tick=False):
        driver = browse("driver.xhedu")
        today = driver.get("/duty").text
        page = driver.get(f"/duty/{shared[1]}").text
        told = api("driver.xhedu")("GET", "/duties").json
    assert (today.count('class="duty-plate"'), "拼车 2 单" in today) == (1, True)
    assert [[stop["name"] for stop in duty["stops"]] for duty in told] == [
        [ORIGIN.name, ORIGIN.name, NEAR_EAST.name, EAST.name]
    ] * 2
    for words in (ORIGIN.name, EAST.name, NEAR_EAST.name, "拼车 2 单", "西湖区卫生健康局", "西湖区教育局"):
        assert words in page
