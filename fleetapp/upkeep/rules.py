"""When something comes due, which step a work order may take, what it may cost: values in, values or ``RuleBroken`` out.

Sources: 道路交通安全法实施条例 Art. 16 and 公交管〔2022〕295号 (inspection since 2022-10-01); 党政机关公务用车管理办法
(中办发〔2017〕71号) Art. 19: designated repair shops, one file per vehicle.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import Body, CostKind, Energy

CENT = Decimal("0.01")


class WorkKind(StrEnum):
    """What a work order is for."""

    MAINTENANCE = "maintenance"
    REPAIR = "repair"
    TYRES = "tyres"
    INSPECTION = "inspection"
    ACCIDENT = "accident"


COST_KIND = {
    WorkKind.MAINTENANCE: CostKind.MAINTENANCE, WorkKind.REPAIR: CostKind.REPAIR, WorkKind.TYRES: CostKind.TYRES,
    WorkKind.INSPECTION: CostKind.INSPECTION, WorkKind.ACCIDENT: CostKind.ACCIDENT,
}  # fmt: skip
"""How a work order's money is booked; tyres on any order are booked as tyres."""


class LineKind(StrEnum):
    """What is paid for; a tyre has its serial number."""

    LABOUR = "labour"
    PART = "part"
    TYRE = "tyre"


class WorkState(StrEnum):
    """Where a work order stands."""

    REPORTED = "REPORTED"
    QUOTED = "QUOTED"
    APPROVED = "APPROVED"
    IN_WORK = "IN_WORK"
    DONE = "DONE"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


class WorkAction(StrEnum):
    """What moves a work order."""

    SUBMIT = "submit"
    APPROVE = "approve"
    REJECT = "reject"
    CANCEL = "cancel"
    START = "start"
    FINISH = "finish"
    REWORK = "rework"
    ALLOW_EXCESS = "allow_excess"
    ACCEPT = "accept"


_S, _A = WorkState, WorkAction
TRANSITIONS: Mapping[tuple[WorkState, WorkAction], WorkState] = {
    (_S.REPORTED, _A.SUBMIT): _S.QUOTED,
    (_S.REPORTED, _A.REJECT): _S.REJECTED,
    (_S.REPORTED, _A.CANCEL): _S.CANCELLED,
    (_S.QUOTED, _A.APPROVE): _S.APPROVED,
    (_S.QUOTED, _A.REJECT): _S.REJECTED,
    (_S.QUOTED, _A.CANCEL): _S.CANCELLED,
    (_S.APPROVED, _A.START): _S.IN_WORK,
    (_S.APPROVED, _A.CANCEL): _S.CANCELLED,
    (_S.IN_WORK, _A.FINISH): _S.DONE,
    (_S.DONE, _A.ACCEPT): _S.ACCEPTED,
    (_S.DONE, _A.ALLOW_EXCESS): _S.DONE,
    (_S.DONE, _A.REWORK): _S.IN_WORK,
}
LIVING = frozenset([_S.REPORTED, _S.QUOTED, _S.APPROVED, _S.IN_WORK, _S.DONE])
IN_SHOP = frozenset([_S.IN_WORK, _S.DONE])
"""The vehicle is in maintenance until the work is accepted."""


class SupplierKind(StrEnum):
    """What a designated supplier is contracted for."""

    REPAIR = "repair"
    INSURANCE = "insurance"
    INSPECTION = "inspection"
    ENERGY = "energy"


class IncidentKind(StrEnum):
    """An accident, or a violation of traffic law."""

    ACCIDENT = "accident"
    VIOLATION = "violation"


class IncidentState(StrEnum):
    """Handled or not yet."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Liability(StrEnum):
    """Share of liability found by the traffic police (道路交通事故处理程序规定 Art. 60); pending until it is found."""

    NONE = "none"
    MINOR = "minor"
    EQUAL = "equal"
    MAJOR = "major"
    FULL = "full"
    PENDING = "pending"


class Item(StrEnum):
    """What is maintained at intervals."""

    ENGINE_OIL = "engine_oil"
    FILTERS = "filters"
    BRAKES = "brakes"
    TYRES = "tyres"
    TRANSMISSION = "transmission"
    COOLANT = "coolant"
    HIGH_VOLTAGE = "high_voltage"
    GENERAL = "general"


class DueKind(StrEnum):
    """What comes due."""

    MAINTENANCE = "maintenance"
    INSPECTION = "inspection"
    COMPULSORY_INSURANCE = "compulsory_insurance"
    COMMERCIAL_INSURANCE = "commercial_insurance"


LEADS = {
    DueKind.MAINTENANCE: "maintenance", DueKind.INSPECTION: "inspection", DueKind.COMPULSORY_INSURANCE: "insurance",
    DueKind.COMMERCIAL_INSURANCE: "insurance",
}  # fmt: skip
"""Whose lead times a reminder goes by: ``upkeep.lead.<name>.<n>``; also the three groups of the picture."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A plan's intervals; whichever is reached first counts."""

    every_km: int | None = None
    every_months: int | None = None
    every_hours: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """How far a vehicle has run on a day in its whole life, and the engine's hours if it counts them."""

    on: date
    at_m: int
    engine_h: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """What a vehicle has run a day lately."""

    m_a_day: float
    h_a_day: float = 0.0


@dataclass(frozen=True, slots=True)
class Due:
    """Something of a vehicle that is to be done before ``on``.

    ``by`` says what decides: km, months, hours, paper, law, or never when nothing is on record. ``subject`` names this very
    due date, so that it is reminded of once per lead time.
    """

    vehicle_id: int
    kind: DueKind
    item: str
    on: date
    by: str
    subject: str
    left_m: int | None = None

    def overdue(self, today: date) -> bool:
        """Tell whether the day has come."""
        return self.on <= today


def add_months(on: date, months: int) -> date:
    """Return the same day some months later, the last of the month where that has no such day."""
    year, month = divmod(on.year * 12 + on.month - 1 + months, 12)
    following = date(year + (month == 11), month % 12 + 2 if month < 11 else 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=on.day - 1), following - timedelta(days=1))


def next_maintenance(every: Interval, last: Run, at: Run, pace: Pace) -> tuple[date, str, int | None]:
    """Return (day, what decides, metres left) of the next maintenance: by distance, time or hours, whichever comes first.

    Distance and hours are projected at the present pace; one that is used up already is due today.
    """
    ways: list[tuple[date, str]] = []
    left_m = None
    if every.every_km is not None:
        left_m = last.at_m + every.every_km * 1000 - at.at_m
        ways += _reached(left_m, pace.m_a_day, at.on, "km")
    if every.every_months is not None:
        ways.append((add_months(last.on, every.every_months), "months"))
    if every.every_hours is not None and at.engine_h is not None:
        left_h = float((last.engine_h or Decimal(0)) + every.every_hours - at.engine_h)
        ways += _reached(left_h, pace.h_a_day, at.on, "hours")
    if not ways:
        return date.max, "km", left_m
    on, by = min(ways)
    return on, by, left_m


def _reached(left: float, a_day: float, today: date, by: str) -> list[tuple[date, str]]:
    if left <= 0:
        return [(today, by)]
    if a_day <= 0 or left / a_day > 3650:
        return []
    return [(today + timedelta(days=math.ceil(left / a_day)), by)]


def pace(
    *, first: Run | None, last: Run | None, whole: Run, registered_on: date, least_days: int = 14
) -> Pace:  # fmt: skip
    """Return what a vehicle runs a day: between two readings far enough apart, else over its whole life."""
    if first is not None and last is not None and (days := (last.on - first.on).days) >= least_days:
        hours = (
            float(last.engine_h - first.engine_h) if last.engine_h is not None and first.engine_h is not None else 0.0
        )
        return Pace((last.at_m - first.at_m) / days, hours / days)
    days = max(1, (whole.on - registered_on).days)
    return Pace(whole.at_m / days, float(whole.engine_h or 0) / days)


@dataclass(frozen=True, slots=True)
class InspectionTable:
    """Every how many months a vehicle is inspected, until and after an age; in ``test_years`` on the line, else a mark is enough."""

    until_years: int
    early_months: int
    late_months: int
    test_years: frozenset[int] | None


SMALL_BODIES = frozenset([Body.SEDAN, Body.SUV, Body.MPV, Body.OFFROAD])
"""Small passenger cars; pickups are lorries, vans and special vehicles go with the larger ones."""


def next_inspection(registered_on: date, table: InspectionTable, after: date) -> date:
    """Return the first statutory inspection day later than a day."""
    months = 0
    while (on := add_months(registered_on, months)) <= after or months == 0:
        months += table.early_months if months < table.until_years * 12 else table.late_months
    return on


def inspection_item(registered_on: date, table: InspectionTable, on: date) -> str:
    """Return whether the inspection around a day is a ``test`` on the line, or a ``mark`` applied for."""
    years = round((on - registered_on).days / 365.25)
    on_line = table.test_years is None or years > table.until_years or years in table.test_years
    return "test" if on_line else "mark"


def lead_reached(left_days: int, leads: Iterable[int]) -> int | None:
    """Return the shortest lead time that has begun, 0 once the day has come; none yet gives ``None``."""
    begun = [lead for lead in (0, *leads) if left_days <= lead]
    return min(begun, default=None)


@dataclass(frozen=True, slots=True)
class PlanScope:
    """For which vehicles a plan is; empty fields mean any. ``depth`` is that of its organisation in the tree."""

    vehicle_id: int | None
    model: str | None
    energy: str | None
    depth: int

    def covers(self, vehicle_id: int, model: str, energy: str) -> bool:
        """Tell whether a vehicle falls under the plan."""
        return (
            self.vehicle_id in (None, vehicle_id) and self.model in (None, model) and self.energy in (None, energy)
        )  # fmt: skip

    def rank(self) -> tuple[bool, bool, bool, int]:
        """Return how specific the plan is; the most specific one of an item counts."""
        return (self.vehicle_id is not None, self.model is not None, self.energy is not None, self.depth)


def check_plan(every: Interval, *, item: Item, energy: Energy | None) -> None:
    """Refuse a plan without any interval, and engine oil for what has no engine.

    :raises RuleBroken: ``upkeep.interval``, ``upkeep.no_engine``.
    """
    if not any((every.every_km, every.every_months, every.every_hours)):
        raise RuleBroken("upkeep.interval")
    if item is Item.ENGINE_OIL and energy in {Energy.BEV, Energy.FCEV}:
        raise RuleBroken("upkeep.no_engine")


def next_state(state: str, action: WorkAction) -> WorkState:
    """Return where an action leads.

    :raises RuleBroken: ``upkeep.wrong_step``.
    """
    after = TRANSITIONS.get((WorkState(state), action))
    if after is None:
        raise RuleBroken("upkeep.wrong_step", state=state)
    return after


def check_quotes(supplier_ids: Iterable[int], *, chosen: int, least: int, single_reason: str | None) -> None:
    """Refuse a choice nobody quoted, and fewer suppliers than wanted without a reason.

    :raises RuleBroken: ``upkeep.not_quoted``, ``upkeep.more_quotes``.
    """
    found = frozenset(supplier_ids)
    if chosen not in found:
        raise RuleBroken("upkeep.not_quoted")
    if len(found) < least and not single_reason:
        raise RuleBroken("upkeep.more_quotes", least=least, found=len(found))


def check_contract(on: date, *, contract_from: date, contract_to: date) -> None:
    """Refuse a supplier that is not designated on a day.

    :raises RuleBroken: ``upkeep.no_contract``.
    """
    if not contract_from <= on < contract_to:
        raise RuleBroken("upkeep.no_contract", start=contract_from.isoformat(), end=contract_to.isoformat())


def allowed_cost(limit: Decimal, over_share: Decimal) -> Decimal:
    """Return up to what a work may cost without a second approval."""
    return (limit * (1 + over_share)).quantize(CENT, ROUND_HALF_UP)


def check_cost(cost: Decimal, limit: Decimal, over_share: Decimal, *, excess_allowed: bool) -> None:
    """Refuse to accept what costs too much more than approved before it was approved again.

    :raises RuleBroken: ``upkeep.excess``.
    """
    most = allowed_cost(limit, over_share)
    if cost > most and not excess_allowed:
        raise RuleBroken("upkeep.excess", cost=f"{cost:,.2f}", most=f"{most:,.2f}")


def check_line(kind: LineKind, *, quantity: Decimal, serial: str | None) -> None:
    """Refuse a tyre without its serial number and a line of nothing; a negative quantity takes a wrong line back.

    :raises RuleBroken: ``upkeep.tyre_serial``, ``upkeep.quantity_zero``.
    """
    if kind is LineKind.TYRE and not serial:
        raise RuleBroken("upkeep.tyre_serial")
    if quantity == 0:
        raise RuleBroken("upkeep.quantity_zero")
