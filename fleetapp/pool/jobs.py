"""Journeys whose loan was cut short or called off."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.pool import service


def release_lost(database: Database, now: datetime) -> int:
    """Let the orders wait again that lost their lent vehicle, each on its own; returns how many."""
    done = 0
    while True:
        with database.transaction(SYSTEM) as session:
            if service.release_next(session, actor=SYSTEM, now=now) is None:
                return done
        done += 1
