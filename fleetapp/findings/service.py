"""Writing of clues by the job: it raises, refreshes and withdraws; what people do is ``casework``'s."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.findings import cases, queries, rules, workflow
from fleetapp.findings.look import look
from fleetapp.findings.models import Finding, FindingEvent
from fleetapp.findings.rules import Clue, FigureRow, Severity
from fleetapp.findings.workflow import FindingState
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.orders import service as orders
from fleetapp.trips.roads import Roads

# ---- the job's part -------------------------------------------------------------------------------------------------


def scan_vehicle(
    session: Session,
    *,
    vehicle_id: int,
    first_on: date,
    last_on: date,
    now: datetime,
    figure_rows: Sequence[FigureRow],
    roads: Roads | None = None,
) -> Counter[str]:
    """Bring a vehicle's clues of some local days in step with what is known; returns counts by what was done.

    New incidents are raised. Clues that nobody has answered are refreshed or, when the data no longer support them,
    withdrawn (and reinstated when they do again). What a person has explained or decided is never touched.
    """
    session.execute(sql("SELECT pg_advisory_xact_lock(809, :vehicle)"), {"vehicle": vehicle_id % 2**31})
    seen = look(
        session,
        vehicle_id=vehicle_id,
        first_on=first_on,
        last_on=last_on,
        now=now,
        figure_rows=figure_rows,
        roads=roads,
    )
    start, end = clock.start_of(first_on), clock.start_of(last_on + timedelta(days=1))
    known = queries.existing(
        session, vehicle_id=vehicle_id, start=start, end=end, keys=[clue.key for clue in seen.clues]
    )
    done: Counter[str] = Counter({f"silent_{reason}": number for reason, number in seen.silences.items()})
    supported: set[int] = set()
    for clue in sorted(seen.clues, key=lambda clue: (clue.start_at, clue.key)):
        finding = _same_incident(clue, [one for one in known if one.id not in supported])
        if finding is None:
            finding = _raise(session, clue, vehicle_id, now)
            done["raised"] += 1
        else:
            step = _refresh(session, finding, clue, now)
            done[step] += 1
        supported.add(finding.id)
    for finding in known:
        if (
            finding.id in supported
            or finding.state not in workflow.UNTOUCHED - {FindingState.WITHDRAWN}
            or finding.rule == "S-01"
        ):
            continue
        if start <= finding.start_at < end:
            _step(session, finding, FindingState.WITHDRAWN, action="withdraw", actor=SYSTEM, now=now, note=None)
            done["withdrawn"] += 1
    cases.settle(session, vehicle_id=vehicle_id, start=start, end=end, now=now)
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


def _raise(session: Session, clue: Clue, vehicle_id: int, now: datetime) -> Finding:
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id)
    day = f"XS{clock.local_date(now):%Y%m%d}"
    finding = Finding(
        org_id=vehicle.org_id, number=f"{day}-{orders.next_number(session, day):04d}", dedupe_key=clue.key,
        rule=clue.rule, rule_version=rules.VERSION, vehicle_id=vehicle_id, state=FindingState.DETECTED, detected_at=now,
        concerned_id=clue.concerned_id or queries.person_to_ask(session, org=vehicle.org),
    )  # fmt: skip
    finding.org = vehicle.org
    _take(session, finding, clue)
    session.add(finding)
    session.flush()
    _event(session, finding, action="raise", before=None, actor=SYSTEM, now=now, note=None)
    audit.record(session, actor=SYSTEM, now=now, action="findings.raised", subject_type="finding", subject_id=finding.id,
                 org_id=finding.org_id, number=finding.number, rule=finding.rule, severity=finding.severity)  # fmt: skip
    return finding


def _refresh(session: Session, finding: Finding, clue: Clue, now: datetime) -> str:
    """Bring a clue up to date; returns ``unchanged``, ``refreshed``, ``reinstated`` or ``left_alone``."""
    if finding.state not in workflow.UNTOUCHED:
        return "left_alone"
    withdrawn = finding.state == FindingState.WITHDRAWN
    worse = list(Severity).index(clue.severity) > list(Severity).index(Severity(finding.severity))
    if clue.facts.get("ongoing") and not (worse or withdrawn):
        return "unchanged"  # the journey is not over: its figures change with every fix
    before = _content(finding)
    _take(session, finding, clue)
    if withdrawn:
        _step(session, finding, FindingState.DETECTED, action="reinstate", actor=SYSTEM, now=now, note=None)
        return "reinstated"
    if _content(finding) == before:
        return "unchanged"
    _step(session, finding, FindingState(finding.state), action="refresh", actor=SYSTEM, now=now, note=None)
    return "refreshed"


def _take(session: Session, finding: Finding, clue: Clue) -> None:
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
        finding.due_at = cases.due_of(
            session, org_path=finding.org.path, severity=clue.severity, detected_at=finding.detected_at
        )


def _content(finding: Finding) -> tuple[object, ...]:
    return (
        finding.trip_id, finding.order_id, finding.start_at, finding.end_at, finding.severity, finding.confidence,
        finding.facts, finding.params, finding.evidence_for, finding.evidence_against, finding.concerned_id,
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
    """Move a clue by ``workflow.TRANSITIONS`` and write its event and audit entry."""
    before = finding.state
    workflow.check_step(before, after)
    finding.state = after
    _event(session, finding, action=action, before=before, actor=actor, now=now, note=note)
    audit.record(session, actor=actor, now=now, action=f"findings.{PAST_TENSE[action]}", subject_type="finding",
                 subject_id=finding.id, org_id=finding.org_id, number=finding.number, before=before, after=after,
                 severity=finding.severity, note=note)  # fmt: skip
    return finding


PAST_TENSE = {"refresh": "refreshed", "withdraw": "withdrawn", "reinstate": "reinstated"}
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
                     actor_id=actor.user_id, at=now, note=note)
    )  # fmt: skip
    session.flush()
