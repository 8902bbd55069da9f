"""Loading a year's official notice."""

from datetime import date, datetime, timedelta
from importlib.metadata import version

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.workdays import rules
from fleetapp.workdays.models import CalendarDay


def _days_of(year: int) -> list[dict[str, object]]:
    # A late import: the tables of twenty years are needed at set-up only.
    import chinese_calendar

    source = f"chinesecalendar {version('chinesecalendar')}"
    first = date(year, 1, 1)
    rows: list[dict[str, object]] = []
    for number in range((date(year + 1, 1, 1) - first).days):
        on = first + timedelta(days=number)
        try:
            is_off, english = chinese_calendar.get_holiday_detail(on)
        except NotImplementedError as error:
            raise RuleBroken("workdays.no_notice", year=year) from error
        name = chinese_calendar.Holiday(english).chinese if english else ""
        kind = rules.kind_of(on, is_workday=not is_off, holiday=name)
        rows.append({"on": on, "kind": kind, "name_zh": name or None, "source": source})
    return rows


def load_year(session: Session, *, year: int, actor: Actor, now: datetime) -> int:
    """Load the State Council's notice of a year as ``chinesecalendar`` has it; returns the days added or changed.

    Loading again changes nothing unless the notice did.

    :raises RuleBroken: ``workdays.no_notice``, the notice of that year is not out or not in the installed package.
    """
    permits.require("workdays.load", actor, org_path="/")
    statement = insert(CalendarDay)
    fresh = statement.excluded
    changed = session.scalars(
        statement.on_conflict_do_update(
            index_elements=[CalendarDay.on],
            set_={"kind": fresh.kind, "name_zh": fresh.name_zh, "source": fresh.source},
            where=(CalendarDay.kind != fresh.kind) | CalendarDay.name_zh.is_distinct_from(fresh.name_zh),
        ).returning(CalendarDay.on),
        _days_of(year),
    ).all()
    if changed:
        audit.record(session, actor=actor, now=now, action="workdays.loaded", subject_type="calendar_year",
                     subject_id=year, org_id=None, days=len(changed))  # fmt: skip
    return len(changed)
