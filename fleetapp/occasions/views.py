"""Pages of events: the list, one event with what is kept, its roster and its orders, and the choice of what to keep."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.occasions import queries, rules, service, summary
from fleetapp.occasions.rules import OccasionAction
from fleetapp.occasions.schemas import (
    GiveBackIn,
    OccasionIn,
    OccasionQuery,
    OfferQuery,
    ReasonIn,
    ReserveIn,
    RosterIn,
    StepIn,
)
from fleetapp.orders.models import Occasion
from fleetapp.orders.rules import OccasionState
from fleetapp.vehicles.rules import Body
from fleetapp.web.display import name
from fleetapp.web.downloads import recorded
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("occasions", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict)


@blueprint.get("/occasions")
def index() -> str:
    """List events, the latest first."""
    permits.require("occasions.read", actor())
    query = load_query(OccasionQuery())
    with transaction() as s:
        rows = queries.visible_to(actor())
        if query["state"]:
            rows = rows.where(Occasion.state == query["state"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        return render_template("occasions/index.html", page=page, query=query, states=list(OccasionState))


def _form(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("occasions.run", actor())
    with transaction() as s:
        orgs = [
            org
            for org in s.scalars(orgs_visible_to(actor()))
            if permits.may("occasions.run", actor(), org_path=org.path)
        ]
        return render_template(
            "occasions/form.html", values=values, errors=errors, orgs=[(org.id, name(org)) for org in orgs]
        )


@blueprint.get("/occasions/new")
def new() -> str:
    """Show the form of a new event."""
    return _form({}, {})


@blueprint.post("/occasions/new")
def create() -> Response | tuple[str, int]:
    """Plan an event."""
    try:
        data = load_form(OccasionIn())
        with transaction() as s:
            made = service.create(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _form(request.form.to_dict(), errors_of(error)), 422
    flash(t("occasions.created"))
    return redirect(url_for("occasions.show", occasion_id=made.id))


@blueprint.get("/occasions/<int:occasion_id>")
def show(occasion_id: int) -> str:
    """Show one event: facts, figures, what is kept, the roster, the orders."""
    return _page(occasion_id, {})


def _page(occasion_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("occasions.read", actor())
    with transaction() as s:
        occasion = queries.get_occasion(s, occasion_id=occasion_id, actor=actor())
        kept = queries.holds(s, occasion_id=occasion.id)
        filled = {(row.vehicle_id, row.on): row for row in queries.shifts(s, occasion_id=occasion.id)}
        days = rules.days_of(occasion.start_at, occasion.end_at)
        cars = [row for row in kept if row.vehicle]
        may_run = permits.may("occasions.run", actor(), org_path=occasion.org.path)
        return render_template(
            "occasions/show.html", occasion=occasion, cars=cars, people=[row for row in kept if row.driver], days=days,
            filled=filled, gaps=rules.gaps(days, [row.vehicle_id for row in cars if row.vehicle_id], filled.keys()),
            account=(account := summary.account(s, occasion=occasion, actor=actor())),
            figures=summary.figure_rows(account.figures), events=queries.events(s, occasion_id=occasion.id), errors=errors,
            open=occasion.state in rules.OPEN, may_run=may_run, today=clock.local_date(now()),
            actions=[action.value for state, action in rules.TRANSITIONS if state == occasion.state and may_run],
            may_export=permits.may("occasions.export", actor(), org_path=occasion.org.path),
        )  # fmt: skip


@blueprint.post("/occasions/<int:occasion_id>/<any(start, finish, cancel):action>")
def step(occasion_id: int, action: str) -> Response | tuple[str, int]:
    """Move an event on."""
    return _do(occasion_id, service.step, StepIn(), "occasions.moved", action=OccasionAction(action))


@blueprint.post("/occasions/<int:occasion_id>/roster")
def roster(occasion_id: int) -> Response | tuple[str, int]:
    """Put a driver on a vehicle for some days."""
    return _do(occasion_id, service.roster, RosterIn(), "occasions.rostered_done")


@blueprint.post("/occasions/<int:occasion_id>/give-back")
def give_back(occasion_id: int) -> Response | tuple[str, int]:
    """Give back what is ticked."""
    return _do(occasion_id, service.give_back, GiveBackIn(), "occasions.given_back_done")


def _do(occasion_id: int, function: Any, schema: Any, done: str, **more: Any) -> Response | tuple[str, int]:
    try:
        data = load_form(schema)
        with transaction() as s:
            function(s, occasion_id=occasion_id, **data, **more, actor=actor(), now=now())
    except REFUSED as error:
        return _page(occasion_id, errors_of(error)), 422
    flash(t(done))
    return redirect(url_for("occasions.show", occasion_id=occasion_id))


@blueprint.get("/occasions/<int:occasion_id>/reserve")
def offer(occasion_id: int) -> str:
    """Show which vehicles and drivers could be kept, and what is in the way of the others."""
    return _offer(occasion_id, {}, ReserveIn().load({}))


@blueprint.post("/occasions/<int:occasion_id>/reserve")
def reserve(occasion_id: int) -> Response | tuple[str, int]:
    """Keep what is ticked, all or none."""
    data = {}
    try:
        data = load_form(ReserveIn())
        with transaction() as s:
            made = service.reserve(s, occasion_id=occasion_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _offer(occasion_id, errors_of(error), data), 409 if isinstance(error, Conflict) else 422
    flash(t("occasions.reserved_done", n=len(made)))
    return redirect(url_for("occasions.show", occasion_id=occasion_id))


def _offer(occasion_id: int, errors: Mapping[str, Any], ticked: Mapping[str, Any]) -> str:
    query = load_query(OfferQuery())
    with transaction() as s:
        occasion = queries.get_occasion(s, occasion_id=occasion_id, actor=actor())
        permits.require("occasions.run", actor(), org_path=occasion.org.path)
        cars, people = queries.offered(s, occasion=occasion, actor=actor(), body=query["body"], q=query["q"])
        of_vehicle, of_driver = queries.clashes(
            s, occasion=occasion, vehicle_ids=[car.id for car in cars], driver_ids=[driver.id for driver in people]
        )
        free = [car.id for car in cars if car.id not in of_vehicle]
        return render_template(
            "occasions/reserve.html", occasion=occasion, cars=cars, people=people, of_vehicle=of_vehicle, of_driver=of_driver,
            free=len(free), errors=errors, query=query, bodies=list(Body),
            ticked={*ticked.get("vehicle_ids", ()), *free[: query["n"]]}, ticked_drivers=set(ticked.get("driver_ids", ())),
        )  # fmt: skip


@blueprint.post("/occasions/<int:occasion_id>/export")
def export(occasion_id: int) -> Response | tuple[str, int]:
    """Return the summary as a workbook."""
    try:
        data = load_form(ReasonIn())
    except Invalid as error:
        return _page(occasion_id, errors_of(error)), 422
    return recorded(
        lambda s, file: summary.export(s, occasion_id=occasion_id, **data, file=file, say=t, actor=actor(), now=now())
    )
