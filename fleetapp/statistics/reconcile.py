"""What must agree before a report is submitted, and what does not, each with the rows behind it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.policies import queries as policies
from fleetapp.statistics import derive, queries
from fleetapp.statistics.catalogue import ORG, row_key, tables
from fleetapp.statistics.derive import Over
from fleetapp.statistics.models import StatisticNote, StatisticReport
from fleetapp.statistics.rules import TOTAL, Period, ReportState, figure, period

INWARD = ("purchase", "renewal", "transfer_in", "received")
OUTWARD = ("transfer_out", "auction", "buyback", "scrap", "deregister")


class Check(StrEnum):
    """What is compared. The first group must hold, the second may be explained."""

    BALANCE = "balance"
    REGISTRY = "registry"
    FILES = "files"
    TYPED = "typed"
    BELOW = "below"
    OVER = "over"
    OPENING = "opening"
    QUOTA = "quota"
    CARDS = "cards"
    ASSET = "asset"
    FINANCE = "finance"


EXPLAINABLE = frozenset([Check.OPENING, Check.QUOTA, Check.CARDS, Check.ASSET, Check.FINANCE])


@dataclass(frozen=True, slots=True)
class Difference:
    """Two figures that should agree. ``subject`` names it within its report; ``link`` are the arguments of the page with its rows."""

    check: Check
    subject: str
    org: Organisation | None
    expected: Decimal
    found: Decimal
    category: str = ""
    energy: str = ""
    column: str = ""
    link: Mapping[str, Any] = field(default_factory=dict)
    note: StatisticNote | None = None

    @property
    def blocks(self) -> bool:
        """Tell whether the report cannot be submitted because of it."""
        return self.check not in EXPLAINABLE or self.note is None


@dataclass(frozen=True, slots=True)
class Balance:
    """Stock of a unit, class and energy over a period; vehicles at the end without an asset card, and their original value in CNY."""

    opening: Decimal
    inward: Decimal
    outward: Decimal
    closing: Decimal
    registry: Decimal
    no_card: Decimal
    value: Decimal

    @property
    def expected(self) -> Decimal:
        """What should be there at the end."""
        return self.opening + self.inward - self.outward


def balances(session: Session, over: Over) -> dict[tuple[int, str, str], Balance]:
    """Return the balance of every unit, class and energy that had a vehicle."""
    rows = over.rows(session, "stock")
    by = (rows.c.org_id, rows.c.category, rows.c.energy)
    names = ("opening", *INWARD, *OUTWARD, "closing", "registry", "no_asset_card", "asset_value")
    asked = select(*by, *(func.sum(rows.c[name]).label(name) for name in names)).where(over.holds(rows))
    return {
        (row.org_id, row.category, row.energy): Balance(
            row.opening, sum((getattr(row, name) for name in INWARD), Decimal(0)), sum((getattr(row, name) for name in OUTWARD), Decimal(0)),
            row.closing, row.registry, row.no_asset_card, row.asset_value) for row in session.execute(asked.group_by(*by))
    }  # fmt: skip


def differences(session: Session, report: StatisticReport, *, now: datetime) -> list[Difference]:
    """Return everything that keeps a report from being submitted, or did until it was explained."""
    of = period(report.period)
    orgs = queries.subtree(session, report.org.path)
    below = queries.reporting_below(orgs, report.org, of.first)
    own = [one for one in orgs if not any(one.path.startswith(unit.path) for unit in below)]
    over = Over([one.id for one in own], of, now)
    stock, names = balances(session, over), {one.id: one for one in own}
    found = _over(of, now)
    found += _below(session, below, of)
    found += _stock(names, stock)
    found += _opening(session, report, now)
    found += _quota(session, names, over, stock)
    found += _files(session, names, over, stock)
    found += _typed(session, report, over, stock)
    notes = queries.notes(session, report_id=report.id)
    return [
        Difference(one.check, one.subject, one.org, one.expected, one.found, one.category, one.energy, one.column, one.link, notes.get(one.subject))
        for one in found
    ]  # fmt: skip


def _over(of: Period, now: datetime) -> list[Difference]:
    return (
        []
        if of.is_over(now)
        else [Difference(Check.OVER, "over", None, Decimal(0), Decimal((of.until - of.upto(now)).days))]
    )


def _below(session: Session, below: Sequence[Organisation], of: Period) -> list[Difference]:
    handed_in = queries.reports_of(session, org_ids=[one.id for one in below], code=of.code)
    return [
        Difference(Check.BELOW, f"below:{one.code}", one, Decimal(1), Decimal(0), link={"org_id": one.id})
        for one in below if one.id not in handed_in or handed_in[one.id].state != ReportState.SUBMITTED
    ]  # fmt: skip


Stock = Mapping[tuple[int, str, str], Balance]
Names = Mapping[int, Organisation]


def _stock(names: Names, stock: Stock) -> list[Difference]:
    found = []
    for (org_id, category, energy), one in sorted(stock.items()):
        link = {"table": "t02", "column": "closing", "row": row_key("category", category)}
        key = f"{names[org_id].code}:{category}:{energy}"
        if one.expected != one.closing:
            found.append(
                Difference(
                    Check.BALANCE,
                    f"balance:{key}",
                    names[org_id],
                    one.expected,
                    one.closing,
                    category,
                    energy,
                    link=link,
                )
            )
        if one.registry != one.closing:
            found.append(
                Difference(
                    Check.REGISTRY,
                    f"registry:{key}",
                    names[org_id],
                    one.registry,
                    one.closing,
                    category,
                    energy,
                    link=link,
                )
            )
    return found


def _opening(session: Session, report: StatisticReport, now: datetime) -> list[Difference]:
    """Compare the opening with the closing that the period before was submitted with: what was entered late shows here."""
    earlier = queries.before(session, report)
    if earlier is None:
        return []
    was = earlier.content.get("t02", {})
    today = queries.gathered(session, org=report.org, of=period(report.period), now=now, only="t02").get("t02", {})
    found = []
    for row in sorted(was.keys() | today.keys()):
        expected, is_now = (
            figure(cells.get(name)) or Decimal(0)
            for cells, name in ((was.get(row, {}), "closing"), (today.get(row, {}), "opening"))
        )
        if expected != is_now:
            link = {"table": "t02", "column": "opening", "row": row}
            found.append(
                Difference(
                    Check.OPENING,
                    f"opening:{row}:{expected}",
                    report.org,
                    expected,
                    is_now,
                    row.partition("=")[2],
                    link=link,
                )
            )
    return found


def _quota(session: Session, names: Names, over: Over, stock: Stock) -> list[Difference]:
    rows = over.rows(session, "quota")
    by = (rows.c.org_id, rows.c.category)
    asked = select(*by, func.sum(rows.c.quota)).where(over.holds(rows)).group_by(*by)
    quotas = {(org_id, category): quota for org_id, category, quota in session.execute(asked)}
    held: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
    for (org_id, category, _energy), one in stock.items():
        held[org_id, category] += one.closing
    return [
        Difference(Check.QUOTA, f"quota:{names[org_id].code}:{category}:{closing}", names[org_id], quota, closing, category,
                   link={"table": "t02", "column": "closing", "row": row_key("category", category)})
        for (org_id, category), closing in sorted(held.items()) if closing > (quota := quotas.get((org_id, category), Decimal(0)))
    ]  # fmt: skip


def _files(session: Session, names: Names, over: Over, stock: Stock) -> list[Difference]:
    """Refuse files that are too empty on the whole; vehicles without an asset card are a difference with the asset ledger."""
    rows = over.rows(session, "file")
    asked = select(func.sum(rows.c.wanted), func.sum(rows.c.filled)).where(over.holds(rows))
    wanted, filled = session.execute(asked).one()
    least = policies.value(session, "statistics.complete_share", over.period.last_on)
    found = []
    if wanted and filled / wanted < least:
        share = (filled / wanted).quantize(Decimal("0.001"))
        found.append(Difference(Check.FILES, "files", None, least, share, link={"indicator": "I29", "part": "up"}))
    for org_id, org in names.items():
        missing = sum((one.no_card for (unit, _category, _energy), one in stock.items() if unit == org_id), Decimal(0))
        if missing:
            found.append(Difference(Check.CARDS, f"cards:{org.code}:{missing}", org, Decimal(0), missing))
    return found


def _typed(session: Session, report: StatisticReport, over: Over, stock: Stock) -> list[Difference]:
    """Ask for the cells that must be filled, and compare what other systems say with what was derived."""
    key = row_key(ORG, report.org.code)
    typed = {
        (row.form, row.row_key, row.column_key): row.value
        for row in session.scalars(derive.entries(over.org_ids, over.period))
    }
    found = [
        Difference(Check.TYPED, f"typed:{table.code}:{column.key}", report.org, Decimal(1), Decimal(0), column=column.key,
                   link={"table": table.code, "column": column.key})
        for table in tables().values() for column in table.columns
        if column.required and not typed.get((table.code, key, column.key))
    ]  # fmt: skip
    rows = over.rows(session, "cost")
    running = session.scalar(
        select(func.sum(rows.c.amount)).where(over.holds(rows), rows.c.share == "running")
    ) or Decimal(0)
    compared = (
        (
            Check.ASSET,
            "asset_value",
            sum((one.value for one in stock.values()), Decimal(0)),
            {"table": "t03", "column": "value"},
        ),
        (Check.FINANCE, "finance_running", running, {"table": "t07", "column": "running"}),
    )
    for check, column, derived, link in compared:
        told = figure(typed.get(("t07", key, column)))
        if told is not None and told != derived:
            found.append(
                Difference(
                    check,
                    f"{check}:{told}:{derived}",
                    report.org,
                    told,
                    derived,
                    column=column,
                    link={**link, "row": TOTAL},
                )
            )
    return found


def by_check(found: Sequence[Difference]) -> dict[Check, list[Difference]]:
    """Return differences by what is compared, in the order of the checks."""
    groups: dict[Check, list[Difference]] = defaultdict(list)
    for one in found:
        groups[one.check].append(one)
    return {check: groups[check] for check in Check if groups[check]}
