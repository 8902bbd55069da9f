"""Charging what is confirmed, issuing the month that is over, closing what is settled; each batch in its own transaction."""

from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.settlement import charging, service


def charge(database: Database, now: datetime) -> None:
    """Charge every order whose mileage is confirmed; those without a price are tried again with every run."""
    last: int | None = 0
    while last is not None:
        with database.transaction(SYSTEM) as session:
            last = charging.charge_next(session, after_id=last, actor=SYSTEM, now=now)


def issue(database: Database, now: datetime) -> int:
    """Issue the statements of the months that are over; returns how many."""
    with database.transaction(SYSTEM) as session:
        return service.issue_due(session, actor=SYSTEM, now=now)


def close(database: Database, now: datetime) -> int:
    """Close every settled order that no open red clue is about; returns how many."""
    last, closed = 0, 0
    while True:
        with database.transaction(SYSTEM) as session:
            done = charging.close_next(session, after_id=last, actor=SYSTEM, now=now)
        if done is None:
            return closed
        last, closed = done[0], closed + done[1]
