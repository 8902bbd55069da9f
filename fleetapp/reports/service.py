"""Exports: what leaves the system leaves with a reason, a record of its hash, and an entry in the audit log."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.audit import exports as recorded
from fleetapp.audit.models import ExportRecord
from fleetapp.audit.rules import check_reason
from fleetapp.findings.workflow import FindingState
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.reports import case, queries, rules
from fleetapp.reports.case import Case
from fleetapp.reports.queries import Clue, Line, Part
from fleetapp.reports.rules import ExportFormat, ExportKind, Period
from fleetapp.trips.bridge import RULES_VERSION
from fleetapp.vehicles.rules import Secrecy
from fleetapp.workdays import queries as workdays


@dataclass(frozen=True, slots=True)
class Report:
    """A compliance report before it is written.

    ``parts`` are the trips in the order in which ``lines`` yields them; ``lines`` reads from the open transaction.
    ``unknown_years`` are years of the period without an official calendar.
    """

    org: Organisation
    period: Period
    as_of: datetime
    reason: str
    exporter: str
    version: int
    rules_version: str
    unknown_years: tuple[int, ...]
    parts: tuple[Part, ...]
    ghosts: tuple[Any, ...]
    clues: tuple[Clue, ...]
    orgs: dict[int, Organisation]
    lines: Callable[[], Iterator[Line]]


def compliance(
    session: Session, *, org_id: int | None, period: Period, reason: str, actor: Actor, now: datetime, version: int = 1
) -> Report:
    """Return the compliance report of a sub-tree without writing or recording anything: for the preview.

    :raises RuleBroken: period reversed or too long, or too many rows.
    :raises NotAllowed: outside the part of the tree that the actor may export.
    """
    rules.check_period(period)
    org = queries.scope_org(session, actor=actor, org_id=org_id)
    parts = queries.parts(session, actor=actor, org_path=org.path, period=period)
    rules.check_size(len(parts))
    ghosts = queries.orders_without_trip(session, actor=actor, org_path=org.path, period=period, now=now)
    clues = queries.clues(session, actor=actor, org_path=org.path, period=period)
    days = workdays.day_kinds(session, period.start_on, period.end_on)
    found = {row.org_id for row in (*parts, *ghosts, *clues)}
    return Report(
        org=org, period=period, as_of=now, reason=reason, exporter=actor.name, version=version,
        rules_version=", ".join(sorted({RULES_VERSION, *(clue.rule_version for clue in clues)})),
        unknown_years=tuple(sorted({day.on.year for day in days if not day.known})),
        parts=tuple(parts), ghosts=tuple(ghosts), clues=tuple(clues), orgs=queries.orgs_by_id(session, found),
        lines=lambda: queries.lines(session, part_ids=[part.id for part in parts], clues=clues),
    )  # fmt: skip


def export_compliance(
    session: Session,
    *,
    org_id: int | None,
    period: Period,
    file_format: ExportFormat,
    reason: str,
    title: str,
    write: Callable[[Report, BinaryIO], None],
    file: BinaryIO,
    actor: Actor,
    now: datetime,
) -> ExportRecord:
    """Write the compliance report of a sub-tree into ``file`` and record it; hand the file over after the commit only.

    ``write`` makes the bytes, ``title`` is the report's name in the file's name.

    :raises RuleBroken: no reason, period reversed or too long, too many rows.
    :raises NotAllowed: outside the part of the tree that the actor may export.
    """
    reason = check_reason(reason)
    org = queries.scope_org(session, actor=actor, org_id=org_id)
    filters = {
        "start_on": period.start_on.isoformat(),
        "end_on": period.end_on.isoformat(),
        "format": file_format.value,
    }
    version = 1 + queries.count_same(session, org_id=org.id, kind=ExportKind.COMPLIANCE, filters=filters)
    report = compliance(session, org_id=org.id, period=period, reason=reason, actor=actor, now=now, version=version)
    write(report, file)
    name = rules.file_name(
        unit=org.name_zh, title=title, period=period, version=version, suffix=file_format.value
    )  # fmt: skip
    return recorded.record(session, action="reports.compliance_exported", org_id=org.id, kind=ExportKind.COMPLIANCE, reason=reason, filters=filters,
                   rows=len(report.parts), name=name, file=file, actor=actor, now=now)  # fmt: skip


def case_file(
    session: Session,
    *,
    finding_id: int,
    reason: str,
    write: Callable[[Case, BinaryIO], None],
    file: BinaryIO,
    actor: Actor,
    now: datetime,
) -> ExportRecord:
    """Write the evidence file of one clue into ``file`` and record it; reading its track is logged with the reason.

    :raises RuleBroken: no reason.
    :raises NotFound: no such clue within reach, or about a vehicle whose tracks are not shown.
    :raises NotAllowed: the actor may read the clue but not take its file.
    """
    reason = check_reason(reason)
    found = case.gather(session, finding_id=finding_id, reason=reason, actor=actor, now=now)
    org = found.org
    permits.require("reports.case", actor, org_path=org.path)
    if found.finding.vehicle.secrecy != Secrecy.NORMAL:
        raise NotFound("kit.not_found")
    write(found, file)
    return recorded.record(
        session, action="reports.case_exported", org_id=org.id, kind=ExportKind.CASE, reason=reason, filters={"finding": found.finding.number},
        rows=len(found.fixes), name=f"{org.name_zh}_疑似线索取证_{found.finding.number}.pdf", file=file, actor=actor, now=now,
    )  # fmt: skip


def unit_totals(report: Report) -> list[dict[str, Any]]:
    """Return per holding unit: trips by kind of match, kilometres, shares, coverage, orders without trip, clues.

    Shares are of kilometres (statistics catalogue, I22 轨迹匹配率 and I23 无单里程占比); None where nothing was driven.
    """
    return [_totals(report, org_id, org) for org_id, org in sorted(report.orgs.items(), key=lambda item: item[1].path)]


def _totals(report: Report, org_id: int, org: Organisation) -> dict[str, Any]:
    parts: Sequence[Part] = [part for part in report.parts if part.org_id == org_id]
    metres = sum(part.distance_m for part in parts)
    matched = sum(part.distance_m for part in parts if part.kind == "matched")
    unmatched = sum(part.distance_m for part in parts if part.kind == "unmatched")
    kinds = {kind: sum(part.kind == kind for part in parts) for kind in ("matched", "weak", "ambiguous", "unmatched")}
    clues = [clue for clue in report.clues if clue.org_id == org_id and clue.state != FindingState.WITHDRAWN]
    return {
        "org": org, "vehicles": len({part.vehicle_id for part in parts}), "trips": len({part.trip_id for part in parts}),
        "parts": len(parts), **kinds, "distance_m": metres, "matched_m": matched, "unmatched_m": unmatched,
        "matched_share": matched / metres if metres else None, "unmatched_share": unmatched / metres if metres else None,
        "coverage": sum(part.coverage for part in parts) / len(parts) if parts else None,
        "low_coverage": sum(part.coverage < rules.LOW_COVERAGE for part in parts),
        "ghosts": sum(ghost.org_id == org_id for ghost in report.ghosts), "clues": len(clues),
    }  # fmt: skip
