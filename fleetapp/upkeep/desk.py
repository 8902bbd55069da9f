"""Pages of work orders, from a driver's report to the acceptance, and of accidents and violations."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Blueprint, render_template, request, url_for
from sqlalchemy.orm import Session

from fleetapp.drivers import queries as drivers
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries as policies
from fleetapp.upkeep import ledger, queries, rules, service
from fleetapp.upkeep.forms import Answer, choices, submitted, uploads
from fleetapp.upkeep.models import WorkOrder
from fleetapp.upkeep.rules import (
    IncidentKind,
    IncidentState,
    Item,
    Liability,
    LineKind,
    SupplierKind,
    WorkAction,
    WorkKind,
    WorkState,
)
from fleetapp.upkeep.schemas import (
    ClosingIn,
    EmptyIn,
    IncidentIn,
    IncidentQuery,
    LineIn,
    NoteIn,
    QuoteIn,
    ReportIn,
    StartForm,
    SubmitIn,
    WorkQuery,
)
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.display import name
from fleetapp.web.forms import load_query
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("work", __name__, template_folder="templates")

STEPS: Mapping[str, tuple[Any, Any]] = {
    "submit": (SubmitIn, service.submit),
    "approve": (NoteIn, partial(service.decide, approve=True)),
    "reject": (NoteIn, partial(service.decide, approve=False)),
    "cancel": (NoteIn, service.cancel),
    "start": (StartForm, service.start),
    "finish": (EmptyIn, service.finish),
    "rework": (NoteIn, service.rework),
    "allow_excess": (NoteIn, service.allow_excess),
    "accept": (NoteIn, service.accept),
}
"""Form and function by the name of the action."""


@blueprint.get("/upkeep/orders")
def index() -> str:
    """List work orders with tabs by state."""
    permits.require("upkeep.read", actor())
    query = load_query(WorkQuery())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), q=query["q"])
        page = paginate(s, queries.filtered(rows, state=query["state"]), number=query["page"], size=query["size"])
        return render_template("upkeep/orders.html", page=page, query=query, counts=queries.count_by_state(s, rows))


def _report(errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.report", actor())
    values = request.args.to_dict() | request.form.to_dict()
    with transaction() as s:
        cars = [(car.id, f"{car.plate} · {car.model}") for car in s.scalars(queries.reportable(actor()))]
    return render_template(
        "upkeep/report.html", cars=cars, values=values, errors=errors, kinds=choices(WorkKind, "upkeep.kind"),
        items=choices(Item, "upkeep.item"), ticked=request.form.getlist("items") or request.args.getlist("items"),
        simple=not permits.may("upkeep.run", actor()),
    )  # fmt: skip


@blueprint.get("/upkeep/orders/new")
def new() -> str:
    """Show the form of a report."""
    return _report({})


@blueprint.post("/upkeep/orders/new")
def report() -> Answer:
    """Report a fault or ask for maintenance."""
    return submitted(
        ReportIn(), lambda s, data: service.report(s, **data, photos=uploads("photos"), actor=actor(), now=now()), _report,
        "upkeep.reported", lambda made: url_for("work.show", order_id=made.id),
    )  # fmt: skip


def _actions(order: WorkOrder, who: Actor) -> list[str]:
    """Return the steps this person may take now, in their order."""
    found = []
    for state, action in rules.TRANSITIONS:
        decides = action in service.DECISIONS
        owner = order.quoted_by if decides and who.user_id == order.quoted_by else order.requester_id
        fits = state == order.state and permits.may(
            "upkeep.approve" if decides else "upkeep.run",
            who,
            org_path=order.org.path,
            owner_id=owner,
            state=order.state,
        )
        waits = (action is WorkAction.ALLOW_EXCESS and not _exceeds(order)) or (
            action is WorkAction.ACCEPT and _exceeds(order)
        )
        if fits and not waits:
            found.append(action.value)
    return found


def _exceeds(order: WorkOrder) -> bool:
    if order.final_cost is None or order.approved_limit is None or order.over_share is None:
        return False
    return order.excess_by is None and order.final_cost > rules.allowed_cost(order.approved_limit, order.over_share)


def _page(order_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.read", actor())
    who, today = actor(), clock.local_date(now())
    with transaction() as s:
        order = queries.get_order(s, order_id=order_id, actor=who)
        runs = permits.may("upkeep.run", who, org_path=order.org.path, state=order.state)
        asked = {quote.supplier_id for quote in order.quotes}
        days = int(policies.value(s, "upkeep.repeat_days", today, order.org.path))
        return render_template(
            "upkeep/order.html", order=order, events=queries.events(s, order_id=order.id), actions=_actions(order, who), errors=errors,
            values=request.form.to_dict(), may_quote=runs and order.state == WorkState.REPORTED,
            may_add=runs and order.state == WorkState.IN_WORK, least=int(policies.value(s, "upkeep.quotes_min", today, order.org.path)),
            suppliers=[(one.id, one.name) for one in s.scalars(queries.suppliers(who, kind=SupplierKind.REPAIR, on=today))
                       if one.id not in asked] if runs else [],
            line_kinds=choices(LineKind, "upkeep.line"), files=queries.files(s, subject="work_order", row_id=order.id, actor=who),
            downtime_h=queries.downtime_h(order, now=now()), exceeds=_exceeds(order), days=days,
            most=rules.allowed_cost(order.approved_limit, order.over_share) if order.approved_limit is not None and order.over_share is not None
            else None, repeated=queries.same_lately(s, order, days=days),
        )  # fmt: skip


@blueprint.get("/upkeep/orders/<int:order_id>")
def show(order_id: int) -> str:
    """Show one work order."""
    return _page(order_id, {})


def _taken(order_id: int, schema: Any, function: Any, **more: Any) -> Answer:
    def act(s: Session, data: dict[str, Any]) -> None:
        function(s, order_id=order_id, **data, **more, actor=actor(), now=now())

    return submitted(schema, act, lambda errors: _page(order_id, errors), "upkeep.done",
                     lambda _: url_for("work.show", order_id=order_id))  # fmt: skip


@blueprint.post(
    "/upkeep/orders/<int:order_id>/<any(submit, approve, reject, cancel, start, finish, rework, allow_excess, accept):action>"
)
def step(order_id: int, action: str) -> Answer:
    """Take one step of a work order."""
    schema, function = STEPS[action]
    return _taken(order_id, schema(), function)


@blueprint.post("/upkeep/orders/<int:order_id>/quotes")
def add_quote(order_id: int) -> Answer:
    """Enter a quote."""
    return _taken(order_id, QuoteIn(), service.add_quote, file=next(iter(uploads("file")), None))


@blueprint.post("/upkeep/orders/<int:order_id>/lines")
def add_line(order_id: int) -> Answer:
    """Enter labour, a part or a tyre."""
    return _taken(order_id, LineIn(), service.add_line)


# ---- accidents and violations -------------------------------------------------------------------------------------------


@blueprint.get("/upkeep/incidents")
def incidents() -> str:
    """List accidents and violations with tabs by state."""
    permits.require("upkeep.overview", actor())
    query = load_query(IncidentQuery())
    with transaction() as s:
        page = paginate(
            s, queries.incidents(actor(), state=query["state"], q=query["q"]), number=query["page"], size=query["size"]
        )
        return render_template(
            "upkeep/incidents.html", page=page, query=query, states=[state.value for state in IncidentState]
        )


def _incident_form(errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.record", actor())
    with transaction() as s:
        cars = [(car.id, f"{car.plate} · {car.model}") for car in s.scalars(vehicles.visible_to(actor()))
                if permits.may("upkeep.record", actor(), org_path=car.org.path)]  # fmt: skip
        people = [(one.id, name(one.user)) for one in s.scalars(drivers.visible_to(actor()))]
    return render_template(
        "upkeep/incident_form.html", cars=cars, people=people, values=request.args.to_dict() | request.form.to_dict(), errors=errors,
        kinds=choices(IncidentKind, "upkeep.incident"), liabilities=choices(Liability, "upkeep.liability"),
    )  # fmt: skip


@blueprint.get("/upkeep/incidents/new")
def new_incident() -> str:
    """Show the form of an accident or violation."""
    return _incident_form({})


@blueprint.post("/upkeep/incidents/new")
def open_incident() -> Answer:
    """Enter an accident or a violation."""
    return submitted(
        IncidentIn(), lambda s, data: ledger.open_incident(s, **data, scans=uploads("scans"), actor=actor(), now=now()), _incident_form,
        "upkeep.incident_added", lambda made: url_for("work.incident", incident_id=made.id),
    )  # fmt: skip


def _incident(incident_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("upkeep.overview", actor())
    with transaction() as s:
        found = queries.get_incident(s, incident_id=incident_id, actor=actor())
        files = queries.files(s, subject="vehicle_incident", row_id=found.id, actor=actor())
        person = drivers.find_driver(s, driver_id=found.driver_id) if found.driver_id else None
        return render_template("upkeep/incident.html", one=found, person=person.user if person else None, files=files, errors=errors,
                               values=request.form.to_dict(), liabilities=[one for one in choices(Liability, "upkeep.liability") if one[0] != "pending"])  # fmt: skip


@blueprint.get("/upkeep/incidents/<int:incident_id>")
def incident(incident_id: int) -> str:
    """Show one accident or violation."""
    return _incident(incident_id, {})


@blueprint.post("/upkeep/incidents/<int:incident_id>/close")
def close_incident(incident_id: int) -> Answer:
    """Note how an incident was handled."""
    return submitted(
        ClosingIn(), lambda s, data: ledger.close_incident(s, incident_id=incident_id, **data, actor=actor(), now=now()),
        lambda errors: _incident(incident_id, errors), "upkeep.closed", lambda _: url_for("work.incident", incident_id=incident_id),
    )  # fmt: skip
