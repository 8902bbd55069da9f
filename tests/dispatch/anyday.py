"""Random instances for property tests: small, but with every kind of rule in them."""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from dispatch import (
    Assignment,
    Driver,
    Instance,
    Lending,
    Params,
    Place,
    Request,
    Reserve,
    Span,
    Stop,
    Travel,
    Vehicle,
)
from dispatch.model import LICENCES, Band, Pace
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
    permille = draw(st.sampled_from([(), (), (1_500,), (800, 1_000, 1_300)]))
    paces = tuple(Pace(Span((8 + k) * HOUR_S, (9 + k) * HOUR_S), p) for k, p in enumerate(permille))
    return Travel(points, matrix * 60, matrix * 900, "random", paces=paces)


def spans(draw):
    start_s = draw(st.integers(0, 10)) * HOUR_S
    first = Span(start_s, start_s + draw(st.integers(4, 20)) * HOUR_S)
    if draw(st.booleans()):
        return (first,)
    return (first, Span(first.end_s + HOUR_S, first.end_s + 9 * HOUR_S))


@st.composite
def requests(draw, name, *, fixed, rich):
    start_s = draw(st.integers(6 * 12, 18 * 12)) * 300
    route = draw(st.lists(st.sampled_from(PLACES), min_size=2, max_size=draw(st.sampled_from([2, 3]))))
    return Request(
        id=name,
        stops=tuple(Stop(place, draw(st.sampled_from([0, 300, 1_200, 3_600]))) for place in route),
        earliest_s=start_s,
        latest_s=start_s + (0 if fixed else draw(st.sampled_from([0, 900, 7_200]))),
        duration_s=draw(st.sampled_from([0, 600, 3_600, 3 * HOUR_S])),
        passengers=draw(st.integers(1, 6)),
        vehicle_class=draw(CLASSES) if rich else "sedan",
        purpose=draw(st.sampled_from(["meeting", "training"])),
        owner_org=draw(ORGS),
        priority=draw(st.integers(1, 4)),
        needs=draw(st.sampled_from([frozenset(), frozenset(), frozenset({"chains"})])) if rich else frozenset(),
        secret=draw(st.booleans()) if rich else False,
        pooling=draw(st.booleans()),
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
        charge_m_per_h=draw(st.sampled_from([None, 20_000, 200_000])),
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
        off_since_s=draw(st.sampled_from([None, None, 0, 4 * HOUR_S])),
        tags=draw(st.sampled_from([frozenset(), frozenset({"secret"})])),
    )


@st.composite
def told(draw, asked, fleet, crew):
    """Tell some people what they get; it need not be possible."""
    found = []
    for r in asked:
        if fleet and draw(st.booleans()):
            driver_id = draw(st.sampled_from(crew)).id if crew else None
            start_s = draw(st.sampled_from([r.earliest_s, r.latest_s]))
            found.append(Assignment(r.id, draw(st.sampled_from(fleet)).id, driver_id, start_s, start_s + HOUR_S))
    return tuple(found)


bands = st.builds(
    Band,
    ORGS,
    st.sampled_from(["lent_m", "rented"]),
    st.sampled_from([0, 1]),
    st.sampled_from([1, 20_000]),
    st.just(70),
)
params = st.builds(
    Params,
    between_shifts_s=st.sampled_from([0, HOUR_S, 8 * HOUR_S]),
    lent_fen=st.sampled_from([0, 900]),
    change_fen=st.sampled_from([0, 1_500]),
    max_wait_s=st.sampled_from([0, 3_600, 86_400]),
    yard_stop_s=st.sampled_from([0, 1_200, 2_400]),
    pool_most=st.sampled_from([1, 2, 3]),
)


@st.composite
def instances(draw, *, most_requests=8, most_vehicles=4, most_drivers=4, fixed=False, rich=True, wishes=True):
    """Draw an instance; `rich` False leaves out what mostly makes vehicles unsuitable, `wishes` False bands and told."""
    crew = [draw(drivers(f"d{k}")) for k in range(draw(st.integers(0, most_drivers)))]
    asked = [draw(requests(f"r{k}", fixed=fixed, rich=rich)) for k in range(draw(st.integers(0, most_requests)))]
    fleet = [draw(vehicles(f"v{k}", rich=rich)) for k in range(draw(st.integers(0, most_vehicles)))]
    for k, d in enumerate(crew[: len(fleet)]):
        if draw(st.sampled_from([True, False, False])):
            fleet[k] = replace(fleet[k], driver_id=d.id)
    reserves = ()
    if draw(st.booleans()):
        reserves = (Reserve("yard", draw(CLASSES) if rich else "sedan", Span(8 * HOUR_S, 15 * HOUR_S), 1),)
    return Instance(
        epoch=EPOCH,
        travel=draw(travels()),
        requests=tuple(asked),
        vehicles=tuple(fleet),
        drivers=tuple(crew),
        lending=draw(
            st.sampled_from([(), (Lending("city", "*"),), (Lending("district", "city"), Lending("city", "*"))])
        ),
        reserves=reserves,
        bands=tuple(draw(st.lists(bands, max_size=2))) if wishes else (),
        told=draw(told(asked, fleet, crew)) if wishes else (),
        before_s=draw(st.sampled_from([0, 300])),
        after_s=draw(st.sampled_from([0, 300])),
        start_step_s=draw(st.sampled_from([300, 420, 900])),
    )
