"""Bring an archived UTC day back into the database, row for row; repeatable.

Tracks of archived days are read from the files by themselves: this is for queries in SQL, or when the files were
moved (--from names where they are now).
"""

import argparse
import os
import sys
from datetime import date
from pathlib import Path

import psycopg

from telematics import archive
from telematics.commands.common import utc_now


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``python -m telematics restore``."""
    parser.add_argument("--day", type=date.fromisoformat, required=True, metavar="YYYY-MM-DD")
    parser.add_argument("--from", type=Path, dest="directory", metavar="DIR", help="default: where it was written")
    parser.add_argument("--database-url", default=os.environ.get("FLEET_DATABASE_URL"), help="PostgreSQL address")


def run(args: argparse.Namespace) -> int:
    """Run the command; exit status 0, 1 if a file is missing or damaged, 2 without a database address."""
    if not args.database_url:
        print("No database: give --database-url or set FLEET_DATABASE_URL.", file=sys.stderr)
        return 2
    with psycopg.connect(args.database_url, autocommit=True, options="-c timezone=UTC") as conn:
        try:
            added = archive.restore_day(conn, args.day, utc_now(), directory=args.directory)
        except archive.ArchiveMissing as error:
            print(error, file=sys.stderr)
            return 1
    print(f"{args.day}: {added} fixes restored")
    return 0
