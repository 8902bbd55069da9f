"""Orders that share a vehicle: joining, leaving, and what nobody gets past, the database included."""

import re

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.orders.rules import Stop
from fleetapp.planning import journeys, queries, service, turns
from fleetapp.planning.models import Assignment, JourneyStop
from tests import world
from tests.planning.conftest import ASKED, EAST, LAKE, NEAR_EAST, ORIGIN


@pytest.fixture
def first(approved, assign):
    """The assignment of an order of xhedu to the east station."""
    return assign(approved(stops=[ORIGIN, EAST]))


def test_an_order_joins_a_journey_and_each_keeps_its_slip(first, approved, join, row, database, acting, now):
    order_id = approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST])
    dispatcher = acting("dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        alone = turns.of(session, rows=[queries.active_of(session, order_id=_order_of(database, first))])
        assert [(turn.stop.name, turn.planned_at) for turn in alone] == [(ORIGIN.name, None), (EAST.name, None)]
        order = session.get_one(TravelOrder, order_id)
        [option] = journeys.options(session, order=order, actor=dispatcher, now=now)
        assert (option.fault, len(option.consent_of), option.vehicle.plate) == (None, 2, "浙A10001")
        assert option.saved_m > 15_000
    with pytest.raises(RuleBroken, match="pool_consent"):
        join(order_id, first, consent=None)
    made = join(order_id, first)
    assert join(order_id, first) == made, "a second click made another"
    a, b = row(Assignment, first), row(Assignment, made)
    assert (a.pool_key, a.vehicle_id, a.driver_id) == (b.pool_key, b.vehicle_id, b.driver_id)
    assert a.slip_id != b.slip_id
    assert (a.consent, b.consent) == (ASKED, ASKED)
    assert row(TravelOrder, order_id).state == "DISPATCHED"
    with database.transaction(SYSTEM) as session:
        stops = turns.of(session, rows=queries.journeys(session, pool_keys=[a.pool_key]))
        assert [turn.stop.name for turn in stops] == [ORIGIN.name, ORIGIN.name, NEAR_EAST.name, EAST.name]
        assert [turn.planned_at for turn in stops] == sorted(turn.planned_at for turn in stops)
        shares = queries.journey_of(session, order_id=order_id)
        assert [share.assignment.id for share in shares] == [first, made]
        assert all(share.passengers == 2 and 15_000 < share.direct_m < 40_000 for share in shares)
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "planning.pooled")).one()
        assert len(entry.data["orders"]) == 2
        told = set(session.scalars(select(Notice.user_id).where(Notice.code == "planning.notice.pooled")))
    people = ("driver.xhedu", "applicant.xhedu", "applicant.xhhealth")
    assert told == {world.user_id(database, name) for name in people}


def test_one_order_leaves_and_the_rest_goes_on(first, approved, join, row, database, acting, now):
    order_id = approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST])
    made = join(order_id, first)
    applicant = acting("applicant.xhhealth")
    with database.transaction(applicant) as session:
        service.cancel(session, order_id=order_id, reason="会议取消", actor=applicant, now=now)
    left, stays = row(Assignment, made), row(Assignment, first)
    assert (left.state, row(TravelOrder, order_id).state) == ("RELEASED", "CANCELLED")
    assert row(DispatchSlip, left.slip_id).void_at == now
    assert (stays.state, row(DispatchSlip, stays.slip_id).void_at) == ("ACTIVE", None)
    again = join(approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST]), first)
    assert row(Assignment, again).pool_key == stays.pool_key


def test_whatever_speaks_against_it_is_told_before_and_refused(first, approved, join, database, acting, now):
    cases = {
        "pool_alone": {"kind": "confidential", "purpose": "documents"},
        "seats": {"passenger_count": 3},
        "pool_apart": {"start_h": 7.0, "end_h": 9, "stops": [ORIGIN, LAKE]},
        "pool_wait": {"stops": [Stop("富阳区", 30.0500, 119.9500), EAST]},
    }
    dispatcher = acting("dispatcher.xihu")
    for code, changes in cases.items():
        order_id = approved(unit="xhhealth", **{"stops": [ORIGIN, NEAR_EAST], **changes})
        with database.transaction(dispatcher) as session:
            order = session.get_one(TravelOrder, order_id)
            found = journeys.options(session, order=order, actor=dispatcher, now=now)
            assert [option.fault.code for option in found] == [code]
        with pytest.raises(RuleBroken, match=code):
            join(order_id, first)


def test_nobody_joins_who_may_not_assign_and_a_journey_that_is_gone_takes_nobody(
    first, approved, join, assign, database, acting, now
):
    order_id = approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST])
    for who in ("fleet_manager.xihu", "approver.xhhealth"):
        with pytest.raises(NotAllowed):
            join(order_id, first, by=who)
    other = assign(approved(start_h=30, end_h=32))
    with pytest.raises(Conflict, match="already_assigned"):
        join(_order_of(database, other), first)
    dispatcher = acting("dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        service.release(session, order_id=_order_of(database, first), reason="换车", actor=dispatcher, now=now)
    with pytest.raises(RuleBroken, match="journey_gone"):
        join(order_id, first)


def _order_of(database, assignment_id):
    with database.transaction(SYSTEM) as session:
        return session.get_one(Assignment, assignment_id).order_id


COPY = """INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at, consent, pool_key)
    SELECT a.org_id, o.org_id, o.id, {vehicle}, {driver}, a.slip_id, a.during, 'ACTIVE', now(), {consent}, {key}
    FROM assignment a, travel_order o WHERE a.id = :a AND o.id = :o"""


@pytest.mark.parametrize(("changes", "refusal"), [
    ({"key": "DEFAULT"}, "ex_assignment_vehicle"),
    ({"vehicle": "(SELECT id FROM vehicle WHERE plate = '浙A10003')"}, "ex_assignment_pool_vehicle"),
    ({"driver": "(SELECT max(id) FROM driver)"}, "ex_assignment_pool_driver"),
    ({"consent": "''"}, "ck_assignment_pool"),
    ({"order": {"passenger_count": 3}}, "ck_assignment_seats"),
    ({"order": {"kind": "confidential", "purpose": "documents"}}, "ck_assignment_pool"),
    ({"order": {"start_h": 7.2, "end_h": 8}}, "ck_assignment_pool"),
])  # fmt: skip
def test_the_database_itself_keeps_journeys_apart_and_whole(first, approved, database, changes, refusal):
    order_id = approved(unit="xhhealth", **changes.pop("order", {}))
    words = {"vehicle": "a.vehicle_id", "driver": "a.driver_id", "consent": "'已同意'", "key": "a.pool_key", **changes}
    if words["key"] == "DEFAULT":
        words["key"] = "nextval('journey_seq')"
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE assignment SET consent = '已同意' WHERE id = :a"), {"a": first})
    with pytest.raises(Conflict) as refused, database.transaction(SYSTEM) as session:
        session.execute(text(COPY.format(**words)), {"a": first, "o": order_id})
    assert refused.value.__cause__.orig.diag.constraint_name == refusal


def test_an_assignment_stays_in_its_journey_and_stops_are_never_deleted(first, approved, join, database):
    with pytest.raises(DBAPIError, match="stays in its journey"), database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE assignment SET pool_key = nextval('journey_seq') WHERE id = :a"), {"a": first})
    join(approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST]), first)
    with pytest.raises(DBAPIError, match=r"refused|permission denied"), database.transaction(SYSTEM) as session:
        session.execute(text("DELETE FROM journey_stop"))
    with database.transaction(SYSTEM) as session:
        kept = session.scalars(select(JourneyStop)).first()
        with pytest.raises(DBAPIError, match="uq_journey_stop"), session.begin_nested():
            session.execute(insert(JourneyStop).values(assignment_id=kept.assignment_id, order_stop_id=kept.order_stop_id,
                                                       turn=9, planned_at=kept.planned_at))  # fmt: skip


def test_the_pages_offer_a_journey_and_show_who_is_on_board(
    first, approved, browse, api, database, acting, now, monkeypatch
):
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)
    order_id = approved(unit="xhhealth", stops=[ORIGIN, NEAR_EAST])
    far = approved(unit="xhhealth", stops=[ORIGIN, LAKE])
    dispatcher, path = browse("dispatcher.xihu"), f"/orders/{order_id}"
    page = dispatcher.get(f"{path}/assign").text
    assert "加入已排行程" in page
    assert "征得同意的情况" in page
    key = re.search(r'name="pool_key" value="(\d+)"', page)[1]
    refused = dispatcher.submit(f"{path}/join", pool_key=key)
    assert (refused.status_code, "没有同意拼车" in refused.text) == (422, True)
    assert dispatcher.submit(f"{path}/join", pool_key=key, consent=ASKED).status_code == 302
    assert "乘客座位 4 个，少于乘车 6 人" in dispatcher.get(f"/orders/{far}/assign").text
    bars = dispatcher.get("/board/live/data").json["bars"]
    assert [one["pooled"] for one in bars if len(one["orders"]) == 2] == ["拼车 2 单"]
    numbers = [order.number for order in _orders(database, order_id, _order_of(database, first))]
    applicant = browse("applicant.xhhealth")
    for shown in (applicant.get(f"{path}/assignment").text, applicant.get(f"{path}/slip").text):
        assert all(number in shown for number in numbers)
        assert NEAR_EAST.name in shown
    call = api("dispatcher.xihu")
    assert [row["code"] for row in call("GET", f"/orders/{far}/journey").json] == ["seats"]
    again = call("POST", f"{path}/journey", json={"pool_key": int(key)}).json
    assert (again["order_id"], again["journey"]) == (order_id, int(key))
    assert api("applicant.xhhealth")("POST", f"/orders/{far}/journey", json={"pool_key": int(key)}).status_code == 403


def _orders(database, *order_ids):
    with database.transaction(SYSTEM) as session:
        return [session.get_one(TravelOrder, order_id) for order_id in order_ids]
