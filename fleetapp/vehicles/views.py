"""Pages of the registry: list, one vehicle, new, edit."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.places import queries as places
from fleetapp.vehicles import bridge, papers, queries, rules, service
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import (
    Acquired,
    Body,
    Category,
    DocumentKind,
    Energy,
    ManagementMode,
    Secrecy,
    VehicleState,
)
from fleetapp.vehicles.schemas import DocumentIn, DocumentVoidIn, StateIn, VehicleForm, VehiclePatch, VehicleQuery
from fleetapp.web.display import name
from fleetapp.web.forms import load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("vehicles", __name__, template_folder="templates")

FIELD_OF = {
    "vehicles.plate_form": "plate",
    "vehicles.plate_energy": "plate",
    "vehicles.plate_police": "plate",
    "vehicles.plate_taken": "plate",
    "vehicles.vin_form": "vin",
    "vehicles.vin_check": "vin",
    "vehicles.vin_taken": "vin",
    "vehicles.seats": "seats",
    "vehicles.range_needed": "range_km",
    "vehicles.range_odd": "range_km",
    "vehicles.terminal_form": "terminal_phone",
    "vehicles.terminal_elsewhere": "terminal_phone",
}
"""Next to which input a broken rule is shown; the rest stand above the form."""

CLEARABLE = (
    "range_km", "parking_id", "acquired_on", "made_on", "price_ex_tax", "purchase_tax", "engine_no", "displacement_ml", "tank_l", "fuel_grade",
    "battery_kwh", "colour",
)  # fmt: skip


def errors_of(error: FleetError) -> dict[str, Any]:
    """Return the messages of a failure by input."""
    if isinstance(error, Invalid):
        return error.fields
    params = dict(error.params)
    if error.code == "vehicles.not_ready":
        params["missing"] = "、".join(t(f"vehicles.document.{kind}") for kind in params["missing"].split(", "))
    return {FIELD_OF.get(error.code, ""): [t(error.code, **params)]}


def choices(values: Any, prefix: str) -> list[tuple[str, str]]:
    """Return the values of an enum with their words."""
    return [(value.value, t(f"vehicles.{prefix}.{value.value}")) for value in values]


@blueprint.get("/vehicles")
def index() -> str:
    """List vehicles with search, filters and how many are in each state."""
    permits.require("vehicles.read", actor())
    query = load_query(VehicleQuery())
    with transaction() as s:
        org_path = get_org(s, org_id=query["org_id"]).path if query["org_id"] else None
        others = {key: query[key] for key in ("q", "category", "energy")}
        in_any_state = queries.filtered(queries.visible_to(actor()), **others, org_path=org_path)
        page = paginate(
            s, queries.filtered(in_any_state, state=query["state"]), number=query["page"], size=query["size"]
        )
        return render_template(
            "vehicles/index.html", page=page, query=query, counts=queries.count_by_state(s, in_any_state),
            categories=choices(Category, "category"), energies=choices(Energy, "energy"),
            orgs=[(org.id, name(org)) for org in s.scalars(orgs_visible_to(actor()))],
        )  # fmt: skip


@blueprint.get("/vehicles/<int:vehicle_id>")
def show(vehicle_id: int) -> str:
    """Show everything about one vehicle."""
    with transaction() as s:
        return _page(s, queries.get_vehicle(s, vehicle_id=vehicle_id, actor=actor()), {})


def _page(session: Session, vehicle: Vehicle, errors: Mapping[str, Any]) -> str:
    history = queries.binding_history(session, vehicle_id=vehicle.id)
    features = [places.area_feature(vehicle.parking, name(vehicle.parking))] if vehicle.parking else []
    return render_template(
        "vehicles/show.html", vehicle=vehicle, errors=errors, values=request.form.to_dict(),
        moves=[(state.value, t(f"vehicles.state.{state.value}")) for state in VehicleState
               if state in rules.TRANSITIONS[VehicleState(vehicle.state)] & rules.BY_HAND and vehicle.state != VehicleState.DISPOSING],
        bindings=history, phones=bridge.phones(session, [binding.terminal_id for binding in history]),
        features={"type": "FeatureCollection", "features": features},
        log=queries.history(session, vehicle_id=vehicle.id), documents=queries.documents(session, vehicle_id=vehicle.id),
        document_kinds=choices(DocumentKind, "document"), today=clock.local_date(now()),
        readiness=papers.readiness(session, vehicle, now=now()) if vehicle.state == VehicleState.PREPARING else {},
    )  # fmt: skip


def _form(values: Mapping[str, Any], errors: Mapping[str, Any], vehicle_id: int | None = None) -> str:
    with transaction() as s:
        who = actor()
        orgs = [
            org for org in s.scalars(orgs_visible_to(who)) if permits.may("vehicles.register", who, org_path=org.path)
        ]
        return render_template(
            "vehicles/form.html", values=values, errors=errors, vehicle_id=vehicle_id, today=clock.local_date(now()),
            orgs=[(org.id, name(org)) for org in orgs],
            parking=[(area.id, name(area)) for area in s.scalars(places.visible_to(who))],
            categories=choices(Category, "category"), bodies=choices(Body, "body"),
            energies=choices(Energy, "energy"), secrecies=choices(Secrecy, "secrecy"), modes=choices(ManagementMode, "mode"),
            ways=choices(Acquired, "acquired"), makes=[("true", t("vehicles.domestic")), ("false", t("vehicles.imported"))],
        )  # fmt: skip


@blueprint.get("/vehicles/new")
def new() -> str:
    """Show the form of a new vehicle."""
    permits.require("vehicles.register", actor())
    return _form({}, {})


@blueprint.post("/vehicles/new")
def create() -> Response | tuple[str, int]:
    """Enter a vehicle."""
    permits.require("vehicles.register", actor())
    try:
        data = load_form(VehicleForm())
        with transaction() as s:
            vehicle = service.register(s, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(request.form.to_dict(), errors_of(error)), 422
    flash(t("vehicles.registered"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle.id))


@blueprint.get("/vehicles/<int:vehicle_id>/edit")
def edit(vehicle_id: int) -> str:
    """Show the form of a vehicle's facts."""
    with transaction() as s:
        vehicle = queries.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("vehicles.edit", actor(), org_path=vehicle.org.path, state=vehicle.state)
        values = {key: getattr(vehicle, key) for key in sorted(service.EDITABLE)}
    shown = {
        key: "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in values.items()
    }
    return _form(shown | {"version": vehicle.version}, {}, vehicle_id)


@blueprint.post("/vehicles/<int:vehicle_id>/edit")
def edit_post(vehicle_id: int) -> Response | tuple[str, int]:
    """Correct facts of a vehicle; an emptied input clears what may be empty."""
    with transaction() as s:
        vehicle = queries.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("vehicles.edit", actor(), org_path=vehicle.org.path, state=vehicle.state)
    try:
        data = load_form(VehiclePatch())
        version = data.pop("version", None)
        changes = dict.fromkeys(CLEARABLE) | data
        with transaction() as s:
            service.edit(s, vehicle_id=vehicle_id, changes=changes, version=version, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(request.form.to_dict(), errors_of(error), vehicle_id), 422
    flash(t("vehicles.edited"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle_id))


@blueprint.post("/vehicles/<int:vehicle_id>/state")
def change_state(vehicle_id: int) -> Response | tuple[str, int]:
    """Move a vehicle to another state."""
    try:
        data = load_form(StateIn())
        with transaction() as s:
            service.change_state(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _again(vehicle_id, error)
    flash(t("vehicles.state_changed"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle_id))


@blueprint.post("/vehicles/<int:vehicle_id>/terminal")
def terminal(vehicle_id: int) -> Response | tuple[str, int]:
    """Fit a terminal; an empty input takes the present one out."""
    phone = request.form.get("terminal_phone", "").strip()
    try:
        with transaction() as s:
            if phone:
                service.bind_terminal(s, vehicle_id=vehicle_id, phone=phone, actor=actor(), now=now())
            else:
                service.unbind_terminal(s, vehicle_id=vehicle_id, actor=actor(), now=now())
    except (RuleBroken, Conflict) as error:
        return _again(vehicle_id, error)
    flash(t("vehicles.terminal_changed"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle_id))


@blueprint.post("/vehicles/<int:vehicle_id>/documents")
def add_document(vehicle_id: int) -> Response | tuple[str, int]:
    """Enter a paper with its scan, or an exemption."""
    scan = request.files.get("scan")
    try:
        data = load_form(DocumentIn())
        with transaction() as s:
            papers.add(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now(),
                              scan=(scan.filename or "", scan.read()) if scan and scan.filename else None)  # fmt: skip
    except (Invalid, RuleBroken, Conflict) as error:
        return _again(vehicle_id, error)
    flash(t("vehicles.document_added"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle_id))


@blueprint.post("/vehicles/<int:vehicle_id>/documents/<int:document_id>/void")
def void_document(vehicle_id: int, document_id: int) -> Response | tuple[str, int]:
    """Make a wrong paper void."""
    try:
        data = load_form(DocumentVoidIn())
        with transaction() as s:
            papers.void(s, vehicle_id=vehicle_id, document_id=document_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _again(vehicle_id, error)
    flash(t("vehicles.document_voided"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle_id))


def _again(vehicle_id: int, error: FleetError) -> tuple[str, int]:
    with transaction() as s:
        return _page(s, queries.get_vehicle(s, vehicle_id=vehicle_id, actor=actor()), errors_of(error)), 422
