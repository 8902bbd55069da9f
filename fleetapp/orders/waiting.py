"""Whom every order that is not finished waits for: one page of rows, the same few statements however long the list."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, literal_column, or_, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.approvals import queries as approvals
from fleetapp.approvals.models import ApprovalCase, ApprovalTask
from fleetapp.approvals.rules import TaskState
from fleetapp.kit.actor import Actor
from fleetapp.orders import queries
from fleetapp.orders.models import UNFINISHED, OrderChange, OrderEvent, TravelOrder
from fleetapp.orders.rules import ChangeState, OrderState


class Step(StrEnum):
    """What an order waits for next."""

    APPROVE = "approve"
    EDIT = "edit"
    DISPATCH = "dispatch"
    DRIVER = "driver"
    CONFIRM = "confirm"
    SETTLE = "settle"


STEP_OF: Mapping[OrderState, Step] = {
    OrderState.SUBMITTED: Step.APPROVE,
    OrderState.APPROVING: Step.APPROVE,
    OrderState.SENT_BACK: Step.EDIT,
    OrderState.APPROVED: Step.DISPATCH,
    OrderState.DISPATCHED: Step.DRIVER,
    OrderState.DRIVER_ACCEPTED: Step.DRIVER,
    OrderState.CHECKED_OUT: Step.DRIVER,
    OrderState.EN_ROUTE: Step.DRIVER,
    OrderState.OUTSOURCED: Step.CONFIRM,
    OrderState.RETURNED: Step.CONFIRM,
    OrderState.MILEAGE_CONFIRMED: Step.SETTLE,
    OrderState.SETTLED: Step.SETTLE,
}
"""The step of every state that is not over."""
CONFIRM_WITHIN = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Row:
    """An order, its step, who it waits for by name where that is known, since when, and whether that is too long.

    ``level`` is the name of the approval level; ``redispatch``: a change broke the booking of the vehicle.
    """

    order: TravelOrder
    step: Step
    people: Sequence[UserAccount]
    since: datetime
    overdue: bool
    level: str = ""
    escalated: str = ""
    redispatch: bool = False


def listed(
    actor: Actor, *, step: str = "", org_path: str = "", only_late: bool = False, now: datetime
) -> queries.Orders:
    """Return the orders that are not finished, soonest journey first; a step and a part of the tree narrow them."""
    states = [state for state in STEP_OF if not step or STEP_OF[state] == step]
    rows = queries.visible_to(actor).where(
        TravelOrder.state.in_([literal_column(f"'{state}'") for state in states]), literal_column(UNFINISHED)
    )
    if org_path:
        rows = rows.where(TravelOrder.org.has(Organisation.path.startswith(org_path, autoescape=True)))
    if only_late:
        late = select(ApprovalTask.id).where(
            ApprovalTask.case_id == TravelOrder.approval_case_id,
            ApprovalTask.state == TaskState.OPEN,
            ApprovalTask.due_at < now,
        )
        rows = rows.where(
            or_(
                late.exists(),
                TravelOrder.state.in_([OrderState.SENT_BACK, OrderState.APPROVED, OrderState.DISPATCHED])
                & (TravelOrder.start_at < now),
                TravelOrder.state.in_([OrderState.RETURNED, OrderState.OUTSOURCED])
                & (TravelOrder.end_at < now - CONFIRM_WITHIN),
            )
        )
    return rows.order_by(None).order_by(TravelOrder.start_at, TravelOrder.id)


def rows_of(session: Session, orders: Sequence[TravelOrder], *, now: datetime) -> list[Row]:
    """Return whom each of some orders waits for."""
    ids = [order.id for order in orders]
    open_tasks = (
        select(ApprovalCase.subject_id, ApprovalTask)
        .join(ApprovalTask, ApprovalTask.case_id == ApprovalCase.id)
        .where(ApprovalCase.subject == "order", ApprovalCase.subject_id.in_(ids), ApprovalTask.state == TaskState.OPEN)
    )
    tasks: dict[int, ApprovalTask] = {row[0]: row[1] for row in session.execute(open_tasks)}
    names = approvals.people(session, {one for task in tasks.values() for one in task.user_ids})
    since = dict(
        session.execute(
            select(OrderEvent.order_id, func.max(OrderEvent.at)).where(OrderEvent.order_id.in_(ids)).group_by(OrderEvent.order_id)
        ).all()
    )  # fmt: skip
    broken = _broken(session, ids)
    found = []
    for order in orders:
        step = STEP_OF[OrderState(order.state)]
        if order.id in broken and step is Step.DRIVER:
            step = Step.DISPATCH
        task = tasks.get(order.id) if step is Step.APPROVE else None
        at = (task.opened_at if task else None) or since.get(order.id) or order.created_at
        people = [names[one] for one in task.user_ids if one in names] if task else []
        if step in {Step.EDIT, Step.CONFIRM}:
            people = [order.applicant]
        found.append(Row(order, step, people, at, _overdue(order, step, task, at, now), task.name if task else "",
                         (task.escalated or "") if task else "", order.id in broken))  # fmt: skip
    return found


def _broken(session: Session, ids: Collection[int]) -> set[int]:
    """Return the orders whose vehicle does not fit their newest change and has not been sent anew since."""
    sent = (
        select(func.max(OrderEvent.at))
        .where(OrderEvent.order_id == OrderChange.order_id, OrderEvent.action == "dispatch")
        .scalar_subquery()
    )
    return set(
        session.scalars(
            select(OrderChange.order_id).where(
                OrderChange.order_id.in_(ids), OrderChange.redispatch, OrderChange.state == ChangeState.APPLIED, OrderChange.applied_at >= sent
            )
        )
    )  # fmt: skip


def _overdue(order: TravelOrder, step: Step, task: ApprovalTask | None, since: datetime, now: datetime) -> bool:
    match step:
        case Step.APPROVE:
            return task is not None and task.due_at is not None and task.due_at < now
        case Step.EDIT | Step.DISPATCH:
            return order.start_at < now
        case Step.DRIVER:
            return (order.start_at < now and order.state == OrderState.DISPATCHED) or order.end_at < now
        case Step.CONFIRM:
            return since < now - CONFIRM_WITHIN
    return False
