"""The end of a journey through the API and the pages."""

import io
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine

from fleetapp.duty import expenses
from fleetapp.duty.rules import ExpenseKind
from fleetapp.kit.actor import SYSTEM
from tests.confirmations.conftest import GREAT


@pytest.fixture(autouse=True)
def at_nine(now):
    with time_machine.travel(now, tick=False):
        yield


def pay(ended, amount="15.50"):
    driver = ended.acting("driver.xhedu")
    with ended.database.transaction(driver) as session:
        expenses.add(session, assignment_id=ended.duty_id, kind=ExpenseKind.PARKING, amount=Decimal(amount), idempotency_key=f"pay-{amount}",
                     actor=driver, now=ended.now)  # fmt: skip


def test_confirm_object_answer_and_rate_through_the_api(ended, api):
    pay(ended)
    path = f"/orders/{ended.order_id}"
    applicant, dispatcher, stranger = api("applicant.xhedu"), api("dispatcher.xihu"), api("applicant.xhhealth")
    seen = applicant("GET", f"{path}/confirmation").json
    assert (seen["found"]["odometer_m"], seen["found"]["gps_m"], seen["tolls_cny"]) == (20_000, 19_600, "15.50")
    assert [(one["of"], one["level"]) for one in seen["differences"]] == [("GPS", "NEAR"), ("PLANNED", "NEAR")]
    assert seen["due_at"] == (ended.back_at + timedelta(hours=48)).isoformat()
    wrong = {"reason": "里程与路线不符"}
    for method, where in (("GET", "confirmation"), ("POST", "confirmation")):
        assert stranger(method, f"{path}/{where}", json={} if method == "POST" else None).status_code == 404
    assert api("driver.xhedu")("POST", f"{path}/confirmation", json={}).status_code == 403
    assert api("driver.xhedu")("POST", f"{path}/objection", json=wrong).status_code == 403
    assert applicant("POST", f"{path}/objection/answer", json={"reply": "没有异议"}).status_code == 403
    first, again = (applicant("POST", f"{path}/objection", json=wrong) for _ in range(2))
    assert (first.status_code, first.json) == (200, again.json)
    assert applicant("GET", f"{path}/confirmation").json["due_at"] is None
    answer = {"reply": "已核对照片", "proposed_km": "38.2"}
    first, again = (dispatcher("POST", f"{path}/objection/answer", json=answer) for _ in range(2))
    assert (first.json["proposed_m"], first.json) == (38_200, again.json)
    first, again = (applicant("POST", f"{path}/confirmation", json={}) for _ in range(2))
    assert (first.json["confirmed_m"], first.json["source"], first.json) == (38_200, "CORRECTED", again.json)
    assert applicant("POST", f"{path}/rating", json={"punctual": 5}).status_code == 422
    assert applicant("POST", f"{path}/rating", json=GREAT | {"driving": 6}).status_code == 422
    first, again = (applicant("POST", f"{path}/rating", json=GREAT) for _ in range(2))
    assert (first.status_code, first.json) == (200, again.json)
    assert applicant("POST", f"{path}/rating", json={"skip": True}).status_code == 409
    assert applicant("GET", f"{path}/rating").json["safety"] == 5
    assert api("driver.xhedu")("GET", f"{path}/rating").status_code == 404


def test_two_taps_from_the_first_screen(ended, browse):
    pay(ended)
    client, path = browse("applicant.xhedu"), f"/orders/{ended.order_id}/confirmation"
    home = client.get("/home").get_data(as_text=True)
    assert "待确认里程（1）" in home
    assert f'href="{path}"' in home
    page = client.get(path).get_data(as_text=True)
    for words in (
        "20.0",
        "19.6",
        "覆盖 97",
        "按规划路线",
        "一致",
        "停车费",
        "15.50",
        "确认后记为 20.0 公里（按里程表）",
        "有异议",
    ):
        assert words in page
    answer = client.submit(path)
    assert (answer.status_code, answer.location) == (302, f"/orders/{ended.order_id}/rating")
    assert "驾驶员看不到评价人" in client.get(answer.location).get_data(as_text=True)
    home = client.get("/home").get_data(as_text=True)
    assert "待确认里程" not in home
    assert "待评价（1）" in home
    short = client.submit(answer.location, punctual="5")
    assert short.status_code == 422
    assert "请选择 1–5 分。" in short.get_data(as_text=True)
    assert client.submit(answer.location, skip="true").status_code == 302
    assert "待评价" not in client.get("/home").get_data(as_text=True)
    assert "已确认 20.0 公里" in client.get(path).get_data(as_text=True)
    assert "已确认 20.0 公里" in client.get(f"{path}/panel").get_data(as_text=True)


def test_a_missing_word_and_a_second_objection_come_back_to_the_page(make, browse):
    ended = make(gps_m=30_000)
    client, path = browse("applicant.xhedu"), f"/orders/{ended.order_id}"
    page = client.get(f"{path}/confirmation").get_data(as_text=True)
    assert "差异较大，须说明" in page
    refused = client.submit(f"{path}/confirmation")
    assert (refused.status_code, "请填写差异说明" in refused.get_data(as_text=True)) == (422, True)
    assert client.submit(f"{path}/objection", reason="").status_code == 422
    assert client.submit(f"{path}/objection", reason="里程偏多").status_code == 302
    again = client.submit(f"{path}/objection", reason="停车费不对")
    assert (again.status_code, "异议尚未答复" in again.get_data(as_text=True)) == (422, True)
    dispatcher = browse("dispatcher.xihu")
    assert "待答复异议（1）" in dispatcher.get("/home").get_data(as_text=True)
    assert f"{path}/confirmation" in dispatcher.get("/confirmations?group=objected").get_data(as_text=True)
    assert "更正里程" in dispatcher.get(f"{path}/confirmation").get_data(as_text=True)
    assert dispatcher.submit(f"{path}/objection/answer", reply="已核对", proposed_km="x").status_code == 422
    assert dispatcher.submit(f"{path}/objection/answer", reply="已核对", proposed_km="31").status_code == 302
    page = client.get(f"{path}/confirmation").get_data(as_text=True)
    assert "更正为 31.0 公里" in page
    assert client.submit(f"{path}/confirmation", reason="绕行").status_code == 302
    done = dispatcher.get("/confirmations?group=done").get_data(as_text=True)
    assert "31.0" in done
    assert "差异较大" in done
    assert browse("driver.xhedu").get("/confirmations").status_code == 403
    assert browse("applicant.xhhealth").get(f"{path}/confirmation").status_code == 404


def test_a_hired_journey_ends_with_its_bill_only(make, browse, api):
    ended = make(check_in=False, gps_m=None)
    with ended.database.transaction(SYSTEM) as session:
        session.connection().exec_driver_sql("UPDATE assignment SET state = 'RELEASED', released_at = now()")
        session.connection().exec_driver_sql("UPDATE travel_order SET state = 'OUTSOURCED'")
    call = api("applicant.xhedu")
    assert call("POST", f"/orders/{ended.order_id}/confirmation", json={}).json["code"] == "confirmations.bill_needed"
    assert (
        call("POST", f"/orders/{ended.order_id}/bill", data={"bill_cny": "420"}).json["code"]
        == "confirmations.bill_needed"
    )
    client, path = browse("applicant.xhedu"), f"/orders/{ended.order_id}/confirmation"
    assert "实付金额" in client.get(path).get_data(as_text=True)
    refused = client.submit(path, bill_cny="420")
    assert (refused.status_code, "上传票据" in refused.get_data(as_text=True)) == (422, True)
    done = client.submit(path, bill_cny="420", receipt=(io.BytesIO(b"%PDF-1.4 bill"), "bill.pdf"))
    assert (done.status_code, done.location) == (302, path)
    page = client.get(path).get_data(as_text=True)
    assert "420.00" in page
    assert "bill.pdf" in page


def test_what_the_ratings_say_to_whom(make, browse):
    who = "applicant.xhedu"
    for days in range(5, 0, -1):
        ended = make(days=days)
        ended.rate(who, scores=GREAT | {"driving": 2 if days == 5 else 4}, comment="刹车急" if days == 5 else None)
        if days == 2:
            driver = browse("driver.xhedu").get("/ratings").get_data(as_text=True)
            assert "不足 5 次" in driver
            assert "刹车急" not in driver
    manager = browse("fleet_manager.xihu").get("/ratings").get_data(as_text=True)
    assert all(words in manager for words in ("刹车急", "3.6", "4.7", "2 ↓", "按驾驶员"))
    driver = browse("driver.xhedu").get("/ratings").get_data(as_text=True)
    assert all(words in driver for words in ("刹车急", "3.6", "4.7"))
    assert "按驾驶员" not in driver
    assert "YC2026" not in driver
    assert "applicant" not in driver
    assert "刹车急" not in browse("fleet_manager.binjiang").get("/ratings").get_data(as_text=True)
    assert browse(who).get("/ratings").status_code == 403
