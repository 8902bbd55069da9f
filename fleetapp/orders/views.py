"""Pages of applicants and approvers: list, one order, inbox."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, Invalid, RuleBroken
from fleetapp.orders import desk, lists, queries, rules, service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.schemas import NoteIn, OrderQuery, ReasonIn
from fleetapp.web.display import km
from fleetapp.web.forms import load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t
from fleetapp.workdays import queries as workdays

blueprint = Blueprint("orders", __name__, template_folder="templates")


@dataclass(frozen=True, slots=True)
class Panel:
    """A card of the order's page that another slice serves at ``endpoint`` (by ``order_id``), loaded after the page.

    It is left out for whoever may not do ``action`` anywhere, and in the states of ``hidden``.
    """

    endpoint: str
    title: str
    action: str | None = None
    hidden: frozenset[rules.OrderState] = frozenset()


PANELS: list[Panel] = []
"""Filled by the wiring, in the order of the page."""

STEPS = ("SUBMITTED", "APPROVED", "DISPATCHED", "DRIVER_ACCEPTED", "CHECKED_OUT", "RETURNED", "MILEAGE_CONFIRMED",
         "SETTLED", "CLOSED")  # fmt: skip
ICONS = {
    "submit": "send", "approve": "check", "reject": "x", "withdraw": "arrow-back-up", "cancel": "x", "close": "checks",
    "resubmit": "send", "pass": "check", "send_back": "arrow-back-up", "lapse": "x", "outsource": "car", "confirm": "checks",
    "settle": "receipt",
    "dispatch": "car", "release": "arrow-back-up", "accept": "user-check", "check_out": "player-play",
    "arrive": "map-pin", "check_in": "parking", "no_show": "user", "hand_over": "refresh",
}  # fmt: skip
COLOURS = {"approve": "green", "close": "green", "confirm": "green", "send_back": "orange", "lapse": "red", "reject": "red", "cancel": "red", "withdraw": "secondary",
           "release": "orange", "no_show": "orange", "hand_over": "orange"}  # fmt: skip


@blueprint.get("/orders")
def index() -> str:
    """List the orders within reach, in tabs."""
    permits.require("orders.read", actor())
    query = load_query(OrderQuery())
    start = clock.day_span(query["start_on"])[0] if query["start_on"] else None
    end = clock.day_span(query["end_on"])[1] if query["end_on"] else None
    with transaction() as s:
        rows = queries.filtered(
            queries.visible_to(actor()), state=query["state"], kind=query["kind"], start=start, end=end
        )
        if query["q"]:
            rows = lists.with_text(s, rows, q=query["q"], start=start, end=end)
        counts = queries.count_by_group(s, rows) if query["q"] else lists.counts(s, rows)
        page = lists.page(s, queries.filtered(rows, group=query["group"]), number=query["page"], size=query["size"],
                          total=counts[query["group"]])  # fmt: skip
        kept = {name: value for name, value in request.args.items() if name not in {"group", "page"} and value}
        return render_template("orders/index.html", page=page, query=query, counts=counts, kept=kept, most=lists.MOST)


@blueprint.get("/orders/inbox")
def inbox() -> str:
    """Show the applications that wait for this approver."""
    return desk.inbox_page()


@blueprint.get("/orders/<int:order_id>")
def show(order_id: int) -> str:
    """Show one order with its journey, what happened, and what may be done now."""
    with transaction() as s:
        return _page(s, order_id, None)


@blueprint.post("/orders/<int:order_id>/approve")
def approve(order_id: int) -> Response | tuple[str, int]:
    """Approve."""
    with transaction() as s:
        note = load_form(NoteIn(unknown=EXCLUDE))["note"]
        order = service.approve(s, order_id=order_id, note=note, actor=actor(), now=now())
        flash(t("orders.approved_done", number=order.number))
    return _onward(order_id)


@blueprint.post("/orders/<int:order_id>/reject")
def reject(order_id: int) -> Response | tuple[str, int]:
    """Refuse with a reason."""
    return _with_reason(order_id, service.reject, "orders.rejected_done")


@blueprint.post("/orders/<int:order_id>/cancel")
def cancel(order_id: int) -> Response | tuple[str, int]:
    """Cancel an approved order that has no vehicle yet."""
    return _with_reason(order_id, service.cancel, "orders.cancelled_done")


@blueprint.post("/orders/<int:order_id>/withdraw")
def withdraw(order_id: int) -> Response:
    """Take one's application back."""
    with transaction() as s:
        order = service.withdraw(s, order_id=order_id, actor=actor(), now=now())
        flash(t("orders.withdrawn_done", number=order.number))
    return _onward(order_id)


def _with_reason(order_id: int, step: Any, done: str) -> Response | tuple[str, int]:
    """Do a step that needs a reason; without one the order's page says so."""
    try:
        reason = load_form(ReasonIn(unknown=EXCLUDE))["reason"]
        with transaction() as s:
            order = step(s, order_id=order_id, reason=reason, actor=actor(), now=now())
            flash(t(done, number=order.number))
    except (Invalid, RuleBroken) as error:
        with transaction() as s:
            return _page(s, order_id, error), 422
    return _onward(order_id)


def _onward(order_id: int) -> Response:
    """Go back to where the button was: the inbox, or the order."""
    if request.form.get("from") == "inbox":
        return redirect(url_for("orders.inbox"))
    return redirect(url_for("orders.show", order_id=order_id))


def _page(s: Session, order_id: int, error: FleetError | None) -> str:
    order = queries.get_order(s, order_id=order_id, actor=actor())
    problem = None
    if error is not None:
        problem = t("orders.reason_needed") if isinstance(error, Invalid) else t(error.code, **error.params)
    planning = current_app.view_functions
    state = "CHECKED_OUT" if order.state == rules.OrderState.EN_ROUTE else order.state
    return render_template(
        "orders/show.html", order=order, problem=problem, steps=STEPS, icons=ICONS, colours=COLOURS,
        reached=STEPS.index(state) if state in STEPS else None, features=_features(order),
        cancel_endpoint="planning.cancel" if order.state in rules.ASSIGNED else "orders.cancel",
        panels=[panel for panel in PANELS if order.state not in panel.hidden], endpoints=planning, can_sign=desk.sign_case(s, order), is_own=actor().user_id in {order.applicant_id, order.filed_by_id}, **_facts(s, order),
    )  # fmt: skip


def _facts(s: Session, order: TravelOrder) -> dict[str, Any]:
    """Return what an approver should notice: the day, the distance, their own name among the passengers."""
    return {
        "day": workdays.day_kind(s, clock.local_date(order.start_at)),
        "distance_km": km(rules.round_trip_m([(stop.lat, stop.lon) for stop in order.stops])),
        "is_passenger": permits.may("orders.approve", actor(), org_path=order.org.path)
        and rules.is_named(order.passengers, [actor().name]),
    }


def _features(order: TravelOrder) -> dict[str, Any]:
    """Return origin, stops and the beelines between them as GeoJSON, longitude first."""
    line = [[stop.lon, stop.lat] for stop in order.stops]
    points = [
        {
            "type": "Feature",
            "properties": {
                "kind": "start" if stop.position == 0 else "order",
                "label": f"{stop.position + 1} {stop.name}",
            },
            "geometry": {"type": "Point", "coordinates": [stop.lon, stop.lat]},
        }
        for stop in order.stops
    ]
    journey = {
        "type": "Feature",
        "properties": {"kind": "track"},
        "geometry": {"type": "LineString", "coordinates": line},
    }
    return {"type": "FeatureCollection", "features": [journey, *points]}
