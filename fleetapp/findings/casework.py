"""What people do with cases: explain, verify, review, decide, rectify, close, reopen; hand out work; look at one."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.findings import desk_queries, workflow
from fleetapp.findings.cases import move, put, tell
from fleetapp.findings.models import CaseEvent, FindingCase
from fleetapp.findings.workflow import ClearReason, FindingState
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed, RuleBroken

_S = FindingState
Paper = tuple[str, bytes]
"""A file as it came: name and content."""
PAPERS_OF = "case_event"


def view(session: Session, *, case_id: int, purpose: str | None, actor: Actor, now: datetime) -> FindingCase:
    """Return a case for reading with its track, and log who looked and why; without a purpose its own number is the reason.

    :raises NotFound: none, or out of reach.
    """
    case = desk_queries.get_case(session, case_id=case_id, actor=actor)
    require("findings.read", case, actor)
    audit.record(session, actor=actor, now=now, action="findings.viewed", subject_type="finding_case", subject_id=case.id,
                 org_id=case.org_id, number=case.number, plate=case.vehicle.plate, purpose=purpose or case.number,
                 start=case.start_at, end=case.end_at)  # fmt: skip
    return case


def explain(
    session: Session, *, case_id: int, text: str, papers: Sequence[Paper] = (), actor: Actor, now: datetime
) -> FindingCase:
    """Answer a case, as the person concerned or for the unit, with pictures and papers; until it is verified more may be added.

    :raises NotAllowed: not concerned, or already verified.
    :raises RuleBroken: ``findings.text_short``, ``findings.many_files``, a file that is not accepted.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.explain", case, actor)
    words = workflow.check_text(text)
    event = move(session, case, _S.EXPLAINED, action="explain", actor=actor, now=now, note=words)
    for one in case.findings:
        if one.state == _S.EXPLAINED:
            one.explanation, one.explainer_id = words, actor.user_id
            one.reviewer_id = one.review_note = one.closed_at = None
    _keep(session, case, event, papers, actor=actor, now=now)
    return case


def verify(
    session: Session,
    *,
    case_id: int,
    text: str,
    agrees: bool,
    papers: Sequence[Paper] = (),
    actor: Actor,
    now: datetime,
) -> FindingCase:
    """Give the unit's opinion on an explanation; without ``agrees`` it goes back to whoever explained, to say more.

    :raises NotAllowed: not the unit's, not explained, or the actor has a part in the matter.
    :raises RuleBroken: ``findings.text_short``.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.verify", case, actor)
    check_part(case, actor)
    words = workflow.check_text(text)
    if not agrees:
        event = move(session, case, _S.EXPLAINED, action="ask_more", actor=actor, now=now, note=words)
        tell(
            session,
            case,
            "findings.notice.ask_more",
            to=[case.concerned_id],
            key=f"case/{case.id}/more/{event.id}",
            now=now,
        )
        return case
    case.verifier_id = actor.user_id
    event = move(session, case, _S.UNIT_VERIFIED, action="verify", actor=actor, now=now, note=words)
    _keep(session, case, event, papers, actor=actor, now=now)
    return case


def send_back(session: Session, *, case_id: int, note: str, actor: Actor, now: datetime) -> FindingCase:
    """Send a case that the unit has verified back for a fuller explanation.

    :raises NotAllowed: no reviewer here, not verified, or the actor has a part in the matter.
    :raises RuleBroken: ``findings.text_short``.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.review", case, actor)
    check_part(case, actor)
    case.verifier_id = None
    event = move(session, case, _S.EXPLAINED, action="ask_more", actor=actor, now=now, note=workflow.check_text(note))
    tell(
        session,
        case,
        "findings.notice.ask_more",
        to=[case.concerned_id],
        key=f"case/{case.id}/more/{event.id}",
        now=now,
    )
    return case


def review(
    session: Session,
    *,
    case_id: int,
    note: str,
    outcome: FindingState | None = None,
    reason: ClearReason | None = None,
    actor: Actor,
    now: datetime,
) -> FindingCase:
    """Give the bureau's opinion on a verified or reopened case and, with an outcome, conclude it; cleared closes it.

    :raises NotAllowed: no reviewer here, not verified yet, or the actor has a part in the matter.
    :raises RuleBroken: ``findings.no_reason`` clearing without one, ``findings.text_short``.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.review", case, actor)
    check_part(case, actor)
    words = workflow.check_text(note)
    if outcome is None and case.state == _S.BUREAU_REVIEWED:
        raise RuleBroken("findings.no_outcome")
    code = workflow.check_outcome(outcome, reason) if outcome is not None else None
    if case.state != _S.BUREAU_REVIEWED:
        move(session, case, _S.BUREAU_REVIEWED, action="review", actor=actor, now=now, note=words)
    if outcome is None:
        return case
    case.outcome, case.reason_code, case.reviewer_id, case.decided_at = outcome, code, actor.user_id, now
    move(session, case, outcome, action="decide", actor=actor, now=now, note=words)
    for one in case.findings:
        if one.state == outcome:
            one.reviewer_id, one.review_note, one.closed_at = actor.user_id, words, now
    tell(
        session,
        case,
        "findings.notice.decided",
        to=[case.concerned_id],
        key=f"case/{case.id}/decided/{now:%Y%m%d%H%M%S}",
        now=now,
    )
    if outcome is _S.CLEARED:
        case.closed_at = now
        move(session, case, _S.CLOSED, action="close", actor=actor, now=now, note=None)
    return case


def rectify(
    session: Session, *, case_id: int, text: str, papers: Sequence[Paper] = (), actor: Actor, now: datetime
) -> FindingCase:
    """Report what the unit put right after a conclusion.

    :raises NotAllowed: not the unit's, or nothing to rectify.
    :raises RuleBroken: ``findings.text_short``.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.rectify", case, actor)
    event = move(session, case, _S.RECTIFIED, action="rectify", actor=actor, now=now, note=workflow.check_text(text))
    _keep(session, case, event, papers, actor=actor, now=now)
    return case


def close(session: Session, *, case_id: int, note: str, actor: Actor, now: datetime) -> FindingCase:
    """Accept what was put right and close the case.

    :raises NotAllowed: no reviewer here, nothing put right yet, or the actor has a part in the matter.
    :raises RuleBroken: ``findings.text_short``.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.close", case, actor)
    check_part(case, actor)
    case.closed_at = now
    move(session, case, _S.CLOSED, action="close", actor=actor, now=now, note=workflow.check_text(note))
    return case


def reopen(session: Session, *, case_id: int, note: str, actor: Actor, now: datetime) -> FindingCase:
    """Take a concluded or suppressed case up again, with the reason; it is reviewed anew.

    :raises NotAllowed: not an auditor here, or not concluded.
    :raises RuleBroken: ``findings.text_short``.
    """
    case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
    require("findings.reopen", case, actor)
    reason = workflow.check_text(note)
    quiet = [one for one in case.findings if one.state == _S.SUPPRESSED] if case.state == _S.SUPPRESSED else []
    case.outcome = case.reason_code = case.reviewer_id = case.decided_at = case.closed_at = case.verifier_id = None
    move(session, case, _S.REOPENED, action="reopen", actor=actor, now=now, note=reason)
    for one in quiet:
        put(session, one, _S.REOPENED, action="reopen", actor=actor, now=now, note=reason)
    for one in case.findings:
        if one.state == _S.REOPENED:
            one.reviewer_id = one.review_note = one.closed_at = None
    tell(
        session,
        case,
        "findings.notice.reopened",
        to=[case.concerned_id],
        key=f"case/{case.id}/reopened/{now:%Y%m%d%H%M%S}",
        now=now,
    )
    return case


def assign(session: Session, *, case_ids: Collection[int], handler_id: int, actor: Actor, now: datetime) -> int:
    """Hand cases to a reviewer at the desk, many at once; returns how many changed hands.

    :raises NotAllowed: no reviewer here, or the handler may not review one of them, or has a part in it.
    """
    handler = next((one for one in desk_queries.handlers(session, actor=actor) if one.id == handler_id), None)
    if handler is None:
        raise NotAllowed("findings.no_handler")
    changed = 0
    for case_id in sorted(set(case_ids)):
        case = desk_queries.lock_case(session, case_id=case_id, actor=actor)
        require("findings.assign", case, actor)
        check_part(case, actor, who=handler.id)
        if case.handler_id == handler.id:
            continue
        before, case.handler = case.handler_id, handler
        tell(
            session,
            case,
            "findings.notice.assigned",
            to=[handler.id],
            key=f"case/{case.id}/handler/{handler.id}",
            now=now,
        )
        audit.record(session, actor=actor, now=now, action="findings.case_handed", subject_type="finding_case", subject_id=case.id,
                     org_id=case.org_id, number=case.number, before=before, after=handler.id)  # fmt: skip
        changed += 1
    return changed


# ---- shared -----------------------------------------------------------------------------------------------------------


def require(action: str, case: FindingCase, actor: Actor) -> None:
    """Raise unless the actor may take a step with a case; whoever it went up to counts as asked, like whom it concerns.

    :raises NotAllowed: see ``permits.require``.
    """
    state = None if action == "findings.read" else case.state
    if not may(action, case, actor):
        permits.require(action, actor, org_path=case.org.path, owner_id=owner_of(case, actor), state=state)


def may(action: str, case: FindingCase, actor: Actor) -> bool:
    """Tell whether the actor may take a step with a case."""
    state = None if action == "findings.read" else case.state
    return permits.may(action, actor, org_path=case.org.path, owner_id=owner_of(case, actor), state=state)


def owner_of(case: FindingCase, actor: Actor) -> int | None:
    """Return whose row a case is to the actor: the actor's own if concerned by any clue of it or asked when overdue."""
    people = {case.concerned_id, *(one.concerned_id for one in case.findings)}
    if actor.user_id in people or (
        case.escalated_to_id == actor.user_id and case.state in workflow.GROUPS["to_explain"]
    ):
        return actor.user_id
    return case.concerned_id


def check_part(case: FindingCase, actor: Actor, *, who: int | None = None) -> None:
    """Refuse whoever has a part in a case (INV-25).

    :raises NotAllowed: see ``workflow.check_reviewer``.
    """
    workflow.check_reviewer(
        actor.user_id if who is None else who,
        concerned_ids={case.concerned_id, *(one.concerned_id for one in case.findings)},
        explainer_ids={event.actor_id for event in case.events if event.action == "explain"},
        order_people={person for one in case.findings if one.order
                      for person in (one.order.applicant_id, one.order.approver_id, one.order.filed_by_id)},
    )  # fmt: skip


def _keep(
    session: Session, case: FindingCase, event: CaseEvent, papers: Sequence[Paper], *, actor: Actor, now: datetime
) -> None:
    if len(papers) > workflow.MOST_FILES:
        raise RuleBroken("findings.many_files", most=workflow.MOST_FILES)
    for name, content in papers:
        attachments.attach(session, org_id=case.org_id, subject_type=PAPERS_OF, subject_id=event.id, label=event.action,
                           name=name, content=content, actor=actor, now=now)  # fmt: skip
