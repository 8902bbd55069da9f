"""Reports, their frozen versions, what was typed in, explanations of differences, steps."""

from datetime import date

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Date, ForeignKey, Index, Integer, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation, StateStep, UserAccount
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
from fleetapp.statistics.rules import ReportState


class StatisticReport(Base):
    """The report of ``org_id`` and all below it over the local days ``[first_on, until_on)``; ``period`` is their code.

    ``edition`` is that of the version in force, 0 before the submission.
    """

    __tablename__ = "statistic_report"
    __table_args__ = (
        one_of("state", ReportState),
        UniqueConstraint("org_id", "period"),
        CheckConstraint("first_on < until_on", name="days"),
        CheckConstraint("(state = 'SUBMITTED') = (edition > 0) AND (state = 'SUBMITTED') = (submitted_at IS NOT NULL)", name="submitted"),
        CheckConstraint("state = 'DRAFT' OR checked_by IS NOT NULL", name="checked"),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    number: Mapped[Str] = mapped_column(unique=True)
    period: Mapped[Str]
    first_on: Mapped[date] = mapped_column(Date)
    until_on: Mapped[date] = mapped_column(Date)
    state: Mapped[Str]
    edition: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    opened_by: Mapped[UserId]
    opened_at: Mapped[Moment]
    checked_by: Mapped[OptionalUserId]
    checked_at: Mapped[OptionalMoment]
    submitted_by: Mapped[OptionalUserId]
    submitted_at: Mapped[OptionalMoment]
    version: Mapped[int] = mapped_column(Integer)

    org: Mapped[Organisation] = relationship()
    opener: Mapped[UserAccount] = relationship(foreign_keys="StatisticReport.opened_by")
    checker: Mapped[UserAccount | None] = relationship(foreign_keys="StatisticReport.checked_by")
    submitter: Mapped[UserAccount | None] = relationship(foreign_keys="StatisticReport.submitted_by")
    versions: Mapped[list["StatisticVersion"]] = relationship(order_by="StatisticVersion.edition", viewonly=True)

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 -- SQLAlchemy's own form


class StatisticVersion(Base):
    """The figures of a report word for word, append-only: edition 1 as submitted, each later one a correction with its reason."""

    __tablename__ = "statistic_version"
    __table_args__ = (
        UniqueConstraint("report_id", "edition"),
        CheckConstraint("edition > 0", name="edition"),
        CheckConstraint(
            "(edition = 1) = (reason IS NULL) AND (reason IS NULL OR length(trim(reason)) >= 4)", name="reason"
        ),
        CheckConstraint("length(sha256) = 64", name="sha256"),
    )

    id: Mapped[Id]
    report_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("statistic_report.id"))
    edition: Mapped[int] = mapped_column(Integer)
    number: Mapped[Str] = mapped_column(unique=True)
    content: Mapped[Json]
    sha256: Mapped[Str]
    reason: Mapped[OptionalStr]
    made_by: Mapped[UserId]
    made_at: Mapped[Moment]

    maker: Mapped[UserAccount] = relationship()


class StatisticEntry(Base):
    """A cell that the system cannot know, typed by somebody; the newest row of a cell is in force, append-only.

    ``correction``: typed for a report that was submitted already, for its next correction.
    """

    __tablename__ = "statistic_entry"
    __table_args__ = (
        CheckConstraint("length(value) <= 200", name="value"),
        Index("ix_statistic_entry_cell", "period", "org_id", "form", "row_key", "column_key", "id"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    period: Mapped[Str]
    form: Mapped[Str]
    row_key: Mapped[Str]
    column_key: Mapped[Str]
    value: Mapped[Str]
    correction: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    entered_by: Mapped[UserId]
    at: Mapped[Moment]

    person: Mapped[UserAccount] = relationship()


class StatisticNote(Base):
    """Why a difference that the reconciliation found is in order; ``subject`` names the difference, append-only."""

    __tablename__ = "statistic_note"
    __table_args__ = (
        CheckConstraint("length(trim(text)) >= 4", name="text"),
        Index("ix_statistic_note_report", "report_id", "subject"),
    )

    id: Mapped[Id]
    report_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("statistic_report.id"))
    subject: Mapped[Str]
    text: Mapped[Str]
    made_by: Mapped[UserId]
    made_at: Mapped[Moment]

    maker: Mapped[UserAccount] = relationship()


class StatisticEvent(StateStep, Base):
    """One step of a report, append-only."""

    __tablename__ = "statistic_event"

    report_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("statistic_report.id"), index=True)
