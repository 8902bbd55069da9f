"""Writing of cases. The slice whose application it is holds its own row and asks for the outcome here."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.approvals import queries, rules
from fleetapp.approvals.models import (
    ApprovalCase,
    ApprovalChain,
    ApprovalStep,
    ApprovalTask,
)
from fleetapp.approvals.rules import CaseState, Facts, TaskState, Verdict
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken

REMIND_EVERY = timedelta(hours=2)
"""At most one reminder of a task in that time."""
LAST_RESORT = (Role.VEHICLE_OFFICE, Role.LEADER)
"""Who decides at the top organisation what nobody below can."""


def open_case(
    session: Session, *, org: Organisation, subject: str, subject_id: int, number: str, barred: Collection[int | None], facts: Facts, actor: Actor,
    now: datetime, only: Sequence[int] | None = None, chain_id: int | None = None, about: dict[str, Any] | None = None,
) -> ApprovalCase:  # fmt: skip
    """Open a case along the chain that stands for a unit now, and its first task.

    ``only`` narrows it to some levels, ``chain_id`` keeps it to a chain that another case froze. The caller has checked
    the permission to ask. ``about`` is kept with the facts.

    :raises RuleBroken: ``approvals.no_chain``.
    """
    if chain_id is None:
        chain = queries.standing_chain(session, org_path=org.path, on=clock.local_date(now))
    else:
        chain = session.get_one(ApprovalChain, chain_id)
    levels = [row.value() for row in chain.levels]
    case = ApprovalCase(org_id=org.id, chain_id=chain.id, subject=subject, subject_id=subject_id, number=number, barred_ids=sorted({one for one in barred if one}),
                        facts=facts.as_json() | (about or {}), state=CaseState.OPEN, opened_at=now, opened_by=actor.user_id)  # fmt: skip
    case.org, case.chain = org, chain
    way = queries.way_up(session, org_path=org.path)
    wanted = [(at, levels[at]) for at in (rules.needed(levels, facts) if only is None else only)]
    for position, (number_of, level) in enumerate(rules.with_escalation(wanted, facts)):
        case.tasks.append(ApprovalTask(
            position=position, level=number_of, name=level.name, origin=rules.Origin.CHAIN, mode=level.mode, role=level.role,
            seat_org=None if level.role is None else _seat(way, level.place), user_ids=list(level.user_ids),
            deadline_h=level.deadline_h, state=TaskState.WAITING,
        ))  # fmt: skip
    session.add(case)
    session.flush()
    _open_next(session, case, now=now)
    audit.record(session, actor=actor, now=now, action="approvals.opened", subject_type="approval_case", subject_id=case.id,
                 org_id=org.id, number=number, subject=subject, levels=len(case.tasks))  # fmt: skip
    return case


def decide(
    session: Session, *, case: ApprovalCase, verdict: Verdict, actor: Actor, now: datetime, note: str | None = None,
    person_id: int | None = None, name: str = "",
) -> ApprovalCase:  # fmt: skip
    """Decide the open task of a locked case; what its state is then is for the caller to act on.

    ``person_id`` is who is asked to sign, too, or takes over; ``name`` is what an added task is called.

    :raises NotAllowed: own application, or not waited for.
    :raises Conflict: ``approvals.not_open``, it is decided already.
    :raises RuleBroken: ``approvals.reason_needed``, ``person_barred``, ``person_there``, ``no_level_before`` and so on.
    """
    permits.require("approvals.decide", actor)
    hand = rules.check_hand(actor.user_id, barred=case.barred_ids)
    row = queries.open_task(case)
    if case.state != CaseState.OPEN or row is None:
        raise Conflict("approvals.not_open", number=case.number)
    for_id = queries.may_sign(session, case=case, actor=actor, at=now)
    if for_id is None:
        said = [step for step in case.steps if step.verdict not in {Verdict.REMIND, Verdict.ESCALATE}]
        if verdict is Verdict.AGREE and said and (said[-1].verdict, said[-1].user_id) == (Verdict.AGREE, hand):
            return case  # the same again changes nothing
        raise NotAllowed("approvals.not_waited_for", number=case.number)
    rules.check_note(verdict, note)
    if verdict in rules.NEEDS_PERSON and (person_id is None or not queries.can_be_asked(session, user_id=person_id)):
        raise RuleBroken("approvals.person_needed")
    if hand not in row.user_ids and for_id == hand:
        row.user_ids = [*row.user_ids, hand]  # came into the role after the task was opened
    tasks = _tasks(case)
    match verdict:
        case Verdict.AGREE:
            after = rules.agree(tasks, user_id=hand, for_id=for_id)
        case Verdict.REJECT | Verdict.SEND_BACK:
            after = rules.ended(tasks)
        case Verdict.STEP_BACK:
            after = rules.step_back(tasks)
        case Verdict.ADD_BEFORE | Verdict.ADD_AFTER:
            after = rules.add_sign(
                tasks, person_id=person_id or 0, before=verdict is Verdict.ADD_BEFORE, name=name, barred=case.barred_ids
            )
        case Verdict.TRANSFER:
            after = rules.transfer(tasks, from_id=for_id, person_id=person_id or 0, barred=case.barred_ids)
        case _:
            raise RuleBroken("approvals.not_open")
    _note(session, case, row, verdict, user_id=hand, for_id=for_id, to_id=person_id, now=now, note=note)
    _store(session, case, after, now=now)
    if verdict in {Verdict.REJECT, Verdict.SEND_BACK}:
        _close(case, CaseState.REJECTED if verdict is Verdict.REJECT else CaseState.RETURNED, now)
    elif rules.state_of(_tasks(case)) is CaseState.AGREED:
        _close(case, CaseState.AGREED, now)
    session.flush()
    _audit(
        session,
        case,
        verdict,
        actor=actor,
        now=now,
        note=note,
        in_name_of=for_id if for_id != hand else None,
        other=person_id,
    )
    return case


def end(session: Session, *, case: ApprovalCase, actor: Actor, now: datetime, note: str) -> ApprovalCase:
    """End an open case because what it is about was taken back or is over; the caller has checked the permission."""
    if case.state != CaseState.OPEN:
        return case
    _note(
        session,
        case,
        queries.open_task(case),
        Verdict.END,
        user_id=actor.user_id,
        for_id=None,
        to_id=None,
        now=now,
        note=note,
    )
    _store(session, case, rules.ended(_tasks(case)), now=now)
    _close(case, CaseState.ENDED, now)
    session.flush()
    _audit(session, case, Verdict.END, actor=actor, now=now, note=note)
    return case


def remind(session: Session, *, case: ApprovalCase, actor: Actor, now: datetime) -> list[int]:
    """Record a reminder of the open task and return whom to tell; the caller has checked that the actor may ask.

    :raises RuleBroken: ``approvals.reminded``, less than two hours after the last one.
    :raises Conflict: ``approvals.not_open``.
    """
    row = queries.open_task(case)
    if row is None or actor.user_id is None:
        raise Conflict("approvals.not_open", number=case.number)
    if any(
        step.verdict == Verdict.REMIND and step.task_id == row.id and step.at > now - REMIND_EVERY
        for step in case.steps
    ):
        raise RuleBroken("approvals.reminded", hours=int(REMIND_EVERY / timedelta(hours=1)))
    _note(
        session, case, row, Verdict.REMIND, user_id=actor.user_id, for_id=actor.user_id, to_id=None, now=now, note=None
    )
    _audit(session, case, Verdict.REMIND, actor=actor, now=now, note=None)
    deputies = [
        one.delegate_id
        for one in queries.delegations_of(session, user_ids=row.user_ids, org_path=case.org.path, at=now)
    ]
    return [*row.user_ids, *(one for one in deputies if one)]


def reseat(session: Session, *, case: ApprovalCase, actor: Actor, now: datetime) -> bool:
    """Let absent people out of the open task of a locked case; if nobody is left it goes up the tree. Tells whether anything changed.

    Where everybody signs, who signed stays, and what the absent owe is signed by the organisation above if they were the last.
    """
    row = queries.open_task(case)
    if row is None:
        return False
    gone = queries.away(session, user_ids=row.user_ids, barred=case.barred_ids, org_path=case.org.path, at=now)
    signed = row.value().signed
    left = [one for one in row.user_ids if one not in gone and one not in signed]
    before = list(row.user_ids)
    if left and row.mode == rules.Mode.ALL:
        row.user_ids = [one for one in before if one in signed or one in left]
        if row.user_ids != before:
            row.escalated = "away"
            _note(
                session, case, row, Verdict.ESCALATE, user_id=None, for_id=None, to_id=None, now=now, note=row.escalated
            )
    elif not left:
        row.user_ids = [one for one in before if one in gone]
        row.user_ids = list(_persons(session, case, row, now=now))
    if row.user_ids == before:
        return False
    session.flush()
    _audit(session, case, Verdict.ESCALATE, actor=actor, now=now, note=row.escalated)
    return True


def _seat(way: Sequence[Organisation], place: str) -> Organisation:
    """Return where a level's role is held; ``way`` goes from the unit up to the top."""
    return {rules.Place.UNIT: way[0], rules.Place.PARENT: way[min(1, len(way) - 1)], rules.Place.BUREAU: way[-1]}[
        rules.Place(place)
    ]


def _tasks(case: ApprovalCase) -> rules.Tasks:
    return tuple(row.value() for row in case.tasks)


def _store(session: Session, case: ApprovalCase, after: rules.Tasks, *, now: datetime) -> None:
    """Bring the rows to what the rules returned, then open the next task."""
    rows = {row.id: row for row in case.tasks}
    template = queries.open_task(case)
    for position, task in enumerate(after):
        row = rows.get(task.id) if task.id is not None else None
        if row is None:
            like = next((one for one in case.tasks if one.level == task.level and one.name == task.name), None)
            row = ApprovalTask(case_id=case.id, level=task.level, name=task.name, origin=task.origin, mode=task.mode,
                               role=like.role if like else None, seat_org_id=like.seat_org_id if like else None,
                               deadline_h=(like or template or case.tasks[0]).deadline_h)  # fmt: skip
            session.add(row)
        if row.state != task.state and task.state == TaskState.WAITING:
            row.opened_at = row.due_at = None
        row.position, row.state = position, task.state
        if list(row.user_ids or []) != list(task.user_ids):
            row.user_ids = list(task.user_ids)
    session.flush()
    session.expire(case, ["tasks", "steps"])
    for row in case.tasks:
        session.expire(row, ["steps"])
    if any(task.state in {TaskState.REDONE, TaskState.WAITING, TaskState.OPEN, TaskState.AGREED} for task in after):
        _open_next(session, case, now=now)


def _open_next(session: Session, case: ApprovalCase, *, now: datetime) -> None:
    at = rules.next_waiting(_tasks(case))
    if at is None:
        return
    row = case.tasks[at]
    row.user_ids = list(_persons(session, case, row, now=now))
    row.state, row.opened_at, row.due_at = TaskState.OPEN, now, now + timedelta(hours=row.deadline_h)
    session.flush()


def _persons(session: Session, case: ApprovalCase, row: ApprovalTask, *, now: datetime) -> tuple[int, ...]:
    """Return who can sign a task; where nobody can, it goes up the tree with the reason on record, at last to the top's office."""

    def able(found: Sequence[int]) -> tuple[tuple[int, ...], list[str]]:
        gone = queries.away(session, user_ids=found, barred=case.barred_ids, org_path=case.org.path, at=now)
        return rules.seats(found, barred=case.barred_ids, away=gone)

    seat_id = row.seat_org_id or (row.seat_org.id if row.seat_org else None)
    asked = list(row.user_ids) or (
        queries.holders(session, role=row.role, org_id=seat_id) if row.role and seat_id else []
    )
    kept, why = able(asked)
    if kept:
        return kept
    way = queries.way_up(session, org_path=case.org.path)
    higher = [org for org in way if org.id != (seat_id or way[0].id)]
    tries: list[tuple[Role, Organisation]] = [(Role.APPROVER, org) for org in higher] + [
        (role, way[-1]) for role in LAST_RESORT
    ]
    for role, org in tries:
        kept, _ = able(queries.holders(session, role=role, org_id=org.id))
        if kept:
            break
    row.escalated = ",".join(why) or "nobody"
    row.role, row.seat_org, row.mode = role, org, rules.Mode.ANY
    _note(session, case, row, Verdict.ESCALATE, user_id=None, for_id=None, to_id=None, now=now, note=row.escalated)
    return kept


def _close(case: ApprovalCase, state: CaseState, now: datetime) -> None:
    case.state, case.closed_at = state, now


def _note(
    session: Session, case: ApprovalCase, row: ApprovalTask | None, verdict: Verdict, *, user_id: int | None, for_id: int | None,
    to_id: int | None, now: datetime, note: str | None,
) -> None:  # fmt: skip
    session.flush()
    session.add(ApprovalStep(org_id=case.org_id, case_id=case.id, task_id=row.id if row else None, verdict=verdict, user_id=user_id, for_id=for_id, to_id=to_id,
                             at=now, note=note))  # fmt: skip
    session.flush()
    session.expire(case, ["steps"])
    if row is not None:
        session.expire(row, ["steps"])


def _audit(
    session: Session,
    case: ApprovalCase,
    verdict: Verdict,
    *,
    actor: Actor,
    now: datetime,
    note: str | None,
    **more: Any,
) -> None:
    audit.record(session, actor=actor, now=now, action=f"approvals.{verdict}", subject_type="approval_case", subject_id=case.id,
                 org_id=case.org_id, number=case.number, state=case.state, note=note, **more)  # fmt: skip
