"""The daily run."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.retention import service


def forget(database: Database, now: datetime) -> dict[str, int]:
    """Remove what is older than the policy figures keep it; a transaction a table."""
    done = {}
    for name in service.KEPT:
        with database.transaction(SYSTEM) as session:
            done[name] = service.forget(session, name=name, actor=SYSTEM, now=now)
    return done
