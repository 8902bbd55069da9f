"""Dispatch slips: files, the code that a stranger checks, the register without a gap."""

import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from fleetapp.audit.models import AuditEntry, ExportRecord
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders import service as orders
from fleetapp.orders.models import DispatchSlip
from fleetapp.orders.rules import Purpose
from fleetapp.planning import paper, service, signing
from fleetapp.planning.signing import SlipCode

START = datetime(2026, 11, 18, 5, 0, tzinfo=UTC)
CODE = SlipCode("330106-EDU-2026-00001", "浙A10001", START, START + timedelta(hours=3))
NUMBER = "330106-EDU-2026-00001"


@pytest.fixture
def at_nine(monkeypatch, now):
    """The office clock stands at the world's nine o'clock."""
    monkeypatch.setattr("fleetapp.kit.clock.now", lambda: now)


def pages(pdf: bytes) -> list[str]:
    """Return the text of a PDF by page, read by poppler."""
    return (
        subprocess.run(["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True)
        .stdout.decode()
        .split("\f")[:-1]
    )


# ---- the code ---------------------------------------------------------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(WORDS, WORDS, st.binary(min_size=32, max_size=32), st.integers(0, 500))
def test_a_code_reads_back_with_the_public_key_alone_and_any_change_is_noticed(slip, plate, seed, at):
    keys = signing.read_keys(signing.renewed(None, seed, START))
    code = replace(CODE, slip=slip, plate=plate)
    text_of = signing.sign(code, keys, START)
    public = signing.read_public(json.loads(json.dumps(signing.as_public(keys.public))))
    assert signing.read(text_of, public) == signing.Read("good", code)
    assert signing.read(f"https://fleet.example/slips/verify?code={text_of}\n", public).code == code
    at %= len(text_of)
    changed = signing.read(text_of[:at] + ("A" if text_of[at] != "A" else "B") + text_of[at + 1 :], public)
    # The last letter of a base64 text may carry bits that mean nothing, and a percent code is read in either case.
    assert changed.code in {None, code}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300))
def test_whatever_is_typed_is_read_without_a_failure(typed):
    assert signing.read(typed, signing.derived("x").public).code is None
    assert signing.read(f"1~{signing.derived('x').public[0].key_id}~{typed}", signing.derived("x").public).code is None


def test_a_key_that_was_given_up_vouches_for_what_it_signed_before_only():
    first = signing.read_keys(signing.renewed(None, b"1" * 32, START))
    second = signing.read_keys(signing.renewed(first, b"2" * 32, START + timedelta(days=30)))
    before, after = (signing.sign(CODE, first, START + timedelta(days=days)) for days in (1, 31))
    assert signing.read(before, second.public).state == "good"
    assert signing.read(after, second.public).state == "old_key"
    assert signing.read(signing.sign(CODE, second, START + timedelta(days=31)), first.public).state == "unknown_key"
    assert signing.read(signing.sign(CODE, second, START + timedelta(days=31)), second.public).state == "good"
    with pytest.raises(ValueError, match="does not belong"):
        signing.read_keys(json.dumps({"seed": (b"1" * 32).hex(), **signing.as_public(second.public)}))


def test_a_stranger_checks_at_a_desk_with_the_published_file_only(tmp_path):
    keys = signing.derived("only for tests")
    published = tmp_path / "keys.json"
    published.write_text(json.dumps(signing.as_public(keys.public)), encoding="utf-8")
    good = signing.sign(CODE, keys, START)
    script = Path(signing.__file__)

    def run(*arguments):
        return subprocess.run([sys.executable, str(script), *arguments], cwd=tmp_path, capture_output=True, text=True, check=False)  # fmt: skip

    said = run(str(published), good)
    assert (said.returncode, said.stdout.splitlines()[1:3]) == (0, [CODE.slip, CODE.plate])
    assert run(str(published), good.replace("00001", "00002")).returncode == 1
    assert run(str(published)).returncode == run(str(tmp_path / "none.json"), good).returncode == 2


# ---- on paper ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_nine")
def test_the_slip_prints_for_those_concerned_on_both_sizes(browse, approved, assign):
    order_id = approved()
    assert browse("applicant.xhedu").get(f"/orders/{order_id}/slip").status_code == 404
    assign(order_id)
    for username in ("applicant.xhedu", "driver.xhedu", "dispatcher.xihu"):
        page = browse(username).get(f"/orders/{order_id}/slip").get_data(as_text=True)
        assert NUMBER in page
        assert 'class="slip-qr"' in page
    for username in ("driver2.xhedu", "applicant.xhhealth", "dispatcher.binjiang"):
        for path in ("slip", "slip.pdf"):
            assert browse(username).get(f"/orders/{order_id}/{path}").status_code == 404
    client = browse("driver.xhedu")
    for size, points in (("a5", "595.276 x 419.528"), ("a4", "595.276 x 841.89")):
        made = client.get(f"/orders/{order_id}/slip.pdf?size={size}")
        [sheet] = pages(made.data)
        for word in (NUMBER, "浙A10001", "西湖国宾馆", "0571-87000000", "科室 2 人", "存根", "乘车签字", "盖章"):
            assert word in sheet.replace("  ", " "), word
        info = subprocess.run(["pdfinfo", "-"], input=made.data, capture_output=True, check=True).stdout.decode()
        assert points.split(".")[0] in info
    assert client.get(f"/orders/{order_id}/slip.pdf?size=a0").status_code == 422


@pytest.mark.usefixtures("at_nine")
def test_slips_are_printed_together_without_those_of_others_and_the_log_says_so(browse, approved, assign, database):
    first, second = approved(), approved(start_h=9, end_h=11)
    assign(first), assign(second)
    foreign = approved(unit="bjwater", purpose=Purpose.ENFORCEMENT)
    assign(foreign, plate="浙A10005", driver="driver.bjwater", by="dispatcher.binjiang")
    with database.transaction(SYSTEM) as session:
        ids = session.scalars(select(DispatchSlip.id)).all()
    client = browse("dispatcher.xihu")
    made = client.submit("/slips/print", slip_ids=ids, size="a5")
    assert made.status_code == 200
    sheets = pages(made.data)
    assert len(sheets) == 2
    assert "330108" not in "".join(sheets)
    assert client.submit("/slips/print", size="a5").status_code == 422
    assert browse("applicant.xhhealth").submit("/slips/print", slip_ids=ids).status_code == 404
    with database.transaction(SYSTEM) as session:
        [entry] = session.scalars(select(AuditEntry).where(AuditEntry.action == "planning.slips_printed")).all()
        assert len(entry.data["slips"]) == 2


@pytest.mark.usefixtures("at_nine")
def test_the_symbol_of_the_longest_number_stays_small(app, approved, assign, database):
    assign(approved())
    from fleetapp.planning import slips

    with database.transaction(SYSTEM) as session, app.test_request_context(base_url="https://gwyc.hangzhou.gov.cn"):
        [held] = paper.by_numbers(session, slip_ids=session.scalars(select(DispatchSlip.id)).all(), actor=SYSTEM)
        held.slip.number = "330106-ADMINISTRATION-OFFICE-2026-99999"
        drawn = slips._symbol(held, slips._keys())
        side = int(re.search(r'viewBox="0 0 (\d+)', drawn).group(1)) - 4  # without the quiet zone
        session.rollback()
    assert (side - 17) / 4 <= slips.LARGEST_SYMBOL


@pytest.mark.usefixtures("at_nine")
def test_a_code_is_valid_then_void_and_a_forged_one_says_nothing(browse, approved, assign, now):
    order_id = approved()
    assign(order_id)
    code = signing.sign(CODE, signing.derived("only for tests"), now)
    stranger, client = browse(), browse("dispatcher.xihu")
    page = stranger.get("/slips/verify", query_string={"code": code}).get_data(as_text=True)
    assert "仍在有效期内" in page
    assert NUMBER in page
    assert client.submit(f"/orders/{order_id}/release", reason="车辆临时送修").status_code == 302
    assert "不能作为用车凭据" in stranger.get(f"/slips/verify?code={code}").get_data(as_text=True)
    elsewhere = signing.sign(CODE, signing.derived("another secret"), now)
    never_issued = signing.sign(replace(CODE, slip="330106-EDU-2026-00777"), signing.derived("only for tests"), now)
    for forged in (elsewhere, code[:-2], code.replace("~", ""), "%00", never_issued):
        page = stranger.get("/slips/verify", query_string={"code": forged}).get_data(as_text=True)
        assert "无法验证" in page
        assert f">{NUMBER}<" not in page
    assert "在本机验真" in stranger.get("/slips/verify").get_data(as_text=True)
    keys = stranger.get("/slips/keys.json")
    assert signing.read(code, signing.read_public(keys.json)).state == "good"
    assert "seed" not in keys.get_data(as_text=True)


def test_a_new_key_is_put_into_use_by_command_and_old_paper_stays_good(database, settings, tmp_path, now):
    file = tmp_path / "slip_keys.json"
    app = create_app(replace(settings, slip_keys_file=str(file)), database)
    runner = app.test_cli_runner()
    assert runner.invoke(args=["slips", "new-key"]).exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    first = signing.read_keys(file.read_text(encoding="utf-8"))
    signed_at = first.public[0].since
    code = signing.sign(CODE, first, signed_at)
    assert runner.invoke(args=["slips", "new-key"]).exit_code == 0
    second = signing.read_keys(file.read_text(encoding="utf-8"))
    assert [key.key_id for key in second.public][:1] == [first.public[0].key_id]
    assert first.seed.hex() not in file.read_text(encoding="utf-8")
    assert len(second.public) == 2
    # Keys are changed within one minute here: a code of that minute counts for the key in use at its beginning.
    assert signing.read(code, second.public).state in {"good", "old_key"}
    assert create_app(settings, database).test_cli_runner().invoke(args=["slips", "new-key"]).exit_code == 1


# ---- the register -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("at_nine")
def test_cancelling_after_dispatch_voids_the_number_by_every_way(browse, api, approved, assign, database, acting, now):
    first, second, third = (approved(start_h=hour, end_h=hour + 1) for hour in (4, 7, 10))
    for order_id in (first, second, third):
        assign(order_id)
    applicant = acting("applicant.xhedu")
    with database.transaction(applicant) as session:
        service.cancel(session, order_id=first, reason="会议改期", actor=applicant, now=now)
    assert (
        api("applicant.xhedu")("POST", f"/orders/{second}/cancel-dispatched", json={"reason": "行程取消"}).status_code
        == 200
    )
    assert (
        api("applicant.xhhealth")("POST", f"/orders/{third}/cancel-dispatched", json={"reason": "无关"}).status_code
        == 404
    )
    page = browse("auditor.xihu").get("/slips?year=2026").get_data(as_text=True)
    assert [page.count(word) for word in ("会议改期", "行程取消", "-00003")] == [1, 1, 2]
    assert "applicant 西湖区教育局" in page
    void = browse("auditor.xihu").get("/slips?year=2026&void=true").get_data(as_text=True)
    assert "-00003" not in void
    assert "没有派车单" in browse("auditor.xihu").get("/slips?year=2025").get_data(as_text=True)
    assert "-00001" not in browse("dispatcher.binjiang").get("/slips?year=2026").get_data(as_text=True)
    assert browse("applicant.xhedu").get("/slips").status_code == 403


@pytest.mark.usefixtures("at_nine")
def test_the_register_leaves_as_a_file_with_a_reason(browse, approved, assign, database):
    assign(approved())
    client = browse("fleet_manager.xihu")
    made = client.submit("/slips/export", year="2026", reason="年终装订存档")
    assert made.status_code == 200, made.get_data(as_text=True)
    content = made.data
    made.close()
    rows = list(openpyxl.load_workbook(io.BytesIO(content)).active.values)
    assert rows[0][:2] == ("序号", "派车单号")
    assert rows[1][1:3] == (NUMBER, "西湖区教育局")
    with database.transaction(SYSTEM) as session:
        record = session.scalars(select(ExportRecord).where(ExportRecord.kind == "slip_register")).one()
        assert (record.reason, record.rows, record.sha256) == ("年终装订存档", 1, made.headers["X-Content-SHA256"])
    assert client.submit("/slips/export", year="2026").status_code == 422
    for username in ("applicant.xhedu", "leader.city"):
        assert browse(username).submit("/slips/export", year="2026", reason="年终装订存档").status_code == 403


INSERT = ("INSERT INTO dispatch_slip (org_id, year, seq, number, issued_at) SELECT id, 2026, {seq}, code || '-2026-{seq:05d}', now()"
          " FROM organisation WHERE code = '330106-EDU'")  # fmt: skip


@pytest.mark.parametrize(
    "statement",
    [
        INSERT.format(seq=9),
        INSERT.format(seq=2),
        INSERT.format(seq=1),
        INSERT.format(seq=2).replace("-2026-00002", "-2026-00009"),
        "UPDATE number_series SET last = last + 2 WHERE key = '330106-EDU-2026'",
        "UPDATE number_series SET last = last - 1 WHERE key = '330106-EDU-2026'",
        "UPDATE number_series SET last = last + 1 WHERE key = '330106-EDU-2026'; SET CONSTRAINTS ALL IMMEDIATE",
        "DELETE FROM dispatch_slip",
        "UPDATE dispatch_slip SET seq = 7",
        "UPDATE dispatch_slip SET number = '330106-EDU-2026-00007'",
        "UPDATE dispatch_slip SET issued_by = NULL",
        "UPDATE dispatch_slip SET void_at = now()",
    ],
)
def test_a_number_cannot_be_skipped_reused_changed_or_removed_by_raw_sql(database, acting, now, statement):
    dispatcher = acting("dispatcher.xihu")
    org_id = acting("applicant.xhedu").org_id
    with database.transaction(dispatcher) as session:
        orders.issue_slip(session, org_id=org_id, actor=dispatcher, now=now)
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        session.execute(text("SET CONSTRAINTS ALL DEFERRED"))

    def tried():
        with database.transaction(dispatcher) as session:
            for part in statement.split("; "):
                session.execute(text(part))

    with pytest.raises(DBAPIError) as refused:
        tried()
    assert re.search(
        r"not the next one|unique|up by one|no slip issued|permission denied|only be made void|ck_dispatch_slip_void|refused",
        str(refused.value),
    )


def test_the_next_slip_and_one_void_once_are_what_the_database_takes(database, acting, now):
    dispatcher = acting("dispatcher.xihu")
    org_id = acting("applicant.xhedu").org_id
    with database.transaction(dispatcher) as session:
        first = orders.issue_slip(session, org_id=org_id, actor=dispatcher, now=now)
        orders.void_slip(session, slip=first, reason="会议改期", actor=dispatcher, now=now)
        second = orders.issue_slip(session, org_id=org_id, actor=dispatcher, now=now)
        session.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        assert (first.void_by, second.number) == (dispatcher.user_id, "330106-EDU-2026-00002")
