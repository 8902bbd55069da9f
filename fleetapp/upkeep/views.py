"""Pages of what comes due, renewals, plans, suppliers, and one vehicle's upkeep."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.policies import queries as policies
from fleetapp.upkeep import due, ledger, picture, queries, rules
from fleetapp.upkeep.forms import Answer, choices, submitted, uploads
from fleetapp.upkeep.rules import DueKind, Item, SupplierKind
from fleetapp.upkeep.schemas import ContractIn, DoneIn, DueQuery, MeterForm, PlanIn, ReadingForm, SupplierIn
from fleetapp.vehicles import odometer, papers
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles import rules as vehicle_rules
from fleetapp.vehicles.rules import DocumentKind, Energy
from fleetapp.vehicles.schemas import DocumentIn
from fleetapp.web.display import name
from fleetapp.web.forms import load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

LATER_ROWS = 60
"""So many of what comes due later stand below the picture; the rest is seen month by month."""

blueprint = Blueprint("upkeep", __name__, template_folder="templates")


def _orgs(session: Session) -> Sequence[Organisation]:
    return session.scalars(orgs_visible_to(actor())).all()


def _own_orgs(session: Session, action: str) -> list[tuple[int, str]]:
    """Return the organisations where the person may do something."""
    return [(org.id, name(org)) for org in _orgs(session) if permits.may(action, actor(), org_path=org.path)]


@blueprint.get("/upkeep")
def index() -> str:
    """Show what comes due: a picture of the year, a month as a calendar, and the list, the overdue first."""
    permits.require("upkeep.overview", actor())
    query = load_query(DueQuery())
    today = clock.local_date(now())
    first = date.fromisoformat(f"{query['month']}-01") if query["month"] else None
    with transaction() as s:
        path = get_org(s, org_id=query["org_id"]).path if query["org_id"] else None
        until = rules.add_months(today.replace(day=1), picture.MONTHS)
        rows = due.listed(s, actor=actor(), now=now(), until=until, org_path=path)
        orgs = [(org.id, name(org)) for org in _orgs(s)]
    rows = [row for row in rows if not query["group"] or rules.LEADS[row.due.kind] == query["group"]]
    shown = [row for row in rows if first is None or f"{row.due.on:%Y-%m}" == query["month"]]
    near = today + timedelta(days=30)
    parts = [
        ("overdue", [row for row in shown if row.due.overdue(today)]),
        ("soon", [row for row in shown if today < row.due.on <= near]),
        ("later", [row for row in shown if row.due.on > near]),
    ]
    more = max(0, len(parts[2][1]) - LATER_ROWS) if first is None else 0
    if more:
        parts[2] = ("later", parts[2][1][:LATER_ROWS])
    return render_template(
        "upkeep/index.html", query=query, orgs=orgs, today=today, drawn=picture.bars(rows, today), parts=parts,
        weeks=picture.weeks(shown, first) if first else [], first=first, months=picture.months(today), leads=rules.LEADS,
        groups=picture.GROUPS, more=more, reminded=sum(row.reminder is not None for row in rows),
    )  # fmt: skip


# ---- renewals -----------------------------------------------------------------------------------------------------------


def _renewal(vehicle_id: int, kind: str, errors: Mapping[str, Any]) -> str:
    today = clock.local_date(now())
    with transaction() as s:
        vehicle = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("vehicles.papers", actor(), org_path=vehicle.org.path, state=vehicle.state)
        present = vehicles.latest_papers(s, vehicle_ids=[vehicle.id], kinds=[kind]).get((vehicle.id, kind))
        begins = max(present.valid_to, today) if present and present.valid_to else today
        ends = rules.add_months(begins, 12)
        if kind == DueKind.INSPECTION:
            ends = rules.next_inspection(
                vehicle.registered_on, due.body_table(s, vehicle, today), begins + timedelta(days=31)
            )
        values = {"valid_from": begins.isoformat(), "valid_to": ends.isoformat()} | request.form.to_dict()
        window = policies.value(s, "inspection.early_months", today, vehicle.org.path)
        return render_template("upkeep/renew.html", vehicle=vehicle, kind=kind, present=present, values=values, errors=errors,
                               window=int(window))  # fmt: skip


PAPER = "/upkeep/renew/<int:vehicle_id>/<any(inspection, compulsory_insurance, commercial_insurance):kind>"


@blueprint.get(PAPER)
def renew(vehicle_id: int, kind: str) -> str:
    """Show the form of the next paper, filled in as far as it is known."""
    return _renewal(vehicle_id, kind, {})


@blueprint.post(PAPER)
def renew_post(vehicle_id: int, kind: str) -> Answer:
    """Enter the next paper of a vehicle."""

    def act(s: Session, data: dict[str, Any]) -> None:
        data["kind"] = DocumentKind(kind)
        papers.add(s, vehicle_id=vehicle_id, **data, scan=next(iter(uploads("scan")), None), actor=actor(), now=now())

    return submitted(DocumentIn(), act, lambda errors: _renewal(vehicle_id, kind, errors), "upkeep.renewed",
                     lambda _: url_for("upkeep.index"))  # fmt: skip


# ---- plans and suppliers ------------------------------------------------------------------------------------------------


def _plans(errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.overview", actor())
    with transaction() as s:
        return render_template(
            "upkeep/plans.html", plans=s.scalars(queries.plans(actor())).all(), orgs=_own_orgs(s, "upkeep.plan"), errors=errors,
            values=request.form.to_dict(), items=choices(Item, "upkeep.item"), energies=choices(Energy, "vehicles.energy"),
            cars=[(car.id, car.plate) for car in s.scalars(vehicles.visible_to(actor()))],
        )  # fmt: skip


@blueprint.get("/upkeep/plans")
def plans() -> str:
    """List the maintenance plans."""
    return _plans({})


@blueprint.post("/upkeep/plans")
def add_plan() -> Answer:
    """Add a maintenance plan."""
    return submitted(PlanIn(), lambda s, data: ledger.add_plan(s, **data, actor=actor(), now=now()), _plans, "upkeep.plan_added",
                     lambda _: url_for("upkeep.plans"))  # fmt: skip


@blueprint.post("/upkeep/plans/<int:plan_id>/end")
def end_plan(plan_id: int) -> Response:
    """End a maintenance plan."""
    with transaction() as s:
        ledger.end_plan(s, plan_id=plan_id, actor=actor(), now=now())
    flash(t("upkeep.plan_ended"))
    return redirect(url_for("upkeep.plans"))


def _suppliers(errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.overview", actor())
    with transaction() as s:
        return render_template(
            "upkeep/suppliers.html", suppliers=s.scalars(queries.suppliers(actor())).all(), orgs=_own_orgs(s, "upkeep.suppliers"),
            kinds=choices(SupplierKind, "upkeep.supplier"), errors=errors, values=request.form.to_dict(), today=clock.local_date(now()),
        )  # fmt: skip


@blueprint.get("/upkeep/suppliers")
def suppliers() -> str:
    """List the designated suppliers."""
    return _suppliers({})


@blueprint.post("/upkeep/suppliers")
def add_supplier() -> Answer:
    """Designate a supplier."""
    return submitted(SupplierIn(), lambda s, data: ledger.add_supplier(s, **data, actor=actor(), now=now()), _suppliers,
                     "upkeep.supplier_added", lambda _: url_for("upkeep.suppliers"))  # fmt: skip


@blueprint.post("/upkeep/suppliers/<int:supplier_id>/contract")
def change_contract(supplier_id: int) -> Answer:
    """Move the end of a supplier's contract."""
    return submitted(
        ContractIn(), lambda s, data: ledger.end_contract(s, supplier_id=supplier_id, **data, actor=actor(), now=now()), _suppliers,
        "upkeep.contract_changed", lambda _: url_for("upkeep.suppliers"),
    )  # fmt: skip


# ---- one vehicle --------------------------------------------------------------------------------------------------------


def _file(vehicle_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.overview", actor())
    with transaction() as s:
        vehicle = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        found = queries.of_vehicle(s, vehicle_id=vehicle_id, actor=actor(), now=now())
        lifetime = vehicle_rules.lifetime_m(
            vehicle.odometer_m, [(one.end_m, one.start_m) for one in found.meter_changes]
        )
        return render_template(
            "upkeep/vehicle.html", vehicle=vehicle, found=found, lifetime_m=lifetime, errors=errors, values=request.form.to_dict(),
            items=choices(Item, "upkeep.item"), today=clock.local_date(now()), leads=rules.LEADS,
        )  # fmt: skip


@blueprint.get("/upkeep/vehicles/<int:vehicle_id>")
def vehicle(vehicle_id: int) -> str:
    """Show one vehicle's upkeep."""
    return _file(vehicle_id, {})


def _entered(vehicle_id: int, schema: Any, function: Callable[..., Any], told: str) -> Answer:
    return submitted(
        schema, lambda s, data: function(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now()), lambda errors: _file(vehicle_id, errors),
        told, lambda _: url_for("upkeep.vehicle", vehicle_id=vehicle_id),
    )  # fmt: skip


@blueprint.post("/upkeep/vehicles/<int:vehicle_id>/readings")
def add_reading(vehicle_id: int) -> Answer:
    """Enter a reading of the odometer."""
    return _entered(vehicle_id, ReadingForm(), odometer.enter, "upkeep.reading_added")


@blueprint.post("/upkeep/vehicles/<int:vehicle_id>/meter")
def change_meter(vehicle_id: int) -> Answer:
    """Enter a change of meter."""
    return _entered(vehicle_id, MeterForm(), odometer.change_meter, "upkeep.meter_changed")


@blueprint.post("/upkeep/vehicles/<int:vehicle_id>/done")
def note_done(vehicle_id: int) -> Answer:
    """Enter maintenance of former records."""
    return _entered(vehicle_id, DoneIn(), ledger.note_done, "upkeep.done_noted")
