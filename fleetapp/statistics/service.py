"""Every step of a report: opened, filled, checked, submitted, corrected; each by whoever may, each on record."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.kit.jsonable import jsonable
from fleetapp.statistics import derive, queries, reconcile, rules
from fleetapp.statistics.catalogue import ORG, Column, parted, row_key, tables
from fleetapp.statistics.models import StatisticEntry, StatisticEvent, StatisticNote, StatisticReport, StatisticVersion
from fleetapp.statistics.rules import Action, Content, ReportState

LONGEST = 200


def open_report(session: Session, *, org_id: int, code: str, actor: Actor, now: datetime) -> StatisticReport:
    """Open the report of a unit for a period, or return the one that is there.

    :raises RuleBroken: ``statistics.period``, or ``statistics.not_reporting``: offices are part of their unit's report.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("statistics.fill", actor, org_path=org.path)
    of = rules.period(code)
    if org.kind not in queries.REPORTING:
        raise RuleBroken("statistics.not_reporting")
    there = queries.find_report(session, org_id=org.id, code=of.code)
    if there is not None:
        return there
    made = StatisticReport(org_id=org.id, number=f"TJ-{org.code}-{of.code}", period=of.code, first_on=of.first, until_on=of.until,
                           state=ReportState.DRAFT, opened_by=_person(actor), opened_at=now)  # fmt: skip
    made.org = org
    session.add(made)
    session.flush()
    _record(session, made, Action.OPEN, None, actor=actor, now=now)
    return made


def _person(actor: Actor) -> int:
    if actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="statistics.fill")
    return actor.user_id


def parse_cell(column: Column, text: str) -> str:
    """Return a typed cell as it is kept.

    :raises RuleBroken: ``statistics.cell_number``, ``cell_choice``, ``cell_long``.
    """
    value = text.strip()
    if not value:
        return ""
    if column.typed == "number":
        found = rules.figure(value.replace(",", "").replace("，", ""))
        if found is None or not 0 <= found < Decimal(10) ** 12 or found != found.quantize(Decimal("0.000001")):
            raise RuleBroken("statistics.cell_number")
        return rules.number(found)
    if column.choices and value not in column.choices:
        raise RuleBroken("statistics.cell_choice")
    if len(value) > LONGEST:
        raise RuleBroken("statistics.cell_long", most=LONGEST)
    return value


def type_cells(
    session: Session, *, report_id: int, cells: Mapping[tuple[str, str, str], str], actor: Actor, now: datetime
) -> int:  # fmt: skip
    """Type cells of a unit's own report by (table, row, column); returns how many changed. A checked report is a draft again.

    Cells typed after the submission wait for the next correction.

    :raises RuleBroken: ``statistics.cell_derived``: the system reckons it; or the text is none for such a cell.
    """
    report = queries.get_report(session, report_id=report_id, actor=actor, lock=True)
    permits.require("statistics.fill", actor, org_path=report.org.path)
    there = typed(session, report)
    changed = []
    for (form, row, key), text in sorted(cells.items()):
        column = tables()[form].by_key.get(key) if form in tables() else None
        axis, value = parted(row)
        if column is None or not column.has_cell(axis) or (axis == ORG and value != report.org.code):
            raise RuleBroken("statistics.cell_derived")
        wanted = parse_cell(column, text)
        if wanted != there.get((form, row, key), ""):
            changed.append(
                {"table": form, "row": row, "column": key, "before": there.get((form, row, key), ""), "after": wanted}
            )
            session.add(StatisticEntry(
                org_id=report.org_id, period=report.period, form=form, row_key=row, column_key=key, value=wanted,
                correction=report.state == ReportState.SUBMITTED, entered_by=_person(actor), at=now,
            ))  # fmt: skip
    if changed:
        session.flush()
        if report.state == ReportState.CHECKED:
            _move(session, report, Action.REOPEN, actor=actor, now=now)
        audit.record(session, actor=actor, now=now, action="statistics.typed", subject_type="statistic_report", subject_id=report.id,
                     org_id=report.org_id, number=report.number, cells=changed)  # fmt: skip
    return len(changed)


def typed(session: Session, report: StatisticReport) -> dict[tuple[str, str, str], str]:
    """Return the typed cells of a unit's own report that are in force, by table, row and column."""
    rows = session.scalars(derive.entries([report.org_id], rules.period(report.period)))
    return {(row.form, row.row_key, row.column_key): row.value for row in rows}


def explain(session: Session, *, report_id: int, subject: str, text: str, actor: Actor, now: datetime) -> StatisticNote:
    """Explain a difference that may be explained.

    :raises RuleBroken: ``statistics.reason``, or ``statistics.not_explainable``: it must be mended, or is not there.
    """
    report = queries.get_report(session, report_id=report_id, actor=actor, lock=True)
    permits.require("statistics.fill", actor, org_path=report.org.path)
    found = next((one for one in reconcile.differences(session, report, now=now) if one.subject == subject), None)
    if found is None or found.check not in reconcile.EXPLAINABLE:
        raise RuleBroken("statistics.not_explainable")
    made = StatisticNote(
        report_id=report.id, subject=subject, text=rules.reason(text), made_by=_person(actor), made_at=now
    )
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="statistics.explained", subject_type="statistic_report", subject_id=report.id,
                 org_id=report.org_id, number=report.number, subject=subject, text=made.text)  # fmt: skip
    return made


def check(session: Session, *, report_id: int, actor: Actor, now: datetime) -> StatisticReport:
    """Check a report: everything agrees or is explained, the files are full enough, nothing that must be typed is missing.

    :raises RuleBroken: ``statistics.blocked`` with the number of differences, ``statistics.wrong_step``.
    """
    report = queries.get_report(session, report_id=report_id, actor=actor, lock=True)
    permits.require("statistics.fill", actor, org_path=report.org.path)
    rules.next_state(report.state, Action.CHECK)
    _refuse_blocked(session, report, now)
    report.checked_by, report.checked_at = _person(actor), now
    _move(session, report, Action.CHECK, actor=actor, now=now)
    return report


def _refuse_blocked(session: Session, report: StatisticReport, now: datetime) -> None:
    blocking = [one for one in reconcile.differences(session, report, now=now) if one.blocks]
    if blocking:
        raise RuleBroken(
            "statistics.blocked", number=len(blocking), first={"text": f"statistics.check.{blocking[0].check}"}
        )


def submit(session: Session, *, report_id: int, actor: Actor, now: datetime) -> StatisticReport:
    """Submit a checked report: its figures are frozen as edition 1. The check is repeated first.

    :raises RuleBroken: ``statistics.blocked``, ``statistics.wrong_step``.
    """
    report = queries.get_report(session, report_id=report_id, actor=actor, lock=True)
    permits.require("statistics.submit", actor, org_path=report.org.path)
    rules.next_state(report.state, Action.SUBMIT)
    _refuse_blocked(session, report, now)
    _freeze(session, report, reason=None, actor=actor, now=now)
    report.edition, report.submitted_by, report.submitted_at = 1, _person(actor), now
    _move(session, report, Action.SUBMIT, actor=actor, now=now)
    return report


def correct(session: Session, *, report_id: int, reason: str, actor: Actor, now: datetime) -> StatisticVersion:
    """Make a numbered correction of a submitted report: the figures as they are today, with the reason why.

    :raises RuleBroken: ``statistics.reason``, ``statistics.wrong_step``, or ``statistics.unchanged``: there is nothing to correct.
    """
    report = queries.get_report(session, report_id=report_id, actor=actor, lock=True)
    permits.require("statistics.submit", actor, org_path=report.org.path)
    rules.next_state(report.state, Action.CORRECT)
    made = _freeze(session, report, reason=rules.reason(reason), actor=actor, now=now)
    report.edition = made.edition
    _move(session, report, Action.CORRECT, actor=actor, now=now, note=f"{made.number} · {made.reason}")
    return made


def _freeze(
    session: Session, report: StatisticReport, *, reason: str | None, actor: Actor, now: datetime
) -> StatisticVersion:
    content: Content = queries.gathered(session, org=report.org, of=rules.period(report.period), now=now)
    last = queries.newest(session, report_id=report.id)
    if last is not None and not rules.changes(last.content, content):
        raise RuleBroken("statistics.unchanged")
    edition = last.edition + 1 if last else 1
    number = report.number if edition == 1 else f"{report.number}-C{edition - 1}"
    made = StatisticVersion(report_id=report.id, edition=edition, number=number, content=content, reason=reason, made_by=_person(actor), made_at=now,
                            sha256=hashlib.sha256(jsonable(content).encode()).hexdigest())  # fmt: skip
    session.add(made)
    session.flush()
    return made


def _move(
    session: Session, report: StatisticReport, action: Action, *, actor: Actor, now: datetime, note: str | None = None
) -> None:
    before = report.state
    report.state = rules.next_state(report.state, action)
    _record(session, report, action, before, actor=actor, now=now, note=note)


def _record(
    session: Session, report: StatisticReport, action: Action, before: str | None, *, actor: Actor, now: datetime, note: str | None = None
) -> None:  # fmt: skip
    session.flush()
    session.add(
        StatisticEvent(
            report_id=report.id,
            action=action,
            from_state=before,
            to_state=report.state,
            actor_id=actor.user_id,
            at=now,
            note=note,
        )
    )
    facts: dict[str, Any] = {
        "number": report.number,
        "before": before,
        "after": report.state,
        "edition": report.edition,
        "note": note,
    }
    audit.record(session, actor=actor, now=now, action=f"statistics.{action}", subject_type="statistic_report", subject_id=report.id,
                 org_id=report.org_id, **facts)  # fmt: skip


def own_row(org: Organisation) -> str:
    """Return the key of a unit's own row."""
    return row_key(ORG, org.code)
