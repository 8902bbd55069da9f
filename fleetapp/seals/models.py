"""Notices of sealing, one record per vehicle, requests to keep one for duty, and what happened."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
from fleetapp.attachments.models import Attachment
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.places.models import ParkingArea
from fleetapp.seals.rules import CampaignState, ExceptionState, KeyHolder, RecordState
from fleetapp.vehicles.models import Vehicle

PROVED = "state IN ('SEALED', 'UNSEALED')"
IS_LIVING = text("state IN ('TO_SEAL', 'SEALED', 'EXEMPT')")


class SealCampaign(Base):
    """A notice to seal the vehicles of ``org_id`` and all below it over the local days ``[start_on, end_on)``."""

    __tablename__ = "seal_campaign"
    __table_args__ = (
        one_of("state", CampaignState),
        CheckConstraint("start_on < end_on", name="period"),
        CheckConstraint("state IN ('DRAFT', 'CANCELLED') OR (notice_no IS NOT NULL AND published_by IS NOT NULL)", name="notice"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    holiday: Mapped[Str]
    start_on: Mapped[date] = mapped_column(Date)
    end_on: Mapped[date] = mapped_column(Date)
    state: Mapped[Str]
    notice_no: Mapped[OptionalStr]
    made_by: Mapped[UserId]
    published_by: Mapped[OptionalUserId]
    published_at: Mapped[OptionalMoment]
    closed_at: Mapped[OptionalMoment]
    created_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class SealRecord(Base):
    """One vehicle under a notice; ``during`` are the notice's days, ``state_before`` is what the vehicle goes back to.

    ``moved_m`` is the odometer's difference between sealing and unsealing.
    """

    __tablename__ = "seal_record"
    __table_args__ = (
        one_of("state", RecordState),
        one_of("keys_with", KeyHolder),
        CheckConstraint(
            f"NOT ({PROVED}) OR (parking_id IS NOT NULL AND sealed_odometer_m >= 0 AND attachment_id IS NOT NULL AND keys_with IS NOT NULL"
            " AND sealed_at IS NOT NULL AND state_before IS NOT NULL)", name="proof",
        ),
        CheckConstraint(
            "state <> 'UNSEALED' OR (unsealed_odometer_m >= sealed_odometer_m AND unsealed_at >= sealed_at)", name="unsealed",
        ),
        CheckConstraint("state <> 'EXEMPT' OR exempt_from < exempt_until", name="exempt"),
        UniqueConstraint("campaign_id", "vehicle_id"),
        ExcludeConstraint(
            ("vehicle_id", "="), ("during", "&&"), where=IS_LIVING, name="ex_seal_record_vehicle", using="gist"
        ),
        Index("ix_seal_record_vehicle_id", "vehicle_id"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    campaign_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("seal_campaign.id"))
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    during: Mapped[Range[date]] = mapped_column(DATERANGE)
    state: Mapped[Str]
    state_before: Mapped[OptionalStr]
    parking_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("parking_area.id"))
    keys_with: Mapped[OptionalStr]
    attachment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("attachment.id"))
    sealed_odometer_m: Mapped[int | None] = mapped_column(BigInteger)
    sealed_at: Mapped[OptionalMoment]
    sealed_by: Mapped[OptionalUserId]
    unsealed_odometer_m: Mapped[int | None] = mapped_column(BigInteger)
    unsealed_at: Mapped[OptionalMoment]
    unsealed_by: Mapped[OptionalUserId]
    exempt_from: Mapped[date | None] = mapped_column(Date)
    exempt_until: Mapped[date | None] = mapped_column(Date)
    created_at: Mapped[Moment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    campaign: Mapped[SealCampaign] = relationship()
    vehicle: Mapped[Vehicle] = relationship()
    parking: Mapped[ParkingArea | None] = relationship()
    attachment: Mapped[Attachment | None] = relationship()

    @property
    def moved_m(self) -> int | None:
        """Metres between the two readings, if both are there."""
        if self.unsealed_odometer_m is None or self.sealed_odometer_m is None:
            return None
        return self.unsealed_odometer_m - self.sealed_odometer_m

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class SealException(Base):
    """A request to keep a vehicle for duty over the local days ``[start_on, end_on)`` of its notice."""

    __tablename__ = "seal_exception"
    __table_args__ = (
        one_of("state", ExceptionState),
        CheckConstraint("start_on < end_on", name="period"),
        CheckConstraint("length(trim(purpose)) >= 4", name="purpose"),
        CheckConstraint("decided_by <> requester_id", name="no_self_approval"),
        CheckConstraint("(state = 'REQUESTED') = (decided_by IS NULL)", name="decided"),
        Index("uq_seal_exception_record_open", "record_id", unique=True, postgresql_where=text("state = 'REQUESTED'")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    record_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("seal_record.id"), index=True)
    purpose: Mapped[Str]
    start_on: Mapped[date] = mapped_column(Date)
    end_on: Mapped[date] = mapped_column(Date)
    state: Mapped[Str]
    requester_id: Mapped[UserId]
    decided_by: Mapped[OptionalUserId]
    decided_at: Mapped[OptionalMoment]
    note: Mapped[OptionalStr]
    created_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship()
    record: Mapped[SealRecord] = relationship()
    requester: Mapped[UserAccount] = relationship(foreign_keys="SealException.requester_id")
    decider: Mapped[UserAccount | None] = relationship(foreign_keys="SealException.decided_by")


class SealEvent(StateStep, Base):
    """One step of a notice, or of one vehicle under it, append-only."""

    __tablename__ = "seal_event"

    campaign_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("seal_campaign.id"), index=True)
    record_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("seal_record.id"), index=True)
