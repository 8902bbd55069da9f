"""Emergencies through the pages and the API, with who may and who may not side by side."""

from datetime import timedelta
from io import BytesIO

import openpyxl
import pytest

from fleetapp.emergency import plans, service
from fleetapp.kit import clock
from fleetapp.reserves.rules import Level
from tests.emergency.conftest import DISPATCHER, EAST, FIRST, LEADER, OFFICE, OFFICER, SECOND

READERS = [DISPATCHER, OFFICE, LEADER, "fleet_manager.city", "auditor.city"]
OTHERS = ["applicant.xhedu", "driver.xhedu", "finance.city", "unit_admin.xhedu"]


def page(client, path, status=200):
    answer = client.get(path)
    text = answer.get_data(as_text=True)
    assert answer.status_code == status, text[:600]
    return text


@pytest.fixture
def today(emergencies):
    """The same world, its clock on the real day: pages ask the real clock."""
    emergencies.now = clock.now().replace(second=0, microsecond=0)
    return emergencies


def test_the_office_writes_a_plan_and_floors(today, browse):
    office = browse(OFFICE)
    assert "编制预案" in page(office, "/emergency/plans")
    path = office.submit("/emergency/plans", title="雨雪冰冻应急预案", org_id=today.orgs["330106"]).headers["Location"]
    level = {"level": "II", "instructions": "除雪保畅", "hours": "12", "goes": "1", "pool_id": [today.orgs["330106"], today.orgs["330106"]],
             "body": ["sedan", "any"], "vehicles": ["2", ""]}  # fmt: skip
    assert office.submit(f"{path}/level", **level).status_code == 302
    assert office.submit(f"{path}/level", **(level | {"vehicles": ["", ""]})).status_code == 422
    outside = office.submit(f"{path}/level", **(level | {"pool_id": [today.orgs["330100"], today.orgs["330106"]]}))
    assert "调车来源须在预案所属区县" in outside.get_data(as_text=True)
    assert "除雪保畅" in page(office, path)
    assert office.submit(f"{path}/officer", user_id=today.user("unit_admin.xhedu"), task="现场负责").status_code == 302
    assert office.submit(f"{path}/officer", user_id=today.user("driver.xhedu"), task="现场负责").status_code == 422
    assert browse(DISPATCHER).submit(f"{path}/level", **level).status_code == 403
    assert office.submit(f"{path}/retire").status_code == 302
    assert "已停用" in page(office, path)

    floor = {"org_id": today.orgs["330106"], "body": "sedan", "level": "usual", "from": "00:00", "until": "24:00", "vehicles": "1",
             "start_on": today.now.date().isoformat(), "reason": "防汛"}  # fmt: skip
    assert office.submit("/reserves", **(floor | {"start_on": "2099-01-01"})).status_code == 302
    assert office.submit("/reserves", **(floor | {"until": "25:99", "body": "mpv"})).status_code == 422
    again = office.submit("/reserves", **(floor | {"start_on": "2099-02-01"}))
    assert "请先停止原规定" in again.get_data(as_text=True)
    shown = page(office, "/reserves")
    assert "西湖区" in shown
    floor_id = shown.split('action="/reserves/')[1].split("/")[0]
    assert browse(DISPATCHER).submit(f"/reserves/{floor_id}/end", reason="调整").status_code == 403
    assert office.submit(f"/reserves/{floor_id}/end", reason="调整").status_code == 302


@pytest.mark.parametrize("username", OTHERS)
def test_others_see_nothing(emergencies, browse, username):
    client = browse(username)
    for path in ("/emergency", "/emergency/history", "/emergency/year", "/emergency/plans", "/reserves"):
        assert page(client, path, 403)


def test_from_the_form_to_the_record(today, browse):
    client = browse(DISPATCHER)
    assert "没有启动应急响应" in page(client, "/emergency")
    assert "没有记录" in page(client, "/emergency/history")
    assert "没有记录" in page(client, "/emergency/year")
    form = page(client, f"/emergency/new?plan_id={today.plan_id}&level=II")
    assert "立即集结" in form
    asked = {"plan_id": today.plan_id, "level": "II", "reason": "强降雨防汛", "place": "杭州东站", "hours": "6", "goes": "1",
             "pool_id": [today.orgs["330106"], today.orgs["330100"]], "body": ["sedan", "any"], "vehicles": ["2", "1"],
             "leader_id": today.user(LEADER), "officer_id": today.user(OFFICER)}  # fmt: skip
    assert "地名库中没有找到" in client.submit("/emergency/new", **(asked | {"place": "@@@"})).get_data(as_text=True)
    assert client.submit("/emergency/new", **(asked | {"officer_id": today.user(LEADER)})).status_code == 422
    path = client.submit("/emergency/new", **asked).headers["Location"]
    preview = page(client, path)
    for said in ("尚未通知任何人", FIRST[0], SECOND[0], "停放点估算", "不影响已派的日常用车"):
        assert said in preview
    assert 'name="vehicle_ids"' not in page(browse("auditor.city"), path)
    assert "请先勾选车辆" in client.submit(f"{path}/confirm").get_data(as_text=True)
    one = {"vehicle_ids": [today.known[FIRST[0]]]}
    assert client.submit(f"{path}/confirm", look="1", **one).status_code == 200
    assert client.submit(f"{path}/confirm", **one).status_code == 302
    shown = page(client, path)
    for said in ("响应中", FIRST[0], "待补签", "终止响应"):
        assert said in shown
    assert "Ⅱ级" in page(client, "/emergency")
    assert "<html" not in page(client, f"{path}/live")
    assert SECOND[0] in page(client, f"{path}?more=1")
    leader = browse(LEADER)
    assert "您口头批准了本次启动" in page(leader, path)
    assert client.submit(f"{path}/sign", note="同意").status_code == 422
    assert leader.submit(f"{path}/sign", note="同意。").status_code == 302
    assert client.submit(f"{path}/level", level="I", note="水位上涨").status_code == 302
    assert client.submit(f"{path}/stand_down", note="解除").status_code == 302
    assert client.submit(f"{path}/level", level="IV", note="x1").status_code == 422
    sheet = client.submit(f"{path}/record.xlsx", note="年度总结")
    cells = [cell.value for row in openpyxl.load_workbook(BytesIO(sheet.get_data())).active.iter_rows() for cell in row]
    assert {FIRST[0], "强降雨防汛", "编号"} <= set(cells)
    assert "YJ" in page(client, "/emergency/year")
    assert "已终止" in page(client, "/emergency/history?drill=false")
    assert "没有记录" in page(client, "/emergency/history?drill=true")


def test_by_the_api(today, api):
    call = api(DISPATCHER)
    asked = today.wish() | {"level": "II"}
    assert api("auditor.city")("POST", "/emergency/activations", json=asked).status_code == 403
    made = call("POST", "/emergency/activations", json=asked).json
    path = f"/emergency/activations/{made['id']}"
    seen = call("GET", f"{path}/preview").json
    chosen = [one["vehicle_id"] for line in seen["lines"] for one in line["candidates"] if one["chosen"]]
    assert (len(chosen), seen["effects"]) == (3, [])
    wrong = call("POST", f"{path}/confirm", json={"vehicle_ids": chosen, "bumped": [1]})
    assert (wrong.status_code, wrong.json["code"]) == (409, "emergency.changed")
    assert call("POST", f"{path}/confirm", json={"vehicle_ids": chosen}).json["state"] == "ACTIVE"
    found = call("GET", f"{path}/cars").json
    assert (len(found["cars"]), found["figures"]["called"], found["figures"]["arrived"]) == (3, 3, 0)
    other = call("POST", "/emergency/activations", json=asked).json
    refused = call("POST", f"/emergency/activations/{other['id']}/confirm", json={"vehicle_ids": chosen})
    assert (refused.status_code, refused.json["code"]) == (409, "emergency.active_already")
    assert made["number"] in refused.json["message"]["en"]
    assert call("POST", f"{path}/level", json={"level": "III", "note": "趋缓"}).json["level"] == "III"
    assert call("POST", f"{path}/stand_down", json={"note": "解除"}).json["state"] == "STOOD_DOWN"
    assert (
        call("POST", f"/emergency/activations/{other['id']}/cancel", json={"note": "重复"}).json["state"] == "CANCELLED"
    )
    assert [row["state"] for row in call("GET", "/emergency/activations").json] == ["CANCELLED", "STOOD_DOWN"]


def test_a_district_does_not_see_the_citys(emergencies, browse):
    made = emergencies.activate()
    client = browse("dispatcher.xihu")
    assert page(client, f"/emergency/{made.id}", 404)
    assert made.number in page(client, "/emergency")  # that it is in force concerns everybody below
    emergencies.take(plans.make, by=OFFICE, org_id=emergencies.orgs["330106"], title="区级预案")
    assert "区级预案" in page(client, "/emergency/plans")
    emergencies.take(
        service.change_level,
        activation_id=made.id,
        level=Level.IV,
        note="减弱",
        at=emergencies.now + timedelta(hours=1),
    )
    assert EAST["place"] not in page(client, "/emergency/history")
