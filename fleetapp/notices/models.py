"""Notices to people."""

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Json, Moment, OptionalMoment, Str, UserId
from fleetapp.kit.db import Base


class Notice(Base):
    """One matter told to one person; the words are ``code`` with ``params`` in the reader's language."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("user_id", "key"),
        Index("ix_notice_unread", "user_id", postgresql_where="read_at IS NULL"),
    )

    id: Mapped[Id]
    user_id: Mapped[UserId]
    key: Mapped[Str]
    code: Mapped[Str]
    params: Mapped[Json]
    link: Mapped[Str]
    urgent: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[Moment]
    read_at: Mapped[OptionalMoment]
