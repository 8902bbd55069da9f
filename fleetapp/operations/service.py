"""What the scheduler writes of itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, case
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.operations.models import ChainCheck, JobRun, SchedulerLead
from fleetapp.operations.watched import Run


def beat(session: Session, *, leader: str, since: datetime, runs: Sequence[Run], now: datetime) -> None:
    """Say that the leader lives, and how its jobs last went."""
    lead = insert(SchedulerLead).values(leader=leader, since=since, seen_at=now)
    session.execute(
        lead.on_conflict_do_update(
            index_elements=[SchedulerLead.only_row], set_={"leader": leader, "since": since, "seen_at": now}
        )
    )
    if not runs:
        return
    rows = [
        {"name": run.name, "interval_s": run.interval_s, "began_at": run.began_at, "ended_at": run.ended_at,
         "elapsed_s": run.elapsed_s, "failed": run.failed}
        for run in runs
    ]  # fmt: skip
    upsert = insert(JobRun).values(rows)
    changed: dict[str, ColumnElement[Any]] = {
        column.name: upsert.excluded[column.name] for column in JobRun.__table__.columns if column.name != "name"
    }
    # The first run of a new leader says nothing of how the run before went: that stays until this one ends.
    unended = upsert.excluded.ended_at.is_(None)
    for name in ("ended_at", "elapsed_s", "failed"):
        changed[name] = case((unended, JobRun.__table__.c[name]), else_=upsert.excluded[name])
    session.execute(upsert.on_conflict_do_update(index_elements=[JobRun.name], set_=changed))


def note_chain(session: Session, *, entries: int, faults: int, first_fault: int | None, now: datetime) -> None:
    """Keep the result of a walk over the audit chain."""
    session.add(ChainCheck(at=now, entries=entries, faults=faults, first_fault=first_fault))
