"""The live light: what is late, who moved, who stands elsewhere; nothing about confidential vehicles."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.seals import light, queries, service
from fleetapp.seals.rules import Light
from fleetapp.tracking import bridge
from fleetapp.tracking.bridge import Fix
from fleetapp.trips.models import Trip
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.rules import Body, Category, Energy
from fleetapp.vehicles.service import register
from tests import world
from tests.seals.conftest import AFTER, BEFORE, DURING, ODOMETER_M, OFFICE, PLATE, SECOND, UNIT

HERE, AWAY = (30.2640, 120.1260), (30.2700, 120.1260)  # the car park of the unit, and some 600 m north of its edge
MORE = ("浙A20001", "浙A20002")
LINE = "SRID=4326;LINESTRING(120.126 30.264, 120.126 30.27)"


def seen(seals, username=UNIT, now=DURING):
    who = world.actor(seals.database, username)
    with seals.database.transaction(who) as session:
        campaign = queries.get_campaign(session, campaign_id=seals.campaign_id, actor=who)
        return light.view(session, campaign=campaign, actor=who, now=now)


def drive(seals, plate, start_at, *, distance_m=3000.0):
    car = seals.vehicle(plate)
    with seals.database.transaction(SYSTEM) as session:
        session.add(Trip(
            org_id=car.org_id, vehicle_id=car.id, terminal_id=1, start_at=start_at, end_at=start_at + timedelta(minutes=20), path=LINE,
            gps_m=distance_m, best_m=distance_m, best_source="gps", error_m=10, coverage=1, points=60, max_speed_kmh=50, stops=[], gaps=[],
            content_digest="x", derived_at=start_at,
        ))  # fmt: skip


def stand(seals, plate, where, at, *, fixed=True):
    car = seals.vehicle(plate)
    with seals.database.transaction(SYSTEM) as session:
        session.execute(text("SELECT gps_ensure_partition(:day)"), {"day": at.date()})
        terminal_id = vehicles.open_binding(session, vehicle_id=car.id).terminal_id
        fix = Fix(at=at, lat=where[0], lon=where[1], speed_kmh=0, fixed=fixed)
        bridge.save_fixes(session, fixes=[(terminal_id, fix)], now=at, peer="test")


def test_to_seal_is_amber_before_the_holiday_and_red_after_its_grace(published):
    start = BEFORE.replace(hour=16)  # midnight at the office
    for now, expected in (
        (BEFORE, Light.AMBER),
        (start + timedelta(minutes=29), Light.AMBER),
        (start + timedelta(minutes=30), Light.RED),
    ):
        found = seen(published, now=now)
        assert (found.light, found.total.to_seal, found.total.total) == (expected, 2, 2)
    assert seen(published, OFFICE).total.total == 6
    assert len(seen(published, OFFICE).units) == 4


def test_sealed_in_its_place_is_green_and_the_worst_unit_stands_first(published):
    published.prove()
    published.prove(SECOND)
    stand(published, PLATE, HERE, DURING)
    stand(published, SECOND, AWAY, BEFORE - timedelta(minutes=1))  # before it was sealed
    assert seen(published).light is Light.GREEN
    units = [(unit.org.code, unit.light) for unit in seen(published, OFFICE).units]
    assert units[-1] == ("330106-EDU", Light.GREEN)
    assert {one for _, one in units[:-1]} == {Light.RED}


def test_a_trip_while_sealed_is_red_and_one_before_or_after_is_not(published):
    published.prove()
    record = published.prove(SECOND)
    drive(published, PLATE, BEFORE - timedelta(hours=1))
    drive(published, PLATE, DURING - timedelta(hours=9), distance_m=99)
    published.take(UNIT, service.unseal, AFTER, record_id=record.id, odometer_m=ODOMETER_M)
    drive(published, SECOND, AFTER + timedelta(minutes=1))
    assert seen(published, now=AFTER + timedelta(hours=1)).moved == []
    drive(published, PLATE, DURING)
    found = seen(published, now=DURING + timedelta(hours=1))
    assert [(row.record.vehicle.plate, row.distance_m) for row in found.moved] == [(PLATE, 3000.0)]
    assert (found.light, found.total.moved) == (Light.RED, 1)
    assert seen(published, "leader.city", DURING + timedelta(hours=1)).total.moved == 1


def test_a_sealed_vehicle_outside_its_place_is_found_with_its_distance(published):
    published.prove()
    stand(published, PLATE, AWAY, DURING)
    found = seen(published, now=DURING + timedelta(minutes=1))
    assert [row.record.vehicle.plate for row in found.outside] == [PLATE]
    assert 550 < found.outside[0].away_m < 650
    stand(published, PLATE, HERE, DURING + timedelta(minutes=30))
    assert seen(published, now=DURING + timedelta(hours=1)).outside == []
    stand(published, PLATE, AWAY, DURING + timedelta(hours=1), fixed=False)
    assert seen(published, now=DURING + timedelta(hours=2)).outside == []


@pytest.mark.parametrize("secrecy", ["restricted", "secret"])
def test_nothing_is_said_about_where_a_confidential_vehicle_is(published, secrecy):
    with published.database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET secrecy = :it WHERE plate = :plate"), {"it": secrecy, "plate": PLATE})
    published.prove()
    stand(published, PLATE, AWAY, DURING)
    drive(published, PLATE, DURING)
    found = seen(published, now=DURING + timedelta(hours=1))
    assert (found.moved, found.outside, found.total.sealed) == ([], [], 1)


def test_an_odometer_that_went_on_is_red_and_so_is_what_was_missed(published):
    record, other = published.prove(), published.prove(SECOND)
    published.take(OFFICE, service.start, DURING, campaign_id=published.campaign_id)
    published.take(OFFICE, service.close, AFTER, campaign_id=published.campaign_id)
    assert seen(published, now=AFTER).light is Light.AMBER  # sealed vehicles are to be let out
    published.take(UNIT, service.unseal, AFTER, record_id=record.id, odometer_m=ODOMETER_M + 1000)
    published.take(UNIT, service.unseal, AFTER, record_id=other.id, odometer_m=ODOMETER_M + 1001)
    found = seen(published, now=AFTER)
    assert [one.vehicle.plate for one in found.odd] == [SECOND]
    assert (found.light, found.total.unsealed) == (Light.RED, 2)
    assert seen(published, OFFICE, AFTER).total.missed == 4


def test_waiting_and_many_duties_are_amber_and_a_duty_that_is_over_counts_as_to_seal(published):
    asked = published.ask()
    assert seen(published, now=BEFORE).total.asked == 1
    published.decide(asked)
    published.prove(SECOND)
    assert seen(published).light is Light.GREEN
    assert not seen(published).units[0].too_many_exempt
    for number, plate in enumerate(MORE):
        published.take(
            "fleet_manager.xihu", register, org_id=published.vehicle().org_id, plate=plate, vin=world.with_check_digit(f"LSVAA11Z5M200009{number}"),
            category=Category.YJBZ, body=Body.SEDAN, energy=Energy.PETROL, seats=5, model="示例车型", registered_on=date(2022, 3, 1),
        )  # fmt: skip
    again = published.draft("330106-EDU", start_on=AFTER.date(), end_on=AFTER.date() + timedelta(days=3))
    published.campaign_id = again.id
    published.take(OFFICE, service.publish, campaign_id=again.id, notice_no="杭2号")
    for plate in (PLATE, MORE[0]):
        day = {"start_on": again.start_on, "end_on": again.start_on + timedelta(days=1)}
        published.decide(published.ask(plate, **day))
    published.prove(MORE[1], parking_id=published.vehicle().parking_id)
    found = seen(published, now=AFTER)
    assert (found.total.exempt, found.units[0].too_many_exempt, found.light) == (2, True, Light.AMBER)
    later = seen(published, now=AFTER + timedelta(days=1))
    assert (later.total.exempt, later.total.to_seal, later.light) == (0, 2, Light.RED)
