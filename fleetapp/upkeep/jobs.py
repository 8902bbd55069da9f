"""Saying once a day, in time, what comes due."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.upkeep import ledger


def remind(database: Database, now: datetime) -> dict[str, int]:
    """Make the reminders whose lead time has begun; running it again makes none twice."""
    with database.transaction(SYSTEM) as session:
        return {"reminders": ledger.remind(session, actor=SYSTEM, now=now)}
