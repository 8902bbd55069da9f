"""The driver's phone pages. Every step is a plain form, so that they work without scripts."""

import uuid
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from flask import Blueprint, redirect, render_template, request, url_for
from geoalchemy2.shape import to_shape
from werkzeug import Response

from fleetapp.duty import bridge, queries, rules, service
from fleetapp.duty.schemas import StepIn, as_arguments
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import FleetError, Invalid, NotFound
from fleetapp.orders.rules import DRIVEN
from fleetapp.planning.models import Assignment
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
        journeys: dict[int, list[Assignment]] = {}
        for duty in duties:
            journeys.setdefault(duty.pool_key, []).append(duty)
        return render_template(
            "duty/today.html",
            open=[rows for rows in journeys.values() if any(duty.order.state in OPEN for duty in rows)],
            done=[rows for rows in journeys.values() if all(duty.order.state in DRIVEN for duty in rows)],
        )


@blueprint.get("/duty/<int:assignment_id>")
def show(assignment_id: int) -> str:
    """Show one duty with the next step."""
    return _page(assignment_id, {}, None)


def _page(assignment_id: int, errors: dict[str, Any], problem: str | None) -> str:
    permits.require("duty.read", actor())
    with transaction() as s:
        duty = queries.get_duty(s, assignment_id=assignment_id, actor=actor())
        journey = queries.journey_of(s, duty=duty, actor=actor())
        stops = [
            {"name": turn.stop.name, "place": turn.place, "href": navigation(turn.stop.name, to_shape(turn.stop.point).centroid),
             "number": turn.order_number, "planned_at": turn.planned_at}
            for turn in journey.turns
        ]  # fmt: skip
        return render_template(
            "duty/show.html", duty=duty, journey=journey, events=journey.events, stops=stops, arrived=journey.arrived,
            errors=errors, problem=problem, steps=journey.steps,
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
