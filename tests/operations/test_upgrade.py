"""A migration that fails half way leaves the database as it was; programs refuse what is neither old nor new."""

import psycopg
import pytest
from psycopg import sql

from fleetapp.factory import create_app
from fleetapp.settings import Settings
from tests.conftest import migrate, named

OBJECTS = """
    SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace),
           (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace),
           (SELECT count(*) FROM pg_type WHERE typnamespace = 'public'::regnamespace)"""


@pytest.fixture
def empty(cluster_url):
    """Address of a database without anything."""
    name = "fleet_half_way"
    with psycopg.connect(cluster_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield named(cluster_url, name)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def objects(url):
    with psycopg.connect(url) as connection:
        return connection.execute(OBJECTS).fetchone()


def check(url):
    app = create_app(Settings(database_url=url, secret_key="only for tests"))
    answer = app.test_cli_runner().invoke(args=["db-check"])
    ready = app.test_client().get("/readyz")
    app.extensions["fleet"].database.engine.dispose()
    return answer, ready


def test_up_half_way_up_and_down_again(empty):
    with psycopg.connect(
        empty
    ) as owner:  # the last file of the migration will meet this, after hundreds of tables were made
        owner.execute("CREATE FUNCTION gps_upstream_waiting() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint'")
    before = objects(empty)
    with pytest.raises(psycopg.errors.DuplicateFunction):
        migrate(empty)
    assert objects(empty) == before
    answer, ready = check(empty)
    assert answer.exit_code == 1
    assert ready.status_code == 503
    with psycopg.connect(empty) as owner:
        owner.execute("DROP FUNCTION gps_upstream_waiting()")
    migrate(empty)
    answer, _ = check(empty)
    assert (answer.exit_code, answer.output) == (0, "")
    with psycopg.connect(empty) as owner:  # what no migration leaves, but a hand might
        owner.execute("UPDATE alembic_version SET version_num = '0000'")
    answer, ready = check(empty)
    assert (answer.exit_code, "0000" in answer.output, "迁移" in answer.output) == (1, True, True)
    assert ready.status_code == 503
    assert [one["name"] for one in ready.json["checks"] if one["status"] == "fail"] == ["schema"]
    with psycopg.connect(empty) as owner:
        owner.execute("UPDATE alembic_version SET version_num = '0001'")
    migrate(empty, "base")
    with psycopg.connect(empty) as owner:
        left = owner.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname IN ('vehicle', 'job_run', 'gps_gateway')")  # fmt: skip
        assert left.fetchone() == (0,)
