"""A driver's duties under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint
from geoalchemy2.shape import to_shape

from fleetapp.duty import expenses, queries, service
from fleetapp.duty.schemas import (
    DutyOut,
    DutyQuery,
    EventOut,
    ExpenseIn,
    ExpenseOut,
    ExpenseQuery,
    StepIn,
    VoidIn,
    as_arguments,
    as_filters,
)
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.planning.models import Assignment
from fleetapp.web.api import page_headers
from fleetapp.web.forms import sent_file
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_duty", __name__, url_prefix="/api/v1", description="Driver's duties")


def shown(duty: Assignment, journey: queries.Journey) -> dict[str, Any]:
    """Return a duty as the API shows it: the stops and steps are those of its journey."""
    points = [(turn, to_shape(turn.stop.point).centroid) for turn in journey.turns]
    return {
        "assignment_id": duty.id, "order_id": duty.order_id, "order_number": duty.order.number, "slip": duty.slip.number,
        "journey": duty.pool_key, "orders": [one.order.number for one in journey.duties],
        "state": duty.order.state, "plate": duty.vehicle.plate, "start_at": duty.order.start_at, "end_at": duty.order.end_at,
        "passenger_count": duty.order.passenger_count, "contact": duty.order.contact,
        "stops": [
            {"name": turn.stop.name, "order_number": turn.order_number, "lat": point.y, "lon": point.x, "planned_at": turn.planned_at}
            for turn, point in points
        ],
        "next_steps": journey.steps,
    }  # fmt: skip


@blueprint.route("/duties")
class Duties(MethodView):
    @blueprint.arguments(DutyQuery, location="query")
    @blueprint.response(200, DutyOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the caller's duties of a day."""
        permits.require("duty.read", actor())
        start, end = clock.day_span(query["on"] or clock.local_date(now()))
        with transaction() as session:
            duties = session.scalars(queries.between(queries.visible_to(actor()), start=start, end=end)).unique().all()
            return [shown(duty, queries.journey_of(session, duty=duty, actor=actor())) for duty in duties]


@blueprint.route("/duties/<int:assignment_id>/events")
class DutyEvents(MethodView):
    @blueprint.arguments(StepIn)
    @blueprint.response(201, EventOut)
    def post(self, data: dict[str, Any], assignment_id: int) -> Any:
        """Take a step; the same idempotency key again returns what the first call made."""
        with transaction() as session:
            return service.report(session, assignment_id=assignment_id, **as_arguments(data), actor=actor(), now=now())

    @blueprint.response(200, EventOut(many=True))
    def get(self, assignment_id: int) -> Any:
        """List what was reported on a duty."""
        with transaction() as session:
            queries.get_duty(session, assignment_id=assignment_id, actor=actor())
            return queries.events_of(session, assignment_ids=[assignment_id])[assignment_id]


@blueprint.route("/duties/<int:assignment_id>/expenses")
class DutyExpenses(MethodView):
    @blueprint.arguments(ExpenseIn, location="form")
    @blueprint.response(201, ExpenseOut)
    def post(self, data: dict[str, Any], assignment_id: int) -> Any:
        """Add what was paid: form fields and a photograph as a file ``photo``; the same key again changes nothing."""
        with transaction() as session:
            return expenses.add(
                session, assignment_id=assignment_id, **data, photo=sent_file("photo"), actor=actor(), now=now()
            )

    @blueprint.response(200, ExpenseOut(many=True))
    def get(self, assignment_id: int) -> Any:
        """List what was paid on a duty of the caller's."""
        with transaction() as session:
            queries.get_duty(session, assignment_id=assignment_id, actor=actor())
            return queries.expenses_of(session, assignment_ids=[assignment_id])[assignment_id]


@blueprint.route("/expenses/<int:expense_id>/void")
class ExpenseVoid(MethodView):
    @blueprint.arguments(VoidIn)
    @blueprint.response(200, ExpenseOut)
    def post(self, data: dict[str, Any], expense_id: int) -> Any:
        """Make a wrong expense void."""
        with transaction() as session:
            return expenses.void(session, expense_id=expense_id, **data, actor=actor(), now=now())


@blueprint.route("/expenses")
class Expenses(MethodView):
    @blueprint.arguments(ExpenseQuery, location="query")
    @blueprint.response(200, ExpenseOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List what drivers paid, the newest first; the total is in the header ``X-Total-Count``."""
        permits.require("duty.expenses", actor())
        with transaction() as session:
            rows = queries.expenses_filtered(queries.expenses_visible_to(actor()), **as_filters(query))
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)
