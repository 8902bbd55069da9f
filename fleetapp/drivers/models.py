"""Drivers of official vehicles."""

from datetime import date

from sqlalchemy import Date
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.drivers.rules import Licence
from fleetapp.kit.columns import Id, OptionalMoment, OrgId, Str, UserId, one_of
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
