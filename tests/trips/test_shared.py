"""One drive of two orders that share the vehicle: the trip is both orders', and nothing is raised against either."""

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select

from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.findings import jobs as findings
from fleetapp.findings.models import Finding
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.rules import Stop
from fleetapp.planning import journeys
from fleetapp.planning.models import Assignment
from fleetapp.trips import jobs
from fleetapp.trips.models import Trip, TripMatch
from tests import world
from tests.planning.conftest import approve_one
from tests.trips.conftest import EAST, ORDERED, SEAT, YARD
from tests.walks import steps

ON_THE_WAY = Stop("武林广场", 30.2755, 120.1630)


@pytest.fixture
def drive(furnished, roads, save, now):
    """Yesterday: two units' orders in one vehicle; the second stop is only passed, and the car is back in the second's time."""
    start = now - timedelta(days=1)
    asked = start - timedelta(hours=12)
    number, first = steps.dispatched(
        furnished, start=start, end=start + timedelta(hours=2), stops=[SEAT, EAST], plate=ORDERED
    )
    second = approve_one(furnished, asked, unit="xhhealth", start_h=12.1, end_h=15, stops=[SEAT, ON_THE_WAY])
    dispatcher = world.actor(furnished, "dispatcher.xihu")
    with furnished.transaction(dispatcher) as session:
        key = session.get_one(Assignment, first).pool_key
        journeys.join(session, order_id=second, pool_key=key, actor=dispatcher, now=asked, consent="均已同意")
    east = (EAST.lon, EAST.lat)
    fixes = steps.driven(roads, [YARD, east, YARD], start + timedelta(minutes=40), stay=timedelta(minutes=16),
                         odometer_m=10_000_000, seed=1)  # fmt: skip
    driver = world.actor(furnished, "driver.xhedu")
    for action, at, odometer_m in (
        (DutyAction.ACCEPT, start - timedelta(hours=1), None),
        (DutyAction.CHECK_OUT, start, 10_000_000),
        (DutyAction.CHECK_IN, fixes[-1].at + timedelta(minutes=5), fixes[-1].odometer_m),
    ):
        with furnished.transaction(driver) as session:
            duty.report(session, assignment_id=first, action=action, idempotency_key=uuid.uuid4().hex, actor=driver, now=at,
                        odometer_m=odometer_m)  # fmt: skip
    save(ORDERED, fixes, now)
    jobs.derive(furnished, now)
    return number, second


def test_the_trip_belongs_to_both_and_its_metres_count_once(drive, furnished, browse, now):
    with furnished.transaction(SYSTEM) as session:
        trips = session.scalars(select(Trip).where(Trip.superseded_at.is_(None))).all()
        parts = session.scalars(select(TripMatch).where(TripMatch.superseded_at.is_(None))).all()
        found = {(part.trip_id, part.order_id, part.kind) for part in parts}
        assert {kind for _, _, kind in found} == {"matched"}
        orders = {order_id for _, order_id, _ in found}
        assert len(orders) == 2
        assert found == {(trip.id, order_id, "matched") for trip in trips for order_id in orders}
        trip_id = trips[0].id
    findings.scan(furnished, now)
    with furnished.transaction(SYSTEM) as session:
        assert session.scalars(select(Finding.rule)).all() == []
    page = browse("dispatcher.xihu").get(f"/trips/{trip_id}").text
    assert drive[0] in page
    assert page.count("拼车共用") == 2
