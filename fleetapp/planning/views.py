"""Pages of dispatchers: time board, runs, assignment by hand."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from werkzeug import Response

from fleetapp.drivers.rules import Licence, may_drive
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import ASSIGNED, OrderState
from fleetapp.planning import bridge, journeys, lending, paper, queries, service, timeline
from fleetapp.planning.models import Assignment, AssignmentState, Hold
from fleetapp.planning.paper import MOST_AT_ONCE
from fleetapp.planning.schemas import AssignIn, ConfirmIn, DayQuery, JoinIn, PlanIn, ReasonIn
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState
from fleetapp.web.display import field_errors, hour, input_moment, name
from fleetapp.web.forms import load, load_form, load_query
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("planning", __name__, template_folder="templates")
ROWS = 50
"""Vehicles on one page of the board."""
CANDIDATES = 80
"""Vehicles listed for one order; those that could go come first."""


@blueprint.get("/board")
def board() -> str:
    """Show what waits and what every vehicle does on a day."""
    return _board_page(None)


def _board_page(problem: str | None) -> str:
    permits.require("planning.read", actor())
    query = load_query(DayQuery())
    on = query["day"] or clock.local_date(now())
    day = Span(*clock.day_span(on))
    with transaction() as s:
        cars = vehicles.filtered(vehicles.visible_to(actor()), q=query["q"]).where(
            Vehicle.state != VehicleState.RETIRED
        )
        page = paginate(s, cars.order_by(None).order_by(Vehicle.org_id, Vehicle.plate), number=query["page"], size=ROWS)
        here = {car.id for car in page.items}
        held = s.scalars(queries.between(queries.visible_to(actor()), day)).unique().all()
        mine = [row for row in held if row.vehicle_id in here]
        kept = queries.holds(s, span=day, vehicle_ids=here, driver_ids=())
        hours = timeline.shown(day, [_during(row) for row in mine])
        journeys: dict[int, list[Assignment]] = {}
        for row in mine:
            journeys.setdefault(row.pool_key, []).append(row)
        bars: dict[int, list[dict[str, Any]]] = {car_id: [] for car_id in here}
        for rows in journeys.values():
            bars[rows[0].vehicle_id].append(_bar(rows, hours))
        kept_of = {car_id: [_kept(row, hours) for row in kept if row.vehicle_id == car_id] for car_id in here}
        waiting = orders.approved_waiting(s, actor=actor(), start=day.start, end=day.end, limit=100)
        start = max(day.start, now())
        return render_template(
            "planning/board.html", page=page, query=query, on=on, today=clock.local_date(now()), bars=bars, kept=kept_of,
            groups=[(org, list(rows)) for org, rows in groupby(page.items, key=lambda car: car.org)],
            ticks=timeline.ticks(hours), now_x=timeline.mark(now(), hours), waiting=waiting, held=len(held), slip_ids=[row.slip_id for row in held[:MOST_AT_ONCE]],
            days=queries.waiting_by_day(s, actor=actor(), now=now()), before=on - timedelta(days=1),
            after=on + timedelta(days=1), runs=queries.recent_runs(s, actor=actor()), states=_legend(mine),
            plan_from=request.form.get("start_at") or input_moment(start), ahead=day.end > now(), problem=problem,
            plan_to=request.form.get("end_at") or input_moment(day.end),
        )  # fmt: skip


@blueprint.post("/board/plan")
def plan() -> Response | tuple[str, int]:
    """Run the optimizer and show what it proposes; what is in its way is told on the board."""
    try:
        data = load_form(PlanIn())
        run = service.plan(shell().database, **data, actor=actor(), now=now())
    except RuleBroken as error:
        return _board_page(t(error.code, **error.params)), 422
    except Invalid as error:
        return _board_page(field_errors(error.fields)), 422
    return redirect(url_for("planning.run", run_id=run.id))


@blueprint.get("/plans/<int:run_id>")
def run(run_id: int) -> str:
    """Show what a run proposes."""
    permits.require("planning.read", actor())
    return _run_page(run_id, ())


@blueprint.post("/plans/<int:run_id>/confirm")
def confirm(run_id: int) -> str | Response | tuple[str, int]:
    """Assign all or the ticked orders; conflicts are named, the rest is done."""
    chosen = request.form.getlist("order_ids", type=int)
    if not chosen:
        return _run_page(run_id, (), t("planning.none_ticked")), 422
    data = load(ConfirmIn(), {"order_ids": chosen})
    with transaction() as s:
        outcomes = service.confirm(s, run_id=run_id, order_ids=data["order_ids"], actor=actor(), now=now())
    refused = [outcome for outcome in outcomes if outcome.code]
    if refused:
        return _run_page(run_id, outcomes), 409
    flash(t("planning.confirmed_done", n=len(outcomes)))
    return redirect(url_for("planning.run", run_id=run_id))


@blueprint.get("/orders/<int:order_id>/assign")
def assign_form(order_id: int) -> str:
    """Show every vehicle's case for an order."""
    return _assign_page(order_id, None)


@blueprint.post("/orders/<int:order_id>/assign")
def assign(order_id: int) -> Response | tuple[str, int]:
    """Give the order a vehicle and a driver."""
    try:
        data = load_form(AssignIn())
        with transaction() as s:
            made = service.assign(s, order_id=order_id, **data, actor=actor(), now=now())
            flash(t("planning.assigned_done", plate=made.vehicle.plate, slip=made.slip.number))
    except (Conflict, RuleBroken, Invalid) as error:
        return _assign_page(order_id, error), 409 if isinstance(error, Conflict) else 422
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.post("/orders/<int:order_id>/join")
def join(order_id: int) -> Response | tuple[str, int]:
    """Give the order a place in a journey."""
    try:
        data = load_form(JoinIn())
        with transaction() as s:
            made = journeys.join(s, order_id=order_id, **data, actor=actor(), now=now())
            flash(t("planning.pooled_done", plate=made.vehicle.plate, slip=made.slip.number))
    except (Conflict, RuleBroken, Invalid) as error:
        return _assign_page(order_id, error), 409 if isinstance(error, Conflict) else 422
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.post("/orders/<int:order_id>/release")
def release(order_id: int) -> Response:
    """Take the vehicle back from an order."""
    reason = load_form(ReasonIn(unknown=EXCLUDE))["reason"]
    with transaction() as s:
        order = service.release(s, order_id=order_id, reason=reason, actor=actor(), now=now())
        flash(t("planning.released_done", number=order.number))
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.post("/orders/<int:order_id>/cancel-dispatched")
def cancel(order_id: int) -> Response:
    """Cancel an order that has a vehicle."""
    reason = load_form(ReasonIn(unknown=EXCLUDE))["reason"]
    with transaction() as s:
        order = service.cancel(s, order_id=order_id, reason=reason, actor=actor(), now=now())
        flash(t("planning.cancelled_done", number=order.number))
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.get("/orders/<int:order_id>/assignment")
def assignment_fragment(order_id: int) -> str:
    """Return the part of an order's page about its vehicle and driver."""
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        history = queries.history_of(s, order_id=order_id)
        active = next((row for row in history if row.state == AssignmentState.ACTIVE), None)
        return render_template(
            "planning/_assignment.html", order=order, active=active, assigned=order.state in ASSIGNED,
            released=[row for row in history if row.state == AssignmentState.RELEASED], mates=_mates(active),
        )  # fmt: skip


def _mates(active: Assignment | None) -> paper.Mates | None:
    """Return who else is on board, read as the system: who may open one of its orders may know, though not open theirs."""
    if active is None:
        return None
    with shell().database.transaction(SYSTEM) as s:
        return paper.mates(s, active)


def _during(row: Assignment | Hold) -> Span:
    during: Any = row.during  # none has an open end, which the type of a range allows
    return Span(during.lower, during.upper)


def _bar(rows: Sequence[Assignment], hours: Span) -> dict[str, Any]:
    """Return one journey on the board: the thin bar with its buffers, the thick one of its window, all its orders in words."""
    words = [
        t(
            "planning.bar_title", number=row.order.number, unit=name(row.order.org), start=hour(row.order.start_at),
            end=hour(row.order.end_at), purpose=t(f"orders.purpose.{row.order.purpose}"), driver=name(row.driver.user),
            state=t(f"orders.state.{row.order.state}"), to=row.order.stops[-1].name if row.order.stops else "",
        )
        for row in rows
    ]  # fmt: skip
    order, spans = rows[0].order, [_during(row) for row in rows]
    end_at = max(row.order.end_at for row in rows)
    pooled = t("planning.pool_of", n=len(rows)) if len(rows) > 1 else ""
    return {
        "held": timeline.box(Span(min(spans).start, max(span.end for span in spans)), hours),
        "window": timeline.box(Span(order.start_at, end_at), hours),
        "state": order.state,
        "pooled": pooled,
        "href": url_for("orders.show", order_id=order.id),
        "text": f"{pooled} {hour(order.start_at)} {order.stops[-1].name if order.stops else order.number}".strip(),
        "title": "\n".join([pooled, *words] if pooled else words),
    }


def _kept(row: Hold, hours: Span) -> dict[str, Any]:
    """Return how long a vehicle is kept for a cause, on the board."""
    return {"box": timeline.box(_during(row), hours), "cause": t(f"planning.hold.{row.cause}")}


def _legend(rows: Sequence[Assignment]) -> list[str]:
    """Return the states to explain: always the usual ones, in the order of a journey."""
    present = {row.order.state for row in rows}
    usual = ("DISPATCHED", "DRIVER_ACCEPTED", "CHECKED_OUT", "RETURNED", "CLOSED")
    return [state for state in usual if state in present or state in {"DISPATCHED", "CHECKED_OUT"}]


def _run_page(run_id: int, outcomes: Sequence[service.Outcome], problem: str | None = None) -> str:
    with transaction() as s:
        run = queries.get_run(s, run_id=run_id, actor=actor())
        proposals = bridge.proposals(run.plan) if run.plan else []
        left = bridge.left_over(run.plan) if run.plan else {}
        known = queries.orders_by_id(s, order_ids=[*(p.order_id for p in proposals), *left], actor=actor())
        return render_template(
            "planning/run.html", run=run, proposals=[p for p in proposals if p.order_id in known], orders=known,
            left=[(known[order_id], reason) for order_id, reason in left.items() if order_id in known],
            vehicles=queries.vehicles_by_id(s, {p.vehicle_id for p in proposals}),
            drivers=queries.drivers_by_id(s, {p.driver_id for p in proposals}),
            done=queries.active_by_order(s, order_ids=[p.order_id for p in proposals]),
            refused={o.order_id: t(o.code, **o.params) for o in outcomes if o.code},
            assigned=sum(1 for o in outcomes if not o.code), problem=problem,
            may_confirm=permits.may("planning.plan", actor(), org_path=run.org.path),
        )  # fmt: skip


def _assign_page(order_id: int, error: FleetError | None) -> str:
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        permits.require("planning.assign", actor(), org_path=order.org.path, owner_id=order.applicant_id)
        problem = t("kit.invalid") if isinstance(error, Invalid) else t(error.code, **error.params) if error else None
        if order.state != OrderState.APPROVED:
            return render_template("planning/assign.html", order=order, problem=problem, options=[], cars={}, people={},
                                   joins=[])  # fmt: skip
        options, cars, ready = service.candidates(s, order=order, actor=actor(), now=now())
        apart = {actor().user_id, order.approver_id}
        said = lending.look(
            s, span=Span(order.start_at, order.end_at), cars=list(cars.values()), busy={}, now=now(),
            figures=queries.figures(s, now=now(), org_path=order.org.path),
        )  # fmt: skip
        people = {
            car.id: [
                driver
                for driver in ready
                if said.may_drive(driver, car, order)
                and driver.user_id not in apart
                and may_drive(Licence(driver.licence), car.seats)
            ]
            for car in cars.values()
        }
        idle = (VehicleState.MAINTENANCE, VehicleState.SEALED)
        out = s.scalars(vehicles.visible_to(actor()).where(Vehicle.state.in_(idle)).limit(20)).all()
        return render_template(
            "planning/assign.html", order=order, problem=problem, options=options[:CANDIDATES], cars=cars,
            people=people, total=len(options), out=out, joins=journeys.options(s, order=order, actor=actor(), now=now()),
            ways={car.id: said.answer(car, order).way for car in cars.values()},
        )  # fmt: skip
