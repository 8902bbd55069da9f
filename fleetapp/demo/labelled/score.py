"""What was found against what was done: by rule, by trip, by order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fleetapp.demo.labelled.sim import Act, Sim
from fleetapp.findings.known import Known
from fleetapp.findings.rules import CATALOGUE, Clue, Severity
from fleetapp.kit import clock

MARGIN = timedelta(hours=3)
"""A clue belongs to an act that it touches within this: it speaks of the same afternoon."""


@dataclass(slots=True)
class RuleScore:
    """Counts of one rule."""

    truth: int = 0
    found: int = 0
    clues: int = 0
    right: int = 0
    red: int = 0
    red_right: int = 0
    wrong: list[Clue] = field(default_factory=list)
    missed: list[Act] = field(default_factory=list)

    @property
    def recall(self) -> float | None:
        """Share of acts that were found."""
        return self.found / self.truth if self.truth else None

    @property
    def precision(self) -> float | None:
        """Share of clues that were about an act."""
        return self.right / self.clues if self.clues else None


@dataclass(slots=True)
class Score:
    """The scorecard."""

    rules: dict[str, RuleScore] = field(default_factory=lambda: {rule: RuleScore() for rule in CATALOGUE})
    red_on_compliant: list[Clue] = field(default_factory=list)
    clues_on_compliant: int = 0
    compliant_days: int = 0
    open_acts: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    matches: Counter[str] = field(default_factory=Counter)
    silences: Counter[str] = field(default_factory=Counter)

    def add(self, sim: Sim, clues: Sequence[Clue], end: datetime) -> None:
        """Count one vehicle's clues against its acts; what goes on past the end asks for no clue, and one is not wrong."""
        for clue in clues:
            one = self.rules[clue.rule]
            right = any(_about(act, clue) for act in sim.acts)
            one.clues += 1
            one.right += right
            one.red += clue.severity is Severity.RED
            one.red_right += right and clue.severity is Severity.RED
            if not right:
                one.wrong.append(clue)
            if sim.compliant:
                self.clues_on_compliant += 1
                if clue.severity is Severity.RED:
                    self.red_on_compliant.append(clue)
        for act in sim.acts:
            if act.end_at > end:
                self.open_acts += 1
                continue
            for wanted in act.must:
                either = wanted.split("|")
                hit = any(clue.rule in either and _touch(act, clue, whole=True) for clue in clues)
                one = self.rules[either[0]]
                one.truth += 1
                one.found += hit
                if not hit:
                    one.missed.append(act)

    def add_trips(self, sim: Sim, known: Known) -> None:
        """Compare the library's trips with what was driven, where the terminal was not dark."""
        truth: list[list[Any]] = []
        for drive in sim.drives:
            if (
                truth
                and (drive.start_at - truth[-1][1]) < timedelta(minutes=15)
                and drive.order_id == truth[-1][2]
                and not _at_yard(sim, truth[-1][1])
            ):
                truth[-1][1] = drive.end_at
                truth[-1][3] |= drive.dark
            else:
                truth.append([drive.start_at, drive.end_at, drive.order_id, drive.dark])
        dark = sim.dark
        by_day: Counter[Any] = Counter()
        found_day: Counter[Any] = Counter(clock.local_date(trip.start_at) for trip in known.trips)
        spoiled = {clock.local_date(at) for start, end in dark for at in (start, end)}
        for start, end, order_id, _ in truth:
            on = clock.local_date(start)
            by_day[on] += 1
            if on in spoiled:
                continue
            touching = [trip for trip in known.trips if trip.start_at < end and trip.end_at > start]
            self.ends["trips"] += 1
            if touching:
                ok = (
                    abs((touching[0].start_at - start).total_seconds()) <= 60
                    and abs((touching[-1].end_at - end).total_seconds()) <= 60
                )
                self.ends["within_60_s"] += ok
                best = max(touching, key=lambda trip: trip.best_m)
                matched = {part.order_id for part in best.matches if part.order_id is not None}
                mates = {known.slips.get(one) for one in matched}
                if order_id is None:
                    self.matches["false" if matched else "none_right"] += 1
                elif known.slips.get(order_id) in mates:
                    self.matches["true"] += 1
                else:
                    self.matches["missed"] += 1
                    self.matches["false"] += bool(matched)
        for on in {*by_day, *found_day} - spoiled:
            self.ends["days"] += 1
            self.ends["days_exact"] += by_day[on] == found_day[on]

    @property
    def f1(self) -> float:
        """F1 of trip and order."""
        true, false, missed = (self.matches[name] for name in ("true", "false", "missed"))
        return 2 * true / (2 * true + false + missed) if true else 0.0


def _at_yard(sim: Sim, at: Any) -> bool:
    return any(
        abs((drive.end_at - at).total_seconds()) < 1 and home for drive, home in zip(sim.drives, sim.at_home, strict=True)
    )  # fmt: skip


def _touch(act: Act, clue: Clue, *, whole: bool = False) -> bool:
    """Whether they meet in time; ``whole`` counts what the clue tells of before its last incident as well."""
    told = clue.facts.get("since_at") if whole else None
    since = min(clue.start_at, datetime.fromisoformat(told)) if told else clue.start_at
    return since <= act.end_at + MARGIN and clue.end_at >= act.start_at - MARGIN


def _about(act: Act, clue: Clue) -> bool:
    named = {one for must in act.must for one in must.split("|")} | set(act.may)
    return clue.rule in named and _touch(act, clue)


def table(score: Score) -> str:
    """Return the scorecard as a Markdown table."""
    lines = [
        "| rule | name | acts | found | recall | clues | precision | red | red precision |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for rule, one in score.rules.items():
        if CATALOGUE[rule].active and (one.truth or one.clues):
            red = f"{one.red_right / one.red:.2f}" if one.red else "–"
            lines.append(
                f"| {rule} | {CATALOGUE[rule].name_en} | {one.truth} | {one.found} | {_share(one.recall)} | {one.clues} |"
                f" {_share(one.precision)} | {one.red} | {red} |"
            )
    return "\n".join(lines)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
