"""The page of the shared pool: free vehicles, unmet demand, what sharing saved, use by holder and user; its workbook."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Blueprint, render_template, request
from werkzeug import Response

from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid
from fleetapp.pool import chart, figures, files, queries
from fleetapp.pool.schemas import ExportIn, PeriodQuery
from fleetapp.vehicles.rules import Body
from fleetapp.web.forms import load_form, load_query
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("pool", __name__, template_folder="templates")
SHOWN = 50
"""Orders without a vehicle named on the page; the workbook has them all."""


def _page(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("pool.read", actor())
    query = load_query(PeriodQuery())
    today = clock.local_date(now())
    start_on, end_on = figures.days_of(query["start_on"], query["last_on"], today)
    on = query["on"] or today
    with transaction() as s:
        found = figures.over(s, actor=actor(), start_on=start_on, end_on=end_on, now=now())
        matrix = queries.free(s, actor=actor(), on=on, found=found.levels)
        bodies = [body.value for body in Body if any(row[body.value].total for row in matrix.values())]
        return render_template(
            "pool/index.html", found=found, matrix=matrix, bodies=bodies, on=on, before=on - timedelta(days=1),
            after=on + timedelta(days=1), last_on=end_on - timedelta(days=1), drawn=chart.drawn(found.missed, found.weeks),
            shown=found.missed[:SHOWN], names={org.path: org for org in found.levels.orgs}, values=values, errors=errors,
        )  # fmt: skip


@blueprint.get("/pool")
def index() -> str:
    """Show the figures of the shared pool."""
    return _page({}, {})


@blueprint.post("/pool")
def export() -> Response | tuple[str, int]:
    """Return the workbook of a time."""
    try:
        return files.workbook(**load_form(ExportIn()))
    except Invalid as error:
        return _page(request.form.to_dict(), error.fields), 422
