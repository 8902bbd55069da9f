"""Studies with what they were asked for and what came out."""

from typing import Any

from sqlalchemy import CheckConstraint, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.kit.columns import Id, Json, Moment, OptionalMoment, OptionalStr, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.lab.rules import StudyKind, StudyState


class LabStudy(Base):
    """A study over the sub-tree of ``org_id``; ``asked`` are its assumptions, ``digest`` the SHA-256 of all that it computed from."""

    __tablename__ = "lab_study"
    __table_args__ = (
        one_of("kind", StudyKind),
        one_of("state", StudyState),
        CheckConstraint("done_steps >= 0 AND done_steps <= total_steps", name="progress"),
        CheckConstraint("(state = 'DONE') = (result IS NOT NULL)", name="done"),
        CheckConstraint("(state = 'DONE') = (digest IS NOT NULL)", name="digest"),
        CheckConstraint("(state = 'FAILED') = (failure IS NOT NULL)", name="failure"),
        CheckConstraint("(state IN ('DONE', 'FAILED', 'CANCELLED')) = (ended_at IS NOT NULL)", name="ended"),
        Index("ix_lab_study_work", "id", postgresql_where=text("state IN ('QUEUED', 'RUNNING')")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    kind: Mapped[Str]
    asked: Mapped[Json]
    requested_by: Mapped[UserId]
    requested_at: Mapped[Moment]
    state: Mapped[Str]
    done_steps: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    total_steps: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    digest: Mapped[OptionalStr]
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    ended_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    requester: Mapped[UserAccount] = relationship()
