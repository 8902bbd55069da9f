"""Shared rides as jobs of a plan: who may drive them, what they cost, and that nobody rides twice."""

from dataclasses import replace

import pytest

from dispatch import Lending, Params, Plan
from dispatch.day import generate
from dispatch.greedy import greedy, lock
from dispatch.improve import search, solve_whole
from dispatch.pool import Saved, rides, saved
from dispatch.problem import Problem
from dispatch.ride import as_given
from dispatch.route import Index
from dispatch.schedule import Schedule
from tests.dispatch.instances import HOUR_S, changed, instance, vehicle
from tests.dispatch.test_pool import shared, two

MORNING, OTHER, RIDE = 0, 1, 2
SEDAN, VAN = 0, 1


class Unhurried:
    """A clock that leaves time."""

    def left_s(self) -> float:
        return 20.0

    def expired(self) -> bool:
        return False


def pooled(problem, params=None, locked=()):
    params = params or Params()
    return Problem(problem, params, locked, rides(Index(problem, params)))


def empty(problem, params=None, locked=()):
    return Schedule(pooled(problem, params, locked), seed=0)


def test_ride_is_a_job_after_the_requests_with_one_start():
    problem = pooled(two())
    job = problem.jobs[RIDE]
    assert problem.jobs[: problem.size] == Problem(two(), Params()).jobs
    assert (job.members, job.passengers, job.loaded_m) == ((MORNING, OTHER), 4, 35_000)
    assert (job.earliest_s, job.latest_s, job.busy_s) == (9 * HOUR_S + 120, 9 * HOUR_S + 120, 39 * 60)
    assert (job.first, job.last, problem.covers(RIDE)) == (MORNING, OTHER, (MORNING, OTHER))
    assert problem.jobs_within([OTHER, MORNING]) == (MORNING, OTHER, RIDE)
    assert problem.jobs_within([OTHER]) == (OTHER,)


def test_without_consent_the_problem_is_as_before():
    asked = changed(two(), "other", pooling=False)
    assert pooled(asked).jobs == Problem(asked, Params()).jobs


@pytest.mark.parametrize(
    ("values", "may"),
    [
        ({}, True),
        ({"seats": 3}, False),
        ({"purposes": frozenset({"training"})}, False),
        ({"vehicle_class": "minibus", "seats": 20}, False),
        ({"owner_org": "county"}, False),
    ],
)
def test_a_vehicle_takes_a_ride_if_it_may_take_everybody_at_once(values, may):
    problem = pooled(instance(two().requests, [vehicle(), vehicle("asked", **values)]))
    assert problem.serves[problem.type_of[1], RIDE] == may


def test_ride_costs_its_metres_once_the_highest_class_wanted_and_lending_per_member():
    day = instance(
        two().requests, [*two().vehicles, vehicle("lent", owner_org="county")], lending=(Lending("county", "*"),)
    )
    day = changed(day, "other", vehicle_class="suv")
    problem = pooled(changed(day, "van-1", vehicle_class="suv"), Params(lent_fen=700, pool_most=2))
    assert problem.types[VAN].serve_fen[RIDE] == 35 * 130
    problem = pooled(day, Params(lent_fen=700))
    assert problem.types[VAN].serve_fen[RIDE] == 35 * 190 + 35 * 30
    problem = pooled(changed(day, "other", vehicle_class="sedan"), Params(lent_fen=700))
    assert problem.types[2].serve_fen[RIDE] == 35 * 110 + 2 * 700
    assert problem.types[2].serve_fen[MORNING] == 10 * 110 + 700


def test_schedule_serves_members_of_a_ride_at_their_own_times():
    schedule = empty(two())
    alone = replace_all(empty(two()), {SEDAN: [MORNING], VAN: [OTHER]})
    together = replace_all(schedule, {SEDAN: [RIDE]})
    assert together.vehicle_of == [SEDAN, SEDAN]
    # 40 km out and back, 5 km to the office, 35 km with passengers, one day instead of two.
    assert together.cost_fen() == 8_000 + 5 * 110 + 35 * 110 + 40 * 110
    assert together.cost_fen() < alone.cost_fen()
    times = [(a.request_id, a.start_s - 9 * HOUR_S, a.end_s - a.start_s, a.ride) for a in together.assignments()]
    assert times == [("morning", 120, 780, "ride-morning+other"), ("other", 180, 2_280, "ride-morning+other")]
    assert {a.vehicle_id for a in together.assignments()} == {"sedan-1"}


def replace_all(schedule, changes):
    assert schedule.replace(changes) is not None
    return schedule


def test_nobody_is_served_twice():
    schedule = empty(two())
    for changes in ({SEDAN: [RIDE, OTHER]}, {SEDAN: [RIDE], VAN: [MORNING]}, {SEDAN: [OTHER], VAN: [OTHER]}):
        late = {v: sorted(jobs) for v, jobs in changes.items()}
        assert schedule.replace(late) is None
        assert schedule.vehicle_of == [-1, -1]
    replace_all(schedule, {SEDAN: [RIDE]})
    assert schedule.replace({VAN: [MORNING]}) is None
    assert schedule.refusal == "request"
    ride_fen, left_fen = schedule.chains[SEDAN].cost_fen, sum(job.else_fen for job in schedule.problem.jobs[:2])
    assert schedule.replace({SEDAN: []}) == left_fen - ride_fen
    assert schedule.vehicle_of == [-1, -1]


def test_locked_ride_stays_and_its_members_ride_nowhere_else():
    kept = replace_all(empty(two()), {VAN: [RIDE]}).assignments()
    day = instance([*two().requests, shared("third", ("office", "hall"), 9.05)], two().vehicles)
    schedule = empty(day, locked=kept)
    assert lock(schedule)
    greedy(schedule, expired=lambda: False)
    assert set(kept) <= set(schedule.assignments())
    assert not schedule.problem.serves[:, [MORNING, OTHER]].any()
    assert [job.ride for job in schedule.problem.jobs[3:]] == ["ride-morning+other"]


def test_locked_ride_may_be_late():
    kept = replace_all(empty(two()), {SEDAN: [RIDE]}).assignments()
    late = [replace(a, start_s=a.start_s + 3_000, end_s=a.end_s + 3_300) for a in kept]
    ride = as_given(Index(two(), Params()), late)
    assert (ride.calls, ride.loaded_m) == (("morning", "other", "morning", "other"), 35_000)
    schedule = empty(two(), locked=late)
    assert lock(schedule)
    assert schedule.assignments() == tuple(late)


@pytest.mark.parametrize("find", ["whole", "generate", "search"])
def test_where_pooling_is_clearly_best_it_is_found(find):
    schedule = empty(instance(two().requests, two().vehicles, drivers=[]))
    greedy(schedule, expired=lambda: False)
    apart_fen = schedule.cost_fen()
    if find == "whole":
        assert solve_whole(schedule, Unhurried(), seed=0) == schedule.cost_fen()
    elif find == "generate":
        schedule, bound_fen = generate(schedule, Unhurried(), seed=0)
        assert bound_fen <= schedule.cost_fen()
    else:
        search(schedule, Unhurried(), seed=0, rounds=5, told=lambda *_: None)
    assert schedule.cost_fen() == 8_000 + 5 * 110 + 35 * 110 + 40 * 110 < apart_fen
    assert {a.ride for a in schedule.assignments()} == {"ride-morning+other"}


def test_rides_of_a_plan_are_counted_with_the_kilometres_they_save():
    made = Plan(replace_all(empty(two()), {SEDAN: [RIDE]}).assignments(), {}, (), 0)
    assert saved(Index(two(), Params()), made) == Saved(10.0, 1, 2)
    assert saved(Index(two(), Params()), Plan((), {}, (), 0)) == Saved(0.0, 0, 0)
