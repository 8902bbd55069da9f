"""Days of the years whose official notice is loaded."""

from datetime import date

from sqlalchemy import Date
from sqlalchemy.orm import Mapped, mapped_column

from fleetapp.kit.columns import OptionalStr, Str, one_of
from fleetapp.kit.db import Base
from fleetapp.workdays.rules import DayKind


class CalendarDay(Base):
    """One local day with its kind."""

    __tablename__ = "calendar_day"
    __table_args__ = (one_of("kind", DayKind),)

    on: Mapped[date] = mapped_column(Date, primary_key=True)
    kind: Mapped[Str]
    name_zh: Mapped[OptionalStr]
    source: Mapped[Str]
