"""Days that have begun: what is locked and past is only a price, and the bound stays below every plan of the rest."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import Params, Until, check, solve
from dispatch.begun import grouped
from dispatch.day import generate
from dispatch.greedy import greedy, lock
from dispatch.pool import offered
from dispatch.problem import Problem
from dispatch.route import Index
from dispatch.schedule import Schedule
from tests.dispatch.anyday import instances
from tests.dispatch.everyplan import cheapest
from tests.dispatch.instances import HOUR_S, instance, request, vehicle

ROUNDS = Until(time_limit_s=None, rounds=4)


class Patient:
    """A clock that never presses."""

    def left_s(self):
        return 3_600.0

    def expired(self):
        return False


def begun(problem, kept):
    index = Index(problem, Params())
    rides, every = offered(index)
    schedule = Schedule(Problem(problem, Params(), kept, rides, every_ride=every), seed=0)
    assert lock(schedule)
    greedy(schedule, expired=lambda: False)
    return schedule


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    instances(most_requests=4, most_vehicles=3, most_drivers=0, fixed=True, rich=False, wishes=False),
    st.integers(5, 20),
)
def test_bound_of_the_rest_of_a_day_is_below_its_best_plan(problem, hour):
    before = solve(problem, stop=ROUNDS)
    kept = tuple(a for a in before.assignments if a.start_s <= hour * HOUR_S)
    schedule, bound_fen = generate(begun(problem, kept), Patient(), seed=0)
    best_fen = cheapest(problem, locked=kept).cost_fen
    assert schedule.cost_fen() >= best_fen
    assert bound_fen is None or bound_fen <= best_fen
    assert set(kept) <= set(schedule.assignments())


def two_cars():
    day = instance(
        [
            request("first", start_h=8),
            request("second", start_h=8),
            request("later", start_h=13),
            request("last", start_h=13),
        ],
        [vehicle("one"), vehicle("two"), vehicle("three")],
    )
    return replace(day, drivers=())


def test_vehicles_under_way_are_planned_with_their_like():
    problem = two_cars()
    before = solve(problem, stop=ROUNDS)
    kept = tuple(a for a in before.assignments if a.start_s <= 9 * HOUR_S)
    assert len({a.vehicle_id for a in kept}) == 2
    schedule = begun(problem, kept)
    day = grouped(schedule.problem)
    assert len(schedule.problem.types) == 3
    assert len(day.problem.types) == 1
    assert len(day.begun) == 2
    after = solve(problem, stop=ROUNDS, locked=kept)
    assert after.cost_fen == before.cost_fen
    assert check(problem, after, locked=kept) == []


def test_a_vehicle_that_could_do_something_before_its_locked_request_stays_apart():
    problem = two_cars()
    before = solve(problem, stop=ROUNDS)
    kept = tuple(a for a in before.assignments if a.start_s >= 12 * HOUR_S)
    day = grouped(begun(problem, kept).problem)
    assert day.begun == {}
    assert list(day.rows) == [0, 1, 2, 3]
