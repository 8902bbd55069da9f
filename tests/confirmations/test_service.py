"""Who ends a journey and how: once, never its driver, never by itself while an objection is open, never without its row."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.confirmations import jobs, queries
from fleetapp.confirmations.models import TripRating
from fleetapp.confirmations.rules import ITEMS
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, FleetError, NotAllowed, NotFound, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders import queries as orders
from tests import world

LOW = dict.fromkeys(ITEMS, 5) | {"driving": 2}
PDF = ("bill.pdf", b"%PDF-1.4 bill")


def told(database, username):
    with database.transaction(SYSTEM) as session:
        rows = select(Notice.code).where(Notice.user_id == world.user_id(database, username)).order_by(Notice.id)
        return [code for code in session.scalars(rows) if code.startswith(("confirmations.", "duty."))]


def test_the_applicant_confirms_once_what_the_odometer_says(ended, database):
    first = ended.confirm()
    row = ended.row()
    assert (row.confirmed_m, row.source, row.odometer_m, row.gps_m, row.auto, row.over_limit) == (
        20_000,
        "ODOMETER",
        20_000,
        19_600,
        False,
        False,
    )
    assert row.gps_coverage == pytest.approx(0.97)
    assert row.planned_m == 19_187
    assert ended.state() == "MILEAGE_CONFIRMED"
    assert [ended.confirm(), ended.confirm("unit_admin.xhedu")] == [first, first]
    assert jobs.confirm_due(database, ended.now + timedelta(days=9)) == {"confirmed": 0}
    assert told(database, "applicant.xhedu") == ["duty.notice.returned"]


def test_who_filed_it_and_the_units_administrator_may_and_nobody_else(ended, database):
    for username, error in (
        ("driver.xhedu", NotAllowed), ("driver2.xhedu", NotAllowed), ("approver.xhedu", NotAllowed), ("dispatcher.xihu", NotAllowed),
        ("applicant.xhhealth", NotFound), ("fleet_manager.binjiang", NotFound),
    ):  # fmt: skip
        for act in (ended.confirm, ended.object_to, ended.rate):
            with pytest.raises(error):
                act(username)
    assert ended.row() is None
    ended.confirm("unit_admin.xhedu")
    assert ended.row().confirmed_by == world.user_id(database, "unit_admin.xhedu")


def test_the_driver_may_not_even_with_other_roles(ended, database):
    with database.transaction(SYSTEM) as session:
        session.execute(text("INSERT INTO role_grant (user_id, role, org_id) SELECT id, r, org_id FROM user_account,"
                             " unnest(ARRAY['applicant', 'unit_admin', 'dispatcher']) r WHERE username = 'driver.xhedu'"))  # fmt: skip
    for act in (ended.confirm, ended.object_to):
        with pytest.raises(NotAllowed, match="driver_may_not"):
            act("driver.xhedu")
    ended.object_to()
    with pytest.raises(NotAllowed, match="driver_may_not"):
        ended.answer("driver.xhedu")
    assert ended.answer()


def test_a_difference_beyond_policy_needs_a_word(make):
    ended = make(gps_m=30_000)
    for reason in (None, " ", "x"):
        with pytest.raises(RuleBroken, match="confirmations.explain"):
            ended.confirm(reason=reason)
    ended.confirm(reason="绕行接人")
    assert (ended.row().over_limit, ended.row().reason) == (True, "绕行接人")


def test_an_objection_waits_for_its_answer_and_the_time_begins_again(ended, database):
    soon = ended.back_at + timedelta(hours=47)
    first = ended.object_to(at=soon)
    assert ended.object_to(at=soon) == first
    with pytest.raises(RuleBroken, match="objection_open"):
        ended.object_to(reason="还有停车费", at=soon)
    later = ended.back_at + timedelta(hours=100)
    assert jobs.confirm_due(database, later) == {"confirmed": 0}
    for username, error in (("applicant.xhedu", NotAllowed), ("unit_admin.xhedu", NotAllowed), ("driver2.xhedu", NotAllowed),
                            ("dispatcher.binjiang", NotFound)):  # fmt: skip
        with pytest.raises(error):
            ended.answer(username, at=later)
    with pytest.raises(RuleBroken, match="distance_odd"):
        ended.answer(proposed_m=3_000_001, at=later)
    reply = ended.answer(proposed_m=38_000, at=later)
    assert ended.answer(proposed_m=38_000, at=later) == reply
    with pytest.raises(RuleBroken, match="no_objection"):
        ended.answer(reply="另一个答复", at=later)
    assert jobs.confirm_due(database, later + timedelta(hours=47, minutes=59)) == {"confirmed": 0}
    assert jobs.confirm_due(database, later + timedelta(hours=48)) == {"confirmed": 1}
    row = ended.row()
    assert (row.confirmed_m, row.source, row.auto, row.confirmed_by) == (38_000, "CORRECTED", True, None)
    assert (
        told(database, "dispatcher.xihu") == told(database, "fleet_manager.xihu") == ["confirmations.notice.objected"]
    )
    assert told(database, "applicant.xhedu") == [
        "duty.notice.returned",
        "confirmations.notice.answered",
        "confirmations.notice.by_itself",
    ]


def test_nothing_is_confirmed_before_the_vehicle_is_back(make):
    ended = make(check_in=False)
    for act in (ended.confirm, ended.object_to, ended.rate):
        with pytest.raises(NotAllowed, match="wrong_state"):
            act()
    assert ended.state() == "CHECKED_OUT"


def test_a_hired_journey_ends_with_its_bill(make, database):
    ended = make(check_in=False, gps_m=None)
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE travel_order SET state = 'OUTSOURCED' WHERE id = :id"), {"id": ended.order_id})
        session.execute(
            text("UPDATE assignment SET state = 'RELEASED', released_at = now() WHERE order_id = :id"),
            {"id": ended.order_id},
        )
    for bill in ({}, {"bill_cny": Decimal(420)}, {"receipt": PDF}):
        with pytest.raises(RuleBroken, match="bill_needed"):
            ended.confirm(**bill)
    assert jobs.confirm_due(database, ended.now + timedelta(days=30)) == {"confirmed": 0}
    ended.confirm(bill_cny=Decimal("420.50"), receipt=PDF, driven_m=31_000)
    row = ended.row()
    assert (row.source, row.bill_cny, row.confirmed_m, ended.state()) == (
        "BILL",
        Decimal("420.50"),
        31_000,
        "MILEAGE_CONFIRMED",
    )


def test_one_of_our_vehicles_has_no_bill(ended):
    with pytest.raises(RuleBroken, match="no_bill"):
        ended.confirm(bill_cny=Decimal(1), receipt=PDF)


def test_a_journey_is_rated_once_in_time_and_a_low_score_is_told(ended, database):
    with pytest.raises(RuleBroken, match="rating_late"):
        ended.rate(at=ended.back_at + timedelta(days=7))
    first = ended.rate(scores=LOW, comment="急刹车")
    assert ended.rate(scores=LOW, comment="急刹车") == first
    with pytest.raises(Conflict, match="confirmations.rated"):
        ended.rate()
    assert told(database, "fleet_manager.xihu") == ["confirmations.notice.low_rating"]
    with database.transaction(SYSTEM) as session:
        found = queries.driver_averages(session, within=TripRating.id == first, least=5)
        assert [(one.number, one.scores) for one in found] == [(1, {})]
        found = queries.driver_averages(session, within=TripRating.id == first, least=1)
        assert found[0].scores == {"overall": pytest.approx(4.4), **LOW}


def test_a_rating_may_be_left_out_and_then_is_not_asked_for_again(ended, database, acting):
    who = acting("applicant.xhedu")

    def asked():
        with database.transaction(who) as session:
            return [order.id for order in queries.to_rate(session, actor=who, now=ended.now)]

    assert asked() == [ended.order_id]
    ended.rate(scores=None)
    assert asked() == []
    assert told(database, "fleet_manager.xihu") == []


CONFIRM = (
    "INSERT INTO mileage_confirmation (org_id, order_id, confirmed_m, source, over_limit, auto, confirmed_by, at)"
    " SELECT org_id, id, 20000, '{source}', {over}, {auto}, {by}, now() FROM travel_order WHERE id = {order}"
)
SAY = "INSERT INTO mileage_remark (org_id, order_id, seq, text, said_by, at) SELECT org_id, id, {seq}, 'wrong', {by}, now() FROM travel_order WHERE id = {order}"


def test_the_database_refuses_what_the_service_would(ended, database, acting):
    who = {
        name: acting(name)
        for name in ("applicant.xhedu", "driver.xhedu", "unit_admin.xhedu", "dispatcher.xihu", "driver2.xhedu")
    }
    usual = {
        "source": "ODOMETER",
        "over": "false",
        "auto": "false",
        "order": ended.order_id,
        "by": who["applicant.xhedu"].user_id,
    }
    driver = usual | {"by": who["driver.xhedu"].user_id}
    advance = f"UPDATE travel_order SET state = 'MILEAGE_CONFIRMED' WHERE id = {ended.order_id}"
    refused = [
        ("applicant.xhedu", advance, "row_first"),
        ("driver.xhedu", CONFIRM.format(**driver), "not_yours"),
        ("driver.xhedu", CONFIRM.format(**usual), "not_yours"),
        ("applicant.xhedu", CONFIRM.format(**usual | {"auto": "true", "by": "NULL"}), "not_yours"),
        ("applicant.xhedu", CONFIRM.format(**usual | {"by": "NULL"}), "ck_mileage_confirmation_auto"),
        ("applicant.xhedu", CONFIRM.format(**usual | {"over": "true"}), "confirmations.explain"),
        ("applicant.xhedu", CONFIRM.format(**usual | {"source": "BILL"}), "ck_mileage_confirmation_bill"),
        ("applicant.xhedu", SAY.format(**usual, seq=2), "remark_there"),
        ("driver.xhedu", SAY.format(**driver, seq=1), "not_yours"),
    ]
    for username, statement, message in refused:
        with pytest.raises((DBAPIError, Conflict), match=message), database.transaction(who[username]) as session:
            session.execute(text(statement))
    ended.object_to()
    for username, statement, message in (
        ("driver2.xhedu", SAY.format(**usual | {"by": who["driver2.xhedu"].user_id}, seq=2), "not_yours"),
        (None, CONFIRM.format(**usual | {"auto": "true", "by": "NULL"}), "objection_open"),
    ):
        with (
            pytest.raises((DBAPIError, Conflict), match=message),
            database.transaction(who[username] if username else SYSTEM) as session,
        ):
            session.execute(text(statement))
    ended.answer()
    ended.rate()
    ended.confirm()
    for table in ("mileage_confirmation", "mileage_remark", "trip_rating"):
        for statement in (f"UPDATE {table} SET at = now()", f"DELETE FROM {table}"):
            with pytest.raises(DBAPIError, match="permission denied"), database.transaction(SYSTEM) as session:
                session.execute(text(statement))
            with database.transaction(SYSTEM) as session:
                session.execute(text("RESET ROLE"))
                with pytest.raises(DBAPIError, match="superseded"):
                    session.execute(text(statement))
                session.rollback()
    for statement in (CONFIRM.format(**usual), SAY.format(**usual, seq=3)):
        with pytest.raises(Conflict), database.transaction(who["applicant.xhedu"]) as session:
            session.execute(text(statement))
    assert ended.state() == "MILEAGE_CONFIRMED"


MOVES = st.lists(
    st.sampled_from(["confirm", "object", "answer", "correct", "pass 20 h", "pass 50 h", "driver"]), max_size=9
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_whatever_happens_a_journey_is_confirmed_at_most_once_and_always_may_be(ended, database, moves):
    """A model in plain words beside the real thing: confirmed or not, an objection open or not, the hours since."""
    with database.engine.begin_nested() as undo:
        done, is_open, hours, at, corrected = None, False, 22.0, ended.now, None
        for move in moves:
            if move.startswith("pass"):
                passed = int(move.split()[1])
                hours, at = hours + passed, at + timedelta(hours=passed)
                due = done is None and not is_open and hours >= 48
                assert jobs.confirm_due(database, at) == {"confirmed": int(due)}
                if due:
                    done = "auto"
                continue
            call, may = {
                "confirm": (ended.confirm, True),
                "object": (ended.object_to, done is None and not is_open),
                "answer": (ended.answer, done is None and is_open),
                "correct": (lambda at: ended.answer(proposed_m=30_000, at=at), done is None and is_open),
                "driver": (lambda at: ended.confirm("driver.xhedu", at=at), False),
            }[move]
            given_reason = {"reason": f"第 {at:%d%H} 次"} if move == "object" else {}
            try:
                call(at=at, **given_reason)
                worked = True
            except FleetError:
                worked = False
            same_again = worked and not may and move in {"object", "answer", "correct"} and done is None
            assert worked is may or same_again, (move, moves)
            if move == "confirm" and done is None:
                done = "person"
            elif may and move == "object":
                is_open = True
            elif may and move in {"answer", "correct"}:
                is_open, hours = False, 0.0
                corrected = 30_000 if move == "correct" else corrected
            row = ended.row()
            assert (row is None) == (done is None)
            assert (ended.state() == "MILEAGE_CONFIRMED") == (done is not None)
        if done is None:
            ended.confirm(at=at)
        row = ended.row()
        assert row.auto is (done == "auto")
        assert row.confirmed_m == (20_000 if corrected is None else corrected)
        undo.rollback()


def test_the_three_distances_are_seen_by_who_may_see_the_order(ended, database, acting):
    for username in ("applicant.xhedu", "unit_admin.xhedu", "dispatcher.xihu", "auditor.city"):
        who = acting(username)
        with database.transaction(who) as session:
            order = orders.get_order(session, order_id=ended.order_id, actor=who)
            found = queries.journey(session, order=order).found
            assert (found.odometer_m, found.gps_m) == (20_000, 19_600)
    with pytest.raises(NotFound), database.transaction(acting("applicant.xhhealth")) as session:
        orders.get_order(session, order_id=ended.order_id, actor=acting("applicant.xhhealth"))
