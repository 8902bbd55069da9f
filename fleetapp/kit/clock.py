"""The only place that asks the time, and the only one that knows the office's time zone."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

OFFICE_ZONE = ZoneInfo("Asia/Shanghai")


def now() -> datetime:
    """Return the present moment, aware, UTC."""
    return datetime.now(UTC)


def local(at: datetime) -> datetime:
    """Return the same moment on the office's clock."""
    return at.astimezone(OFFICE_ZONE)


def local_date(at: datetime) -> date:
    """Return the office's calendar day of a moment."""
    return local(at).date()


def start_of(on: date, at: time = time(0)) -> datetime:
    """Return the UTC moment of a local time of day on a local date."""
    return datetime.combine(on, at, OFFICE_ZONE).astimezone(UTC)


def day_span(on: date) -> tuple[datetime, datetime]:
    """Return ``[start, end)`` of a local day in UTC."""
    return start_of(on), start_of(on + timedelta(days=1))
