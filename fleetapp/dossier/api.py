"""A vehicle's file under ``/api/v1/vehicles/{id}/file``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint
from sqlalchemy.orm import Session

from fleetapp.dossier import queries, rules, service
from fleetapp.dossier.schemas import FactsIn, FileOut
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_dossier", __name__, url_prefix="/api/v1", description="One car, one file")


def _file(session: Session, vehicle_id: int) -> dict[str, Any]:
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor())
    values = queries.values(session, vehicle, now=now())
    complete = rules.completeness(values, vehicle.energy)
    entries = queries.log(session, vehicle_id=vehicle.id)
    return {
        "vehicle_id": vehicle.id, "filled": complete.filled, "wanted": complete.wanted, "share": round(complete.share, 4),
        "missing": list(complete.missing), "states": queries.states(entries, vehicle, now=now()),
        "life": queries.life(session, vehicle, entries=entries, actor=actor()),
        "values": {key: rules.plain(value) for key, value in values.items()},
    }  # fmt: skip


@blueprint.route("/vehicles/<int:vehicle_id>/file")
class OneFile(MethodView):
    @blueprint.response(200, FileOut)
    def get(self, vehicle_id: int) -> Any:
        """Return a vehicle's attributes with their completeness, and its life as far as the caller reads it."""
        with transaction() as session:
            return _file(session, vehicle_id)

    @blueprint.arguments(FactsIn)
    @blueprint.response(200, FileOut)
    def patch(self, data: dict[str, Any], vehicle_id: int) -> Any:
        """Complete the file."""
        with transaction() as session:
            service.complete(session, vehicle_id=vehicle_id, values=data["values"], actor=actor(), now=now())
            return _file(session, vehicle_id)
