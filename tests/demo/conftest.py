from datetime import UTC, date, datetime

import pytest

from fleetapp.demo.city import build
from fleetapp.demo.story import month
from fleetapp.places.roads import load_roads

MONDAY_AFTERNOON = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def roads():
    return load_roads()


@pytest.fixture(scope="session")
def city(roads):
    return build(seed=3, as_of=date(2026, 11, 13), roads=roads)


@pytest.fixture(scope="session")
def story(city, roads):
    """Eleven days with one weekend and a half, ending on a Monday afternoon."""
    return month(city, roads, seed=5, now=MONDAY_AFTERNOON, days=11, orders_per_day=30)
