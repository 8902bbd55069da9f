"""Change orders: what asks again, what stands at once, and that nothing else gets past the frozen content (INV-16)."""

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.approvals import queries as approvals
from fleetapp.approvals.rules import Level, Verdict
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.orders import changes, queries, rules, service, waiting

FAR = rules.Stop("千岛湖", 29.6050, 119.0420)


@pytest.fixture
def approved(chain, submit, step):
    """Return an approved order of a unit whose office looks at journeys of more than 100 km."""
    chain(
        Level("单位审批", role="approver"), Level("车管机构审核", role="vehicle_office", place="bureau", over_m=100_000)
    )
    order_id = submit()
    assert step(service.approve, "approver.xhedu", order_id) == "APPROVED"
    return order_id


@pytest.fixture
def ask(database, acting, now):
    """Ask for a change as a username; returns its id and state."""

    def request(order_id, username="applicant.xhedu", reason="会议改期", at=now, **content):
        actor = acting(username)
        with database.transaction(actor) as session:
            change = changes.request(session, order_id=order_id, reason=reason, actor=actor, now=at, **content)
            return change.id, str(change.state)

    return request


@pytest.fixture
def decide(database, acting, now):
    """Decide a change as a username; returns its state."""

    def run(change_id, username, verdict=Verdict.AGREE, note="同意。"):
        actor = acting(username)
        with database.transaction(actor) as session:
            return str(
                changes.decide(session, change_id=change_id, verdict=verdict, actor=actor, now=now, note=note).state
            )

    return run


def levels(database, change_id):
    with database.transaction(SYSTEM) as session:
        change = queries.get_change(session, change_id=change_id)
        return [task.name for task in approvals.get_case(session, case_id=change.approval_case_id).tasks]


def test_less_time_stands_at_once_and_people_ask_the_first_level_only(approved, ask, decide, read, database):
    end_at = read("applicant.xhedu", approved).end_at
    _, state = ask(approved, end_at=end_at - timedelta(hours=1))
    assert (state, read("applicant.xhedu", approved).end_at) == ("APPLIED", end_at - timedelta(hours=1))
    change_id, state = ask(approved, passengers="教研员甲、教研员丙、教研员丁", passenger_count=3)
    assert (state, levels(database, change_id)) == ("REQUESTED", ["单位审批"])
    with pytest.raises(Conflict, match="change_open"):
        ask(approved, body="mpv")
    with pytest.raises(NotAllowed):
        decide(change_id, "applicant.xhedu")
    assert decide(change_id, "approver.xhedu") == "APPLIED"
    assert read("applicant.xhedu", approved).passenger_count == 3
    with pytest.raises(Conflict, match="change_decided"):
        decide(change_id, "approver.xhedu")


def test_a_longer_way_asks_the_level_that_looks_at_distance(approved, ask, decide, read, database):
    stops = read("applicant.xhedu", approved).stops
    origin = rules.Stop(stops[0].name, stops[0].lat, stops[0].lon)
    change_id, _ = ask(approved, stops=[origin, FAR])
    assert levels(database, change_id) == ["单位审批", "车管机构审核"]
    assert decide(change_id, "approver.xhedu") == "REQUESTED"
    assert [stop.name for stop in read("applicant.xhedu", approved).stops] == [stops[0].name, stops[1].name]
    assert decide(change_id, "vehicle_office.city") == "APPLIED"
    assert [stop.name for stop in read("applicant.xhedu", approved).stops] == [stops[0].name, "千岛湖"]


def test_a_refused_or_withdrawn_change_leaves_the_order(approved, ask, decide, read, database, acting, now):
    end_at = read("applicant.xhedu", approved).end_at
    change_id, _ = ask(approved, end_at=end_at + timedelta(hours=2))
    assert decide(change_id, "approver.xhedu", Verdict.REJECT, "时间过长") == "REJECTED"
    change_id, _ = ask(approved, end_at=end_at + timedelta(hours=1))
    actor = acting("applicant.xhedu")
    for _ in range(2):
        with database.transaction(actor) as session:
            assert changes.withdraw(session, change_id=change_id, actor=actor, now=now).state == "WITHDRAWN"
    assert read("applicant.xhedu", approved).end_at == end_at
    for problem, content in (("change_nothing", {"end_at": end_at}), ("window_reversed", {"end_at": now - timedelta(hours=9)}),
                             ("nobody", {"passenger_count": 0}), ("change_started", {"start_at": now - timedelta(hours=1)})):  # fmt: skip
        with pytest.raises(RuleBroken, match=problem):
            ask(approved, **content)
    with pytest.raises(RuleBroken, match="change_reason"):
        ask(approved, reason=" ", body="mpv")
    with pytest.raises(NotAllowed):
        ask(approved, "approver.xhedu", body="mpv")


def test_a_vehicle_that_no_longer_fits_goes_back_to_the_dispatcher(
    approved, ask, decide, dispatched, read, database, acting, now
):
    dispatched(approved)
    change_id, _ = ask(approved, end_at=read("applicant.xhedu", approved).end_at + timedelta(hours=2), body="mpv")
    with pytest.raises(NotAllowed):  # who sent the vehicle does not decide about it
        decide(change_id, "dispatcher.xihu")
    assert decide(change_id, "approver.xhedu") == "APPLIED"
    dispatcher = acting("dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        change = queries.get_change(session, change_id=change_id)
        orders = session.scalars(waiting.listed(dispatcher, now=now)).all()
        row = next(
            row for row in waiting.rows_of(session, orders, now=now + timedelta(minutes=1)) if row.order.id == approved
        )
        assert change.redispatch
        told = session.scalars(text("SELECT code FROM notice WHERE user_id = :id"), {"id": dispatcher.user_id}).all()
    assert (row.step, row.redispatch) == ("dispatch", True)
    assert "orders.notice.redispatch" in told


def test_raw_sql_admits_the_approved_change_and_nothing_else(approved, ask, read, database, acting, now):
    """INV-16: no change, one that was not agreed to, another value than the one agreed to, a stop more or less."""
    order = read("applicant.xhedu", approved)
    tries = [
        "UPDATE travel_order SET end_at = end_at + interval '2 hours' WHERE id = :id",
        "UPDATE travel_order SET end_at = end_at + interval '1 hour', reason = 'x' WHERE id = :id",
        "UPDATE travel_order SET passenger_count = 9 WHERE id = :id",
        "UPDATE travel_order SET body = 'mpv', end_at = end_at + interval '1 hour' WHERE id = :id",
        "UPDATE travel_order SET end_at = end_at + interval '1 hour' WHERE id = :id",
        "UPDATE order_stop SET ended_at = now() WHERE order_id = :id",
        "INSERT INTO order_stop (order_id, position, name, point, tolerance_m) VALUES (:id, 2, 'x', 'SRID=4326;POINT(120 30)', 300)",
        "UPDATE travel_order SET approval_case_id = NULL WHERE id = :id",
        "UPDATE order_change SET state = 'APPROVED' WHERE order_id = :id",
        "UPDATE order_change SET after = before || '{\"passenger_count\": 9}' WHERE order_id = :id",
        (
            "INSERT INTO order_change (order_id, reason, before, after, state, redispatch, requested_by, created_at)"
            " SELECT o.id, 'x', order_content(o), order_content(o) || '{\"passenger_count\": 9}', 'APPROVED', false, o.applicant_id, now()"
            " FROM travel_order o WHERE o.id = :id"
        ),
        "DELETE FROM order_change WHERE order_id = :id",
    ]
    ask(approved, end_at=order.end_at + timedelta(hours=1))
    for statement in tries:
        with pytest.raises((DBAPIError, Conflict)), database.transaction(SYSTEM) as session:
            session.execute(text(statement), {"id": approved})
    after = read("applicant.xhedu", approved)
    assert (after.end_at, after.passenger_count, len(after.stops)) == (
        order.end_at,
        order.passenger_count,
        len(order.stops),
    )


def test_only_what_was_agreed_to_passes_the_trigger(approved, ask, read, database, acting, now):
    """A change agreed to and not applied yet admits its own values by raw SQL, and is applied only when all of them are there."""
    order = read("applicant.xhedu", approved)
    change_id, _ = ask(approved, end_at=order.end_at + timedelta(hours=1), passenger_count=3, passengers="甲、乙、丙")
    approver = acting("approver.xhedu")
    with database.transaction(approver) as session:
        case_id = queries.get_change(session, change_id=change_id).approval_case_id
        case = approvals.get_case(session, case_id=case_id, lock=True)
        changes.approval_service.decide(session, case=case, verdict=Verdict.AGREE, actor=approver, now=now)
        session.execute(text("UPDATE order_change SET state = 'APPROVED' WHERE id = :id"), {"id": change_id})
    for statement in (
        "UPDATE travel_order SET end_at = end_at + interval '1 hour' WHERE id = :id",
        "UPDATE travel_order SET end_at = end_at + interval '1 hour', passenger_count = 4, passengers = '甲、乙、丙' WHERE id = :id",
        "UPDATE order_change SET state = 'APPLIED', applied_at = now() WHERE order_id = :id",
    ):
        with pytest.raises((DBAPIError, Conflict)), database.transaction(SYSTEM) as session:
            session.execute(text(statement), {"id": approved})
    with database.transaction(SYSTEM) as session:
        session.execute(
            text(
                "UPDATE travel_order SET end_at = end_at + interval '1 hour', passenger_count = 3, passengers = '甲、乙、丙' WHERE id = :id"
            ),
            {"id": approved},
        )
        session.execute(
            text("UPDATE order_change SET state = 'APPLIED', applied_at = now() WHERE order_id = :id"), {"id": approved}
        )
    assert read("applicant.xhedu", approved).passenger_count == 3
