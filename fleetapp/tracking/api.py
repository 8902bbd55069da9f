"""Positions, tracks, uploads and terminals under ``/api/v1``."""

from datetime import timedelta
from typing import Any

from flask import url_for
from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.tracking import bridge, queries, service
from fleetapp.tracking.schemas import (
    FixOut,
    LiveOut,
    LiveQuery,
    PageQuery,
    TerminalIn,
    TerminalOut,
    TrackQuery,
    UploadOut,
)
from fleetapp.web.api import page_headers
from fleetapp.web.display import name
from fleetapp.web.forms import received_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("api_tracking", __name__, url_prefix="/api/v1", description="Positions and tracks")
OVERLAP = timedelta(seconds=2)


@blueprint.route("/positions")
class Positions(MethodView):
    @blueprint.arguments(LiveQuery, location="query")
    @blueprint.response(200, LiveOut)
    def get(self, query: dict[str, Any]) -> dict[str, Any]:
        """Return the newest positions within the caller's scope; ``since`` limits them to what came in meanwhile."""
        permits.require("tracking.live", actor())
        with transaction() as session:
            found = queries.live(session, actor=actor(), now=now(), since=query["since"])
            positions = [
                {
                    "vehicle_id": item.vehicle.id, "plate": item.vehicle.plate, "org": name(item.vehicle.org),
                    "lat": item.position.lat, "lon": item.position.lon, "at": item.position.at,
                    "speed_kmh": item.position.speed_kmh, "direction_deg": item.position.direction_deg,
                    "acc": item.position.acc, "state": item.state.value, "state_text": t(f"tracking.state.{item.state}"),
                    "text": f"{clock.local(item.position.at):%m-%d %H:%M:%S} · {item.position.speed_kmh or 0:.0f} km/h",
                    "href": url_for("vehicles.show", vehicle_id=item.vehicle.id),
                }
                for item in found
            ]  # fmt: skip
        as_of = t("web.as_of", at=f"{clock.local(now()):%H:%M:%S}")
        return {"next": now() - OVERLAP, "as_of_text": as_of, "positions": positions}


@blueprint.route("/vehicles/<int:vehicle_id>/track")
class Track(MethodView):
    @blueprint.arguments(TrackQuery, location="query")
    @blueprint.response(200, FixOut(many=True))
    def get(self, query: dict[str, Any], vehicle_id: int) -> Any:
        """Return the fixes of a vehicle; the purpose is logged."""
        with transaction() as session:
            return service.view_track(session, vehicle_id=vehicle_id, **query, actor=actor(), now=now())


@blueprint.route("/vehicles/<int:vehicle_id>/track-files")
class TrackFiles(MethodView):
    @blueprint.response(201, UploadOut)
    def post(self, vehicle_id: int) -> Any:
        """Store a GPX, CSV, JSON-lines or frame file (multipart field ``file``) as fixes of a vehicle."""
        with received_file("file") as (path, file_name), transaction() as session:
            return service.upload_track(
                session, vehicle_id=vehicle_id, path=path, file_name=file_name, actor=actor(), now=now()
            )


@blueprint.route("/terminals")
class Terminals(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, TerminalOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List devices."""
        permits.require("tracking.terminals", actor())
        with transaction() as session:
            page = paginate(session, bridge.terminals(), number=query["page"], size=100)
            return [row._mapping for row in page.items], page_headers(page)  # noqa: SLF001 -- Row's public mapping

    @blueprint.arguments(TerminalIn)
    @blueprint.response(201, TerminalOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Allow a device; a phone's token is in this answer and nowhere else."""
        with transaction() as session:
            terminal_id, token = service.allow_terminal(session, **data, actor=actor(), now=now())
        return {"id": terminal_id, "phone": data["phone"], "kind": data["kind"], "token": token}
