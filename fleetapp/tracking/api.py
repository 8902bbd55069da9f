"""Positions, tracks, uploads and terminals under ``/api/v1``."""

import gzip
from datetime import UTC, datetime
from typing import Any

from flask import Response, jsonify, request
from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.tracking import bridge, service, sims, watching
from fleetapp.tracking.schemas import (
    FixOut,
    LiveOut,
    LiveQuery,
    PageQuery,
    SimIn,
    SimOut,
    TerminalIn,
    TerminalOut,
    TrackQuery,
    UploadOut,
)
from fleetapp.web.api import UPLOAD, page_headers
from fleetapp.web.display import name
from fleetapp.web.forms import received_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

WORTH_IT, QUICK = 2000, 2
"""Bytes from which compressing pays, and gzip's level."""
blueprint = Blueprint("api_tracking", __name__, url_prefix="/api/v1", description="Positions and tracks")


@blueprint.route("/positions")
class Positions(MethodView):
    @blueprint.arguments(LiveQuery, location="query")
    @blueprint.response(200, LiveOut)
    def get(self, query: dict[str, Any]) -> Response:
        """Return the newest positions within the caller's scope that changed since the answer that gave ``since``.

        Nothing is lost and nothing sent twice, in whatever order the gateway's writings commit. When the vehicles that
        may be watched change (bound, transferred, restricted, retired), the answer is ``full``. Who begins to watch is logged.
        """
        permits.require("tracking.live", actor())
        with transaction() as session:
            found = watching.changes(session, actor=actor(), now=now(), since=query["since"])
            if query["since"] is None:
                service.watched(
                    session, purpose=t("tracking.live_purpose"), vehicles=len(found.vehicles), actor=actor(), now=now()
                )
        vehicles = [
            {"vehicle_id": v.vehicle_id, "plate": v.plate, "org_id": v.org_id, "org": name(v)} for v in found.vehicles
        ]
        return squeezed({
            "next": found.next, "as_of": instant(now()), "full": found.full, "vehicles": vehicles,
            "positions": [position(one) for one in found.positions],
        })  # fmt: skip


def position(seen: watching.Seen) -> dict[str, Any]:
    """Return what ``PositionOut`` says, made by hand: its fields one by one would take longer than the database."""
    at, look = seen.position, seen.outlook
    return {
        "vehicle_id": seen.vehicle_id, "lat": at.lat, "lon": at.lon, "at": instant(at.at), "speed_kmh": at.speed_kmh,
        "direction_deg": at.direction_deg, "acc": at.acc, "state": look.state.value,
        "moving_until": look.moving_until and instant(look.moving_until), "offline_from": instant(look.offline_from),
    }  # fmt: skip


def instant(at: datetime) -> str:
    """Return a moment to the second."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def squeezed(content: dict[str, Any]) -> Response:
    """Return JSON, compressed where it is long and the caller can read it."""
    response = jsonify(content)
    if (response.calculate_content_length() or 0) > WORTH_IT and request.accept_encodings.quality("gzip"):
        response.set_data(gzip.compress(response.get_data(), QUICK))
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response


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
    @blueprint.doc(requestBody=UPLOAD)
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


@blueprint.route("/terminals/<int:terminal_id>/sim")
class TerminalSim(MethodView):
    @blueprint.response(200, SimOut)
    def get(self, terminal_id: int) -> Any:
        """Return the SIM card of a terminal; 404 while none is entered."""
        permits.require("tracking.health", actor())
        with transaction() as session:
            return sims.get(session, terminal_id=terminal_id, actor=actor(), now=now())

    @blueprint.arguments(SimIn)
    @blueprint.response(200, SimOut)
    def put(self, data: dict[str, Any], terminal_id: int) -> Any:
        """Enter the SIM card of a terminal, or another in its place."""
        with transaction() as session:
            return sims.enter(session, terminal_id=terminal_id, **data, actor=actor(), now=now())
