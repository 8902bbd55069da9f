"""Reading of chains, cases, who holds a role where, and who stands in for whom."""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Select,
    and_,
    any_,
    func,
    literal,
    literal_column,
    or_,
    select,
    union,
)
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload, selectinload

from fleetapp.accounts.models import Organisation, RoleGrant, UserAccount
from fleetapp.approvals import rules
from fleetapp.approvals.models import ApprovalCase, ApprovalChain, ApprovalDelegation, ApprovalStep, ApprovalTask
from fleetapp.approvals.rules import TaskState, Verdict
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound, RuleBroken

CaseOrg = aliased(Organisation)
OPEN: ColumnElement[str] = literal_column("'OPEN'")
"""Written out, so that every plan can use the index over open tasks."""


def chains(org_path: str) -> Select[ApprovalChain]:
    """Return the chains of an organisation and those above it, the nearest and newest first. Chains are a directory."""
    return (
        select(ApprovalChain)
        .join(ApprovalChain.org)
        .options(
            contains_eager(ApprovalChain.org), selectinload(ApprovalChain.levels), joinedload(ApprovalChain.publisher)
        )
        .where(func.starts_with(literal(org_path), Organisation.path))
        .order_by(func.length(Organisation.path).desc(), ApprovalChain.valid_from.desc(), ApprovalChain.version.desc())
    )


def standing_chain(session: Session, *, org_path: str, on: date) -> ApprovalChain:
    """Return the chain that stands for an organisation on a local day: the newest of the nearest that has one in force.

    :raises RuleBroken: ``approvals.no_chain``, not even the top organisation has one.
    """
    chain = session.scalar(chains(org_path).where(ApprovalChain.valid_from <= on).limit(1))
    if chain is None:
        raise RuleBroken("approvals.no_chain")
    return chain


def last_version(session: Session, *, org_id: int) -> int:
    """Return the number of the newest version of an organisation's own chain, 0 for none."""
    return session.scalar(select(func.max(ApprovalChain.version)).where(ApprovalChain.org_id == org_id)) or 0


def get_case(session: Session, *, case_id: int, lock: bool = False) -> ApprovalCase:
    """Return a case with its tasks and decisions; who may see it is for the slice whose application it is.

    :raises NotFound: no such case, or out of scope.
    """
    if lock:
        session.scalar(select(ApprovalCase.id).where(ApprovalCase.id == case_id).with_for_update())
    case = session.scalar(
        select(ApprovalCase)
        .where(ApprovalCase.id == case_id)
        .options(
            joinedload(ApprovalCase.org),
            joinedload(ApprovalCase.chain).joinedload(ApprovalChain.org),
            selectinload(ApprovalCase.tasks).selectinload(ApprovalTask.steps).joinedload(ApprovalStep.user),
            selectinload(ApprovalCase.tasks).joinedload(ApprovalTask.seat_org),
            selectinload(ApprovalCase.steps).options(
                joinedload(ApprovalStep.user), joinedload(ApprovalStep.principal), joinedload(ApprovalStep.other)
            ),
        )
        .execution_options(populate_existing=True)
    )
    if case is None:
        raise NotFound("kit.not_found")
    return case


def signers(session: Session, *, subject_id: int) -> set[int]:
    """Return everybody who agreed to it, in their own name or in another's: none of them may dispatch or drive it."""
    rows = session.execute(
        select(ApprovalStep.user_id, ApprovalStep.for_id)
        .join(ApprovalCase, ApprovalCase.id == ApprovalStep.case_id)
        .where(ApprovalCase.subject_id == subject_id, ApprovalStep.verdict == Verdict.AGREE)
    )
    return {one for row in rows for one in row if one is not None}


def holders(session: Session, *, role: str, org_id: int) -> list[int]:
    """Return the open accounts that hold a role at exactly an organisation, in the order of their ids."""
    return list(
        session.scalars(
            select(RoleGrant.user_id)
            .join(RoleGrant.user)
            .where(RoleGrant.role == role, RoleGrant.org_id == org_id, UserAccount.closed_at.is_(None))
            .distinct()
            .order_by(RoleGrant.user_id)
        )
    )


def way_up(session: Session, *, org_path: str) -> Sequence[Organisation]:
    """Return an organisation and those above it, from the bottom up."""
    return session.scalars(
        select(Organisation)
        .where(func.starts_with(literal(org_path), Organisation.path))
        .order_by(func.length(Organisation.path).desc())
    ).all()


def _in_force(at: datetime) -> ColumnElement[bool]:
    return and_(ApprovalDelegation.ended_at.is_(None), ApprovalDelegation.during.contains(at))


def delegations_of(
    session: Session, *, user_ids: Collection[int], org_path: str, at: datetime
) -> Sequence[ApprovalDelegation]:
    """Return what is in force at a moment for some people's part in cases of an organisation."""
    return session.scalars(
        select(ApprovalDelegation)
        .join(ApprovalDelegation.org)
        .options(joinedload(ApprovalDelegation.delegate), joinedload(ApprovalDelegation.delegator))
        .where(
            ApprovalDelegation.delegator_id.in_(user_ids),
            _in_force(at),
            func.starts_with(literal(org_path), Organisation.path),
        )
    ).all()


def away(
    session: Session, *, user_ids: Collection[int], barred: Collection[int], org_path: str, at: datetime
) -> set[int]:
    """Return who of some people can neither sign nor be stood in for: absent without a deputy or with a barred one, or gone for good."""
    closed = session.scalars(
        select(UserAccount.id).where(UserAccount.id.in_(user_ids), UserAccount.closed_at.is_not(None))
    )
    return {
        one.delegator_id
        for one in delegations_of(session, user_ids=user_ids, org_path=org_path, at=at)
        if one.delegate_id is None or one.delegate_id in barred
    } | set(closed)


def principals(session: Session, *, user_id: int | None, org_path: str, at: datetime) -> list[int]:
    """Return for whom a person may decide cases of an organisation at a moment; standing in is not passed on."""
    return list(
        session.scalars(
            select(ApprovalDelegation.delegator_id)
            .join(ApprovalDelegation.org)
            .where(
                ApprovalDelegation.delegate_id == user_id,
                _in_force(at),
                func.starts_with(literal(org_path), Organisation.path),
            )
        )
    )


def waits_for(actor: Actor, *, at: datetime) -> ColumnElement[bool]:
    """Return the condition that an open task waits for the actor, by name, by role, or in somebody's stead.

    Joined are ``ApprovalTask``, ``ApprovalCase`` and the case's ``CaseOrg``. Never an application of the actor's own.
    """
    stands_in = (
        select(ApprovalDelegation.id)
        .join(Organisation, Organisation.id == ApprovalDelegation.org_id)
        .where(
            ApprovalDelegation.delegate_id == actor.user_id,
            _in_force(at),
            ApprovalDelegation.delegator_id == any_(ApprovalTask.user_ids),
            func.starts_with(CaseOrg.path, Organisation.path),
        )
        .correlate(ApprovalTask, CaseOrg)
        .exists()
    )
    by_role = [
        and_(
            ApprovalTask.role == grant.role,
            ApprovalTask.seat_org_id == grant.org_id,
            ApprovalTask.mode == rules.Mode.ANY,
        )
        for grant in actor.grants
    ]
    return and_(
        ApprovalTask.state == OPEN,
        ~ApprovalCase.barred_ids.contains([actor.user_id]),
        or_(ApprovalTask.user_ids.contains([actor.user_id]), stands_in, *by_role),
    )


def subjects_asked(actor: Actor) -> CompoundSelect[int]:
    """Return the ids of what waits for the actor or somebody they stand in for, and of what they decided for other units."""
    deputy = (
        select(ApprovalDelegation.id)
        .where(
            ApprovalDelegation.delegate_id == actor.user_id,
            ApprovalDelegation.ended_at.is_(None),
            ApprovalDelegation.delegator_id == any_(ApprovalTask.user_ids),
        )
        .exists()
    )
    asked = (
        select(ApprovalCase.subject_id)
        .join(ApprovalTask, ApprovalTask.case_id == ApprovalCase.id)
        .where(ApprovalTask.state == OPEN, or_(ApprovalTask.user_ids.contains([actor.user_id]), deputy))
    )
    decided = (
        select(ApprovalCase.subject_id)
        .join(ApprovalStep, ApprovalStep.case_id == ApprovalCase.id)
        .where(
            ApprovalStep.user_id == actor.user_id, ApprovalStep.org_id.not_in({grant.org_id for grant in actor.grants})
        )
    )
    return union(asked, decided)


def signed_by(user_id: int | None) -> Select[int]:
    """Return the ids of what a person agreed to in any name."""
    return (
        select(ApprovalCase.subject_id)
        .join(ApprovalStep, ApprovalStep.case_id == ApprovalCase.id)
        .where(
            ApprovalStep.verdict == Verdict.AGREE, or_(ApprovalStep.user_id == user_id, ApprovalStep.for_id == user_id)
        )
    )


def may_sign(session: Session, *, case: ApprovalCase, actor: Actor, at: datetime) -> int | None:
    """Return in whose name the actor may decide a case now, None if not at all."""
    row = open_task(case)
    if row is None or actor.user_id is None or actor.user_id in case.barred_ids:
        return None
    task = row.value()
    stood_in = principals(session, user_id=actor.user_id, org_path=case.org.path, at=at)
    found = rules.in_whose_name(task, user_id=actor.user_id, principals=stood_in)
    if (
        found is None
        and row.mode == rules.Mode.ANY
        and any(grant.role == row.role and grant.org_id == row.seat_org_id for grant in actor.grants)
    ):
        return actor.user_id
    return found


def open_task(case: ApprovalCase) -> ApprovalTask | None:
    """Return the task that a case waits for."""
    return next((task for task in case.tasks if task.state == TaskState.OPEN), None)


def people(session: Session, user_ids: Iterable[int]) -> dict[int, UserAccount]:
    """Return accounts by id, for names. Names are a directory."""
    return {user.id: user for user in session.scalars(select(UserAccount).where(UserAccount.id.in_(set(user_ids))))}


def asked_people(session: Session, *, org_path: str, without: Collection[int]) -> Sequence[UserAccount]:
    """Return who can be asked to sign, too, or to stand in: open accounts with an approving role from a unit upwards."""
    return session.scalars(
        select(UserAccount)
        .where(
            UserAccount.id.in_(
                select(RoleGrant.user_id)
                .join(RoleGrant.org)
                .where(RoleGrant.role.in_(rules.CHAIN_ROLES), func.starts_with(literal(org_path), Organisation.path))
            ),
            UserAccount.id.not_in(set(without)),
            UserAccount.closed_at.is_(None),
        )
        .order_by(UserAccount.org_id.desc(), UserAccount.name_zh)
    ).all()


def can_be_asked(session: Session, *, user_id: int) -> bool:
    """Tell whether an open account holds a role that approves anywhere."""
    return session.scalar(
        select(UserAccount.id)
        .join(RoleGrant, RoleGrant.user_id == UserAccount.id)
        .where(UserAccount.id == user_id, UserAccount.closed_at.is_(None), RoleGrant.role.in_(rules.CHAIN_ROLES))
        .limit(1)
    ) is not None  # fmt: skip


def delegations(actor: Actor) -> Select[ApprovalDelegation]:
    """Return the actor's own periods and those in their favour; a unit administrator sees those of the unit."""
    unit = [grant.org_id for grant in actor.grants if grant.role is Role.UNIT_ADMIN]
    return (
        select(ApprovalDelegation)
        .options(
            joinedload(ApprovalDelegation.org),
            joinedload(ApprovalDelegation.delegator),
            joinedload(ApprovalDelegation.delegate),
        )
        .where(
            or_(
                ApprovalDelegation.delegator_id == actor.user_id,
                ApprovalDelegation.delegate_id == actor.user_id,
                ApprovalDelegation.org_id.in_(unit),
            )
        )
        .order_by(func.lower(ApprovalDelegation.during).desc(), ApprovalDelegation.id.desc())
    )


def get_delegation(session: Session, *, delegation_id: int, actor: Actor) -> ApprovalDelegation:
    """Return a period that the actor may see.

    :raises NotFound: no such one, or somebody else's.
    """
    found = session.scalar(delegations(actor).where(ApprovalDelegation.id == delegation_id))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def overdue(session: Session, *, at: datetime, limit: int = 200) -> Sequence[int]:
    """Return open cases whose task should have been signed by a moment, the longest first."""
    return session.scalars(
        select(ApprovalTask.case_id)
        .where(ApprovalTask.state == OPEN, ApprovalTask.due_at < at)
        .order_by(ApprovalTask.due_at.desc())
        .limit(limit)
    ).all()


def unowned(session: Session, *, at: datetime, limit: int = 200) -> Sequence[int]:
    """Return open cases whose task waits for somebody who is absent now or gone, or for nobody."""
    absent = (
        select(ApprovalDelegation.id)
        .where(
            _in_force(at),
            or_(
                ApprovalDelegation.delegate_id.is_(None),
                ApprovalDelegation.delegate_id == any_(ApprovalCase.barred_ids),
            ),
            ApprovalDelegation.delegator_id == any_(ApprovalTask.user_ids),
        )
        .exists()
    )
    gone = (
        select(UserAccount.id)
        .where(UserAccount.id == any_(ApprovalTask.user_ids), UserAccount.closed_at.is_not(None))
        .exists()
    )
    return session.scalars(
        select(ApprovalTask.case_id)
        .join(ApprovalTask.case)
        .where(ApprovalTask.state == OPEN, or_(absent, gone, func.cardinality(ApprovalTask.user_ids) == 0))
        .order_by(ApprovalTask.case_id)
        .limit(limit)
    ).all()
