"""Facts of a vehicle that have no home in another slice."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Moment, OptionalUserId, OrgId, Str
from fleetapp.kit.db import Base


class VehicleFact(Base):
    """A value of an attribute as text; the newest row of an attribute is in force. Append-only."""

    __tablename__ = "vehicle_fact"
    __table_args__ = (
        CheckConstraint("length(trim(value)) BETWEEN 1 AND 120", name="value"),
        Index("ix_vehicle_fact_vehicle_key", "vehicle_id", "key", "id"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    key: Mapped[Str]
    value: Mapped[Str]
    entered_at: Mapped[Moment]
    entered_by: Mapped[OptionalUserId]
