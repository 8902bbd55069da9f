"""A new installation: one command, then people sign in."""

import re

import pytest
from sqlalchemy import text

from fleetapp import wiring
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings

COMMAND = [
    "begin",
    "--code",
    "330100",
    "--name-zh",
    "杭州市机关事务管理局",
    "--name-en",
    "Hangzhou bureau",
    "--year",
    "2026",
]


@pytest.fixture
def app(empty_database_url):
    engine = make_engine(empty_database_url)
    settings = Settings(database_url=empty_database_url, secret_key="only for tests")
    yield create_app(settings, Database(engine, wiring.CONSTRAINT_ERRORS))
    engine.dispose()


def test_the_first_administrator_signs_in_and_a_second_beginning_is_refused(app):
    said = app.test_cli_runner().invoke(args=COMMAND)
    assert said.exit_code == 0, said.exception
    password = re.search(r"password: (\S+)", said.output)[1]
    answer = app.test_client().post("/api/v1/tokens", json={"username": "admin", "password": password})
    assert answer.status_code == 201
    accounts = app.test_client().get(
        "/api/v1/organisations", headers={"Authorization": f"Bearer {answer.json['token']}"}
    )
    assert [org["code"] for org in accounts.json] == ["330100"]
    with app.extensions["fleet"].database.transaction(SYSTEM) as session:
        for table in ("policy_value", "place", "calendar_day"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) > 0, table
        assert session.execute(text("SELECT * FROM audit_verify()")).all() == []
    again = app.test_cli_runner().invoke(args=COMMAND)
    assert again.exit_code == 1
    assert "已初始化" in again.output
