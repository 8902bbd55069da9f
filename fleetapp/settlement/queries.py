"""Reading of charges, gaps and statements."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session, aliased, contains_eager, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import list_districts, within_reach
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderState
from fleetapp.pricing.preview import Past
from fleetapp.pricing.rules import ZERO, Item, Use
from fleetapp.settlement import rules
from fleetapp.settlement.models import (
    Adjustment,
    Charge,
    ChargeGap,
    ChargeLine,
    Statement,
    StatementDispute,
    StatementEvent,
)
from fleetapp.settlement.rules import ChargeKind, StatementState
from fleetapp.vehicles.models import Vehicle


def visible_to(actor: Actor) -> Select[Statement]:
    """Return the statements that one of the two units within reach pays or gets, the newest month first."""
    reach = select(Organisation.id).where(within_reach(actor, "settlement.read"))
    payee = aliased(Organisation)
    return (
        select(Statement)
        .join(Statement.org)
        .join(payee, Statement.payee)
        .where(or_(Statement.org_id.in_(reach), Statement.payee_org_id.in_(reach)))
        .options(contains_eager(Statement.org), contains_eager(Statement.payee.of_type(payee)))
        .order_by(Statement.period.desc(), payee.path, Organisation.path, Statement.id)
    )


def filtered(
    query: Select[Statement],
    *,
    state: str | None = None,
    period: date | None = None,
    q: str = "",
    org_id: int | None = None,
) -> Select[Statement]:
    """Narrow statements by state, month, one of the two units, or text in number or unit."""
    if state:
        query = query.where(Statement.state == state)
    if period:
        query = query.where(Statement.period == rules.month_of(period))
    if org_id:
        query = query.where(or_(Statement.org_id == org_id, Statement.payee_org_id == org_id))
    if q:
        named = select(Organisation.id).where(Organisation.name_zh.icontains(q, autoescape=True))
        query = query.where(
            or_(
                Statement.number.icontains(q, autoescape=True),
                Statement.org_id.in_(named),
                Statement.payee_org_id.in_(named),
            )
        )
    return query


def count_by_state(session: Session, query: Select[Statement]) -> dict[str, int]:
    """Return how many statements of a list are in each state; every state is there."""
    rows = (
        query.order_by(None)
        .options()
        .with_only_columns(Statement.state, func.count(), maintain_column_froms=True)
        .group_by(Statement.state)
    )
    found = {row[0]: row[1] for row in session.execute(rows)}
    return {state.value: found.get(state.value, 0) for state in StatementState}


def get_statement(session: Session, *, statement_id: int, actor: Actor, lock: bool = False) -> Statement:
    """Return a statement that the actor may read.

    :raises NotFound: no such statement, or out of reach.
    """
    query = visible_to(actor).where(Statement.id == statement_id)
    if lock:
        query = query.with_for_update(of=Statement).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def draft_of(session: Session, *, org_id: int, payee_org_id: int, period: date) -> Statement | None:
    """Return the statement of two units and a month, locked; None where there is none."""
    query = select(Statement).where(
        Statement.org_id == org_id, Statement.payee_org_id == payee_org_id, Statement.period == period
    )
    return session.scalar(query.with_for_update().execution_options(populate_existing=True))


def charges_of(session: Session, *, statement_id: int) -> Sequence[Charge]:
    """Return the charges of a statement with lines, order, vehicle and book, in the order of their journeys."""
    query = (
        select(Charge)
        .where(Charge.statement_id == statement_id)
        .options(
            selectinload(Charge.lines), joinedload(Charge.order).joinedload(TravelOrder.applicant),
            joinedload(Charge.order).selectinload(TravelOrder.stops), joinedload(Charge.vehicle), joinedload(Charge.book),
        )
        .order_by(Charge.start_at, Charge.id)
    )  # fmt: skip
    return session.scalars(query).all()


def adjustments_of(session: Session, *, statement_id: int) -> Sequence[Adjustment]:
    """Return the corrections billed on a statement, by number, each with its charge and order."""
    query = select(Adjustment).where(Adjustment.statement_id == statement_id)
    options = (joinedload(Adjustment.charge).joinedload(Charge.order), joinedload(Adjustment.maker))
    return session.scalars(query.options(*options).order_by(Adjustment.id)).all()


def disputes_of(session: Session, *, statement_id: int) -> Sequence[StatementDispute]:
    """Return what was said about lines of a statement, the oldest first."""
    query = select(StatementDispute).where(StatementDispute.statement_id == statement_id)
    options = (
        joinedload(StatementDispute.raiser),
        joinedload(StatementDispute.answerer),
        joinedload(StatementDispute.adjustment),
    )
    return session.scalars(query.options(*options).order_by(StatementDispute.id)).all()


def open_disputes(session: Session, *, statement_id: int) -> Sequence[StatementDispute]:
    """Return the lines of a statement that wait for an answer."""
    query = select(StatementDispute).where(
        StatementDispute.statement_id == statement_id, StatementDispute.answered_at.is_(None)
    )
    return session.scalars(query.order_by(StatementDispute.id)).all()


def events(session: Session, *, statement_id: int) -> Sequence[StatementEvent]:
    """Return the steps of a statement, the oldest first."""
    query = select(StatementEvent).where(StatementEvent.statement_id == statement_id)
    return session.scalars(query.options(joinedload(StatementEvent.actor)).order_by(StatementEvent.id)).all()


def sum_of(session: Session, *, statement_id: int) -> Decimal:
    """Return what a statement's charges and corrections come to, CNY."""
    charges = session.scalars(select(Charge.amount).where(Charge.statement_id == statement_id)).all()
    corrected = session.scalars(select(Adjustment.amount).where(Adjustment.statement_id == statement_id)).all()
    return rules.total(charges, corrected)


def net_of(session: Session, *, charge_id: int) -> Decimal:
    """Return what a charge comes to with its corrections, CNY."""
    amount = session.scalars(select(Charge.amount).where(Charge.id == charge_id)).one()
    return amount + sum(session.scalars(select(Adjustment.amount).where(Adjustment.charge_id == charge_id)), ZERO)


def get_charge(session: Session, *, charge_id: int, statement_id: int) -> Charge:
    """Return a charge of a statement.

    :raises NotFound: it is not on that statement.
    """
    found = session.scalar(select(Charge).where(Charge.id == charge_id, Charge.statement_id == statement_id))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def charge_of(session: Session, *, order_id: int) -> Charge | None:
    """Return an order's charge with its lines and statement; None where it has none yet."""
    query = select(Charge).where(Charge.order_id == order_id)
    options = (
        selectinload(Charge.lines),
        joinedload(Charge.book),
        joinedload(Charge.statement),
        joinedload(Charge.holder),
    )
    return session.scalar(query.options(*options))


def gap_of(session: Session, *, order_id: int) -> ChargeGap | None:
    """Return why an order has no charge yet, as far as it was tried."""
    return session.scalar(select(ChargeGap).where(ChargeGap.order_id == order_id))


def uncharged(session: Session, *, after_id: int, limit: int) -> Sequence[int]:
    """Return ids of orders with confirmed mileage and no charge, above an id, ascending."""
    query = (
        select(TravelOrder.id)
        .outerjoin(Charge, Charge.order_id == TravelOrder.id)
        .where(TravelOrder.state == OrderState.MILEAGE_CONFIRMED, Charge.id.is_(None), TravelOrder.id > after_id)
    )
    return session.scalars(query.order_by(TravelOrder.id).limit(limit)).all()


def settled(session: Session, *, after_id: int, limit: int) -> Sequence[int]:
    """Return ids of settled orders that are not closed, above an id, ascending."""
    query = select(TravelOrder.id).where(TravelOrder.state == OrderState.SETTLED, TravelOrder.id > after_id)
    return session.scalars(query.order_by(TravelOrder.id).limit(limit)).all()


def drafts_before(session: Session, month: date) -> Sequence[int]:
    """Return ids of the drafts of months before one, by payee and month: numbers are given in that order."""
    query = select(Statement.id).where(Statement.state == StatementState.DRAFT, Statement.period < month)
    return session.scalars(query.order_by(Statement.payee_org_id, Statement.period, Statement.org_id)).all()


def district_paths(session: Session) -> list[str]:
    """Return the paths of the districts."""
    return [district.path for district in list_districts(session)]


def gaps(actor: Actor) -> Select[ChargeGap]:
    """Return the orders that wait for a price or a bill within reach, those waiting longest first."""
    reach = select(Organisation.id).where(within_reach(actor, "settlement.read"))
    return (
        select(ChargeGap)
        .where(ChargeGap.closed_at.is_(None), or_(ChargeGap.org_id.in_(reach), ChargeGap.holder_org_id.in_(reach)))
        .options(joinedload(ChargeGap.org), joinedload(ChargeGap.order))
        .order_by(ChargeGap.first_at, ChargeGap.id)
    )


@dataclass(frozen=True, slots=True)
class Month:
    """What the statements within reach came to in a month, CNY, by how far they are."""

    period: date
    open: Decimal
    agreed: Decimal
    paid: Decimal

    @property
    def total(self) -> Decimal:
        """All of it."""
        return self.open + self.agreed + self.paid


def months(session: Session, *, actor: Actor, since: date, org_id: int | None = None) -> list[Month]:
    """Return the sums of every month from one on."""
    query = filtered(visible_to(actor), org_id=org_id).where(Statement.period >= since).order_by(None)
    rows = session.execute(
        query.options().with_only_columns(Statement.period, Statement.state, func.sum(Statement.total), maintain_column_froms=True).group_by(
            Statement.period, Statement.state)
    ).all()  # fmt: skip
    found: dict[date, dict[str, Decimal]] = {}
    for period, state, amount in rows:
        found.setdefault(period, {})[state] = amount
    return [
        Month(
            period,
            sum((amount for state, amount in sums.items() if state not in rules.FINAL), ZERO),
            sums.get(StatementState.CONFIRMED, ZERO), sums.get(StatementState.PAID, ZERO),
        )
        for period, sums in sorted(found.items())
    ]  # fmt: skip


def past(session: Session, *, actor: Actor, start: datetime, end: datetime) -> list[Past]:
    """Return the paid journeys that ended in ``[start, end)`` within reach, for the preview of a price book."""
    reach = select(Organisation.id).where(within_reach(actor, "settlement.read"))
    spent = (
        select(
            ChargeLine.charge_id,
            func.sum(ChargeLine.amount).filter(ChargeLine.item == Item.TOLL).label("toll"),
            func.sum(ChargeLine.amount).filter(ChargeLine.item == Item.PARKING).label("parking"),
        )
        .group_by(ChargeLine.charge_id)
        .subquery()
    )
    rows = session.execute(
        select(Charge, Vehicle.body, Organisation.path, spent.c.toll, spent.c.parking)
        .join(Vehicle, Vehicle.id == Charge.vehicle_id)
        .join(Organisation, Organisation.id == Charge.holder_org_id)
        .outerjoin(spent, spent.c.charge_id == Charge.id)
        .where(
            Charge.kind == ChargeKind.PAID, Charge.end_at >= start, Charge.end_at < end,
            or_(Charge.org_id.in_(reach), Charge.holder_org_id.in_(reach)),
        )
    )  # fmt: skip
    return [
        Past(
            Use(one.start_at, one.end_at, one.distance_m, one.wait_min, toll or ZERO, parking or ZERO, one.cross_level),
            body,
            path,
        )
        for one, body, path, toll, parking in rows
    ]


def charged_orders(session: Session, *, statement_id: int) -> Sequence[int]:
    """Return ids of the orders on a statement, ascending."""
    query = select(Charge.order_id).where(Charge.statement_id == statement_id)
    return session.scalars(query.order_by(Charge.order_id)).all()


def spent_in(session: Session, *, org_id: int, month: date) -> Decimal:
    """Return what a unit's paid and outsourced journeys of a month have cost so far, CNY."""
    until = rules.month_after(month)
    on = func.timezone("Asia/Shanghai", Charge.end_at)
    query = select(func.sum(Charge.amount)).where(and_(Charge.org_id == org_id, on >= month, on < until))
    return session.scalar(query) or ZERO
