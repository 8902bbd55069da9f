"""What looks odd and is in order: everything here must never be red."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

from fleetapp.demo.drive import Quirks
from fleetapp.demo.labelled.sim import Sim
from fleetapp.demo.labelled.world import apart_m, shifted
from fleetapp.findings.known import External, Rental, SealFacts, Work
from fleetapp.findings.semantics import Site
from fleetapp.kit import clock
from fleetapp.workdays.rules import DayKind

Act = Callable[[Sim, date], None]


def _at(day: date, hour: float) -> datetime:
    return clock.start_of(day) + timedelta(hours=hour)


def _office(sim: Sim) -> Site:
    return sim.rng.choice(sim.world.of("government", far=False))


def gas_check(sim: Sim, day: date) -> None:
    """C2: a long stay at housing, which is where the gas pipes are; the order says so."""
    sim.journey(
        day, 9, [sim.rng.choice(sim.world.of("residential"))], dwell=[sim.rng.uniform(60, 150)], purpose="inspection"
    )


def wash_with_slip(sim: Sim, day: date) -> None:
    """A wash on a service order."""
    sim.journey(day, 14, [sim.rng.choice(sim.world.of("repair"))], kind="service", dwell=[35], purpose="maintenance")


def basement(sim: Sim, day: date) -> None:
    """Parked under the ground for hours; the first fix afterwards comes late."""
    site = _office(sim)
    start = _at(day, 9)
    order_id = sim.order(start, start + timedelta(hours=4), [site])
    sim.wait(max(sim.at, start - timedelta(minutes=2)))
    out, out_m = sim.at, sim.shown_m
    sim.go(sim.beside(site), order_id=order_id, quirks=Quirks(basement=True))
    down = sim.at - timedelta(seconds=70)
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(60, 150)))
    sim.dark.append((down, sim.at))
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=3)
    sim.close_order(order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m,
                    end_at=max(start + timedelta(hours=3), back))  # fmt: skip
    sim.paper(order_id, end_at=max(start + timedelta(hours=3), back))


def night_call(sim: Sim, day: date) -> None:
    """Called out at three in the morning by an activated emergency."""
    if sim.at > _at(day, 3):
        return
    sim.journey(day, 3, [_office(sim)], kind="emergency", purpose="emergency", dwell=[90])


def over_midnight(sim: Sim, day: date) -> None:
    """A late duty that ends after midnight, approved so."""
    eve = sim.world.days[day + timedelta(days=1)].kind is DayKind.HOLIDAY
    if sim.at < _at(day, 20) and not eve:  # by then it is being sealed
        sim.journey(day, 21.2, [_office(sim)], dwell=[sim.rng.uniform(130, 170)], pad=40)


def far_with_lunch(sim: Sim, day: date) -> None:
    """A whole day's journey to a far place, approved, with a meal on the way."""
    site = sim.rng.choice(sim.world.of("government", far=True))
    meal = min(
        sim.world.of("hotel"),
        key=lambda one: apart_m((one.lon, one.lat), (site.lon, site.lat)) + apart_m((one.lon, one.lat), sim.unit.yard),
    )

    def lunch(order_id: int) -> None:
        sim.go(sim.beside(meal), order_id=order_id)
        sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(30, 50)))

    order_id = sim.journey(day, 8, [site], dwell=[sim.rng.uniform(70, 110)], between=lunch, pad=120)
    sim.areas[order_id] = "province"
    wanted = _at(day, 18.5)
    if sim.at < wanted:
        sim.close_order(order_id, end_at=wanted)
        sim.paper(order_id, end_at=wanted)


def typing_error(sim: Sim, day: date) -> None:
    """The address on the slip is the wrong side of the park."""
    site = _office(sim)
    wrong = shifted(
        (site.lon, site.lat), sim.rng.choice([-1, 1]) * sim.rng.uniform(250, 520), sim.rng.uniform(-200, 200)
    )
    sim.journey(day, 9, [site], at=[wrong])


def back_to_back(sim: Sim, day: date) -> None:
    """Two duties without coming home between."""
    first = sim.journey(day, 8.8, [_office(sim)], home=False, pad=0)
    end = sim.at + timedelta(minutes=1)
    sim.close_order(first, end_at=end, returned_at=end, returned_odometer_m=sim.shown_m)
    sim.paper(first, end_at=end)
    local = clock.local(sim.at)
    sim.journey(day, local.hour + local.minute / 60 + 0.2, [_office(sim)])


def pooled(sim: Sim, day: date) -> None:
    """Three units in one car."""
    sites = [_office(sim), _office(sim), _office(sim)]
    order_id = sim.journey(day, 9, sites, dwell=[12, 15, 45], pad=30)
    order = next(one for one in sim.orders if one.order_id == order_id)
    for site in sites[:2]:
        mate_id = sim.next_id()
        sim.orders.append(
            replace(
                order,
                order_id=mate_id,
                slip=f"S{mate_id}",
                stops=(order.stops[0], *(s for s in order.stops if s.name == site.name)),
            )
        )
        paper = next(one for one in sim.papers if one.order_id == order_id)
        sim.papers.append(
            replace(paper, order_id=mate_id, slip=f"S{mate_id}", applicant_id=sim.rng.choice([51, 52, 53]))
        )


def tunnel(sim: Sim, day: date) -> None:
    """Ten minutes of nothing on a ferry or in a tunnel."""
    far = sim.rng.choice(sim.world.of("government", far=True))
    order_id = sim.journey(day, 8.5, [far], pad=40)
    sim.areas[order_id] = "province"
    drive = sim.drives[-1]
    begin = drive.start_at + (drive.end_at - drive.start_at) * sim.rng.uniform(0.3, 0.6)
    sim.dark.append((begin, begin + timedelta(minutes=sim.rng.uniform(4, 13))))


def jam(sim: Sim, day: date) -> None:
    """Crawling to a morning duty: stands of a minute, one after the other."""
    site = _office(sim)
    start = _at(day, 7.6)
    order_id = sim.order(start, start + timedelta(hours=4), [site])
    sim.wait(max(sim.at, start))
    out, out_m = sim.at, sim.shown_m
    route = sim.world.graph.route(sim.spot, sim.beside(site))
    points = [tuple(point) for point in route.points.tolist()][1:-1]
    middle = len(points) // 2
    sim.go((points[middle][0], points[middle][1]), order_id=order_id)
    for point in points[middle + 1 : middle + 6]:
        there = (point[0], point[1])
        # Nobody crawls from one town to the next, nor all the way round to the other side of a viaduct.
        if 60 < sim.world.graph.route(sim.spot, there).length_m < 1500:
            sim.go(there, order_id=order_id, pace=0.3)
            sim.wait(sim.at + timedelta(seconds=sim.rng.uniform(30, 100)))
    sim.go(sim.beside(site), order_id=order_id)
    sim.wait(sim.at + timedelta(minutes=40))
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=3)
    sim.close_order(
        order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m
    )
    sim.wait(back)


def duty_weekend(sim: Sim, day: date) -> None:
    """On the duty list of a day off, used for duty."""
    sim.seals.append(SealFacts(id=sim.next_id(), start_on=day, end_on=day + timedelta(days=1), state="EXEMPT", exempt_from=day,
                               exempt_until=day + timedelta(days=1)))  # fmt: skip
    sim.journey(day, sim.rng.uniform(8, 15), [_office(sim)])


def order_on_day_off(sim: Sim, day: date) -> None:
    """An approved duty on a rest day."""
    if sim.world.days[day].kind == "rest":
        sim.journey(day, sim.rng.uniform(8, 15), [_office(sim)])


def closed_road(sim: Sim, day: date) -> None:
    """A closed road: some kilometres round it, and that is all."""
    site = _office(sim)
    start = _at(day, 9)
    order_id = sim.order(start, start + timedelta(hours=4), [site])
    sim.wait(max(sim.at, start))
    out, out_m = sim.at, sim.shown_m
    round_it = min(
        sim.rng.sample(list(sim.world.graph.nodes.values()), 80),
        key=lambda node: apart_m(node, sim.spot) + apart_m(node, (site.lon, site.lat)),
    )
    sim.go(sim.beside(site), order_id=order_id, via=[round_it])
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(30, 60)))
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=3)
    sim.close_order(
        order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m
    )
    sim.wait(back)


def rented_for_more(sim: Sim, day: date) -> None:
    """A car is rented while this one is out on duty: on paper it was free, since its slip was written later."""
    order_id = sim.journey(day, 9, [_office(sim)])
    order = next(one for one in sim.orders if one.order_id == order_id)
    number = sim.next_id()
    sim.rentals.append(Rental(id=number, number=f"O{number}", start_at=order.start_at, end_at=order.end_at, passengers=2, price=300.0,
                              idle=(sim.car.id,)))  # fmt: skip


def misread_plate(sim: Sim, day: date) -> None:
    """A complaint about another car, whose plate somebody read wrong, while this one is on duty elsewhere."""
    sim.journey(day, 9, [_office(sim)])
    place = max(sim.rng.sample(sim.world.of("hotel"), 3), key=lambda site: apart_m((site.lon, site.lat), sim.spot))
    sim.externals.append(External(sim.next_id(), "complaint", sim.drives[-1].end_at, place.name, place.lat, place.lon))


def workshop(sim: Sim, day: date) -> None:
    """To the workshop on a service order, without current for hours."""
    place = sim.rng.choice(sim.world.of("repair"))
    start = _at(day, 9)
    order_id = sim.order(start, start + timedelta(hours=8), [place], kind="service", purpose="maintenance")
    sim.wait(max(sim.at, start))
    out, out_m = sim.at, sim.shown_m
    sim.go(sim.beside(place), order_id=order_id)
    begin = sim.at + timedelta(minutes=3)
    sim.wait(begin + timedelta(hours=sim.rng.uniform(2, 5)))
    sim.alarms.append((begin + timedelta(minutes=20), sim.at - timedelta(minutes=20), 1 << 8))
    sim.works.append(
        Work(
            id=sim.next_id(),
            number=f"W{sim.serial}",
            supplier="A",
            contracted=True,
            in_at=begin,
            out_at=sim.at,
            cost=sim.rng.choice([600.0, 1_800.0, 0.2 * sim.worth(day)]),
        )
    )
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=3)
    sim.close_order(
        order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m
    )
    sim.wait(back)


ODD: tuple[Act, ...] = (
    gas_check, wash_with_slip, basement, over_midnight, far_with_lunch, typing_error, back_to_back, pooled, tunnel, jam, closed_road, rented_for_more, misread_plate, workshop,
)  # fmt: skip
DAYS_OFF: tuple[Act, ...] = (duty_weekend, order_on_day_off)
EARLY: tuple[Act, ...] = (night_call,)
