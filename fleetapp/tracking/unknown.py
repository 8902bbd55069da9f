"""Refused senders as a page."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import fields, validate
from werkzeug import Response

from fleetapp.kit import permits
from fleetapp.kit.errors import FleetError, NotAllowed
from fleetapp.kit.paging import paginate
from fleetapp.kit.schema import StrictSchema, Text
from fleetapp.tracking import bridge, refused
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("quarantine", __name__, template_folder="templates")
FRAMES = 20
SHOWN_BYTES = 64
FIELD_OF = {"tracking.no_such_plate": "plate", "tracking.has_terminal": "replace", "vehicles.terminal_form": "plate",
            "vehicles.terminal_elsewhere": "plate", "vehicles.binding_later": "plate", "tracking.reason_missing": "reason"}  # fmt: skip


class SendersQuery(StrictSchema):
    """Which senders."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    q = Text(load_default="", validate=validate.Length(max=30))
    ignored = fields.Boolean(load_default=False)


class RegisterIn(StrictSchema):
    """Which vehicle a sender sits in; ``replace``: instead of the terminal it carries."""

    plate = Text(required=True, validate=validate.Length(1, 20))
    replace = fields.Boolean(load_default=False)


class IgnoreIn(StrictSchema):
    """Why a sender is of no interest."""

    reason = Text(load_default="", validate=validate.Length(max=200))


@blueprint.get("/terminals/quarantine")
def index() -> str:
    """List senders whose frames were refused."""
    permits.require("tracking.quarantine", actor())
    query = load_query(SendersQuery())
    with transaction() as s:
        page = paginate(
            s, refused.listed(actor(), now=now(), q=query["q"], ignored=query["ignored"]), number=query["page"]
        )
        return render_template("tracking/quarantine.html", page=page, query=query)


@blueprint.get("/terminals/quarantine/<phone>")
def show(phone: str) -> str:
    """Show one sender with what it sent, and what can be done."""
    return _page(phone, {}, {})


def _page(phone: str, values: dict[str, Any], errors: dict[str, Any]) -> str:
    permits.require("tracking.quarantine", actor())
    with transaction() as s:
        row = refused.get(s, phone=phone, actor=actor(), now=now())
        frames = bridge.refused_frames(s, phone=phone, limit=FRAMES)
        return render_template(
            "tracking/sender.html", row=row, frames=frames, shown=SHOWN_BYTES, values=values, errors=errors
        )


@blueprint.post("/terminals/quarantine/<phone>/register")
def register(phone: str) -> str | Response | tuple[str, int]:
    """Fit a sender to a vehicle."""
    try:
        data = load_form(RegisterIn())
        with transaction() as s:
            vehicle_id = refused.register(s, phone=phone, **data, actor=actor(), now=now())
    except NotAllowed:
        raise
    except FleetError as error:
        return _page(phone, request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("tracking.registered"))
    return redirect(url_for("vehicles.show", vehicle_id=vehicle_id))


@blueprint.post("/terminals/quarantine/<phone>/ignore")
def ignore(phone: str) -> str | Response | tuple[str, int]:
    """Leave a sender out of the list."""
    try:
        data = load_form(IgnoreIn())
        with transaction() as s:
            refused.ignore(s, phone=phone, **data, actor=actor(), now=now())
    except NotAllowed:
        raise
    except FleetError as error:
        return _page(phone, request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("tracking.ignored"))
    return redirect(url_for("quarantine.index"))


@blueprint.post("/terminals/quarantine/<phone>/heed")
def heed(phone: str) -> Response:
    """Put a sender back on the list."""
    with transaction() as s:
        refused.heed(s, phone=phone, actor=actor(), now=now())
    flash(t("tracking.heeded"))
    return redirect(url_for("quarantine.show", phone=phone))
