"""Pages of oversight: outcomes by rule, monthly samples, proposals to keep quiet, who was near a place, who looked at tracks."""

from datetime import date, timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from geoalchemy2.shape import to_shape
from werkzeug import Response

from fleetapp.findings import oversight, oversight_queries, rules, workflow
from fleetapp.findings.schemas import DecideIn, LooksQuery, NearQuery, PeriodQuery, ProposeIn, SampleIn
from fleetapp.findings.words import rule_name
from fleetapp.findings.workflow import ClearReason, Share
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.policies import queries as policies
from fleetapp.vehicles import queries as vehicles
from fleetapp.web.forms import errors_of, load, load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("watch", __name__, template_folder="templates")


@blueprint.get("/supervision/rules")
def outcomes() -> str:
    """Show what reviews of each rule came to in a period, by default the running quarter."""
    permits.require("findings.desk", actor())
    query = load_query(PeriodQuery())
    today = clock.local_date(now())
    start_on, end_on = query["start_on"] or workflow.quarter_start(today), query["end_on"] or today
    with transaction() as s:
        least = float(policies.value(s, "finding.precision_least", end_on))
        found = oversight_queries.outcomes_by_rule(
            s, actor=actor(), start=clock.day_span(start_on)[0], end=clock.day_span(end_on)[1], least=least
        )
        return render_template("findings/outcomes.html", rows=found, start_on=start_on, end_on=end_on, least=least,
                               outcomes=workflow.OUTCOMES, rule_name=rule_name)  # fmt: skip


@blueprint.get("/supervision/samples")
def samples() -> str:
    """Show a month's sample with its figures, those to review first."""
    return _samples({}, None)


def _samples(errors: dict[str, Any], wrong: int | None) -> str:
    permits.require("findings.sample", actor())
    with transaction() as s:
        months = oversight_queries.sample_months(s)
        wanted = request.args.get("month", "")
        run = next((one for one in months if f"{one.month:%Y-%m}" == wanted), months[0] if months else None)
        items = oversight_queries.samples(s, actor=actor(), month=run.month) if run else []
        done = [one for one in items if one.verdict]
        missed = Share(sum(one.verdict == "clue" for one in done), len(done))
        return render_template("findings/samples.html", months=months, run=run, items=items, missed=missed, errors=errors, wrong=wrong,
                               values=request.form)  # fmt: skip


@blueprint.post("/supervision/samples/<int:item_id>")
def review_sample(item_id: int) -> Response | tuple[str, int]:
    """Say that a drawn trip is in order, or open a clue."""
    try:
        data = load_form(SampleIn())
        with transaction() as s:
            oversight.review_sample(s, item_id=item_id, **data, actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        return _samples(errors_of(error, {"findings.text_short": "note"}), item_id), 422
    flash(t("findings.done.sample"))
    return redirect(url_for("watch.samples", month=request.args.get("month") or None))


@blueprint.get("/supervision/quiet")
def quiet() -> str:
    """List proposals to keep a rule quiet, and the form of a new one."""
    return _quiet({}, {})


def _quiet(values: Any, errors: dict[str, Any]) -> str:
    permits.require("findings.propose_quiet", actor())
    today = clock.local_date(now())
    with transaction() as s:
        filled = {
            "start_on": today.isoformat(),
            "end_on": (today + timedelta(days=29)).isoformat(),
            **request.args.to_dict(),
            **dict(values),
        }
        page = paginate(s, oversight_queries.suppressions(actor()), number=request.args.get("page", 1, int))
        return render_template(
            "findings/quiet.html", page=page, values=filled, errors=errors, reasons=list(ClearReason), rule_name=rule_name, today=today,
            catalogue=[code for code in rules.CATALOGUE if code != "S-01"], vehicles=s.scalars(vehicles.visible_to(actor())).all(),
            may_approve=permits.may("findings.approve_quiet", actor()), me=actor().user_id,
        )  # fmt: skip


@blueprint.post("/supervision/quiet")
def propose() -> Response | tuple[str, int]:
    """Propose; both days of the form are included."""
    try:
        data = load_form(ProposeIn())
        last: date = data.pop("end_on")
        with transaction() as s:
            oversight.propose(
                s,
                **(data | {"reason": ClearReason(data["reason"])}),
                end_on=last + timedelta(days=1),
                actor=actor(),
                now=now(),
            )
    except (Invalid, RuleBroken) as error:
        return _quiet(request.form.to_dict(), errors_of(error, {"findings.quiet_window": "end_on", "findings.quiet_rule": "rule",
                                                               "findings.text_short": "note"})), 422  # fmt: skip
    flash(t("findings.done.propose"))
    return redirect(url_for("watch.quiet"))


@blueprint.post("/supervision/quiet/<int:proposal_id>/<any(decide, end):step>")
def decide(proposal_id: int, step: str) -> Response | tuple[str, int]:
    """Approve or decline a proposal as a second person, or end an approved one."""
    try:
        with transaction() as s:
            if step == "end":
                oversight.end_proposal(s, proposal_id=proposal_id, actor=actor(), now=now())
            else:
                oversight.decide_proposal(s, proposal_id=proposal_id, **load_form(DecideIn()), actor=actor(), now=now())
    except (Invalid, RuleBroken, Conflict) as error:
        [message] = next(iter(errors_of(error).values()))[:1]
        flash(str(message))
        return redirect(url_for("watch.quiet"))
    flash(t("findings.done.decided_quiet"))
    return redirect(url_for("watch.quiet"))


@blueprint.get("/supervision/near")
def near() -> str | tuple[str, int]:
    """Ask for place, time and purpose; with them, show who was near. Every search is logged."""
    permits.require("findings.search", actor())
    today, _ = clock.day_span(clock.local_date(now()))
    values: dict[str, Any] = {"radius_m": "300", "start": clock.local(today).strftime("%Y-%m-%dT%H:%M"),
                              "end": clock.local(now()).strftime("%Y-%m-%dT%H:%M")} | request.args.to_dict()  # fmt: skip
    errors: dict[str, Any] = {}
    found = None
    if request.args:
        try:
            data = load(NearQuery(), {name: value for name, value in request.args.items() if value})
            with transaction() as s:
                found = oversight.search_near(s, **data, actor=actor(), now=now())
        except (Invalid, RuleBroken) as error:
            errors = errors_of(error, {"findings.search_purpose": "purpose", "tracking.archive_missing": "start", "findings.search_window": "end",
                                       "findings.search_radius": "radius_m"})  # fmt: skip
    page = render_template(
        "findings/near.html", values=values, errors=errors, found=found, features=_marks(values, found)
    )
    return (page, 422) if errors else page


def _marks(values: dict[str, Any], found: list[oversight_queries.Near] | None) -> dict[str, Any] | None:
    """Return the point asked about and the ways of the trips found as GeoJSON."""
    if found is None:
        return None
    here = {"type": "Feature", "properties": {"kind": "point", "label": t("findings.here")},
            "geometry": {"type": "Point", "coordinates": [float(values["lon"]), float(values["lat"])]}}  # fmt: skip
    ways = [{"type": "Feature", "properties": {"kind": "track"}, "geometry": {
        "type": "LineString", "coordinates": [[round(lon, 5), round(lat, 5)] for lon, lat in to_shape(one.trip.path).coords]}}
        for one in found[:20]]  # fmt: skip
    return {"type": "FeatureCollection", "features": [*ways, here]}


@blueprint.get("/supervision/looks")
def looks() -> str:
    """Show who looked at which track, when and why."""
    permits.require("findings.access_log", actor())
    query = load_query(LooksQuery())
    with transaction() as s:
        rows = oversight_queries.looks(
            actor(), q=query["q"], kind=query["kind"], start=clock.day_span(query["start_on"])[0] if query["start_on"] else None,
            end=clock.day_span(query["end_on"])[1] if query["end_on"] else None,
        )  # fmt: skip
        page = paginate(s, rows, number=query["page"], size=50)
        return render_template("findings/looks.html", page=page, query=query, kinds=oversight_queries.LOOKS,
                               plates=oversight_queries.plates_of(s, page.items))  # fmt: skip
