"""What the database knows of the programs around it."""

from datetime import datetime
from typing import LiteralString

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from fleetapp.kit.db import Base, missing_columns
from fleetapp.operations.models import ChainCheck, JobRun, SchedulerLead
from fleetapp.operations.rules import Found, JobState


def last_chain_check(session: Session) -> ChainCheck | None:
    """Return the newest walk over the audit chain."""
    return session.scalar(select(ChainCheck).order_by(ChainCheck.id.desc()).limit(1))


def found(session: Session, *, needed: str) -> Found:
    """Return what ``rules.judge`` wants to know; of a schema that is not the ``needed`` one nothing further is asked."""
    revision = None
    if session.scalar(text("SELECT to_regclass('public.alembic_version') IS NOT NULL")):
        revision = session.scalar(text("SELECT version_num FROM alembic_version"))
    lacking = missing_columns(session, Base.metadata) if revision == needed else []
    if revision != needed or lacking:
        return Found(revision, lacking, None, (), None, None, 0)
    lead = session.scalar(select(SchedulerLead))
    chain = last_chain_check(session)
    jobs = [
        JobState(run.name, run.interval_s, run.ended_at or run.began_at, run.failed)
        for run in session.scalars(select(JobRun))
    ]
    gateway_at = session.scalar(text("SELECT max(seen_at) FROM gps_gateway"))
    return Found(
        revision, lacking, lead.seen_at if lead else None, jobs, gateway_at, chain.at if chain else None,
        chain.faults if chain else 0,
    )  # fmt: skip


QUEUES: LiteralString = """
    SELECT 'reports' AS queue, count(*) AS n FROM report_task WHERE state IN ('QUEUED', 'RUNNING')
    UNION ALL SELECT 'ledgers', count(*) FROM ledger_import WHERE state IN ('UPLOADED', 'CHECKING', 'COMMITTING')
    UNION ALL SELECT 'notices', count(*) FROM notice WHERE routed_at IS NULL
    UNION ALL SELECT 'deliveries', count(*) FROM notice_delivery WHERE state IN ('QUEUED', 'SENDING')
    UNION ALL SELECT 'trips', count(*) FROM gps_touched
    UNION ALL SELECT 'commands', count(*) FROM terminal_command WHERE result IS NULL AND expires_at > :now
    UNION ALL SELECT 'upstream', gps_upstream_waiting()"""

AGES: LiteralString = """
    SELECT 'outbox' AS what, extract(epoch FROM CAST(:now AS timestamptz) - least(
               (SELECT min(created_at) FROM notice WHERE routed_at IS NULL),
               (SELECT min(next_at) FROM notice_delivery WHERE state = 'QUEUED' AND next_at <= :now))) AS seconds
    UNION ALL SELECT 'trips', extract(epoch FROM :now - (SELECT min(touched_at) FROM gps_touched))
    UNION ALL SELECT 'newest_fix', extract(epoch FROM :now - (SELECT max(at) FROM gps_last))"""


def queues(session: Session, *, now: datetime) -> dict[str, int]:
    """Return how many things wait, by queue."""
    return {row.queue: row.n for row in session.execute(text(QUEUES), {"now": now})}


def ages_s(session: Session, *, now: datetime) -> dict[str, float]:
    """Return how long the oldest waiting notice and window of a trip have waited, and how old the newest position is."""
    return {row.what: max(0.0, float(row.seconds or 0)) for row in session.execute(text(AGES), {"now": now})}


def gateways(session: Session, *, since: datetime) -> int:
    """Return how many gateways said since a moment that they live."""
    return (
        session.scalar(
            text("SELECT count(*) FROM gps_gateway WHERE seen_at >= :since AND ended_at IS NULL"), {"since": since}
        )
        or 0
    )
