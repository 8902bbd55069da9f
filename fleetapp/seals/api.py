"""Holiday sealing under ``/api/v1/seals``."""

from typing import Any

from flask import request
from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.seals import light, queries, service
from fleetapp.seals.schemas import (
    CampaignIn,
    CampaignOut,
    EmptyIn,
    ExceptionIn,
    ExceptionOut,
    LightOut,
    NoteIn,
    OdometerIn,
    PageQuery,
    ProofIn,
    PublishIn,
    RecordOut,
    RecordQuery,
)
from fleetapp.web.api import page_headers, step_maker
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_seals", __name__, url_prefix="/api/v1", description="Sealing of vehicles over holidays")


@blueprint.route("/seals/campaigns")
class Campaigns(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, CampaignOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List notices; the total is in the header ``X-Total-Count``."""
        permits.require("seals.read", actor())
        with transaction() as session:
            page = paginate(session, queries.visible_to(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(CampaignIn)
    @blueprint.response(201, CampaignOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Draft a notice."""
        with transaction() as session:
            return service.draft(session, **data, actor=actor(), now=now())


@blueprint.route("/seals/campaigns/<int:campaign_id>")
class OneCampaign(MethodView):
    @blueprint.response(200, CampaignOut)
    def get(self, campaign_id: int) -> Any:
        """Return one notice."""
        permits.require("seals.read", actor())
        with transaction() as session:
            return queries.get_campaign(session, campaign_id=campaign_id, actor=actor())


@blueprint.route("/seals/campaigns/<int:campaign_id>/light")
class CampaignLight(MethodView):
    @blueprint.response(200, LightOut)
    def get(self, campaign_id: int) -> Any:
        """Return the live light over the vehicles within reach."""
        permits.require("seals.read", actor())
        with transaction() as session:
            campaign = queries.get_campaign(session, campaign_id=campaign_id, actor=actor())
            return light.view(session, campaign=campaign, actor=actor(), now=now())


@blueprint.route("/seals/campaigns/<int:campaign_id>/records")
class CampaignRecords(MethodView):
    @blueprint.arguments(RecordQuery, location="query")
    @blueprint.response(200, RecordOut(many=True))
    def get(self, query: dict[str, Any], campaign_id: int) -> Any:
        """List the vehicles under a notice; the total is in the header ``X-Total-Count``."""
        permits.require("seals.read", actor())
        number, size = query.pop("page"), query.pop("size")
        with transaction() as session:
            campaign = queries.get_campaign(session, campaign_id=campaign_id, actor=actor())
            rows = queries.filtered(queries.records_visible_to(actor()), campaign_id=campaign.id, **query)
            page = paginate(session, rows, number=number, size=size)
            return list(page.items), page_headers(page)


_step = step_maker(blueprint, "/seals/campaigns/<int:campaign_id>", CampaignOut, "Campaign")


_step("publication", PublishIn, service.publish, "Publish: every vehicle in service of the scope is to be sealed.")
_step("start", EmptyIn, service.start, "Let it begin.")
_step("closing", EmptyIn, service.close, "Close it.")
_step("cancellation", NoteIn, service.cancel, "Cancel it before it begins.")


@blueprint.route("/seals/records/<int:record_id>")
class OneRecord(MethodView):
    @blueprint.response(200, RecordOut)
    def get(self, record_id: int) -> Any:
        """Return one vehicle's record."""
        permits.require("seals.read", actor())
        with transaction() as session:
            return queries.get_record(session, record_id=record_id, actor=actor())


@blueprint.route("/seals/records/<int:record_id>/proof")
class Proof(MethodView):
    @blueprint.arguments(ProofIn, location="form")
    @blueprint.response(200, RecordOut)
    def post(self, data: dict[str, Any], record_id: int) -> Any:
        """Prove that a vehicle is parked: form fields and the photograph as a file ``photo``."""
        with transaction() as session:
            return service.prove(
                session, record_id=record_id, parking_id=data["parking_id"], odometer_m=int(data["odometer_km"] * 1000),
                keys_with=data["keys_with"], photo=received_photo(), actor=actor(), now=now(),
            )  # fmt: skip


def received_photo() -> tuple[str, bytes] | None:
    """Return the photograph that came with the request, if one did."""
    file = request.files.get("photo")
    return (file.filename or "", file.read()) if file and file.filename else None


@blueprint.route("/seals/records/<int:record_id>/unsealing")
class Unsealing(MethodView):
    @blueprint.arguments(OdometerIn)
    @blueprint.response(200, RecordOut)
    def post(self, data: dict[str, Any], record_id: int) -> Any:
        """Unseal a vehicle."""
        odometer_m = int(data["odometer_km"] * 1000)
        with transaction() as session:
            return service.unseal(session, record_id=record_id, odometer_m=odometer_m, actor=actor(), now=now())


@blueprint.route("/seals/records/<int:record_id>/exceptions")
class RecordExceptions(MethodView):
    @blueprint.response(200, ExceptionOut(many=True))
    def get(self, record_id: int) -> Any:
        """List the requests to keep a vehicle for duty."""
        permits.require("seals.read", actor())
        with transaction() as session:
            record = queries.get_record(session, record_id=record_id, actor=actor())
            return queries.exceptions_of(session, record_id=record.id)

    @blueprint.arguments(ExceptionIn)
    @blueprint.response(201, ExceptionOut)
    def post(self, data: dict[str, Any], record_id: int) -> Any:
        """Ask to keep a vehicle for duty."""
        with transaction() as session:
            return service.ask_exception(session, record_id=record_id, **data, actor=actor(), now=now())


def _decision(path: str, words: str, *, approve: bool) -> None:
    """Add the endpoint of one decision."""

    class Decision(MethodView):
        @blueprint.arguments(NoteIn)
        @blueprint.response(200, ExceptionOut)
        def post(self, data: dict[str, Any], exception_id: int) -> Any:
            with transaction() as session:
                return service.decide_exception(
                    session, exception_id=exception_id, approve=approve, **data, actor=actor(), now=now()
                )

    Decision.__name__ = Decision.__qualname__ = f"Exception{path.title()}"
    Decision.post.__doc__ = words
    blueprint.route(f"/seals/exceptions/<int:exception_id>/{path}")(Decision)


_decision("approval", "Approve a duty vehicle.", approve=True)
_decision("rejection", "Reject a duty vehicle.", approve=False)


@blueprint.route("/vehicles/<int:vehicle_id>/seals")
class VehicleSeals(MethodView):
    @blueprint.response(200, RecordOut(many=True))
    def get(self, vehicle_id: int) -> Any:
        """List the seals of one vehicle, the newest first."""
        permits.require("seals.read", actor())
        with transaction() as session:
            return queries.of_vehicle(session, vehicle_id=vehicle_id, actor=actor())
