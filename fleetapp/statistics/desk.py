"""Pages of one report: its tables with what is typed, reconciliation, editions, changes; check, submission, correction, files."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, send_file, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.kit import permits
from fleetapp.kit.errors import Conflict, Invalid, NotFound, RuleBroken
from fleetapp.statistics import derive, exports, indicators, look, queries, reconcile, rules, service
from fleetapp.statistics.catalogue import Kind, tables
from fleetapp.statistics.models import StatisticReport
from fleetapp.statistics.rules import ReportState
from fleetapp.statistics.schemas import ExplainIn, ReasonIn, ScopeQuery
from fleetapp.web import downloads
from fleetapp.web.forms import errors_of, load_form, load_query, received_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import language, t

blueprint = Blueprint("statreports", __name__, template_folder="templates")
REFUSED = (RuleBroken, Invalid, Conflict)
SEPARATOR = "|"
"""Between table, column and row in the name of an input; the row stands last, for it may be any text."""


def _may(report: StatisticReport) -> dict[str, bool]:
    return {
        name: permits.may(f"statistics.{name}", actor(), org_path=report.org.path)
        for name in ("fill", "submit", "export")
    }


def _page(
    report_id: int, errors: Mapping[str, Any], *, values: Mapping[str, str] | None = None, faults: Any = ()
) -> str:
    permits.require("statistics.read", actor())
    code = load_query(ScopeQuery())["table"]
    if code not in tables():
        raise NotFound("kit.not_found")
    with transaction() as s:
        report = queries.get_report(s, report_id=report_id, actor=actor())
        version, may = queries.newest(s, report_id=report.id), _may(report)
        content = queries.shown_content(s, report, now=now(), only=code)
        of = rules.period(report.period)
        return render_template(
            "statistics/report.html", report=report, version=version, may=may, errors=errors, faults=faults, values=values or {}, of=of,
            laid=look.laid(s, content, report.org, code), tables=tables().values(), open=look.editor(report, may=may["fill"]), shown=look.shown,
            typed=_typed(s, report, code), separator=SEPARATOR, scope={"org_id": report.org_id, "period": report.period}, lang=language(),
            period_name=look.period_name, due=look.due_on(s, report), blocking=_blocking(s, report), plain=look.plain,
            found=_indicators(s, report, content, code), dictionary=indicators.dictionary(), below=_below(s, report),
        )  # fmt: skip


def _typed(session: Session, report: StatisticReport, code: str) -> dict[tuple[str, str], Any]:
    """Return who typed what of a table, by row and column."""
    rows = session.scalars(derive.entries([report.org_id], rules.period(report.period)))
    return {(row.row_key, row.column_key): row for row in rows if row.form == code}


def _blocking(session: Session, report: StatisticReport) -> int:
    if report.state == ReportState.SUBMITTED:
        return 0
    return sum(one.blocks for one in reconcile.differences(session, report, now=now()))


def _indicators(session: Session, report: StatisticReport, content: rules.Content, code: str) -> dict[str, Any]:
    """Return a table's indicators: as the submitted content has them, before that as of now."""
    codes = tables()[code].indicators
    if derive.INDICATORS not in content:
        live = indicators.compute(session, codes, report.org.path, rules.period(report.period), now())
        return {one: live[one].value for one in codes}
    found = {}
    for one in codes:
        cells = content[derive.INDICATORS].get(one, {})
        up, down = (rules.figure(cells.get(part)) or rules.ZERO for part in ("up", "down"))
        found[one] = rules.share(up, down, Decimal(indicators.dictionary()[one].scale))
    return found


def _below(session: Session, report: StatisticReport) -> list[tuple[Any, StatisticReport | None]]:
    orgs = queries.subtree(session, report.org.path)
    below = queries.reporting_below(orgs, report.org, report.first_on)
    reports = queries.reports_of(session, org_ids=[one.id for one in below], code=report.period)
    return [(one, reports.get(one.id)) for one in below]


@blueprint.get("/statistics/reports/<int:report_id>")
def show(report_id: int) -> str:
    """Show one table of a report."""
    return _page(report_id, {})


@blueprint.post("/statistics/reports/<int:report_id>")
def fill(report_id: int) -> Response | tuple[str, int]:
    """Save typed cells."""
    cells = {}
    for key, text in request.form.items():
        table, *rest = key.split(SEPARATOR, 2)
        if len(rest) == 2:
            cells[table, rest[1], rest[0]] = text
    try:
        with transaction() as s:
            number = service.type_cells(s, report_id=report_id, cells=cells, actor=actor(), now=now())
    except REFUSED as error:
        return _page(report_id, errors_of(error), values=request.form.to_dict()), 422
    flash(t("statistics.saved", number=number))
    return redirect(url_for("statreports.show", report_id=report_id, table=request.args.get("table", "t02")))


@blueprint.post("/statistics/reports/<int:report_id>/<any(check, submit):action>")
def step(report_id: int, action: str) -> Response | tuple[str, int]:
    """Check or submit."""
    try:
        with transaction() as s:
            (service.check if action == "check" else service.submit)(s, report_id=report_id, actor=actor(), now=now())
    except REFUSED as error:
        return _page(report_id, errors_of(error)), 422
    flash(t("statistics.checked" if action == "check" else "statistics.submitted"))
    return redirect(url_for("statreports.show", report_id=report_id))


@blueprint.post("/statistics/reports/<int:report_id>/corrections")
def correct(report_id: int) -> Response | tuple[str, int]:
    """Correct a submitted report."""
    try:
        data = load_form(ReasonIn())
        with transaction() as s:
            made = service.correct(s, report_id=report_id, reason=data["reason"], actor=actor(), now=now())
    except REFUSED as error:
        return _changes(report_id, errors_of(error, {"statistics.reason": "reason"})), 422
    flash(t("statistics.corrected", number=made.number))
    return redirect(url_for("statreports.changes", report_id=report_id))


def _reconciliation(report_id: int, errors: Mapping[str, Any], subject: str = "") -> str:
    permits.require("statistics.read", actor())
    with transaction() as s:
        report = queries.get_report(s, report_id=report_id, actor=actor())
        found = reconcile.differences(s, report, now=now())
        return render_template(
            "statistics/reconciliation.html", report=report, groups=reconcile.by_check(found), may=_may(report), errors=errors, wrong=subject,
            explainable=reconcile.EXPLAINABLE, plain=look.plain, period_name=look.period_name, tables=tables(), lang=language(),
            scope={"org_id": report.org_id, "period": report.period}, blocking=sum(one.blocks for one in found),
        )  # fmt: skip


@blueprint.get("/statistics/reports/<int:report_id>/reconciliation")
def reconciliation(report_id: int) -> str:
    """Show what does not agree."""
    return _reconciliation(report_id, {})


@blueprint.post("/statistics/reports/<int:report_id>/reconciliation")
def explain(report_id: int) -> Response | tuple[str, int]:
    """Explain a difference."""
    try:
        data = load_form(ExplainIn())
        with transaction() as s:
            service.explain(s, report_id=report_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _reconciliation(
            report_id, errors_of(error, {"statistics.reason": "text"}), request.form.get("subject", "")
        ), 422
    flash(t("statistics.explained"))
    return redirect(url_for("statreports.reconciliation", report_id=report_id))


def _changes(report_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("statistics.read", actor())
    with transaction() as s:
        report = queries.get_report(s, report_id=report_id, actor=actor())
        version = queries.newest(s, report_id=report.id)
        today = queries.gathered(s, org=report.org, of=rules.period(report.period), now=now())
        found = rules.changes(version.content, today) if version else []
        known = [
            (one, tables()[one.table].by_key[one.column])
            for one in found
            if one.table in tables() and one.column in tables()[one.table].by_key
        ]
        return render_template(
            "statistics/changes.html", report=report, version=version, found=known, versions=queries.versions(s, report_id=report.id),
            events=queries.events(s, report_id=report.id), may=_may(report), errors=errors, period_name=look.period_name, lang=language(),
            tables=tables(), units=look.units_of(queries.subtree(s, report.org.path)), row_name=look.row_name, scope={"org_id": report.org_id, "period": report.period}, sum_kind=Kind.SUM,
        )  # fmt: skip


@blueprint.get("/statistics/reports/<int:report_id>/changes")
def changes(report_id: int) -> str:
    """Show the editions and what changed since the newest."""
    return _changes(report_id, {})


@blueprint.post("/statistics/reports/<int:report_id>/export")
def export(report_id: int) -> Response | tuple[str, int]:
    """Download the workbook."""
    try:
        data = load_form(ReasonIn())
        return downloads.recorded(
            lambda session, file: exports.write(
                session, report_id=report_id, reason=data["reason"], file=file, actor=actor(), now=now()
            )
        )
    except REFUSED as error:
        return _page(report_id, errors_of(error, {"audit.reason_missing": "reason"})), 422


@blueprint.post("/statistics/reports/<int:report_id>/upload")
def upload(report_id: int) -> Response | tuple[str, int]:
    """Take a filled-in workbook; a wrong one comes back with comments."""
    permits.require("statistics.fill", actor())
    try:
        with received_file("file") as (path, file_name):
            content = path.read_bytes()
        with transaction() as s:
            found, number = exports.take(s, report_id=report_id, content=content, actor=actor(), now=now())
    except REFUSED as error:
        return _page(
            report_id, errors_of(error, dict.fromkeys(("web.file_missing", "statistics.file_other"), "file"))
        ), 422
    if found.faults:
        response = send_file(exports.returned(content, found), mimetype=downloads.XLSX)
        return downloads.named(response, file_name), 422  # type: ignore[return-value]
    flash(t("statistics.saved", number=number))
    return redirect(url_for("statreports.show", report_id=report_id))
