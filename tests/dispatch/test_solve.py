"""Plans are sound, optimal where that is claimed, the same for the same seed, and made within their time."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from dispatch import InvalidModel, LockedBroken, Params, Reserve, Span, Until, check, plan_cost, solve
from dispatch.example import example
from dispatch.flow import relax
from dispatch.model import EMERGENCY
from dispatch.problem import Problem
from dispatch.route import Index
from tests.dispatch.anyday import instances, params
from tests.dispatch.everyplan import cheapest, permitted
from tests.dispatch.instances import HOUR_S, changed, driver, instance, request, served, vehicle

ROUNDS = Until(time_limit_s=None, rounds=4)
SOME = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def without_time(made):
    return replace(made, elapsed_s=0.0)


@SOME
@given(instances(), params)
def test_any_instance_gets_a_plan_that_passes_the_judge(problem, figures):
    made = solve(problem, params=figures, stop=ROUNDS)
    assert check(problem, made, params=figures) == []
    assert set(made.unassigned.values()) <= {
        "no_suitable_vehicle", "no_free_vehicle", "no_free_driver", "reserve", "too_dear",
    }  # fmt: skip
    if made.bound_fen is not None:
        assert made.bound_fen <= made.cost_fen
        if not problem.bands and not problem.told:
            assert (made.gap == 0) == (made.stopped == "optimal")


@SOME
@given(instances())
def test_same_seed_gives_the_same_plan(problem):
    first = solve(problem, stop=ROUNDS, seed=5)
    assert without_time(solve(problem, stop=ROUNDS, seed=5)) == without_time(first)


@SOME
@given(instances())
def test_improvement_never_costs_more_than_greedy(problem):
    greedy = solve(problem, stop=Until(time_limit_s=None, rounds=0))
    assert solve(problem, stop=ROUNDS).cost_fen <= greedy.cost_fen


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(instances(most_requests=4, most_vehicles=3, most_drivers=0, fixed=True, rich=False, wishes=False), params)
def test_tiny_instances_without_drivers_are_solved_to_the_proven_optimum(problem, figures):
    best_fen = cheapest(problem, params=figures).cost_fen
    made = solve(problem, params=figures, stop=ROUNDS)
    assert made.cost_fen == made.bound_fen == best_fen
    assert made.stopped == "optimal"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(instances(most_requests=3, most_vehicles=2, most_drivers=2, fixed=True, rich=False), params)
def test_bound_lies_between_nothing_and_the_best_plan_with_drivers(problem, figures):
    best_fen = cheapest(problem, params=figures).cost_fen
    made = solve(problem, params=figures, stop=ROUNDS)
    assert made.bound_fen is not None
    assert made.bound_fen <= best_fen <= made.cost_fen


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(instances(most_requests=3, most_vehicles=2, most_drivers=0, rich=False))
def test_flow_bound_is_below_every_plan_also_with_start_windows(problem):
    best_fen = cheapest(problem, permitted(problem)).cost_fen
    relaxed = relax(Problem(problem, Params()))
    if problem.vehicles:
        assert relaxed is not None
        assert 0 <= relaxed.bound_fen <= best_fen


@SOME
@given(instances(most_requests=6))
def test_locked_assignments_stay_and_the_rest_is_planned_around_them(problem):
    before = solve(problem, stop=ROUNDS, seed=1)
    kept = before.assignments[::2]
    after = solve(problem, stop=ROUNDS, seed=2, locked=kept)
    assert set(kept) <= set(after.assignments)
    assert check(problem, after, locked=kept) == []


def test_locked_assignment_beats_a_cheaper_vehicle():
    problem = instance([request()], [vehicle(), vehicle("far-away", yard="depot")])
    assert [a.vehicle_id for a in solve(problem).assignments] == ["sedan-1"]
    kept = served(problem, "morning", "far-away", "driver-2")
    assert solve(problem, locked=[kept]).assignments == (kept,)


def test_locked_assignments_that_break_rules_are_refused_by_name():
    problem = instance([request(passengers=5)])
    with pytest.raises(LockedBroken, match=r"seats \(morning, sedan-1\).*release them") as caught:
        solve(problem, locked=[served(problem, "morning")])
    assert [v.code for v in caught.value.violations] == ["seats"]


def test_late_locked_trip_pushes_the_next_request_to_another_vehicle():
    problem = instance()
    on_time = served(problem, "morning")
    late = replace(on_time, end_s=10 * HOUR_S)
    assert {a.vehicle_id for a in solve(problem, locked=[on_time]).assignments} == {"sedan-1"}
    assert {a.vehicle_id for a in solve(problem, locked=[late]).assignments} == {"sedan-1", "sedan-2"}


@pytest.mark.parametrize(
    ("reason", "problem"),
    [
        ("no_suitable_vehicle", instance([request(passengers=9, rentable=False)])),
        ("no_free_vehicle", instance([request(rentable=False, start_h=0.05)])),
        ("no_free_driver", instance([request(rentable=False)], drivers=[driver(may_drive=frozenset({"suv"}))])),
        (
            "reserve",
            instance([request(rentable=False)], reserves=(Reserve("yard", "sedan", Span(0, 24 * HOUR_S), 2),)),
        ),
    ],
)
def test_unassigned_request_has_the_reason(reason, problem):
    made = solve(problem)
    assert made.unassigned == {"morning": reason}


def test_reserve_is_opened_for_an_emergency_only():
    reserve = Reserve("yard", "sedan", Span(0, 24 * HOUR_S), 2)
    problem = instance([request()], reserves=(reserve,))
    assert solve(problem).rented == ("morning",)
    assert solve(changed(problem, "morning", priority=EMERGENCY)).rented == ()


def test_higher_priority_gets_the_only_vehicle():
    problem = instance(
        [request(rentable=False), request("urgent", start_h=9.1, rentable=False, priority=3)], [vehicle()], [driver()]
    )
    assert solve(problem).unassigned == {"morning": "no_free_vehicle"}


def test_request_without_vehicles_is_rented_or_left():
    problem = instance([request(), request("other", rentable=False)], [], [])
    made = solve(problem)
    assert made.rented == ("morning",)
    assert made.unassigned == {"other": "no_suitable_vehicle"}


def test_empty_instance_gets_an_empty_plan():
    made = solve(instance([], [], []))
    assert (made.assignments, made.cost_fen, made.bound_fen, made.stopped) == ((), 0, 0, "optimal")


def test_example_is_served_with_own_vehicles():
    made = solve(example())
    assert (made.unassigned, made.rented) == ({}, ())
    assert made.cost_fen == plan_cost(Index(example(), Params()), made).total_fen


def test_cancelled_run_still_returns_a_sound_plan():
    problem = example()
    made = solve(problem, stop=Until(cancel=lambda: True))
    assert made.stopped == "cancelled"
    assert check(problem, made) == []


def test_expired_run_leaves_the_rest_with_the_reason():
    problem = instance([request(rentable=False)])
    ticks = itertools.count(step=10)
    made = solve(problem, stop=Until(time_limit_s=5), clock=lambda: float(next(ticks)))
    assert (made.stopped, made.unassigned) == ("time_limit", {"morning": "time_limit"})


def big_day(size):
    """A day of round trips at pseudo-random times, two yards, one vehicle for four requests."""
    routes = (("office", "hall", "office"), ("hall", "depot"), ("depot", "office"), ("office", "depot", "hall"))
    many = [
        request(f"r{k:04d}", routes[k * 7 % 4], 6 + (k * 37 % 144) / 12, duration_s=1_800 + k * 13 % 5 * 900)
        for k in range(size)
    ]
    cars = [vehicle(f"v{k:03d}", yard=("yard", "depot")[k % 2]) for k in range(size // 4)]
    crew = [driver(f"d{k:03d}", yard=("yard", "depot")[k % 2]) for k in range(size // 3)]
    return instance(many, cars, crew)


@pytest.mark.parametrize("limit_s", [0.2, 0.3, 0.5])
def test_whatever_phase_the_time_ends_in_little_is_done_after_it(limit_s):
    """The clock goes on by 5 ms whenever it is asked, so a run that asks often after the end has not stopped."""
    problem, ticks = big_day(240), itertools.count(step=0.005)
    made = solve(problem, stop=Until(time_limit_s=limit_s), clock=lambda: next(ticks))
    assert made.stopped == "time_limit"
    assert made.elapsed_s <= 1.05 * limit_s
    assert check(problem, made) == []


def test_progress_tells_falling_costs_and_a_bound():
    told = []
    made = solve(big_day(60), stop=Until(time_limit_s=None, rounds=15), progress=told.append)
    costs = [p.cost_fen for p in told]
    assert costs == sorted(costs, reverse=True)
    assert made.cost_fen <= costs[-1]
    assert told[0].phase == "greedy"
    assert "generate" in {p.phase for p in told}
    assert all(p.bound_fen is None or p.bound_fen <= made.cost_fen for p in told)


def test_stopping_rule_names_its_bounds():
    for values in ({"time_limit_s": 0}, {"time_limit_s": 86_401}, {"rounds": -1}):
        with pytest.raises(InvalidModel, match=next(iter(values))):
            Until(**values)


def test_people_keep_what_they_were_told_unless_a_change_is_worth_its_price():
    problem = instance([request()], [vehicle(), vehicle("far-away", yard="depot")], [])
    told = replace(served(problem, "morning", "far-away"), driver_id=None)
    problem = replace(problem, told=(told,))
    near = solve(problem, params=Params(change_fen=1))
    assert [a.vehicle_id for a in near.assignments] == ["sedan-1"]
    kept = solve(problem, params=Params(change_fen=1_000_000))
    assert kept.assignments == (told,)
    assert kept.cost_fen == kept.bound_fen


def test_a_told_start_is_kept_where_another_would_do_as_well():
    late_s = round(9.5 * HOUR_S)
    problem = instance([request(latest_s=10 * HOUR_S)], drivers=[])
    told = replace(served(problem, "morning", start_s=late_s), driver_id=None)
    made = solve(replace(problem, told=(told,)), params=Params(change_fen=5_000))
    assert [(a.vehicle_id, a.start_s) for a in made.assignments] == [("sedan-1", late_s)]
