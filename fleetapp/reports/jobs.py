"""Making of the reports that were asked for, and removal of old files."""

from datetime import datetime

from fleetapp.kit.db import Database
from fleetapp.reports import files, tasks
from fleetapp.web.texts import t


def work(database: Database, now: datetime) -> dict[str, int]:
    """Make what waits."""
    return {
        "reports": tasks.work(database, writer=files.writer, titles=lambda lang: t("reports.title", lang=lang), now=now)
    }


def forget(database: Database, now: datetime) -> dict[str, int]:
    """Remove files that were kept long enough."""
    return {"removed": tasks.forget(database, now=now)}
