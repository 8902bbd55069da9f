"""Looking after the rules themselves: proposals to keep one quiet for a while, the monthly sample, searches by place."""

import hashlib
from datetime import date, datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from fleetapp.audit import queries as audit_chain
from fleetapp.audit import service as audit
from fleetapp.findings import cases, oversight_queries, queries, rules, workflow
from fleetapp.findings.models import Finding, FindingEvent, SampleItem, SampleRun, Suppression
from fleetapp.findings.oversight_queries import Near
from fleetapp.findings.rules import Severity
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.orders import service as orders
from fleetapp.policies import queries as policies
from fleetapp.tracking import queries as tracking
from fleetapp.tracking.bridge import ArchiveMissing
from fleetapp.trips.models import Trip
from fleetapp.vehicles import queries as vehicles

MOST_NEAR = 200
LONGEST_SEARCH = timedelta(days=7)
WIDEST_M, NARROWEST_M = 2000.0, 50.0


# ---- proposals ----------------------------------------------------------------------------------------------------------


def propose(
    session: Session,
    *,
    rule: str,
    vehicle_id: int,
    start_on: date,
    end_on: date,
    reason: ClearReason,
    note: str,
    case_id: int | None = None,
    actor: Actor,
    now: datetime,
) -> Suppression:
    """Propose that a rule keeps quiet about a vehicle over ``[start_on, end_on)``; nothing changes until somebody approves.

    :raises NotAllowed: outside reach.
    :raises RuleBroken: ``findings.quiet_window`` reversed, begun, or longer than ``finding.suppress_days``; an unknown rule.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("findings.propose_quiet", actor, org_path=vehicle.org.path)
    if rule not in rules.CATALOGUE or rule == "S-01":
        raise RuleBroken("findings.quiet_rule")
    on = clock.local_date(now)
    most = int(policies.value(session, "finding.suppress_days", on, vehicle.org.path))
    if not (on <= start_on < end_on <= start_on + timedelta(days=most)):
        raise RuleBroken("findings.quiet_window", most=most)
    made = Suppression(
        org_id=vehicle.org_id, rule=rule, vehicle_id=vehicle_id, start_on=start_on, end_on=end_on, reason_code=reason,
        note=workflow.check_text(note), state="PROPOSED", case_id=case_id, proposed_by=actor.user_id, proposed_at=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    _recorded(session, made, "findings.quiet_proposed", actor, now)
    return made


def decide_proposal(
    session: Session, *, proposal_id: int, approved: bool, note: str, actor: Actor, now: datetime
) -> Suppression:
    """Approve or decline a proposal, as a second person.

    :raises NotAllowed: no reviewer here, or one's own proposal.
    :raises RuleBroken: ``findings.suppression_once``, ``findings.text_short``.
    """
    found = _proposal(session, proposal_id, actor)
    permits.require("findings.approve_quiet", actor, org_path=found.org.path, owner_id=found.proposed_by)
    if found.state != "PROPOSED":
        raise RuleBroken("findings.suppression_once")
    found.decision_note = workflow.check_text(note)
    found.state, found.decided_by, found.decided_at = ("APPROVED" if approved else "DECLINED"), actor.user_id, now
    _recorded(session, found, "findings.quiet_decided", actor, now)
    return found


def end_proposal(session: Session, *, proposal_id: int, actor: Actor, now: datetime) -> Suppression:
    """End an approved one early, from tomorrow on.

    :raises NotAllowed: no reviewer here.
    :raises RuleBroken: ``findings.suppression_once``, not approved.
    """
    found = _proposal(session, proposal_id, actor)
    permits.require("findings.approve_quiet", actor, org_path=found.org.path)
    if found.state != "APPROVED":
        raise RuleBroken("findings.suppression_once")
    tomorrow = clock.local_date(now) + timedelta(days=1)
    found.state, found.end_on = "ENDED", min(found.end_on, max(tomorrow, found.start_on + timedelta(days=1)))
    _recorded(session, found, "findings.quiet_ended", actor, now)
    return found


def _proposal(session: Session, proposal_id: int, actor: Actor) -> Suppression:
    found = session.scalar(
        oversight_queries.suppressions(actor).where(Suppression.id == proposal_id).with_for_update(of=Suppression)
    )
    if found is None:
        raise NotFound("kit.not_found")
    return found


def _recorded(session: Session, row: Suppression, action: str, actor: Actor, now: datetime) -> None:
    audit.record(session, actor=actor, now=now, action=action, subject_type="suppression", subject_id=row.id, org_id=row.org_id,
                 rule=row.rule, vehicle_id=row.vehicle_id, start_on=row.start_on, end_on=row.end_on, state=row.state,
                 reason_code=row.reason_code, note=row.decision_note or row.note)  # fmt: skip


# ---- samples ------------------------------------------------------------------------------------------------------------


def draw(session: Session, *, month: date, now: datetime) -> SampleRun | None:
    """Draw a past month's sample of matched trips, once; returns the draw, or None if it was drawn before.

    The seed is the month and the audit chain's head at the time, so nobody can know it before, and it is recorded with the
    digest of the population: the draw can be repeated and compared.
    """
    if oversight_queries.sample_run(session, month=month) is not None:
        return None
    following = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    population = oversight_queries.matched_trips(session, start=clock.start_of(month), end=clock.start_of(following))
    head = audit_chain.head(session)
    share = float(policies.value(session, "finding.sample_share", month))
    run = SampleRun(
        month=month, seed=f"{month:%Y-%m}|{head.seq}|{head.hash}", share=share, population=len(population),
        population_sha256=hashlib.sha256(",".join(str(trip_id) for trip_id, _ in population).encode()).hexdigest(), drawn_at=now,
    )  # fmt: skip
    session.add(run)
    session.flush()
    org_of = dict(population)
    drawn = workflow.sample(org_of, seed=run.seed, share=share)
    if drawn:
        session.execute(
            insert(SampleItem), [{"org_id": org_of[one], "run_id": run.id, "trip_id": one} for one in drawn]
        )
    audit.record(session, actor=SYSTEM, now=now, action="findings.sample_drawn", subject_type="sample_run", subject_id=run.id, org_id=None,
                 month=month, seed=run.seed, share=share, population=run.population, population_sha256=run.population_sha256,
                 drawn=drawn)  # fmt: skip
    return run


def review_sample(
    session: Session, *, item_id: int, verdict: str, note: str, actor: Actor, now: datetime
) -> SampleItem:
    """Say that a drawn trip is in order, or open a clue about it.

    :raises NotAllowed: no reviewer here, or the actor has a part in the trip's order.
    :raises RuleBroken: ``findings.sample_once``, ``findings.text_short`` for a clue without words.
    """
    session.scalar(select(SampleItem.id).where(SampleItem.id == item_id).with_for_update())
    item = next((one for one in oversight_queries.samples(session, actor=actor) if one.id == item_id), None)
    if item is None:
        raise NotFound("kit.not_found")
    permits.require("findings.sample", actor, org_path=item.trip.vehicle.org.path)
    if item.verdict is not None:
        raise RuleBroken("findings.sample_once")
    people = {
        person
        for part in item.trip.matches
        if part.order
        for person in (part.order.applicant_id, part.order.approver_id)
    }
    workflow.check_reviewer(actor.user_id, concerned_ids=(), explainer_ids=(), order_people=people)
    if verdict == "clue":
        item.finding_id = _sampled_clue(session, item.trip, workflow.check_text(note), now).id
    item.verdict, item.note, item.reviewer_id, item.reviewed_at = verdict, note.strip() or None, actor.user_id, now
    audit.record(session, actor=actor, now=now, action="findings.sample_reviewed", subject_type="sample_item", subject_id=item.id,
                 org_id=item.org_id, trip_id=item.trip_id, verdict=verdict, finding_id=item.finding_id, note=item.note)  # fmt: skip
    return item


def _sampled_clue(session: Session, trip: Trip, note: str, now: datetime) -> Finding:
    """Return a clue that a person found in a sample, put on its way like any other."""
    day = f"XS{clock.local_date(now):%Y%m%d}"
    org = trip.vehicle.org
    order_id = next((part.order_id for part in trip.matches if part.order_id), None)
    found = Finding(
        org_id=org.id, number=f"{day}-{orders.next_number(session, day):04d}", dedupe_key=f"S-01|{trip.id}", rule="S-01",
        rule_version=rules.VERSION, vehicle_id=trip.vehicle_id, trip_id=trip.id, order_id=order_id, start_at=trip.start_at,
        end_at=trip.end_at, severity=Severity.YELLOW, state=FindingState.DETECTED, confidence=trip.coverage,
        facts={"distance_m": trip.best_m, "coverage": trip.coverage, "trip_ids": [trip.id], "start_place": trip.start_place,
               "end_place": trip.end_place}, params={}, evidence_for=[{"code": "sampled", "note": note}],
        evidence_against=[{"code": "matched_before"}], detected_at=now, concerned_id=queries.person_to_ask(session, org=org),
        due_at=cases.due_of(session, org_path=org.path, severity=Severity.YELLOW, detected_at=now),
    )  # fmt: skip
    session.add(found)
    session.flush()
    session.add(
        FindingEvent(
            finding_id=found.id, action="raise", from_state=None, to_state=found.state, actor_id=None, at=now, note=note
        )
    )
    cases.settle(session, vehicle_id=trip.vehicle_id, start=trip.start_at, end=trip.end_at, now=now)
    return found


# ---- who was near ---------------------------------------------------------------------------------------------------------


def search_near(
    session: Session,
    *,
    lat: float,
    lon: float,
    radius_m: float,
    start: datetime,
    end: datetime,
    purpose: str,
    actor: Actor,
    now: datetime,
) -> list[Near]:
    """Return the trips that passed within a radius of a point in a time, and log who asked and why; restricted vehicles never.

    :raises NotAllowed: not an auditor.
    :raises RuleBroken: ``findings.search_purpose``, ``findings.search_window``, ``findings.search_radius``.
    """
    permits.require("findings.search", actor)
    why = purpose.strip()
    if len(why) < workflow.NOTE_MIN:
        raise RuleBroken("findings.search_purpose", least=workflow.NOTE_MIN)
    if not timedelta() < end - start <= LONGEST_SEARCH:
        raise RuleBroken("findings.search_window", most=LONGEST_SEARCH.days)
    if not NARROWEST_M <= radius_m <= WIDEST_M:
        raise RuleBroken("findings.search_radius", least=round(NARROWEST_M), most=round(WIDEST_M))
    trips = oversight_queries.trips_near(
        session, actor=actor, lat=lat, lon=lon, radius_m=radius_m, start=start, end=end, most=MOST_NEAR
    )
    found = []
    for trip in trips:
        try:
            fixes = tracking.track(
                session, vehicle_id=trip.vehicle_id, start=max(start, trip.start_at), end=min(end, trip.end_at)
            )
        except ArchiveMissing as error:
            raise RuleBroken("tracking.archive_missing", day=error.day.isoformat(), file=str(error.path)) from error
        near = workflow.nearest_pass([(fix.at, fix.lat, fix.lon) for fix in fixes if fix.fixed], lat=lat, lon=lon)
        if near is not None and near[0] <= radius_m:
            found.append(Near(trip, near[0], near[1]))
    audit.record(session, actor=actor, now=now, action="findings.searched", subject_type="place", subject_id=None, org_id=actor.org_id,
                 purpose=why, lat=round(lat, 6), lon=round(lon, 6), radius_m=radius_m, start=start, end=end, trips=len(found),
                 plates=sorted({one.trip.vehicle.plate for one in found}))  # fmt: skip
    return found
