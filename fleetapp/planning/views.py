"""Pages of dispatchers: assignment by hand, giving back, cancelling, and the part of an order's page about its vehicle."""

from flask import Blueprint, flash, redirect, render_template, url_for
from marshmallow import EXCLUDE
from werkzeug import Response

from fleetapp.drivers.rules import Licence, may_drive
from fleetapp.kit import permits
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, FleetError, Invalid, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import ASSIGNED, OrderState
from fleetapp.planning import absent, journeys, lending, paper, queries, service
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.planning.schemas import AssignIn, JoinIn, ReasonIn
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState
from fleetapp.web.forms import load_form
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("planning", __name__, template_folder="templates")
CANDIDATES = 80
"""Vehicles listed for one order; those that could go come first."""


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


@blueprint.post("/orders/<int:order_id>/no-show")
def no_show(order_id: int) -> Response:
    """Note that nobody came to the vehicle."""
    reason = load_form(ReasonIn(unknown=EXCLUDE))["reason"]
    with transaction() as s:
        order = absent.no_show(s, order_id=order_id, reason=reason, actor=actor(), now=now())
        flash(t("planning.no_show_done", number=order.number))
    return redirect(url_for("orders.show", order_id=order_id))


@blueprint.get("/orders/<int:order_id>/assignment")
def assignment_fragment(order_id: int) -> str:
    """Return the part of an order's page about its vehicle and driver."""
    with transaction() as s:
        order = orders.get_order(s, order_id=order_id, actor=actor())
        history = queries.history_of(s, order_id=order_id)
        active = next((row for row in history if row.state == AssignmentState.ACTIVE), None)
        return render_template(
            "planning/_assignment.html", order=order, active=active, assigned=order.state in ASSIGNED, begun=now() >= order.start_at,
            released=[row for row in history if row.state == AssignmentState.RELEASED], mates=_mates(active),
        )  # fmt: skip


def _mates(active: Assignment | None) -> paper.Mates | None:
    """Return who else is on board, read as the system: who may open one of its orders may know, though not open theirs."""
    if active is None:
        return None
    with shell().database.transaction(SYSTEM) as s:
        return paper.mates(s, active)


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
