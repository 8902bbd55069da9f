"""Writing at the end of a journey: confirm, object, answer, and what happens by itself."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.confirmations import queries, rules
from fleetapp.confirmations.models import MileageConfirmation, MileageRemark
from fleetapp.confirmations.queries import Journey
from fleetapp.confirmations.rules import Source
from fleetapp.kit import permits
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.errors import RuleBroken
from fleetapp.notices import service as notices
from fleetapp.orders import queries as order_queries
from fleetapp.orders import service as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderAction, OrderState


def owner_of(order: TravelOrder, actor: Actor) -> int:
    """Return whose order it is to this actor: who filed it for somebody ends it like the one who travelled."""
    return order.filed_by_id if actor.user_id == order.filed_by_id else order.applicant_id


def link_to(order: TravelOrder) -> str:
    """Return the page where a journey ends."""
    return f"/orders/{order.id}/confirmation"


def confirm(
    session: Session,
    *,
    order_id: int,
    actor: Actor,
    now: datetime,
    reason: str | None = None,
    bill_cny: Decimal | None = None,
    driven_m: int | None = None,
    receipt: tuple[str, bytes] | None = None,
) -> MileageConfirmation:
    """Confirm a journey's distance; a second time changes nothing.

    For a hired journey with its bill in CNY, the receipt as (name, bytes), and the metres driven if they are known.
    Confirming while an own objection waits takes the objection back.

    :raises NotAllowed: neither applicant, filer nor the unit's administrator, or the journey's driver.
    :raises RuleBroken: ``confirmations.explain``, ``bill_needed``, ``no_bill``, ``nothing_known``.
    """
    order = order_queries.hold_order(session, order_id=order_id)
    permits.require("confirmations.confirm", actor, org_path=order.org.path, owner_id=owner_of(order, actor))
    journey = queries.journey(session, order=order)
    rules.check_person(actor.user_id, journey.duty.driver.user_id if journey.duty else None)
    if journey.confirmation is not None:
        return journey.confirmation
    permits.require(
        "confirmations.confirm", actor, org_path=order.org.path, owner_id=owner_of(order, actor), state=order.state
    )
    outsourced = order.state == OrderState.OUTSOURCED
    rules.check_bill(outsourced, bill_cny, receipt)
    rules.check_explained(journey.to_explain, reason)
    rules.check_distance(driven_m)
    made = _write(
        session,
        journey,
        actor=actor,
        now=now,
        reason=reason,
        bill_cny=bill_cny,
        driven_m=driven_m if outsourced else None,
    )
    if receipt:
        attachments.attach(session, org_id=made.org_id, subject_type="mileage_confirmation", subject_id=made.id, label="receipt",
                           name=receipt[0], content=receipt[1], actor=actor, now=now)  # fmt: skip
    return made


def confirm_by_itself(session: Session, *, order_id: int, now: datetime) -> MileageConfirmation | None:
    """Confirm a journey that nobody confirmed or objected to in time; None when meanwhile somebody did."""
    order = order_queries.hold_order(session, order_id=order_id)
    journey = queries.journey(session, order=order)
    if journey.due_at is None or journey.due_at > now or journey.proposal is None:
        return None
    made = _write(session, journey, actor=SYSTEM, now=now)
    params = {"number": order.number, "km": f"{made.confirmed_m / 1000:.1f}"}
    notices.notify(session, to=[order.applicant_id, order.filed_by_id], code="confirmations.notice.by_itself", params=params,
                   link=link_to(order), key=f"mileage-auto-{order.id}", now=now)  # fmt: skip
    return made


def _write(
    session: Session, journey: Journey, *, actor: Actor, now: datetime, reason: str | None = None,
    bill_cny: Decimal | None = None, driven_m: int | None = None,
) -> MileageConfirmation:  # fmt: skip
    order, found = journey.order, journey.found
    if bill_cny is not None:
        metres = driven_m if driven_m is not None else round(found.planned_m or 0)
        chosen: tuple[int, Source] | None = (metres, Source.BILL)
    else:
        chosen = journey.proposal
    if chosen is None:
        raise RuleBroken("confirmations.nothing_known", number=order.number)
    made = MileageConfirmation(
        org_id=order.org_id, order_id=order.id, planned_m=_rounded(found.planned_m), gps_m=_rounded(found.gps_m),
        gps_source=journey.gps_sources or None, gps_coverage=found.gps_coverage, odometer_m=_rounded(found.odometer_m),
        confirmed_m=chosen[0], source=chosen[1], over_limit=journey.to_explain, reason=reason, bill_cny=bill_cny,
        auto=actor.user_id is None, confirmed_by=actor.user_id, at=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    orders.advance(session, order=order, action=OrderAction.CONFIRM, actor=actor, now=now, note=reason)
    audit.record(session, actor=actor, now=now, action="confirmations.confirmed", subject_type="mileage_confirmation", subject_id=made.id,
                 org_id=made.org_id, number=order.number, confirmed_m=made.confirmed_m, source=made.source, over_limit=made.over_limit,
                 auto=made.auto, reason=reason)  # fmt: skip
    return made


def _rounded(metres: float | None) -> int | None:
    return None if metres is None else round(metres)


def object_to(session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime) -> MileageRemark:
    """Object to a journey's distance or expenses; the same objection again changes nothing.

    :raises NotAllowed: neither applicant, filer nor the unit's administrator, the journey's driver, or not returned.
    :raises RuleBroken: ``confirmations.objection_open``.
    """
    order = order_queries.hold_order(session, order_id=order_id)
    where: dict[str, Any] = {"org_path": order.org.path, "owner_id": owner_of(order, actor), "state": order.state}
    permits.require("confirmations.object", actor, **where)
    journey = queries.journey(session, order=order)
    rules.check_person(actor.user_id, journey.duty.driver.user_id if journey.duty else None)
    if journey.objected and (last := journey.remarks[-1]).said_by == actor.user_id and last.text == reason:
        return last
    rules.check_objection(len(journey.remarks))
    path = journey.duty.vehicle.org.path if journey.duty else order.org.path
    to = [
        person
        for role in (Role.DISPATCHER, Role.FLEET_MANAGER)
        for person in accounts.holders(session, role=role, org_path=path)
    ]
    return _say(
        session,
        journey,
        text=reason,
        proposed_m=None,
        actor=actor,
        now=now,
        to=to,
        code="confirmations.notice.objected",
    )


def answer(
    session: Session, *, order_id: int, reply: str, actor: Actor, now: datetime, proposed_m: int | None = None
) -> MileageRemark:
    """Answer an objection, with another distance in metres if the reading was wrong; the time to confirm begins again.

    :raises NotAllowed: neither dispatcher nor fleet manager of the vehicle or the order, or an own order.
    :raises RuleBroken: ``confirmations.no_objection``, ``distance_odd``.
    """
    order = order_queries.hold_order(session, order_id=order_id)
    journey = queries.journey(session, order=order)
    require_answer(order, journey, actor)
    last = journey.remarks[-1] if journey.remarks else None
    if (
        last
        and not last.is_objection
        and (last.said_by, last.text, last.proposed_m) == (actor.user_id, reply, proposed_m)
    ):
        return last
    rules.check_person(actor.user_id, journey.duty.driver.user_id if journey.duty else None)
    rules.check_answer(len(journey.remarks), proposed_m)
    return _say(session, journey, text=reply, proposed_m=proposed_m, actor=actor, now=now, to=[order.applicant_id, order.filed_by_id],
                code="confirmations.notice.answered")  # fmt: skip


def require_answer(order: TravelOrder, journey: Journey, actor: Actor) -> None:
    """Raise unless the actor answers for the vehicle's holder or the order's unit; never on an own order."""
    paths = [order.org.path, *([journey.duty.vehicle.org.path] if journey.duty else [])]
    where: dict[str, Any] = {"owner_id": owner_of(order, actor), "state": order.state}
    path = next(
        (path for path in paths if permits.may("confirmations.answer", actor, org_path=path, **where)), paths[0]
    )
    permits.require("confirmations.answer", actor, org_path=path, **where)


def _say(
    session: Session, journey: Journey, *, text: str, proposed_m: int | None, actor: Actor, now: datetime, to: list[int], code: str
) -> MileageRemark:  # fmt: skip
    order = journey.order
    made = MileageRemark(org_id=order.org_id, order_id=order.id, seq=len(journey.remarks) + 1, text=text, proposed_m=proposed_m,
                         said_by=actor.user_id, at=now)  # fmt: skip
    session.add(made)
    session.flush()
    notices.notify(
        session,
        to=to,
        code=code,
        params={"number": order.number},
        link=link_to(order),
        key=f"mileage-{order.id}-{made.seq}",
        now=now,
    )
    action = "confirmations.objected" if made.is_objection else "confirmations.answered"
    audit.record(session, actor=actor, now=now, action=action, subject_type="mileage_remark", subject_id=made.id, org_id=made.org_id,
                 number=order.number, text=text, proposed_m=proposed_m)  # fmt: skip
    return made
