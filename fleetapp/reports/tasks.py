"""Reports made in the background: asked for, made by the scheduler with progress, cancelled, handed to who asked."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import BinaryIO

from sqlalchemy import Select, delete, insert, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.audit.rules import check_reason
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.kit.errors import FleetError, NotAllowed, NotFound, RuleBroken
from fleetapp.policies import queries as policies
from fleetapp.reports import queries, rules, service
from fleetapp.reports.models import ReportPiece, ReportTask
from fleetapp.reports.queries import Line
from fleetapp.reports.rules import OPEN, ExportFormat, Period, TaskState
from fleetapp.reports.service import Report

PIECE_BYTES = 1 << 20
NOTED_ROWS = 1000
"""Rows between two looks at whether the report is still wanted."""

Write = Callable[[Report, BinaryIO], None]
Writer = Callable[[ExportFormat, str], Write]
"""Gives what writes a format in a language."""


class Cancelled(Exception):
    """Whoever asked does not want the report any more."""


# ---- what people do -----------------------------------------------------------------------------------------------------


def visible_to(actor: Actor) -> Select[ReportTask]:
    """Return the actor's own reports, newest first."""
    query = select(ReportTask).where(ReportTask.requested_by == actor.user_id)
    return query.options(joinedload(ReportTask.org), joinedload(ReportTask.export)).order_by(ReportTask.id.desc())


def get_task(session: Session, *, task_id: int, actor: Actor, lock: bool = False) -> ReportTask:
    """Return one of the actor's own reports.

    :raises NotFound: none, or somebody else's.
    """
    query = visible_to(actor).where(ReportTask.id == task_id)
    found = session.scalar(query.with_for_update(of=ReportTask) if lock else query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def ask(
    session: Session, *, org_id: int | None, period: Period, file_format: ExportFormat, reason: str, language: str, actor: Actor,
    now: datetime,
) -> ReportTask:  # fmt: skip
    """Ask for a report of a sub-tree; the scheduler makes it.

    :raises RuleBroken: no reason, period reversed or too long.
    :raises NotAllowed: outside the part of the tree that the actor may export.
    :raises Conflict: at the end, ``reports.task_there``: the same report is being made for the actor.
    """
    reason = check_reason(reason)
    rules.check_period(period)
    org = queries.scope_org(session, actor=actor, org_id=org_id)
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="reports.export")
    made = ReportTask(org_id=org.id, format=file_format, start_on=period.start_on, end_on=period.end_on, reason=reason, language=language,
                      requested_by=actor.user_id, requested_at=now, state=TaskState.QUEUED, export=None)  # fmt: skip
    session.add(made)
    session.flush()
    _record(session, made, "requested", actor=actor, now=now, reason=reason, format=made.format,
            start_on=made.start_on, end_on=made.end_on)  # fmt: skip
    return made


def cancel(session: Session, *, task_id: int, actor: Actor, now: datetime) -> ReportTask:
    """Give a report up; one that is being made stops at the next look.

    :raises RuleBroken: ``reports.task_over``, it has ended.
    """
    one = get_task(session, task_id=task_id, actor=actor, lock=True)
    if one.state not in OPEN:
        raise RuleBroken("reports.task_over")
    one.state, one.ended_at = TaskState.CANCELLED, now
    _record(session, one, "cancelled", actor=actor, now=now)
    return one


def hand_over(session: Session, *, task_id: int, actor: Actor, now: datetime) -> tuple[ReportTask, list[int]]:
    """Record that a finished report is downloaded; returns it and the positions of its pieces.

    :raises NotFound: somebody else's, not done, or its file has been removed.
    :raises NotAllowed: the actor may not export there any more.
    """
    one = get_task(session, task_id=task_id, actor=actor)
    permits.require("reports.export", actor, org_path=one.org.path)
    if one.state != TaskState.DONE or one.export is None:
        raise NotFound("kit.not_found")
    positions = session.scalars(
        select(ReportPiece.position).where(ReportPiece.task_id == one.id).order_by(ReportPiece.position)
    ).all()
    if not positions:
        raise NotFound("reports.file_removed")
    _record(session, one, "downloaded", actor=actor, now=now, sha256=one.export.sha256)
    return one, list(positions)


def piece(session: Session, *, task_id: int, position: int) -> bytes:
    """Return one piece of a file that was handed over."""
    return session.scalars(
        select(ReportPiece.content).where(ReportPiece.task_id == task_id, ReportPiece.position == position)
    ).one()


def _record(session: Session, one: ReportTask, what: str, *, actor: Actor, now: datetime, **data: object) -> None:
    audit.record(session, actor=actor, now=now, action=f"reports.{what}", subject_type="report_task", subject_id=one.id,
                 org_id=one.org_id, **data)  # fmt: skip


# ---- what the scheduler does --------------------------------------------------------------------------------------------


def work(database: Database, *, writer: Writer, titles: Callable[[str], str], now: datetime) -> int:
    """Make what was asked for; returns how many reports ended. Broken off at any point, the next call begins that one anew."""
    ended = 0
    while (task := _next(database)) is not None:
        try:
            _make(database, task, writer=writer, titles=titles, now=now)
        except Cancelled:
            pass
        except FleetError as refused:
            _fail(database, task, refused, now=now)
        except Exception:
            _fail(database, task, RuleBroken("reports.broke"), now=now)
            raise
        ended += 1
    return ended


def _next(database: Database) -> ReportTask | None:
    with database.transaction(SYSTEM) as session:
        one = session.scalars(
            select(ReportTask).where(ReportTask.state.in_(OPEN)).order_by(ReportTask.id).limit(1)
        ).first()
        if one is not None and one.state == TaskState.QUEUED:
            one.state = TaskState.RUNNING
        return one


def _make(database: Database, task: ReportTask, *, writer: Writer, titles: Callable[[str], str], now: datetime) -> None:
    """Write the report as whoever asked, with the rights of now, and keep it with its record in one transaction."""
    with database.transaction(SYSTEM) as session:
        actor = accounts.actor_of(accounts.get_user(session, user_id=task.requested_by, actor=SYSTEM))
    write = writer(ExportFormat(task.format), task.language)

    with tempfile.TemporaryFile() as file, database.transaction(actor) as session:

        def counted(report: Report, file: BinaryIO) -> None:
            total = len(report.parts)
            _note(database, task, 0, total)
            write(replace(report, lines=lambda: _noted(database, task, report, total)), file)
            _note(database, task, total, total)
            _keep(session, task, file)  # before the entry in the log: from there on everybody else's entries wait

        record = service.export_compliance(
            session, org_id=task.org_id, period=Period(task.start_on, task.end_on), file_format=ExportFormat(task.format),
            reason=task.reason, title=titles("zh"), write=counted, file=file, actor=actor, now=now,
        )  # fmt: skip
        one = get_task(session, task_id=task.id, actor=actor, lock=True)
        if one.state != TaskState.RUNNING:
            raise Cancelled
        one.state, one.export_id, one.ended_at = TaskState.DONE, record.id, now


def _keep(session: Session, task: ReportTask, file: BinaryIO) -> None:
    """Put the file into the database piece by piece; it is never in memory as a whole."""
    file.seek(0)
    for position, content in enumerate(iter(lambda: file.read(PIECE_BYTES), b"")):
        session.execute(insert(ReportPiece).values(task_id=task.id, position=position, content=content))


def _noted(database: Database, task: ReportTask, report: Report, total: int) -> Iterator[Line]:
    for number, line in enumerate(report.lines(), start=1):
        yield line
        if number % NOTED_ROWS == 0:
            _note(database, task, number, total)


def _note(database: Database, task: ReportTask, done: int, total: int) -> None:
    """Note how far it is, in a transaction of its own: progress is no business fact, so the log does not tell it.

    :raises Cancelled: it is not wanted any more.
    """
    with database.transaction(SYSTEM) as session:
        one = session.scalars(select(ReportTask).where(ReportTask.id == task.id).with_for_update()).one()
        if one.state != TaskState.RUNNING:
            raise Cancelled
        one.done_rows, one.total_rows = min(done, total), total


def _fail(database: Database, task: ReportTask, why: FleetError, *, now: datetime) -> None:
    with database.transaction(SYSTEM) as session:
        one = session.scalars(select(ReportTask).where(ReportTask.id == task.id).with_for_update()).one()
        if one.state in OPEN:
            one.state, one.failure, one.ended_at = TaskState.FAILED, {"code": why.code, "params": why.params}, now
            _record(session, one, "failed", actor=SYSTEM, now=now, code=why.code)


def forget(database: Database, *, now: datetime) -> int:
    """Remove the files that are older than the policy keeps them; records stay. Returns how many reports that were."""
    with database.transaction(SYSTEM) as session:
        days = policies.value(session, "reports.keep_days", clock.local_date(now))
        old = select(ReportTask.id).where(ReportTask.ended_at < now - timedelta(days=int(days)))
        gone = session.scalars(
            delete(ReportPiece).where(ReportPiece.task_id.in_(old)).returning(ReportPiece.task_id)
        ).all()
        return len(set(gone))
