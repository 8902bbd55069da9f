"""Disposal cases and what happened to them."""

from datetime import date
from decimal import Decimal

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, Integer, Numeric, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.disposal.rules import DisposalState, Mode
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.vehicles.models import Vehicle

Money = Numeric(12, 2)
SOLD = "mode <> 'transfer' AND state IN ('REMITTED', 'DEREGISTERED', 'ARCHIVED')"


class DisposalCase(Base):
    """One vehicle's way out of its unit; money in CNY. ``remitted`` is the price less the allowed fees."""

    __tablename__ = "disposal_case"
    __table_args__ = (
        one_of("state", DisposalState),
        one_of("mode", Mode),
        CheckConstraint("decided_by IS NULL OR decided_by <> applicant_id", name="no_self_approval"),
        CheckConstraint("(mode = 'transfer') = (receiver_org_id IS NOT NULL)", name="receiver"),
        CheckConstraint("state IN ('REQUESTED', 'WITHDRAWN', 'REJECTED') OR appraised_value >= 0", name="appraised"),
        CheckConstraint("state IN ('REQUESTED', 'APPRAISED', 'WITHDRAWN') OR decided_by IS NOT NULL", name="decided"),
        CheckConstraint(f"NOT ({SOLD}) OR (remitted = deal_price - allowed_fees AND receipt_no IS NOT NULL)", name="proceeds"),
        CheckConstraint(
            "NOT (mode <> 'transfer' AND state IN ('DEREGISTERED', 'ARCHIVED')) OR"
            " (certificate_no IS NOT NULL AND marking_removed AND cards_cancelled AND insurance_ended)", name="deregistered",
        ),
        CheckConstraint("(archive_sha256 IS NOT NULL) = (state = 'ARCHIVED')", name="archived"),
        Index("uq_disposal_case_vehicle_living", "vehicle_id", unique=True,
              postgresql_where=text("state NOT IN ('ARCHIVED', 'REJECTED', 'WITHDRAWN')")),
        Index("uq_disposal_case_vehicle_out", "vehicle_id", unique=True,
              postgresql_where=text("mode <> 'transfer' AND state NOT IN ('REJECTED', 'WITHDRAWN')")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    mode: Mapped[Str]
    receiver_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    state: Mapped[Str]
    reason: Mapped[Str]
    special_approval: Mapped[OptionalStr]
    applicant_id: Mapped[UserId]
    appraised_value: Mapped[Decimal | None] = mapped_column(Money)
    appraiser: Mapped[OptionalStr]
    reserve_price: Mapped[Decimal | None] = mapped_column(Money)
    decided_by: Mapped[OptionalUserId]
    decided_at: Mapped[OptionalMoment]
    approval_no: Mapped[OptionalStr]
    deal_on: Mapped[date | None] = mapped_column(Date)
    deal_price: Mapped[Decimal | None] = mapped_column(Money)
    buyer: Mapped[OptionalStr]
    licence_no: Mapped[OptionalStr]
    allowed_fees: Mapped[Decimal | None] = mapped_column(Money)
    remitted: Mapped[Decimal | None] = mapped_column(Money)
    remitted_on: Mapped[date | None] = mapped_column(Date)
    receipt_no: Mapped[OptionalStr]
    certificate_no: Mapped[OptionalStr]
    deregistered_on: Mapped[date | None] = mapped_column(Date)
    marking_removed: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    cards_cancelled: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    insurance_ended: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    archive_sha256: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship(foreign_keys="DisposalCase.org_id")
    receiver: Mapped[Organisation | None] = relationship(foreign_keys="DisposalCase.receiver_org_id")
    vehicle: Mapped[Vehicle] = relationship()
    applicant: Mapped[UserAccount] = relationship(foreign_keys="DisposalCase.applicant_id")
    events: Mapped[list["DisposalEvent"]] = relationship(order_by="DisposalEvent.id")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class DisposalEvent(StateStep, Base):
    """One step of a case, append-only."""

    __tablename__ = "disposal_event"

    case_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("disposal_case.id"), index=True)
