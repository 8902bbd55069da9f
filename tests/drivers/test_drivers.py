"""Drivers: licences, who may keep them, who is available."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from fleetapp.accounts.models import UserAccount
from fleetapp.accounts.service import create_user
from fleetapp.audit.models import AuditEntry
from fleetapp.drivers import queries, rules, service
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence, Validity
from fleetapp.kit.actor import SYSTEM, Role
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.policies import service as policies
from tests import world

ON = date(2026, 11, 18)


@pytest.fixture
def new_user(database, now):
    """Open an account of a unit with a role; returns its id."""

    def make(username, org, role=Role.DRIVER):
        with database.transaction(SYSTEM) as session:
            where = session.scalar(select(UserAccount).where(UserAccount.username == f"applicant.{org}")).org_id
            user = create_user(session, username=username, name_zh="驾驶员", name_en="Driver", org_id=where,
                               password=world.PASSWORD, grants=[(role, where)], actor=SYSTEM, now=now)  # fmt: skip
            session.flush()
            return user.id

    return make


@pytest.fixture
def driver_id(database):
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(Driver.id).join(Driver.user).where(UserAccount.username == "driver.xhedu"))


@given(st.sampled_from(Licence), st.integers(1, 60))
def test_a_licence_covers_vehicles_up_to_its_seats(licence, seats):
    most = {"A1": 60, "B1": 19, "C1": 9, "C2": 9}[licence]
    assert rules.may_drive(licence, seats) is (seats <= most)
    assert (licence in rules.licences_for(seats)) is (seats <= most)


@pytest.mark.parametrize(
    ("days", "expected"), [(-1, Validity.EXPIRED), (0, Validity.SOON), (60, Validity.SOON), (61, Validity.VALID)]
)
def test_a_licence_counts_on_its_last_day(days, expected):
    assert rules.validity(ON + timedelta(days=days), ON, 60) is expected


@pytest.mark.parametrize(
    ("licence", "seats", "valid_to", "code"),
    [
        (Licence.C1, 9, ON, None),
        (Licence.C1, 14, ON, "drivers.licence_class"),
        (Licence.B1, 14, ON, None),
        (Licence.B1, 20, ON, "drivers.licence_class"),
        (Licence.A1, 35, ON - timedelta(days=1), "drivers.licence_expired"),
    ],
)
def test_a_driver_fits_a_vehicle_by_class_and_date(licence, seats, valid_to, code):
    found = None
    try:
        rules.check_fit(licence, valid_to, seats=seats, on=ON)
    except RuleBroken as refused:
        found = refused.code
    assert found == code


def test_a_fleet_manager_makes_an_account_a_driver_once(session_as, acting, new_user, now):
    user_id, me = new_user("driver3.xhedu", "xhedu"), acting("fleet_manager.xihu")
    facts = {"user_id": user_id, "licence": Licence.B1, "licence_valid_to": date(2030, 1, 1), "actor": me, "now": now}
    with session_as("fleet_manager.xihu") as session:
        driver = service.create(session, **facts)
        assert driver.org_id == driver.user.org_id
        with pytest.raises(RuleBroken, match=r"drivers\.not_candidate"):
            service.create(session, **facts)
        assert queries.driver_of_user(session, user_id=user_id).id == driver.id


def test_only_open_accounts_with_the_role_within_reach_are_candidates(session_as, acting, new_user):
    wanted = new_user("driver3.xhedu", "xhedu")
    new_user("driver3.bjwater", "bjwater")
    new_user("clerk.xhedu", "xhedu", Role.APPLICANT)
    with session_as("fleet_manager.xihu") as session:
        assert [user.id for user in session.scalars(queries.candidates(acting("fleet_manager.xihu")))] == [wanted]
    with session_as("dispatcher.xihu") as session:
        assert session.scalars(queries.candidates(acting("dispatcher.xihu"))).all() == []


@pytest.mark.parametrize("username", ["dispatcher.xihu", "auditor.city", "driver.xhedu", "applicant.xhedu"])
def test_others_may_not_make_drivers(session_as, acting, new_user, now, username):
    user_id = new_user("driver3.xhedu", "xhedu")
    with session_as(username) as session, pytest.raises(NotAllowed):
        service.create(session, user_id=user_id, licence=Licence.C1, licence_valid_to=date(2030, 1, 1), actor=acting(username),
                       now=now)  # fmt: skip


def test_a_licence_is_renewed_with_before_and_after_in_the_log(database, session_as, acting, driver_id, now):
    me = acting("fleet_manager.xihu")
    with session_as("fleet_manager.xihu") as session:
        for _ in range(2):
            service.edit_licence(
                session, driver_id=driver_id, licence=Licence.B1, licence_valid_to=date(2032, 1, 1), actor=me, now=now
            )
        with pytest.raises(RuleBroken, match=r"drivers\.licence_expired"):
            service.edit_licence(
                session, driver_id=driver_id, licence=Licence.B1, licence_valid_to=date(2020, 1, 1), actor=me, now=now
            )
    with database.transaction(SYSTEM) as session:
        entries = session.scalars(select(AuditEntry).where(AuditEntry.action == "drivers.licence_edited")).all()
    assert [entry.data for entry in entries] == [{"before": ["C1", "2030-01-01"], "after": ["B1", "2032-01-01"]}]


@pytest.mark.parametrize(
    ("username", "refusal"),
    [
        ("fleet_manager.binjiang", NotFound),
        ("applicant.xhedu", NotFound),
        ("dispatcher.xihu", NotAllowed),
        ("driver.xhedu", NotAllowed),
    ],
)
def test_nobody_else_edits_a_licence(session_as, acting, driver_id, now, username, refusal):
    with session_as(username) as session, pytest.raises(refusal):
        service.edit_licence(session, driver_id=driver_id, licence=Licence.A1, licence_valid_to=date(2032, 1, 1),
                             actor=acting(username), now=now)  # fmt: skip


def test_available_drivers_have_the_class_and_a_licence_that_lasts(session_as, acting, driver_id, now):
    me = acting("fleet_manager.city")
    with session_as("fleet_manager.city") as session:

        def found(**asked):
            return [
                driver.user.username for driver in queries.available(session, actor=me, **{"until_on": ON, **asked})
            ]

        assert found() == ["driver.fleet", "driver.xhedu", "driver2.xhedu", "driver.bjwater"]
        assert found(seats=14) == ["driver.fleet"]
        assert found(until_on=date(2030, 1, 2)) == []
        unit = session.get(Driver, driver_id).org_id
        assert found(org_id=unit) == ["driver.xhedu", "driver2.xhedu"]
        service.leave(session, driver_id=driver_id, actor=me, now=now)
        service.leave(session, driver_id=driver_id, actor=me, now=now)
        assert found(org_id=unit) == ["driver2.xhedu"]
        with pytest.raises(RuleBroken, match=r"drivers\.left"):
            service.edit_licence(
                session, driver_id=driver_id, licence=Licence.A1, licence_valid_to=date(2032, 1, 1), actor=me, now=now
            )


def test_the_pages_list_add_renew_and_end(browse, new_user, driver_id, database, now):
    with database.transaction(SYSTEM) as session:
        policies.load_file(session, actor=SYSTEM, now=now)
    user_id = new_user("driver3.xhedu", "xhedu")
    client = browse("fleet_manager.xihu")
    page = client.get("/drivers").get_data(as_text=True)
    assert "driver.xhedu" in page
    assert "driver.bjwater" not in page
    assert "暂无数据" in client.get("/drivers?q=nobody").get_data(as_text=True)
    assert str(user_id) in client.get("/drivers/new").get_data(as_text=True)
    wrong = client.submit("/drivers/new", user_id=user_id, licence="C1", licence_valid_to="2020-01-01")
    assert wrong.status_code == 422
    assert "已过期" in wrong.get_data(as_text=True).split('id="d-licence_valid_to"')[1]
    assert (
        client.submit("/drivers/new", user_id=user_id, licence="C1", licence_valid_to="2030-01-01").status_code == 302
    )
    assert "2030-01-01" in client.get(f"/drivers/{driver_id}/licence").get_data(as_text=True)
    assert (
        client.submit(f"/drivers/{driver_id}/licence", licence="B1", licence_valid_to="2026-12-01").status_code == 302
    )
    page = client.get("/drivers?licence=B1").get_data(as_text=True)
    assert "即将到期" in page or "已过期" in page
    assert client.submit(f"/drivers/{driver_id}/leave").status_code == 302
    assert "已离岗" in client.get("/drivers?licence=B1").get_data(as_text=True)


def test_the_page_is_closed_to_applicants_and_read_only_for_dispatchers(browse, driver_id):
    assert browse("applicant.xhedu").get("/drivers").status_code == 403
    client = browse("dispatcher.xihu")
    assert "离岗" not in client.get("/drivers").get_data(as_text=True)
    assert client.get("/drivers/new").status_code == 403
    assert client.submit(f"/drivers/{driver_id}/leave").status_code == 403


def test_the_api_does_what_the_pages_do(api, new_user, driver_id):
    call = api("fleet_manager.xihu")
    made = call(
        "POST",
        "/drivers",
        json={"user_id": new_user("driver3.xhedu", "xhedu"), "licence": "C2", "licence_valid_to": "2030-01-01"},
    )
    assert made.status_code == 201, made.json
    assert made.json["name_en"] == "Driver"
    assert [row["id"] for row in call("GET", "/drivers?licence=C2").json] == [made.json["id"]]
    body = {"licence": "A1", "licence_valid_to": "2031-01-01"}
    assert call("PUT", f"/drivers/{driver_id}/licence", json=body).json["licence"] == "A1"
    assert call("POST", f"/drivers/{driver_id}/leave").json["left_at"] is not None
    assert call("PUT", f"/drivers/{driver_id}/licence", json=body).json["code"] == "drivers.left"
    assert call("PUT", f"/drivers/{driver_id}/licence", json=body | {"licence": "Z9"}).status_code == 422
    assert api("fleet_manager.binjiang")("GET", f"/drivers/{driver_id}").status_code == 404
    assert api("auditor.city")("POST", "/drivers", json=body | {"user_id": 1}).status_code == 403
