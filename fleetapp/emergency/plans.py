"""Writing of plans: their levels with call-up lists, and their officers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.emergency import queries
from fleetapp.emergency.models import EmergencyCallUp, EmergencyLevel, EmergencyOfficer, EmergencyPlan
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.reserves import rules as reserve_rules
from fleetapp.reserves.rules import Level


def make(session: Session, *, org_id: int, title: str, actor: Actor, now: datetime) -> EmergencyPlan:
    """Begin a plan of a district or of the city.

    :raises NotAllowed: not the office of the organisation.
    :raises RuleBroken: ``reserves.no_pool``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("emergency.plan", actor, org_path=org.path)
    reserve_rules.check_pool(org.kind, has_parent=org.parent_id is not None)
    made = EmergencyPlan(org_id=org.id, title=title, made_by=actor.user_id, made_at=now)
    made.org = org
    session.add(made)
    session.flush()
    _record(session, made, "plan_made", actor=actor, now=now, title=title)
    return made


def set_level(
    session: Session, *, plan_id: int, level: Level, instructions: str, hours: int, goes: bool, calls: Sequence[dict[str, Any]],
    actor: Actor, now: datetime,
) -> EmergencyPlan:  # fmt: skip
    """Say what a plan does at a level; ``calls`` lists ``{pool_id, body, vehicles}`` in their order and replaces the former list.

    :raises RuleBroken: ``emergency.no_level``, ``emergency.pool_outside``, ``emergency.plan_retired``.
    """
    plan = _to_change(session, plan_id, actor)
    if level is Level.USUAL:
        raise RuleBroken("emergency.no_level")
    for call in calls:
        org = accounts.get_org(session, org_id=call["pool_id"])
        reserve_rules.check_pool(org.kind, has_parent=org.parent_id is not None)
        if not org.path.startswith(plan.org.path):
            raise RuleBroken("emergency.pool_outside")
    row = next((one for one in plan.levels if one.level == level), None)
    if row is None:
        row = EmergencyLevel(level=level)
        plan.levels.append(row)
    row.instructions, row.hours, row.goes = instructions, hours, goes
    row.calls.clear()
    session.flush()
    row.calls.extend(EmergencyCallUp(position=position, **call) for position, call in enumerate(calls, start=1))
    session.flush()
    _record(
        session, plan, "plan_level_set", actor=actor, now=now, level=level, hours=hours, goes=goes, calls=list(calls)
    )
    return plan


def add_officer(
    session: Session, *, plan_id: int, user_id: int, task: str, actor: Actor, now: datetime
) -> EmergencyPlan:
    """Name somebody of the plan's part of the tree to be told and to lead on the spot; again only changes the task.

    :raises RuleBroken: ``emergency.officer_outside``, ``emergency.plan_retired``.
    """
    plan = _to_change(session, plan_id, actor)
    if user_id not in {user.id for user in queries.people_under(session, org_path=plan.org.path)}:
        raise RuleBroken("emergency.officer_outside")
    row = next((one for one in plan.officers if one.user_id == user_id), None)
    if row is None:
        row = EmergencyOfficer(user_id=user_id)
        plan.officers.append(row)
    row.task = task
    session.flush()
    _record(session, plan, "plan_officer_set", actor=actor, now=now, user_id=user_id, task=task)
    return plan


def retire(session: Session, *, plan_id: int, actor: Actor, now: datetime) -> EmergencyPlan:
    """Retire a plan: it is no longer activated. A second time changes nothing."""
    plan = queries.get_plan(session, plan_id=plan_id, actor=actor)
    permits.require("emergency.plan", actor, org_path=plan.org.path)
    if plan.retired_at is None:
        plan.retired_at = now
        _record(session, plan, "plan_retired", actor=actor, now=now)
    return plan


def _to_change(session: Session, plan_id: int, actor: Actor) -> EmergencyPlan:
    plan = queries.get_plan(session, plan_id=plan_id, actor=actor)
    permits.require("emergency.plan", actor, org_path=plan.org.path)
    if plan.retired_at is not None:
        raise RuleBroken("emergency.plan_retired")
    return plan


def _record(session: Session, plan: EmergencyPlan, action: str, *, actor: Actor, now: datetime, **data: Any) -> None:
    audit.record(session, actor=actor, now=now, action=f"emergency.{action}", subject_type="emergency_plan", subject_id=plan.id,
                 org_id=plan.org_id, **data)  # fmt: skip
