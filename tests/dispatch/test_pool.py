"""The rides found are those that trying every set finds, and what must not be pooled is not."""

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings

from dispatch import Params, Stop
from dispatch.pool import offered, rides
from dispatch.ride import orders, ride_of
from dispatch.route import Index
from tests.dispatch import anypool
from tests.dispatch.instances import HOUR_S, changed, instance, request, vehicle

SOME = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_trial(index):
    """Try every set of requests, and keep the rides some vehicle has class and seats for."""
    ids = sorted(index.requests)
    tried = [ride_of(index, some) for size in (2, 3) for some in combinations(ids, size)]
    fleet = index.instance.vehicles
    return [
        ride
        for ride in tried
        if ride and any(v.vehicle_class in ride.classes and v.seats >= ride.passengers for v in fleet)
    ]


def in_order(found):
    return sorted(found, key=lambda ride: ride.request_ids)


@SOME
@given(anypool.pools(shortest=True), anypool.params)
def test_rides_are_those_that_trying_every_set_finds(problem, params):
    index = Index(problem, params)
    assert rides(index) == in_order(by_trial(index))


@SOME
@given(anypool.pools(), anypool.params)
def test_rides_on_any_roads_are_right_and_pairs_complete(problem, params):
    index = Index(problem, params)
    tried, found = in_order(by_trial(index)), rides(index)
    assert [r for r in tried if len(r.request_ids) == 2] == [r for r in found if len(r.request_ids) == 2]
    assert all(ride in tried for ride in found)


@pytest.mark.parametrize("seed", range(6))
def test_crowded_corridor_has_the_rides_that_trying_every_set_finds(seed):
    index = Index(anypool.corridor(9, seed=seed), Params())
    tried = in_order(by_trial(index))
    assert {len(ride.request_ids) for ride in tried} == {2, 3}
    assert rides(index) == tried


@SOME
@given(anypool.pools(), anypool.params)
def test_every_ride_keeps_what_it_promises(problem, params):
    index = Index(problem, params)
    for ride in rides(index):
        members = [index.requests[name] for name in ride.request_ids]
        assert ride.start_s % 60 == 0
        assert ride.end_s - ride.start_s == sum(seconds for _, seconds in ride.timeline)
        assert ride.loaded_m + 500 < sum(index.services[r.id].distance_m for r in members)
        for r, (start_s, end_s) in zip(members, ride.spans, strict=True):
            assert r.earliest_s - params.pool_shift_s <= start_s <= r.latest_s + params.pool_shift_s
            assert end_s - start_s - index.service_at(r.id, start_s).busy_s <= params.pool_detour_s
            others = [s for other, s in zip(members, ride.spans, strict=True) if other != r]
            assert any(a <= end_s and start_s <= b for a, b in others)


def test_orders_never_leave_the_vehicle_empty_in_between():
    assert orders(2) == ((0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0))
    assert len(orders(3)) == 60
    assert (0, 0, 1, 1, 2, 2) not in orders(3)


def shared(name="morning", route=("office", "hall"), start_h=9.0, **given):
    stops = tuple(s if isinstance(s, Stop) else Stop(s, 60) for s in route)
    return request(name, stops, start_h, **{"duration_s": 0, "pooling": True, **given})


def two(**second):
    """Two requests along the line that save ten kilometres together, a sedan of four seats, a van of nine."""
    van = vehicle("van-1", vehicle_class="van", seats=9)
    return instance([shared(), shared("other", ("office", "depot"), 9.1, **second)], [vehicle(), van])


def test_two_on_one_way_ride_together_at_times_that_move_nobody_far():
    [ride] = rides(Index(two(), Params()))
    assert ride.calls == ("morning", "other", "morning", "other")
    # 9:00 and 9:06: with a minute of boarding each, 9:03 and 9:04 are 3 and 2 minutes off, 9:02 and 9:03 are 2 and 3.
    assert ride.spans == (
        (9 * HOUR_S + 120, 9 * HOUR_S + 120 + 13 * 60),
        (9 * HOUR_S + 180, 9 * HOUR_S + 180 + 38 * 60),
    )
    assert (ride.loaded_m, ride.passengers, ride.classes) == (35_000, 4, ("sedan", "suv", "mpv", "van"))
    assert ride.key == "ride-morning+other"


@pytest.mark.parametrize(
    "values",
    [
        {"pooling": False},
        {"secret": True},
        {"priority": 4},
        {"purpose": "training"},
        {"duration_s": 3 * HOUR_S},
        {"vehicle_class": "pickup"},
        {"passengers": 8},
        {"earliest_s": 11 * HOUR_S, "latest_s": 11 * HOUR_S},
        {"stops": (Stop("office"), Stop("hall"), Stop("depot"))},
        {"stops": (Stop("depot"), Stop("office"))},
    ],
)
def test_what_must_not_or_need_not_be_pooled_is_not(values):
    assert rides(Index(changed(two(), "other", **values), Params())) == []


def test_rides_keep_to_the_most_requests_the_longest_way_and_the_seats():
    problem = instance([*two().requests, shared("third", ("office", "hall"), 9.05, passengers=5)], two().vehicles)
    sizes = [[len(r.request_ids) for r in rides(Index(problem, Params(pool_most=m)))] for m in (1, 2, 3)]
    assert sizes == [[], [2, 2, 2], [2, 3, 2, 2]]
    small = replace(problem, vehicles=(vehicle(),))
    assert [r.request_ids for r in rides(Index(small, Params()))] == [("morning", "other")]
    slow = changed(two(), "morning", stops=(Stop("office", 60), Stop("hall", 1_500)))
    assert len(rides(Index(slow, Params(pool_detour_s=1_600)))) == 1
    assert rides(Index(slow, Params(pool_detour_s=600))) == []


def test_where_there_are_too_many_rides_those_that_save_somebody_most_are_offered():
    problem = instance([shared(f"r{k}", ("office", "far"), 9 + k / 20) for k in range(6)], [vehicle()])
    index = Index(problem, Params(pool_most=2))
    every, (some, complete) = rides(index), offered(index, per_request=1, few=0)
    assert (len(every), len(some), complete) == (15, 6, False)
    assert set(some) <= set(every)
    assert {name for ride in some for name in ride.request_ids} == {r.id for r in problem.requests}
    assert offered(index, per_request=3, few=0) == offered(index) == (every, True)
