"""Chains with their levels, cases with their tasks and decisions, and who stands in for whom."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.approvals.rules import CaseState, Flag, Level, Mode, Origin, Place, Task, TaskState, Verdict
from fleetapp.kit.columns import (
    Id,
    Json,
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

USERS = ARRAY(BigInteger)
WORDS = ARRAY(Text)
NONE = text("'{}'")


class ApprovalChain(Base):
    """The levels of an organisation and all below it from a local day on; the newest version in force stands."""

    __tablename__ = "approval_chain"
    __table_args__ = (UniqueConstraint("org_id", "version"), CheckConstraint("version > 0", name="version"))

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    version: Mapped[int] = mapped_column(Integer)
    valid_from: Mapped[date] = mapped_column(Date)
    note: Mapped[Str]
    published_by: Mapped[OptionalUserId]
    published_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship()
    publisher: Mapped[UserAccount | None] = relationship()
    levels: Mapped[list["ApprovalLevel"]] = relationship(order_by="ApprovalLevel.position")


class ApprovalLevel(Base):
    """A level as ``rules.Level`` knows it; metres there and back, hours."""

    __tablename__ = "approval_level"
    __table_args__ = (
        UniqueConstraint("chain_id", "position"),
        one_of("mode", Mode),
        one_of("place", Place),
        CheckConstraint("position BETWEEN 0 AND 5", name="position"),
        CheckConstraint("deadline_h BETWEEN 1 AND 720", name="deadline"),
        CheckConstraint("(role IS NULL) <> (cardinality(user_ids) = 0)", name="signer"),
        CheckConstraint("role IN ('approver', 'leader', 'unit_admin', 'vehicle_office')", name="role"),
        CheckConstraint(f"flags <@ ARRAY[{', '.join(repr(flag.value) for flag in Flag)}]", name="flags"),
    )

    id: Mapped[Id]
    chain_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("approval_chain.id"))
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[Str]
    role: Mapped[OptionalStr]
    place: Mapped[Str]
    user_ids: Mapped[list[int]] = mapped_column(USERS, server_default=NONE)
    mode: Mapped[Str]
    deadline_h: Mapped[int] = mapped_column(Integer)
    over_m: Mapped[int | None] = mapped_column(BigInteger)
    areas: Mapped[list[str]] = mapped_column(WORDS, server_default=NONE)
    kinds: Mapped[list[str]] = mapped_column(WORDS, server_default=NONE)
    flags: Mapped[list[str]] = mapped_column(WORDS, server_default=NONE)

    def value(self) -> Level:
        """Return the level that the rules know."""
        return Level(self.name, self.role, self.place, tuple(self.user_ids), self.mode, self.deadline_h, self.over_m, tuple(self.areas),
                     tuple(self.kinds), tuple(self.flags))  # fmt: skip


class ApprovalCase(Base):
    """One application on its way through the chain that stood when it was opened; ``barred_ids`` may never decide it.

    ``subject``, ``subject_id`` and ``number`` name what is asked for, ``facts`` why it got its levels.
    """

    __tablename__ = "approval_case"
    __table_args__ = (
        one_of("state", CaseState),
        CheckConstraint("cardinality(barred_ids) > 0", name="barred"),
        CheckConstraint("(state = 'OPEN') = (closed_at IS NULL)", name="closed"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    chain_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("approval_chain.id"))
    subject: Mapped[Str]
    subject_id: Mapped[int] = mapped_column(BigInteger, index=True)
    number: Mapped[Str]
    barred_ids: Mapped[list[int]] = mapped_column(USERS)
    facts: Mapped[Json]
    state: Mapped[Str]
    opened_at: Mapped[Moment]
    opened_by: Mapped[OptionalUserId]
    closed_at: Mapped[OptionalMoment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    chain: Mapped[ApprovalChain] = relationship()
    tasks: Mapped[list["ApprovalTask"]] = relationship(order_by="ApprovalTask.position", back_populates="case")
    steps: Mapped[list["ApprovalStep"]] = relationship(order_by="ApprovalStep.id")

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class ApprovalTask(Base):
    """A place for signatures; ``role`` held at ``seat_org_id`` says whose, ``user_ids`` who they are."""

    __tablename__ = "approval_task"
    __table_args__ = (
        one_of("state", TaskState),
        one_of("origin", Origin),
        one_of("mode", Mode),
        Index("uq_approval_task_open", "case_id", unique=True, postgresql_where=text("state = 'OPEN'")),
        Index("ix_approval_task_user_ids", "user_ids", postgresql_using="gin"),
        Index("ix_approval_task_case_id", "case_id"),
    )

    id: Mapped[Id]
    case_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("approval_case.id"))
    position: Mapped[int] = mapped_column(Integer)
    level: Mapped[int | None] = mapped_column(Integer)
    name: Mapped[Str]
    origin: Mapped[Str]
    mode: Mapped[Str]
    role: Mapped[OptionalStr]
    seat_org_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    user_ids: Mapped[list[int]] = mapped_column(USERS, server_default=NONE)
    deadline_h: Mapped[int] = mapped_column(Integer)
    state: Mapped[Str]
    opened_at: Mapped[OptionalMoment]
    due_at: Mapped[OptionalMoment]
    escalated: Mapped[OptionalStr]

    case: Mapped[ApprovalCase] = relationship(back_populates="tasks")
    seat_org: Mapped[Organisation | None] = relationship()
    steps: Mapped[list["ApprovalStep"]] = relationship(order_by="ApprovalStep.id", overlaps="steps")

    def value(self) -> Task:
        """Return the task that the rules know, with its signatures."""
        agreed = [step for step in self.steps if step.verdict == Verdict.AGREE]
        return Task(self.id, self.name, self.state, self.level, self.origin, self.mode, tuple(self.user_ids),
                    frozenset(step.for_id for step in agreed if step.for_id), frozenset(step.user_id for step in agreed if step.user_id))  # fmt: skip


class ApprovalStep(Base):
    """One decision, append-only: ``user_id`` decided in the name of ``for_id``; ``to_id`` is who was asked or put in charge."""

    __tablename__ = "approval_step"
    __table_args__ = (
        one_of("verdict", Verdict),
        CheckConstraint("verdict IN ('escalate', 'end') OR (user_id IS NOT NULL AND for_id IS NOT NULL)", name="person"),
        CheckConstraint(
            "verdict NOT IN ('reject', 'send_back', 'step_back', 'transfer', 'add_before', 'add_after')"
            " OR length(trim(coalesce(note, ''))) > 0", name="reason",
        ),
        Index("ix_approval_step_user_id", "user_id", "org_id"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organisation.id"))
    case_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("approval_case.id"), index=True)
    task_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("approval_task.id"), index=True)
    verdict: Mapped[Str]
    user_id: Mapped[OptionalUserId]
    for_id: Mapped[OptionalUserId]
    to_id: Mapped[OptionalUserId]
    at: Mapped[Moment]
    note: Mapped[OptionalStr]

    user: Mapped[UserAccount | None] = relationship(foreign_keys="ApprovalStep.user_id")
    principal: Mapped[UserAccount | None] = relationship(foreign_keys="ApprovalStep.for_id")
    other: Mapped[UserAccount | None] = relationship(foreign_keys="ApprovalStep.to_id")


class ApprovalDelegation(Base):
    """``delegate_id`` decides for ``delegator_id`` over ``during`` on cases of ``org_id`` and below; without a delegate: away."""

    __tablename__ = "approval_delegation"
    __table_args__ = (
        CheckConstraint("delegate_id IS DISTINCT FROM delegator_id", name="not_oneself"),
        CheckConstraint("NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during)", name="during"),
        ExcludeConstraint(
            ("delegator_id", "="), ("during", "&&"), where=text("ended_at IS NULL"), name="ex_approval_delegation_once", using="gist"
        ),
        Index("ix_approval_delegation_delegate_id", "delegate_id"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    delegator_id: Mapped[UserId]
    delegate_id: Mapped[OptionalUserId]
    during: Mapped[Range] = mapped_column(TSTZRANGE)  # type: ignore[type-arg]
    created_by: Mapped[OptionalUserId]
    created_at: Mapped[Moment]
    ended_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    delegator: Mapped[UserAccount] = relationship(foreign_keys="ApprovalDelegation.delegator_id")
    delegate: Mapped[UserAccount | None] = relationship(foreign_keys="ApprovalDelegation.delegate_id")
