"""What pages and files say of terminals, from reports stored as the gateway stores them."""

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.tracking import bridge, condition, health
from fleetapp.tracking.condition import Fault
from tests.conftest import NOW
from tests.tracking.conftest import BINJIANG, XIHU, XIHU2

pytestmark = pytest.mark.usefixtures("nine")

START = datetime(2026, 11, 11, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def described(database, acting, username="fleet_manager.xihu", **which):
    actor = acting(username)
    with database.transaction(actor) as session:
        limits = health.bounds(session, now=NOW)
        rows = session.execute(health.listed(actor, limits=limits, now=NOW, **which)).all()
        return {one.row.plate: one for one in health.described(session, rows, limits=limits, now=NOW)}


@given(st.text("01", min_size=1, max_size=100))
def test_silences_and_runs_fill_the_week_and_never_overlap(heard):
    gaps = condition.gaps(heard, start=START, fitted_at=None)
    drawn = "".join(
        "0" if any(gap.start <= START + place * condition.QUARTER < gap.end for gap in gaps) else "1"
        for place in range(len(heard))
    )
    assert drawn == heard
    assert sum(length for _, length in condition.runs(heard)) == heard.count("1")
    assert all(first.end < second.start for first, second in pairwise(gaps))
    assert condition.longest(gaps, since=START) == max((gap.length for gap in gaps), default=timedelta(0))


def test_nothing_is_missed_before_the_terminal_was_fitted():
    assert condition.gaps("0000", start=START, fitted_at=START + HOUR) == []
    [gap] = condition.gaps("0000", start=START, fitted_at=START + timedelta(minutes=16))
    assert gap.start == START + timedelta(minutes=30)


def test_a_silence_before_a_moment_counts_only_from_there():
    gaps = condition.gaps("00001", start=START, fitted_at=None)
    assert condition.longest(gaps, since=START + timedelta(minutes=45)) == timedelta(minutes=15)


def test_device_alarms_are_read_from_their_bits():
    assert condition.alarms(1 << 5 | 1 << 8 | 1 << 1) == ["antenna_cut", "power_cut"]


def test_a_week_of_reports_gives_its_silences_fixes_and_clock(database, acting, report, seen):
    for hours in range(1, 48):
        for minutes in (5, 20, 35, 50):
            report(XIHU, NOW - hours * HOUR + timedelta(minutes=minutes), late=timedelta(seconds=minutes - 4), fixed=minutes > 5,
                   items={"satellites": 9}, alarm=1 << 8 if hours == 3 else 0)  # fmt: skip
    seen(XIHU, NOW - timedelta(minutes=1), logged_in_at=NOW - 2 * HOUR, protocol="2019")
    one = described(database, acting)["浙A10001"]
    assert one.online
    assert one.since == NOW - 2 * HOUR
    assert one.row.protocol == "2019"
    assert one.week.longest_day == timedelta(0)
    assert one.week.longest_week == 7 * 24 * HOUR - 47 * HOUR
    assert one.unfixed_share == pytest.approx(0.25)
    assert one.satellites == pytest.approx(9)
    assert one.clock_behind == timedelta(seconds=1)
    assert one.alarms == ["power_cut"]
    assert set(one.faults) == {Fault.ALARM, Fault.NO_FIX}


@pytest.mark.parametrize(("behind_s", "wrong"), [(0, False), (60, False), (61, True), (-61, True), (86_400 * 30, True)])
def test_a_clock_is_wrong_beyond_the_policy_figure(database, acting, report, behind_s, wrong):
    report(XIHU, NOW - timedelta(minutes=5), late=timedelta(seconds=behind_s))
    assert (Fault.CLOCK in described(database, acting)["浙A10001"].faults) is wrong
    assert ("浙A10001" in described(database, acting, fault=Fault.CLOCK)) is wrong


def test_what_comes_late_from_a_blind_spot_is_no_wrong_clock(database, acting, report):
    report(XIHU, NOW - 2 * HOUR, late=timedelta(seconds=2))
    report(XIHU, NOW - HOUR, late=timedelta(hours=9))
    assert described(database, acting)["浙A10001"].clock_behind == timedelta(seconds=2)


def test_offline_never_and_offline_with_an_order_are_told_apart(database, acting, seen):
    seen(XIHU, NOW - timedelta(minutes=31))
    seen(XIHU2, NOW - timedelta(minutes=30))
    found = described(database, acting)
    assert found["浙A10001"].faults == (Fault.OFFLINE,)
    assert found["浙AD00002"].faults == ()
    assert found["浙A10003"].faults == (Fault.NEVER,)
    assert set(described(database, acting, fault=Fault.NEVER)) == {"浙A10003"}
    assert described(database, acting, fault=Fault.OFFLINE_ORDER) == {}


def test_every_filter_and_order_gives_a_list_and_only_ones_own(database, acting, report):
    report(BINJIANG, NOW - HOUR)
    for fault in ["", *Fault]:
        for sort in health.SORTS:
            assert "浙A10005" not in described(database, acting, fault=fault, sort=sort)
    assert set(described(database, acting, "fleet_manager.binjiang")) == {"浙A10005"}
    assert set(described(database, acting, q="d0000")) == {"浙AD00002"}


def test_summaries_are_the_fixes_own_and_a_repeated_one_counts_once(database, report, terminal):
    for _ in range(2):
        report(XIHU, NOW - HOUR, items={"satellites": 7})
    with database.transaction(SYSTEM) as session:
        row = session.execute(text("SELECT * FROM gps_day WHERE terminal_id = :id"), {"id": terminal(XIHU)}).one()
    assert (row.fixes, row.satellites, row.with_satellites, row.unfixed) == (1, 7, 1, 0)
    assert row.heard.count("1") == 1
    assert row.heard.index("1") == bridge.quarter_of(NOW - HOUR)


def test_the_page_and_the_detail_open_for_the_fleet_manager_alone(browse, report, seen, terminal):
    report(XIHU, NOW - HOUR, alarm=1 << 5)
    seen(XIHU, NOW - HOUR)
    client = browse("fleet_manager.xihu")
    page = client.get("/terminals/health").get_data(as_text=True)
    assert "浙A10001" in page
    assert "天线断开" in page
    assert "浙A10005" not in page
    assert 'class="heard"' in page
    detail = f"/terminals/{terminal(XIHU)}"
    assert "断报" in client.get(detail).get_data(as_text=True)
    assert client.get(f"/terminals/{terminal(BINJIANG)}").status_code == 404
    assert "没有符合条件的终端" in client.get("/terminals/health?q=nothing").get_data(as_text=True)
    assert client.get("/terminals/health?fault=x").status_code == 422
    for username in ("dispatcher.xihu", "applicant.xhedu"):
        other = browse(username)
        assert [other.get(path).status_code for path in ("/terminals/health", detail)] == [403] * 2
        assert other.submit("/terminals/health.file", form="csv").status_code == 403


def test_the_file_has_every_terminal_and_is_logged(browse, database, report):
    report(XIHU, NOW - HOUR)
    client = browse("fleet_manager.xihu")
    book = openpyxl.load_workbook(io.BytesIO(client.submit("/terminals/health.file", form="xlsx").data))
    rows = list(book.active.iter_rows(values_only=True))
    assert rows[0][0] == "车牌"
    assert {row[0] for row in rows[1:]} == {"浙A10001", "浙AD00002", "浙A10003"}
    lines = list(
        csv.reader(
            io.StringIO(client.submit("/terminals/health.file", form="csv", q="A10001").data.decode("utf-8-sig"))
        )
    )
    assert [line[0] for line in lines[1:]] == ["浙A10001"]
    with database.transaction(SYSTEM) as session:
        logged = session.scalars(
            text("SELECT data ->> 'rows' FROM audit_entry WHERE action = 'tracking.health_exported' ORDER BY seq")
        ).all()
    assert logged == ["3", "1"]
