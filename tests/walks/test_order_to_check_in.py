"""From the application to the check-in, once by the API and once by the pages' own forms, over real HTTP."""

import re
import uuid
from datetime import datetime, timedelta

import pytest

from fleetapp.kit import clock
from fleetapp.planning import again
from fleetapp.web.display import input_moment
from tests import serving

DRIVERS = ("driver.xhedu", "driver2.xhedu")
ORIGIN = {"name": "西湖区人民政府", "lat": 30.261755, "lon": 120.125436}
EAST = {"name": "杭州东站", "lat": 30.293549, "lon": 120.208203}


def window(in_days: int) -> tuple[datetime, datetime]:
    """Return two hours of an office day that is not over yet, in whole minutes."""
    start = clock.start_of(clock.local_date(clock.now()) + timedelta(days=in_days)) + timedelta(hours=9)
    return start, start + timedelta(hours=2)


def application(start: datetime, end: datetime) -> dict[str, object]:
    return {
        "kind": "ordinary", "purpose": "meeting", "reason": "参加全市教育工作会议", "passengers": "科室 2 人", "passenger_count": 2,
        "contact": "0571-87000000", "body": "sedan", "start_at": start.isoformat(), "end_at": end.isoformat(),
        "stops": [ORIGIN, EAST], "request_key": uuid.uuid4().hex,
    }  # fmt: skip


def approved(calls, start: datetime, end: datetime) -> int:
    order_id = calls("applicant.xhedu")(
        "POST", "/orders", application(start, end) | {"overlap_reason": "两组分乘"}, status=201
    ).json["id"]
    calls("approver.xhedu")("POST", f"/orders/{order_id}/approve", {})
    return order_id


def test_by_the_api(calls):
    start, end = window(1)
    applicant, approver, dispatcher = (calls(name) for name in ("applicant.xhedu", "approver.xhedu", "dispatcher.xihu"))
    asked = application(start, end)
    order = applicant("POST", "/orders", asked, status=201).json
    assert applicant("POST", "/orders", asked, status=201).json["id"] == order["id"], "a retry made another order"
    assert order["state"] == "SUBMITTED"
    assert order["id"] in [row["id"] for row in approver("GET", "/orders/inbox").json]
    applicant("POST", f"/orders/{order['id']}/approve", {}, status=403)
    assert approver("POST", f"/orders/{order['id']}/approve", {}).json["state"] == "APPROVED"

    asked_for = {"start_at": start.isoformat(), "end_at": end.isoformat(), "time_limit_s": 2}
    approver("POST", "/plans", asked_for, status=403)
    run = dispatcher("POST", "/plans", asked_for, status=201).json
    assert run["state"] == "DONE", run["failure"]
    for _ in range(2):
        [outcome] = dispatcher("POST", f"/plans/{run['id']}/confirm", {}).json
        assert (outcome["order_id"], outcome["code"]) == (order["id"], None)

    crew = {name: calls(name) for name in DRIVERS}
    duties = {name: call("GET", f"/duties?on={clock.local_date(start)}").json for name, call in crew.items()}
    [(who, [duty])] = [(name, found) for name, found in duties.items() if found]
    assert re.fullmatch(r"330106-\w+-\d{4}-\d{5}", duty["slip"])
    assert [stop["name"] for stop in duty["stops"]] == [ORIGIN["name"], EAST["name"]]

    other = next(name for name in DRIVERS if name != who)
    steps = f"/duties/{duty['assignment_id']}/events"
    [reading_km] = [
        car["odometer_m"] / 1000 for car in dispatcher("GET", "/vehicles").json if car["plate"] == duty["plate"]
    ]
    crew[other]("POST", steps, {"action": "ACCEPT", "idempotency_key": uuid.uuid4().hex}, status=404)
    for action, state, more in (
        ("ACCEPT", "DRIVER_ACCEPTED", {}),
        (
            "CHECK_OUT",
            "CHECKED_OUT",
            {"odometer_km": reading_km + 0.4, "lat": 30.2640, "lon": 120.1260, "accuracy_m": 12},
        ),
        ("ARRIVE", "EN_ROUTE", {}),
        ("CHECK_IN", "RETURNED", {"odometer_km": reading_km + 25.9, "lat": 30.2640, "lon": 120.1260, "accuracy_m": 9}),
    ):
        step = {"action": action, "idempotency_key": uuid.uuid4().hex, **more}
        first, again = (crew[who]("POST", steps, step, status=201).json for _ in range(2))
        assert first == again, "a retry made another step"
        assert applicant("GET", f"/orders/{order['id']}").json["state"] == state
    assert applicant("POST", f"/orders/{order['id']}/confirmation", {"reason": "绕行"}).json["confirmed_m"] == 25_500
    assert applicant("GET", f"/orders/{order['id']}").json["state"] == "MILEAGE_CONFIRMED"
    told = [event["action"] for event in applicant("GET", f"/orders/{order['id']}").json["events"]]
    assert told == ["submit", "approve", "dispatch", "accept", "check_out", "arrive", "check_in", "confirm"]


def test_a_vehicle_and_a_driver_are_never_booked_twice(calls):
    start, end = window(2)
    dispatcher = calls("dispatcher.xihu")
    first, second = approved(calls, start, end), approved(calls, start + timedelta(hours=1), end + timedelta(hours=1))
    cases = dispatcher("GET", f"/orders/{first}/candidates").json
    free = [case for case in cases if case["code"] is None]
    given = {"vehicle_id": free[0]["vehicle_id"], "driver_id": free[0]["driver_id"]}
    made = dispatcher("POST", f"/orders/{first}/assignment", given, status=201).json

    refused = dispatcher("POST", f"/orders/{second}/assignment", given, status=409).json
    assert refused["code"] == "planning.vehicle_taken"
    assert made["plate"] in refused["message"]["zh"]
    same_driver = given | {"vehicle_id": free[1]["vehicle_id"]}
    assert (
        dispatcher("POST", f"/orders/{second}/assignment", same_driver, status=409).json["code"]
        == "planning.driver_taken"
    )

    dispatcher("DELETE", f"/orders/{first}/assignment", {"reason": "行程有变"})
    again = dispatcher("POST", f"/orders/{second}/assignment", given, status=201).json
    assert again["slip"] != made["slip"], "the number of a void slip was given out again"


def test_by_the_pages(visits, calls, city):
    start, end = window(3)
    applicant = visits("applicant.xhedu")
    applicant.get("/orders/new")
    page = applicant.submit(
        "/orders/new", kind="ordinary", purpose="meeting", reason="参加全市教育工作会议", passengers="科室 2 人",
        passenger_count="2", contact="0571-87000000", start_at=input_moment(start), end_at=input_moment(end),
        stop_name=["西湖区人民政府", "杭州东站"],
    )  # fmt: skip
    assert "待审批" in page.text
    order_id = int(page.path.rpartition("/")[2])

    approver = visits("approver.xhedu")
    assert f"/orders/{order_id}" in approver.get("/orders/inbox").text
    approver.submit(f"/orders/{order_id}/approve", note="同意")

    dispatcher = visits("dispatcher.xihu")
    assert f'"id":{order_id},' in dispatcher.get(f"/board/live/data?day={clock.local_date(start)}").text
    dispatcher.get(f"/board/plans?day={clock.local_date(start)}")
    page = dispatcher.submit(
        "/board/plans", start_at=input_moment(start), end_at=input_moment(end), time_limit_s="5"
    ).text
    run_path = re.search(r"/board/plans/\d+", page)[0]
    again.work(city, tick=clock.now)
    dispatcher.get(run_path)
    dispatcher.submit(f"{run_path}/accept")
    slip = dispatcher.get(f"/orders/{order_id}/slip").text
    number = re.search(r"330106-\w+-\d{4}-\d{5}", slip)
    assert number
    assert "<svg" in slip

    driver, duty = next(
        (person, row)
        for person, name in ((visits(name), name) for name in DRIVERS)
        for row in calls(name)("GET", f"/duties?on={clock.local_date(start)}").json
    )
    page = f"/duty/{duty['assignment_id']}"
    assert number[0] in driver.get(page).text
    driver.submit(page, where={"action": "ACCEPT"})
    offered_km = float(dict(serving.forms(driver.page, page)[0].fields)["odometer_km"])
    refused = driver.submit(page, where={"action": "CHECK_OUT"}, odometer_km=f"{offered_km - 1}", status=422)
    assert f"{offered_km:.1f}" in refused.text, "the last reading is not told"
    driver.submit(page, where={"action": "CHECK_OUT"}, odometer_km=f"{offered_km + 1:,.1f}")
    driver.submit(page, where={"action": "ARRIVE"})
    assert "待确认" in driver.submit(page, where={"action": "CHECK_IN"}, odometer_km=f"{offered_km + 30:.1f}").text
    assert "待确认里程（1）" in applicant.get("/home").text
    applicant.get(f"/orders/{order_id}/confirmation")
    assert "评价本次服务" in applicant.submit(f"/orders/{order_id}/confirmation", reason="绕行").text
    assert "待结算" in applicant.get(f"/orders/{order_id}").text


@pytest.mark.parametrize("path", ["/orders", "/board", "/api/v1/orders"])
def test_nobody_gets_in_without_signing_in(base, path):
    answer = serving.exchange(base, "GET", path, None, {})
    if path.startswith("/api"):
        assert (answer.status, answer.json["code"]) == (401, "kit.not_signed_in")
    else:
        assert (answer.status, answer.headers["Location"]) == (302, f"/sign-in?next={path}")


def test_the_audit_chain_is_whole_after_all_that(url, calls):
    approved(calls, *window(4))
    done = serving.command(url, "flask", "--app", "wsgi", "audit", "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "audit chain whole" in done.stdout
