"""Orders through the API."""

from datetime import timedelta

import pytest

from fleetapp.kit import clock

START = (clock.now() + timedelta(days=2)).replace(microsecond=0)


def body(**changes):
    return {
        "purpose": "meeting", "reason": "参加全市教育工作会议", "passengers": "教研员甲", "passenger_count": 1, "contact": "0571-87000000",
        "start_at": START.isoformat(), "end_at": (START + timedelta(hours=3)).isoformat(),
        "stops": [{"name": "西湖区教育局", "lat": 30.264, "lon": 120.126}, {"name": "西湖国宾馆", "lat": 30.23, "lon": 120.129, "tolerance_m": 500}],
        **changes,
    }  # fmt: skip


@pytest.fixture
def made(api):
    answer = api("applicant.xhedu")("POST", "/orders", json=body())
    assert answer.status_code == 201, answer.json
    return answer.json


def test_an_order_is_made_listed_and_shown(api, made):
    assert made["state"] == "SUBMITTED"
    assert made["stops"][1] == {"position": 1, "name": "西湖国宾馆", "lat": 30.23, "lon": 120.129, "tolerance_m": 500}
    call = api("approver.xhedu")
    listed = call("GET", "/orders?group=to_approve&q=教育工作")
    assert [order["number"] for order in listed.json] == [made["number"]]
    assert listed.headers["X-Total-Count"] == "1"
    assert [order["id"] for order in call("GET", "/orders/inbox").json] == [made["id"]]
    shown = call("GET", f"/orders/{made['id']}").json
    assert [event["action"] for event in shown["events"]] == ["submit"]


def test_the_whole_application_through_the_api_up_to_cancelling(api, made):
    applicant, approver = api("applicant.xhedu"), api("approver.xhedu")
    path = f"/orders/{made['id']}"
    assert approver("POST", f"{path}/approve", json={"note": "同意。"}).json["state"] == "APPROVED"
    refused = applicant("POST", f"{path}/cancel", json={})
    assert (refused.status_code, "reason" in str(refused.json["fields"])) == (422, True)
    cancelled = applicant("POST", f"{path}/cancel", json={"reason": "会议改期"}).json
    assert (cancelled["state"], cancelled["closing_reason"]) == ("CANCELLED", "会议改期")
    wrong = applicant("POST", f"{path}/withdraw", json={})
    assert (wrong.status_code, wrong.json["code"]) == (403, "kit.wrong_state")


def test_refusing_and_withdrawing(api, made):
    path = f"/orders/{made['id']}"
    other = api("applicant.xhedu")("POST", "/orders", json=body(overlap_reason="分两地参会")).json
    assert api("approver.xhedu")("POST", f"{path}/reject", json={"reason": "可乘坐地铁"}).json["state"] == "REJECTED"
    assert api("applicant.xhedu")("POST", f"/orders/{other['id']}/withdraw", json={}).json["state"] == "WITHDRAWN"


@pytest.mark.parametrize("username", ["applicant.bjwater", "driver.xhedu", "approver.xhhealth"])
def test_an_order_out_of_reach_does_not_exist(api, made, username):
    call = api(username)
    assert call("GET", "/orders").json == []
    for method, path, json in [("GET", "", None), ("POST", "/approve", {}), ("POST", "/cancel", {"reason": "x"})]:
        assert call(method, f"/orders/{made['id']}{path}", json=json).status_code == 404


def test_who_may_see_may_still_not_decide(api, made):
    answer = api("auditor.city")("POST", f"/orders/{made['id']}/approve", json={})
    assert (answer.status_code, answer.json["code"]) == (403, "kit.not_allowed")


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"purpose": "holiday"}, "purpose"),
        ({"reason": "   "}, "reason"),
        ({"passenger_count": 61}, "passenger_count"),
        ({"passenger_count": "two"}, "passenger_count"),
        ({"start_at": "tomorrow"}, "start_at"),
        ({"stops": [{"name": "甲"}]}, "stops"),
        ({"stops": [{"name": "甲", "lat": 91, "lon": 120}]}, "stops"),
        ({"stops": [{"name": "甲", "lat": "NaN", "lon": 120}]}, "stops"),
        ({"vehicle": 1}, "vehicle"),
        ({"reason": "甲\u0000乙"}, "reason"),
    ],
)
def test_input_of_the_wrong_form_names_its_field(api, changes, where):
    answer = api("applicant.xhedu")("POST", "/orders", json=body(**changes))
    assert answer.status_code == 422
    assert where in str(answer.json["fields"])


def test_a_broken_rule_is_told_in_both_languages(api):
    answer = api("applicant.xhedu")("POST", "/orders", json=body(end_at=START.isoformat()))
    assert (answer.status_code, answer.json["code"]) == (422, "orders.window_reversed")
    assert answer.json["message"]["zh"] == "返回时间须晚于出发时间。"


def test_the_same_request_key_returns_the_same_order(api):
    call = api("applicant.xhedu")
    first, second = (call("POST", "/orders", json=body(request_key="phone-1")).json for _ in range(2))
    assert first["number"] == second["number"]
    assert call("GET", "/orders").headers["X-Total-Count"] == "1"


def test_local_times_without_a_zone_are_office_time(api):
    local = clock.local(START).replace(tzinfo=None)
    made = api("applicant.xhedu")("POST", "/orders", json=body(start_at=local.isoformat())).json
    assert made["start_at"] == START.isoformat()


def test_a_list_takes_whole_local_days(api, made):
    call, on = api("applicant.xhedu"), clock.local_date(START)
    assert len(call("GET", f"/orders?start_on={on}&end_on={on}").json) == 1
    assert call("GET", f"/orders?start_on={on + timedelta(days=1)}").json == []
    assert call("GET", f"/orders?end_on={on - timedelta(days=1)}").json == []
    assert call("GET", "/orders?state=LOST").status_code == 422
