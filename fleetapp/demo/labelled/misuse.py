"""Misuse on the road, each act lived through by a ``Sim``: what people do, not what rules compare."""

from collections.abc import Callable
from datetime import date, datetime, timedelta

from fleetapp.demo.labelled.sim import Sim
from fleetapp.demo.labelled.world import FIRST_ON, apart_m, km_from_centre, shifted
from fleetapp.findings.semantics import Site
from fleetapp.kit import clock

Act = Callable[[Sim, date], None]
ANY_STAY = ("D-01", "C-05", "C-02")
UNORDERED = ("A-01", "B-03", "K-13")


def _at(day: date, hour: float) -> datetime:
    return clock.start_of(day) + timedelta(hours=hour)


def _office(sim: Sim) -> Site:
    return sim.rng.choice(sim.world.of("government", far=False))


def errand_without_slip(sim: Sim, day: date) -> None:
    """C8: a real duty, nobody applied for it."""
    start, _ = sim.go(sim.beside(_office(sim)), at=_at(day, sim.rng.uniform(9, 15)))
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(20, 90)))
    _, end = sim.home()
    sim.act("errand_without_slip", start, end, ["A-01|E-01"], ["B-03", "K-13"])


def wash_round_the_corner(sim: Sim, day: date) -> None:
    """C9: out of the yard for a wash some streets away, no service order."""
    spot = sim.unit.yard
    for _ in range(30):
        node = sim.rng.choice(list(sim.world.graph.nodes.values()))
        if 250 < apart_m(node, sim.unit.yard) < 2_200:
            spot = node
            break
    else:
        return
    start, _ = sim.go(spot, at=_at(day, sim.rng.uniform(9, 16)))
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(12, 40)))
    _, end = sim.home()
    sim.act("wash_round_the_corner", start, end, ["E-01|A-01"], ["E-01", "A-01", "B-03", "K-13"])


def evening_ride(sim: Sim, day: date) -> None:
    """Out for a private evening, back late."""
    place = sim.rng.choice(sim.world.of(sim.rng.choice(["hotel", "entertainment", "mall"])))
    start, _ = sim.go(sim.beside(place), at=_at(day, sim.rng.uniform(18.8, 20.5)))
    stayed = sim.at
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(30, 150)))
    _, end = sim.home()
    must = ["A-01|E-01", *(["B-03"] if sim.world.days[day].kind == "workday" else [])]
    if place.kind == "entertainment" or (sim.at - stayed) > timedelta(minutes=75):
        must.append("D-01")
    sim.act("evening_ride", start, end, must, ["E-02", "D-01", "B-01", "B-02", "D-08", "K-13"])


def weekend_outing(sim: Sim, day: date) -> None:
    """A trip to a far sight on a day off."""
    sight = sim.rng.choice(sim.world.of("scenic", far=True))
    start, _ = sim.go(sim.beside(sight), at=_at(day, sim.rng.uniform(7.5, 10)))
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(70, 240)))
    _, end = sim.home()
    rule = "B-01" if sim.world.days[day].kind == "holiday" else "B-02"
    must = ["A-01", rule, "D-05" if _is_far(sim, start) else "D-01"]
    sim.act("weekend_outing", start, end, must, ["D-01", "D-08", "G-07", "K-13", "J-05"])


def _is_far(sim: Sim, since: datetime) -> bool:
    """Tell whether what was driven since is what the catalogue calls tourism: more than 60 km; a sight near by is D-01's."""
    return sum(drive.metres for drive in sim.drives if drive.start_at >= since) > 60_000


def lent_out(sim: Sim, day: date) -> None:
    """Lent to somebody for a day off: far away, nobody checked out."""
    goal = sim.rng.choice(sim.world.of("scenic", far=True))
    spot = shifted((goal.lon, goal.lat), sim.rng.uniform(4_500, 7_000), 0)
    start, _ = sim.go(spot, at=_at(day, sim.rng.uniform(6.5, 9)))
    sim.wait(sim.at + timedelta(hours=sim.rng.uniform(2, 6)))
    _, end = sim.home()
    rule = "B-01" if sim.world.days[day].kind == "holiday" else "B-02"
    lending = ["D-08"] if (day - FIRST_ON).days > 9 else []
    sim.act("lent_out", start, end, ["A-01", rule, *lending], ["D-08", "D-01", "E-02", "K-13", "B-03", "J-05"])


def pleasure_in_duty(sim: Sim, day: date) -> None:
    """During a proper order, a long stop at a mall, a bath house, a hotel or home."""
    kind = sim.rng.choice(["mall", "entertainment", "hotel", "residential"])
    place = sim.rng.choice(sim.world.of(kind))
    spans: list[tuple[datetime, datetime]] = []

    def stop(order_id: int) -> None:
        sim.go(sim.beside(place), order_id=order_id)
        begin = sim.at
        sim.wait(sim.at + timedelta(minutes=sim.rng.lognormvariate(3.9, 0.45)))
        spans.append((begin, sim.at))

    sim.journey(day, sim.rng.choice([9, 9.5, 13.5, 14]), [_office(sim)], between=stop)
    sim.act("pleasure_in_duty", *spans[0], ["D-01"], ["C-05", "C-02", "A-03", "A-02"])


def never_arrived(sim: Sim, day: date) -> None:
    """The slip names one place, the car goes to another."""
    wanted, other = _office(sim), _office(sim)
    if apart_m((wanted.lon, wanted.lat), (other.lon, other.lat)) < 1500:
        return
    order_id = sim.journey(day, sim.rng.choice([9, 13.5]), [other], at=[(wanted.lon, wanted.lat)])
    start, end = sim.drives[-2].start_at, sim.at
    sim.act("never_arrived", start, end, ["C-04"], ["C-02", "C-03", "C-05", "A-02", "A-01", "J-02", "E-03"])
    del order_id


def roundabout_way(sim: Sim, day: date) -> None:
    """Kilometres are made by going round about without a stop."""
    site = _office(sim)
    nodes = [node for node in sim.world.graph.nodes.values() if 9_000 < apart_m(node, sim.unit.yard) < 16_000]
    start = _at(day, 13.5)
    order_id = sim.order(start, start + timedelta(hours=5), [site])
    out = max(sim.at, start - timedelta(minutes=3))
    sim.wait(out + timedelta(minutes=2))
    out_m = sim.shown_m
    sim.go(sim.beside(site), order_id=order_id, via=[sim.rng.choice(nodes), sim.rng.choice(nodes)])
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(30, 60)))
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=4)
    sim.close_order(
        order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m
    )
    sim.wait(back)
    sim.act("roundabout_way", out, back, ["C-02|C-03", "C-03"], ["C-02", "A-03"])


def waiting_somewhere(sim: Sim, day: date) -> None:
    """A stop of some length at a place that nobody approved and that is nothing special."""
    place = sim.rng.choice(sim.world.of("other", far=False))
    spans: list[tuple[datetime, datetime]] = []

    def stop(order_id: int) -> None:
        sim.go(sim.beside(place), order_id=order_id)
        begin = sim.at
        sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(12, 60)))
        spans.append((begin, sim.at))

    sim.journey(day, sim.rng.choice([9, 13.5]), [_office(sim)], between=stop)
    sim.act("waiting_somewhere", *spans[0], ["C-05|D-01"], ["C-02", "C-03", "A-03"])


def back_late(sim: Sim, day: date) -> None:
    """The journey goes on for hours after its approved end."""
    late = sim.rng.lognormvariate(4.7, 0.5)
    order_id = sim.journey(day, 13.5, [_office(sim)], late=late, pad=-2)
    order = next(one for one in sim.orders if one.order_id == order_id)
    sim.act("back_late", order.end_at, sim.at, ["A-03"], ["B-03", "E-02", "A-01", "A-02"])


def returned_on_paper_later(sim: Sim, day: date) -> None:
    """C10: the return is written down hours after the car was back: hours for the allowance."""
    order_id = sim.journey(day, 9, [_office(sim)])
    arrived = sim.drives[-1].end_at
    back = arrived + timedelta(minutes=sim.rng.uniform(35, 150))
    sim.close_order(order_id, returned_at=back)
    sim.wait(back)
    sim.act("returned_on_paper_later", arrived, back, ["J-02"], ["E-03"])


def slip_left_open(sim: Sim, day: date) -> None:
    """Nobody registers the return."""
    order_id = sim.journey(day, 9, [_office(sim)])
    arrived = sim.drives[-1].end_at
    sim.close_order(order_id, returned_at=None, returned_odometer_m=None)
    sim.act("slip_left_open", arrived, arrived + timedelta(hours=8), ["E-03"], ["J-02", "A-03"])


def over_the_border(sim: Sim, day: date) -> None:
    """Approved for the city's core, driven into the outer districts and beyond."""
    far = [site for site in sim.world.of("government", far=True) if km_from_centre(site) > 30]
    site = sim.rng.choice(far)
    order_id = sim.journey(day, 8.5, [site], pad=30)
    sim.close_order(order_id, slip=f"S{order_id}")
    sim.act("over_the_border", sim.drives[-2].start_at, sim.at, ["C-01"], ["A-03", "J-05", "C-02"])
    sim.areas[order_id] = "urban"


def on_an_old_slip(sim: Sim, day: date) -> None:
    """A slip was approved for the morning; the car goes hours later to somebody else's door near by, unregistered."""
    if sim.at > _at(day, 8.5):
        return
    site = _office(sim)
    order_id = sim.order(_at(day, 9), _at(day, 11), [site])
    elsewhere = shifted((site.lon, site.lat), sim.rng.uniform(300, 900), sim.rng.uniform(-300, 300))
    start, _ = sim.go(elsewhere, at=_at(day, 11) + timedelta(minutes=sim.rng.uniform(0, 120)), order_id=order_id)
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(20, 60)))
    _, end = sim.home(order_id=order_id)
    sim.act("on_an_old_slip", start, end, ["A-02|A-01"], ["A-02", "A-03", "A-06", "C-04", "C-02", "E-01", "K-13"])


def weekend_away(sim: Sim, day: date) -> None:
    """Away over the night of a day off: out in the afternoon, back the next day."""
    following = day + timedelta(days=1)
    if sim.world.days[following].kind == "workday":
        return
    place = sim.rng.choice(sim.world.of("scenic", far=True))
    start, _ = sim.go(sim.beside(place), at=_at(day, sim.rng.uniform(14, 17)))
    _, end = sim.home(at=_at(following, sim.rng.uniform(9, 15)))
    kind = "B-01" if sim.world.days[day].kind == "holiday" else "B-02"
    sim.act(
        "weekend_away",
        start,
        end,
        ["A-01", "E-02", *(["D-05"] if _is_far(sim, start) else [])],
        [kind, "B-01", "B-02", "D-01", "D-06", "D-08", "G-07", "K-13", "J-05"],
    )


def night_at_home(sim: Sim, day: date) -> None:
    """Taken home after the last duty, back to the yard in the morning."""
    home = sim.homes
    if sim.at > _at(day, 19.5):
        return
    start, _ = sim.go(sim.beside(home), at=max(sim.at, _at(day, sim.rng.uniform(17.2, 19.2))))
    following = day + timedelta(days=1)
    _, end = sim.home(at=_at(following, sim.rng.uniform(6.7, 8.2)))
    sim.act(
        "night_at_home",
        start,
        end,
        ["D-06", "E-02", "A-01"],
        ["B-06", "B-03", "D-01", "B-02", "B-01", "E-01", "K-13", "D-08", "D-02"],
    )


def short_stops(sim: Sim, day: date) -> None:
    """C1: every duty of the morning begins with a minute at the leader's home."""
    begin = _at(day, sim.rng.uniform(7.3, 8.4))
    stop = _duty_by_way_of(sim, sim.homes, begin, lambda: timedelta(seconds=sim.rng.uniform(45, 120)))
    sim.act("short_stops", *stop, [], ["D-02", "B-06", "C-02", "C-03", "A-03", "A-02"])


def school_run(sim: Sim, day: date) -> None:
    """A child is driven to school before the duty, picked up after it."""
    begin = _at(day, sim.rng.uniform(7.1, 7.7))
    stop = _duty_by_way_of(sim, sim.schools, begin, lambda: timedelta(minutes=sim.rng.uniform(1.5, 9)))
    sim.act("school_run", *stop, [], ["D-04", "D-02", "D-01", "B-06", "C-02", "C-03", "C-05", "A-03", "A-02"])


def _duty_by_way_of(sim: Sim, place: Site, begin: datetime, stay: Callable[[], timedelta]) -> tuple[datetime, datetime]:
    """Drive a morning's duty with a stop on the way; returns begin and end of the stop."""
    sites = [_office(sim)]
    order_id = sim.order(begin, begin + timedelta(hours=3.5), sites)
    sim.wait(max(sim.at, begin))
    out, out_m = sim.at, sim.shown_m
    sim.go(sim.beside(place), order_id=order_id)
    start = sim.at
    sim.wait(sim.at + stay())
    end = sim.at
    sim.go(sim.beside(sites[0]), order_id=order_id)
    sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(30, 80)))
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=3)
    sim.close_order(
        order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m
    )
    sim.wait(back)
    return start, end


def too_fast(sim: Sim, day: date) -> None:
    """A long stretch far faster than anybody may drive."""
    far = sim.rng.choice(sim.world.of("government", far=True))
    begun = len(sim.fixes)
    pace = sim.rng.uniform(1.45, 2.1)
    start = _at(day, 8.5)
    order_id = sim.order(start, start + timedelta(hours=6), [far])
    sim.wait(max(sim.at, start))
    out, out_m = sim.at, sim.shown_m
    first, last = sim.go(sim.beside(far), order_id=order_id, pace=pace)
    top = [fix for fix in sim.fixes[begun:] if (fix.speed_kmh or 0) > 132]
    sim.wait(sim.at + timedelta(minutes=40))
    sim.home(order_id=order_id)
    back = sim.at + timedelta(minutes=4)
    sim.close_order(
        order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m
    )
    sim.wait(back)
    sustained = len(top) >= 5
    sim.act("too_fast", first, last, ["J-06"] if sustained else [], ["J-06", "A-03", "C-02", "J-05"])


def day_and_night(sim: Sim, day: date) -> None:
    """Driving for many hours with hardly a pause."""
    far = sim.world.of("government", far=True)
    start = _at(day, 8)
    sites = [sim.rng.choice(far) for _ in range(7)]
    order_id = sim.order(start, start + timedelta(hours=12), sites)
    sim.wait(max(sim.at, start))
    out, out_m = sim.at, sim.shown_m
    for site in sites:
        if sim.car.tank_l and sim.tank < 15:
            sim.fill(order_id)
        sim.go(sim.beside(site), order_id=order_id, pace=0.75)
        sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(3, 12)))
    sim.home(order_id=order_id)
    driven = sim.at - out
    back = sim.at + timedelta(minutes=4)
    sim.close_order(order_id, checked_out_at=out, checked_out_odometer_m=out_m, returned_at=back, returned_odometer_m=sim.shown_m,
                    end_at=max(back, start + timedelta(hours=12)))  # fmt: skip
    sim.wait(back)
    long = driven > timedelta(hours=4.3)
    sim.act("day_and_night", out, back, ["J-05"] if long else [], ["J-05", "A-03", "E-02", "C-02", "C-03"])


def pulled_plug(sim: Sim, day: date) -> None:
    """The terminal is covered while the car is driven somewhere and back, twice in some days."""
    for hour in (10.0, 14.5):
        node = sim.rng.choice(list(sim.world.graph.nodes.values()))
        start, _ = sim.go(node if apart_m(node, sim.spot) < 6_000 else sim.beside(_office(sim)), at=_at(day, hour))
        covered = sim.at
        far = [site for site in sim.world.of("government") if apart_m((site.lon, site.lat), sim.spot) > 8_000]
        sim.go(sim.beside(sim.rng.choice(far)), dark=True)
        sim.dark[-1] = (covered - timedelta(minutes=2), sim.at)
        sim.wait(sim.at + timedelta(minutes=sim.rng.uniform(10, 40)))
        _, end = sim.home()
        gone = sim.at - covered
        must = ["F-02"] if hour > 12 and gone > timedelta(minutes=25) else []
        sim.act(
            "pulled_plug", start, end, [*must, "A-01"], ["F-02", "F-01", "H-03", "E-01", "B-03", "K-13", "D-08", "F-05"]
        )


ROAD: tuple[tuple[Act, float], ...] = (
    (errand_without_slip, 1.6), (wash_round_the_corner, 1.0), (evening_ride, 1.2), (pleasure_in_duty, 1.8), (never_arrived, 1.0),
    (roundabout_way, 1.0), (waiting_somewhere, 1.2), (back_late, 1.2), (returned_on_paper_later, 1.2), (slip_left_open, 0.8),
    (over_the_border, 0.8), (on_an_old_slip, 1.2), (night_at_home, 1.2), (too_fast, 0.7), (day_and_night, 0.5), (pulled_plug, 0.9),
)  # fmt: skip
"""Acts of workdays with their weights."""
DAYS_OFF: tuple[tuple[Act, float], ...] = (
    (weekend_outing, 1.0),
    (weekend_away, 0.5),
    (lent_out, 0.7),
    (evening_ride, 0.7),
)
