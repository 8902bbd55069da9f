"""The job's part of cases: which clues belong together, whom they are told to, what happens when nobody answers."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.findings import desk_queries, rules, workflow
from fleetapp.findings.models import CaseEvent, Finding, FindingCase, FindingEvent, Suppression
from fleetapp.findings.rules import Severity
from fleetapp.findings.workflow import ASIDE, UNTOUCHED, FindingState, Incident
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.notices import service as notices
from fleetapp.orders import service as orders
from fleetapp.policies import queries as policies
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

_S = FindingState
RANK = {severity: rank for rank, severity in enumerate(Severity)}
LONGEST_HOLIDAY = timedelta(days=45)
"""So far ahead the calendar is read to count workdays."""
TOP_LEVEL = 3
"""A case nobody answers goes up so many times: unit, fleet, vehicle office."""


def settle(session: Session, *, vehicle_id: int, start: datetime, end: datetime, now: datetime) -> None:
    """Bring a vehicle's cases of ``[start, end)`` in step with its clues: group, merge, suppress, assign, notify.

    A case that somebody has answered is left alone: what comes later forms a case of its own.
    """
    clues = _loose(session, vehicle_id, start, end)
    live = {one.id: one for one in clues if one.state not in {_S.WITHDRAWN, _S.SUPPRESSED}}
    taken: set[int] = set()
    for one in [one for one in live.values() if one.state == _S.DETECTED]:
        if found := _quiet_by(one, _suppressions(session, vehicle_id)):
            _suppress(session, one, found, taken, now)
            del live[one.id]
    touched = {one.case.id: one.case for one in clues if one.case is not None}
    for group in workflow.grouped(_incident(one) for one in live.values()):
        members = [live[one.id] for one in group]
        case = _case_for(session, members, taken, now)
        taken.add(case.id)
        _gather(session, case, members, workflow.merged_into(group), now)
        _notify(session, case, members, now)
    for case in touched.values():
        if case.id not in taken and case.state in UNTOUCHED - ASIDE:
            move(session, case, _S.WITHDRAWN, action="withdraw", actor=SYSTEM, now=now, note=None, with_clues=False)


def _suppress(session: Session, one: Finding, found: Suppression, taken: set[int], now: datetime) -> None:
    """Keep a clue quiet: on record, in a case of its own that nobody is asked about."""
    one.suppression_id = found.id
    if one.case is None or one.case.state == _S.WITHDRAWN:
        case = _case_for(session, [one], taken, now)
        one.case = case
        taken.add(case.id)
        move(session, case, _S.SUPPRESSED, action="suppress", actor=SYSTEM, now=now, note=found.note, with_clues=False)
    put(session, one, _S.SUPPRESSED, action="suppress", actor=SYSTEM, now=now, note=found.note)


def _loose(session: Session, vehicle_id: int, start: datetime, end: datetime) -> list[Finding]:
    """Return the vehicle's clues that nobody has answered, about the window and what is linked with it."""
    days = timedelta(days=1)
    query = (
        select(Finding)
        .where(
            Finding.vehicle_id == vehicle_id, Finding.state.in_(UNTOUCHED),
            Finding.start_at < end + days, Finding.end_at > start - days,
        )
        .order_by(Finding.start_at, Finding.id)
    )  # fmt: skip
    found = list(session.scalars(query))
    cases = {one.case_id for one in found if one.case_id is not None}
    known = {one.id for one in found}
    rest = select(Finding).where(Finding.case_id.in_(cases), Finding.id.not_in(known), Finding.state.in_(UNTOUCHED))
    return found + list(session.scalars(rest))


def _incident(one: Finding) -> Incident:
    return Incident(one.id, rules.CATALOGUE[one.rule].family, RANK[Severity(one.severity)], one.start_at, one.end_at,
                    one.order_id, frozenset(one.facts.get("trip_ids", [])))  # fmt: skip


def _suppressions(session: Session, vehicle_id: int) -> Sequence[Suppression]:
    return session.scalars(
        select(Suppression).where(Suppression.vehicle_id == vehicle_id, Suppression.state.in_(["APPROVED", "ENDED"]))
    ).all()


def _quiet_by(one: Finding, quiet: Sequence[Suppression]) -> Suppression | None:
    on = clock.local_date(one.start_at)
    return next((row for row in quiet if row.rule == one.rule and row.start_on <= on < row.end_on), None)


def _case_for(session: Session, members: Sequence[Finding], taken: Collection[int], now: datetime) -> FindingCase:
    known = sorted({one.case.id: one.case for one in members if one.case is not None}.items())
    for case_id, case in known:
        if case_id not in taken and case.state in UNTOUCHED:
            if case.state == _S.WITHDRAWN:
                move(session, case, _S.DETECTED, action="reinstate", actor=SYSTEM, now=now, note=None, with_clues=False)
            return case
    first = members[0]
    day = f"AJ{clock.local_date(now):%Y%m%d}"
    case = FindingCase(
        org_id=first.org_id, number=f"{day}-{orders.next_number(session, day):04d}", vehicle_id=first.vehicle_id,
        severity=first.severity, state=_S.DETECTED, start_at=first.start_at, end_at=first.end_at, detected_at=now,
        due_at=first.due_at, concerned_id=first.concerned_id, escalation=0,
    )  # fmt: skip
    case.org, case.vehicle = first.org, first.vehicle
    session.add(case)
    session.flush()
    _event(session, case, action="raise", before=None, actor=SYSTEM, now=now, note=None)
    return case


def _gather(
    session: Session, case: FindingCase, members: Sequence[Finding], merged: Mapping[int, int], now: datetime
) -> None:
    """Put clues into their case; merge those of one incident, and bring the others back to where the case is."""
    for one in members:
        if one.case_id != case.id:
            one.case = case
    heads = [one for one in members if one.id not in merged]
    head = min(heads, key=lambda one: (-RANK[Severity(one.severity)], one.start_at, one.id))
    case.severity = head.severity
    case.start_at, case.end_at = min(one.start_at for one in members), max(one.end_at for one in members)
    case.due_at = min(one.due_at for one in heads)
    case.concerned_id = head.concerned_id
    session.flush()
    for one in heads:
        if one.state == _S.MERGED:
            one.merged_into_id = None
            put(session, one, _S.DETECTED, action="part", actor=SYSTEM, now=now, note=None)
    for one in members:
        if one.id in merged:
            one.merged_into_id = merged[one.id]
            if one.state != _S.MERGED:
                put(session, one, _S.MERGED, action="merge", actor=SYSTEM, now=now, note=None)


def _notify(session: Session, case: FindingCase, members: Sequence[Finding], now: datetime) -> None:
    """Assign a case to whoever is asked and tell him; clues that join one already told go the same two steps."""
    if case.state == _S.DETECTED and case.concerned_id is not None:
        move(session, case, _S.ASSIGNED, action="assign", actor=SYSTEM, now=now, note=None, with_clues=False)
        case.notified_at = now
        move(session, case, _S.NOTIFIED, action="notify", actor=SYSTEM, now=now, note=None, with_clues=False)
    if case.state != _S.NOTIFIED:
        return
    for one in members:
        if one.state == _S.DETECTED:
            put(session, one, _S.ASSIGNED, action="assign", actor=SYSTEM, now=now, note=None)
            put(session, one, _S.NOTIFIED, action="notify", actor=SYSTEM, now=now, note=None)
    key = f"case/{case.id}/explain/{case.concerned_id}/{case.severity}"
    tell(session, case, "findings.notice.explain", to=[case.concerned_id], key=key, now=now)


def tell(
    session: Session, case: FindingCase, code: str, *, to: Collection[int | None], key: str, now: datetime
) -> None:
    """Write a notice about a case."""
    notices.notify(session, to=to, code=code, link=f"/cases/{case.id}", key=key, now=now, urgent=case.severity == Severity.RED,
                   params={"number": case.number, "plate": case.vehicle.plate,
                           "due": f"{clock.local(case.due_at):%m-%d %H:%M}"})  # fmt: skip


# ---- moving -----------------------------------------------------------------------------------------------------------


def move(
    session: Session,
    case: FindingCase,
    after: FindingState,
    *,
    action: str,
    actor: Actor,
    now: datetime,
    note: str | None,
    with_clues: bool = True,
) -> CaseEvent:
    """Move a case and its clues that are not aside by the table; event, audit entry, the same for each clue.

    :raises RuleBroken: ``findings.wrong_step``.
    """
    before = case.state
    workflow.check_step(before, after)
    case.state = after
    session.flush()
    event = _event(session, case, action=action, before=before, actor=actor, now=now, note=note)
    if with_clues:
        for one in case.findings:
            if one.state not in ASIDE:
                put(session, one, after, action=action, actor=actor, now=now, note=note)
    audit.record(session, actor=actor, now=now, action=f"findings.case_{action}", subject_type="finding_case", subject_id=case.id,
                 org_id=case.org_id, number=case.number, before=before, after=after, severity=case.severity,
                 outcome=case.outcome, reason_code=case.reason_code, note=note)  # fmt: skip
    return event


def put(
    session: Session, one: Finding, after: FindingState, *, action: str, actor: Actor, now: datetime, note: str | None
) -> None:
    """Move one clue, with its event."""
    before = one.state
    workflow.check_step(before, after)
    one.state = after
    session.add(
        FindingEvent(
            finding_id=one.id,
            action=action,
            from_state=before,
            to_state=after,
            actor_id=actor.user_id,
            at=now,
            note=note,
        )
    )
    session.flush()


def _event(
    session: Session,
    case: FindingCase,
    *,
    action: str,
    before: str | None,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> CaseEvent:
    event = CaseEvent(
        case_id=case.id,
        action=action,
        from_state=before,
        to_state=case.state,
        actor_id=actor.user_id,
        at=now,
        note=note,
    )
    session.add(event)
    session.flush()
    return event


# ---- deadlines --------------------------------------------------------------------------------------------------------


def due_of(session: Session, *, org_path: str, severity: Severity, detected_at: datetime) -> datetime:
    """Return until when a clue of a colour is to be explained: so many workdays after it was found."""
    on = clock.local_date(detected_at)
    number = int(policies.value(session, rules.SLA[severity], on, org_path))
    days = workdays.day_kinds(session, on, on + LONGEST_HOLIDAY)
    return workflow.due_at(detected_at, number=number, workdays=[day.on for day in days if day.kind is DayKind.WORKDAY])


def escalate(session: Session, *, now: datetime) -> Counter[str]:
    """Remind of cases due soon and carry overdue ones one level up; running again changes nothing.

    The first level is told as soon as a case is overdue, each next one after ``finding.escalate_h`` more hours.
    """
    done: Counter[str] = Counter()
    for case in session.scalars(desk_queries.waiting(now=now).with_for_update(of=FindingCase)):
        figures = policies.values(session, "finding.", clock.local_date(now), case.org.path)
        if now <= case.due_at:
            if case.due_at - now <= timedelta(hours=float(figures["finding.remind_h"])):
                tell(
                    session,
                    case,
                    "findings.notice.due_soon",
                    to=[case.concerned_id],
                    key=f"case/{case.id}/soon/{case.due_at:%Y%m%d%H%M}",
                    now=now,
                )
                done["reminded"] += 1
            continue
        wait = timedelta(hours=float(figures["finding.escalate_h"]))
        if case.escalation >= TOP_LEVEL or (case.escalated_at is not None and now < case.escalated_at + wait):
            continue
        person = desk_queries.person_above(session, org=case.org, level=case.escalation + 1,
                                      barred={case.concerned_id, case.escalated_to_id})  # fmt: skip
        case.escalation, case.escalated_at = case.escalation + 1, now
        case.escalated_to_id = person or case.escalated_to_id
        _event(session, case, action="escalate", before=case.state, actor=SYSTEM, now=now, note=None)
        tell(
            session,
            case,
            "findings.notice.overdue",
            to=[case.concerned_id, person],
            key=f"case/{case.id}/overdue/{case.escalation}",
            now=now,
        )
        audit.record(session, actor=SYSTEM, now=now, action="findings.case_escalated", subject_type="finding_case", subject_id=case.id,
                     org_id=case.org_id, number=case.number, level=case.escalation, to=person)  # fmt: skip
        done["escalated"] += 1
    return done
