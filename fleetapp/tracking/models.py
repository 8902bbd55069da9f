"""Senders that somebody wants to hear no more of, and the SIM cards of terminals."""

from datetime import date

from sqlalchemy import BigInteger, CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import Id, Moment, OptionalMoment, OrgId, Str, UserId, one_of
from fleetapp.kit.db import Base
from fleetapp.tracking.rules import Carrier


class IgnoredSender(Base):
    """A number whose refused frames are left out of the list of whoever sees ``org_id``, until ``ended_at``."""

    __tablename__ = "ignored_sender"
    __table_args__ = (
        CheckConstraint("length(reason) BETWEEN 2 AND 200", name="reason"),
        CheckConstraint("ended_at >= ignored_at", name="ended_at"),
        Index("uq_ignored_sender_open", "org_id", "phone", unique=True, postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    phone: Mapped[Str]
    reason: Mapped[Str]
    ignored_at: Mapped[Moment]
    ignored_by: Mapped[UserId]
    ended_at: Mapped[OptionalMoment]


class TerminalSim(Base):
    """The SIM card in a terminal, ``gps_terminal.id``: it goes with the device from vehicle to vehicle.

    ``valid_until`` is its last day, ``data_mb`` the data a month that is paid for, if that is known. A new card takes the
    place of the old one; what stood there before is in the audit log.
    """

    __tablename__ = "terminal_sim"
    __table_args__ = (
        CheckConstraint("iccid ~ '^[0-9]{19,20}$'", name="iccid"),
        one_of("carrier", Carrier),
        CheckConstraint("data_mb > 0", name="data_mb"),
        Index("uq_terminal_sim_iccid", "iccid", unique=True),
    )

    terminal_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    iccid: Mapped[Str]
    carrier: Mapped[Str]
    valid_until: Mapped[date]
    data_mb: Mapped[int | None]
    entered_at: Mapped[Moment]
    entered_by: Mapped[UserId]
