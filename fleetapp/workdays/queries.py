"""Reading of the calendar."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.workdays import rules
from fleetapp.workdays.models import CalendarDay
from fleetapp.workdays.rules import Day, DayKind


def day_kinds(session: Session, start_on: date, end_on: date) -> list[Day]:
    """Return the days of ``[start_on, end_on)`` in order; days without a notice by weekday, ``known`` false."""
    loaded = {
        row.on: Day(row.on, DayKind(row.kind), row.name_zh or "")
        for row in session.scalars(select(CalendarDay).where(CalendarDay.on >= start_on, CalendarDay.on < end_on))
    }
    days = (start_on + timedelta(days=n) for n in range((end_on - start_on).days))
    return [loaded.get(on) or rules.by_weekday(on) for on in days]


def day_kind(session: Session, on: date) -> Day:
    """Return the kind of one local day."""
    return day_kinds(session, on, on + timedelta(days=1))[0]


def loaded_years(session: Session) -> Sequence[int]:
    """Return the years whose notice is loaded, ascending."""
    return sorted({on.year for on in session.scalars(select(CalendarDay.on))})
