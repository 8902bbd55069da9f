"""Evidence packages under ``/api/v1``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.evidence import papers, queries, service
from fleetapp.evidence.schemas import DecisionIn, PageQuery, ReasonIn, RequestOut
from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.web.api import FILE, page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_evidence", __name__, url_prefix="/api/v1", description="Evidence packages")


@blueprint.route("/findings/<int:finding_id>/evidence")
class Package(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(200, FILE, content_type="application/zip")
    def post(self, data: dict[str, Any], finding_id: int) -> Any:
        """Return the evidence package of a clue as zip; its SHA-256 is in ``X-Content-SHA256``, the reason goes into the log."""
        return papers.download(finding_id=finding_id, reason=data["reason"])


@blueprint.route("/findings/<int:finding_id>/evidence-requests")
class Ask(MethodView):
    @blueprint.arguments(ReasonIn)
    @blueprint.response(201, RequestOut)
    def post(self, data: dict[str, Any], finding_id: int) -> Any:
        """Ask for the package of a restricted vehicle; a second person must consent."""
        with transaction() as session:
            return service.request(session, finding_id=finding_id, reason=data["reason"], actor=actor(), now=now())


@blueprint.route("/evidence-requests")
class Requests(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, RequestOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List requests that the caller made or may decide, open ones first."""
        permits.require("evidence.make", actor())
        with transaction() as session:
            page = paginate(session, queries.visible_to(actor()), number=query["page"])
            return page.items, page_headers(page)


@blueprint.route("/evidence-requests/<int:request_id>/decision")
class Decide(MethodView):
    @blueprint.arguments(DecisionIn)
    @blueprint.response(200, RequestOut)
    def post(self, data: dict[str, Any], request_id: int) -> Any:
        """Consent to a request of somebody else, or refuse it."""
        with transaction() as session:
            return service.decide(session, request_id=request_id, **data, actor=actor(), now=now())
