"""API and pages of events."""

from datetime import timedelta

from fleetapp.kit import clock

HOUR = timedelta(hours=1)


def test_the_api_plans_keeps_and_moves_an_event_and_refuses_others(api, known, acting, now, monkeypatch):
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)
    office, leader = api("vehicle_office.city"), api("leader.city")
    wish = {"org_id": acting("dispatcher.xihu").org_id, "name": "西湖论坛", "start_at": (now + 24 * HOUR).isoformat(),
            "end_at": (now + 30 * HOUR).isoformat()}  # fmt: skip
    assert leader("POST", "/occasions", json=wish).status_code == 403
    made = office("POST", "/occasions", json=wish)
    assert (made.status_code, made.json["state"]) == (201, "PLANNED")
    path = f"/occasions/{made.json['id']}"
    kept = office(
        "POST", f"{path}/holds", json={"vehicle_ids": [known["浙A10001"]], "driver_ids": [known["driver.xhedu"]]}
    )
    assert [row["vehicle_id"] for row in kept.json] == [known["浙A10001"], None]
    again = office("POST", f"{path}/holds", json={"vehicle_ids": [known["浙A10001"]]})
    assert (again.status_code, again.json["code"]) == (409, "occasions.clash")
    on = str(clock.local_date(now + 24 * HOUR))
    shift = {"vehicle_id": known["浙A10001"], "driver_id": known["driver.xhedu"], "from_on": on, "to_on": on}
    assert office("PUT", f"{path}/roster", json=shift).json[0]["on"] == on
    assert len(leader("GET", f"{path}/roster").json) == len(leader("GET", "/occasions").json) == 1
    assert leader("GET", f"{path}/summary").json["vehicles_kept"] == 1
    assert leader("DELETE", f"{path}/holds", json={"hold_ids": [kept.json[0]["id"]]}).status_code == 403
    assert office("DELETE", f"{path}/holds", json={"hold_ids": [kept.json[0]["id"]]}).status_code == 200
    assert office("POST", f"{path}/start", json={}).json["state"] == "ACTIVE"
    assert office("POST", f"{path}/finish", json={}).json["state"] == "DONE"
    assert leader("GET", f"{path}/holds").json == []
    assert api("applicant.xhedu")("GET", "/occasions").status_code == 403


def test_the_pages_offer_free_cars_tick_some_and_show_what_is_in_the_way(
    event, block, ordered, browse, acting, known, now, monkeypatch
):
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)
    client = browse("dispatcher.xihu")
    assert "西湖论坛" in client.get("/occasions").text
    offer = client.get(f"/occasions/{event.id}/reserve?n=5").text
    assert (offer.count(" checked"), offer.count(" disabled")) == (1, 4)
    assert "重大活动预留" in offer
    refused = client.submit(f"/occasions/{event.id}/reserve")
    assert (refused.status_code, "请至少选择" in refused.text) == (422, True)
    assert client.submit(f"/occasions/{event.id}/reserve", vehicle_ids=[known["浙A10003"]]).status_code == 302
    ordered()
    page = client.get(f"/occasions/{event.id}").text
    assert ("缺 6 个车日" in page, "/assign" in page) == (True, True)
    shift = {
        "vehicle_id": known["浙A10001"],
        "driver_id": known["driver.xhedu"],
        "from_on": "2026-11-19",
        "to_on": "2026-11-20",
    }
    assert client.submit(f"/occasions/{event.id}/roster", **shift).status_code == 302
    assert "缺 4 个车日" in client.get(f"/occasions/{event.id}").text
    kept = client.get("/board/live/data?day=2026-11-19").json["kept"]
    assert [one["cause"] for one in kept] == ["kept"] * 3
    assert client.submit(f"/occasions/{event.id}/export", reason="活动总结").status_code == 403
    with browse("vehicle_office.city").submit(f"/occasions/{event.id}/export", reason="活动总结") as file:
        assert (file.status_code, "HD2026-0001" in file.headers["Content-Disposition"]) == (200, True)
        assert file.get_data()[:2] == b"PK"
    new = {
        "org_id": acting("dispatcher.xihu").org_id,
        "name": "马拉松",
        "start_at": "2026-12-01T08:00",
        "end_at": "2026-12-01T07:00",
    }
    assert "结束时间须晚于开始时间" in client.submit("/occasions/new", **new).text
    assert client.submit("/occasions/new", **(new | {"end_at": "2026-12-01T18:00"})).status_code == 302
    assert browse("leader.city").get("/occasions/new").status_code == 403
    forms = [browse(f"applicant.{unit}").get("/orders/new").text for unit in ("xhedu", "bjwater")]
    assert ["西湖论坛" in form for form in forms] == [True, False]
