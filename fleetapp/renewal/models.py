"""Renewal plans as they were computed."""

from decimal import Decimal

from sqlalchemy import CheckConstraint, Integer, Numeric
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.kit.columns import Id, Json, Moment, OrgId, UserId
from fleetapp.kit.db import Base


class RenewalRun(Base):
    """A plan for an organisation's sub-tree with the assumptions it was asked for and what came out."""

    __tablename__ = "renewal_run"
    __table_args__ = (CheckConstraint("years BETWEEN 1 AND 10", name="years"), CheckConstraint("gap >= 0", name="gap"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    requested_by: Mapped[UserId]
    requested_at: Mapped[Moment]
    first_year: Mapped[int] = mapped_column(Integer)
    years: Mapped[int] = mapped_column(Integer)
    asked: Mapped[Json]
    result: Mapped[Json]
    gap: Mapped[Decimal] = mapped_column(Numeric(8, 6))

    org: Mapped[Organisation] = relationship()
    requester: Mapped[UserAccount] = relationship()
