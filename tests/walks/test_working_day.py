"""A whole working day: every order ends, or what keeps it open is named.

Lived on demand, as it takes minutes: ``FLEET_WORKING_DAY=12,16`` is the small one in vehicles and orders, ``300,600`` the large one.
"""

import json
import os
from datetime import timedelta

import pytest

from tests import serving
from tests.walks.day import sums
from tests.walks.day.clock import Clock

CARS, ORDERS = (int(part) for part in os.environ.get("FLEET_WORKING_DAY", "0,0").split(","))
LARGE = CARS > 50


@pytest.mark.skipif(CARS == 0, reason="a day takes minutes: FLEET_WORKING_DAY=12,16 lives a small one")
@pytest.mark.timeout(4 * 3600 if LARGE else 900)
def test_a_day_ends_with_every_order_closed_rented_or_explained(new_database, tmp_path):
    url, clock = new_database(), Clock(tmp_path / "clock")
    clock.begin(sums.EVE)
    with (
        serving.connected(url) as database,
        serving.web(url, tmp_path, "tests.walks.day.web:app", DAY_CLOCK=str(clock.file)) as base,
    ):
        day = sums.prepare(base, url, database, clock, cars=CARS, orders=ORDERS)
        day.step = timedelta(minutes=5 if LARGE else 15)
        found = sums.live(day, seconds=12 if LARGE else 1)
    told = json.dumps(found, ensure_ascii=False, indent=1, default=str)
    (tmp_path / "working_day.json").write_text(told, encoding="utf-8")
    assert found["errors"] == [], told
    assert found["left"] == [], told
    assert found["without_reason"] == []
    assert found["ended"].get("CLOSED", 0) >= ORDERS // 2, told
    assert found["driven_matched"] >= 0.9 * found["driven"], told
    assert found["notes"].get("cancelled by the applicant") or found["notes"].get("no-shows"), told
