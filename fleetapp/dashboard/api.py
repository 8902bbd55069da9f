"""The dashboard under ``/api/v1/dashboard``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.dashboard import measures, tiles
from fleetapp.dashboard.measures import MEASURES
from fleetapp.dashboard.schemas import DashboardOut, RowOut, RowsQuery, ScopeQuery
from fleetapp.dashboard.scope import scope_of
from fleetapp.kit import permits
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import Page
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint(
    "api_dashboard", __name__, url_prefix="/api/v1/dashboard", description="Figures of the leader's dashboard"
)


@blueprint.route("")
class Dashboard(MethodView):
    @blueprint.arguments(ScopeQuery, location="query")
    @blueprint.response(200, DashboardOut)
    def get(self, query: dict[str, Any]) -> Any:
        """Return every tile with its figures as of now."""
        with transaction() as session:
            scope = scope_of(session, actor=actor(), now=now(), **query)
            return {"org_id": scope.org.id, "as_of": scope.now, "tiles": tiles.tiles(session, scope)}


@blueprint.route("/rows/<code>")
class FigureRows(MethodView):
    @blueprint.arguments(RowsQuery, location="query")
    @blueprint.response(200, RowOut(many=True))
    def get(self, query: dict[str, Any], code: str) -> Any:
        """List the rows behind a figure; the total is in the header ``X-Total-Count``."""
        if code not in MEASURES:
            raise NotFound("kit.not_found")
        number, size = query.pop("page"), query.pop("size")
        with transaction() as session:
            scope = scope_of(session, actor=actor(), now=now(), **query)
            permits.require(MEASURES[code].drill, actor(), org_path=scope.org.path)
            rows, total = measures.listed(session, scope, code, number=number, size=size)
            return rows, page_headers(Page(rows, number, size, total))
