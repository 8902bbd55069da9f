"""A database of its own with the GPS tables for each test module that needs one."""

import os
import uuid
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from sqlalchemy import create_engine

from telematics import tables
from tests.telematics.superior import Fleet

ROLES = tables.SQL.with_name("roles.sql")


@pytest.fixture(scope="module")
def gps_dsn() -> Iterator[str]:
    """Address of a fresh database with the GPS tables, dropped after the module."""
    cluster = os.environ.get("FLEET_TEST_DATABASE_URL")
    if not cluster:
        pytest.fail("FLEET_TEST_DATABASE_URL is not set: run `make test`, which starts a private cluster.")
    name = f"gps_test_{uuid.uuid4().hex[:12]}"
    dsn = urlunsplit(urlsplit(cluster)._replace(path=f"/{name}"))
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(20261123)")  # roles belong to the cluster: one maker at a time
        connection.execute(f'CREATE DATABASE "{name}"')
        with psycopg.connect(dsn) as inside:
            inside.execute(ROLES.read_text(encoding="utf-8"))
    engine = create_engine(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    with engine.begin() as connection:
        tables.create_all(connection)
    engine.dispose()
    yield dsn
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def gps_conn(gps_dsn: str) -> Iterator[psycopg.Connection]:
    """A connection to it whose work is rolled back after the test."""
    with psycopg.connect(gps_dsn, options="-c timezone=UTC") as connection:
        yield connection
        connection.rollback()


@pytest.fixture
def fleet(gps_dsn: str) -> Iterator[Fleet]:
    """Terminals of one test and what of them may go to a superior platform; its queue is dropped after the test."""
    made = Fleet(gps_dsn)
    yield made
    with psycopg.connect(gps_dsn) as connection:
        connection.execute("DELETE FROM gps_upstream WHERE name = %s", [made.name])
