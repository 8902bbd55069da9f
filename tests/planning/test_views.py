"""Pages and API of dispatchers."""

import pytest


@pytest.fixture(autouse=True)
def at_nine(monkeypatch, now):
    """The office clock stands at the world's nine o'clock; signing in takes no time."""
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)


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
