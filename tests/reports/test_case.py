"""The evidence file: says what is known on both sides, proves its data, and leaves a trace."""

import hashlib
import io
import subprocess
import urllib.request

import pytest
from sqlalchemy import select, text

from fleetapp.audit.models import ExportRecord
from fleetapp.findings.models import Finding
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.reports import pdf, service
from fleetapp.reports.case import manifest_of
from fleetapp.tracking.bridge import RawHash
from fleetapp.web import pdf as web_pdf
from telematics.frames import unpack_frames


def write_nothing(_case, file):
    file.write(b"a file")


@pytest.fixture
def case_file(app, database, acting, now, made):
    """Make the evidence file as a username; returns (bytes, record)."""

    def run(username="auditor.city", reason="核实群众反映", write=pdf.write_case):
        actor = acting(username)
        file = io.BytesIO()
        with app.test_request_context(), database.transaction(actor) as session:
            record = service.case_file(
                session, finding_id=made.finding_id, reason=reason, write=write, file=file, actor=actor, now=now
            )
        return file.getvalue(), record

    return run


def words_of(data):
    found = subprocess.run(["pdftotext", "-layout", "-", "-"], input=data, capture_output=True, check=True)
    return found.stdout.decode()


@pytest.fixture
def with_order(database, made):
    """Let the clue name the order, as one about times does."""
    with database.transaction(SYSTEM) as session:
        finding = session.scalars(select(Finding)).one()
        finding.order_id = made.order_id
        finding.explanation = "<img src=http://example.invalid/x.png> & 已补单"
        finding.facts = {"distance_m": 12_345.6, "late_min": 70, "trip_ids": [made.matched_trip]}


def test_the_file_says_everything_and_can_be_verified_and_fetches_nothing(
    case_file, with_order, made, database, acting, monkeypatch
):
    def opened(*_args, **_kwargs):
        raise AssertionError("the file asked for something outside")

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", opened)
    data, record = case_file(reason="核实<b>反映</b>")
    said = words_of(data)
    for wanted in ("疑似", "XS20261117-0001", "A-01", "2026.11", "浙A10001", "YC20261117-0001", made.slip, "不支持疑似的情况",
                   "核实<b>反映</b>", acting("auditor.city").name, "12.3 km", "0.92"):  # fmt: skip
        assert wanted in said, wanted
    assert "违规" not in said
    squeezed = "".join(said.split())
    assert "<imgsrc=http://example.invalid/x.png>&已补单" in squeezed
    with database.transaction(SYSTEM) as session:
        rows = session.execute(text("SELECT at, digest FROM gps_fix ORDER BY at, digest")).all()
        contents = session.scalars(text("SELECT content FROM gps_raw")).all()
        logged = session.execute(text("SELECT prev_hash, data FROM audit_entry ORDER BY seq DESC LIMIT 1")).one()
    raws = {digest: raw for content in contents for _, _, digest, raw in unpack_frames(content)}
    lines = [f"{at.isoformat()} {digest} {hashlib.sha256(raws[digest]).hexdigest()}\n" for at, digest in rows]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() in squeezed
    assert logged.prev_hash.hex() in squeezed
    assert record.sha256 == logged.data["sha256"] == hashlib.sha256(data).hexdigest()


def test_nothing_is_ever_fetched():
    with pytest.raises(ValueError, match="not fetched"):
        web_pdf.refuse("https://example.invalid/font.woff2")


def test_it_is_recorded_and_reading_the_track_is_logged(case_file, database):
    _, record = case_file(write=write_nothing)
    assert (record.kind, record.filters, record.rows) == ("case", {"finding": "XS20261117-0001"}, 121)
    with database.transaction(SYSTEM) as session:
        entry = session.execute(text("SELECT action, data FROM audit_entry ORDER BY seq DESC LIMIT 1")).one()
    assert (entry.action, entry.data["reason"], entry.data["rows"]) == ("reports.case_exported", "核实群众反映", 121)


def test_one_changed_byte_changes_the_manifest(now):
    kept = [RawHash(now, 1, "aa"), RawHash(now, 2, None)]
    assert manifest_of(kept).sha256 != manifest_of([RawHash(now, 1, "ab"), kept[1]]).sha256
    assert manifest_of(kept).sha256 != manifest_of(reversed(kept)).sha256
    assert (manifest_of(kept).fixes, manifest_of(kept).with_raw) == (2, 1)


@pytest.mark.parametrize(("username", "refusal"), [
    ("auditor.binjiang", NotFound), ("driver.xhedu", NotAllowed), ("fleet_manager.xihu", NotAllowed), ("leader.city", NotFound),
])  # fmt: skip
def test_others_get_no_file(case_file, username, refusal):
    with pytest.raises(refusal):
        case_file(username, write=write_nothing)


def test_no_file_without_a_reason_and_none_of_a_restricted_vehicle(case_file, database, made):
    with pytest.raises(RuleBroken, match=r"audit\.reason_missing"):
        case_file(reason="看", write=write_nothing)
    with database.transaction(SYSTEM) as session:
        session.execute(text("UPDATE vehicle SET secrecy = 'restricted' WHERE plate = '浙A10001'"))
    with pytest.raises(NotFound):
        case_file(write=write_nothing)
    with database.transaction(SYSTEM) as session:
        assert session.scalars(select(ExportRecord)).all() == []


def test_a_clue_without_positions_order_or_trip_still_has_its_file(case_file, database, made):
    with database.transaction(SYSTEM) as session:
        finding = session.scalars(select(Finding)).one()
        finding.trip_id, finding.facts = None, {}
        finding.start_at, finding.end_at = finding.start_at.replace(day=2), finding.end_at.replace(day=2)
    said = words_of(case_file()[0])
    assert "该时段没有定位数据" in said
    assert "未找到与该线索对应的用车单" in said
