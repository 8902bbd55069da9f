"""The demo city can be turned into an empty system, unless there is something in it that is not the demo's."""

import pytest
from sqlalchemy import text

from fleetapp.accounts import service as accounts
from fleetapp.accounts.models import OrgKind
from fleetapp.audit import service as audit
from fleetapp.demo import removal
from fleetapp.factory import create_app
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings


@pytest.fixture
def city(live_database, live_database_url, now):
    """A database whose rows are all the demo's, and the runner of its commands."""
    with live_database.transaction(SYSTEM) as session:
        audit.record(session, actor=SYSTEM, now=now, action=removal.SEEDED, subject_type="demo", subject_id=None, org_id=None,
                     last_ids=removal.last_ids(session))  # fmt: skip
    app = create_app(Settings(database_url=live_database_url, secret_key="only for tests"))
    yield app.test_cli_runner()
    app.extensions["fleet"].database.engine.dispose()


def organisations(url):
    engine = make_engine(url)
    with Database(engine).transaction(SYSTEM) as session:
        found = session.scalar(text("SELECT count(*) FROM organisation"))
    engine.dispose()
    return found


def test_it_is_removed_after_a_yes_and_the_system_begins_empty(city, live_database_url):
    assert city.invoke(args=["demo", "remove"], input="n\n").exit_code == 1
    assert organisations(live_database_url) > 0
    done = city.invoke(args=["demo", "remove"], input="y\n")
    assert done.exit_code == 0, done.output
    assert organisations(live_database_url) == 0
    begun = city.invoke(args=["begin", "--code", "330200", "--name-zh", "宁波市机关事务管理局", "--name-en", "Ningbo"])
    assert begun.exit_code == 0, begun.output
    assert organisations(live_database_url) == 1


def test_real_data_keeps_everything(city, live_database, live_database_url, now):
    with live_database.transaction(SYSTEM) as session:
        accounts.create_org(session, parent_id=None, code="330200", kind=OrgKind.CITY, name_zh="宁波市", name_en="Ningbo", adcode="330200",
                            actor=SYSTEM, now=now)  # fmt: skip
    before = organisations(live_database_url)
    refused = city.invoke(args=["demo", "remove", "--yes"])
    assert refused.exit_code == 1
    assert "organisation 330200" in refused.output
    assert organisations(live_database_url) == before


def test_a_database_without_the_demo_is_left_alone(live_database_url):
    app = create_app(Settings(database_url=live_database_url, secret_key="only for tests"))
    refused = app.test_cli_runner().invoke(args=["demo", "remove", "--yes"])
    app.extensions["fleet"].database.engine.dispose()
    assert (refused.exit_code, "没有完整的演示数据" in refused.output) == (1, True)
    assert organisations(live_database_url) > 0


def test_nothing_of_it_is_done_in_production(live_database_url):
    app = create_app(
        Settings(database_url=live_database_url, secret_key="only for tests", env="production", cookie_secure=True)
    )
    assert app.test_cli_runner().invoke(args=["demo", "remove", "--yes"]).exit_code == 1
    app.extensions["fleet"].database.engine.dispose()
