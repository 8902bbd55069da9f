"""Pages at the end of a journey: confirm or object, rate, the list of what waits, and what the ratings say."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.attachments import queries as attachments
from fleetapp.confirmations import queries, ratings, rules, service
from fleetapp.confirmations.queries import Journey
from fleetapp.confirmations.schemas import AnswerIn, BillIn, ConfirmIn, ListQuery, ObjectIn, RatingIn, metres, scores_of
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, Invalid, NotFound, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.policies import queries as policies
from fleetapp.web.forms import errors_of, load_form, load_query, sent_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("confirmations", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict)
FIELD_OF = {
    "confirmations.explain": "reason",
    "confirmations.bill_needed": "bill_cny",
    "confirmations.distance_odd": "proposed_km",
}
"""Next to which input a broken rule stands."""


@blueprint.get("/confirmations")
def index() -> str:
    """List the journeys within reach: those that wait, those objected to, those confirmed."""
    permits.require("confirmations.read", actor())
    query = load_query(ListQuery())
    with transaction() as s:
        page = paginate(s, queries.listed(actor(), query["group"]), number=query["page"], size=query["size"])
        found = queries.confirmations_of(s, order_ids=[order.id for order in page.items])
        objected = paginate(s, queries.listed(actor(), "objected"), size=1).total
        return render_template("confirmations/index.html", page=page, query=query, confirmed=found, objected=objected)


def _may(journey: Journey, who: Actor) -> dict[str, bool]:
    """Return what this person may do about a journey now."""
    order = journey.order
    where: dict[str, Any] = {"org_path": order.org.path, "owner_id": service.owner_of(order, who), "state": order.state}
    is_driver = journey.duty is not None and journey.duty.driver.user_id == who.user_id
    paths = [order.org.path, *([journey.duty.vehicle.org.path] if journey.duty else [])]
    answers = any(permits.may("confirmations.answer", who, **{**where, "org_path": path}) for path in paths)
    return {
        "confirm": not is_driver and permits.may("confirmations.confirm", who, **where),
        "object": not is_driver and not journey.objected and permits.may("confirmations.object", who, **where),
        "answer": not is_driver and journey.objected and answers,
        "rate": not is_driver and journey.duty is not None and permits.may("confirmations.rate", who, owner_id=where["owner_id"], state=order.state),
    }  # fmt: skip


def _read(s: Session, order_id: int) -> Journey:
    return queries.journey(s, order=orders.get_order(s, order_id=order_id, actor=actor()))


def _page(order_id: int, errors: Mapping[str, Any]) -> str:
    with transaction() as s:
        journey = _read(s, order_id)
        files = [] if journey.confirmation is None else attachments.of(
            s, subject_type="mileage_confirmation", subject_ids=[journey.confirmation.id], actor=actor()
        )  # fmt: skip
        return render_template(
            "confirmations/show.html", journey=journey, order=journey.order, may=_may(journey, actor()), errors=errors,
            values=request.form.to_dict(), files=files, rating=queries.find_rating(s, order_id=order_id),
        )  # fmt: skip


@blueprint.get("/orders/<int:order_id>/confirmation")
def show(order_id: int) -> str:
    """Show what was planned and driven, side by side, with what may be done about it."""
    return _page(order_id, {})


@blueprint.get("/orders/<int:order_id>/confirmation/panel")
def panel(order_id: int) -> str:
    """Return the three distances for the order's page."""
    with transaction() as s:
        journey = _read(s, order_id)
        return render_template("confirmations/_panel.html", journey=journey, order=journey.order, may=_may(journey, actor()),
                               rating=queries.find_rating(s, order_id=order_id))  # fmt: skip


@blueprint.post("/orders/<int:order_id>/confirmation")
def confirm(order_id: int) -> Response | tuple[str, int]:
    """Confirm, a hired journey with its bill, and go on to the rating."""
    try:
        if "bill_cny" in request.form:
            bill = load_form(BillIn())
            data = {
                "bill_cny": bill["bill_cny"],
                "driven_m": metres(bill["driven_km"]),
                "receipt": sent_file("receipt"),
            }
        else:
            data = load_form(ConfirmIn())
        with transaction() as s:
            made = service.confirm(s, order_id=order_id, **data, actor=actor(), now=now())
            journey = queries.journey(s, order=made.order)
            rate = _may(journey, actor())["rate"] and queries.find_rating(s, order_id=order_id) is None
    except REFUSED as error:
        return _page(order_id, errors_of(error, FIELD_OF)), 422
    flash(t("confirmations.confirmed_done"))
    return redirect(url_for("confirmations.rating" if rate else "confirmations.show", order_id=order_id))


@blueprint.post("/orders/<int:order_id>/objection")
def object_to(order_id: int) -> Response | tuple[str, int]:
    """Object with a reason."""
    try:
        with transaction() as s:
            service.object_to(s, order_id=order_id, **load_form(ObjectIn()), actor=actor(), now=now())
    except REFUSED as error:
        faults = errors_of(error)
        return _page(order_id, {"objection": faults["reason"]} if "reason" in faults else faults), 422
    flash(t("confirmations.objected_done"))
    return redirect(url_for("confirmations.show", order_id=order_id))


@blueprint.post("/orders/<int:order_id>/objection/answer")
def answer(order_id: int) -> Response | tuple[str, int]:
    """Answer an objection."""
    try:
        data = load_form(AnswerIn())
        with transaction() as s:
            service.answer(
                s,
                order_id=order_id,
                reply=data["reply"],
                proposed_m=metres(data["proposed_km"]),
                actor=actor(),
                now=now(),
            )
    except REFUSED as error:
        return _page(order_id, errors_of(error, FIELD_OF)), 422
    flash(t("confirmations.answered_done"))
    return redirect(url_for("confirmations.show", order_id=order_id))


def _rating_page(order_id: int, errors: Mapping[str, Any]) -> str:
    with transaction() as s:
        journey = _read(s, order_id)
        if journey.duty is None:
            raise NotFound("kit.not_found")
        order: TravelOrder = journey.order
        permits.require("confirmations.rate", actor(), owner_id=service.owner_of(order, actor()), state=order.state)
        return render_template("confirmations/rate.html", journey=journey, order=order, items=rules.ITEMS, errors=errors,
                               values=request.form, rating=queries.find_rating(s, order_id=order_id))  # fmt: skip


@blueprint.get("/orders/<int:order_id>/rating")
def rating(order_id: int) -> str:
    """Show the five items."""
    return _rating_page(order_id, {})


@blueprint.post("/orders/<int:order_id>/rating")
def rate(order_id: int) -> Response | tuple[str, int]:
    """Rate, or leave it out."""
    try:
        data = load_form(RatingIn())
        with transaction() as s:
            ratings.rate(s, order_id=order_id, **scores_of(data), actor=actor(), now=now())
    except REFUSED as error:
        return _rating_page(order_id, errors_of(error)), 422
    flash(t("confirmations.skipped_done" if data["skip"] else "confirmations.rated_done"))
    return redirect(url_for("reports.home"))


@blueprint.get("/ratings")
def results() -> str:
    """Show what the ratings say: to who watches over drivers all of them, to a driver the own averages."""
    permits.require("confirmations.ratings", actor())
    who, on = actor(), clock.local_date(now())
    with transaction() as s:
        figures = policies.values(s, "rating.", on, who.org_path or None)
        least, low = int(figures["rating.least"]), int(figures["rating.low_score"])
        watched, own = queries.managed_by(who), queries.of_driver(who.user_id)
        mine = queries.driver_averages(s, within=own, least=least)
        shown = bool(mine and mine[0].scores)
        page = paginate(s, queries.low_ratings(within=watched, low=low), number=request.args.get("page", 1, type=int))
        return render_template(
            "confirmations/results.html", items=rules.ITEMS, least=least, low=low, mine=mine, page=page,
            comments=queries.comments(s, within=own) if shown else [],
            units=queries.unit_averages(s, within=watched, least=least), drivers=queries.driver_averages(s, within=watched, least=least),
            readable=orders.readable(s, order_ids={one.order_id for one in page.items}, actor=who),
            watches=any(grant.role in permits.table()["confirmations.ratings"].roles
                        and permits.table()["confirmations.ratings"].roles[grant.role] != "own" for grant in who.grants),
        )  # fmt: skip
