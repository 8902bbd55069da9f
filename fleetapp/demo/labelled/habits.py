"""What only weeks together show: one user of a car, a car that stands, empty running, fuel that goes elsewhere, a plug unused.

A habit belongs to a vehicle for all its days; of those that do nothing wrong some have one that looks alike.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from fleetapp.demo.labelled import misuse
from fleetapp.demo.labelled.sim import Sim
from fleetapp.kit import clock
from fleetapp.workdays.rules import DayKind


def _never(sim: Sim, day: date) -> bool:
    del sim, day
    return False


@dataclass(frozen=True, slots=True)
class Habit:
    """``fills_the_day`` lives a day and says whether nothing else happens on it; ``tell`` writes down at the end what was done."""

    fills_the_day: Callable[[Sim, date], bool]
    tell: Callable[[Sim, datetime, int], None]


def settle(sim: Sim) -> None:
    """Draw how a plug-in hybrid is driven: on electricity for a good part, or by some never; others have no choice."""
    if sim.car.energy == "bev":
        sim.electric = 1.0
    elif sim.car.energy == "phev":
        lazy = not sim.compliant and sim.rng.random() < 0.6
        sim.electric = 0.0 if lazy else sim.rng.uniform(0.35, 0.7)


def of(sim: Sim) -> Habit | None:
    """Return the habit of a vehicle, by its number; of twelve vehicles each habit has one."""
    if sim.compliant:
        return COMPLIANT.get(sim.car.id % 24)
    return MISUSE.get(sim.car.id % 12)


def _end(start: datetime, days: int) -> datetime:
    return start + timedelta(days=days)


# ---- one user of a pool car -------------------------------------------------------------------------------------------


def _applied_by_one(sim: Sim, share: float) -> None:
    """Let one person have applied for a share of the orders."""
    boss = sim.people[0]
    sim.papers = [
        replace(paper, applicant_id=boss)
        if paper.applicant_id in sim.people and paper.approver_id != paper.applicant_id and sim.rng.random() < share
        else paper
        for paper in sim.papers
    ]


def _own_car(sim: Sim, start: datetime, days: int) -> None:
    """The leader has the pool car nearly to himself."""
    _applied_by_one(sim, sim.rng.uniform(0.55, 0.95))
    if days >= 20:
        sim.act("own_car", start, _end(start, days), ["D-03"])


def _busy_office(sim: Sim, start: datetime, days: int) -> None:
    """The head of an office that drives much applies for a third of the orders: in order."""
    del start, days
    _applied_by_one(sim, sim.rng.uniform(0.25, 0.4))


# ---- a car that stands ------------------------------------------------------------------------------------------------


def _hardly_driven(sim: Sim, day: date) -> bool:
    if sim.world.days[day].kind is DayKind.WORKDAY and sim.rng.random() < 0.015:
        sim.journey(day, 9, [sim.rng.choice(sim.world.of("government", far=False))])
    return True


def _stood(sim: Sim, start: datetime, days: int) -> None:
    """Nobody needs the car, and nobody says so. Who drives four times or a hundred kilometres in the time has some need of it."""
    if days >= 90 and (len(sim.drives) < 4 and sum(drive.metres for drive in sim.drives) < 100_000):
        sim.act("stood_for_months", start, _end(start, days), ["K-10"])


def _in_reserve(sim: Sim, start: datetime, days: int) -> None:
    """The reserve for emergencies stands as well, and is to."""
    del start, days
    sim.car = replace(sim.car, in_reserve=True)


# ---- empty running ----------------------------------------------------------------------------------------------------


def _errands(sim: Sim, day: date) -> bool:
    if sim.world.days[day].kind is not DayKind.WORKDAY or sim.rng.random() > 0.55:
        return False
    misuse.errand_without_slip(sim, day)
    return True


def ran_empty(sim: Sim, start: datetime, days: int) -> None:
    """Much of a month's way belongs to no order."""
    end = _end(start, days)
    first = clock.start_of(clock.local_date(end - timedelta(seconds=1)).replace(day=1))
    metres = {True: 0.0, False: 0.0}
    for drive in sim.drives:
        if first <= drive.start_at < end:
            metres[drive.order_id is None] += drive.metres
    total = sum(metres.values())
    if (end - first).days >= 10 and total > 250_000 and metres[True] > 0.3 * total:
        sim.act("ran_empty", first, end, ["K-13"] if metres[True] > 0.4 * total else [], ["K-13"])


# ---- fuel and current that go elsewhere -------------------------------------------------------------------------------


def _small_sum(sim: Sim, day: date) -> bool:
    """A few litres into a can, on the card, every other day: each too small for anybody to ask."""
    if sim.car.tank_l and sim.world.days[day].kind is DayKind.WORKDAY and sim.rng.random() < 0.4:
        sim.journey(day, 8.5, [sim.rng.choice(sim.world.of("government", far=False))])
        fill = sim.note_fill(sim.rng.uniform(3.5, 6.5), None, at=sim.drives[-1].end_at, full=False)
        sim.act("small_sum", fill.at, fill.at, [], ["G-01", "G-03", "G-08"])
        return True
    return False


def _small_sums(sim: Sim, start: datetime, days: int) -> None:
    end = _end(start, days)
    first = max(start, clock.start_of(clock.local_date(end - timedelta(seconds=1)).replace(day=1)))
    if sum(act.name == "small_sum" and act.start_at >= first for act in sim.acts) >= 3:
        sim.act("small_sums", first, end, ["G-08"])


def _drained(sim: Sim, day: date) -> bool:
    """Fuel is drawn off before the car is filled up, once the car's own consumption is known."""
    del day
    whole = [fill for fill in sim.fills if fill.kind == "fuel" and fill.full]
    taken = sim.rng.uniform(8, 20)
    if sim.car.tank_l and len(whole) >= 4 and taken < sim.tank < 30 and sim.rng.random() < 0.5:
        since = whole[-1].at
        if not any(act.name == "drained" and act.end_at > since for act in sim.acts):
            sim.tank -= taken
            sim.act("drained", since, sim.at + timedelta(days=2), ["G-01"], ["G-03"])
    return False


def unplugged(sim: Sim, start: datetime, days: int) -> None:
    """A hybrid bought for its plug runs on petrol, all or nearly all of its way; one that hardly runs uses neither."""
    metres = sum(drive.metres for drive in sim.drives)
    if sim.car.energy == "phev" and days >= 60 and metres > A_TANK_M and sim.electric_m < 0.2 * metres:
        sim.act("never_plugged_in", start, _end(start, days), ["G-10"])


A_TANK_M = 500_000
"""Who drives less than a tank of petrol lasts has hardly driven."""


def _nothing(sim: Sim, start: datetime, days: int) -> None:
    del sim, start, days


MISUSE = {
    1: Habit(_never, _own_car), 2: Habit(_hardly_driven, _stood), 11: Habit(_hardly_driven, _stood), 5: Habit(_errands, _nothing), 7: Habit(_small_sum, _small_sums),
    10: Habit(_drained, _nothing),
}  # fmt: skip
COMPLIANT = {6: Habit(_hardly_driven, _in_reserve), 9: Habit(_never, _busy_office)}
