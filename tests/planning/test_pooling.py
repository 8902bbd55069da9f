"""Which orders go together in one vehicle, and in which turn their stops come."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetapp.planning import pooling
from fleetapp.planning.pooling import Limits, Rider

START = datetime(2026, 11, 18, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIMITS = Limits(20 * MINUTE, 15 * MINUTE)


def leg(a, b):
    """Streets in degrees: one hundredth is a kilometre and two minutes."""
    km = round(math.dist(a, b) * 100)
    return km * 120, km * 1000


def rider(number, stops, *, start_min=0, end_min=120, **changes):
    given = {"kind": "ordinary", "passengers": 2, "agreed": True, **changes}
    places = tuple((number * 10 + k, (0.0, km / 100)) for k, km in enumerate(stops))
    return Rider(
        number,
        f"YC-{number}",
        start_at=START + start_min * MINUTE,
        end_at=START + end_min * MINUTE,
        stops=places,
        **given,
    )


def join(riders, *, known=(10, 11), reached=0, seats=6, range_m=None, limits=LIMITS):
    return pooling.join(riders, known, reached, seats=seats, range_m=range_m, limits=limits, leg=leg)


FIRST = rider(1, [0, 10])
SECOND = rider(2, [2, 9])


def test_the_shortest_way_takes_the_second_on_the_way():
    made = join([FIRST, SECOND])
    assert [turn.stop_id for turn in made.turns] == [10, 20, 21, 11]
    assert [(turn.at - START) / MINUTE for turn in made.turns] == [0, 4, 18, 20]
    assert (made.distance_m, made.faults) == (20_000, ())
    assert pooling.alone_m(SECOND, leg) == 14_000


def test_stops_already_reached_stay_where_they_are():
    made = join([FIRST, SECOND], reached=2)
    assert [turn.stop_id for turn in made.turns] == [10, 11, 20, 21]
    assert "pool_wait" in {fault.code for fault in made.faults}


def codes(riders, **more):
    return [(fault.code, dict(fault.params)) for fault in join(riders, **more).faults]


def test_every_reason_against_it_is_told_with_its_figures():
    assert codes([FIRST, replace(SECOND, kind="confidential")]) == [("pool_alone", {"number": "YC-2"})]
    assert codes([replace(FIRST, agreed=False), SECOND]) == [("pool_consent", {"number": "YC-1"})]
    assert codes([FIRST, SECOND], seats=3) == [("seats", {"passengers": 4, "seats": 3})]
    assert codes([FIRST, SECOND], seats=4, range_m=19_000) == [("range", {"left_km": 19, "needed_km": 20})]
    assert ("pool_apart", {}) in codes([FIRST, rider(2, [2, 9], start_min=120, end_min=180)])
    tight = Limits(10 * MINUTE, 5 * MINUTE)
    assert codes([FIRST, rider(2, [2, 9], start_min=30)], limits=tight) == [
        ("pool_wait", {"number": "YC-2", "minutes": 6, "most": 5})
    ]
    assert codes([FIRST, rider(2, [2, 9], start_min=24, end_min=45)], limits=tight) == [
        ("pool_detour", {"number": "YC-1", "minutes": 20, "most": 10})
    ]
    assert codes([FIRST, rider(2, [2, 9], end_min=16)]) == [("pool_late", {"number": "YC-2"})]
    assert codes([rider(1, range(7)), rider(2, range(6))], known=range(10, 17)) == [
        ("pool_stops", {"stops": 13, "most": 12})
    ]


def test_seats_are_counted_when_people_sit_together():
    together = [rider(1, [0, 10], end_min=60), rider(2, [1, 9], start_min=50), rider(3, [2, 8], start_min=60)]
    assert [pooling.peak(together[:k]) for k in (1, 2, 3)] == [2, 4, 4]


KM = st.integers(0, 15)
RIDERS = st.lists(st.tuples(st.lists(KM, min_size=2, max_size=3), st.integers(0, 15)), min_size=2, max_size=3)


@settings(max_examples=40, deadline=None)
@given(RIDERS, st.integers(0, 2))
def test_every_order_keeps_its_stops_in_turn_and_nobody_is_picked_up_early(drawn, reached):
    riders = [rider(n, stops, start_min=start) for n, (stops, start) in enumerate(drawn, start=1)]
    known: list[int] = [stop_id for stop_id, _ in riders[0].stops]
    for count in range(2, len(riders) + 1):
        made = join(riders[:count], known=known, reached=reached)
        before, known = known, [turn.stop_id for turn in made.turns]
        assert known[:reached] == before[:reached]
        assert [stop_id for stop_id in known if stop_id in before] == before
    at = {turn.stop_id: turn.at for turn in made.turns}
    for one in riders:
        times = [at[stop_id] for stop_id, _ in one.stops]
        assert times == sorted(times)
        assert times[0] >= one.start_at
    assert made.distance_m >= max(pooling.alone_m(one, leg) for one in riders) - 1e-6
