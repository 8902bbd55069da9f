"""The page of policy figures."""

from flask import Blueprint, render_template, request

from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries
from fleetapp.policies.schemas import PolicyQuery
from fleetapp.web.forms import load
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("policies", __name__, template_folder="templates")


@blueprint.get("/policies")
def index() -> str:
    """List the figures in force on a day with the document each comes from."""
    permits.require("policies.read", actor())
    query = load(PolicyQuery(), {name: value for name, value in request.args.items() if value})
    on = query["on"] or clock.local_date(now())
    with transaction() as s:
        page = paginate(s, queries.listed(on, query["q"]), number=query["page"], size=query["size"])
        return render_template("policies/index.html", page=page, q=query["q"], on=on)
