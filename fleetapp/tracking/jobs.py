"""Days of positions: their partitions ahead, their seals after, their way into the archive; SIM cards before they end."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.tracking import bridge, keeping, sims

AHEAD_DAYS = 3


def keep(database: Database, now: datetime, *, archive_dir: str = "") -> dict[str, int]:
    """Make partitions ahead, seal closed days, archive and drop what is older than the policy keeps; a transaction a day."""
    today = now.astimezone(UTC).date()
    done = {"sealed": 0, "archived": 0}
    with database.transaction(SYSTEM) as session:
        bridge.make_ahead(session, days=[today + timedelta(days=ahead) for ahead in range(AHEAD_DAYS + 1)])
        closed = bridge.unsealed_days(session, before=today - timedelta(days=1))
    for day in closed:
        with database.transaction(SYSTEM) as session:
            done["sealed"] += keeping.seal_day(session, day=day, actor=SYSTEM, now=now)
    if archive_dir:
        with database.transaction(SYSTEM) as session:
            due = bridge.due_days(session, before=keeping.keep_from(session, now=now), now=now)
        for day in due:
            with database.transaction(SYSTEM) as session:
                done["archived"] += keeping.archive_day(
                    session, day=day, directory=Path(archive_dir), actor=SYSTEM, now=now
                )
    return done


def remind(database: Database, now: datetime) -> dict[str, int]:
    """Tell fleet managers of SIM cards that are about to end; running it again tells nobody twice."""
    with database.transaction(SYSTEM) as session:
        return {"told": sims.remind(session, now=now)}
