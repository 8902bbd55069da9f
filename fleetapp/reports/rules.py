"""What an export may cover and what its file is called."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.sheets import safe_name
from fleetapp.orders.rules import DRIVEN, OrderState, round_trip_m

LONGEST_PERIOD_DAYS = 366
MOST_PARTS = 200_000
"""Rows of one export; a spreadsheet of more is of no use to a person."""
PREVIEW_ROWS = 20
CHART_DAYS = 14
ROAD_FACTOR = 1.3
"""Road distance over the great circle where no road engine is asked (rule catalogue, primitive P5); files say so."""
LOW_COVERAGE = 0.6
"""Below it a trip has too few positions for a judgement (rule catalogue, primitive P6)."""

MEANT_TO_TRAVEL = frozenset(
    {
        OrderState.DISPATCHED,
        OrderState.DRIVER_ACCEPTED,
        OrderState.CHECKED_OUT,
        OrderState.EN_ROUTE,
        *DRIVEN,
    }
)
"""An order in one of these states whose window is over should have a trip."""


class ExportFormat(StrEnum):
    """Files of the compliance report; CSV holds the trips alone, PDF the totals with charts."""

    XLSX = "xlsx"
    CSV = "csv"
    PDF = "pdf"


class TaskState(StrEnum):
    """A report made in the background; the last three are ends."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN = frozenset({TaskState.QUEUED, TaskState.RUNNING})


class ExportKind(StrEnum):
    """What left the system."""

    COMPLIANCE = "compliance"
    CASE = "case"


@dataclass(frozen=True, slots=True)
class Period:
    """Local days, both included, as people write them."""

    start_on: date
    end_on: date

    @property
    def start(self) -> datetime:
        """First moment, UTC."""
        return clock.start_of(self.start_on)

    @property
    def end(self) -> datetime:
        """First moment after it, UTC."""
        return clock.start_of(self.end_on + timedelta(days=1))


def month_to_date(on: date) -> Period:
    """Return the days of this month up to a day."""
    return Period(on.replace(day=1), on)


def check_period(period: Period) -> None:
    """Refuse a period that is reversed or longer than a year.

    :raises RuleBroken: ``reports.period_reversed`` or ``reports.period_too_long``.
    """
    if period.end_on < period.start_on:
        raise RuleBroken("reports.period_reversed")
    if (period.end_on - period.start_on).days >= LONGEST_PERIOD_DAYS:
        raise RuleBroken("reports.period_too_long", days=LONGEST_PERIOD_DAYS)


def check_size(parts: int) -> None:
    """Refuse more rows than a file may have.

    :raises RuleBroken: ``reports.too_many_rows``.
    """
    if parts > MOST_PARTS:
        raise RuleBroken("reports.too_many_rows", rows=parts, most=MOST_PARTS)


def planned_m(stops: Sequence[tuple[float, float]]) -> float | None:
    """Return the planned road distance there and back through ``(lat, lon)`` stops in metres, None without any."""
    return round_trip_m(stops) * ROAD_FACTOR if len(stops) > 1 else None


def file_name(*, unit: str, title: str, period: Period, version: int, suffix: str) -> str:
    """Return ``单位_报表_起始至结束_v1.xlsx``; characters that file systems refuse become ``-``."""
    stem = f"{unit}_{title}_{period.start_on.isoformat()}至{period.end_on.isoformat()}_v{version}"
    return safe_name(stem, suffix)
