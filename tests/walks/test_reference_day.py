"""One real terminal day through the whole chain, if the optional reference data is there."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.rules import Stop
from fleetapp.reports import queries as reports
from fleetapp.reports.rules import Period
from fleetapp.trips import jobs
from fleetapp.trips.models import Trip
from telematics.geo import haversine_m
from telematics.model import Fix
from tests import serving, world
from tests.walks import steps

DATA = Path(__file__).parents[2] / "../shared/data/jiande_2023-12-11.json"
PLATE, TERMINAL = "浙A10001", "13900000001"


@pytest.mark.reference
@pytest.mark.skipif(not DATA.exists(), reason="optional reference data (one terminal day in Jiande) is not there")
def test_a_real_day_is_matched_and_its_distance_is_the_platforms(url, city, logs):
    recorded = json.loads(DATA.read_text(encoding="utf-8"))
    beijing = ZoneInfo("Asia/Shanghai")
    fixes = [
        Fix(
            at=datetime.fromisoformat(row["dataTime"]).replace(tzinfo=beijing), lat=row["latitude"], lon=row["longitude"],
            speed_kmh=float(row["speed"]), direction_deg=row["direction"],
        )
        for row in recorded["traceDataList"]
    ]  # fmt: skip
    first, last = fixes[0].at, fixes[-1].at
    serving.furnish(city, first)
    there = max(fixes, key=lambda fix: float(haversine_m(fix.lat, fix.lon, fixes[0].lat, fixes[0].lon)))
    stops = [Stop("出发地", fixes[0].lat, fixes[0].lon), Stop("目的地", there.lat, there.lon)]
    number, duty_id = steps.dispatched(city, start=first, end=last + timedelta(minutes=5), stops=stops, plate=PLATE)
    steps.report(city, duty_id, DutyAction.ACCEPT, first - timedelta(hours=1))
    steps.report(city, duty_id, DutyAction.CHECK_OUT, first - timedelta(minutes=1), odometer_m=10_000_000)
    steps.report(city, duty_id, DutyAction.CHECK_IN, last + timedelta(minutes=1), odometer_m=10_030_440)
    with serving.gateway(url, logs) as gateway:
        file = steps.as_json_lines(fixes, logs / "day.jsonl")
        assert steps.replayed(url, gateway, file, terminal=TERMINAL)["acknowledged"] == len(fixes)
    jobs.derive(city, last + timedelta(hours=1))

    with city.transaction(SYSTEM) as session:
        trips = session.scalars(select(Trip).where(Trip.superseded_at.is_(None))).all()
        parts = [(part.kind, part.order.number if part.order else None) for trip in trips for part in trip.matches]
    assert parts
    assert set(parts) == {("matched", number)}
    assert sum(trip.best_m for trip in trips) == pytest.approx(1000 * recorded["mileage"], rel=0.03)

    auditor = world.actor(city, "auditor.city")
    with city.transaction(auditor) as session:
        rows = reports.parts(session, actor=auditor, org_path="/", period=Period(first.date(), last.date()))
        lines = list(reports.lines(session, part_ids=[row.id for row in rows], clues=[]))
    assert {line.row.number for line in lines} == {number}
