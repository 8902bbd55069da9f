"""What the approval chain is told of an order, and what a case's outcome does to it.

``service`` moves the order; this file knows the facts that choose the levels and whom to tell.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.approvals import queries as approvals
from fleetapp.approvals import service as approval_service
from fleetapp.approvals.models import ApprovalCase
from fleetapp.approvals.rules import Facts, Flag
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.notices import service as notices
from fleetapp.orders import rules
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.policies import queries as policies
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

ORDER, CHANGE = "order", "change"
"""What a case can be about."""


def is_late(start_at: datetime, *, supplementary: bool, limits: rules.Limits, filed_at: datetime) -> bool:
    """Tell whether an order filled in afterwards came later than it should: it then needs one level more."""
    return supplementary and start_at < filed_at.replace(second=0, microsecond=0) - limits.supplementary


def touches_night(start_at: datetime, end_at: datetime, *, from_h: float, to_h: float) -> bool:
    """Tell whether a local window ``[start_at, end_at)`` touches the night ``[from_h, to_h)`` of any day, ``to_h`` next morning."""
    midnight = start_at.replace(hour=0, minute=0, second=0, microsecond=0)
    nights = (
        (midnight + timedelta(days=day, hours=from_h), midnight + timedelta(days=day + 1, hours=to_h))
        for day in range(-1, (end_at - midnight).days + 1)
    )
    return any(start_at < end and start < end_at for start, end in nights)


def facts(
    session: Session, *, kind: str, start_at: datetime, end_at: datetime, area: str | None, route_m: int | None,
    points: Sequence[tuple[float, float]], supplementary: bool, filed_at: datetime, limits: rules.Limits, org_path: str,
) -> Facts:  # fmt: skip
    """Return what the levels of a chain are chosen by; without a planned road the beeline there and back counts, in metres.

    The night is that of clue A-01's policy figures.
    """
    on = clock.local_date(filed_at)
    night = policies.values(session, "A-01.night_", on, org_path)
    first, last = clock.local_date(start_at), clock.local_date(end_at - timedelta(microseconds=1))
    flags = {
        Flag.OFF_DAY: any(
            day.kind != DayKind.WORKDAY for day in workdays.day_kinds(session, first, last + timedelta(days=1))
        ),
        Flag.NIGHT: touches_night(
            clock.local(start_at), clock.local(end_at), from_h=float(night.get("A-01.night_start_h", 22)),
            to_h=float(night.get("A-01.night_end_h", 6)),
        ),
        Flag.OVERNIGHT: last > first,
        Flag.SUPPLEMENTARY: supplementary,
        Flag.LATE: is_late(start_at, supplementary=supplementary, limits=limits, filed_at=filed_at),
    }  # fmt: skip
    return Facts(kind, route_m if route_m is not None else round(rules.round_trip_m(points)), area,
                 frozenset(flag for flag, is_so in flags.items() if is_so))  # fmt: skip


def facts_of(session: Session, order: TravelOrder, *, limits: rules.Limits, filed_at: datetime) -> Facts:
    """Return the facts of an order as it stands."""
    return facts(
        session, kind=order.kind, start_at=order.start_at, end_at=order.end_at, area=order.area, route_m=order.route_m,
        points=[(stop.lat, stop.lon) for stop in order.stops], supplementary=order.supplementary, filed_at=filed_at, limits=limits,
        org_path=order.org.path,
    )  # fmt: skip


def barred(order: TravelOrder) -> set[int]:
    """Return who may never decide an order: whose journey it is and who typed it."""
    return {order.applicant_id, order.filed_by_id}


def open_for(
    session: Session, order: TravelOrder, *, limits: rules.Limits, actor: Actor, now: datetime
) -> ApprovalCase:
    """Open the case of a submitted order and tell whoever is asked first."""
    case = approval_service.open_case(
        session, org=order.org, subject=ORDER, subject_id=order.id, number=order.number, barred=barred(order),
        facts=facts_of(session, order, limits=limits, filed_at=now), actor=actor, now=now,
    )  # fmt: skip
    order.approval_case_id = case.id
    session.flush()
    tell_asked(session, order, case, now=now)
    return case


def tell_asked(
    session: Session, order: TravelOrder, case: ApprovalCase, *, now: datetime, code: str = "orders.notice.asked", again: str = ""
) -> None:  # fmt: skip
    """Tell the people of the open task, and their deputies, that an order waits for them; once, and once for each ``again``."""
    row = approvals.open_task(case)
    if row is None:
        return
    standing_in = approvals.delegations_of(session, user_ids=row.user_ids, org_path=order.org.path, at=now)
    to = {*row.user_ids, *(one.delegate_id for one in standing_in)} - set(case.barred_ids)
    tell(session, order, code, to=to, key=f"approval.{row.id}.{again}", now=now, urgent=bool(again))


def tell(
    session: Session, order: TravelOrder, code: str, *, to: Collection[int | None], key: str, now: datetime, urgent: bool = False
) -> None:  # fmt: skip
    """Tell people of an order; ``key`` names the matter."""
    notices.notify(session, to=to, code=code, params={"number": order.number}, link=f"/orders/{order.id}", key=key, now=now,
                   urgent=urgent, confidential=order.kind == rules.OrderKind.CONFIDENTIAL)  # fmt: skip


def owner_of(order: TravelOrder, actor: Actor) -> int:
    """Return whose order it counts as: whoever typed it for somebody else owns it as well."""
    return order.filed_by_id if actor.user_id == order.filed_by_id else order.applicant_id


def end_case(session: Session, order: TravelOrder, *, actor: Actor, now: datetime, note: str) -> None:
    """End the open case of an order that is taken back or over."""
    if order.approval_case_id is not None:
        case = approvals.get_case(session, case_id=order.approval_case_id, lock=True)
        approval_service.end(session, case=case, actor=actor, now=now, note=note)


def put_stops(session: Session, *, order: TravelOrder, stops: Sequence[rules.Stop], now: datetime) -> None:
    """Let other stops take the place of an order's own, which stay on record as ended."""
    for old in order.stops:
        old.ended_at = now
    session.flush()
    session.add_all(
        OrderStop(order_id=order.id, position=position, name=stop.name, point=f"SRID=4326;POINT({stop.lon!r} {stop.lat!r})",
                  tolerance_m=stop.tolerance_m)
        for position, stop in enumerate(stops)
    )  # fmt: skip
    session.flush()
    session.refresh(order, ["stops"])
