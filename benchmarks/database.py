"""A database that a benchmark has to itself."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg


@contextmanager
def own_database() -> Iterator[str]:
    """Make an empty database on the cluster of ``FLEET_TEST_DATABASE_URL``, give its URL, drop it afterwards."""
    cluster, name = os.environ["FLEET_TEST_DATABASE_URL"], f"fleet_bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(cluster, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlunsplit(urlsplit(cluster)._replace(path=f"/{name}"))
        finally:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
