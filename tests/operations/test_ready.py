"""/readyz tells every part by name; the daily walk over the audit chain is what it tells of the chain."""

from datetime import timedelta
from urllib.parse import urlsplit

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fleetapp.factory import create_app
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.operations import jobs, queries, service
from fleetapp.operations.watched import Run
from fleetapp.settings import Settings


def answer(client, query=""):
    page = client.get(f"/readyz{query}")
    return page.status_code, page.json["status"], {check["name"]: check["status"] for check in page.json["checks"]}


def test_nobody_need_sign_in_and_every_part_has_words_in_both_languages(app, database):
    client = app.test_client()
    status, state, parts = answer(client)
    assert (status, state) == (200, "degraded")
    assert parts == {"database": "ok", "disk": "ok", "schema": "ok", "scheduler": "warn", "jobs": "ok", "gateway": "warn", "audit_chain": "warn"}  # fmt: skip
    assert answer(client, "?strict")[0] == 503
    assert all(check["zh"] and check["en"] for check in client.get("/readyz").json["checks"])
    now = clock.now()
    with database.transaction(SYSTEM) as session:
        service.beat(session, leader="here:1", since=now, runs=[Run("trips", 15, now, now)], now=now)
    with database.engine.begin_nested():
        database.engine.execute(text("RESET ROLE"))
        database.engine.execute(text("INSERT INTO gps_gateway (place, gateway, since, seen_at) VALUES ('here', 'x', now(), now())"))  # fmt: skip
        database.engine.execute(text("SET ROLE fleet_app"))
    assert jobs.check_chain(database, now)["faults"] == 0
    assert answer(client, "?strict")[:2] == (200, "ready")


def test_the_chain_is_walked_once_a_local_day(database, now):
    assert jobs.check_chain(database, now)["entries"] > 0
    assert jobs.check_chain(database, now + timedelta(hours=1)) == {}
    assert jobs.check_chain(database, now + timedelta(days=1))["faults"] == 0


def test_a_broken_chain_is_found_and_the_result_stays(live_database, live_database_url, now):
    with psycopg.connect(live_database_url) as owner:
        owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER append_only")
        owner.execute("UPDATE audit_entry SET actor_name = 'x' WHERE seq = 1")
        owner.execute("ALTER TABLE audit_entry ENABLE TRIGGER append_only")
    assert jobs.check_chain(live_database, now)["faults"] == 1
    with live_database.transaction(SYSTEM) as session:
        assert queries.found(session, needed="0001").chain_faults == 1
    for statement in ("DELETE FROM chain_check", "UPDATE chain_check SET faults = 0"):
        with pytest.raises(DBAPIError), live_database.transaction(SYSTEM) as session:
            session.execute(text(statement))
    with live_database.transaction(SYSTEM) as session:
        assert queries.last_chain_check(session).first_fault == 1


def test_a_database_that_is_away_makes_the_program_unready(live_database, live_database_url, cluster_url):
    client = create_app(
        Settings(database_url=live_database_url, secret_key="only for tests"), live_database
    ).test_client()
    live_database.engine.dispose()
    with psycopg.connect(cluster_url, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{urlsplit(live_database_url).path[1:]}" WITH (FORCE)')
    status, state, parts = answer(client)
    assert (status, state, parts["database"]) == (503, "unready", "fail")
