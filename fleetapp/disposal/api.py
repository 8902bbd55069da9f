"""Disposal cases under ``/api/v1/disposals``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.disposal import queries, service
from fleetapp.disposal.schemas import (
    AppraisalIn,
    ApprovalIn,
    CaseIn,
    CaseOut,
    CaseQuery,
    DealIn,
    DeregistrationIn,
    EmptyIn,
    NoteIn,
    RemittanceIn,
)
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers, step_maker
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_disposal", __name__, url_prefix="/api/v1", description="Disposal of vehicles")


@blueprint.route("/disposals")
class Disposals(MethodView):
    @blueprint.arguments(CaseQuery, location="query")
    @blueprint.response(200, CaseOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List cases; the total is in the header ``X-Total-Count``."""
        permits.require("disposal.read", actor())
        with transaction() as session:
            rows = queries.filtered(queries.visible_to(actor()), state=query["state"], q=query["q"])
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(CaseIn)
    @blueprint.response(201, CaseOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Ask for a vehicle's disposal."""
        with transaction() as session:
            return service.ask(session, **data, actor=actor(), now=now())


@blueprint.route("/disposals/<int:case_id>")
class OneDisposal(MethodView):
    @blueprint.response(200, CaseOut)
    def get(self, case_id: int) -> Any:
        """Return one case."""
        with transaction() as session:
            return queries.get_case(session, case_id=case_id, actor=actor())


_step = step_maker(blueprint, "/disposals/<int:case_id>", CaseOut, "Disposal")


_step("withdrawal", NoteIn, service.withdraw, "Take the request back.")
_step("appraisal", AppraisalIn, service.appraise, "Enter the appraisal.")
_step("approval", ApprovalIn, service.decide, "Approve.", approve=True)
_step("rejection", NoteIn, service.decide, "Reject.", approve=False)
_step("deal", DealIn, service.deal, "Enter the sale or scrapping.")
_step("handover", EmptyIn, service.hand_over, "Hand a transferred vehicle over.")
_step("remittance", RemittanceIn, service.remit, "Enter what was remitted.")
_step("deregistration", DeregistrationIn, service.deregister, "Enter the cancelled registration.")
_step("archive", EmptyIn, service.archive, "Close the file.")
