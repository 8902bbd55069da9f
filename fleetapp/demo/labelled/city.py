"""The whole city: vehicles that live, peers that know of each other, rules that are asked, a score."""

import functools
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random

from fleetapp.demo.labelled import life
from fleetapp.demo.labelled.build import build, policy_rows
from fleetapp.demo.labelled.score import Score
from fleetapp.demo.labelled.sim import Sim
from fleetapp.demo.labelled.world import FIRST_ON, World, make_world
from fleetapp.findings import assembly, scene
from fleetapp.findings.known import Known
from fleetapp.findings.rules import Clue, FigureBook, FigureRow
from fleetapp.kit import clock
from fleetapp.workdays.rules import DayKind

CARS_OF_UNIT = 12


@dataclass(frozen=True, slots=True)
class City:
    """Every vehicle with what is known of it."""

    sims: tuple[Sim, ...]
    known: tuple[Known, ...]
    days: int


def make_city(*, cars: int, days: int, seed: int, workers: int = 1) -> City:
    """Let every vehicle live; the same seed gives the same city, whatever the number of workers."""
    jobs = [(cars, days, seed, number) for number in range(1, cars + 1)]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            made = list(pool.map(_one, jobs, chunksize=2))
    else:
        made = [_one(job) for job in jobs]
    known = [replace(one, figure_rows=_rows()) for one in _with_peers([one for _, one in made])]
    return City(tuple(sim for sim, _ in made), tuple(known), days)


_WORLDS: dict[tuple[int, int, int], World] = {}


def _world(cars: int, days: int, seed: int) -> World:
    key = (cars, days, seed)
    if key not in _WORLDS:
        _WORLDS[key] = make_world(Random(seed), units=max(1, cars // CARS_OF_UNIT), days=days)
    return _WORLDS[key]


@functools.cache
def _rows() -> FigureBook:
    return policy_rows()


def _one(job: tuple[int, int, int, int]) -> tuple[Sim, Known]:
    cars, days, seed, number = job
    world = _world(cars, days, seed)
    unit = world.units[(number - 1) % len(world.units)]
    sim = life.make_car(world, unit, number, Random(f"{seed}-{number}"), compliant=number % 3 == 0)
    life.live(sim, days, weddings=_weddings(world, days, seed) if number % 7 in {1, 2, 4} else ())
    if sim.compliant and number % 4 == 3 and days > 8:
        life.in_other_datum(sim, days // 2, days // 2 + 6)
    known, _ = build(sim, _rows(), days=days)
    sim.fixes.clear()
    return sim, known


def _weddings(world: World, days: int, seed: int) -> list[tuple[date, str]]:
    rng = Random(f"{seed}-weddings")
    off = [
        on for number in range(days) if world.days[on := FIRST_ON + timedelta(days=number)].kind is not DayKind.WORKDAY
    ]
    return [(on, rng.choice(world.of("hotel", far=False)).name) for on in rng.sample(off, max(1, len(off) // 10))]


def _with_peers(known: Sequence[Known]) -> list[Known]:
    """Let every vehicle know what the others' days say."""
    stays = [
        (poi.name, stay.start_at, stay.end_at, one.car.id)
        for one in known for stay in one.stays for poi in stay.pois[:1] if poi.kind in {"hotel", "funeral"}
    ]  # fmt: skip
    together = assembly.together(stays, timedelta(hours=2))
    found = []
    for one in known:
        fills = [
            (mate.car.id, fill.at, fill.amount) for mate in known if mate.car.org_id == one.car.org_id
            for fill in mate.fills if fill.kind == "fuel"
        ]  # fmt: skip
        figures = _rows().on(clock.local_date(one.end - timedelta(seconds=1)), one.car.org_path, one.car.category)
        small, large = assembly.fill_limits(
            fills,
            own_id=one.car.id,
            small_cny=figures["G-08.small_cny"].value,
            large_cny=figures["G-08.large_cny"].value,
        )
        found.append(replace(one, peers=replace(one.peers, gatherings=together, small_fills=small, large_fills=large)))
    return found


def judge(city: City, rows: Sequence[FigureRow] | None = None) -> list[list[Clue]]:
    """Ask all rules about all vehicles."""
    found = []
    for known in city.known:
        one = known if rows is None else replace(known, figure_rows=rows, cache={})
        found.append(scene.ask(one).clues)
    return found


def score(city: City) -> Score:
    """Ask all rules and count."""
    card = Score()
    for sim, known in zip(city.sims, city.known, strict=True):
        seen = scene.ask(known)
        card.add(sim, seen.clues, known.end)
        card.add_trips(sim, known)
        card.silences.update({f"{rule} {reason.value}": number for (rule, reason), number in seen.by_rule.items()})
        card.compliant_days += city.days * sim.compliant
    return card
