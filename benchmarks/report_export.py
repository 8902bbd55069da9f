"""Make a trip-compliance report of 100,000 trips as the scheduler does; prints seconds, processor seconds of the maker
and peak memory as JSON.

Half of the trips have an order. The report is asked for, made by the job, kept in the database piece by piece and read back. The
bound writes the very cells that arose with the same library and nothing else: no database, no words, no formats by row.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.report_export [--trips 100000] [--format xlsx] [--target-s 60] [--target-mb 500]

Makes a database of its own and drops it; ``ratio`` is seconds of the report / seconds of the bound.
"""

import argparse
import hashlib
import io
import json
import multiprocessing
import resource
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import psycopg
import xlsxwriter
from alembic import command
from alembic.config import Config

from benchmarks.database import own_database
from fleetapp import wiring
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.reports import jobs, tasks
from fleetapp.reports.rules import ExportFormat, Period
from tests import world

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
PERIOD = Period(date(2026, 1, 1), date(2026, 11, 17))
SEED = """
    WITH car AS (SELECT v.id, v.org_id, b.terminal_id, row_number() OVER (ORDER BY v.id) - 1 AS place, count(*) OVER () AS cars
                 FROM vehicle v JOIN terminal_binding b ON b.vehicle_id = v.id),
    driven AS (SELECT car.*, n, TIMESTAMPTZ '2026-01-01 00:00Z' + (n / cars) * (INTERVAL '320 days' / (%(trips)s / cars + 1)) AS at
               FROM generate_series(0, %(trips)s - 1) n JOIN car ON car.place = n %% car.cars),
    orders AS (
        INSERT INTO travel_order (org_id, serving_org_id, number, kind, purpose, reason, applicant_id, filed_by_id, passengers, passenger_count,
            contact, body, start_at, end_at, state, supplementary, created_at, pooling_ok, round_trip, luggage, version)
        SELECT org_id, org_id, 'YC-' || n, 'ordinary', 'meeting', '参加会议', (SELECT min(id) FROM user_account), (SELECT min(id) FROM user_account),
            '张三、李四', 2, '0571-85000000', 'sedan', at, at + INTERVAL '10 minutes', 'RETURNED', false, at, false, true, '', 1
        FROM driven WHERE n %% 2 = 0 RETURNING id, number),
    stops AS (
        INSERT INTO order_stop (order_id, position, name, point, tolerance_m)
        SELECT o.id, p, CASE p WHEN 0 THEN '教育局' ELSE '杭州东站' END, ST_SetSRID(ST_MakePoint(120.12 + p * 0.09, 30.26), 4326), 300
        FROM orders o, generate_series(0, 1) p),
    trips AS (
        INSERT INTO trip (org_id, vehicle_id, terminal_id, start_at, end_at, path, start_place, end_place, gps_m, odometer_m, matched_m,
            matched_source, best_m, best_source, error_m, coverage, points, max_speed_kmh, stops, gaps, content_digest, derived_at)
        SELECT org_id, id, terminal_id, at, at + INTERVAL '9 minutes', 'SRID=4326;LINESTRING(120.126 30.264, 120.2125 30.2905)'::geometry,
            '教育局停车场', '杭州东站', 12345.6 + n, 12400 + n, 12500 + n, 'estimate', 12345.6 + n, 'gps', 20, 0.97, 80, 61, '[]', '[]', n::text, at
        FROM driven RETURNING id, org_id, start_at, end_at, content_digest, best_m)
    INSERT INTO trip_match (org_id, trip_id, order_id, start_at, end_at, distance_m, kind, score, score_time, score_dest, score_orig,
        score_driver, score_events, margin, candidates, derived_at)
    SELECT t.org_id, t.id, o.id, t.start_at, t.end_at, t.best_m, CASE WHEN o.id IS NULL THEN 'unmatched' ELSE 'matched' END,
        CASE WHEN o.id IS NULL THEN NULL ELSE 0.92 END, 1, 0.9, 1, 1, 0.5, 1, '[]', t.start_at
    FROM trips t LEFT JOIN orders o ON o.number = 'YC-' || t.content_digest
"""


def seed(url: str, trips: int) -> None:
    """Make the schema, the standing world and the trips."""
    engine = make_engine(url, role=None)
    config = Config(ROOT / "migrations" / "alembic.ini")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()
    engine = make_engine(url)
    world.build(Database(engine, wiring.CONSTRAINT_ERRORS), NOW)
    engine.dispose()
    with psycopg.connect(url) as connection:
        connection.execute(
            "SET session_replication_role = replica"
        )  # the constraints' triggers would take longer than the report
        connection.execute(SEED, {"trips": trips})
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE")


def make(url: str, file_format: str, out: Any) -> None:
    """Ask for the report and make it; puts seconds, peak memory of this process and the file's hash into ``out``."""
    database = Database(make_engine(url), wiring.CONSTRAINT_ERRORS)
    actor = world.actor(database, "auditor.city")
    with database.transaction(actor) as session:
        task = tasks.ask(session, org_id=None, period=PERIOD, file_format=ExportFormat(file_format), reason="benchmark", language="zh",
                         actor=actor, now=NOW)  # fmt: skip
    before = peak_mb()
    began, worked = time.perf_counter(), time.process_time()
    jobs.work(database, NOW)
    seconds, cpu = time.perf_counter() - began, time.process_time() - worked
    with database.transaction(actor) as session:
        done, positions = tasks.hand_over(session, task_id=task.id, actor=actor, now=NOW)
        whole = hashlib.sha256()
        size = 0
        for position in positions:
            content = tasks.piece(session, task_id=task.id, position=position)
            whole.update(content)
            size += len(content)
        assert done.export is not None
        assert whole.hexdigest() == done.export.sha256, "the file read back is not the one that was made"
        out.put({"seconds": round(seconds, 2), "cpu_s": round(cpu, 2), "rows": done.export.rows, "peak_mb": round(peak_mb()), "peak_before_mb": round(before),
                 "file_mb": round(size / 1e6, 1)})  # fmt: skip


def bare(url: str, trips: int, out: Any) -> None:
    """Write the cells of the report with the library alone."""
    database = Database(make_engine(url), wiring.CONSTRAINT_ERRORS)
    with database.transaction(SYSTEM) as session:
        content = b"".join(
            tasks.piece(session, task_id=1, position=position)
            for position in tasks.hand_over(session, task_id=1, actor=world.actor(database, "auditor.city"), now=NOW)[1]
        )
    sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True).worksheets[1]
    some = [list(row) for row in sheet.iter_rows(min_row=5, max_row=min(trips, 2000) + 4, values_only=True)]
    began = time.perf_counter()
    with xlsxwriter.Workbook(
        io.BytesIO(), {"constant_memory": True, "strings_to_urls": False, "strings_to_formulas": False}
    ) as book:
        form = book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        target = book.add_worksheet()
        for number in range(trips):
            for at, cell in enumerate(some[number % len(some)]):
                if isinstance(cell, datetime):
                    target.write_datetime(number, at, cell, form)
                elif isinstance(cell, str):
                    target.write_string(number, at, cell)
                elif cell is not None:
                    target.write_number(number, at, cell)
    out.put(round(time.perf_counter() - began, 2))


def peak_mb() -> float:
    """Return the most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def apart(function: Any, *arguments: Any) -> Any:
    """Run a function in a process of its own, so that its peak is its own; returns what it puts into the queue."""
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    process = context.Process(target=function, args=(*arguments, out))
    process.start()
    found = out.get(timeout=timedelta(minutes=30).total_seconds())
    process.join()
    return found


def main() -> int:
    """Print the result; exit status 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trips", type=int, default=100_000)
    parser.add_argument("--format", choices=["xlsx", "csv", "pdf"], default="xlsx")
    parser.add_argument("--target-s", type=float, default=60.0)
    parser.add_argument("--target-mb", type=float, default=500.0)
    asked = parser.parse_args()
    with own_database() as url:
        seed(url, asked.trips)
        result = apart(make, url, asked.format)
        if asked.format == "xlsx":
            result["bare_s"] = apart(bare, url, asked.trips)
            result["ratio"] = round(result["seconds"] / result["bare_s"], 2)
    result |= {"format": asked.format, "target_s": asked.target_s, "target_mb": asked.target_mb}
    result["met"] = result["seconds"] <= asked.target_s and result["peak_mb"] <= asked.target_mb
    print(json.dumps(result))
    return 0 if result["met"] else 1


if __name__ == "__main__":
    sys.exit(main())
