"""Explanations name the first broken rule per vehicle and what each possible vehicle would cost."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from dispatch import Assignment, Params, Span, Until, check, explain, plan_cost, remedies, solve
from dispatch.check import priced
from dispatch.model import Band, Reserve
from dispatch.ride import ride_of
from dispatch.route import Index
from tests.dispatch.anyday import instances, params
from tests.dispatch.instances import HOUR_S, changed, driver, instance, plan, request, served, usual, vehicle
from tests.dispatch.test_pool import two


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


def test_ride_is_explained_as_a_whole():
    problem = two()
    ride = ride_of(Index(problem, Params()), ["morning", "other"])
    made = plan(problem, *aboard(ride, "van-1", "driver-1"))
    assert check(problem, made) == []
    told = explain(problem, made, "other")
    assert (told.vehicle_id, told.companions) == ("van-1", ("morning",))
    assert [o.vehicle_id for o in told.options if o.code is None] == ["sedan-1", "van-1"]
    by_car = plan(problem, *aboard(ride, "sedan-1", "driver-1"))
    assert told.options[0].delta_fen == by_car.cost_fen - made.cost_fen
    small = changed(problem, "sedan-1", seats=3)
    assert options(small, made, "other")["sedan-1"].code == "seats"


def test_bound_driver_is_the_only_one_asked():
    problem = changed(instance([request()]), "sedan-2", driver_id="driver-2")
    made = plan(problem, served(problem, "morning"))
    assert options(problem, made)["sedan-2"].driver_id == "driver-2"
    off = changed(problem, "driver-2", on_duty=(Span(12 * HOUR_S, 20 * HOUR_S),))
    assert options(off, made)["sedan-2"].code == "driver_off_duty"
    # The driver of another vehicle is no way out either.
    alone = changed(changed(problem, "driver-1", on_duty=(Span(12 * HOUR_S, 20 * HOUR_S),)), "sedan-1", seats=4)
    assert options(alone, plan(alone, rented=["morning"]))["sedan-1"].code == "driver_off_duty"


def test_joining_two_outings_of_two_drivers_is_a_change_of_drivers():
    problem = instance(
        [request(), request("late", start_h=12.0), request("between", ("hall", "office"), 10.5, duration_s=3_600)],
        [vehicle()],
    )
    made = plan(
        problem, served(problem, "morning"), served(problem, "late", driver_id="driver-2"), unassigned={"between": "x"}
    )
    assert check(problem, made) == []
    assert options(problem, made, "between")["sedan-1"].code == "driver_change"


def test_told_people_and_bands_are_part_of_the_difference():
    problem = instance([request()], told=())
    kept = served(problem, "morning")
    problem = replace(problem, told=(kept,), bands=(Band("city", "rented", 0, 0, 500),))
    figures = Params(change_fen=1_234)
    found = {
        o.vehicle_id: o
        for o in explain(problem, plan(problem, kept, params=figures), "morning", params=figures).options
    }
    assert (found["sedan-1"].delta_fen, found["sedan-2"].delta_fen) == (0, 1_234)
    rented = plan(problem, rented=["morning"], params=figures)
    own = plan(problem, kept, params=figures)
    found = {o.vehicle_id: o for o in explain(problem, rented, "morning", params=figures).options}
    assert found["sedan-1"].delta_fen == own.cost_fen - rented.cost_fen


def aboard(ride, vehicle_id, driver_id):
    return [
        Assignment(name, vehicle_id, driver_id, start_s, end_s, ride.key)
        for name, (start_s, end_s) in zip(ride.request_ids, ride.spans, strict=True)
    ]


@settings(max_examples=30, deadline=None)
@given(instances(most_requests=5), params)
def test_every_possible_option_is_a_sound_plan_at_the_stated_cost(problem, figures):
    made = solve(problem, params=figures, stop=Until(time_limit_s=None, rounds=0))
    index = Index(problem, figures)
    for r in problem.requests:
        told = explain(problem, made, r.id, params=figures)
        together = {r.id, *told.companions}
        rest = [a for a in made.assignments if a.request_id not in together]
        mine = [a for a in made.assignments if a.request_id in together]
        for option in told.options:
            if option.code is not None:
                continue
            length_s = index.service_at(r.id, option.start_s).busy_s
            moved = mine or [Assignment(r.id, "", None, option.start_s, option.start_s + length_s)]
            moved = [replace(a, vehicle_id=option.vehicle_id, driver_id=option.driver_id) for a in moved]
            other = replace(made, assignments=(*rest, *moved), **without(made, r.id), bound_fen=None)
            other = priced(problem, other, params=figures)
            assert check(problem, other, params=figures) == []
            assert other.cost_fen - plan_cost(index, made).total_fen == option.delta_fen


def without(made, name):
    return {
        "rented": tuple(x for x in made.rented if x != name),
        "unassigned": {k: v for k, v in made.unassigned.items() if k != name},
    }


# ---- what would help ------------------------------------------------------------------------------------------------


def ways(problem, made, name, **given):
    found = {}
    for remedy in remedies(problem, made, name, **given):
        found.setdefault(remedy.code, []).append(remedy)
    return found


def clash(**given):
    """Two requests at nearly the same time, one vehicle, one driver: the second is left."""
    problem = instance([request(), request("also", start_h=9.1, **given)], [vehicle()], [driver()])
    return problem, plan(problem, served(problem, "morning"), unassigned={"also": "no_free_vehicle"})


def test_moved_start_is_the_nearest_that_fits():
    problem, made = clash(rentable=False)
    [shift] = ways(problem, made, "also")["shift"]
    # Free for it from 9:51 (see above), 45 min after 9:06; before the other it would have to start by 8:10.
    assert (shift.vehicle_id, shift.driver_id, shift.moved_s, shift.start_s) == (
        "sedan-1", "driver-1", 45 * 60, 9 * HOUR_S + 51 * 60,
    )  # fmt: skip
    short = changed(problem, "driver-1", on_duty=(Span(0, 10 * HOUR_S),))
    [shift] = ways(short, plan(short, *made.assignments, unassigned=made.unassigned), "also")["shift"]
    assert shift.moved_s == -60 * 60
    never = changed(problem, "sedan-1", available=(Span(8 * HOUR_S, 10 * HOUR_S),))
    assert "shift" not in ways(never, made, "also")


def test_one_more_driver_has_licence_and_yard():
    problem = instance(
        [request(), request("also", start_h=9.1, vehicle_class="minibus", rentable=False)],
        [vehicle(), vehicle("bus", vehicle_class="minibus", seats=15)],
        [driver(licence="B1")],
    )
    made = plan(problem, served(problem, "morning"), unassigned={"also": "no_free_driver"})
    [more] = ways(problem, made, "also")["driver"]
    assert (more.vehicle_id, dict(more.detail)) == ("bus", {"licence": "B1", "yard": "yard"})
    # The vehicle with a driver of its own needs that driver; without vehicle no driver helps.
    assert "driver" not in ways(changed(problem, "bus", driver_id="driver-1"), made, "also")
    assert "driver" not in ways(*clash(), "also")


def test_vehicle_that_is_free_needs_no_remedy():
    problem = instance([request()])
    found = ways(problem, plan(problem, unassigned={"morning": "too_dear"}), "morning")
    # Of two idle vehicles that are alike one is named.
    assert [(w.vehicle_id, w.moved_s) for w in found["assign"]] == [("sedan-1", 0)]
    assert "shift" not in found
    assert "driver" not in found
    assert remedies(problem, usual(problem), "morning") == ()


def test_company_is_named_with_whose_consent_is_missing():
    problem = changed(two(), "other", pooling=False, rentable=False)
    problem = changed(problem, "van-1", available=(Span(0, HOUR_S),))
    made = plan(problem, served(problem, "morning"), unassigned={"other": "no_free_vehicle"})
    [company] = ways(problem, made, "other")["pool"]
    assert dict(company.detail) == {"with": "morning", "consent": "other"}
    assert (company.vehicle_id, company.moved_s) == ("sedan-1", -180)
    for values in ({"purpose": "training"}, {"secret": True}, {"passengers": 3}):
        assert "pool" not in ways(changed(problem, "other", **values), made, "other")


def test_rental_has_its_price_and_tells_whether_it_is_allowed():
    problem, made = clash(rental_fen=7_700)
    for rentable, allowed in ((True, 1), (False, 0)):
        [rental] = ways(changed(problem, "also", rentable=rentable), made, "also")["rental"]
        assert dict(rental.detail) == {"allowed": allowed, "price_fen": 7_700}
        assert rental.delta_fen == 7_700 - 500_000
    assert "rental" not in ways(changed(problem, "also", secret=True), made, "also")


@settings(max_examples=40, deadline=None)
@given(instances(most_requests=5), params)
def test_every_remedy_is_a_sound_plan_at_the_stated_cost(problem, figures):
    made = solve(problem, params=figures, stop=Until(time_limit_s=None, rounds=0))
    before_fen = plan_cost(Index(problem, figures), made).total_fen
    for name in (*made.rented, *made.unassigned):
        for remedy in remedies(problem, made, name, params=figures):
            day, tried = remedied(problem, made, name, remedy, figures)
            tried = priced(day, replace(tried, bound_fen=None), params=figures)
            assert check(day, tried, params=figures) == []
            assert tried.cost_fen - before_fen == remedy.delta_fen


def remedied(problem, made, name, remedy, figures):
    """Make the remedy true: the changed instance, and the plan that uses it."""
    asked = next(r for r in problem.requests if r.id == name)
    left = replace(made, **without(made, name))
    if remedy.code == "rental":
        return changed(problem, name, rentable=True), replace(left, rented=(*left.rented, name))
    if remedy.code == "pool":
        together = remedy.detail["with"].split(",")
        for partner in remedy.detail["consent"].split(","):
            problem = changed(problem, partner, pooling=True)
        ride = ride_of(Index(problem, figures), [name, *together])
        rest = [a for a in left.assignments if a.request_id not in together]
        return problem, replace(left, assignments=(*rest, *aboard(ride, remedy.vehicle_id, remedy.driver_id)))
    driver_id = remedy.driver_id
    if remedy.code == "driver":
        whole, tags = (Span(-HOUR_S, 60 * HOUR_S),), frozenset({"secret"})
        more = driver("more", yard=remedy.detail["yard"], licence=remedy.detail["licence"], on_duty=whole, tags=tags)
        problem, driver_id = replace(problem, drivers=(*problem.drivers, more)), "more"
    window = {"earliest_s": asked.earliest_s + remedy.moved_s, "latest_s": asked.latest_s + remedy.moved_s}
    problem = changed(problem, name, **window)
    end_s = remedy.start_s + Index(problem, figures).service_at(name, remedy.start_s).busy_s
    mine = Assignment(name, remedy.vehicle_id, driver_id, remedy.start_s, end_s)
    return problem, replace(left, assignments=(*left.assignments, mine))
