"""What is exported imports back unchanged, whatever the vehicles; the export is recorded with its reason."""

import hashlib
import io
from datetime import date
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.accounts.models import Organisation
from fleetapp.audit.models import ExportRecord
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.vehicles import bulk
from fleetapp.vehicles.rules import Acquired, Body, Category, Energy, ManagementMode, Secrecy
from tests import world
from tests.ledgers.conftest import column, counts, faults, quota, rows_of, workbook

MANAGER, OFFICE = "fleet_manager.xihu", "vehicle_office.city"


def some(strategy):
    return st.none() | strategy


TEXT = (
    st.text(
        st.characters(
            codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Co"], exclude_characters="\ufeff\ufffe\uffff"
        ),
        min_size=1,
        max_size=20,
    )
    .map(str.strip)
    .filter(bool)
)
MONEY = st.decimals(0, 9_999_999, places=2)
DAYS = st.dates(date(1990, 1, 1), date(2026, 11, 18))
VEHICLE = st.fixed_dictionaries({
    "category": st.sampled_from([one.value for one in Category]), "secrecy": st.sampled_from([one.value for one in Secrecy]),
    "management_mode": st.sampled_from([one.value for one in ManagementMode]), "acquired_by": st.sampled_from([one.value for one in Acquired]),
    "model": TEXT, "colour": some(TEXT), "engine_no": some(st.text("ABC0123456789", min_size=1, max_size=20)), "fuel_grade": some(st.sampled_from(["92#", "95#", "0#"])),
    "displacement_ml": some(st.integers(1, 20_000)), "price_ex_tax": some(MONEY), "purchase_tax": some(MONEY), "domestic": st.booleans(),
    "acquired_on": some(DAYS), "made_on": some(DAYS), "registered_on": DAYS, "odometer_m": st.integers(0, 900_000_000),
    "battery_kwh": some(st.decimals(Decimal("0.1"), 500, places=1)), "tank_l": some(st.decimals(Decimal("0.1"), 500, places=1)),
})  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(VEHICLE, min_size=1, max_size=8), st.sampled_from(["zh", "en"]))
def test_an_export_of_any_vehicles_imports_back_with_no_change(ledgers, vehicles, lang):
    actor = ledgers.acting(MANAGER)
    with ledgers.database.transaction(SYSTEM) as outer, outer.begin_nested() as undone:
        org = outer.scalars(select(Organisation).where(Organisation.code == "330106-EDU")).one()
        rows = [
            (org, one | {"plate": f"浙B{number:05d}", "vin": world.with_check_digit(f"LSVDD11Z5N3{number:06d}"), "body": Body.SEDAN,
                         "energy": Energy.PETROL, "seats": 5})
            for number, one in enumerate(vehicles)
        ]  # fmt: skip
        bulk.register(outer, rows, phones={0: "13922220000"}, source={}, actor=SYSTEM, now=ledgers.now)
        content, record = ledgers.export(lang=lang)
        one = ledgers.check(content)
        assert (one.state, faults(one), one.changes) == ("CHECKED", {}, [])
        assert counts(one) == (0, 0, record.rows, 0)
        assert record.rows == 3 + len(vehicles)
        undone.rollback()
    assert actor.user_id == record.actor_id


def test_a_changed_cell_of_an_export_is_the_only_change(ledgers):
    content, _ = ledgers.export()
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book.worksheets[0]
    row = next(cells for cells in sheet.iter_rows(min_row=4) if cells[column("plate")].value == "浙A10003")
    row[column("colour")].value = "墨绿"
    file = io.BytesIO()
    book.save(file)
    one = ledgers.check(file.getvalue())
    assert counts(one) == (0, 1, 2, 0)
    assert one.changes[0]["changed"] == {"colour": [None, "墨绿"]}


def test_the_export_has_the_official_layout_and_is_recorded_with_its_reason(ledgers):
    content, record = ledgers.export()
    rows = rows_of(content)
    assert rows[0][0] == "公务用车台账"
    assert rows[1][0].startswith("单位：西湖区    日期：2026-11-18    填报人：fleet_manager 西湖区    审核人：")
    assert (rows[2][0], rows[2][2], rows[2][9]) == ("单位代码 *", "车牌号 *", "排气量（毫升）")
    assert [row[column("plate")] for row in rows[3:]] == ["浙A10001", "浙AD00002", "浙A10003"]
    assert rows[3][column("registered_on")].date() == date(2022, 3, 1)
    assert (rows[3][column("terminal_phone")], rows[3][column("odometer_m")], rows[3][column("state")]) == (
        "13900000001",
        10_000,
        "在用",
    )
    assert (record.sha256, record.rows) == (hashlib.sha256(content).hexdigest(), 3)
    with ledgers.database.transaction(SYSTEM) as session:
        assert session.scalars(select(ExportRecord.kind)).all() == ["ledger_vehicles"]
        logged = session.scalar(text("SELECT data FROM audit_entry WHERE action = 'ledgers.vehicles_exported'"))
    assert (logged["reason"], logged["sha256"]) == ("年度台账核对", record.sha256)


def test_an_export_needs_a_reason_and_a_reader_of_the_ledger(ledgers):
    with pytest.raises(RuleBroken, match=r"audit\.reason_missing"):
        ledgers.export(reason="x")
    with pytest.raises(NotAllowed):
        ledgers.export(username="dispatcher.xihu")
    for reader, rows in (("auditor.city", 6), ("leader.city", 6), ("finance.city", 6), ("unit_admin.xhedu", 2)):
        assert ledgers.export(username=reader)[1].rows == rows


def test_texts_that_look_like_formulas_leave_as_texts(ledgers):
    with ledgers.database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET model = '=1+1', version = version + 1 WHERE plate = '浙A10001'"))
    content, _ = ledgers.export()
    cell = openpyxl.load_workbook(io.BytesIO(content)).worksheets[0].cell(4, column("model") + 1)
    assert (cell.value, cell.data_type, cell.quotePrefix) == ("=1+1", "s", True)
    assert counts(ledgers.check(content)) == (0, 0, 3, 0)


# ---- quotas -----------------------------------------------------------------------------------------------------------


def test_quotas_become_entries_of_the_difference_and_export_back_unchanged(ledgers):
    done = ledgers.imported(
        workbook([quota(), quota(category="ZFZQ", quota=3)], "quotas"), kind="quotas", username=OFFICE
    )
    assert (done.state, counts(done)) == ("DONE", (2, 0, 0, 0))
    content, record = ledgers.export(kind="quotas", username=OFFICE)
    assert [row[:6] for row in rows_of(content)[3:]] == [
        ["330106-EDU", "西湖区教育局", "应急保障用车", 8, 2, 6], ["330106-EDU", "西湖区教育局", "执法执勤用车", 3, 0, 3]
    ]  # fmt: skip
    assert record.rows == 2
    assert counts(ledgers.check(content, kind="quotas", username=OFFICE)) == (0, 0, 2, 0)
    more = ledgers.imported(
        workbook([quota(quota=10, document_no="杭编办〔2026〕9号")], "quotas"), kind="quotas", username=OFFICE
    )
    assert more.changes == [{"row": 4, "key": "330106-EDU YJBZ", "changed": {"quota": [8, 10]}}]
    assert ledgers.scalar("SELECT array_agg(delta ORDER BY id) FROM quota_entry WHERE category = 'YJBZ'") == [8, 2]


@pytest.mark.parametrize(
    ("given", "column", "code"),
    [
        ({"document_no": None}, "document_no", "ledgers.document_needed"),
        ({"quota": -1}, "quota", "ledgers.cell_range"),
        ({"quota": 2.5}, "quota", "ledgers.cell_whole"),
        ({"org_code": "XX"}, "org_code", "ledgers.org_unknown"),
        ({"effective_on": "明天"}, "effective_on", "ledgers.cell_date"),
    ],
)
def test_a_wrong_cell_of_the_quotas_is_named(ledgers, given, column, code):
    one = ledgers.check(workbook([quota(**given)], "quotas"), kind="quotas", username=OFFICE)
    assert faults(one) == {(4, column): code}


def test_a_quota_twice_under_an_old_document_or_below_later_cuts_is_refused(authorised):
    twice = authorised.check(workbook([quota(), quota(quota=9)], "quotas"), kind="quotas", username=OFFICE)
    assert faults(twice) == {(5, "category"): "ledgers.twice"}
    old = quota(effective_on=date(2024, 1, 1), document_no="杭编办〔2024〕12号")
    assert faults(authorised.check(workbook([old], "quotas"), kind="quotas", username=OFFICE)) == {
        (4, "document_no"): "ledgers.document_same"
    }
    cut = quota(quota=2, effective_on=date(2027, 1, 1), document_no="杭编办〔2026〕8号")
    authorised.imported(workbook([cut], "quotas"), kind="quotas", username=OFFICE)
    early = authorised.check(
        workbook([quota(quota=1, effective_on=date(2026, 12, 1))], "quotas"), kind="quotas", username=OFFICE
    )
    assert faults(early) == {(4, "quota"): "acquisitions.quota_negative"}


def test_a_fleet_manager_fills_quotas_in_and_the_vehicle_office_alone_commits(ledgers):
    one = ledgers.check(workbook([quota()], "quotas"), kind="quotas", username=MANAGER)
    with pytest.raises(NotAllowed):
        ledgers.confirm(one.id, username=MANAGER)
    assert ledgers.commit(one.id, username=OFFICE).state == "DONE"


# ---- raw SQL ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM ledger_import",
        "TRUNCATE ledger_import",
        "UPDATE ledger_import SET sha256 = 'x'",
        "UPDATE ledger_import SET uploaded_by = 1",
        "UPDATE ledger_import SET state = 'DONE', committed_at = now(), committed_by = uploaded_by",
        "UPDATE ledger_import SET state = 'COMMITTING', committed_by = uploaded_by",
        "UPDATE ledger_import SET new_rows = 7",
        "UPDATE ledger_import SET state = 'COMMITTING'",
    ],
)
def test_raw_sql_cannot_alter_an_import_past_its_steps(ledgers, statement):
    ledgers.check(workbook([{"org_code": "330106-EDU"}]))
    with pytest.raises(DBAPIError, match=r"denied|refused|uploaded|cannot go|check constraint"):
        with ledgers.database.transaction(SYSTEM) as session:
            session.execute(text(statement))


def test_raw_sql_cannot_touch_an_import_that_has_ended(ledgers):
    one = ledgers.imported(workbook([quota()], "quotas"), kind="quotas", username=OFFICE)
    with pytest.raises(DBAPIError, match="has ended"), ledgers.database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE ledger_import SET failure = '{}' WHERE id = :id"), {"id": one.id})
