"""Plans and assignments under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders.schemas import OrderOut
from fleetapp.planning import absent, journeys, queries, service
from fleetapp.planning.schemas import (
    AssignIn,
    AssignmentOut,
    CandidateOut,
    ConfirmIn,
    DayQuery,
    JoinIn,
    JourneyOut,
    OutcomeOut,
    PlanIn,
    ReasonIn,
    RunOut,
)
from fleetapp.web.api import page_headers
from fleetapp.web.errors import words
from fleetapp.web.request import actor, now, shell, transaction

blueprint = Blueprint("api_planning", __name__, url_prefix="/api/v1", description="Plans and assignments")


@blueprint.route("/plans")
class Plans(MethodView):
    @blueprint.arguments(PlanIn)
    @blueprint.response(201, RunOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Plan a window; nothing is assigned until it is confirmed."""
        return service.plan(shell().database, **data, actor=actor(), now=now())


@blueprint.route("/plans/<int:run_id>")
class Plan(MethodView):
    @blueprint.response(200, RunOut)
    def get(self, run_id: int) -> Any:
        """Return a run with its plan."""
        permits.require("planning.read", actor())
        with transaction() as session:
            return queries.get_run(session, run_id=run_id, actor=actor())


@blueprint.route("/plans/<int:run_id>/confirm")
class ConfirmPlan(MethodView):
    @blueprint.arguments(ConfirmIn)
    @blueprint.response(200, OutcomeOut(many=True))
    def post(self, data: dict[str, Any], run_id: int) -> Any:
        """Assign what a run proposes, all or the orders listed; conflicts are told per order."""
        with transaction() as session:
            outcomes = service.confirm(session, run_id=run_id, order_ids=data["order_ids"], actor=actor(), now=now())
        return [
            {"order_id": o.order_id, "number": o.number, "code": o.code, "params": o.params,
             "message": words(o.code, o.params) if o.code else None}
            for o in outcomes
        ]  # fmt: skip


@blueprint.route("/orders/<int:order_id>/assignment")
class OrderAssignment(MethodView):
    @blueprint.arguments(AssignIn)
    @blueprint.response(201, AssignmentOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Give an approved order a vehicle and a driver."""
        with transaction() as session:
            return service.assign(session, order_id=order_id, **data, actor=actor(), now=now())

    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, OrderOut)
    def delete(self, data: dict[str, Any], order_id: int) -> Any:
        """Take the vehicle back; the order waits again and its slip is void."""
        with transaction() as session:
            return service.release(session, order_id=order_id, reason=data["reason"], actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/journey")
class OrderJourney(MethodView):
    @blueprint.response(200, JourneyOut(many=True))
    def get(self, order_id: int) -> Any:
        """List the journeys at the time of an order, those it can join first."""
        with transaction() as session:
            order = order_queries.get_order(session, order_id=order_id, actor=actor())
            permits.require("planning.assign", actor(), org_path=order.org.path, owner_id=order.applicant_id)
            return journeys.options(session, order=order, actor=actor(), now=now())

    @blueprint.arguments(JoinIn)
    @blueprint.response(201, AssignmentOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Give an approved order a place in another one's journey."""
        with transaction() as session:
            return journeys.join(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/candidates")
class Candidates(MethodView):
    @blueprint.response(200, CandidateOut(many=True))
    def get(self, order_id: int) -> Any:
        """List every vehicle's case for an order: possible ones by cost, then the others with what is against them."""
        with transaction() as session:
            order = order_queries.get_order(session, order_id=order_id, actor=actor())
            permits.require("planning.assign", actor(), org_path=order.org.path, owner_id=order.applicant_id)
            return service.candidates(session, order=order, actor=actor(), now=now())[0]


@blueprint.route("/orders/<int:order_id>/cancel-dispatched")
class CancelDispatched(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Cancel an order that has a vehicle; the vehicle is free and the slip void."""
        with transaction() as session:
            return service.cancel(session, order_id=order_id, reason=data["reason"], actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/no-show")
class NoShow(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, OrderOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Note that nobody came to the vehicle; it is free and the slip void."""
        with transaction() as session:
            return absent.no_show(session, order_id=order_id, reason=data["reason"], actor=actor(), now=now())


@blueprint.route("/assignments")
class Assignments(MethodView):
    @blueprint.arguments(DayQuery(exclude=["q"]), location="query")
    @blueprint.response(200, AssignmentOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the active assignments that touch a local day, in time order."""
        permits.require("planning.read", actor())
        start, end = clock.day_span(query["day"] or clock.local_date(now()))
        with transaction() as session:
            rows = queries.between(queries.visible_to(actor()), Span(start, end))
            page = paginate(session, rows, number=query["page"], size=200)
            return list(page.items), page_headers(page)
