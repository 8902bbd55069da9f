"""Charging of confirmed orders, and the closing of what is settled; each order on its own."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.findings import queries as findings
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.orders import queries as orders
from fleetapp.orders import service as order_service
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderAction, OrderState
from fleetapp.pricing import queries as pricing
from fleetapp.pricing.models import PriceBook, PriceRate
from fleetapp.pricing.queries import Gap
from fleetapp.pricing.rules import ZERO, Fee
from fleetapp.settlement import facts, queries, rules
from fleetapp.settlement.facts import Driven
from fleetapp.settlement.models import Charge, ChargeGap, ChargeLine, Statement
from fleetapp.settlement.rules import ChargeKind, DistanceSource, StatementState
from fleetapp.sharing import queries as sharing

BATCH = 100


def charge_next(session: Session, *, after_id: int, actor: Actor, now: datetime, limit: int = BATCH) -> int | None:
    """Charge the next confirmed orders; returns the last one looked at, None when there are no more.

    An order without a price stays open with its reason on the list of gaps and is tried again with the next run.
    """
    permits.require("settlement.charge", actor)
    found = queries.uncharged(session, after_id=after_id, limit=limit)
    districts = queries.district_paths(session)
    for order_id in found:
        charge(session, order_id=order_id, districts=districts, actor=actor, now=now)
    return found[-1] if found else None


def charge(session: Session, *, order_id: int, districts: Sequence[str], actor: Actor, now: datetime) -> Charge | None:
    """Charge one confirmed order, and settle it at once where nobody else has to agree; None at a gap.

    The book in force on the day of the approval counts, whatever was published since. A second time does nothing.
    """
    permits.require("settlement.charge", actor)
    order = orders.hold_order(session, order_id=order_id)
    if order.state != OrderState.MILEAGE_CONFIRMED:
        return queries.charge_of(session, order_id=order_id)
    if (made := queries.charge_of(session, order_id=order_id)) is not None:
        return made
    driven = facts.driven(session, order_id=order_id)
    if driven is None:
        amount = facts.bill_cny(session, order_id=order_id)
        if amount is None:
            _gap(session, order, Gap("settlement.gap.no_bill"), holder_org_id=None, now=now)
            return None
        return _billed(session, order, amount, actor=actor, now=now)
    holder_id = driven.journey.holder_org_id
    if holder_id == order.org_id:
        return _made(session, order, driven, ChargeKind.OWN, Fee(()), actor=actor, now=now)
    priced = _priced(session, order, driven, districts)
    if isinstance(priced, Gap):
        _gap(session, order, priced, holder_org_id=holder_id, now=now)
        return None
    book, fee, across = priced
    statement = _open_statement(session, order, holder_id, until=driven.journey.use.end_at, now=now)
    return _made(
        session,
        order,
        driven,
        ChargeKind.PAID,
        fee,
        book=book,
        across=across,
        statement=statement,
        actor=actor,
        now=now,
    )


def _priced(
    session: Session, order: TravelOrder, driven: Driven, districts: Sequence[str]
) -> tuple[PriceBook, Fee, bool] | Gap:
    """Return the book, the order's fee and whether it is across levels; a gap where there is no price yet."""
    if driven.waits_for:
        return Gap("settlement.gap.waits", {"numbers": "、".join(driven.waits_for)})
    holder_path = driven.vehicle.org.path
    found = pricing.find_rate(session, body=driven.vehicle.body, on=_approved_on(order), org_path=holder_path)
    if isinstance(found, Gap):
        return found
    book, rate = found
    journey = driven.journey
    paths = _paths(session, [rider.org_id for rider in journey.riders])
    level = rules.level_of(holder_path, districts)
    across = {rider.order_id for rider in journey.riders if rules.level_of(paths[rider.org_id], districts) != level}
    try:
        fees = _fees(session, driven, rate, book, across)
    except RuleBroken as error:
        return Gap(error.code, {"book": book.title})
    return book, fees[order.id], order.id in across


def _fees(session: Session, driven: Driven, rate: PriceRate, book: PriceBook, across: set[int]) -> dict[int, Fee]:
    use = driven.journey.use
    holidays = pricing.holidays(session, use.start_at, use.end_at)
    return rules.shares_of(driven.journey, rate.prices, book.terms, cross_level=across, holidays=holidays)


def _approved_on(order: TravelOrder) -> date:
    return clock.local_date(order.approved_at or order.created_at)


def _paths(session: Session, org_ids: Sequence[int]) -> dict[int, str]:
    rows = session.execute(select(Organisation.id, Organisation.path).where(Organisation.id.in_(org_ids)))
    return dict(rows.all())


def _open_statement(
    session: Session, order: TravelOrder, payee_org_id: int, *, until: datetime, now: datetime
) -> Statement:
    """Return the draft that takes a journey: of the month it ended in, or of the first later one not issued yet."""
    return open_statement(
        session, org_id=order.org_id, payee_org_id=payee_org_id, period=rules.month_of(clock.local_date(until)), now=now
    )


def open_statement(session: Session, *, org_id: int, payee_org_id: int, period: date, now: datetime) -> Statement:
    """Return the draft of two units for a month, made where there is none; of the first month later where it was issued."""
    month = period
    while True:
        session.execute(
            insert(Statement)
            .values(org_id=org_id, payee_org_id=payee_org_id, period=month, state=StatementState.DRAFT, edition=0, total=ZERO, created_at=now, version=1)
            .on_conflict_do_nothing(index_elements=["org_id", "payee_org_id", "period"])
        )  # fmt: skip
        found = queries.draft_of(session, org_id=org_id, payee_org_id=payee_org_id, period=month)
        if found is not None and found.state == StatementState.DRAFT:
            return found
        month = rules.month_after(month)


def _made(
    session: Session, order: TravelOrder, driven: Driven, kind: ChargeKind, fee: Fee, *, actor: Actor, now: datetime,
    book: PriceBook | None = None, across: bool = False, statement: Statement | None = None,
) -> Charge:  # fmt: skip
    use = driven.journey.use
    made = Charge(
        org_id=order.org_id, holder_org_id=driven.journey.holder_org_id, order_id=order.id, vehicle_id=driven.vehicle.id,
        statement_id=statement.id if statement else None, kind=kind, book_id=book.id if book else None, start_at=use.start_at, end_at=use.end_at,
        distance_m=use.distance_m, distance_source=driven.source, wait_min=use.wait_min, cross_level=across,
        part=min((line.part for line in fee.lines), default=Decimal(1)), amount=fee.total, created_at=now,
    )  # fmt: skip
    made.lines = [
        ChargeLine(item=line.item, quantity=line.quantity, price=line.price, amount=line.amount) for line in fee.lines
    ]
    session.add(made)
    session.flush()
    if statement is not None:
        statement.total += made.amount
    _done(session, order, made, actor=actor, now=now)
    return made


def _billed(session: Session, order: TravelOrder, amount: Decimal, *, actor: Actor, now: datetime) -> Charge:
    """Charge an outsourced journey at the bill that was confirmed with it, and settle its order."""
    otherwise = sharing.fallback_of(session, order_id=order.id)
    made = Charge(
        org_id=order.org_id, order_id=order.id, kind=ChargeKind.OUTSOURCED, start_at=order.start_at, end_at=order.end_at,
        distance_m=order.route_m or 0, distance_source=DistanceSource.PLANNED, wait_min=0, cross_level=False, part=Decimal(1), amount=amount,
        supplier=otherwise.provider if otherwise else None, bill_no=otherwise.bill_no if otherwise else None, created_at=now,
    )  # fmt: skip
    session.add(made)
    session.flush()
    _done(session, order, made, actor=actor, now=now)
    return made


def _done(session: Session, order: TravelOrder, made: Charge, *, actor: Actor, now: datetime) -> None:
    """Take the order off the list of gaps, record its charge, and settle it where nobody else has to agree."""
    gap = queries.gap_of(session, order_id=order.id)
    if gap is not None and gap.closed_at is None:
        gap.closed_at = now
    audit.record(session, actor=actor, now=now, action="settlement.charged", subject_type="charge", subject_id=made.id, org_id=order.org_id,
                 order=order.number, kind=made.kind, amount=made.amount, book=made.book_id, statement=made.statement_id)  # fmt: skip
    if made.kind != ChargeKind.PAID:
        order_service.advance(session, order=order, action=OrderAction.SETTLE, actor=actor, now=now, note=None)


def close_next(
    session: Session, *, after_id: int, actor: Actor, now: datetime, limit: int = BATCH
) -> tuple[int, int] | None:
    """Close the next settled orders that no open red clue is about; returns the last one looked at and how many, None at the end."""
    permits.require("settlement.close", actor)
    found = queries.settled(session, after_id=after_id, limit=limit)
    if not found:
        return None
    return found[-1], close(session, order_ids=found, actor=actor, now=now)


def close(session: Session, *, order_ids: Sequence[int], actor: Actor, now: datetime) -> int:
    """Close those of some orders that are settled and that no open red clue is about; returns how many."""
    permits.require("settlement.close", actor)
    held, closed = findings.open_red(session, order_ids=order_ids), 0
    for order_id in order_ids:
        if order_id in held:
            continue
        order = orders.hold_order(session, order_id=order_id)
        if order.state == OrderState.SETTLED:
            order_service.advance(session, order=order, action=OrderAction.CLOSE, actor=actor, now=now)
            closed += 1
    return closed


def _gap(session: Session, order: TravelOrder, gap: Gap, *, holder_org_id: int | None, now: datetime) -> None:
    """Put an order on the list of gaps, or say that it still stands there."""
    told = {"code": gap.code, "params": gap.params, "holder_org_id": holder_org_id, "last_at": now, "closed_at": None}
    session.execute(
        insert(ChargeGap)
        .values(org_id=order.org_id, order_id=order.id, first_at=now, **told)
        .on_conflict_do_update(index_elements=["order_id"], set_=told)
    )
