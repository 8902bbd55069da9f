"""A driver's duties under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint
from geoalchemy2.shape import to_shape

from fleetapp.duty import queries, service
from fleetapp.duty.schemas import DutyOut, DutyQuery, EventOut, StepIn, as_arguments
from fleetapp.kit import clock, permits
from fleetapp.planning.models import Assignment
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
