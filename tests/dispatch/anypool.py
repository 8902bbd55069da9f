"""Random small instances in which many requests could ride together."""

import random
from dataclasses import replace
from itertools import product

import numpy as np
from hypothesis import strategies as st

from dispatch import Instance, Params, Place, Request, Span, Stop, Travel, Vehicle, estimate_travel
from dispatch.travel import Pace
from tests.dispatch.instances import DAY, EPOCH, HOUR_S

PLACES = ("yard", "north", "south", "east", "west")


@st.composite
def roads(draw, *, shortest):
    """Draw times and distances, with paces that change every half hour; `shortest` times obey the triangle inequality."""
    n = len(PLACES)
    seconds = np.array(draw(st.lists(st.integers(0, 1_500), min_size=n * n, max_size=n * n))).reshape(n, n)
    metres = np.array(
        draw(st.lists(st.sampled_from([0, 2_000, 9_500, 12_000, 30_000]), min_size=n * n, max_size=n * n))
    ).reshape(n, n)
    for matrix in (seconds, metres):
        np.fill_diagonal(matrix, 0)
    if shortest:
        for k, a, b in product(range(n), repeat=3):
            seconds[a, b] = min(seconds[a, b], seconds[a, k] + seconds[k, b])
    paces = draw(st.lists(st.sampled_from([800, 1_000, 1_300, 2_000]), max_size=5))
    return Travel(
        tuple(Place(name, 30.0, 120.0 + k / 10) for k, name in enumerate(PLACES)),
        seconds.astype(np.int32),
        metres.astype(np.int32),
        "random",
        paces=tuple(Pace(Span(8 * HOUR_S + k * 1_800, 8 * HOUR_S + (k + 1) * 1_800), p) for k, p in enumerate(paces)),
    )


@st.composite
def requests(draw, name):
    start_s = 8 * HOUR_S + draw(st.integers(0, 120)) * 45
    route = draw(st.sampled_from(PLACES[:3])), draw(st.sampled_from(PLACES[2:]))
    return Request(
        id=name,
        stops=tuple(Stop(place, draw(st.sampled_from([0, 60, 300]))) for place in route),
        earliest_s=start_s,
        latest_s=start_s + draw(st.sampled_from([0, 0, 450, 1_800])),
        duration_s=draw(st.sampled_from([0, 0, 0, 900])),
        passengers=draw(st.integers(0, 3)),
        vehicle_class=draw(st.sampled_from(["sedan", "sedan", "sedan", "mpv", "van", "minibus"])),
        purpose=draw(st.sampled_from(["meeting", "meeting", "meeting", "training"])),
        owner_org="city",
        pooling=draw(st.sampled_from([True, True, True, True, False])),
    )


@st.composite
def pools(draw, *, shortest=False, most=6):
    """Draw an instance with vehicles of some classes, in any order of ids."""
    fleet = st.sampled_from([("van", 8), ("sedan", 4), ("mpv", 6), ("minibus", 15)])
    seats = draw(st.lists(fleet, max_size=3))
    count = most - draw(st.integers(0, most))
    names = draw(st.permutations([f"r{k}" for k in range(count)]))
    return Instance(
        EPOCH,
        draw(roads(shortest=shortest)),
        tuple(draw(requests(name)) for name in names),
        tuple(Vehicle(f"v{k}", "yard", "city", kind, n, DAY) for k, (kind, n) in enumerate(seats)),
    )


def corridor(count, *, seed):
    """Make requests from one quarter to another within an hour, slower in its second half."""
    rng = random.Random(seed)
    points = [
        Place(f"{end}{k}", 30 + rng.gauss(0, 0.01), lon + rng.gauss(0, 0.03))
        for k in range(count)
        for end, lon in (("p", 120.0), ("d", 120.2))
    ]
    pace = Pace(Span(8 * HOUR_S + 1_800, 9 * HOUR_S), 1_400)
    travel = replace(estimate_travel([*points, Place("yard", 30.0, 120.1)]), paces=(pace,))
    starts_s = [8 * HOUR_S + rng.randrange(60) * 60 for _ in range(count)]
    return Instance(
        EPOCH,
        travel,
        tuple(
            Request(
                f"r{k}", (Stop(f"p{k}", 60), Stop(f"d{k}", 60)), s, s + rng.choice([0, 300]), 0, rng.randint(1, 3),
                "sedan", "meeting", "city", pooling=True,
            )
            for k, s in enumerate(starts_s)
        ),
        (Vehicle("v", "yard", "city", "mpv", 6, DAY),),
    )  # fmt: skip


params = st.builds(
    Params,
    pool_most=st.sampled_from([3, 3, 2, 1]),
    pool_shift_s=st.sampled_from([900, 250, 1_800, 0]),
    pool_detour_s=st.sampled_from([1_200, 2_400, 600, 0]),
)
