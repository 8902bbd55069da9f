"""The roster of an event and what happened to it; the event itself is a row of the orders, which name it."""

from datetime import date

from sqlalchemy import BigInteger, Date, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import UserAccount
from fleetapp.drivers.models import Driver
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str
from fleetapp.kit.db import Base
from fleetapp.vehicles.models import Vehicle

IN_FORCE = text("removed_at IS NULL")


class OccasionShift(Base):
    """Who drives a vehicle of the event on a local day; ``org_id`` is the holder of both. Replaced, never deleted."""

    __tablename__ = "occasion_shift"
    __table_args__ = (
        Index("uq_occasion_shift_vehicle", "occasion_id", "vehicle_id", "on", unique=True, postgresql_where=IN_FORCE),
        Index("uq_occasion_shift_driver", "driver_id", "on", unique=True, postgresql_where=IN_FORCE),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    occasion_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("occasion.id"))
    vehicle_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("vehicle.id"))
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"))
    on: Mapped[date] = mapped_column(Date)
    made_at: Mapped[Moment]
    made_by: Mapped[OptionalUserId]
    removed_at: Mapped[OptionalMoment]

    vehicle: Mapped[Vehicle] = relationship()
    driver: Mapped[Driver] = relationship()


class OccasionEvent(Base):
    """One step of an event, append-only."""

    __tablename__ = "occasion_event"

    id: Mapped[Id]
    occasion_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("occasion.id"), index=True)
    action: Mapped[Str]
    to_state: Mapped[Str]
    actor_id: Mapped[OptionalUserId]
    at: Mapped[Moment]
    note: Mapped[OptionalStr]

    actor: Mapped[UserAccount | None] = relationship()
