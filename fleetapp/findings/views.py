"""Pages of clues: the queue, one case, and the clues beside a trip."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, url_for
from marshmallow import Schema
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.accounts import queries as accounts
from fleetapp.duty import queries as duties
from fleetapp.findings import queries, rules, service
from fleetapp.findings.models import Finding
from fleetapp.findings.rules import FindingState
from fleetapp.findings.schemas import SEVERITIES, ExplainIn, FindingQuery, ReopenIn, ReviewIn
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Invalid, NotAllowed, RuleBroken
from fleetapp.kit.paging import paginate
from fleetapp.orders import queries as order_queries
from fleetapp.policies import queries as policies
from fleetapp.trips import picture
from fleetapp.trips import queries as trips
from fleetapp.web.display import km, moment, percent
from fleetapp.web.forms import load_form, load_query
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import language, t, t_or

blueprint = Blueprint("findings", __name__, template_folder="templates")

NEIGHBOURS = timedelta(hours=12)


def rule_name(code: str) -> str:
    """Return a rule's name in the page's language."""
    rule = rules.CATALOGUE[code]
    return rule.name_zh if language() == "zh" else rule.name_en


def evidence(line: Mapping[str, Any]) -> str:
    """Return a line of evidence in words."""
    return t_or(f"findings.ev.{line['code']}", line["code"], **{k: v for k, v in line.items() if k != "code"})


@blueprint.get("/findings")
def index() -> str:
    """List the clues within reach, in tabs by what they wait for."""
    permits.require("findings.read", actor())
    query = load_query(FindingQuery())
    with transaction() as s:
        rows = queries.filtered(
            queries.visible_to(actor()), state=query["state"], rule=query["rule"], severity=query["severity"],
            org_id=query["org_id"], q=query["q"], overdue_at=now() if query["overdue"] else None,
            start=clock.day_span(query["start_on"])[0] if query["start_on"] else None,
            end=clock.day_span(query["end_on"])[1] if query["end_on"] else None,
        )  # fmt: skip
        counts = queries.count_by_group(s, rows)
        page = paginate(s, queries.filtered(rows, group=query["group"]), number=query["page"], size=query["size"])
        kept = {name: value for name, value in request.args.items() if name not in {"group", "page"} and value}
        return render_template(
            "findings/index.html", page=page, query=query, counts=counts, kept=kept, groups=[*rules.GROUPS, "all"],
            catalogue=rules.CATALOGUE, severities=SEVERITIES, rule_name=rule_name, is_overdue=_is_overdue,
            orgs=s.scalars(accounts.orgs_visible_to(actor())).all(),
        )  # fmt: skip


@blueprint.get("/findings/<int:finding_id>")
def show(finding_id: int) -> str:
    """Show one case; who looked is logged."""
    with transaction() as s:
        return _page(s, finding_id, {}, {})


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


@blueprint.post("/findings/<int:finding_id>/explain")
def explain(finding_id: int) -> Response | tuple[str, int]:
    """Explain."""
    return _do(finding_id, ExplainIn(), service.explain, "findings.explained_done")


@blueprint.post("/findings/<int:finding_id>/review")
def review(finding_id: int) -> Response | tuple[str, int]:
    """Decide."""
    return _do(finding_id, ReviewIn(), _review, "findings.reviewed_done")


@blueprint.post("/findings/<int:finding_id>/reopen")
def reopen(finding_id: int) -> Response | tuple[str, int]:
    """Take up again."""
    return _do(finding_id, ReopenIn(), service.reopen, "findings.reopened_done")


def _review(session: Session, *, outcome: str, **given: Any) -> Finding:
    return service.review(session, outcome=FindingState(outcome), **given)


def _do(finding_id: int, schema: Schema, step: Callable[..., Finding], done: str) -> Response | tuple[str, int]:
    """Take a step; what is wrong comes back beside the form with everything that was typed."""
    try:
        with transaction() as s:
            finding = step(s, finding_id=finding_id, **load_form(schema), actor=actor(), now=now())
            flash(t(done, number=finding.number))
    except Invalid as error:
        faults = error.fields
    except RuleBroken as error:
        faults = {"text" if isinstance(schema, ExplainIn) else "note": [t(error.code, **error.params)]}
    else:
        return redirect(url_for("findings.show", finding_id=finding_id))
    with transaction() as s:
        return _page(s, finding_id, request.form.to_dict(), faults), 422


def _is_overdue(finding: Finding) -> bool:
    return rules.is_overdue(finding.state, finding.due_at, now())


def _page(s: Session, finding_id: int, values: dict[str, str], errors: dict[str, Any]) -> str:
    finding = service.view(s, finding_id=finding_id, actor=actor(), now=now())
    found = list(queries.trips_of(s, finding))
    span = (finding.start_at, finding.end_at)
    orders = duties.orders_of_vehicle(
        s, vehicle_id=finding.vehicle_id, start=span[0] - NEIGHBOURS, end=span[1] + NEIGHBOURS
    )
    own = [order for order in orders if order.order_id == finding.order_id]
    start, end = picture.window([span, *((order.start_at, order.end_at) for order in own),
                                 *((trip.start_at, trip.end_at) for trip in found)])  # fmt: skip
    driven = found if any(trip.superseded_at for trip in found) else [
        *trips.current_in(s, vehicle_id=finding.vehicle_id, start=start, end=end)
    ]  # fmt: skip
    clue = picture.SpanOf(*span, "clue", f"{finding.rule} {rule_name(finding.rule)}", finding.rule)
    weights = policies.values(s, "match.weight_", clock.local_date(span[0]), finding.org.path)
    beside = queries.about(queries.visible_to(actor()), vehicle_id=finding.vehicle_id, start=span[0], end=span[1])

    def may(action: str) -> bool:
        return permits.may(
            action, actor(), org_path=finding.org.path, owner_id=finding.concerned_id, state=finding.state
        )

    return render_template(
        "findings/show.html", finding=finding, trips=found, values=values, errors=errors, outcomes=rules.OUTCOMES,
        readable_orders=order_queries.readable(s, order_ids=[finding.order_id or 0], actor=actor()),
        rule_name=rule_name, evidence=evidence, facts=_facts(finding), is_overdue=_is_overdue(finding),
        strip=picture.vehicle_strip(start, end, orders, driven, now(), more=[(t("trips.lane.clue"), [clue])]),
        strip_start=start, strip_end=end, reckonings=picture.reckonings(found, orders, weights),
        features=picture.trip_features(found, words=picture.map_words(), parking=finding.vehicle.parking,
                                       order_stops=[stop for order in own for stop in order.stops]),
        beside=[one for one in s.scalars(beside) if one.id != finding.id], readings=_readings(finding),
        may_explain=may("findings.explain"), may_reopen=may("findings.reopen"),
        may_review=may("findings.review"), barred=_barred(finding),
        case_url="reports.case" if "reports.case" in current_app.view_functions else None,
        trips_readable=permits.may("trips.read", actor(), org_path=finding.org.path), figures=finding.params.get("figures", {}),
    )  # fmt: skip


def _readings(finding: Finding) -> dict[str, str]:
    """Return what the calendar and the exemptions say, in words."""
    exempt = "、" if language() == "zh" else ", "
    return {
        "exemptions": exempt.join(t_or(f"findings.exempt.{code}", code) for code in finding.facts.get("exemptions", []))
    }


def _barred(finding: Finding) -> str | None:
    """Return in words why the actor may not decide this clue, if there is a reason in the matter itself."""
    order = finding.order
    try:
        rules.check_reviewer(
            actor().user_id, concerned_id=finding.concerned_id,
            explainer_ids=[event.actor_id for event in finding.events if event.action == "explain"],
            order_people=[order.applicant_id, order.approver_id] if order else [],
        )  # fmt: skip
    except NotAllowed as error:
        return t(error.code)
    return None


def _facts(finding: Finding) -> list[tuple[str, str]]:
    """Return the facts of a clue as pairs of words, in the catalogue's order."""
    return [
        (t_or(f"findings.fact.{name}", name), fact_words(kind, finding.facts[name]))
        for name, kind in rules.FACTS.items()
        if finding.facts.get(name) is not None
    ]


def fact_words(kind: str, value: Any) -> str:
    """Return a fact's value in words by its kind."""
    match kind:
        case "km":
            return f"{km(value)} km"
        case "m":
            return f"{value} m"
        case "min":
            return t("findings.minutes", n=value)
        case "moment":
            return moment(datetime.fromisoformat(value))
        case "share":
            return percent(value)
        case "score":
            return f"{value:.2f}"
        case "kind":
            return t_or(f"trips.kind.{value}", value)
        case "flag":
            return t("web.yes") if value else t("web.no")
        case "day":
            words = value["name"] if value["name"] and language() == "zh" else t(f"findings.day.{value['kind']}")
            known = "" if value["known"] else f"（{t('findings.day_unknown')}）"
            return f"{value['on']} {words}{known}"
    return str(value)
