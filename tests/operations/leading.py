"""A scheduler as a process of its own, with one job that takes a second of the database's time and cannot bear a second one beside it."""

import logging
import signal
import sys
import threading

import structlog
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import make_engine
from fleetapp.scheduler import lead


def slow(database, _now):
    """Hold a table; fails at once when another run holds it."""
    with database.transaction(SYSTEM) as session:
        session.execute(text("SELECT pg_sleep(0.1)"))
        if not session.scalar(text("SELECT pg_try_advisory_xact_lock(4711)")):
            raise RuntimeError("two at once")
        session.execute(text("SELECT pg_sleep(1.5)"))
    return {"done": 1}


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    print("waiting", flush=True)
    lead(make_engine(sys.argv[1], pool_size=8), [("slow", 1, slow)], stop, wait_s=0.2)
