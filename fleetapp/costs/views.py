"""Pages of costs: units by year, the rows behind them, entries, one vehicle, whole lives."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.costs import chart, figures, files, queries, service
from fleetapp.costs.rules import OWN_KINDS, PARTS, Group, belongs
from fleetapp.costs.schemas import EntryForm, ExportIn, LifeQuery, ListQuery, PeriodQuery, ReasonIn, RowQuery, YearQuery
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import PAGE_SIZE, Page, paginate
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("costs", __name__, template_folder="templates")
YEARS_OFFERED = 6


def kinds() -> list[tuple[str, str]]:
    """Return the kinds entered by hand with their words."""
    return [(kind.value, t(f"costs.kind.{kind.value}")) for kind in OWN_KINDS]


def _units(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("costs.read", actor())
    query, today = load_query(YearQuery()), clock.local_date(now())
    year = query["year"] or today.year
    with transaction() as s:
        orgs = [
            org for org in s.scalars(orgs_visible_to(actor())) if permits.may("costs.read", actor(), org_path=org.path)
        ]
        org = get_org(s, org_id=query["org_id"]) if query["org_id"] else orgs[0]
        permits.require("costs.read", actor(), org_path=org.path)
        total, units = figures.by_unit(s, actor=actor(), year=year, org_path=org.path)
        return render_template(
            "costs/units.html", org=org, orgs=[(one.id, name(one)) for one in orgs], total=total, units=units, year=year, groups=list(Group),
            years=range(today.year, today.year - YEARS_OFFERED, -1), values=values, errors=errors,
            may_export=permits.may("costs.export", actor(), org_path=org.path),
        )  # fmt: skip


@blueprint.get("/costs")
def units() -> str:
    """Show purchase and running costs by unit."""
    return _units({}, {})


@blueprint.post("/costs")
def export() -> Response | tuple[str, int]:
    """Return the year's workbook."""
    try:
        return files.year_file(**load_form(ExportIn()))
    except Invalid as error:
        return _units(request.form.to_dict(), error.fields), 422


@blueprint.get("/costs/rows")
def rows() -> str:
    """Show every cost behind a unit's sums."""
    permits.require("costs.read", actor())
    query, today = load_query(RowQuery()), clock.local_date(now())
    year = query["year"] or today.year
    with transaction() as s:
        org = get_org(s, org_id=query["org_id"])
        permits.require("costs.read", actor(), org_path=org.path)
        inside = {one.id: name(one) for one in s.scalars(orgs_visible_to(actor())) if one.path.startswith(org.path)}
        every = queries.all_rows(s, actor=actor(), start=date(year, 1, 1), end=date(year + 1, 1, 1))
        found = [row for row in reversed(every) if row.org_id in inside and belongs(row.kind, query["part"])]
        page = Page(
            found[(query["page"] - 1) * PAGE_SIZE : query["page"] * PAGE_SIZE], query["page"], PAGE_SIZE, len(found)
        )
        return render_template(
            "costs/rows.html", page=page, org=org, year=year, query=query, names=inside, tasks=queries.task_numbers(s, page.items),
            cars={car.id: car for car in s.scalars(vehicles.visible_to(actor()))}, total=sum(row.amount for row in found),
            parts=[(part, t(f"costs.group.{part}")) for part in PARTS],
        )  # fmt: skip


@blueprint.get("/costs/entries")
def entries() -> str:
    """List what was entered by hand."""
    permits.require("costs.read", actor())
    query = load_query(ListQuery())
    with transaction() as s:
        narrow = {key: query[key] for key in ("q", "kind", "start_on", "end_on")}
        rows = queries.filtered(queries.visible_to(actor()), **narrow)
        page = paginate(s, rows, number=query["page"], size=query["size"])
        return render_template(
            "costs/entries.html", page=page, query=query, kinds=kinds(), total=queries.total(s, rows)
        )


def _vehicle(vehicle_id: int, values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("costs.read", actor())
    today = clock.local_date(now())
    start, end = figures.days_of(load_query(PeriodQuery()), today)
    with transaction() as s:
        car = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("costs.read", actor(), org_path=car.org.path)
        found = figures.of_vehicle(s, vehicle_id=car.id, actor=actor(), start=start, end=end)
        own = s.scalars(
            queries.filtered(
                queries.visible_to(actor()), vehicle_id=car.id, start_on=start, end_on=end - timedelta(days=1)
            )
        ).all()
        return render_template(
            "costs/vehicle.html", car=car, found=found, drawn=chart.drawn(found.months), life=figures.lives(s, actor=actor(), cars=[car], today=today)[0],
            own=own, tasks=queries.task_numbers(s, found.rows), start=start, last=end - timedelta(days=1), today=today, kinds=kinds(), values=values, errors=errors,
            orders=[(order.id, f"{order.number} · {clock.local_date(order.start_at)}") for order in queries.orders_of(s, vehicle_id=car.id)],
            may_enter=permits.may("costs.enter", actor(), org_path=car.org.path),
        )  # fmt: skip


@blueprint.get("/costs/vehicles/<int:vehicle_id>")
def vehicle(vehicle_id: int) -> str:
    """Show one vehicle's costs by month and over its life."""
    return _vehicle(vehicle_id, {}, {})


@blueprint.post("/costs/vehicles/<int:vehicle_id>")
def enter(vehicle_id: int) -> Response | tuple[str, int]:
    """Enter a cost."""
    scan = request.files.get("scan")
    try:
        data = load_form(EntryForm())
        with transaction() as s:
            service.enter(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now(),
                          scan=(scan.filename or "", scan.read()) if scan and scan.filename else None)  # fmt: skip
    except (Invalid, RuleBroken, Conflict) as error:
        return _vehicle(vehicle_id, request.form.to_dict(), errors_of(error)), 422
    flash(t("costs.entered"))
    return redirect(url_for("costs.vehicle", vehicle_id=vehicle_id))


@blueprint.post("/costs/entries/<int:entry_id>/void")
def void(entry_id: int) -> Response:
    """Make a wrong cost void."""
    data = load_form(ReasonIn())
    with transaction() as s:
        made = service.void(s, entry_id=entry_id, **data, actor=actor(), now=now())
    flash(t("costs.voided"))
    return redirect(url_for("costs.vehicle", vehicle_id=made.vehicle_id))


@blueprint.get("/costs/vehicles/<int:vehicle_id>/per-km")
def per_km(vehicle_id: int) -> str:
    """Return the running cost per kilometre of the last year, for pages of other slices."""
    permits.require("costs.read", actor())
    until = clock.local_date(now()) + timedelta(days=1)
    with transaction() as s:
        vehicle = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("costs.read", actor(), org_path=vehicle.org.path)
        each = queries.per_km(s, vehicle_id=vehicle_id, actor=actor(), start=until - timedelta(days=365), end=until)
    return t("costs.not_driven") if each is None else t("costs.each_km", amount=f"{each:,.2f}")


@blueprint.get("/costs/lives")
def lives() -> str:
    """Show whole-life costs by vehicle."""
    permits.require("costs.read", actor())
    query = load_query(LifeQuery())
    with transaction() as s:
        page = paginate(
            s, vehicles.filtered(vehicles.visible_to(actor()), q=query["q"]), number=query["page"], size=query["size"]
        )
        found = figures.lives(s, actor=actor(), cars=page.items, today=clock.local_date(now())) if page.items else []
        return render_template("costs/lives.html", page=Page(found, page.number, page.size, page.total), query=query)
