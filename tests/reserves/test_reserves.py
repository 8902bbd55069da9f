"""Floors: who sets them, how they end, and that normal dispatch cannot go below one by any way in."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import service as planning
from fleetapp.reserves import queries, rules, service
from fleetapp.reserves.rules import Level
from tests import world
from tests.reserves.conftest import open_event

FIRST, SECOND = ("浙A10001", "driver.xhedu"), ("浙AD00002", "driver2.xhedu")


def assign(database, known, order_id, pair=FIRST, by="dispatcher.xihu", at=datetime(2026, 11, 18, 1, tzinfo=UTC)):
    actor = world.actor(database, by)
    with database.transaction(actor) as session:
        return planning.assign(session, order_id=order_id, vehicle_id=known[pair[0]], driver_id=known[pair[1]], actor=actor, now=at).id  # fmt: skip


def test_the_second_of_two_sedans_stays_and_the_message_says_why(database, known, approved, floor):
    floor()
    assign(database, known, approved())
    with pytest.raises(RuleBroken) as refused:
        assign(database, known, approved(), SECOND)
    assert refused.value.code == "planning.why.reserve_floor"
    said = refused.value.params
    assert (said["pool"]["zh"], said["body"], said["floor"], said["free"]) == (
        "西湖区",
        {"text": "vehicles.body.sedan"},
        1,
        0,
    )
    # Another time, another district and an emergency are free to go.
    assert assign(database, known, approved(start_h=30, end_h=31), SECOND)
    urgent = approved(kind=OrderKind.EMERGENCY, purpose=Purpose.EMERGENCY)
    assert assign(database, known, urgent, SECOND)


def test_the_api_says_which_floor_in_both_languages(database, known, approved, floor, api):
    floor()
    ahead = {"start_h": 24 * 300, "end_h": 24 * 300 + 2}  # the API goes by the real clock
    assign(database, known, approved(**ahead))
    call = api("dispatcher.xihu")
    order_id = approved(**ahead)
    given = {"vehicle_id": known[SECOND[0]], "driver_id": known[SECOND[1]]}
    answer = call("POST", f"/orders/{order_id}/assignment", json=given)
    assert answer.status_code == 422
    message = answer.get_json()["message"]
    assert "西湖区的应急保底车辆将不足：轿车保底 1 辆" in message["zh"]
    assert "West Lake district" in message["en"]
    assert "Sedan, floor 1" in message["en"]
    cases = {case["vehicle_id"]: case["code"] for case in call("GET", f"/orders/{order_id}/candidates").get_json()}
    assert cases[known[SECOND[0]]] == "reserve_floor"
    [reserve] = call("GET", "/reserves").get_json()
    assert (reserve["body"], reserve["floor"], reserve["free"], reserve["total"], reserve["standing"]) == (
        "sedan",
        1,
        2,
        2,
        "ok",
    )


INSERT = text(
    "INSERT INTO assignment (org_id, order_org_id, order_id, vehicle_id, driver_id, slip_id, during, state, assigned_at)"
    " SELECT v.org_id, o.org_id, o.id, v.id, :driver, :slip, tstzrange(:start, :end), 'ACTIVE', now()"
    " FROM travel_order o, vehicle v WHERE o.id = :order AND v.id = :vehicle RETURNING id"
)


def test_raw_sql_is_refused_on_insert_move_and_coming_back(database, known, approved, floor, now):
    floor()
    held = assign(database, known, approved())
    later = assign(database, known, approved(start_h=30, end_h=31), SECOND)
    actor = world.actor(database, "dispatcher.xihu")
    with database.transaction(SYSTEM) as session:
        slip = session.scalar(text("SELECT slip_id FROM assignment WHERE id = :id"), {"id": held})
    window = {"start": now + timedelta(hours=5), "end": now + timedelta(hours=6)}
    wish = {"order": approved(), "vehicle": known[SECOND[0]], "driver": known[SECOND[1]], "slip": slip, **window}
    with pytest.raises(Conflict, match=r"reserves\.broken"), database.transaction(actor) as session:
        session.execute(INSERT, wish)
    move = text("UPDATE assignment SET during = tstzrange(:start, :end) WHERE id = :id")
    with pytest.raises(Conflict, match=r"reserves\.broken"), database.transaction(actor) as session:
        session.execute(move, {"id": later, **window})
    with database.transaction(actor) as session:
        session.execute(
            text("UPDATE assignment SET state = 'RELEASED', released_at = now() WHERE id = :id"), {"id": held}
        )
    with database.transaction(actor) as session:
        session.execute(INSERT, wish)
    with pytest.raises(Conflict, match=r"reserves\.broken"), database.transaction(actor) as session:
        session.execute(text("UPDATE assignment SET state = 'ACTIVE', released_at = NULL WHERE id = :id"), {"id": held})


def test_a_vehicle_kept_for_an_event_is_taken_from_the_reserve_one_kept_for_an_emergency_is_it(
    database, known, floor, orgs, now
):
    floor(vehicles=2)
    keep = text(
        "INSERT INTO hold (org_id, vehicle_id, during, cause, cause_id, held_at) VALUES"
        " (:org, :vehicle, tstzrange(:start, :end), :cause, :event, now())"
    )
    given = {"org": orgs["330106"], "vehicle": known[FIRST[0]], "start": now, "end": now + timedelta(hours=1)}
    with database.transaction(SYSTEM) as session:
        given["event"] = open_event(session)
    actor = world.actor(database, "dispatcher.xihu")
    with pytest.raises(Conflict, match=r"reserves\.broken"), database.transaction(actor) as session:
        session.execute(keep, given | {"cause": "occasion"})
    with database.transaction(actor) as session:
        session.execute(keep, given | {"cause": "emergency"})
        [reserve] = queries.reserves(session, actor=actor, at=now)
    assert (reserve.free, reserve.standing) == (1, "short")


def test_hours_days_and_levels_decide_when_a_floor_holds(database, known, approved, floor, now):
    # 09:00 now; orders run 13:00-16:00, taken 12:30-16:30 with their buffers.
    floor(from_min=17 * 60, until_min=22 * 60, vehicles=2)
    floor(body="any", vehicles=9, start_on=date(2026, 11, 19))
    floor(level=Level.II, vehicles=2, end_on=date(2026, 11, 19))
    actor = world.actor(database, "vehicle_office.city")
    assign(database, known, approved())
    with database.transaction(actor) as session:
        city = session.scalars(select(Organisation).where(Organisation.code == "330100")).one()
        service.declare(session, org=city, level=Level.III, cause="YJ1", actor=actor, now=now)
    assign(database, known, approved(start_h=1, end_h=2), SECOND)
    with pytest.raises(RuleBroken):
        assign(database, known, approved(start_h=7, end_h=8.5), SECOND)  # until 17:30 and half an hour
    with database.transaction(actor) as session:
        service.declare(session, org=city, level=Level.I, cause="YJ1", actor=actor, now=now)
    with pytest.raises(RuleBroken):
        assign(database, known, approved(start_h=4, end_h=5), SECOND)
    with database.transaction(actor) as session:
        service.declare(session, org=city, level=None, cause="YJ1", actor=actor, now=now + timedelta(minutes=1))
        assert queries.alerts(session, at=now + timedelta(minutes=1)) == []
    assert assign(database, known, approved(start_h=4, end_h=5), SECOND)
    with pytest.raises(RuleBroken):
        assign(database, known, approved(start_h=20, end_h=21), SECOND)  # the day after, where nine stay


def test_a_plan_leaves_the_reserve_at_rest(database, known, approved, floor, now):
    floor()
    mine = [approved(), approved()]
    actor = world.actor(database, "dispatcher.xihu")
    window = Span(now + timedelta(hours=3), now + timedelta(hours=8))
    run = planning.plan(database, window=window, actor=actor, now=now, time_limit_s=2)
    with database.transaction(actor) as session:
        outcomes = planning.confirm(session, run_id=run.id, actor=actor, now=now)
        [reserve] = queries.reserves(session, actor=actor, at=now + timedelta(hours=5))
    assert [outcome.code for outcome in outcomes if outcome.order_id in mine].count(None) >= 1
    assert reserve.free >= reserve.floor


def test_who_sets_and_who_reads(database, acting, floor, now):
    made = floor()
    for username in ("dispatcher.xihu", "fleet_manager.xihu", "leader.city", "auditor.city", "applicant.xhedu"):
        with pytest.raises(NotAllowed):
            floor(by=username, body="mpv")
    reader = acting("dispatcher.xihu")
    with database.transaction(reader) as session:
        assert [row.id for row in session.scalars(queries.visible_to(reader))] == [made.id]
    other = acting("dispatcher.binjiang")
    with database.transaction(other) as session:
        assert session.scalars(queries.visible_to(other)).all() == []
    with pytest.raises(Conflict, match=r"reserves\.floor_there"):
        floor(vehicles=2)


@pytest.mark.parametrize(
    ("given", "code"),
    [({"code": "330106-EDU"}, "reserves.no_pool"), ({"from_min": 60, "until_min": 60}, "reserves.bad_hours"),
     ({"start_on": date(2026, 11, 17)}, "reserves.bad_period"), ({"end_on": date(2026, 11, 18)}, "reserves.bad_period")],
)  # fmt: skip
def test_what_a_floor_may_not_be(floor, given, code):
    with pytest.raises(RuleBroken, match=code.replace(".", r"\.")):
        floor(**given)


def test_a_floor_only_ends_earlier(database, acting, floor, now):
    made, planned = floor(), floor(body="mpv", start_on=date(2026, 12, 1))
    actor = acting("vehicle_office.city")
    with database.transaction(actor) as session:
        for _ in range(2):
            assert service.end_floor(
                session, floor_id=made.id, reason="预案调整", actor=actor, now=now
            ).during.upper == date(2026, 11, 19)
        assert service.end_floor(session, floor_id=planned.id, reason="预案调整", actor=actor, now=now).during.isempty
    for change in (
        "vehicles = 0",
        "during = daterange('2026-11-18', NULL)",
        "during = daterange('2026-11-17', '2026-11-19')",
        "level = 'I'",
    ):
        with pytest.raises(IntegrityError, match="only end earlier"), database.transaction(actor) as session:
            session.execute(text(f"UPDATE reserve_floor SET {change} WHERE id = :id"), {"id": made.id})
    with pytest.raises(ProgrammingError, match="permission denied"), database.transaction(SYSTEM) as session:
        session.execute(text("DELETE FROM reserve_floor"))


def test_levels_and_standing():
    assert list(rules.RANK.values()) == [0, 1, 2, 3, 4]
    assert [level.value for level in rules.DECLARED] == ["I", "II", "III", "IV"]
    assert [rules.standing(0, 0), rules.standing(1, 1), rules.standing(2, 1), rules.standing(1, 2)] == [
        "ok",
        "at_risk",
        "short",
        "ok",
    ]
