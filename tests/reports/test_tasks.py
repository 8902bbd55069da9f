"""Reports in the background: made by the scheduler's job, for whoever asked alone, cancelled, begun anew after a stop."""

import csv
import hashlib
import io
from datetime import date, timedelta

import openpyxl
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotFound
from fleetapp.reports import files, jobs, tasks
from fleetapp.reports.rules import ExportFormat, Period
from tests import world
from tests.reports.conftest import build

PERIOD = Period(date(2026, 11, 1), date(2026, 11, 18))
NOVEMBER = {"start_on": "2026-11-01", "end_on": "2026-11-18", "reason": "年度监督检查"}


@pytest.fixture
def ask(api, made):
    def run(username="auditor.city", **given):
        return api(username)("POST", "/exports/tasks", json={**NOVEMBER, **given})

    return run


def read(answer):
    data = answer.data
    answer.close()
    return data


@pytest.mark.parametrize("file_format", ["xlsx", "csv", "pdf"])
def test_a_report_is_made_and_handed_to_who_asked(ask, api, database, now, acting, file_format):
    asked = ask(format=file_format)
    assert (asked.status_code, asked.json["state"]) == (202, "QUEUED")
    assert jobs.work(database, now) == {"reports": 1}
    call = api("auditor.city")
    path = f"/exports/tasks/{asked.json['id']}"
    done = call("GET", path).json
    assert (done["state"], done["done_rows"], done["total_rows"]) == ("DONE", 3, 3)
    answer = call("GET", f"{path}/file")
    data = read(answer)
    assert hashlib.sha256(data).hexdigest() == done["sha256"] == answer.headers["X-Content-SHA256"]
    who = acting("auditor.city").name
    if file_format == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(data))
        assert len(book.sheetnames) == 4
        assert who in book.worksheets[1].oddHeader.right.text
    elif file_format == "csv":
        assert data[:3] == b"\xef\xbb\xbf"
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
        assert len(rows) == 4
        assert {row[-2] for row in rows[1:]} == {who}
        assert not [cell for row in rows for cell in row if cell.startswith(("=", "@", "+"))]
    else:
        assert data.startswith(b"%PDF")
    with database.transaction(SYSTEM) as session:
        actions = session.scalars(
            text("SELECT action FROM audit_entry WHERE action LIKE 'reports.%' ORDER BY seq")
        ).all()
    assert actions == ["reports.requested", "reports.compliance_exported", "reports.downloaded"]


def test_nobody_else_sees_cancels_or_downloads_it(ask, api, database, now, acting):
    path = f"/exports/tasks/{ask().json['id']}"
    for username in ("vehicle_office.city", "auditor.xihu"):
        call = api(username)
        assert call("GET", path).status_code == call("DELETE", path).status_code == 404
        assert call("GET", "/exports/tasks").json == []
    jobs.work(database, now)
    assert api("vehicle_office.city")("GET", f"{path}/file").status_code == 404
    with database.transaction(acting("vehicle_office.city")) as session:  # nor does the database show it
        assert session.scalar(text("SELECT count(*) FROM report_task")) == 0
        assert session.scalar(text("SELECT count(*) FROM report_piece")) == 0
    with database.transaction(acting("auditor.city")) as session:
        assert session.scalar(text("SELECT count(*) FROM report_piece")) > 0
    assert api("dispatcher.city")("POST", "/exports/tasks", json=NOVEMBER).status_code == 403


def test_reasons_and_periods_are_checked_and_the_same_is_not_made_twice(ask):
    assert ask(reason="看").json["code"] == "audit.reason_missing"
    assert ask(start_on="2026-11-18", end_on="2026-11-01").json["code"] == "reports.period_reversed"
    assert ask().status_code == 202
    assert ask().status_code == 409
    assert ask(format="csv").status_code == 202


def test_a_cancelled_report_is_not_made(ask, api, database, now):
    call = api("auditor.city")
    waiting = ask().json["id"]
    assert call("DELETE", f"/exports/tasks/{waiting}").json["state"] == "CANCELLED"
    assert call("DELETE", f"/exports/tasks/{waiting}").json["code"] == "reports.task_over"
    assert jobs.work(database, now) == {"reports": 0}


def test_one_that_is_cancelled_while_it_is_made_stops_and_leaves_nothing(live_database, now, monkeypatch):
    """On connections of their own: who cancels does not wait for who makes."""
    build(live_database, now)
    monkeypatch.setattr(tasks, "NOTED_ROWS", 1)
    auditor = world.actor(live_database, "auditor.city")
    with live_database.transaction(auditor) as session:
        task = tasks.ask(
            session, org_id=None, period=PERIOD, file_format=ExportFormat.CSV, reason="年度监督检查", language="zh", actor=auditor, now=now
        )  # fmt: skip

    def cancelling(file_format, lang):
        write = files.writer(file_format, lang)

        def run(report, file):
            with live_database.transaction(auditor) as session:
                tasks.cancel(session, task_id=task.id, actor=auditor, now=now)
            write(report, file)

        return run

    assert tasks.work(live_database, writer=cancelling, titles=lambda _: "t", now=now) == 1
    with live_database.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT state FROM report_task")) == "CANCELLED"
        assert session.scalar(text("SELECT count(*) FROM report_piece")) == 0
        assert session.scalar(text("SELECT count(*) FROM export_record")) == 0


def test_one_that_was_broken_off_is_begun_anew_and_an_error_ends_it(ask, api, database, now):
    call, number = api("auditor.city"), ask().json["id"]

    class Stopped(BaseException):
        """The process ends in the middle."""

    def stopping(_format, _lang):
        def run(report, file):
            file.write(b"half")
            raise Stopped

        return run

    with pytest.raises(Stopped):
        tasks.work(database, writer=stopping, titles=lambda _: "t", now=now)
    assert call("GET", f"/exports/tasks/{number}").json["state"] == "RUNNING"
    assert jobs.work(database, now) == {"reports": 1}
    assert call("GET", f"/exports/tasks/{number}").json["state"] == "DONE"

    def failing(_format, _lang):
        def run(report, file):
            raise ZeroDivisionError

        return run

    other = ask().json["id"]
    with pytest.raises(ZeroDivisionError):
        tasks.work(database, writer=failing, titles=lambda _: "t", now=now)
    failed = call("GET", f"/exports/tasks/{other}").json
    assert (failed["state"], failed["failure"]) == ("FAILED", "reports.broke")


def test_who_lost_the_permission_gets_nothing(ask, api, database, now):
    path = f"/exports/tasks/{ask().json['id']}"
    jobs.work(database, now)
    ask(format="csv")
    with database.transaction(SYSTEM) as session:
        taken = "DELETE FROM role_grant WHERE role = 'auditor' RETURNING user_id, org_id"
        for user_id, org_id in session.execute(text(taken)).all():
            row = {"u": user_id, "o": org_id}
            session.execute(text("INSERT INTO role_grant (user_id, org_id, role) VALUES (:u, :o, 'leader')"), row)
    call = api("auditor.city")
    assert call("GET", f"{path}/file").status_code == 403
    jobs.work(database, now)
    assert call("GET", "/exports/tasks").status_code == 403
    with database.transaction(SYSTEM) as session:
        assert (
            session.scalar(text("SELECT failure ->> 'code' FROM report_task WHERE format = 'csv'")) == "kit.not_allowed"
        )


def test_files_are_removed_after_their_time_and_the_record_stays(ask, api, database, now, acting):
    path = f"/exports/tasks/{ask().json['id']}"
    jobs.work(database, now)
    assert jobs.forget(database, now + timedelta(days=6)) == {"removed": 0}
    assert jobs.forget(database, now + timedelta(days=8)) == {"removed": 1}
    answer = api("auditor.city")("GET", f"{path}/file")
    assert (answer.status_code, answer.json["code"]) == (404, "reports.file_removed")
    with database.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT count(*) FROM export_record")) == 1


def test_the_database_keeps_what_was_asked(ask, database):
    ask()
    for statement in (
        "UPDATE report_task SET reason = 'other'",
        "UPDATE report_task SET state = 'DONE', export_id = 1, ended_at = now()",
    ):
        with pytest.raises(DBAPIError, match="what was asked for"), database.transaction(SYSTEM) as session:
            session.execute(text(statement))
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE report_task SET state = 'CANCELLED', ended_at = now()"))
    with pytest.raises(DBAPIError, match="has ended"), database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE report_task SET state = 'QUEUED', ended_at = NULL"))


def test_the_page_shows_progress_and_offers_the_file(browse, made, database, now):
    auditor = browse("auditor.city")
    answer = auditor.submit("/exports/tasks", **{**NOVEMBER, "format": "pdf"})
    assert answer.status_code == 303
    page = auditor.get("/exports").get_data(as_text=True)
    assert "排队中" in page
    assert 'hx-trigger="load delay:2s"' in auditor.get("/exports/tasks").get_data(as_text=True)
    assert auditor.submit("/exports/tasks", **{**NOVEMBER, "format": "pdf"}).status_code == 422
    assert auditor.submit("/exports/tasks", **{**NOVEMBER, "reason": "看"}).status_code == 422
    jobs.work(database, now)
    fragment = auditor.get("/exports/tasks").get_data(as_text=True)
    assert "load delay" not in fragment
    link = fragment.split('href="')[1].split('"')[0]
    file = auditor.get(link)
    assert read(file).startswith(b"%PDF")
    auditor.submit("/exports/tasks", **{**NOVEMBER, "format": "csv"})
    number = auditor.get("/exports/tasks").get_data(as_text=True).split('action="/exports/tasks/')[1].split("/")[0]
    assert auditor.submit(f"/exports/tasks/{number}/cancel").status_code == 303
    assert "已取消" in auditor.get("/exports").get_data(as_text=True)


def test_only_the_own_one_can_be_read_by_the_service(ask, database, acting):
    number = ask().json["id"]
    with database.transaction(acting("auditor.xihu")) as session, pytest.raises(NotFound):
        tasks.get_task(session, task_id=number, actor=acting("auditor.xihu"))
