"""The head of the chain, published once a local day."""

from datetime import datetime

from fleetapp.audit import heads
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database


def publish(database: Database, now: datetime, *, sign: heads.Sign) -> dict[str, int]:
    """Publish the head of the day unless that is done."""
    with database.transaction(SYSTEM) as session:
        made = heads.publish(session, day=clock.local_date(now), sign=sign, actor=SYSTEM, now=now)
        return {"heads": int(made is not None)}
