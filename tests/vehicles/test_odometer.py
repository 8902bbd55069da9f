"""The odometer ledger (no reading goes back on one meter): any order of a true series fits, an inversion never does."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles import odometer, queries, rules, service
from fleetapp.vehicles.models import OdometerReading, Vehicle
from fleetapp.vehicles.rules import ReadingSource
from tests import world

PLATE, START_M = "浙A10001", 10_000_000
MANAGER, UNIT = "fleet_manager.xihu", "unit_admin.xhedu"
INSERT = text(
    "INSERT INTO odometer_reading (org_id, vehicle_id, meter, at, reading_m, source, created_at)"
    " SELECT org_id, id, :meter, :at, :m, 'manual', :at FROM vehicle WHERE plate = :plate"
)


@pytest.fixture
def car_id(database, acting):
    with database.transaction(acting(MANAGER)) as session:
        return session.scalars(select(Vehicle.id).where(Vehicle.plate == PLATE)).one()


@pytest.fixture
def read(database, acting, car_id, now):
    """Enter a reading of some days ago."""

    def entered(km, days_ago, username=MANAGER, vehicle_id=car_id):
        who = acting(username)
        with database.transaction(who) as session:
            return odometer.enter(session, vehicle_id=vehicle_id, reading_m=round(km * 1000), at=now - timedelta(days=days_ago),
                                  actor=who, now=now)  # fmt: skip

    return entered


def now_at(database, car_id):
    with database.transaction(world.actor(database, MANAGER)) as session:
        session.expire_all()
        car = session.get(Vehicle, car_id)
        return car.meter, car.odometer_m


@given(st.integers(0, 100), st.none() | st.integers(0, 100), st.none() | st.integers(0, 100))
def test_between_its_neighbours(reading, before, after):
    expected = (before or 0) <= reading <= (100 if after is None else after)
    assert rules.fits_between(reading, before, after) is expected


def test_all_meters_count_for_the_whole_life():
    assert rules.lifetime_m(5_000, []) == 5_000
    assert rules.lifetime_m(1_000, [(90_000, 0), (30_000, 20_000)]) == 1_000 + 90_000 + 10_000


def test_a_back_dated_reading_fits_between_or_is_refused_naming_both(database, car_id, read):
    read(10_500, 10)
    read(10_900, 2)
    assert read(10_700, 5).meter == 1
    with pytest.raises(RuleBroken) as broken:
        read(10_950, 4)
    assert broken.value.code == "vehicles.reading_inverted"
    assert "10,700.0 km (2026-11-13 09:00)" in broken.value.params["before"]
    assert "10,900.0 km (2026-11-16 09:00)" in broken.value.params["after"]
    with pytest.raises(RuleBroken):
        read(10_699, 4)
    assert now_at(database, car_id) == (1, 10_900_000)
    with pytest.raises(RuleBroken) as ahead:
        read(11_000, -1)
    assert ahead.value.code == "vehicles.reading_ahead"


def test_who_may_enter_a_reading(read):
    assert read(10_100, 3, UNIT).reading_m == 10_100_000
    for username in ("dispatcher.xihu", "auditor.xihu", "finance.city"):
        with pytest.raises(NotAllowed):
            read(10_200, 2, username)
    with pytest.raises((NotFound, NotAllowed)):
        read(10_200, 2, "unit_admin.bjwater")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_order_of_a_true_series_is_accepted_and_an_inversion_is_not(database, acting, car_id, now, data):
    steps = data.draw(st.lists(st.integers(0, 900), min_size=2, max_size=7))
    series = [(number + 1, START_M + sum(steps[: number + 1])) for number in range(len(steps))]
    order = data.draw(st.permutations(series))
    who = acting(MANAGER)
    start = now - timedelta(days=30)

    def enter(session, hour, reading_m):
        odometer.enter(
            session, vehicle_id=car_id, reading_m=reading_m, at=start + timedelta(hours=hour), actor=who, now=now
        )

    before = database.engine.begin_nested()  # each example leaves nothing behind
    with database.transaction(who) as session:
        for hour, reading_m in order:
            enter(session, hour, reading_m)
        assert session.get(Vehicle, car_id).odometer_m == series[-1][1]
        hour, reading_m = data.draw(st.sampled_from(series))
        wrong_m, at = data.draw(st.sampled_from([(reading_m - 1, hour + 0.5), (reading_m + 1, hour - 0.5)]))
        with pytest.raises(RuleBroken) as broken:
            enter(session, at, wrong_m)
        assert broken.value.code == "vehicles.reading_inverted"
        with pytest.raises(DBAPIError, match="does not lie between"), session.begin_nested():
            session.execute(INSERT, {"meter": 1, "at": start + timedelta(hours=at), "m": wrong_m, "plate": PLATE})
    before.rollback()


def test_a_change_of_meter_starts_a_new_series(database, acting, car_id, read, now):
    read(10_500, 10)
    who = acting(MANAGER)

    def change(**given):
        wanted = {"at": now - timedelta(days=5), "end_m": 10_600_000, "start_m": 0, "reason": "仪表损坏更换"} | given
        with database.transaction(who) as session:
            return odometer.change_meter(session, vehicle_id=car_id, actor=who, now=now, **wanted)

    for wrong, code in (
        ({"at": now - timedelta(days=11)}, "vehicles.meter_late"),
        ({"end_m": 10_499_000}, "vehicles.reading_inverted"),
        ({"at": now + timedelta(days=1)}, "vehicles.reading_ahead"),
    ):
        with pytest.raises(RuleBroken) as broken:
            change(**wrong)
        assert broken.value.code == code
    assert change().meter == 2
    assert now_at(database, car_id) == (2, 0)
    assert read(300, 2).meter == 2
    assert read(10_550, 7).meter == 1
    with pytest.raises(RuleBroken):
        read(10_700, 7)
    with database.transaction(who) as session:
        changes = queries.meter_changes(session, vehicle_id=car_id)
        assert rules.lifetime_m(300_000, [(one.end_m, one.start_m) for one in changes]) == 10_900_000
        service.advance_odometer(
            session, vehicle_id=car_id, odometer_m=400_000, source=ReadingSource.FUELLING, actor=who, now=now
        )
    assert now_at(database, car_id) == (2, 400_000)


NEW_READING = (
    "INSERT INTO odometer_reading (org_id, vehicle_id, meter, at, reading_m, source, created_at)"
    " SELECT org_id, id, {meter}, now(), 0, 'manual', now() FROM vehicle WHERE plate = :plate"
)
NEW_METER = (
    "INSERT INTO meter_change (org_id, vehicle_id, meter, at, end_m, start_m, reason, created_at)"
    " SELECT org_id, id, {meter}, now(), {end_m}, 0, 'reason', now() FROM vehicle WHERE plate = :plate"
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vehicle SET odometer_m = odometer_m - 1 WHERE plate = :plate",
        "UPDATE vehicle SET odometer_m = 0, meter = meter + 1 WHERE plate = :plate",
        "UPDATE odometer_reading SET reading_m = 1",
        "DELETE FROM odometer_reading",
        "UPDATE meter_change SET end_m = 1",
        NEW_READING.format(meter=1),
        NEW_READING.format(meter=2),
        NEW_METER.format(meter=2, end_m=10_000_001),
        NEW_METER.format(meter=3, end_m=10_000_000),
    ],
)
def test_the_database_refuses_what_goes_round_the_service(database, acting, statement):
    with pytest.raises((Conflict, DBAPIError, ProgrammingError)), database.transaction(acting(MANAGER)) as session:
        session.execute(text(statement), {"plate": PLATE} if ":plate" in statement else {})


def test_a_vehicle_brings_its_first_reading(database, acting, car_id):
    with database.transaction(acting(MANAGER)) as session:
        [first] = session.scalars(select(OdometerReading).where(OdometerReading.vehicle_id == car_id)).all()
    assert (first.meter, first.reading_m, first.source) == (1, START_M, "import")
