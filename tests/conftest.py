"""A real PostgreSQL database for every worker, made by the migrations, with the standing world of ``tests.world``.

The cluster's address comes from ``FLEET_TEST_DATABASE_URL`` (``make test`` starts a private one and sets it).
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from alembic import command
from alembic.config import Config
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from fleetapp import wiring
from fleetapp.factory import create_app
from fleetapp.kit.actor import Actor
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests import world

ROOT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)
"""Wednesday 2026-11-18, 09:00 at the office: the moment most tests happen at."""


def _cluster_url() -> str:
    url = os.environ.get("FLEET_TEST_DATABASE_URL")
    if not url:
        pytest.exit(
            "FLEET_TEST_DATABASE_URL is not set: run `make test`, which starts a private cluster.", returncode=2
        )
    return url


def named(url: str, database: str) -> str:
    """Return the address of another database of the same cluster."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _fingerprint() -> str:
    parts = [*(ROOT / "migrations").rglob("*.sql"), *(ROOT / "migrations").rglob("*.py"), ROOT / "tests" / "world.py"]
    parts += [*(ROOT / "fleetapp").glob("*/*models.py"), ROOT / "telematics" / "tables.py"]
    parts += [
        ROOT / "config" / "policy.toml",
        ROOT / "config" / "price_book.toml",
        *(ROOT / "config" / "places").glob("*.csv"),
    ]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(parts))).hexdigest()[:12]


def _make_template(cluster: str) -> str:
    """Make the template database once for all workers; a lock in the cluster keeps them in order."""
    name = f"fleet_template_{_fingerprint()}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(20261123)")
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return name
        building = f"{name}_building"
        connection.execute(f'DROP DATABASE IF EXISTS "{building}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{building}"')
        url = named(cluster, building)
        migrate(url)
        engine = make_engine(url)
        world.build(Database(engine, wiring.CONSTRAINT_ERRORS), NOW)
        engine.dispose()
        connection.execute(f'ALTER DATABASE "{building}" RENAME TO "{name}"')
    return name


def migrate(url: str, revision: str = "head") -> None:
    """Run the migrations on an address."""
    engine = make_engine(url, role=None)
    config = Config(ROOT / "migrations" / "alembic.ini")
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            (command.upgrade if revision == "head" else command.downgrade)(config, revision)
            connection.commit()
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def cluster_url() -> str:
    """Address of the cluster's maintenance database, as superuser."""
    return _cluster_url()


@pytest.fixture(scope="session")
def new_database(cluster_url: str) -> Iterator[Callable[[], str]]:
    """Return a maker of fresh databases with the world in them; all are dropped at the end."""
    template = _make_template(cluster_url)
    made: list[str] = []

    def make() -> str:
        name = f"fleet_test_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(cluster_url, autocommit=True) as connection:
            connection.execute("SELECT pg_advisory_lock(20261124)")
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        made.append(name)
        return named(cluster_url, name)

    yield make
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        for name in made:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def database_url(new_database: Callable[[], str]) -> str:
    """Address of this worker's database; tests on it are rolled back."""
    return new_database()


@pytest.fixture(scope="session")
def _engine(database_url: str):
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def database(_engine) -> Iterator[Database]:
    """The application's database inside one transaction that is rolled back after the test."""
    with _engine.connect() as connection:
        outer = connection.begin()
        yield Database(connection, wiring.CONSTRAINT_ERRORS)
        outer.rollback()


@pytest.fixture
def live_database_url(new_database: Callable[[], str]) -> str:
    """Address of a database of its own for one test: for real processes, threads and commits."""
    return new_database()


@pytest.fixture
def live_database(live_database_url: str) -> Iterator[Database]:
    """The application's database on ``live_database_url``; commits are real."""
    engine = make_engine(live_database_url)
    yield Database(engine, wiring.CONSTRAINT_ERRORS)
    engine.dispose()


@pytest.fixture(scope="module")
def empty_database_url(cluster_url: str) -> Iterator[str]:
    """Address of a migrated database without a single row of business."""
    name = f"fleet_empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    url = named(cluster_url, name)
    migrate(url)
    yield url
    with psycopg.connect(cluster_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def now() -> datetime:
    """Wednesday 2026-11-18, 09:00 at the office."""
    return NOW


@pytest.fixture
def acting(database: Database) -> Callable[[str], Actor]:
    """Return the actor of a username of the world."""
    return lambda username: world.actor(database, username)


@pytest.fixture
def session_as(database: Database, acting: Callable[[str], Actor]) -> Callable[[str], AbstractContextManager[Session]]:
    """Open a transaction as a username of the world."""
    return lambda username: database.transaction(acting(username))


@pytest.fixture
def settings(database_url: str) -> Settings:
    """Settings of the application under test."""
    return Settings(database_url=database_url, secret_key="only for tests")


_APPS: dict[Settings, tuple[Flask, Database]] = {}


def app_on(database: Database, settings: Settings) -> Flask:
    """Return the application of these settings on a database, for tests that change nothing of the application itself.

    It takes a third of a second to make, and as much again to compile its templates: of each process they are made once, and
    turned to the database of the test that runs.
    """
    if settings not in _APPS:
        own = Database(database.engine, database.constraint_errors)
        _APPS[settings] = create_app(settings, own), own
    app, own = _APPS[settings]
    vars(own).update(vars(database))
    app.extensions["fleet"] = wiring.shell(own, settings)  # without what it remembered of another database
    app.testing, app.test_client_class = True, None
    return app


@pytest.fixture
def app(settings: Settings, database: Database) -> Flask:
    """The application on the rolled-back database."""
    return app_on(database, settings)


@pytest.fixture
def own_app(settings: Settings, database: Database) -> Flask:
    """An application that the test may change."""
    app = create_app(settings, database)
    app.testing = True
    return app


class SignedIn(FlaskClient):
    """A browser without a screen: sends the CSRF token with every form."""

    csrf = ""

    def submit(self, path: str, **form):
        """Post a form as a page would."""
        return self.post(path, data={"csrf_token": self.csrf, **form})


@pytest.fixture
def browse(app) -> Callable[..., SignedIn]:
    """Return a client signed in with a password through the form."""
    app.test_client_class = SignedIn

    def open_as(username: str | None = None) -> SignedIn:
        client = app.test_client()
        page = client.get("/sign-in").get_data(as_text=True)
        client.csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
        if username:
            answer = client.submit("/sign-in", username=username, password=world.PASSWORD)
            assert answer.status_code == 302, answer.get_data(as_text=True)
            page = client.get("/sign-in", follow_redirects=True).get_data(as_text=True)
            client.csrf = page.split('name="csrf-token" content="')[1].split('"')[0]
        return client

    return open_as


@pytest.fixture
def api(app) -> Callable[..., Callable]:
    """Return ``call(method, path, json=None)`` of a username, with a bearer token got through the API."""

    def open_as(username: str):
        client = app.test_client()
        answer = client.post("/api/v1/tokens", json={"username": username, "password": world.PASSWORD})
        assert answer.status_code == 201, answer.get_data(as_text=True)
        headers = {"Authorization": f"Bearer {answer.json['token']}"}

        def call(method: str, path: str, **options):
            return client.open(f"/api/v1{path}", method=method, headers=headers, **options)

        return call

    return open_as
