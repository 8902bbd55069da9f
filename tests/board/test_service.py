"""A click for every exception, and another vehicle for one that broke down, before it left and on the way."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from fleetapp.accounts.models import UserAccount
from fleetapp.board import service
from fleetapp.duty import queries as duties
from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.places import service as places
from fleetapp.planning import queries
from fleetapp.planning.models import Assignment
from fleetapp.upkeep.models import WorkOrder
from fleetapp.vehicles.models import Vehicle


@pytest.fixture
def out(database, acting, approved, assign, now):
    """Return an order under way with its assignment; it left at two hours from now."""
    order_id = approved(start_h=2, end_h=6)
    held = assign(order_id)
    driver = acting("driver.xhedu")
    for action, hours, odometer_m in ((DutyAction.ACCEPT, 1, None), (DutyAction.CHECK_OUT, 2, 10_000_000)):
        with database.transaction(driver) as session:
            duty.report(session, assignment_id=held, action=action, idempotency_key=f"board-{action}", actor=driver,
                        now=now + timedelta(hours=hours), odometer_m=odometer_m)  # fmt: skip
    return order_id, held


@pytest.fixture
def told(database):
    """Return who was told with a code, by username."""

    def get(code):
        with database.transaction(SYSTEM) as session:
            query = (
                select(UserAccount.username).join(Notice, Notice.user_id == UserAccount.id).where(Notice.code == code)
            )
            return sorted(session.scalars(query))

    return get


@pytest.fixture
def remind(database, acting, now):
    def run(order_id, seen, code, by="dispatcher.xihu", at=now):
        actor = acting(by)
        with database.transaction(actor) as session:
            service.remind(session, order_id=order_id, seen=seen, code=code, actor=actor, now=at)

    return run


@pytest.fixture
def substitute(database, acting, now):
    def run(order_id, seen, vehicle_id, driver_id=None, by="dispatcher.xihu", at=now, repair=True):
        actor = acting(by)
        with database.transaction(actor) as session:
            done = service.substitute(session, order_id=order_id, seen=seen, vehicle_id=vehicle_id, driver_id=driver_id, reason="发动机故障",
                                      repair=repair, actor=actor, now=at)  # fmt: skip
            return [one.id for one in done.made], done.repair and done.repair.id

    return run


@pytest.mark.parametrize(("code", "also"), [
    ("late_start", ["applicant.xhedu"]), ("unaccepted", []), ("overstay", ["applicant.xhedu"]), ("offline", ["fleet_manager.xihu"]),
    ("out_of_service", []),
])  # fmt: skip
def test_a_click_tells_the_driver_and_whom_it_concerns_once(approved, assign, remind, told, now, code, also):
    order_id = approved()
    held = assign(order_id)
    remind(order_id, held, code)
    remind(order_id, held, code)
    names = told(f"board.notice.{code}")
    assert names.count("driver.xhedu") == 1
    assert set(also) <= set(names)
    remind(order_id, held, code, at=now + timedelta(minutes=10))
    assert told(f"board.notice.{code}").count("driver.xhedu") == 2
    with pytest.raises(Conflict):
        remind(order_id, held + 1000, code)
    for username in ("fleet_manager.xihu", "leader.city", "dispatcher.binjiang"):
        with pytest.raises((NotAllowed, NotFound)):
            remind(order_id, held, code, by=username)


def test_before_it_leaves_an_order_moves_to_the_substitute_and_the_old_vehicle_to_the_shop(
    approved, assign, substitute, known, row, told, database
):
    order_id = approved()
    held = assign(order_id)
    [made], repair = substitute(order_id, held, known["浙AD00002"], known["driver2.xhedu"])
    assert row(Assignment, made).vehicle_id == known["浙AD00002"]
    work = row(WorkOrder, repair)
    assert (work.vehicle_id, work.kind, work.state) == (known["浙A10001"], "repair", "REPORTED")
    assert "发动机故障" in work.fault
    assert "driver.xhedu" in told("planning.notice.taken_back")
    assert "driver2.xhedu" in told("planning.notice.assigned")
    with pytest.raises(Conflict):
        substitute(order_id, held, known["浙A10001"], known["driver.xhedu"])


def test_on_the_way_the_passengers_change_over_and_what_was_driven_stays_with_the_old_slip(
    out, substitute, known, row, told, database, now
):
    order_id, held = out
    at = now + timedelta(hours=3)
    with pytest.raises(RuleBroken, match="driver_needed"):
        substitute(order_id, held, known["浙AD00002"], at=at)
    [made], _ = substitute(order_id, held, known["浙AD00002"], known["driver2.xhedu"], at=at)
    old, new = row(Assignment, held), row(Assignment, made)
    assert (old.state, new.state, new.vehicle_id) == ("RELEASED", "ACTIVE", known["浙AD00002"])
    assert new.during.lower == at
    assert row(TravelOrder, order_id).state == "DISPATCHED"
    assert row(DispatchSlip, old.slip_id).void_reason == "发动机故障"
    assert "applicant.xhedu" in told("orders.notice.handed_over")
    assert "applicant.xhedu" in told("orders.notice.dispatched")
    with database.transaction(SYSTEM) as session:
        driven = duties.orders_of_vehicle(session, vehicle_id=known["浙A10001"], start=now, end=now + timedelta(days=1))
        assert [(one.order_id, one.checked_out_odometer_m) for one in driven] == [(order_id, 10_000_000)]


def test_nobody_hands_over_another_ones_journey_or_one_that_is_back(out, substitute, known, database, acting, now):
    order_id, held = out
    at = now + timedelta(hours=3)
    for username in ("fleet_manager.xihu", "dispatcher.binjiang", "applicant.xhedu"):
        with pytest.raises((NotAllowed, NotFound)):
            substitute(order_id, held, known["浙AD00002"], known["driver2.xhedu"], by=username, at=at)
    driver = acting("driver.xhedu")
    with database.transaction(driver) as session:
        duty.report(session, assignment_id=held, action=DutyAction.CHECK_IN, idempotency_key="board-back", actor=driver,
                    now=now + timedelta(hours=4), odometer_m=10_020_000)  # fmt: skip
    with pytest.raises((NotAllowed, RuleBroken)):
        substitute(order_id, held, known["浙AD00002"], known["driver2.xhedu"], at=now + timedelta(hours=5))


def test_the_nearest_fit_vehicles_come_first_with_a_driver_and_a_time(out, database, acting, known, now):
    order_id, held = out
    with database.transaction(SYSTEM) as session:
        places.load_file(session, actor=SYSTEM, now=now)
        yard = session.scalar(select(Vehicle.parking_id).where(Vehicle.parking_id.is_not(None)).limit(1))
        session.execute(update(Vehicle).where(Vehicle.parking_id.is_(None)).values(parking_id=yard))
    actor = acting("dispatcher.xihu")
    with database.transaction(actor) as session:
        broken, found = service.substitutes(session, order_id=order_id, actor=actor, now=now + timedelta(hours=3))
        assert broken.id == held
        assert [one.vehicle.id for one in found] == [known["浙AD00002"]]
        assert found[0].driver.id == known["driver2.xhedu"]
        assert found[0].eta_s >= 0
        assert queries.active_of(session, order_id=order_id).id == held
