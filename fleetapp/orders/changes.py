"""Change orders (变更单): the only way an approved order's content moves on.

A change keeps the order as it was and as it will be, word for word as the database writes both. A window that only gets
shorter stands at once. Anything else asks again: the first level of the chain that the order was approved by, and every
level whose reason is new or has grown. Once agreed to it is applied in the same transaction. A vehicle held for the order
keeps its booking where it still fits; where it does not, the change is marked and the dispatcher, who is told, gives the
vehicle back and sends another: orders know nothing of bookings, so planning looks for the mark.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.approvals import queries as approvals
from fleetapp.approvals import rules as approval_rules
from fleetapp.approvals import service as approval_service
from fleetapp.approvals.rules import CaseState, Facts, Verdict
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.orders import cases, queries, rules, service, way
from fleetapp.orders.models import OrderChange, TravelOrder
from fleetapp.orders.rules import ChangeState, OrderKind, OrderState

CONTENT = text("SELECT order_content(o) FROM travel_order o WHERE o.id = :id")
# Bookings belong to the slice above; the database moves them along with the hours and tells whether they still cover the order.
BOOKED = text("SELECT order_booked(:id)")
MOMENTS = ("start_at", "end_at")
PLAIN = ("passengers", "passenger_count", "contact", "body", "area", "route_m")
STATE_OF = {
    CaseState.AGREED: ChangeState.APPROVED,
    CaseState.REJECTED: ChangeState.REJECTED,
    CaseState.RETURNED: ChangeState.REJECTED,
}


def request(
    session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime, stops: Sequence[rules.Stop] | None = None,
    **content: Any,
) -> OrderChange:  # fmt: skip
    """Ask to change an approved order; ``content`` holds any of window, passengers, contact, body, area, route.

    A change that only shortens the window is applied at once. Without ``route_m`` the way of new stops is estimated.

    :raises NotAllowed: not one's own order or unit, or not in a state that can change.
    :raises RuleBroken: ``orders.change_reason``, ``change_nothing``, ``change_started``, or what an application is refused for.
    :raises Conflict: ``orders.change_open``, another one is under way.
    """
    queries.lock_bookings(session)
    order = queries.lock_order(session, order_id=order_id, actor=actor)
    permits.require("orders.change", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state)
    if not reason.strip():
        raise RuleBroken("orders.change_reason")
    if unknown := set(content) - {*MOMENTS, *PLAIN}:
        raise ValueError(f"{sorted(unknown)} cannot be changed; one of {[*MOMENTS, *PLAIN]} can.")
    if any(change.state in {ChangeState.REQUESTED, ChangeState.APPROVED} for change in order.changes):
        raise Conflict("orders.change_open")
    before = content_of(session, order)
    after = {**before, **{name: content[name] for name in PLAIN if name in content},
             **{name: _text(content[name]) for name in MOMENTS if name in content}}  # fmt: skip
    if stops is not None:
        after["stops"] = [
            {"name": stop.name, "lat": stop.lat, "lon": stop.lon, "tolerance_m": stop.tolerance_m} for stop in stops
        ]
        if "route_m" not in content and after["stops"] != before["stops"]:
            after |= way.measured(order.org, stops, round_trip=order.round_trip)
    if after == before:
        raise RuleBroken("orders.change_nothing")
    _check(order, after, now=now)
    shorter = only_shorter(before, after)
    change = OrderChange(order_id=order.id, reason=reason, before=before, after=after, redispatch=False, requested_by=actor.user_id,
                         created_at=now, state=ChangeState.APPROVED if shorter else ChangeState.REQUESTED)  # fmt: skip
    change.order = order
    session.add(change)
    session.flush()
    _record(session, change, "change_requested", actor=actor, now=now, note=reason)
    if shorter:
        return _apply(session, change, actor=actor, now=now)
    approved_by = approvals.get_case(session, case_id=order.approval_case_id) if order.approval_case_id else None
    limits = service.limits(session, now=order.created_at, org_path=order.org.path)
    was, will = (_facts(session, order, content, limits=limits) for content in (before, after))
    if approved_by is None:
        chain = approvals.standing_chain(session, org_path=order.org.path, on=now.date())
    else:
        chain = approved_by.chain
    levels = [row.value() for row in chain.levels]
    case = approval_service.open_case(
        session, org=order.org, subject=cases.CHANGE, subject_id=order.id, number=order.number,
        barred={*cases.barred(order), actor.user_id, *queries.hands_of(session, order_id=order.id)}, facts=will, actor=actor, now=now,
        only=approval_rules.touched(levels, was, will, first=True), chain_id=chain.id, about={"change": change.id},
    )  # fmt: skip
    change.approval_case_id = case.id
    session.flush()
    cases.tell_asked(session, order, case, now=now)
    return change


def decide(
    session: Session, *, change_id: int, verdict: Verdict, actor: Actor, now: datetime, note: str | None = None,
    person_id: int | None = None,
) -> OrderChange:  # fmt: skip
    """Do any verdict of the approval chain on a change; agreed to by every level it is applied. Sent back it is given up.

    :raises Conflict: ``orders.change_decided``.
    :raises RuleBroken: ``orders.change_stale``, the order went on meanwhile.
    """
    queries.lock_bookings(session)
    change = queries.get_change(session, change_id=change_id)
    order = queries.lock_order(session, order_id=change.order_id, actor=actor)
    change = queries.get_change(session, change_id=change_id, lock=True)
    permits.require("orders.approve", actor)
    if change.state != ChangeState.REQUESTED or change.approval_case_id is None:
        raise Conflict("orders.change_decided", number=order.number)
    case = approvals.get_case(session, case_id=change.approval_case_id, lock=True)
    waited = approvals.open_task(case)
    approval_service.decide(session, case=case, verdict=verdict, actor=actor, now=now, note=note, person_id=person_id)
    state = STATE_OF.get(CaseState(case.state))
    if state is None:
        if approvals.open_task(case) is not waited:
            cases.tell_asked(session, order, case, now=now)
        return change
    change.state = state
    session.flush()
    if state is ChangeState.APPROVED:
        return _apply(session, change, actor=actor, now=now)
    _record(session, change, "change_refused", actor=actor, now=now, note=note)
    cases.tell(session, order, "orders.notice.change_refused", to={*cases.barred(order), change.requested_by},
               key=f"change.{change.id}.refused", now=now)  # fmt: skip
    return change


def withdraw(session: Session, *, change_id: int, actor: Actor, now: datetime) -> OrderChange:
    """Take back a change that is not decided; a second time does nothing."""
    change = queries.get_change(session, change_id=change_id)
    order = queries.lock_order(session, order_id=change.order_id, actor=actor)
    permits.require("orders.change", actor, org_path=order.org.path, owner_id=order.applicant_id)
    change = queries.get_change(session, change_id=change_id, lock=True)
    if change.state == ChangeState.WITHDRAWN:
        return change
    if change.state != ChangeState.REQUESTED:
        raise Conflict("orders.change_decided", number=order.number)
    if change.approval_case_id is not None:
        case = approvals.get_case(session, case_id=change.approval_case_id, lock=True)
        approval_service.end(session, case=case, actor=actor, now=now, note="withdraw")
    change.state = ChangeState.WITHDRAWN
    session.flush()
    _record(session, change, "change_withdrawn", actor=actor, now=now, note=None)
    return change


def only_shorter(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether a change does nothing but leave less of the window: that takes nothing that was not approved."""
    rest = {name for name in before if name not in {"start_at", "end_at"}}
    same = all(before[name] == after[name] for name in rest)
    return bool(same and before["start_at"] <= after["start_at"] and after["end_at"] <= before["end_at"])


def breaks_booking(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether a vehicle held for an order may not fit the change: more people, another class, another way."""
    return bool(
        after["passenger_count"] > before["passenger_count"]
        or after["body"] != before["body"]
        or after["stops"] != before["stops"]
    )


def content_of(session: Session, order: TravelOrder) -> dict[str, Any]:
    """Return what of an order can be changed, as the database writes it."""
    session.flush()
    return dict(session.execute(CONTENT, {"id": order.id}).scalar_one())


def _apply(session: Session, change: OrderChange, *, actor: Actor, now: datetime) -> OrderChange:
    """Let an approved change stand; the database compares word for word."""
    order, after = change.order, change.after
    if order.state not in rules.CHANGEABLE or content_of(session, order) != change.before:
        raise RuleBroken("orders.change_stale", number=order.number)
    for name in PLAIN:
        setattr(order, name, after[name])
    order.start_at, order.end_at = (_moment(after[name]) for name in MOMENTS)
    session.flush()
    if after["stops"] != change.before["stops"]:
        cases.put_stops(session, order=order, stops=[rules.Stop(**stop) for stop in after["stops"]], now=now)
    held = order.state != OrderState.APPROVED
    covered = session.execute(BOOKED, {"id": order.id}).scalar_one()
    change.redispatch = held and (not covered or breaks_booking(change.before, after))
    change.state, change.applied_at = ChangeState.APPLIED, now
    session.flush()
    _record(session, change, "change_applied", actor=actor, now=now, note=change.reason)
    cases.tell(session, order, "orders.notice.changed", to={*cases.barred(order), *queries.hands_of(session, order_id=order.id)},
               key=f"change.{change.id}.applied", now=now)  # fmt: skip
    if change.redispatch:
        dispatchers = accounts.holders(session, role=Role.DISPATCHER, org_path=order.org.path)
        cases.tell(
            session,
            order,
            "orders.notice.redispatch",
            to=dispatchers,
            key=f"change.{change.id}.redispatch",
            now=now,
            urgent=True,
        )
    return change


def _check(order: TravelOrder, after: Mapping[str, Any], *, now: datetime) -> None:
    start_at, end_at = (_moment(after[name]) for name in MOMENTS)
    if start_at >= end_at:
        raise RuleBroken("orders.window_reversed")
    if end_at - start_at > rules.LONGEST_WINDOW:
        raise RuleBroken("orders.window_too_long", days=rules.LONGEST_WINDOW.days)
    moved = start_at != order.start_at
    out = order.state in {OrderState.CHECKED_OUT, OrderState.EN_ROUTE}
    if (moved and (out or (start_at < now and not order.supplementary))) or (end_at <= now and not order.supplementary):
        raise RuleBroken("orders.change_started")
    rules.check_people(OrderKind(order.kind), after["passengers"], after["passenger_count"])
    rules.check_stops([rules.Stop(**stop) for stop in after["stops"]])


def _facts(session: Session, order: TravelOrder, content: Mapping[str, Any], *, limits: rules.Limits) -> Facts:
    return cases.facts(
        session, kind=order.kind, start_at=_moment(content["start_at"]), end_at=_moment(content["end_at"]), area=content["area"],
        route_m=content["route_m"], points=[(stop["lat"], stop["lon"]) for stop in content["stops"]], supplementary=order.supplementary,
        filed_at=order.created_at, limits=limits, org_path=order.org.path,
    )  # fmt: skip


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


def _record(session: Session, change: OrderChange, what: str, *, actor: Actor, now: datetime, note: str | None) -> None:
    audit.record(session, actor=actor, now=now, action=f"orders.{what}", subject_type="order_change", subject_id=change.id,
                 org_id=change.order.org_id, number=change.order.number, state=change.state, note=note)  # fmt: skip
