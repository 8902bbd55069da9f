"""Events under ``/api/v1/occasions``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.occasions import queries, service, summary
from fleetapp.occasions.rules import OccasionAction
from fleetapp.occasions.schemas import (
    GiveBackIn,
    HoldOut,
    OccasionIn,
    OccasionOut,
    OccasionQuery,
    ReserveIn,
    RosterIn,
    ShiftOut,
    StepIn,
    SummaryOut,
)
from fleetapp.orders.models import Occasion
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_occasions", __name__, url_prefix="/api/v1", description="Events")


@blueprint.route("/occasions")
class Occasions(MethodView):
    @blueprint.arguments(OccasionQuery, location="query")
    @blueprint.response(200, OccasionOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List events; the total is in the header ``X-Total-Count``."""
        permits.require("occasions.read", actor())
        with transaction() as session:
            rows = queries.visible_to(actor())
            if query["state"]:
                rows = rows.where(Occasion.state == query["state"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(OccasionIn)
    @blueprint.response(201, OccasionOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Plan an event."""
        with transaction() as session:
            return service.create(session, **data, actor=actor(), now=now())


@blueprint.route("/occasions/<int:occasion_id>/<any(start, finish, cancel):action>")
class OccasionStep(MethodView):
    @blueprint.arguments(StepIn)
    @blueprint.response(200, OccasionOut)
    def post(self, data: dict[str, Any], occasion_id: int, action: str) -> Any:
        """Move an event on; what is kept is given back with its end."""
        with transaction() as session:
            return service.step(
                session, occasion_id=occasion_id, action=OccasionAction(action), **data, actor=actor(), now=now()
            )


@blueprint.route("/occasions/<int:occasion_id>/holds")
class OccasionHolds(MethodView):
    @blueprint.response(200, HoldOut(many=True))
    def get(self, occasion_id: int) -> Any:
        """List what is kept for an event."""
        with transaction() as session:
            queries.get_occasion(session, occasion_id=occasion_id, actor=actor())
            return queries.holds(session, occasion_id=occasion_id)

    @blueprint.arguments(ReserveIn)
    @blueprint.response(201, HoldOut(many=True))
    def post(self, data: dict[str, Any], occasion_id: int) -> Any:
        """Keep vehicles and drivers, all or none."""
        with transaction() as session:
            return service.reserve(session, occasion_id=occasion_id, **data, actor=actor(), now=now())

    @blueprint.arguments(GiveBackIn)
    @blueprint.response(200, OccasionOut)
    def delete(self, data: dict[str, Any], occasion_id: int) -> Any:
        """Give some of it back."""
        with transaction() as session:
            return service.give_back(session, occasion_id=occasion_id, **data, actor=actor(), now=now())


@blueprint.route("/occasions/<int:occasion_id>/roster")
class OccasionRoster(MethodView):
    @blueprint.response(200, ShiftOut(many=True))
    def get(self, occasion_id: int) -> Any:
        """List the roster by day."""
        with transaction() as session:
            queries.get_occasion(session, occasion_id=occasion_id, actor=actor())
            return queries.shifts(session, occasion_id=occasion_id)

    @blueprint.arguments(RosterIn)
    @blueprint.response(200, ShiftOut(many=True))
    def put(self, data: dict[str, Any], occasion_id: int) -> Any:
        """Put a driver on a vehicle for some days; returns the new shifts."""
        with transaction() as session:
            return service.roster(session, occasion_id=occasion_id, **data, actor=actor(), now=now())


@blueprint.route("/occasions/<int:occasion_id>/summary")
class OccasionSummary(MethodView):
    @blueprint.response(200, SummaryOut)
    def get(self, occasion_id: int) -> Any:
        """Return what an event has come to."""
        with transaction() as session:
            occasion = queries.get_occasion(session, occasion_id=occasion_id, actor=actor())
            return summary.account(session, occasion=occasion, actor=actor()).figures
