"""Pages that belong to no slice: health, root, the components that pages are made of."""

import functools
from pathlib import Path

from flask import Blueprint, jsonify, redirect, render_template, url_for
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from werkzeug import Response

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.paging import Page
from fleetapp.web import display
from fleetapp.web import request as web_request

blueprint = Blueprint("shell", __name__)


@functools.cache
def newest_revision() -> str:
    """Return the newest migration that this program brings."""
    names = sorted(path.stem for path in (Path(__file__).parents[2] / "migrations" / "versions").glob("*.py"))
    return names[-1].split("_")[1]


@blueprint.get("/")
def root() -> Response:
    """Go to the first page that the person may open."""
    entries = display.menu()
    return redirect(entries[0]["href"] if entries else url_for("accounts.sign_in"))


@blueprint.get("/style")
def style() -> str:
    """Show every component in every state, without any data."""
    return render_template("style.html", page=Page([], 2, 25, 60))


@blueprint.get("/healthz")
def healthz() -> tuple[Response, int]:
    """Tell whether the program and its database are alive."""
    try:
        with web_request.shell().database.transaction(SYSTEM) as session:
            session.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return jsonify(ok=False, database=False), 503
    return jsonify(ok=True, database=True), 200
