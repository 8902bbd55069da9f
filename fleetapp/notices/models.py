"""Notices to people and their deliveries."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import UserAccount
from fleetapp.kit.columns import Id, Json, Moment, OptionalMoment, OptionalStr, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.notices.rules import ChannelName, DeliveryState

FALSE = text("false")


class Notice(Base):
    """One matter told to one person; the words are ``code`` with ``params`` in the reader's language.

    ``routed_at`` is when its deliveries were made; until then the row itself waits in the outbox. Of a ``confidential`` one
    only that there is one leaves the system.
    """

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("user_id", "key"),
        Index("ix_notice_unread", "user_id", postgresql_where="read_at IS NULL"),
        Index("ix_notice_outbox", "id", postgresql_where="routed_at IS NULL"),
    )

    id: Mapped[Id]
    user_id: Mapped[UserId]
    key: Mapped[Str]
    code: Mapped[Str]
    params: Mapped[Json]
    link: Mapped[Str]
    urgent: Mapped[bool] = mapped_column(default=False)
    confidential: Mapped[bool] = mapped_column(Boolean, default=False, server_default=FALSE)
    created_at: Mapped[Moment]
    read_at: Mapped[OptionalMoment]
    routed_at: Mapped[OptionalMoment]


class NoticeDelivery(Base):
    """A notice on its way through one channel.

    ``bundle`` is the id of the first row of those sent as one message, given with the first attempt and kept, so that the
    provider gets the same key with every attempt. ``leased_until`` is when a message whose sender has died is taken up again.
    """

    __tablename__ = "notice_delivery"
    __table_args__ = (
        one_of("state", DeliveryState),
        one_of("channel", ChannelName),
        UniqueConstraint("notice_id", "channel"),
        CheckConstraint("(state = 'SENDING') = (leased_until IS NOT NULL)", name="leased"),
        CheckConstraint("(state = 'SENT') = (sent_at IS NOT NULL)", name="sent"),
        CheckConstraint("state NOT IN ('SENDING', 'SENT') OR bundle IS NOT NULL", name="bundle"),
        CheckConstraint("state NOT IN ('FAILED', 'SUPPRESSED') OR last_error IS NOT NULL", name="reason"),
        CheckConstraint("attempts >= 0", name="attempts"),
        Index("ix_notice_delivery_due", "channel", "next_at", postgresql_where="state IN ('QUEUED', 'SENDING')"),
        Index("ix_notice_delivery_sent", "user_id", "channel", "sent_at"),
    )

    id: Mapped[Id]
    notice_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("notice.id"))
    user_id: Mapped[UserId]
    code: Mapped[Str]
    channel: Mapped[Str]
    urgent: Mapped[bool]
    state: Mapped[Str]
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    next_at: Mapped[Moment]
    leased_until: Mapped[OptionalMoment]
    bundle: Mapped[int | None] = mapped_column(BigInteger)
    last_error: Mapped[OptionalStr]
    provider_id: Mapped[OptionalStr]
    created_at: Mapped[Moment]
    sent_at: Mapped[OptionalMoment]

    user: Mapped[UserAccount] = relationship()


class NoticeAddress(Base):
    """Where a channel reaches a person; text messages go to the telephone number of the account."""

    __tablename__ = "notice_address"
    __table_args__ = (
        UniqueConstraint("user_id", "channel"),
        CheckConstraint("channel IN ('mail', 'chat')", name="channel"),
    )

    id: Mapped[Id]
    user_id: Mapped[UserId]
    channel: Mapped[Str]
    address: Mapped[Str]


class NoticePreference(Base):
    """A person's own choice of a channel for a category of notices; without one the route decides."""

    __tablename__ = "notice_preference"
    __table_args__ = (UniqueConstraint("user_id", "category", "channel"), one_of("channel", ChannelName))

    id: Mapped[Id]
    user_id: Mapped[UserId]
    category: Mapped[Str]
    channel: Mapped[Str]
    enabled: Mapped[bool]


class NoticeRoute(Base):
    """Whether a category of notices goes out through a channel where the person has not chosen; without one it does not."""

    __tablename__ = "notice_route"
    __table_args__ = (UniqueConstraint("category", "channel"), one_of("channel", ChannelName))

    id: Mapped[Id]
    category: Mapped[Str]
    channel: Mapped[Str]
    enabled: Mapped[bool]
