"""What phones sent with the answers they got, where they were on a journey, and the codes of vehicles."""

from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey, Index, Integer, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.kit.columns import Id, Json, JsonList, Moment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.phone.rules import FREE, Kind, Outcome
from fleetapp.vehicles.models import Vehicle

NEEDS_NO_DUTY = ", ".join(f"'{kind}'" for kind in sorted(FREE))


class PhoneAction(Base):
    """One thing a driver tapped, append-only, with its answer: the key again gets the same one.

    ``tapped_at`` and ``sent_at`` are the phone's words, ``received_at`` the server's, ``at`` what is believed, ``skew_s`` how far
    the phone's clock was ahead. ``org_id`` is the vehicle's holder, the driver's unit without a duty.
    """

    __tablename__ = "phone_action"
    __table_args__ = (
        one_of("kind", Kind),
        one_of("outcome", Outcome),
        CheckConstraint("(outcome = 'REFUSED') = (code IS NOT NULL)", name="answer"),
        CheckConstraint(f"assignment_id IS NOT NULL OR outcome = 'REFUSED' OR kind IN ({NEEDS_NO_DUTY})", name="duty"),
        CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180 AND (lat IS NULL) = (lon IS NULL)", name="position"),
        CheckConstraint("at <= received_at", name="time"),
        CheckConstraint("length(digest) = 64", name="digest"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    user_id: Mapped[UserId] = mapped_column(index=True)
    assignment_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("assignment.id"), index=True)
    kind: Mapped[Str]
    key: Mapped[Str] = mapped_column(unique=True)
    digest: Mapped[Str]
    body: Mapped[Json]
    tapped_at: Mapped[Moment]
    sent_at: Mapped[Moment]
    at: Mapped[Moment]
    received_at: Mapped[Moment]
    skew_s: Mapped[float] = mapped_column(Float)
    lat: Mapped[float | None] = mapped_column(Float)
    lon: Mapped[float | None] = mapped_column(Float)
    accuracy_m: Mapped[float | None] = mapped_column(Float)
    outcome: Mapped[Str]
    code: Mapped[OptionalStr]
    params: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    remarks: Mapped[JsonList]


class PhonePosition(Base):
    """Where a phone was during a journey, WGS-84; support only, the vehicle's terminal is the record."""

    __tablename__ = "phone_position"
    __table_args__ = (
        UniqueConstraint("assignment_id", "at"),
        CheckConstraint("lat BETWEEN -90 AND 90 AND lon BETWEEN -180 AND 180", name="position"),
        CheckConstraint("accuracy_m >= 0", name="accuracy"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    assignment_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("assignment.id"))
    user_id: Mapped[UserId]
    at: Mapped[Moment]
    received_at: Mapped[Moment]
    lat: Mapped[float] = mapped_column(Float)
    lon: Mapped[float] = mapped_column(Float)
    accuracy_m: Mapped[float | None] = mapped_column(Float)


class VehicleCode(Base):
    """A code issued for a vehicle's dashboard; a later serial makes the earlier ones void. ``manual`` is what is typed."""

    __tablename__ = "vehicle_code"
    __table_args__ = (
        UniqueConstraint("vehicle_id", "serial"),
        CheckConstraint("serial >= 1", name="serial"),
        Index("ix_vehicle_code_newest", "vehicle_id", "serial"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    serial: Mapped[int] = mapped_column(Integer)
    text: Mapped[Str]
    manual: Mapped[Str]
    issued_at: Mapped[Moment]
    issued_by: Mapped[OptionalUserId]

    vehicle: Mapped[Vehicle] = relationship()
