"""Statistics under ``/api/v1/statistics``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.kit import permits
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import paginate
from fleetapp.statistics import indicators, look, queries, rules
from fleetapp.statistics.models import StatisticReport
from fleetapp.statistics.schemas import IndicatorOut, IndicatorQuery, ListQuery, ReportOut, VersionOut
from fleetapp.web.api import page_headers
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint(
    "api_statistics", __name__, url_prefix="/api/v1/statistics", description="Indicators and statistics reports"
)


@blueprint.route("/indicators")
class Indicators(MethodView):
    @blueprint.arguments(IndicatorQuery, location="query")
    @blueprint.response(200, IndicatorOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """Return indicators of the dictionary over a unit and all below it."""
        known = indicators.dictionary()
        codes = query["codes"].split(",") if query["codes"] else list(known)
        if unknown := [code for code in codes if code not in known]:
            raise NotFound("kit.not_found", code_given=unknown[0])
        with transaction() as session:
            org, of, _orgs = look.chosen(session, query["org_id"], query["period"])
            return list(indicators.compute(session, codes, org.path, of, now()).values())


@blueprint.route("/reports")
class Reports(MethodView):
    @blueprint.arguments(ListQuery, location="query")
    @blueprint.response(200, ReportOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List reports; the total is in the header ``X-Total-Count``."""
        permits.require("statistics.read", actor())
        rows = queries.visible_to(actor())
        if query["period"]:
            rows = rows.where(StatisticReport.period == rules.period(query["period"]).code)
        if query["state"]:
            rows = rows.where(StatisticReport.state == query["state"])
        with transaction() as session:
            page = paginate(session, rows, number=query["page"], size=query["size"])
            return list(page.items), page_headers(page)


@blueprint.route("/reports/<int:report_id>/versions")
class Versions(MethodView):
    @blueprint.response(200, VersionOut(many=True))
    def get(self, report_id: int) -> Any:
        """Return the frozen editions of a report with their figures, the newest first."""
        permits.require("statistics.read", actor())
        with transaction() as session:
            report = queries.get_report(session, report_id=report_id, actor=actor())
            return list(queries.versions(session, report_id=report.id))
