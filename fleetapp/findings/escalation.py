"""Repetition makes a clue graver: several yellow ones of a family become orange, orange ones after confirmed ones red."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fleetapp.findings.rules import SURE, Clue, Severity


@dataclass(frozen=True, slots=True)
class Earlier:
    """A clue of the same vehicle from before that is open or was confirmed: never one cleared, procedural or withdrawn."""

    key: str
    family: str
    at: datetime
    severity: Severity
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class Steps:
    """How many within how many days make the next colour (figures ``finding.escalate_*``)."""

    yellow_count: int
    yellow_days: float
    orange_count: int
    orange_days: float


def escalated(clues: Sequence[Clue], earlier: Sequence[Earlier], steps: Steps) -> list[Clue]:
    """Return the clues, those that repeat raised by one colour.

    Open and confirmed clues make yellow orange: that asks for an explanation. Red goes to the supervisor, so there only
    earlier clues count that a reviewer confirmed, besides the clue itself: a desk that is slow to answer makes nobody's
    clue red. The colour the rule gave stays in the evidence line (``base``). Colours are counted as the rules gave them, not as raised, so that one step is taken at most. A clue that is yellow
    because it is unsure neither counts nor rises: a bad terminal makes nobody suspect.
    """
    sure = [clue for clue in clues if clue.confidence >= SURE]
    own = {clue.key for clue in clues}
    rows = [Earlier(clue.key, clue.rule[0], clue.start_at, clue.severity) for clue in sure]
    rows += [one for one in earlier if one.key not in own]
    return [_raised(clue, rows, steps) if clue.confidence >= SURE else clue for clue in clues]


def _raised(clue: Clue, rows: Sequence[Earlier], steps: Steps) -> Clue:
    step = {
        Severity.YELLOW: (Severity.ORANGE, steps.yellow_count, steps.yellow_days),
        Severity.ORANGE: (Severity.RED, steps.orange_count, steps.orange_days),
    }.get(clue.severity)
    if step is None:
        return clue
    after, count, days = step
    of_people = after is Severity.RED
    since = clue.start_at - timedelta(days=days)
    like = [
        row for row in rows if row.family == clue.rule[0] and row.severity == clue.severity and since < row.at <= clue.start_at
        and (row.confirmed or not of_people or row.key == clue.key)
    ]  # fmt: skip
    if len({row.key for row in like}) < count:
        return clue
    line = {
        "code": "repeated",
        "count": len(like),
        "days": round(days),
        "family": clue.rule[0],
        "base": clue.severity.value,
    }
    return replace(clue, severity=after, evidence_for=(*clue.evidence_for, line))
