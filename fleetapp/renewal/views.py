"""Pages of the path to new energy: shares by year with the chart, the planner, one plan."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.policies import queries as policies
from fleetapp.renewal import chart, queries, rules, service
from fleetapp.renewal.models import RenewalRun
from fleetapp.renewal.schemas import PathQuery, PlanForm
from fleetapp.web.display import name
from fleetapp.web.forms import errors_of, load_form, load_query
from fleetapp.web.request import actor, now, shell, transaction

blueprint = Blueprint("renewal", __name__, template_folder="templates")

YEARS_BACK = 6
RUNS = 8
WAN = 10_000


@blueprint.get("/renewal")
def path() -> str:
    """Show the shares of an organisation's sub-tree and the planner."""
    return _path({}, {})


def _path(values: Mapping[str, Any], errors: Mapping[str, Any]) -> str:
    permits.require("renewal.read", actor())
    query = load_query(PathQuery())
    today = clock.local_date(now())
    with transaction() as s:
        orgs = [
            org
            for org in s.scalars(orgs_visible_to(actor()))
            if permits.may("renewal.read", actor(), org_path=org.path)
        ]
        org = get_org(s, org_id=query["org_id"]) if query["org_id"] else orgs[0]
        permits.require("renewal.read", actor(), org_path=org.path)
        found = rules.shares(queries.held(s, org_path=org.path), first_year=today.year - YEARS_BACK, today=today)
        latest = s.scalars(queries.visible_to(actor()).where(RenewalRun.org_id == org.id).limit(1)).first()
        targets = {"stock": policies.value(s, "plan.stock_share", today, org.path),
                   "bought": policies.value(s, "nev.acquisition_share", today, org.path)}  # fmt: skip
        return render_template(
            "renewal/path.html", org=org, orgs=[(one.id, name(one)) for one in orgs if one.kind != "unit"], years=found, latest=latest,
            targets=targets, drawn=chart.path(found, latest.result["path"] if latest else [], float(targets["stock"])), errors=errors,
            runs=s.scalars(queries.visible_to(actor()).limit(RUNS)).all(), left_out=queries.left_out(s, org_path=org.path), today=today,
            values={"org_id": org.id, "years": 5, "budget_wan": "800", "stock_percent": f"{targets['stock'] * 100:.0f}",
                    "bought_percent": f"{targets['bought'] * 100:.0f}"} | dict(values),
        )  # fmt: skip


@blueprint.post("/renewal")
def plan() -> Response | tuple[str, int]:
    """Make a plan."""
    try:
        data = load_form(PlanForm())
        made = service.plan(
            shell().database, org_id=data["org_id"], years=data["years"], budget=data["budget_wan"] * WAN,
            stock_share=data["stock_percent"] / Decimal(100), bought_share=data["bought_percent"] / Decimal(100), charging_places=data["charging_places"], actor=actor(), now=now(),
        )  # fmt: skip
    except (Invalid, RuleBroken) as error:
        return _path(request.form.to_dict(), errors_of(error)), 422
    return redirect(url_for("renewal.show", run_id=made.id))


@blueprint.get("/renewal/<int:run_id>")
def show(run_id: int) -> str:
    """Show one plan."""
    permits.require("renewal.read", actor())
    with transaction() as s:
        run = queries.get_run(s, run_id=run_id, actor=actor())
        return render_template(
            "renewal/show.html", run=run, drawn=chart.path([], run.result["path"], float(run.asked["stock_share"])),
            budget=Decimal(run.asked["budget"]), most=max([float(run.asked["budget"]), *(year["spent_cny"] for year in run.result["years"])]) or 1.0,
        )  # fmt: skip
