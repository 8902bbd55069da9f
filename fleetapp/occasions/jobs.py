"""Events move on when their time comes: active at the start, done at the end, with everything kept given back."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.occasions import service


def move_due(database: Database, now: datetime) -> int:
    """Move every event that is due, each in a transaction of its own; returns how many steps were taken."""
    steps = 0
    while True:
        with database.transaction(SYSTEM) as session:
            if not service.move_due(session, actor=SYSTEM, now=now):
                return steps
        steps += 1
