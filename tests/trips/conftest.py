"""Drives of the world's cars on a rolled-back database: through the store, as the gateway saves them."""

from datetime import timedelta

import pytest

from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.rules import Stop
from fleetapp.places.roads import load_roads
from telematics import store
from tests.serving import furnish
from tests.walks import steps

YARD = (120.1260, 30.2640)
EAST = Stop("杭州东站", 30.293549, 120.208203)
SEAT = Stop("西湖区人民政府", 30.261755, 120.125436)
ORDERED, STRAY = "浙A10001", "浙AD00002"
TERMINALS = {ORDERED: "13900000001", STRAY: "13900000002"}


@pytest.fixture(scope="session")
def roads():
    return load_roads()


@pytest.fixture
def furnished(database, now):
    """The world with policy figures, gazetteer and calendar."""
    furnish(database, now)
    return database


@pytest.fixture
def save(database):
    """Store fixes of a car as its terminal's."""

    def saved(plate, fixes, received_at):
        with database.transaction(SYSTEM) as session:
            connection = session.connection().connection.driver_connection
            [terminal] = connection.execute(
                "SELECT id FROM gps_terminal WHERE phone = %s", [TERMINALS[plate]]
            ).fetchone()
            store.save(connection, [(terminal, fix, None) for fix in fixes], received_at)

    return saved


@pytest.fixture
def journey(furnished, roads, save, now):
    """Yesterday: an order to the east station, checked out, driven and checked in. Returns (order number, start, fixes)."""
    start = now - timedelta(days=1)
    number, duty_id = steps.dispatched(
        furnished, start=start, end=start + timedelta(hours=3), stops=[SEAT, EAST], plate=ORDERED
    )
    steps.report(furnished, duty_id, DutyAction.ACCEPT, start - timedelta(hours=1))
    steps.report(furnished, duty_id, DutyAction.CHECK_OUT, start, odometer_m=10_000_000)
    fixes = steps.driven(
        roads, [YARD, (EAST.lon, EAST.lat), YARD], start, stay=timedelta(minutes=16), odometer_m=10_000_000, seed=1
    )
    steps.report(
        furnished, duty_id, DutyAction.CHECK_IN, start + timedelta(hours=2, minutes=50), odometer_m=fixes[-1].odometer_m
    )
    save(ORDERED, fixes, now)
    return number, start, fixes


@pytest.fixture
def stray(furnished, roads, save, now):
    """Yesterday: a drive of another car that nobody ordered. Returns its fixes."""
    fixes = steps.driven(roads, [YARD, (120.165, 30.275), YARD], now - timedelta(hours=22), stay=timedelta(minutes=16),
                         odometer_m=5_000_000, seed=2)  # fmt: skip
    save(STRAY, fixes, now)
    return fixes
