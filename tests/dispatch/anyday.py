"""Random instances for property tests: small, but with every kind of rule in them."""

import numpy as np
from hypothesis import strategies as st

from dispatch import Driver, Instance, Lending, Place, Request, Reserve, Span, Stop, Travel, Vehicle
from dispatch.model import LICENCES
from tests.dispatch.instances import EPOCH, HOUR_S

CLASSES = st.sampled_from(["sedan", "suv", "mpv", "van", "minibus"])
ORGS = st.sampled_from(["city", "district"])
PLACES = ("yard", "north", "south", "east")


@st.composite
def travels(draw):
    """Times and distances that need not obey the triangle inequality, as in real road data."""
    n = len(PLACES)
    minutes = draw(st.lists(st.integers(0, 60), min_size=n * n, max_size=n * n))
    matrix = np.array(minutes, dtype=np.int32).reshape(n, n)
    np.fill_diagonal(matrix, 0)
    points = tuple(Place(name, 30.0, 120.0 + k / 10) for k, name in enumerate(PLACES))
    return Travel(points, matrix * 60, matrix * 900, "random")


def spans(draw):
    start_s = draw(st.integers(0, 10)) * HOUR_S
    first = Span(start_s, start_s + draw(st.integers(4, 20)) * HOUR_S)
    if draw(st.booleans()):
        return (first,)
    return (first, Span(first.end_s + HOUR_S, first.end_s + 9 * HOUR_S))


@st.composite
def requests(draw, name, *, fixed, rich):
    start_s = draw(st.integers(6 * 12, 18 * 12)) * 300
    route = draw(st.lists(st.sampled_from(PLACES), min_size=2, max_size=3))
    return Request(
        id=name,
        stops=tuple(Stop(place, draw(st.sampled_from([0, 300, 1_200, 3_600]))) for place in route),
        earliest_s=start_s,
        latest_s=start_s + (0 if fixed else draw(st.sampled_from([0, 900, 7_200]))),
        duration_s=draw(st.sampled_from([600, 3_600, 3 * HOUR_S])),
        passengers=draw(st.integers(1, 6)),
        vehicle_class=draw(CLASSES) if rich else "sedan",
        purpose=draw(st.sampled_from(["meeting", "training"])),
        owner_org=draw(ORGS),
        priority=draw(st.integers(1, 4)),
        needs=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"chains"})])) if rich else frozenset(),
        secret=draw(st.booleans()) if rich else False,
        rentable=draw(st.booleans()),
    )


@st.composite
def vehicles(draw, name, *, rich):
    energy = draw(st.sampled_from(["petrol", "bev"]))
    return Vehicle(
        id=name,
        yard=draw(st.sampled_from(PLACES[:2])),
        owner_org=draw(ORGS),
        vehicle_class=draw(CLASSES) if rich else "sedan",
        seats=draw(st.integers(4, 9)),
        available=spans(draw),
        energy=energy,
        range_m=draw(st.integers(50, 300)) * 1_000 if energy == "bev" else None,
        soc=draw(st.sampled_from([0.3, 0.6, 1.0])),
        purposes=draw(st.sampled_from([None, None, frozenset({"meeting"})])),
        tags=draw(st.sampled_from([frozenset({"secret"}), frozenset({"chains", "secret"}), frozenset()])),
    )


@st.composite
def drivers(draw, name):
    return Driver(
        id=name,
        yard=draw(st.sampled_from(PLACES[:2])),
        org="city",
        licence=draw(st.sampled_from(sorted(LICENCES))),
        on_duty=spans(draw),
        shift_max_s=draw(st.sampled_from([6, 10])) * HOUR_S,
        tags=draw(st.sampled_from([frozenset(), frozenset({"secret"})])),
    )


@st.composite
def instances(draw, *, most_requests=8, most_vehicles=4, most_drivers=4, fixed=False, rich=True):
    """Draw an instance; `rich` False leaves out what mostly makes vehicles unsuitable."""
    crew = [draw(drivers(f"d{k}")) for k in range(draw(st.integers(0, most_drivers)))]
    reserves = ()
    if draw(st.booleans()):
        reserves = (Reserve("yard", draw(CLASSES) if rich else "sedan", Span(8 * HOUR_S, 15 * HOUR_S), 1),)
    return Instance(
        epoch=EPOCH,
        travel=draw(travels()),
        requests=tuple(
            draw(requests(f"r{k}", fixed=fixed, rich=rich)) for k in range(draw(st.integers(0, most_requests)))
        ),
        vehicles=tuple(draw(vehicles(f"v{k}", rich=rich)) for k in range(draw(st.integers(0, most_vehicles)))),
        drivers=tuple(crew),
        lending=draw(
            st.sampled_from([(), (Lending("city", "*"),), (Lending("district", "city"), Lending("city", "*"))])
        ),
        reserves=reserves,
        before_s=draw(st.sampled_from([0, 300])),
        after_s=draw(st.sampled_from([0, 300])),
    )
