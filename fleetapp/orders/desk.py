"""Pages of deciding: the inbox, whom everything waits for, an order's approval, sending in again, change orders."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE, Schema
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.approvals import queries as approvals
from fleetapp.approvals.rules import Verdict
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.orders import cases, changes, follow, queries, rules, service, waiting
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.schemas import BatchIn, ChangeIn, EditIn, VerdictIn, WaitingQuery
from fleetapp.vehicles.rules import Body
from fleetapp.web.display import input_moment, km
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import Day

blueprint = Blueprint("desk", __name__, template_folder="templates")

REFUSED = (Invalid, RuleBroken, Conflict)
PHRASES = ("orders.phrase.agree", "orders.phrase.by_rule", "orders.phrase.more", "orders.phrase.transit")
OFFERED = (Verdict.SEND_BACK, Verdict.STEP_BACK, Verdict.ADD_BEFORE, Verdict.ADD_AFTER, Verdict.TRANSFER)
FIELD_OF = {
    "orders.change_reason": "why", "orders.window_reversed": "end_at", "orders.window_too_long": "end_at", "orders.in_the_past": "start_at",
    "orders.too_short_notice": "start_at", "orders.change_started": "start_at", "orders.nobody": "passenger_count",
    "orders.passengers_unnamed": "passengers",
}  # fmt: skip
"""Where the form shows what a rule said; anything else is told above it."""


def inbox_page(problem: FleetError | None = None) -> str:
    """Show what waits for this person: applications with their checks, and change orders."""
    permits.require("orders.approve", actor())
    with transaction() as s:
        page = paginate(s, queries.inbox(actor(), at=now()), number=request.args.get("page", 1, type=int), size=20)
        checks = follow.checks(s, page.items, actor=actor(), now=now())
        days = _days(s, page.items)
        cards = [
            {
                "order": order, "checks": checks[order.id], "green": all(check.ok for check in checks[order.id]),
                "day": days[clock.local_date(order.start_at)],
                "distance_km": km(order.route_m if order.route_m is not None
                                  else rules.round_trip_m([(stop.lat, stop.lon) for stop in order.stops])),
                "is_passenger": not next(check.ok for check in checks[order.id] if check.code == "own_name"),
            }
            for order in page.items
        ]  # fmt: skip
        return render_template("orders/inbox.html", page=page, cards=cards, phrases=PHRASES, problem=_said(problem), as_moment=datetime.fromisoformat,
                               changes=queries.changes_to_decide(s, actor=actor(), at=now()))  # fmt: skip


@blueprint.post("/orders/inbox/approve")
def approve_batch() -> Response | tuple[str, int]:
    """Approve what was ticked, all or none."""
    try:
        with transaction() as s:
            ids = load_form(BatchIn(unknown=EXCLUDE))["order_ids"]
            done = follow.approve_batch(s, order_ids=ids, actor=actor(), now=now())
            flash(t("orders.batch_done", n=len(done)))
    except REFUSED as error:
        return inbox_page(error), 422
    return redirect(url_for("orders.inbox"))


@blueprint.post("/orders/<int:order_id>/verdict")
def verdict(order_id: int) -> Response:
    """Do any verdict on an application."""
    with transaction() as s:
        data = load_form(VerdictIn(unknown=EXCLUDE))
        order = service.decide(s, order_id=order_id, actor=actor(), now=now(), **data)
        flash(t("orders.verdict_done", number=order.number, verdict=t(f"approvals.verdict.{data['verdict']}")))
    return redirect(
        url_for("orders.inbox" if request.form.get("from") == "inbox" else "orders.show", order_id=order_id)
    )


@blueprint.post("/orders/<int:order_id>/remind")
def remind(order_id: int) -> Response:
    """Remind whoever the application waits for."""
    with transaction() as s:
        order = follow.remind(s, order_id=order_id, actor=actor(), now=now())
        flash(t("orders.reminded_done", number=order.number))
    if request.form.get("from") == "waiting":
        return redirect(url_for("desk.waiting_list"))
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.get("/orders/waiting")
def waiting_list() -> str:
    """List every order that is not finished with whom it waits for."""
    permits.require("orders.waiting", actor())
    query = load_query(WaitingQuery())
    with transaction() as s:
        path = accounts.get_org(s, org_id=query["org_id"]).path if query["org_id"] else ""
        rows = waiting.listed(actor(), step=query["step"] or "", org_path=path, only_late=query["late"], now=now())
        page = paginate(s, rows, number=query["page"], size=25)
        orgs = s.scalars(accounts.orgs_visible_to(actor())).all()
        return render_template("orders/waiting.html", page=page, rows=waiting.rows_of(s, page.items, now=now()), query=query, orgs=orgs,
                               steps=list(waiting.Step))  # fmt: skip


@blueprint.get("/orders/<int:order_id>/approval")
def panel(order_id: int) -> str:
    """Return the card with the chain, who decided what, and what may be done now."""
    with transaction() as s:
        order = queries.get_order(s, order_id=order_id, actor=actor())
        case = approvals.get_case(s, case_id=order.approval_case_id) if order.approval_case_id else None
        found = [(change, approvals.get_case(s, case_id=change.approval_case_id) if change.approval_case_id else None)
                 for change in reversed(order.changes)]  # fmt: skip
        asked_of = [one for one in (case, *(one for _, one in found)) if one is not None]
        names = approvals.people(s, {user_id for one in asked_of for task in one.tasks for user_id in task.user_ids})
        sign = {one.id for one in asked_of if approvals.may_sign(s, case=one, actor=actor(), at=now()) is not None}
        standing_in = approvals.delegations_of(s, user_ids=list(names), org_path=order.org.path, at=now())
        asked = (
            approvals.asked_people(
                s, org_path=order.org.path, without={actor().user_id or 0, *(case.barred_ids if case else ())}
            )
            if sign
            else ()
        )
        return render_template(
            "orders/approval.html", order=order, case=case, changes=found, names=names, sign=sign, asked=asked, phrases=PHRASES,
            offered=OFFERED, moment_now=now(), as_moment=datetime.fromisoformat, deputies={one.delegator_id: one for one in standing_in},
            waits=order.state in rules.WAITING, changeable=order.state in rules.CHANGEABLE,
            filed=actor().user_id in {order.applicant_id, order.filed_by_id},
        )  # fmt: skip


@blueprint.route("/orders/<int:order_id>/resubmit", methods=["GET", "POST"])
def resubmit(order_id: int) -> Response | str | tuple[str, int]:
    """Put an order right that was sent back, and hand it in again."""
    with transaction() as s:
        order = queries.get_order(s, order_id=order_id, actor=actor())
        permits.require(
            "orders.resubmit",
            actor(),
            org_path=order.org.path,
            owner_id=cases.owner_of(order, actor()),
            state=order.state,
        )
        if request.method == "GET":
            return _form(order, _values(order), {}, sent_back=True)
    try:
        with transaction() as s:
            data = _sent(EditIn(unknown=EXCLUDE))
            order = service.resubmit(s, order_id=order_id, actor=actor(), now=now(), **data)
            flash(t("orders.submitted_done", number=order.number))
    except REFUSED as error:
        return _again(order_id, error, sent_back=True)
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.route("/orders/<int:order_id>/change", methods=["GET", "POST"])
def change(order_id: int) -> Response | str | tuple[str, int]:
    """Ask to change an approved order."""
    with transaction() as s:
        order = queries.get_order(s, order_id=order_id, actor=actor())
        permits.require(
            "orders.change", actor(), org_path=order.org.path, owner_id=order.applicant_id, state=order.state
        )
        if request.method == "GET":
            return _form(order, _values(order), {}, sent_back=False)
    try:
        with transaction() as s:
            data = _sent(ChangeIn(unknown=EXCLUDE))
            made = changes.request(s, order_id=order_id, actor=actor(), now=now(), **data)
            flash(t("orders.change_done." + made.state))
    except REFUSED as error:
        return _again(order_id, error, sent_back=False)
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.post("/orders/changes/<int:change_id>/verdict")
def change_verdict(change_id: int) -> Response:
    """Do any verdict on a change order."""
    with transaction() as s:
        data = load_form(VerdictIn(unknown=EXCLUDE))
        made = changes.decide(s, change_id=change_id, actor=actor(), now=now(), **data)
        order_id = made.order_id
        flash(t("orders.verdict_done", number=made.order.number, verdict=t(f"approvals.verdict.{data['verdict']}")))
    return redirect(
        url_for("orders.inbox" if request.form.get("from") == "inbox" else "orders.show", order_id=order_id)
    )


@blueprint.post("/orders/changes/<int:change_id>/withdraw")
def change_withdraw(change_id: int) -> Response:
    """Take a change back."""
    with transaction() as s:
        made = changes.withdraw(s, change_id=change_id, actor=actor(), now=now())
        order_id = made.order_id
    flash(t("orders.change_withdrawn"))
    return redirect(url_for("orders.show", order_id=order_id))


def _sent(schema: Schema) -> dict[str, Any]:
    """Load the form with its route, whose three columns become stops; rows without a name do not count."""
    given = {name: value for name, value in request.form.items() if value and not name.startswith("stop_")}
    return load(schema, {**given, "stops": [row for row in _typed_stops() if row["name"].strip()]})


def _typed_stops() -> list[dict[str, str]]:
    names = ("name", "lat", "lon")
    columns = [request.form.getlist(f"stop_{name}") for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _again(order_id: int, error: FleetError, *, sent_back: bool) -> tuple[str, int]:
    with transaction() as s:
        order = queries.get_order(s, order_id=order_id, actor=actor())
        return _form(order, request.form.to_dict(), errors_of(error, FIELD_OF), sent_back=sent_back), 422


def _form(order: TravelOrder, values: dict[str, Any], errors: dict[str, Any], *, sent_back: bool) -> str:
    return render_template("orders/edit.html", order=order, values=values, errors=errors, sent_back=sent_back,
                           bodies=[body for body in Body if body is not Body.SPECIAL], rows=_stops(order), most_stops=rules.MOST_STOPS,
                           purposes=[one for one in rules.Purpose if one in rules.PURPOSES[rules.OrderKind(order.kind)]],
                           reason_of=next((event.note for event in reversed(order.events) if event.action == "send_back"), None))  # fmt: skip


def _stops(order: TravelOrder) -> list[dict[str, str]]:
    """Return the rows of the route: as typed if the form came back, else the order's own."""
    if typed := _typed_stops():
        return typed
    return [{"name": stop.name, "lat": f"{stop.lat!r}", "lon": f"{stop.lon!r}"} for stop in order.stops]


def _values(order: TravelOrder) -> dict[str, Any]:
    return {
        "purpose": order.purpose, "reason": order.reason, "passengers": order.passengers, "passenger_count": str(order.passenger_count),
        "contact": order.contact, "body": order.body, "start_at": input_moment(order.start_at), "end_at": input_moment(order.end_at),
    }  # fmt: skip


def _days(s: Session, orders: Sequence[TravelOrder]) -> dict[date, Day]:
    """Return the kinds of the days on which some orders begin, in one statement."""
    if not orders:
        return {}
    dates = [clock.local_date(order.start_at) for order in orders]
    return {day.on: day for day in workdays.day_kinds(s, min(dates), max(dates) + timedelta(days=1))}


def _said(error: FleetError | None) -> str:
    if error is None:
        return ""
    return t("orders.batch_empty") if isinstance(error, Invalid) else t(error.code, **error.params)


def sign_case(s: Session, order: TravelOrder) -> bool:
    """Tell whether the open task of an order's case waits for this person."""
    if order.state not in rules.WAITING or order.approval_case_id is None or not permits.may("orders.approve", actor()):
        return False
    case = approvals.get_case(s, case_id=order.approval_case_id)
    return approvals.may_sign(s, case=case, actor=actor(), at=now()) is not None
