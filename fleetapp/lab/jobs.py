"""Making of the studies that were asked for."""

from datetime import datetime

from fleetapp.kit.db import Database
from fleetapp.lab import service


def work(database: Database, now: datetime) -> dict[str, int]:
    """Make what waits."""
    return {"studies": service.work(database, now=now)}
