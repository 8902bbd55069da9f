"""Pages and API of clues: queue, case, answer, decision; refusals next to permissions."""

import pytest

from fleetapp.findings import jobs
from fleetapp.trips import jobs as trip_jobs
from tests.trips.conftest import STRAY


@pytest.fixture
def clue_id(furnished, journey, stray, now, api):
    trip_jobs.derive(furnished, now)
    jobs.scan(furnished, now)
    [found] = [one for one in api("auditor.city")("GET", "/findings").json if one["rule"] == "A-01"]
    return found["id"]


def test_the_queue_is_narrowed_by_scope_state_rule_and_role(clue_id, api):
    auditor = api("auditor.city")
    assert [one["id"] for one in auditor("GET", "/findings?rule=A-01&state=NOTIFIED").json] == [clue_id]
    assert auditor("GET", "/findings?state=CLEARED").json == []
    assert auditor("GET", "/findings?state=ODD").status_code == 422
    assert api("auditor.binjiang")("GET", "/findings").json == []
    assert api("auditor.binjiang")("GET", f"/findings/{clue_id}").status_code == 404
    assert api("leader.city")("GET", "/findings").status_code in {200, 403}


def test_answer_and_decision_through_the_pages(clue_id, browse):
    admin, manager = browse("unit_admin.xhedu"), browse("fleet_manager.xihu")
    page = admin.get(f"/findings/{clue_id}").get_data(as_text=True)
    assert "疑似" in page
    assert STRAY in page
    short = admin.submit(f"/findings/{clue_id}/explain", text="好")
    assert short.status_code == 422
    early = manager.submit(f"/findings/{clue_id}/review", outcome="CLEARED", note="情况属实")
    assert early.status_code == 403
    assert admin.submit(f"/findings/{clue_id}/explain", text="临时送材料").status_code == 302
    assert admin.submit(f"/findings/{clue_id}/review", outcome="CLEARED", note="情况属实").status_code == 403
    assert manager.submit(f"/findings/{clue_id}/review", outcome="CLEARED", note="情况属实").status_code == 302
    decided = browse("auditor.city").get(f"/findings/{clue_id}").get_data(as_text=True)
    assert "临时送材料" in decided
    assert "情况属实" in decided


def test_the_case_page_is_for_those_who_may_see_it(clue_id, browse):
    assert browse("auditor.binjiang").get(f"/findings/{clue_id}").status_code == 404
    assert browse("dispatcher.binjiang").get(f"/findings/{clue_id}").status_code in {403, 404}
    assert browse().get(f"/findings/{clue_id}").status_code == 302
