"""Virtual JT/T 808 terminals that drive around and report to a gateway; or the check of what they wrote down.

Every terminal registers, authenticates and reports positions; it keeps what is not acknowledged, repeats it and
connects again after a cut. With --chaos links break within frames, frames come twice, late, in disorder and between
bad ones, and clocks jump. Prints one JSON object and exits 0 only if every position was acknowledged.

--ledger FILE writes down every position sent and acknowledged; --check FILE --database URL compares that with the
table afterwards and exits 0 only if nothing acknowledged is missing. Without --check, --database URL admits the
terminals that the gateway does not know yet.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg

from telematics.commands.common import allow_many_connections, fastest_loop, utc_now
from telematics.files import TrackFileError
from telematics.gateway.link import driver_address, first_line
from telematics.simulator.chaos import CALM, CHAOS
from telematics.simulator.fleet import admit, numbers, simulate
from telematics.simulator.ledger import Ledger, LedgerError, compare
from telematics.simulator.roads import read_tracks
from telematics.simulator.vehicle import Counts, Plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``simulate``."""
    parser.add_argument("--host", default="127.0.0.1", help="gateway (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=6808, help="its JT/T 808 port (default 6808)")
    parser.add_argument("--terminals", type=_count, default=10, metavar="N", help="how many (default 10)")
    parser.add_argument("--rate", type=_positive, default=1.0, metavar="R", help="positions a second, each (default 1)")
    parser.add_argument("--seconds", type=_positive, default=60.0, metavar="S", help="how long (default 60)")
    parser.add_argument(
        "--patience", type=_positive, default=60.0, metavar="S", help="then wait for answers at most (default 60)"
    )
    parser.add_argument(
        "--timeout", type=_positive, default=10.0, metavar="S", help="first wait for an answer (default 10)"
    )
    parser.add_argument("--memory", type=_count, default=10_000, metavar="N", help="positions a terminal can keep")
    parser.add_argument("--first", type=int, default=13_900_000_000, metavar="PHONE", help="number of the first one")
    parser.add_argument("--tracks", type=Path, metavar="FOLDER", help="follow its GPX, CSV and JSON tracks")
    parser.add_argument("--chaos", action="store_true", help="with everything that goes wrong")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of roads and chaos (default 1)")
    parser.add_argument("--ledger", type=Path, metavar="FILE", help="write down what is sent and acknowledged")
    parser.add_argument("--check", type=Path, metavar="FILE", help="only compare a ledger with the database")
    parser.add_argument(
        "--database", metavar="URL", help="PostgreSQL: admit the terminals in it; with --check: the table"
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 up")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def run(args: argparse.Namespace) -> int:
    """0 if everything was acknowledged (or nothing is missing), 1 if not, 2 if it cannot be begun."""
    try:
        return _check(args.check, args.database) if args.check else _simulate(args)
    except (LedgerError, TrackFileError, OSError) as error:
        print(error, file=sys.stderr)
    except psycopg.Error as error:
        print(f"The database cannot be used: {first_line(error)}", file=sys.stderr)
    return 2


def _check(ledger: Path, database: str | None) -> int:
    if not database:
        print("No database: give --database.", file=sys.stderr)
        return 2
    with psycopg.connect(driver_address(database)) as conn:
        found = compare(ledger, conn)
    print(json.dumps(asdict(found)))
    return 1 if found.missing else 0


def _simulate(args: argparse.Namespace) -> int:
    phones = numbers(args.first, args.terminals)
    tracks = read_tracks(args.tracks) if args.tracks else []
    if args.database:
        with psycopg.connect(driver_address(args.database)) as conn:
            admit(conn, phones)
    allow_many_connections()
    plan = Plan(
        host=args.host,
        port=args.port,
        rate_hz=args.rate,
        wait_s=args.timeout,
        memory=args.memory,
        odds=CHAOS if args.chaos else CALM,
    )
    with Ledger(args.ledger) as ledger, asyncio.Runner(loop_factory=fastest_loop()) as runner:
        counts = runner.run(
            simulate(
                phones,
                plan,
                seconds=args.seconds,
                patience_s=args.patience,
                seed=args.seed,
                clock=utc_now,
                ledger=ledger,
                tracks=tracks,
                spread_s=args.terminals / 1000,
            )
        )
    print(json.dumps(summary(counts)))
    return 1 if counts.waiting or counts.forgotten else 0


def summary(counts: Counts) -> dict[str, Any]:
    """What is printed of the counts: the delays as milliseconds below which half and 99 % lie."""
    shown = asdict(counts)
    del shown["begun_s"]
    delays_s = sorted(shown.pop("delays_s"))
    for share in (50, 99):
        at = min(len(delays_s) * share // 100, len(delays_s) - 1)
        shown[f"acknowledgement_ms_p{share}"] = round(delays_s[at] * 1000, 1) if delays_s else None
    return shown
