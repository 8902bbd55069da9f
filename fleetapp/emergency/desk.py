"""Pages of the office: plans with their levels, call-up lists and officers."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import EXCLUDE
from werkzeug import Response

from fleetapp.emergency import plans, queries
from fleetapp.emergency.schemas import LevelIn, OfficerIn, PlanIn
from fleetapp.kit import permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.reserves import queries as reserves
from fleetapp.reserves.rules import DECLARED
from fleetapp.reserves.schemas import BODIES
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load, load_form
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("emergency_plans", __name__, template_folder="templates")
REFUSED = (Invalid, RuleBroken, Conflict)
SPARE_LINES = 2
"""Empty lines of a call-up list that a form offers beyond those there."""


def _list(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("emergency.read", actor())
    with transaction() as s:
        pools = [
            org for org in reserves.pools(s, actor=actor()) if permits.may("emergency.plan", actor(), org_path=org.path)
        ]
        return render_template(
            "emergency/plans.html", plans=s.scalars(queries.plans_visible_to(actor())).all(), pools=[(org.id, name(org)) for org in pools],
            values=values, errors=errors,
        )  # fmt: skip


@blueprint.get("/emergency/plans")
def index() -> str:
    """List plans."""
    return _list({}, {})


@blueprint.post("/emergency/plans")
def make() -> Response | tuple[str, int]:
    """Begin a plan."""
    try:
        data = load_form(PlanIn())
        with transaction() as s:
            made = plans.make(s, **data, actor=actor(), now=now())
    except REFUSED as error:
        return _list(request.form.to_dict(), errors_of(error)), 422
    return redirect(url_for("emergency_plans.show", plan_id=made.id))


def _plan(plan_id: int, errors: Mapping[str, Any]) -> str:
    permits.require("emergency.read", actor())
    with transaction() as s:
        plan = queries.get_plan(s, plan_id=plan_id, actor=actor())
        may = permits.may("emergency.plan", actor(), org_path=plan.org.path) and plan.retired_at is None
        pools = [org for org in reserves.pools(s, actor=actor()) if org.path.startswith(plan.org.path)]
        there = {level.level: level for level in plan.levels}
        return render_template(
            "emergency/plan.html", plan=plan, may=may, there=there, levels=DECLARED, pools=pools, bodies=BODIES, spare=SPARE_LINES,
            errors=errors, people=queries.people_under(s, org_path=plan.org.path) if may else [],
        )  # fmt: skip


@blueprint.get("/emergency/plans/<int:plan_id>")
def show(plan_id: int) -> str:
    """Show a plan."""
    return _plan(plan_id, {})


@blueprint.post("/emergency/plans/<int:plan_id>/<any(level, officer, retire):step>")
def change(plan_id: int, step: str) -> Response | tuple[str, int]:
    """Set a level, name an officer, or retire the plan."""
    try:
        with transaction() as s:
            given: dict[str, Any] = {"plan_id": plan_id, "actor": actor(), "now": now()}
            if step == "level":
                plans.set_level(s, **load(LevelIn(), _level()), **given)
            elif step == "officer":
                plans.add_officer(s, **load_form(OfficerIn(unknown=EXCLUDE)), **given)
            else:
                plans.retire(s, **given)
    except REFUSED as error:
        return _plan(plan_id, errors_of(error)), 422
    flash(t("emergency.plan_saved"))
    return redirect(url_for("emergency_plans.show", plan_id=plan_id))


def _level() -> dict[str, Any]:
    """Return the form of a level as the schema wants it; lines without a number are left out."""
    form = request.form
    sent: dict[str, Any] = {key: form[key] for key in ("level", "instructions", "hours") if form.get(key)}
    lists = [form.getlist(key) for key in ("pool_id", "body", "vehicles")]
    calls = [
        {"pool_id": p, "body": b, "vehicles": n} for p, b, n in zip(*lists, strict=False) if n.strip() not in {"", "0"}
    ]
    return sent | {"goes": form.get("goes") == "1", "calls": calls}
