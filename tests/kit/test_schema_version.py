"""A database made by another version of the program is known, and the sentence says what to do."""

import pytest
from sqlalchemy import text

from fleetapp import wiring
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import make_engine, missing_columns
from fleetapp.settings import Settings


@pytest.fixture
def check():
    """Run the check on an address."""
    apps = []

    def checked(url):
        apps.append(create_app(Settings(database_url=url, secret_key="only for tests")))
        return apps[-1].test_cli_runner().invoke(args=["db-check"])

    yield checked
    for app in apps:
        app.extensions["fleet"].database.engine.dispose()


def as_owner(url, statement):
    owner = make_engine(url, role=None)
    with owner.begin() as connection:
        connection.execute(text(statement))
    owner.dispose()


def test_the_newest_schema_lacks_nothing(live_database, live_database_url, check):
    with live_database.transaction(SYSTEM) as session:
        assert missing_columns(session, wiring.metadata) == []
    assert (check(live_database_url).exit_code, check(live_database_url).output) == (0, "")


def test_a_schema_of_another_version_is_named_with_what_it_lacks(live_database_url, check):
    as_owner(live_database_url, "ALTER TABLE driver RENAME COLUMN licence TO licence_class")
    answer = check(live_database_url)
    assert answer.exit_code == 1
    assert "driver.licence" in answer.output
    assert "make demo-reset" in answer.output


def test_a_database_without_tables_is_told_to_migrate(live_database_url, check):
    as_owner(live_database_url, "DROP TABLE alembic_version")
    answer = check(live_database_url)
    assert answer.exit_code == 1
    assert "迁移" in answer.output
