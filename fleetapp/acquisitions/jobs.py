"""Letting go what nobody used in its year."""

from datetime import datetime

from fleetapp.acquisitions import service
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database


def expire(database: Database, now: datetime) -> dict[str, int]:
    """Expire approved indicators whose fiscal year is over and that no contract has used."""
    with database.transaction(SYSTEM) as session:
        return {"expired": service.expire(session, now=now)}
