"""Pages of one case: replay, evidence, thread and decision at the desk; the explanation on a phone; the steps."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from marshmallow import Schema
from sqlalchemy.orm import Session
from werkzeug import Response

from fleetapp.attachments import queries as attachments
from fleetapp.attachments.models import Attachment
from fleetapp.duty import queries as duties
from fleetapp.findings import casework, desk_queries, queries, replay, words, workflow
from fleetapp.findings.models import Finding, FindingCase
from fleetapp.findings.schemas import AssignIn, NoteIn, ReviewIn, TextIn, VerifyIn
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit import clock, permits
from fleetapp.kit.errors import Conflict, Invalid, NotAllowed, RuleBroken
from fleetapp.orders import queries as order_queries
from fleetapp.policies import queries as policies
from fleetapp.tracking import queries as tracking
from fleetapp.trips import picture
from fleetapp.trips import queries as trips
from fleetapp.trips.models import Trip
from fleetapp.vehicles.rules import Secrecy
from fleetapp.web.forms import load_form
from fleetapp.web.request import actor, now, transaction
from fleetapp.web.texts import t

blueprint = Blueprint("cases", __name__, template_folder="templates")

NEIGHBOURS = timedelta(hours=12)
LONGEST_TRACK = timedelta(days=3)
"""A case about an order of weeks shows the track of its first days; the trips' pages show the rest."""
STEPS: dict[str, tuple[type[Schema], str]] = {
    "explain": (TextIn, "text"), "verify": (VerifyIn, "text"), "review": (ReviewIn, "note"), "send_back": (NoteIn, "note"),
    "rectify": (TextIn, "text"), "close": (NoteIn, "note"), "reopen": (NoteIn, "note"),
}  # fmt: skip
"""The form of each step, and the field its words are in."""


@blueprint.get("/cases/<int:case_id>")
def show(case_id: int) -> str | Response:
    """Show one case; who looked is logged. Whoever is only asked to explain gets the simple page."""
    with transaction() as s:
        case = casework.view(s, case_id=case_id, purpose=request.args.get("purpose"), actor=actor(), now=now())
        if not permits.may("trips.read", actor(), org_path=case.org.path):
            return _simple(s, case, {}, {})
        return _page(s, case, {}, {}, "")


@blueprint.get("/cases/<int:case_id>/explain")
def answer(case_id: int) -> str:
    """Show the simple page to explain on a phone."""
    with transaction() as s:
        case = casework.view(s, case_id=case_id, purpose=None, actor=actor(), now=now())
        return _simple(s, case, {}, {})


@blueprint.post("/cases/<int:case_id>/<any(explain, verify, review, send_back, rectify, close, reopen):step>")
def act(case_id: int, step: str) -> Response | tuple[str, int]:
    """Take a step; what is wrong comes back beside the form with everything that was typed."""
    schema, field = STEPS[step]
    try:
        data = _loaded(step, load_form(schema()))
        with transaction() as s:
            case = getattr(casework, step)(s, case_id=case_id, **data, actor=actor(), now=now())
            flash(t(f"findings.done.{step}", number=case.number))
    except Invalid as error:
        faults: dict[str, Any] = error.fields
    except RuleBroken as error:
        at = {"findings.no_reason": "reason", "findings.no_outcome": "outcome"}.get(
            error.code, "papers" if error.code.startswith(("attachments.", "findings.many_files")) else field
        )
        faults = {at: [t(error.code, **error.params)]}
    except Conflict as error:
        faults = {field: [t(error.code, **error.params)]}
    else:
        return redirect(url_for("cases.show", case_id=case_id))
    with transaction() as s:
        case = casework.view(s, case_id=case_id, purpose=None, actor=actor(), now=now())
        if step == "explain" and (
            request.args.get("simple") or not permits.may("trips.read", actor(), org_path=case.org.path)
        ):
            return _simple(s, case, request.form.to_dict(), faults), 422
        return _page(s, case, request.form.to_dict(), faults, step), 422


def _loaded(step: str, data: dict[str, Any]) -> dict[str, Any]:
    if step == "review":
        data["outcome"] = FindingState(data["outcome"]) if data["outcome"] else None
        data["reason"] = ClearReason(data["reason"]) if data["reason"] else None
    if step in {"explain", "verify", "rectify"}:
        data["papers"] = [(file.filename, file.read()) for file in request.files.getlist("papers") if file.filename]
    return data


@blueprint.post("/cases/assign")
def assign() -> Response:
    """Hand the marked cases to a reviewer."""
    try:
        data = load_form(AssignIn())
        with transaction() as s:
            changed = casework.assign(s, **data, actor=actor(), now=now())
        flash(t("findings.done.assign", n=changed))
    except Invalid:
        flash(t("findings.mark_some"))
    back: dict[str, Any] = {name: value for name, value in request.args.items() if value}
    return redirect(url_for("findings.index", **back))


# ---- pages ----------------------------------------------------------------------------------------------------------------


def _simple(s: Session, case: FindingCase, values: dict[str, str], errors: dict[str, Any]) -> str:
    head = desk_queries.head(case)
    if head is None:
        raise NotAllowed("kit.not_allowed", action="findings.explain")
    return render_template(
        "findings/explain.html", case=case, head=head, values=values, errors=errors, rule_name=words.rule_name, evidence=words.evidence,
        facts=words.facts(head), papers=_papers(s, case), is_overdue=words.is_overdue(case), may_explain=casework.may("findings.explain", case, actor()),
        thread=[event for event in case.events if event.note], most_files=workflow.MOST_FILES,
    )  # fmt: skip


def _papers(s: Session, case: FindingCase) -> dict[int, list[Attachment]]:
    """Return the papers of a case by the event they came with."""
    found: dict[int, list[Attachment]] = {}
    for paper in attachments.of(
        s, subject_type=casework.PAPERS_OF, subject_ids=[event.id for event in case.events], actor=actor()
    ):
        found.setdefault(paper.subject_id, []).append(paper)
    return found


def _page(s: Session, case: FindingCase, values: dict[str, str], errors: dict[str, Any], step: str) -> str:
    head = desk_queries.head(case)
    if head is None:
        raise NotAllowed("kit.not_allowed", action="findings.read")
    may = {name: casework.may(f"findings.{name}", case, actor()) for name in
           ("explain", "verify", "review", "rectify", "close", "reopen", "propose_quiet")}  # fmt: skip
    return render_template(
        "findings/case.html", case=case, head=head, clues=[one for one in case.findings if one.id != head.id], values=values, errors=errors,
        step=step, may=may, barred=_barred(case), outcomes=workflow.OUTCOMES, reasons=list(ClearReason), papers=_papers(s, case),
        rule_name=words.rule_name, evidence=words.evidence, facts=words.facts(head), exemptions=words.exemptions(head),
        figures=head.params.get("figures", {}), is_overdue=words.is_overdue(case), most_files=workflow.MOST_FILES,
        readable_orders=order_queries.readable(s, order_ids=[one.order_id or 0 for one in case.findings], actor=actor()),
        trips_readable=permits.may("trips.read", actor(), org_path=case.org.path),
        **_drawn(s, case),
        earlier=s.scalars(desk_queries.visible_to(actor()).where(
            FindingCase.vehicle_id == case.vehicle_id, FindingCase.id != case.id).order_by(None)
            .order_by(FindingCase.start_at.desc()).limit(8)).all(), head_of=desk_queries.head,
    )  # fmt: skip


def _drawn(s: Session, case: FindingCase) -> dict[str, Any]:
    """Return what the page draws: trips, map features, time strip, the player's fixes, score tables."""
    found = _trips(s, case.findings)
    span = (case.start_at, case.end_at)
    orders = duties.orders_of_vehicle(
        s, vehicle_id=case.vehicle_id, start=span[0] - NEIGHBOURS, end=span[1] + NEIGHBOURS
    )
    mine = {one.order_id for one in case.findings}
    own = [order for order in orders if order.order_id in mine]
    start, end = picture.window([span, *((order.start_at, order.end_at) for order in own),
                                 *((trip.start_at, trip.end_at) for trip in found)])  # fmt: skip
    shown = case.vehicle.secrecy == Secrecy.NORMAL and permits.may("trips.read", actor(), org_path=case.org.path)
    track = (
        tracking.track(s, vehicle_id=case.vehicle_id, start=start, end=min(end, start + LONGEST_TRACK)) if shown else []
    )
    fixes = replay.usable(track)
    driven = found if any(trip.superseded_at for trip in found) else list(
        trips.current_in(s, vehicle_id=case.vehicle_id, start=start, end=end))  # fmt: skip
    marks = [picture.SpanOf(one.start_at, one.end_at, "clue", f"{one.rule} {words.rule_name(one.rule)}", one.rule)
             for one in case.findings if one.state not in {FindingState.WITHDRAWN, FindingState.MERGED}]  # fmt: skip
    curve, top = replay.speed_curve(fixes, start, end)
    features = picture.trip_features(found if not fixes else [], words=picture.map_words(), parking=case.vehicle.parking,
                                     order_stops=[stop for order in own for stop in order.stops])  # fmt: skip
    if fixes:  # the player draws the track itself, coloured by speed: the stays still need their numbers
        stays = picture.trip_features(found, words=picture.map_words(), parking=None)["features"]
        features["features"] += [one for one in stays if one["geometry"]["type"] == "Point"]
    features["features"] = replay.planned_way(own, t("findings.corridor")) + features["features"]
    weights = policies.values(s, "match.weight_", clock.local_date(span[0]), case.org.path)
    return {
        "trips": found, "orders": own, "features": features, "fixes": replay.player(fixes), "curve": curve, "top_kmh": top,
        "strip": picture.vehicle_strip(start, end, orders, driven, now(), more=[
            (t("findings.lane.acc"), replay.ignition(fixes, t("findings.lane.acc"))),
            (t("findings.lane.gaps"), replay.gaps(fixes, t("findings.lane.gaps"))), (t("trips.lane.clue"), marks)]),
        "strip_start": start, "strip_end": end, "reckonings": picture.reckonings(found, orders, weights), "speed_h": replay.SPEED_H,
        "left": picture.LEFT, "width": picture.WIDTH,
    }  # fmt: skip


def _trips(s: Session, clues: Sequence[Finding]) -> list[Trip]:
    """Return the trips that the clues of a case were made from, each once, in time order."""
    each = {trip.id: trip for one in clues for trip in queries.trips_of(s, one)}
    return sorted(each.values(), key=lambda trip: trip.start_at)


def _barred(case: FindingCase) -> str | None:
    """Return in words why the actor may not conclude this case, if there is a reason in the matter itself."""
    try:
        casework.check_part(case, actor())
    except NotAllowed as error:
        return t(error.code)
    return None
