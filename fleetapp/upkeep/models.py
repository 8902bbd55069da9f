"""Designated suppliers, maintenance plans and what was done, reminders, work orders, accidents and violations."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    Date,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.kit.columns import (
    Id,
    JsonList,
    Moment,
    OptionalMoment,
    OptionalStr,
    OptionalUserId,
    OrgId,
    Str,
    UserId,
    one_of,
)
from fleetapp.kit.db import Base
from fleetapp.upkeep.rules import (
    DueKind,
    IncidentKind,
    IncidentState,
    Item,
    Liability,
    LineKind,
    SupplierKind,
    WorkKind,
    WorkState,
)
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Energy

Money = Numeric(12, 2)


class Supplier(Base):
    """A designated supplier with its contract over ``[contract_from, contract_to)``, for its organisation and all below."""

    __tablename__ = "supplier"
    __table_args__ = (
        one_of("kind", SupplierKind),
        UniqueConstraint("org_id", "contract_no", "kind"),
        CheckConstraint("contract_to >= contract_from", name="contract"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    name: Mapped[Str]
    kind: Mapped[Str]
    contract_no: Mapped[Str]
    contract_from: Mapped[date] = mapped_column(Date)
    contract_to: Mapped[date] = mapped_column(Date)
    phone: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]

    org: Mapped[Organisation] = relationship()


class UpkeepPlan(Base):
    """How often an item is maintained, for one vehicle, a model, an energy or all of an organisation's vehicles."""

    __tablename__ = "upkeep_plan"
    __table_args__ = (
        one_of("item", Item),
        one_of("energy", Energy),
        CheckConstraint("num_nonnulls(every_km, every_months, every_hours) > 0", name="interval"),
        CheckConstraint("every_km > 0 AND every_months > 0 AND every_hours > 0", name="positive"),
        CheckConstraint("vehicle_id IS NULL OR (model IS NULL AND energy IS NULL)", name="one_vehicle"),
        Index("uq_upkeep_plan_open", "org_id", "item", text("coalesce(vehicle_id, 0)"), text("coalesce(model, '')"),
              text("coalesce(energy, '')"), unique=True, postgresql_where=text("ended_at IS NULL")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    model: Mapped[OptionalStr]
    energy: Mapped[OptionalStr]
    item: Mapped[Str]
    every_km: Mapped[int | None] = mapped_column(Integer)
    every_months: Mapped[int | None] = mapped_column(Integer)
    every_hours: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    ended_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle | None] = relationship()


class WorkOrder(Base):
    """One work on one vehicle; ``during`` is its time in the shop, money in CNY. ``items`` are the plan items it does."""

    __tablename__ = "work_order"
    __table_args__ = (
        one_of("kind", WorkKind),
        one_of("state", WorkState),
        CheckConstraint("approved_by <> requester_id AND approved_by <> quoted_by AND excess_by <> requester_id AND"
                        " excess_by <> quoted_by", name="no_self_approval"),
        CheckConstraint("state IN ('REPORTED', 'REJECTED', 'CANCELLED') OR (supplier_id IS NOT NULL AND quoted_by IS NOT NULL)",
                        name="quoted"),
        CheckConstraint("state NOT IN ('APPROVED', 'IN_WORK', 'DONE', 'ACCEPTED') OR"
                        " (approved_by IS NOT NULL AND approved_limit >= 0 AND over_share >= 0)", name="approved"),
        CheckConstraint("(state IN ('IN_WORK', 'DONE')) = (during IS NOT NULL AND upper_inf(during))", name="in_shop"),
        CheckConstraint("state NOT IN ('IN_WORK', 'DONE', 'ACCEPTED') OR (during IS NOT NULL AND entry_m >= 0)", name="entry"),
        CheckConstraint("state NOT IN ('DONE', 'ACCEPTED') OR final_cost >= 0", name="cost"),
        CheckConstraint("state <> 'ACCEPTED' OR final_cost <= round(approved_limit * (1 + over_share), 2) OR excess_by IS NOT NULL",
                        name="excess"),
        CheckConstraint("(state = 'ACCEPTED') = (accepted_by IS NOT NULL AND accepted_at IS NOT NULL)", name="accepted"),
        ExcludeConstraint(("vehicle_id", "="), ("during", "&&"), name="ex_work_order_vehicle", using="gist"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    kind: Mapped[Str]
    state: Mapped[Str]
    fault: Mapped[Str]
    items: Mapped[JsonList]
    requester_id: Mapped[UserId]
    created_at: Mapped[Moment]
    supplier_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("supplier.id"))
    quoted_by: Mapped[OptionalUserId]
    single_reason: Mapped[OptionalStr]
    approved_by: Mapped[OptionalUserId]
    approved_at: Mapped[OptionalMoment]
    approved_limit: Mapped[Decimal | None] = mapped_column(Money)
    over_share: Mapped[Decimal | None] = mapped_column(Numeric(5, 4))
    during: Mapped[Range[datetime] | None] = mapped_column(TSTZRANGE)
    entry_m: Mapped[int | None] = mapped_column(BigInteger)
    state_before: Mapped[OptionalStr]
    final_cost: Mapped[Decimal | None] = mapped_column(Money)
    done_at: Mapped[OptionalMoment]
    excess_by: Mapped[OptionalUserId]
    accepted_by: Mapped[OptionalUserId]
    accepted_at: Mapped[OptionalMoment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    supplier: Mapped[Supplier | None] = relationship()
    requester: Mapped[UserAccount] = relationship(foreign_keys="WorkOrder.requester_id")
    quotes: Mapped[list["WorkQuote"]] = relationship(order_by="WorkQuote.id", viewonly=True)
    lines: Mapped[list["WorkLine"]] = relationship(order_by="WorkLine.id", viewonly=True)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class WorkQuote(Base):
    """What a designated supplier asks for a work, append-only."""

    __tablename__ = "work_quote"
    __table_args__ = (UniqueConstraint("order_id", "supplier_id"), CheckConstraint("amount > 0", name="amount"))

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("work_order.id"), index=True)
    supplier_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("supplier.id"))
    amount: Mapped[Decimal] = mapped_column(Money)
    note: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]

    supplier: Mapped[Supplier] = relationship()


class WorkLine(Base):
    """Labour, a part or a tyre of a work, append-only; a negative quantity takes a wrong line back."""

    __tablename__ = "work_line"
    __table_args__ = (
        one_of("kind", LineKind),
        CheckConstraint("kind <> 'tyre' OR length(trim(serial)) > 0 AND serial IS NOT NULL", name="tyre_serial"),
        CheckConstraint("quantity <> 0 AND unit_price >= 0", name="quantity"),
    )

    id: Mapped[Id]
    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("work_order.id"), index=True)
    kind: Mapped[Str]
    name: Mapped[Str]
    quantity: Mapped[Decimal] = mapped_column(Numeric(9, 2))
    unit_price: Mapped[Decimal] = mapped_column(Money)
    amount: Mapped[Decimal] = mapped_column(Money, Computed("round(quantity * unit_price, 2)", persisted=True))
    serial: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]


class WorkEvent(StateStep, Base):
    """One step of a work order, append-only."""

    __tablename__ = "work_event"

    order_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("work_order.id"), index=True)


class UpkeepDone(Base):
    """An item maintained on a vehicle at a distance of its whole life, by a work order or from former records; append-only."""

    __tablename__ = "upkeep_done"
    __table_args__ = (
        one_of("item", Item),
        CheckConstraint("at_m >= 0 AND engine_h >= 0", name="run"),
        Index("ix_upkeep_done_vehicle_id_item", "vehicle_id", "item"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    item: Mapped[Str]
    done_on: Mapped[date] = mapped_column(Date)
    at_m: Mapped[int] = mapped_column(BigInteger)
    engine_h: Mapped[Decimal | None] = mapped_column(Numeric(9, 1))
    order_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("work_order.id"))
    note: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]


class UpkeepReminder(Base):
    """That something comes due was said ``lead_days`` ahead; once per subject and lead time, append-only."""

    __tablename__ = "upkeep_reminder"
    __table_args__ = (one_of("kind", DueKind), UniqueConstraint("vehicle_id", "subject", "lead_days"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    kind: Mapped[Str]
    item: Mapped[Str]
    subject: Mapped[Str]
    lead_days: Mapped[int] = mapped_column(Integer)
    due_on: Mapped[date] = mapped_column(Date)
    created_at: Mapped[Moment]


class VehicleIncident(Base):
    """An accident or a violation; ``loss`` is what the unit bears outside work orders, CNY."""

    __tablename__ = "vehicle_incident"
    __table_args__ = (
        one_of("kind", IncidentKind),
        one_of("state", IncidentState),
        one_of("liability", Liability),
        CheckConstraint("(kind = 'accident') = (liability IS NOT NULL)", name="accident"),
        CheckConstraint("loss >= 0 AND fine >= 0 AND points BETWEEN 0 AND 12", name="figures"),
        CheckConstraint("kind = 'accident' OR loss IS NULL", name="loss"),
        CheckConstraint("(state = 'CLOSED') = (handling IS NOT NULL AND closed_at IS NOT NULL)", name="closed"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"), index=True)
    driver_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("driver.id"))
    kind: Mapped[Str]
    state: Mapped[Str]
    happened_at: Mapped[Moment]
    place: Mapped[Str]
    account: Mapped[Str]
    liability: Mapped[OptionalStr]
    loss: Mapped[Decimal | None] = mapped_column(Money)
    fine: Mapped[Decimal | None] = mapped_column(Money)
    points: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
    handling: Mapped[OptionalStr]
    closed_at: Mapped[OptionalMoment]
    closed_by: Mapped[OptionalUserId]

    org: Mapped[Organisation] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    driver: Mapped[Driver | None] = relationship()
