"""A forgotten password: a one-time secret from another administrator, once, in time, and never a way around the three duties."""

import re
from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import select, text

from fleetapp.accounts import factors, resets, rules
from fleetapp.accounts.models import PasswordReset
from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import ADMINISTRATORS, SYSTEM, Role
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from tests import world
from tests.accounts.test_factor import START, clock_now, code_at, csrf_of

NEW = "heron glass winter pear"
WHO = "applicant.xhedu"


@pytest.fixture
def clock():
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller


def reset(browse, database, by="system_admin.city", of=WHO, reason="本人到场核实"):
    answer = browse(by).submit(f"/accounts/{world.user_id(database, of)}/password/reset", reason=reason)
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return re.search(r'fleet-secret">([a-z2-7]{4}(?:-[a-z2-7]{4}){5})<', answer.get_data(as_text=True))[1]


def come(browse, password, username=WHO):
    client = browse()
    return client, client.submit("/sign-in", username=username, password=password, next="/orders")


def renew(client, new):
    client.csrf = csrf_of(client.get("/sign-in/renew"))
    return client.submit("/sign-in/renew", new=new, next="/orders")


def test_the_secret_opens_one_page_until_a_new_password_is_chosen(browse, api, database, clock):
    before, call = browse(WHO), api(WHO)
    secret = reset(browse, database)
    assert before.get("/account").status_code == 302
    assert call("GET", "/me").status_code == 401
    assert come(browse, world.PASSWORD)[1].status_code == 403, "the password before is void"
    client, answer = come(browse, secret)
    assert answer.headers["Location"] == "/sign-in/renew?next=/orders"
    for path in ("/orders", "/account", "/api/v1/me"):
        assert client.get(path).status_code in {302, 401}, path
    for weak in (secret, "short", "aaaaaaaaaaaaaaaaaaaa", f"{WHO} {NEW}"):
        assert renew(client, weak).status_code == 422, weak
    assert renew(client, NEW).headers["Location"] == "/orders"
    assert client.get("/orders").status_code == 200
    assert come(browse, secret)[1].status_code == 403, "it counts once"
    assert come(browse, NEW)[1].status_code == 302
    with database.transaction(SYSTEM) as session:
        assert session.scalars(select(PasswordReset)).all() == []
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "accounts.password_reset")).one()
    assert (entry.data, entry.actor_name) == (
        {"reason": "本人到场核实", "valid_h": 24},
        world.actor(database, "system_admin.city").name,
    )
    assert secret not in str(entry.data)


def test_it_runs_out_and_a_second_one_takes_its_place(browse, database, clock):
    first = reset(browse, database)
    second = reset(browse, database)
    assert come(browse, first)[1].status_code == 403
    clock.shift(timedelta(hours=24) - timedelta(seconds=1))
    assert come(browse, second)[1].status_code == 302
    clock.shift(timedelta(seconds=1))
    late = come(browse, second)[1]
    assert late.status_code == 403
    assert "已过期" in late.get_data(as_text=True)
    assert "用户名或密码不对" in come(browse, world.PASSWORD)[1].get_data(as_text=True)
    page = browse("system_admin.city").get(f"/accounts/{world.user_id(database, WHO)}").get_data(as_text=True)
    assert "已于 2026-11-19 09:00 失效" in page


def test_a_program_is_sent_to_the_page_first(app, browse, database, clock):
    secret = reset(browse, database)
    asked = {"username": WHO, "password": secret}
    assert app.test_client().post("/api/v1/tokens", json=asked).json["code"] == "accounts.renew_first"
    wrong = app.test_client().post("/api/v1/tokens", json=asked | {"password": world.PASSWORD})
    assert wrong.json["code"] == "accounts.wrong_password"


def test_the_second_factor_is_asked_for_before_the_new_password(browse, database, clock):
    who = world.actor(database, WHO)
    with database.transaction(SYSTEM) as session:
        key = factors.begin(session, user_id=who.user_id, key="only for tests", now=START)
        session.flush()
        factors.confirm(
            session, user_id=who.user_id, code=code_at(key, START), key="only for tests", actor=who, now=START
        )
    clock.shift(timedelta(minutes=5))
    client, answer = come(browse, reset(browse, database))
    assert answer.headers["Location"].startswith("/sign-in/code")
    assert client.get("/sign-in/renew").headers["Location"] == "/sign-in"
    client.csrf = csrf_of(client.get("/sign-in/code"))
    assert (
        client.submit("/sign-in/code", code=code_at(key, clock_now())).headers["Location"].startswith("/sign-in/renew")
    )
    assert client.get("/account").status_code == 302
    assert renew(client, NEW).status_code == 302
    assert client.get("/account").status_code == 200


MAY = {
    "system_admin.city": 200, "security_admin.city": 200, "system_admin.xihu": 200, "security_admin.xihu": 200, "audit_admin.city": 403,
    "vehicle_office.city": 403, "auditor.city": 403, "unit_admin.xhedu": 403, WHO: 403, "fleet_manager.city": 404, "unit_admin.bjwater": 404,
}  # fmt: skip


@pytest.mark.parametrize("username", MAY)
def test_who_may_reset_and_who_may_not(browse, database, username):
    answer = browse(username).submit(f"/accounts/{world.user_id(database, WHO)}/password/reset", reason="本人到场核实")
    assert answer.status_code == MAY[username]


def test_not_elsewhere_not_oneself_not_without_a_reason(browse, database, session_as, acting, now):
    with session_as("system_admin.xihu") as session, pytest.raises(NotFound):
        resets.password(session, user_id=world.user_id(database, "applicant.bjwater"), reason="本人到场核实", valid_h=24,
                        actor=acting("system_admin.xihu"), now=now)  # fmt: skip
    for username in ("system_admin.city", "security_admin.city"):
        mine = world.user_id(database, username)
        with session_as(username) as session, pytest.raises(NotAllowed, match="own_row"):
            resets.password(session, user_id=mine, reason="自己忘了", valid_h=24, actor=acting(username), now=now)
    client, user = browse("system_admin.city"), world.user_id(database, WHO)
    assert client.submit(f"/accounts/{user}/password/reset", reason=" ").status_code == 422
    client.submit(f"/accounts/{user}/close")
    assert client.submit(f"/accounts/{user}/password/reset", reason="本人到场核实").status_code == 422


@pytest.mark.parametrize("by", sorted(ADMINISTRATORS))
@pytest.mark.parametrize("of", sorted(ADMINISTRATORS))
def test_no_reset_makes_one_administrator_another(by, of):
    if by == of:
        rules.check_reset_keeps_duties_apart(of=[of], by=[by], has_factor=False)
    else:
        with pytest.raises(RuleBroken, match="reset_other_duty"):
            rules.check_reset_keeps_duties_apart(of=[of], by=[by], has_factor=False)
    rules.check_reset_keeps_duties_apart(of=[of], by=[by], has_factor=True)
    rules.check_reset_keeps_duties_apart(of=[Role.AUDITOR], by=[by], has_factor=False)


def test_the_page_refuses_another_kind_of_administrator_without_a_second_factor(browse, database):
    user = world.user_id(database, "security_admin.xihu")
    refused = browse("system_admin.city").submit(f"/accounts/{user}/password/reset", reason="本人到场核实")
    assert refused.status_code == 422
    assert "另一类管理员" in refused.get_data(as_text=True)
    assert reset(browse, database, by="security_admin.city", of="security_admin.xihu")


@pytest.mark.parametrize("first", ["password", "factor"])
def test_nobody_takes_both_away(database, session_as, acting, now, first):
    who = world.actor(database, "auditor.city")
    with database.transaction(SYSTEM) as session:
        key = factors.begin(session, user_id=who.user_id, key="k", now=now)
        session.flush()
        factors.confirm(session, user_id=who.user_id, code=code_at(key, now), key="k", actor=who, now=now)
    steps = {
        "password": lambda s, by: resets.password(s, user_id=who.user_id, reason="本人到场核实", valid_h=24, actor=acting(by), now=now),
        "factor": lambda s, by: resets.factor(s, user_id=who.user_id, reason="手机遗失", actor=acting(by), now=now),
    }  # fmt: skip
    second = next(name for name in steps if name != first)
    with session_as("system_admin.city") as session:
        steps[first](session, "system_admin.city")
    with session_as("system_admin.city") as session, pytest.raises(RuleBroken, match="reset_by_two"):
        steps[second](session, "system_admin.city")
    with session_as("security_admin.city") as session:
        steps[second](session, "security_admin.city")
        assert not factors.is_on(session, user_id=who.user_id)


def test_a_new_account_changes_its_first_password(browse, database, clock):
    where = world.actor(database, WHO).org_id
    browse("system_admin.city").submit("/accounts/new", username="new.person", name_zh="新岗位", name_en="New post", org_id=where,
                                       password=NEW)  # fmt: skip
    client, answer = come(browse, NEW, "new.person")
    assert answer.headers["Location"].startswith("/sign-in/renew")
    assert renew(client, NEW).status_code == 422, "the same again"
    assert renew(client, "otter marble autumn plum").status_code == 302
    assert come(browse, NEW, "new.person")[1].status_code == 403
    clock.shift(timedelta(hours=25))
    assert come(browse, "otter marble autumn plum", "new.person")[1].status_code == 302


def test_the_database_keeps_resets_to_those_who_look_after_the_account(database, session_as, browse):
    reset(browse, database)
    user = world.user_id(database, WHO)
    seen = dict.fromkeys(("system_admin.xihu", "security_admin.city", "audit_admin.city", "vehicle_office.city", "system_admin.city", WHO))  # fmt: skip
    for username in seen:
        with session_as(username) as session:
            seen[username] = session.execute(text("UPDATE password_reset SET expires_at = expires_at WHERE user_id = :id"), {"id": user}).rowcount  # fmt: skip
    assert seen == {"system_admin.xihu": 1, "security_admin.city": 1, "audit_admin.city": 0, "vehicle_office.city": 0, "system_admin.city": 1, WHO: 0}  # fmt: skip
