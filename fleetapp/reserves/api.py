"""Floors and standing of the reserve under ``/api/v1/reserves``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import clock, permits
from fleetapp.reserves import queries, service
from fleetapp.reserves.schemas import EndIn, FloorIn, FloorOut, ReserveOut
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_reserves", __name__, url_prefix="/api/v1", description="Emergency reserve")


@blueprint.route("/reserves")
class Reserves(MethodView):
    @blueprint.response(200, ReserveOut(many=True))
    def get(self) -> Any:
        """Return how every reserve within reach stands now."""
        permits.require("reserves.read", actor())
        with transaction() as session:
            return queries.reserves(session, actor=actor(), at=now())


@blueprint.route("/reserves/floors")
class Floors(MethodView):
    @blueprint.response(200, FloorOut(many=True))
    def get(self) -> Any:
        """List the floors within reach that hold today or will."""
        permits.require("reserves.read", actor())
        with transaction() as session:
            return session.scalars(queries.in_force(queries.visible_to(actor()), on=clock.local_date(now()))).all()

    @blueprint.arguments(FloorIn)
    @blueprint.response(201, FloorOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Set a floor."""
        with transaction() as session:
            return service.set_floor(session, **data, actor=actor(), now=now())


@blueprint.route("/reserves/floors/<int:floor_id>/end")
class EndOfFloor(MethodView):
    @blueprint.arguments(EndIn)
    @blueprint.response(200, FloorOut)
    def post(self, data: dict[str, Any], floor_id: int) -> Any:
        """End a floor after today."""
        with transaction() as session:
            return service.end_floor(session, floor_id=floor_id, **data, actor=actor(), now=now())
