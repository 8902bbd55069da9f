"""Search of places for forms."""

from flask import Blueprint, jsonify, render_template, request
from werkzeug import Response

from fleetapp.places import queries
from fleetapp.places.schemas import PlaceOut, SearchQuery
from fleetapp.web.forms import load
from fleetapp.web.request import transaction

blueprint = Blueprint("places", __name__, template_folder="templates")


@blueprint.get("/places/search")
def search() -> Response | str:
    """Return matching places: JSON for scripts that ask for it, else a fragment of buttons."""
    query = load(SearchQuery(), request.args.to_dict())
    with transaction() as s:
        found = queries.search(s, query["q"], query["limit"])
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        return jsonify(PlaceOut(many=True).dump(found))
    return render_template("places/search.html", found=found, q=query["q"])
