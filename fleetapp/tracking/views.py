"""Live map, playback, upload and terminals as pages."""

from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, flash, jsonify, redirect, render_template, request, url_for
from werkzeug import Response as BaseResponse

from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.places import roads
from fleetapp.tracking import bridge, card, queries, rules, service
from fleetapp.tracking.bridge import Fix
from fleetapp.tracking.rules import LiveState
from fleetapp.tracking.schemas import PageQuery, TerminalIn, TrackQuery
from fleetapp.vehicles import queries as vehicle_queries
from fleetapp.web.forms import load, load_form, received_file
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("tracking", __name__, template_folder="templates")
GAP = timedelta(minutes=10)


@blueprint.get("/map/roads.json")
def road_lines() -> Response:
    """Return the main roads as GeoJSON, the ground of every map."""
    answer = jsonify(roads.as_geojson())
    answer.headers["Cache-Control"] = "private, max-age=86400"
    return answer


@blueprint.get("/live")
def live() -> str:
    """Show where everybody is."""
    permits.require("tracking.live", actor())
    return render_template("tracking/live.html", states=list(LiveState))


@blueprint.get("/live/vehicles/<int:vehicle_id>")
def live_vehicle(vehicle_id: int) -> str:
    """Show one vehicle beside the map; who looks is logged."""
    with transaction() as s:
        found = card.show(s, vehicle_id=vehicle_id, actor=actor(), now=now())
        if found.position:
            service.watched(s, purpose=t("tracking.live_purpose"), vehicle=found.vehicle, actor=actor(), now=now())
        age = rules.age(now() - found.position.at) if found.position else None
        return render_template("tracking/_card.html", card=found, age=age)


@blueprint.get("/vehicles/<int:vehicle_id>/track")
def track(vehicle_id: int) -> str:
    """Ask for window and purpose; with them, show the track."""
    with transaction() as s:
        vehicle = vehicle_queries.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        permits.require("tracking.playback", actor(), org_path=vehicle.org.path)
        start, _ = clock.day_span(clock.local_date(now()))
        values: dict[str, Any] = {"start": clock.local(start).strftime("%Y-%m-%dT%H:%M"),
                                  "end": clock.local(now()).strftime("%Y-%m-%dT%H:%M"), "purpose": ""}  # fmt: skip
        if not request.args:
            return render_template("tracking/track.html", vehicle=vehicle, values=values, errors={}, fixes=None)
        values |= request.args.to_dict()
        try:
            data = load(TrackQuery(), request.args.to_dict())
            fixes = service.view_track(s, vehicle_id=vehicle_id, **data, actor=actor(), now=now())
        except Invalid as error:
            return render_template(
                "tracking/track.html", vehicle=vehicle, values=values, errors=error.fields, fixes=None
            )
        except RuleBroken as error:
            errors = {"purpose": [t(error.code, **error.params)]}
            return render_template("tracking/track.html", vehicle=vehicle, values=values, errors=errors, fixes=None)
        return render_template("tracking/track.html", vehicle=vehicle, values=values, errors={}, fixes=playback(fixes))


def playback(fixes: list[Fix]) -> list[dict[str, Any]]:
    """Return fixes for the map's player; a pause of over ten minutes is marked as a gap, not drawn as driven."""
    shown: list[dict[str, Any]] = []
    before: datetime | None = None
    for fix in fixes:
        if not (fix.fixed and -90 <= fix.lat <= 90 and -180 <= fix.lon <= 180 and (fix.lat, fix.lon) != (0, 0)):
            continue
        shown.append({
            "time": clock.local(fix.at).strftime("%m-%d %H:%M:%S"), "lat": fix.lat, "lon": fix.lon,
            "speed_kmh": None if fix.speed_kmh is None else round(fix.speed_kmh), "direction_deg": fix.direction_deg,
            "gap": before is not None and fix.at - before > GAP,
        })  # fmt: skip
        before = fix.at
    return shown


@blueprint.get("/tracking/upload")
def upload() -> str:
    """Show the upload form."""
    permits.require("tracking.upload", actor())
    return _upload_form(None, None)


def _upload_form(result: service.Upload | None, error: str | None) -> str:
    with transaction() as s:
        vehicles = s.scalars(queries.visible_to(actor())).all()
        return render_template("tracking/upload.html", vehicles=vehicles, result=result, error=error,
                               chosen=request.form.get("vehicle_id", ""))  # fmt: skip


@blueprint.post("/tracking/upload")
def upload_post() -> str | tuple[str, int]:
    """Store an uploaded track."""
    try:
        with received_file("file") as (path, file_name), transaction() as s:
            result = service.upload_track(
                s,
                vehicle_id=request.form.get("vehicle_id", 0, int),
                path=path,
                file_name=file_name,
                actor=actor(),
                now=now(),
            )
        return _upload_form(result, None)
    except (RuleBroken, Invalid) as error:
        return _upload_form(None, t(error.code, **error.params)), 422


@blueprint.get("/terminals")
def terminals() -> str:
    """List devices, the vehicle each is in, and what was refused."""
    permits.require("tracking.terminals", actor())
    return _terminals({}, {}, None)


def _terminals(values: dict[str, str], errors: dict[str, list[str]], token: str | None) -> str:
    query = load(PageQuery(), request.args.to_dict())
    with transaction() as s:
        page = paginate(s, bridge.terminals(), number=query["page"], size=50)
        refused = paginate(s, bridge.quarantine(), size=20)
        return render_template("tracking/terminals.html", page=page, bound=queries.bound_vehicles(s, now=now()),
                               refused=refused, values=values, errors=errors, token=token)  # fmt: skip


@blueprint.post("/terminals")
def allow_terminal() -> str | BaseResponse | tuple[str, int]:
    """Allow a device."""
    permits.require("tracking.terminals", actor())
    try:
        data = load_form(TerminalIn())
        with transaction() as s:
            _id, token = service.allow_terminal(s, **data, actor=actor(), now=now())
    except Invalid as error:
        return _terminals(request.form.to_dict(), error.fields, None), 422
    except FleetError as error:
        return _terminals(request.form.to_dict(), {"phone": [t(error.code, **error.params)]}, None), 409
    if token:
        return _terminals({}, {}, token)
    flash(t("tracking.terminal_allowed"))
    return redirect(url_for("tracking.terminals"))
