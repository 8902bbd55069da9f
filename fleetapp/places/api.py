"""Places and parking areas under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.places import queries, service
from fleetapp.places.schemas import PageQuery, ParkingIn, ParkingOut, PlaceOut, SearchQuery
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_places", __name__, url_prefix="/api/v1", description="Places and designated parking")


@blueprint.route("/places")
class Places(MethodView):
    @blueprint.arguments(SearchQuery, location="query")
    @blueprint.response(200, PlaceOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Search places by Chinese name, pinyin, initials or English name, the best first."""
        with transaction() as session:
            return queries.search(session, query["q"], query["limit"])


@blueprint.route("/parking-areas")
class ParkingAreas(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, ParkingOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List parking areas within reach; the total is in the header ``X-Total-Count``."""
        permits.require("places.read", actor())
        with transaction() as session:
            page = paginate(session, queries.visible_to(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(ParkingIn)
    @blueprint.response(201, ParkingOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Add a designated parking area of a unit."""
        with transaction() as session:
            return service.create_parking(session, **data, actor=actor(), now=now())
