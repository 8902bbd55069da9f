"""The driver's phone pages. Every step is a plain form, so that they work without scripts."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, redirect, render_template, request, url_for
from geoalchemy2.shape import to_shape
from werkzeug import Response

from fleetapp.duty import bridge, queries, rules, service
from fleetapp.duty.rules import DutyAction
from fleetapp.duty.schemas import StepIn, as_arguments
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, Invalid, NotFound
from fleetapp.orders.rules import DRIVEN
from fleetapp.web.forms import load_form
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("duty", __name__, template_folder="templates")
LOOK_BACK = timedelta(hours=12)
"""A duty that ran past midnight is still on the driver's page."""
LOOK_AHEAD = timedelta(days=6)
OPEN = frozenset(rules.NEXT)


@blueprint.get("/duty")
def today() -> str:
    """List today's duties and those of the days ahead, the open ones first."""
    permits.require("duty.read", actor())
    start, end = clock.day_span(clock.local_date(now()))
    with transaction() as s:
        found = s.scalars(queries.between(queries.visible_to(actor()), start=start - LOOK_BACK, end=end + LOOK_AHEAD))
        duties = found.unique().all()
        return render_template(
            "duty/today.html",
            open=[duty for duty in duties if duty.order.state in OPEN],
            done=[duty for duty in duties if duty.order.state in DRIVEN],
        )


@blueprint.get("/duty/<int:assignment_id>")
def show(assignment_id: int) -> str:
    """Show one duty with the next step."""
    return _page(assignment_id, {}, None)


def _page(assignment_id: int, errors: dict[str, Any], problem: str | None) -> str:
    permits.require("duty.read", actor())
    with transaction() as s:
        duty = queries.get_duty(s, assignment_id=assignment_id, actor=actor())
        events = queries.events_of(s, assignment_ids=[duty.id])[duty.id]
        arrived = sum(event.action == DutyAction.ARRIVE for event in events)
        stops = [
            {"name": stop.name, "href": navigation(stop.name, to_shape(stop.point).centroid)}
            for stop in duty.order.stops
        ]
        return render_template(
            "duty/show.html", duty=duty, events=events, stops=stops, arrived=arrived, errors=errors, problem=problem,
            steps=rules.next_steps(duty.order.state, arrived=arrived, stops=len(stops) - 1),
            key=request.form.get("idempotency_key") if problem else str(uuid.uuid4()), values=request.form,
        )  # fmt: skip


def navigation(name: str, point: Any) -> str:
    """Return the address that opens the map app of a Chinese phone on a WGS-84 point."""
    lat, lon = bridge.map_app_point(point.y, point.x)
    return f"https://uri.amap.com/navigation?to={lon},{lat},{quote(name)}&mode=car&coordinate=gaode&callnative=1"


@blueprint.post("/duty/<int:assignment_id>")
def step(assignment_id: int) -> Response | tuple[str, int]:
    """Take a step; on a mistake show the same page with what to correct."""
    try:
        data = as_arguments(load_form(StepIn()))
        with transaction() as s:
            service.report(s, assignment_id=assignment_id, **data, actor=actor(), now=now())
    except NotFound:
        raise
    except Invalid as error:
        return _page(assignment_id, error.fields, t("kit.invalid")), 422
    except FleetError as error:
        return _page(assignment_id, {}, t(error.code, **error.params)), 422
    return redirect(url_for("duty.show", assignment_id=assignment_id))
