"""Notices under ``/api/v1/notices``: everybody's own, and the care of deliveries."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.notices import queries, service
from fleetapp.notices.models import Notice
from fleetapp.notices.schemas import CareIn, DeliveryOut, DeliveryQuery, NoticeOut, NoticeQuery
from fleetapp.notices.words import words
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_notices", __name__, url_prefix="/api/v1", description="Notices and their deliveries")


def _out(notice: Notice) -> dict[str, Any]:
    names = ("id", "code", "link", "urgent", "created_at", "read_at")
    return {name: getattr(notice, name) for name in names} | {"text": words(notice)}


@blueprint.route("/notices")
class Notices(MethodView):
    @blueprint.arguments(NoticeQuery, location="query")
    @blueprint.response(200, NoticeOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List one's own notices; the total is in the header ``X-Total-Count``."""
        with transaction() as session:
            rows = queries.visible_to(actor(), unread=query["unread"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return [_out(notice) for notice in page.items], page_headers(page)


@blueprint.route("/notices/<int:notice_id>/reading")
class Reading(MethodView):
    @blueprint.response(200, NoticeOut)
    def post(self, notice_id: int) -> Any:
        """Mark one of one's own notices as read."""
        with transaction() as session:
            return _out(service.mark_read(session, notice_id=notice_id, actor=actor(), now=now()))


@blueprint.route("/notice-deliveries")
class Deliveries(MethodView):
    @blueprint.arguments(DeliveryQuery, location="query")
    @blueprint.response(200, DeliveryOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List deliveries to people of the units one looks after; the total is in the header ``X-Total-Count``."""
        permits.require("notices.deliveries", actor())
        with transaction() as session:
            rows = queries.deliveries_visible_to(actor(), state=query["state"], channel=query["channel"], q=query["q"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/notice-deliveries/<int:delivery_id>/retry")
class Retry(MethodView):
    @blueprint.arguments(CareIn)
    @blueprint.response(200, DeliveryOut)
    def post(self, data: dict[str, Any], delivery_id: int) -> Any:
        """Try a failed or suppressed delivery again."""
        with transaction() as session:
            return service.retry(session, delivery_id=delivery_id, **data, actor=actor(), now=now())


@blueprint.route("/notice-deliveries/<int:delivery_id>/suppression")
class Suppression(MethodView):
    @blueprint.arguments(CareIn)
    @blueprint.response(200, DeliveryOut)
    def post(self, data: dict[str, Any], delivery_id: int) -> Any:
        """Keep a delivery from going out."""
        with transaction() as session:
            return service.suppress(session, delivery_id=delivery_id, **data, actor=actor(), now=now())
