"""What keeps applications moving: reminders, lapsing of what nobody did, approving many at once that need no second look."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.approvals import queries as approvals
from fleetapp.approvals import service as approval_service
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.orders import cases, queries, rules, service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import Area, OrderAction, OrderKind
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Check:
    """One thing an approver would look at; ``ok`` false: look at this order by itself. ``code`` says what it is about."""

    code: str
    ok: bool


def checks(session: Session, orders: Sequence[TravelOrder], *, actor: Actor, now: datetime) -> dict[int, list[Check]]:
    """Return the checks of some orders by id, in the same few statements however many there are."""
    if not orders:
        return {}
    limits = {
        order.org_id: service.limits(session, now=now, org_path=order.org.path)
        for order in {one.org_id: one for one in orders}.values()
    }
    first = min(clock.local_date(order.start_at) for order in orders)
    last = max(clock.local_date(order.end_at) for order in orders)
    off = {
        day.on
        for day in workdays.day_kinds(session, first, last + timedelta(days=1))
        if day.kind != DayKind.WORKDAY or not day.known
    }
    twice = queries.same_day(session, orders)
    return {
        order.id: [
            Check("ahead", order.start_at > now),
            Check("lead", order.kind != OrderKind.ORDINARY or order.start_at >= order.created_at.replace(second=0, microsecond=0)
                  + limits[order.org_id].lead_time),
            Check("workday", not off & set(_days(order))),
            Check("area", order.area not in {Area.PROVINCE, Area.BEYOND}),
            Check("own_name", not rules.is_named(order.passengers, [actor.name])),
            Check("once", order.id not in twice),
            Check("on_time", not order.supplementary),
        ]
        for order in orders
    }  # fmt: skip


def approve_batch(session: Session, *, order_ids: Collection[int], actor: Actor, now: datetime) -> list[TravelOrder]:
    """Approve many orders at once, all or none: only those that wait for the actor and whose checks are all green.

    :raises RuleBroken: ``orders.batch_empty``, ``orders.batch_not_green`` with the numbers of those that need a look.
    :raises NotAllowed: one of them is one's own, or does not wait for the actor.
    """
    permits.require("orders.approve", actor)
    if not order_ids or len(order_ids) > MOST_AT_ONCE:
        raise RuleBroken("orders.batch_empty")
    orders = [queries.lock_order(session, order_id=order_id, actor=actor) for order_id in sorted(set(order_ids))]
    found = checks(session, orders, actor=actor, now=now)
    amber = [order.number for order in orders if not all(check.ok for check in found[order.id])]
    if amber:
        raise RuleBroken("orders.batch_not_green", numbers="、".join(amber))
    return [service.approve(session, order_id=order.id, actor=actor, now=now, note="同意。") for order in orders]


def _days(order: TravelOrder) -> list[object]:
    first, last = clock.local_date(order.start_at), clock.local_date(order.end_at)
    return [first + timedelta(days=day) for day in range((last - first).days + 1)]


def remind(session: Session, *, order_id: int, actor: Actor, now: datetime) -> TravelOrder:
    """Remind whoever an application waits for, at most every two hours.

    :raises NotAllowed: not one's own order, unit or part of the tree.
    :raises RuleBroken: ``approvals.reminded``.
    """
    order = queries.lock_order(session, order_id=order_id, actor=actor)
    permits.require("orders.remind", actor, org_path=order.org.path, owner_id=cases.owner_of(order, actor))
    if order.state not in rules.WAITING or order.approval_case_id is None:
        raise NotAllowed("kit.wrong_state", action="orders.remind", state=order.state)
    case = approvals.get_case(session, case_id=order.approval_case_id, lock=True)
    to = approval_service.remind(session, case=case, actor=actor, now=now)
    cases.tell(
        session, order, "orders.notice.remind", to=to, key=f"remind.{case.id}.{now.isoformat()}", now=now, urgent=True
    )
    return order


def lapse(session: Session, *, order: TravelOrder, reason: str, now: datetime) -> TravelOrder:
    """Cancel in the system's name a locked order whose window is over without a decision or a vehicle, and say so."""
    asked = []
    if order.approval_case_id is not None:
        case = approvals.get_case(session, case_id=order.approval_case_id, lock=True)
        row = approvals.open_task(case)
        asked = list(row.user_ids) if row else []
    cases.end_case(session, order, actor=SYSTEM, now=now, note=reason)
    service.advance(session, order=order, action=OrderAction.LAPSE, actor=SYSTEM, now=now, note=reason)
    cases.tell(
        session, order, "orders.notice.lapse", to={*cases.barred(order), *asked}, key=f"order.{order.id}.lapse", now=now
    )
    return order
