"""Ninety days of one vehicle: ordinary duties, what is odd but in order, and what is not."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from typing import Any

from fleetapp.demo.labelled import habits, innocent, misuse, paperwork
from fleetapp.demo.labelled.sim import Sim
from fleetapp.demo.labelled.world import FIRST_ON, Unit, World, apart_m
from fleetapp.findings.known import Car, Life, SealFacts
from fleetapp.kit import clock
from fleetapp.workdays.rules import DayKind
from telematics.gcj02 import wgs84_to_gcj02

CATEGORIES = ("JYTX", "YJBZ", "ZFZQ", "QT")


def make_car(world: World, unit: Unit, number: int, rng: Random, *, compliant: bool) -> Sim:
    """Draw a vehicle of a unit."""
    energy = rng.choices(["petrol", "phev", "bev"], [0.62, 0.23, 0.15])[0]
    car = Car(
        id=number, org_id=unit.id, org_path=unit.path, plate=f"浙A{number:04d}", category=rng.choice(CATEGORIES), energy=energy,
        seats=rng.choice([5, 5, 7]), parking_id=unit.id, adcode="330100", registered_on=date(2019, 3, 1) + timedelta(days=rng.randint(0, 2000)),
        tank_l=None if energy == "bev" else float(rng.choice([50, 55, 60])), battery_kwh={"phev": 18.0, "bev": 60.0}.get(energy),
        fuel_grade=None if energy == "bev" else "92", displacement_ml=None if energy == "bev" else 1500,
    )  # fmt: skip
    # A new-energy sedan may cost what another may not: that is in order.
    most = 180 if energy != "petrol" or car.category in {"YJBZ", "QT"} else 120
    car = replace(car, price=float(rng.randint(most * 7 // 10, most) * 1000))
    start = clock.start_of(FIRST_ON)
    sim = Sim(world=world, unit=unit, car=car, rng=rng, at=start, spot=unit.yard, driver_id=2000 + number, compliant=compliant,
              people=tuple(unit.id * 100 + one for one in range(8)), per_100km=rng.uniform(7, 10.5), odometer_m=rng.uniform(2e7, 9e7))  # fmt: skip
    habits.settle(sim)
    sim.life = Life(quota=5, active=5, running_cny=rng.uniform(6_000.0, 21_000.0), owner=f"unit {unit.id}", unit=f"unit {unit.id}", marked=True,
                    papers_until={"compulsory_insurance": date(2027, 6, 1), "inspection": date(2027, 6, 1)})  # fmt: skip
    return sim


def live(sim: Sim, days: int, *, weddings: Sequence[tuple[date, str]] = ()) -> None:
    """Let a vehicle live; acts are drawn from its own generator."""
    pattern, first, last = _habit(sim, days)
    habit = habits.of(sim)
    wrong = sim.rng.sample(paperwork.PAPER, len(paperwork.PAPER))
    for number in range(days):
        day = FIRST_ON + timedelta(days=number)
        sim.wait(clock.start_of(day))
        kind = sim.world.days[day].kind
        if sim.at >= clock.start_of(day + timedelta(days=1)):
            continue
        if habit is not None and habit.fills_the_day(sim, day):
            continue
        if kind is not DayKind.WORKDAY:
            _day_off(sim, day, weddings)
        elif pattern is not None and first <= number < last and sim.at < clock.start_of(day) + timedelta(hours=8.5):
            pattern(sim, day)
            if pattern is misuse.night_at_home:
                continue
        else:
            _workday(sim, day, wrong)
    sim.wait(clock.start_of(FIRST_ON + timedelta(days=days)))
    _patterns(sim, days)
    if habit is not None:
        habit.tell(sim, clock.start_of(FIRST_ON), days)
    if not sim.compliant:
        habits.unplugged(sim, clock.start_of(FIRST_ON), days)
        habits.ran_empty(sim, clock.start_of(FIRST_ON), days)
    _wrong_life(sim, days)


def _habit(sim: Sim, days: int) -> tuple[misuse.Act | None, int, int]:
    """Return what somebody does with this car day after day for weeks, or nothing."""
    if sim.compliant or sim.car.id % 4 not in {0, 3}:
        return None, 0, 0
    acts = (misuse.short_stops, misuse.school_run, misuse.night_at_home)
    first = sim.rng.randint(2, max(3, days // 4))
    return acts[(sim.car.id // 4 - sim.car.id // 12) % 3], first, min(days, first + sim.rng.randint(22, 60))


def _day_off(sim: Sim, day: date, weddings: Sequence[tuple[date, str]]) -> None:
    place = next((name for on, name in weddings if on == day), None)
    if place is not None and not sim.compliant:
        site = next(one for one in sim.world.sites if one.name == place)
        start, _ = sim.go(sim.beside(site), at=clock.start_of(day) + timedelta(hours=sim.rng.uniform(10.4, 11.4)))
        sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(80, 180)))
        _, end = sim.home()
        holiday = sim.world.days[day].kind is DayKind.HOLIDAY
        sim.act("wedding", start, end, ["D-07", "A-01", "B-01" if holiday else "B-02"], ["D-01", "K-13", "D-08"])
        return
    if sim.compliant:
        if sim.rng.random() < 0.25:
            sim.rng.choice(innocent.DAYS_OFF)(sim, day)
        return
    chance = sim.rng.random()
    if chance < 0.12:
        acts, weights = zip(*misuse.DAYS_OFF, strict=True)
        sim.rng.choices(acts, weights)[0](sim, day)
    elif chance < 0.2:
        sim.rng.choice(innocent.DAYS_OFF)(sim, day)
    elif chance < 0.3 and sim.world.days[day].kind is DayKind.HOLIDAY:
        paperwork.holiday_fuel(sim, day)


def _workday(sim: Sim, day: date, wrong: list[paperwork.Act]) -> None:
    chance = sim.rng.random()
    if sim.rng.random() < 0.01:
        sim.rng.choice(innocent.EARLY)(sim, day)
    if not sim.compliant and chance < 0.16:
        acts, weights = zip(*misuse.ROAD, strict=True)
        sim.rng.choices(acts, weights)[0](sim, day)
    elif not sim.compliant and chance < 0.36 and wrong:
        wrong.pop()(sim, day)
    elif chance < 0.46:
        sim.rng.choice(innocent.ODD)(sim, day)
    elif chance < 0.88:
        for hour in [9, 14] if sim.rng.random() < 0.4 else [sim.rng.choice([8.5, 9, 9.5, 10, 13.5, 14, 14.5])]:
            wanted = clock.start_of(day) + timedelta(hours=hour)
            if sim.at < wanted:
                sites = sim.rng.sample(sim.world.of("government", far=False), sim.rng.choice([1, 1, 2]))
                sim.journey(day, hour, sites)
    if sim.at_home[-1:] == [True]:
        sim.plug_in()
        if sim.car.tank_l and sim.tank < 25:
            _refuel(sim, day)


def _refuel(sim: Sim, day: date) -> None:
    """Fill up on a service order before the tank runs dry: what was driven by misuse needs fuel too."""
    hour = (sim.at - clock.start_of(day)).total_seconds() / 3600 + 0.4
    if not 8 <= hour <= 17:
        return
    station = min(sim.world.of("energy"), key=lambda site: apart_m((site.lon, site.lat), sim.spot))

    def fill(_: int) -> None:
        sim.top_up(station, at=sim.at)

    sim.journey(day, hour, [station], kind="service", purpose="maintenance", dwell=[8], between=fill)


def _patterns(sim: Sim, days: int) -> None:
    """Add the acts that only many days together are."""
    last = clock.start_of(FIRST_ON + timedelta(days=days))
    for act in [act for act in sim.acts if act.name == "ticket" and last - act.start_at > timedelta(days=40)]:
        sim.act("ticket unpaid", act.start_at, last, ["J-08"])
    for name, rule, least in (("short_stops", "D-02", 8), ("school_run", "D-04", 7), ("night_at_home", "B-06", 14)):
        own = [act for act in sim.acts if act.name == name]
        if len(own) >= least:
            may = ["D-02", "B-06", "D-04", "D-01"]
            sim.act(f"{name} for weeks", own[0].start_at, own[-1].end_at, [rule], may)


def _wrong_life(sim: Sim, days: int) -> None:
    """Give some vehicles a life-cycle fault, and seal some for the holiday: well, late, or not at all."""
    rng, end = sim.rng, clock.start_of(FIRST_ON + timedelta(days=days))
    start = clock.start_of(FIRST_ON)
    holiday = date(2026, 10, 1)
    if FIRST_ON < holiday < FIRST_ON + timedelta(days=days - 7) and sim.life is not None:
        late = not sim.compliant and rng.random() < 0.3
        begin = clock.start_of(holiday)
        home = max((drive.end_at for drive in sim.drives if drive.end_at < begin), default=start)
        in_time = max(begin - timedelta(hours=3), home + timedelta(minutes=5))
        sealed = begin + timedelta(minutes=rng.uniform(60, 900)) if late else in_time
        sim.seals.append(SealFacts(id=sim.next_id(), start_on=holiday, end_on=date(2026, 10, 8), state="UNSEALED", sealed_at=sealed,
                                   unsealed_at=clock.start_of(date(2026, 10, 8)) + timedelta(hours=7)))  # fmt: skip
        if late:
            sim.act("sealed_late", begin, sealed, ["B-05"])
        on_duty = {seal.exempt_from for seal in sim.seals}
        for drive in sim.drives:
            unordered = drive.order_id is None and clock.local_date(drive.start_at) not in on_duty
            if unordered and sealed < drive.start_at < clock.start_of(date(2026, 10, 8)):
                sim.act("driven_while_sealed", drive.start_at, drive.end_at, [] if drive.dark else ["B-04"], ["B-04"])
    if sim.compliant or sim.life is None:
        return
    faults: dict[str, dict[str, Any]] = {
        "K-08": {"marked": False}, "K-06": {"owner": "somebody"}, "K-09": {"papers_until": {"inspection": FIRST_ON + timedelta(days=days // 2)}},
        "K-03": {"contract_on": date(2026, 3, 1), "indicator_on": date(2026, 4, 1), "indicator_id": 1, "indicator_no": "Z1"},
        "K-04": {"indicator_on": date(2026, 4, 1), "old_registered_on": date(2020, 1, 1), "indicator_id": 1},
        "K-05": {"replaced_on": FIRST_ON - timedelta(days=120)}, "K-12": {"deal_on": FIRST_ON - timedelta(days=45)},
        "K-07": {"borrowed_since": FIRST_ON - timedelta(days=200)}, "K-01": {"active": 6}, "K-02": {},
        "I-08": {"running_cny": rng.uniform(22_000.0, 42_000.0)},
    }  # fmt: skip
    for rule in rng.sample(sorted(faults), 2):
        sim.life = replace(sim.life, **faults[rule])
        if rule == "K-02":
            sim.car = replace(sim.car, price=float(rng.randint(185, 260) * 1000))
        sim.act(f"life {rule}", start, end, [rule])


def in_other_datum(sim: Sim, first: int, last: int) -> None:
    """Shift the fixes of some days as a terminal does that reports GCJ-02 for WGS-84: some five hundred metres off."""
    begin, end = (clock.start_of(FIRST_ON + timedelta(days=number)) for number in (first, last))
    moved = []
    for fix in sim.fixes:
        if begin <= fix.at < end:
            lat, lon = wgs84_to_gcj02(fix.lat, fix.lon)
            moved.append(replace(fix, lat=round(lat, 6), lon=round(lon, 6)))
        else:
            moved.append(fix)
    sim.fixes = moved
    sim.act("in_other_datum", begin, end, ["F-05"])
