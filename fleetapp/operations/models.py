"""What the scheduler says of itself; nothing here belongs to an organisation or names a person."""

from sqlalchemy import BigInteger, CheckConstraint, Float, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Moment, OptionalMoment, Str
from fleetapp.kit.db import Base


class SchedulerLead(Base):
    """The scheduler that leads, or led last: one row; ``leader`` is host and process."""

    __tablename__ = "scheduler_lead"
    __table_args__ = (CheckConstraint("only_row", name="only_row"),)

    only_row: Mapped[bool] = mapped_column(primary_key=True, default=True, server_default=text("true"))
    leader: Mapped[Str]
    since: Mapped[Moment]
    seen_at: Mapped[Moment]


class JobRun(Base):
    """The last run of a job; ``failed`` is the kind of its error, never its text, which may hold people's data."""

    __tablename__ = "job_run"
    __table_args__ = (CheckConstraint("interval_s > 0", name="interval"), CheckConstraint("elapsed_s >= 0", name="elapsed"))  # fmt: skip

    name: Mapped[Str] = mapped_column(primary_key=True)
    interval_s: Mapped[int] = mapped_column(Integer)
    began_at: Mapped[Moment]
    ended_at: Mapped[OptionalMoment]
    elapsed_s: Mapped[float] = mapped_column(Float)
    failed: Mapped[Str]


class ChainCheck(Base):
    """One walk over the whole audit chain."""

    __tablename__ = "chain_check"
    __table_args__ = (CheckConstraint("entries >= 0 AND faults >= 0", name="counts"),)

    id: Mapped[Id]
    at: Mapped[Moment]
    entries: Mapped[int] = mapped_column(BigInteger)
    faults: Mapped[int] = mapped_column(BigInteger)
    first_fault: Mapped[int | None] = mapped_column(BigInteger)
