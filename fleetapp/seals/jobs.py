"""Beginning and closing notices at their times."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.seals import service


def move_due(database: Database, now: datetime) -> dict[str, int]:
    """Begin published notices on their first day and close running ones on the day after their last."""
    with database.transaction(SYSTEM) as session:
        return service.move_due(session, now=now)
