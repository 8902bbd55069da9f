"""What was exported, by whom, why."""

from sqlalchemy import BigInteger, CheckConstraint, Integer
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Json, Moment, OrgId, Str, UserId
from fleetapp.kit.db import Base


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
