"""Floors of the reserve and the level of emergency in force."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, Integer
from sqlalchemy.dialects.postgresql import DATERANGE, INT4RANGE, TSTZRANGE, ExcludeConstraint, Range
from sqlalchemy.orm import Mapped, mapped_column, relationship

from fleetapp.accounts.models import Organisation
from fleetapp.kit.columns import Id, Moment, OptionalUserId, OrgId, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.reserves.rules import ANY_BODY, Level
from fleetapp.vehicles.rules import Body

BODIES = ", ".join(f"'{body}'" for body in [*Body, ANY_BODY])


class ReserveFloor(Base):
    """So many vehicles of a pool stay free on the local days ``during`` at the ``minutes`` of the day, from ``level`` on.

    ``org_id`` is the pool: a district, or the city for its own units. ``body`` ``any`` counts all bodies together.
    """

    __tablename__ = "reserve_floor"
    __table_args__ = (
        one_of("level", Level),
        CheckConstraint(f"body IN ({BODIES})", name="body"),
        CheckConstraint("vehicles BETWEEN 0 AND 999", name="vehicles"),
        CheckConstraint("minutes <@ int4range(0, 1440) AND NOT isempty(minutes)", name="minutes"),
        CheckConstraint("NOT lower_inf(during)", name="during"),
        ExcludeConstraint(
            ("org_id", "="), ("body", "="), ("level", "="), ("minutes", "&&"), ("during", "&&"),
            name="ex_reserve_floor_one", using="gist",
        ),
    )  # fmt: skip

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    body: Mapped[Str]
    level: Mapped[Str]
    minutes: Mapped[Range[int]] = mapped_column(INT4RANGE)
    during: Mapped[Range[date]] = mapped_column(DATERANGE)
    vehicles: Mapped[int] = mapped_column(Integer)
    reason: Mapped[Str]
    made_by: Mapped[OptionalUserId]
    made_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship()


class ReserveAlert(Base):
    """A level of emergency in force for an organisation and every pool below it; open while ``during`` has no end."""

    __tablename__ = "reserve_alert"
    __table_args__ = (
        one_of("level", Level),
        CheckConstraint("level <> 'usual'", name="declared"),
        CheckConstraint("NOT lower_inf(during)", name="during"),
        ExcludeConstraint(("org_id", "="), ("during", "&&"), name="ex_reserve_alert_one", using="gist"),
        Index("ix_reserve_alert_cause", "cause"),
    )

    id: Mapped[Id]
    org_id: Mapped[OrgId]
    level: Mapped[Str]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)
    cause: Mapped[Str]
    made_by: Mapped[OptionalUserId]
    made_at: Mapped[Moment]

    org: Mapped[Organisation] = relationship()
