"""Applying, deciding, cancelling, closing: who may, in which state, and what the database itself refuses."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from psycopg.errors import CheckViolation, RestrictViolation
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, FleetError, NotAllowed, NotFound, RuleBroken
from fleetapp.orders import queries, service
from fleetapp.orders.models import NumberSeries, TravelOrder
from fleetapp.orders.rules import OrderAction, OrderKind, OrderState, Purpose
from tests import world


def test_an_application_is_numbered_by_local_day_and_keeps_its_route(submit, read):
    first, second = submit(), submit("unit_admin.bjwater")
    order = read("applicant.xhedu", first)
    assert order.number == "YC20261118-0001"
    assert [(stop.position, stop.lat, stop.lon) for stop in order.stops] == [(0, 30.264, 120.126), (1, 30.23, 120.129)]
    assert [(event.action, event.to_state) for event in order.events] == [("submit", "SUBMITTED")]
    assert read("unit_admin.bjwater", second).number == "YC20261118-0002"


def test_the_number_follows_the_office_day_not_utc(submit, read, now):
    evening = now + timedelta(hours=14, minutes=59)  # 23:59 at the office
    numbers = []
    for at in (evening, evening + timedelta(minutes=1)):
        order_id = submit(at=at, start_at=at + timedelta(hours=1), end_at=at + timedelta(hours=2))
        numbers.append(read("applicant.xhedu", order_id).number)
    assert numbers == ["YC20261118-0001", "YC20261119-0001"]


def test_the_same_request_again_makes_no_second_order(submit):
    assert submit(request_key="k1") == submit(request_key="k1", reason="第二次点击")
    assert submit(request_key="k2") != submit(request_key="k1")


@pytest.mark.parametrize("username", ["approver.xhedu", "dispatcher.xihu", "auditor.city", "driver.xhedu"])
def test_only_applicants_and_unit_admins_apply(submit, username):
    with pytest.raises(NotAllowed, match="not_allowed"):
        submit(username)


def test_the_system_does_not_apply(database, application, now):
    with database.transaction(SYSTEM) as session, pytest.raises(RuleBroken, match="no_unit"):
        service.submit(session, **application(), actor=SYSTEM, now=now)


def test_rules_are_asked_before_anything_is_written(submit, database, now):
    with pytest.raises(RuleBroken, match="too_short_notice"):
        submit(start_at=now + timedelta(minutes=10))
    with pytest.raises(RuleBroken, match="purpose_not_for_kind"):
        submit(kind=OrderKind.SERVICE, purpose=Purpose.MEETING)
    with database.transaction(SYSTEM) as session:
        assert session.scalars(select(TravelOrder)).all() == []
        assert session.scalars(select(NumberSeries)).all() == []


def test_the_unit_may_set_its_own_notice(submit, database, now):
    with database.transaction(SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO policy_value (code, scope, org_id, value, unit, stricter, valid_from, source)"
                " SELECT 'order.lead_min', 'org', id, 120, 'min', 'higher', '2026-01-01', '本单位规定' FROM organisation WHERE code = '330106-EDU'"
            )
        )
    soon = {"start_at": now + timedelta(minutes=60), "end_at": now + timedelta(minutes=90)}
    with pytest.raises(RuleBroken, match="too_short_notice"):
        submit("applicant.xhedu", **soon)
    assert submit("applicant.bjwater", **soon)


def test_approval_freezes_the_content_in_the_database(submit, step, database):
    order_id = submit()
    assert step(service.approve, "approver.xhedu", order_id, note="同意。") == "APPROVED"
    changes = [
        "reason = 'x'",
        "passenger_count = 9",
        "end_at = end_at + interval '1 hour'",
        "contact = '1'",
        "kind = 'emergency'",
    ]
    for change in changes:
        with pytest.raises(DBAPIError) as caught, database.transaction(SYSTEM) as session:
            session.execute(text(f"UPDATE travel_order SET {change} WHERE id = :id"), {"id": order_id})
        assert isinstance(caught.value.orig, RestrictViolation), change
    for statement in (
        "UPDATE order_stop SET name = 'x' WHERE order_id = :id",
        "INSERT INTO order_stop (order_id, position, name, point, tolerance_m) VALUES (:id, 5, 'x', 'SRID=4326;POINT(120 30)', 300)",
    ):
        with pytest.raises(DBAPIError) as caught, database.transaction(SYSTEM) as session:
            session.execute(text(statement), {"id": order_id})
        assert isinstance(caught.value.orig, RestrictViolation), statement


def test_nobody_approves_their_own_order_even_with_the_role(submit, database, session_as, acting, now):
    with database.transaction(SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO role_grant (user_id, role, org_id)"
                " SELECT id, 'approver', org_id FROM user_account WHERE username = 'applicant.xhedu'"
            )
        )
    order_id, both = submit(), acting("applicant.xhedu")
    for decide in (
        lambda session: service.approve(session, order_id=order_id, actor=both, now=now),
        lambda session: service.reject(session, order_id=order_id, reason="x", actor=both, now=now),
    ):
        with pytest.raises(NotAllowed, match="own_row"), database.transaction(both) as session:
            decide(session)
    with session_as("applicant.xhedu") as session:
        assert session.scalars(queries.inbox(both, at=now)).all() == []
    with pytest.raises(IntegrityError) as caught, database.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE travel_order SET state = 'APPROVED', approver_id = applicant_id WHERE id = :id"),
            {"id": order_id},
        )
    assert isinstance(caught.value.orig, CheckViolation)
    assert "no_self_approval" in str(caught.value.orig)


@pytest.mark.parametrize(
    ("username", "error"),
    [
        ("approver.xhhealth", NotFound),  # same district, other unit
        ("approver.bjwater", NotFound),
        ("dispatcher.xihu", NotAllowed),
        ("unit_admin.xhedu", NotAllowed),
        ("auditor.city", NotAllowed),
        ("driver.xhedu", NotFound),
    ],
)
def test_only_approvers_of_the_unit_decide(submit, step, username, error):
    order_id = submit()
    with pytest.raises(error):
        step(service.approve, username, order_id)
    with pytest.raises(error):
        step(service.reject, username, order_id, reason="x")


def test_deciding_twice_is_the_same_for_the_same_approver(submit, step, read):
    order_id = submit()
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVED"
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVED"
    with pytest.raises(Conflict, match="decided"):
        step(service.reject, "approver.xhedu", order_id, reason="改主意")
    assert [event.action for event in read("approver.xhedu", order_id).events] == ["submit", "approve"]


def test_an_order_whose_time_is_over_is_not_approved_unless_filled_in_afterwards(submit, step, now):
    late = now + timedelta(hours=8)
    with pytest.raises(RuleBroken, match="window_over"):
        step(service.approve, "approver.xhedu", submit(), at=late)
    gone = submit(kind=OrderKind.EMERGENCY, purpose=Purpose.EMERGENCY, supplementary=True,
                  start_at=now - timedelta(hours=5), end_at=now - timedelta(hours=1))  # fmt: skip
    assert step(service.approve, "approver.xhedu", gone) == "APPROVED"


def test_a_refusal_keeps_its_reason(submit, step, read, database):
    order_id = submit()
    with pytest.raises(RuleBroken, match="reason_needed"):
        step(service.reject, "approver.xhedu", order_id, reason="  ")
    assert step(service.reject, "approver.xhedu", order_id, reason="可乘坐地铁") == "REJECTED"
    order = read("applicant.xhedu", order_id)
    assert (order.closing_reason, order.approved_at, order.events[-1].note) == ("可乘坐地铁", None, "可乘坐地铁")
    with pytest.raises(IntegrityError, match="closing_reason"), database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE travel_order SET closing_reason = NULL WHERE id = :id"), {"id": order_id})


def test_withdrawing_is_for_the_applicant_before_the_decision(submit, step):
    order_id, decided = submit(), submit()
    with pytest.raises(NotAllowed, match="not_allowed"):
        step(service.withdraw, "unit_admin.xhedu", order_id)
    assert step(service.withdraw, "applicant.xhedu", order_id) == "WITHDRAWN"
    assert step(service.withdraw, "applicant.xhedu", order_id) == "WITHDRAWN"
    with pytest.raises(NotAllowed, match="wrong_state"):
        step(service.approve, "approver.xhedu", order_id)
    step(service.approve, "approver.xhedu", decided)
    with pytest.raises(NotAllowed, match="wrong_state"):
        step(service.withdraw, "applicant.xhedu", decided)


@pytest.mark.parametrize("username", ["applicant.xhedu", "unit_admin.xhedu", "dispatcher.xihu"])
def test_an_approved_order_is_cancelled_with_a_reason(submit, step, username):
    order_id = submit()
    with pytest.raises(NotAllowed):
        step(service.cancel, username, order_id, reason="会议改期")  # not before the decision: that is withdrawing
    step(service.approve, "approver.xhedu", order_id)
    with pytest.raises(RuleBroken, match="reason_needed"):
        step(service.cancel, username, order_id, reason="")
    with pytest.raises(NotFound):
        step(service.cancel, "applicant.bjwater", order_id, reason="x")
    assert step(service.cancel, username, order_id, reason="会议改期") == "CANCELLED"
    assert step(service.cancel, username, order_id, reason="会议改期") == "CANCELLED"


def test_an_order_that_holds_a_vehicle_is_released_first(submit, step, dispatched):
    order_id = submit()
    step(service.approve, "approver.xhedu", order_id)
    dispatched(order_id)
    with pytest.raises(RuleBroken, match="release_first"):
        step(service.cancel, "applicant.xhedu", order_id, reason="会议改期")


def test_the_whole_way_until_the_vehicle_is_back(submit, step, database, acting, now, dispatched):
    order_id = submit()
    step(service.approve, "approver.xhedu", order_id)
    dispatched(order_id)
    driver = acting("driver.xhedu")
    for action in (
        OrderAction.ACCEPT,
        OrderAction.CHECK_OUT,
        OrderAction.ARRIVE,
        OrderAction.ARRIVE,
        OrderAction.CHECK_IN,
    ):
        with database.transaction(driver) as session:
            service.advance(
                session, order=queries.hold_order(session, order_id=order_id), action=action, actor=driver, now=now
            )
    with database.transaction(SYSTEM) as session:
        order = queries.get_order(session, order_id=order_id, actor=SYSTEM)
        steps = [(event.from_state, event.to_state) for event in order.events]
        assert [before for before, _ in steps[1:]] == [after for _, after in steps[:-1]]
        logged = session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_type == "travel_order").order_by(AuditEntry.seq)
        ).all()
        assert logged == [
            "orders.submitted", "orders.approved", "orders.dispatched", "orders.driver_accepted", "orders.checked_out",
            "orders.arrived", "orders.arrived", "orders.checked_in",
        ]  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE order_event SET note = 'x'", "DELETE FROM order_event", "TRUNCATE order_event CASCADE",
        "DELETE FROM travel_order", "DELETE FROM order_stop", "DELETE FROM dispatch_slip", "TRUNCATE dispatch_slip CASCADE",
        "UPDATE number_series SET last = last + 2", "UPDATE number_series SET last = last - 1",
    ],
)  # fmt: skip
def test_the_owner_of_the_tables_cannot_rewrite_history_either(submit, database, acting, now, statement):
    submit()
    org_id = acting("applicant.xhedu").org_id
    with database.transaction(SYSTEM) as session:
        service.issue_slip(session, org_id=org_id, actor=SYSTEM, now=now)
    with database.transaction(SYSTEM) as session:
        session.execute(text("RESET ROLE"))
        with pytest.raises(DBAPIError) as caught:
            session.execute(text(statement))
        assert isinstance(caught.value.orig, RestrictViolation)
        session.rollback()


def test_slips_are_numbered_by_unit_and_year_and_a_void_number_stays_taken(database, acting, now):
    dispatcher = acting("dispatcher.xihu")
    edu, health = acting("applicant.xhedu").org_id, acting("applicant.xhhealth").org_id
    with database.transaction(dispatcher) as session:
        first = service.issue_slip(session, org_id=edu, actor=dispatcher, now=now)
        with pytest.raises(RuleBroken, match="reason_needed"):
            service.void_slip(session, slip=first, reason=" ", actor=dispatcher, now=now)
        service.void_slip(session, slip=first, reason="会议改期", actor=dispatcher, now=now)
        service.void_slip(session, slip=first, reason="再次作废", actor=dispatcher, now=now)
        others = [service.issue_slip(session, org_id=org_id, actor=dispatcher, now=at)
                  for org_id, at in ((edu, now), (health, now), (edu, now + timedelta(days=60)))]  # fmt: skip
        assert first.void_reason == "会议改期"
        assert [slip.number for slip in others] == [
            "330106-EDU-2026-00002",
            "330106-HEALTH-2026-00001",
            "330106-EDU-2027-00001",
        ]
    for change in ("number = 'x'", "seq = 99", "void_at = NULL, void_reason = NULL"):
        with pytest.raises(DBAPIError) as caught, database.transaction(dispatcher) as session:
            session.execute(text(f"UPDATE dispatch_slip SET {change} WHERE id = :id"), {"id": first.id})
        assert isinstance(caught.value.orig, RestrictViolation), change


def test_a_slip_of_another_district_is_refused_by_the_database(database, acting, now):
    foreign, org_id = acting("dispatcher.binjiang"), acting("applicant.xhedu").org_id
    with pytest.raises(DBAPIError, match="row-level security"), database.transaction(foreign) as session:
        service.issue_slip(session, org_id=org_id, actor=foreign, now=now)


def test_slip_numbers_have_no_gap_and_no_twin_under_eight_threads(live_database, now):
    """Every third transaction fails after it took a number: that number must come back."""
    dispatcher = world.actor(live_database, "dispatcher.xihu")
    org_id = world.actor(live_database, "applicant.xhedu").org_id

    def issue(turn):
        number = None
        with contextlib.suppress(RuleBroken), live_database.transaction(dispatcher) as session:
            slip = service.issue_slip(session, org_id=org_id, actor=dispatcher, now=now)
            if turn % 3 == 0:
                service.void_slip(session, slip=slip, reason="", actor=dispatcher, now=now)
            number = slip.number
        return number

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for number in pool.map(issue, range(48)) if number]
    assert sorted(numbers) == [f"330106-EDU-2026-{seq:05d}" for seq in range(1, 33)]


def test_order_numbers_of_different_units_do_not_collide(live_database, application, now):
    actors = [world.actor(live_database, f"applicant.{unit}") for unit in ("xhedu", "xhhealth", "bjwater", "cityedu")]

    def apply(turn):
        actor = actors[turn % 4]
        with live_database.transaction(actor) as session:
            return service.submit(session, **application(), actor=actor, now=now).number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(apply, range(24)))
    assert sorted(numbers) == [f"YC20261118-{seq:04d}" for seq in range(1, 25)]


def test_of_two_approvers_at_once_exactly_one_wins_and_the_other_is_told(live_database, application, now):
    with live_database.transaction(SYSTEM) as session:
        session.execute(
            text(
                "INSERT INTO role_grant (user_id, role, org_id)"
                " SELECT id, 'approver', org_id FROM user_account WHERE username = 'unit_admin.xhedu'"
            )
        )
    applicant = world.actor(live_database, "applicant.xhedu")
    deciders = [world.actor(live_database, name) for name in ("approver.xhedu", "unit_admin.xhedu")]

    def decide(order_id, actor):
        try:
            with live_database.transaction(actor) as session:
                service.approve(session, order_id=order_id, actor=actor, now=now)
        except FleetError as error:
            return error.code
        return "won"

    with ThreadPoolExecutor(2) as pool:
        for _ in range(8):
            with live_database.transaction(applicant) as session:
                order_id = service.submit(session, **application(), actor=applicant, now=now).id
            outcomes = list(pool.map(decide, [order_id] * 2, deciders))
            assert sorted(outcomes) == ["orders.decided", "won"]
            with live_database.transaction(SYSTEM) as session:
                order = queries.get_order(session, order_id=order_id, actor=SYSTEM)
                assert order.approver_id == deciders[outcomes.index("won")].user_id
                assert [event.action for event in order.events] == ["submit", "approve"]


def test_events_name_who_and_when(submit, step, read, acting, now):
    order_id = submit()
    later = now + timedelta(minutes=5)
    step(service.approve, "approver.xhedu", order_id, at=later)
    event = read("auditor.city", order_id).events[-1]
    assert (event.actor_id, event.at, event.from_state) == (
        acting("approver.xhedu").user_id,
        later,
        OrderState.SUBMITTED,
    )
