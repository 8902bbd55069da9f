"""The end of a journey under ``/api/v1/orders``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.confirmations import queries, ratings, service
from fleetapp.confirmations.schemas import (
    AnswerIn,
    BillIn,
    ConfirmationOut,
    ConfirmIn,
    JourneyOut,
    ObjectIn,
    RatingIn,
    RatingOut,
    RemarkOut,
    metres,
    scores_of,
)
from fleetapp.kit.errors import NotFound
from fleetapp.orders import queries as orders
from fleetapp.web.forms import sent_file
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_confirmations", __name__, url_prefix="/api/v1", description="The end of a journey")


@blueprint.route("/orders/<int:order_id>/confirmation")
class Confirmation(MethodView):
    @blueprint.response(200, JourneyOut)
    def get(self, order_id: int) -> Any:
        """Return what was planned and driven, side by side, with what was said and confirmed."""
        with transaction() as session:
            return queries.journey(session, order=orders.get_order(session, order_id=order_id, actor=actor()))

    @blueprint.arguments(ConfirmIn)
    @blueprint.response(200, ConfirmationOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Confirm; again it changes nothing."""
        with transaction() as session:
            return service.confirm(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/bill")
class Bill(MethodView):
    @blueprint.arguments(BillIn, location="form")
    @blueprint.response(200, ConfirmationOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Confirm a hired journey: form fields and the receipt as a file ``receipt``; again it changes nothing."""
        bill = {"bill_cny": data["bill_cny"], "driven_m": metres(data["driven_km"]), "receipt": sent_file("receipt")}
        with transaction() as session:
            return service.confirm(session, order_id=order_id, **bill, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/objection")
class Objection(MethodView):
    @blueprint.arguments(ObjectIn)
    @blueprint.response(200, RemarkOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Object; the same objection again changes nothing."""
        with transaction() as session:
            return service.object_to(session, order_id=order_id, **data, actor=actor(), now=now())


@blueprint.route("/orders/<int:order_id>/objection/answer")
class Answer(MethodView):
    @blueprint.arguments(AnswerIn)
    @blueprint.response(200, RemarkOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Answer an objection; the same answer again changes nothing."""
        with transaction() as session:
            return service.answer(
                session,
                order_id=order_id,
                reply=data["reply"],
                proposed_m=metres(data["proposed_km"]),
                actor=actor(),
                now=now(),
            )


@blueprint.route("/orders/<int:order_id>/rating")
class Rating(MethodView):
    @blueprint.response(200, RatingOut)
    def get(self, order_id: int) -> Any:
        """Return one's own rating."""
        with transaction() as session:
            found = queries.find_rating(session, order_id=order_id)
            if found is None or found.rated_by != actor().user_id:
                raise NotFound("kit.not_found")
            return found

    @blueprint.arguments(RatingIn)
    @blueprint.response(200, RatingOut)
    def post(self, data: dict[str, Any], order_id: int) -> Any:
        """Rate or leave it out; the same rating again changes nothing."""
        with transaction() as session:
            return ratings.rate(session, order_id=order_id, **scores_of(data), actor=actor(), now=now())
