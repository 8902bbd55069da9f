"""The driver's phone pages. Every step is a plain form, so that they work without scripts."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, flash, redirect, render_template, request, url_for
from geoalchemy2.shape import to_shape
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.attachments import queries as attachments
from fleetapp.attachments.models import Attachment
from fleetapp.duty import bridge, expenses, queries, rules, service
from fleetapp.duty.models import TripExpense
from fleetapp.duty.rules import ExpenseKind
from fleetapp.duty.schemas import ExpenseIn, ExpenseQuery, StepIn, VoidIn, as_arguments, as_filters
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, Invalid, NotFound
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import DRIVEN
from fleetapp.planning.models import Assignment
from fleetapp.web.display import field_errors
from fleetapp.web.forms import errors_of, load_form, load_query, sent_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("duty", __name__, template_folder="templates")
LOOK_BACK = timedelta(hours=12)
"""A duty that ran past midnight is still on the driver's page."""
LOOK_AHEAD = timedelta(days=6)
OPEN = frozenset(rules.NEXT)


@blueprint.get("/duty")
def today() -> str:
    """List today's duties and those of the days ahead, the open ones first."""
    permits.require("duty.read", actor())
    start, end = clock.day_span(clock.local_date(now()))
    with transaction() as s:
        found = s.scalars(queries.between(queries.visible_to(actor()), start=start - LOOK_BACK, end=end + LOOK_AHEAD))
        duties = found.unique().all()
        journeys: dict[int, list[Assignment]] = {}
        for duty in duties:
            journeys.setdefault(duty.pool_key, []).append(duty)
        return render_template(
            "duty/today.html",
            open=[rows for rows in journeys.values() if any(duty.order.state in OPEN for duty in rows)],
            done=[rows for rows in journeys.values() if all(duty.order.state in DRIVEN for duty in rows)],
        )


@blueprint.get("/duty/<int:assignment_id>")
def show(assignment_id: int) -> str:
    """Show one duty with the next step."""
    return _page(assignment_id, {}, None)


def _page(
    assignment_id: int, errors: dict[str, Any], problem: str | None, *, paid: dict[str, Any] | None = None
) -> str:
    """Return a duty's page; ``paid`` are the faults of an expense that was not taken, by input."""
    permits.require("duty.read", actor())
    with transaction() as s:
        duty = queries.get_duty(s, assignment_id=assignment_id, actor=actor())
        journey = queries.journey_of(s, duty=duty, actor=actor())
        stops = [
            {"name": turn.stop.name, "place": turn.place, "href": navigation(turn.stop.name, to_shape(turn.stop.point).centroid),
             "number": turn.order_number, "planned_at": turn.planned_at}
            for turn in journey.turns
        ]  # fmt: skip
        found = queries.expenses_of(s, assignment_ids=[duty.id])[duty.id]
        return render_template(
            "duty/show.html", duty=duty, journey=journey, events=journey.events, stops=stops, arrived=journey.arrived,
            errors=errors, problem=problem, steps=journey.steps,
            expenses=found, receipts=_receipts(s, found), kinds=list(ExpenseKind), may_pay=duty.order.state in rules.EXPENSES_OPEN,
            paid_errors=paid or {}, paid_problem=field_errors(paid.get("", [])) if paid else "",
            paid_key=request.form.get("idempotency_key") if paid else str(uuid.uuid4()),
            key=request.form.get("idempotency_key") if problem else str(uuid.uuid4()), values=request.form,
        )  # fmt: skip


def navigation(name: str, point: Any) -> str:
    """Return the address that opens the map app of a Chinese phone on a WGS-84 point."""
    lat, lon = bridge.map_app_point(point.y, point.x)
    return f"https://uri.amap.com/navigation?to={lon},{lat},{quote(name)}&mode=car&coordinate=gaode&callnative=1"


@blueprint.post("/duty/<int:assignment_id>")
def step(assignment_id: int) -> Response | tuple[str, int]:
    """Take a step; on a mistake show the same page with what to correct."""
    try:
        data = as_arguments(load_form(StepIn()))
        with transaction() as s:
            service.report(s, assignment_id=assignment_id, **data, actor=actor(), now=now())
    except NotFound:
        raise
    except Invalid as error:
        return _page(assignment_id, error.fields, t("kit.invalid")), 422
    except FleetError as error:
        return _page(assignment_id, {}, t(error.code, **error.params)), 422
    return redirect(url_for("duty.show", assignment_id=assignment_id))


FIELD_OF = {
    "duty.expense_amount": "amount", "duty.expense_too_much": "amount", "duty.time_ahead": "at", "duty.expense_early": "at",
}  # fmt: skip
"""Next to which input of an expense a broken rule stands."""


@blueprint.post("/duty/<int:assignment_id>/expenses")
def pay(assignment_id: int) -> Response | tuple[str, int]:
    """Add an expense; on a mistake show the same page with what to correct."""
    try:
        data = load_form(ExpenseIn())
        with transaction() as s:
            expenses.add(s, assignment_id=assignment_id, **data, photo=sent_file("photo"), actor=actor(), now=now())
    except NotFound:
        raise
    except FleetError as error:
        return _page(assignment_id, {}, None, paid=errors_of(error, FIELD_OF)), 422
    flash(t("duty.expense_saved"))
    return redirect(url_for("duty.show", assignment_id=assignment_id, _anchor="paid"))


@blueprint.post("/duty/<int:assignment_id>/expenses/<int:expense_id>/void")
def void_expense(assignment_id: int, expense_id: int) -> Response:
    """Make an expense void."""
    with transaction() as s:
        expenses.void(s, expense_id=expense_id, **load_form(VoidIn()), actor=actor(), now=now())
    flash(t("duty.voided_done"))
    return redirect(url_for("duty.show", assignment_id=assignment_id, _anchor="paid"))


@blueprint.get("/expenses")
def all_expenses() -> str:
    """List what drivers paid, for those who watch over it."""
    permits.require("duty.expenses", actor())
    query = load_query(ExpenseQuery())
    with transaction() as s:
        rows = queries.expenses_filtered(queries.expenses_visible_to(actor()), **as_filters(query))
        page = paginate(s, rows, number=query["page"], size=query["size"])
        order_ids = {one.assignment.order_id for one in page.items}
        return render_template(
            "duty/expenses.html", page=page, query=query, kinds=list(ExpenseKind), receipts=_receipts(s, list(page.items)),
            readable=orders.readable(s, order_ids=order_ids, actor=actor()),
        )  # fmt: skip


def _receipts(s: Session, found: list[TripExpense]) -> dict[int, list[Attachment]]:
    """Return the photographs of some expenses that the actor may open."""
    receipts: dict[int, list[Attachment]] = {one.id: [] for one in found}
    for file in attachments.of(s, subject_type="trip_expense", subject_ids=list(receipts), actor=actor()):
        receipts[file.subject_id].append(file)
    return receipts
