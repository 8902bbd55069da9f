"""Pages of applicants and approvers: list, form, one order, inbox."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from sqlalchemy.orm import Session
from werkzeug import Response
from werkzeug.datastructures import MultiDict

from fleetapp.accounts import queries as accounts
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.orders import desk, queries, rules, service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.schemas import NoteIn, OrderIn, OrderQuery, ReasonIn
from fleetapp.places import queries as places
from fleetapp.vehicles.rules import Body
from fleetapp.web.display import input_moment, km
from fleetapp.web.forms import load, load_form
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
    "arrive": "map-pin", "check_in": "parking", "no_show": "user",
}  # fmt: skip
COLOURS = {"approve": "green", "close": "green", "confirm": "green", "send_back": "orange", "lapse": "red", "reject": "red", "cancel": "red", "withdraw": "secondary",
           "release": "orange", "no_show": "orange"}  # fmt: skip
FIELD_OF = {
    "orders.purpose_not_for_kind": "purpose",
    "orders.window_reversed": "end_at",
    "orders.window_too_long": "end_at",
    "orders.too_far_ahead": "start_at",
    "orders.in_the_past": "start_at",
    "orders.too_short_notice": "start_at",
    "orders.not_supplementary": "supplementary",
    "orders.supplementary_too_late": "supplementary",
    "orders.nobody": "passenger_count",
    "orders.passengers_unnamed": "passengers",
    "orders.no_destination": "stops",
    "orders.too_many_stops": "stops",
    "orders.stop_outside": "stops",
}
"""Where a form shows what a rule said; anything else is told above the form."""


@blueprint.get("/orders")
def index() -> str:
    """List the orders within reach, in tabs."""
    permits.require("orders.read", actor())
    query = load(OrderQuery(), {name: value for name, value in request.args.items() if value})
    start = clock.day_span(query["start_on"])[0] if query["start_on"] else None
    end = clock.day_span(query["end_on"])[1] if query["end_on"] else None
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), state=query["state"], kind=query["kind"], q=query["q"],
                                start=start, end=end)  # fmt: skip
        counts = queries.count_by_group(s, rows)
        page = paginate(s, queries.filtered(rows, group=query["group"]), number=query["page"], size=query["size"])
        kept = {name: value for name, value in request.args.items() if name not in {"group", "page"} and value}
        return render_template("orders/index.html", page=page, query=query, counts=counts, kept=kept)


@blueprint.get("/orders/inbox")
def inbox() -> str:
    """Show the applications that wait for this approver."""
    return desk.inbox_page()


@blueprint.get("/orders/new")
def new() -> str:
    """Show the application form."""
    permits.require("orders.create", actor())
    with transaction() as s:
        start = _half_hour(now() + service.limits(s, now=now(), org_path=actor().org_path).lead_time)
        user = accounts.get_user(s, user_id=actor().user_id or 0, actor=actor())
        values = {
            "kind": "ordinary", "body": "sedan", "passenger_count": "1", "contact": user.phone or "",
            "start_at": input_moment(start), "end_at": input_moment(start + timedelta(hours=3)),
            "request_key": secrets.token_urlsafe(12),
        }  # fmt: skip
        return _form(s, values, [{}, {}], {})


@blueprint.post("/orders/new")
def create() -> Response | str | tuple[str, int]:
    """Apply; faults come back next to their fields with everything that was typed."""
    permits.require("orders.create", actor())
    rows = _stop_rows(request.form)
    values = {name: value for name, value in request.form.items() if not name.startswith("stop_")}
    if "add_stop" in values:
        with transaction() as s:
            return _form(s, values, [*rows, {}][: rules.MOST_STOPS + 1], {})
    try:
        with transaction() as s:
            given = {name: value for name, value in values.items() if value and name != "csrf_token"}
            data = load(
                OrderIn(), {**given, "stops": [_located(s, position, row) for position, row in enumerate(rows)]}
            )
            order = service.submit(s, **data, actor=actor(), now=now())
            order_id, number = order.id, order.number
    except Invalid as error:
        errors = error.fields
    except RuleBroken as error:
        errors = {FIELD_OF.get(error.code, "form"): [t(error.code, **error.params)]}
    else:
        flash(t("orders.submitted_done", number=number))
        return redirect(url_for("orders.show", order_id=order_id))
    with transaction() as s:
        return _form(s, values, rows, errors), 422


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


@blueprint.post("/orders/<int:order_id>/confirm")
def confirm(order_id: int) -> Response:
    """Confirm a finished journey."""
    with transaction() as s:
        order = service.confirm(s, order_id=order_id, actor=actor(), now=now())
        flash(t("orders.confirmed_done", number=order.number))
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


def _form(s: Session, values: dict[str, str], rows: list[dict[str, str]], errors: dict[str, Any]) -> str:
    purposes = [
        (purpose, " ".join(kind for kind, allowed in rules.PURPOSES.items() if purpose in allowed))
        for purpose in rules.Purpose
    ]
    return render_template(
        "orders/new.html", values=values, errors=errors, rows=[*rows, {}, {}][: max(2, len(rows))], purposes=purposes,
        kinds=list(rules.OrderKind), bodies=[body for body in Body if body is not Body.SPECIAL],
        most_stops=rules.MOST_STOPS, recent=queries.recent_stops(s, actor=actor()),
    )  # fmt: skip


def _stop_rows(form: MultiDict[str, str]) -> list[dict[str, str]]:
    """Return the rows of the route as typed, ``{name, lat, lon}`` without empty inputs; empty rows only as origin."""
    columns = [[text.strip() for text in form.getlist(f"stop_{name}")] for name in ("name", "lat", "lon")]
    longest = max(len(column) for column in columns)
    padded = [column + [""] * (longest - len(column)) for column in columns]
    names = ("name", "lat", "lon")
    rows = [{key: text for key, text in zip(names, row, strict=True) if text} for row in zip(*padded, strict=True)]
    return [*rows[:1], *(row for row in rows[1:] if row)]


def _located(s: Session, position: int, row: dict[str, str]) -> dict[str, str]:
    """Return the row with coordinates: its own, else those of the place that bears exactly this name."""
    if "name" not in row or "lat" in row or "lon" in row:
        return row
    wanted = row["name"].casefold()
    for place in places.search(s, row["name"], 20):
        if wanted in {place.name_zh.casefold(), place.name_en.casefold()}:
            return {**row, "lat": str(place.lat), "lon": str(place.lon)}
    raise Invalid(fields={"stops": {position: {"name": [t("orders.place_unknown", name=row["name"])]}}})


def _half_hour(at: datetime) -> datetime:
    """Return the next full half hour."""
    step = timedelta(minutes=30)
    return at + (-(at - datetime.min.replace(tzinfo=at.tzinfo)) % step)
