"""A phone in the driver's hand: sends actions by the clock it believes in."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from fleetapp.phone import service
from fleetapp.phone.rules import Kind, Part
from fleetapp.phone.schemas import sent as loaded
from fleetapp.planning import signing
from fleetapp.vehicles.models import Vehicle
from tests.duty.conftest import dispatched

__all__ = ["dispatched"]

KEYS = signing.derived("only for tests")
GOOD = {"good": [part.value for part in Part]}
START_KM = 10_000


@pytest.fixture
def phone(database, acting, now, dispatched):
    """Return a sender of one action; minutes count from nine o'clock, ``late`` is how long it waited in the phone."""

    def send(
        kind,
        body=None,
        *,
        minutes=0,
        late=0,
        skew=0,
        key=None,
        username="driver.xhedu",
        duty=dispatched,
        photos=(),
        **more,
    ):
        actor, at = acting(username), now + timedelta(minutes=minutes)
        ahead = timedelta(minutes=skew)
        data = {
            "kind": kind, "key": key or f"phone-{kind}-{minutes}".replace("_", "-"), "body": body or {}, "assignment_id": duty,
            "tapped_at": (at + ahead).isoformat(), "sent_at": (at + ahead + timedelta(minutes=late)).isoformat(), **more,
        }  # fmt: skip
        with database.transaction(actor) as session:
            return service.receive(
                session, sent=loaded(data, list(photos)), keys=KEYS, actor=actor, now=at + timedelta(minutes=late)
            )

    return send


@pytest.fixture
def issued(database, acting, now):
    """Return a maker of a vehicle's newest code."""

    def issue(plate="浙A10001", username="fleet_manager.xihu", at=now):
        who = acting(username)
        with database.transaction(who) as session:
            vehicle_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == plate)).one()
            [made] = service.issue(session, vehicle_ids=[vehicle_id], keys=KEYS, actor=who, now=at)
            return made

    return issue


@pytest.fixture
def ready(phone, issued):
    """A duty that is accepted, scanned and walked round: the next step is check-out."""
    code = issued()
    for kind, body in ((Kind.ACCEPT, {}), (Kind.SCAN, {"code": code.text}), (Kind.WALK_ROUND, GOOD)):
        assert phone(kind, body).outcome == "APPLIED"
    return code
