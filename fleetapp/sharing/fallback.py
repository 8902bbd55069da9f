"""Journeys served without an official vehicle: rental, ride hailing or public transport instead, with reason and price."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, NotFound, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.notices import service as notices
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderAction, OrderState
from fleetapp.policies import queries as policies
from fleetapp.sharing import queries, rules
from fleetapp.sharing.models import Fallback
from fleetapp.sharing.rules import FallbackKind, FallbackReason


def norm(session: Session, order: TravelOrder, now: datetime) -> Decimal:
    """Return the reference price of renting for an order, CNY, by the figure in force now.

    :raises RuleBroken: ``policies.missing``.
    """
    day = policies.value(session, "rental.sedan_day_cny", clock.local_date(now), order.org.path)
    return rules.rental_norm(day, Span(order.start_at, order.end_at))


def outsource(
    session: Session, *, order_id: int, kind: FallbackKind, reason: FallbackReason, price: Decimal, actor: Actor, now: datetime,
    provider: str | None = None, note: str | None = None,
) -> Fallback:  # fmt: skip
    """Serve an approved order otherwise: it is OUTSOURCED, the applicant is told. The same again changes nothing.

    :raises NotAllowed: not a dispatcher of the unit, one's own order, or it is not APPROVED.
    :raises Conflict: ``sharing.outsourced_otherwise``.
    :raises RuleBroken: ``sharing.price``, ``sharing.above_norm``, ``sharing.provider_needed``.
    """
    lock_bookings(session)
    order = orders.lock_order(session, order_id=order_id, actor=actor)
    there = queries.fallback_of(session, order_id=order.id)
    if there is not None and order.state == OrderState.OUTSOURCED:
        permits.require("sharing.outsource", actor, org_path=order.org.path, owner_id=order.applicant_id)
        if (there.kind, there.price) == (kind, price):
            return there
        raise Conflict("sharing.outsourced_otherwise", number=order.number)
    permits.require("sharing.outsource", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state)
    reference = norm(session, order, now)
    rules.check_price(kind, price, reference, note)
    if kind is not FallbackKind.PUBLIC_TRANSPORT and len((provider or "").strip()) < 2:
        raise RuleBroken("sharing.provider_needed")
    made = Fallback(
        org_id=order.org_id, order_id=order.id, kind=kind, reason=reason, provider=provider, price=price, norm=reference, note=note,
        decided_by=actor.user_id, decided_at=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    order_service.advance(session, order=order, action=OrderAction.OUTSOURCE, actor=actor, now=now,
                          note=" ".join(part for part in (provider, f"{price:,.2f}", note) if part))  # fmt: skip
    notices.notify(
        session, to=[order.applicant_id, order.filed_by_id], code=f"sharing.notice.outsourced.{kind.value}",
        params={"number": order.number, "provider": provider or "–", "price": f"{price:,.2f}"}, link=f"/orders/{order.id}",
        key=f"sharing.outsourced.{order.id}", now=now, urgent=True,
    )  # fmt: skip
    audit.record(session, actor=actor, now=now, action="sharing.outsourced", subject_type="fallback", subject_id=made.id,
                 org_id=order.org_id, order=order.number, kind=kind, reason=reason, price=price, norm=reference)  # fmt: skip
    return made


def bill(session: Session, *, order_id: int, bill_no: str, actor: Actor, now: datetime) -> Fallback:
    """Note the number of the bill; the same number again changes nothing.

    :raises NotFound: the order was not served otherwise.
    :raises Conflict: ``sharing.billed``: it has another one.
    """
    order = orders.lock_order(session, order_id=order_id, actor=actor)
    permits.require("sharing.bill", actor, org_path=order.org.path)
    found = queries.fallback_of(session, order_id=order.id, lock=True)
    if found is None:
        raise NotFound("kit.not_found")
    if found.bill_no == bill_no:
        return found
    if found.bill_no is not None:
        raise Conflict("sharing.billed", bill=found.bill_no)
    found.bill_no = bill_no
    session.flush()
    audit.record(session, actor=actor, now=now, action="sharing.billed", subject_type="fallback", subject_id=found.id,
                 org_id=found.org_id, order=order.number, bill_no=bill_no)  # fmt: skip
    return found
