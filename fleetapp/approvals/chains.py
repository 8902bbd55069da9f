"""Writing of chains, and of who stands in for whom."""

import tomllib
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.approvals import queries, rules
from fleetapp.approvals.models import ApprovalChain, ApprovalDelegation, ApprovalLevel
from fleetapp.approvals.rules import Level
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken

DEFAULT = Path(__file__).parents[2] / "config" / "approvals.toml"


def load_default(session: Session, *, actor: Actor, now: datetime) -> ApprovalChain | None:
    """Give the top organisation the chain of ``config/approvals.toml`` unless it has one.

    :raises NotAllowed: not the system.
    """
    permits.require("approvals.load", actor, org_path="/")
    top = session.scalar(select(Organisation).where(Organisation.parent_id.is_(None)))
    if top is None or queries.last_version(session, org_id=top.id):
        return None
    told = tomllib.loads(DEFAULT.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = [
        {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
        for row in told["level"]
    ]
    levels = [Level(**row) for row in rows]
    return _publish(
        session, org=top, valid_from=told["valid_from"], note=told["source"], levels=levels, actor=actor, now=now
    )


def publish_chain(
    session: Session, *, org_id: int, valid_from: date, note: str, levels: Sequence[Level], actor: Actor, now: datetime
) -> ApprovalChain:
    """Publish a new version of an organisation's chain, in force from a local day on; open cases keep theirs.

    :raises NotAllowed: not the office's or the unit's administrator.
    :raises RuleBroken: ``approvals.backdated``, a level without signer, or a first level that is not always needed.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("approvals.publish", actor, org_path=org.path)
    if valid_from < clock.local_date(now):
        raise RuleBroken("approvals.backdated")
    for at, level in enumerate(levels, 1):
        if any(not queries.can_be_asked(session, user_id=one) for one in level.user_ids):
            raise RuleBroken("approvals.no_signer", level=at)
    return _publish(session, org=org, valid_from=valid_from, note=note, levels=levels, actor=actor, now=now)


def _publish(
    session: Session, *, org: Organisation, valid_from: date, note: str, levels: Sequence[Level], actor: Actor, now: datetime
) -> ApprovalChain:  # fmt: skip
    rules.check_chain(levels)
    chain = ApprovalChain(org_id=org.id, version=queries.last_version(session, org_id=org.id) + 1, valid_from=valid_from, note=note,
                          published_by=actor.user_id, published_at=now)  # fmt: skip
    chain.levels = [
        ApprovalLevel(position=at, name=level.name, role=level.role, place=level.place, user_ids=list(level.user_ids), mode=level.mode,
                      deadline_h=level.deadline_h, over_m=level.over_m, areas=list(level.areas), kinds=list(level.kinds),
                      flags=list(level.flags))
        for at, level in enumerate(levels)
    ]  # fmt: skip
    session.add(chain)
    session.flush()
    audit.record(session, actor=actor, now=now, action="approvals.chain_published", subject_type="approval_chain", subject_id=chain.id,
                 org_id=org.id, version=chain.version, valid_from=valid_from.isoformat(), levels=len(levels))  # fmt: skip
    return chain


def delegate(
    session: Session, *, org_id: int, delegator_id: int, delegate_id: int | None, start_at: datetime, end_at: datetime, actor: Actor,
    now: datetime,
) -> ApprovalDelegation:  # fmt: skip
    """Let somebody decide in one's stead over ``[start_at, end_at)`` on cases of a unit and below; nobody: one is away.

    One's own, or by the unit's administrator. Open cases that wait for nobody else go to the organisation above.

    :raises NotAllowed: somebody else's decisions.
    :raises RuleBroken: ``approvals.self_delegation``, ``bad_period``, ``period_too_long``, ``person_needed``.
    :raises Conflict: at the end, ``approvals.delegated_already``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("approvals.delegate", actor, org_path=org.path, owner_id=delegator_id)
    rules.check_delegation(
        delegator_id=delegator_id, delegate_id=delegate_id, start_at=start_at, end_at=end_at, now=now
    )
    for one in (delegator_id, delegate_id):
        if one is not None and not queries.can_be_asked(session, user_id=one):
            raise RuleBroken("approvals.person_needed")
    made = ApprovalDelegation(org_id=org.id, delegator_id=delegator_id, delegate_id=delegate_id, during=Range(start_at, end_at),
                              created_by=actor.user_id, created_at=now)  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="approvals.delegated", subject_type="approval_delegation", subject_id=made.id,
                 org_id=org.id, delegator_id=delegator_id, delegate_id=delegate_id, start_at=start_at.isoformat(),
                 end_at=end_at.isoformat())  # fmt: skip
    return made


def end_delegation(session: Session, *, delegation_id: int, actor: Actor, now: datetime) -> ApprovalDelegation:
    """End a period before its time; a second time does nothing."""
    found = queries.get_delegation(session, delegation_id=delegation_id, actor=actor)
    permits.require("approvals.delegate", actor, org_path=found.org.path, owner_id=found.delegator_id)
    if found.ended_at is None:
        found.ended_at = now
        session.flush()
        audit.record(session, actor=actor, now=now, action="approvals.delegation_ended", subject_type="approval_delegation",
                     subject_id=found.id, org_id=found.org_id)  # fmt: skip
    return found
