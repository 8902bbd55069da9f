"""Pages where sharing is worked on: offers, requests with their answers, loans, and the card on an order's page."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts.models import Organisation, OrgKind
from fleetapp.accounts.queries import list_districts, within_reach
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import OrderState
from fleetapp.pool import queries as pool
from fleetapp.pool.schemas import ListQuery, NewQuery
from fleetapp.sharing import fallback, queries, service
from fleetapp.sharing.models import ShareLoan, ShareRequest
from fleetapp.sharing.rules import FallbackKind, FallbackReason, LoanState, RequestState
from fleetapp.sharing.schemas import AcceptIn, FallbackIn, NoteIn, OfferIn, ReasonIn, RecallIn, RequestForm
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, VehicleState
from fleetapp.web.display import input_moment, name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("sharing", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict)
SIZE = 25
FIELD_OF = {"sharing.above_norm": "note", "sharing.price": "price", "sharing.provider_needed": "provider"}


def _orgs(s: Session, action: str) -> list[tuple[int, str]]:
    """Return the organisations where the actor may do something, as choices."""
    rows = select(Organisation).where(within_reach(actor(), action)).order_by(Organisation.path)
    return [(org.id, name(org)) for org in s.scalars(rows)]


def _levels(s: Session) -> list[tuple[int, str]]:
    """Return the city and the districts, as choices."""
    city = s.scalars(select(Organisation).where(Organisation.kind == OrgKind.CITY).order_by(Organisation.path)).all()
    return [(org.id, name(org)) for org in (*city, *list_districts(s))]


def _bodies() -> list[tuple[str, str]]:
    return [(body.value, t(f"orders.body.{body.value}")) for body in Body]


# ---- offers -----------------------------------------------------------------------------------------------------------


@blueprint.get("/pool/offers")
def offers() -> str:
    """List one's own offers and those made to one's own part of the tree."""
    permits.require("sharing.read", actor())
    query = load_query(ListQuery())
    with transaction() as s:
        rows = queries.standing(queries.offers_visible_to(actor()), clock.local_date(now()))
        page = paginate(s, rows, number=query["page"], size=SIZE)
        return render_template("pool/offers.html", page=page)


def _offer_form(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("sharing.offer", actor())
    with transaction() as s:
        cars = s.scalars(
            select(Vehicle).join(Vehicle.org).where(within_reach(actor(), "sharing.offer"), Vehicle.state == VehicleState.IN_SERVICE)
            .order_by(Organisation.path, Vehicle.plate)
        ).all()  # fmt: skip
        return render_template(
            "pool/offer_form.html", values=values, errors=errors, orgs=_orgs(s, "sharing.offer"), levels=_levels(s), bodies=_bodies(),
            cars=[(car.id, f"{car.plate} · {t(f'orders.body.{car.body}')}") for car in cars], days=request.form.getlist("weekdays"),
        )  # fmt: skip


@blueprint.get("/pool/offers/new")
def offer_form() -> str:
    """Show the form of an offer."""
    return _offer_form(
        {"valid_from": clock.local_date(now()).isoformat(), "notice_h": "24", "request_key": uuid.uuid4().hex}, {}
    )


@blueprint.post("/pool/offers/new")
def offer() -> Response | tuple[str, int]:
    """Make an offer."""
    try:
        data = load_form(OfferIn())
        with transaction() as s:
            service.offer(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _offer_form(request.form.to_dict(), errors_of(error)), 422
    flash(t("pool.offered"))
    return redirect(url_for("sharing.offers"))


@blueprint.post("/pool/offers/<int:offer_id>/withdraw")
def withdraw_offer(offer_id: int) -> Response:
    """Withdraw an offer."""
    with transaction() as s:
        service.withdraw_offer(s, offer_id=offer_id, actor=actor(), now=now())
    flash(t("pool.offer_withdrawn"))
    return redirect(url_for("sharing.offers"))


# ---- requests ---------------------------------------------------------------------------------------------------------


@blueprint.get("/pool/requests")
def requests() -> str:
    """List requests made and received with the time their answer is due."""
    permits.require("sharing.read", actor())
    query = load_query(ListQuery())
    rows = queries.requests_visible_to(actor())
    if query["state"] in {state.value for state in RequestState}:
        rows = rows.where(ShareRequest.state == query["state"])
    with transaction() as s:
        page = paginate(s, rows, number=query["page"], size=SIZE)
        return render_template("pool/requests.html", page=page, query=query, states=list(RequestState), now=now())


def _request_form(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("sharing.ask", actor())
    order_id = values.get("order_id")
    with transaction() as s:
        order = orders.get_order(s, order_id=int(order_id), actor=actor()) if order_id else None
        return render_template(
            "pool/request_form.html", values=values, errors=errors, order=order, orgs=_orgs(s, "sharing.ask"), levels=_levels(s),
            bodies=_bodies(),
        )  # fmt: skip


@blueprint.get("/pool/requests/new")
def request_form() -> str:
    """Show the form of a request, for an order or after an offer."""
    query = load_query(NewQuery())
    values: dict[str, Any] = {
        "with_driver": "true",
        "request_key": uuid.uuid4().hex,
        "order_id": query["order_id"] or "",
    }
    if query["offer_id"]:
        with transaction() as s:
            found = queries.get_offer(s, offer_id=query["offer_id"], actor=actor())
            values |= {
                "to_org_id": found.org_id,
                "to_name": name(found.org),
                "body": found.body,
                "wanted_id": found.vehicle_id or "",
            }
    return _request_form(values, {})


@blueprint.post("/pool/requests/new")
def ask() -> Response | tuple[str, int]:
    """Ask another organisation for a vehicle."""
    try:
        data = load_form(RequestForm())
        with transaction() as s:
            made = service.ask(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _request_form(request.form.to_dict(), errors_of(error)), 422
    flash(t("pool.asked", number=made.number))
    return redirect(url_for("sharing.one_request", request_id=made.id))


def _request_page(request_id: int, error: FleetError | None) -> str:
    permits.require("sharing.read", actor())
    with transaction() as s:
        found = queries.get_request(s, request_id=request_id, actor=actor())
        where: dict[str, Any] = {"org_path": found.to_org.path, "owner_id": found.created_by, "state": found.state}
        answers = permits.may("sharing.answer", actor(), **where)
        crews = pool.lendable(s, request=found, actor=actor()) if answers else {}
        return render_template(
            "pool/request.html", found=found, events=queries.events(s, request_id=found.id), cars=list(crews), crews={car.id: crew for car, crew in crews.items()}, answers=answers,
            loan=queries.loan_of_request(s, request_id=found.id), now=now(), problem=_told(error),
            may_withdraw=permits.may("sharing.ask", actor(), org_path=found.org.path, state=found.state),
        )  # fmt: skip


def _told(error: FleetError | None) -> str | None:
    if error is None:
        return None
    return t("kit.invalid") if isinstance(error, Invalid) else t(error.code, **error.params)


@blueprint.get("/pool/requests/<int:request_id>")
def one_request(request_id: int) -> str:
    """Show a request with what could be lent."""
    return _request_page(request_id, None)


@blueprint.post("/pool/requests/<int:request_id>/<any(accept, decline, withdraw):step>")
def answer(request_id: int, step: str) -> Response | tuple[str, int]:
    """Accept, decline or withdraw."""
    try:
        with transaction() as s:
            if step == "accept":
                service.accept(s, request_id=request_id, **load_form(AcceptIn()), actor=actor(), now=now())
            elif step == "decline":
                service.decline(s, request_id=request_id, **load_form(NoteIn()), actor=actor(), now=now())
            else:
                service.withdraw(s, request_id=request_id, actor=actor(), now=now())
    except REFUSED as error:
        return _request_page(request_id, error), 409 if isinstance(error, Conflict) else 422
    flash(t("pool.done"))
    return redirect(url_for("sharing.one_request", request_id=request_id))


# ---- loans ------------------------------------------------------------------------------------------------------------

STEPS: Mapping[str, tuple[Any, Callable[..., ShareLoan]]] = {
    "recall": (RecallIn, service.recall), "call_off": (ReasonIn, service.call_off), "give_back": (ReasonIn, service.give_back),
}  # fmt: skip


@blueprint.get("/pool/loans")
def loans() -> str:
    """List loans given and taken."""
    permits.require("sharing.read", actor())
    query = load_query(ListQuery())
    rows = queries.loans_visible_to(actor())
    if query["state"] in {state.value for state in LoanState}:
        rows = rows.where(ShareLoan.state == query["state"])
    with transaction() as s:
        page = paginate(s, rows, number=query["page"], size=SIZE)
        return render_template("pool/loans.html", page=page, query=query, states=list(LoanState), now=now())


def _loan_page(loan_id: int, error: FleetError | None) -> str:
    permits.require("sharing.read", actor())
    with transaction() as s:
        found = queries.get_loan(s, loan_id=loan_id, actor=actor())
        span = queries.span_of(found)
        holds = permits.may("sharing.recall", actor(), org_path=found.org.path, state=found.state)
        borrows = permits.may("sharing.give_back", actor(), org_path=found.to_org.path, state=found.state)
        begun = span.start <= now()
        steps = [
            step
            for step, open_to in (
                ("recall", holds), ("call_off", (holds or borrows) and not begun and found.state == LoanState.AGREED), ("give_back", borrows and begun),
            )
            if open_to
        ]  # fmt: skip
        return render_template(
            "pool/loan.html", found=found, span=span, events=queries.events(s, loan_id=found.id), steps=steps, problem=_told(error),
            touched=pool.touched(s, loan=found, from_at=now()), at=request.form.get("at") or input_moment(span.end),
        )  # fmt: skip


@blueprint.get("/pool/loans/<int:loan_id>")
def one_loan(loan_id: int) -> str:
    """Show a loan with the journeys that a recall would touch."""
    return _loan_page(loan_id, None)


@blueprint.post("/pool/loans/<int:loan_id>/<any(recall, call_off, give_back):step>")
def step(loan_id: int, step: str) -> Response | tuple[str, int]:
    """Call the vehicle back, call the loan off, or give the vehicle back."""
    schema, function = STEPS[step]
    try:
        data = load_form(schema())
        with transaction() as s:
            function(s, loan_id=loan_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _loan_page(loan_id, error), 409 if isinstance(error, Conflict) else 422
    flash(t("pool.done"))
    return redirect(url_for("sharing.one_loan", loan_id=loan_id))


# ---- the order's card -------------------------------------------------------------------------------------------------


@blueprint.get("/orders/<int:order_id>/sharing")
def order_card(order_id: int) -> str:
    """Return the card of an order's page: requests for it, and how it is served without a vehicle."""
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        where: dict[str, Any] = {"org_path": order.org.path, "owner_id": order.applicant_id, "state": order.state}
        reads = permits.may("sharing.read", actor())
        return render_template(
            "pool/_order.html", order=order, requests=queries.of_order(s, order_id=order.id) if reads else [],
            served=queries.fallback_of(s, order_id=order.id), may_outsource=permits.may("sharing.outsource", actor(), **where),
            may_ask=order.state == OrderState.APPROVED and permits.may("sharing.ask", actor(), org_path=order.org.path),
        )  # fmt: skip


def _outsource_page(order_id: int, values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        permits.require("sharing.outsource", actor(), org_path=order.org.path, owner_id=order.applicant_id)
        return render_template(
            "pool/outsource.html", order=order, values=values, errors=errors, norm=fallback.norm(s, order, now()),
            kinds=[(kind.value, t(f"sharing.kind.{kind.value}")) for kind in FallbackKind],
            reasons=[(reason.value, t(f"sharing.reason.{reason.value}")) for reason in FallbackReason],
        )  # fmt: skip


@blueprint.get("/orders/<int:order_id>/outsource")
def outsource_form(order_id: int) -> str:
    """Show the form that serves an order otherwise."""
    return _outsource_page(order_id, {}, {})


@blueprint.post("/orders/<int:order_id>/outsource")
def outsource(order_id: int) -> Response | tuple[str, int]:
    """Serve an order by rental, ride hailing or public transport."""
    try:
        data = load_form(FallbackIn())
        with transaction() as s:
            fallback.outsource(s, order_id=order_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _outsource_page(order_id, request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("pool.outsourced"))
    return redirect(url_for("orders.show", order_id=order_id))
