"""What several pages of statistics show: units and periods to choose from, tables laid out, links of facts, due days."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import get_org, orgs_visible_to
from fleetapp.kit import clock, permits
from fleetapp.policies import queries as policies
from fleetapp.statistics import layout, queries, rules
from fleetapp.statistics.catalogue import ORG, Column, Kind, parted, tables
from fleetapp.statistics.layout import Row, Sheet, Unit, Value
from fleetapp.statistics.models import StatisticReport
from fleetapp.statistics.rules import Content, Period, PeriodKind
from fleetapp.web.display import name
from fleetapp.web.request import actor, now
from fleetapp.web.texts import language, t, t_or

YEARS_OFFERED = 4
PLACES: Mapping[str, str] = {
    "vehicle": "vehicles.read", "order": "orders.read", "trip": "trips.read", "finding": "findings.read", "indicator": "indicators.read",
    "disposal": "disposal.read", "incident": "upkeep.read",
}  # fmt: skip
"""What may be opened of the facts, and who may."""
ADDRESSES: Mapping[str, str] = {"finding": "/findings", "vehicle": "/vehicles", "order": "/orders", "trip": "/trips", "indicator": "/indicators",
                                "disposal": "/disposal", "incident": "/upkeep/incidents"}  # fmt: skip


def reach(session: Session) -> list[Organisation]:
    """Return the organisations whose statistics the actor may read, in tree order."""
    return [
        one
        for one in session.scalars(orgs_visible_to(actor()))
        if permits.may("statistics.read", actor(), org_path=one.path)
    ]


def chosen(session: Session, org_id: int | None, code: str | None) -> tuple[Organisation, Period, list[Organisation]]:
    """Return the unit and period asked for, the first within reach and the year without; and everything within reach.

    :raises NotAllowed: out of reach.
    """
    permits.require("statistics.read", actor())
    orgs = reach(session)
    org = (
        get_org(session, org_id=org_id)
        if org_id
        else next((one for one in orgs if one.kind in queries.REPORTING), orgs[0])
    )
    permits.require("statistics.read", actor(), org_path=org.path)
    return org, rules.period(code) if code else rules.of(PeriodKind.YEAR, clock.local_date(now())), orgs


def period_name(code: str) -> str:
    """Return a period in the page's language."""
    of = rules.period(code)
    number = (of.first.month - 1) // rules.MONTHS[of.kind] + 1
    key = f"half_{number}" if of.kind is PeriodKind.HALF else of.kind.value
    return t(f"statistics.period.{key}", year=of.first.year, number=number)


def periods() -> list[tuple[str, str]]:
    """Return the periods that may be chosen, years first, then the shorter ones of this year and the last, the newest first."""
    today = clock.local_date(now())
    found = [str(today.year - back) for back in range(YEARS_OFFERED)]
    for year in (today.year, today.year - 1):
        for kind in (PeriodKind.HALF, PeriodKind.QUARTER, PeriodKind.MONTH):
            months = rules.MONTHS[kind]
            starts = (date(year, month, 1) for month in range(13 - months, 0, -months))
            found += [rules.of(kind, start).code for start in starts if start <= today]
    return [(code, period_name(code)) for code in found]


def due_on(session: Session, report: StatisticReport) -> date:
    """Return the day before which a report must be submitted: a year by the day of the annual report, others so many days after."""
    of = rules.period(report.period)
    if of.kind is PeriodKind.YEAR:
        return date(
            of.until.year, int(policies.value(session, "statistics.annual_due_month", of.last_on, report.org.path)), 1
        )
    return of.until + timedelta(days=int(policies.value(session, "statistics.due_days", of.last_on, report.org.path)))


def units_of(orgs: Sequence[Organisation]) -> dict[str, Unit]:
    """Return units by code with their names in the page's language."""
    return {one.code: Unit(one.code, one.path, name(one)) for one in orgs}


def say(key: str, **params: Any) -> str:
    """Return the words of a key; ``lang`` chooses the language."""
    return t_or(key, key.rpartition(".")[2], **params)


def laid(session: Session, content: Content, org: Organisation, code: str) -> Sheet:
    """Return a table of a content as its page shows it."""
    units = units_of(queries.subtree(session, org.path))
    return layout.laid_out(tables()[code], content, top=units[org.code], units=units, words=say, lang=language())


def shown(column: Column, value: Value) -> str:
    """Return a cell in words: figures with separators, codes by their words, nothing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, str):
        if column.choices:
            return t_or(f"statistics.choice.{value}", value)
        return t_or(f"{column.words}.{value}", value) if column.words else value
    if column.unit == "CNY" or column.kind is Kind.SHARE:
        text = f"{value:,.2f}"
    else:
        text = f"{value:,.1f}" if value != value.to_integral_value() else f"{value:,.0f}"
    return text.replace("-", "−")


def editor(report: StatisticReport, *, may: bool) -> Callable[[Column, Row], bool]:
    """Return what tells whether a cell of a report may be typed in."""

    def open_(column: Column, row: Row) -> bool:
        axis, value = parted(row.key)
        return may and column.has_cell(axis) and (axis != ORG or value == report.org.code)

    return open_


def over_of(session: Session, org: Organisation, row: str, table: str) -> list[int]:
    """Return the units whose facts a row of a table counts as seen from ``org``."""
    orgs = queries.subtree(session, org.path)
    axis, value = parted(row)
    if axis != ORG:
        return [one.id for one in orgs]
    of_row = next((one for one in orgs if one.code == value), None)
    if of_row is None:
        return []
    alone = tables()[table].each or of_row.path == org.path
    return [one.id for one in orgs if one.path == of_row.path or (not alone and one.path.startswith(of_row.path))]


def link(ref: str) -> str:
    """Return where a fact can be opened, "" where the actor may not or there is nothing to open."""
    kind, _, number = ref.partition(":")
    action = PLACES.get(kind)
    return f"{ADDRESSES[kind]}/{number}" if action and number and permits.may(action, actor()) else ""


def plain(value: Decimal | None, digits: int = 4) -> str:
    """Return a figure with separators and at most so many decimals, nothing as a dash."""
    if value is None:
        return "–"
    text = f"{value:,.{digits}f}"
    text = text.rstrip("0").rstrip(".") if digits else text
    return text.replace("-", "−")


def row_name(units: Mapping[str, Unit], key: str) -> str:
    """Return what a row is called in the page's language."""
    axis, value = parted(key)
    if key == rules.TOTAL:
        return t("statistics.total")
    return units[value].name if axis == ORG and value in units else layout.label(axis, value, say)
