"""Drivers of official vehicles."""

from datetime import date, timedelta

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, text
from sqlalchemy.dialects.postgresql import DATERANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.drivers.rules import AbsenceState, Licence
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OptionalStr, OptionalUserId, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base


class Driver(Base):
    """One driver; the account carries the name."""

    __tablename__ = "driver"
    __table_args__ = (one_of("licence", Licence),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    user_id: Mapped[UserId] = mapped_column(unique=True)
    licence: Mapped[Str]
    licence_valid_to: Mapped[date] = mapped_column(Date)
    left_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    user: Mapped[UserAccount] = relationship()


class DriverAbsence(Base):
    """Days on which a driver asks to be away, local days ``[first, last + 1)``; granted ones keep orders off the driver."""

    __tablename__ = "driver_absence"
    __table_args__ = (
        one_of("state", AbsenceState),
        CheckConstraint("NOT isempty(during) AND NOT lower_inf(during) AND NOT upper_inf(during)", name="days"),
        CheckConstraint("(state IN ('GRANTED', 'REFUSED')) = (decided_by IS NOT NULL)", name="decided"),
        CheckConstraint("decided_by <> asked_by", name="no_self_approval"),
        ExcludeConstraint(("driver_id", "="), ("during", "&&"), where=text("state IN ('REQUESTED', 'GRANTED')"),
                          name="ex_driver_absence_days", using="gist"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    driver_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("driver.id"), index=True)
    during: Mapped[Range[date]] = mapped_column(DATERANGE)
    reason: Mapped[Str]
    state: Mapped[Str]
    asked_at: Mapped[Moment]
    asked_by: Mapped[UserId]
    decided_at: Mapped[OptionalMoment]
    decided_by: Mapped[OptionalUserId]
    note: Mapped[OptionalStr]

    org: Mapped[Organisation] = relationship()
    driver: Mapped[Driver] = relationship()

    @property
    def last_on(self) -> date:
        """The last day away."""
        if self.during.upper is None:
            raise ValueError("an absence has a last day")  # the database refuses any other
        return self.during.upper - timedelta(days=1)
