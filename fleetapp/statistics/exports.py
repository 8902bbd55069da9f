"""Reports as workbooks: written with a record of the download, read back, returned with comments."""

import io
from datetime import datetime
from typing import BinaryIO

from sqlalchemy.orm import Session

from fleetapp.audit import exports
from fleetapp.audit.models import ExportRecord
from fleetapp.audit.rules import check_reason
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.sheets import safe_name
from fleetapp.statistics import look, queries, reading, service, workbook
from fleetapp.statistics.catalogue import tables
from fleetapp.statistics.layout import Sheet
from fleetapp.statistics.models import StatisticReport
from fleetapp.statistics.reading import Filled
from fleetapp.web.display import moment, name
from fleetapp.web.texts import language


def sheets_of(session: Session, report: StatisticReport, *, now: datetime) -> list[Sheet]:
    """Return all tables of a report: as submitted, before that as derived now."""
    content = queries.shown_content(session, report, now=now)
    return [look.laid(session, content, report.org, code) for code in tables()]


def _may_fill(report: StatisticReport, actor: Actor) -> bool:
    return permits.may("statistics.fill", actor, org_path=report.org.path)


def write(
    session: Session, *, report_id: int, reason: str, file: BinaryIO, actor: Actor, now: datetime
) -> ExportRecord:
    """Write a report into ``file`` and record it; hand the file over after the commit only.

    :raises RuleBroken: ``audit.reason_missing``.
    """
    reason = check_reason(reason)
    report = queries.get_report(session, report_id=report_id, actor=actor)
    permits.require("statistics.export", actor, org_path=report.org.path)
    mark = look.say("statistics.file_mark", who=actor.name, at=moment(now), reason=reason)
    head = workbook.Head(
        report.org.code, name(report.org), look.period_name(report.period), report.period, report.number, mark
    )
    laid = sheets_of(session, report, now=now)
    workbook.write(
        laid, head, file, editable=look.editor(report, may=_may_fill(report, actor)), say=look.say, lang=language()
    )
    file_name = safe_name(f"{report.number}_{look.say('statistics.file_name')}", "xlsx")
    return exports.record(session, action="statistics.exported", org_id=report.org_id, kind="statistic_report", reason=reason,
                          filters={"number": report.number, "edition": report.edition}, rows=sum(len(one.rows) for one in laid), name=file_name,
                          file=file, actor=actor, now=now)  # fmt: skip


def take(session: Session, *, report_id: int, content: bytes, actor: Actor, now: datetime) -> tuple[Filled, int]:
    """Take the typed cells of a filled-in workbook; with faults nothing. Returns what was read and how many cells changed.

    :raises RuleBroken: ``ledgers.file_*``, ``statistics.file_other``.
    """
    report = queries.get_report(session, report_id=report_id, actor=actor)
    permits.require("statistics.fill", actor, org_path=report.org.path)
    found = reading.read(content, sheets_of(session, report, now=now), unit_code=report.org.code, period_code=report.period,
                         editable=look.editor(report, may=True), say=look.say)  # fmt: skip
    if found.faults:
        return found, 0
    return found, service.type_cells(session, report_id=report.id, cells=found.cells, actor=actor, now=now)


def returned(content: bytes, found: Filled) -> io.BytesIO:
    """Return the file with its faults as comments."""
    return io.BytesIO(reading.returned(content, found.faults, look.say))
