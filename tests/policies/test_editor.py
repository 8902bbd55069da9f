"""Entering, correcting and withdrawing figures: through the service, the API, the pages and raw SQL."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.policies import queries, service
from fleetapp.policies.models import PolicyValue
from tests.policies.conftest import CITY, DISTRICT

TODAY = date(2026, 11, 18)
FIRST = date(2026, 12, 1)


@pytest.fixture
def value(database, org_ids):
    """Return the value of a code on a day for an organisation's code, the city by default."""

    def find(code="order.lead_min", on=FIRST, org="330100"):
        from fleetapp.accounts.queries import get_org

        with database.transaction(SYSTEM) as session:
            return queries.value(session, code, on, get_org(session, org_id=org_ids[org]).path)

    return find


@pytest.fixture
def periods(database):
    """Return (value, first day, end, withdrawn) of a code's rows, the newest first."""

    def find(code="order.lead_min"):
        with database.transaction(SYSTEM) as session:
            return [(int(row.value), row.valid_from, row.valid_to, row.withdrawn_at is not None)
                    for row in queries.history(session, code=code)]  # fmt: skip

    return find


@pytest.fixture
def withdraw(database, acting, now):
    def do(policy_id, who=CITY):
        me = acting(who)
        with database.transaction(me) as session:
            return service.withdraw(session, policy_id=policy_id, reason="文件废止", actor=me, now=now)

    return do


def refused(function, *args, **given):
    with pytest.raises(RuleBroken) as broken:
        function(*args, **given)
    return broken.value.code


# ---- periods ------------------------------------------------------------------------------------------------------------


def test_a_new_row_takes_over_on_its_first_day_and_the_one_before_ends_there(enter, value, periods, database):
    made = enter()
    assert (value(on=FIRST - timedelta(days=1)), value(on=FIRST)) == (30, 45)
    assert periods() == [(45, FIRST, None, False), (30, date(2023, 1, 1), FIRST, False)]
    with database.transaction(SYSTEM) as session:
        entry = session.scalars(select(AuditEntry).where(AuditEntry.action == "policies.entered")).one()
        assert (entry.subject_id, entry.data["value"], entry.data["reason"]) == (str(made.id), "45", "会议议定")
        assert session.get(PolicyValue, made.id).created_by is not None


def test_a_row_before_a_later_one_ends_where_that_begins(enter, periods):
    enter(CITY, value="60", valid_from=date(2027, 6, 1))
    enter()
    assert [row[:3] for row in periods()] == [
        (60, date(2027, 6, 1), None), (45, FIRST, date(2027, 6, 1)), (30, date(2023, 1, 1), FIRST),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"valid_from": date(2026, 11, 17)}, "policies.past"),
        ({"valid_from": date(2026, 12, 2), "correction": True}, "policies.correction_odd"),
        ({"valid_to": date(2027, 1, 1)}, "policies.open_end"),
        ({"unit": "h"}, "policies.unit"),
        ({"value": "-1"}, "policies.value_range"),
        ({"scope": "org"}, "policies.scope_org"),
        ({"org": "330100"}, "policies.scope_org"),
        ({"org": "330106", "scope": "city"}, "policies.scope_org"),
        ({"scope": "national", "may_relax": True}, "policies.nothing_above"),
    ],
)
def test_what_cannot_be_meant_is_refused(enter, given, code):
    assert refused(enter, CITY, **given) == code


def test_a_second_row_of_one_day_is_refused_and_an_unknown_code_not_found(enter):
    enter()
    assert refused(enter, CITY, value="50") == "policies.same_day"
    with pytest.raises(NotFound):
        enter(CITY, "order.unheard_of")


def test_a_correction_leaves_what_it_corrects_on_record(enter, value, periods):
    enter(CITY, value="40", valid_from=date(2026, 11, 1), correction=True)
    assert (value(on=date(2026, 10, 31)), value(on=TODAY)) == (30, 40)
    enter(CITY, value="35", valid_from=date(2026, 11, 1), correction=True)
    assert value(on=TODAY) == 35
    assert periods() == [
        (35, date(2026, 11, 1), None, False), (40, date(2026, 11, 1), None, True), (30, date(2023, 1, 1), date(2026, 11, 1), False),
    ]  # fmt: skip


def test_a_withdrawn_row_gives_the_period_back(enter, withdraw, periods, value):
    middle = enter()
    last = enter(CITY, value="60", valid_from=date(2027, 6, 1))
    withdraw(middle.id)
    assert value(on=FIRST) == 30
    assert value(on=date(2027, 6, 1)) == 60
    withdraw(last.id)
    assert [row for row in periods() if not row[3]] == [(30, date(2023, 1, 1), None, False)]
    assert refused(withdraw, last.id) == "policies.withdrawn_already"
    enter()
    assert value(on=FIRST) == 45


def test_a_row_in_force_is_not_withdrawn(enter, withdraw):
    assert refused(withdraw, enter(CITY, valid_from=TODAY).id) == "policies.in_force_already"


def test_a_units_row_may_end_and_the_scope_above_applies_again(enter, value):
    enter(CITY, org="330106-EDU", value="90", valid_to=date(2027, 1, 1))
    days = [FIRST - timedelta(days=1), FIRST, date(2026, 12, 31), date(2027, 1, 1)]
    assert [value(on=day, org="330106-EDU") for day in days] == [30, 90, 90, 30]


# ---- scopes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "unit", "stricter", "looser"),
    [("renewal.min_years", "year", "10", "6"), ("cap.YJBZ.normal.price_cny", "CNY", "150000", "200000")],
)
def test_a_lower_scope_tightens_but_does_not_relax(enter, value, code, unit, stricter, looser):
    assert refused(enter, DISTRICT, code, looser, unit, org="330106") == "policies.looser"
    assert refused(enter, CITY, code, looser, unit) == "policies.looser"
    before = value(code)
    enter(DISTRICT, code, stricter, unit, org="330106")
    assert value(code, org="330106-EDU") == Decimal(stricter)
    assert value(code, org="330108-WATER") == value(code) == before
    enter(CITY, code, looser, unit, org="330106-EDU", may_relax=True)
    assert value(code, org="330106-EDU") == Decimal(looser)
    assert value(code, org="330106") == Decimal(stricter)


def test_a_city_that_tightens_later_leaves_a_districts_looser_row_without_effect(enter, value):
    enter(DISTRICT, "renewal.min_years", "9", "year", org="330106")
    enter(CITY, "renewal.min_years", "12", "year")
    assert value("renewal.min_years", org="330106-EDU") == 12


def test_only_the_scope_above_lets_a_scope_relax(enter, value):
    with pytest.raises(NotAllowed):
        enter(DISTRICT, value="10", org="330106", may_relax=True)
    enter(DISTRICT, value="10", org="330106-EDU", may_relax=True)
    assert (value(org="330106-EDU"), value(org="330106")) == (10, 30)
    enter(CITY, value="15", org="330106", may_relax=True)
    assert (value(org="330106-EDU"), value(org="330106"), value()) == (10, 15, 30)


def test_where_no_value_is_the_stricter_one_a_scope_of_its_own_needs_leave(enter, value):
    given = {"code": "plan.price_bev_cny", "value": "160000", "unit": "CNY", "org": "330106"}
    assert refused(enter, DISTRICT, **given) == "policies.not_free"
    enter(CITY, **given, may_relax=True)
    assert value("plan.price_bev_cny", org="330106-EDU") == 160000


@pytest.mark.parametrize(
    ("who", "org", "allowed"),
    [
        (CITY, None, True), (CITY, "330108", True), (DISTRICT, "330106", True), (DISTRICT, "330106-EDU", True),
        (DISTRICT, None, False), (DISTRICT, "330108", False), ("leader.city", None, False), ("unit_admin.xhedu", "330106-EDU", False),
    ],
)  # fmt: skip
def test_each_keeps_the_figures_of_its_own_part(enter, database, who, org, allowed):
    if allowed:
        assert enter(who, value="60", org=org).value == 60
        return
    with pytest.raises(NotAllowed):
        enter(who, value="60", org=org)


# ---- the database ---------------------------------------------------------------------------------------------------------

INSERT = (
    "INSERT INTO policy_value (code, scope, org_id, value, unit, stricter, may_relax, valid_from, source, article, reason, created_at, created_by)"
    " VALUES ('order.lead_min', :scope, :org, :value, :unit, 'higher', :may_relax, :first, 's', 'a', :reason, :now, :by)"
)


@pytest.fixture
def insert(database, acting, now, org_ids, loaded):
    """Insert a row with raw SQL as somebody working as the application's role."""

    def do(who, org=None, **given):
        me = acting(who)
        values = {"scope": "org" if org else "city", "org": org_ids.get(org), "value": 60, "unit": "min", "may_relax": False,
                  "first": FIRST, "reason": "会议议定", "now": now, "by": me.user_id, **given}  # fmt: skip
        with database.transaction(me) as session:
            session.execute(text(INSERT), values)

    return do


@pytest.mark.parametrize(
    ("who", "given"),
    [
        (DISTRICT, {}), (DISTRICT, {"org": "330108"}), (DISTRICT, {"org": "330106", "may_relax": True}),
        ("auditor.binjiang", {"org": "330106-EDU"}), (CITY, {"by": None}),
    ],
)  # fmt: skip
def test_the_database_lets_nobody_write_for_others(insert, database, who, given):
    with pytest.raises(ProgrammingError, match="row-level security"):
        insert(who, **given)


@pytest.mark.parametrize(
    ("given", "constraint"),
    [
        ({"first": date(2026, 11, 17)}, "ck_policy_value_past"),
        ({"unit": "h"}, "ck_policy_value_unit"),
        ({"reason": " "}, "ck_policy_value_reason"),
        ({"value": -1}, "ck_policy_value_value"),
        ({"scope": "org"}, "ck_policy_value_org"),
    ],
)
def test_the_database_refuses_a_faulty_row(insert, loaded, given, constraint):
    from fleetapp.kit.errors import Conflict

    with pytest.raises((IntegrityError, Conflict)) as broken:
        insert(CITY, **given)
    cause = broken.value if isinstance(broken.value, IntegrityError) else broken.value.__cause__
    assert cause.orig.diag.constraint_name == constraint


def test_the_database_allows_what_is_ones_own_and_a_second_row_of_a_day_only_once(insert, periods):
    from fleetapp.kit.errors import Conflict

    insert(DISTRICT, org="330106-EDU")
    insert(CITY)
    with pytest.raises(Conflict) as broken:
        insert(CITY, value=61)
    assert broken.value.code == "policies.same_day_now"
    assert sorted(row[0] for row in periods()) == [30, 60, 60]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE policy_value SET value = 1", "UPDATE policy_value SET valid_to = '2026-12-31'", "DELETE FROM policy_value", "TRUNCATE policy_value"],
)  # fmt: skip
def test_a_row_is_never_altered_or_removed(loaded, database, acting, statement):
    for who in (acting(CITY), SYSTEM):
        with pytest.raises(ProgrammingError, match="permission denied"), database.transaction(who) as session:
            session.execute(text(statement))


def test_a_row_in_force_is_not_withdrawn_by_raw_sql_either(enter, database, acting, now):
    with (
        pytest.raises(IntegrityError, match="only one not in force yet"),
        database.transaction(acting(CITY)) as session,
    ):
        session.execute(
            text("UPDATE policy_value SET withdrawn_at = :now, withdrawn_by = :by, withdrawn_reason = 'x' WHERE code = 'order.lead_min'"),
            {"now": now, "by": acting(CITY).user_id},
        )  # fmt: skip


def test_even_the_tables_owner_can_neither_rewrite_a_row_nor_make_two_stand_on_one_day(loaded, live_database_url):
    import psycopg

    with psycopg.connect(live_database_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO policy_value (code, value, unit, valid_from, source) VALUES ('x', 1, 'km', '2023-01-01', 's')"
        )
        owner.execute(
            "INSERT INTO policy_value (code, value, unit, valid_from, source) VALUES ('x', 2, 'km', '2024-01-01', 's')"
        )
        for change in ("value = 3", "valid_to = NULL"):
            with pytest.raises(psycopg.errors.RestrictViolation):
                owner.execute(f"UPDATE policy_value SET {change} WHERE code = 'x'")
        owner.execute("ALTER TABLE policy_value DISABLE TRIGGER frozen")
        with pytest.raises(psycopg.errors.ExclusionViolation, match="ex_policy_value_one_in_force"):
            owner.execute("UPDATE policy_value SET valid_to = NULL WHERE code = 'x'")
        with pytest.raises(psycopg.errors.RestrictViolation):
            owner.execute("DELETE FROM policy_value")


# ---- API and pages --------------------------------------------------------------------------------------------------------


def outside(row):
    """Return a row's arguments as JSON or a form would carry them."""
    return {key: str(value) for key, value in row.items() if value is not None}


def test_the_api_lists_enters_and_withdraws(loaded, api, row, org_ids):
    call = api(CITY)
    made = call("POST", "/policies", json=outside(row()))
    assert made.status_code == 201, made.get_data(as_text=True)
    assert (made.json["value"], made.json["valid_to"]) == ("45.0000", None)
    history = call("GET", "/policies/order.lead_min/history").json
    assert [one["valid_from"] for one in history] == ["2026-12-01", "2023-01-01"]
    on = call("GET", "/policies?q=order.lead&on=2026-12-01").json
    assert [one["value"] for one in on] == ["45.0000"]
    assert {one["code"].split(".")[0] for one in call("GET", "/policies?subject=caps&size=200").json} == {"cap"}
    assert call("POST", f"/policies/{made.json['id']}/withdrawal", json={"reason": "文件废止"}).status_code == 200
    assert call("POST", f"/policies/{made.json['id']}/withdrawal", json={"reason": "文件废止"}).status_code == 422
    assert call("GET", "/policies/nothing/history").status_code == 404
    assert call("POST", "/policies", json=outside(row(value="-3"))).status_code == 422


def test_the_api_refuses_who_does_not_maintain_the_scope(loaded, api, row):
    city, district, reader = api(CITY), api(DISTRICT), api("auditor.city")
    assert district("POST", "/policies", json=outside(row(org="330106"))).status_code == 201
    assert district("POST", "/policies", json=outside(row())).status_code == 403
    assert reader("POST", "/policies", json=outside(row())).status_code == 403
    assert reader("POST", "/policies/preview", json=outside(row())).status_code == 403
    made = city("POST", "/policies", json=outside(row())).json
    assert district("POST", f"/policies/{made['id']}/withdrawal", json={"reason": "文件废止"}).status_code == 403
    assert reader("GET", "/policies/order.lead_min/history").status_code == 200
    assert api("applicant.xhedu")("GET", "/policies/order.lead_min/history").status_code == 403


def test_the_pages_show_preview_and_save(loaded, browse, row, periods):
    client = browse(CITY)
    form = outside(row(value="60")) | {"step": "preview"}
    del form["code"]
    assert "新增数值" in client.get("/policies/order.lead_min/new").get_data(as_text=True)
    page = client.submit("/policies/order.lead_min/new", **form).get_data(as_text=True)
    assert "影响预览" in page
    assert "近 30 日提前量不足的普通用车申请" in page
    assert [row[0] for row in periods()] == [30]
    again = client.submit("/policies/order.lead_min/new", **form | {"step": "edit"}).get_data(as_text=True)
    assert 'value="60"' in again
    assert client.submit("/policies/order.lead_min/new", **form | {"step": "save"}).status_code == 302
    page = client.get("/policies/order.lead_min").get_data(as_text=True)
    assert "尚未生效" in page
    assert "会议议定" in page
    future = page.split("/withdrawal")[0].rsplit("/", 1)[1]
    short = client.submit(f"/policies/order.lead_min/{future}/withdrawal", reason="x")
    assert short.status_code == 422
    assert client.submit(f"/policies/order.lead_min/{future}/withdrawal", reason="文件废止").status_code == 302
    assert "已撤回" in client.get("/policies/order.lead_min").get_data(as_text=True)


def test_the_pages_say_what_is_wrong_and_who_may_not(loaded, browse, row, org_ids):
    client = browse(DISTRICT)
    form = {key: value for key, value in outside(row(value="10", org="330106")).items() if key != "code"}
    page = client.submit("/policies/order.lead_min/new", **form)
    assert page.status_code == 422
    assert "宽于上一级现行数值 30" in page.get_data(as_text=True).split('id="d-value"')[1]
    plain = client.submit("/policies/match.before_min/new", **form | {"may_relax": "true"})
    assert plain.status_code == 403
    reader = browse("auditor.city")
    assert reader.get("/policies/order.lead_min/new").status_code == 403
    assert reader.submit("/policies/order.lead_min/new", **form).status_code == 403
    shown = reader.get("/policies/order.lead_min").get_data(as_text=True)
    assert "/policies/order.lead_min/new" not in shown
    assert reader.get("/policies/nothing").status_code == 404
    assert browse("applicant.xhedu").get("/policies/order.lead_min").status_code == 403


def test_the_list_marks_what_stands_for_a_part(loaded, enter, browse, org_ids):
    enter(DISTRICT, "renewal.min_years", "10", "year", org="330106", valid_from=TODAY)
    page = (
        browse(CITY).get(f"/policies?q=renewal.min&org_id={org_ids['330106-EDU']}&on=2026-11-18").get_data(as_text=True)
    )
    assert page.count("从严，不起作用") == 1
    assert page.count(">起作用<") == 1
