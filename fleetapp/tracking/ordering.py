"""Commands to terminals as a page."""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE, fields, validate
from werkzeug import Response

from fleetapp.kit import permits
from fleetapp.kit.errors import FleetError, Invalid, NotAllowed
from fleetapp.kit.paging import paginate
from fleetapp.kit.schema import StrictSchema, Text
from fleetapp.tracking import asking, parameters
from fleetapp.tracking.asking import CommandState, Kind
from fleetapp.web.forms import errors_of, load, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("commands", __name__, template_folder="templates")

FIELD_OF = {"tracking.no_such_plate": "plate", "tracking.takes_no_command": "plate", "tracking.place_hidden": "kind",
            "tracking.confirm_plate": "confirm", "tracking.control_moving": "kind", "tracking.reason_missing": "reason",
            "tracking.text_missing": "text", "tracking.parameter_bounds": "parameters", "tracking.parameter_none": "parameters",
            "tracking.parameter_unknown": "parameters", "tracking.unsendable": "kind"}  # fmt: skip


class CommandsQuery(StrictSchema):
    """Which commands."""

    page = fields.Integer(load_default=1, validate=validate.Range(min=1, max=100_000))
    q = Text(load_default="", validate=validate.Length(max=40))
    state = fields.String(load_default="", validate=validate.OneOf(list(CommandState)))
    plate = Text(load_default="", validate=validate.Length(max=20))


class CommandIn(StrictSchema):
    """A command; ``confirm`` is the plate once more, where the doors are concerned."""

    class Meta:
        """The parameters' own inputs are read apart."""

        unknown = EXCLUDE

    plate = Text(required=True, validate=validate.Length(1, 20))
    kind = fields.Enum(Kind, by_value=True, required=True)
    reason = Text(load_default="", validate=validate.Length(max=200))
    text = Text(load_default="", validate=validate.Length(max=200))
    speak = fields.Boolean(load_default=False)
    interval_s = fields.Integer(load_default=5, validate=validate.Range(min=0, max=3600))
    duration_s = fields.Integer(load_default=600, validate=validate.Range(min=1, max=86_400))
    lock = fields.Boolean(load_default=True)
    confirm = Text(load_default="", validate=validate.Length(max=20))


@blueprint.get("/terminals/commands")
def index() -> str:
    """List commands with the form for another."""
    permits.require("tracking.commands", actor())
    return _page({"plate": request.args.get("plate", "")}, {})


def _page(values: dict[str, Any], errors: dict[str, Any]) -> str:
    query = load_query(CommandsQuery()) if request.method == "GET" else CommandsQuery().load({})
    with transaction() as s:
        page = paginate(s, asking.listed(actor(), now=now(), state=query["state"], q=query["q"]), number=query["page"])
        kinds = [kind for kind in Kind if kind != Kind.CONTROL or permits.may("tracking.control", actor())]
        return render_template(
            "tracking/commands.html", page=page, query=query, values=values, errors=errors, kinds=kinds, states=list(CommandState),
            state_of=asking.state_of, listed=parameters.listed, settable=parameters.SETTABLE.values(), readable=parameters.READABLE, now=now(),
        )  # fmt: skip


@blueprint.post("/terminals/commands")
def send() -> str | Response | tuple[str, int]:
    """Ask a terminal for something."""
    given = {name: value for name, value in request.form.items() if value}
    permits.require("tracking.commands", actor())
    try:
        data = load(CommandIn(), given)
        settings = {name.removeprefix("p_"): value for name, value in given.items() if name.startswith("p_")}
        content = asking.content_of(data["kind"], data, settings)
        with transaction() as s:
            asking.send(s, plate=data["plate"], kind=data["kind"], content=content, reason=data["reason"], confirm=data["confirm"],
                        actor=actor(), now=now())  # fmt: skip
    except NotAllowed:
        raise
    except (Invalid, FleetError) as error:
        return _page(request.form.to_dict(), errors_of(error, FIELD_OF)), 422
    flash(t("tracking.command_sent"))
    return redirect(url_for("commands.index"))
