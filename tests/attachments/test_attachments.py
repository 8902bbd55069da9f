"""Files are kept once, known by their content, seen by scope, and never changed."""

import io
import zipfile

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.attachments import queries, rules, service
from fleetapp.kit.errors import NotFound, RuleBroken
from tests import world

PDF = b"%PDF-1.7\n%one page"
PNG = b"\x89PNG\r\n\x1a\n and more"


def archive(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name in ("[Content_Types].xml", *names):
            packed.writestr(name, "")
    return out.getvalue()


def attach(session, actor, now, *, org_id, name="行驶证.pdf", content=PDF, subject_id=1):
    return service.attach(session, org_id=org_id, subject_type="vehicle", subject_id=subject_id, label="registration",
                          name=name, content=content, actor=actor, now=now)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.PDF", PDF, "application/pdf"),
        ("b.png", PNG, "image/png"),
        ("c.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        ("d.csv", "车牌,日期\n".encode(), "text/csv"),
        ("e.xlsx", archive("xl/workbook.xml"), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ],
)
def test_a_kind_is_told_by_ending_and_content(name, content, kind):
    assert rules.media_type(name, content) == kind


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.pdf", b"", "attachments.empty"),
        ("a.exe", b"MZ", "attachments.kind"),
        ("no_ending", PDF, "attachments.kind"),
        ("a.pdf", PNG, "attachments.disguised"),
        ("a.png", b"<svg onload=alert(1)>", "attachments.disguised"),
        ("a.csv", b"a\x00b", "attachments.disguised"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "attachments.kind"),
        ("a.html", b"<script>alert(1)</script>", "attachments.kind"),
        ("a.pdf.html", PDF, "attachments.kind"),
        ("a.jpg", b"<!doctype html><script>alert(1)</script>", "attachments.disguised"),
        ("a.xlsx", b"PK\x03\x04 no archive", "attachments.disguised"),
        ("a.xlsx", archive("word/document.xml"), "attachments.disguised"),
        ("a.xlsx", archive("xl/workbook.xml", "xl/vbaProject.bin"), "attachments.disguised"),
        ("a.pdf", b"%PDF-" + b"x" * rules.MAX_BYTES, "attachments.too_large"),
    ],
)
def test_other_files_are_refused(name, content, code):
    with pytest.raises(RuleBroken) as refused:
        rules.media_type(name, content)
    assert refused.value.code == code


def test_the_same_content_is_kept_once_and_seen_by_its_own_organisation_only(database, acting, now):
    ours, theirs = acting("fleet_manager.xihu"), acting("fleet_manager.binjiang")
    with database.transaction(theirs) as session:
        hidden = attach(session, theirs, now, org_id=theirs.org_id)
    with database.transaction(ours) as session:
        first = attach(session, ours, now, org_id=ours.org_id)
        again = attach(session, ours, now, org_id=ours.org_id, name="..\\x\\copy.pdf")
        assert again.name == "copy.pdf"
        assert session.scalar(text("SELECT count(*) FROM attachment_content")) == 1
        assert queries.get_content(session, attachment_id=first.id, actor=ours)[1] == PDF
        found = queries.of(session, subject_type="vehicle", subject_ids=[1], actor=ours)
        assert [one.id for one in found] == [first.id, again.id]
        with pytest.raises(NotFound):
            queries.get_content(session, attachment_id=hidden.id, actor=ours)


def test_the_database_refuses_change_removal_and_a_false_hash(database, acting, now):
    who = acting("fleet_manager.xihu")
    with database.transaction(who) as session:
        attach(session, who, now, org_id=who.org_id)
    for statement in (
        "UPDATE attachment SET name = 'x.pdf'",
        "UPDATE attachment_content SET content = 'x'",
        "DELETE FROM attachment",
    ):
        with pytest.raises((ProgrammingError, IntegrityError)):
            with database.transaction(who) as session:
                session.execute(text(statement))
    with pytest.raises(IntegrityError, match="ck_attachment_content_hash"):
        with database.transaction(who) as session:
            session.execute(text("INSERT INTO attachment_content VALUES ('00', 'x')"))


def test_the_page_sends_it_so_that_nothing_in_it_runs(database, acting, now, browse):
    who = acting("fleet_manager.xihu")
    with database.transaction(who) as session:
        made = attach(session, who, now, org_id=who.org_id)
        sheet = attach(session, who, now, org_id=who.org_id, name='台账 "1".csv', content=b"a,b\n")
    answer = browse("fleet_manager.xihu").get(f"/attachments/{made.id}")
    assert (answer.status_code, answer.data, answer.mimetype) == (200, PDF, "application/pdf")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"].startswith("inline")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    sheet_answer = browse("fleet_manager.xihu").get(f"/attachments/{sheet.id}")
    named = sheet_answer.headers["Content-Disposition"]
    assert named == "attachment; filename=\" 1.csv\"; filename*=UTF-8''%E5%8F%B0%E8%B4%A6%20%221%22.csv"
    assert named.isascii()  # which a real web server insists on
    assert browse("fleet_manager.binjiang").get(f"/attachments/{made.id}").status_code == 404
    assert browse("system_admin.city").get(f"/attachments/{made.id}").status_code == 403
    assert browse().get(f"/attachments/{made.id}").status_code in {302, 401}


def test_an_applicant_reads_own_files_only(database, acting, now):
    applicant, other = acting("applicant.xhedu"), acting("applicant.xhhealth")
    with database.transaction(applicant) as session:
        own = attach(session, applicant, now, org_id=applicant.org_id)
    assert world.user_id(database, "applicant.xhedu") == own.created_by
    with database.transaction(applicant) as session:
        assert queries.get_content(session, attachment_id=own.id, actor=applicant)[0].id == own.id
    with database.transaction(other) as session, pytest.raises(NotFound):
        queries.get_content(session, attachment_id=own.id, actor=other)
