"""Three administrators: who opens accounts, who grants roles, who reads the log; nobody is two of them, none grants to himself."""

import itertools

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from fleetapp.accounts import service
from fleetapp.accounts.models import RoleGrant, UserAccount
from fleetapp.accounts.rules import check_one_duty
from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import ADMINISTRATORS, SYSTEM, Role
from fleetapp.kit.db import Database
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from tests import world

THREE = ("system_admin.city", "security_admin.city", "audit_admin.city")


def org_of(database, username):
    return world.actor(database, username).org_id


@pytest.mark.parametrize("username", THREE)
def test_each_of_the_three_does_what_the_other_two_may_not(browse, database, username):
    client, person = browse(username), world.user_id(database, "applicant.xhedu")
    where = org_of(database, "applicant.xhedu")
    opened = client.submit("/accounts/new", username="new.person", name_zh="新岗位", name_en="New post", org_id=where,
                           password="heron glass winter pear")  # fmt: skip
    granted = client.submit(f"/accounts/{person}/grants", role="approver", org_id=where, reason="代理审批人")
    read = client.get("/audit")
    assert [opened.status_code, granted.status_code, read.status_code] == {
        "system_admin.city": [302, 403, 403],
        "security_admin.city": [403, 302, 403],
        "audit_admin.city": [403, 403, 200],
    }[username]


def test_a_new_account_has_no_role_until_another_administrator_grants_one(api, browse, database):
    where = org_of(database, "applicant.xhedu")
    account = {"username": "new.person", "name_zh": "新岗位", "name_en": "New post", "org_id": where, "password": "heron glass winter pear"}  # fmt: skip
    made = api("system_admin.city")("POST", "/users", json=account).json
    assert made["grants"] == []
    security = api("security_admin.city")
    asked = {"role": "applicant", "org_id": where, "reason": "新入职人员"}
    grant = security("POST", f"/users/{made['id']}/grants", json=asked)
    assert grant.status_code == 201
    assert security("POST", f"/users/{made['id']}/grants", json=asked).json["code"] == "accounts.granted_already"
    gone = security("DELETE", f"/users/{made['id']}/grants/{grant.json['id']}?reason=调离本单位")
    assert gone.status_code == 204
    with database.transaction(SYSTEM) as session:
        found = session.scalars(
            select(AuditEntry).where(AuditEntry.action.in_(["accounts.granted", "accounts.revoked"]))
        )
        assert [(entry.action, entry.data["reason"], entry.actor_name) for entry in found] == [
            ("accounts.granted", "新入职人员", world.actor(database, "security_admin.city").name),
            ("accounts.revoked", "调离本单位", world.actor(database, "security_admin.city").name),
        ]


def test_nobody_grants_to_himself(database, session_as, acting, now):
    me, where = acting("security_admin.city"), org_of(database, "applicant.xhedu")
    with session_as("security_admin.city") as session:
        with pytest.raises(NotAllowed, match="own_row"):
            service.grant(session, user_id=me.user_id, role=Role.SECURITY_ADMIN, org_id=where, reason="自己授权",
                          actor=me, now=now)  # fmt: skip
    for statement in (
        "INSERT INTO role_grant (user_id, role, org_id) SELECT :me, 'security_admin', min(id) + 1 FROM organisation",
        "UPDATE role_grant SET org_id = 1 WHERE user_id = :me",
    ):
        with (
            pytest.raises((DBAPIError, Conflict), match="row-level security|permission denied|grant_own"),
            session_as("security_admin.city") as s,
        ):
            s.execute(text(statement), {"me": me.user_id})
    with session_as("security_admin.city") as session:
        taken = session.execute(text("DELETE FROM role_grant WHERE user_id = :me"), {"me": me.user_id})
        assert taken.rowcount == 0


def test_a_grant_outside_the_own_part_of_the_tree_is_refused_by_rule_and_database(database, session_as, acting, now):
    me, elsewhere = acting("security_admin.xihu"), org_of(database, "applicant.bjwater")
    inside = world.user_id(database, "applicant.xhedu")
    with session_as("security_admin.xihu") as session, pytest.raises(NotAllowed):
        service.grant(
            session, user_id=inside, role=Role.APPROVER, org_id=elsewhere, reason="越区授权", actor=me, now=now
        )
    with pytest.raises(ProgrammingError, match="row-level security"), session_as("security_admin.xihu") as session:
        session.add(RoleGrant(user_id=inside, role=Role.APPROVER, org_id=elsewhere))
    org = org_of(database, "applicant.xhedu")
    with session_as("security_admin.xihu") as session:
        assert service.grant(
            session, user_id=inside, role=Role.APPROVER, org_id=org, reason="本区授权", actor=me, now=now
        )


@pytest.mark.parametrize(("held", "second"), list(itertools.permutations(sorted(ADMINISTRATORS), 2)))
def test_nobody_is_two_of_the_three(database, now, held, second):
    with pytest.raises(RuleBroken, match="one_duty"):
        check_one_duty([held, second])
    who = world.user_id(database, f"{held}.city")
    bare, where = Database(database.engine), org_of(database, f"{held}.xihu")
    with pytest.raises(IntegrityError, match="ex_role_grant_one_duty"), bare.transaction(SYSTEM) as session:
        session.add(RoleGrant(user_id=who, role=second, org_id=where))


def test_an_administrator_holds_no_other_role_and_the_refusal_says_so(database, session_as, acting, now):
    me, who = acting("security_admin.city"), world.user_id(database, "audit_admin.city")
    with session_as("security_admin.city") as session, pytest.raises(RuleBroken, match="one_duty"):
        service.grant(session, user_id=who, role=Role.AUDITOR, org_id=me.org_id, reason="兼任审计", actor=me, now=now)
    with pytest.raises(Conflict, match="accounts.one_duty"), database.transaction(SYSTEM) as session:
        session.add(RoleGrant(user_id=who, role=Role.AUDITOR, org_id=me.org_id))


def test_the_tree_and_accounts_are_the_system_administrators_to_write(database, session_as):
    person, org, foreign = (
        world.user_id(database, "applicant.xhedu"), org_of(database, "applicant.xhedu"), world.user_id(database, "applicant.bjwater")
    )  # fmt: skip
    for username, allowed in (("system_admin.xihu", 1), ("security_admin.xihu", 0), ("fleet_manager.city", 0)):
        with session_as(username) as session:
            found = session.execute(text("UPDATE user_account SET phone = '1' WHERE id = :id"), {"id": person})
            assert found.rowcount == allowed, username
            assert (
                session.execute(text("UPDATE organisation SET name_en = 'x' WHERE id = :id"), {"id": org}).rowcount
                == allowed
            )
    with session_as("system_admin.xihu") as session:
        assert (
            session.execute(text("UPDATE user_account SET phone = '1' WHERE id = :id"), {"id": foreign}).rowcount == 0
        )


def test_grants_of_the_world_keep_the_duties_apart(database):
    with database.transaction(SYSTEM) as session:
        for user in session.scalars(select(UserAccount)):
            check_one_duty(Role(grant.role) for grant in user.grants)


def test_the_page_of_an_account_shows_each_administrator_what_is_his(browse, database):
    person = world.user_id(database, "applicant.xhedu")
    security = browse("security_admin.city").get(f"/accounts/{person}").get_data(as_text=True)
    system = browse("system_admin.city").get(f"/accounts/{person}").get_data(as_text=True)
    office = browse("vehicle_office.city").get(f"/accounts/{person}").get_data(as_text=True)
    assert "授予角色" in security
    assert "授予角色" not in system + office
    assert "已登录的设备" in security
    assert "已登录的设备" in system
    assert "已登录的设备" not in office


def test_an_administrator_ends_the_sign_ins_of_somebody_else(browse, api, database):
    person, at_the_desk, program = (
        world.user_id(database, "applicant.xhedu"),
        browse("applicant.xhedu"),
        api("applicant.xhedu"),
    )
    for username, status in (("vehicle_office.city", 403), ("audit_admin.city", 403), ("fleet_manager.xihu", 404)):
        assert browse(username).submit(f"/accounts/{person}/sign-ins/end").status_code == status, username
    assert at_the_desk.get("/account").status_code == 200
    assert browse("security_admin.city").submit(f"/accounts/{person}/sign-ins/end").status_code == 302
    assert at_the_desk.get("/account").status_code == 302
    assert program("GET", "/me").status_code == 401
