"""A working day of a whole fleet through the web server on a clock that is set forward: how every order ended, the slowest requests, JSON.

    FLEET_TEST_DATABASE_URL=... python -m benchmarks.working_day [--cars 300] [--orders 600] [--seconds 20] [--seed 1]

On a database of its own. Applicants apply, approvers approve, three dispatchers plan on the board, drivers work with the app, terminals
report; things go wrong on the way. Status 1 when an order is left that nothing explains, or something was no refusal but a fault.
"""

import argparse
import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from benchmarks.database import own_database
from benchmarks.live_map import _migrate
from fleetapp import wiring
from fleetapp.kit.db import Database, make_engine
from tests import world
from tests.serving import web
from tests.walks.day import sums
from tests.walks.day.clock import Clock


def main() -> int:
    """Live one day and print its sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cars", type=int, default=300)
    parser.add_argument("--orders", type=int, default=600)
    parser.add_argument("--seconds", type=int, default=20, help="time limit of each plan")
    parser.add_argument("--step", type=int, default=5, help="minutes of the day that are lived at once")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with own_database() as url, tempfile.TemporaryDirectory() as folder:
        engine = make_engine(url, role=None)
        _migrate(engine)
        engine.dispose()
        engine = make_engine(url, pool_size=12)
        database = Database(engine, wiring.CONSTRAINT_ERRORS)
        world.build(database, sums.EVE - timedelta(hours=4))
        clock = Clock(Path(folder) / "clock")
        clock.begin(sums.EVE)
        with web(url, Path(folder), "tests.walks.day.web:app", DAY_CLOCK=str(clock.file)) as base:
            day = sums.prepare(base, url, database, clock, cars=given.cars, orders=given.orders, seed=given.seed)
            day.step = timedelta(minutes=given.step)
            day.say = lambda text: print(text, file=sys.stderr, flush=True)
            found = sums.live(day, seconds=given.seconds, seed=given.seed)
        engine.dispose()
    print(json.dumps(found, ensure_ascii=False, indent=2, default=str))
    return int(bool(found["left"] or found["errors"] or found["without_reason"]))


if __name__ == "__main__":
    raise SystemExit(main())
