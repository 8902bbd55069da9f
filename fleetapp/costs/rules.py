"""What a cost must state, how costs are grouped, spread over a life and split: values in, values or ``RuleBroken`` out.

Sources: 三公经费 splits official vehicles into purchase (购置费) and running (运行维护费); 政府会计准则第3号——固定资产: straight
line by month from the month of acquisition.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import PURCHASE_COSTS, CostKind, CostRow, CostSum

_K = CostKind
ELSEWHERE = PURCHASE_COSTS | {
    _K.FUEL, _K.CHARGING, _K.MAINTENANCE, _K.REPAIR, _K.TYRES, _K.INSURANCE, _K.INSPECTION, _K.ACCIDENT,
}  # fmt: skip
"""Kept by the vehicle, by energy and by upkeep; never entered here, so that nothing counts twice."""
OWN_KINDS = tuple(kind for kind in CostKind if kind not in ELSEWHERE)
TASK_KINDS = frozenset([_K.TOLL, _K.PARKING_FEE])
"""Spent on the way: each names its task, or says why there is none (rule I-05)."""


class Group(StrEnum):
    """What running costs are shown as."""

    ENERGY = "energy"
    UPKEEP = "upkeep"
    COVER = "cover"
    ROAD = "road"
    REST = "rest"


GROUPS: Mapping[CostKind, Group] = {
    _K.FUEL: Group.ENERGY, _K.CHARGING: Group.ENERGY, _K.MAINTENANCE: Group.UPKEEP, _K.REPAIR: Group.UPKEEP, _K.TYRES: Group.UPKEEP,
    _K.INSURANCE: Group.COVER, _K.INSPECTION: Group.COVER, _K.TOLL: Group.ROAD, _K.PARKING_FEE: Group.ROAD, _K.WASH: Group.REST,
    _K.RENTAL: Group.REST, _K.ACCIDENT: Group.REST, _K.OTHER: Group.REST,
}  # fmt: skip


def check_entry(*, kind: CostKind, order_id: int | None, explanation: str | None) -> None:
    """Refuse what is kept elsewhere, and a toll or parking fee without task or explanation.

    :raises RuleBroken: ``costs.elsewhere``, ``costs.task_needed``.
    """
    if kind in ELSEWHERE:
        raise RuleBroken("costs.elsewhere")
    if kind in TASK_KINDS and order_id is None and len((explanation or "").strip()) < 4:
        raise RuleBroken("costs.task_needed")


PARTS = ("purchase", "running", *(group.value for group in Group))
"""What of the sums may be looked into."""


@dataclass(slots=True)
class Sum:
    """Purchase and running costs, and the running ones by kind."""

    purchase: Decimal = Decimal(0)
    running: Decimal = Decimal(0)
    by_kind: dict[CostKind, Decimal] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        """Both together."""
        return self.purchase + self.running

    def of(self, group: Group) -> Decimal:
        """Return the running costs of a group."""
        return sum((amount for kind, amount in self.by_kind.items() if GROUPS[kind] is group), Decimal(0))


def add_up(rows: Iterable[CostRow | CostSum]) -> Sum:
    """Return what rows come to; every amount counts once, as purchase or as running."""
    found = Sum()
    for row in rows:
        if row.kind in PURCHASE_COSTS:
            found.purchase += row.amount
        else:
            found.running += row.amount
            found.by_kind[row.kind] = found.by_kind.get(row.kind, Decimal(0)) + row.amount
    return found


def belongs(kind: CostKind, part: str | None) -> bool:
    """Tell whether a kind is in a part of the sums: a group, ``purchase``, ``running``, or None for all."""
    if part in {"purchase", "running"}:
        return (kind in PURCHASE_COSTS) == (part == "purchase")
    return part is None or GROUPS.get(kind) == part


def month_of(on: date) -> date:
    """Return the first day of a day's month."""
    return on.replace(day=1)


def months_between(start: date, end: date) -> list[date]:
    """Return the first days of the months that ``[start, end)`` touches."""
    found, at = [], month_of(start)
    while at < end:
        found.append(at)
        at = date(at.year + at.month // 12, at.month % 12 + 1, 1)
    return found


@dataclass(frozen=True, slots=True)
class Depreciation:
    """Straight line over ``years`` down to ``residual`` of the value, by month from the month of acquisition."""

    value: Decimal
    since: date
    years: Decimal
    residual: Decimal

    @property
    def yearly(self) -> Decimal:
        """What a full year takes."""
        return (self.value * (1 - self.residual) / self.years).quantize(Decimal("0.01"))

    def written_off(self, on: date) -> Decimal:
        """Return what has been taken by the end of a day's month."""
        passed = (on.year - self.since.year) * 12 + on.month - self.since.month + 1
        months = min(max(Decimal(passed), Decimal(0)), self.years * 12)
        return (self.value * (1 - self.residual) * months / (self.years * 12)).quantize(Decimal("0.01"))

    def book_value(self, on: date) -> Decimal:
        """Return what is left by the end of a day's month."""
        return self.value - self.written_off(on)


def whole_life(*, purchase: Decimal, running: Decimal, proceeds: Decimal) -> Decimal:
    """Return the whole-life cost: price and purchase tax, all running costs, less what the disposal brought (indicator I19)."""
    return purchase + running - proceeds


def per_km(amount: Decimal, metres: float) -> Decimal | None:
    """Return CNY per kilometre, None where nothing was driven."""
    return (amount / (Decimal(str(metres)) / 1000)).quantize(Decimal("0.001")) if metres > 0 else None
