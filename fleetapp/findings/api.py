"""Clues under ``/api/v1/findings``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.findings import queries, service
from fleetapp.findings.rules import FindingState
from fleetapp.findings.schemas import ExplainIn, FindingDetailOut, FindingOut, FindingQuery, ReopenIn, ReviewIn
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_findings", __name__, url_prefix="/api/v1", description="Clues, explanations, decisions")


@blueprint.route("/findings")
class Findings(MethodView):
    @blueprint.arguments(FindingQuery, location="query")
    @blueprint.response(200, FindingOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the clues within reach, newest incident first; the total is in ``X-Total-Count``."""
        permits.require("findings.read", actor())
        with transaction() as session:
            rows = queries.filtered(
                queries.visible_to(actor()), group=query["group"], state=query["state"], rule=query["rule"],
                severity=query["severity"], org_id=query["org_id"], q=query["q"],
                start=clock.day_span(query["start_on"])[0] if query["start_on"] else None,
                end=clock.day_span(query["end_on"])[1] if query["end_on"] else None,
                overdue_at=now() if query["overdue"] else None,
            )  # fmt: skip
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/findings/<int:finding_id>")
class Finding(MethodView):
    @blueprint.response(200, FindingDetailOut)
    def get(self, finding_id: int) -> Any:
        """Return one clue with evidence both ways; who looked is logged."""
        with transaction() as session:
            return service.view(session, finding_id=finding_id, actor=actor(), now=now())


@blueprint.route("/findings/<int:finding_id>/explain")
class Explain(MethodView):
    @blueprint.arguments(ExplainIn)
    @blueprint.response(200, FindingDetailOut)
    def post(self, data: dict[str, Any], finding_id: int) -> Any:
        """Explain, as the person concerned or for the unit."""
        with transaction() as session:
            return service.explain(session, finding_id=finding_id, text=data["text"], actor=actor(), now=now())


@blueprint.route("/findings/<int:finding_id>/review")
class Review(MethodView):
    @blueprint.arguments(ReviewIn)
    @blueprint.response(200, FindingDetailOut)
    def post(self, data: dict[str, Any], finding_id: int) -> Any:
        """Decide an explained clue; never one in which the caller has a part."""
        with transaction() as session:
            return service.review(session, finding_id=finding_id, outcome=FindingState(data["outcome"]),
                                  note=data["note"], actor=actor(), now=now())  # fmt: skip


@blueprint.route("/findings/<int:finding_id>/reopen")
class Reopen(MethodView):
    @blueprint.arguments(ReopenIn)
    @blueprint.response(200, FindingDetailOut)
    def post(self, data: dict[str, Any], finding_id: int) -> Any:
        """Take a decided clue up again."""
        with transaction() as session:
            return service.reopen(session, finding_id=finding_id, note=data["note"], actor=actor(), now=now())
