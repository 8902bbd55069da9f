"""Pages and API of cases: queue, replay, the explanation on a phone, each step; oversight pages; refusals next to permissions."""

import io
import json
import re
from datetime import timedelta

import pytest

from fleetapp.findings import jobs
from fleetapp.kit import clock
from fleetapp.trips import jobs as trip_jobs
from tests.trips.conftest import STRAY

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(40))


@pytest.fixture
def case_id(furnished, journey, stray, now, api):
    trip_jobs.derive(furnished, now)
    jobs.scan(furnished, now)
    [found] = api("auditor.city")("GET", "/cases?rule=A-01").json
    return found["id"]


def test_queues_of_clues_and_cases_are_narrowed_by_scope_state_rule_and_role(case_id, api):
    auditor = api("auditor.city")
    [clue] = auditor("GET", "/findings?rule=A-01&state=NOTIFIED").json
    assert clue["case_id"] == case_id
    assert auditor("GET", "/findings?state=CLEARED").json == []
    assert auditor("GET", "/findings?state=ODD").status_code == 422
    assert [one["id"] for one in auditor("GET", "/cases?group=to_explain&severity=orange").json] == [case_id]
    assert auditor("GET", "/cases?mine=true").json == []
    assert [one["id"] for one in auditor("GET", "/cases?due_in_h=1400").json] == [case_id]
    assert [one["id"] for one in auditor("GET", "/cases?overdue=true").json] == [
        case_id
    ]  # found long ago by the clock on the wall
    stranger = api("auditor.binjiang")
    assert stranger("GET", "/findings").json == stranger("GET", "/cases").json == []
    assert (
        stranger("GET", f"/findings/{clue['id']}").status_code
        == stranger("GET", f"/cases/{case_id}").status_code
        == 404
    )
    assert api("driver.xhedu")("GET", "/cases").json == []
    assert api("leader.city")("GET", "/cases").status_code == 403


def test_the_case_page_carries_track_strip_evidence_and_the_planned_way_in_step(case_id, browse):
    page = browse("auditor.city").get(f"/cases/{case_id}").get_data(as_text=True)
    assert "疑似" in page
    assert STRAY in page
    fixes = json.loads(re.search(r'id="case-fixes">(.*?)</script>', page, re.DOTALL)[1])
    start, end = (int(re.search(rf'data-{edge}="(\d+)"', page)[1]) for edge in ("start", "end"))
    assert len(fixes) > 50
    assert all(start <= fix["at"] <= end for fix in fixes)
    assert [fix["at"] for fix in fixes] == sorted(fix["at"] for fix in fixes)
    assert "replay-speed" in page
    assert "strip-acc" in page


def test_the_whole_way_through_the_pages(case_id, browse):
    admin, manager, office = browse("unit_admin.xhedu"), browse("fleet_manager.xihu"), browse("vehicle_office.city")
    path = f"/cases/{case_id}"
    short = admin.submit(f"{path}/explain", text="好")
    assert short.status_code == 422
    assert "至少填写 4 个字" in short.get_data(as_text=True)
    assert manager.submit(f"{path}/verify", text="情况属实", agrees="true").status_code == 403
    disguised = admin.submit(f"{path}/explain", text="临时送材料", papers=(io.BytesIO(b"MZ"), "单据.png"))
    assert disguised.status_code == 422
    assert "invalid-feedback" in disguised.get_data(as_text=True)
    assert admin.submit(f"{path}/explain", text="临时送材料", papers=(io.BytesIO(PNG), "单据.png")).status_code == 302
    assert office.submit(f"{path}/review", outcome="CONFIRMED", note="情况属实").status_code == 403
    assert admin.submit(f"{path}/verify", text="情况属实", agrees="true").status_code == 403
    assert manager.submit(f"{path}/verify", text="情况属实", agrees="true").status_code == 302
    unreasoned = office.submit(f"{path}/review", outcome="CLEARED", note="情况属实")
    assert unreasoned.status_code == 422
    assert "须选择理由" in unreasoned.get_data(as_text=True)
    assert office.submit(f"{path}/review", outcome="PROCEDURAL", note="手续不全").status_code == 302
    assert admin.submit(f"{path}/rectify", text="已补单").status_code == 422
    assert admin.submit(f"{path}/rectify", text="已按规定补单").status_code == 302
    assert manager.submit(f"{path}/close", note="整改到位").status_code == 403
    assert office.submit(f"{path}/close", note="整改到位").status_code == 302
    assert office.submit(f"{path}/reopen", note="有新情况").status_code == 403
    page = browse("auditor.city").get(path).get_data(as_text=True)
    for words in ("临时送材料", "情况属实", "手续不全", "已按规定补单", "单据.png"):
        assert words in page
    picture = re.search(r'href="(/attachments/\d+)"', page)[1]
    assert browse("auditor.city").get(picture).data == PNG
    assert browse("auditor.binjiang").get(picture).status_code == 404


def test_old_addresses_of_clues_lead_to_their_case(case_id, api, browse):
    [clue] = api("auditor.city")("GET", "/findings?rule=A-01").json
    answer = browse("auditor.city").get(f"/findings/{clue['id']}")
    assert (answer.status_code, answer.location.partition("#")[0]) == (302, f"/cases/{case_id}")
    assert browse("auditor.binjiang").get(f"/findings/{clue['id']}").status_code == 404


def test_pages_of_a_case_are_for_those_who_may_see_it(case_id, browse):
    for path in (f"/cases/{case_id}", f"/cases/{case_id}/explain"):
        assert browse("auditor.binjiang").get(path).status_code == 404
        assert browse("dispatcher.binjiang").get(path).status_code in {403, 404}
        assert browse().get(path).status_code == 302
    assert browse("unit_admin.xhedu").get(f"/cases/{case_id}/explain").status_code == 200


def test_cases_are_handed_over_many_at_once(case_id, browse, api, furnished):
    auditor = browse("auditor.city")
    page = auditor.get("/findings").get_data(as_text=True)
    office = re.search(r'<option value="(\d+)">[^<]*车管[^<]*</option>', page)
    handler = (
        office[1]
        if office
        else re.findall(r'id="handler_id".*?</select>', page, re.DOTALL)[0].split('<option value="')[2].split('"')[0]
    )
    assert auditor.submit("/cases/assign", case_ids=str(case_id), handler_id=handler).status_code == 302
    assert [one["handler_id"] for one in api("auditor.city")("GET", "/cases").json] == [int(handler)]
    none = auditor.post("/cases/assign", data={"csrf_token": auditor.csrf}, follow_redirects=True)
    assert "请先勾选" in none.get_data(as_text=True)
    assert (
        browse("fleet_manager.xihu").submit("/cases/assign", case_ids=str(case_id), handler_id=handler).status_code
        == 403
    )


OVERSIGHT = {
    "/supervision/rules": {"auditor.city", "vehicle_office.city"},
    "/supervision/samples": {"auditor.city", "vehicle_office.city"},
    "/supervision/quiet": {"auditor.city", "vehicle_office.city", "fleet_manager.xihu"},
    "/supervision/near": {"auditor.city"},
    "/supervision/looks": {"auditor.city"},
}


@pytest.mark.parametrize("path", OVERSIGHT)
def test_oversight_pages_open_to_those_listed_alone(case_id, browse, path):
    everybody = [
        "auditor.city",
        "vehicle_office.city",
        "fleet_manager.xihu",
        "unit_admin.xhedu",
        "driver.xhedu",
        "leader.city",
    ]
    assert {who for who in everybody if browse(who).get(path).status_code == 200} == OVERSIGHT[path]


def test_a_search_by_place_shows_who_was_near_and_stands_in_the_access_log(case_id, browse):
    auditor = browse("auditor.city")
    asked = {
        "lat": "30.275",
        "lon": "120.165",
        "radius_m": "300",
        "start": "2026-11-17T00:00",
        "end": "2026-11-18T09:00",
    }
    refused = auditor.get("/supervision/near", query_string={**asked, "purpose": "看"})
    assert refused.status_code == 422
    assert "请写明查询事由" in refused.get_data(as_text=True)
    assert (
        auditor.get("/supervision/near", query_string={**asked, "lat": "999", "purpose": "核查举报"}).status_code == 422
    )
    found = auditor.get("/supervision/near", query_string={**asked, "purpose": "核查举报线索"}).get_data(as_text=True)
    assert STRAY in found
    log = auditor.get("/supervision/looks").get_data(as_text=True)
    assert "核查举报线索" in log
    assert STRAY in log
    assert browse("auditor.xihu").get("/supervision/looks").status_code == 200


def test_a_proposal_is_made_and_approved_by_two_people(case_id, browse, api):
    [case] = api("auditor.city")("GET", "/cases").json
    office, auditor = browse("vehicle_office.city"), browse("auditor.city")
    today = clock.local_date(clock.now())
    form = {"rule": "A-01", "vehicle_id": str(case["vehicle_id"]), "start_on": today.isoformat(),
            "end_on": (today + timedelta(days=13)).isoformat(), "reason": "maintenance_drive", "note": "修理厂每日试车"}  # fmt: skip
    assert (
        office.submit("/supervision/quiet", **(form | {"end_on": (today + timedelta(days=90)).isoformat()})).status_code
        == 422
    )
    assert office.submit("/supervision/quiet", **form).status_code == 302
    page = auditor.get("/supervision/quiet").get_data(as_text=True)
    decide = re.search(r'action="(/supervision/quiet/\d+/decide)"', page)[1]
    assert decide not in office.get("/supervision/quiet").get_data(as_text=True)
    assert office.submit(decide, approved="true", note="同意试行").status_code == 403
    assert auditor.submit(decide, approved="true", note="同意试行").status_code == 302
    assert "已批准" in office.get("/supervision/quiet").get_data(as_text=True)


def test_figures_by_rule_and_who_was_near_through_the_interface(case_id, api):
    auditor = api("auditor.city")
    [row] = auditor("GET", "/findings/outcomes?start_on=2026-11-01&end_on=2026-11-30").json
    assert (row["rule"], row["raised"], row["reviewed"], row["precision"]) == ("A-01", 1, 0, None)
    assert api("unit_admin.xhedu")("GET", "/findings/outcomes").status_code == 403
    query = "lat=30.275&lon=120.165&start=2026-11-17T00:00&end=2026-11-18T09:00"
    assert auditor("GET", f"/findings/near?{query}").status_code == 422
    assert STRAY in [one["plate"] for one in auditor("GET", f"/findings/near?{query}&purpose=核查举报").json]
    assert api("vehicle_office.city")("GET", f"/findings/near?{query}&purpose=核查举报").status_code == 403
