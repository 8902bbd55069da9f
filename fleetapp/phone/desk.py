"""The codes of vehicles: a list with tick boxes, issuing, and the sheet that is cut and glued to dashboards."""

import segno
from flask import Blueprint, flash, redirect, render_template, request, url_for
from markupsafe import Markup
from werkzeug import Response

from fleetapp.kit import permits
from fleetapp.kit.errors import NotFound
from fleetapp.kit.paging import paginate
from fleetapp.phone import queries, service
from fleetapp.phone.schemas import CodesIn, CodesQuery, SheetQuery
from fleetapp.planning import signing
from fleetapp.web.forms import load, load_form, load_query
from fleetapp.web.request import actor, now, shell, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("vehicle_codes", __name__, template_folder="templates", url_prefix="/vehicle-codes")


@blueprint.get("")
def index() -> str:
    """List the vehicles with the codes they have."""
    permits.require("phone.codes", actor())
    query = load_query(CodesQuery())
    with transaction() as s:
        page = paginate(s, queries.codable(actor(), q=query["q"]), number=query["page"], size=50)
        codes = queries.newest_codes(s, vehicle_ids=[vehicle.id for vehicle in page.items])
        return render_template("phone/codes.html", page=page, codes=codes, q=query["q"])


@blueprint.post("")
def issue() -> Response:
    """Issue new codes for the ticked vehicles and go to their sheet."""
    data = load_form(CodesIn())
    keys = signing.in_use(shell().settings.secret_key, shell().settings.slip_keys_file)
    with transaction() as s:
        made = service.issue(s, vehicle_ids=data["vehicle"], keys=keys, actor=actor(), now=now())
    flash(t("phone.issued", n=len(made)))
    return redirect(url_for("vehicle_codes.sheet", vehicle=[one.vehicle_id for one in made]))


@blueprint.get("/sheet")
def sheet() -> str:
    """Show the codes of some vehicles for printing, those that have one."""
    permits.require("phone.codes", actor())
    wanted = load(SheetQuery(), {"vehicle": request.args.getlist("vehicle")})["vehicle"]
    with transaction() as s:
        found = s.scalars(queries.codable(actor(), vehicle_ids=wanted)).all()
        codes = queries.newest_codes(s, vehicle_ids=[vehicle.id for vehicle in found])
        if not codes:
            raise NotFound("phone.nothing_to_print")
        labels = [
            (vehicle, codes[vehicle.id], symbol(codes[vehicle.id].text)) for vehicle in found if vehicle.id in codes
        ]
        return render_template("phone/sheet.html", labels=labels)


def symbol(text: str) -> Markup:
    """Return a QR symbol as SVG; a quarter of it may be worn."""
    drawn = segno.make(text, error="q", micro=False).svg_inline(
        scale=1, border=4, omitsize=True, svgclass="code-qr", lineclass=None
    )
    return Markup(drawn)  # noqa: S704 -- made here
