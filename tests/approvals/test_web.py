"""Pages and API of deciding: inbox with checks, batch, other verdicts, chains with a sample, deputies, whom everything waits for."""

from datetime import timedelta

import pytest
from sqlalchemy import event

from fleetapp.kit import clock
from fleetapp.orders import service


@pytest.fixture
def soon(submit):
    """Return a maker of orders for the workday after next, because pages live in the present."""

    def make(username="applicant.xhedu", hours=0, **changes):
        at = clock.now()
        start = clock.start_of(clock.local_date(at) + timedelta(days=1)) + timedelta(hours=9 + hours)
        while clock.local(start).weekday() >= 5:
            start += timedelta(days=1)
        return submit(username, at=at, start_at=start, end_at=start + timedelta(hours=1), **changes)

    return make


def read(answer, status=200):
    page = answer.get_data(as_text=True)
    assert answer.status_code == status, page
    return page


def test_only_green_orders_are_approved_together_and_the_others_are_named(browse, api, soon, database):
    green, also, amber = soon(), soon(hours=2), soon(hours=4, passengers="approver 西湖区教育局")
    client = browse("approver.xhedu")
    page = read(client.get("/orders/inbox"))
    assert page.count('name="order_ids"') == 2
    assert "您在乘车人中" in page
    refused = read(client.submit("/orders/inbox/approve", order_ids=[str(green), str(amber)]), 422)
    assert "请逐份审批" in refused
    assert api("applicant.xhedu")("GET", f"/orders/{green}").json["state"] == "SUBMITTED"
    answer = client.submit("/orders/inbox/approve", order_ids=[str(green), str(also)])
    assert answer.location == "/orders/inbox"
    assert "已同意 2 份" in read(client.get("/orders/inbox"))
    assert api("approver.xhedu")("POST", "/orders/batch-approve", json={"order_ids": [amber]}).status_code == 422
    own = soon("unit_admin.xhedu", hours=6)
    assert api("unit_admin.xhedu")("POST", "/orders/batch-approve", json={"order_ids": [own]}).status_code in {403, 422}


def test_the_orders_page_draws_the_chain_and_takes_other_verdicts(browse, api, soon, acting):
    order_id = soon()
    client = browse("approver.xhedu")
    card = read(client.get(f"/orders/{order_id}/approval"))
    assert "等待：" in card
    assert "单位审批" in card
    client.get(f"/orders/{order_id}")
    answer = client.submit(
        f"/orders/{order_id}/verdict", verdict="add_after", note="请阅示", person_id=str(acting("leader.city").user_id)
    )
    assert answer.status_code == 302
    client.submit(f"/orders/{order_id}/verdict", verdict="agree", note="同意。")
    other = browse("leader.city")
    assert f"/orders/{order_id}" in read(other.get("/orders/inbox"))
    other.submit(f"/orders/{order_id}/verdict", verdict="send_back", note="请补充文号")
    applicant = browse("applicant.xhedu")
    assert "请补充文号" in read(applicant.get(f"/orders/{order_id}/resubmit"))
    stops = {
        "stop_name": ["西湖区教育局", "西湖国宾馆"],
        "stop_lat": ["30.264", "30.23"],
        "stop_lon": ["120.126", "120.129"],
    }
    assert "至少 1 人" in read(applicant.submit(f"/orders/{order_id}/resubmit", passenger_count="0", **stops), 422)
    assert (
        applicant.submit(
            f"/orders/{order_id}/resubmit", reason="参加会议，文号齐全", passenger_count="2", **stops
        ).status_code
        == 302
    )
    assert api("applicant.xhedu")("GET", f"/orders/{order_id}").json["state"] == "SUBMITTED"
    assert (
        api("approver.xhedu")("POST", f"/orders/{order_id}/verdict", json={"verdict": "agree"}).json["state"]
        == "APPROVED"
    )
    assert api("applicant.xhedu")("POST", f"/orders/{order_id}/verdict", json={"verdict": "agree"}).status_code == 403


def test_a_change_is_asked_for_and_decided_on_pages_and_in_the_api(browse, api, soon, step):
    order_id = soon()
    step(service.approve, "approver.xhedu", order_id, at=clock.now())
    applicant = browse("applicant.xhedu")
    assert "变更用车" in read(applicant.get(f"/orders/{order_id}/change"))
    stops = {
        "stop_name": ["西湖区教育局", "西湖国宾馆"],
        "stop_lat": ["30.264", "30.23"],
        "stop_lon": ["120.126", "120.129"],
    }
    assert "必填项" in read(applicant.submit(f"/orders/{order_id}/change", passenger_count="3", **stops), 422)
    assert (
        applicant.submit(f"/orders/{order_id}/change", why="增加一人", passenger_count="3", **stops).status_code == 302
    )
    approver = browse("approver.xhedu")
    page = read(approver.get("/orders/inbox"))
    assert "待审批的变更 1 份" in page
    change_id = int(page.split("/orders/changes/")[1].split("/")[0])
    assert (
        api("applicant.xhedu")("POST", f"/orders/changes/{change_id}/verdict", json={"verdict": "agree"}).status_code
        == 403
    )
    assert (
        api("approver.xhedu")("POST", f"/orders/changes/{change_id}/verdict", json={"verdict": "agree"}).json["state"]
        == "APPLIED"
    )
    assert api("applicant.xhedu")("GET", f"/orders/{order_id}").json["passenger_count"] == 3
    assert "已生效" in read(applicant.get(f"/orders/{order_id}/approval"))


def test_a_chain_is_tried_with_a_sample_and_published(browse, api, acting):
    client = browse("unit_admin.xhedu")
    assert "现行流程" in read(client.get("/approvals"))
    form = {
        "org_id": str(acting("unit_admin.xhedu").org_id), "valid_from": clock.local_date(clock.now()).isoformat(), "note": "本单位规定",
        "name_0": "科室初审", "role_0": "approver", "place_0": "unit", "mode_0": "any", "deadline_h_0": "8",
        "name_1": "远途", "role_1": "leader", "place_1": "bureau", "mode_1": "any", "deadline_h_1": "24", "over_km_1": "100",
    }  # fmt: skip
    page = read(client.submit("/approvals", **form, preview="1", kind="ordinary", route_km="120"))
    assert "需经 2 级审批" in page
    assert "需经 1 级审批" in read(client.submit("/approvals", **form, preview="1", kind="ordinary", route_km="100"))
    assert "第一级须对所有申请适用" in read(client.submit("/approvals", **{**form, "over_km_0": "5"}), 422)
    assert client.submit("/approvals", **form).status_code == 302
    assert "科室初审" in read(client.get("/approvals"))
    assert [chain["version"] for chain in api("unit_admin.xhedu")("GET", "/approvals/chains").json] == [1, 1]
    assert 'name="preview"' not in read(browse("approver.xhedu").get("/approvals"))
    assert api("approver.xhedu")("POST", "/approvals/chains", json={"org_id": 1, "valid_from": "2030-01-01", "note": "x", "levels": [
        {"name": "x", "role": "approver"}]}).status_code == 403  # fmt: skip


def test_deputies_are_named_and_ended_on_their_page(browse, api, acting):
    client = browse("approver.xhedu")
    tomorrow = clock.local(clock.now() + timedelta(days=1))
    form = {"delegate_id": str(acting("unit_admin.xhedu").user_id), "org_id": str(acting("approver.xhedu").org_id),
            "start_at": f"{tomorrow:%Y-%m-%dT08:00}", "end_at": f"{tomorrow:%Y-%m-%dT18:00}"}  # fmt: skip
    assert "结束时间须晚于开始时间" in read(
        client.submit("/approvals/delegations", **{**form, "end_at": form["start_at"]}), 422
    )
    assert client.submit("/approvals/delegations", **form).status_code == 302
    assert "已有授权" in read(client.submit("/approvals/delegations", **form), 422)
    made = api("approver.xhedu")("GET", "/approvals/delegations").json[0]
    assert api("unit_admin.bjwater")("POST", f"/approvals/delegations/{made['id']}/end", json={}).status_code == 404
    assert api("approver.xhedu")("POST", f"/approvals/delegations/{made['id']}/end", json={}).json["ended_at"]
    assert read(browse("driver.xhedu").get("/approvals/delegations"), 403)


def test_whom_everything_waits_for_in_the_same_few_statements(browse, soon, step, database, api, acting):
    first = soon()
    step(service.approve, "approver.xhedu", first, at=clock.now())
    client = browse("unit_admin.xhedu")

    with database.transaction(acting("unit_admin.xhedu")) as session:
        connection = session.connection()
    seen = []
    event.listen(connection, "before_cursor_execute", lambda *_: seen.append(1))

    def statements():
        seen.clear()
        page = read(client.get("/orders/waiting"))
        return len(seen), page

    few, page = statements()
    assert "调度派车" in page
    for hours in range(1, 9):
        soon(hours=hours)
    many, page = statements()
    assert many <= few + 3
    assert page.count("催办") >= 8
    assert "调度派车" not in read(client.get("/orders/waiting?step=approve")).split("<tbody>")[1]
    assert read(client.get("/orders/waiting?late=true"))
    assert read(browse("driver.xhedu").get("/orders/waiting"), 403)
