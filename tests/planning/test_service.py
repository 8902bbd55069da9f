"""Assignments by hand: what they write, who may, what is refused, how they end."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.accounts.models import RoleGrant
from fleetapp.audit.models import AuditEntry
from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.orders.rules import Purpose, Stop
from fleetapp.planning import queries, service
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import Vehicle
from tests import world


@pytest.fixture
def change(database):
    """Change rows as the system."""

    def run(statement):
        with database.transaction(SYSTEM) as session:
            session.execute(statement)

    return run


def test_an_assignment_has_slip_buffers_dispatched_order_and_audit(approved, assign, known, row, database, now):
    order_id = approved()
    made = row(Assignment, assign(order_id))
    order, slip = row(TravelOrder, order_id), row(DispatchSlip, made.slip_id)
    assert (order.state, order.serving_org_id) == ("DISPATCHED", made.org_id)
    assert slip.number == "330106-EDU-2026-00001"
    assert (made.during.lower, made.during.upper) == (
        order.start_at - timedelta(minutes=15),
        order.end_at + timedelta(minutes=15),
    )
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "planning.assigned")).one()
    assert (entry.data["plate"], entry.data["slip"], entry.data["decided_against"]) == ("浙A10001", slip.number, [])


def test_the_same_assignment_again_changes_nothing(approved, assign, database):
    order_id = approved()
    assert assign(order_id) == assign(order_id)
    with pytest.raises(Conflict, match="already_assigned"):
        assign(order_id, driver="driver2.xhedu")
    with database.transaction(SYSTEM) as session:
        assert len(session.scalars(select(DispatchSlip)).all()) == 1


@pytest.mark.parametrize(("by", "error"), [
    ("applicant.xhedu", NotAllowed), ("approver.xhedu", NotAllowed), ("fleet_manager.xihu", NotAllowed), ("auditor.xihu", NotAllowed),
    ("dispatcher.binjiang", NotFound),
])  # fmt: skip
def test_only_the_dispatcher_of_the_unit_assigns(approved, assign, by, error):
    order_id = approved()
    with pytest.raises(error):
        assign(order_id, by=by)
    assert assign(order_id, by="dispatcher.city")


def test_an_order_that_is_not_approved_gets_no_vehicle(database, approved, assign, acting, now):
    order_id = approved()
    applicant = acting("applicant.xhedu")
    with database.transaction(applicant) as session:
        service.cancel(session, order_id=order_id, reason="会议改期", actor=applicant, now=now)
    with pytest.raises(NotAllowed, match="wrong_state"):
        assign(order_id)


def test_a_vehicle_out_of_reach_is_not_found(approved, assign):
    with pytest.raises(NotFound):
        assign(approved(), plate="浙A10005", driver="driver.bjwater")


@pytest.mark.parametrize(("plate", "driver", "changes", "code"), [
    ("浙A10001", "driver.bjwater", {}, "why.driver_holder"),
    ("浙A10001", "driver.xhedu", {"passenger_count": 5}, "why.seats"),
    ("浙A10005", "driver.bjwater", {}, "why.purpose"),
    ("浙AD00002", "driver.xhedu", {"stops": [Stop("西湖区教育局", 30.264, 120.126), Stop("温州", 28.0, 120.7)], "end_h": 60}, "why.range"),
])  # fmt: skip
def test_what_a_vehicle_or_driver_cannot_do_is_refused(approved, assign, plate, driver, changes, code):
    with pytest.raises(RuleBroken, match=code):
        assign(approved(**changes), plate=plate, driver=driver, by="dispatcher.city")


@pytest.mark.parametrize(("statement", "code"), [
    (update(Vehicle).where(Vehicle.plate == "浙A10001").values(state="MAINTENANCE"), "why.vehicle_state"),
    (update(Driver).values(licence_valid_to=date(2026, 11, 17)), "why.licence_expired"),
    (update(Vehicle).where(Vehicle.plate == "浙A10001").values(seats=20, body="coach"), "why.driver_licence"),
])  # fmt: skip
def test_a_vehicle_or_driver_that_is_not_fit_is_refused(approved, assign, change, statement, code):
    change(statement)
    with pytest.raises(RuleBroken, match=code):
        assign(approved())


def test_a_dispatcher_may_lend_across_districts_and_the_log_says_so(approved, assign, database):
    order_id = approved(unit="bjwater", purpose=Purpose.MEETING)
    assert assign(order_id, by="dispatcher.city")
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "planning.assigned")).one()
    assert entry.data["decided_against"] == ["lending"]


def test_nobody_dispatches_an_order_he_approved_or_drives(approved, assign, database, change, known):
    order_id = approved()
    approver, driver = world.user_id(database, "approver.xhedu"), world.user_id(database, "driver.xhedu")
    with database.transaction(SYSTEM) as session:
        xihu = session.scalar(
            select(RoleGrant.org_id).where(RoleGrant.user_id == world.user_id(database, "dispatcher.xihu"))
        )
        session.add_all(RoleGrant(user_id=user, role="dispatcher", org_id=xihu) for user in (approver, driver))
    with pytest.raises(RuleBroken, match="own_approval"):
        assign(order_id, by="approver.xhedu")
    with pytest.raises(RuleBroken, match="own_driving"):
        assign(order_id, by="driver.xhedu")
    assert assign(order_id, by="driver.xhedu", driver="driver2.xhedu")


def test_a_dispatcher_does_not_serve_his_own_application(approved, assign, database):
    order_id = approved()
    with database.transaction(SYSTEM) as session:
        xihu = session.scalar(
            select(RoleGrant.org_id).where(RoleGrant.user_id == world.user_id(database, "dispatcher.xihu"))
        )
        session.add(RoleGrant(user_id=world.user_id(database, "applicant.xhedu"), role="dispatcher", org_id=xihu))
    with pytest.raises(NotAllowed, match="own_row"):
        assign(order_id, by="applicant.xhedu")


def test_a_journey_that_is_over_gets_no_vehicle(approved, assign, now):
    order_id = approved()
    with pytest.raises(RuleBroken, match="journey_over"):
        assign(order_id, at=now + timedelta(hours=8))


def test_a_taken_vehicle_or_driver_is_told_with_the_other_order(approved, assign, row):
    first, second = approved(), approved(start_h=6, end_h=8)
    assign(first)
    with pytest.raises(Conflict, match="vehicle_taken") as told:
        assign(second, driver="driver2.xhedu")
    assert told.value.params["number"] == row(TravelOrder, first).number
    with pytest.raises(Conflict, match="driver_taken"):
        assign(second, plate="浙AD00002")
    assert assign(second, plate="浙AD00002", driver="driver2.xhedu")


def test_the_next_order_may_begin_when_the_buffers_touch(approved, assign):
    assign(approved(start_h=2, end_h=4))
    with pytest.raises(Conflict, match="vehicle_taken"):
        assign(approved(start_h=4.49, end_h=6))
    assert assign(approved(start_h=4.5, end_h=6))


def test_release_gives_vehicle_and_state_back_and_voids_the_slip(approved, assign, row, database, acting, now):
    order_id = approved()
    made = assign(order_id)
    dispatcher = acting("dispatcher.xihu")
    with pytest.raises(RuleBroken, match="reason_needed"), database.transaction(dispatcher) as session:
        service.release(session, order_id=order_id, reason=" ", actor=dispatcher, now=now)
    for _ in range(2):
        with database.transaction(dispatcher) as session:
            service.release(session, order_id=order_id, reason="车辆临时送修", actor=dispatcher, now=now)
    released = row(Assignment, made)
    assert (row(TravelOrder, order_id).state, row(TravelOrder, order_id).serving_org_id, released.state) == (
        "APPROVED",
        None,
        "RELEASED",
    )
    assert row(DispatchSlip, released.slip_id).void_reason == "车辆临时送修"
    again = row(Assignment, assign(order_id))
    assert row(DispatchSlip, again.slip_id).number.endswith("-00002")


def test_who_is_not_the_dispatcher_cannot_release(approved, assign, database, acting, now):
    order_id = approved()
    assign(order_id)
    for username in ("applicant.xhedu", "driver.xhedu", "fleet_manager.xihu"):
        actor = acting(username)
        with pytest.raises((NotAllowed, NotFound)), database.transaction(actor) as session:
            service.release(session, order_id=order_id, reason="不需要", actor=actor, now=now)


def test_the_applicant_cancels_a_dispatched_order_of_a_vehicle_from_elsewhere(
    approved, assign, row, database, acting, now
):
    order_id = approved(unit="xhhealth")
    made = assign(order_id, plate="浙AF00006", driver="driver.fleet", by="dispatcher.city")
    applicant = acting("applicant.xhhealth")
    with database.transaction(applicant) as session:
        held = queries.active_of(session, order_id=order_id)
        assert held is not None
        assert held.vehicle.plate == "浙AF00006"
        assert order_queries.get_order(session, order_id=order_id, actor=applicant).state == "DISPATCHED"
    for _ in range(2):
        with database.transaction(applicant) as session:
            service.cancel(session, order_id=order_id, reason="会议改为视频会议", actor=applicant, now=now)
    released = row(Assignment, made)
    assert (row(TravelOrder, order_id).state, released.state) == ("CANCELLED", "RELEASED")
    assert row(DispatchSlip, released.slip_id).void_at == now
    other = acting("applicant.xhedu")
    with pytest.raises(NotFound), database.transaction(other) as session:
        service.cancel(session, order_id=order_id, reason="不需要", actor=other, now=now)


def test_the_database_itself_refuses_a_second_booking(approved, assign, row, database):
    made = row(Assignment, assign(approved()))
    other = approved()
    columns = {"org_id", "vehicle_id", "during", "state", "assigned_at", "order_org_id", "slip_id", "driver_id"}
    twin = {name: getattr(made, name) for name in columns} | {"order_id": other}
    with pytest.raises(Conflict, match=r"planning\.(vehicle|driver)_booked"), database.transaction(SYSTEM) as session:
        session.add(Assignment(**twin))


def test_the_database_shows_and_takes_no_assignment_of_another_district(approved, assign, row, database, acting):
    made = row(Assignment, assign(approved()))
    stranger = acting("dispatcher.binjiang")
    with database.transaction(stranger) as session:
        assert session.scalars(select(Assignment)).all() == []
        assert session.scalars(queries.visible_to(stranger)).all() == []
    columns = {"org_id", "vehicle_id", "during", "assigned_at", "order_org_id", "slip_id", "driver_id", "order_id"}
    forged = {name: getattr(made, name) for name in columns} | {"state": "ACTIVE"}
    with pytest.raises((ProgrammingError, IntegrityError)), database.transaction(stranger) as session:
        session.add(Assignment(**forged))


def test_an_assignment_is_never_deleted(approved, assign, database):
    made = assign(approved())
    with pytest.raises(Exception, match=r"permission denied|refused"), database.transaction(SYSTEM) as session:
        session.delete(session.get_one(Assignment, made))
