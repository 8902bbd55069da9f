"""Pages and API of dispatchers."""

import re

import pytest


@pytest.fixture(autouse=True)
def at_nine(monkeypatch, now):
    """The office clock stands at the world's nine o'clock; signing in takes no time."""
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)


def test_the_board_shows_the_queue_the_bars_and_what_is_out_of_service(browse, approved, assign):
    first, second = approved(), approved(start_h=1, end_h=2)
    assign(first)
    page = browse("dispatcher.xihu").get("/board").get_data(as_text=True)
    assert f'href="/orders/{second}/assign"' in page
    assert f'href="/orders/{first}/assign"' not in page
    assert "浙A10001" in page
    assert "浙A10005" not in page
    assert re.search(r'<rect class="planning-bar planning-DISPATCHED" x="[\d.]+%" width="[\d.]+%"', page)
    assert "生成方案" in page
    assert "style=" not in page
    assert "onclick" not in page


def test_the_board_of_another_day_is_empty_and_a_filter_narrows_rows(browse, approved):
    approved()
    client = browse("dispatcher.xihu")
    page = client.get("/board?day=2026-12-01").get_data(as_text=True)
    assert "当天没有待派的用车单" in page
    assert "11-18 · 1" in page
    page = client.get("/board?q=10003").get_data(as_text=True)
    assert "浙A10003" in page
    assert "浙A10001" not in page
    assert "没有可显示的车辆" in client.get("/board?q=nothing").get_data(as_text=True)
    assert client.get("/board?day=yesterday").status_code == 422


def test_who_may_read_sees_no_buttons_and_others_are_told(browse, approved):
    approved()
    page = browse("leader.city").get("/board").get_data(as_text=True)
    assert "/board/plan" not in page
    assert "/assign" not in page
    assert browse("applicant.xhedu").get("/board").status_code == 403
    assert (
        browse("leader.city").submit("/board/plan", start_at="2026-11-18T09:00", end_at="2026-11-19T00:00").status_code
        == 403
    )


def test_a_plan_from_the_board_is_shown_ticked_and_taken_over(browse, approved):
    order_id = approved()
    client = browse("dispatcher.xihu")
    assert client.submit("/board/plan", start_at="2026-11-19T09:00", end_at="2026-11-19T18:00").status_code == 422
    assert client.submit("/board/plan", start_at="2026-11-19T09:00", end_at="2026-11-18T18:00").status_code == 422
    answer = client.submit("/board/plan", start_at="2026-11-18T09:00", end_at="2026-11-19T00:00", time_limit_s="1")
    assert answer.status_code == 302
    page = client.get(answer.location).get_data(as_text=True)
    assert f'name="order_ids" value="{order_id}"' in page
    assert "1 / 1" in page
    assert client.submit(f"{answer.location}/confirm").status_code == 422
    assert client.submit(f"{answer.location}/confirm", order_ids=order_id).status_code == 302
    page = client.get(answer.location).get_data(as_text=True)
    assert "330106-EDU-2026-00001" in page
    assert 'name="order_ids"' not in page


def test_an_order_is_assigned_by_hand_with_reasons_for_every_vehicle(browse, approved, known):
    order_id = approved()
    client = browse("dispatcher.xihu")
    page = client.get(f"/orders/{order_id}/assign").get_data(as_text=True)
    assert "可派" in page
    assert "该车辆单位没有可派驾驶员" in page
    form = {"vehicle_id": known["浙A10001"], "driver_id": known["driver.xhedu"]}
    assert client.submit(f"/orders/{order_id}/assign", **form).status_code == 302
    shown = client.get(f"/orders/{order_id}/assignment").get_data(as_text=True)
    assert "浙A10001" in shown
    assert "330106-EDU-2026-00001" in shown
    other = approved()
    refused = client.submit(f"/orders/{other}/assign", **form)
    assert refused.status_code == 409
    assert "已派给" in refused.get_data(as_text=True)
    assert "不需要派车" in client.get(f"/orders/{order_id}/assign").get_data(as_text=True)
    assert browse("applicant.xhedu").get(f"/orders/{other}/assign").status_code == 403


def test_the_order_page_loads_its_part_and_cancelling_voids_the_slip(browse, approved, assign):
    order_id = approved()
    assign(order_id)
    client = browse("applicant.xhedu")
    page = client.get(f"/orders/{order_id}").get_data(as_text=True)
    assert f'hx-get="/orders/{order_id}/assignment"' in page
    assert f'action="/orders/{order_id}/cancel-dispatched"' in page
    assert client.submit(f"/orders/{order_id}/cancel-dispatched", reason="会议改期").status_code == 302
    shown = client.get(f"/orders/{order_id}/assignment").get_data(as_text=True)
    assert "已作废的派车单" in shown
    assert "会议改期" in shown


def test_the_api_does_what_the_pages_do(api, approved, known):
    call = api("dispatcher.xihu")
    order_id = approved()
    run = call("POST", "/plans", json={"start_at": "2026-11-18T09:00", "end_at": "2026-11-19T00:00", "time_limit_s": 1})
    assert run.status_code == 201
    assert call("GET", f"/plans/{run.json['id']}").json["plan"]["figures"]["served"] == 1
    told = call("POST", f"/plans/{run.json['id']}/confirm", json={}).json
    assert [(row["order_id"], row["code"]) for row in told] == [(order_id, None)]
    day = call("GET", "/assignments?day=2026-11-18").json
    assert [(row["order_id"], row["slip"]) for row in day] == [(order_id, "330106-EDU-2026-00001")]
    assert call("GET", "/assignments?day=2026-11-20").json == []
    assert call("DELETE", f"/orders/{order_id}/assignment", json={"reason": "车辆送修"}).json["state"] == "APPROVED"
    options = call("GET", f"/orders/{order_id}/candidates").json
    assert options[0]["code"] is None
    body = {"vehicle_id": known["浙AD00002"], "driver_id": known["driver2.xhedu"]}
    assert call("POST", f"/orders/{order_id}/assignment", json=body).status_code == 201
    busy = call("POST", f"/orders/{approved()}/assignment", json=body)
    assert (busy.status_code, busy.json["code"]) == (409, "planning.vehicle_taken")
    assert "浙AD00002" in busy.json["message"]["zh"]
    assert (
        call("POST", f"/orders/{order_id}/cancel-dispatched", json={"reason": "会议取消"}).json["state"] == "CANCELLED"
    )
    assert call("POST", f"/orders/{order_id}/assignment", json={"vehicle": 1}).status_code == 422
    assert (
        call("POST", "/plans", json={"start_at": "2026-11-18T09:00", "end_at": "2026-11-18T08:00"}).status_code == 422
    )


def test_the_api_refuses_who_may_not(api, approved, assign, known):
    order_id = approved()
    body = {"vehicle_id": known["浙A10001"], "driver_id": known["driver.xhedu"]}
    for username, status in (("applicant.xhedu", 403), ("auditor.xihu", 403), ("dispatcher.binjiang", 404)):
        assert api(username)("POST", f"/orders/{order_id}/assignment", json=body).status_code == status
    assert (
        api("fleet_manager.xihu")(
            "POST", "/plans", json={"start_at": "2026-11-18T09:00", "end_at": "2026-11-19T00:00"}
        ).status_code
        == 403
    )
    assert api("applicant.xhedu")("GET", "/assignments").status_code == 403
