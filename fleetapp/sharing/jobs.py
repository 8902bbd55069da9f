"""Requests that nobody answered, and loans whose time is over."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.sharing import service


def move_due(database: Database, now: datetime) -> dict[str, int]:
    """Let overdue requests expire and loans end, each on its own."""
    done = {"expired": 0, "ended": 0}
    for name, step in (("expired", service.expire_next), ("ended", service.end_next)):
        while True:
            with database.transaction(SYSTEM) as session:
                if step(session, actor=SYSTEM, now=now) is None:
                    break
            done[name] += 1
    return done
