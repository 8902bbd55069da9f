"""Pages that only read: reports, tables as of now, the rows behind a cell, the indicator dictionary."""

from decimal import Decimal
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from sqlalchemy import func, select, union_all
from werkzeug import Response

from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, NotFound
from fleetapp.kit.paging import PAGE_SIZE, Page, paginate
from fleetapp.statistics import derive, indicators, look, queries, rules, service
from fleetapp.statistics.catalogue import tables
from fleetapp.statistics.models import StatisticReport
from fleetapp.statistics.rules import ReportState
from fleetapp.statistics.schemas import IndicatorQuery, ListQuery, OpenIn, RowsQuery, ScopeQuery
from fleetapp.statistics.terms import Term
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import language

blueprint = Blueprint("statistics", __name__, template_folder="templates")


def _index(errors: dict[str, Any]) -> str:
    permits.require("statistics.read", actor())
    query = load_query(ListQuery())
    with transaction() as s:
        rows = queries.visible_to(actor())
        if query["period"]:
            rows = rows.where(StatisticReport.period == rules.period(query["period"]).code)
        if query["state"]:
            rows = rows.where(StatisticReport.state == query["state"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        mine = [
            one
            for one in look.reach(s)
            if one.kind in queries.REPORTING and permits.may("statistics.fill", actor(), org_path=one.path)
        ]
        due = {one.id: look.due_on(s, one) for one in page.items}
        return render_template(
            "statistics/index.html", page=page, query=query, errors=errors, due=due, today=clock.local_date(now()), states=list(ReportState),
            orgs=[(one.id, name(one)) for one in mine], periods=look.periods(), period_name=look.period_name,
        )  # fmt: skip


@blueprint.get("/statistics")
def index() -> str:
    """List the reports within reach."""
    return _index({})


@blueprint.post("/statistics")
def open_report() -> Response | tuple[str, int]:
    """Open a report."""
    try:
        data = load_form(OpenIn())
        with transaction() as s:
            made = service.open_report(s, org_id=data["org_id"], code=data["period"], actor=actor(), now=now())
    except FleetError as error:
        return _index(errors_of(error)), 422
    return redirect(url_for("statreports.show", report_id=made.id))


@blueprint.get("/statistics/tables")
def live() -> str:
    """Show a table as of now."""
    query = load_query(ScopeQuery())
    with transaction() as s:
        org, of, orgs = look.chosen(s, query["org_id"], query["period"])
        if query["table"] not in tables():
            raise NotFound("kit.not_found")
        ids = [one.id for one in queries.subtree(s, org.path)]
        laid = look.laid(s, derive.content(s, derive.Over(ids, of, now()), only=query["table"]), org, query["table"])
        scope = {"org_id": org.id, "period": of.code}
        found = indicators.compute(s, laid.table.indicators, org.path, of, now())
        return render_template(
            "statistics/live.html", org=org, of=of, laid=laid, tables=tables().values(), scope=scope, found=found, shown=look.shown, plain=look.plain,
            orgs=[(one.id, name(one)) for one in orgs], periods=look.periods(), period_name=look.period_name, lang=language(),
            dictionary=indicators.dictionary(),
        )  # fmt: skip


@blueprint.get("/statistics/rows")
def rows() -> str:
    """Show the very rows that a cell, or a part of an indicator, counts."""
    query = load_query(RowsQuery())
    with transaction() as s:
        org, of, _orgs = look.chosen(s, query["org_id"], query["period"])
        terms, title = _asked(query)
        ids = look.over_of(s, org, query["row"], query["table"])
        parts = [one.order_by(None) for one in derive.behind(s, derive.Over(ids, of, now()), terms, query["row"])]
        every = union_all(*parts).subquery()
        number, total = s.execute(select(func.count(), func.coalesce(func.sum(every.c.value), 0))).one()
        listed = select(every).order_by(every.c.on.desc().nulls_last(), every.c.label, every.c.ref)
        found = s.execute(listed.limit(PAGE_SIZE).offset((query["page"] - 1) * PAGE_SIZE)).all()
        page = Page(found, query["page"], PAGE_SIZE, number)
        orgs = queries.subtree(s, org.path)
        names = {one.id: name(one) for one in orgs}
        return render_template(
            "statistics/rows.html", org=org, of=of, page=page, total=Decimal(total), title=title, row=look.row_name(look.units_of(orgs), query["row"]), names=names,
            link=look.link, plain=look.plain, query=query, period_name=look.period_name, sources=sorted({term.source for term in terms}),
        )  # fmt: skip


def _asked(query: dict[str, Any]) -> tuple[tuple[Term, ...], str]:
    """Return the terms of a cell or of a part of an indicator, and its name."""
    if query["indicator"]:
        one = indicators.dictionary().get(query["indicator"])
        terms = () if one is None else one.up if query["part"] == "up" else one.down
        if one is not None and terms:
            return terms, f"{one.code} {one.names[language()]}"
    elif query["table"] in tables():
        table = tables()[query["table"]]
        column = table.by_key.get(query["column"] or "")
        if column is not None and column.up:
            return column.up, f"T{table.number} {table.names[language()]} · {column.names[language()]}"
    raise NotFound("kit.not_found")


@blueprint.get("/statistics/indicators")
def dictionary() -> str:
    """Show the indicator dictionary with values."""
    query = load_query(IndicatorQuery())
    with transaction() as s:
        org, of, orgs = look.chosen(s, query["org_id"], query["period"])
        known = indicators.dictionary()
        found = indicators.compute(s, list(known), org.path, of, now())
        return render_template(
            "statistics/indicators.html", org=org, of=of, known=known, found=found, plain=look.plain, lang=language(),
            scope={"org_id": org.id, "period": of.code}, orgs=[(one.id, name(one)) for one in orgs], periods=look.periods(),
            period_name=look.period_name,
        )  # fmt: skip
