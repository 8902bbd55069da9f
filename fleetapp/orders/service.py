"""Writing of orders and slips: every change of state goes through ``advance``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.approvals import queries as approvals
from fleetapp.approvals import rules as approvals_rules
from fleetapp.approvals import service as approval_service
from fleetapp.approvals.rules import CaseState, Verdict
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.notices.service import notify
from fleetapp.orders import cases, queries, rules, tell, way
from fleetapp.orders.models import DispatchSlip, OrderEvent, OrderStop, TravelOrder
from fleetapp.orders.rules import OrderAction, OrderKind, OrderState, Purpose
from fleetapp.policies import queries as policies

NEXT_NUMBER = text(
    "INSERT INTO number_series (key, last) VALUES (:key, 1)"
    " ON CONFLICT (key) DO UPDATE SET last = number_series.last + 1 RETURNING last"
)

ACTION_OF = {
    CaseState.AGREED: OrderAction.APPROVE,
    CaseState.REJECTED: OrderAction.REJECT,
    CaseState.RETURNED: OrderAction.SEND_BACK,
}
"""What the outcome of a case does to its order."""

EDITABLE = frozenset({"purpose", "reason", "passengers", "passenger_count", "contact", "body", "start_at", "end_at", "pooling_ok",
                      "round_trip", "area", "route_m", "luggage"})  # fmt: skip
"""What an applicant may put right in an order that was sent back."""


def next_number(session: Session, key: str) -> int:
    """Return the next running number of a series, from 1, without gaps.

    Holds the series until the transaction ends: who takes several takes them in the order of their keys.
    """
    return int(session.execute(NEXT_NUMBER, {"key": key}).scalar_one())


def limits(session: Session, *, now: datetime, org_path: str) -> rules.Limits:
    """Return the policy figures for new orders of a unit."""
    on = clock.local_date(now)
    lead_min = policies.value(session, "order.lead_min", on, org_path)
    supplementary_h = policies.value(session, "order.supplementary_h", on, org_path)
    return rules.Limits(
        lead_time=timedelta(minutes=float(lead_min)), supplementary=timedelta(hours=float(supplementary_h))
    )


def advance(
    session: Session,
    *,
    order: TravelOrder,
    action: OrderAction,
    actor: Actor,
    now: datetime,
    note: str | None = None,
) -> TravelOrder:
    """Move an order by ``rules.TRANSITIONS`` and write its event and audit entry.

    The caller holds the order (``queries.hold_order``) and has checked the permission: this one function serves
    planning and duty, whose actions have rows of their own in the permission table.

    :raises RuleBroken: ``orders.wrong_step``, ``orders.reason_needed``.
    """
    before = order.state
    after = rules.next_state(before, action)
    rules.check_reason(action, note)
    order.state = after
    if after in {OrderState.REJECTED, OrderState.CANCELLED, OrderState.NO_SHOW}:
        order.closing_reason = note
    _record(session, order=order, action=action, before=before, actor=actor, now=now, note=note)
    return order


def submit(
    session: Session,
    *,
    kind: OrderKind,
    purpose: Purpose,
    reason: str,
    passengers: str,
    passenger_count: int,
    contact: str,
    body: str,
    start_at: datetime,
    end_at: datetime,
    stops: Sequence[rules.Stop],
    actor: Actor,
    now: datetime,
    supplementary: bool = False,
    request_key: str | None = None,
    applicant_id: int | None = None,
    pooling_ok: bool = False,
    round_trip: bool = True,
    luggage: str = "",
    series: str | None = None,
    wanted_plate: str = "",
    occasion_id: int | None = None,
    note: str | None = None,
) -> TravelOrder:
    """Apply for a vehicle over ``[start_at, end_at)``; ``stops`` begins with the origin.

    The order is for the actor's own unit, and for the colleague ``applicant_id`` of it where one is named, who is then
    told. How far it goes is worked out here. With a ``request_key`` a repeated request returns the order it made before.

    :raises RuleBroken: purpose, window, people or stops against the rules; ``orders.no_unit`` without a unit;
        ``orders.no_colleague``; ``orders.plate_unknown``, ``orders.plate_for_service``; ``orders.occasion_kind``,
        ``orders.occasion_over``.
    """
    if actor.user_id is None or actor.org_id is None:
        raise RuleBroken("orders.no_unit")
    applicant_id = applicant_id or actor.user_id
    permits.require(
        "orders.create_service" if kind is OrderKind.SERVICE else "orders.create", actor, org_path=actor.org_path
    )
    if applicant_id != actor.user_id:
        permits.require("orders.file_for", actor, org_path=actor.org_path)
        if applicant_id not in {colleague.id for colleague in accounts.colleagues(session, actor=actor)}:
            raise RuleBroken("orders.no_colleague")
    if request_key and (
        made := queries.find_by_request_key(session, applicant_id=applicant_id, request_key=request_key)
    ):
        return made
    rules.check_purpose(kind, purpose)
    rules.check_window(
        start_at, end_at, kind=kind, supplementary=supplementary, now=now,
        limits=limits(session, now=now, org_path=actor.org_path),
    )  # fmt: skip
    rules.check_people(kind, passengers, passenger_count)
    rules.check_stops(stops)
    if occasion_id is not None:
        rules.check_occasion(
            kind, occasion_id, {one.id for one in queries.occasions_open(session, actor=actor, at=now)}
        )
    wanted = way.wanted_vehicle(session, kind=kind, plate=wanted_plate)
    day = f"YC{clock.local_date(now):%Y%m%d}"
    order = TravelOrder(
        org_id=actor.org_id, number=f"{day}-{next_number(session, day):04d}", kind=kind, purpose=purpose, reason=reason,
        applicant_id=applicant_id, passengers=passengers, passenger_count=passenger_count, contact=contact, body=body,
        start_at=start_at, end_at=end_at, state=rules.next_state(None, OrderAction.SUBMIT), supplementary=supplementary,
        created_at=now, request_key=request_key, filed_by_id=actor.user_id, pooling_ok=pooling_ok,
        round_trip=round_trip, luggage=luggage, series=series, wanted_vehicle_id=wanted, occasion_id=occasion_id,
        **way.measured(accounts.get_org(session, org_id=actor.org_id), stops, round_trip=round_trip),
    )  # fmt: skip
    order.stops = [
        OrderStop(position=position, name=stop.name, point=f"SRID=4326;POINT({stop.lon!r} {stop.lat!r})",
                  tolerance_m=stop.tolerance_m)
        for position, stop in enumerate(stops)
    ]  # fmt: skip
    session.add(order)
    session.flush()
    session.refresh(order, ["stops"])  # with the coordinates as the database has them
    record_made(session, order=order, actor=actor, now=now, note=note)
    cases.open_for(session, order, limits=limits(session, now=now, org_path=order.org.path), actor=actor, now=now)
    if applicant_id != actor.user_id:
        notify(session, to=[applicant_id], code="orders.notice.filed_for", link=f"/orders/{order.id}", now=now,
               params={"number": order.number, "name": actor.name}, key=f"orders.filed_for:{order.id}")  # fmt: skip
    return order


def record_made(session: Session, *, order: TravelOrder, actor: Actor, now: datetime, note: str | None = None) -> None:
    """Write the first event of an order and its audit entry."""
    _record(session, order=order, action=OrderAction.SUBMIT, before=None, actor=actor, now=now, note=note)


def resubmit(
    session: Session, *, order_id: int, actor: Actor, now: datetime, stops: Sequence[rules.Stop] | None = None, **content: Any
) -> TravelOrder:  # fmt: skip
    """Edit an order that was sent back and hand it in again: a new case along the chain that stands now.

    ``content`` holds any of ``EDITABLE``; what is not given stays. The order's own rules are asked again.

    :raises NotAllowed: not the applicant or whoever filed it, or not sent back.
    :raises RuleBroken: purpose, window, people or stops against the rules.
    """
    order = queries.lock_order(session, order_id=order_id, actor=actor)
    permits.require(
        "orders.resubmit", actor, org_path=order.org.path, owner_id=cases.owner_of(order, actor), state=order.state
    )
    if unknown := set(content) - EDITABLE:
        raise ValueError(f"{sorted(unknown)} cannot be edited; one of {sorted(EDITABLE)} can.")
    for name, value in content.items():
        setattr(order, name, value)
    kind = OrderKind(order.kind)
    limit = limits(session, now=now, org_path=order.org.path)
    rules.check_purpose(kind, Purpose(order.purpose))
    rules.check_window(
        order.start_at, order.end_at, kind=kind, supplementary=order.supplementary, now=now, limits=limit
    )
    rules.check_people(kind, order.passengers, order.passenger_count)
    if stops is not None:
        rules.check_stops(stops)
        cases.put_stops(session, order=order, stops=stops, now=now)
        measured = way.measured(order.org, stops, round_trip=order.round_trip)
        order.area, order.route_m = measured["area"], measured["route_m"]
    session.flush()
    advance(session, order=order, action=OrderAction.RESUBMIT, actor=actor, now=now)
    cases.open_for(session, order, limits=limit, actor=actor, now=now)
    return order


def withdraw(session: Session, *, order_id: int, actor: Actor, now: datetime) -> TravelOrder:
    """Take an application back before it is decided; a second time does nothing.

    :raises NotAllowed: somebody else's order, or decided already.
    """
    order = _held(session, order_id=order_id, action="orders.withdraw", actor=actor, done=OrderState.WITHDRAWN)
    if order.state == OrderState.WITHDRAWN:
        return order
    cases.end_case(session, order, actor=actor, now=now, note="withdraw")
    return advance(session, order=order, action=OrderAction.WITHDRAW, actor=actor, now=now)


def approve(session: Session, *, order_id: int, actor: Actor, now: datetime, note: str | None = None) -> TravelOrder:
    """Agree to an application; once its last level has agreed its content is frozen. Never one's own.

    :raises NotAllowed: not asked, own order, or no longer waiting.
    :raises Conflict: ``orders.decided``, another approver was faster.
    :raises RuleBroken: ``orders.window_over``.
    """
    return decide(session, order_id=order_id, verdict=Verdict.AGREE, actor=actor, now=now, note=note)


def reject(session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime) -> TravelOrder:
    """Refuse an application with a reason. Never one's own.

    :raises NotAllowed: not asked, own order, or no longer waiting.
    :raises Conflict: ``orders.decided``, another approver was faster.
    """
    return decide(session, order_id=order_id, verdict=Verdict.REJECT, actor=actor, now=now, note=reason)


def decide(
    session: Session, *, order_id: int, verdict: Verdict, actor: Actor, now: datetime, note: str | None = None,
    person_id: int | None = None,
) -> TravelOrder:  # fmt: skip
    """Do any verdict of the approval chain on an application; the same one by the same person again changes nothing.

    :raises NotAllowed: own application, not asked, or no longer waiting.
    :raises Conflict: ``orders.decided``.
    :raises RuleBroken: ``orders.window_over``, ``orders.reason_needed``, or what ``approvals.service.decide`` refuses.
    """
    order = queries.lock_order(session, order_id=order_id, actor=actor)
    permits.require("orders.approve", actor)
    approvals_rules.check_hand(actor.user_id, barred=cases.barred(order))
    if order.state not in rules.WAITING:
        done = {OrderState.APPROVED: Verdict.AGREE, OrderState.REJECTED: Verdict.REJECT}.get(OrderState(order.state))
        if order.approver_id == actor.user_id and done is verdict:
            return order
        if order.approver_id is not None:
            raise Conflict("orders.decided", number=order.number)
        raise NotAllowed("kit.wrong_state", action="orders.approve", state=order.state)
    if verdict is Verdict.AGREE:
        rules.check_still_ahead(order.end_at, supplementary=order.supplementary, now=now)
    if verdict in approvals_rules.NEEDS_NOTE and not (note or "").strip():
        raise RuleBroken("orders.reason_needed")
    case = approvals.get_case(session, case_id=order.approval_case_id or 0, lock=True)
    waited = approvals.open_task(case)
    approval_service.decide(session, case=case, verdict=verdict, actor=actor, now=now, note=note, person_id=person_id)
    action = ACTION_OF.get(CaseState(case.state))
    if action is None:
        if approvals.open_task(case) is not waited:
            cases.tell_asked(session, order, case, now=now)
            if verdict is Verdict.AGREE:
                advance(session, order=order, action=OrderAction.PASS, actor=actor, now=now, note=note)
        return order
    if action is not OrderAction.SEND_BACK:
        order.approver_id = actor.user_id
        order.approved_at = now if action is OrderAction.APPROVE else None
    advance(session, order=order, action=action, actor=actor, now=now, note=note)
    cases.tell(
        session,
        order,
        f"orders.notice.{action}",
        to=cases.barred(order),
        key=f"order.{order.id}.{action}.{case.id}",
        now=now,
    )
    return order


def cancel(session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime) -> TravelOrder:
    """Cancel an approved order that has no vehicle yet; a second time does nothing.

    :raises RuleBroken: ``orders.release_first``, a vehicle is held: planning cancels it and gives the vehicle back.
    """
    order = _held(session, order_id=order_id, action="orders.cancel", actor=actor, done=OrderState.CANCELLED)
    if order.state == OrderState.CANCELLED:
        return order
    if order.state in rules.ASSIGNED:
        raise RuleBroken("orders.release_first", number=order.number)
    return advance(session, order=order, action=OrderAction.CANCEL, actor=actor, now=now, note=reason)


def issue_slip(session: Session, *, org_id: int, actor: Actor, now: datetime) -> DispatchSlip:
    """Issue the next slip of a unit and year, ``330106-EDU-2026-00012``, without gaps, safe under concurrency.

    The caller (planning) has checked the permission. Who issues for several units goes by ascending unit code.
    """
    org = accounts.get_org(session, org_id=org_id)
    year = clock.local_date(now).year
    seq = next_number(session, f"{org.code}-{year}")
    slip = DispatchSlip(org_id=org_id, year=year, seq=seq, number=f"{org.code}-{year}-{seq:05d}", issued_at=now,
                        issued_by=actor.user_id)  # fmt: skip
    session.add(slip)
    session.flush()
    audit.record(session, actor=actor, now=now, action="orders.slip_issued", subject_type="dispatch_slip",
                 subject_id=slip.id, org_id=org_id, number=slip.number)  # fmt: skip
    return slip


def void_slip(session: Session, *, slip: DispatchSlip, reason: str, actor: Actor, now: datetime) -> DispatchSlip:
    """Make a slip void; its number stays taken. A second time does nothing.

    :raises RuleBroken: ``orders.reason_needed``.
    """
    if slip.void_at is not None:
        return slip
    rules.check_reason(OrderAction.CANCEL, reason)
    slip.void_at, slip.void_by, slip.void_reason = now, actor.user_id, reason
    audit.record(session, actor=actor, now=now, action="orders.slip_voided", subject_type="dispatch_slip",
                 subject_id=slip.id, org_id=slip.org_id, number=slip.number, reason=reason)  # fmt: skip
    return slip


def _held(session: Session, *, order_id: int, action: str, actor: Actor, done: OrderState) -> TravelOrder:
    """Lock an order for an action; already being ``done`` is no reason to refuse."""
    order = queries.lock_order(session, order_id=order_id, actor=actor)
    state = None if order.state == done else order.state
    permits.require(action, actor, org_path=order.org.path, owner_id=cases.owner_of(order, actor), state=state)
    return order


def _record(
    session: Session,
    *,
    order: TravelOrder,
    action: OrderAction,
    before: str | None,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> None:
    event = OrderEvent(order_id=order.id, action=action, from_state=before, to_state=order.state, actor_id=actor.user_id,
                       at=now, note=note)  # fmt: skip
    session.add(event)
    session.flush()
    session.expire(order, ["events"])
    tell.moved(session, order=order, action=action, actor=actor, now=now, event_id=event.id, note=note)
    audit.record(session, actor=actor, now=now, action=f"orders.{rules.PAST_TENSE[action]}", subject_type="travel_order",
                 subject_id=order.id, org_id=order.org_id, number=order.number, before=before, after=order.state,
                 note=note)  # fmt: skip
