"""Keeping positions for good: seals in the audit chain, their verification, and how long the database keeps a day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies
from fleetapp.tracking import bridge

ACTION = "tracking.sealed"
SETTLED = timedelta(days=1)
"""What was received longer ago is sealed: nothing of it can still wait to be written."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a day: a terminal whose fixes differ (numbers sealed and found), or the seal itself (no terminal)."""

    day: date
    terminal_id: int | None
    sealed: int
    found: int


def seal_day(session: Session, *, day: date, actor: Actor, now: datetime) -> int:
    """Seal a day's fixes and put the root into the audit chain; returns how many fixes that were, 0 if none are new."""
    first = not bridge.seals(session, day=day)
    made = bridge.seal_day(session, day=day, as_of=now - SETTLED)
    if made is None:
        return 0
    if first:
        bridge.settle(session, day=day)
    audit.record(session, actor=actor, now=now, action=ACTION, subject_type="gps_day", subject_id=day.isoformat(), org_id=None,
                 as_of=made.as_of, root=made.root, fixes=made.fixes, terminals=len(made.parts))  # fmt: skip
    return made.fixes


def faults(session: Session, *, day: date) -> list[Fault]:
    """Recompute a day from its rows, wherever they are, against its seals, and the seals against the audit chain."""
    found = [Fault(one.day, one.terminal_id, one.sealed, one.found) for one in bridge.differences(session, day=day)]
    query = text(
        "SELECT data ->> 'root' AS root, (data ->> 'fixes')::int AS fixes FROM audit_entry"
        " WHERE action = :action AND subject_id = :day ORDER BY seq"
    )
    recorded = session.execute(query, {"action": ACTION, "day": day.isoformat()}).all()
    made = bridge.seals(session, day=day)
    if [row.root for row in recorded] != [one.root for one in made]:
        found.append(Fault(day, None, sum(row.fixes for row in recorded), sum(one.fixes for one in made)))
    return found


def sealed_days(session: Session) -> list[date]:
    """Return the days that the audit chain or the store knows a seal of."""
    query = text("SELECT DISTINCT subject_id FROM audit_entry WHERE action = :action")
    recorded = {date.fromisoformat(day) for day in session.scalars(query, {"action": ACTION})}
    return sorted(recorded | set(bridge.sealed_days(session)))


def keep_from(session: Session, *, now: datetime) -> date:
    """Return the first UTC day that stays in the database: the policy's figure, never less than what the law asks."""
    found = policies.values(session, "tracking.", clock.local_date(now))
    days = max(found["tracking.online_days"], found["tracking.least_days"])
    return (now - timedelta(days=int(days))).date()


def archive_day(session: Session, *, day: date, directory: Path, actor: Actor, now: datetime) -> int:
    """Write a day to files, drop it and say so in the audit chain; returns the fixes written."""
    written = bridge.archive_day(session, day=day, directory=directory, now=now)
    audit.record(session, actor=actor, now=now, action="tracking.archived", subject_type="gps_day", subject_id=day.isoformat(),
                 org_id=None, fixes=written, directory=str(directory))  # fmt: skip
    return written
