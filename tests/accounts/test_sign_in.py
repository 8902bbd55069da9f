"""Signing in through the form and the API, lock-out, expiry, scope of the lists."""

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from fleetapp.accounts import sign_ins
from fleetapp.accounts.models import SignIn, SignInKind
from fleetapp.accounts.rules import Limits
from fleetapp.factory import create_app
from fleetapp.kit.errors import NotAllowed
from tests import world

LIMITS = Limits(
    idle_min=30, max_h=12, token_max_h=12, failures=5, failures_by_address=20, failures_overall=30, lock_min=15, known_days=90,
    password_least=15, reset_h=24, admin_second_factor=False,
)  # fmt: skip


def attempt(database, now, password=world.PASSWORD, username="applicant.xhedu", address="192.0.2.1"):
    opened = sign_ins.sign_in(
        database, username=username, password=password, kind=SignInKind.WEB, now=now, limits=LIMITS, origin=sign_ins.Origin(address, "test")
    )  # fmt: skip
    return opened.token, opened.actor


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
    for _ in range(5):
        with pytest.raises(NotAllowed, match="accounts.wrong_password"):
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
        return sign_ins.resume(database, token=token, now=at, limits=LIMITS) is not None

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
                "password": "long enough 123", "grants": grant_at}  # fmt: skip

    call = api("system_admin.xihu")
    assert call("POST", "/users", json=account(elsewhere, [])).status_code == 403
    assert call("POST", "/users", json=account(here, [{"role": "applicant", "org_id": here}])).status_code == 403
    assert call("POST", "/users", json=account(here, [])).status_code == 201


def test_an_unknown_field_is_an_error_that_names_it(api):
    answer = api("system_admin.city")("POST", "/users", json={"usrname": "x"})
    assert answer.status_code == 422
    assert answer.json["fields"]["json"]["usrname"] == ["Unknown field."]
    assert set(answer.json["message"]) == {"zh", "en"}


def test_failures_elsewhere_keep_nobody_out(database, now):
    attempt(database, now - timedelta(days=3))
    for number in range(12):
        for _ in range(4):
            with pytest.raises(NotAllowed):
                attempt(database, now, "wrong", address=f"198.51.100.{number}")
    assert attempt(database, now)[0], "from where the person always signs in"
    with pytest.raises(NotAllowed, match="accounts.locked"):
        attempt(database, now, address="203.0.113.9")
    assert attempt(database, now + timedelta(minutes=15), address="203.0.113.9")[0]


def test_one_address_cannot_try_one_password_on_everybody(database, now):
    for number in range(20):
        with pytest.raises(NotAllowed, match="accounts.wrong_password"):
            attempt(database, now, "Winter2026Winter", username=f"nobody{number}")
    with pytest.raises(NotAllowed, match="accounts.locked"):
        attempt(database, now)
    assert attempt(database, now, address="192.0.2.2")[0]


def test_a_success_starts_the_count_afresh(database, now):
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(NotAllowed, match="accounts.wrong_password"):
                attempt(database, now, "wrong")
        attempt(database, now)


def test_signing_in_again_gives_a_new_token_and_ends_the_old_one(browse):
    client = browse("applicant.xhedu")
    with client.session_transaction() as kept:
        before = kept["token"]
    stranger = browse()
    with stranger.session_transaction() as kept:
        kept["token"] = before
    assert stranger.get("/account").status_code == 200
    page = stranger.get("/account").get_data(as_text=True)
    stranger.csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
    stranger.submit("/sign-in", username="applicant.xhedu", password=world.PASSWORD)
    with stranger.session_transaction() as kept:
        assert kept["token"] != before
    assert client.get("/account").status_code == 302, "the fixed token is worth nothing any more"


def test_the_own_page_lists_sign_ins_and_ends_the_others(browse):
    here, there = browse("applicant.xhedu"), browse("applicant.xhedu")
    page = here.get("/account").get_data(as_text=True)
    assert page.count("127.0.0.1") == 2
    assert page.count("本机") == 1
    assert "退出其他设备" in page
    assert here.submit("/account/sign-ins/end").status_code == 302
    assert there.get("/account").status_code == 302
    assert here.get("/account").status_code == 200


def test_nobody_ends_the_sign_in_of_somebody_else(browse, database):
    here, there = browse("applicant.xhedu"), browse("applicant.xhhealth")
    with database.transaction(world.actor(database, "applicant.xhhealth")) as session:
        foreign = session.scalar(select(SignIn.id).where(SignIn.ended_at.is_(None)))
    assert here.submit(f"/account/sign-ins/{foreign}/end").status_code == 404
    assert there.submit(f"/account/sign-ins/{foreign}/end").status_code == 302
    assert there.get("/account").status_code == 302


def test_a_new_password_ends_the_other_sign_ins(browse):
    here, there = browse("applicant.xhedu"), browse("applicant.xhedu")
    wrong = here.submit("/account/password", old="something else", new="heron glass winter pear")
    assert wrong.status_code == 422
    assert "现在的密码不对" in wrong.get_data(as_text=True)
    for weak, said in (
        ("short", "至少 15 个字符"),
        ("applicant.xhedu 2026", "不能包含用户名"),
        ("passwordpassword", "太常见"),
    ):
        refused = here.submit("/account/password", old=world.PASSWORD, new=weak)
        assert refused.status_code == 422
        assert said in refused.get_data(as_text=True)
    assert here.submit("/account/password", old=world.PASSWORD, new="heron glass winter pear").status_code == 302
    assert there.get("/account").status_code == 302
    assert here.get("/account").status_code == 200
    stranger = browse()
    assert stranger.submit("/sign-in", username="applicant.xhedu", password=world.PASSWORD).status_code == 403
    assert (
        stranger.submit("/sign-in", username="applicant.xhedu", password="heron glass winter pear").status_code == 302
    )


def test_the_cookie_is_not_for_scripts_nor_other_sites(app, settings, database):
    strict = create_app(replace(settings, env="production", cookie_secure=True), database)
    answer = strict.test_client().post("/language", base_url="https://fleet.example")
    page = strict.test_client().get("/sign-in", base_url="https://fleet.example")
    assert answer.status_code == 400
    cookie = page.headers["Set-Cookie"]
    assert all(flag in cookie for flag in ("HttpOnly", "Secure", "SameSite=Lax", "__Host-fleet_session=", "Path=/"))
    assert "Domain" not in cookie
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")


def test_hashes_are_not_for_the_applications_role_to_read(database):
    with database.transaction(world.actor(database, "system_admin.city")) as session:
        with pytest.raises(ProgrammingError, match="permission denied"), session.begin_nested():
            session.execute(text("SELECT password_hash FROM user_account"))
        assert session.scalar(text("SELECT fleet_password_hash(id) FROM user_account LIMIT 1")) is None
