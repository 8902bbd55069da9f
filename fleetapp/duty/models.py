"""What drivers report."""

from sqlalchemy import BigInteger, CheckConstraint, Float, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.duty.rules import DutyAction
from fleetapp.kit.columns import Id, Moment, OptionalStr, OrgId, Str, one_of
from fleetapp.kit.db import Base


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
