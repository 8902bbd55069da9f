"""The decision lab under ``/api/v1/lab``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.paging import paginate
from fleetapp.lab import service
from fleetapp.lab.schemas import PageQuery, StudyIn, StudyOut
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_lab", __name__, url_prefix="/api/v1/lab", description="Studies of the decision lab")


@blueprint.route("/studies")
class Studies(MethodView):
    @blueprint.arguments(PageQuery, location="query")
    @blueprint.response(200, StudyOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List studies; the total is in the header ``X-Total-Count``."""
        permits.require("lab.read", actor())
        with transaction() as session:
            page = paginate(session, service.visible_to(actor()), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)

    @blueprint.arguments(StudyIn)
    @blueprint.response(201, StudyOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Ask for a study; it is made in the background."""
        with transaction() as session:
            return service.ask(session, **data, actor=actor(), now=now())


@blueprint.route("/studies/<int:study_id>")
class OneStudy(MethodView):
    @blueprint.response(200, StudyOut)
    def get(self, study_id: int) -> Any:
        """Return one study with its progress and, when it is done, its result."""
        permits.require("lab.read", actor())
        with transaction() as session:
            return service.get_study(session, study_id=study_id, actor=actor())


@blueprint.route("/studies/<int:study_id>/cancellation")
class Cancellation(MethodView):
    @blueprint.response(200, StudyOut)
    def post(self, study_id: int) -> Any:
        """Give a study up."""
        with transaction() as session:
            return service.cancel(session, study_id=study_id, actor=actor(), now=now())
