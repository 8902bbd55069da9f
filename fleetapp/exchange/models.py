"""The link to the superior platform, its interfaces and cursors, versions of records, receipts, replays."""

from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    ForeignKey,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.exchange.rules import Outcome, RecordState, Trouble
from fleetapp.kit.columns import (
    Id,
    Json,
    JsonList,
    Moment,
    OptionalMoment,
    OptionalStr,
    OptionalUserId,
    OrgId,
    Str,
    UserId,
    one_of,
)
from fleetapp.kit.db import Base


class ExchangeLink(Base):
    """How the platform did last; one row. ``certificate_until`` is the end of its certificate when it was last seen."""

    __tablename__ = "exchange_link"
    __table_args__ = (CheckConstraint("id = 1", name="one"), one_of("trouble", Trouble))

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    trouble: Mapped[OptionalStr]
    message: Mapped[OptionalStr]
    since: Mapped[OptionalMoment]
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    next_at: Mapped[OptionalMoment]
    last_ok_at: Mapped[OptionalMoment]
    certificate_until: Mapped[OptionalMoment]


class ExchangeInterface(Base):
    """One interface by its code: paused or not, and how it did since it last got through."""

    __tablename__ = "exchange_interface"
    __table_args__ = (
        one_of("trouble", Trouble),
        CheckConstraint("(paused_at IS NULL) = (pause_reason IS NULL)", name="paused"),
        CheckConstraint("failures >= 0", name="failures"),
    )

    code: Mapped[str] = mapped_column(Text, primary_key=True)
    paused_at: Mapped[OptionalMoment]
    paused_by: Mapped[OptionalUserId]
    pause_reason: Mapped[OptionalStr]
    trouble: Mapped[OptionalStr]
    message: Mapped[OptionalStr]
    failures: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    next_at: Mapped[OptionalMoment]
    last_ok_at: Mapped[OptionalMoment]


class ExchangeCursor(Base):
    """How far a feed was read: ``head_id`` the newest row seen, ``sweep_id`` the last one looked at again for changes."""

    __tablename__ = "exchange_cursor"

    interface: Mapped[str] = mapped_column(Text, ForeignKey("exchange_interface.code"), primary_key=True)
    feed: Mapped[str] = mapped_column(Text, primary_key=True)
    head_id: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    sweep_id: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))
    swept_at: Mapped[OptionalMoment]


class ExchangeReplay(Base):
    """What was accepted on the local days ``[start_on, end_on)`` was put in the queue again, and why; append-only."""

    __tablename__ = "exchange_replay"
    __table_args__ = (
        CheckConstraint("start_on < end_on", name="period"),
        CheckConstraint("length(trim(reason)) >= 4", name="reason"),
        CheckConstraint("records >= 0", name="records"),
    )

    id: Mapped[Id]
    interface: Mapped[str] = mapped_column(Text, ForeignKey("exchange_interface.code"), index=True)
    start_on: Mapped[date] = mapped_column(Date)
    end_on: Mapped[date] = mapped_column(Date)
    reason: Mapped[Str]
    records: Mapped[int] = mapped_column(Integer)
    actor_id: Mapped[UserId]
    at: Mapped[Moment]

    actor: Mapped[UserAccount] = relationship()


class ExchangeOutbox(Base):
    """One version of a record, ``current`` the newest; ``subject_id`` is what the page opens to mend it.

    ``faults`` are ``{"field", "rule", "message"}``; ``tried`` tells that this version or one before may have reached the platform.
    """

    __tablename__ = "exchange_outbox"
    __table_args__ = (
        one_of("state", RecordState),
        UniqueConstraint("interface", "record", "version"),
        CheckConstraint("version >= 1 AND attempts >= 0", name="counts"),
        CheckConstraint("filled BETWEEN 0 AND mandatory", name="filled"),
        CheckConstraint("(state = 'SENDING') = (leased_until IS NOT NULL)", name="lease"),
        CheckConstraint("(state IN ('REJECTED', 'INVALID')) <= (jsonb_array_length(faults) > 0)", name="faults"),
        Index("uq_exchange_outbox_current", "interface", "record", unique=True, postgresql_where=text("current")),
        Index("ix_exchange_outbox_waiting", "interface", "id", postgresql_where=text("state IN ('QUEUED', 'SENDING')")),
        Index("ix_exchange_outbox_mend", "interface", "id", postgresql_where=text("state IN ('REJECTED', 'INVALID')")),
        Index("ix_exchange_outbox_settled_at", "interface", "settled_at"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    interface: Mapped[str] = mapped_column(Text, ForeignKey("exchange_interface.code"))
    feed: Mapped[Str]
    source_id: Mapped[int] = mapped_column(BigInteger)
    record: Mapped[Str]
    version: Mapped[int] = mapped_column(Integer)
    key: Mapped[Str] = mapped_column(unique=True)
    current: Mapped[bool] = mapped_column(Boolean)
    label: Mapped[Str]
    subject_id: Mapped[int] = mapped_column(BigInteger)
    values: Mapped[Json]
    digest: Mapped[Str]
    filled: Mapped[int] = mapped_column(Integer)
    mandatory: Mapped[int] = mapped_column(Integer)
    state: Mapped[Str]
    faults: Mapped[JsonList]
    tried: Mapped[bool] = mapped_column(Boolean)
    attempts: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    batch: Mapped[OptionalStr]
    leased_until: Mapped[OptionalMoment]
    replay_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("exchange_replay.id"))
    created_at: Mapped[Moment]
    settled_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()


class ExchangeReceipt(Base):
    """What was said of one version, or of a batch of ``records`` to which nothing usable was answered; append-only."""

    __tablename__ = "exchange_receipt"
    __table_args__ = (
        one_of("outcome", Outcome),
        CheckConstraint("(outcome = 'FAILED') = (outbox_id IS NULL)", name="subject"),
        CheckConstraint("(outbox_id IS NULL) = (org_id IS NULL)", name="org"),
        CheckConstraint("records >= 0", name="records"),
        Index("ix_exchange_receipt_at", "interface", "at"),
    )

    id: Mapped[Id]
    interface: Mapped[str] = mapped_column(Text, ForeignKey("exchange_interface.code"))
    outbox_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("exchange_outbox.id"), index=True)
    org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    outcome: Mapped[Str]
    records: Mapped[int] = mapped_column(Integer)
    batch: Mapped[OptionalStr]
    receipt_no: Mapped[OptionalStr]
    message: Mapped[OptionalStr]
    faults: Mapped[list[Any]] = mapped_column(JSONB)
    mapping: Mapped[Str]
    at: Mapped[Moment]
