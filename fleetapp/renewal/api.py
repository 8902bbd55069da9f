"""The path to new energy under ``/api/v1/renewal``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.accounts.queries import get_org
from fleetapp.kit import clock, permits
from fleetapp.renewal import queries, rules, service
from fleetapp.renewal.schemas import PathQuery, PlanIn, RunOut, ShareOut
from fleetapp.web.request import actor, now, shell, transaction

blueprint = Blueprint("api_renewal", __name__, url_prefix="/api/v1/renewal", description="New energy and renewal plans")
YEARS_BACK = 6


@blueprint.route("/path")
class Path(MethodView):
    @blueprint.arguments(PathQuery, location="query")
    @blueprint.response(200, ShareOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Return the shares of stock and purchases of the last years for an organisation's sub-tree, the own one by default."""
        permits.require("renewal.read", actor())
        today = clock.local_date(now())
        with transaction() as session:
            org_path = get_org(session, org_id=query["org_id"]).path if query["org_id"] else actor().org_path
            permits.require("renewal.read", actor(), org_path=org_path)
            return rules.shares(
                queries.held(session, org_path=org_path), first_year=today.year - YEARS_BACK, today=today
            )


@blueprint.route("/plans")
class Plans(MethodView):
    @blueprint.arguments(PlanIn)
    @blueprint.response(201, RunOut)
    def post(self, data: dict[str, Any]) -> Any:
        """Plan renewals from next year on."""
        return service.plan(shell().database, **data, actor=actor(), now=now())


@blueprint.route("/plans/<int:run_id>")
class Plan(MethodView):
    @blueprint.response(200, RunOut)
    def get(self, run_id: int) -> Any:
        """Return one plan."""
        with transaction() as session:
            return queries.get_run(session, run_id=run_id, actor=actor())
