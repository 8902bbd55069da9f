"""Emergencies under ``/api/v1/emergency``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.emergency import figures, plans, queries, service
from fleetapp.emergency.schemas import (
    ActivationIn,
    ActivationOut,
    CallUpIn,
    CarsOut,
    ChangeIn,
    LevelIn,
    ListQuery,
    NoteIn,
    OfficerIn,
    PlanIn,
    PreviewOut,
    SendIn,
)
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_emergency", __name__, url_prefix="/api/v1", description="Emergency plans and activations")


@blueprint.route("/emergency/plans")
class Plans(MethodView):
    @blueprint.arguments(PlanIn)
    @blueprint.response(201)
    def post(self, data: dict[str, Any]) -> Any:
        """Begin a plan."""
        with transaction() as session:
            return {"id": plans.make(session, **data, actor=actor(), now=now()).id}


@blueprint.route("/emergency/plans/<int:plan_id>/levels")
class Levels(MethodView):
    @blueprint.arguments(LevelIn)
    @blueprint.response(200)
    def put(self, data: dict[str, Any], plan_id: int) -> Any:
        """Say what a plan does at a level."""
        with transaction() as session:
            return {"id": plans.set_level(session, plan_id=plan_id, **data, actor=actor(), now=now()).id}


@blueprint.route("/emergency/plans/<int:plan_id>/officers")
class Officers(MethodView):
    @blueprint.arguments(OfficerIn)
    @blueprint.response(200)
    def put(self, data: dict[str, Any], plan_id: int) -> Any:
        """Name an officer of a plan."""
        with transaction() as session:
            return {"id": plans.add_officer(session, plan_id=plan_id, **data, actor=actor(), now=now()).id}


@blueprint.route("/emergency/activations")
class Activations(MethodView):
    @blueprint.arguments(ListQuery, location="query")
    @blueprint.response(200, ActivationOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List activations and drills; the total is in the header ``X-Total-Count``."""
        permits.require("emergency.read", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), drill=query["drill"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(ActivationIn)
    @blueprint.response(201, ActivationOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Prepare an activation or drill; nobody is called before it is confirmed."""
        with transaction() as session:
            return service.draft(session, **data, actor=actor(), now=now())


@blueprint.route("/emergency/activations/<int:activation_id>")
class OneActivation(MethodView):
    @blueprint.response(200, ActivationOut)
    def get(self, activation_id: int) -> Any:
        """Return one activation."""
        permits.require("emergency.read", actor())
        with transaction() as session:
            return queries.get_activation(session, activation_id=activation_id, actor=actor())


@blueprint.route("/emergency/activations/<int:activation_id>/preview")
class Preview(MethodView):
    @blueprint.response(200, PreviewOut)
    def get(self, activation_id: int) -> Any:
        """Return who could come and what taking the proposed vehicles would do; nothing is changed."""
        with transaction() as session:
            activation = queries.get_activation(session, activation_id=activation_id, actor=actor())
            permits.require("emergency.activate", actor(), org_path=activation.org.path)
            lines, effects = figures.preview(session, activation=activation, actor=actor(), now=now())
            return {"lines": lines, "effects": effects}


@blueprint.route("/emergency/activations/<int:activation_id>/cars")
class Cars(MethodView):
    @blueprint.response(200, CarsOut)
    def get(self, activation_id: int) -> Any:
        """Return the vehicles called up with the response figures."""
        permits.require("emergency.read", actor())
        with transaction() as session:
            activation = queries.get_activation(session, activation_id=activation_id, actor=actor())
            record = figures.record_of(session, activation=activation, now=now())
            return {"cars": record.cars, "figures": record.figures}


@blueprint.route("/emergency/activations/<int:activation_id>/<any(confirm, more):step>")
class CallUp(MethodView):
    @blueprint.arguments(CallUpIn)
    @blueprint.response(200, ActivationOut)
    def post(self, data: dict[str, Any], activation_id: int, step: str) -> Any:
        """Activate, or call more vehicles up."""
        act = service.confirm if step == "confirm" else service.call_more
        with transaction() as session:
            return act(session, activation_id=activation_id, **data, actor=actor(), now=now())


@blueprint.route("/emergency/activations/<int:activation_id>/send")
class Send(MethodView):
    @blueprint.arguments(SendIn)
    @blueprint.response(200, ActivationOut)
    def post(self, data: dict[str, Any], activation_id: int) -> Any:
        """Send vehicles that stand by."""
        with transaction() as session:
            return service.send(session, activation_id=activation_id, **data, actor=actor(), now=now())


@blueprint.route("/emergency/activations/<int:activation_id>/level")
class ChangeLevel(MethodView):
    @blueprint.arguments(ChangeIn)
    @blueprint.response(200, ActivationOut)
    def post(self, data: dict[str, Any], activation_id: int) -> Any:
        """Raise or lower the level."""
        with transaction() as session:
            return service.change_level(session, activation_id=activation_id, **data, actor=actor(), now=now())


@blueprint.route("/emergency/activations/<int:activation_id>/<any(stand_down, cancel, sign):step>")
class LastSteps(MethodView):
    @blueprint.arguments(NoteIn)
    @blueprint.response(200, ActivationOut)
    def post(self, data: dict[str, Any], activation_id: int, step: str) -> Any:
        """Stand down, drop a draft, or sign as the leader named."""
        act = {"stand_down": service.stand_down, "cancel": service.cancel, "sign": service.sign}[step]
        with transaction() as session:
            return act(session, activation_id=activation_id, **data, actor=actor(), now=now())
