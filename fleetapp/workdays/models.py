"""Days of the years whose official notice is loaded."""

from datetime import date
from enum import StrEnum

from sqlalchemy import Date
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import OptionalStr, Str, one_of
from fleetapp.kit.db import Base


class DayKind(StrEnum):
    """A workday includes make-up workdays at a weekend; a holiday is a statutory one with its bridge days."""

    WORKDAY = "workday"
    REST = "rest"
    HOLIDAY = "holiday"


class CalendarDay(Base):
    """One local day with its kind."""

    __tablename__ = "calendar_day"
    __table_args__ = (one_of("kind", DayKind),)

    on: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[Str]
    name_zh: Mapped[OptionalStr]
    source: Mapped[Str]
