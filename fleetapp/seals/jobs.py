"""Beginning and closing notices at their times."""

from collections import Counter
from datetime import datetime

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.seals import service
from fleetapp.seals.rules import CampaignState


def move_due(database: Database, now: datetime) -> dict[str, int]:
    """Begin published notices on their first day and close running ones on the day after their last, each on its own."""
    moved: Counter[str] = Counter()
    while True:
        with database.transaction(SYSTEM) as session:
            after = service.move_next(session, now=now)
        if after is None:
            return {"started": moved[CampaignState.RUNNING], "closed": moved[CampaignState.CLOSED]}
        moved[after] += 1
