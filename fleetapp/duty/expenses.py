"""Writing of what drivers paid on the way: added once, made void at most once, closed when the journey is confirmed."""

from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.duty import queries, rules
from fleetapp.duty.models import TripExpense
from fleetapp.duty.rules import ExpenseKind
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict
from fleetapp.orders import queries as orders
from fleetapp.policies import queries as policies


def add(
    session: Session,
    *,
    assignment_id: int,
    kind: ExpenseKind,
    amount: Decimal,
    idempotency_key: str,
    actor: Actor,
    now: datetime,
    at: datetime | None = None,
    note: str | None = None,
    photo: tuple[str, bytes] | None = None,
) -> TripExpense:
    """Add what the driver paid on an own duty, CNY; ``photo`` is its receipt as (name, bytes).

    The same ``idempotency_key`` again returns what the first call made. One that looks like another is marked, not refused.

    :raises NotFound: not the actor's duty.
    :raises NotAllowed: before check-out or after the journey was confirmed.
    :raises Conflict: the key was used for another expense.
    :raises RuleBroken: amount or time against the rules, or the photograph is no such file.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 7))"), {"key": idempotency_key})
    duty = queries.get_duty(session, assignment_id=assignment_id, actor=actor)
    known = queries.find_expense(session, idempotency_key=idempotency_key)
    if known is not None:
        if (known.assignment_id, known.kind, known.amount) != (assignment_id, kind, amount):
            raise Conflict("duty.already_received")
        return known
    order = orders.hold_order(session, order_id=duty.order_id)
    permits.require("duty.expense", actor, owner_id=duty.driver.user_id, state=order.state)
    on, path = clock.local_date(now), duty.vehicle.org.path
    rules.check_amount(amount, policies.value(session, "expense.most_cny", on, path))
    out_at = queries.checked_out_at(session, assignment_id=duty.id) or order.start_at
    paid_at = rules.expense_time(at, checked_out_at=out_at, now=now)
    within = timedelta(minutes=float(policies.value(session, "expense.twin_min", on, path)))
    twin = queries.find_twin(session, driver_id=duty.driver_id, kind=kind, amount=amount, at=paid_at, within=within)
    made = TripExpense(
        org_id=duty.org_id, assignment_id=duty.id, driver_id=duty.driver_id, kind=kind, amount=amount, at=paid_at, received_at=now,
        note=note, idempotency_key=idempotency_key, twin_id=twin.id if twin else None,
    )  # fmt: skip
    session.add(made)
    session.flush()
    if photo:
        attachments.attach(session, org_id=made.org_id, subject_type="trip_expense", subject_id=made.id, label=kind, name=photo[0],
                           content=photo[1], actor=actor, now=now)  # fmt: skip
    audit.record(session, actor=actor, now=now, action="duty.expense_added", subject_type="trip_expense", subject_id=made.id,
                 org_id=made.org_id, order=order.number, kind=kind, amount=amount, at=paid_at, twin=made.twin_id)  # fmt: skip
    return made


def void(session: Session, *, expense_id: int, reason: str, actor: Actor, now: datetime) -> TripExpense:
    """Make a wrong expense void; it stays on record. A second time does nothing.

    :raises NotFound: neither of the actor's duty nor within reach.
    :raises NotAllowed: somebody who may only read, or the journey is confirmed.
    """
    expense = queries.get_expense(session, expense_id=expense_id, actor=actor)
    order = orders.hold_order(session, order_id=expense.assignment.order_id)
    permits.require(
        "duty.void_expense", actor, org_path=expense.org.path, owner_id=expense.driver.user_id, state=order.state
    )
    if expense.void_at is not None:
        return expense
    expense.void_at, expense.void_by, expense.void_reason = now, actor.user_id, reason
    audit.record(session, actor=actor, now=now, action="duty.expense_voided", subject_type="trip_expense", subject_id=expense.id,
                 org_id=expense.org_id, order=order.number, reason=reason)  # fmt: skip
    return expense
