"""Misuse on paper: orders, fuel, readings, repairs, devices and ledgers, each act once on a workday."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

from fleetapp.demo.labelled.sim import Sim
from fleetapp.findings.known import External, Reading, Rental, Ticket, Work
from fleetapp.findings.semantics import Site
from fleetapp.kit import clock

Act = Callable[[Sim, date], None]


def _office(sim: Sim) -> Site:
    return sim.rng.choice(sim.world.of("government", far=False))


def _at(day: date, hour: float) -> datetime:
    return clock.start_of(day) + timedelta(hours=hour)


def _order_act(name: str, rule: str, change: Callable[[Sim, int], None]) -> Act:
    """Make an act of an ordinary journey whose paper is wrong."""

    def act(sim: Sim, day: date) -> None:
        order_id = sim.journey(day, sim.rng.choice([9, 9.5, 13.5]), [_office(sim)])
        change(sim, order_id)
        order = next(one for one in sim.orders if one.order_id == order_id)
        sim.act(
            name,
            min(order.start_at, order.checked_out_at or order.start_at),
            max(order.end_at, sim.at),
            [rule],
            ["A-03"],
        )

    act.__name__ = name
    return act


def _filed_late(sim: Sim, order_id: int) -> None:
    paper = next(one for one in sim.papers if one.order_id == order_id)
    created = paper.start_at + timedelta(hours=sim.rng.uniform(20, 90))
    sim.paper(order_id, supplementary=True, created_at=created)


def filed_late(sim: Sim, day: date) -> None:
    """The slip is written days later."""
    order_id = sim.journey(day, 9, [_office(sim)])
    _filed_late(sim, order_id)
    paper = next(one for one in sim.papers if one.order_id == order_id)
    sim.act("filed_late", paper.created_at, paper.created_at, ["A-04"])


def order_nobody_drove(sim: Sim, day: date) -> None:
    """A slip is written and closed; the car never left."""
    start = max(_at(day, 14), sim.at + timedelta(hours=1))
    if start > _at(day, 15):
        return
    out_m = sim.shown_m
    sim.order(start, start + timedelta(hours=2.5), [_office(sim)], out=start, back=start + timedelta(hours=2.4), out_m=out_m, back_m=out_m,
              expenses=sim.rng.choice([0.0, 60.0]))  # fmt: skip
    sim.wait(start + timedelta(hours=4))
    sim.act("order_nobody_drove", start, sim.at, ["A-06"])


def other_driver(sim: Sim, order_id: int) -> None:
    sim.paper(order_id, checked_out_by=77)


ORDERS: tuple[Act, ...] = (
    filed_late, order_nobody_drove,
    _order_act("approved_own_order", "A-05", lambda sim, i: sim.paper(i, approver_id=next(p.applicant_id for p in sim.papers if p.order_id == i))),
    _order_act("changed_quietly", "A-07", lambda sim, i: sim.paper(i, unapproved_changes=1)),
    _order_act("too_many", "A-09", lambda sim, i: sim.paper(i, passenger_count=sim.car.seats + sim.rng.randint(0, 2))),
    _order_act("another_driver", "J-03", other_driver),
    _order_act("old_licence", "J-04", lambda sim, i: sim.paper(i, licence_valid_to=date(2026, 6, 1))),
)  # fmt: skip


def police_car_to_meeting(sim: Sim, day: date) -> None:
    """An enforcement car is taken to a meeting."""
    if sim.car.category != "ZFZQ":
        return
    order_id = sim.journey(day, 9, [_office(sim)], purpose="meeting")
    order = next(one for one in sim.orders if one.order_id == order_id)
    sim.act("police_car_to_meeting", order.start_at, sim.at, ["A-08"], ["A-03"])


def split_in_two(sim: Sim, day: date) -> None:
    """Two slips for what is one long journey."""
    first = sim.journey(day, 8.5, [_office(sim)], applicant_id=7, route_m=sim.rng.uniform(105_000, 190_000))
    gap_h = sim.rng.uniform(0.2, 1.3)
    hour = (clock.local(sim.at).hour + clock.local(sim.at).minute / 60) + gap_h
    order = next(one for one in sim.orders if one.order_id == first)
    sim.close_order(first, end_at=sim.at)
    sim.paper(first, end_at=sim.at)
    second = sim.journey(day, hour, [_office(sim)], applicant_id=7, route_m=sim.rng.uniform(105_000, 190_000))
    last = next(one for one in sim.orders if one.order_id == second)
    sim.act("split_in_two", order.start_at, last.end_at, ["A-10"], ["A-03", "A-02"])


# ---- fuel -----------------------------------------------------------------------------------------------------------


def _fuel(name: str, must: tuple[str, ...], may: tuple[str, ...], change: Callable[[Sim], None]) -> Act:
    def act(sim: Sim, day: date) -> None:
        if not sim.car.tank_l:
            return
        sim.journey(day, 9, [_office(sim)])
        start = sim.at
        change(sim)
        sim.act(name, min(start, sim.fills[-1].at), max(sim.at, sim.fills[-1].at), must, may)

    act.__name__ = name
    return act


def _cigarettes(sim: Sim) -> None:
    station = sim.rng.choice(sim.world.of("energy", far=False)[:8])
    drive = sim.drives[-1]
    sim.note_fill(
        20,
        station,
        at=drive.end_at + timedelta(minutes=2),
        product=sim.rng.choice(["香烟", "饮料", "柴油"]),
        lat=None,
        lon=None,
        full=False,
    )


def _private_car(sim: Sim) -> None:
    """C3: the second filling of the day goes into another car while this one stands in its yard."""
    station = sim.rng.choice(sim.world.of("energy", far=False))
    first = sim.note_fill(sim.rng.uniform(30, 45), None, at=sim.drives[-1].start_at)
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(45, 110)))
    sim.note_fill(sim.rng.uniform(25, 45), station, at=sim.at, full=False)
    sim.wait(sim.at + timedelta(minutes=40))
    del first


def _too_much(sim: Sim) -> None:
    tank = sim.car.tank_l or 50
    sim.note_fill(tank * sim.rng.uniform(1.02, 1.4), None, at=sim.drives[-1].end_at, full=False, breaks="missed")


def _foreign_card(sim: Sim) -> None:
    sim.note_fill(
        20, None, at=sim.drives[-1].end_at, card="60009999", card_vehicle_id=9999, full=False, breaks="missed"
    )


FUEL: tuple[Act, ...] = (
    _fuel("cigarettes_on_card", ("G-06",), ("G-03", "G-01"), _cigarettes),
    _fuel("fuel_for_private_car", ("G-03", "G-05"), ("G-01", "G-02"), _private_car),
    _fuel("more_than_the_tank", ("G-02",), ("G-03", "G-01"), _too_much),
    _fuel("card_of_another", ("G-09",), ("G-03", "G-01"), _foreign_card),
)  # fmt: skip


def fuel_on_idle_day(sim: Sim, day: date) -> None:
    """Fuel is bought on a day the car never moves."""
    sim.wait(_at(day, 23.9))
    if sim.car.tank_l and not any(clock.local_date(drive.start_at) == day for drive in sim.drives):
        fill = sim.note_fill(
            sim.rng.uniform(15, 40), None, at=_at(day, sim.rng.uniform(9, 17)), full=False, breaks="missed"
        )
        sim.act("fuel_on_idle_day", fill.at, fill.at, ["G-04"], ["G-07", "G-03", "G-01"])


def holiday_fuel(sim: Sim, day: date) -> None:
    """C5: fuel on days of a holiday, several in a row."""
    sim.wait(_at(day, 12))
    if sim.car.tank_l:
        fill = sim.note_fill(sim.rng.uniform(15, 40), None, at=sim.at, full=False, breaks="missed")
        sim.act("holiday_fuel", fill.at, fill.at, ["G-07"], ["G-04", "G-03", "G-01"])


# ---- readings, repairs, devices -------------------------------------------------------------------------------------


def reading_back(sim: Sim, day: date) -> None:
    """The odometer shows less than before."""
    sim.journey(day, 9, [_office(sim)])
    sim.readings.append(Reading(sim.at, 1, sim.shown_m))
    sim.wait(sim.at + timedelta(hours=1))
    sim.readings.append(Reading(sim.at, 1, sim.shown_m - sim.rng.randint(2, 900) * 1000))
    sim.act("reading_back", sim.at, sim.at, ["H-02"])
    sim.readings.append(Reading(sim.at + timedelta(minutes=5), 1, sim.shown_m))


def kilometres_on_paper(sim: Sim, day: date) -> None:
    """More kilometres are written down than were driven."""
    order_id = sim.journey(day, 9, [_office(sim)])
    order = next(one for one in sim.orders if one.order_id == order_id)
    more = sim.rng.randint(4, 45) * 1000
    sim.close_order(order_id, returned_odometer_m=(order.returned_odometer_m or 0) + more)
    sim.act("kilometres_on_paper", order.start_at, sim.at, ["H-01"], ["A-03", "J-02"])


def driven_in_the_dark(sim: Sim, day: date) -> None:
    """Driven with the terminal off for the whole way: only the next slip's reading tells."""
    sim.journey(day, 8.5, [_office(sim)])
    if sim.at > _at(day, 13.2):
        return
    start = sim.at
    sim.wait(sim.at + timedelta(minutes=8))
    off = sim.at - timedelta(minutes=3)
    for target in (_office(sim),):
        sim.go(sim.beside(target), dark=True)
    sim.wait(sim.at + timedelta(minutes=5))
    sim.home(dark=True)
    sim.wait(sim.at + timedelta(minutes=2))
    sim.dark.append((off, sim.at))
    hour = clock.local(sim.at).hour + 1
    if hour < 18:
        sim.journey(day, hour, [_office(sim)])
    sim.act("driven_in_the_dark", start, sim.at, ["H-03"], ["F-02", "F-01", "A-01", "A-03", "F-05", "F-06"])


def power_pulled(sim: Sim, day: date) -> None:
    """The main power is cut for some minutes."""
    sim.wait(max(sim.at, _at(day, 10)))
    start = sim.at
    sim.wait(start + timedelta(minutes=60))
    end = start + timedelta(minutes=sim.rng.uniform(10, 50))
    sim.alarms.append((start, end, 1 << 8))
    sim.act("power_pulled", start, end, ["F-03"])


def antenna_cut(sim: Sim, day: date) -> None:
    """The antenna is pulled off."""
    sim.wait(max(sim.at, _at(day, 10)))
    start = sim.at
    sim.wait(start + timedelta(minutes=120))
    end = start + timedelta(minutes=sim.rng.uniform(22, 90))
    sim.alarms.append((start, end, 1 << 5))
    sim.act("antenna_cut", start, end, ["F-04"])


def terminal_in_other_car(sim: Sim, day: date) -> None:
    """The terminal is put into another vehicle: its odometer is another's from then on."""
    sim.wait(max(sim.at, _at(day, 10)))
    start = sim.at
    sim.odometer_m += sim.rng.choice([-1, 1]) * sim.rng.uniform(60_000, 9_000_000)
    sim.wait(start + timedelta(minutes=30))
    sim.act("terminal_in_other_car", start - timedelta(minutes=6), sim.at, ["F-06"], ["H-03", "H-01", "F-05"])


def silent_for_days(sim: Sim, day: date) -> None:
    """The terminal says nothing for days."""
    start = max(sim.at, _at(day, 10))
    sim.wait(start)
    sim.wait(start + timedelta(hours=sim.rng.uniform(26, 60)))
    sim.dark.append((start, sim.at))
    sim.act("silent_for_days", start - timedelta(minutes=6), sim.at, ["F-01"], ["E-02"])


def driving_while_in_shop(sim: Sim, day: date) -> None:
    """The work order has the car in the shop, the car is on the road."""
    start = max(sim.at, _at(day, 9))
    number = f"W{sim.next_id()}"
    sim.works.append(
        Work(
            id=sim.next_id(),
            number=number,
            supplier="A",
            contracted=True,
            in_at=start,
            out_at=start + timedelta(hours=9),
            cost=800,
        )
    )
    first, _ = sim.go(sim.beside(_office(sim)), at=start + timedelta(hours=1))
    sim.wait(sim.at + timedelta(minutes=50))
    _, last = sim.home()
    sim.wait(start + timedelta(hours=9))
    sim.act("driving_while_in_shop", first, last, ["I-02"], ["A-01", "B-03", "E-01"])


def unknown_workshop(sim: Sim, day: date) -> None:
    """Repaired where no contract stands, and the same part again soon."""
    start = max(sim.at, _at(day, 9))
    for delay in (0, sim.rng.uniform(5, 50)):
        begin = start + timedelta(days=delay)
        sim.works.append(Work(id=sim.next_id(), number=f"W{sim.serial}", supplier="B", contracted=False, in_at=begin,
                              out_at=begin + timedelta(hours=3), cost=sim.rng.uniform(400, 3000), parts=("brake pads",)))  # fmt: skip
        # The second is on paper alone: a car that drives meanwhile is rightly asked about.
        end = begin + timedelta(hours=3)
        sim.act("unknown_workshop", begin, end, ["I-01"], ["I-02", "I-03", "I-04"])
    sim.acts[-1] = replace(sim.acts[-1], must=("I-01", "I-03"))
    sim.wait(start + timedelta(hours=3))


def dear_repair(sim: Sim, day: date) -> None:
    """Two bills that together are a good part of what the car would still fetch."""
    start = max(sim.at, _at(day, 9))
    total = sim.worth(day) * sim.rng.uniform(0.38, 1.1)
    share = sim.rng.uniform(0.3, 0.7)
    for delay, cost in ((30, total * share), (0, total * (1 - share))):
        begin = start - timedelta(days=delay)
        sim.works.append(Work(id=sim.next_id(), number=f"W{sim.serial}", supplier="A", contracted=True, in_at=begin,
                              out_at=begin + timedelta(hours=3), cost=cost))  # fmt: skip
    # The first is on paper alone: a car that drives meanwhile is rightly asked about. The second such pair adds nothing new.
    told = any(act.name == "dear_repair" for act in sim.acts)
    sim.act(
        "dear_repair",
        start - timedelta(days=30),
        start + timedelta(hours=3),
        [] if told else ["I-04"],
        ["I-02", "I-04"],
    )
    sim.wait(start + timedelta(hours=3))


def rented_meanwhile(sim: Sim, day: date) -> None:
    """A car is rented since none is free, they say; this one stands in its yard all the time."""
    start = max(sim.at, _at(day, sim.rng.uniform(8, 13)))
    end = start + timedelta(hours=sim.rng.uniform(2, 6))
    sim.wait(end + timedelta(minutes=10))
    number = sim.next_id()
    sim.rentals.append(Rental(id=number, number=f"O{number}", start_at=start, end_at=end, passengers=sim.rng.randint(1, sim.car.seats - 1),
                              price=sim.rng.uniform(200, 900), idle=(sim.car.id,)))  # fmt: skip
    sim.act("rented_meanwhile", start, end, ["I-09"])


def charge_of_another(sim: Sim, day: date) -> None:
    """More is charged than the battery holds: another vehicle's charge on this one's bill."""
    if sim.car.battery_kwh is None:
        return
    sim.journey(day, 9, [_office(sim)])
    kwh = sim.car.battery_kwh * sim.rng.uniform(1.1, 2.2)
    fill = sim.note_fill(
        kwh, None, at=sim.at, kind="charge", product=None, card=None, card_vehicle_id=None, breaks="missed"
    )
    sim.act("charge_of_another", fill.at, fill.at, ["G-11"], ["G-01"])


def _record(kind: str, rule: str) -> Act:
    def act(sim: Sim, day: date) -> None:
        sim.journey(day, 9, [_office(sim)])
        yard = sim.unit.yard
        place = max(
            sim.rng.sample(list(sim.world.of("other")), 3),
            key=lambda site: abs(site.lat - yard[1]) + abs(site.lon - yard[0]),
        )
        at = sim.at + timedelta(minutes=60)
        sim.wait(at + timedelta(minutes=60))
        sim.externals.append(External(sim.next_id(), kind, at, place.name, place.lat, place.lon))
        far = abs(place.lat - yard[1]) + abs(place.lon - yard[0]) > 0.07
        sim.act(f"{kind}_record", at, at, [rule] if far or kind == "parking" else [], [rule])

    act.__name__ = f"{kind}_record"
    return act


def complained_about(sim: Sim, day: date) -> None:
    """Lunch at a hotel without an order; somebody calls the hotline and says the time as he remembers it."""
    place = sim.rng.choice(sim.world.of("hotel"))
    start, _ = sim.go(sim.beside(place), at=max(sim.at, _at(day, sim.rng.uniform(11.2, 12.2))))
    arrived, stay = sim.at, timedelta(minutes=sim.rng.uniform(25, 80))
    sim.wait(arrived + stay)
    sim.home()
    said = arrived + stay * sim.rng.random() + timedelta(minutes=sim.rng.gauss(0, 8))
    sim.externals.append(External(sim.next_id(), "complaint", said, place.name, place.lat, place.lon))
    sim.act("complained_about", start, sim.at, ["J-09"], ["A-01", "E-01", "D-01", "D-08", "K-13"])


def ticket(sim: Sim, day: date) -> None:
    """A traffic ticket that nobody pays."""
    sim.journey(day, 9, [_office(sim)])
    at = sim.drives[-1].start_at
    sim.tickets.append(Ticket(sim.next_id(), at, "crossing", None))
    sim.act("ticket", at, at + timedelta(days=120), [], ["J-08"])


THINGS: tuple[Act, ...] = (
    reading_back, kilometres_on_paper, driven_in_the_dark, power_pulled, antenna_cut, terminal_in_other_car, silent_for_days,
    driving_while_in_shop, dear_repair, rented_meanwhile, charge_of_another, unknown_workshop, _record("parking", "E-05"), _record("toll", "I-05"), complained_about, ticket, fuel_on_idle_day,
)  # fmt: skip
PAPER: tuple[Act, ...] = (*ORDERS, police_car_to_meeting, split_in_two, *FUEL, *THINGS)
