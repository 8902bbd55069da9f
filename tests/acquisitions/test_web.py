"""Pages and API: the way of an application by form, refusals next to permissions."""

import pytest

from fleetapp.acquisitions.rules import IndicatorAction
from tests.acquisitions.conftest import APPROVER, REVIEWER

FORM = {"kind": "new", "category": "YJBZ", "body": "sedan", "energy": "bev", "step": "normal", "max_price": "179800.00",
        "justification": "新增应急保障任务", "fiscal_year": "2026"}  # fmt: skip


def test_an_application_through_the_pages(chain, browse):
    chain.quota(3)
    unit, office, leader, finance = (browse(name) for name in ("unit_admin.xhedu", REVIEWER, APPROVER, "finance.city"))
    wrong = unit.submit("/indicators/new", **(FORM | {"max_price": "abc", "fiscal_year": "2031"}))
    assert wrong.status_code == 422
    assert unit.submit("/indicators/new", **(FORM | {"fiscal_year": "2031"})).status_code == 422
    made = unit.submit("/indicators/new", **FORM)
    assert made.status_code == 302
    path = made.headers["Location"]
    page = unit.get(path).get_data(as_text=True)
    assert "有空编" in page
    assert "71号" in page
    assert unit.submit(f"{path}/step", action="submit").status_code == 302
    assert leader.submit(f"{path}/step", action="approve").status_code == 403
    assert office.submit(f"{path}/step", action="return", note="").status_code == 422
    assert office.submit(f"{path}/step", action="review").status_code == 302
    assert office.submit(f"{path}/step", action="approve").status_code == 403
    assert leader.submit(f"{path}/step", action="approve").status_code == 302
    assert office.submit(f"{path}/step", action="use").status_code == 422
    over = finance.submit(f"{path}/budget", amount="179800.01", fiscal_year="2026", document_no="财预1")
    assert over.status_code == 422
    assert "179,800.00" in over.get_data(as_text=True)
    assert (
        finance.submit(f"{path}/budget", amount="179800.00", fiscal_year="2026", document_no="财预1").status_code == 302
    )
    assert "待采购" in office.get("/acquisition").get_data(as_text=True)
    assert office.submit(f"{path}/purchase", model="示例轿车", domestic="true").status_code == 302
    board = office.get("/acquisition").get_data(as_text=True)
    assert "采购中" in board
    assert browse("auditor.city").get(path).status_code == 200
    assert browse("unit_admin.bjwater").get(path).status_code == 404
    assert browse("applicant.xhedu").get(path).status_code == 403


def test_the_matrix_shows_places_and_is_changed_by_the_vehicle_office_only(chain, browse, api):
    assert "还没有编制" not in browse(REVIEWER).get("/quota").get_data(as_text=True)
    client = browse(REVIEWER)
    org_id = next(org["id"] for org in api(REVIEWER)("GET", "/organisations").json if org["code"] == "330106-EDU")
    form = {
        "org_id": org_id,
        "category": "YJBZ",
        "delta": "1",
        "effective_on": "2026-01-01",
        "document_no": "杭编〔2026〕1号",
    }
    assert client.submit("/quota", **form).status_code == 302
    assert client.submit("/quota", **(form | {"delta": "-5"})).status_code == 422
    found = {(row["org_id"], row["category"]): row for row in api("auditor.city")("GET", "/quotas").json}
    assert found[org_id, "YJBZ"] == {
        "org_id": org_id,
        "category": "YJBZ",
        "quota": 1,
        "in_service": 2,
        "reserved": 0,
        "committed": 0,
        "free": -1,
    }
    page = client.get("/quota").get_data(as_text=True)
    assert "超编 1" in page
    assert "杭编〔2026〕1号" in client.get(f"/quota/{org_id}").get_data(as_text=True)
    assert browse("finance.city").submit("/quota", **form).status_code == 403
    assert browse("unit_admin.bjwater").get(f"/quota/{org_id}").status_code == 403
    assert browse("driver.xhedu").get("/quota").status_code == 403
    outside = api("unit_admin.bjwater")("GET", "/quotas").json
    assert org_id not in {row["org_id"] for row in outside}


@pytest.mark.parametrize("username", [REVIEWER, "auditor.city", "unit_admin.xhedu"])
def test_the_api_lists_and_refuses(chain, api, username):
    chain.quota(4)
    made = chain.approved()
    call = api(username)
    assert [row["id"] for row in call("GET", "/indicators?state=APPROVED").json] == [made]
    assert call("GET", f"/indicators/{made}").json["max_price"] == "180000.00"
    assert call("GET", f"/indicators/{made}/checks").status_code == 200
    assert (
        call(
            "POST", f"/indicators/{made}/budget", json={"amount": "1", "fiscal_year": 2026, "document_no": "x1"}
        ).status_code
        == 403
    )
    assert call("POST", "/indicators", json={"kind": "odd"}).status_code == 422
    assert api("auditor.binjiang")("GET", "/indicators").json == []
    assert api("auditor.binjiang")("GET", f"/indicators/{made}").status_code == 404


def test_two_places_and_a_step_by_the_api(chain, api):
    chain.quota(4)
    made = chain.apply()
    assert (
        api("unit_admin.xhedu")("POST", f"/indicators/{made}/steps", json={"action": "submit"}).json["state"]
        == "SUBMITTED"
    )
    assert api(REVIEWER)("POST", f"/indicators/{made}/steps", json={"action": "expire"}).status_code == 422
    assert chain.step(made, IndicatorAction.REVIEW, REVIEWER) == "REVIEWED"
