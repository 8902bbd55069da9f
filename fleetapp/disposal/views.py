"""Pages of disposal: the list with tabs by state, the request, one case with its next steps."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.disposal import queries, rules, service
from fleetapp.disposal.models import DisposalCase
from fleetapp.disposal.rules import DisposalAction, Mode
from fleetapp.disposal.schemas import (
    AppraisalIn,
    ApprovalIn,
    CaseIn,
    CaseQuery,
    DealIn,
    DeregistrationIn,
    EmptyIn,
    NoteIn,
    RemittanceIn,
)
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("disposal", __name__, template_folder="templates")

STEPS: Mapping[str, tuple[Any, Any]] = {
    "withdraw": (NoteIn, service.withdraw),
    "appraise": (AppraisalIn, service.appraise),
    "approve": (ApprovalIn, partial(service.decide, approve=True)),
    "reject": (NoteIn, partial(service.decide, approve=False)),
    "deal": (DealIn, service.deal),
    "hand_over": (EmptyIn, service.hand_over),
    "remit": (RemittanceIn, service.remit),
    "deregister": (DeregistrationIn, service.deregister),
    "archive": (EmptyIn, service.archive),
}
"""Form and function by the name of the action."""


@blueprint.get("/disposal")
def index() -> str:
    """List cases with tabs by state."""
    permits.require("disposal.read", actor())
    query = load_query(CaseQuery())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), q=query["q"])
        page = paginate(s, queries.filtered(rows, state=query["state"]), number=query["page"], size=query["size"])
        return render_template("disposal/index.html", page=page, query=query, counts=queries.count_by_state(s, rows))


def _form(values: Mapping[str, Any], errors: Mapping[str, Any], vehicle_id: int) -> str:
    permits.require("disposal.ask", actor())
    with transaction() as s:
        vehicle = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("disposal.ask", actor(), org_path=vehicle.org.path, state="REQUESTED")
        others = s.scalars(orgs_visible_to(actor()).where(Organisation.id != vehicle.org_id)).all()
        return render_template(
            "disposal/form.html", values=values, errors=errors, vehicle=vehicle, orgs=[(org.id, name(org)) for org in others],
            modes=[(mode.value, t(f"disposal.mode.{mode.value}")) for mode in Mode],
        )  # fmt: skip


@blueprint.get("/disposal/new/<int:vehicle_id>")
def new(vehicle_id: int) -> str:
    """Show the form of a request."""
    return _form({}, {}, vehicle_id)


@blueprint.post("/disposal/new/<int:vehicle_id>")
def ask(vehicle_id: int) -> Response | tuple[str, int]:
    """Ask for a vehicle's disposal."""
    try:
        data = load_form(CaseIn())
        with transaction() as s:
            made = service.ask(s, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _form(request.form.to_dict(), errors_of(error), vehicle_id), 422
    flash(t("disposal.asked"))
    return redirect(url_for("disposal.show", case_id=made.id))


def _actions(case: DisposalCase) -> list[str]:
    """Return the steps this person may take now, in their order."""
    where = {"org_path": case.org.path, "owner_id": case.applicant_id, "state": case.state}
    found = []
    for state, action in rules.TRANSITIONS:
        sale = action in {DisposalAction.DEAL, DisposalAction.HAND_OVER}
        fits = not sale or (action is DisposalAction.HAND_OVER) == (case.mode == Mode.TRANSFER)
        if state == case.state and fits and permits.may(service.PERMIT[action], actor(), **where):  # type: ignore[arg-type]
            found.append(action.value)
    return found


def _page(case_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("disposal.read", actor())
    with transaction() as s:
        case = queries.get_case(s, case_id=case_id, actor=actor())
        return render_template(
            "disposal/show.html", case=case, events=queries.events(s, case_id=case.id), actions=_actions(case), errors=errors,
            values=request.form.to_dict(), today=clock.local_date(now()),
        )  # fmt: skip


@blueprint.get("/disposal/<int:case_id>")
def show(case_id: int) -> str:
    """Show one case."""
    return _page(case_id, {})


@blueprint.post(
    "/disposal/<int:case_id>/<any(withdraw, appraise, approve, reject, deal, hand_over, remit, deregister, archive):action>"
)
def step(case_id: int, action: str) -> Response | tuple[str, int]:
    """Take one step of a case."""
    schema, function = STEPS[action]
    try:
        data = load_form(schema())
        with transaction() as s:
            function(s, case_id=case_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _page(case_id, errors_of(error)), 422
    flash(t("disposal.done"))
    return redirect(url_for("disposal.show", case_id=case_id))
