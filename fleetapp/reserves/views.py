"""The page of floors: how reserves stand, which floors hold, setting and ending one."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from werkzeug import Response

from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.reserves import queries, rules, service
from fleetapp.reserves.schemas import BODIES, EndIn, FloorIn
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("reserves", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict)


def minutes(text: str) -> int:
    """Return the minutes of a time of day as a form sends it; 24:00 is the end of the day, nonsense is out of range."""
    hours, _, rest = text.strip().partition(":")
    return int(hours) * 60 + int(rest or 0) if hours.isdigit() and (rest or "0").isdigit() else -1


def _page(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    who = actor()
    permits.require("reserves.read", who)
    with transaction() as s:
        floors = s.scalars(queries.in_force(queries.visible_to(who), on=clock.local_date(now()))).all()
        pools = [org for org in queries.pools(s, actor=who) if permits.may("reserves.set", who, org_path=org.path)]
        first = {
            "start_on": clock.local_date(now()).isoformat(),
            "from": "00:00",
            "until": "24:00",
            "level": "usual",
            "body": "any",
        }
        return render_template(
            "reserves/index.html", reserves=queries.reserves(s, actor=who, at=now()), floors=floors, bodies=BODIES,
            levels=list(rules.Level), pools=[(org.id, name(org)) for org in pools], values=values or first, errors=errors,
        )  # fmt: skip


@blueprint.get("/reserves")
def index() -> str:
    """Show reserves and floors."""
    return _page({}, {})


@blueprint.post("/reserves")
def set_floor() -> Response | tuple[str, int]:
    """Set a floor."""
    form = request.form.to_dict()
    try:
        sent: dict[str, Any] = {
            key: value for key, value in form.items() if value and key not in {"from", "until", "csrf_token"}
        }
        sent |= {"from_min": minutes(form.get("from", "")), "until_min": minutes(form.get("until", ""))}
        data = load(FloorIn(), sent)
        with transaction() as s:
            service.set_floor(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _page(form, errors_of(error)), 422
    flash(t("reserves.set"))
    return redirect(url_for("reserves.index"))


@blueprint.post("/reserves/<int:floor_id>/end")
def end_floor(floor_id: int) -> Response | tuple[str, int]:
    """End a floor after today."""
    try:
        data = load(EndIn(unknown=EXCLUDE), request.form.to_dict())
        with transaction() as s:
            service.end_floor(s, floor_id=floor_id, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _page({}, errors_of(error)), 422
    flash(t("reserves.ended"))
    return redirect(url_for("reserves.index"))
