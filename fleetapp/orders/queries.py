"""Reading of orders, their stops, events and slips."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Interval, Select, and_, func, literal, or_, select, text, type_coerce
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.approvals import queries as approvals
from fleetapp.approvals.models import ApprovalCase, ApprovalTask
from fleetapp.kit import permits
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.orders import cases, rules
from fleetapp.orders.models import DispatchSlip, Occasion, OrderChange, OrderEvent, OrderStop, TravelOrder
from fleetapp.orders.rules import OccasionState, OrderKind
from fleetapp.policies import queries as policies
from fleetapp.policies.preview import Measure

ONE_WRITER = text("SELECT pg_advisory_xact_lock(hashtext('planning'))")
Orders = Select[TravelOrder]


def _reach(action: str, actor: Actor) -> ColumnElement[bool]:
    """Return the condition under which the permission table opens a row to the actor for ``action``.

    Confidential orders open to fewer; the database decides the same (policy ``confidential``).
    """
    if actor.has(Role.SYSTEM):
        return TravelOrder.id.is_not(None)
    mine = or_(TravelOrder.applicant_id == actor.user_id, TravelOrder.filed_by_id == actor.user_id)
    return and_(_granted(action, actor, mine), or_(TravelOrder.kind != OrderKind.CONFIDENTIAL, mine,
                                                   _granted("orders.read_confidential", actor, mine)))  # fmt: skip


def _granted(action: str, actor: Actor, mine: ColumnElement[bool]) -> ColumnElement[bool]:
    scopes = permits.table()[action].roles
    parts: list[ColumnElement[bool]] = [TravelOrder.id.is_(None)]
    for grant in actor.grants:
        match scopes.get(grant.role):
            case "own":
                parts.append(mine)
            case "unit":
                parts.append(TravelOrder.org_id == grant.org_id)
            case "subtree":
                inside = select(Organisation.id).where(Organisation.path.startswith(grant.org_path, autoescape=True))
                parts.append(or_(TravelOrder.org_id.in_(inside), TravelOrder.serving_org_id.in_(inside)))
    return or_(*parts)


def _readable(actor: Actor) -> ColumnElement[bool]:
    """Return the condition that the actor may read an order: by the permission table, or asked to decide it."""
    if actor.user_id is None or not permits.may("orders.approve", actor):
        return _reach("orders.read", actor)
    return or_(_reach("orders.read", actor), TravelOrder.id.in_(approvals.subjects_asked(actor)))


def visible_to(actor: Actor) -> Orders:
    """Return the orders that the permission table opens to the actor, newest journey first, with what lists show.

    A sub-tree reaches orders of its units and orders that its vehicles serve. Drivers find theirs through duty. One's
    own are those asked for and those filed for a colleague.
    """
    return (
        select(TravelOrder)
        .where(_readable(actor))
        .options(
            joinedload(TravelOrder.org),
            joinedload(TravelOrder.applicant),
            joinedload(TravelOrder.approver),
            selectinload(TravelOrder.stops),
        )
        .order_by(TravelOrder.start_at.desc(), TravelOrder.id.desc())
    )


def filtered(
    rows: Orders,
    *,
    group: str = "all",
    state: str | None = None,
    kind: str | None = None,
    q: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
) -> Orders:
    """Narrow a list: a tab, one state, a kind, a text, a start in ``[start, end)``.

    The text is looked for in number, reason, passengers, applicant, and the note of the dispatch (plate, slip number).
    """
    conditions: list[ColumnElement[bool]] = []
    if group in rules.GROUPS:
        conditions.append(TravelOrder.state.in_(rules.GROUPS[group]))
    if state:
        conditions.append(TravelOrder.state == state)
    if kind:
        conditions.append(TravelOrder.kind == kind)
    if start:
        conditions.append(TravelOrder.start_at >= start)
    if end:
        conditions.append(TravelOrder.start_at < end)
    if q:
        person = aliased(UserAccount)
        fields: tuple[Any, ...] = (TravelOrder.number, TravelOrder.reason, TravelOrder.passengers)
        named = select(person.id).where(
            or_(*(field.icontains(q, autoescape=True) for field in (person.name_zh, person.name_en, person.username)))
        )
        # What planning noted when it sent a vehicle: plate and slip number.
        sent = select(OrderEvent.order_id).where(
            OrderEvent.action == rules.OrderAction.DISPATCH, OrderEvent.note.icontains(q, autoescape=True)
        )
        conditions.append(
            or_(
                *(field.icontains(q, autoescape=True) for field in fields),
                TravelOrder.applicant_id.in_(named),
                TravelOrder.id.in_(sent),
            )
        )
    return rows.where(and_(True, *conditions))


def count_by_group(session: Session, rows: Orders) -> dict[str, int]:
    """Return how many of the rows are in each tab, and in ``all``; run it before narrowing to one tab."""
    inside = rows.order_by(None).subquery()
    states = session.execute(select(inside.c.state, func.count()).group_by(inside.c.state))
    found = {str(state): int(number) for state, number in states}
    counts = {name: sum(found.get(state, 0) for state in group) for name, group in rules.GROUPS.items()}
    return {**counts, "all": sum(found.values())}


def _asked(actor: Actor, *, subject: str, at: datetime) -> Select[int]:
    return (
        select(ApprovalCase.subject_id)
        .join(ApprovalTask, ApprovalTask.case_id == ApprovalCase.id)
        .join(approvals.CaseOrg, approvals.CaseOrg.id == ApprovalCase.org_id)
        .where(ApprovalCase.subject == subject, approvals.waits_for(actor, at=at))
    )


def inbox(actor: Actor, *, at: datetime) -> Orders:
    """Return the orders that wait for the actor's decision at a moment, soonest journey first; never the actor's own."""
    return (
        visible_to(actor)
        .where(TravelOrder.state.in_(rules.WAITING), TravelOrder.id.in_(_asked(actor, subject=cases.ORDER, at=at)))
        .order_by(None)
        .order_by(TravelOrder.start_at, TravelOrder.id)
    )


def changes_to_decide(session: Session, *, actor: Actor, at: datetime) -> Sequence[OrderChange]:
    """Return the change orders that wait for the actor's decision at a moment, the oldest first."""
    return session.scalars(
        select(OrderChange)
        .join(ApprovalCase, ApprovalCase.id == OrderChange.approval_case_id)
        .where(
            OrderChange.state == rules.ChangeState.REQUESTED,
            OrderChange.order_id.in_(_asked(actor, subject=cases.CHANGE, at=at)),
        )
        .options(joinedload(OrderChange.order).joinedload(TravelOrder.org), joinedload(OrderChange.requester))
        .order_by(OrderChange.id)
        .limit(100)
    ).all()


def get_change(session: Session, *, change_id: int, lock: bool = False) -> OrderChange:
    """Return a change with its order; who may see the order sees it.

    :raises NotFound: no such change, or out of scope.
    """
    if lock:
        session.scalar(select(OrderChange.id).where(OrderChange.id == change_id).with_for_update())
    change = session.scalar(
        select(OrderChange)
        .where(OrderChange.id == change_id)
        .options(joinedload(OrderChange.order).joinedload(TravelOrder.org), joinedload(OrderChange.requester))
        .execution_options(populate_existing=True)
    )
    if change is None:
        raise NotFound("kit.not_found")
    return change


def hands_of(session: Session, *, order_id: int) -> set[int]:
    """Return who dispatched, accepted or drove an order so far: none of them decides about it."""
    actions = (rules.OrderAction.DISPATCH, rules.OrderAction.ACCEPT, rules.OrderAction.CHECK_OUT)
    rows = session.scalars(
        select(OrderEvent.actor_id).where(
            OrderEvent.order_id == order_id, OrderEvent.action.in_(actions), OrderEvent.actor_id.is_not(None)
        )
    )
    return {one for one in rows if one is not None}


def same_day(session: Session, orders: Sequence[TravelOrder]) -> set[int]:
    """Return those of some orders whose applicant has another living one that overlaps them."""
    mine, other = aliased(TravelOrder), aliased(TravelOrder)
    over = rules.GROUPS["over"]
    return set(
        session.scalars(
            select(mine.id)
            .join(other, and_(other.applicant_id == mine.applicant_id, other.id != mine.id, other.start_at < mine.end_at,
                              other.end_at > mine.start_at, other.state.not_in(over)))
            .where(mine.id.in_([order.id for order in orders]))
        )
    )  # fmt: skip


LAPSING = frozenset({*rules.WAITING, rules.OrderState.SENT_BACK, rules.OrderState.APPROVED})


def lapsed(session: Session, *, before: datetime, limit: int) -> list[tuple[int, str, datetime]]:
    """Return orders without a decision or a vehicle whose window ended before a moment: id, unit's path, end; oldest first."""
    rows = session.execute(
        select(TravelOrder.id, Organisation.path, TravelOrder.end_at)
        .join(TravelOrder.org)
        .where(TravelOrder.state.in_(LAPSING), TravelOrder.end_at < before)
        .order_by(TravelOrder.end_at, TravelOrder.id)
        .limit(limit)
    )
    return [(order_id, path, end_at) for order_id, path, end_at in rows]


def approved_waiting(
    session: Session, *, actor: Actor, start: datetime, end: datetime, limit: int = 500
) -> Sequence[TravelOrder]:
    """Return the orders that wait for a vehicle and whose window overlaps ``[start, end)``, soonest first."""
    return session.scalars(
        visible_to(actor)
        .where(TravelOrder.state == rules.OrderState.APPROVED, TravelOrder.start_at < end, TravelOrder.end_at > start)
        .order_by(None)
        .order_by(TravelOrder.start_at, TravelOrder.id)
        .limit(limit)
    ).all()


def readable(session: Session, *, order_ids: Collection[int], actor: Actor) -> set[int]:
    """Return those of some orders that the actor may open, for pages of other slices that name orders."""
    if not permits.may("orders.read", actor):
        return set()
    rows = select(TravelOrder.id).where(_readable(actor), TravelOrder.id.in_(order_ids))
    return set(session.scalars(rows))


def get_order(session: Session, *, order_id: int, actor: Actor) -> TravelOrder:
    """Return an order that the actor may see, with stops and events.

    :raises NotFound: no such order, or out of reach.
    """
    order = session.scalar(
        visible_to(actor)
        .where(TravelOrder.id == order_id)
        .options(selectinload(TravelOrder.events).joinedload(OrderEvent.actor))
    )
    if order is None:
        raise NotFound("kit.not_found")
    return order


def lock_bookings(session: Session) -> None:
    """Wait for whoever is assigning, lending, keeping or moving vehicles; until the end of the transaction nobody else does.

    One writer at a time costs nothing, as the audit chain puts all writers in order anyway, and it means that writers who
    hold several vehicles never wait for each other in a circle. The triggers that judge bookings take the same lock.
    """
    session.execute(ONE_WRITER)


def lock_order(session: Session, *, order_id: int, actor: Actor) -> TravelOrder:
    """Return an order that the actor may see as everybody ahead has left it; nobody else changes it until the end.

    :raises NotFound: no such order, or out of reach.
    """
    return _locked(session, order_id, visible_to(actor))


def hold_order(session: Session, *, order_id: int) -> TravelOrder:
    """Return a locked order of the actor's part of the tree, for higher slices that check the permission themselves.

    A driver, for one, reaches an order through the duty, not through the list.

    :raises NotFound: no such order, or out of scope.
    """
    return _locked(session, order_id, visible_to(SYSTEM))


def _locked(session: Session, order_id: int, rows: Orders) -> TravelOrder:
    # Locking and reading are two statements: the second one sees what the transaction waited for has left.
    session.scalar(select(TravelOrder.id).where(TravelOrder.id == order_id).with_for_update())
    order = session.scalar(rows.where(TravelOrder.id == order_id).execution_options(populate_existing=True))
    if order is None:
        raise NotFound("kit.not_found")
    return order


def find_by_request_key(session: Session, *, applicant_id: int, request_key: str) -> TravelOrder | None:
    """Return the order that this request has already made, if any."""
    return session.scalar(
        select(TravelOrder)
        .where(TravelOrder.applicant_id == applicant_id, TravelOrder.request_key == request_key)
        .options(selectinload(TravelOrder.stops))
    )


REMEMBERED = 100
"""Of how many orders the places are offered again."""


def recent_stops(session: Session, *, actor: Actor, limit: int = 8) -> list[dict[str, Any]]:
    """Return the places of the actor's newest ``REMEMBERED`` orders, newest first, each once: ``{name, lat, lon}``."""
    newest = func.max(OrderStop.id)
    own = (
        select(TravelOrder.id)
        .where(TravelOrder.applicant_id == actor.user_id)
        .order_by(TravelOrder.id.desc())
        .limit(REMEMBERED)
    )
    rows = session.execute(
        select(OrderStop.name, func.max(OrderStop.lat), func.max(OrderStop.lon))
        .where(OrderStop.order_id.in_(own), OrderStop.ended_at.is_(None))
        .group_by(OrderStop.name)
        .order_by(newest.desc())
        .limit(limit)
    )
    return [{"name": name, "lat": lat, "lon": lon} for name, lat, lon in rows]


def occasions_open(session: Session, *, actor: Actor, at: datetime) -> Sequence[Occasion]:
    """Return the events that an applicant may name in an order: not over at a moment, of the own unit or one above it."""
    query = (
        select(Occasion)
        .join(Occasion.org)
        .where(
            Occasion.state.in_([OccasionState.PLANNED, OccasionState.ACTIVE]), Occasion.end_at > at,
            literal(actor.org_path or "").startswith(Organisation.path),
        )
        .order_by(Occasion.start_at, Occasion.id)
    )  # fmt: skip
    return session.scalars(query).all()


def get_slip(session: Session, *, slip_id: int) -> DispatchSlip:
    """Return a slip of the actor's part of the tree.

    :raises NotFound: no such slip, or out of scope.
    """
    slip = session.get(DispatchSlip, slip_id)
    if slip is None:
        raise NotFound("kit.not_found")
    return slip


LOOK_BACK = timedelta(days=30)


def short_notice(session: Session, actor: Actor, code: str, on: date, now: datetime) -> list[Measure]:
    """Return the ordinary orders of the last 30 days that were asked for later than the notice of a day allows."""
    notice = type_coerce(TravelOrder.start_at - func.date_trunc("minute", TravelOrder.created_at), Interval)
    rows = session.execute(
        select(TravelOrder.id, TravelOrder.org_id, Organisation.path, notice)
        .join(TravelOrder.org)
        .where(_reach("orders.read", actor), TravelOrder.created_at >= now - LOOK_BACK, TravelOrder.kind == OrderKind.ORDINARY,
               TravelOrder.supplementary.is_(False))
    ).all()  # fmt: skip
    least_min = policies.by_org(session, code, on=on, org_paths={path for _, _, path, _ in rows})
    found = {
        order_id: org_id for order_id, org_id, path, given in rows
        if path in least_min and given < timedelta(minutes=float(least_min[path]))
    }  # fmt: skip
    return [Measure("orders.effect_short_notice", found, "orders.index", {"kind": OrderKind.ORDINARY.value})]
