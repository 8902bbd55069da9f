"""What drivers report and what they paid."""

from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Numeric
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.drivers.models import Driver
from fleetapp.duty.rules import DutyAction, ExpenseKind
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.planning.models import Assignment


class DutyEvent(Base):
    """One step, append-only; ``at`` is when the driver did it, ``received_at`` when it reached us."""

    __tablename__ = "duty_event"
    __table_args__ = (
        one_of("action", DutyAction),
        CheckConstraint("odometer_m >= 0", name="odometer"),
        CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180", name="position"),
        CheckConstraint("action NOT IN ('CHECK_OUT', 'CHECK_IN') OR odometer_m IS NOT NULL", name="odometer_needed"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    assignment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("assignment.id"), index=True)
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"))
    action: Mapped[Str]
    idempotency_key: Mapped[Str] = mapped_column(unique=True)
    at: Mapped[Moment]
    received_at: Mapped[Moment]
    odometer_m: Mapped[int | None] = mapped_column(BigInteger)
    lat: Mapped[float | None] = mapped_column(Float)
    lon: Mapped[float | None] = mapped_column(Float)
    accuracy_m: Mapped[float | None] = mapped_column(Float)
    note: Mapped[OptionalStr]


class TripExpense(Base):
    """What a driver paid on a duty, CNY; ``org_id`` is the vehicle's holder, ``at`` when it was paid.

    Never changed: a wrong one is made void with its reason, until the journey is confirmed. ``twin_id`` is an earlier
    expense that looks the same; it is for a person to judge. Its photograph is an attachment of ``trip_expense``.
    """

    __tablename__ = "trip_expense"
    __table_args__ = (
        one_of("kind", ExpenseKind),
        CheckConstraint("amount > 0", name="amount"),
        CheckConstraint("(void_at IS NULL) = (void_reason IS NULL)", name="void"),
        CheckConstraint("length(trim(void_reason)) >= 2", name="void_reason"),
        Index("ix_trip_expense_driver_at", "driver_id", "at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    assignment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("assignment.id"), index=True)
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"))
    kind: Mapped[Str]
    amount: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    at: Mapped[Moment]
    received_at: Mapped[Moment]
    note: Mapped[OptionalStr]
    idempotency_key: Mapped[Str] = mapped_column(unique=True)
    twin_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("trip_expense.id"))
    void_at: Mapped[OptionalMoment]
    void_by: Mapped[OptionalUserId]
    void_reason: Mapped[OptionalStr]

    org: Mapped[Organisation] = relationship()
    assignment: Mapped[Assignment] = relationship()
    driver: Mapped[Driver] = relationship()
