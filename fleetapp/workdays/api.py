"""The calendar under ``/api/v1/workdays``."""

from typing import Any

from flask.views import MethodView
from flask_smorest import Blueprint

from fleetapp.web.request import transaction
from fleetapp.workdays import queries
from fleetapp.workdays.schemas import DayOut, DaysQuery

blueprint = Blueprint("api_workdays", __name__, url_prefix="/api/v1", description="Working days and holidays")


@blueprint.route("/workdays")
class Workdays(MethodView):
    @blueprint.arguments(DaysQuery, location="query")
    @blueprint.response(200, DayOut(many=True))
    def get(self, query: dict[str, Any]) -> Any:
        """List days with their kind: workday, rest or holiday."""
        with transaction() as session:
            return queries.day_kinds(session, query["start_on"], query["end_on"])
