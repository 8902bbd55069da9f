"""Days on which little or nothing works: a sound plan with reasons or one precise sentence, never a hang."""

from dataclasses import replace

import numpy as np
import pytest

from dispatch import InvalidModel, Request, Span, Stop, Travel, Until, check, solve
from dispatch.synthetic import PARAMS, day
from tests.dispatch.instances import HOUR_S

STOP = Until(time_limit_s=20.0, rounds=2)
SIZES = (1, 90)  # below and above what is chosen exactly


def sound(problem, **given):
    made = solve(problem, params=PARAMS, stop=STOP, **given)
    assert check(problem, made, params=PARAMS, locked=given.get("locked", ())) == []
    assert made.bound_fen is None or made.bound_fen <= made.cost_fen
    return made


def each(items, **changes):
    return tuple(replace(item, **changes) for item in items)


@pytest.mark.parametrize("size", SIZES)
def test_vehicles_too_small_for_every_request(size):
    problem = day(size, seed=3)
    problem = replace(problem, requests=each(problem.requests, passengers=50, rentable=False))
    made = sound(problem)
    assert made.assignments == ()
    assert set(made.unassigned.values()) == {"no_suitable_vehicle"}
    assert made.stopped == "optimal"


@pytest.mark.parametrize("size", SIZES)
def test_no_vehicle_at_all(size):
    problem = day(size, seed=3)
    made = sound(replace(problem, vehicles=()))
    assert made.assignments == ()
    assert len(made.rented) + len(made.unassigned) == size
    assert made.cost_fen == made.bound_fen


@pytest.mark.parametrize("size", SIZES)
def test_drivers_without_the_licence_or_on_duty_too_late(size):
    problem = day(size, seed=3, drivers=True)
    late = (Span(29 * HOUR_S, 30 * HOUR_S),)
    for crew in (each(problem.drivers, may_drive=frozenset({"special"})), each(problem.drivers, on_duty=late)):
        made = sound(replace(problem, requests=each(problem.requests, rentable=False), drivers=crew))
        assert made.assignments == ()
        assert set(made.unassigned.values()) <= {"no_free_driver", "no_free_vehicle", "no_suitable_vehicle"}


@pytest.mark.parametrize("size", SIZES)
def test_empty_batteries_that_cannot_be_charged(size):
    problem = day(size, seed=3)
    flat = each(problem.vehicles, energy="bev", range_m=1_000, soc=0.0, charge_m_per_h=0)
    made = sound(replace(problem, vehicles=flat))
    assert made.assignments == ()
    assert len(made.rented) == size


@pytest.mark.parametrize("size", SIZES)
def test_starts_before_any_vehicle_is_there(size):
    problem = day(size, seed=3)
    made = sound(replace(problem, vehicles=each(problem.vehicles, available=(Span(29 * HOUR_S, 30 * HOUR_S),))))
    assert made.assignments == ()


def test_ways_round_that_are_quicker_than_straight_on():
    problem = day(90, seed=3)
    rng = np.random.default_rng(1)
    time_s = (problem.travel.time_s * rng.uniform(0.2, 3.0, problem.travel.time_s.shape)).astype(np.int32)
    np.fill_diagonal(time_s, 0)
    crooked = Travel(problem.travel.places, time_s, problem.travel.distance_m, "crooked")
    made = sound(replace(problem, travel=crooked, requests=each(problem.requests, pooling=True)))
    assert made.assignments


def test_every_vehicle_locked():
    problem = day(90, seed=3)
    before = sound(problem)
    made = sound(problem, locked=before.assignments)
    assert set(before.assignments) <= set(made.assignments)
    few = replace(
        problem, vehicles=tuple(v for v in problem.vehicles if v.id in {a.vehicle_id for a in before.assignments})
    )
    again = sound(few, locked=before.assignments)
    assert set(before.assignments) <= set(again.assignments)


def test_impossible_values_are_refused_by_name():
    with pytest.raises(InvalidModel, match="Request r: latest_s must be"):
        Request("r", (Stop("a"), Stop("b")), 600, 300, 0, 1, "sedan", "business", "city")
    travel = day(1, seed=1).travel
    with pytest.raises(InvalidModel, match="time_s must lie between 0"):
        Travel(travel.places, travel.time_s - 1, travel.distance_m, "negative")
