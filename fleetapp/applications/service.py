"""Writing of applications, favourites and papers. The order itself is written by ``orders.service.submit`` alone."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleetapp.applications import queries, rules
from fleetapp.applications.models import FavouriteTrip
from fleetapp.attachments import service as attachments
from fleetapp.attachments.models import Attachment
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, Invalid, NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders import service as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import ASSIGNED, OrderKind, OrderState
from fleetapp.planning import service as planning
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import DayKind

UNDECIDED = frozenset({OrderState.SUBMITTED, OrderState.APPROVING, OrderState.SENT_BACK})
LONGEST_SERIES = timedelta(days=366)
LABELS = ("invitation", "notice", "other")


def apply(session: Session, *, overlap_reason: str = "", actor: Actor, now: datetime, **data: Any) -> TravelOrder:
    """Apply for a journey as ``orders.service.submit`` does; a person is in one car at a time.

    A second journey of the applicant, or of a named passenger, in the same hours needs ``overlap_reason``, which the
    order keeps with its first event.

    :raises RuleBroken: ``applications.overlap``, ``applications.passenger_twice``, and what ``submit`` raises.
    """
    may = "orders.create_service" if data["kind"] is OrderKind.SERVICE else "orders.create"
    permits.require(may, actor, org_path=actor.org_path)
    applicant_id = data.get("applicant_id") or actor.user_id
    key = data.get("request_key")
    if key and (made := order_queries.find_by_request_key(session, applicant_id=applicant_id or 0, request_key=key)):
        return made
    if data["start_at"] < data["end_at"] and actor.org_id is not None:
        window = Span(data["start_at"], data["end_at"])
        others = queries.at_the_same_time(session, org_id=actor.org_id, window=window)
        mine = [order.number for order in others if order.applicant_id == applicant_id]
        names = rules.names_of(data["passengers"])
        twice = sorted({name for order in others for name in rules.names_of(order.passengers) & names})
        rules.check_overlap(mine, twice, overlap_reason)
    return orders.submit(session, **data, note=overlap_reason.strip() or None, actor=actor, now=now)


def apply_weekly(
    session: Session,
    *,
    weekdays: Sequence[int],
    until: date,
    skip_holidays: bool = True,
    actor: Actor,
    now: datetime,
    **data: Any,
) -> list[TravelOrder]:
    """Apply for a journey on weekdays (0 is Monday) until a date, each day an order of its own; all of them or none.

    :raises RuleBroken: ``applications.series_*``.
    :raises Invalid: ``series`` with a message for every day that cannot be applied for.
    """
    if data["start_at"] >= data["end_at"]:
        raise RuleBroken("orders.window_reversed")
    window = Span(data["start_at"], data["end_at"])
    first = clock.local_date(window.start)
    until = min(until, first + LONGEST_SERIES)
    off = {
        day.on
        for day in workdays.day_kinds(session, first, until + timedelta(days=1))
        if day.kind is not DayKind.WORKDAY
    }
    days = rules.series_dates(first, weekdays=weekdays, until=until, skip=lambda on: skip_holidays and on in off)
    key = data.get("request_key") or f"{actor.user_id}-{now:%Y%m%d%H%M%S%f}"
    made, refused = list[TravelOrder](), dict[str, RuleBroken]()
    for on in days:
        moved = rules.moved(window, on)
        each = {**data, "start_at": moved.start, "end_at": moved.end, "request_key": f"{key}:{on}", "series": key}
        try:
            made.append(apply(session, **each, actor=actor, now=now))
        except RuleBroken as error:
            refused[on.isoformat()] = error
    if refused:
        raise Invalid(
            fields={"series": [{"on": on, "code": error.code, **error.params} for on, error in refused.items()]}
        )
    return made


def cancel_series(session: Session, *, series: str, reason: str, actor: Actor, now: datetime) -> list[TravelOrder]:
    """Take back or cancel what of a series has not begun; a second time does nothing. Returns what was ended.

    :raises RuleBroken: ``orders.reason_needed``.
    """
    if not reason.strip():
        raise RuleBroken("orders.reason_needed")
    ended = []
    for order in queries.of_series(session, series=series, actor=actor):
        if order.start_at <= now:
            continue
        if order.state in UNDECIDED:
            ended.append(orders.withdraw(session, order_id=order.id, actor=actor, now=now))
        elif order.state in ASSIGNED:
            ended.append(planning.cancel(session, order_id=order.id, reason=reason, actor=actor, now=now))
        elif order.state == OrderState.APPROVED:
            ended.append(orders.cancel(session, order_id=order.id, reason=reason, actor=actor, now=now))
    return ended


def save_favourite(
    session: Session, *, name: str, content: Mapping[str, Any], actor: Actor, now: datetime
) -> FavouriteTrip:
    """Keep a trip under a name; the same name again keeps the new content.

    :raises RuleBroken: ``applications.favourites_full``.
    """
    _require(actor)
    mine = queries.favourites(session, actor=actor)
    kept = next((row for row in mine if row.name == name), None)
    if kept is None:
        if len(mine) >= rules.MOST_FAVOURITES:
            raise RuleBroken("applications.favourites_full", most=rules.MOST_FAVOURITES)
        kept = FavouriteTrip(user_id=actor.user_id, name=name, content=dict(content), created_at=now)
        session.add(kept)
    kept.content = dict(content)
    session.flush()
    audit.record(session, actor=actor, now=now, action="applications.favourite_saved", subject_type="favourite_trip",
                 subject_id=kept.id, org_id=actor.org_id)  # fmt: skip
    return kept


def rename_favourite(session: Session, *, favourite_id: int, name: str, actor: Actor, now: datetime) -> FavouriteTrip:
    """Give a favourite another name.

    :raises Conflict: ``applications.name_taken``.
    """
    _require(actor)
    kept = queries.get_favourite(session, favourite_id=favourite_id, actor=actor)
    try:
        with session.begin_nested():
            kept.name = name
            session.flush()
    except IntegrityError as error:
        raise Conflict("applications.name_taken", name=name) from error
    audit.record(session, actor=actor, now=now, action="applications.favourite_renamed", subject_type="favourite_trip",
                 subject_id=kept.id, org_id=actor.org_id)  # fmt: skip
    return kept


def delete_favourite(session: Session, *, favourite_id: int, actor: Actor, now: datetime) -> None:
    """Forget a favourite; no order is touched."""
    _require(actor)
    kept = queries.get_favourite(session, favourite_id=favourite_id, actor=actor)
    session.delete(kept)
    session.flush()
    audit.record(session, actor=actor, now=now, action="applications.favourite_deleted", subject_type="favourite_trip",
                 subject_id=favourite_id, org_id=actor.org_id)  # fmt: skip


def use_favourite(session: Session, *, favourite_id: int, actor: Actor, now: datetime) -> FavouriteTrip:
    """Return a favourite to fill a form with, and remember that it was used."""
    _require(actor)
    kept = queries.get_favourite(session, favourite_id=favourite_id, actor=actor)
    kept.used_at = now
    session.flush()
    return kept


def attach(
    session: Session, *, order_id: int, label: str, name: str, content: bytes, actor: Actor, now: datetime
) -> Attachment:
    """Add an invitation, a notice or another paper to an order.

    :raises NotAllowed: somebody else's order, or one that is under way.
    :raises RuleBroken: ``attachments.*``, a file that is not accepted; ``applications.label``.
    """
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    owner_id = actor.user_id if actor.user_id == order.filed_by_id else order.applicant_id
    permits.require("orders.attach", actor, org_path=order.org.path, owner_id=owner_id, state=order.state)
    if label not in LABELS:
        raise RuleBroken("applications.label")
    return attachments.attach(
        session, org_id=order.org_id, subject_type="travel_order", subject_id=order.id, label=label, name=name,
        content=content, actor=actor, now=now,
    )  # fmt: skip


def _require(actor: Actor) -> None:
    """Refuse whoever may apply for nothing."""
    if not (permits.may("orders.create", actor) or permits.may("orders.create_service", actor)):
        raise NotAllowed("kit.not_allowed", action="orders.create")
