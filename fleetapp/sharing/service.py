"""Writing of offers and requests, and of loans: every step once, each by whoever may take it, the other side told."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.drivers import queries as drivers
from fleetapp.drivers import rules as driver_rules
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.notices import service as notices
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderState
from fleetapp.policies import queries as policies
from fleetapp.sharing import queries, rules
from fleetapp.sharing.models import ShareEvent, ShareLoan, ShareOffer, ShareRequest
from fleetapp.sharing.rules import LoanAction, LoanState, RequestAction, RequestState

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
ALTERNATIVES = 5
"""So many other vehicles are named when the one wanted is gone."""

# ---- offers -----------------------------------------------------------------------------------------------------------


def offer(
    session: Session, *, org_id: int, valid_from: date, actor: Actor, now: datetime, vehicle_id: int | None = None,
    body: str | None = None, to_org_id: int | None = None, weekdays: Collection[int] = EVERY_DAY, from_time: time = time(0),
    to_time: time | None = None, valid_to: date | None = None, notice_h: int = 0, priority: int = rules.ORDINARY,
    note: str | None = None, request_key: str | None = None,
) -> ShareOffer:  # fmt: skip
    """Offer one vehicle, or all of a body, of a holder to an organisation and all below, or to everybody.

    With a ``request_key`` a repeated call returns the offer it made before.

    :raises RuleBroken: ``sharing.one_or_class``, ``sharing.other_holder``, ``sharing.days_reversed``, ``sharing.hours_reversed``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("sharing.offer", actor, org_path=org.path)
    if request_key and (there := queries.find_offer(session, created_by=actor.user_id, request_key=request_key)):
        return there
    if (vehicle_id is None) == (body is None):
        raise RuleBroken("sharing.one_or_class")
    if vehicle_id is not None:
        vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor, action="sharing.offer")
        if vehicle.org_id != org.id:
            raise RuleBroken("sharing.other_holder", plate=vehicle.plate)
        body = vehicle.body
    if valid_to is not None and valid_to <= valid_from:
        raise RuleBroken("sharing.days_reversed")
    if to_time is not None and to_time <= from_time:
        raise RuleBroken("sharing.hours_reversed")
    if to_org_id is not None:
        accounts.get_org(session, org_id=to_org_id)
    made = ShareOffer(
        org_id=org.id, vehicle_id=vehicle_id, body=body, to_org_id=to_org_id, weekdays=sorted(set(weekdays)), from_time=from_time,
        to_time=to_time, valid_from=valid_from, valid_to=valid_to, notice_h=notice_h, priority=priority, note=note,
        created_by=actor.user_id, created_at=now, request_key=request_key,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="sharing.offered", subject_type="share_offer", subject_id=made.id,
                 org_id=org.id, vehicle_id=vehicle_id, body=body, to_org_id=to_org_id, valid_from=valid_from,
                 valid_to=valid_to)  # fmt: skip
    return made


def withdraw_offer(session: Session, *, offer_id: int, actor: Actor, now: datetime) -> ShareOffer:
    """End an offer; loans already agreed go on. A second time changes nothing."""
    found = queries.get_offer(session, offer_id=offer_id, actor=actor)
    permits.require("sharing.offer", actor, org_path=found.org.path)
    if found.withdrawn_at is not None:
        return found
    found.withdrawn_at, found.withdrawn_by = now, actor.user_id
    session.flush()
    audit.record(session, actor=actor, now=now, action="sharing.offer_withdrawn", subject_type="share_offer", subject_id=found.id,
                 org_id=found.org_id)  # fmt: skip
    return found


# ---- requests ---------------------------------------------------------------------------------------------------------


def ask(
    session: Session, *, to_org_id: int, reason: str, actor: Actor, now: datetime, order_id: int | None = None,
    org_id: int | None = None, start_at: datetime | None = None, end_at: datetime | None = None, body: str | None = None,
    seats: int | None = None, with_driver: bool = True, wanted_id: int | None = None, request_key: str | None = None,
) -> ShareRequest:  # fmt: skip
    """Ask another organisation for a vehicle: for an approved order, or for a span, a body and a number of seats.

    An order asks for its own window with the buffers of policy, for its own unit. The answer is due by policy's timer; an
    emergency comes first. The same order asked of the same organisation again returns the open request.

    :raises NotFound: the order is out of reach.
    :raises RuleBroken: ``sharing.not_waiting``, ``sharing.say_what``, ``sharing.own_pool``, ``over``, ``too_long``.
    """
    if request_key and (there := queries.find_request(session, created_by=actor.user_id, request_key=request_key)):
        return there
    to_org, kind = accounts.get_org(session, org_id=to_org_id), None
    if order_id is not None:
        order = orders.lock_order(session, order_id=order_id, actor=actor)
        permits.require("sharing.ask", actor, org_path=order.org.path)
        if order.state != OrderState.APPROVED:
            raise RuleBroken("sharing.not_waiting", number=order.number)
        for one in queries.of_order(session, order_id=order.id):
            if one.state == RequestState.PENDING and one.to_org_id == to_org.id:
                return one
        before, after = (
            timedelta(minutes=_figure(session, f"dispatch.buffer_{side}_min", now, order.org.path)) for side in ("before", "after")
        )  # fmt: skip
        org, kind = order.org, order.kind
        span, body = Span(order.start_at, order.end_at).widened(before, after), body or order.body
        seats = max(1, order.passenger_count) if seats is None else seats
    elif org_id is None or start_at is None or end_at is None or body is None or seats is None:
        raise RuleBroken("sharing.say_what")
    else:
        org = accounts.get_org(session, org_id=org_id)
        permits.require("sharing.ask", actor, org_path=org.path)
        if start_at >= end_at:
            raise RuleBroken("sharing.days_reversed")
        span = Span(start_at, end_at)
    if org.id == to_org.id:
        raise RuleBroken("sharing.own_pool")
    rules.check_span(span, now)
    priority = rules.priority_of(kind)
    timer = "sharing.reply_urgent_h" if priority == rules.URGENT else "sharing.reply_h"
    due = rules.reply_by(span, now, timedelta(hours=_figure(session, timer, now, to_org.path)))
    made = ShareRequest(
        org_id=org.id, to_org_id=to_org.id, number=_number(session, "TJ", now), order_id=order_id, wanted_id=wanted_id,
        start_at=span.start, end_at=span.end, body=body, seats=seats, with_driver=with_driver, priority=priority, reason=reason,
        state=RequestState.PENDING, reply_by=due, created_by=actor.user_id, created_at=now, request_key=request_key,
    )  # fmt: skip
    made.org, made.to_org = org, to_org
    session.add(made)
    session.flush()
    _tell(session, made, "asked", role_at=to_org.path, now=now, urgent=priority == rules.URGENT,
          due=f"{clock.local(due):%m-%d %H:%M}", unit=org.name_zh)  # fmt: skip
    _record(session, made, "asked", None, actor=actor, now=now, note=reason)
    return made


def accept(
    session: Session, *, request_id: int, vehicle_id: int, actor: Actor, now: datetime, driver_id: int | None = None,
    note: str | None = None,
) -> ShareLoan:  # fmt: skip
    """Lend a vehicle, with its driver when one was asked for: the loan is agreed. The same answer again changes nothing.

    :raises NotAllowed: not a dispatcher of whoever was asked, one's own request, or answered already.
    :raises Conflict: ``sharing.vehicle_lent`` with other vehicles that could be lent.
    :raises RuleBroken: ``sharing.not_yours``, ``sharing.seats``, ``sharing.driver_needed``, ``driver_not_needed``,
        ``driver_other``, ``driver_licence``.
    """
    lock_bookings(session)
    request = queries.get_request(session, request_id=request_id, actor=actor, lock=True)
    where: dict[str, Any] = {"org_path": request.to_org.path, "owner_id": request.created_by}
    there = queries.loan_of_request(session, request_id=request.id)
    if there is not None and there.vehicle_id == vehicle_id:
        permits.require("sharing.answer", actor, **where)
        return there
    permits.require("sharing.answer", actor, **where, state=request.state)
    after = rules.next_request(request.state, RequestAction.ACCEPT)
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor, action="sharing.answer")
    span = Span(request.start_at, request.end_at)
    if not queries.may_lend(queries.terms(session, vehicles=[vehicle], span=span), vehicle, request):
        raise RuleBroken("sharing.not_yours", plate=vehicle.plate, unit=vehicle.org.name_zh)
    if vehicle.seats - 1 < request.seats:
        raise RuleBroken("sharing.seats", seats=vehicle.seats - 1, people=request.seats)
    _check_driver(session, request, vehicle.org_id, vehicle.seats, driver_id, actor=actor)
    taken = queries.loan_over(session, vehicle_id=vehicle.id, span=span)
    if taken is not None:
        others = [car.plate for car in queries.lendable(session, request=request, actor=actor)][:ALTERNATIVES]
        raise Conflict(
            "sharing.vehicle_lent", plate=vehicle.plate, number=taken.number, others="、".join(others) or "–"
        )
    loan = ShareLoan(
        org_id=vehicle.org_id, to_org_id=request.org_id, number=_number(session, "JC", now), request_id=request.id,
        vehicle_id=vehicle.id, driver_id=driver_id, during=Range(span.start, span.end), state=LoanState.AGREED,
        agreed_by=actor.user_id, agreed_at=now,
    )  # fmt: skip
    loan.org, loan.to_org, loan.vehicle, loan.request = vehicle.org, request.org, vehicle, request
    session.add(loan)
    session.flush()
    _answer(session, request, RequestAction.ACCEPT, after, note=note, actor=actor, now=now, plate=vehicle.plate)
    _record(session, loan, "agreed", None, actor=actor, now=now, note=vehicle.plate)
    return loan


def decline(session: Session, *, request_id: int, note: str, actor: Actor, now: datetime) -> ShareRequest:
    """Refuse a request with the reason."""
    request = queries.get_request(session, request_id=request_id, actor=actor, lock=True)
    permits.require(
        "sharing.answer", actor, org_path=request.to_org.path, owner_id=request.created_by, state=request.state
    )
    after = rules.next_request(request.state, RequestAction.DECLINE)
    return _answer(session, request, RequestAction.DECLINE, after, note=note, actor=actor, now=now)


def withdraw(session: Session, *, request_id: int, actor: Actor, now: datetime) -> ShareRequest:
    """Take a request back before it is answered."""
    request = queries.get_request(session, request_id=request_id, actor=actor, lock=True)
    permits.require("sharing.ask", actor, org_path=request.org.path, state=request.state)
    after = rules.next_request(request.state, RequestAction.WITHDRAW)
    return _answer(session, request, RequestAction.WITHDRAW, after, note=None, actor=actor, now=now)


def expire_next(session: Session, *, actor: Actor, now: datetime) -> ShareRequest | None:
    """Let one overdue request expire; both sides are told. Returns None when there is none."""
    permits.require("sharing.run", actor)
    request = queries.next_overdue(session, now=now)
    if request is None:
        return None
    after = rules.next_request(request.state, RequestAction.EXPIRE)
    return _answer(session, request, RequestAction.EXPIRE, after, note=None, actor=actor, now=now)


# ---- loans ------------------------------------------------------------------------------------------------------------


def recall(session: Session, *, loan_id: int, at: datetime, reason: str, actor: Actor, now: datetime) -> ShareLoan:
    """Call a vehicle back for its holder: the loan ends at ``at``, with the notice of policy; the borrower is told.

    :raises RuleBroken: ``sharing.recall_notice``, ``sharing.recall_late``.
    """
    lock_bookings(session)
    loan = queries.get_loan(session, loan_id=loan_id, actor=actor, lock=True)
    permits.require("sharing.recall", actor, org_path=loan.org.path, state=loan.state)
    after = rules.next_loan(loan.state, LoanAction.RECALL)
    span = queries.span_of(loan)
    notice = timedelta(hours=_figure(session, "sharing.recall_notice_h", now, loan.org.path))
    rules.check_recall(span, at, now=now, notice=notice)
    loan.during = Range(span.start, at)
    _tell(session, loan, "recalled", role_at=loan.to_org.path, now=now, urgent=True, plate=loan.vehicle.plate,
          at=f"{clock.local(at):%m-%d %H:%M}", reason=reason)  # fmt: skip
    return _end(session, loan, "recalled", after, reason=reason, actor=actor, now=now)


def call_off(session: Session, *, loan_id: int, reason: str, actor: Actor, now: datetime) -> ShareLoan:
    """Call a loan off before it begins: by the borrower at any time, by the holder with the notice of policy.

    :raises RuleBroken: ``sharing.begun``, ``sharing.recall_notice``.
    """
    lock_bookings(session)
    loan = queries.get_loan(session, loan_id=loan_id, actor=actor, lock=True)
    after = rules.next_loan(loan.state, LoanAction.CALL_OFF)
    span = queries.span_of(loan)
    if permits.may("sharing.give_back", actor, org_path=loan.to_org.path, state=loan.state):
        other = loan.org.path
    else:
        permits.require("sharing.recall", actor, org_path=loan.org.path, state=loan.state)
        notice = timedelta(hours=_figure(session, "sharing.recall_notice_h", now, loan.org.path))
        other = loan.to_org.path
        if now + notice > span.start:
            raise RuleBroken("sharing.recall_notice", hours=f"{notice / timedelta(hours=1):g}")
    if now >= span.start:
        raise RuleBroken("sharing.begun")
    _tell(session, loan, "called_off", role_at=other, now=now, urgent=True, plate=loan.vehicle.plate, reason=reason)
    return _end(session, loan, "called_off", after, reason=reason, actor=actor, now=now)


def give_back(session: Session, *, loan_id: int, reason: str, actor: Actor, now: datetime) -> ShareLoan:
    """Give a vehicle back early: it is its holder's again from now on.

    :raises RuleBroken: ``sharing.not_begun``.
    :raises Conflict: at the end, ``sharing.still_out``: it is on a journey.
    """
    lock_bookings(session)
    loan = queries.get_loan(session, loan_id=loan_id, actor=actor, lock=True)
    permits.require("sharing.give_back", actor, org_path=loan.to_org.path, state=loan.state)
    after = rules.next_loan(loan.state, LoanAction.GIVE_BACK)
    span = queries.span_of(loan)
    if now <= span.start:
        raise RuleBroken("sharing.not_begun")
    loan.during = Range(span.start, min(now, span.end))
    _tell(session, loan, "given_back", role_at=loan.org.path, now=now, plate=loan.vehicle.plate)
    return _end(session, loan, "given_back", after, reason=reason, actor=actor, now=now)


def end_next(session: Session, *, actor: Actor, now: datetime) -> ShareLoan | None:
    """End one loan whose time is over: the borrower sees the vehicle no longer. Returns None when there is none."""
    permits.require("sharing.run", actor)
    loan = queries.next_over(session, now=now)
    if loan is None:
        return None
    return _end(session, loan, "ended", rules.next_loan(loan.state, LoanAction.END), reason=None, actor=actor, now=now)


# ---- pieces -----------------------------------------------------------------------------------------------------------


def _figure(session: Session, code: str, now: datetime, org_path: str) -> float:
    return float(policies.value(session, code, clock.local_date(now), org_path))


def _number(session: Session, letters: str, now: datetime) -> str:
    series = f"{letters}{clock.local_date(now).year}"
    return f"{series}-{order_service.next_number(session, series):05d}"


def _check_driver(
    session: Session, request: ShareRequest, holder_id: int, seats: int, driver_id: int | None, *, actor: Actor
) -> None:
    if not request.with_driver:
        if driver_id is not None:
            raise RuleBroken("sharing.driver_not_needed")
        return
    if driver_id is None:
        raise RuleBroken("sharing.driver_needed")
    driver = drivers.get_driver(session, driver_id=driver_id, actor=actor)
    if driver.org_id != holder_id or driver.left_at is not None:
        raise RuleBroken("sharing.driver_other")
    lasts = driver.licence_valid_to >= clock.local_date(request.end_at)
    if not lasts or not driver_rules.may_drive(driver_rules.Licence(driver.licence), seats):
        raise RuleBroken("sharing.driver_licence", licence=driver.licence)


def _answer(
    session: Session, request: ShareRequest, action: RequestAction, after: RequestState, *, note: str | None, actor: Actor,
    now: datetime, **told: str,
) -> ShareRequest:  # fmt: skip
    before, request.state = request.state, after
    request.answered_at, request.answer_note = now, note
    if action in {RequestAction.ACCEPT, RequestAction.DECLINE}:
        request.answered_by = actor.user_id
    what = {RequestAction.ACCEPT: "accepted", RequestAction.DECLINE: "declined", RequestAction.WITHDRAW: "withdrawn",
            RequestAction.EXPIRE: "expired"}[action]  # fmt: skip
    side = request.to_org.path if action is RequestAction.WITHDRAW else request.org.path
    _tell(session, request, what, role_at=side, also=(request.created_by,), now=now, urgent=action is not RequestAction.WITHDRAW,
          note=note or "–", **told)  # fmt: skip
    if action is RequestAction.EXPIRE:
        _tell(session, request, "missed", role_at=request.to_org.path, now=now)
    _record(session, request, what, before, actor=actor, now=now, note=note)
    return request


def _end(
    session: Session, loan: ShareLoan, what: str, after: LoanState, *, reason: str | None, actor: Actor, now: datetime
) -> ShareLoan:
    before, loan.state = loan.state, after
    loan.end_reason = reason or loan.end_reason
    _record(session, loan, what, before, actor=actor, now=now, note=reason)
    return loan


def _tell(
    session: Session, row: ShareRequest | ShareLoan, what: str, *, role_at: str, now: datetime, urgent: bool = False,
    also: tuple[int | None, ...] = (), **params: str,
) -> None:  # fmt: skip
    kind = "requests" if isinstance(row, ShareRequest) else "loans"
    people = accounts.holders(session, role=Role.DISPATCHER, org_path=role_at)
    notices.notify(
        session, to=[*people, *also], code=f"sharing.notice.{what}", params={"number": row.number, **params},
        link=f"/pool/{kind}/{row.id}", key=f"sharing.{kind}.{row.id}.{what}", now=now, urgent=urgent,
    )  # fmt: skip


def _record(
    session: Session, row: ShareRequest | ShareLoan, what: str, before: str | None, *, actor: Actor, now: datetime, note: str | None
) -> None:  # fmt: skip
    session.flush()
    subject = {"request_id": row.id} if isinstance(row, ShareRequest) else {"loan_id": row.id}
    session.add(
        ShareEvent(
            **subject, action=what, from_state=before, to_state=row.state, actor_id=actor.user_id, at=now, note=note
        )
    )
    kind = "share_request" if isinstance(row, ShareRequest) else "share_loan"
    audit.record(session, actor=actor, now=now, action=f"sharing.{what}", subject_type=kind, subject_id=row.id, org_id=row.org_id,
                 number=row.number, before=before, after=row.state, note=note)  # fmt: skip
