"""The first screen and the exports."""

from flask import Blueprint, render_template

from fleetapp.web.request import actor

blueprint = Blueprint("reports", __name__, template_folder="templates")


@blueprint.get("/home")
def home() -> str:
    """Show the first screen of the role."""
    return render_template("reports/home.html", who=actor())
