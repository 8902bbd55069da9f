"""Bytes a fix takes: in its hot row with indexes, as a frame in its segment, in the Parquet archive.

Writes made fixes (default a million, 500 cars of one day at 43 s) through ``telematics.store`` in groups as the gateway does,
seals and archives the day, and asks PostgreSQL and the file system for sizes. Targets: row with index 110, frame 40,
archived fix 12 bytes.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.fix_storage [--fixes 1000000] [--group 2000]

Makes a database of its own and drops it. Prints one JSON object.
"""

import argparse
import json
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from benchmarks.database import own_database
from telematics import archive, seal, store, tables
from telematics.model import Fix
from telematics.protocols.jt808_body import encode_location, parse_location
from tests.telematics.made import drive

DAY = date(2024, 5, 20)
START = datetime(2024, 5, 20, tzinfo=UTC)
CARS = 500


def received(sent: tuple[Fix, bytes]) -> tuple[Fix, bytes]:
    """Return the fix as it comes over the wire, with the odometer among its items."""
    fix, frame = sent
    return parse_location(encode_location(fix)), frame


def fill(conn: psycopg.Connection, fixes: int, group: int) -> float:
    """Store the fixes of all cars as they would arrive, a few seconds after their time; returns rows a second."""
    each = fixes // CARS
    step_s = max(86_400 // each, 1)
    terminals = [store.add_terminal(conn, phone=f"139{number:08}") for number in range(CARS)]
    tracks = [list(map(received, drive(START, each, step_s, number))) for number in range(CARS)]
    conn.commit()
    began_s = time.perf_counter()
    waiting: list = []
    for moment in range(each):
        now = START + timedelta(seconds=moment * step_s + 2, milliseconds=moment * 37 % 1000)
        waiting += [(terminal, *track[moment]) for terminal, track in zip(terminals, tracks, strict=True)]
        if len(waiting) >= group or moment == each - 1:
            store.save(conn, waiting, now)
            conn.commit()
            waiting = []
    return fixes / (time.perf_counter() - began_s)


def measure(dsn: str, fixes: int, group: int, directory: Path) -> dict:
    """Fill, seal, archive, drop; sizes and times."""
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        tables.create_all(connection)
    engine.dispose()
    with psycopg.connect(dsn) as conn:
        rate = fill(conn, fixes, group)
        fresh_heap, fresh_index = conn.execute(
            "SELECT pg_relation_size('gps_fix_20240520'), pg_indexes_size('gps_fix_20240520')"
        ).fetchone()
        began_s = time.perf_counter()
        conn.execute("SELECT gps_settle_day(%s)", [DAY])
        conn.commit()
        settled_s = time.perf_counter() - began_s
        stored, heap, index, raw = conn.execute(
            "SELECT (SELECT count(*) FROM gps_fix), pg_relation_size('gps_fix_20240520'), pg_indexes_size('gps_fix_20240520'),"
            " pg_total_relation_size('gps_raw_20240520')"
        ).fetchone()
    now = START + timedelta(days=100)
    with psycopg.connect(dsn, autocommit=True) as conn:
        began_s = time.perf_counter()
        with conn.transaction():
            seal.seal_day(conn, DAY, now - timedelta(days=1))
        sealed_s = time.perf_counter() - began_s
        made = archive.archive_day(conn, DAY, directory, now)
        archived_s = time.perf_counter() - began_s - sealed_s
        archive.archive_day(conn, DAY, directory, now, drop=True)
        [part] = archive.parts_of(conn, DAY, DAY)
        fix_bytes, frame_bytes = (part.path(kind).stat().st_size for kind in ("fix", "frame"))
        began_s = time.perf_counter()
        restored = archive.restore_day(conn, DAY, now)
        restored_s = time.perf_counter() - began_s
    return {
        "fixes": stored,
        "group": group,
        "stored_per_s": round(rate),
        "unsettled_bytes_per_fix": round((fresh_heap + fresh_index) / stored, 1),
        "row_bytes": round(heap / stored, 1),
        "index_bytes": round(index / stored, 1),
        "hot_bytes_per_fix": round((heap + index) / stored, 1),
        "raw_bytes_per_fix": round(raw / stored, 1),
        "archive_bytes_per_fix": round(fix_bytes / stored, 2),
        "archive_raw_bytes_per_fix": round(frame_bytes / stored, 2),
        "settle_s": round(settled_s, 1),
        "seal_s": round(sealed_s, 1),
        "archive_s": round(archived_s, 1),
        "restore_s": round(restored_s, 1),
        "whole": made.fixes == restored == stored,
        "meets": bool((heap + index) / stored <= 110 and raw / stored <= 40 and fix_bytes / stored <= 12),
    }


def main() -> None:
    """Make the database, measure, print, drop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixes", type=int, default=1_000_000)
    parser.add_argument("--group", type=int, default=2_000, help="rows of one commit")
    args = parser.parse_args()
    with own_database() as dsn, tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(dsn, args.fixes, args.group, Path(directory))))


if __name__ == "__main__":
    main()
