"""The way of a clue and of its case: states, who may take which step, deadlines, incidents, samples. Pure decisions.

States and roles follow the rule catalogue, section 3; that nobody closes a matter about himself is invariant INV-25.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import ceil, cos, hypot, inf, radians, sqrt

from fleetapp.kit import clock
from fleetapp.kit.errors import NotAllowed, RuleBroken


class FindingState(StrEnum):
    """Workflow of a clue and of its case; only people conclude it."""

    DETECTED = "DETECTED"
    MERGED = "MERGED"
    SUPPRESSED = "SUPPRESSED"
    ASSIGNED = "ASSIGNED"
    NOTIFIED = "NOTIFIED"
    EXPLAINED = "EXPLAINED"
    UNIT_VERIFIED = "UNIT_VERIFIED"
    BUREAU_REVIEWED = "BUREAU_REVIEWED"
    CLEARED = "CLEARED"
    PROCEDURAL = "PROCEDURAL"
    DEVICE = "DEVICE"
    CONFIRMED = "CONFIRMED"
    REFERRED = "REFERRED"
    RECTIFIED = "RECTIFIED"
    CLOSED = "CLOSED"
    REOPENED = "REOPENED"
    WITHDRAWN = "WITHDRAWN"


_S = FindingState
OUTCOMES = (_S.CLEARED, _S.PROCEDURAL, _S.DEVICE, _S.CONFIRMED, _S.REFERRED)
"""What a reviewer may conclude: in order, a fault of procedure, the device's doing, a breach, passed on to discipline."""
HITS = (_S.CONFIRMED, _S.PROCEDURAL, _S.REFERRED)
"""Outcomes that bear a rule out; what was passed on counts like what was confirmed."""
TO_RECTIFY = (_S.PROCEDURAL, _S.DEVICE, _S.CONFIRMED, _S.REFERRED)
"""After these the unit says what it put right before the case is closed."""
UNTOUCHED = frozenset([_S.DETECTED, _S.ASSIGNED, _S.NOTIFIED, _S.MERGED, _S.SUPPRESSED, _S.WITHDRAWN])
"""Nobody has answered yet: the job may still refresh, merge, suppress, withdraw."""
ASIDE = frozenset([_S.MERGED, _S.SUPPRESSED, _S.WITHDRAWN])
"""Clues that keep their record but go no way of their own."""

TRANSITIONS: Mapping[FindingState | None, frozenset[FindingState]] = {
    None: frozenset([_S.DETECTED]),
    _S.DETECTED: frozenset([_S.DETECTED, _S.MERGED, _S.SUPPRESSED, _S.ASSIGNED, _S.WITHDRAWN]),
    _S.ASSIGNED: frozenset([_S.ASSIGNED, _S.MERGED, _S.NOTIFIED, _S.WITHDRAWN]),
    _S.NOTIFIED: frozenset([_S.NOTIFIED, _S.MERGED, _S.EXPLAINED, _S.WITHDRAWN]),
    _S.MERGED: frozenset([_S.MERGED, _S.DETECTED, _S.WITHDRAWN]),
    _S.SUPPRESSED: frozenset([_S.SUPPRESSED, _S.WITHDRAWN, _S.REOPENED]),
    _S.WITHDRAWN: frozenset([_S.DETECTED]),
    _S.EXPLAINED: frozenset([_S.EXPLAINED, _S.UNIT_VERIFIED]),
    _S.UNIT_VERIFIED: frozenset([_S.EXPLAINED, _S.BUREAU_REVIEWED]),
    _S.BUREAU_REVIEWED: frozenset(OUTCOMES),
    _S.CLEARED: frozenset([_S.CLOSED, _S.REOPENED]),
    **{outcome: frozenset([_S.RECTIFIED, _S.REOPENED]) for outcome in TO_RECTIFY},
    _S.RECTIFIED: frozenset([_S.CLOSED, _S.REOPENED]),
    _S.CLOSED: frozenset([_S.REOPENED]),
    _S.REOPENED: frozenset([_S.EXPLAINED, _S.BUREAU_REVIEWED]),
}
"""Where a clue and its case may go. The database has the same table (``finding_step_allowed``)."""

GROUPS: Mapping[str, tuple[FindingState, ...]] = {
    "open": (_S.DETECTED, _S.ASSIGNED, _S.NOTIFIED, _S.EXPLAINED, _S.UNIT_VERIFIED, _S.BUREAU_REVIEWED, _S.REOPENED),
    "to_explain": (_S.DETECTED, _S.ASSIGNED, _S.NOTIFIED),
    "to_verify": (_S.EXPLAINED,),
    "to_review": (_S.UNIT_VERIFIED, _S.BUREAU_REVIEWED, _S.REOPENED),
    "to_rectify": (*TO_RECTIFY, _S.RECTIFIED),
    "closed": (_S.CLEARED, _S.CLOSED),
    "aside": (_S.MERGED, _S.SUPPRESSED, _S.WITHDRAWN),
}
"""Tabs of the queue."""


class ClearReason(StrEnum):
    """Why a case was in order: without one nothing is cleared."""

    ORDER_FOUND = "order_found"
    SUPPLEMENTARY = "supplementary"
    URGENT_DUTY = "urgent_duty"
    MAINTENANCE_DRIVE = "maintenance_drive"
    APPROVED_OVERNIGHT = "approved_overnight"
    POSITION_DRIFT = "position_drift"
    RULE_TOO_STRICT = "rule_too_strict"


NOTE_MIN, TEXT_MAX, MOST_FILES = 4, 2000, 6
METRES_A_DEGREE = 111_195.0
"""Of latitude, on a sphere of 6 371 km."""
GAP = timedelta(minutes=30)
"""Clues of a vehicle less than this apart belong together (rule catalogue, primitive P13)."""


# ---- steps and people -----------------------------------------------------------------------------------------------


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
    concerned_ids: Collection[int | None],
    explainer_ids: Collection[int | None],
    order_people: Collection[int | None],
) -> None:
    """Refuse whoever has a part in the matter: concerned, explained, applied for an order of it or approved one.

    :raises NotAllowed: ``findings.reviewer_concerned``, ``findings.reviewer_explained``, ``findings.reviewer_order``.
    """
    if reviewer_id is None:
        raise NotAllowed("findings.reviewer_person")
    if reviewer_id in concerned_ids:
        raise NotAllowed("findings.reviewer_concerned")
    if reviewer_id in explainer_ids:
        raise NotAllowed("findings.reviewer_explained")
    if reviewer_id in order_people:
        raise NotAllowed("findings.reviewer_order")


def check_outcome(outcome: FindingState, reason: ClearReason | None) -> ClearReason | None:
    """Return the reason code a conclusion keeps: one is needed to clear, none goes with anything else.

    :raises RuleBroken: ``findings.no_outcome``, ``findings.no_reason``.
    """
    if outcome not in OUTCOMES:
        raise RuleBroken("findings.no_outcome")
    if outcome is not FindingState.CLEARED:
        return None
    if reason is None:
        raise RuleBroken("findings.no_reason")
    return reason


# ---- deadlines ------------------------------------------------------------------------------------------------------


def due_at(now: datetime, *, number: int, workdays: Collection[date]) -> datetime:
    """Return until when an explanation is due: the same time of day, ``number`` workdays on.

    ``workdays`` are the workdays of the coming weeks, in any order.
    """
    later = sorted(on for on in workdays if on > clock.local_date(now))
    if number <= 0 or len(later) < number:
        return now + timedelta(days=max(0, number))
    return clock.start_of(later[number - 1], clock.local(now).time())


def is_overdue(state: str, due: datetime, now: datetime) -> bool:
    """Tell whether an explanation is still missing after its time."""
    return state in GROUPS["to_explain"] and now > due


# ---- incidents ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Incident:
    """A clue as grouping sees it: span ``[start_at, end_at)``, rule family, rank of its colour (red highest), its trips."""

    id: int
    family: str
    rank: int
    start_at: datetime
    end_at: datetime
    order_id: int | None = None
    trip_ids: frozenset[int] = frozenset()


def near(one: Incident, other: Incident) -> bool:
    """Tell whether less than ``GAP`` lies between two clues."""
    return max(one.start_at, other.start_at) - min(one.end_at, other.end_at) < GAP


def linked(one: Incident, other: Incident) -> bool:
    """Tell whether two clues of a vehicle belong to one case: near in time, or about the same trip or order."""
    same_order = one.order_id is not None and one.order_id == other.order_id
    return near(one, other) or same_order or bool(one.trip_ids & other.trip_ids)


def grouped(incidents: Iterable[Incident]) -> list[list[Incident]]:
    """Return the cases that a vehicle's clues form, whatever their order: chains of ``linked``, each sorted by time."""
    groups: list[list[Incident]] = []
    for one in sorted(incidents, key=lambda one: (one.start_at, one.id)):
        touching = [group for group in groups if any(linked(one, other) for other in group)]
        merged = [one, *(other for group in touching for other in group)]
        groups = [group for group in groups if group not in touching] + [merged]
    return sorted((sorted(group, key=lambda one: (one.start_at, one.id)) for group in groups), key=lambda g: g[0].id)


def merged_into(group: Sequence[Incident]) -> dict[int, int]:
    """Return which clue of a case is merged into which: same family, chains of ``near``; the gravest stands, then the first."""
    found: dict[int, int] = {}
    for family in {one.family for one in group}:
        chain: list[Incident] = []
        for one in [*sorted((o for o in group if o.family == family), key=lambda o: (o.start_at, o.id)), None]:
            if one is not None and (not chain or any(near(one, other) for other in chain)):
                chain.append(one)
                continue
            head = min(chain, key=lambda o: (-o.rank, o.start_at, o.id))
            found |= {other.id: head.id for other in chain if other.id != head.id}
            chain = [one] if one is not None else []
    return found


# ---- samples and figures --------------------------------------------------------------------------------------------


def sample_size(population: int, share: float) -> int:
    """Return how many of a population a share is, rounded up: a small month is looked at as well."""
    return min(population, ceil(population * share))


def sample(ids: Collection[int], *, seed: str, share: float) -> list[int]:
    """Return a random sample, the same for the same ids and seed: those whose SHA-256 with the seed is smallest."""
    ranked = sorted(ids, key=lambda one: hashlib.sha256(f"{seed}|{one}".encode()).digest())
    return sorted(ranked[: sample_size(len(ids), share)])


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` of ``total``, with the 95 % interval of Wilson's score (E. B. Wilson, JASA 22, 1927)."""

    hits: int
    total: int

    @property
    def value(self) -> float | None:
        """The share, or None of nothing."""
        return self.hits / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Lower and upper bound."""
        if not self.total:
            return None
        z, n, p = 1.96, self.total, self.hits / self.total
        centre, spread = p + z * z / (2 * n), z * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def quarter_start(on: date) -> date:
    """Return the first day of a day's quarter."""
    return date(on.year, 3 * ((on.month - 1) // 3) + 1, 1)


def nearest_pass(
    track: Sequence[tuple[datetime, float, float]], *, lat: float, lon: float
) -> tuple[float, datetime] | None:
    """Return how near a track came to a point in metres, and when; None of an empty one.

    ``track`` are (moment, latitude, longitude) in WGS-84 degrees in time order. Between two positions the vehicle is taken to
    have driven straight and evenly; the plane around the point is exact to a metre within some kilometres.
    """
    scale = cos(radians(lat)) * METRES_A_DEGREE
    flat = [(at, (x - lon) * scale, (y - lat) * METRES_A_DEGREE) for at, y, x in track]
    best = min(((hypot(x, y), at) for at, x, y in flat), default=None)
    for (at, x, y), (until, x2, y2) in pairwise(flat):
        dx, dy = x2 - x, y2 - y
        long2 = dx * dx + dy * dy
        share = 0.0 if long2 == 0 else min(1.0, max(0.0, -(x * dx + y * dy) / long2))
        best = min(best or (inf, at), (hypot(x + share * dx, y + share * dy), at + (until - at) * share))
    return best
