"""The registry under ``/api/v1/vehicles``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts.queries import get_org
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.vehicles import papers, queries, service
from fleetapp.vehicles.schemas import (
    DocumentIn,
    DocumentOut,
    DocumentVoidIn,
    StateIn,
    TerminalIn,
    VehicleIn,
    VehicleOut,
    VehiclePatch,
    VehicleQuery,
)
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_vehicles", __name__, url_prefix="/api/v1", description="Vehicles: one vehicle, one file")


@blueprint.route("/vehicles")
class Vehicles(MethodView):
    @blueprint.arguments(VehicleQuery, location="query")
    @blueprint.response(200, VehicleOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List vehicles; the total is in the header ``X-Total-Count``."""
        permits.require("vehicles.read", actor())
        number, size, org_id = query.pop("page"), query.pop("size"), query.pop("org_id")
        with transaction() as session:
            org_path = get_org(session, org_id=org_id).path if org_id else None
            rows = queries.filtered(queries.visible_to(actor()), **query, org_path=org_path)
            page = paginate(session, rows, number=number, size=size)
            return list(page.items), page_headers(page)

    @blueprint.arguments(VehicleIn)
    @blueprint.response(201, VehicleOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Enter a vehicle of a unit, with its terminal if given."""
        with transaction() as session:
            return service.register(session, **data, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>")
class OneVehicle(MethodView):
    @blueprint.response(200, VehicleOut)
    def get(self, vehicle_id: int) -> Any:
        """Return one vehicle."""
        with transaction() as session:
            return queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor())

    @blueprint.arguments(VehiclePatch(partial=True))
    @blueprint.response(200, VehicleOut)
    def patch(self, data: dict[str, Any], vehicle_id: int) -> Any:
        """Correct facts of a vehicle."""
        version = data.pop("version", None)
        with transaction() as session:
            return service.edit(session, vehicle_id=vehicle_id, changes=data, version=version, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/state")
class VehicleStates(MethodView):
    @blueprint.arguments(StateIn)
    @blueprint.response(200, VehicleOut)
    def post(self, data: dict[str, Any], vehicle_id: int) -> Any:
        """Move a vehicle to another state."""
        with transaction() as session:
            return service.change_state(session, vehicle_id=vehicle_id, **data, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/terminal")
class VehicleTerminal(MethodView):
    @blueprint.arguments(TerminalIn)
    @blueprint.response(204)
    def post(self, data: dict[str, Any], vehicle_id: int) -> None:
        """Fit a terminal, or take the present one out with ``null``."""
        with transaction() as session:
            if data["phone"]:
                service.bind_terminal(session, vehicle_id=vehicle_id, phone=data["phone"], actor=actor(), now=now())
            else:
                service.unbind_terminal(session, vehicle_id=vehicle_id, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/documents")
class VehicleDocuments(MethodView):
    @blueprint.response(200, DocumentOut(many=True))
    def get(self, vehicle_id: int) -> Any:
        """List a vehicle's papers, void ones too."""
        with transaction() as session:
            queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor())
            return queries.documents(session, vehicle_id=vehicle_id)

    @blueprint.arguments(DocumentIn)
    @blueprint.response(201, DocumentOut)
    def post(self, data: dict[str, Any], vehicle_id: int) -> Any:
        """Enter a paper or an exemption."""
        with transaction() as session:
            return papers.add(session, vehicle_id=vehicle_id, **data, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/documents/<int:document_id>/void")
class VehicleDocumentVoid(MethodView):
    @blueprint.arguments(DocumentVoidIn)
    @blueprint.response(200, DocumentOut)
    def post(self, data: dict[str, Any], vehicle_id: int, document_id: int) -> Any:
        """Make a wrong paper void."""
        with transaction() as session:
            return papers.void(
                session, vehicle_id=vehicle_id, document_id=document_id, **data, actor=actor(), now=now()
            )
