"""The first screen and the exports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.orm import Session
from werkzeug import Response as BaseResponse

from fleetapp.findings import queries as findings
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Role
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries as policies
from fleetapp.reports import exports as tables
from fleetapp.reports import figures, files, queries, rules, service, tasks
from fleetapp.reports.drawing import columns_svg
from fleetapp.reports.figures import DayCount
from fleetapp.reports.rules import PREVIEW_ROWS, ExportFormat
from fleetapp.reports.schemas import ExportIn, PageQuery, PeriodIn, ReasonIn
from fleetapp.web.display import km, name, percent
from fleetapp.web.forms import load, load_form
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("reports", __name__, template_folder="templates")
BLUE, GREEN = "#206bc4", "#0ca678"


@dataclass(frozen=True, slots=True)
class Tile:
    """A number of the first screen: its words, icon, colour, the list behind it, how it is written."""

    icon: str
    colour: str
    endpoint: str
    args: Callable[[date], Mapping[str, Any]]
    write: Callable[[Any], str] = "{:,.0f}".format


TILES: Mapping[str, Tile] = {
    "to_decide": Tile("checkbox", "orange", "orders.inbox", lambda _: {}),
    "vehicles_moving": Tile("map-pin", "green", "tracking.live", lambda _: {}),
    "vehicles_in_service": Tile("car", "blue", "vehicles.index", lambda _: {"state": "IN_SERVICE"}),
    "orders_today": Tile("clipboard-list", "indigo", "orders.index", lambda on: {"start_on": on, "end_on": on}),
    "to_approve": Tile("clock", "yellow", "orders.index", lambda _: {"group": "to_approve"}),
    "to_dispatch": Tile("steering-wheel", "orange", "orders.index", lambda _: {"group": "to_dispatch"}),
    "under_way": Tile("route", "purple", "orders.index", lambda _: {"group": "under_way"}),
    "distance_today_m": Tile("gauge", "teal", "trips.index", lambda on: {"start_on": on, "end_on": on}, lambda m: km(m, 0)),
    "clues_open": Tile("alert-triangle", "red", "findings.index", lambda _: {"group": "open"}),
    "nev_share": Tile("plug", "lime", "vehicles.index", lambda _: {"state": "IN_SERVICE"}, percent),
}  # fmt: skip
"""In their order on the screen; nine at most are shown."""
MOST_TILES = 9
QUEUE_LINKS = {"to_decide": ("orders.inbox", {}), "to_dispatch": ("orders.index", {"group": "to_dispatch"}),
               "mine": ("orders.index", {}), "ahead": ("orders.index", {"group": "under_way"})}  # fmt: skip


def link(endpoint: str, **args: Any) -> str | None:
    """Return an address, None where the page does not exist."""
    return url_for(endpoint, **args) if endpoint in current_app.view_functions else None


@blueprint.get("/home")
def home() -> str | BaseResponse:
    """Show the first screen of the role; somebody who only drives goes to the duties."""
    who = actor()
    if who.grants and all(grant.role is Role.DRIVER for grant in who.grants):
        return redirect(url_for("duty.today"))
    today = clock.local_date(now())
    with transaction() as s:
        numbers = figures.summary(s, actor=who, now=now())
        tiles = [
            {"code": code, "text": t(f"reports.tile.{code}"), "value": tile.write(numbers[code]), "icon": tile.icon,
             "colour": tile.colour, "href": link(tile.endpoint, **tile.args(today)),
             "hint": t("reports.tile.trips_today", n=round(numbers["trips_today"])) if code == "distance_today_m" else ""}
            for code, tile in TILES.items() if code in numbers
        ]  # fmt: skip
        kind, orders = figures.queue(s, actor=who, now=now()) if permits.may("orders.read", who) else ("", [])
        endpoint, args = QUEUE_LINKS.get(kind, ("", {}))
        clues = figures.latest_clues(s, actor=who) if permits.may("findings.read", who) else None
        duties = figures.open_duties(s, actor=who, now=now()) if permits.may("duty.read", who) else ()
        # Columns say something about a fleet, not about one person's journeys.
        days = figures.last_days(s, actor=who, now=now()) if permits.may("vehicles.read", who) else []
        return render_template(
            "reports/home.html", who=who, ends=figures.ends(s, actor=who, now=now()), tiles=tiles[:MOST_TILES], queue=kind, orders=orders, duties=duties,
            queue_href=link(endpoint, **args) if endpoint else None, clues=clues, days=days, charts=charts(days),
            clue_href=lambda clue: link("findings.show", finding_id=clue.id), clues_href=link("findings.index", group="open"),
            rule_name=files.page_words().rule,
        )  # fmt: skip


def charts(days: list[DayCount]) -> list[tuple[str, Markup]]:
    """Return the columns of orders and of kilometres, as far as they may be read."""
    found = []
    labels = [f"{day.on:%m-%d}" if number % 2 else "" for number, day in enumerate(days)]
    series = (("orders", BLUE, [day.orders for day in days]),
              ("km", GREEN, [None if day.distance_m is None else day.distance_m / 1000 for day in days]))  # fmt: skip
    for code, colour, values in series:
        shown = [value for value in values if value is not None]
        if shown and len(shown) == len(values):
            title = t(f"reports.chart.{code}")
            titles = [f"{day.on.isoformat()}: {value:,.0f}" for day, value in zip(days, shown, strict=True)]
            drawn = columns_svg(shown, labels=labels, titles=titles, colour=colour, title=title)
            found.append((title, Markup(drawn)))  # noqa: S704 -- drawn and escaped by us
    return found


@blueprint.get("/exports")
def exports() -> str:
    """Show the export form and what has been exported before."""
    permits.require("reports.export", actor())
    month = rules.month_to_date(clock.local_date(now()))
    values = {"start_on": month.start_on.isoformat(), "end_on": month.end_on.isoformat(), "format": "xlsx"}
    return _page({**values, **request.args.to_dict()}, {})


def _page(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    query = load(PageQuery(), {key: value for key, value in request.args.items() if key in {"page", "size"} and value})
    with transaction() as s:
        orgs = queries.exportable_orgs(s, actor=actor())
        return render_template(
            "reports/exports.html", values=values, errors=errors, orgs=[(org.id, name(org)) for org in orgs],
            formats=[(kind.value, t(f"reports.format.{kind.value}")) for kind in ExportFormat],
            tasks=s.scalars(tasks.visible_to(actor()).limit(TASKS_SHOWN)).all(), keep_days=keep_days(s),
            page=paginate(s, queries.exports_visible_to(actor()), number=query["page"], size=query["size"]),
        )  # fmt: skip


TASKS_SHOWN = 8


def keep_days(session: Session) -> int:
    """Return how long files of reports are kept."""
    return int(policies.value(session, "reports.keep_days", clock.local_date(now())))


@blueprint.get("/exports/tasks")
def task_list() -> str:
    """Show the own reports in the background, as a fragment that asks again while one is not done."""
    permits.require("reports.export", actor())
    with transaction() as s:
        shown = s.scalars(tasks.visible_to(actor()).limit(TASKS_SHOWN)).all()
        return render_template("reports/_tasks.html", tasks=shown, keep_days=keep_days(s))


@blueprint.post("/exports/tasks")
def ask() -> BaseResponse | tuple[str, int]:
    """Have a report made in the background."""
    permits.require("reports.export", actor())
    try:
        data = load_form(ExportIn())
        with transaction() as s:
            tasks.ask(s, org_id=data["org_id"], period=data["period"], file_format=data["format"], reason=data["reason"],
                      language=data["language"] or files.page_words().lang, actor=actor(), now=now())  # fmt: skip
    except Invalid as error:
        return _page(request.form.to_dict(), error.fields), 422
    except (RuleBroken, Conflict) as error:
        field = "reason" if error.code == "audit.reason_missing" else "start_on"
        return _page(request.form.to_dict(), {field: [t(error.code, **error.params)]}), 422
    return redirect(url_for("reports.exports") + "#tasks", 303)


@blueprint.post("/exports/tasks/<int:task_id>/cancel")
def cancel(task_id: int) -> BaseResponse:
    """Cancel a report that is not done yet."""
    with transaction() as s:
        tasks.cancel(s, task_id=task_id, actor=actor(), now=now())
    return redirect(url_for("reports.exports") + "#tasks", 303)


@blueprint.get("/exports/tasks/<int:task_id>/file")
def task_file(task_id: int) -> Response:
    """Return the file of a report that is done."""
    return files.made(task_id)


@blueprint.get("/exports/preview")
def preview() -> str | tuple[str, int]:
    """Show how much an export would hold, and its first rows, as a fragment."""
    permits.require("reports.export", actor())
    given = {key: value for key, value in request.args.items() if key in PeriodIn().fields and value}
    try:
        data = load(PeriodIn(), given)
        with transaction() as s:
            report = service.compliance(s, **data, reason="", actor=actor(), now=now())
            return render_template("reports/_preview.html", report=report, **_first_rows(s, report))
    except Invalid as error:
        return render_template("reports/_preview.html", report=None, fields=error.fields, problem=""), 422
    except RuleBroken as error:
        problem = t(error.code, **error.params)
        return render_template("reports/_preview.html", report=None, fields={}, problem=problem), 422


PREVIEWED = ("col.start_at", "col.plate", "col.holder", "col.start_place", "col.end_place", "col.order", "col.slip",
             "col.part_km", "col.kind", "col.clues")  # fmt: skip


def _first_rows(session: Session, report: service.Report) -> dict[str, Any]:
    words = files.page_words()
    columns = [column for column in tables.TRIPS if column.text in PREVIEWED]
    ids = [part.id for part in report.parts[:PREVIEW_ROWS]]
    rows = [
        [tables.shown(column.value(line, words), column.kind) for column in columns]
        for line in queries.lines(session, part_ids=ids, clues=report.clues)
    ]
    units = service.unit_totals(report)
    return {"heads": [(words.head(column.text), column.kind) for column in columns], "rows": rows,
            "distance_m": sum(unit["distance_m"] for unit in units)}  # fmt: skip


@blueprint.post("/exports")
def export() -> Response | tuple[str, int]:
    """Return the compliance report as a download."""
    permits.require("reports.export", actor())
    try:
        data = load_form(ExportIn())
        return files.compliance(period=data["period"], org_id=data["org_id"], file_format=data["format"],
                                reason=data["reason"], lang=data["language"] or files.page_words().lang)  # fmt: skip
    except Invalid as error:
        return _page(request.form.to_dict(), error.fields), 422
    except RuleBroken as error:
        field = "reason" if error.code == "audit.reason_missing" else "start_on"
        return _page(request.form.to_dict(), {field: [t(error.code, **error.params)]}), 422


@blueprint.get("/findings/<int:finding_id>/case-file")
def case(finding_id: int) -> str:
    """Ask for the reason of an evidence file."""
    return _case_form(finding_id, {}, {})


def _case_form(finding_id: int, values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    with transaction() as s:
        finding = findings.get_finding(s, finding_id=finding_id, actor=actor())
        permits.require("reports.case", actor(), org_path=finding.org.path)
        return render_template("reports/case_form.html", finding=finding, values=values, errors=errors,
                               back=link("findings.show", finding_id=finding_id))  # fmt: skip


@blueprint.post("/findings/<int:finding_id>/case-file")
def case_file(finding_id: int) -> Response | tuple[str, int]:
    """Return the evidence file of a clue as a download."""
    try:
        return files.case(finding_id=finding_id, **load_form(ReasonIn()))
    except Invalid as error:
        return _case_form(finding_id, request.form.to_dict(), error.fields), 422
    except RuleBroken as error:
        return _case_form(finding_id, request.form.to_dict(), {"reason": [t(error.code, **error.params)]}), 422
