"""Trips under ``/api/v1/trips``."""

from typing import Any

from flask import Response
from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.kit.sheets import mark
from fleetapp.trips import bridge, queries, service
from fleetapp.trips.schemas import PurposeQuery, TakeQuery, TripDetailOut, TripOut, TripQuery
from fleetapp.web.api import FILE, page_headers
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("api_trips", __name__, url_prefix="/api/v1", description="Trips and the orders they belong to")


@blueprint.route("/trips")
class Trips(MethodView):
    @blueprint.arguments(TripQuery, location="query")
    @blueprint.response(200, TripOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the current trips within reach, newest first; the total is in ``X-Total-Count``."""
        permits.require("trips.read", actor())
        with transaction() as session:
            page = paginate(session, queries.filtered(queries.visible_to(actor()), **narrowing(query)),
                            number=query["page"], size=query["size"])  # fmt: skip
            return list(page.items), page_headers(page)


def narrowing(query: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of ``queries.filtered``."""
    return {
        "plate": query["plate"], "kind": query["kind"], "org_id": query["org_id"], "vehicle_id": query["vehicle_id"],
        "order_id": query["order_id"],
        "start": clock.day_span(query["start_on"])[0] if query["start_on"] else None,
        "end": clock.day_span(query["end_on"])[1] if query["end_on"] else None,
    }  # fmt: skip


@blueprint.route("/trips/<int:trip_id>")
class Trip(MethodView):
    @blueprint.arguments(PurposeQuery, location="query")
    @blueprint.response(200, TripDetailOut)
    def get(self, query: dict[str, Any], trip_id: int) -> Any:
        """Return one trip with its track; who reads it, and why, is logged."""
        with transaction() as session:
            trip = queries.get_trip(session, trip_id=trip_id, actor=actor())
            purpose = query["purpose"] or t("trips.review_purpose")
            service.view_fixes(session, trip=trip, purpose=purpose, actor=actor(), now=now())
            return trip


@blueprint.route("/trips/<int:trip_id>.gpx")
class TripGpx(MethodView):
    @blueprint.arguments(TakeQuery, location="query")
    @blueprint.response(200, FILE, content_type="application/gpx+xml")
    def get(self, query: dict[str, Any], trip_id: int) -> Response:
        """Return a trip's fixes as GPX 1.1; who takes them, when and why is logged and stands in the file."""
        with transaction() as session:
            trip = queries.get_trip(session, trip_id=trip_id, actor=actor())
            fixes = service.view_fixes(session, trip=trip, purpose=query["purpose"], actor=actor(), now=now())
            name = f"{trip.vehicle.plate} {clock.local(trip.start_at):%Y-%m-%d %H:%M} · {mark(actor().name, now())} · {query['purpose']}"
            answer = Response(bridge.to_gpx(fixes, name=name), mimetype="application/gpx+xml")
        answer.headers.set("Content-Disposition", "attachment", filename=f"trip-{trip_id}.gpx")
        return answer
