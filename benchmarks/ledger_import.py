"""Import a ledger of 5,000 new vehicles: upload, check and commit; prints seconds, rows a second and peak memory as JSON.

The file is a real XLSX of the official layout with terminals and every column filled in. The bound is COPY of the very rows
that arose into a bare table: what the database could take if reading, rules, constraints, row-level security, terminals
and the log were free.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.ledger_import [--cars 5000] [--target-s 20]

Makes a database of its own and drops it; ``ratio`` is COPY / import in rows a second.
"""

import argparse
import io
import json
import random
import resource
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config

from benchmarks.database import own_database
from fleetapp import wiring
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database, make_engine
from fleetapp.ledgers import queries, service, telling, writing
from fleetapp.ledgers.columns import COLUMNS
from fleetapp.ledgers.rules import LedgerKind
from fleetapp.policies import service as policies
from fleetapp.vehicles.rules import vin_check_digit
from tests import world

ROOT = Path(__file__).parents[1]
KIND = LedgerKind.VEHICLES
UNITS = ("330106-EDU", "330106-HEALTH", "330108-WATER", "330100-EDU", "330100-FLEET")


def vehicle(number: int, rng: random.Random) -> dict[str, object]:
    """Invent a vehicle."""
    vin = f"LSVCC11Z5P3{number:06d}"
    electric = number % 3 == 0
    at = date(2023, 1, 1).toordinal() + rng.randrange(1000)
    return {
        "org_code": UNITS[number % len(UNITS)], "org_name": None, "parking": None, "state": None, "step": None,
        "plate": f"浙B{'D' if electric else ''}{number:05d}", "vin": vin[:8] + vin_check_digit(vin) + vin[9:],
        "category": "YJBZ" if number % 4 else "QT", "body": "sedan", "energy": "bev" if electric else "petrol", "seats": 5,
        "model": "示例轿车（公务版）", "displacement_ml": None if electric else 1598, "engine_no": f"E{number:07d}",
        "price_ex_tax": Decimal("159800.00") + number % 1000, "purchase_tax": Decimal("14141.59"), "registered_on": date.fromordinal(at),
        "acquired_by": "purchase", "acquired_on": date.fromordinal(at - 20), "made_on": date.fromordinal(at - 90), "domestic": True,
        "management_mode": "retained", "secrecy": "normal", "range_km": 450 if electric else None,
        "battery_kwh": Decimal("60.5") if electric else None, "tank_l": None if electric else Decimal("55.0"),
        "fuel_grade": None if electric else "95#", "colour": "黑", "terminal_phone": f"136{number:08d}", "odometer_m": number * 1000,
    }  # fmt: skip


def ledger(cars: int) -> bytes:
    """Return the ledger as XLSX."""
    rng, file = random.Random(0), io.BytesIO()
    rows = [vehicle(number, rng) for number in range(1, cars + 1)]
    writing.write(
        writing.Head(KIND, "杭州市", "2026-11-18", "车队管理员"), rows, [], file, words=telling.words, lang="zh"
    )
    return file.getvalue()


def copy_s(url: str) -> float:
    """Return the seconds of COPY of the imported rows into a bare table."""
    with psycopg.connect(url) as conn:
        conn.execute("CREATE TABLE bare AS TABLE vehicle WITH NO DATA")
        with conn.cursor().copy("COPY vehicle TO STDOUT (FORMAT BINARY)") as out:
            blocks = [bytes(block) for block in out]
        began_s = time.perf_counter()
        with conn.cursor().copy("COPY bare FROM STDIN (FORMAT BINARY)") as into:
            for block in blocks:
                into.write(block)
        conn.commit()
        return time.perf_counter() - began_s


def measure(url: str, cars: int) -> dict[str, object]:
    """Import the ledger twice: as new rows, then unchanged."""
    engine = make_engine(url, role=None)
    config = Config(ROOT / "migrations" / "alembic.ini")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    engine.dispose()
    engine = make_engine(url)
    database, now = Database(engine, wiring.CONSTRAINT_ERRORS), clock.now()
    world.build(database, now)
    with database.transaction(SYSTEM) as session:
        policies.load_file(session, actor=SYSTEM, now=now)
    actor = world.actor(database, "vehicle_office.city")
    content = ledger(cars)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    upload_s, check_s, one = _check(database, actor, content, cars, now)
    began_s = time.perf_counter()
    with database.transaction(actor) as session:
        service.confirm(session, import_id=one, actor=actor, now=now)
    service.work(database, words=telling.words, most_rows=cars, now=now)
    commit_s = time.perf_counter() - began_s
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with database.transaction(actor) as session:
        done = queries.get_import(session, import_id=one, actor=actor)
        result = {
            "state": done.state,
            "new": done.new_rows,
            "rejected": done.rejected_rows,
            "first_faults": done.faults[:3],
        }
    with psycopg.connect(url) as conn:
        faults = conn.execute("SELECT count(*) FROM audit_verify()").fetchone()[0]
    _, unchanged_s, again = _check(database, actor, content, cars, now)
    with database.transaction(actor) as session:
        unchanged = queries.get_import(session, import_id=again, actor=actor).unchanged_rows
    engine.dispose()
    seconds, bound_s = upload_s + check_s + commit_s, copy_s(url)
    return {
        "benchmark": "ledger_import", "cars": cars, "columns": len(COLUMNS[KIND]), "file_kb": len(content) // 1024, **result,
        "upload_s": round(upload_s, 2), "check_s": round(check_s, 2), "commit_s": round(commit_s, 2), "seconds": round(seconds, 2),
        "rows_per_s": round(cars / seconds), "unchanged_check_s": round(unchanged_s, 2), "unchanged": unchanged,
        "peak_memory_mb": peak_kb // 1024, "memory_grown_mb": (peak_kb - before_kb) // 1024, "audit_faults": faults,
        "copy_s": round(bound_s, 3), "ratio": round(seconds / bound_s, 1),
    }  # fmt: skip


def _check(database: Database, actor: Actor, content: bytes, cars: int, now: object) -> tuple[float, float, int]:
    began_s = time.perf_counter()
    with database.transaction(actor) as session:
        one = service.upload(
            session,
            kind=KIND,
            name="ledger.xlsx",
            content=content,
            words=telling.words,
            most_rows=cars,
            actor=actor,
            now=now,
        ).id
    uploaded_s = time.perf_counter()
    service.work(database, words=telling.words, most_rows=cars, now=now)
    return uploaded_s - began_s, time.perf_counter() - uploaded_s, one


def main() -> int:
    """Run and print; status 1 when slower than the target."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cars", type=int, default=5000)
    parser.add_argument("--target-s", type=float, default=20.0)
    args = parser.parse_args()
    with own_database() as url:
        result = measure(url, args.cars)
    print(json.dumps({**result, "target_s": args.target_s}, ensure_ascii=False))
    return 0 if result["seconds"] <= args.target_s else 1


if __name__ == "__main__":
    raise SystemExit(main())
