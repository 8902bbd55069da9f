"""The board's page and data, plans beside it, the quick answer to a waiting order, and what readers may not do."""

from datetime import timedelta
from itertools import pairwise

import pytest

from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.db import Database
from fleetapp.phone import service as phone
from fleetapp.planning import again

BOARD = "/board/live/data?day=2026-11-18"
WINDOW = {"start_at": "2026-11-18T09:00", "end_at": "2026-11-19T00:00", "time_limit_s": "1"}


@pytest.fixture(autouse=True)
def at_nine(monkeypatch, now):
    """The office clock stands at the world's nine o'clock; signing in takes no time."""
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)


@pytest.fixture
def client(browse):
    return browse("dispatcher.xihu")


def post_json(client, path: str, **body):
    return client.post(path, json=body, headers={"X-CSRFToken": client.csrf})


def test_rows_stand_under_holder_pool_or_yard_with_queue_and_bars(client, approved, assign):
    first, second = approved(), approved(start_h=1, end_h=2)
    assign(first)
    page = client.get("/board").get_data(as_text=True)
    assert all(word in page for word in ("实时调度台", "智能派车", "异常", "11-18 · 1"))
    for by in ("org", "pool", "yard"):
        found = client.get(f"{BOARD}&by={by}").json
        assert {one["id"] for one in found["queue"]} == {second}
        assert [one["orders"][0]["id"] for one in found["bars"]] == [first]
        assert all(row["group"] for row in found["rows"])
        groups = [row["group"] for row in found["rows"]]
        assert sum(a != b for a, b in pairwise(groups)) == len(set(groups)) - 1, "a group stands together"
    assert client.get("/board?by=colour").status_code == 422


def test_a_plan_is_asked_for_watched_compared_and_taken_over(client, approved, database, now):
    order_id = approved()
    assert "生成方案" in client.get("/board/plans").get_data(as_text=True)
    refused = client.submit("/board/plans", **{**WINDOW, "end_at": "2026-11-18T08:00"})
    assert refused.status_code == 422
    wrong = client.submit("/board/plans", **WINDOW, vehicles_out="浙A99999")
    assert (wrong.status_code, "浙A99999" in wrong.text) == (422, True)
    asked = client.submit("/board/plans", **WINDOW)
    assert 'hx-trigger="every 1s"' in asked.text
    assert again.work(database, tick=lambda: now) == 1
    path = asked.text.split('hx-get="/board/plans/')[1].split('"')[0]
    page = client.get(f"/board/plans/{path}").text
    assert f'value="{order_id}" id="p{order_id}" checked' in page
    assert all(word in page for word in ("现状", "可证差距", "工时差"))
    why = client.get(f"/board/plans/{path}/why/{order_id}").text
    assert "可派" in why
    assert "可派，须留意" in why
    assert client.submit(f"/board/plans/{path}/accept").status_code == 422
    done = client.submit(f"/board/plans/{path}/accept", order_ids=order_id)
    assert "已采用 1 项改动" in done.text
    assert f'"order_id": {order_id}' in done.headers["HX-Trigger"]
    assert client.submit(f"/board/plans/{path}/accept", order_ids=order_id).status_code == 409
    assert "已采用" in client.get("/board/plans").text


def test_a_what_if_says_what_is_different_and_may_be_stopped(client, approved, assign, database, now):
    order_id = approved()
    assign(order_id)
    number = client.get(BOARD).json["bars"][0]["orders"][0]["number"]
    asked = client.submit(
        "/board/plans", **WINDOW, vehicles_out="浙A10001", extra_number=number, extra_at="2026-11-18T15:00"
    )
    path = asked.text.split('hx-get="/board/plans/')[1].split('"')[0]
    assert client.submit(f"/board/plans/{path}/stop").status_code == 200
    again.work(database, tick=lambda: now)
    page = client.get(f"/board/plans/{path}").text
    assert f"停用 浙A10001；加一单同 {number}" in page
    assert client.get(BOARD).json["bars"][0]["plate"] == "浙A10001", "the real day is as it was"


def test_a_waiting_order_is_answered_with_the_best_three_and_given_with_one_click(client, approved, assign):
    assign(approved())
    order_id = approved()
    found = client.get(f"/board/plans/insert?order_id={order_id}").json
    assert [one["plate"] for one in found["best"]] == ["浙AD00002"]
    assert "增加约" in found["best"][0]["text"]
    move = {"order_id": order_id, "seen": None, **{key: found["best"][0][key] for key in ("vehicle_id", "driver_id")}}
    assert post_json(client, "/board/live/moves", moves=[move]).status_code == 200
    again_asked = client.get(f"/board/plans/insert?order_id={order_id}")
    assert again_asked.status_code == 403, "it waits no more"


def test_readers_look_on_and_others_are_told(browse, client, approved, assign):
    order_id = approved()
    held = assign(order_id)
    reader = browse("leader.city")
    page = reader.get("/board").text
    assert "data-may" not in page
    assert "只能查看" in reader.get("/board/plans").text
    assert reader.submit("/board/plans", **WINDOW).status_code == 403
    assert post_json(reader, f"/board/day/{order_id}/remind/overstay", seen=held).status_code == 403
    assert reader.get(f"/board/day/{order_id}/substitutes").status_code == 403
    assert post_json(reader, "/board/live/lock", order_id=order_id, seen=held, locked=True).status_code == 403
    for path in ("/board", "/board/live/data", "/board/plans", "/board/day/emergency"):
        assert browse("applicant.xhedu").get(path).status_code == 403


def test_an_order_locked_on_the_board_is_not_given_back_on_its_page(client, approved, assign):
    order_id = approved()
    held = assign(order_id)
    assert post_json(client, "/board/live/lock", order_id=order_id, seen=held, locked=True).status_code == 200
    assert "已锁定" in client.get(f"/orders/{order_id}/assignment").text
    assert client.submit(f"/orders/{order_id}/release", reason="换车").status_code == 422
    assert post_json(client, "/board/live/lock", order_id=order_id, seen=held, locked=False).status_code == 200
    assert client.submit(f"/orders/{order_id}/release", reason="换车").status_code == 302


def test_a_phone_on_the_way_is_shown_as_a_phone_and_a_silent_terminal_as_an_exception(
    browse, approved, assign, acting, database: Database, now, monkeypatch
):
    order_id = approved(start_h=0.5, end_h=4)
    held = assign(order_id)
    driver, left = acting("driver.xhedu"), now + timedelta(minutes=30)
    for action, odometer_m in ((DutyAction.ACCEPT, None), (DutyAction.CHECK_OUT, 10_000_000)):
        with database.transaction(driver) as session:
            duty.report(session, assignment_id=held, action=action, idempotency_key=f"phone-{action}", actor=driver, now=left, odometer_m=odometer_m)  # fmt: skip
    with database.transaction(driver) as session:
        phone.add_positions(session, assignment_id=held, positions=[{"at": left, "lat": 30.26, "lon": 120.13, "accuracy_m": 9.0}],
                            sent_at=left, actor=driver, now=left)  # fmt: skip
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: left)
    found = browse("dispatcher.xihu").get(BOARD).json
    [place] = [one for one in found["places"] if one["source"] == "phone"]
    assert (place["point"], "手机" in place["text"]) == ([120.13, 30.26], True)
    assert "offline" in [one["code"] for one in found["alerts"]]


def test_emergencies_and_the_reserve_stand_beside_the_board(browse):
    page = browse("dispatcher.city").get("/board/day/emergency")
    assert page.status_code == 200
    assert "没有进行中的启动或演练" in page.text


def test_a_script_is_told_that_the_session_is_over_and_a_person_is_led_to_sign_in(app):
    client = app.test_client()
    asked = client.get("/board/live/data", headers={"Sec-Fetch-Dest": "empty"})
    assert (asked.status_code, asked.json["code"]) == (401, "kit.not_signed_in")
    walked = client.get("/board", headers={"Sec-Fetch-Dest": "document"})
    assert (walked.status_code, walked.headers["Location"]) == (302, "/sign-in?next=/board")


def test_an_order_dropped_on_a_journey_is_told_what_joining_saves_or_that_the_journey_is_gone(
    browse, client, approved, assign
):
    first, second = approved(), approved()
    assign(first)
    key = client.get(BOARD).json["bars"][0]["id"]
    found = client.get(f"/board/live/join?order_id={second}&pool_key={key}").json
    assert found["fit"] in {"yes", "care", "no"}
    assert found["text"]
    gone = client.get(f"/board/live/join?order_id={second}&pool_key={key + 1000}")
    assert (gone.status_code, gone.json["code"]) == (422, "planning.journey_gone")
    assert browse("leader.city").get(f"/board/live/join?order_id={second}&pool_key={key}").status_code == 403
