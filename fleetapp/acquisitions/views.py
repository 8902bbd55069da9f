"""Pages of the chain: quota matrix, indicators with their review, the board of what is on its way."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts.models import UserAccount
from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.acquisitions import purchase, queries, rules, service
from fleetapp.acquisitions.models import Indicator
from fleetapp.acquisitions.rules import IndicatorKind, ProcurementState, Step
from fleetapp.acquisitions.schemas import (
    AcceptanceIn,
    BudgetIn,
    CancelIn,
    ContractIn,
    DeliveryIn,
    IndicatorFields,
    IndicatorIn,
    IndicatorQuery,
    IndicatorStepIn,
    PurchaseIn,
    QuotaIn,
    QuotaMoveIn,
    QuotaQuery,
    RegistrationIn,
)
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.places import queries as places
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.rules import NEV, Body, Category, Energy
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("acquisitions", __name__, template_folder="templates")

FIELD_OF = {
    "acquisitions.old_vehicle_needed": "old_vehicle_id", "acquisitions.old_vehicle_odd": "old_vehicle_id",
    "acquisitions.old_vehicle_elsewhere": "old_vehicle_id", "acquisitions.old_vehicle_taken": "old_vehicle_id",
    "acquisitions.fiscal_year_range": "fiscal_year", "acquisitions.offroad": "leader_fixed",
}  # fmt: skip
STAGES = {
    "contract": (ContractIn, purchase.contract, ProcurementState.OPEN),
    "delivery": (DeliveryIn, purchase.deliver, ProcurementState.CONTRACTED),
    "acceptance": (AcceptanceIn, purchase.accept, ProcurementState.DELIVERED),
    "registration": (RegistrationIn, purchase.register, ProcurementState.ACCEPTED),
    "cancellation": (CancelIn, purchase.cancel, None),
}
"""Form, function and the state it starts from, by the last part of the address."""
BOARD = ("BUDGET", "TO_OPEN", "OPEN", "CONTRACTED", "DELIVERED", "ACCEPTED")


def choices(values: Any, prefix: str) -> list[tuple[str, str]]:
    """Return the values of an enum with their words."""
    return [(value.value, t(f"{prefix}.{value.value}")) for value in values]


# ---- quota ------------------------------------------------------------------------------------------------------------


@blueprint.get("/quota")
def matrix() -> str:
    """Show the matrix of units and classes."""
    return _matrix({}, {})


def _matrix(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("quota.read", actor())
    on = load_query(QuotaQuery())["on"] or clock.local_date(now())
    with transaction() as s:
        found = queries.matrix(s, actor=actor(), on=on)
        used = [category for category in Category if any(category.value in row for row in found.values())]
        total = {category.value: queries.Places() for category in used}
        for row in found.values():
            for code, one in row.items():
                for figure in ("quota", "in_service", "reserved", "committed"):
                    setattr(total[code], figure, getattr(total[code], figure) + getattr(one, figure))
        editable = [(org.id, name(org)) for org in s.scalars(orgs_visible_to(actor()))
                    if permits.may("quota.edit", actor(), org_path=org.path)]  # fmt: skip
        return render_template(
            "acquisitions/matrix.html", rows=found, used=used, total=total, on=on, orgs=editable, values=values, errors=errors,
            categories=choices(Category, "vehicles.category"), today=clock.local_date(now()),
        )  # fmt: skip


@blueprint.get("/quota/<int:org_id>")
def history(org_id: int) -> str:
    """Show how a unit's quota came about."""
    permits.require("quota.read", actor())
    with transaction() as s:
        org = get_org(s, org_id=org_id)
        permits.require("quota.read", actor(), org_path=org.path)
        return render_template(
            "acquisitions/history.html", org=org, entries=queries.history(s, org_id=org_id, actor=actor())
        )


@blueprint.post("/quota")
def change_quota() -> Response | tuple[str, int]:
    """Change a unit's quota, or move places between two units."""
    try:
        with transaction() as s:
            if "from_org_id" in request.form:
                service.move_quota(s, **load_form(QuotaMoveIn()), actor=actor(), now=now())
            else:
                service.change_quota(s, **load_form(QuotaIn()), actor=actor(), now=now())
    except (Invalid, RuleBroken) as error:
        return _matrix(request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("acquisitions.quota_saved"))
    return redirect(url_for("acquisitions.matrix"))


# ---- indicators ---------------------------------------------------------------------------------------------------------


@blueprint.get("/indicators")
def index() -> str:
    """List indicators with tabs by state."""
    permits.require("indicators.read", actor())
    query = load_query(IndicatorQuery())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), q=query["q"], year=query["year"])
        page = paginate(s, queries.filtered(rows, state=query["state"]), number=query["page"], size=query["size"])
        return render_template(
            "acquisitions/index.html", page=page, query=query, counts=queries.count_by_state(s, rows)
        )


def _form(values: Mapping[str, Any], errors: Mapping[str, Any], indicator_id: int | None = None) -> str:
    permits.require("indicators.apply", actor())
    year = clock.local_date(now()).year
    with transaction() as s:
        own = [
            car
            for car in s.scalars(vehicles.visible_to(actor()))
            if car.org_id == actor().org_id and car.state != "RETIRED"
        ]
        return render_template(
            "acquisitions/form.html", values=values, errors=errors, indicator_id=indicator_id, years=[(year, year), (year + 1, year + 1)],
            kinds=choices(IndicatorKind, "acquisitions.kind"), steps=choices(Step, "acquisitions.step"),
            categories=choices(Category, "vehicles.category"), bodies=choices(Body, "vehicles.body"),
            energies=choices(Energy, "vehicles.energy"), cars=[(car.id, f"{car.plate} · {car.model}") for car in own],
        )  # fmt: skip


@blueprint.get("/indicators/new")
def new() -> str:
    """Show the form of a new application."""
    return _form({key: value for key, value in request.args.items() if key in {"kind", "old_vehicle_id"}}, {})


@blueprint.post("/indicators/new")
def create() -> Response | tuple[str, int]:
    """Begin an application."""
    try:
        data = load_form(IndicatorIn())
        with transaction() as s:
            made = service.apply(s, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("acquisitions.saved"))
    return redirect(url_for("acquisitions.show", indicator_id=made.id))


@blueprint.get("/indicators/<int:indicator_id>/edit")
def edit(indicator_id: int) -> str:
    """Show the form of a draft or returned application."""
    with transaction() as s:
        found = queries.get_indicator(s, indicator_id=indicator_id, actor=actor())
        permits.require("indicators.apply", actor(), org_path=found.org.path, state=found.state)
        values = {key: getattr(found, key) for key in IndicatorFields().fields}
    return _form({key: "" if value is None else value for key, value in values.items()}, {}, indicator_id)


@blueprint.post("/indicators/<int:indicator_id>/edit")
def edit_post(indicator_id: int) -> Response | tuple[str, int]:
    """Change a draft or returned application."""
    with transaction() as s:
        found = queries.get_indicator(s, indicator_id=indicator_id, actor=actor())
        permits.require("indicators.apply", actor(), org_path=found.org.path, state=found.state)
    try:
        data = load_form(IndicatorFields())
        with transaction() as s:
            service.edit(s, indicator_id=indicator_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(request.form.to_dict(), errors_of(error, FIELD_OF), indicator_id), 422
    flash(t("acquisitions.saved"))
    return redirect(url_for("acquisitions.show", indicator_id=indicator_id))


@blueprint.get("/indicators/<int:indicator_id>")
def show(indicator_id: int) -> str:
    """Show one indicator: check list, what to weigh, steps, budget, purchase."""
    return _page(indicator_id, {})


def _page(indicator_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("indicators.read", actor())
    with transaction() as s:
        found = queries.get_indicator(s, indicator_id=indicator_id, actor=actor())
        active = next((one for one in found.procurements if one.state != ProcurementState.CANCELLED), None)
        return render_template(
            "acquisitions/show.html", indicator=found, errors=errors, values=request.form.to_dict(), purchase=active,
            checks=service.check_list(s, found, now=now()) if found.state in rules.OPEN_STATES else [],
            events=queries.events(s, indicator_id=found.id), actions=_actions(found), today=clock.local_date(now()),
            stage=next((key for key, (_, _, state) in STAGES.items() if active and state == active.state), None),
            people=_people(s), parking=[(area.id, name(area)) for area in s.scalars(places.visible_to(actor()))],
            **_evidence(s, found),
        )  # fmt: skip


def _actions(indicator: Indicator) -> list[str]:
    """Return the steps this person may take now, in their order."""
    where = {"org_path": indicator.org.path, "owner_id": indicator.applicant_id, "state": indicator.state}
    possible = [action for state, action in rules.TRANSITIONS if state == indicator.state and action in service.PERMIT]
    return [action.value for action in possible if permits.may(service.PERMIT[action], actor(), **where)]  # type: ignore[arg-type]


def _people(s: Session) -> list[tuple[int, str]]:
    """Return whom a second acceptor can be chosen from: the active accounts of the own organisation."""
    query = select(UserAccount).where(UserAccount.org_id == actor().org_id, UserAccount.closed_at.is_(None))
    return [(user.id, name(user)) for user in s.scalars(query.order_by(UserAccount.id)) if user.id != actor().user_id]


def _evidence(s: Session, indicator: Indicator) -> dict[str, Any]:
    """Return what a reviewer weighs: use and age of the old vehicle, idle ones, rental, share of new energy."""
    on = clock.local_date(now())
    figures = queries.figures(s, on=on, org_path=indicator.org.path)
    scope_path = queries.scope_above(indicator.org)
    acquired, nev = queries.acquired_in(
        s, fiscal_year=indicator.fiscal_year, scope_path=scope_path, but_for=indicator.id
    )
    is_nev = Energy(indicator.energy) in NEV
    old = indicator.old_vehicle
    use = queries.use_of(s, vehicle_ids=[old.id], since=now() - queries.YEAR, until=now())[old.id] if old else None
    rental = figures.get("rental.sedan_day_cny")
    return {
        "use": use, "old_years": rules.age_years(old.registered_on, on) if old else None,
        "refused": queries.refused_orders(s, org_id=indicator.org_id, since=now() - timedelta(days=365)),
        "rental_cny": rental.value * use.days if rental and use else None,
        "share_before": nev / acquired if acquired else None, "share_after": (nev + is_nev) / (acquired + 1),
        "idle": queries.idle_comparable(s, indicator=indicator, scope_path=scope_path, now=now(), limits=figures)[:10],
    }  # fmt: skip


@blueprint.post("/indicators/<int:indicator_id>/step")
def take_step(indicator_id: int) -> Response | tuple[str, int]:
    """Take one step of an application."""
    try:
        data = load_form(IndicatorStepIn())
        with transaction() as s:
            service.advance(s, indicator_id=indicator_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _page(indicator_id, errors_of(error, FIELD_OF)), 422
    flash(t("acquisitions.done"))
    return redirect(url_for("acquisitions.show", indicator_id=indicator_id))


@blueprint.post("/indicators/<int:indicator_id>/budget")
def budget(indicator_id: int) -> Response | tuple[str, int]:
    """Link the budget."""
    try:
        data = load_form(BudgetIn())
        with transaction() as s:
            service.add_budget(s, indicator_id=indicator_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _page(indicator_id, errors_of(error, FIELD_OF)), 422
    flash(t("acquisitions.done"))
    return redirect(url_for("acquisitions.show", indicator_id=indicator_id))


@blueprint.post("/indicators/<int:indicator_id>/purchase")
def open_purchase(indicator_id: int) -> Response | tuple[str, int]:
    """Open the purchase."""
    try:
        data = load_form(PurchaseIn())
        with transaction() as s:
            purchase.open_purchase(s, indicator_id=indicator_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _page(indicator_id, errors_of(error, FIELD_OF)), 422
    flash(t("acquisitions.done"))
    return redirect(url_for("acquisitions.show", indicator_id=indicator_id))


@blueprint.post(
    "/indicators/<int:indicator_id>/purchases/<int:procurement_id>/<any(contract, delivery, acceptance, registration, cancellation):stage>"
)
def purchase_stage(indicator_id: int, procurement_id: int, stage: str) -> Response | tuple[str, int]:
    """Take a purchase to its next stage, or give it up."""
    schema, function, _ = STAGES[stage]
    try:
        data = load_form(schema())
        with transaction() as s:
            function(s, procurement_id=procurement_id, **data, actor=actor(), now=now())  # type: ignore[operator]
    except (Invalid, RuleBroken, Conflict) as error:
        return _page(indicator_id, errors_of(error, FIELD_OF)), 422
    flash(t("acquisitions.done"))
    return redirect(url_for("acquisitions.show", indicator_id=indicator_id))


@blueprint.get("/acquisition")
def pipeline() -> str:
    """Show what is on its way, in columns by stage with the days spent there."""
    permits.require("indicators.read", actor())
    columns: dict[str, list[dict[str, Any]]] = {stage: [] for stage in BOARD}
    with transaction() as s:
        found = queries.pipeline(s, actor=actor())
        for indicator in found:
            active = next((one for one in indicator.procurements if one.state != ProcurementState.CANCELLED), None)
            stage = active.state if active else "TO_OPEN" if indicator.budget else "BUDGET"
            since = (
                active.stage_since
                if active
                else indicator.budget.created_at
                if indicator.budget
                else indicator.decided_at
            )
            columns[stage].append({"indicator": indicator, "days": (now() - (since or now())).days})
        return render_template("acquisitions/pipeline.html", columns=columns, count=len(found))
