"""Files by content hash, and which row each belongs to."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Moment, OptionalUserId, OrgId, Str
from fleetapp.kit.db import Base


class AttachmentContent(Base):
    """The bytes, once per content."""

    __tablename__ = "attachment_content"
    __table_args__ = (CheckConstraint("sha256 = encode(sha256(content), 'hex')", name="hash"),)

    sha256: Mapped[str] = mapped_column(Text, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Attachment(Base):
    """A file under the name it came with; ``subject_type`` and ``subject_id`` name the row it belongs to."""

    __tablename__ = "attachment"
    __table_args__ = (
        Index("ix_attachment_subject", "subject_type", "subject_id"),
        CheckConstraint("size > 0", name="size"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    subject_type: Mapped[Str]
    subject_id: Mapped[int] = mapped_column(BigInteger)
    label: Mapped[Str]
    name: Mapped[Str]
    media_type: Mapped[Str]
    size: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(Text, ForeignKey("attachment_content.sha256"))
    created_at: Mapped[Moment]
    created_by: Mapped[OptionalUserId]
