"""What the application form knows of people: favourite trips, a weekly series, a confidential order that few see."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from fleetapp.applications import rules, service
from fleetapp.applications.queries import next_workday
from fleetapp.demo import people
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, become
from fleetapp.orders import queries as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose, Stop

FAVOURITES = 30
"""So many applicants keep the way of their last order."""
WEEKS = 4


def apply(database: Database, *, now: datetime) -> int:
    """Make favourites of what people ordered last, a weekly series and a confidential order; returns the favourites."""
    with database.transaction(SYSTEM) as session:
        actors = {actor.user_id: actor for actor in people.everybody(session).values()}
        last = (
            select(func.max(TravelOrder.id))
            .where(TravelOrder.kind == OrderKind.ORDINARY)
            .group_by(TravelOrder.applicant_id)
        )
        kept = session.scalars(
            orders.visible_to(SYSTEM).where(TravelOrder.id.in_(last)).order_by(None).order_by(TravelOrder.id)
        ).all()
        on = next_workday(session, clock.local_date(now) + timedelta(days=2))
        for order in kept[:FAVOURITES]:
            actor = actors[order.applicant_id]
            become(session, actor)
            service.save_favourite(
                session, name=f"去{order.stops[-1].name}"[:40], content=rules.content_of(order), actor=actor, now=now
            )
        if kept:
            order, actor = kept[0], actors[kept[0].applicant_id]
            become(session, actor)
            common: dict[str, Any] = {
                "contact": order.contact, "body": order.body, "passengers": "机要员", "passenger_count": 1, "start_at": _at(on, 9),
                "end_at": _at(on, 11), "stops": [Stop(stop.name, stop.lat, stop.lon) for stop in order.stops],
                "overlap_reason": "演示数据", "actor": actor, "now": now,
            }  # fmt: skip
            service.apply_weekly(session, kind=OrderKind.ORDINARY, purpose=Purpose.DOCUMENTS, reason="每周机要文件交换", pooling_ok=True,
                                 weekdays=[on.weekday()], until=on + timedelta(weeks=WEEKS), **common)  # fmt: skip
            service.apply(session, kind=OrderKind.CONFIDENTIAL, purpose=Purpose.DOCUMENTS, reason="机要文件送达",
                          **{**common, "start_at": _at(on, 14), "end_at": _at(on, 16)})  # fmt: skip
        become(session, SYSTEM)
    return min(len(kept), FAVOURITES)


def _at(on: date, hour: int) -> datetime:
    return clock.start_of(on) + timedelta(hours=hour)
