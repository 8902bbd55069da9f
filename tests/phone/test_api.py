"""The phone's calls and pages: what is public, what is refused, what is said in both languages."""

import io
import json
from datetime import timedelta

import pytest
import time_machine

from fleetapp.phone.rules import Part
from tests.phone.conftest import GOOD

JPEG = b"\xff\xd8\xff" + b"0" * 50


@pytest.fixture(autouse=True)
def at_nine(now):
    with time_machine.travel(now, tick=False):
        yield


@pytest.fixture
def tap(browse, now, dispatched):
    """Return a sender through the driver's cookie and the token of the state, as the app does."""
    client = browse("driver.xhedu")

    def send(kind, body=None, *, key=None, photo=None, token=None, text=None, client=client):
        csrf = token if token is not None else client.get("/api/v1/phone/state").json["csrf"]
        action = {"kind": kind, "key": key or f"phone-{kind}".replace("_", "-"), "body": body or {}, "assignment_id": dispatched,
                  "tapped_at": now.isoformat(), "sent_at": now.isoformat()}  # fmt: skip
        form = {"action": json.dumps(action) if text is None else text}
        if photo:
            form["photo"] = (io.BytesIO(photo), "a.jpg")
        return client.post(
            "/api/v1/phone/actions", data=form, headers={"X-CSRFToken": csrf}, content_type="multipart/form-data"
        )

    return send


def status(client, path):
    with client.get(path) as answer:
        return answer.status_code


def test_the_apps_parts_hold_nobodys_data_and_need_no_sign_in(app):
    client = app.test_client()
    page = client.get("/phone/")
    assert page.status_code == 200
    assert "unsafe-inline" not in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text
    assert " style=" not in page.text
    manifest = client.get("/phone/manifest.webmanifest")
    assert (manifest.mimetype, manifest.json["scope"], manifest.json["display"]) == (
        "application/manifest+json",
        "/phone/",
        "standalone",
    )
    assert {icon["sizes"] for icon in manifest.json["icons"]} >= {"192x192", "512x512"}
    for icon in manifest.json["icons"]:
        assert status(client, icon["src"]) == 200
    assert client.get("/api/v1/phone/state").status_code == 401


def test_the_workers_version_is_that_of_its_parts_and_words(app):
    client = app.test_client()
    first, again = (client.get("/phone/sw.js") for _ in range(2))
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.mimetype == "text/javascript"
    assert first.text == again.text
    kept = json.loads(first.text.partition("self.FLEET = ")[2].partition(";\n")[0])
    for path in [kept["page"], *kept["kept"], *kept["later"]]:
        assert status(client, path) == 200, path
    client.set_cookie("lang", "en")
    assert kept["version"] not in client.get("/phone/sw.js").text


def test_the_state_is_the_drivers_own(browse, dispatched):
    state = browse("driver.xhedu").get("/api/v1/phone/state").json
    [task] = state["tasks"]
    assert (task["id"], task["plate"], task["state"], task["last_place"]) == (dispatched, "浙A10001", "DISPATCHED", 2)
    assert [stop["name"] for stop in task["stops"]] == ["西湖区教育局", "杭州东站", "市民中心"]
    assert state["papers"][0]["valid_to"] == "2030-01-01"
    assert browse("driver2.xhedu").get("/api/v1/phone/state").json["tasks"] == []
    assert browse("auditor.city").get("/api/v1/phone/state").status_code == 403


def test_an_action_is_answered_in_words_and_again_the_same(tap):
    answer = tap("ACCEPT")
    assert (answer.status_code, answer.json["outcome"]) == (200, "APPLIED")
    assert tap("ACCEPT").json == answer.json
    refused = tap("CHECK_OUT", {"odometer_km": 10_000}, photo=JPEG)
    assert (refused.status_code, refused.json["code"], refused.json["message"]) == (
        422,
        "phone.walk_first",
        "请先完成出车前检查。",
    )
    walk = {"good": GOOD["good"][1:], "defects": [{"part": next(iter(Part)).value, "note": "鼓包"}]}
    assert "报修单" in tap("WALK_ROUND", walk, photo=JPEG).json["remarks"][0]


def test_without_the_token_nothing_is_taken(tap):
    assert tap("ACCEPT", token="").status_code == 400
    assert tap("ACCEPT").status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"kind": "ACCEPT", "body": {"note": NaN}}',
        "[" * 9000,
        '{"kind": "X", "key": "12345678"}',
    ],
)
def test_what_is_no_action_is_refused_by_field(tap, text):
    answer = tap("ACCEPT", text=text)
    assert (answer.status_code, answer.json["code"]) == (422, "kit.invalid"), answer.json
    assert answer.json["fields"]


def test_a_disguised_photograph_is_refused_and_the_step_with_it(tap):
    answer = tap("ACCEPT", photo=b"MZ not a picture")
    assert (answer.status_code, answer.json["code"]) == (422, "attachments.disguised")
    assert tap("ACCEPT", key="phone-clean").status_code == 200


def test_positions_need_a_journey(browse, dispatched, now):
    client = browse("driver.xhedu")
    csrf = client.get("/api/v1/phone/state").json["csrf"]
    one = {"at": (now - timedelta(minutes=1)).isoformat(), "lat": 30.2, "lon": 120.1}
    sent = {"assignment_id": dispatched, "sent_at": now.isoformat(), "positions": [one]}
    answer = client.post("/api/v1/phone/positions", json=sent, headers={"X-CSRFToken": csrf})
    assert (answer.status_code, answer.json["code"]) == (409, "phone.no_journey")
    assert (
        client.post("/api/v1/phone/positions", json=sent | {"positions": []}, headers={"X-CSRFToken": csrf}).status_code
        == 422
    )


def test_codes_are_issued_on_a_page_and_printed_together(browse):
    client = browse("fleet_manager.xihu")
    page = client.get("/vehicle-codes?q=浙A10001")
    assert "未签发" in page.text
    vehicle = page.text.partition('name="vehicle" value="')[2].partition('"')[0]
    assert client.get(f"/vehicle-codes/sheet?vehicle={vehicle}").status_code == 404
    token = page.text.partition('name="csrf-token" content="')[2].partition('"')[0]
    issued = client.post("/vehicle-codes", data={"csrf_token": token, "vehicle": vehicle})
    assert issued.status_code == 302
    sheet = client.get(issued.headers["Location"])
    assert sheet.text.count("code-qr") == 1
    assert "浙A10001" in sheet.text
    assert client.post("/vehicle-codes", data={"csrf_token": token}).status_code == 422
    assert browse("driver.xhedu").get("/vehicle-codes").status_code == 403
