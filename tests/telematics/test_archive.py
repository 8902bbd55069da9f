"""Days out of the table into files and back: identical, read from either, whole whenever the process dies."""

import os
import signal
import subprocess
import sys
import tempfile
import uuid
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telematics import archive, parquet, seal, store
from telematics.archive import ArchiveMissing, archive_day, read_hashes, read_track, restore_day
from telematics.model import Fix
from tests.telematics.made import drive

ROOT = Path(__file__).parents[2]
DAY = date(2024, 5, 20)
START = datetime(2024, 5, 20, tzinfo=UTC)
END = START + timedelta(days=1)
NOW = datetime(2024, 9, 1, tzinfo=UTC)
RECEIVED = START + timedelta(hours=20)


def new_terminal(conn) -> int:
    return store.add_terminal(conn, phone=f"a{uuid.uuid4().hex}")


def clear(conn) -> None:
    """Begin with no day at all."""
    for name in store.stored_days(conn, datetime(2000, 1, 1, tzinfo=UTC), datetime(2099, 1, 1, tzinfo=UTC)):
        conn.execute(f"DROP TABLE gps_fix_{name:%Y%m%d}, gps_raw_{name:%Y%m%d}")
    for table in ("gps_archive", "gps_archive_event", "gps_seal", "gps_unsealed"):
        conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
        conn.execute(f"DELETE FROM {table}")
        conn.execute(f"ALTER TABLE {table} ENABLE TRIGGER ALL")


@pytest.fixture
def conn(gps_dsn):
    with psycopg.connect(gps_dsn, autocommit=True, options="-c timezone=UTC") as connection:
        with connection.transaction():
            clear(connection)
        yield connection


@pytest.fixture
def driven(conn):
    """Two terminals with 300 fixes and their frames each; their ids."""
    terminals = [new_terminal(conn), new_terminal(conn)]
    with conn.transaction():
        for seed, terminal in enumerate(terminals):
            fixes = [(terminal, fix, raw) for fix, raw in drive(START, 300, 30, seed)]
            store.save(conn, fixes, RECEIVED)
    return terminals


def everything(conn):
    with conn.transaction():
        rows = list(seal.table_rows(conn, DAY))
        return rows, archive.table_frames(conn, DAY)


def gone(conn) -> bool:
    return conn.execute("SELECT to_regclass('gps_fix_20240520'), to_regclass('gps_raw_20240520')").fetchone() == (
        None,
        None,
    )


def some_fix(at_ms, lat, lon, speed, direction, altitude, odometer, word, accuracy, flags, source, items):
    return Fix(
        at=START + timedelta(milliseconds=at_ms), lat=lat / 1e6, lon=lon / 1e6, speed_kmh=None if speed is None else speed / 10,
        direction_deg=direction, altitude_m=altitude, acc=flags[0], fixed=flags[1], mock=flags[2], blind=flags[3],
        odometer_m=odometer, alarm=word, status=word, accuracy_m=accuracy, source=source, items=items,
    )  # fmt: skip


INT4, INT8 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
ITEMS = st.dictionaries(st.sampled_from(["signal", "satellites", "battery", "车牌", "raw"]), st.one_of(
    st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5), st.booleans(), st.none()
), max_size=3)  # fmt: skip
FIXES = st.builds(
    some_fix, st.integers(0, 86_399_999), INT4, INT4, st.none() | INT4, st.none() | INT4, st.none() | INT4, st.none() | INT8, INT8,
    st.none() | st.floats(width=32, allow_nan=False), st.tuples(st.sampled_from([None, False, True]), *[st.booleans()] * 3),
    st.sampled_from(["jt808", "gpx", "osmand", "别的"]), ITEMS,
)  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    given_fixes=st.lists(
        st.tuples(st.integers(0, 1), FIXES, st.none() | st.binary(max_size=40)), min_size=1, max_size=12
    )
)
def test_any_fixes_archived_and_restored_are_identical(conn, given_fixes):
    with conn.transaction():
        clear(conn)
    terminals = [new_terminal(conn), new_terminal(conn)]
    with conn.transaction():
        added = store.save(conn, [(terminals[which], fix, raw) for which, fix, raw in given_fixes], RECEIVED)
    before = everything(conn)
    assert len(before[0]) == added
    tracks = [store.read_fixes(conn, terminal, START, END) for terminal in terminals]
    with tempfile.TemporaryDirectory() as directory:
        assert archive_day(conn, DAY, Path(directory), NOW, drop=True).fixes == added
        assert gone(conn)
        assert [read_track(conn, terminal, START, END) for terminal in terminals] == tracks
        assert restore_day(conn, DAY, NOW) == added
    assert everything(conn) == before


def test_duckdb_and_plain_pyarrow_read_the_file(conn, driven, tmp_path):
    archive_day(conn, DAY, tmp_path, NOW)
    [part] = archive.parts_of(conn, DAY, DAY)
    path = part.path("fix")
    assert pq.read_table(path).num_rows == 600
    [found] = duckdb.sql(f"SELECT count(*), min(at_us), max(at_us) FROM '{path}'").fetchall()
    assert found == (600, 1716163200000000, 1716163200000000 + 299 * 30_000_000)
    manifest = parquet.read_manifest(path)
    assert (manifest["fixes"], manifest["frames"], manifest["terminals"], manifest["day"]) == (
        600,
        600,
        2,
        "2024-05-20",
    )
    assert (manifest["first_us"], manifest["last_us"]) == found[1:3]
    assert manifest["content_sha256"] == part.content_sha256
    assert archive.file_sha256(path) == part.fix_sha256


def test_settling_a_day_changes_no_row(conn, driven):
    before, track = everything(conn), store.read_fixes(conn, driven[1], START, END)
    with conn.transaction():
        conn.execute("SET LOCAL ROLE fleet_app")
        conn.execute("SELECT gps_settle_day(%s)", [DAY])
    assert everything(conn) == before
    assert store.read_fixes(conn, driven[1], START, END) == track
    with pytest.raises(psycopg.errors.RestrictViolation):
        conn.execute("DELETE FROM gps_fix_20240520")


def test_merged_frames_are_the_same_in_fewer_segments(conn, driven):
    with conn.transaction():
        for fix, raw in drive(START, 40, 60, seed=9):
            store.save(conn, [(driven[0], fix, raw)], RECEIVED)
    before, hashes = everything(conn), store.raw_hashes(conn, driven[0], START, END)
    size = "SELECT count(*), sum(length(content) + 48) FROM gps_raw WHERE day = '2024-05-20'"
    segments, room = conn.execute(size).fetchone()
    assert (segments, archive.merge_frames(conn, DAY)) == (42, 1)
    assert conn.execute(size).fetchone()[1] < room * 2 / 3
    assert everything(conn) == before
    assert store.raw_hashes(conn, driven[0], START, END) == hashes
    with pytest.raises(psycopg.errors.RestrictViolation):
        conn.execute("TRUNCATE gps_raw_20240520")
    conn.execute("SET ROLE fleet_app")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        conn.execute("SELECT gps_swap_raw('2024-05-20')")
    conn.execute("RESET ROLE")


def test_archiving_again_changes_nothing(conn, driven, tmp_path):
    first = archive_day(conn, DAY, tmp_path, NOW)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    again = archive_day(conn, DAY, tmp_path, NOW)
    assert (first.fixes, again.fixes) == (600, 0)
    assert archive_day(conn, DAY, tmp_path, NOW, drop=True).dropped
    assert not archive_day(conn, DAY, tmp_path, NOW, drop=True).dropped
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == files
    assert len(files) == 2


def test_evidence_of_a_dropped_day_reads_as_before(conn, driven, tmp_path):
    hashes = store.raw_hashes(conn, driven[1], START + timedelta(hours=1), END)
    archive_day(conn, DAY, tmp_path, NOW, drop=True)
    assert read_hashes(conn, driven[1], START + timedelta(hours=1), END) == hashes
    assert len(hashes) == 180


def test_late_fixes_become_the_next_part(conn, driven, tmp_path):
    track = store.read_fixes(conn, driven[0], START, END)
    archive_day(conn, DAY, tmp_path, NOW, drop=True)
    late = Fix(at=START + timedelta(hours=12), lat=30.0, lon=120.0)
    with conn.transaction():
        assert store.save(conn, [(driven[0], late, b"late"), (driven[0], track[0], None)], NOW) == 2
    assert read_track(conn, driven[0], START, END) == [*track, late]
    made = archive_day(conn, DAY, tmp_path, NOW, drop=True)
    assert (made.fixes, made.dropped) == (2, True)  # the repeated one too: the table could not know it
    assert [part.part for part in archive.parts_of(conn, DAY, DAY)] == [1, 2]
    assert read_track(conn, driven[0], START, END) == [*track, late]
    assert restore_day(conn, DAY, NOW) == 601


def test_a_missing_or_damaged_file_says_what_to_do(conn, driven, tmp_path):
    archive_day(conn, DAY, tmp_path, NOW, drop=True)
    path = archive.parts_of(conn, DAY, DAY)[0].path("fix")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArchiveMissing, match="已损坏.*is damaged"):
        restore_day(conn, DAY, NOW)
    path.unlink()
    with pytest.raises(ArchiveMissing, match="请从备份放回该文件.*put it back"):
        read_track(conn, driven[0], START, END)
    elsewhere = tmp_path / "elsewhere" / "2024" / "05"
    elsewhere.mkdir(parents=True)
    (elsewhere / path.name).write_bytes(whole)
    frames = archive.parts_of(conn, DAY, DAY)[0].path("frame")
    (elsewhere / frames.name).write_bytes(frames.read_bytes())
    assert restore_day(conn, DAY, NOW, directory=tmp_path / "elsewhere") == 600
    assert len(read_track(conn, driven[0], START, END)) == 300


def test_a_day_is_dropped_only_while_its_files_hold_every_row(conn, driven, tmp_path):
    with pytest.raises(ValueError, match="not closed"):
        archive_day(conn, DAY, tmp_path, END + timedelta(hours=5))
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="archive it again"):
        conn.execute("SELECT gps_drop_day(%s, 600, 600, %s)", [DAY, NOW])
    archive_day(conn, DAY, tmp_path, NOW)
    with conn.transaction():
        store.save(conn, [(driven[0], Fix(at=END - timedelta(hours=1), lat=30.0, lon=120.0), None)], NOW)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="archive it again"):
        conn.execute("SELECT gps_drop_day(%s, 600, 600, %s)", [DAY, NOW])
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="archive it again"):
        conn.execute("SELECT gps_drop_day(%s, 601, 600, %s)", [DAY, NOW])
    assert not gone(conn)


def test_the_application_may_archive_but_neither_drop_nor_change_by_itself(conn, driven, tmp_path):
    archive_day(conn, DAY, tmp_path, NOW)
    statements = [
        "DROP TABLE gps_fix_20240520",
        "DELETE FROM gps_archive",
        "DELETE FROM gps_fix",
        "UPDATE gps_fix SET lat_e6 = 0",
    ]
    tried = [(role, statement) for role in ("fleet_app", "fleet_gateway") for statement in statements]
    for role, statement in [*tried, ("fleet_gateway", "SELECT gps_drop_day('2024-05-20', 600, 600, '2024-09-01Z')")]:
        conn.execute(f"SET ROLE {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)
    conn.execute("RESET ROLE")


@pytest.mark.parametrize("step", ["written", "compared", "named", "registered", "dropped"])
def test_killed_at_any_step_table_and_files_stay_whole(gps_dsn, conn, driven, tmp_path, step):
    before = everything(conn)
    code = f"""
import os, signal, sys, psycopg
from datetime import date, datetime, UTC
from pathlib import Path
from telematics.archive import archive_day
def reached(step):
    if step == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)
with psycopg.connect({gps_dsn!r}, autocommit=True) as conn:
    archive_day(conn, date(2024, 5, 20), Path({str(tmp_path)!r}), datetime(2024, 9, 1, tzinfo=UTC), drop=True, reached=reached)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert everything(conn) == before
    for part in archive.parts_of(conn, DAY, DAY):
        assert list(parquet.read_fixes(part.path("fix"))) == before[0]
    assert archive_day(conn, DAY, tmp_path, NOW, drop=True).dropped
    assert gone(conn)
    assert restore_day(conn, DAY, NOW) == 600
    assert everything(conn) == before


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE gps_fix SET lat_e6 = lat_e6 + 1 WHERE terminal_id = %s AND at = '2024-05-20 01:00Z'", 300),
        ("DELETE FROM gps_fix WHERE terminal_id = %s AND at = '2024-05-20 01:00Z'", 299),
        (("INSERT INTO gps_fix SELECT at + interval '1 s', digest, terminal_id, lat_e6, lon_e6, rest FROM gps_fix"
         " WHERE terminal_id = %s AND at = '2024-05-20 01:00Z'"), 301),
    ],
)  # fmt: skip
def test_a_row_changed_behind_the_systems_back_names_day_and_terminal(conn, driven, statement, found):
    with conn.transaction():
        made = seal.seal_day(conn, DAY, END + timedelta(hours=1))
        assert (made.fixes, len(made.parts)) == (600, 2)
        assert seal.differences(conn, DAY, archive.day_rows(conn, DAY)) == []
    with conn.transaction():
        conn.execute("SET LOCAL session_replication_role = replica")  # what only a superuser can: no trigger fires
        assert conn.execute(statement, [driven[1]]).rowcount == 1
    with conn.transaction():
        assert seal.differences(conn, DAY, archive.day_rows(conn, DAY)) == [seal.Difference(DAY, driven[1], 300, found)]


def test_late_fixes_get_a_seal_of_their_own_and_seals_hold_for_archived_days(conn, driven, tmp_path):
    first, second = END + timedelta(hours=1), NOW
    with conn.transaction():
        assert seal.unsealed_days(conn, DAY + timedelta(days=1)) == [DAY]
        assert seal.seal_day(conn, DAY, first).fixes == 600
        assert seal.unsealed_days(conn, DAY + timedelta(days=1)) == []
        assert seal.seal_day(conn, DAY, first) is None
        store.save(
            conn, [(driven[0], Fix(at=START + timedelta(hours=12), lat=30.0, lon=120.0), None)], END + timedelta(days=9)
        )
        assert seal.differences(conn, DAY, archive.day_rows(conn, DAY)) == []
        assert seal.seal_day(conn, DAY, first + timedelta(days=1)) is None
        assert seal.unsealed_days(conn, DAY + timedelta(days=1)) == [DAY]
        assert seal.seal_day(conn, DAY, second).fixes == 1
        assert seal.unsealed_days(conn, DAY + timedelta(days=1)) == []
    archive_day(conn, DAY, tmp_path, NOW, drop=True)
    with conn.transaction():
        assert [made.fixes for made in seal.seals(conn, DAY)] == [600, 1]
        assert seal.differences(conn, DAY, archive.day_rows(conn, DAY)) == []
    roots = [made.root for made in seal.seals(conn, DAY)]
    assert parquet.read_manifest(archive.parts_of(conn, DAY, DAY)[0].path("fix"))["roots"] == roots


def test_the_commands_archive_a_month_and_restore_a_day(gps_dsn, conn, driven, tmp_path):
    before = everything(conn)

    def command(*words):
        done = subprocess.run(
            [sys.executable, "-m", "telematics", *words, "--database-url", gps_dsn], cwd=ROOT, capture_output=True, text=True, check=False
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    code, out, _ = command("archive", "--month", "2024-05", "--to", str(tmp_path), "--drop")
    assert code == 0
    assert next(line for line in out.splitlines() if '"dropped": true' in line).startswith(
        '{"day": "2024-05-20", "fixes": 600'
    )
    assert gone(conn)
    assert command("restore", "--day", "2024-05-20", "--from", str(tmp_path / "nowhere"))[0] == 1
    assert command("restore", "--day", "2024-05-20")[:2] == (0, "2024-05-20: 600 fixes restored\n")
    assert everything(conn) == before
