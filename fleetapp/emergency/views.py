"""Pages of emergencies: the panel, an activation from its preview to its figures, history, the year."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from flask import Blueprint, Response, flash, redirect, render_template, request, send_file, url_for
from marshmallow import EXCLUDE
from werkzeug import Response as Redirect

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.emergency import figures, queries, service
from fleetapp.emergency.callup import Line
from fleetapp.emergency.models import EmergencyActivation
from fleetapp.emergency.rules import ActivationState
from fleetapp.emergency.schemas import ActivationIn, CallUpIn, ChangeIn, ListQuery, NoteIn, SendIn, YearQuery
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, FleetError, Invalid, NotAllowed, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.kit.sheets import mark
from fleetapp.places import queries as places
from fleetapp.reserves import queries as reserves
from fleetapp.reserves.rules import DECLARED
from fleetapp.tracking import service as tracking
from fleetapp.web.downloads import XLSX
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("emergency", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict, NotAllowed)
STEPS: Mapping[str, tuple[Any, Any]] = {
    "confirm": (CallUpIn, service.confirm),
    "more": (CallUpIn, service.call_more),
    "send": (SendIn, service.send),
    "level": (ChangeIn, service.change_level),
    "stand_down": (NoteIn, service.stand_down),
    "cancel": (NoteIn, service.cancel),
    "sign": (NoteIn, service.sign),
}
"""Form and function by the name of a step."""
HEADINGS = ("number", "level", "reason", "place", "leader", "confirmed_at", "ended_at", "target", "arrive_median", "within", "vehicle", "unit",
            "driver", "eta", "sent_at", "accepted_at", "left_at", "arrived_at", "arrive_min")  # fmt: skip


@blueprint.get("/emergency")
def index() -> str:
    """Show what is in force, how reserves stand, and what waits."""
    permits.require("emergency.read", actor())
    with transaction() as s:
        rows = queries.visible_to(actor())
        return render_template(
            "emergency/index.html", alerts=reserves.alerts(s, at=now()), reserves=reserves.reserves(s, actor=actor(), at=now()),
            active=s.scalars(queries.filtered(rows, state=ActivationState.ACTIVE)).all(),
            drafts=s.scalars(queries.filtered(rows, state=ActivationState.DRAFT).limit(10)).all(), at=now(),
            plans=[plan for plan in s.scalars(queries.plans_visible_to(actor())).all() if plan.retired_at is None],
        )  # fmt: skip


def _form(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    with transaction() as s:
        plan = queries.get_plan(s, plan_id=int(values.get("plan_id") or 0), actor=actor())
        permits.require("emergency.activate", actor(), org_path=plan.org.path)
        levels = {level.level: level for level in plan.levels}
        wanted = str(values.get("level") or "")
        level = levels.get(wanted) or (plan.levels[0] if plan.levels else None)
        return render_template(
            "emergency/form.html", plan=plan, level=level, levels=[levels[one] for one in DECLARED if one in levels], values=values,
            errors=errors, leaders=[user for user in queries.leaders(s, org_path=plan.org.path) if user.id != actor().user_id],
            officers=[row for row in plan.officers if row.user_id != actor().user_id],
        )  # fmt: skip


@blueprint.get("/emergency/new")
def new() -> str:
    """Show the form of an activation or drill for a plan and level."""
    return _form(request.args.to_dict(), {})


@blueprint.post("/emergency/new")
def draft() -> Redirect | tuple[str, int]:
    """Prepare an activation; its preview is next."""
    form = request.form.to_dict()
    try:
        data = load(ActivationIn(unknown=EXCLUDE), _activation(form))
        with transaction() as s:
            made = service.draft(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _form(form, errors_of(error, {"emergency.same_person": "officer_id"})), 422
    return redirect(url_for("emergency.show", activation_id=made.id))


def _activation(form: Mapping[str, str]) -> dict[str, Any]:
    """Return a form as the schema wants it: the numbers of the call-up, and the place found by its name if no point is given."""
    keys = ("plan_id", "level", "reason", "place", "lat", "lon", "hours", "leader_id", "officer_id")
    sent: dict[str, Any] = {key: form[key] for key in keys if form.get(key)}
    sent |= {"drill": "drill" in form, "goes": form.get("goes") == "1"}
    lists = [request.form.getlist(name) for name in ("pool_id", "body", "vehicles")]
    sent["wanted"] = [
        {"pool_id": pool, "body": body, "vehicles": vehicles or "0"}
        for pool, body, vehicles in zip(*lists, strict=False)
    ]
    if sent.get("place") and "lat" not in sent and "lon" not in sent:
        with transaction() as s:
            found = places.search(s, sent["place"], limit=1)
        if not found:
            raise RuleBroken("emergency.no_place")
        sent |= {"place": found[0].name_zh, "lat": found[0].lat, "lon": found[0].lon}
    return sent


@blueprint.get("/emergency/<int:activation_id>")
def show(activation_id: int) -> str:
    """Show an activation: its preview while it is a draft, what goes on while it is active, what came of it."""
    return _show(activation_id, None)


def _show(activation_id: int, problem: str | None) -> str:
    permits.require("emergency.read", actor())
    with transaction() as s:
        activation = queries.get_activation(s, activation_id=activation_id, actor=actor())
        may = permits.may("emergency.activate", actor(), org_path=activation.org.path)
        calling = activation.state == ActivationState.DRAFT or (
            activation.state == ActivationState.ACTIVE and "more" in request.args
        )
        lines, effects = (
            figures.preview(s, activation=activation, actor=actor(), now=now(), chosen=_ticked())
            if may and calling else ([], [])
        )  # fmt: skip
        seen = [one.vehicle for line in lines for one in line.candidates if one.chosen and one.seen_at]
        if seen:
            tracking.watched(s, purpose=activation.number, vehicles=len(seen), actor=actor(), now=now())
        level = next((one for one in activation.plan.levels if one.level == activation.level), None)
        return render_template(
            "emergency/show.html", activation=activation, may=may, calling=may and calling, lines=lines, effects=effects, problem=problem,
            record=figures.record_of(s, activation=activation, now=now()), done=queries.effects_of(s, activation_id=activation.id),
            events=queries.events_of(s, activation_id=activation.id), at=now(), level=level, levels=DECLARED,
            features=_features(activation, lines), values=request.form, errors={}, pools={wish["pool_id"]: accounts.get_org(s, org_id=wish["pool_id"]) for wish in activation.wanted},
        )  # fmt: skip


def _ticked() -> set[int] | None:
    """Return the vehicles that the reader ticked to look at again, or None for those proposed."""
    chosen = request.values.getlist("vehicle_ids", type=int)
    return set(chosen) if chosen else None


def _features(activation: EmergencyActivation, lines: Sequence[Line]) -> dict[str, Any]:
    """Return the place on the map, and where the vehicles chosen come from; a vehicle seen lately is moving, else at its yard."""

    def feature(lonlat: tuple[float, float], **facts: str) -> dict[str, Any]:
        return {"type": "Feature", "geometry": {"type": "Point", "coordinates": list(lonlat)}, "properties": facts}

    chosen = [one for line in lines for one in line.candidates if one.chosen]
    return {"type": "FeatureCollection", "features": [
        feature((activation.lon, activation.lat), kind="stop", label=activation.place, name=activation.place),
        *(feature(one.at, kind="vehicle", state="moving" if one.seen_at else "parked", plate=one.vehicle.plate, label=one.vehicle.plate)
          for one in chosen),
    ]}  # fmt: skip


@blueprint.get("/emergency/<int:activation_id>/live")
def live(activation_id: int) -> str:
    """Return the vehicles of an activation alone, for the page that asks again and again."""
    permits.require("emergency.read", actor())
    with transaction() as s:
        activation = queries.get_activation(s, activation_id=activation_id, actor=actor())
        return render_template(
            "emergency/_cars.html", activation=activation, record=figures.record_of(s, activation=activation, now=now()), at=now(),
            may=permits.may("emergency.activate", actor(), org_path=activation.org.path),
        )  # fmt: skip


@blueprint.post("/emergency/<int:activation_id>/<any(confirm, more, send, level, stand_down, cancel, sign):step>")
def step(activation_id: int, step: str) -> Redirect | str | tuple[str, int]:
    """Take a step; ``look`` only shows what the ticked vehicles would do."""
    if "look" in request.form:
        return _show(activation_id, None)
    schema, act = STEPS[step]
    try:
        data = load_form(schema(unknown=EXCLUDE))
        with transaction() as s:
            act(s, activation_id=activation_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _show(activation_id, _said(error)), 409 if isinstance(error, Conflict) else 422
    flash(t(f"emergency.done.{step}"))
    return redirect(url_for("emergency.show", activation_id=activation_id))


def _said(error: FleetError) -> str:
    if isinstance(error, Invalid):
        return t("emergency.nobody_chosen") if {"vehicle_ids", "car_ids"} & error.fields.keys() else t("kit.invalid")
    return t(error.code, **error.params)


@blueprint.get("/emergency/history")
def history() -> str:
    """List activations and drills."""
    permits.require("emergency.read", actor())
    query = load_query(ListQuery())
    with transaction() as s:
        rows = queries.filtered(queries.visible_to(actor()), drill=query["drill"])
        page = paginate(s, rows, number=query["page"], size=query["size"])
        return render_template("emergency/history.html", page=page, query=query)


@blueprint.get("/emergency/year")
def year() -> str:
    """Show how fast vehicles came over a year."""
    permits.require("emergency.read", actor())
    asked = load_query(YearQuery())["year"]
    of = asked or clock.local_date(now()).year
    with transaction() as s:
        records = figures.of_year(s, year=of, actor=actor(), now=now())
        real, drills = ([record for record in records if record.activation.drill is wanted] for wanted in (False, True))
        return render_template(
            "emergency/year.html",
            year=of,
            records=records,
            real=figures.together(real),
            drills=figures.together(drills),
        )


@blueprint.post("/emergency/<int:activation_id>/record.xlsx")
def record(activation_id: int) -> Response:
    """Send the record of an activation as a spreadsheet; the reason is kept in the audit log."""
    permits.require("emergency.read", actor())
    reason = load_form(NoteIn(unknown=EXCLUDE))["note"]
    file = BytesIO()
    with transaction() as s:
        activation = queries.get_activation(s, activation_id=activation_id, actor=actor())
        found = figures.record_of(s, activation=activation, now=now())
        figures.write(
            found, file, words={code: t(f"emergency.sheet.{code}") for code in HEADINGS}, mark=mark(actor().name, now())
        )
        audit.record(s, actor=actor(), now=now(), action="emergency.exported", subject_type="emergency_activation", subject_id=activation.id,
                     org_id=activation.org_id, number=activation.number, reason=reason)  # fmt: skip
    file.seek(0)
    return send_file(
        file, mimetype=XLSX, as_attachment=True, download_name=f"{t('emergency.record')}_{activation.number}.xlsx"
    )
