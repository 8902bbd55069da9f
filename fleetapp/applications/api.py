"""Applications under ``/api/v1``: the order itself, the form's answer, weekly series, favourites."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.applications import answers, queries, rules, service
from fleetapp.applications.schemas import (
    AnswerOut,
    ApplicationIn,
    FavouriteIn,
    FavouriteOut,
    NameIn,
    TripQuery,
    WeeklyIn,
)
from fleetapp.kit import permits
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders.schemas import OrderOut, ReasonIn
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_applications", __name__, url_prefix="/api/v1", description="Applications for vehicles")


@blueprint.route("/orders")
class Applications(MethodView):
    @blueprint.arguments(ApplicationIn)
    @blueprint.response(201, OrderOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Apply for a vehicle; the same ``request_key`` again returns the same order."""
        with transaction() as session:
            return service.apply(session, **data, actor=actor(), now=now())


@blueprint.route("/orders/weekly")
class Weekly(MethodView):
    @blueprint.arguments(WeeklyIn)
    @blueprint.response(201, OrderOut(many=True))
    def post(self, data: dict[str, Any]) -> Any:
        """Apply for a journey on weekdays until a date: all of them or none."""
        with transaction() as session:
            return service.apply_weekly(session, **data, actor=actor(), now=now())


@blueprint.route("/orders/weekly/<series>/cancel")
class CancelWeekly(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, OrderOut(many=True))
    def post(self, data: dict[str, Any], series: str) -> Any:
        """End what of a series has not begun."""
        with transaction() as session:
            return service.cancel_series(session, series=series, reason=data["reason"], actor=actor(), now=now())


@blueprint.route("/orders/answer")
class Answer(MethodView):
    @blueprint.arguments(TripQuery, location="query")
    @blueprint.response(200, AnswerOut)
    def get(self, query: dict[str, Any]) -> Any:
        """Return free vehicles, company on the way and what to know of a trip before it is applied for."""
        permits.require("orders.create", actor())
        trip = answers.trip_of(query)
        if trip is None:
            raise RuleBroken("orders.window_reversed")
        with transaction() as session:
            return answers.answer(session, trip=trip, actor=actor(), now=now())


@blueprint.route("/favourites")
class Favourites(MethodView):
    @blueprint.response(200, FavouriteOut(many=True))
    def get(self) -> Any:
        """List one's favourite trips, the lately used first."""
        with transaction() as session:
            return queries.favourites(session, actor=actor())

    @blueprint.arguments(FavouriteIn)
    @blueprint.response(201, FavouriteOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Keep the trip of an order under a name."""
        with transaction() as session:
            order = orders.get_order(session, order_id=data["order_id"], actor=actor())
            return service.save_favourite(
                session, name=data["name"], content=rules.content_of(order), actor=actor(), now=now()
            )


@blueprint.route("/favourites/<int:favourite_id>")
class Favourite(MethodView):
    @blueprint.arguments(NameIn)
    @blueprint.response(200, FavouriteOut)
    def patch(self, data: dict[str, Any], favourite_id: int) -> Any:
        """Rename a favourite."""
        with transaction() as session:
            return service.rename_favourite(session, favourite_id=favourite_id, **data, actor=actor(), now=now())

    @blueprint.response(204)
    def delete(self, favourite_id: int) -> None:
        """Forget a favourite."""
        with transaction() as session:
            service.delete_favourite(session, favourite_id=favourite_id, actor=actor(), now=now())
