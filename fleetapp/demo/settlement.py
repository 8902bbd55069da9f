"""The demo's charges, each a minute after its mileage was confirmed, and what its units made of last month's statements."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.demo import people
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.db import Database, become
from fleetapp.orders.models import OrderEvent, TravelOrder
from fleetapp.orders.rules import OrderAction, OrderState
from fleetapp.settlement import charging, queries, rules, service
from fleetapp.settlement.models import Statement
from fleetapp.settlement.rules import StatementState

AT_ONCE = timedelta(minutes=1)
CLOSED_AFTER = timedelta(minutes=10)
ISSUED_AT = timedelta(minutes=30)
CONFIRMED_AFTER, PAID_AFTER, DISPUTED_AFTER = (
    timedelta(days=2, hours=9),
    timedelta(days=8, hours=10),
    timedelta(days=3, hours=10),
)
WAYS = ("paid", "disputed", "issued", "confirmed")
"""What becomes of the statements in their order, over and over."""
ORDERS_A_COMMIT = 100
DISPUTE = "返程绕行加油，多计的里程不应由我单位承担，请核减。"


def settle(database: Database, *, now: datetime) -> dict[str, int]:
    """Charge and close what is confirmed, issue and answer the statements of the months that are over; returns counts."""
    with database.transaction(SYSTEM) as session:
        confirmed = _confirmed(session)
        districts = queries.district_paths(session)
    issues = _month_starts(confirmed[0][1] if confirmed else now, now)
    for first in range(0, len(confirmed), ORDERS_A_COMMIT):
        with database.transaction(SYSTEM) as session:
            for order_id, at in confirmed[first : first + ORDERS_A_COMMIT]:
                while issues and issues[0] <= at:
                    service.issue_due(session, actor=SYSTEM, now=issues.pop(0))
                made = charging.charge(session, order_id=order_id, districts=districts, actor=SYSTEM, now=at + AT_ONCE)
                if made is not None and made.statement_id is None:
                    charging.close(session, order_ids=[order_id], actor=SYSTEM, now=at + CLOSED_AFTER)
    with database.transaction(SYSTEM) as session:
        for at in issues:
            service.issue_due(session, actor=SYSTEM, now=at)
        statements = _answered(session, people.everybody(session), now=now)
    return {"charged": len(confirmed), "statements": statements}


def _confirmed(session: Session) -> list[tuple[int, datetime]]:
    """Return the confirmed orders with the moment of it, in the order of time."""
    at = func.max(OrderEvent.at)
    rows = session.execute(
        select(TravelOrder.id, at)
        .join(OrderEvent, OrderEvent.order_id == TravelOrder.id)
        .where(TravelOrder.state == OrderState.MILEAGE_CONFIRMED, OrderEvent.action == OrderAction.CONFIRM)
        .group_by(TravelOrder.id)
        .order_by(at, TravelOrder.id)
    )
    return [(order_id, moment) for order_id, moment in rows]


def _month_starts(since: datetime, until: datetime) -> list[datetime]:
    """Return the moments of the monthly issue in a span."""
    found, month = [], rules.month_after(rules.month_of(clock.local_date(since)))
    while (at := clock.start_of(month) + ISSUED_AT) <= until:
        found.append(at)
        month = rules.month_after(month)
    return found


def _answered(session: Session, actors: dict[str, Actor], *, now: datetime) -> int:
    """Let the units pay, dispute, leave and confirm the issued statements in turn; returns how many there are."""
    by_id = {actor.user_id: actor for actor in actors.values()}
    issued = session.scalars(
        select(Statement).where(Statement.state == StatementState.ISSUED).order_by(Statement.number)
    ).all()
    for number, statement in enumerate(issued):
        payer = _somebody(session, by_id, (Role.UNIT_ADMIN,), statement.org.path)
        holder = _somebody(session, by_id, (Role.FLEET_MANAGER, Role.UNIT_ADMIN), statement.payee.path)
        began = statement.issued_at or now
        if payer is not None and holder is not None:
            _go(session, statement, WAYS[number % len(WAYS)], payer=payer, holder=holder, began=began, now=now)
            become(session, SYSTEM)
    return len(issued)


def _go(
    session: Session, statement: Statement, way: str, *, payer: Actor, holder: Actor, began: datetime, now: datetime
) -> None:
    """Take one statement as far as its way goes by now."""
    if way in {"paid", "confirmed"} and began + CONFIRMED_AFTER <= now:
        become(session, payer)
        service.confirm(session, statement_id=statement.id, actor=payer, now=began + CONFIRMED_AFTER)
        become(session, SYSTEM)
        settled = queries.charged_orders(session, statement_id=statement.id)
        charging.close(session, order_ids=settled, actor=SYSTEM, now=began + CONFIRMED_AFTER + CLOSED_AFTER)
    if way == "paid" and (paid_at := began + PAID_AFTER) <= now:
        become(session, holder)
        voucher_no = f"PZ{clock.local_date(paid_at):%Y%m}-{statement.id:04d}"
        service.pay(
            session,
            statement_id=statement.id,
            voucher_no=voucher_no,
            paid_on=clock.local_date(paid_at),
            actor=holder,
            now=paid_at,
        )
    if way == "disputed" and began + DISPUTED_AFTER <= now:
        become(session, payer)
        dearest = max(
            queries.charges_of(session, statement_id=statement.id), key=lambda charge: (charge.amount, charge.id)
        )
        service.dispute(
            session, statement_id=statement.id, reasons={dearest.id: DISPUTE}, actor=payer, now=began + DISPUTED_AFTER
        )


def _somebody(session: Session, by_id: dict[int | None, Actor], roles: Sequence[Role], org_path: str) -> Actor | None:
    """Return whoever holds the first of the roles at a unit itself, else nearest above it."""
    for role in roles:
        for user_id in accounts.holders(session, role=role, org_path=org_path):
            if user_id in by_id:
                return by_id[user_id]
    return None
