"""The queue of cases, old addresses of clues, and the clues beside a trip."""

from datetime import timedelta
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.findings import desk_queries, queries, rules, workflow
from fleetapp.findings.schemas import SEVERITIES, CaseQuery
from fleetapp.findings.words import is_overdue, rule_name
from fleetapp.kit import clock, permits
from fleetapp.kit.paging import paginate
from fleetapp.trips import queries as trips
from fleetapp.web.forms import load_query
from fleetapp.web.request import actor, now, transaction

blueprint = Blueprint("findings", __name__, template_folder="templates")


@blueprint.get("/findings")
def index() -> str:
    """List the cases within reach, in tabs by what they wait for."""
    permits.require("findings.read", actor())
    query = load_query(CaseQuery())
    me = actor().user_id
    with transaction() as s:
        rows = desk_queries.filtered(
            desk_queries.visible_to(actor()), rule=query["rule"], severity=query["severity"], org_id=query["org_id"], q=query["q"],
            start=clock.day_span(query["start_on"])[0] if query["start_on"] else None,
            end=clock.day_span(query["end_on"])[1] if query["end_on"] else None,
        )  # fmt: skip
        counts = desk_queries.counts(s, rows, now=now(), me=me)
        narrowed = desk_queries.filtered(
            rows, group=query["group"], state=query["state"], overdue_at=now() if query["overdue"] else None,
            handler_id=me if query["mine"] else None,
            due_before=now() + timedelta(hours=query["due_in_h"]) if query["due_in_h"] else None,
        )  # fmt: skip
        page = paginate(s, narrowed, number=query["page"], size=query["size"])
        kept = {
            name: value
            for name, value in request.args.items()
            if name not in {"group", "page", "mine", "overdue"} and value
        }
        on_desk = permits.may("findings.desk", actor())
        return render_template(
            "findings/index.html", page=page, query=query, counts=counts, kept=kept, groups=[*workflow.GROUPS, "all"],
            catalogue=rules.CATALOGUE, severities=SEVERITIES, rule_name=rule_name, is_overdue=is_overdue, head=desk_queries.head,
            orgs=s.scalars(accounts.orgs_visible_to(actor())).all(), on_desk=on_desk, states=list(workflow.FindingState),
            handlers=desk_queries.handlers(s, actor=actor()) if permits.may("findings.assign", actor()) else [],
        )  # fmt: skip


@blueprint.get("/findings/<int:finding_id>")
def show(finding_id: int) -> Response:
    """Lead from a clue to its case."""
    with transaction() as s:
        found = queries.get_finding(s, finding_id=finding_id, actor=actor())
        permits.require("findings.read", actor(), org_path=found.org.path, owner_id=found.concerned_id)
        kept: dict[str, Any] = request.args.to_dict()
        return redirect(url_for("cases.show", case_id=found.case_id, _anchor=f"clue-{found.id}", **kept))


@blueprint.get("/findings/for-trip/<int:trip_id>")
def for_trip(trip_id: int) -> str:
    """Show the clues about a trip's vehicle and time, as a fragment of the trip's page."""
    permits.require("findings.read", actor())
    with transaction() as s:
        trip = trips.get_trip(s, trip_id=trip_id, actor=actor())
        rows = queries.about(
            queries.visible_to(actor()), vehicle_id=trip.vehicle_id, start=trip.start_at, end=trip.end_at
        )
        return render_template("findings/for_trip.html", findings=s.scalars(rows).all(), rule_name=rule_name)
