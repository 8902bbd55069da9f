"""Figures for Prometheus: requests of the web program, jobs of the scheduler, queues of the database.

Of gunicorn's workers each keeps its own in files of ``PROMETHEUS_MULTIPROC_DIR``, which config/gunicorn.py makes; any of them
adds all up. Routes are named by their rule, never by the path asked for: a figure holds nobody's data.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.operations import backup, queries
from fleetapp.operations.rules import GATEWAY_LATE

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
JOB_SECONDS = (0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1200.0)

WEB = CollectorRegistry()
REQUESTS = Histogram("fleet_http_request_seconds", "Time to answer, by route.", ["method", "route"], buckets=SECONDS, registry=WEB)  # fmt: skip
ANSWERS = Counter("fleet_http_responses", "Answers by route and status.", ["method", "route", "status"], registry=WEB)
BUSY = Gauge("fleet_http_requests_in_progress", "Requests being answered.", registry=WEB, multiprocess_mode="livesum")
POOL = Gauge("fleet_db_pool_in_use", "Connections to the database in use.", registry=WEB, multiprocess_mode="livesum")
POOL_MOST = Gauge("fleet_db_pool_most", "Connections to the database at most.", registry=WEB, multiprocess_mode="livesum")  # fmt: skip

JOBS = CollectorRegistry()
JOB_TIME = Histogram("fleet_job_seconds", "Duration of a job.", ["job"], buckets=JOB_SECONDS, registry=JOBS)
JOB_RUNS = Counter("fleet_job_runs", "Runs of jobs by outcome.", ["job", "outcome"], registry=JOBS)
LEADS = Gauge("fleet_scheduler_leads", "1 in the scheduler that leads.", registry=JOBS)


def init_app(app: Flask, database: Database) -> None:
    """Measure every request but those of the program's own files."""

    @app.before_request
    def begin() -> None:
        g.began_s = time.perf_counter()
        BUSY.inc()

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        if "began_s" in g:
            BUSY.dec()

    @app.after_request
    def measure(response: Response) -> Response:
        if "began_s" in g and request.endpoint != "static":
            route = request.url_rule.rule if request.url_rule else "(none)"
            method = request.method if request.url_rule else "(any)"
            REQUESTS.labels(method, route).observe(time.perf_counter() - g.began_s)
            ANSWERS.labels(method, route, response.status_code).inc()
            _note_pool(database)
        return response


def _note_pool(database: Database) -> None:
    pool = getattr(database.engine, "pool", None)
    if isinstance(pool, QueuePool):
        POOL.set(pool.checkedout())
        POOL_MOST.set(pool.size() + max(0, pool._max_overflow))  # noqa: SLF001 -- it is not told otherwise


def note_job(name: str, *, elapsed_s: float, failed: str) -> None:
    """Count one run of a job."""
    JOB_TIME.labels(name).observe(elapsed_s)
    JOB_RUNS.labels(name, "failed" if failed else "done").inc()


class DatabaseCollector(Collector):
    """Queues, ages, the audit chain's last check and the newest backup, asked for when somebody looks."""

    def __init__(self, database: Database, clock: Callable[[], datetime], backup_dir: str = "") -> None:
        self._database = database
        self._clock = clock
        self._backup_dir = backup_dir

    def collect(self) -> Iterator[Metric]:
        """Yield every figure; only ``fleet_database_up`` when the database does not answer."""
        now = self._clock()
        try:
            found = self._ask(now)
        except SQLAlchemyError:
            yield GaugeMetricFamily("fleet_database_up", "1 when the database answers.", 0)
            return
        yield GaugeMetricFamily("fleet_database_up", "1 when the database answers.", 1)
        lengths = GaugeMetricFamily("fleet_queue_length", "Things that wait, by queue.", labels=["queue"])
        for queue, n in found["queues"].items():
            lengths.add_metric([queue], n)
        yield lengths
        ages = found["ages"]
        yield GaugeMetricFamily("fleet_outbox_lag_seconds", "Age of the oldest notice that is due.", ages["outbox"])
        yield GaugeMetricFamily("fleet_trips_lag_seconds", "Age of the oldest positions without trips.", ages["trips"])
        yield GaugeMetricFamily("fleet_fixes_lag_seconds", "Age of the newest position of all.", ages["newest_fix"])
        yield GaugeMetricFamily("fleet_gateways", "Gateways heard of lately.", found["gateways"])
        yield GaugeMetricFamily("fleet_audit_chain_faults", "Broken places at the last check.", found["faults"])
        yield GaugeMetricFamily(
            "fleet_audit_chain_check_timestamp_seconds", "Last check of the chain.", found["checked"]
        )
        if self._backup_dir:
            newest = max(backup.backups(Path(self._backup_dir)), default=None)
            stamp = newest.timestamp() if newest else 0
            yield GaugeMetricFamily("fleet_backup_timestamp_seconds", "When the newest backup was made.", stamp)

    def _ask(self, now: datetime) -> dict[str, Any]:
        with self._database.transaction(SYSTEM) as session:
            chain = queries.last_chain_check(session)
            return {
                "queues": queries.queues(session, now=now),
                "ages": queries.ages_s(session, now=now),
                "gateways": queries.gateways(session, since=now - GATEWAY_LATE - timedelta(seconds=1)),
                "faults": chain.faults if chain else 0,
                "checked": chain.at.timestamp() if chain else 0,
            }
