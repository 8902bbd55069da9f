"""One application for the module, and everybody's way in without the price of a password each."""

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from fleetapp import wiring
from fleetapp.accounts import sign_ins
from fleetapp.accounts.models import SignInKind, UserAccount
from fleetapp.accounts.rules import Stage
from fleetapp.accounts.service import create_user
from fleetapp.factory import create_app
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, make_engine
from fleetapp.settings import Settings
from tests import world

NOBODY = "no.role"


@pytest.fixture(scope="module")
def site(new_database) -> Iterator[object]:
    """The application on a database of its own, with one more account that has no role."""
    url = new_database()
    engine = make_engine(url)
    database = Database(engine, wiring.CONSTRAINT_ERRORS)
    with database.transaction(SYSTEM) as session:
        org = session.scalars(select(UserAccount.org_id).where(UserAccount.username == "applicant.xhedu")).one()
        create_user(session, username=NOBODY, name_zh="无角色", name_en="No role", org_id=org, password=world.PASSWORD,
                    password_hash=world.password_hash(), grants=[], actor=SYSTEM, now=clock.now())  # fmt: skip
    app = create_app(Settings(database_url=url, secret_key="only for tests"), database)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    yield app
    engine.dispose()


@pytest.fixture(scope="module")
def enter(site):
    """Return a maker of signed-in clients by username."""

    def make(username: str | None) -> FlaskClient:
        client = site.test_client()
        if username is not None:
            parts = site.extensions["fleet"]
            with parts.database.transaction(SYSTEM) as session:
                user = session.scalars(select(UserAccount).where(UserAccount.username == username)).one()
                opened = sign_ins.open_for(
                    session, user, kind=SignInKind.WEB, stage=Stage.FULL, origin=sign_ins.Origin(), limits=parts.limits(clock.now()),
                    now=clock.now(), way="test",
                )  # fmt: skip
            with client.session_transaction() as kept:
                kept["token"] = opened.token
        return client

    return make


def path_of(app, rule, values=None):
    """Return an address of a rule, its numbers 1."""
    adapter = app.url_map.bind("localhost")
    given = {}
    for name in rule.arguments:
        converter = rule._converters[name]
        given[name] = (
            next(iter(converter.items))
            if hasattr(converter, "items")
            else 1
            if "int" in type(converter).__name__.lower()
            else "x"
        )
    return adapter.build(
        rule.endpoint, {**given, **(values or {})}, method=next(iter(rule.methods - {"HEAD", "OPTIONS"}))
    )


def routes(app, *, unsafe):
    """Return (method, rule) of all routes that change something, or of all that only read."""
    safe = {"GET"}
    found = []
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint)):
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            if (method not in safe) == unsafe:
                found.append((method, rule))
    return found
