"""``python -m fleetapp.scheduler``: runs every slice's jobs on time; of several schedulers one works, the rest wait.

The jobs are fixed intervals listed in ``wiring.jobs`` and idempotent by cursor, so nothing needs to be remembered
between runs: a missed run is made good by the next. Leadership is a session-level advisory lock: it falls free by
itself when the leader dies.
"""

import logging
import signal
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from fleetapp import settings as app_settings
from fleetapp import wiring
from fleetapp.kit import clock
from fleetapp.kit.db import Database, make_engine

LEADER_LOCK = 808_2026
WAIT_FOR_LEADER_S = 5

log = structlog.get_logger()


def run_job(name: str, job: wiring.Job, database: Database) -> None:
    """Run one job and log how it went; a failure is logged and the next run tries again."""
    began = time.monotonic()
    try:
        result = job(database, clock.now())
    except Exception as error:
        log.exception("job_failed", job=name, kind=type(error).__name__)
        return
    idle = not any(result.values()) if isinstance(result, dict) else not result
    say = log.debug if idle else log.info  # seventeen jobs that find nothing to do every few seconds are no news
    say("job_done", job=name, result=result, elapsed_s=round(time.monotonic() - began, 3))


def lead(engine: Engine, jobs: Sequence[tuple[str, int, wiring.Job]], stop: threading.Event) -> None:
    """Wait for leadership, then run the jobs until told to stop or the database goes away."""
    database = Database(engine, wiring.CONSTRAINT_ERRORS)
    with engine.connect() as connection:
        while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LEADER_LOCK}):
            connection.rollback()
            if stop.wait(WAIT_FOR_LEADER_S):
                return
        connection.commit()
        log.info("scheduler_leads", jobs=[name for name, _, _ in jobs])
        scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(2)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for name, seconds, job in jobs:
            scheduler.add_job(run_job, "interval", args=(name, job, database), seconds=seconds, id=name,
                              next_run_time=clock.now())  # fmt: skip
        scheduler.start()
        try:
            while not stop.wait(WAIT_FOR_LEADER_S):
                connection.execute(text("SELECT 1"))  # the lock lives on this connection: notice when it is gone
                connection.commit()
        finally:
            scheduler.shutdown(wait=True)


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    stop = threading.Event()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        settings = app_settings.load()
    except app_settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    engine = make_engine(settings.database_url, pool_size=4)
    print("scheduler ready", flush=True)
    while not stop.is_set():
        try:
            lead(engine, wiring.jobs(settings), stop)
        except OperationalError as error:
            log.warning("database_unavailable", error=str(error.orig).splitlines()[0])
            stop.wait(WAIT_FOR_LEADER_S)
    engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
