"""A flood: the reserve stops an ordinary order, level II takes three cars, one of them from an order; a driver goes; it is over."""

import uuid
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from fleetapp.accounts.models import Organisation
from fleetapp.emergency import plans
from fleetapp.kit import clock
from fleetapp.notices.models import Notice
from fleetapp.reserves import service as reserves
from fleetapp.reserves.rules import Level
from tests import world
from tests.emergency.conftest import DISPATCHER, FIRST, LEADER, OFFICE, OFFICER, SECOND
from tests.planning.conftest import ids
from tests.walks.test_order_to_check_in import application

PLACE = "杭州东站"


@pytest.fixture(scope="module")
def plan_id(city) -> int:
    """The city's plan, and a floor of one sedan for the district."""
    now, office = clock.now(), world.actor(city, OFFICE)
    with city.transaction(office) as session:
        orgs = {code: row for code, row in session.execute(select(Organisation.code, Organisation.id))}  # noqa: C416 -- rows
        plan = plans.make(session, org_id=orgs["330100"], title="防汛防台车辆应急保障预案", actor=office, now=now)
        calls = [
            {"pool_id": orgs["330106"], "body": "sedan", "vehicles": 2},
            {"pool_id": orgs["330100"], "body": "any", "vehicles": 1},
        ]
        plans.set_level(
            session,
            plan_id=plan.id,
            level=Level.II,
            instructions="立即集结",
            hours=6,
            goes=True,
            calls=calls,
            actor=office,
            now=now,
        )
        plans.add_officer(
            session, plan_id=plan.id, user_id=world.user_id(city, OFFICER), task="现场调度", actor=office, now=now
        )
        reserves.set_floor(session, org_id=orgs["330106"], body="sedan", level=Level.USUAL, from_min=0, until_min=1440,
                           start_on=clock.local_date(now), vehicles=1, reason="防汛预案", actor=office, now=now)  # fmt: skip
        return int(plan.id)


def soon() -> tuple[datetime, datetime]:
    """Return two hours that begin in one."""
    start = clock.now().replace(second=0, microsecond=0) + timedelta(hours=1)
    return start, start + timedelta(hours=2)


def approved(calls, unit: str, start: datetime, end: datetime) -> int:
    """Apply and approve in the name of a unit."""
    order_id = calls(f"applicant.{unit}")("POST", "/orders", application(start, end), status=201).json["id"]
    calls(f"approver.{unit}")("POST", f"/orders/{order_id}/approve", {})
    return int(order_id)


def test_a_flood_from_the_floor_to_the_figures(visits, calls, city, plan_id):
    dispatcher = calls("dispatcher.xihu")
    cars = {car["plate"]: car for car in dispatcher("GET", "/vehicles").json}
    start, end = soon()
    first, second = approved(calls, "xhedu", start, end), approved(calls, "xhhealth", start, end)
    known = ids(city)
    give = [{"vehicle_id": known[plate], "driver_id": known[driver]} for plate, driver in (FIRST, SECOND)]
    dispatcher("POST", f"/orders/{first}/assignment", give[0], status=201)
    refused = dispatcher("POST", f"/orders/{second}/assignment", give[1], status=422).json
    assert refused["code"] == "planning.why.reserve_floor"
    assert "西湖区的应急保底车辆将不足：轿车保底 1 辆" in refused["message"]["zh"]

    head = visits(DISPATCHER)
    head.get(f"/emergency/new?plan_id={plan_id}&level=II")
    shown = head.submit("/emergency/new", reason="强降雨防汛", place=PLACE, leader_id=f"{world.user_id(city, LEADER)}",
                        officer_id=f"{world.user_id(city, OFFICER)}")  # fmt: skip
    path = shown.path
    number = calls("applicant.xhedu")("GET", f"/orders/{first}").json["number"]
    for said in ("尚未通知任何人", FIRST[0], number, "暂无可替代车辆"):
        assert said in shown.text
    assert "响应中" in head.submit(f"{path}/confirm").text

    applicant = visits("applicant.xhedu")
    assert calls("applicant.xhedu")("GET", f"/orders/{first}").json["state"] == "APPROVED"
    assert "应急启动" in applicant.get(f"/orders/{first}").text
    with city.transaction(world.actor(city, "applicant.xhedu")) as session:
        [notice] = session.scalars(select(Notice).where(Notice.code == "emergency.notice.taken")).all()
    assert (notice.params["order"], notice.urgent) == (number, True)

    [duty] = [
        row
        for row in calls(FIRST[1])("GET", f"/duties?on={clock.local_date(clock.now())}").json
        if row["plate"] in {FIRST[0], SECOND[0]}
    ]
    steps = f"/duties/{duty['assignment_id']}/events"
    reading_km = cars[duty["plate"]]["odometer_m"] / 1000
    for action, more in (("ACCEPT", {}), ("CHECK_OUT", {"odometer_km": reading_km + 0.1}), ("ARRIVE", {})):
        calls(FIRST[1])("POST", steps, {"action": action, "idempotency_key": uuid.uuid4().hex, **more}, status=201)

    activation_id = path.rpartition("/")[2]
    found = calls(DISPATCHER)("GET", f"/emergency/activations/{activation_id}/cars").json["figures"]
    assert (found["called"], found["accepted"], found["left"], found["arrived"], found["within"]) == (3, 1, 1, 1, 1)
    leader = visits(LEADER)
    leader.get(path)
    assert "已补签" in leader.submit(f"{path}/sign", note="同意。").text
    head.get(path)
    assert "已终止" in head.submit(f"{path}/stand_down", note="雨势减弱").text
    assert "33 %" in head.get("/emergency/year").text
    assert "没有启动应急响应" in head.get("/emergency").text
