"""A district without a vehicle asks the city: request, loan, assignment, duty; use at the district, quota at the city."""

import uuid

import pytest

from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.notices.models import Notice
from fleetapp.sharing import jobs
from tests import world
from tests.walks.test_order_to_check_in import approved, window


@pytest.fixture
def told(city):
    """Return what somebody was told of sharing."""

    def codes(username):
        user_id = world.user_id(city, username)
        with city.transaction(SYSTEM) as session:
            rows = (
                session.query(Notice)
                .filter(Notice.user_id == user_id, Notice.code.startswith("sharing."))
                .order_by(Notice.id)
            )
            return [row.code for row in rows]

    return codes


def test_a_vehicle_of_the_city_serves_a_district(calls, visits, city, told):
    start, end = window(1)
    order_id = approved(calls, start, end)
    xihu, dispatcher, driver = (calls(name) for name in ("dispatcher.xihu", "dispatcher.city", "driver.fleet"))
    orgs = {row["plate"]: row["org_id"] for row in dispatcher("GET", "/vehicles").json}
    lent, held_by = {"浙AF00006": orgs["浙AF00006"]}, orgs["浙AF00006"]
    assert "浙AF00006" not in [row["plate"] for row in xihu("GET", "/vehicles").json]
    before = {row["path"]: row["vehicles"] for row in dispatcher("GET", "/pool").json["balances"]}

    page = visits("dispatcher.xihu")
    page.get(f"/pool/requests/new?order_id={order_id}")
    asked = page.submit(
        "/pool/requests/new", to_org_id=str(world.actor(city, "dispatcher.city").org_id), reason="区内车辆均有任务"
    )
    assert "待答复" in asked.text
    request_id = int(asked.path.rpartition("/")[2])
    assert told("dispatcher.city") == ["sharing.notice.asked"]

    options = dispatcher("GET", f"/share-requests/{request_id}/vehicles").json
    vehicle = next(car for car in options if car["plate"] == "浙AF00006")
    answer = visits("dispatcher.city")
    answer.get(f"/pool/requests/{request_id}")
    agreed = answer.submit(f"/pool/requests/{request_id}/accept", where={"vehicle_id": str(vehicle["id"])})
    assert "已同意" in agreed.text
    assert told("dispatcher.xihu") == ["sharing.notice.accepted"]

    case = next(
        case for case in xihu("GET", f"/orders/{order_id}/candidates").json if case["vehicle_id"] == vehicle["id"]
    )
    assert case["code"] is None
    made = xihu(
        "POST",
        f"/orders/{order_id}/assignment",
        {"vehicle_id": vehicle["id"], "driver_id": case["driver_id"]},
        status=201,
    ).json
    assert made["plate"] in lent

    [duty] = driver("GET", f"/duties?on={clock.local_date(start)}").json
    reading_km = (
        next(car["odometer_m"] for car in dispatcher("GET", "/vehicles").json if car["plate"] == made["plate"]) / 1000
    )
    for action, more in (
        ("ACCEPT", {}), ("CHECK_OUT", {"odometer_km": reading_km + 1}), ("ARRIVE", {}), ("CHECK_IN", {"odometer_km": reading_km + 30}),
    ):  # fmt: skip
        driver(
            "POST",
            f"/duties/{duty['assignment_id']}/events",
            {"action": action, "idempotency_key": uuid.uuid4().hex, **more},
            status=201,
        )

    on = clock.local_date(start).isoformat()
    found = dispatcher("GET", f"/pool?start_on={on}&last_on={on}").json
    paths = {name: world.actor(city, f"dispatcher.{name}").org_path for name in ("city", "xihu")}
    balances = {row["path"]: row for row in found["balances"]}
    assert (balances[paths["xihu"]]["hours_used"], balances[paths["xihu"]]["hours_held"]) == (2.0, 0.0)
    assert (balances[paths["city"]]["hours_lent"], balances[paths["city"]]["hours_used"]) == (2.0, 0.0)
    assert {path: row["vehicles"] for path, row in balances.items()} == before, "a loan moves no quota"
    assert found["saved"]["across"]["orders"] == 1
    assert (
        next(car["org_id"] for car in dispatcher("GET", "/vehicles").json if car["plate"] == made["plate"]) == held_by
    )

    [loan] = xihu("GET", "/share-loans").json
    assert jobs.move_due(city, end + (end - start))["ended"] == 1
    assert xihu("GET", "/share-loans?state=ENDED").json[0]["id"] == loan["id"]
