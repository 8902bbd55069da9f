"""A running plan stays sound and priced whatever is added, exchanged or cancelled, and what has begun stays as it is."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dispatch import InvalidModel, Live, Params, Plan, Reserve, Span, Stop, Until, Ways, check, plan_cost, solve
from dispatch.check import priced
from dispatch.model import EMERGENCY, Place
from dispatch.ride import ride_of
from dispatch.route import Index, by_vehicle, walk
from dispatch.synthetic import PARAMS, day
from tests.dispatch.anyday import instances, params
from tests.dispatch.instances import HOUR_S, instance, plan, request, served, vehicle

SOME = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
QUICK = Until(time_limit_s=None, rounds=2)


def started(problem, figures, *, kept, solved, now_s=None):
    """Start with the first `kept` requests, planned or left; return the plan that runs and the other requests."""
    first = replace(problem, requests=problem.requests[:kept])
    if solved:
        begin = solve(first, params=figures, stop=QUICK)
    else:
        begin = priced(first, Plan((), {r.id: "given_up" for r in first.requests}, (), 0), params=figures)
    return Live(first, begin, figures, now_s=now_s), problem.requests[kept:]


def expect_sound(live, figures):
    now = live.instance(), live.plan()
    assert check(*now, params=figures) == []
    assert live.cost_fen == now[1].cost_fen == plan_cost(Index(now[0], figures), now[1]).total_fen


def left_alone(problem, figures):
    """Price a plan that does nothing for the requests."""
    return priced(problem, Plan((), {r.id: "given_up" for r in problem.requests}, (), 0), params=figures).cost_fen


@SOME
@given(instances(), params, st.integers(0, 8), st.booleans())
def test_every_added_request_leaves_a_sound_plan_at_the_price_that_was_told(problem, figures, kept, solved):
    live, others = started(problem, figures, kept=kept, solved=solved)
    for r in others:
        before_fen, was = live.cost_fen, {a.request_id: a for a in live.plan().assignments}
        answer = live.add(r)
        expect_sound(live, figures)
        assert answer.delta_fen == live.cost_fen - before_fen
        now = {a.request_id: a for a in live.plan().assignments}
        assert {a.request_id: a for a in answer.assignments} == {n: a for n, a in now.items() if was.get(n) != a}
        assert (r.id in now) + answer.rented + (answer.reason is not None) == 1
        assert answer.reason == live.plan().unassigned.get(r.id)
        assert r.id not in answer.moved
        assert set(answer.moved) == {
            n for n, a in was.items()
            if n not in now or (now[n].vehicle_id, now[n].driver_id) != (a.vehicle_id, a.driver_id)
        }  # fmt: skip
        assert answer.reason in {
            None, "no_suitable_vehicle", "no_free_vehicle", "no_free_driver", "reserve", "too_dear",
        }  # fmt: skip


@SOME
@given(instances(most_drivers=0, rich=False), params)
def test_a_new_request_never_costs_more_than_doing_nothing_for_it(problem, figures):
    live, others = started(problem, figures, kept=2, solved=True)
    for r in others:
        alone_fen = figures.penalty_fen[r.priority] + sum(band.fen for band in problem.bands)
        assert live.add(r).delta_fen <= alone_fen


@SOME
@given(instances(), params, st.integers(0, 20))
def test_what_has_begun_never_changes(problem, figures, now_h):
    live, others = started(problem, figures, kept=4, solved=True, now_s=now_h * HOUR_S)
    first, begin = live.instance(), live.plan()
    index = Index(first, figures)
    outings = [o for v, own in by_vehicle(begin.assignments).items() for o in walk(index, index.vehicles[v], own)[0]]
    begun = {a for o in outings if o.out_s <= now_h * HOUR_S for a in o.assignments}
    for r in others:
        live.add(r)
        assert begun <= set(live.plan().assignments)
        expect_sound(live, figures)
    live.rematch(0)
    assert begun <= set(live.plan().assignments)
    late = Index(live.instance(), figures)
    for v, own in by_vehicle(live.plan().assignments).items():
        for o in walk(late, late.vehicles[v], own)[0]:
            assert o.out_s >= now_h * HOUR_S or begun & set(o.assignments)


@SOME
@given(instances(), params, st.data())
def test_locked_assignments_never_change(problem, figures, data):
    first = replace(problem, requests=problem.requests[:4])
    begin = solve(first, params=figures, stop=QUICK)
    locked = [a for a in begin.assignments if data.draw(st.booleans())]
    live = Live(first, begin, figures, locked=locked)
    for r in problem.requests[4:]:
        live.add(r)
    live.rematch(0)
    assert check(live.instance(), live.plan(), params=figures, locked=locked) == []
    for a in locked:
        with pytest.raises(InvalidModel, match="begun or locked"):
            live.cancel(a.request_id)


@SOME
@given(instances(most_drivers=0), params, st.integers(0, 18))
def test_matching_anew_never_costs_more(problem, figures, at_h):
    live, others = started(problem, figures, kept=0, solved=False)
    for r in others:
        live.add(r)
    before_fen = live.cost_fen
    answer = live.rematch(at_h * HOUR_S)
    expect_sound(live, figures)
    assert answer.delta_fen == live.cost_fen - before_fen <= 0
    assert bool(answer.moved) == (answer.delta_fen < 0)


@SOME
@given(instances(), params, st.data())
def test_whatever_is_cancelled_the_rest_stays_sound(problem, figures, data):
    live, others = started(problem, figures, kept=6, solved=True)
    for r in others:
        live.add(r)
    for name in data.draw(st.permutations([r.id for r in problem.requests])):
        before_fen = live.cost_fen
        answer = live.cancel(name)
        expect_sound(live, figures)
        assert answer.delta_fen == live.cost_fen - before_fen
        assert name not in {r.id for r in live.instance().requests}
    assert live.plan().assignments == ()
    assert live.cost_fen == left_alone(replace(problem, requests=()), figures)


def test_cancelling_gives_back_what_the_request_cost():
    problem = instance()
    live = Live(problem, plan(problem, *(served(problem, r.id) for r in problem.requests)))
    before = live.plan()
    added = live.add(request("evening", start_h=18.0))
    assert added.delta_fen > 0
    assert live.cancel("evening").delta_fen == -added.delta_fen
    assert live.plan() == before
    with pytest.raises(InvalidModel, match="one of the requests"):
        live.cancel("evening")


def test_a_request_that_is_there_is_refused():
    problem = instance()
    live = Live(problem, plan(problem, *(served(problem, r.id) for r in problem.requests)))
    with pytest.raises(InvalidModel, match="cancel it first"):
        live.add(request("noon"))
    assert live.add(request("evening", start_h=18.0)).assignments[0].request_id == "evening"


def test_a_plan_that_breaks_a_rule_is_not_run():
    problem = instance()
    sound = plan(problem, *(served(problem, r.id) for r in problem.requests))
    with pytest.raises(InvalidModel, match="must pass check"):
        Live(problem, replace(sound, assignments=sound.assignments[:1]))
    assert Live(problem, sound).cost_fen == sound.cost_fen


def ways(live, problem, *names):
    """Look the ways of new places up where they are all known."""
    known = [problem.travel.index[p.id] for p in live.places]
    new = [problem.travel.index[name] for name in names]
    out, into = np.ix_(new, [*known, *new]), np.ix_(known, new)
    time_s, distance_m = problem.travel.time_s, problem.travel.distance_m
    return Ways(
        tuple(problem.travel.places[k] for k in new), time_s[out], distance_m[out], time_s[into], distance_m[into]
    )


def test_new_places_come_with_their_ways():
    whole = instance(requests=())
    near = [k for k, p in enumerate(whole.travel.places) if p.id not in ("far", "depot")]
    cut = np.ix_(near, near)
    travel = replace(
        whole.travel, places=tuple(whole.travel.places[k] for k in near), time_s=whole.travel.time_s[cut],
        distance_m=whole.travel.distance_m[cut],
    )  # fmt: skip
    problem = replace(whole, travel=travel)
    live, known = Live(problem, plan(problem)), Live(whole, plan(whole))
    trip = request("trip", ("depot", "hall"))
    with pytest.raises(InvalidModel, match="give ways for places that are not known yet"):
        live.add(trip)
    with pytest.raises(InvalidModel, match="new places of its stops only"):
        live.add(trip, ways(live, whole, "depot", "far"))
    given_ = ways(live, whole, "depot")
    with pytest.raises(InvalidModel, match="from_s must have 1 rows and 4 columns"):
        live.add(trip, replace(given_, from_s=given_.from_s[:, :3]))
    with pytest.raises(InvalidModel, match="to_m must lie between 0"):
        live.add(trip, replace(given_, to_m=given_.to_m - 10**8))
    with pytest.raises(InvalidModel, match="from a place to itself"):
        live.add(trip, replace(given_, from_m=given_.from_m + 1))
    assert live.plan().assignments == ()
    assert live.add(trip, given_) == known.add(trip)
    assert live.add(request("further", ("depot", "far"), 12.0), ways(live, whole, "far")).delta_fen > 0
    expect_sound(live, Params())
    order = [whole.travel.index[p.id] for p in live.places]
    assert (live.instance().travel.time_s == whole.travel.time_s[np.ix_(order, order)]).all()


def test_places_find_room_however_many_come():
    problem = instance(requests=(), vehicles=(vehicle(),), drivers=())
    live = Live(problem, plan(problem))
    for k in range(150):
        n = len(live.places)
        far = np.full((1, n + 1), 600 + k, dtype=np.int32)
        far[0, n] = 0
        into = far[:, :n].T.copy()
        live.add(
            request(f"r{k}", (f"p{k}", "hall"), 1.0 + k / 10), Ways((Place(f"p{k}", 30, 120),), far, far, into, into)
        )
    assert len(live.places) == len(problem.travel.places) + 150
    assert live.instance().travel.leg("p3", "p149") == (749, 749)
    assert live.instance().travel.leg("p149", "p3") == (749, 749)
    expect_sound(live, Params())


def test_too_many_passengers_find_no_suitable_vehicle():
    problem = instance(requests=(), drivers=())
    live = Live(problem, plan(problem))
    assert live.add(request("crowd", passengers=5, rentable=False)).reason == "no_suitable_vehicle"
    assert live.add(request("four", passengers=4, rentable=False)).reason is None


def test_a_request_is_rented_where_that_is_cheaper():
    problem = instance(requests=(), drivers=())
    live = Live(problem, plan(problem))
    assert live.add(request("cheap", rental_fen=1)).rented
    assert not live.add(request("dear", rental_fen=10**6)).rented
    assert live.plan().rented == ("cheap",)


def test_what_was_rented_one_by_one_is_served_together_once_that_is_worth_a_vehicle():
    figures = Params(day_fen={**Params().day_fen, "sedan": 12_000})
    problem = instance(requests=(), drivers=())
    live = Live(problem, plan(problem, params=figures), figures)
    assert live.add(request("first", start_h=9.0, rental_fen=9_000)).rented
    answer = live.add(request("second", ("hall", "office"), 10.0, rental_fen=9_000))
    assert {a.request_id for a in answer.assignments} == {"first", "second"}
    assert answer.delta_fen < 9_000
    assert live.plan().rented == ()
    expect_sound(live, figures)


def test_only_an_emergency_draws_on_the_reserve():
    span = Span(0, 24 * HOUR_S)
    problem = instance(requests=(), vehicles=(vehicle(),), drivers=(), reserves=(Reserve("yard", "sedan", span, 1),))
    live = Live(problem, plan(problem))
    assert live.add(request("routine", rentable=False)).reason == "reserve"
    assert live.add(request("urgent", priority=EMERGENCY)).assignments[0].vehicle_id == "sedan-1"


def test_an_emergency_takes_the_place_of_a_routine_journey():
    problem = instance(requests=(request("routine"),), vehicles=(vehicle(),), drivers=())
    live = Live(problem, plan(problem, served(problem, "routine", driver_id=None)))
    answer = live.add(request("urgent", priority=EMERGENCY, rentable=False))
    assert [a.request_id for a in answer.assignments] == ["urgent"]
    assert answer.moved == ("routine",)
    assert live.plan().rented == ("routine",)


def test_people_who_were_told_keep_their_vehicle_unless_moving_them_pays():
    """Two sedans meet at the hall; which of them goes on where is worth a kilometre's price."""
    requests = (request("a", ("office", "hall"), 8.0), request("b", ("hall", "office"), 10.0))
    vehicles = (vehicle(), vehicle("sedan-2"))
    for change_fen, moved in ((0, True), (10**6, False)):
        figures = Params(change_fen=change_fen)
        bare = instance(requests, vehicles, ())
        chosen = (served(bare, "a", driver_id=None), served(bare, "b", "sedan-2", None))
        problem = replace(bare, told=chosen)
        live = Live(problem, plan(problem, *chosen, params=figures), figures)
        assert bool(live.rematch(9 * HOUR_S).moved) == moved
        expect_sound(live, figures)


def sharing():
    """Return two requests and the ride they share."""
    willing = {"pooling": True, "duration_s": 0, "passengers": 1}
    requests = (request("a", ("office", "depot"), 8.0, **willing), request("b", ("hall", "depot"), 8.2, **willing))
    problem = instance(requests, (vehicle(),), ())
    ride = ride_of(Index(problem, Params()), ["a", "b"])
    assert ride is not None
    return problem, [
        replace(served(problem, name, driver_id=None), start_s=start_s, end_s=end_s, ride=ride.key)
        for name, (start_s, end_s) in zip(ride.request_ids, ride.spans, strict=True)
    ]


def test_a_ride_stays_together_and_those_left_by_a_cancelled_one_are_placed_anew():
    problem, together = sharing()
    live = Live(problem, plan(problem, *together))
    live.add(request("later", ("depot", "office"), 10.0))
    assert set(together) < set(live.plan().assignments)
    live.cancel("a")
    assert {a.request_id: a.ride for a in live.plan().assignments} == {"b": None, "later": None}
    expect_sound(live, Params())


def test_whoever_rides_with_somebody_locked_cannot_be_cancelled():
    problem, together = sharing()
    live = Live(problem, plan(problem, *together), locked=together[:1])
    with pytest.raises(InvalidModel, match="somebody in its ride, is begun or locked"):
        live.cancel(together[1].request_id)
    assert set(live.plan().assignments) == set(together)


def test_a_day_gets_back_what_was_taken_out_at_about_its_price():
    whole = day(120, seed=3)
    begin = solve(whole, params=PARAMS, stop=Until(time_limit_s=None, rounds=30))
    out = [a.request_id for a in begin.assignments][::10]
    rest = replace(whole, requests=tuple(r for r in whole.requests if r.id not in out))
    kept = replace(begin, assignments=tuple(a for a in begin.assignments if a.request_id not in out), bound_fen=None)
    live = Live(rest, priced(rest, kept, params=PARAMS), PARAMS)
    for r in whole.requests:
        if r.id in out:
            live.add(r)
    expect_sound(live, PARAMS)
    assert live.cost_fen <= 1.02 * begin.cost_fen
    assert {s.place for r in live.instance().requests for s in r.stops} <= {p.id for p in live.places}
    assert live.instance().requests[0].stops[0] == Stop("p0") or "r0000" in out
