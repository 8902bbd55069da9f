"""A vehicle of the world with its terminal, and reports as the gateway stores them."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy import text

from fleetapp.kit.actor import SYSTEM
from fleetapp.tracking import bridge
from telematics.model import Fix
from tests.conftest import NOW

XIHU, XIHU2, BINJIANG = "13900000001", "13900000002", "13900000005"


@pytest.fixture
def nine():
    """Stand still at nine in the office."""
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def terminal(database):
    """Return the id of a terminal by its number."""

    def find(phone):
        with database.transaction(SYSTEM) as session:
            return session.scalar(text("SELECT id FROM gps_terminal WHERE phone = :phone"), {"phone": phone})

    return find


@pytest.fixture
def report(database, terminal):
    """Store a fix that a terminal reported so long before it was received ``at``."""

    def store(phone, at, *, late=timedelta(0), **values):
        values = {"lat": 30.26, "lon": 120.12, "speed_kmh": 0.0, "acc": False, "fixed": True} | values
        with database.transaction(SYSTEM) as session:
            bridge.save_fixes(session, fixes=[(terminal(phone), Fix(at=at - late, **values))], now=at, peer="test")

    return store


@pytest.fixture
def seen(database):
    """Say when terminals were connected last."""

    def say(phone, at, **values):
        names = "".join(f", {name} = :{name}" for name in values)
        with database.transaction(SYSTEM) as session:
            session.execute(text(f"UPDATE gps_terminal SET last_seen_at = :at{names} WHERE phone = :phone"),
                            {"at": at, "phone": phone, **values})  # fmt: skip

    return say


@pytest.fixture
def vehicle_of(database):
    """Return the id of the vehicle that carries a terminal."""

    def find(phone):
        with database.transaction(SYSTEM) as session:
            return session.scalar(
                text("SELECT b.vehicle_id FROM terminal_binding b JOIN gps_terminal t ON t.id = b.terminal_id WHERE t.phone = :phone"),
                {"phone": phone},
            )  # fmt: skip

    return find
