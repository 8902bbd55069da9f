"""Seals in the audit chain, verification after tampering, days into the archive by policy, views of archived days."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.kit.errors import RuleBroken
from fleetapp.tracking import bridge, jobs, keeping, service
from telematics import store
from telematics.model import Fix
from tests import world

THEN = datetime(2026, 11, 10, 1, 0, tzinfo=UTC)
LONG_AFTER = THEN + timedelta(days=400)


@pytest.fixture
def driven(live_database: Database) -> Database:
    """A week ago two cars sent ten fixes each, with their frames."""
    with live_database.transaction(SYSTEM) as session:
        ids = dict(session.execute(text("SELECT phone, id FROM gps_terminal")).all())
        fixes = [
            (ids[phone], Fix(at=THEN + timedelta(seconds=30 * k), lat=30.26 + k / 1000, lon=120.12, speed_kmh=42.0, acc=True), b"frame")
            for phone in ("13900000001", "13900000005") for k in range(10)
        ]  # fmt: skip
        assert store.save(bridge.driver_connection(session), fixes, THEN + timedelta(minutes=6)) == 20
    return live_database


def view(database, now):
    with database.transaction(world.actor(database, "dispatcher.xihu")) as session:
        vehicle = session.scalar(text("SELECT id FROM vehicle WHERE plate = '浙A10001'"))
        return service.view_track(session, vehicle_id=vehicle, start=THEN, end=THEN + timedelta(hours=1), purpose="核对轨迹",
                                  actor=world.actor(database, "dispatcher.xihu"), now=now)  # fmt: skip


def faults(database):
    day = THEN.date()
    with database.transaction(SYSTEM) as session:
        assert keeping.sealed_days(session) == [day]
        return keeping.faults(session, day=day)


def test_the_job_makes_partitions_ahead_and_seals_a_day_once(driven, now):
    assert jobs.keep(driven, now)["sealed"] == 20
    assert jobs.keep(driven, now + timedelta(hours=6))["sealed"] == 0
    assert faults(driven) == []
    with driven.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT to_regclass('gps_fix_20261121')::text")) == "gps_fix_20261121"
        made = session.scalars(text("SELECT data FROM audit_entry WHERE action = 'tracking.sealed'")).all()
    assert [(one["fixes"], one["terminals"]) for one in made] == [(20, 2)]


@pytest.mark.parametrize(
    ("statement", "sealed", "found"),
    [
        ("UPDATE gps_fix SET lon_e6 = lon_e6 + 1 WHERE terminal_id = %s AND at = %s", 10, 10),
        ("DELETE FROM gps_fix WHERE terminal_id = %s AND at = %s", 10, 9),
        ("INSERT INTO gps_fix SELECT at + interval '1 s', 1, terminal_id, lat_e6, lon_e6, rest FROM gps_fix WHERE terminal_id = %s AND at = %s", 10, 11),
    ],
)  # fmt: skip
def test_tampering_by_a_superuser_names_day_and_terminal(driven, live_database_url, now, statement, sealed, found):
    jobs.keep(driven, now)
    with psycopg.connect(live_database_url) as conn:
        [terminal] = conn.execute("SELECT id FROM gps_terminal WHERE phone = '13900000005'").fetchone()
        conn.execute("SET session_replication_role = replica")
        assert conn.execute(statement, [terminal, THEN + timedelta(minutes=1)]).rowcount == 1
    assert faults(driven) == [keeping.Fault(THEN.date(), terminal, sealed, found)]


def test_a_seal_rewritten_with_the_rows_differs_from_the_chain(driven, live_database_url, now):
    jobs.keep(driven, now)
    with psycopg.connect(live_database_url) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("UPDATE gps_seal SET fixes = 9, sha256 = '\\x00'")
    wrong = faults(driven)
    assert keeping.Fault(THEN.date(), None, 20, 18) in wrong
    assert len(wrong) == 3


def test_a_day_beyond_the_policy_goes_to_the_archive_and_is_viewed_from_there(driven, now, tmp_path):
    assert jobs.keep(driven, now, archive_dir=str(tmp_path))["archived"] == 0
    before = view(driven, now)
    assert len(before) == 10
    assert jobs.keep(driven, LONG_AFTER, archive_dir=str(tmp_path))["archived"] == 20
    with driven.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT to_regclass('gps_fix_20261110')")) is None
    assert view(driven, LONG_AFTER) == before
    assert faults(driven) == []
    next(tmp_path.rglob("fixes-2026-11-10.1.parquet")).unlink()
    with pytest.raises(RuleBroken) as refused:
        view(driven, LONG_AFTER)
    assert refused.value.code == "tracking.archive_missing"
    assert Path(refused.value.params["file"]).name == "fixes-2026-11-10.1.parquet"


def test_the_database_keeps_never_less_than_the_law_asks(driven, live_database_url, now):
    with driven.transaction(SYSTEM) as session:
        assert keeping.keep_from(session, now=now) == (now - timedelta(days=366)).date()
    with psycopg.connect(live_database_url) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("UPDATE policy_value SET value = 30 WHERE code = 'tracking.online_days'")
    with driven.transaction(SYSTEM) as session:
        assert keeping.keep_from(session, now=now) == (now - timedelta(days=183)).date()


def test_verify_says_it_on_the_command_line(driven, live_database_url, now):
    from fleetapp.factory import create_app
    from fleetapp.settings import Settings

    jobs.keep(driven, now)
    runner = create_app(Settings(database_url=live_database_url, secret_key="only for tests"), driven).test_cli_runner()
    whole = runner.invoke(args=["tracking", "verify"])
    assert (whole.exit_code, "定位与封存一致：1 天" in whole.output) == (0, True)
    with psycopg.connect(live_database_url) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute(
            "DELETE FROM gps_fix WHERE terminal_id = (SELECT id FROM gps_terminal WHERE phone = '13900000001')"
        )
    told = runner.invoke(args=["tracking", "verify", "--day", "2026-11-10"])
    assert told.exit_code == 1
    assert "2026-11-10" in told.output
    assert "封存 10 点，现有 0 点" in told.output
