"""Explanations name the first broken rule per vehicle and what each possible vehicle would cost."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from dispatch import Params, Span, Until, check, explain, plan_cost, solve
from dispatch.check import priced
from dispatch.model import Reserve
from dispatch.route import Index
from tests.dispatch.anyday import instances
from tests.dispatch.instances import HOUR_S, changed, driver, instance, plan, request, served, usual, vehicle


def options(problem, made, name="morning"):
    return {o.vehicle_id: o for o in explain(problem, made, name).options}


def test_every_vehicle_has_its_first_broken_rule():
    problem = instance(
        [request(passengers=3, needs=frozenset({"chains"}))],
        [
            vehicle(tags=frozenset({"chains"})),
            vehicle("coach", vehicle_class="coach", seats=40),
            vehicle("small", seats=2),
            vehicle("no-chains"),
            vehicle("borrowed", owner_org="district", tags=frozenset({"chains"})),
            vehicle("at-garage", available=(Span(0, 9 * HOUR_S),), tags=frozenset({"chains"})),
            vehicle("empty", energy="bev", range_m=30_000, tags=frozenset({"chains"})),
        ],
    )
    told = explain(problem, usual(problem), "morning")
    assert (told.outcome, told.vehicle_id, told.driver_id, told.reason) == ("assigned", "sedan-1", "driver-1", None)
    assert {o.vehicle_id: o.code for o in told.options} == {
        "sedan-1": None, "coach": "vehicle_class", "small": "seats", "no-chains": "needs", "borrowed": "lending",
        "at-garage": "vehicle_unavailable", "empty": "range",
    }  # fmt: skip
    assert told.options[0].vehicle_id == "sedan-1"


def test_cost_difference_is_that_of_the_whole_plan():
    problem = instance([request()], [vehicle(), vehicle("far-away", yard="depot")])
    here, there = usual(problem), plan(problem, served(problem, "morning", "far-away"))
    found = options(problem, here)
    assert found["sedan-1"].delta_fen == 0
    assert found["far-away"].delta_fen == there.cost_fen - here.cost_fen
    rented = plan(problem, rented=["morning"])
    assert options(problem, rented)["sedan-1"].delta_fen == here.cost_fen - rented.cost_fen
    assert explain(problem, rented, "morning").outcome == "rented"


def test_busy_vehicle_names_the_conflict():
    problem = instance([request(), request("also", start_h=9.1)])
    made = plan(problem, served(problem, "morning"), served(problem, "also", "sedan-2", "driver-2"))
    clash = options(problem, made, "also")["sedan-1"]
    assert clash.code == "vehicle_overlap"
    assert clash.detail["after"] == "morning"


def test_unassigned_request_tells_that_drivers_are_missing():
    problem = instance([request(), request("also", start_h=9.1)], drivers=[driver()])
    made = plan(problem, served(problem, "morning"), unassigned={"also": "no_free_driver"})
    told = explain(problem, made, "also")
    assert (told.outcome, told.reason) == ("unassigned", "no_free_driver")
    assert {o.vehicle_id: o.code for o in told.options} == {"sedan-1": "vehicle_overlap", "sedan-2": "driver_overlap"}


def test_reserve_is_named():
    problem = instance([request()], reserves=(Reserve("yard", "sedan", Span(0, 24 * HOUR_S), 2),))
    assert {o.code for o in explain(problem, plan(problem, rented=["morning"]), "morning").options} == {"reserve"}


def test_start_window_is_used_to_fit_behind_another_request():
    problem = instance([request(), request("also", start_h=9.1)], [vehicle()])
    made = plan(problem, served(problem, "morning"), unassigned={"also": "no_free_vehicle"})
    assert options(problem, made, "also")["sedan-1"].code == "vehicle_overlap"
    loose = changed(problem, "also", latest_s=11 * HOUR_S)
    option = options(loose, made, "also")["sedan-1"]
    # Free at 9:30, 5 min after, 10 min back to the office, 5 min before; starts are 9:06 and whole steps of 5 min on.
    assert (option.code, option.start_s) == (None, 9 * HOUR_S + 51 * 60)


def test_unknown_request_is_an_error():
    with pytest.raises(KeyError):
        explain(instance(), usual(instance()), "ghost")


@settings(max_examples=30, deadline=None)
@given(instances(most_requests=5))
def test_every_possible_option_is_a_sound_plan_at_the_stated_cost(problem):
    made = solve(problem, stop=Until(time_limit_s=None, rounds=0))
    for r in problem.requests:
        for option in explain(problem, made, r.id).options:
            if option.code is not None:
                continue
            length_s = Index(problem, Params()).services[r.id].busy_s
            moved = served(problem, r.id, option.vehicle_id, option.driver_id, option.start_s)
            moved = replace(moved, end_s=option.start_s + length_s)
            rest = [a for a in made.assignments if a.request_id != r.id]
            other = replace(
                made,
                assignments=(*rest, moved),
                rented=tuple(x for x in made.rented if x != r.id),
                unassigned={k: v for k, v in made.unassigned.items() if k != r.id},
            )
            other = priced(problem, replace(other, bound_fen=None))
            assert check(problem, other) == []
            assert other.cost_fen - plan_cost(Index(problem, Params()), made).total_fen == option.delta_fen
