"""Writing of statements: each side takes its steps, an agreed one settles its orders exactly once."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.notices import service as notices
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.rules import OrderAction
from fleetapp.settlement import charging, queries, rules
from fleetapp.settlement.models import Adjustment, Statement, StatementDispute, StatementEvent
from fleetapp.settlement.rules import FINAL, StatementAction, StatementState

PAYERS = frozenset([StatementAction.DISPUTE, StatementAction.CONFIRM])
"""Steps of the unit that pays; all others are of the one that is paid."""
PERMIT = {
    StatementAction.ISSUE: "settlement.issue",
    StatementAction.DISPUTE: "settlement.confirm",
    StatementAction.ANSWER: "settlement.answer",
    StatementAction.CONFIRM: "settlement.confirm",
    StatementAction.PAY: "settlement.pay",
}
PAST_TENSE = {
    StatementAction.ISSUE: "issued",
    StatementAction.DISPUTE: "disputed",
    StatementAction.ANSWER: "answered",
    StatementAction.CONFIRM: "confirmed",
    StatementAction.PAY: "paid",
}
"""What events and the audit log call each action."""


def issue_due(session: Session, *, actor: Actor, now: datetime) -> int:
    """Issue the drafts of every month that is over; returns how many. A second run finds nothing left."""
    this_month = rules.month_of(clock.local_date(now))
    found = queries.drafts_before(session, this_month)
    for statement_id in found:
        issue(session, statement_id=statement_id, actor=actor, now=now)
    return len(found)


def issue(session: Session, *, statement_id: int, actor: Actor, now: datetime) -> Statement:
    """Issue a draft whose month is over, with its number; from then on it takes no other journey.

    :raises RuleBroken: ``settlement.month_runs``, ``settlement.empty_statement``, ``settlement.wrong_step``.
    """
    statement = _take(session, statement_id, StatementAction.ISSUE, actor)
    rules.check_issue(period=statement.period, today=clock.local_date(now))
    if not queries.charged_orders(session, statement_id=statement.id) and not queries.adjustments_of(
        session, statement_id=statement.id
    ):
        raise RuleBroken("settlement.empty_statement")
    series = f"{statement.payee.code}-JS-{clock.local_date(now).year}"
    statement.number = f"{series}-{order_service.next_number(session, series):04d}"
    return _issued(session, statement, StatementAction.ISSUE, actor=actor, now=now, note=None)


def _issued(
    session: Session, statement: Statement, action: StatementAction, *, actor: Actor, now: datetime, note: str | None
) -> Statement:
    """Give a statement to its payer as its next edition."""
    with session.no_autoflush:  # the new number and the new state go together
        total = queries.sum_of(session, statement_id=statement.id)
    statement.total, statement.edition = total, statement.edition + 1
    statement.issued_at, statement.issued_by = now, actor.user_id
    _reach(session, statement, action, actor=actor, now=now, note=note)
    _tell(session, statement, "settlement.notice.issued", statement.org, key=f"issued-{statement.edition}", now=now)
    return statement


def dispute(
    session: Session, *, statement_id: int, reasons: Mapping[int, str], actor: Actor, now: datetime
) -> Statement:
    """Disagree with lines of an issued statement, each with its reason by id of the charge; a line already disputed stays as it is.

    :raises RuleBroken: ``settlement.no_line``, ``settlement.wrong_step``.
    """
    statement = _take(session, statement_id, StatementAction.DISPUTE, actor)
    open_now = {row.charge_id for row in queries.open_disputes(session, statement_id=statement.id)}
    on_it = {charge.id: charge for charge in queries.charges_of(session, statement_id=statement.id)}
    if not reasons or not reasons.keys() <= on_it.keys():
        raise RuleBroken("settlement.no_line")
    fresh = {charge_id: reason for charge_id, reason in reasons.items() if charge_id not in open_now}
    if not fresh:
        return statement
    session.add_all(
        StatementDispute(
            statement_id=statement.id, charge_id=charge_id, reason=reason, raised_by=actor.user_id, raised_at=now
        )
        for charge_id, reason in fresh.items()
    )
    numbers = "、".join(on_it[charge_id].order.number for charge_id in fresh)
    _reach(session, statement, StatementAction.DISPUTE, actor=actor, now=now, note=numbers)
    _tell(
        session, statement, "settlement.notice.disputed", statement.payee, key=f"disputed-{statement.edition}", now=now
    )
    return statement


def answer(
    session: Session, *, statement_id: int, dispute_id: int, answer: str, amount: Decimal, actor: Actor, now: datetime
) -> Statement:
    """Answer a disputed line, with a correction of ``amount`` CNY or 0 for none; after the last one the statement is issued again.

    :raises NotFound: no open dispute of that statement.
    :raises RuleBroken: ``settlement.adjust_below``, ``settlement.wrong_step``.
    """
    statement = _take(session, statement_id, StatementAction.ANSWER, actor)
    waiting = {row.id: row for row in queries.open_disputes(session, statement_id=statement.id)}
    if dispute_id not in waiting:
        raise NotFound("kit.not_found")
    row = waiting.pop(dispute_id)
    if amount:
        row.adjustment_id = _adjust(session, row.charge_id, statement, amount, answer, actor=actor, now=now).id
    row.answer, row.answered_by, row.answered_at = answer, actor.user_id, now
    session.flush()
    if waiting:
        audit.record(session, actor=actor, now=now, action="settlement.line_answered", subject_type="statement", subject_id=statement.id,
                     org_id=statement.payee_org_id, number=statement.number, charge=row.charge_id, amount=amount, answer=answer)  # fmt: skip
        return statement
    return _issued(session, statement, StatementAction.ANSWER, actor=actor, now=now, note=answer)


def adjust(
    session: Session, *, statement_id: int, charge_id: int, amount: Decimal, reason: str, actor: Actor, now: datetime
) -> Adjustment:
    """Correct a charge: on its own statement while that is a draft, after both agreed on the next draft of the two.

    :raises RuleBroken: ``settlement.adjust_open``: it is with the payer, who disputes the line first;
        ``settlement.adjust_nothing``, ``settlement.adjust_below``.
    """
    statement = queries.get_statement(session, statement_id=statement_id, actor=actor, lock=True)
    permits.require("settlement.answer", actor, org_path=statement.payee.path)
    charge = queries.get_charge(session, charge_id=charge_id, statement_id=statement.id)
    if statement.state in FINAL:
        period = max(rules.month_after(statement.period), rules.month_of(clock.local_date(now)))
        billed = charging.open_statement(
            session, org_id=statement.org_id, payee_org_id=statement.payee_org_id, period=period, now=now
        )
    elif statement.state == StatementState.DRAFT:
        billed = statement
    else:
        raise RuleBroken("settlement.adjust_open", number=statement.number)
    made = _adjust(session, charge.id, billed, amount, reason, actor=actor, now=now)
    audit.record(session, actor=actor, now=now, action="settlement.adjusted", subject_type="adjustment", subject_id=made.id,
                 org_id=statement.payee_org_id, number=made.number, charge=charge.id, amount=amount, reason=reason, statement=billed.id)  # fmt: skip
    return made


def _adjust(
    session: Session, charge_id: int, billed: Statement, amount: Decimal, reason: str, *, actor: Actor, now: datetime
) -> Adjustment:
    rules.check_adjustment(net=queries.net_of(session, charge_id=charge_id), amount=amount)
    if billed.total + amount < 0:
        raise RuleBroken("settlement.adjust_below", net=f"{billed.total:,.2f}")
    series = f"TZ{clock.local_date(now).year}"
    made = Adjustment(number=f"{series}-{order_service.next_number(session, series):05d}", charge_id=charge_id, statement_id=billed.id,
                      amount=amount, reason=reason, made_by=actor.user_id, made_at=now)  # fmt: skip
    session.add(made)
    session.flush()
    billed.total += amount
    return made


def confirm(session: Session, *, statement_id: int, actor: Actor, now: datetime) -> Statement:
    """Agree to an issued statement: it is frozen and its orders are settled, each exactly once. A second time does nothing.

    :raises NotAllowed: not of the unit that pays, or whoever issued it.
    :raises RuleBroken: ``settlement.wrong_step``.
    """
    statement = queries.get_statement(session, statement_id=statement_id, actor=actor, lock=True)
    permits.require("settlement.confirm", actor, org_path=statement.org.path, owner_id=statement.issued_by)
    if statement.state in FINAL:
        return statement
    rules.next_state(statement.state, StatementAction.CONFIRM)
    statement.confirmed_at, statement.confirmed_by = now, actor.user_id
    _reach(session, statement, StatementAction.CONFIRM, actor=actor, now=now, note=f"{statement.total:,.2f}")
    for order_id in queries.charged_orders(session, statement_id=statement.id):
        order = orders.hold_order(session, order_id=order_id)
        order_service.advance(
            session, order=order, action=OrderAction.SETTLE, actor=actor, now=now, note=statement.number
        )
    _tell(session, statement, "settlement.notice.confirmed", statement.payee, key="confirmed", now=now)
    return statement


def pay(
    session: Session, *, statement_id: int, voucher_no: str, paid_on: date, actor: Actor, now: datetime
) -> Statement:
    """Note that a confirmed statement was paid, with the number of its voucher; the same again does nothing.

    :raises RuleBroken: ``settlement.paid_future``, ``settlement.wrong_step``.
    """
    statement = queries.get_statement(session, statement_id=statement_id, actor=actor, lock=True)
    permits.require("settlement.pay", actor, org_path=statement.payee.path)
    if statement.state == StatementState.PAID and statement.voucher_no == voucher_no:
        return statement
    rules.next_state(statement.state, StatementAction.PAY)
    if paid_on > clock.local_date(now):
        raise RuleBroken("settlement.paid_future")
    statement.voucher_no, statement.paid_at = voucher_no, clock.start_of(paid_on)
    return _reach(session, statement, StatementAction.PAY, actor=actor, now=now, note=voucher_no)


def exported(
    session: Session, *, statement: Statement, kind: str, reason: str, sha256: str, actor: Actor, now: datetime
) -> None:
    """Record that a statement left the system as a file, by whom and why; call it before the file is handed over."""
    audit.record(session, actor=actor, now=now, action="settlement.exported", subject_type="statement", subject_id=statement.id, org_id=statement.org_id,
                 number=statement.number, period=statement.period, edition=statement.edition, kind=kind, reason=reason, sha256=sha256)  # fmt: skip


def _take(session: Session, statement_id: int, action: StatementAction, actor: Actor) -> Statement:
    statement = queries.get_statement(session, statement_id=statement_id, actor=actor, lock=True)
    side = statement.org if action in PAYERS else statement.payee
    permits.require(
        PERMIT[action], actor, org_path=side.path, owner_id=statement.issued_by if action in PAYERS else None
    )
    rules.next_state(statement.state, action)
    return statement


def _reach(
    session: Session, statement: Statement, action: StatementAction, *, actor: Actor, now: datetime, note: str | None
) -> Statement:
    before, statement.state = statement.state, rules.next_state(statement.state, action)
    session.flush()
    session.add(StatementEvent(statement_id=statement.id, action=PAST_TENSE[action], from_state=before, to_state=statement.state, actor_id=actor.user_id,
                               at=now, note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"settlement.{PAST_TENSE[action]}", subject_type="statement", subject_id=statement.id,
                 org_id=statement.org_id, payee_org_id=statement.payee_org_id, number=statement.number, before=before, after=statement.state,
                 edition=statement.edition, total=statement.total, note=note)  # fmt: skip
    return statement


def _tell(session: Session, statement: Statement, code: str, side: Organisation, *, key: str, now: datetime) -> None:
    """Tell whoever handles statements at one of the two units."""
    to = {
        user_id
        for role in (Role.UNIT_ADMIN, Role.FLEET_MANAGER, Role.FINANCE)
        for user_id in accounts.holders(session, role=role, org_path=side.path)
    }
    notices.notify(session, to=to, code=code, params={"number": statement.number or "", "total": f"{statement.total:,.2f}"},
                   link=f"/statements/{statement.id}", key=f"statement-{statement.id}-{key}", now=now)  # fmt: skip
