"""Orders that are made and approved at once: of emergencies, whose approval was given by word of mouth."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.orders import rules, service, way
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.orders.rules import OrderAction, OrderKind, Purpose


def commission(
    session: Session,
    *,
    kind: OrderKind,
    purpose: Purpose,
    reason: str,
    org_id: int,
    applicant_id: int,
    approver_id: int,
    passengers: str,
    contact: str,
    body: str,
    start_at: datetime,
    end_at: datetime,
    stops: Sequence[rules.Stop],
    note: str,
    request_key: str,
    actor: Actor,
    now: datetime,
) -> TravelOrder:
    """Make an order that is APPROVED at once by ``approver_id``; ``note`` says how that approval was given.

    The caller (emergency) has checked the permission and that applicant, approver, dispatcher and driver are different
    people; the database refuses an approver who applied or filed. The approver signs afterwards where he is asked to.

    :raises RuleBroken: purpose or stops against the rules.
    """
    rules.check_purpose(kind, purpose)
    rules.check_stops(stops)
    day = f"YC{clock.local_date(now):%Y%m%d}"
    order = TravelOrder(
        org_id=org_id, number=f"{day}-{service.next_number(session, day):04d}", kind=kind, purpose=purpose, reason=reason,
        applicant_id=applicant_id, filed_by_id=actor.user_id or applicant_id, passengers=passengers, passenger_count=1,
        contact=contact, body=body, start_at=start_at, end_at=end_at, state=rules.next_state(None, OrderAction.SUBMIT),
        supplementary=False, created_at=now, request_key=request_key,
        **way.measured(accounts.get_org(session, org_id=org_id), stops, round_trip=True),
    )  # fmt: skip
    order.stops = [
        OrderStop(position=position, name=stop.name, point=f"SRID=4326;POINT({stop.lon!r} {stop.lat!r})", tolerance_m=stop.tolerance_m)
        for position, stop in enumerate(stops)
    ]  # fmt: skip
    session.add(order)
    session.flush()
    session.refresh(order, ["stops", "org", "applicant"])
    service.record_made(session, order=order, actor=actor, now=now)
    order.approver_id, order.approved_at = approver_id, now
    return service.advance(session, order=order, action=OrderAction.APPROVE, actor=actor, now=now, note=note)
