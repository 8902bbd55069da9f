"""Senders that somebody has looked at and wants to hear no more of."""

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped

from fleetapp.kit.columns import Id, Moment, OptionalMoment, OrgId, Str, UserId
from fleetapp.kit.db import Base


class IgnoredSender(Base):
    """A number whose refused frames are left out of the list of whoever sees ``org_id``, until ``ended_at``."""

    __tablename__ = "ignored_sender"
    __table_args__ = (
        CheckConstraint("length(reason) BETWEEN 2 AND 200", name="reason"),
        CheckConstraint("ended_at >= ignored_at", name="ended_at"),
        Index("uq_ignored_sender_open", "org_id", "phone", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    phone: Mapped[Str]
    reason: Mapped[Str]
    ignored_at: Mapped[Moment]
    ignored_by: Mapped[UserId]
    ended_at: Mapped[OptionalMoment]
