"""``python -m fleetapp.scheduler``: runs every slice's jobs on time; of several schedulers one works, the rest wait.

The jobs are fixed intervals listed in ``wiring.jobs`` and idempotent by cursor, so nothing needs to be remembered
between runs: a missed run is made good by the next. Leadership is a session-level advisory lock: it falls free by
itself when the leader dies. A job holds a lock of its own besides, so that it never runs twice at once, not even
while the last statement of a leader that was killed still runs in the database.

A clock that is set forward makes every job run once at once; one that is set back too, instead of leaving them all
waiting until the old time is reached again.
"""

import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import FrameType

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from prometheus_client import start_http_server
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from fleetapp import settings as app_settings
from fleetapp import wiring
from fleetapp.kit import clock, logs
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database, make_engine
from fleetapp.operations import figures, service
from fleetapp.operations.watched import Runs

LEADER_LOCK = 808_2026
JOB_LOCK, STATEMENT_LOCK = 808_2027, 808_2028
"""First keys of a job's locks: one held by its runner, one shared by all its transactions."""
WAIT_FOR_LEADER_S = 5.0
CLOCK_SET_S = 2.0

log = structlog.get_logger()
Jobs = Sequence[tuple[str, int, wiring.Job]]


class JobDatabase(Database):
    """The database as one job sees it: each of its transactions can be seen by whoever wants to run the job next."""

    def __init__(self, database: Database, job: str) -> None:
        super().__init__(database.engine, database.constraint_errors)
        self._job = job

    @contextmanager
    def transaction(self, actor: Actor) -> Iterator[Session]:
        """Open a transaction as ``Database.transaction`` does."""
        with super().transaction(actor) as session:
            session.execute(
                text("SELECT pg_advisory_xact_lock_shared(:kind, hashtext(:job))"),
                {"kind": STATEMENT_LOCK, "job": self._job},
            )
            yield session


@contextmanager
def alone(engine: Engine, job: str) -> Iterator[bool]:
    """Tell whether nobody else runs a job; until the block ends nobody else will."""
    key = {"kind": JOB_LOCK, "left": STATEMENT_LOCK, "job": job}
    with engine.connect() as connection:
        mine = connection.scalar(text("SELECT pg_try_advisory_lock(:kind, hashtext(:job))"), key)
        # A transaction of a runner that died may still be at work. This lock is only a question, and is given back at once.
        quiet = mine and connection.scalar(text("SELECT pg_try_advisory_xact_lock(:left, hashtext(:job))"), key)
        connection.commit()
        try:
            yield bool(quiet)
        finally:
            if mine:
                connection.execute(text("SELECT pg_advisory_unlock(:kind, hashtext(:job))"), key)
                connection.commit()


def run_job(
    name: str, job: wiring.Job, database: Database, *, interval_s: int = 1, runs: Runs | None = None,
    now_of: Callable[[], datetime] = clock.now,
) -> None:  # fmt: skip
    """Run one job unless it runs elsewhere, and log how it went; a failure is logged and the next run tries again."""
    began = time.monotonic()
    runs = runs or Runs()
    structlog.contextvars.bind_contextvars(job=name, request_id=f"{name}-{secrets.token_hex(6)}")
    failed, result = "", None
    runs.begin(name, interval_s=interval_s, now=now_of())
    try:
        with ExitStack() as stack:
            engine = database.engine
            if isinstance(engine, Engine) and not stack.enter_context(alone(engine, name)):
                log.warning("job_runs_elsewhere")
                return
            result = job(JobDatabase(database, name), now_of())
    except Exception as error:
        log.exception("job_failed")
        failed = type(error).__name__
    elapsed_s = time.monotonic() - began
    runs.end(name, elapsed_s=elapsed_s, failed=failed, now=now_of())
    figures.note_job(name, elapsed_s=elapsed_s, failed=failed)
    if failed:
        return
    idle = not any(result.values()) if isinstance(result, dict) else not result
    say = log.debug if idle else log.info  # jobs that find nothing to do every few seconds are no news
    say("job_done", result=result, elapsed_s=round(elapsed_s, 3))


@dataclass
class Pace:
    """How the wall clock goes against one that is never set."""

    clock: Callable[[], datetime]
    stopwatch: Callable[[], float]

    def __post_init__(self) -> None:
        """Begin with the clocks as they are."""
        self._apart_s = self._difference_s()

    def _difference_s(self) -> float:
        return self.clock().timestamp() - self.stopwatch()

    def set_by_s(self) -> float:
        """Return by how much the clock was set since the last call, 0 for what is mere drift."""
        before, self._apart_s = self._apart_s, self._difference_s()
        by_s = self._apart_s - before
        return by_s if abs(by_s) >= CLOCK_SET_S else 0.0


def all_due(scheduler: BackgroundScheduler, now: datetime) -> None:
    """Let every job run now: the times they wait for were reckoned by a clock that has been set since."""
    for job in scheduler.get_jobs():
        job.modify(next_run_time=now)


def wait_for_lead(connection: Connection, stop: threading.Event, *, wait_s: float) -> bool:
    """Wait until this process leads; False when it was told to stop first."""
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": LEADER_LOCK}):
        connection.rollback()
        if stop.wait(wait_s):
            return False
    connection.commit()
    return True


def lead(
    engine: Engine, jobs: Jobs, stop: threading.Event, *, wait_s: float = WAIT_FOR_LEADER_S,
    now_of: Callable[[], datetime] = clock.now,
) -> None:  # fmt: skip
    """Wait for leadership, then run the jobs until told to stop or the database goes away."""
    database, runs = Database(engine, wiring.CONSTRAINT_ERRORS), Runs()
    with engine.connect() as connection:
        if not wait_for_lead(connection, stop, wait_s=wait_s):
            return
        name, since, pace = f"{socket.gethostname()}:{os.getpid()}", now_of(), Pace(now_of, time.monotonic)
        log.info("scheduler_leads", jobs=[job for job, _, _ in jobs])
        figures.LEADS.set(1)
        scheduler = BackgroundScheduler(
            timezone="UTC",
            executors={"default": ThreadPoolExecutor(3)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        for job, seconds, work in jobs:
            run = partial(run_job, job, work, database, interval_s=seconds, runs=runs, now_of=now_of)
            scheduler.add_job(run, "interval", seconds=seconds, id=job, next_run_time=clock.now())
        scheduler.start()
        try:
            while True:
                with database.transaction(SYSTEM) as session:
                    service.beat(session, leader=name, since=since, runs=runs.take_fresh(), now=now_of())
                if stop.wait(wait_s):
                    break
                connection.execute(text("SELECT 1"))  # the lock lives on this connection: notice when it is gone
                connection.commit()
                if by_s := pace.set_by_s():
                    log.warning("clock_was_set", by_s=round(by_s))
                    all_due(scheduler, clock.now())
        finally:
            figures.LEADS.set(0)
            scheduler.shutdown(wait=True)


def serve_figures(engine: Engine) -> Callable[[], None]:
    """Serve figures on FLEET_SCHEDULER_METRICS_PORT of FLEET_METRICS_HOST, if set; returns what ends it."""
    port = os.environ.get("FLEET_SCHEDULER_METRICS_PORT")
    if not port:
        return lambda: None
    collector = figures.DatabaseCollector(Database(engine), clock.now, os.environ.get("FLEET_BACKUP_DIR", ""))
    figures.JOBS.register(collector)
    host = os.environ.get("FLEET_METRICS_HOST", "127.0.0.1")
    server, _ = start_http_server(int(port), addr=host, registry=figures.JOBS)
    print(f"figures on {host}:{server.server_port}", flush=True)

    def end() -> None:
        server.shutdown()
        server.server_close()

    return end


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    stop = threading.Event()
    logs.configure()
    os.nice(5)  # people come first where one machine does everything

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    try:
        settings = app_settings.load()
        jobs = wiring.jobs(settings)
    except app_settings.SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    engine = make_engine(settings.database_url, pool_size=8)
    end_figures = serve_figures(engine)
    print("scheduler ready", flush=True)
    while not stop.is_set():
        try:
            lead(engine, jobs, stop)
        except OperationalError as error:
            log.warning("database_unavailable", exc_info=error)
            stop.wait(WAIT_FOR_LEADER_S)
    end_figures()
    engine.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
