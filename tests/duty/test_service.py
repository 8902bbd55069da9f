"""Steps of a duty: their order, retries, odometer, whose duty it is."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from fleetapp.duty import queries, service
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.errors import Conflict, FleetError, NotAllowed, NotFound, RuleBroken
from fleetapp.vehicles import odometer
from fleetapp.vehicles.models import Vehicle

START_M = 10_000_000


@pytest.fixture
def step(database, acting, now, dispatched):
    """Return a caller of one step as the duty's driver; minutes count from nine o'clock."""

    def take(action, *, minutes=0, username="driver.xhedu", key=None, **details):
        actor = acting(username)
        with database.transaction(actor) as session:
            event = service.report(
                session, assignment_id=dispatched, action=action, idempotency_key=key or f"key-{action}-{minutes}", actor=actor,
                now=now + timedelta(minutes=minutes), **details,
            )  # fmt: skip
            session.flush()
            return event.id

    return take


def state(database, acting, dispatched):
    with database.transaction(acting("driver.xhedu")) as session:
        return queries.get_duty(session, assignment_id=dispatched, actor=acting("driver.xhedu")).order.state


def test_a_whole_duty_moves_the_order_and_the_odometer(step, database, acting, dispatched, now):
    step(DutyAction.ACCEPT)
    step(DutyAction.CHECK_OUT, minutes=60, odometer_m=START_M + 500, lat=30.2640, lon=120.1260)
    step(DutyAction.ARRIVE, minutes=90)
    step(DutyAction.ARRIVE, minutes=120)
    step(DutyAction.CHECK_IN, minutes=200, odometer_m=START_M + 40_000, lat=30.2640, lon=120.1260)
    assert state(database, acting, dispatched) == "RETURNED"
    with database.transaction(acting("driver.xhedu")) as session:
        vehicle = session.scalars(select(Vehicle).where(Vehicle.plate == "浙A10001")).one()
        assert vehicle.odometer_m == START_M + 40_000
        told = queries.orders_of_vehicle(session, vehicle_id=vehicle.id, start=now, end=now + timedelta(hours=8))
    assert (told[0].checked_out_odometer_m, told[0].returned_odometer_m) == (START_M + 500, START_M + 40_000)
    assert told[0].checked_out_at == now + timedelta(minutes=60)
    assert [stop.name for stop in told[0].stops] == ["西湖区教育局", "杭州东站", "市民中心"]


def test_a_retry_of_the_same_step_changes_nothing(step, database):
    first = step(DutyAction.ACCEPT, key="same-key-1")
    assert step(DutyAction.ACCEPT, key="same-key-1", minutes=5) == first
    with pytest.raises(Conflict, match="already_received"):
        step(DutyAction.CHECK_OUT, key="same-key-1", odometer_m=START_M)


def test_another_driver_cannot_see_or_report_it(step):
    with pytest.raises(NotFound):
        step(DutyAction.ACCEPT, username="driver2.xhedu")
    with pytest.raises(NotFound):
        step(DutyAction.ACCEPT, username="dispatcher.xihu")
    assert step(DutyAction.ACCEPT)


@pytest.mark.parametrize(
    ("odometer_m", "code"),
    [(None, "duty.odometer_missing"), (START_M - 1, "duty.odometer_back"), (START_M + 3_000_001, "duty.odometer_far")],
)
def test_an_odometer_that_cannot_be_is_refused(step, odometer_m, code):
    step(DutyAction.ACCEPT)
    with pytest.raises(RuleBroken, match=code):
        step(DutyAction.CHECK_OUT, odometer_m=odometer_m)
    assert step(DutyAction.CHECK_OUT, odometer_m=START_M)


def test_a_reading_that_arrives_late_has_to_fit_before_what_came_after_it(step, database, acting, now):
    who, after = acting("fleet_manager.xihu"), now + timedelta(minutes=180)
    step(DutyAction.ACCEPT)
    with database.transaction(who) as session:
        car_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == "浙A10001")).one()
        odometer.enter(session, vehicle_id=car_id, reading_m=START_M + 40_000, at=after, actor=who, now=after)
    late = now + timedelta(minutes=60)
    with pytest.raises(RuleBroken, match="reading_inverted"):
        step(DutyAction.CHECK_OUT, minutes=200, at=late, odometer_m=START_M + 40_001)
    with pytest.raises(RuleBroken, match="odometer_back"):
        step(DutyAction.CHECK_OUT, minutes=200, at=late, odometer_m=START_M - 1)
    assert step(DutyAction.CHECK_OUT, minutes=200, at=late, odometer_m=START_M + 500)
    with database.transaction(who) as session:
        assert session.get(Vehicle, car_id).odometer_m == START_M + 40_000


def test_a_step_kept_while_offline_keeps_its_own_time(step, database, now):
    step(DutyAction.ACCEPT, minutes=60, at=now + timedelta(minutes=20))
    with pytest.raises(RuleBroken, match="time_ahead"):
        step(DutyAction.CHECK_OUT, minutes=61, odometer_m=START_M, at=now + timedelta(minutes=64))
    with pytest.raises(RuleBroken, match="time_long_ago"):
        step(DutyAction.CHECK_OUT, minutes=61, odometer_m=START_M, at=now - timedelta(hours=48))


def test_taking_the_car_far_from_its_place_is_noted_not_refused(step, database):
    step(DutyAction.ACCEPT)
    step(DutyAction.CHECK_OUT, odometer_m=START_M, lat=30.30, lon=120.20)
    from fleetapp.kit.actor import SYSTEM

    with database.transaction(SYSTEM) as session:
        note = session.scalar(select(DutyEvent.note).where(DutyEvent.action == DutyAction.CHECK_OUT))
    assert "离停放点" in note


STEPS = st.lists(st.tuples(st.sampled_from(DutyAction), st.integers(-5, 50)), min_size=1, max_size=9)
ALLOWED = {
    "DISPATCHED": {DutyAction.ACCEPT: "DRIVER_ACCEPTED"},
    "DRIVER_ACCEPTED": {DutyAction.CHECK_OUT: "CHECKED_OUT"},
    "CHECKED_OUT": {DutyAction.ARRIVE: "EN_ROUTE", DutyAction.CHECK_IN: "RETURNED"},
    "EN_ROUTE": {DutyAction.ARRIVE: "EN_ROUTE", DutyAction.CHECK_IN: "RETURNED"},
    "RETURNED": {},
}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_no_series_of_steps_leaves_the_state_table(step, database, acting, dispatched, steps):
    """Any steps with any readings, each sent twice: the order follows the table, the odometer never falls."""
    driver = acting("driver.xhedu")
    expected, reading = "DISPATCHED", START_M
    with database.engine.begin_nested() as undo:
        for number, (action, km) in enumerate(steps):
            odometer_m = reading + km * 1000
            for _ in range(2):
                try:
                    step(action, key=f"series-{number}-{action}", minutes=number, odometer_m=odometer_m)
                    done = True
                except FleetError as error:
                    if not isinstance(error, NotAllowed | RuleBroken):
                        raise
                    done = False
            possible = action in ALLOWED[expected] and (
                km >= 0 or action not in {DutyAction.CHECK_OUT, DutyAction.CHECK_IN}
            )
            assert done == possible
            if done:
                expected = ALLOWED[expected][action]
                reading = odometer_m if action in {DutyAction.CHECK_OUT, DutyAction.CHECK_IN} else reading
            assert state(database, acting, dispatched) == expected
        with database.transaction(driver) as session:
            stored = session.scalar(
                select(func.count()).select_from(DutyEvent).where(DutyEvent.assignment_id == dispatched)
            )
            assert stored <= len(steps)
        undo.rollback()
