"""The compliance report as files: same numbers as the database, nothing that runs, recorded and logged."""

import csv
import hashlib
import io
from datetime import date

import openpyxl
import pytest
from sqlalchemy import select, text

from fleetapp.audit.models import ExportRecord
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.reports import exports, service
from fleetapp.reports.exports import Words
from fleetapp.reports.rules import ExportFormat, Period
from fleetapp.web.texts import t_or

NOVEMBER = Period(date(2026, 11, 1), date(2026, 11, 18))


def words(lang="zh"):
    return Words(lang, lambda key, fallback: t_or(key, fallback, lang=lang))


@pytest.fixture
def export(database, acting, now):
    """Export as a username; returns (bytes, record)."""

    def run(
        username="auditor.city",
        file_format=ExportFormat.XLSX,
        lang="zh",
        reason="年度监督检查",
        org_id=None,
        period=NOVEMBER,
    ):
        actor = acting(username)
        write = {"xlsx": exports.write_xlsx, "csv": exports.write_csv}[file_format]
        file = io.BytesIO()
        with database.transaction(actor) as session:
            record = service.export_compliance(
                session, org_id=org_id, period=period, file_format=file_format, reason=reason, title="公务用车合规报表",
                write=lambda report, to: write(report, to, words=words(lang)), file=file, actor=actor, now=now,
            )  # fmt: skip
        return file.getvalue(), record

    return run


def sheet_rows(data, name):
    """Return the rows of a sheet below its heads, as dicts by head."""
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    rows = list(book[name].iter_rows(values_only=True))
    heads = rows[3]
    return [dict(zip(heads, row, strict=False)) for row in rows[4:]], dict(zip(heads, rows[2], strict=False))


def test_the_workbook_reads_back_what_the_database_holds(export, made, database):
    data, _ = export()
    rows, totals = sheet_rows(data, "行程明细")
    with database.transaction(SYSTEM) as session:
        parts = session.execute(
            text("SELECT count(*), sum(distance_m) FROM trip_match WHERE superseded_at IS NULL")
        ).one()
    assert (len(rows), sum(row["本段公里"] for row in rows)) == (parts[0], pytest.approx(parts[1] / 1000))
    assert totals["序号"] == "合计"
    assert totals["本段公里"] == pytest.approx(parts[1] / 1000)
    first = rows[0]
    assert (first["车牌号"], first["用车单号"], first["派车单号"], first["匹配结果"]) == (
        "浙A10001",
        "YC20261117-0001",
        made.slip,
        "匹配",
    )
    assert (first["日期"].isoformat(), first["开始时间"].isoformat()) == ("2026-11-17T00:00:00", "2026-11-17T09:10:00")
    assert (first["实际出车"].isoformat(), first["出车里程表"], first["里程表公里"]) == (
        "2026-11-17T09:00:00",
        10_000,
        24.3,
    )
    assert (first["匹配得分"], first["目的地"], first["出收车"]) == (0.92, 0.9, 0.5)
    assert [row["序号"] for row in rows] == [1, 2, 3]
    assert rows[2]["用车单号"] is None
    assert "A-01" in rows[2]["疑似线索"]


def test_the_summary_says_scope_reason_and_version_and_agrees_with_the_sheets(export, made):
    data, record = export()
    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True)
    cells = [cell for row in book["汇总"].iter_rows(values_only=True) for cell in row if cell is not None]
    said = "\n".join(map(str, cells))
    for wanted in (
        "杭州市机关事务管理局",
        "2026-11-01 – 2026-11-18",
        "年度监督检查",
        record_exporter(book),
        "2026.11",
        "疑似",
        "大圆距离",
    ):
        assert wanted in said
    ghosts, _ = sheet_rows(data, "无行程派车单")
    clues, _ = sheet_rows(data, "疑似线索")
    assert [row["用车单号"] for row in ghosts] == ["YC20261117-0002"]
    assert [row["线索编号"] for row in clues] == ["XS20261117-0001"]
    totals = next(row for row in book["汇总"].iter_rows(values_only=True) if row[0] == "合计")
    assert totals[2:9] == (2, 3, 3, 1, 0, 0, 2)
    assert totals[9] == pytest.approx(25.3456)
    assert totals[10] == pytest.approx(12_345.6 / 25_345.6)
    assert record.rows == 3


def record_exporter(book):
    return book.properties.creator


def test_nothing_in_a_workbook_is_a_formula_and_the_texts_are_unchanged(export, made):
    data, _ = export()
    book = openpyxl.load_workbook(io.BytesIO(data))
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    heads = [cell.value for cell in book["行程明细"][4]]
    first = book["行程明细"][5]
    assert first[heads.index("事由说明")].value == made.reason
    assert first[heads.index("事由说明")].quotePrefix
    assert first[heads.index("起点")].value == "@教育局停车场"


def test_csv_has_the_same_rows_and_guards_dangerous_cells(export, made):
    data, record = export(file_format=ExportFormat.CSV)
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    sheet, _ = sheet_rows(export()[0], "行程明细")
    assert [row["车牌号"] for row in rows] == [row["车牌号"] for row in sheet]
    assert [float(row["本段公里"]) for row in rows] == [row["本段公里"] for row in sheet]
    assert rows[0]["事由说明"] == f"'{made.reason}"
    assert rows[0]["起点"] == "'@教育局停车场"
    assert rows[0]["乘车人"] == "'+86 同事"
    assert rows[0]["批准路线"] == "'=1+1 教育局 → 杭州东站"
    assert record.rows == len(rows) == 3


def test_english_heads_where_the_page_is_english(export, made):
    data, _ = export(lang="en")
    rows, _ = sheet_rows(data, "Trips")
    assert rows[0]["Plate"] == "浙A10001"
    assert rows[0]["Holder"] == "West Lake education bureau"


def test_an_export_is_recorded_with_its_hash_and_logged(export, made, database):
    data, record = export("auditor.xihu")
    assert record.sha256 == hashlib.sha256(data).hexdigest()
    assert record.bytes == len(data)
    assert record.file_name == "西湖区_公务用车合规报表_2026-11-01至2026-11-18_v1.xlsx"
    with database.transaction(SYSTEM) as session:
        entry = session.execute(
            text("SELECT action, subject_id, data FROM audit_entry ORDER BY seq DESC LIMIT 1")
        ).one()
        assert session.scalars(select(ExportRecord.reason)).all() == ["年度监督检查"]
    assert (entry.action, entry.subject_id) == ("reports.compliance_exported", str(record.id))
    assert entry.data["sha256"] == record.sha256
    assert entry.data["reason"] == "年度监督检查"
    assert export("auditor.xihu")[1].file_name.endswith("_v2.xlsx")


def test_scope_is_the_actors_part_of_the_tree(export, made, database):
    plates = {row["车牌号"] for row in sheet_rows(export("auditor.binjiang")[0], "行程明细")[0]}
    assert plates == {"浙A10005"}
    data, record = export("auditor.binjiang")
    assert sheet_rows(data, "无行程派车单")[0] == []
    assert sheet_rows(data, "疑似线索")[0] == []
    assert record.org_id == org_id(database, "330108")
    with pytest.raises(NotAllowed):
        export("auditor.binjiang", org_id=org_id(database, "330106"))
    assert {
        row["车牌号"] for row in sheet_rows(export("auditor.city", org_id=org_id(database, "330106"))[0], "行程明细")[0]
    } == {"浙A10001"}


def org_id(database, code):
    with database.transaction(SYSTEM) as session:
        return session.scalar(text("SELECT id FROM organisation WHERE code = :code"), {"code": code})


def test_restricted_vehicles_are_neither_trips_nor_missing_trips(export, made, database):
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET secrecy = 'restricted' WHERE plate IN ('浙A10001', '浙AD00002')"))
    data, _ = export()
    assert {row["车牌号"] for row in sheet_rows(data, "行程明细")[0]} == {"浙A10005"}
    assert sheet_rows(data, "无行程派车单")[0] == []
    assert sheet_rows(data, "疑似线索")[0] == []


@pytest.mark.parametrize("username", ["applicant.xhedu", "dispatcher.city", "fleet_manager.xihu", "leader.city"])
def test_others_do_not_export(export, made, username):
    with pytest.raises(NotAllowed):
        export(username)


def test_without_a_reason_nothing_leaves_and_nothing_is_recorded(export, made, database):
    with pytest.raises(RuleBroken, match=r"audit\.reason_missing"):
        export(reason="看看")
    with database.transaction(SYSTEM) as session:
        assert session.scalars(select(ExportRecord)).all() == []


def test_the_database_itself_refuses_a_record_without_a_reason(export, made, database):
    _, record = export()
    with pytest.raises(Exception, match="ck_export_record_reason"), database.transaction(SYSTEM) as session:
        session.add(ExportRecord(org_id=record.org_id, actor_id=record.actor_id, at=record.at, kind="compliance", reason=" a  ",
                                 filters={}, rows=0, file_name="x", bytes=0, sha256="x"))  # fmt: skip


def test_a_trip_derived_again_is_exported_once(export, made, database, now):
    with database.transaction(SYSTEM) as session:
        session.execute(
            text("UPDATE trip_match SET superseded_at = :now WHERE trip_id = :id"), {"now": now, "id": made.loose_trip}
        )
        session.execute(
            text("UPDATE trip SET superseded_at = :now WHERE id = :id"), {"now": now, "id": made.loose_trip}
        )
    rows, _ = sheet_rows(export()[0], "行程明细")
    assert len(rows) == 2


def test_an_empty_period_is_a_file_with_heads_and_a_total_of_nothing(export, made):
    rows, totals = sheet_rows(export(period=Period(date(2026, 10, 1), date(2026, 10, 31)))[0], "行程明细")
    assert rows == []
    assert totals["本段公里"] == 0
