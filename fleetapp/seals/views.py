"""Pages of sealing: notices, one notice with its live light, its vehicles, one vehicle's record, a vehicle's history."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.places import queries as places
from fleetapp.policies import queries as policies
from fleetapp.seals import light, queries, rules, service
from fleetapp.seals.models import SealCampaign, SealException, SealRecord
from fleetapp.seals.rules import ExceptionState, KeyHolder, RecordAction, RecordState
from fleetapp.seals.schemas import (
    CampaignIn,
    EmptyIn,
    ExceptionIn,
    NoteIn,
    OdometerIn,
    PageQuery,
    ProofIn,
    PublishIn,
    RecordQuery,
)
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("seals", __name__, template_folder="templates")

STEPS: Mapping[str, tuple[Any, Any]] = {
    "publish": (PublishIn, service.publish),
    "start": (EmptyIn, service.start),
    "close": (EmptyIn, service.close),
    "cancel": (NoteIn, service.cancel),
}
"""Form and function by the name of a notice's action."""
REFUSED = (Invalid, RuleBroken, Conflict)


@blueprint.get("/seals")
def index() -> str:
    """List notices, the newest first."""
    permits.require("seals.read", actor())
    query = load(PageQuery(), request.args.to_dict())
    with transaction() as s:
        page = paginate(s, queries.visible_to(actor()), number=query["page"], size=query["size"])
        return render_template("seals/index.html", page=page)


def _form(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    who = actor()
    permits.require("seals.publish", who)
    with transaction() as s:
        proposal = queries.next_holiday(s, on=clock.local_date(now()))
        orgs = [org for org in s.scalars(orgs_visible_to(who)) if permits.may("seals.publish", who, org_path=org.path)]
        first = {
            "holiday": proposal.holiday,
            "start_on": proposal.start_on.isoformat(),
            "end_on": proposal.end_on.isoformat(),
        }
        return render_template(
            "seals/form.html", values=values or first, errors=errors, known=proposal.known, orgs=[(org.id, name(org)) for org in orgs]
        )  # fmt: skip


@blueprint.get("/seals/new")
def new() -> str:
    """Show the form of a notice, filled with the next holiday."""
    return _form({}, {})


@blueprint.post("/seals/new")
def draft() -> Response | tuple[str, int]:
    """Draft a notice."""
    try:
        data = load_form(CampaignIn())
        with transaction() as s:
            made = service.draft(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _form(request.form.to_dict(), errors_of(error)), 422
    flash(t("seals.drafted"))
    return redirect(url_for("seals.show", campaign_id=made.id))


def _actions(campaign: SealCampaign) -> list[str]:
    """Return the steps this person may take with a notice now, in their order."""
    if not permits.may("seals.publish", actor(), org_path=campaign.org.path):
        return []
    return [action.value for state, action in rules.CAMPAIGN_STEPS if state == campaign.state]


def _features(view: light.View) -> dict[str, Any]:
    """Return where the vehicles outside are, with the places they should be in."""
    found: list[dict[str, Any]] = []
    for row in view.outside:
        point = {"type": "Point", "coordinates": [row.lon, row.lat]}
        facts = {
            "kind": "vehicle",
            "state": "parked",
            "plate": row.record.vehicle.plate,
            "label": row.record.vehicle.plate,
        }
        found.append({"type": "Feature", "geometry": point, "properties": facts})
        if row.record.parking is not None:
            found.append(places.area_feature(row.record.parking, name(row.record.parking)))
    return {"type": "FeatureCollection", "features": found}


def _campaign_page(campaign_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("seals.read", actor())
    with transaction() as s:
        campaign = queries.get_campaign(s, campaign_id=campaign_id, actor=actor())
        view = light.view(s, campaign=campaign, actor=actor(), now=now())
        return render_template(
            "seals/show.html", campaign=campaign, view=view, changes=light.may_change(campaign), actions=_actions(campaign), errors=errors,
            values=request.form.to_dict(), events=queries.events(s, campaign_id=campaign.id),
            features=_features(view) if permits.may("tracking.live", actor()) else {"features": []},
        )  # fmt: skip


@blueprint.get("/seals/<int:campaign_id>")
def show(campaign_id: int) -> str:
    """Show one notice with its live light."""
    return _campaign_page(campaign_id, {})


@blueprint.get("/seals/<int:campaign_id>/light")
def light_fragment(campaign_id: int) -> str:
    """Return the live light alone, for the page that asks again and again."""
    permits.require("seals.read", actor())
    with transaction() as s:
        campaign = queries.get_campaign(s, campaign_id=campaign_id, actor=actor())
        view = light.view(s, campaign=campaign, actor=actor(), now=now())
        return render_template("seals/_light.html", campaign=campaign, view=view, changes=light.may_change(campaign))


@blueprint.post("/seals/<int:campaign_id>/<any(publish, start, close, cancel):action>")
def step(campaign_id: int, action: str) -> Response | tuple[str, int]:
    """Take one step of a notice."""
    schema, function = STEPS[action]
    try:
        data = load_form(schema())
        with transaction() as s:
            function(s, campaign_id=campaign_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _campaign_page(campaign_id, errors_of(error)), 422
    flash(t("seals.done"))
    return redirect(url_for("seals.show", campaign_id=campaign_id))


@blueprint.get("/seals/<int:campaign_id>/records")
def records(campaign_id: int) -> str:
    """List the vehicles under a notice with tabs by state."""
    permits.require("seals.read", actor())
    query = load_query(RecordQuery())
    with transaction() as s:
        campaign = queries.get_campaign(s, campaign_id=campaign_id, actor=actor())
        rows = queries.filtered(
            queries.records_visible_to(actor()), campaign_id=campaign.id, org_id=query["org_id"], q=query["q"], asked=query["asked"]
        )  # fmt: skip
        page = paginate(s, queries.filtered(rows, state=query["state"]), number=query["page"], size=query["size"])
        return render_template(
            "seals/records.html", campaign=campaign, page=page, query=query, counts=queries.count_by_state(s, rows)
        )


def _may(record: SealRecord, asked: list[SealException]) -> dict[str, bool]:
    """Return what this person may do with a record now."""
    who, path = actor(), record.org.path
    prove = permits.may("seals.prove", who, org_path=path)
    in_force = record.campaign.state in rules.IN_FORCE
    can = {action: (RecordState(record.state), action) in rules.RECORD_STEPS for action in RecordAction}
    ask = permits.may("seals.ask_exception", who, org_path=path, state=record.state)
    sealed = prove and can[RecordAction.UNSEAL]
    return {
        "prove": prove and in_force and can[RecordAction.PROVE],
        "unseal": sealed and _unsealable(record),
        "unseal_later": sealed and not _unsealable(record),
        "ask": ask and in_force and not any(one.state == ExceptionState.REQUESTED for one in asked),
        "decide": permits.may("seals.approve_exception", who, org_path=path),
    }


def _unsealable(record: SealRecord) -> bool:
    """Tell whether a sealed vehicle may be unsealed today."""
    days = {"end_on": record.campaign.end_on, "exempt_from": record.exempt_from, "exempt_until": record.exempt_until}
    try:
        rules.unsealing(record.campaign.state, **days, on=clock.local_date(now()))  # type: ignore[arg-type]
    except RuleBroken:
        return False
    return True


def _record_page(record_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("seals.read", actor())
    with transaction() as s:
        record = queries.get_record(s, record_id=record_id, actor=actor())
        asked = list(queries.exceptions_of(s, record_id=record.id))
        return render_template(
            "seals/record.html", record=record, asked=asked, may=_may(record, asked), errors=errors, values=_values(record),
            parkings=_parkings(s, record), keys=[(key.value, t(f"seals.keys.{key.value}")) for key in KeyHolder],
            events=queries.events(s, campaign_id=record.campaign_id, record_id=record.id),
            tolerance_m=int(policies.value(s, "seal.odometer_m", record.campaign.start_on, record.campaign.org.path)),
        )  # fmt: skip


def _values(record: SealRecord) -> dict[str, Any]:
    campaign = record.campaign
    first = {
        "parking_id": record.vehicle.parking_id,
        "start_on": campaign.start_on.isoformat(),
        "end_on": campaign.end_on.isoformat(),
    }
    return first | request.form.to_dict()


def _parkings(session: Session, record: SealRecord) -> list[tuple[int, str]]:
    """Return the places that belong to the unit, and the vehicle's own."""
    areas = session.scalars(places.visible_to(actor())).all()
    return [
        (area.id, name(area)) for area in areas if area.org_id == record.org_id or area.id == record.vehicle.parking_id
    ]


@blueprint.get("/seals/records/<int:record_id>")
def record(record_id: int) -> str:
    """Show one vehicle's record."""
    return _record_page(record_id, {})


@blueprint.post("/seals/records/<int:record_id>/<any(prove, unseal, ask):action>")
def record_step(record_id: int, action: str) -> Response | tuple[str, int]:
    """Prove, unseal, or ask to keep for duty."""
    photo = request.files.get("photo")
    try:
        data = load_form({"prove": ProofIn, "unseal": OdometerIn, "ask": ExceptionIn}[action]())
        if "odometer_km" in data:
            data["odometer_m"] = int(data.pop("odometer_km") * 1000)
        with transaction() as s:
            given = {"record_id": record_id, **data, "actor": actor(), "now": now()}
            if action == "prove":
                service.prove(
                    s, photo=(photo.filename or "", photo.read()) if photo and photo.filename else None, **given
                )
            else:
                (service.unseal if action == "unseal" else service.ask_exception)(s, **given)
    except REFUSED as error:
        return _record_page(record_id, errors_of(error)), 422
    flash(t("seals.done"))
    return redirect(url_for("seals.record", record_id=record_id))


@blueprint.post("/seals/records/<int:record_id>/exceptions/<int:exception_id>/<any(approve, reject):action>")
def decide(record_id: int, exception_id: int, action: str) -> Response | tuple[str, int]:
    """Approve or reject a duty vehicle."""
    try:
        data = load_form(NoteIn())
        with transaction() as s:
            service.decide_exception(
                s, exception_id=exception_id, approve=action == "approve", **data, actor=actor(), now=now()
            )
    except REFUSED as error:
        return _record_page(record_id, errors_of(error)), 422
    flash(t("seals.done"))
    return redirect(url_for("seals.record", record_id=record_id))


@blueprint.get("/seals/vehicles/<int:vehicle_id>")
def history(vehicle_id: int) -> str:
    """Show the seals of one vehicle."""
    permits.require("seals.read", actor())
    with transaction() as s:
        vehicle = vehicles.get_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        return render_template(
            "seals/history.html", vehicle=vehicle, records=queries.of_vehicle(s, vehicle_id=vehicle_id, actor=actor())
        )
