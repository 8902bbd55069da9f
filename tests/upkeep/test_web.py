"""Upkeep through its pages and its API, with the refusals beside."""

from datetime import timedelta

import pytest

from fleetapp.kit import clock
from fleetapp.upkeep import jobs, rules
from fleetapp.vehicles import papers
from fleetapp.vehicles.rules import DocumentKind
from tests.upkeep.conftest import MANAGER, OFFICE, PLATE, UNIT

NOW = clock.now()
TODAY = clock.local_date(NOW)
ENDS_ON = TODAY + timedelta(days=12)


def ago(days):
    """Return a moment some days ago as a form sends it: nine o'clock at the office."""
    return f"{TODAY - timedelta(days=days)}T09:00"


def text_of(answer, status=200):
    assert answer.status_code == status, answer.get_data(as_text=True)[-1500:]
    return answer.get_data(as_text=True)


@pytest.fixture
def insured(car_id, take):
    """The car's insurance ends in twelve days."""
    return take(MANAGER, papers.add, NOW, vehicle_id=car_id, kind=DocumentKind.COMPULSORY_INSURANCE, number="JQX1",
                valid_from=ENDS_ON - timedelta(days=365), valid_to=ENDS_ON)  # fmt: skip


def test_a_work_order_from_a_drivers_phone_to_the_acceptance(car_id, shops, browse, api):
    driver, unit, office = browse("driver.xhedu"), browse(UNIT), browse(OFFICE)
    assert PLATE in text_of(driver.get("/upkeep/orders/new"))
    assert "本次保养项目" not in text_of(driver.get("/upkeep/orders/new"))
    text_of(driver.submit("/upkeep/orders/new", vehicle_id=car_id, fault="响"), 422)
    made = driver.submit("/upkeep/orders/new", vehicle_id=car_id, fault="制动异响，可行驶")
    path = made.headers["Location"]
    assert "制动异响" in text_of(driver.get(path))
    assert "登记报价" not in text_of(driver.get(path))
    assert driver.get("/upkeep").status_code == 403
    assert PLATE in text_of(driver.get("/upkeep/orders"))
    assert browse("driver2.xhedu").get(path).status_code == 404
    assert unit.submit(f"{path}/quotes", supplier_id=shops[2], amount="100").status_code == 422
    for shop, amount in zip(shops[:2], ("1200", "1000"), strict=True):
        assert unit.submit(f"{path}/quotes", supplier_id=shop, amount=amount).status_code == 302
    assert "1,000.00" in text_of(unit.get(path))
    assert unit.submit(f"{path}/submit", supplier_id=shops[1]).status_code == 302
    assert unit.submit(f"{path}/approve", note="同意").status_code == 403
    assert office.submit(f"{path}/approve", note="同意").status_code == 302
    assert "前后不符" in text_of(unit.submit(f"{path}/start", entry_km="9999"), 422)
    assert unit.submit(f"{path}/start", entry_km="10005.5").status_code == 302
    text_of(unit.submit(f"{path}/lines", kind="tyre", name="轮胎", quantity="2", unit_price="300"), 422)
    assert (
        unit.submit(
            f"{path}/lines", kind="tyre", name="轮胎", quantity="2", unit_price="600", serial="DOT1"
        ).status_code
        == 302
    )
    assert unit.submit(f"{path}/finish").status_code == 302
    assert "须再次审批" in text_of(unit.submit(f"{path}/accept", note="完成"), 422)
    assert "超额再审批" in text_of(office.get(path))
    assert "超额再审批</h2>" not in text_of(browse("auditor.city").get(path))
    assert office.submit(f"{path}/allow_excess", note="属实").status_code == 302
    assert unit.submit(f"{path}/accept", note="完成").status_code == 302
    assert "已验收" in text_of(unit.get("/upkeep/orders?state=ACCEPTED&q=A10001"))
    order_id = int(path.rsplit("/", 1)[1])
    told = api("auditor.city")("GET", f"/work-orders/{order_id}").json
    assert (told["state"], told["final_cost"], told["entry_m"], len(told["quotes"]), len(told["lines"])) == (
        "ACCEPTED",
        "1200.00",
        10_005_500,
        2,
        1,
    )
    assert api("auditor.binjiang")("GET", f"/work-orders/{order_id}").status_code == 404


def test_a_work_order_through_the_api(car_id, shops, api):
    unit, manager = api(UNIT), api(MANAGER)
    made = unit(
        "POST",
        "/work-orders",
        json={"vehicle_id": car_id, "kind": "maintenance", "fault": "例行保养", "items": ["engine_oil"]},
    )
    assert (made.status_code, made.json["state"]) == (201, "REPORTED")
    path = f"/work-orders/{made.json['id']}"
    assert unit("POST", f"{path}/quotes", json={"supplier_id": shops[0], "amount": "450"}).status_code == 201
    assert unit("POST", f"{path}/submission", json={"supplier_id": shops[0]}).status_code == 422
    assert (
        unit("POST", f"{path}/submission", json={"supplier_id": shops[0], "single_reason": "年度协议价"}).json["state"]
        == "QUOTED"
    )
    assert unit("POST", f"{path}/approval", json={"note": "同意"}).status_code == 403
    assert manager("POST", f"{path}/approval", json={"note": "同意"}).json["approved_limit"] == "450.00"
    assert unit("POST", f"{path}/start", json={"entry_m": 1}).status_code == 422
    assert unit("POST", f"{path}/start", json={"entry_m": 10_000_000}).json["state"] == "IN_WORK"
    assert api(UNIT)("GET", f"/vehicles/{car_id}").json["state"] == "MAINTENANCE"
    assert (
        unit(
            "POST", f"{path}/lines", json={"kind": "labour", "name": "工时", "quantity": "1", "unit_price": "450"}
        ).status_code
        == 201
    )
    assert unit("POST", f"{path}/completion", json={}).json["final_cost"] == "450.00"
    assert unit("POST", f"{path}/acceptance", json={"note": "完成"}).json["state"] == "ACCEPTED"
    assert [row["id"] for row in unit("GET", "/work-orders?state=ACCEPTED").json] == [made.json["id"]]
    assert api("driver.xhedu")("POST", f"{path}/cancellation", json={"note": "不修"}).status_code == 404


def test_the_due_page_shows_the_year_a_month_and_renews_in_one_step(database, car_id, insured, browse, api):
    jobs.remind(database, NOW)
    manager = browse(MANAGER)
    page = text_of(manager.get("/upkeep"))
    assert "还有 12 天" in page
    assert f"{TODAY} 已提醒（提前 30 天）" in page
    assert f"/upkeep/renew/{car_id}/compulsory_insurance" in page
    assert f"/upkeep/renew/{car_id}/compulsory_insurance" not in text_of(browse("auditor.xihu").get("/upkeep"))
    assert "upkeep-chip-insurance" in text_of(manager.get(f"/upkeep?month={ENDS_ON:%Y-%m}"))
    assert "没有到期事项" in text_of(manager.get("/upkeep?group=maintenance"))
    assert manager.get("/upkeep?month=2026-13").status_code == 422
    assert browse("dispatcher.xihu").get("/upkeep").status_code == 403
    assert PLATE not in text_of(browse("fleet_manager.binjiang").get("/upkeep"))
    path = f"/upkeep/renew/{car_id}/compulsory_insurance"
    form, next_end = text_of(manager.get(path)), rules.add_months(ENDS_ON, 12)
    assert f'value="{ENDS_ON}"' in form
    assert f'value="{next_end}"' in form
    paper = {
        "kind": "compulsory_insurance",
        "number": "JQX2",
        "valid_from": ENDS_ON,
        "valid_to": next_end,
        "fee": "950",
    }
    text_of(manager.submit(path, **(paper | {"valid_to": TODAY})), 422)
    assert browse(UNIT).submit(path, **paper).status_code == 403
    assert manager.submit(path, **paper).status_code == 302
    assert api(MANAGER)("GET", "/due?group=insurance").json == []
    assert api("dispatcher.xihu")("GET", "/due").status_code == 403


def test_readings_and_a_change_of_meter_through_pages_and_api(car_id, browse, api):
    unit, call = browse(UNIT), api(UNIT)
    path = f"/upkeep/vehicles/{car_id}"
    assert "里程台账" in text_of(unit.get(path))
    assert unit.submit(f"{path}/readings", reading_km="10500", at=ago(8)).status_code == 302
    assert unit.submit(f"{path}/readings", reading_km="10900", at=ago(2)).status_code == 302
    refused = text_of(unit.submit(f"{path}/readings", reading_km="10950", at=ago(6)), 422)
    assert f"10,500.0 km ({TODAY - timedelta(days=8)} 09:00)" in refused
    assert f"10,900.0 km ({TODAY - timedelta(days=2)} 09:00)" in refused
    wrong = {"reading_m": 10_400_000, "at": (NOW - timedelta(days=4)).isoformat()}
    assert call("POST", f"/vehicles/{car_id}/readings", json=wrong).status_code == 422
    assert call("POST", f"/vehicles/{car_id}/readings", json=wrong | {"reading_m": 10_600_000}).status_code == 201
    assert api("auditor.xihu")("POST", f"/vehicles/{car_id}/readings", json=wrong).status_code == 403
    assert browse("auditor.xihu").submit(f"{path}/readings", reading_km="11000", at=ago(1)).status_code == 403
    change = {"at": NOW.isoformat(), "end_m": 10_950_000, "start_m": 0, "reason": "仪表损坏更换"}
    assert call("POST", f"/vehicles/{car_id}/meter-changes", json=change | {"end_m": 1}).status_code == 422
    assert call("POST", f"/vehicles/{car_id}/meter-changes", json=change).json["meter"] == 2
    assert "第 2 块表" in text_of(unit.get(path))
    assert [row["reading_m"] for row in call("GET", f"/vehicles/{car_id}/readings").json] == [
        0, 10_950_000, 10_900_000, 10_600_000, 10_500_000, 10_000_000,
    ]  # fmt: skip
    assert unit.submit(f"{path}/meter", at=ago(20), end_km="1", start_km="0", reason="误填换表").status_code == 422


def test_plans_suppliers_and_former_maintenance(database, car_id, shops, browse, api):
    office, manager, unit = browse(OFFICE), browse(MANAGER), browse(UNIT)
    org_id = api(MANAGER)("GET", f"/vehicles/{car_id}").json["org_id"]
    assert "没有保养计划" in text_of(manager.get("/upkeep/plans"))
    text_of(manager.submit("/upkeep/plans", org_id=org_id, item="engine_oil"), 422)
    assert (
        manager.submit(
            "/upkeep/plans", org_id=org_id, item="engine_oil", every_km="10000", every_months="12"
        ).status_code
        == 302
    )
    assert "10,000 公里 / 12 个月" in text_of(unit.get("/upkeep/plans"))
    assert unit.submit("/upkeep/plans", org_id=org_id, item="brakes", every_km="10000").status_code == 403
    done = {"items": "engine_oil", "done_on": TODAY - timedelta(days=100), "odometer_km": "9800"}
    assert manager.submit(f"/upkeep/vehicles/{car_id}/done", **done).status_code == 302
    assert manager.submit(f"/upkeep/vehicles/{car_id}/done", **(done | {"odometer_km": "99999"})).status_code == 422
    assert unit.submit(f"/upkeep/vehicles/{car_id}/done", **done).status_code == 403
    assert "还可行驶 9,800 公里" in text_of(manager.get(f"/upkeep/vehicles/{car_id}"))
    [plan] = api(MANAGER)("GET", "/upkeep-plans").json
    assert manager.submit(f"/upkeep/plans/{plan['id']}/end").status_code == 302
    assert api(MANAGER)("GET", "/upkeep-plans").json == []
    assert "定点维修厂 1" in text_of(unit.get("/upkeep/suppliers"))
    contract = {
        "org_id": org_id,
        "name": "某检测站",
        "kind": "inspection",
        "contract_no": "JC-1",
        "contract_from": "2026-01-01",
    }
    assert office.submit("/upkeep/suppliers", **contract, contract_to="2026-01-01").status_code == 422
    assert office.submit("/upkeep/suppliers", **contract, contract_to="2027-01-01").status_code == 302
    assert manager.submit("/upkeep/suppliers", **contract, contract_to="2027-01-01").status_code == 403
    assert (
        office.submit(f"/upkeep/suppliers/{shops[0]}/contract", contract_to=TODAY, reason="服务差").status_code == 302
    )
    assert "已终止" in text_of(unit.get("/upkeep/suppliers"))
    assert len(api(OFFICE)("GET", "/suppliers").json) == 4


def test_an_accident_through_the_pages_and_the_api(car_id, browse, api):
    unit, call = browse(UNIT), api(UNIT)
    assert "没有事故违章记录" in text_of(unit.get("/upkeep/incidents"))
    given = {
        "vehicle_id": car_id,
        "kind": "accident",
        "happened_at": ago(8),
        "place": "文三路",
        "account": "倒车碰擦立柱",
    }
    text_of(unit.submit("/upkeep/incidents/new", **given), 422)
    made = unit.submit("/upkeep/incidents/new", **given, liability="full", loss="800")
    path = made.headers["Location"]
    assert "全部责任" in text_of(unit.get(path))
    assert browse("auditor.xihu").submit(f"{path}/close", handling="已赔付结案").status_code == 403
    assert unit.submit(f"{path}/close", handling="已赔付结案", loss="750").status_code == 302
    assert "750.00" in text_of(unit.get("/upkeep/incidents?state=CLOSED&q=文三"))
    notice = {
        "vehicle_id": car_id,
        "kind": "violation",
        "happened_at": f"{ago(7)}:00+08:00",
        "place": "天目山路",
        "account": "超速不足百分之十",
    }
    found = call("POST", "/incidents", json=notice | {"fine": "50", "points": 1})
    assert (found.status_code, found.json["state"]) == (201, "OPEN")
    closing = f"/incidents/{found.json['id']}/closing"
    assert api("auditor.xihu")("POST", closing, json={"handling": "已缴款"}).status_code == 422
    assert api("auditor.xihu")("POST", closing, json={"handling": "已缴款结案"}).status_code == 403
    assert call("POST", closing, json={"handling": "已缴款结案"}).json["state"] == "CLOSED"
    assert len(call("GET", "/incidents").json) == 2
    assert browse("driver.xhedu").get("/upkeep/incidents").status_code == 403


@pytest.mark.parametrize(
    "path",
    ["/upkeep", "/upkeep/orders", "/upkeep/plans", "/upkeep/suppliers", "/upkeep/incidents", "/upkeep/orders/new"],
)
def test_pages_in_english(car_id, browse, path):
    client = browse(MANAGER)
    client.set_cookie("lang", "en")
    assert '<html lang="en"' in text_of(client.get(path))
