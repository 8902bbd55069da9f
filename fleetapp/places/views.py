"""Search of places for forms; pages of designated parking."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, jsonify, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.kit import permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.places import queries, rules, service
from fleetapp.places.schemas import PageQuery, ParkingForm, PlaceOut, SearchQuery
from fleetapp.web.display import name
from fleetapp.web.forms import load, load_form
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

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


@blueprint.get("/parking")
def parking() -> str:
    """List designated parking areas and show them on a map."""
    permits.require("places.read", actor())
    query = load(PageQuery(), request.args.to_dict())
    with transaction() as s:
        page = paginate(s, queries.visible_to(actor()), number=query["page"], size=query["size"])
        features = [queries.area_feature(area, name(area)) for area in page.items]
        return render_template(
            "places/parking.html", page=page, features={"type": "FeatureCollection", "features": features}
        )


def _parking_form(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("places.edit", actor())
    with transaction() as s:
        orgs = [(org.id, name(org)) for org in s.scalars(orgs_visible_to(actor()))
                if permits.may("places.edit", actor(), org_path=org.path)]  # fmt: skip
        return render_template("places/parking_new.html", orgs=orgs, values=values, errors=errors)


@blueprint.get("/parking/new")
def parking_new() -> str:
    """Show the form of a new parking area."""
    return _parking_form({}, {})


@blueprint.post("/parking/new")
def parking_create() -> Response | tuple[str, int]:
    """Add a parking area drawn on the map or typed as corners."""
    try:
        data = load_form(ParkingForm())
        area = rules.area_of_corners(data.pop("corners"))
        with transaction() as s:
            service.create_parking(s, **data, area=area, actor=actor(), now=now())
    except Invalid as error:
        return _parking_form(request.form.to_dict(), error.fields), 422
    except RuleBroken as error:
        return _parking_form(request.form.to_dict(), {"corners": [t(error.code, **error.params)]}), 422
    flash(t("places.parking_created"))
    return redirect(url_for("places.parking"))
