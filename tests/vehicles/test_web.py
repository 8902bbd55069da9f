"""Pages and API of the registry."""

import html
import json

import pytest

from tests import world

VIN = world.with_check_digit("LSVAA11Z5M2777777")
FORM = {"plate": "浙A77777", "vin": VIN, "category": "YJBZ", "body": "sedan", "energy": "petrol", "seats": "5", "model": "示例",
        "registered_on": "2023-05-01", "secrecy": "normal"}  # fmt: skip


@pytest.fixture
def org_id(api):
    return {org["code"]: org["id"] for org in api("fleet_manager.city")("GET", "/organisations").json}


@pytest.fixture
def vehicle_id(api):
    return {row["plate"]: row["id"] for row in api("fleet_manager.city")("GET", "/vehicles?size=200").json}


def test_the_list_shows_counts_filters_and_an_empty_state(browse):
    client = browse("fleet_manager.xihu")
    page = client.get("/vehicles").get_data(as_text=True)
    assert "浙A10001" in page
    assert "浙A10005" not in page  # Binjiang's
    assert "登记车辆" in page
    found = client.get("/vehicles?q=ad00002&state=IN_SERVICE&energy=bev").get_data(as_text=True)
    assert "浙AD00002" in found
    assert "浙A10001" not in found
    assert "暂无数据" in client.get("/vehicles?q=nothing").get_data(as_text=True)
    assert client.get("/vehicles?state=FLYING").status_code == 422
    assert client.get("/vehicles?colour=red").status_code == 422


def test_who_may_not_read_or_register_is_told_so(browse, vehicle_id):
    assert browse("applicant.xhedu").get("/vehicles").status_code == 403
    reader = browse("dispatcher.xihu")
    assert "登记车辆" not in reader.get("/vehicles").get_data(as_text=True)
    assert reader.get("/vehicles/new").status_code == 403
    assert reader.get(f"/vehicles/{vehicle_id['浙A10001']}/edit").status_code == 403
    assert "变更状态" not in reader.get(f"/vehicles/{vehicle_id['浙A10001']}").get_data(as_text=True)
    assert reader.get(f"/vehicles/{vehicle_id['浙A10005']}").status_code == 404


def test_a_vehicle_is_registered_through_the_form_and_seen_on_its_page(browse, org_id):
    client = browse("fleet_manager.xihu")
    assert client.get("/vehicles/new").status_code == 200
    answer = client.submit(
        "/vehicles/new", **FORM, org_id=org_id["330106-EDU"], odometer_km="120", terminal_phone="013912345678"
    )
    assert answer.status_code == 302, answer.get_data(as_text=True)
    page = client.get(answer.location).get_data(as_text=True)
    for shown in ("浙A77777", "在用", "120 km", "13912345678", VIN, "车辆已登记", "登记"):
        assert shown in page


@pytest.mark.parametrize(
    ("wrong", "field", "words"),
    [
        ({"plate": "浙A777777"}, "plate", "车牌号格式不对"),
        ({"plate": "浙A10001"}, "plate", "已有在册车辆"),
        ({"vin": VIN[:-1] + "8"}, "vin", "校验位不符"),
        ({"energy": "bev", "plate": "浙AD77777"}, "range_km", "须填续航里程"),
        ({"terminal_phone": "13900000001"}, "terminal_phone", "另一辆车上"),
        ({"seats": ""}, "seats", "必填项"),
        ({"seats": "many"}, "seats", "请填整数"),
    ],
)
def test_an_error_stands_next_to_its_input_and_what_was_typed_stays(browse, org_id, wrong, field, words):
    answer = browse("fleet_manager.xihu").submit("/vehicles/new", **FORM | wrong, org_id=org_id["330106-EDU"])
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert words in page.split(f'id="d-{field}"')[1].split("</div>")[0]
    assert 'value="示例"' in page


def test_the_page_carries_the_parking_polygon_for_the_map(browse, vehicle_id):
    page = browse("auditor.city").get(f"/vehicles/{vehicle_id['浙A10001']}").get_data(as_text=True)
    features = json.loads(html.unescape(page.split("data-features='")[1].split("'")[0]))
    assert features["features"][0]["geometry"]["type"] == "Polygon"
    assert features["features"][0]["properties"] == {"kind": "parking", "label": "西湖区教育局停车场"}


def test_facts_are_corrected_through_the_form_and_an_old_page_is_refused(browse, vehicle_id):
    client = browse("fleet_manager.xihu")
    path = f"/vehicles/{vehicle_id['浙A10001']}/edit"
    form = FORM | {
        "plate": "浙A10001",
        "vin": world.with_check_digit("LSVAA11Z5M2000001"),
        "model": "新车型",
        "version": "1",
    }
    assert client.submit(path, **form).status_code == 302
    page = client.get(path.removesuffix("/edit")).get_data(as_text=True)
    assert "新车型" in page
    assert "修改档案" in page
    assert "未指定" in page  # the emptied parking input cleared it
    late = client.submit(path, **form | {"model": "另一车型"})
    assert late.status_code == 422
    assert "他人刚刚修改" in late.get_data(as_text=True)


PROPERTY = {
    "acquired_by": "purchase", "acquired_on": "2023-04-20", "made_on": "2023-03-01", "domestic": "true", "price_ex_tax": "119800.00",
    "purchase_tax": "11980.00", "engine_no": "E-77", "displacement_ml": "1498", "tank_l": "50.0", "fuel_grade": "95", "colour": "黑",
}  # fmt: skip


def test_purchase_and_engine_are_entered_corrected_and_cleared(browse, api, org_id):
    client, call = browse("fleet_manager.xihu"), api("fleet_manager.xihu")
    made = client.submit("/vehicles/new", **FORM, **PROPERTY, org_id=org_id["330106-EDU"], management_mode="platform")
    assert made.status_code == 302
    path = made.location
    kept = call("GET", path).json
    assert {key: str(kept[key]).lower() if key == "domestic" else str(kept[key]) for key in PROPERTY} == PROPERTY
    assert kept["management_mode"] == "platform"
    page = client.get(f"{path}/edit").get_data(as_text=True)
    assert 'value="119800.00"' in page
    wrong = client.submit(f"{path}/edit", **FORM, **PROPERTY | {"price_ex_tax": "-1"}, version=kept["version"])
    assert wrong.status_code == 422
    changed = client.submit(
        f"{path}/edit", **FORM, **PROPERTY | {"colour": "", "domestic": "false"}, version=kept["version"]
    )
    assert changed.status_code == 302
    after = call("GET", path).json
    assert (after["colour"], after["domestic"], after["engine_no"]) == (None, False, "E-77")
    assert call("PATCH", path, json={"management_mode": "rented"}).status_code == 422


def test_state_and_terminal_are_changed_on_the_page(browse, vehicle_id):
    client = browse("fleet_manager.xihu")
    path = f"/vehicles/{vehicle_id['浙A10001']}"
    assert client.submit(f"{path}/state", to="SEALED", reason="国庆封存").status_code == 302
    refused = client.submit(f"{path}/state", to="SEALED", reason="国庆封存")
    assert refused.status_code == 422
    assert "不能这样变更" in refused.get_data(as_text=True)
    assert client.submit(f"{path}/terminal", terminal_phone="13988888888").status_code == 302
    page = client.get(path).get_data(as_text=True)
    assert "13988888888" in page
    assert "13900000001" in page  # the one before stays in the history
    assert client.submit(f"{path}/terminal", terminal_phone="13900000002").status_code == 422
    assert client.submit(f"{path}/terminal", terminal_phone="").status_code == 302


def test_english_pages_have_english_words(browse, vehicle_id):
    client = browse("fleet_manager.xihu")
    client.set_cookie("lang", "en")
    page = client.get(f"/vehicles/{vehicle_id['浙AD00002']}").get_data(as_text=True)
    assert "Battery electric" in page
    assert "Designated parking" in page


def test_the_api_registers_corrects_and_moves_a_vehicle(api, org_id):
    call = api("fleet_manager.xihu")
    body = FORM | {"org_id": org_id["330106-EDU"], "odometer_m": 5000, "terminal_phone": "13911112222"}
    made = call("POST", "/vehicles", json=body)
    assert made.status_code == 201, made.json
    path = f"/vehicles/{made.json['id']}"
    assert call("GET", path).json == made.json
    assert call("POST", "/vehicles", json=body).json["code"] in {"vehicles.plate_taken", "vehicles.vin_taken"}
    changed = call("PATCH", path, json={"model": "新车型", "version": made.json["version"]})
    assert (changed.json["model"], changed.json["plate"]) == ("新车型", "浙A77777")
    stale = call("PATCH", path, json={"model": "旧", "version": made.json["version"]})
    assert (stale.status_code, stale.json["code"]) == (409, "kit.changed_meanwhile")
    assert call("PATCH", path, json={"state": "SEALED"}).status_code == 422
    assert call("POST", f"{path}/state", json={"to": "SEALED", "reason": "国庆封存"}).json["state"] == "SEALED"
    assert call("POST", f"{path}/terminal", json={"phone": None}).status_code == 204
    assert call("POST", f"{path}/terminal", json={}).status_code == 422


def test_the_api_lists_with_totals_and_refuses_strangers(api, vehicle_id):
    answer = api("auditor.city")("GET", "/vehicles?size=2&page=2")
    assert (len(answer.json), answer.headers["X-Total-Count"], answer.headers["X-Pages"]) == (2, "6", "3")
    assert api("applicant.xhedu")("GET", "/vehicles").status_code == 403
    assert api("auditor.binjiang")("GET", f"/vehicles/{vehicle_id['浙A10001']}").status_code == 404
    refused = api("auditor.city")(
        "POST", f"/vehicles/{vehicle_id['浙A10001']}/state", json={"to": "SEALED", "reason": "封存"}
    )
    assert (refused.status_code, refused.json["code"]) == (403, "kit.not_allowed")
