"""Write closed days to Parquet files, with --drop remove them from the database; may be repeated and interrupted.

A file is read back and compared with the table before it counts, and a day is dropped only while its files hold its
every row. --merge puts the frames of the days into large segments instead and writes no file. --month 2026-09 takes the UTC days of that month, --day one day. Prints one JSON object a day.
"""

import argparse
import json
import os
import sys
from calendar import monthrange
from datetime import date, timedelta
from pathlib import Path

import psycopg

from telematics import archive, store
from telematics.commands.common import utc_now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m telematics archive``."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--month", type=_month, dest="days", metavar="YYYY-MM")
    which.add_argument("--day", type=lambda text: [date.fromisoformat(text)], dest="days", metavar="YYYY-MM-DD")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--to", type=Path, metavar="DIR", help="directory of the archive")
    what.add_argument("--merge", action="store_true", help="merge segments of frames, in the database, nothing else")
    parser.add_argument("--drop", action="store_true", help="remove the partition of every day that is archived")
    parser.add_argument("--database-url", default=os.environ.get("FLEET_DATABASE_URL"), help="PostgreSQL address")


def run(args: argparse.Namespace) -> int:
    """Run the command; exit status 0, 1 if a day could not be archived, 2 without a database address."""
    if not args.database_url:
        print("No database: give --database-url or set FLEET_DATABASE_URL.", file=sys.stderr)
        return 2
    failed = 0
    with psycopg.connect(args.database_url, autocommit=True, options="-c timezone=UTC") as conn:
        for day in args.days:
            try:
                if args.merge:
                    print(json.dumps({"day": str(day), "segments": _merged(conn, day)}), flush=True)
                    continue
                made = archive.archive_day(conn, day, args.to, utc_now(), drop=args.drop)
            except (ValueError, OSError, archive.ArchiveMissing, psycopg.Error) as error:
                print(f"{day}: {error}", file=sys.stderr)
                failed = 1
                continue
            print(
                json.dumps({"day": str(day), "fixes": made.fixes, "bytes": made.bytes, "dropped": made.dropped}),
                flush=True,
            )
    return failed


def _merged(conn: psycopg.Connection, day: date) -> int:
    there = store.stored_days(conn, store.day_start(day), store.day_start(day + timedelta(days=1)))
    return archive.merge_frames(conn, day) if there else 0


def _month(text: str) -> list[date]:
    first = date.fromisoformat(f"{text}-01")
    return [first.replace(day=number) for number in range(1, monthrange(first.year, first.month)[1] + 1)]
