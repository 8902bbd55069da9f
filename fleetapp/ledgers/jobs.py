"""Checking and committing what was uploaded."""

from datetime import datetime

from fleetapp.kit.db import Database
from fleetapp.ledgers import service
from fleetapp.web.texts import t


def work(database: Database, now: datetime, *, most_rows: int) -> dict[str, int]:
    """Do what waits; a step that was broken off begins anew."""
    return {"steps": service.work(database, words=lambda key, lang: t(key, lang=lang), most_rows=most_rows, now=now)}
