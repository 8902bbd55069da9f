"""Who is told when an order moves. The words are ``notice.…`` of this slice."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.notices import service as notices
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderAction, OrderKind

TO_APPLICANT = {
    OrderAction.DISPATCH: "orders.notice.dispatched",
    OrderAction.RELEASE: "orders.notice.released",
    OrderAction.CANCEL: "orders.notice.cancelled",
    OrderAction.HAND_OVER: "orders.notice.handed_over",
    OrderAction.NO_SHOW: "orders.notice.no_show",
}
"""What the applicant, and whoever typed the order, hears of a move that somebody else made; of decisions tells ``cases``."""


def moved(
    session: Session, *, order: TravelOrder, action: OrderAction, actor: Actor, now: datetime, event_id: int, note: str | None
) -> None:  # fmt: skip
    """Tell the applicant of what others did with the order."""
    if action in TO_APPLICANT:
        people = {order.applicant_id, order.filed_by_id} - {actor.user_id}
        person(session, order=order, to=people, code=TO_APPLICANT[action], now=now, event_id=event_id, note=note or "–")


def person(
    session: Session, *, order: TravelOrder, to: Collection[int | None], code: str, now: datetime, event_id: int, note: str = "–",
    link: str = "",
) -> None:  # fmt: skip
    """Tell people of an order: number, first hour, where to, and what was said about it; of a confidential one no more than the number."""
    secret = order.kind == OrderKind.CONFIDENTIAL
    shown = {
        "start": f"{clock.local(order.start_at):%m-%d %H:%M}",
        "to": order.stops[-1].name if order.stops else "–",
        "note": note,
    }
    notices.notify(
        session, to=to, code=code, link=link or f"/orders/{order.id}", key=f"{code}:{order.id}:{event_id}", now=now,
        params={"number": order.number, **(dict.fromkeys(shown, "***") if secret else shown)},
        urgent=order.kind == OrderKind.EMERGENCY, confidential=secret,
    )  # fmt: skip
