"""Sealing through the pages and the API, with who may and who may not side by side."""

from io import BytesIO

import pytest

from fleetapp.seals import queries
from fleetapp.vehicles.rules import VehicleState
from tests import world
from tests.seals.conftest import APPROVER, LEADER, MANAGER, OFFICE, PLATE, PNG, SECOND, UNIT
from tests.seals.test_service import states

READERS = [OFFICE, LEADER, UNIT, APPROVER, MANAGER, "auditor.city", "dispatcher.xihu"]
OTHERS = ["applicant.xhedu", "driver.xhedu", "finance.city", "system_admin.city"]
NEW_YEAR = {"holiday": "元旦", "start_on": "2027-01-01", "end_on": "2027-01-04"}


def page(client, path, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.get_data(as_text=True)[:400]
    return answer.get_data(as_text=True)


def photo():
    return BytesIO(PNG), "car.png"


@pytest.fixture
def notice(seals, browse):
    """A notice for New Year's Day, published through the pages; its path."""
    office = browse(OFFICE)
    made = office.submit("/seals/new", org_id=seals.org_id("330100"), **NEW_YEAR)
    path = made.headers["Location"]
    assert office.submit(f"{path}/publish", notice_no="杭机管办〔2026〕30号").status_code == 302
    seals.campaign_id = int(path.rsplit("/", 1)[1])
    return path


def test_the_form_proposes_what_is_known_and_says_what_is_not(seals, browse):
    office = browse(OFFICE)
    form = page(office, "/seals/new")
    assert 'value="元旦"' in form
    assert 'value="2027-01-01"' in form
    assert "放假安排尚未载入" in form
    bad = office.submit(
        "/seals/new", org_id=seals.org_id("330100"), holiday="元旦", start_on="2027-01-04", end_on="2027-01-01"
    )
    assert bad.status_code == 422
    assert "1 至 31 天" in bad.get_data(as_text=True)
    assert page(browse(UNIT), "/seals/new", 403)
    assert browse(UNIT).submit("/seals/new", org_id=seals.org_id("330106-EDU"), **NEW_YEAR).status_code == 403


def test_a_draft_is_the_offices_and_a_published_one_everybodys(seals, browse):
    office, unit = browse(OFFICE), browse(UNIT)
    path = office.submit("/seals/new", org_id=seals.org_id("330100"), **NEW_YEAR).headers["Location"]
    assert "没有封存通知" in page(unit, "/seals")
    assert page(unit, path, 404)
    assert unit.submit(f"{path}/publish", notice_no="x1").status_code == 404
    assert office.submit(f"{path}/publish").status_code == 422
    assert office.submit(f"{path}/start").status_code == 422
    assert office.submit(f"{path}/publish", notice_no="杭机管办〔2026〕30号").status_code == 302
    assert "杭机管办〔2026〕30号" in page(unit, "/seals")
    assert unit.submit(f"{path}/start").status_code == 403


@pytest.mark.parametrize("username", READERS)
def test_readers_see_the_light_and_it_asks_again(notice, browse, username):
    client = browse(username)
    text = page(client, notice)
    assert f'hx-get="{notice}/light"' in text
    fragment = page(client, f"{notice}/light")
    assert "<html" not in fragment
    assert "待封存" in fragment
    assert PLATE in page(client, f"{notice}/records?q=a10001")
    assert "没有符合条件" in page(client, f"{notice}/records?state=SEALED")


@pytest.mark.parametrize("username", OTHERS)
def test_others_see_nothing(notice, browse, username):
    client = browse(username)
    for path in ("/seals", notice, f"{notice}/light", f"{notice}/records"):
        assert page(client, path, 403)


def test_a_district_sees_its_own_vehicles_only(notice, seals, browse):
    other = browse("fleet_manager.binjiang")
    assert PLATE not in page(other, f"{notice}/records")
    assert "浙A10005" in page(other, f"{notice}/records")
    assert page(other, f"/seals/records/{seals.record().id}", 404)
    assert page(other, f"/seals/vehicles/{seals.vehicle().id}", 404)


def test_proof_duty_and_unsealing_through_the_pages(notice, seals, browse, now):
    unit, approver = browse(UNIT), browse(APPROVER)
    record = f"/seals/records/{seals.record().id}"
    assert "确认封存" in page(unit, record)
    assert "确认封存" not in page(browse("auditor.city"), record)
    proof = {"parking_id": seals.vehicle().parking_id, "odometer_km": "10000.0", "keys_with": "duty_room"}
    assert "须上传停放照片" in unit.submit(f"{record}/prove", **proof).get_data(as_text=True)
    assert unit.submit(f"{record}/prove", **(proof | {"odometer_km": "9999"}), photo=photo()).status_code == 422
    assert browse("auditor.city").submit(f"{record}/prove", **proof, photo=photo()).status_code == 403
    assert unit.submit(f"{record}/prove", **proof, photo=photo()).status_code == 302
    assert seals.vehicle().state == VehicleState.SEALED
    shown = page(unit, record)
    photo_path = shown.split('href="/attachments/')[1].split('"')[0]
    assert unit.get(f"/attachments/{photo_path}").get_data() == PNG
    refused = unit.submit(f"{record}/unseal", odometer_km="10000")
    assert refused.status_code == 422
    assert "不能启封" in refused.get_data(as_text=True)
    assert PLATE in page(unit, f"/seals/vehicles/{seals.vehicle().id}")
    assert f"/seals/vehicles/{seals.vehicle().id}" in page(unit, f"/vehicles/{seals.vehicle().id}")

    other = f"/seals/records/{seals.record(SECOND).id}"
    day = {"start_on": "2027-01-01", "end_on": "2027-01-02"}
    assert unit.submit(f"{other}/ask", purpose="防汛值班备勤", **(day | {"end_on": "2027-02-01"})).status_code == 422
    assert unit.submit(f"{other}/ask", purpose="防汛值班备勤", **day).status_code == 302
    with seals.database.transaction(world.actor(seals.database, UNIT)) as session:
        asked = queries.exceptions_of(session, record_id=seals.record(SECOND).id)[0]
    assert SECOND in page(approver, f"{notice}/records?asked=true")
    assert PLATE not in page(approver, f"{notice}/records?asked=true")
    assert unit.submit(f"{other}/exceptions/{asked.id}/approve", note="同意").status_code == 403
    assert "防汛值班备勤" in page(approver, other)
    assert approver.submit(f"{other}/exceptions/{asked.id}/approve", note="同意").status_code == 302
    assert states(seals) == {"TO_SEAL": 4, "SEALED": 1, "EXEMPT": 1}

    office = browse(OFFICE)
    assert office.submit(f"{notice}/start").status_code == 302
    assert office.submit(f"{notice}/close").status_code == 302
    assert unit.submit(f"{record}/unseal", odometer_km="10001.5").status_code == 302
    assert "请核实" in page(unit, record)
    assert "hx-get" not in page(unit, notice).split("<main")[1]
    assert seals.vehicle().state == VehicleState.IN_SERVICE


def test_the_api_does_the_same_and_refuses_the_same(seals, api):
    office, unit, leader = api(OFFICE), api(UNIT), api(LEADER)
    made = office("POST", "/seals/campaigns", json={"org_id": seals.org_id("330100"), **NEW_YEAR})
    assert (made.status_code, made.json["state"]) == (201, "DRAFT")
    path = f"/seals/campaigns/{made.json['id']}"
    assert unit("POST", f"{path}/publication", json={"notice_no": "x1"}).status_code == 404
    assert office("POST", f"{path}/publication", json={"notice_no": "杭1号"}).json["state"] == "PUBLISHED"
    assert [row["id"] for row in unit("GET", "/seals/campaigns").json] == [made.json["id"]]
    rows = unit("GET", f"{path}/records")
    assert rows.headers["X-Total-Count"] == "2"
    record = next(row for row in rows.json if row["plate"] == PLATE)
    proof = {"parking_id": seals.vehicle().parking_id, "odometer_km": "10000", "keys_with": "leader"}
    assert leader("POST", f"/seals/records/{record['id']}/proof", data=proof | {"photo": photo()}).status_code == 403
    assert unit("POST", f"/seals/records/{record['id']}/proof", data=proof).status_code == 422
    sealed = unit("POST", f"/seals/records/{record['id']}/proof", data=proof | {"photo": photo()})
    assert (sealed.status_code, sealed.json["state"], sealed.json["keys_with"]) == (200, "SEALED", "leader")
    other = next(row for row in rows.json if row["plate"] == SECOND)
    day = {"start_on": "2027-01-01", "end_on": "2027-01-04"}
    asked = unit("POST", f"/seals/records/{other['id']}/exceptions", json={"purpose": "应急值班备勤", **day})
    assert asked.status_code == 201
    assert unit("POST", f"/seals/exceptions/{asked.json['id']}/approval", json={"note": "同意"}).status_code == 403
    assert (
        leader("POST", f"/seals/exceptions/{asked.json['id']}/rejection", json={"note": "不需要"}).json["state"]
        == "REJECTED"
    )
    assert len(unit("GET", f"/seals/records/{other['id']}/exceptions").json) == 1
    found = leader("GET", f"{path}/light").json
    assert (found["light"], found["total"]["sealed"], found["total"]["to_seal"], len(found["units"])) == (
        "amber",
        1,
        5,
        4,
    )
    assert unit("POST", f"/seals/records/{record['id']}/unsealing", json={"odometer_km": "10000"}).status_code == 422
    assert office("POST", f"{path}/cancellation", json={"note": "改期"}).json["state"] == "CANCELLED"
    unsealed = unit("POST", f"/seals/records/{record['id']}/unsealing", json={"odometer_km": "10000.4"}).json
    assert (unsealed["state"], unsealed["moved_m"]) == ("UNSEALED", 400)
    assert [row["id"] for row in unit("GET", f"/vehicles/{record['vehicle_id']}/seals").json] == [record["id"]]
    assert api("driver.xhedu")("GET", "/seals/campaigns").status_code == 403
    assert api("fleet_manager.binjiang")("GET", f"/seals/records/{record['id']}").status_code == 404
