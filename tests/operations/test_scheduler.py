"""One leader, takeover when it is killed, no job twice at once, and a clock that is set."""

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from apscheduler.schedulers.background import BackgroundScheduler
from prometheus_client import CollectorRegistry

from fleetapp import scheduler
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.operations import figures, queries, service
from fleetapp.operations.models import JobRun
from fleetapp.operations.watched import Run, Runs
from tests import serving

NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
PATIENCE_S = 30


@contextmanager
def process(url, log):
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-m", "tests.operations.leading", url], cwd=serving.ROOT, stdout=out, stderr=out,
                                 env=serving.environment(url))  # fmt: skip
    try:
        yield child
    finally:
        child.terminate()
        child.wait(timeout=20)


def wait_for(log, words):
    deadline = time.monotonic() + PATIENCE_S
    while words not in (said := log.read_text(encoding="utf-8")):
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def asleep(url):
    with psycopg.connect(url) as connection:
        query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(1.5)%' AND state = 'active' AND datname = current_database()"
        return connection.execute(query).fetchone() is not None


def test_another_leads_when_the_leader_is_killed_and_no_job_runs_twice_at_once(
    live_database, live_database_url, tmp_path
):
    logs = [tmp_path / "one", tmp_path / "two"]
    with process(live_database_url, logs[0]) as one, process(live_database_url, logs[1]) as two:
        for log in logs:
            wait_for(log, "waiting")
        deadline = time.monotonic() + PATIENCE_S
        while not asleep(live_database_url):  # killed with a statement under way, which the database goes on with
            assert time.monotonic() < deadline
            time.sleep(0.01)
        leads = ["scheduler_leads" in log.read_text(encoding="utf-8") for log in logs]
        assert sorted(leads) == [False, True]
        first, second = (one, logs[1]) if leads[0] else (two, logs[0])
        first.kill()
        wait_for(second, "scheduler_leads")
        wait_for(second, "job_done")
        assert "two at once" not in second.read_text(encoding="utf-8")
        with live_database.transaction(SYSTEM) as session:
            found = queries.found(session, needed="0001")
        assert found.scheduler_at is not None
        assert [(job.name, job.failed) for job in found.jobs] == [("slow", "")]


def test_a_job_that_runs_elsewhere_is_left_out(live_database):
    ran, engine = [], live_database.engine

    def job(database, _now):
        if not ran:
            ran.append("outer")
            scheduler.run_job("one", job, Database(engine))  # as another process would
            scheduler.run_job("other", lambda *_: ran.append("other"), Database(engine))
        else:
            ran.append("again")

    scheduler.run_job("one", job, live_database)
    assert ran == ["outer", "other"]
    scheduler.run_job("one", job, live_database)
    assert ran == ["outer", "other", "again"]


def test_a_job_waits_for_the_last_transaction_of_a_runner_that_died(live_database):
    ran = []
    with scheduler.JobDatabase(live_database, "one").transaction(SYSTEM):
        scheduler.run_job("one", lambda *_: ran.append(1), live_database)
        assert ran == []
    scheduler.run_job("one", lambda *_: ran.append(1), live_database)
    assert ran == [1]


def test_a_failure_is_kept_by_its_kind_alone_until_the_next_success(live_database):
    runs = Runs()

    def fails(*_):
        raise ValueError("李四 13900000001")

    scheduler.run_job("one", fails, live_database, interval_s=5, runs=runs, now_of=lambda: NOW)
    assert [(run.name, run.failed, run.ended_at) for run in runs.take_fresh()] == [("one", "ValueError", NOW)]
    scheduler.run_job("one", lambda *_: 0, live_database, interval_s=5, runs=runs, now_of=lambda: NOW)
    assert [run.failed for run in runs.take_fresh()] == [""]
    assert runs.take_fresh() == []


def test_a_failure_is_known_after_a_restart_until_a_run_ends_well(live_database):
    def told(*runs):
        with live_database.transaction(SYSTEM) as session:
            service.beat(session, leader="a", since=NOW, runs=runs, now=NOW)
            session.flush()
            row = session.get_one(JobRun, "one")
            return row.failed, row.ended_at, row.elapsed_s, row.began_at

    later = NOW + timedelta(minutes=1)
    assert told(Run("one", 5, NOW, NOW, 2.0, "ValueError")) == ("ValueError", NOW, 2.0, NOW)
    assert told(Run("one", 5, later)) == ("ValueError", NOW, 2.0, later)
    assert told(Run("one", 5, later, later, 1.0)) == ("", later, 1.0, later)


@pytest.mark.parametrize(("set_by_s", "noticed_s"), [(-3600, -3600), (3600, 3600), (0.5, 0), (-1.5, 0)])
def test_a_clock_that_was_set_is_noticed_once(set_by_s, noticed_s):
    wall, watch = [NOW], [100.0]
    pace = scheduler.Pace(lambda: wall[0], lambda: watch[0])
    wall[0], watch[0] = wall[0] + timedelta(seconds=5 + set_by_s), watch[0] + 5
    assert pace.set_by_s() == pytest.approx(noticed_s)
    wall[0], watch[0] = wall[0] + timedelta(seconds=5), watch[0] + 5
    assert pace.set_by_s() == 0


def test_jobs_that_wait_for_a_time_of_the_old_clock_run_at_once():
    ran, own = threading.Event(), BackgroundScheduler(timezone="UTC")
    present = datetime.now(UTC)
    own.add_job(ran.set, "interval", seconds=5, id="one", next_run_time=present + timedelta(hours=1))
    own.start()
    try:
        assert not ran.wait(0.2)
        scheduler.all_due(own, datetime.now(UTC))
        assert ran.wait(PATIENCE_S)
        assert own.get_job("one").next_run_time < present + timedelta(minutes=10)
    finally:
        own.shutdown()


def test_the_scheduler_serves_its_figures_on_a_port_of_its_own(live_database, monkeypatch, capsys):
    monkeypatch.setenv("FLEET_SCHEDULER_METRICS_PORT", "0")
    monkeypatch.setattr(figures, "JOBS", CollectorRegistry())
    end = scheduler.serve_figures(live_database.engine)
    try:
        address = capsys.readouterr().out.split()[-1]
        assert address.startswith("127.0.0.1:")
        answer = serving.exchange(f"http://{address}", "GET", "/metrics", None, {})
    finally:
        end()
    assert "fleet_database_up 1.0" in answer.text
    assert 'fleet_queue_length{queue="upstream"} 0.0' in answer.text
