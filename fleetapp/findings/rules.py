"""The catalogue of rules, the colours, and the way a clue goes from notice to a person's verdict."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from fleetapp.kit import clock
from fleetapp.kit.errors import NotAllowed, RuleBroken
from fleetapp.policies.rules import Stricter, standing
from fleetapp.workdays.rules import Day, DayKind

VERSION = "2026.11"
"""Version of all rules below; it is kept with every clue."""


class Severity(StrEnum):
    """Three-colour alerts of the field plus green for information."""

    GREEN = "green"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"


class FindingState(StrEnum):
    """Workflow of a clue; only people close it."""

    NOTIFIED = "NOTIFIED"
    EXPLAINED = "EXPLAINED"
    CLEARED = "CLEARED"
    PROCEDURAL = "PROCEDURAL"
    DEVICE = "DEVICE"
    CONFIRMED = "CONFIRMED"
    WITHDRAWN = "WITHDRAWN"


OUTCOMES = (FindingState.CLEARED, FindingState.PROCEDURAL, FindingState.DEVICE, FindingState.CONFIRMED)
"""What a reviewer may decide: in order, a fault of procedure, the device's doing, or a breach."""

TRANSITIONS: Mapping[FindingState | None, frozenset[FindingState]] = {
    None: frozenset([FindingState.NOTIFIED]),
    FindingState.NOTIFIED: frozenset([FindingState.NOTIFIED, FindingState.EXPLAINED, FindingState.WITHDRAWN]),
    FindingState.WITHDRAWN: frozenset([FindingState.NOTIFIED]),
    FindingState.EXPLAINED: frozenset([FindingState.EXPLAINED, *OUTCOMES]),
    **{outcome: frozenset([FindingState.EXPLAINED]) for outcome in OUTCOMES},
}
"""Where a clue may go: the job notifies, refreshes, withdraws and reinstates what nobody has answered yet; people
explain and decide; an auditor's reopening leads back to EXPLAINED."""

GROUPS: Mapping[str, tuple[FindingState, ...]] = {
    "open": (FindingState.NOTIFIED, FindingState.EXPLAINED),
    "to_explain": (FindingState.NOTIFIED,),
    "to_review": (FindingState.EXPLAINED,),
    "closed": OUTCOMES,
    "withdrawn": (FindingState.WITHDRAWN,),
}
"""Tabs of the queue."""

NOTE_MIN, TEXT_MAX = 4, 2000


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of the catalogue; ``figures`` are the codes of the policy figures it compares with."""

    id: str
    name_zh: str
    name_en: str
    figures: tuple[str, ...]

    @property
    def family(self) -> str:
        """Letter of the catalogue's family: A orders, B time, E parking."""
        return self.id[0]


NIGHT = ("A-01.night_start_h", "A-01.night_end_h")
CATALOGUE: Mapping[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule("A-01", "疑似无派车单用车", "Possible trip without an order",
             ("A-01.min_km", "A-01.leave_buffer_m", "A-01.red_km", "E-01.near_km", "match.weak", *NIGHT)),
        Rule("A-02", "行程与派车单弱匹配", "Weak match of trip and order",
             ("match.matched", "match.weak", "match.ambiguous_margin")),
        Rule("A-03", "疑似超时用车", "Possible use outside the approved time",
             ("A-03.early_min", "A-03.late_min", "A-03.orange_min")),
        Rule("B-01", "疑似节假日用车", "Possible use on a holiday", ("B-01.min_km",)),
        Rule("B-02", "疑似双休日用车", "Possible use on a rest day", ("B-01.min_km",)),
        Rule("E-01", "疑似无单驶离定点停放处", "Possible departure from designated parking without an order",
             ("E-01.buffer_m", "E-01.grace_min", "E-01.near_km", *NIGHT)),
        Rule("E-02", "疑似夜间未返回定点停放处", "Possibly not back at designated parking overnight",
             ("E-02.at_h", "E-02.grace_min")),
    )
}  # fmt: skip

SLA = {severity: f"finding.explain_days.{severity}" for severity in Severity}
"""Policy figure with the workdays to explain, by colour."""
FIGURES = tuple(sorted({code for rule in CATALOGUE.values() for code in rule.figures}))


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


def figures_on(rows: Iterable[FigureRow], *, on: date, org_path: str) -> Figures:
    """Return the figures of all rules that stand for an organisation on a local day: the stricter scope wins.

    :raises RuleBroken: ``policies.missing``, naming the first figure that no row gives.
    """
    applying = (
        row for row in sorted(rows, key=lambda row: (row.rank, len(row.org_path)))
        if row.figure.valid_from <= on and (row.valid_to is None or on < row.valid_to) and org_path.startswith(row.org_path)
    )  # fmt: skip
    found = {code: row.figure for code, row in standing(applying).items()}
    for code in (*FIGURES, *SLA.values()):
        if code not in found:
            raise RuleBroken("policies.missing", figure=code, on=on.isoformat())
    return found


class Silence(StrEnum):
    """Why a rule that looked at something raised nothing: recorded by the job, shown nowhere as a reproach."""

    INSUFFICIENT_DATA = "insufficient_data"
    EMERGENCY_ORDER = "emergency_order"
    SERVICE_ORDER = "service_order"
    ORDER_IN_FORCE = "order_in_force"


EXEMPTIONS = ("restricted_vehicle", "service_order", "emergency_order")
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
        return self.rule in {"A-01", "A-02", "E-01"}


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


def due_at(now: datetime, *, number: int, workdays: Collection[date]) -> datetime:
    """Return until when an explanation is due: the same time of day, ``number`` workdays on.

    ``workdays`` are the workdays of the coming weeks, in any order.
    """
    later = sorted(on for on in workdays if on > clock.local_date(now))
    if number <= 0 or len(later) < number:
        return now + timedelta(days=max(0, number))
    return clock.start_of(later[number - 1], clock.local(now).time())


# ---- people ---------------------------------------------------------------------------------------------------------


def check_step(before: str | None, after: FindingState) -> None:
    """Refuse a step that the table does not have.

    :raises RuleBroken: ``findings.wrong_step``.
    """
    if after not in TRANSITIONS[None if before is None else FindingState(before)]:
        raise RuleBroken("findings.wrong_step", before=before, after=after.value)


def check_text(text: str) -> str:
    """Return a note without blanks around it.

    :raises RuleBroken: ``findings.text_short``, too few characters to say anything; ``findings.text_long``.
    """
    words = text.strip()
    if len(words) < NOTE_MIN:
        raise RuleBroken("findings.text_short", least=NOTE_MIN)
    if len(words) > TEXT_MAX:
        raise RuleBroken("findings.text_long", most=TEXT_MAX)
    return words


def check_reviewer(
    reviewer_id: int | None,
    *,
    concerned_id: int | None,
    explainer_ids: Collection[int | None],
    order_people: Collection[int | None],
) -> None:
    """Refuse a reviewer who has a part in the matter: concerned, explained, applied for the order or approved it.

    :raises NotAllowed: ``findings.reviewer_concerned``, ``findings.reviewer_explained``, ``findings.reviewer_order``.
    """
    if reviewer_id is None:
        raise NotAllowed("findings.reviewer_person")
    if reviewer_id == concerned_id:
        raise NotAllowed("findings.reviewer_concerned")
    if reviewer_id in explainer_ids:
        raise NotAllowed("findings.reviewer_explained")
    if reviewer_id in order_people:
        raise NotAllowed("findings.reviewer_order")


def is_overdue(state: str, due: datetime, now: datetime) -> bool:
    """Tell whether an explanation is still missing after its time."""
    return state == FindingState.NOTIFIED and now > due
