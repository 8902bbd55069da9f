"""Milliseconds to read one vehicle's day at the partition layout of 500 million fixes.

Makes 180 day partitions; a few of them (--full) hold what each would hold, 2.8 million fixes of 1,000 terminals at 30 s, the
others stand empty, which costs planning and catalogue look-ups the same. Full days are copied in SQL from one
made terminal-day, settled like closed days, and one is left as it was written, like the running day. Reads go through
``telematics.archive.read_columns`` as the application's do: columns, no Fix object made. Target: 20 ms at the 95th percentile.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.track_day [--days 180] [--full 2] [--reads 200]

Makes a database of its own and drops it. Prints one JSON object.
"""

import argparse
import json
import os
import random
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import create_engine

from benchmarks.database import own_database
from telematics import archive, store, tables
from tests.telematics.made import drive

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
STEP_S = 30
TERMINALS = 1_000


def fill(conn: psycopg.Connection, days: int, full: int, terminals: int) -> None:
    """Make every partition and copy the made day into ``full`` of them, all terminals interleaved as they would arrive."""
    model = store.add_terminal(conn, phone="model")
    store.save(conn, [(model, fix, None) for fix, _ in drive(START, 86_400 // STEP_S, STEP_S, 1)], START + DAY)
    for day in range(1, days):
        conn.execute("SELECT gps_ensure_partition(%s)", [(START + day * DAY).date()])
        conn.commit()
    for day in range(1, full + 1):
        conn.execute(
            "INSERT INTO gps_fix (at, digest, terminal_id, lat_e6, lon_e6, rest)"
            " SELECT at + %s, digest, %s + n, lat_e6, lon_e6, rest FROM gps_fix, generate_series(0, %s) AS n"
            " WHERE terminal_id = %s AND at < %s ORDER BY at, n",
            [day * DAY, 1000, terminals - 1, model, START + DAY],
        )
        if day < full:
            conn.execute("SELECT gps_settle_day(%s)", [(START + day * DAY).date()])
        conn.commit()
    conn.execute("ANALYZE gps_fix")
    conn.commit()


def timed(conn: psycopg.Connection, day: int, terminals: int, reads: int) -> dict:
    """Read days of terminals drawn at random; percentiles and the rows of a read."""
    chance = random.Random(day)
    spent_ms, rows = [], 0
    used_s = time.process_time()
    for _ in range(reads):
        terminal = 1000 + chance.randrange(terminals)
        began_s = time.perf_counter()
        rows = len(archive.read_columns(conn, terminal, START + day * DAY, START + (day + 1) * DAY))
        spent_ms.append((time.perf_counter() - began_s) * 1000)
    used_ms = (time.process_time() - used_s) * 1000 / reads
    spent_ms.sort()
    return {
        "rows": rows,
        "client_cpu_ms": round(used_ms, 1),
        "least_ms": round(spent_ms[0], 1),
        "p50_ms": round(spent_ms[len(spent_ms) // 2], 1),
        "p95_ms": round(spent_ms[int(len(spent_ms) * 0.95)], 1),
        "most_ms": round(spent_ms[-1], 1),
    }


def measure(dsn: str, args: argparse.Namespace, directory: Path) -> dict:
    """Fill and read: a settled day, the day as written, a dropped day from its file."""
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        tables.create_all(connection)
    engine.dispose()
    with psycopg.connect(dsn) as conn:
        fill(conn, args.days, args.full, args.terminals)
        stored, partitions = conn.execute(
            "SELECT (SELECT count(*) FROM gps_fix), (SELECT count(*) FROM pg_inherits WHERE inhparent = 'gps_fix'::regclass)"
        ).fetchone()
        settled = timed(conn, 1, args.terminals, args.reads)
        running = timed(conn, args.full, args.terminals, args.reads)
    found = {
        "partitions": partitions,
        "fixes": stored,
        "terminals": args.terminals,
        "settled": settled,
        "running": running,
    }
    if args.archive:
        with psycopg.connect(dsn, autocommit=True) as conn:
            archive.archive_day(conn, (START + DAY).date(), directory, START + 400 * DAY, drop=True)
            found["archived"] = timed(conn, 1, args.terminals, 20)
    found["load"] = round(os.getloadavg()[0], 1)  # above the number of cores the figures are those of a busy machine
    found["meets"] = settled["p95_ms"] <= 20 and running["p95_ms"] <= 20
    return found


def main() -> None:
    """Make the database, measure, print, drop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=180)
    parser.add_argument("--full", type=int, default=2, help="days of real size")
    parser.add_argument("--terminals", type=int, default=TERMINALS, help="of a full day")
    parser.add_argument("--reads", type=int, default=200)
    parser.add_argument("--archive", action="store_true", help="also archive one full day and read it from the file")
    args = parser.parse_args()
    with own_database() as dsn, tempfile.TemporaryDirectory() as directory:
        print(json.dumps(measure(dsn, args, Path(directory))))


if __name__ == "__main__":
    main()
