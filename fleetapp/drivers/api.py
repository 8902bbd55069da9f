"""Drivers under ``/api/v1/drivers``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.drivers import queries, service
from fleetapp.drivers.schemas import DriverIn, DriverOut, DriverQuery, LicenceIn
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_drivers", __name__, url_prefix="/api/v1", description="Drivers and their licences")


@blueprint.route("/drivers")
class Drivers(MethodView):
    @blueprint.arguments(DriverQuery, location="query")
    @blueprint.response(200, DriverOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List drivers; the total is in the header ``X-Total-Count``."""
        permits.require("drivers.read", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), q=query["q"], licence=query["licence"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(DriverIn)
    @blueprint.response(201, DriverOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Make an account with the driver's role a driver of its unit."""
        with transaction() as session:
            return service.create(session, **data, actor=actor(), now=now())


@blueprint.route("/drivers/<int:driver_id>")
class OneDriver(MethodView):
    @blueprint.response(200, DriverOut)
    def get(self, driver_id: int) -> Any:
        """Return one driver."""
        with transaction() as session:
            return queries.get_driver(session, driver_id=driver_id, actor=actor())


@blueprint.route("/drivers/<int:driver_id>/licence")
class DriverLicence(MethodView):
    @blueprint.arguments(LicenceIn)
    @blueprint.response(200, DriverOut)
    def put(self, data: dict[str, Any], driver_id: int) -> Any:
        """Enter a renewed or another licence."""
        with transaction() as session:
            return service.edit_licence(session, driver_id=driver_id, **data, actor=actor(), now=now())


@blueprint.route("/drivers/<int:driver_id>/leave")
class DriverLeave(MethodView):
    @blueprint.response(200, DriverOut)
    def post(self, driver_id: int) -> Any:
        """End a driver's service."""
        with transaction() as session:
            return service.leave(session, driver_id=driver_id, actor=actor(), now=now())
