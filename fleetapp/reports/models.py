"""Reports that are made in the background, and the bytes of those that are done."""

from datetime import date
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Date, ForeignKey, Index, Integer, LargeBinary, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.audit.models import ExportRecord
from fleetapp.kit.columns import Id, Moment, OptionalMoment, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.reports.rules import ExportFormat, TaskState


class ReportTask(Base):
    """A report asked for, over the sub-tree of ``org_id`` and local days, both included; only who asked sees it."""

    __tablename__ = "report_task"
    __table_args__ = (
        one_of("state", TaskState),
        one_of("format", ExportFormat),
        CheckConstraint("length(trim(reason)) >= 4", name="reason"),
        CheckConstraint("start_on <= end_on", name="period"),
        CheckConstraint("done_rows >= 0 AND done_rows <= total_rows", name="progress"),
        CheckConstraint("(state = 'DONE') = (export_id IS NOT NULL)", name="done"),
        CheckConstraint("(state = 'FAILED') = (failure IS NOT NULL)", name="failure"),
        CheckConstraint("(state IN ('DONE', 'FAILED', 'CANCELLED')) = (ended_at IS NOT NULL)", name="ended"),
        Index("uq_report_task_open", "requested_by", "org_id", "format", "start_on", "end_on", unique=True,
              postgresql_where=text("state IN ('QUEUED', 'RUNNING')")),
        Index("ix_report_task_work", "id", postgresql_where=text("state IN ('QUEUED', 'RUNNING')")),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    format: Mapped[Str]
    start_on: Mapped[date] = mapped_column(Date)
    end_on: Mapped[date] = mapped_column(Date)
    reason: Mapped[Str]
    language: Mapped[Str]
    requested_by: Mapped[UserId]
    requested_at: Mapped[Moment]
    state: Mapped[Str]
    done_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    total_rows: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    export_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("export_record.id"))
    ended_at: Mapped[OptionalMoment]

    org: Mapped[Organisation] = relationship()
    export: Mapped[ExportRecord | None] = relationship()


class ReportPiece(Base):
    """A piece of a report's file, in order of ``position``; removed some days after the report was made."""

    __tablename__ = "report_piece"

    task_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("report_task.id"), primary_key=True)
    position: Mapped[int] = mapped_column(Integer, primary_key=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
