"""Between two tasks a vehicle goes home or straight on by one rule, and the solver's chains obey it as the judge does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import Assignment, Params, Place, Span, Travel
from dispatch.chains import Chains
from dispatch.check import suitable, vehicle_violations
from dispatch.costs import vehicle_cost
from dispatch.model import Pace
from dispatch.pool import rides
from dispatch.problem import Problem
from dispatch.ride import ride_of
from dispatch.route import Index, tasks_of, walk
from tests.dispatch.anyday import instances, params
from tests.dispatch.everyplan import permitted
from tests.dispatch.instances import HOUR_S, instance, line, request, served, usual, vehicle
from tests.dispatch.test_pool import two

QUARTER_S = 900


def outings(problem, assignments=None, figures=None, car=None):
    index = Index(problem, figures or Params())
    return walk(index, car or problem.vehicles[0], usual(problem).assignments if assignments is None else assignments)


# Free at the hall at 9:35; back home 9:50, on the way again 10:10 at the earliest, at the hall 10:25, start 10:30.


@pytest.mark.parametrize(
    ("start_h", "wait_hour_fen", "times"),
    [
        (10.5, 600, 1),  # 50 minutes of waiting for 5.00 are cheaper than 30 km for 33.00
        (10.5, 6_000, 2),  # for 50.00 they are not
        (10.5 - 1 / 60, 6_000, 1),  # a minute less to stand at the yard
        (10.5, 3_960, 1),  # as dear as the way home: straight on
        (10.5, 3_961, 2),
    ],
)
def test_cheaper_way_is_taken_if_the_yard_stop_fits(start_h, wait_hour_fen, times):
    problem = instance([request(), request("later", ("hall", "office"), start_h)])
    assert len(outings(problem, figures=Params(wait_hour_fen=wait_hour_fen))[0]) == times


def test_electric_vehicle_charges_whenever_the_yard_stop_fits():
    car = vehicle(energy="bev", range_m=300_000)
    for start_h, times in ((10.5, 2), (10.5 - 1 / 60, 1)):
        problem = instance([request(), request("later", ("hall", "office"), start_h)], [car])
        assert len(outings(problem)[0]) == times
        assert len(outings(problem, figures=Params(yard_stop_s=0))[0]) == 2


def test_vehicle_goes_home_where_straight_on_is_too_late():
    # The direct way takes two hours, over the yard it takes none: roads need not obey the triangle inequality.
    places = tuple(Place(name, 30, 120 + k) for k, name in enumerate(("yard", "office", "hall")))
    time_s = np.zeros((3, 3), dtype=np.int32)
    time_s[2, 1] = 2 * HOUR_S
    travel = Travel(places, time_s, np.zeros((3, 3), dtype=np.int32), "roads")
    # Free at 9:35, 20 minutes at the yard, 5 minutes before the start.
    for start_s, times, late in ((10 * HOUR_S, 2, 0), (10 * HOUR_S - 1, 1, 1)):
        problem = instance([request(), request("later", start_h=start_s / HOUR_S)], travel=travel)
        found, overlaps = outings(problem)
        assert (len(found), len(overlaps)) == (times, late)


def test_pace_of_the_departure_counts_for_links_and_ways_back_that_of_the_arrival_for_ways_out():
    def legs(*spans):
        paces = tuple(Pace(Span(a, b), 2_000) for a, b in spans)
        problem = instance([request(), request("later", ("office", "hall"), 10.0)], travel=replace(line(), paces=paces))
        made = [served(problem, "morning"), served(problem, "later")]
        [outing], _ = outings(problem, made)
        return [seconds // 60 for driving, seconds in outing.timeline if driving], outing.out_s, outing.in_s

    out_s, in_s = 9 * HOUR_S - 600, 10 * HOUR_S + 1_800 + 300 + QUARTER_S
    assert legs((0, 60)) == ([5, 10, 10, 10, 15], out_s, in_s)
    # At the office 8:55: the way out arrives within the pace or just after it.
    assert legs((out_s, 9 * HOUR_S - 299)) == ([10, 10, 10, 10, 15], out_s - 300, in_s)
    assert legs((out_s, 9 * HOUR_S - 300)) == ([5, 10, 10, 10, 15], out_s, in_s)
    # With passengers from 9:00; free for the link at 9:35, for the way back at 10:35.
    assert legs((9 * HOUR_S, 9 * HOUR_S + 1)) == ([5, 20, 10, 10, 15], out_s, in_s)
    assert legs((9 * HOUR_S + 2_100, 9 * HOUR_S + 2_101)) == ([5, 10, 20, 10, 15], out_s, in_s)
    assert legs((10 * HOUR_S + 2_100, 10 * HOUR_S + 2_101)) == ([5, 10, 10, 10, 30], out_s, in_s + QUARTER_S)


def test_pace_is_rounded_up():
    travel = replace(line(), paces=(Pace(Span(0, 100), 1_001),))
    assert (travel.leg_after("yard", "office", 99), travel.leg_after("yard", "office", 100)) == (
        (301, 5_000),
        (300, 5_000),
    )


def test_ride_is_one_task_from_first_call_to_last():
    problem = two()
    index = Index(problem, Params())
    ride = ride_of(index, ["morning", "other"])
    made = [
        Assignment(r, "van-1", "driver-1", a, b, ride.key)
        for r, (a, b) in zip(ride.request_ids, ride.spans, strict=True)
    ]
    [task] = tasks_of(index, made)
    assert (task.start_s, task.end_s, task.first, task.last) == (ride.start_s, ride.end_s, "office", "depot")
    [outing], overlaps = outings(problem, made, car=index.vehicles["van-1"])
    assert (outing.loaded_m, outing.empty_m, overlaps) == (35_000, (5_000, 40_000), ())
    assert {a.request_id for a in outing.assignments} == {"morning", "other"}
    assert len(tasks_of(index, [replace(a, ride=None) for a in made])) == 2


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(instances(most_drivers=0, most_requests=5, wishes=False), params, st.data())
def test_chains_hold_what_the_judge_allows_at_the_same_cost(problem, figures, data):
    index = Index(problem, figures)
    compiled = Problem(problem, figures, (), rides(index))
    if not problem.vehicles or not compiled.jobs:
        return
    v = data.draw(st.integers(0, len(problem.vehicles) - 1))
    vehicle, kind = problem.vehicles[v], compiled.types[compiled.type_of[v]]
    chosen = data.draw(st.lists(st.sampled_from(range(len(compiled.jobs))), min_size=1, max_size=4))
    visits, made = [], []
    for job in chosen:
        if {a.request_id for a in made}.isdisjoint(problem.requests[r].id for r in compiled.covers(job)):
            start_s, assignments = visit(index, compiled, job, vehicle, data)
            visits.append((min(a.start_s for a in assignments), max(a.end_s for a in assignments), job, start_s))
            made += assignments
    visits.sort(key=lambda visit: (*visit[:2], compiled.order_id(visit[2])))
    chain = Chains(compiled).evaluate(kind, [job for _, _, job, _ in visits], [start_s for *_, start_s in visits])
    unfit = not all(kind.serves[job] for *_, job, _ in visits)
    assert unfit or all(suitable(index, index.requests[a.request_id], vehicle) is None for a in made)
    broken = unfit or list(vehicle_violations(index, vehicle, *walk(index, vehicle, made)))
    assert (chain is None) == bool(broken)
    if chain is not None:
        assert chain.cost_fen == vehicle_cost(index, vehicle, made).total_fen
        assert [(trip.out_s, trip.in_s) for trip in chain.trips] == [
            (outing.out_s, outing.in_s) for outing in walk(index, vehicle, made)[0]
        ]


def visit(index, compiled, job, vehicle, data):
    """Return a start of a job, and its assignments from there."""
    known = compiled.jobs[job]
    members = [index.instance.requests[r] for r in known.members]
    if known.times:
        spans = known.times
    else:
        start_s = data.draw(st.sampled_from(list(permitted(index.instance)(members[0]))))
        spans = [(start_s, start_s + index.service_at(members[0].id, start_s).busy_s)]
    return spans[0][0] if not known.times else known.earliest_s, [
        Assignment(r.id, vehicle.id, None, a, b, known.ride) for r, (a, b) in zip(members, spans, strict=True)
    ]
