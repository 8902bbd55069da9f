"""Quotas, indicators, budgets and purchases."""

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
from fleetapp.acquisitions.rules import IndicatorKind, IndicatorState, ProcurementState, Step
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy

Money = Numeric(12, 2)


class QuotaEntry(Base):
    """A change of a unit's authorised number of vehicles of a class from a day on; the quota is the sum of them."""

    __tablename__ = "quota_entry"
    __table_args__ = (
        one_of("category", Category),
        CheckConstraint("delta <> 0", name="delta"),
        CheckConstraint("length(trim(document_no)) >= 2", name="document_no"),
        Index("ix_quota_entry_org_category", "org_id", "category"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    category: Mapped[Str]
    delta: Mapped[int] = mapped_column(Integer)
    effective_on: Mapped[date] = mapped_column(Date)
    counterpart_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    document_no: Mapped[Str]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]

    org: Mapped[Organisation] = relationship(foreign_keys="QuotaEntry.org_id")
    counterpart: Mapped[Organisation | None] = relationship(foreign_keys="QuotaEntry.counterpart_org_id")


class Indicator(Base):
    """Permission to acquire one vehicle. ``max_price`` is CNY without purchase tax, ``expires_on`` the first day without it."""

    __tablename__ = "indicator"
    __table_args__ = (
        one_of("kind", IndicatorKind),
        one_of("category", Category),
        one_of("body", Body),
        one_of("energy", Energy),
        one_of("step", Step),
        one_of("state", IndicatorState),
        CheckConstraint("max_price > 0", name="max_price"),
        CheckConstraint("max_displacement_ml BETWEEN 1 AND 20000", name="max_displacement_ml"),
        CheckConstraint("(kind = 'renewal') = (old_vehicle_id IS NOT NULL)", name="old_vehicle"),
        CheckConstraint("decided_by IS NULL OR decided_by <> applicant_id", name="no_self_approval"),
        CheckConstraint("state NOT IN ('APPROVED', 'USED') OR decided_at IS NOT NULL", name="decided"),
        CheckConstraint("(state = 'USED') = (vehicle_id IS NOT NULL)", name="used"),
        CheckConstraint("NOT (leader_fixed AND body = 'offroad')", name="offroad"),
        Index(
            "uq_indicator_old_vehicle", "old_vehicle_id", unique=True,
            postgresql_where=text("state NOT IN ('REJECTED', 'WITHDRAWN', 'EXPIRED', 'CANCELLED')"),
        ),
        Index("uq_indicator_vehicle_bought", "vehicle_id", unique=True, postgresql_where=text("kind <> 'transfer'")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    kind: Mapped[Str]
    category: Mapped[Str]
    body: Mapped[Str]
    energy: Mapped[Str]
    step: Mapped[Str]
    max_price: Mapped[Decimal] = mapped_column(Money)
    max_displacement_ml: Mapped[int | None] = mapped_column(Integer)
    fiscal_year: Mapped[int] = mapped_column(Integer)
    expires_on: Mapped[date] = mapped_column(Date)
    justification: Mapped[Str]
    fuel_reason: Mapped[OptionalStr]
    leader_fixed: Mapped[bool] = mapped_column(Boolean)
    special_approval: Mapped[OptionalStr]
    old_vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    state: Mapped[Str]
    applicant_id: Mapped[UserId]
    reviewed_by: Mapped[OptionalUserId]
    decided_by: Mapped[OptionalUserId]
    decided_at: Mapped[OptionalMoment]
    created_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    applicant: Mapped[UserAccount] = relationship(foreign_keys="Indicator.applicant_id")
    old_vehicle: Mapped[Vehicle | None] = relationship(foreign_keys="Indicator.old_vehicle_id")
    vehicle: Mapped[Vehicle | None] = relationship(foreign_keys="Indicator.vehicle_id")
    events: Mapped[list["IndicatorEvent"]] = relationship(order_by="IndicatorEvent.id")
    budget: Mapped["BudgetLine | None"] = relationship(back_populates="indicator")
    procurements: Mapped[list["Procurement"]] = relationship(order_by="Procurement.id", back_populates="indicator")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class IndicatorEvent(StateStep, Base):
    """One change of an application or its purchase, append-only."""

    __tablename__ = "indicator_event"

    indicator_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("indicator.id"), index=True)


class BudgetLine(Base):
    """Money for one approved indicator, of the same fiscal year, not above what it allows."""

    __tablename__ = "budget_line"
    __table_args__ = (CheckConstraint("amount > 0", name="amount"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    indicator_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("indicator.id"), unique=True)
    fiscal_year: Mapped[int] = mapped_column(Integer)
    amount: Mapped[Decimal] = mapped_column(Money)
    document_no: Mapped[Str]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]

    indicator: Mapped[Indicator] = relationship(back_populates="budget")


class Procurement(Base):
    """One purchase under an indicator with its budget, from the opening to the registered vehicle."""

    __tablename__ = "procurement"
    __table_args__ = (
        one_of("state", ProcurementState),
        UniqueConstraint("contract_no"),
        CheckConstraint("price > 0", name="price"),
        CheckConstraint("domestic", name="domestic"),
        CheckConstraint(
            "state IN ('OPEN', 'CANCELLED') OR (contract_no IS NOT NULL AND contract_on IS NOT NULL AND price IS NOT NULL)",
            name="contract",
        ),
        CheckConstraint("state NOT IN ('ACCEPTED', 'REGISTERED') OR (vin IS NOT NULL AND acceptor_id <> second_acceptor_id)", name="two_acceptors"),
        CheckConstraint("(state = 'REGISTERED') = (vehicle_id IS NOT NULL)", name="registered"),
        Index(
            "uq_procurement_indicator_open", "indicator_id", unique=True, postgresql_where=text("state <> 'CANCELLED'")
        ),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    indicator_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("indicator.id"))
    budget_line_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("budget_line.id"))
    state: Mapped[Str]
    model: Mapped[Str]
    domestic: Mapped[bool] = mapped_column(Boolean)
    displacement_ml: Mapped[int | None] = mapped_column(Integer)
    supplier: Mapped[OptionalStr]
    contract_no: Mapped[OptionalStr]
    contract_on: Mapped[date | None] = mapped_column(Date)
    price: Mapped[Decimal | None] = mapped_column(Money)
    vin: Mapped[OptionalStr]
    engine_no: Mapped[OptionalStr]
    seats: Mapped[int | None] = mapped_column(Integer)
    acceptor_id: Mapped[OptionalUserId]
    second_acceptor_id: Mapped[OptionalUserId]
    vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"), unique=True)
    stage_since: Mapped[Moment]
    opened_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    indicator: Mapped[Indicator] = relationship(back_populates="procurements")
    vehicle: Mapped[Vehicle | None] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form
