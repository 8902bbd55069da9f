"""The chain of entries. ``seq``, ``prev_hash`` and ``hash`` are set by a trigger (``migrations/sql/audit.sql``)."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Date, Index, Integer, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Json, Moment, OptionalStr, OrgId, Str, UserId
from fleetapp.kit.db import Base


class AuditEntry(Base):
    """One fact: who did what to which row, with the values before and after in ``data``."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_subject", "subject_type", "subject_id"), Index("ix_audit_entry_at", "at"))

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[Moment]
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    actor_name: Mapped[Str]
    action: Mapped[Str]
    subject_type: Mapped[Str]
    subject_id: Mapped[OptionalStr]
    org_id: Mapped[int | None] = mapped_column(BigInteger, index=True)
    data: Mapped[Json]
    prev_hash: Mapped[bytes] = mapped_column(LargeBinary)
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class ExportRecord(Base):
    """One file that left the system; ``sha256`` is the hash of its bytes."""

    __tablename__ = "export_record"
    __table_args__ = (CheckConstraint("length(trim(reason)) >= 4", name="reason"),)

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    actor_id: Mapped[UserId]
    at: Mapped[Moment]
    kind: Mapped[Str]
    reason: Mapped[Str]
    filters: Mapped[Json]
    rows: Mapped[int] = mapped_column(Integer)
    file_name: Mapped[Str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[Str]


class PublishedHead(Base):
    """The end of the chain as it was on a local day, signed, for third parties to keep; ``document`` is their file, word for word."""

    __tablename__ = "audit_published_head"
    __table_args__ = (CheckConstraint("seq >= 0", name="seq"), CheckConstraint("length(hash) = 64", name="hash"))

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[Str]
    at: Mapped[Moment]
    document: Mapped[Str]
