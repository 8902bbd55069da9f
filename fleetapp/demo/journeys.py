"""How the demo's journeys end: tolls are entered, distances confirmed or objected to, the service rated."""

import random
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from fleetapp.confirmations import jobs, queries, ratings, rules, service
from fleetapp.demo import people
from fleetapp.drivers.models import Driver
from fleetapp.duty import expenses
from fleetapp.duty.rules import ExpenseKind
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database, become
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.orders.rules import OrderAction, OrderState
from fleetapp.planning.models import Assignment, AssignmentState

CONFIRMED_AFTER = timedelta(hours=3)
STILL_OPEN = timedelta(hours=12)
"""Journeys that ended so lately wait to be confirmed."""
RATED_AFTER = timedelta(minutes=5)
WHY = ("中途增加接人，绕行。", "会后送材料至区政府，路程增加。", "主路封闭绕行。")
WRONG = ("里程与实际路线不符，请核对。", "停车费不是本次产生的。")
ANSWERED = "已核对仪表照片，按实际更正。"
KEPT = "已核对凭证，系本次行程产生。"
SAID = ("", "", "", "准时到达，服务周到。", "车内整洁。", "提前到达等候，驾驶平稳。")


def end(database: Database, *, now: datetime) -> tuple[int, int]:
    """End the journeys that are back, each at its own time; returns how many are confirmed and how many rated."""
    confirmed = rated = 0
    back = func.max(OrderEvent.at).label("back")
    with database.transaction(SYSTEM) as session:
        actors = people.everybody(session)
        by_id = {actor.user_id: actor for actor in actors.values()}
        answerers = sorted(
            (actor for name, actor in actors.items() if name.startswith("dispatcher")),
            key=lambda actor: len(actor.paths()[0]),
        )
        rows = session.execute(
            select(Assignment, back)
            .join(OrderEvent, OrderEvent.order_id == Assignment.order_id)
            .join(TravelOrder, TravelOrder.id == Assignment.order_id)
            .where(
                Assignment.state == AssignmentState.ACTIVE,
                OrderEvent.action == OrderAction.CHECK_IN,
                TravelOrder.state == OrderState.RETURNED,
            )
            .group_by(Assignment.id)
            .order_by(back, Assignment.id)
            .options(joinedload(Assignment.order), joinedload(Assignment.driver).joinedload(Driver.user))
        ).all()
        for duty, back_at in rows:
            luck = random.Random(duty.order.number)
            driver, applicant, order_id = by_id[duty.driver.user_id], by_id[duty.order.applicant_id], duty.order_id
            at = back_at + CONFIRMED_AFTER
            become(session, driver)
            for kind, most in ((ExpenseKind.TOLL, 60), (ExpenseKind.PARKING, 30)):
                if luck.random() < 0.25:
                    expenses.add(session, assignment_id=duty.id, kind=kind, amount=Decimal(luck.randint(5, most)),
                                 idempotency_key=f"demo-{duty.id}-{kind}", actor=driver, now=min(back_at + RATED_AFTER, now), at=back_at)  # fmt: skip
            if back_at > now - STILL_OPEN:
                continue
            chance = luck.random()
            become(session, applicant)
            if chance < 0.04:
                wrong = luck.choice(WRONG)
                service.object_to(session, order_id=order_id, reason=wrong, actor=applicant, now=at)
                if chance < 0.015:
                    continue
                who = next(
                    (one for one in reversed(answerers) if duty.order.org.path.startswith(one.paths()[0])), answerers[0]
                )
                become(session, who)
                reading = queries.journey(session, order=duty.order).proposal
                proposed_m = max(reading[0] - 1000, 0) if reading and wrong == WRONG[0] else None
                at += CONFIRMED_AFTER
                service.answer(
                    session,
                    order_id=order_id,
                    reply=ANSWERED if proposed_m is not None else KEPT,
                    proposed_m=proposed_m,
                    actor=who,
                    now=at,
                )
                become(session, applicant)
                at += CONFIRMED_AFTER
            elif chance < 0.2 or at > now:
                continue
            try:
                service.confirm(session, order_id=order_id, actor=applicant, now=at)
            except RuleBroken:  # the distances are far apart
                service.confirm(session, order_id=order_id, reason=luck.choice(WHY), actor=applicant, now=at)
            confirmed += 1
            if luck.random() < 0.6:
                low = luck.random() < 0.03
                scores = {item: luck.choice((2, 3)) if low else luck.choice((4, 5, 5, 5)) for item in rules.ITEMS}
                ratings.rate(
                    session,
                    order_id=order_id,
                    scores=scores,
                    comment=luck.choice(SAID) or None,
                    actor=applicant,
                    now=at + RATED_AFTER,
                )
                rated += 1
        become(session, SYSTEM)
    return confirmed + jobs.confirm_due(database, now)["confirmed"], rated
