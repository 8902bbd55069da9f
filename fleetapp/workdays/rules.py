"""Kinds of days: the year's notice where it is loaded, else weekends only and a plain "not known"."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

SATURDAY = 5


class DayKind(StrEnum):
    """A workday includes make-up workdays at a weekend; a holiday is a statutory one with its bridge days."""

    WORKDAY = "workday"
    REST = "rest"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class Day:
    """Kind of one local day.

    ``name`` is the holiday's Chinese name (also on its make-up workdays), empty on ordinary days. ``known`` is false when the
    official notice of that year is not loaded: rules about holidays must then not judge, and pages say so.
    """

    on: date
    kind: DayKind
    name: str = ""
    known: bool = True


def by_weekday(on: date) -> Day:
    """Return the kind that the weekday alone gives; used for years without a notice."""
    return Day(on, DayKind.REST if on.weekday() >= SATURDAY else DayKind.WORKDAY, known=False)


def kind_of(on: date, *, is_workday: bool, holiday: str) -> DayKind:
    """Return the kind of a day of a loaded notice.

    ``holiday`` is the name of the holiday the notice gives this day, empty if none. A weekend day inside a holiday
    is a holiday; a weekend day made a workday (调休) is a workday whatever it is named after.
    """
    if is_workday:
        return DayKind.WORKDAY
    if holiday:
        return DayKind.HOLIDAY
    return DayKind.REST if on.weekday() >= SATURDAY else DayKind.HOLIDAY
