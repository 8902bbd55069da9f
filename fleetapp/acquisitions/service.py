"""Writing of the chain: quotas, applications and decisions, budgets; purchases are in ``purchase.py``."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.acquisitions import queries, rules
from fleetapp.acquisitions.models import BudgetLine, Indicator, IndicatorEvent, QuotaEntry
from fleetapp.acquisitions.rules import Check, IndicatorAction, IndicatorKind, IndicatorState, Step, Surroundings, Wish
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.orders import service as orders
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.rules import Body, Category, Energy

PAST_TENSE = {
    IndicatorAction.SUBMIT: "submitted", IndicatorAction.WITHDRAW: "withdrawn", IndicatorAction.REVIEW: "reviewed",
    IndicatorAction.RETURN: "returned", IndicatorAction.REJECT: "rejected", IndicatorAction.APPROVE: "approved",
    IndicatorAction.CANCEL: "cancelled", IndicatorAction.EXPIRE: "expired", IndicatorAction.USE: "used",
}  # fmt: skip
"""What the audit log calls each action, after ``indicators.``."""
PERMIT = {
    IndicatorAction.SUBMIT: "indicators.apply", IndicatorAction.WITHDRAW: "indicators.apply",
    IndicatorAction.REVIEW: "indicators.review", IndicatorAction.RETURN: "indicators.review",
    IndicatorAction.REJECT: "indicators.review", IndicatorAction.APPROVE: "indicators.approve",
    IndicatorAction.CANCEL: "indicators.cancel",
}  # fmt: skip


# ---- quota ------------------------------------------------------------------------------------------------------------


def change_quota(
    session: Session, *, org_id: int, category: Category, delta: int, effective_on: date, document_no: str,
    actor: Actor, now: datetime, counterpart_org_id: int | None = None,
) -> QuotaEntry:  # fmt: skip
    """Authorise more or fewer vehicles of a class from a day on.

    :raises NotAllowed: the unit is outside the actor's reach.
    :raises RuleBroken: ``acquisitions.quota_zero``, or ``quota_negative`` when less than none would be left on any day.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("quota.edit", actor, org_path=org.path)
    if delta == 0:
        raise RuleBroken("acquisitions.quota_zero")
    entry = QuotaEntry(org_id=org_id, category=category, delta=delta, effective_on=effective_on, document_no=document_no,
                       counterpart_org_id=counterpart_org_id, created_at=now, created_by=actor.user_id)  # fmt: skip
    session.add(entry)
    session.flush()
    running = 0
    for one in sorted(queries.history(session, org_id=org_id, actor=actor), key=lambda one: (one.effective_on, one.id)):
        running += one.delta if one.category == category else 0
        if running < 0:
            raise RuleBroken("acquisitions.quota_negative", on=one.effective_on.isoformat())
    audit.record(session, actor=actor, now=now, action="quota.changed", subject_type="quota_entry", subject_id=entry.id,
                 org_id=org_id, category=category, delta=delta, effective_on=effective_on, document_no=document_no,
                 counterpart_org_id=counterpart_org_id)  # fmt: skip
    return entry


def move_quota(
    session: Session, *, from_org_id: int, to_org_id: int, category: Category, number: int, effective_on: date,
    document_no: str, actor: Actor, now: datetime,
) -> None:  # fmt: skip
    """Give places of a class from one unit to another, both within the actor's reach.

    :raises RuleBroken: ``acquisitions.same_unit``, ``quota_zero``, ``quota_negative``.
    """
    if from_org_id == to_org_id:
        raise RuleBroken("acquisitions.same_unit")
    if number <= 0:
        raise RuleBroken("acquisitions.quota_zero")
    both: dict[str, Any] = {
        "category": category,
        "effective_on": effective_on,
        "document_no": document_no,
        "actor": actor,
        "now": now,
    }
    change_quota(session, org_id=from_org_id, delta=-number, counterpart_org_id=to_org_id, **both)
    change_quota(session, org_id=to_org_id, delta=number, counterpart_org_id=from_org_id, **both)


# ---- applications -------------------------------------------------------------------------------------------------------


def apply(
    session: Session, *, kind: IndicatorKind, category: Category, body: Body, energy: Energy, step: Step, max_price: Decimal,
    justification: str, fiscal_year: int, actor: Actor, now: datetime, max_displacement_ml: int | None = None,
    fuel_reason: str | None = None, leader_fixed: bool = False, special_approval: str | None = None,
    old_vehicle_id: int | None = None,
) -> Indicator:  # fmt: skip
    """Begin an application of the actor's own unit, as a draft.

    :raises RuleBroken: ``acquisitions.no_unit``, ``old_vehicle_needed``, ``old_vehicle_odd``, ``fiscal_year_range``.
    :raises Conflict: at the end, ``acquisitions.old_vehicle_taken``.
    """
    if actor.org_id is None or actor.user_id is None:
        raise RuleBroken("acquisitions.no_unit")
    permits.require("indicators.apply", actor, org_path=actor.org_path)
    year = clock.local_date(now).year
    if not year <= fiscal_year <= year + 1:
        raise RuleBroken("acquisitions.fiscal_year_range", first=year, last=year + 1)
    series = f"ZB{fiscal_year}"
    made = Indicator(
        org_id=actor.org_id, number=f"{series}-{orders.next_number(session, series):05d}", state=IndicatorState.DRAFT,
        applicant_id=actor.user_id, created_at=now, fiscal_year=fiscal_year, expires_on=rules.expires_on(fiscal_year),
    )  # fmt: skip
    _fill(session, made, actor, kind=kind, category=category, body=body, energy=energy, step=step, max_price=max_price,
          justification=justification, max_displacement_ml=max_displacement_ml, fuel_reason=fuel_reason,
          leader_fixed=leader_fixed, special_approval=special_approval, old_vehicle_id=old_vehicle_id)  # fmt: skip
    session.add(made)
    session.flush()
    _record(session, made, "created", None, actor=actor, now=now, note=None)
    return made


def _fill(session: Session, indicator: Indicator, actor: Actor, **fields: Any) -> None:
    kind, old_vehicle_id = fields["kind"], fields["old_vehicle_id"]
    if kind is IndicatorKind.RENEWAL:
        if old_vehicle_id is None:
            raise RuleBroken("acquisitions.old_vehicle_needed")
        old = vehicles.get_vehicle(session, vehicle_id=old_vehicle_id, actor=actor)
        if old.org_id != indicator.org_id:
            raise RuleBroken("acquisitions.old_vehicle_elsewhere", plate=old.plate)
    elif old_vehicle_id is not None:
        raise RuleBroken("acquisitions.old_vehicle_odd")
    if fields["leader_fixed"] and fields["body"] is Body.OFFROAD:
        raise RuleBroken("acquisitions.offroad")
    for name, value in fields.items():
        setattr(indicator, name, value)


def edit(session: Session, *, indicator_id: int, actor: Actor, now: datetime, **fields: Any) -> Indicator:
    """Change a draft or a returned application; all fields of ``apply`` but the fiscal year.

    :raises NotAllowed: not the own unit's, or not a draft any more.
    """
    indicator = queries.get_indicator(session, indicator_id=indicator_id, actor=actor, lock=True)
    permits.require("indicators.apply", actor, org_path=indicator.org.path, state=indicator.state)
    if indicator.state not in rules.EDITABLE:
        raise NotAllowed("kit.wrong_state", action="indicators.apply", state=indicator.state)
    _fill(session, indicator, actor, **fields)
    _record(session, indicator, "edited", indicator.state, actor=actor, now=now, note=None)
    return indicator


def advance(
    session: Session,
    *,
    indicator_id: int,
    action: IndicatorAction,
    actor: Actor,
    now: datetime,
    note: str | None = None,
) -> Indicator:
    """Take one step of an application.

    :raises NotAllowed: not this role, not here, not in this state, or one's own application; the reviewer does not approve.
    :raises RuleBroken: ``acquisitions.wrong_step``, ``note_needed``, or ``blocked_<check>`` for the first rule in the way.
    :raises Conflict: ``acquisitions.no_quota``: somebody else took the last place.
    """
    indicator = queries.get_indicator(session, indicator_id=indicator_id, actor=actor, lock=True)
    if action not in PERMIT:  # expiring and using are the system's
        raise RuleBroken("acquisitions.wrong_step", state=indicator.state)
    permits.require(
        PERMIT[action], actor, org_path=indicator.org.path, owner_id=indicator.applicant_id, state=indicator.state
    )
    after = rules.next_state(indicator.state, action)
    rules.check_note(action, note)
    if action is IndicatorAction.REVIEW:
        indicator.reviewed_by = actor.user_id
    if action in {IndicatorAction.REVIEW, IndicatorAction.APPROVE}:
        if action is IndicatorAction.APPROVE and indicator.reviewed_by == actor.user_id:
            raise NotAllowed("acquisitions.reviewer_approves")
        _refuse_blocked(check_list(session, indicator, now=now))
    if action is IndicatorAction.CANCEL and any(one.state != "CANCELLED" for one in indicator.procurements):
        raise RuleBroken("acquisitions.purchase_open")
    if after in {IndicatorState.APPROVED, IndicatorState.REJECTED}:
        indicator.decided_by, indicator.decided_at = actor.user_id, now
    return _step(session, indicator, action, after, actor=actor, now=now, note=note)


def _refuse_blocked(found: list[Check]) -> None:
    for check in found:
        if check.blocks and not check.ok:
            raise RuleBroken(f"acquisitions.blocked_{check.code}", source=check.source, **check.params)


def check_list(session: Session, indicator: Indicator, *, now: datetime) -> list[Check]:
    """Return the rule check list of an application as of now."""
    on = clock.local_date(now)
    figures = queries.figures(session, on=on, org_path=indicator.org.path)
    scope_path = queries.scope_above(indicator.org)
    idle = queries.idle_comparable(session, indicator=indicator, scope_path=scope_path, now=now, limits=figures)
    acquired, nev = queries.acquired_in(
        session, fiscal_year=indicator.fiscal_year, scope_path=scope_path, but_for=indicator.id
    )
    old = indicator.old_vehicle
    wish = Wish(
        kind=IndicatorKind(indicator.kind), category=Category(indicator.category), body=Body(indicator.body),
        energy=Energy(indicator.energy), step=Step(indicator.step), max_price=indicator.max_price,
        max_displacement_ml=indicator.max_displacement_ml, fuel_reason=indicator.fuel_reason, leader_fixed=indicator.leader_fixed,
        old_age_years=rules.age_years(old.registered_on, on) if old else None, special_approval=indicator.special_approval,
        reason_promotion=rules.speaks_of_promotion(indicator.justification),
    )  # fmt: skip
    around = Surroundings(
        free=queries.free_for(session, indicator, on), idle_comparable=len(idle), acquired=acquired, acquired_nev=nev
    )
    return rules.checks(wish, around, figures)


def add_budget(
    session: Session,
    *,
    indicator_id: int,
    amount: Decimal,
    fiscal_year: int,
    document_no: str,
    actor: Actor,
    now: datetime,
) -> BudgetLine:
    """Link money to an approved indicator; once.

    :raises RuleBroken: ``acquisitions.budget_indicator``, ``budget_transfer``, ``budget_beyond``.
    :raises Conflict: at the end, ``acquisitions.budget_there``.
    """
    indicator = queries.get_indicator(session, indicator_id=indicator_id, actor=actor, lock=True)
    if indicator.state != IndicatorState.APPROVED:
        raise RuleBroken("acquisitions.budget_indicator", number=indicator.number)
    permits.require("indicators.budget", actor, org_path=indicator.org.path, state=indicator.state)
    if indicator.kind == IndicatorKind.TRANSFER:
        raise RuleBroken("acquisitions.budget_transfer")
    if amount > indicator.max_price or fiscal_year != indicator.fiscal_year:
        raise RuleBroken("acquisitions.budget_beyond", most=f"{indicator.max_price:,.2f}", year=indicator.fiscal_year)
    line = BudgetLine(org_id=indicator.org_id, indicator_id=indicator.id, fiscal_year=fiscal_year, amount=amount,
                      document_no=document_no, created_at=now, created_by=actor.user_id)  # fmt: skip
    session.add(line)
    session.flush()
    _record(
        session, indicator, "budgeted", indicator.state, actor=actor, now=now, note=f"{document_no} · {amount:,.2f}"
    )
    return line


def expire(session: Session, *, now: datetime) -> int:
    """Let go approved indicators whose fiscal year is over; each gives its place back once. Returns how many."""
    due = queries.due_to_expire(session, on=clock.local_date(now))
    for indicator in due:
        _step(session, indicator, IndicatorAction.EXPIRE, IndicatorState.EXPIRED, actor=SYSTEM, now=now, note=None)
    return len(due)


def _step(
    session: Session, indicator: Indicator, action: IndicatorAction, after: IndicatorState, *, actor: Actor, now: datetime,
    note: str | None,
) -> Indicator:  # fmt: skip
    before, indicator.state = indicator.state, after
    _record(session, indicator, PAST_TENSE[action], before, actor=actor, now=now, note=note)
    return indicator


def use(session: Session, indicator: Indicator, *, vehicle_id: int, actor: Actor, now: datetime) -> None:
    """Spend an indicator on the vehicle it has become."""
    indicator.vehicle_id = vehicle_id
    after = rules.next_state(indicator.state, IndicatorAction.USE)
    _step(session, indicator, IndicatorAction.USE, after, actor=actor, now=now, note=None)


def take_in(
    session: Session, *, org_id: int, category: Category, vehicle_id: int, actor: Actor, now: datetime
) -> Indicator:
    """Spend the oldest approved indicator of a unit for a transfer in of this class on the vehicle that is handed over to it.

    For the disposal slice, which has checked the permission.

    :raises RuleBroken: ``acquisitions.transfer_indicator``: the receiving unit has none.
    """
    indicator = queries.transfer_in(session, org_id=org_id, category=category, on=clock.local_date(now))
    if indicator is None:
        raise RuleBroken("acquisitions.transfer_indicator")
    use(session, indicator, vehicle_id=vehicle_id, actor=actor, now=now)
    return indicator


def record_stage(
    session: Session, indicator: Indicator, stage: str, *, actor: Actor, now: datetime, note: str | None
) -> None:
    """Write a stage of the purchase into the indicator's events and the audit log."""
    _record(session, indicator, stage, indicator.state, actor=actor, now=now, note=note)


def _record(
    session: Session,
    indicator: Indicator,
    what: str,
    before: str | None,
    *,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> None:
    session.flush()
    session.add(IndicatorEvent(indicator_id=indicator.id, action=what, from_state=before, to_state=indicator.state,
                               actor_id=actor.user_id, at=now, note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"indicators.{what}", subject_type="indicator", subject_id=indicator.id,
                 org_id=indicator.org_id, number=indicator.number, before=before, after=indicator.state, note=note)  # fmt: skip
