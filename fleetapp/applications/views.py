"""The application form with its live answer, and trips taken again."""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.applications import answers, fill, queries, rules, service
from fleetapp.applications.schemas import ApplicationIn, NameIn, TripQuery, WeeklyIn
from fleetapp.kit import permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, NotAllowed, RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders import rules as order_rules
from fleetapp.orders import service as order_service
from fleetapp.orders.rules import OrderKind
from fleetapp.places import queries as places
from fleetapp.places.schemas import PlaceOut, SearchQuery
from fleetapp.vehicles.rules import Body
from fleetapp.web.display import input_moment
from fleetapp.web.forms import load, load_form
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("applications", __name__, template_folder="templates")

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
    "orders.no_colleague": "applicant_id",
    "orders.plate_unknown": "wanted_plate",
    "orders.plate_for_service": "wanted_plate",
    "applications.overlap": "overlap_reason",
    "applications.passenger_twice": "overlap_reason",
    "applications.series_days": "weekdays",
    "applications.series_empty": "until",
    "applications.series_long": "until",
}
"""Where the form shows what a rule said; anything else is told above it."""


@blueprint.get("/orders/new")
def new() -> str:
    """Show the form: empty, or filled from a favourite, or from an order that is taken again."""
    _require()
    with transaction() as s:
        values, rows = _start(s)
        if favourite_id := request.args.get("favourite", type=int):
            kept = queries.get_favourite(s, favourite_id=favourite_id, actor=actor())
            values, rows = _again(s, values, kept.content)
            values["favourite"] = str(favourite_id)
        elif order_id := request.args.get("order", type=int):
            order = orders.get_order(s, order_id=order_id, actor=actor())
            values, rows = _again(s, values, rules.content_of(order))
        return _form(s, values, rows, {})


@blueprint.post("/orders/new")
def create() -> Response | str | tuple[str, int]:
    """Apply; faults come back next to their fields with everything that was typed."""
    _require()
    rows = fill.stop_rows(request.form)
    values = {name: value for name, value in request.form.items() if not name.startswith("stop_")}
    if {"add_stop", "ask"} & values.keys():
        with transaction() as s:
            return _form(s, values, [*rows, *([{}] if "add_stop" in values else [])][: order_rules.MOST_STOPS + 1], {})
    try:
        with transaction() as s:
            given = {**fill.given(request.form), "stops": [_located(s, n, row) for n, row in enumerate(rows)]}
            weekly = bool(values.get("weekly"))
            data = load(WeeklyIn() if weekly else ApplicationIn(), given)
            step = service.apply_weekly if weekly else service.apply
            made = step(s, **data, actor=actor(), now=now())
            if favourite_id := request.form.get("favourite", type=int):
                service.use_favourite(s, favourite_id=favourite_id, actor=actor(), now=now())
            order = made[0] if isinstance(made, list) else made
            done = t("applications.series_done", count=len(made)) if isinstance(made, list) else ""
            flash(done or t("orders.submitted_done", number=order.number))
            order_id = order.id
    except Invalid as error:
        errors = dict(error.fields)
        if "series" in errors and isinstance(errors["series"], list):
            errors["series"] = [
                t(
                    "applications.series_day",
                    on=each["on"],
                    why=t(each["code"], **{k: v for k, v in each.items() if k not in {"on", "code"}}),
                )
                for each in errors["series"]
            ]
    except (RuleBroken, Conflict) as error:
        errors = {FIELD_OF.get(error.code, "form"): [t(error.code, **error.params)]}
    else:
        return redirect(url_for("orders.show", order_id=order_id))
    with transaction() as s:
        return _form(s, values, rows, errors), 422


@blueprint.get("/orders/answer")
def answer() -> str:
    """Return the answer to a form that is still being filled, as a fragment."""
    _require()
    with transaction() as s:
        return render_template("applications/answer.html", **_answer(s, fill.query(request.args)))


@blueprint.get("/orders/places")
def search() -> Response:
    """Return matching places as JSON; those named lately and those of the own district come first among equals."""
    _require()
    query = load(SearchQuery(), request.args.to_dict())
    with transaction() as s:
        lately = [place["name"] for place in orders.recent_stops(s, actor=actor(), limit=30)]
        adcode = queries.adcode_of(s, actor=actor())
        found = places.search(s, query["q"], query["limit"], first=lately, adcode=adcode)
        return jsonify(PlaceOut(many=True).dump(found))


@blueprint.get("/orders/favourites")
def favourites() -> str:
    """List one's favourite trips to rename and forget them."""
    _require()
    with transaction() as s:
        return render_template(
            "applications/favourites.html", favourites=queries.favourites(s, actor=actor()), errors={}
        )


@blueprint.post("/orders/<int:order_id>/favourite")
def save(order_id: int) -> Response:
    """Keep the trip of an order as a favourite."""
    try:
        name = load_form(NameIn())["name"]
        with transaction() as s:
            order = orders.get_order(s, order_id=order_id, actor=actor())
            service.save_favourite(s, name=name, content=rules.content_of(order), actor=actor(), now=now())
        flash(t("applications.favourite_saved", name=name))
    except (Invalid, RuleBroken) as error:
        flash(
            t(error.code, **error.params) if isinstance(error, RuleBroken) else t("applications.name_needed"), "danger"
        )
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.post("/orders/favourites/<int:favourite_id>/rename")
def rename(favourite_id: int) -> Response | tuple[str, int]:
    """Give a favourite another name."""
    try:
        with transaction() as s:
            service.rename_favourite(s, favourite_id=favourite_id, **load_form(NameIn()), actor=actor(), now=now())
    except (Invalid, Conflict) as error:
        message = t(error.code, **error.params) if isinstance(error, Conflict) else t("applications.name_needed")
        with transaction() as s:
            rows = queries.favourites(s, actor=actor())
            return render_template("applications/favourites.html", favourites=rows, errors={favourite_id: message}), 422
    return redirect(url_for("applications.favourites"))


@blueprint.post("/orders/favourites/<int:favourite_id>/delete")
def delete(favourite_id: int) -> Response:
    """Forget a favourite."""
    with transaction() as s:
        service.delete_favourite(s, favourite_id=favourite_id, actor=actor(), now=now())
    return redirect(url_for("applications.favourites"))


def _require() -> None:
    if not (permits.may("orders.create", actor()) or permits.may("orders.create_service", actor())):
        raise NotAllowed("kit.not_allowed", action="orders.create")


def _start(s: Session) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return an empty form: soon, for oneself, a round trip that others may join."""
    lead = order_service.limits(s, now=now(), org_path=actor().org_path).lead_time
    start = fill.half_hour(now() + lead)
    user = accounts.get_user(s, user_id=actor().user_id or 0, actor=actor())
    kind = OrderKind.ORDINARY if permits.may("orders.create", actor()) else OrderKind.SERVICE
    values = {
        "kind": kind.value, "body": "sedan", "passenger_count": "1" if kind is OrderKind.ORDINARY else "0",
        "contact": user.phone or "", "start_at": input_moment(start), "end_at": input_moment(start + timedelta(hours=3)),
        "request_key": secrets.token_urlsafe(12), "pooling_ok": "true",
    }  # fmt: skip
    return values, [{}, {}]


def _again(
    s: Session, values: dict[str, str], content: Mapping[str, Any]
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return a form filled with a trip taken again on the next working day."""
    window = rules.next_window(content, next_workday=lambda on: queries.next_workday(s, on), now=now())
    return fill.again(values, content, window)


def _form(s: Session, values: dict[str, str], rows: list[dict[str, str]], errors: dict[str, Any]) -> str:
    by_kind = {kind.value: allowed for kind, allowed in order_rules.PURPOSES.items()}
    purposes = [
        (purpose, " ".join(k for k, allowed in by_kind.items() if purpose in allowed))
        for purpose in order_rules.Purpose
    ]
    kinds = [kind for kind in OrderKind if permits.may(fill.permission(kind), actor())]
    colleagues = [
        (user.id, user) for user in accounts.colleagues(s, actor=actor()) if user.id != actor().user_id
    ] if permits.may("orders.file_for", actor()) else []  # fmt: skip
    ticked = request.form.getlist("weekdays") if request.method == "POST" else []
    return render_template(
        "applications/new.html", values=values, errors=errors, rows=[*rows, {}, {}][: max(2, len(rows))], purposes=purposes,
        kinds=kinds, bodies=[body for body in Body if body is not Body.SPECIAL], most_stops=order_rules.MOST_STOPS,
        recent=orders.recent_stops(s, actor=actor()), colleagues=colleagues, ticked=ticked, filled=bool(request.args.get("favourite") or request.args.get("order")),
        favourites=queries.favourites(s, actor=actor()), trips=queries.recent(s, actor=actor()),
        occasions=[(one.id, f"{one.number} {one.name}") for one in orders.occasions_open(s, actor=actor(), at=now())],
        **_answer(s, fill.query_of_form(values, rows)),
    )  # fmt: skip


def _answer(s: Session, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what the answer's template wants; while the form cannot be read yet, nothing is answered."""
    try:
        trip = answers.trip_of(load(TripQuery(), asked))
        return {"answer": answers.answer(s, trip=trip, actor=actor(), now=now()) if trip else None, "trip": trip}
    except Invalid:
        return {"answer": None, "trip": None}
    except FleetError as error:
        return {"answer": None, "trip": None, "trouble": t(error.code, **error.params)}


def _located(s: Session, position: int, row: dict[str, str]) -> dict[str, str]:
    """Return the row with coordinates: its own, else those of the place that bears exactly this name."""
    if "name" not in row or "lat" in row or "lon" in row:
        return row
    wanted = row["name"].casefold()
    for place in places.search(s, row["name"], 20):
        if wanted in {place.name_zh.casefold(), place.name_en.casefold()}:
            return {**row, "lat": str(place.lat), "lon": str(place.lon)}
    raise Invalid(fields={"stops": {position: {"name": [t("orders.place_unknown", name=row["name"])]}}})
