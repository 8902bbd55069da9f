"""Pages at 3,000 vehicles and three years of journeys (a million orders): seconds of each, bytes that every order leaves, as JSON.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.years [--cars 3000] [--orders 1000000] [--rounds 3] [--target-s 2]
    ... --database URL    # fill and measure this one, made by the migrations with the world in it, and leave it

Makes a database of its own (some 8 GB for a million orders) and drops it. Status 1 when a page takes longer than the target.
``bytes`` are those of a table with its indexes, for one order. ``slowest`` of the rounds is what counts, after one that warms; the ``cpu_s`` tell what an idle machine would
take where this one is shared.
"""

import argparse
import json
import os
import time
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from benchmarks.database import own_database
from benchmarks.live_map import prepare
from benchmarks.order_lists import Desk
from fleetapp.kit import clock

SQL = Path(__file__).with_suffix(".sql")
YEARS = 3
AUDITOR, CITY, LEADER, FINANCE = "auditor.city", "dispatcher.city", "leader.city", "finance.city"
PER_ORDER = (
    "travel_order", "order_stop", "order_event", "approval_case", "approval_task", "approval_step", "dispatch_slip", "assignment", "duty_event",
    "odometer_reading", "mileage_confirmation", "charge", "cost_entry", "energy_entry", "trip", "trip_match", "finding", "finding_case", "audit_entry",
)  # fmt: skip
"""Tables that grow with the orders."""


def fill(
    url: str, *, cars: int, orders: int, now: datetime, cars_before: int = 0, orders_before: int = 0, units: int = 0, small: bool = False
) -> None:  # fmt: skip
    """Write vehicles and journeys up to these numbers, the orders spread over three years back from the day after tomorrow.

    ``small``: every journey leaves a clue and a filling too, for tests; ``units`` are made in every district.
    """
    every = timedelta(days=365 * YEARS) / max(1, orders // cars)
    given = (cars_before, cars, orders_before, orders, units, small, now, every)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SET session_replication_role = replica; SET work_mem = '256MB'; SET maintenance_work_mem = '256MB'"
        )
        connection.execute(
            "CREATE TEMP TABLE given (cars_before int, cars int, orders_before int, orders int, units int, small bool, moment timestamptz, every interval)"
        )
        connection.execute("INSERT INTO given VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", given)
        for statement in SQL.read_text(encoding="utf-8").split(";\n"):
            if statement.strip():
                connection.execute(statement)  # type: ignore[call-overload]
        connection.execute("VACUUM ANALYZE" if not small else "ANALYZE")


def cpu_s(url: str) -> tuple[float, float]:
    """Return the processor time so far of this program and of the database's processes for this database, where they run on this machine."""
    name, spent = urlsplit(url).path[1:], 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (line := (folder / "cmdline").read_bytes()).startswith(b"postgres:") and name.encode() in line:
                rest = (folder / "stat").read_text().rpartition(")")[2].split()
                spent += (int(rest[11]) + int(rest[12])) / os.sysconf("SC_CLK_TCK")
        except OSError:
            continue  # it has ended meanwhile
    return time.process_time(), spent


def pages(now: datetime, org_id: int) -> dict[str, tuple[str, str]]:
    """Return whom and what is asked, by name; costs row by row of one unit."""
    from fleetapp.statistics.catalogue import tables

    year = now.year
    found = {
        "dashboard": (LEADER, "/dashboard"),
        "orders": (CITY, "/orders"),
        "orders waiting": (CITY, "/orders?group=to_dispatch"),
        "orders text": (CITY, "/orders?q=调研"),
        "orders number": (CITY, "/orders?q=Y00077777"),
        "board": (CITY, "/board"),
        "vehicles": (CITY, "/vehicles"),
        "live map": (CITY, "/api/v1/positions"),
        "findings": (AUDITOR, "/findings"),
        "trips": (AUDITOR, "/trips"),
        "audit": (AUDITOR, "/audit"),
        "audit subject": (AUDITOR, "/audit?subject_type=order&subject_id=10077777"),
        "audit text": (AUDITOR, "/audit?q=orders.submitted"),
        "costs of units": (FINANCE, "/costs"),
        "costs list": (FINANCE, f"/costs/rows?year={year}&org_id={org_id}"),
        "energy": ("fleet_manager.city", "/energy"),
        "pool": (CITY, "/pool"),
        "indicators of the year": (LEADER, f"/api/v1/statistics/indicators?period={year}"),
    }
    for code in tables():
        found[f"statistics {code}"] = (LEADER, f"/statistics/tables?period={year}&table={code}")
    return found


def measure(url: str, cars: int, orders: int, rounds: int, *, filled: bool) -> dict[str, Any]:
    """Fill and measure."""
    now, began = clock.now(), time.perf_counter()
    if not filled:
        fill(url, cars=cars, orders=orders, now=now, units=60)
    result: dict[str, Any] = {
        "benchmark": "years",
        "cars": cars,
        "orders": orders,
        "fill_s": round(time.perf_counter() - began),
    }
    with psycopg.connect(url) as connection:
        sizes = {
            name: connection.execute("SELECT pg_total_relation_size(%s::regclass)", [name]).fetchone()[0]  # type: ignore[index]
            for name in PER_ORDER
        }
        rows = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]  # type: ignore[index]
            for name in ("trip", "audit_entry")
        }
        [org_id] = connection.execute("SELECT min(org_id) FROM vehicle").fetchone()  # type: ignore[misc]
    result["bytes_per_order"] = {name: round(size / orders) for name, size in sizes.items()}
    result["bytes_per_order"]["all"] = round(sum(sizes.values()) / orders)
    result["bytes_per_row"] = {name: round(sizes[name] / max(1, number)) for name, number in rows.items()}
    desk, result["pages"] = Desk(url), {}
    for name, (who, path) in pages(now, org_id).items():
        times, spent = [], []
        for _ in range(rounds + 1):
            desk.statements, begun, before = 0, time.perf_counter(), cpu_s(url)
            desk.open(who, path)
            times.append(time.perf_counter() - begun)
            spent.append([after - earlier for after, earlier in zip(cpu_s(url), before, strict=True)])
        program_s, database_s = (round(max(one[at] for one in spent[1:]), 2) for at in (0, 1))
        result["pages"][name] = {
            "s": round(max(times[1:]), 2), "first_s": round(times[0], 2), "program_cpu_s": program_s, "database_cpu_s": database_s,
            "statements": desk.statements,
        }  # fmt: skip
    result["slowest_s"] = max(one["s"] for one in result["pages"].values())
    return result


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cars", type=int, default=3000)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--target-s", type=float, default=2.0)
    parser.add_argument("--database", metavar="URL")
    parser.add_argument("--filled", action="store_true", help="the database named has its rows already")
    args = parser.parse_args()
    with nullcontext(args.database) if args.database else own_database() as url:
        if not args.filled:
            prepare(url)
        result = measure(url, args.cars, args.orders, args.rounds, filled=args.filled)
    print(json.dumps(result, ensure_ascii=False, indent=2))
    return int(result["slowest_s"] > args.target_s)


if __name__ == "__main__":
    raise SystemExit(main())
