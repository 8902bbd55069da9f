"""Signing in through the form and the API, lock-out, expiry, scope of the lists."""

from datetime import timedelta

import pytest
import time_machine

from fleetapp.accounts import service
from fleetapp.accounts.models import SignInKind
from fleetapp.kit.errors import NotAllowed
from tests import world


def attempt(database, now, password=world.PASSWORD, username="applicant.xhedu"):
    return service.sign_in(
        database, username=username, password=password, kind=SignInKind.WEB, now=now, max_h=12, failures=5, lock_min=15
    )


def test_the_right_password_opens_a_session_and_the_wrong_one_does_not(browse):
    client = browse("applicant.xhedu")
    assert client.get("/").status_code == 302
    stranger = browse()
    answer = stranger.submit("/sign-in", username="applicant.xhedu", password="wrong")
    assert answer.status_code == 403
    assert "用户名或密码不对" in answer.get_data(as_text=True)
    assert stranger.get("/accounts").headers["Location"].startswith("/sign-in")


def test_a_form_without_the_csrf_token_is_refused(browse):
    client = browse("applicant.xhedu")
    assert client.post("/sign-out").status_code == 400
    assert client.submit("/sign-out").status_code == 302


def test_five_failures_lock_the_account_for_a_while(database, now):
    for _ in range(4):
        with pytest.raises(NotAllowed, match="accounts.wrong_password"):
            attempt(database, now, "wrong")
    with pytest.raises(NotAllowed, match="accounts.locked"):
        attempt(database, now, "wrong")
    with pytest.raises(NotAllowed, match="accounts.locked"):
        attempt(database, now + timedelta(minutes=14))
    token, actor = attempt(database, now + timedelta(minutes=15))
    assert token
    assert actor.has("applicant")


def test_an_unknown_user_gets_the_same_answer_as_a_wrong_password(database, now):
    with pytest.raises(NotAllowed, match="accounts.wrong_password"):
        attempt(database, now, username="nobody")


def test_a_session_expires_when_idle_and_at_its_end(database, now):
    token, _ = attempt(database, now)

    def alive(at):
        return service.resume(database, token=token, now=at, idle_min=30) is not None

    assert alive(now + timedelta(minutes=29))
    assert alive(now + timedelta(minutes=58))
    assert not alive(now + timedelta(minutes=58 + 30))
    for minutes in range(58, 12 * 60, 20):
        alive(now + timedelta(minutes=minutes))
    assert not alive(now + timedelta(hours=12))


def test_a_browser_left_alone_is_sent_to_the_sign_in_page(browse):
    with time_machine.travel("2026-11-18T01:00:00Z", tick=False) as clock:
        client = browse("auditor.city")
        assert client.get("/accounts").status_code == 200
        clock.shift(timedelta(minutes=31))
        assert client.get("/accounts").status_code == 302


def test_signing_out_ends_the_token(api):
    call = api("auditor.city")
    assert call("GET", "/me").json["grants"][0]["role"] == "auditor"
    assert call("DELETE", "/tokens/current").status_code == 204
    answer = call("GET", "/me")
    assert answer.status_code == 401
    assert answer.json["code"] == "kit.not_signed_in"


@pytest.mark.parametrize(
    ("username", "sees", "does_not_see"),
    [
        ("auditor.city", {"330100", "330106-EDU", "330108-WATER"}, set()),
        ("auditor.binjiang", {"330108", "330108-WATER"}, {"330100", "330106", "330106-EDU"}),
        ("applicant.xhedu", {"330106-EDU"}, {"330106", "330106-HEALTH"}),
    ],
)
def test_lists_show_the_sub_tree_and_nothing_else(api, username, sees, does_not_see):
    codes = {org["code"] for org in api(username)("GET", "/organisations").json}
    assert sees <= codes
    assert not does_not_see & codes


def test_a_closed_account_is_out_at_once(browse, api, database):
    call = api("applicant.xhedu")
    admin = browse("system_admin.city")
    user_id = world.user_id(database, "applicant.xhedu")
    assert admin.submit(f"/accounts/{user_id}/close").status_code == 302
    assert call("GET", "/me").status_code == 401


def test_a_district_admin_cannot_open_an_account_elsewhere(api, database):
    elsewhere = world.actor(database, "applicant.bjwater").org_id
    here = world.actor(database, "applicant.xhedu").org_id

    def account(org_id, grant_at):
        return {"username": "new.person", "name_zh": "新岗位", "name_en": "New post", "org_id": org_id,
                "password": "long enough 123", "grants": [{"role": "applicant", "org_id": grant_at}]}  # fmt: skip

    call = api("system_admin.xihu")
    assert call("POST", "/users", json=account(elsewhere, elsewhere)).status_code == 403
    assert call("POST", "/users", json=account(here, elsewhere)).status_code == 403
    assert call("POST", "/users", json=account(here, here)).status_code == 201


def test_an_unknown_field_is_an_error_that_names_it(api):
    answer = api("system_admin.city")("POST", "/users", json={"usrname": "x"})
    assert answer.status_code == 422
    assert answer.json["fields"]["json"]["usrname"] == ["Unknown field."]
    assert set(answer.json["message"]) == {"zh", "en"}
