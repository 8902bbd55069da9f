"""The phone's calls and pages."""

from datetime import timedelta

import pytest
import time_machine


@pytest.fixture(autouse=True)
def at_nine(now):
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        yield


def test_the_driver_finds_the_duty_and_reports_its_steps(api, dispatched):
    call = api("driver.xhedu")
    duty = call("GET", "/duties").json[0]
    assert (duty["plate"], duty["next_steps"]) == ("浙A10001", ["ACCEPT"])
    answer = call("POST", f"/duties/{dispatched}/events", json={"action": "ACCEPT", "idempotency_key": "phone-0001"})
    assert answer.status_code == 201, answer.json
    again = call("POST", f"/duties/{dispatched}/events", json={"action": "ACCEPT", "idempotency_key": "phone-0001"})
    assert again.json["id"] == answer.json["id"]
    out = {
        "action": "CHECK_OUT",
        "idempotency_key": "phone-0002",
        "odometer_km": "10,000.5",
        "lat": 30.264,
        "lon": 120.126,
    }
    assert call("POST", f"/duties/{dispatched}/events", json=out).json["odometer_m"] == 10_000_500
    assert call("GET", "/duties").json[0]["next_steps"] == ["ARRIVE", "CHECK_IN"]


def test_nobody_else_gets_at_it(api, dispatched):
    step = {"action": "ACCEPT", "idempotency_key": "phone-0001"}
    assert api("driver2.xhedu")("POST", f"/duties/{dispatched}/events", json=step).status_code == 404
    assert api("auditor.city")("GET", "/duties").status_code == 403


@pytest.mark.parametrize(
    "wrong", [{"action": "FLY"}, {"idempotency_key": "x"}, {"lat": 91}, {"odometer_km": -1}, {"surprise": 1}]
)
def test_a_malformed_step_is_refused_by_field(api, dispatched, wrong):
    step = {"action": "ACCEPT", "idempotency_key": "phone-0001", **wrong}
    answer = api("driver.xhedu")("POST", f"/duties/{dispatched}/events", json=step)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.json["fields"]["json"]


def test_the_pages_work_without_scripts(browse, dispatched):
    client = browse("driver.xhedu")
    assert "浙A10001" in client.get("/duty").get_data(as_text=True)
    page = client.get(f"/duty/{dispatched}").get_data(as_text=True)
    assert "接受任务" in page
    assert client.submit(f"/duty/{dispatched}", action="ACCEPT", idempotency_key="form-0001").status_code == 302
    wrong = client.submit(f"/duty/{dispatched}", action="CHECK_OUT", idempotency_key="form-0002", odometer_km="9000")
    assert wrong.status_code == 422
    assert "里程不能小于上次的 10000.0 公里" in wrong.get_data(as_text=True)
    done = client.submit(f"/duty/{dispatched}", action="CHECK_OUT", idempotency_key="form-0002", odometer_km="10000.3")
    assert done.status_code == 302
    page = client.get(f"/duty/{dispatched}").get_data(as_text=True)
    assert "到达：杭州东站" in page
    assert "uri.amap.com" in page
