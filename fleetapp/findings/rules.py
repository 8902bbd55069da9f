"""The catalogue of rules and the colours; the way of a clue from notice to verdict is ``workflow``'s."""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from fleetapp.findings.catalogue import CATALOGUE, Rule
from fleetapp.findings.inputs import OrderFacts
from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.policies.rules import Stricter, standing
from fleetapp.vehicles.rules import Category
from fleetapp.workdays.rules import Day, DayKind

__all__ = ["CATALOGUE", "Rule"]

VERSION = "2026.11"
"""Version of all rules below; it is kept with every clue."""


class Severity(StrEnum):
    """Three-colour alerts of the field plus green for information."""

    GREEN = "green"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"


SLA = {severity: f"finding.explain_days.{severity}" for severity in Severity}
"""Policy figure with the workdays to explain, by colour."""
ESCALATION = tuple(
    f"finding.escalate_{name}" for name in ("yellow_count", "yellow_days", "orange_count", "orange_days")
)
FIGURES = tuple(sorted({code for rule in CATALOGUE.values() if rule.active for code in rule.figures} | set(ESCALATION)))
CATEGORY_FIGURES = tuple(f"{code}.{category}" for code in FIGURES for category in Category)
"""Codes that stand for vehicles of one category where the policy has a row of them."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A policy figure in force, with its row's origin, as a clue keeps it."""

    value: float
    unit: str
    valid_from: date
    source: str
    article: str | None

    def kept(self) -> dict[str, Any]:
        """Return the JSON of it."""
        return {"value": self.value, "unit": self.unit, "valid_from": self.valid_from.isoformat(),
                "source": self.source, "article": self.article}  # fmt: skip


Figures = Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class FigureRow:
    """A row of the policy table: in force over ``[figure.valid_from, valid_to)`` in the sub-tree of ``org_path``.

    ``rank`` is the level of its scope, 0 for the nation.
    """

    code: str
    org_path: str
    valid_to: date | None
    figure: Figure
    rank: int = 0
    stricter: str = Stricter.NONE
    may_relax: bool = False

    @property
    def value(self) -> float:
        """What scopes are compared by."""
        return self.figure.value


def figures_on(
    rows: Iterable[FigureRow], *, on: date, org_path: str, category: str | None = None, whole: bool = True
) -> Figures:
    """Return the figures of all rules that stand for an organisation on a local day: the stricter scope wins.

    A row of ``category`` (code and category) stands before that of all vehicles. Not ``whole``: those that were there.

    :raises RuleBroken: ``policies.missing``, naming the first figure that no row gives.
    """
    applying = (
        row for row in sorted(rows, key=lambda row: (row.rank, len(row.org_path)))
        if row.figure.valid_from <= on and (row.valid_to is None or on < row.valid_to) and org_path.startswith(row.org_path)
    )  # fmt: skip
    found = {code: row.figure for code, row in standing(applying).items()}
    for code in (*FIGURES, *SLA.values()) if whole else ():
        if code not in found:
            raise RuleBroken("policies.missing", figure=code, on=on.isoformat())
    own = {code: found[f"{code}.{category}"] for code in FIGURES if category and f"{code}.{category}" in found}
    return found | own


class FigureBook(list[FigureRow]):
    """Policy rows with the figures that stand worked out once per time between two changes, unit and category."""

    def __init__(self, rows: Iterable[FigureRow]) -> None:
        """Take every row a rule compares with."""
        super().__init__(rows)
        self._changes = sorted(
            {day for row in self for day in (row.figure.valid_from, row.valid_to) if day is not None}
        )
        self._found: dict[tuple[int, str, str | None], Figures] = {}

    def on(self, day: date, org_path: str, category: str | None) -> Figures:
        """Return what ``figures_on`` returns for a day."""
        key = (bisect_right(self._changes, day), org_path, category)
        if key not in self._found:
            self._found[key] = figures_on(self, on=day, org_path=org_path, category=category)
        return self._found[key]


class Silence(StrEnum):
    """Why a rule that looked at something raised nothing: recorded by the job, shown nowhere as a reproach."""

    INSUFFICIENT_DATA = "insufficient_data"
    EMERGENCY_ORDER = "emergency_order"
    SERVICE_ORDER = "service_order"
    ORDER_IN_FORCE = "order_in_force"
    IN_SHOP = "in_shop"
    OTHER_DATUM = "other_datum"


EXEMPTIONS = ("restricted_vehicle", "service_order", "emergency_order", "duty_list", "in_shop", "sharing")
"""What is looked at before a clue is raised (rule catalogue, primitive P14); named in every clue's facts."""

MIN_COVERAGE = 0.6
"""Below this share of the time covered by fixes no rule judges (rule catalogue, primitive P6)."""
SURE = 0.5
"""Below this confidence a clue is yellow and points at device or data (rule catalogue, section 5)."""
CLEAR_MARGIN = 0.10
"""A score this far from the threshold is clear (rule catalogue, primitive P11)."""

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """What a rule saw: never a verdict. ``key`` names the incident, ``concerned_id`` the person asked first, if known.

    ``facts`` are plain numbers, texts and ISO moments under the names of ``FACTS``; evidence lines are
    ``{"code", ...}``, their words are ``findings.ev.<code>``.
    """

    rule: str
    key: str
    start_at: datetime
    end_at: datetime
    severity: Severity
    confidence: float
    facts: Mapping[str, Any]
    params: Mapping[str, Any]
    evidence_for: tuple[Line, ...]
    evidence_against: tuple[Line, ...]
    order_id: int | None = None
    trip_id: int | None = None
    concerned_id: int | None = None

    @property
    def is_interval(self) -> bool:
        """Whether the incident is known by its span (late data may move its first minute), not by its key alone."""
        return CATALOGUE[self.rule].span == "time"


def assembled(
    rule: str, *, vehicle_id: int, key: str, start: datetime, end: datetime, severity: Severity, confidence: float,
    facts: Mapping[str, Any], figures: Figures | None, supporting: Sequence[Line], against: Sequence[Line], coverage: float | None,
    trip_ids: Sequence[int], trips: int | None, order: OrderFacts | None, order_id: int | None, concerned_id: int | None,
) -> Clue:  # fmt: skip
    """Put a clue together: colour by confidence, facts without empty ones; a colour that fell is explained first."""
    colour = settle(severity, confidence)
    named = {"slip": order.slip, "order_start_at": order.start_at, "order_end_at": order.end_at} if order else {}
    shown = {
        **facts,
        **named,
        "coverage": coverage,
        "trips": trips,
        "trip_ids": list(trip_ids),
        "exemptions": list(EXEMPTIONS),
    }
    unsure = [{"code": "device_or_data", "percent": round(confidence * 100)}] if colour != severity else []
    return Clue(
        rule=rule,
        key=f"{rule}|{vehicle_id}|{key}",
        start_at=start,
        end_at=max(end, start + timedelta(seconds=1)),
        severity=colour,
        confidence=round(max(0.0, min(1.0, confidence)), 4),
        facts={name: plain(value) for name, value in shown.items() if value is not None},
        params={
            "version": VERSION,
            "figures": {} if figures is None else {code: figures[code].kept() for code in CATALOGUE[rule].figures},
        },
        evidence_for=tuple(supporting),
        evidence_against=(*unsure, *against),
        order_id=order.order_id if order else order_id,
        trip_id=trip_ids[0] if trip_ids else None,
        concerned_id=order.driver_user_id if order else concerned_id,
    )


def plain(value: Any) -> Any:
    """Return a value as a clue's JSON keeps it: moments as ISO text, fractions to four places."""
    if isinstance(value, datetime):
        return value.isoformat()
    return round(value, 4) if isinstance(value, float) else value


FACTS: Mapping[str, str] = {
    "distance_m": "km", "farthest_m": "m", "from_m": "m", "away_m": "m", "out_at": "moment", "back_at": "moment",
    "at": "moment", "since_at": "moment", "order_start_at": "moment", "order_end_at": "moment", "early_min": "min",
    "late_min": "min", "best_score": "score", "margin": "score", "coverage": "share", "trips": "count",
    "start_place": "text", "end_place": "text", "day": "day", "slip": "text", "silent_min": "min",
    "match_kind": "kind", "ongoing": "flag",
}  # fmt: skip
"""Every fact a clue may state, in the order pages show them, with how its value is written."""


AT_PLACE_M = 100.0
"""A departure whose first fix is this near began at the designated place: its hysteresis and one fix on the way (P9)."""

COMPARES = {
    "A-01.min_km": ("A-01",), "A-01.leave_buffer_m": ("A-01",), "A-03.early_min": ("A-03",), "A-03.late_min": ("A-03",),
    "B-01.min_km": ("B-01", "B-02"), "E-01.buffer_m": ("E-01",),
}  # fmt: skip
"""Figures whose comparison can be made again from the facts a clue keeps, and the rules that make it."""


def still_caught(rule: str, facts: Mapping[str, Any], figures: Mapping[str, float]) -> bool:
    """Tell whether a clue's own facts pass other figures of ``COMPARES`` as well."""
    metres, most = facts.get("distance_m", 0.0), facts.get("farthest_m", 0.0)
    match rule:
        case "A-01":
            buffer_m = figures["A-01.leave_buffer_m"]
            left = "from_m" in facts and facts["from_m"] <= max(buffer_m, AT_PLACE_M) and most > buffer_m
            return bool(left or metres > figures["A-01.min_km"] * 1000)
        case "A-03":
            early, late = facts.get("early_min", 0), facts.get("late_min", 0)
            return bool(early > figures["A-03.early_min"] or late >= figures["A-03.late_min"])
        case "B-01" | "B-02":
            return bool(metres >= figures["B-01.min_km"] * 1000)
    return bool(most > figures["E-01.buffer_m"])


def settle(severity: Severity, confidence: float) -> Severity:
    """Return the colour a clue may have at its confidence: an unsure one is at most yellow."""
    if confidence < SURE and severity in {Severity.ORANGE, Severity.RED}:
        return Severity.YELLOW
    return severity


def margin_confidence(margin: float) -> float:
    """Return the confidence that a margin to a threshold deserves: 0.5 on it, 1 from ``CLEAR_MARGIN`` on."""
    return min(1.0, 0.5 + 0.5 * max(0.0, margin) / CLEAR_MARGIN)


def is_rest(day: Day) -> bool:
    """Tell whether a day is surely none of work: without the year's notice that is not known."""
    return day.known and day.kind is not DayKind.WORKDAY


def touches_night(start: datetime, end: datetime, *, from_h: float, to_h: float) -> bool:
    """Tell whether ``[start, end)`` shares time with a local night from ``from_h`` to ``to_h`` of the next morning."""
    on = clock.local_date(start) - timedelta(days=1)
    while on <= clock.local_date(end):
        night_start = clock.start_of(on) + timedelta(hours=from_h)
        night_end = clock.start_of(on + timedelta(days=1)) + timedelta(hours=to_h)
        if start < night_end and night_start < end:
            return True
        on += timedelta(days=1)
    return False
