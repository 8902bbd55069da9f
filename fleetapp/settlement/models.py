"""Charges of orders, statements between two units, what happened to them."""

from datetime import date
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.kit.columns import Id, Json, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.orders.models import TravelOrder
from fleetapp.pricing.models import PriceBook
from fleetapp.pricing.rules import Item
from fleetapp.settlement.rules import ChargeKind, DistanceSource, StatementState
from fleetapp.vehicles.models import Vehicle

Money = Numeric(12, 2)


class Statement(Base):
    """What ``org_id`` owes ``payee_org_id`` for a month, CNY; ``period`` is its first day.

    ``edition`` counts how often it was issued. ``number`` runs per payee and year without gaps, given at the first issue.
    """

    __tablename__ = "statement"
    __table_args__ = (
        one_of("state", StatementState),
        UniqueConstraint("org_id", "payee_org_id", "period"),
        CheckConstraint("org_id <> payee_org_id", name="two"),
        CheckConstraint("extract(day FROM period) = 1", name="period"),
        CheckConstraint("total >= 0", name="total"),
        CheckConstraint("(state = 'DRAFT') = (number IS NULL) AND (state = 'DRAFT') = (edition = 0)", name="number"),
        CheckConstraint("(state IN ('CONFIRMED', 'PAID')) = (confirmed_at IS NOT NULL)", name="confirmed"),
        CheckConstraint("(state = 'PAID') = (voucher_no IS NOT NULL) AND (state = 'PAID') = (paid_at IS NOT NULL)", name="paid"),
        CheckConstraint("confirmed_by IS NULL OR confirmed_by IS DISTINCT FROM issued_by", name="no_self_confirm"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    payee_org_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organisation.id"), index=True)
    period: Mapped[date] = mapped_column(Date)
    state: Mapped[Str]
    number: Mapped[OptionalStr] = mapped_column(unique=True)
    edition: Mapped[int] = mapped_column(Integer)
    total: Mapped[Decimal] = mapped_column(Money)
    created_at: Mapped[Moment]
    issued_at: Mapped[OptionalMoment]
    issued_by: Mapped[OptionalUserId]
    confirmed_at: Mapped[OptionalMoment]
    confirmed_by: Mapped[OptionalUserId]
    paid_at: Mapped[OptionalMoment]
    voucher_no: Mapped[OptionalStr]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship(foreign_keys="Statement.org_id")
    payee: Mapped[Organisation] = relationship(foreign_keys="Statement.payee_org_id")
    charges: Mapped[list["Charge"]] = relationship(order_by="Charge.start_at, Charge.id", viewonly=True)
    adjustments: Mapped[list["Adjustment"]] = relationship(order_by="Adjustment.id", viewonly=True)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class Charge(Base):
    """What one order costs its unit, CNY, once and for ever; ``start_at`` to ``end_at`` is the use that was charged.

    ``book_id`` is the version that was in force when the order was approved. ``bill_no`` and ``supplier`` are those of an
    outsourced journey. ``part`` is the order's part of a shared journey.
    """

    __tablename__ = "charge"
    __table_args__ = (
        one_of("kind", ChargeKind),
        one_of("distance_source", DistanceSource),
        CheckConstraint("amount >= 0 AND distance_m >= 0 AND wait_min >= 0 AND part > 0 AND part <= 1", name="amounts"),
        CheckConstraint("(kind = 'paid') = (statement_id IS NOT NULL) AND (kind = 'paid') = (book_id IS NOT NULL)", name="billed"),
        CheckConstraint("kind <> 'own' OR (amount = 0 AND holder_org_id = org_id)", name="own"),
        CheckConstraint("kind <> 'paid' OR holder_org_id <> org_id", name="another"),
        CheckConstraint("kind = 'outsourced' OR (bill_no IS NULL AND supplier IS NULL)", name="bill"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    holder_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"), index=True)
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), unique=True)
    vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    statement_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("statement.id"), index=True)
    kind: Mapped[Str]
    book_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("price_book.id"))
    start_at: Mapped[Moment]
    end_at: Mapped[Moment]
    distance_m: Mapped[int] = mapped_column(Integer)
    distance_source: Mapped[Str]
    wait_min: Mapped[int] = mapped_column(Integer)
    cross_level: Mapped[bool] = mapped_column(Boolean)
    part: Mapped[Decimal] = mapped_column(Numeric(7, 6))
    amount: Mapped[Decimal] = mapped_column(Money)
    supplier: Mapped[OptionalStr]
    bill_no: Mapped[OptionalStr]
    created_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship(foreign_keys="Charge.org_id")
    holder: Mapped[Organisation | None] = relationship(foreign_keys="Charge.holder_org_id")
    order: Mapped[TravelOrder] = relationship()
    vehicle: Mapped[Vehicle | None] = relationship()
    book: Mapped[PriceBook | None] = relationship()
    statement: Mapped[Statement | None] = relationship()
    lines: Mapped[list["ChargeLine"]] = relationship(order_by="ChargeLine.id", cascade="all")


class ChargeLine(Base):
    """One line of a charge, append-only."""

    __tablename__ = "charge_line"
    __table_args__ = (one_of("item", Item), UniqueConstraint("charge_id", "item"))

    id: Mapped[Id]
    charge_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("charge.id"))
    item: Mapped[Str]
    quantity: Mapped[Decimal] = mapped_column(Numeric(12, 2))
    price: Mapped[Decimal] = mapped_column(Money)
    amount: Mapped[Decimal] = mapped_column(Money)


class Adjustment(Base):
    """A numbered correction of a charge, billed on ``statement_id``: its own while that is open, else a later one; append-only."""

    __tablename__ = "adjustment"
    __table_args__ = (
        CheckConstraint("amount <> 0", name="amount"),
        CheckConstraint("length(trim(reason)) >= 2", name="reason"),
    )

    id: Mapped[Id]
    number: Mapped[Str] = mapped_column(unique=True)
    charge_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("charge.id"), index=True)
    statement_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("statement.id"), index=True)
    amount: Mapped[Decimal] = mapped_column(Money)
    reason: Mapped[Str]
    made_by: Mapped[OptionalUserId]
    made_at: Mapped[Moment]

    charge: Mapped[Charge] = relationship()
    maker: Mapped[UserAccount | None] = relationship()


class StatementDispute(Base):
    """A line that the payer does not agree with, and the holder's answer; with an adjustment or without."""

    __tablename__ = "statement_dispute"
    __table_args__ = (
        Index("uq_statement_dispute_open", "charge_id", unique=True, postgresql_where=text("answered_at IS NULL")),
        CheckConstraint("length(trim(reason)) >= 2", name="reason"),
        CheckConstraint("(answered_at IS NULL) = (answer IS NULL)", name="answer"),
        CheckConstraint("answered_by IS DISTINCT FROM raised_by OR raised_by IS NULL", name="no_self_answer"),
    )

    id: Mapped[Id]
    statement_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("statement.id"), index=True)
    charge_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("charge.id"))
    reason: Mapped[Str]
    raised_by: Mapped[OptionalUserId]
    raised_at: Mapped[Moment]
    answer: Mapped[OptionalStr]
    answered_by: Mapped[OptionalUserId]
    answered_at: Mapped[OptionalMoment]
    adjustment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("adjustment.id"))

    adjustment: Mapped[Adjustment | None] = relationship()
    raiser: Mapped[UserAccount | None] = relationship(foreign_keys="StatementDispute.raised_by")
    answerer: Mapped[UserAccount | None] = relationship(foreign_keys="StatementDispute.answered_by")


class StatementEvent(StateStep, Base):
    """One step of a statement, append-only."""

    __tablename__ = "statement_event"

    statement_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("statement.id"), index=True)


class ChargeGap(Base):
    """An order that could not be charged yet: ``code`` is the text that says why, with ``params``; closed by its charge."""

    __tablename__ = "charge_gap"

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    holder_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("travel_order.id"), unique=True)
    code: Mapped[Str]
    params: Mapped[Json]
    first_at: Mapped[Moment]
    last_at: Mapped[Moment]
    closed_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship(foreign_keys="ChargeGap.org_id")
    holder: Mapped[Organisation | None] = relationship(foreign_keys="ChargeGap.holder_org_id")
    order: Mapped[TravelOrder] = relationship()
