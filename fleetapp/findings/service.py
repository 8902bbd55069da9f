"""Writing of clues: the job raises, refreshes and withdraws; people explain, decide and reopen."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.findings import queries, rules
from fleetapp.findings.look import look
from fleetapp.findings.models import Finding, FindingEvent
from fleetapp.findings.rules import Clue, FigureRow, FindingState, Severity
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders import service as orders
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

LONGEST_HOLIDAY = timedelta(days=45)
"""So far ahead the calendar is read to count workdays."""


# ---- the job's part -------------------------------------------------------------------------------------------------


def scan_vehicle(
    session: Session,
    *,
    vehicle_id: int,
    first_on: date,
    last_on: date,
    now: datetime,
    figure_rows: Sequence[FigureRow],
) -> Counter[str]:
    """Bring a vehicle's clues of some local days in step with what is known; returns counts by what was done.

    New incidents are raised. Clues that nobody has answered are refreshed or, when the data no longer support them,
    withdrawn (and reinstated when they do again). What a person has explained or decided is never touched.
    """
    session.execute(sql("SELECT pg_advisory_xact_lock(809, :vehicle)"), {"vehicle": vehicle_id % 2**31})
    seen = look(session, vehicle_id=vehicle_id, first_on=first_on, last_on=last_on, now=now, figure_rows=figure_rows)
    start, end = clock.start_of(first_on), clock.start_of(last_on + timedelta(days=1))
    known = queries.existing(
        session, vehicle_id=vehicle_id, start=start, end=end, keys=[clue.key for clue in seen.clues]
    )
    done: Counter[str] = Counter({f"silent_{reason}": number for reason, number in seen.silences.items()})
    supported: set[int] = set()
    for clue in sorted(seen.clues, key=lambda clue: (clue.start_at, clue.key)):
        finding = _same_incident(clue, [one for one in known if one.id not in supported])
        if finding is None:
            finding = _raise(session, clue, vehicle_id, figure_rows, now)
            done["raised"] += 1
        else:
            step = _refresh(session, finding, clue, figure_rows, now)
            done[step] += 1
        supported.add(finding.id)
    for finding in known:
        if finding.id in supported or finding.state != FindingState.NOTIFIED:
            continue
        if start <= finding.start_at < end:
            _step(session, finding, FindingState.WITHDRAWN, action="withdraw", actor=SYSTEM, now=now, note=None)
            done["withdrawn"] += 1
    return done


def _same_incident(clue: Clue, known: Sequence[Finding]) -> Finding | None:
    """Return the clue that was raised for the same incident before: by key, or by rule and time for movements."""
    by_key = next((one for one in known if one.dedupe_key == clue.key), None)
    if by_key is not None or not clue.is_interval:
        return by_key
    touching = [
        one for one in known if one.rule == clue.rule and one.start_at < clue.end_at and one.end_at > clue.start_at
    ]
    return min(touching, key=lambda one: (one.state == FindingState.WITHDRAWN, one.id), default=None)


def _raise(session: Session, clue: Clue, vehicle_id: int, figure_rows: Sequence[FigureRow], now: datetime) -> Finding:
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id)
    day = f"XS{clock.local_date(now):%Y%m%d}"
    finding = Finding(
        org_id=vehicle.org_id, number=f"{day}-{orders.next_number(session, day):04d}", dedupe_key=clue.key,
        rule=clue.rule, rule_version=rules.VERSION, vehicle_id=vehicle_id, state=FindingState.NOTIFIED, detected_at=now,
        concerned_id=clue.concerned_id or queries.person_to_ask(session, org=vehicle.org),
    )  # fmt: skip
    finding.org = vehicle.org
    _take(session, finding, clue, figure_rows)
    session.add(finding)
    session.flush()
    _event(session, finding, action="raise", before=None, actor=SYSTEM, now=now, note=None)
    audit.record(session, actor=SYSTEM, now=now, action="findings.raised", subject_type="finding", subject_id=finding.id,
                 org_id=finding.org_id, number=finding.number, rule=finding.rule, severity=finding.severity)  # fmt: skip
    return finding


def _refresh(session: Session, finding: Finding, clue: Clue, figure_rows: Sequence[FigureRow], now: datetime) -> str:
    """Bring a clue up to date; returns ``unchanged``, ``refreshed``, ``reinstated`` or ``left_alone``."""
    if finding.state not in {FindingState.NOTIFIED, FindingState.WITHDRAWN}:
        return "left_alone"
    withdrawn = finding.state == FindingState.WITHDRAWN
    worse = list(Severity).index(clue.severity) > list(Severity).index(Severity(finding.severity))
    if clue.facts.get("ongoing") and not (worse or withdrawn):
        return "unchanged"  # the journey is not over: its figures change with every fix
    before = _content(finding)
    _take(session, finding, clue, figure_rows)
    if withdrawn:
        _step(session, finding, FindingState.NOTIFIED, action="reinstate", actor=SYSTEM, now=now, note=None)
        return "reinstated"
    if _content(finding) == before:
        return "unchanged"
    _step(session, finding, FindingState.NOTIFIED, action="refresh", actor=SYSTEM, now=now, note=None)
    return "refreshed"


def _take(session: Session, finding: Finding, clue: Clue, figure_rows: Sequence[FigureRow]) -> None:
    """Write what a rule saw into a clue's row."""
    finding.trip_id, finding.order_id = clue.trip_id, clue.order_id
    finding.start_at, finding.end_at = clue.start_at, clue.end_at
    finding.confidence = clue.confidence
    finding.facts, finding.params = dict(clue.facts), dict(clue.params)
    finding.evidence_for, finding.evidence_against = list(clue.evidence_for), list(clue.evidence_against)
    if clue.concerned_id is not None:
        finding.concerned_id = clue.concerned_id
    if finding.severity != clue.severity:
        finding.severity = clue.severity
        finding.due_at = _due_at(session, finding, figure_rows)


def _content(finding: Finding) -> tuple[object, ...]:
    return (
        finding.trip_id, finding.order_id, finding.start_at, finding.end_at, finding.severity, finding.confidence,
        finding.facts, finding.params, finding.evidence_for, finding.evidence_against, finding.concerned_id,
    )  # fmt: skip


def _due_at(session: Session, finding: Finding, figure_rows: Sequence[FigureRow]) -> datetime:
    on = clock.local_date(finding.detected_at)
    figures = rules.figures_on(figure_rows, on=on, org_path=finding.org.path)
    days = workdays.day_kinds(session, on, on + LONGEST_HOLIDAY)
    return rules.due_at(
        finding.detected_at, number=int(figures[rules.SLA[Severity(finding.severity)]].value),
        workdays=[day.on for day in days if day.kind is DayKind.WORKDAY],
    )  # fmt: skip


# ---- people's part --------------------------------------------------------------------------------------------------


def explain(session: Session, *, finding_id: int, text: str, actor: Actor, now: datetime) -> Finding:
    """Answer a clue, as the person concerned or for the unit; until it is reviewed an answer may be added to.

    :raises NotAllowed: not concerned, or already decided.
    :raises RuleBroken: ``findings.text_short``.
    """
    finding = queries.lock_finding(session, finding_id=finding_id, actor=actor)
    _require("findings.explain", finding, actor)
    finding.explanation = rules.check_text(text)
    finding.explainer_id = actor.user_id
    return _step(
        session, finding, FindingState.EXPLAINED, action="explain", actor=actor, now=now, note=finding.explanation
    )


def review(
    session: Session, *, finding_id: int, outcome: FindingState, note: str, actor: Actor, now: datetime
) -> Finding:
    """Decide an explained clue: in order, a fault of procedure, the device's doing, or a breach.

    :raises NotAllowed: no reviewer here, not explained yet, or the actor has a part in the matter.
    :raises RuleBroken: ``findings.no_outcome``, ``findings.text_short``.
    """
    finding = queries.lock_finding(session, finding_id=finding_id, actor=actor)
    _require("findings.review", finding, actor)
    order = finding.order
    rules.check_reviewer(
        actor.user_id,
        concerned_id=finding.concerned_id,
        explainer_ids=[event.actor_id for event in finding.events if event.action == "explain"],
        order_people=[order.applicant_id, order.approver_id] if order is not None else [],
    )
    if outcome not in rules.OUTCOMES:
        raise RuleBroken("findings.no_outcome")
    finding.review_note = rules.check_text(note)
    finding.reviewer_id, finding.closed_at = actor.user_id, now
    return _step(session, finding, outcome, action="review", actor=actor, now=now, note=finding.review_note)


def reopen(session: Session, *, finding_id: int, note: str, actor: Actor, now: datetime) -> Finding:
    """Take a decided clue up again, with the reason; somebody decides it anew.

    :raises NotAllowed: not an auditor here, or not decided.
    :raises RuleBroken: ``findings.text_short``.
    """
    finding = queries.lock_finding(session, finding_id=finding_id, actor=actor)
    _require("findings.reopen", finding, actor)
    reason = rules.check_text(note)
    finding.reviewer_id = finding.review_note = finding.closed_at = None
    return _step(session, finding, FindingState.EXPLAINED, action="reopen", actor=actor, now=now, note=reason)


def view(session: Session, *, finding_id: int, actor: Actor, now: datetime) -> Finding:
    """Return a clue for reading with its track, and log who looked.

    :raises NotFound: none, or out of reach.
    """
    finding = queries.get_finding(session, finding_id=finding_id, actor=actor)
    _require("findings.read", finding, actor)
    audit.record(session, actor=actor, now=now, action="findings.viewed", subject_type="finding", subject_id=finding.id,
                 org_id=finding.org_id, number=finding.number)  # fmt: skip
    return finding


def _require(action: str, finding: Finding, actor: Actor) -> None:
    permits.require(
        action, actor, org_path=finding.org.path, owner_id=finding.concerned_id,
        state=None if action == "findings.read" else finding.state,
    )  # fmt: skip


def _step(
    session: Session,
    finding: Finding,
    after: FindingState,
    *,
    action: str,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> Finding:
    """Move a clue by ``rules.TRANSITIONS`` and write its event and audit entry."""
    before = finding.state
    rules.check_step(before, after)
    finding.state = after
    _event(session, finding, action=action, before=before, actor=actor, now=now, note=note)
    audit.record(session, actor=actor, now=now, action=f"findings.{PAST_TENSE[action]}", subject_type="finding",
                 subject_id=finding.id, org_id=finding.org_id, number=finding.number, before=before, after=after,
                 severity=finding.severity, note=note)  # fmt: skip
    return finding


PAST_TENSE = {
    "refresh": "refreshed", "withdraw": "withdrawn", "reinstate": "reinstated", "explain": "explained",
    "review": "reviewed", "reopen": "reopened",
}  # fmt: skip
"""What the audit log calls each step, after ``findings.``."""


def _event(
    session: Session,
    finding: Finding,
    *,
    action: str,
    before: str | None,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> None:
    session.add(
        FindingEvent(finding_id=finding.id, action=action, from_state=before, to_state=finding.state,
                     actor_id=actor.user_id, at=now, text=note)
    )  # fmt: skip
    session.flush()
