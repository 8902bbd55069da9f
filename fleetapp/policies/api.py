"""Policy figures under ``/api/v1/policies``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries
from fleetapp.policies.schemas import PolicyOut, PolicyQuery
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("api_policies", __name__, url_prefix="/api/v1", description="Policy figures with their source")


@blueprint.route("/policies")
class Policies(MethodView):
    @blueprint.arguments(PolicyQuery, location="query")
    @blueprint.response(200, PolicyOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List the figures in force on a day; the total is in the header ``X-Total-Count``."""
        permits.require("policies.read", actor())
        on = query["on"] or clock.local_date(now())
        with transaction() as session:
            page = paginate(session, queries.listed(on, query["q"]), number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)
