"""Journeys that nobody confirmed in time."""

from datetime import datetime

from fleetapp.confirmations import queries, service
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database


def confirm_due(database: Database, now: datetime) -> dict[str, int]:
    """Confirm every journey whose time is over, each in a transaction of its own; run again it finds none."""
    with database.transaction(SYSTEM) as session:
        order_ids = queries.due(session, now=now)
    confirmed = 0
    for order_id in order_ids:
        with database.transaction(SYSTEM) as session:
            confirmed += service.confirm_by_itself(session, order_id=order_id, now=now) is not None
    return {"confirmed": confirmed}
