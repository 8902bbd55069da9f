"""Floors in the furnished world, and orders to break them with."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from sqlalchemy import select, text

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import SYSTEM
from fleetapp.reserves import service
from fleetapp.reserves.rules import Level
from tests.planning.conftest import approve_one, ids

TODAY = date(2026, 11, 18)


def open_event(connection: Any) -> int:
    """Make an event that vehicles may be kept for; returns its id."""
    return int(connection.scalar(text(
        "INSERT INTO occasion (org_id, number, name, start_at, end_at, state, note, created_by, created_at)"
        " SELECT o.id, 'HD-1', 'test', '2026-11-18', '2026-12-18', 'PLANNED', '', u.id, now() FROM organisation o, user_account u"
        " WHERE o.code = '330106' LIMIT 1 RETURNING id"
    )))  # fmt: skip


@pytest.fixture
def known(database) -> dict[str, int]:
    """Return vehicle ids by plate and driver ids by username."""
    return ids(database)


@pytest.fixture
def orgs(database) -> dict[str, int]:
    """Return organisation ids by code."""
    with database.transaction(SYSTEM) as session:
        return {code: row_id for code, row_id in session.execute(select(Organisation.code, Organisation.id))}  # noqa: C416 -- rows


@pytest.fixture
def approved(database, now) -> Callable[..., int]:
    """Return a maker of approved orders."""
    return lambda **changes: approve_one(database, now, **changes)


@pytest.fixture
def floor(database, acting, orgs, now) -> Callable[..., Any]:
    """Set a floor as the vehicle office."""

    def run(code: str = "330106", by: str = "vehicle_office.city", at=now, **given: Any) -> Any:
        actor = acting(by)
        wish = {"body": "sedan", "level": Level.USUAL, "from_min": 0, "until_min": 1440, "start_on": TODAY,
                "vehicles": 1, "reason": "防汛预案"} | given  # fmt: skip
        with database.transaction(actor) as session:
            return service.set_floor(session, org_id=orgs[code], **wish, actor=actor, now=at)

    return run
