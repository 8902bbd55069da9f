"""Reading of reports, of the units they gather, and of their content as it would be today."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.accounts.queries import within_reach
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.statistics import derive
from fleetapp.statistics.models import StatisticEvent, StatisticNote, StatisticReport, StatisticVersion
from fleetapp.statistics.rules import Content, Period, ReportState, period, together

REPORTING = (OrgKind.CITY, OrgKind.DISTRICT, OrgKind.UNIT, OrgKind.OPERATOR)
"""Organisations that hand in a report of their own; offices are part of their unit's."""


def visible_to(actor: Actor) -> Select[StatisticReport]:
    """Return the reports within reach, the newest period first, then in tree order."""
    return (
        select(StatisticReport)
        .join(StatisticReport.org)
        .where(within_reach(actor, "statistics.read"))
        .options(
            contains_eager(StatisticReport.org),
            joinedload(StatisticReport.checker),
            joinedload(StatisticReport.submitter),
        )
        .order_by(StatisticReport.first_on.desc(), StatisticReport.until_on, Organisation.path)
    )


def get_report(session: Session, *, report_id: int, actor: Actor, lock: bool = False) -> StatisticReport:
    """Return a report within reach.

    :raises NotFound: no such report, or out of reach.
    """
    query = visible_to(actor).where(StatisticReport.id == report_id)
    if lock:
        query = query.with_for_update(of=StatisticReport).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def find_report(session: Session, *, org_id: int, code: str) -> StatisticReport | None:
    """Return the report of a unit and period, if there is one."""
    return session.scalar(
        select(StatisticReport).where(StatisticReport.org_id == org_id, StatisticReport.period == code)
    )


def newest(session: Session, *, report_id: int) -> StatisticVersion | None:
    """Return the version of a report that is in force, None before its submission."""
    rows = select(StatisticVersion).where(StatisticVersion.report_id == report_id)
    return session.scalar(
        rows.options(joinedload(StatisticVersion.maker)).order_by(StatisticVersion.edition.desc()).limit(1)
    )


def versions(session: Session, *, report_id: int) -> Sequence[StatisticVersion]:
    """Return all versions of a report, the newest first."""
    rows = (
        select(StatisticVersion)
        .where(StatisticVersion.report_id == report_id)
        .options(joinedload(StatisticVersion.maker))
    )
    return session.scalars(rows.order_by(StatisticVersion.edition.desc())).all()


def events(session: Session, *, report_id: int) -> Sequence[StatisticEvent]:
    """Return the steps of a report, the newest first."""
    rows = select(StatisticEvent).where(StatisticEvent.report_id == report_id).options(joinedload(StatisticEvent.actor))
    return session.scalars(rows.order_by(StatisticEvent.id.desc())).all()


def notes(session: Session, *, report_id: int) -> dict[str, StatisticNote]:
    """Return the newest explanation of each difference of a report."""
    rows = select(StatisticNote).where(StatisticNote.report_id == report_id).options(joinedload(StatisticNote.maker))
    return {row.subject: row for row in session.scalars(rows.order_by(StatisticNote.id))}


# ---- the tree -----------------------------------------------------------------------------------------------------------


def subtree(session: Session, path: str) -> Sequence[Organisation]:
    """Return the organisations at or below a place in tree order, closed ones too: their past counts."""
    rows = select(Organisation).where(Organisation.path.startswith(path, autoescape=True))
    return session.scalars(rows.order_by(Organisation.path)).all()


def reporting_below(orgs: Sequence[Organisation], top: Organisation, on: object) -> list[Organisation]:
    """Return the nearest organisations below ``top`` that hand in reports of a period that begins ``on``, in tree order."""
    found: list[Organisation] = []
    for org in orgs:
        if (
            org.path == top.path
            or org.kind not in REPORTING
            or (org.closed_on is not None and str(org.closed_on) <= str(on))
        ):
            continue
        if not any(org.path.startswith(above.path) for above in found):
            found.append(org)
    return found


def reports_of(session: Session, *, org_ids: Collection[int], code: str) -> Mapping[int, StatisticReport]:
    """Return the reports of some organisations for a period by organisation."""
    rows = select(StatisticReport).where(StatisticReport.org_id.in_(org_ids), StatisticReport.period == code)
    return {row.org_id: row for row in session.scalars(rows.options(joinedload(StatisticReport.submitter)))}


def gathered(session: Session, *, org: Organisation, of: Period, now: datetime, only: str | None = None) -> Content:
    """Return a unit's content as it is today: the newest versions of the reports below it that were submitted, and facts for the rest.

    A unit without reports below it is all facts. Every unit is in exactly one part, so nothing is counted twice. ``only`` names
    the one table that is of interest.
    """
    orgs = subtree(session, org.path)
    below = reporting_below(orgs, org, of.first)
    submitted = {
        org_id: report for org_id, report in reports_of(session, org_ids=[one.id for one in below], code=of.code).items()
        if report.state == ReportState.SUBMITTED
    }  # fmt: skip
    covered = [one.path for one in below if one.id in submitted]
    rest = [one.id for one in orgs if not any(one.path.startswith(path) for path in covered)]
    frozen = [version.content for report in submitted.values() if (version := newest(session, report_id=report.id))]
    return together([derive.content(session, derive.Over(rest, of, now), only=only), *frozen])


def shown_content(session: Session, report: StatisticReport, *, now: datetime, only: str | None = None) -> Content:
    """Return what a report says: its version in force; before the submission what it, or ``only`` one table, would say now."""
    version = newest(session, report_id=report.id)
    return (
        version.content if version else gathered(session, org=report.org, of=period(report.period), now=now, only=only)
    )


def before(session: Session, report: StatisticReport) -> StatisticVersion | None:
    """Return the version in force of the same unit's report of the period before, if that was submitted."""
    earlier = find_report(session, org_id=report.org_id, code=period(report.period).before().code)
    return newest(session, report_id=earlier.id) if earlier else None
