"""Rules of starts, bound drivers, rest between duties and shared rides; what lending, changes and bands cost."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch import Assignment, Cost, Lending, Params, Plan, Span, check, plan_cost
from dispatch.check import priced
from dispatch.model import Band, Pace
from dispatch.ride import obstacle, ride_of
from dispatch.route import Index
from tests.dispatch import anyday
from tests.dispatch.instances import HOUR_S, changed, driver, instance, line, plan, request, served, usual, vehicle
from tests.dispatch.test_pool import shared, two

MINUTE_S = 60
NINE_S = 9 * HOUR_S


def codes(problem, made, **given):
    return sorted({v.code for v in check(problem, made, **given)})


# ---- starts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late_s", "found"),
    [(0, []), (300, []), (299, ["start_grid"]), (900, []), (1_000, []), (1_001, ["start_window"])],
)
def test_start_lies_whole_steps_after_the_earliest_or_at_the_latest(late_s, found):
    problem = instance([request(latest_s=NINE_S + 1_000)])
    made = plan(problem, served(problem, "morning", start_s=NINE_S + late_s))
    assert codes(problem, made) == found
    other = replace(problem, start_step_s=600)
    assert codes(other, made) == (["start_grid"] if late_s in {299, 300, 900} else found)


def test_what_is_locked_or_told_may_start_off_the_grid():
    problem = instance([request(latest_s=NINE_S + 1_000)])
    kept = served(problem, "morning", start_s=NINE_S + 7)
    made = plan(problem, kept)
    assert codes(problem, made) == ["start_grid"]
    assert codes(problem, made, locked=[kept]) == []
    assert codes(replace(problem, told=(kept,)), made) == []


def test_request_takes_longer_at_a_slow_start():
    slow = replace(line(), paces=(Pace(Span(NINE_S, NINE_S + 1), 2_000),))
    problem = instance([request(duration_s=0)], travel=slow)
    for length_s, found in ((1_200, []), (1_199, ["too_short"])):
        made = plan(problem, Assignment("morning", "sedan-1", "driver-1", NINE_S, NINE_S + length_s))
        assert codes(problem, made) == found
    assert codes(replace(problem, travel=line()), made) == []


# ---- drivers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bindings", "found"),
    [
        ({}, []),
        ({"sedan-1": "driver-1"}, []),
        ({"sedan-1": "driver-2"}, ["driver_bound"]),
        ({"sedan-2": "driver-2"}, []),
        ({"sedan-2": "driver-1"}, ["driver_bound"]),
    ],
)
def test_bound_driver_and_vehicle_are_only_for_each_other(bindings, found):
    problem = instance()
    for name, own in bindings.items():
        problem = changed(problem, name, driver_id=own)
    assert codes(problem, usual(problem)) == found


def duties(first_end_h=11, second_start_h=18):
    """Make a driver with a morning and an evening duty, and a trip in each: back at 9:50, out again at 18:45."""
    spans = (Span(0, first_end_h * HOUR_S), Span(second_start_h * HOUR_S, 24 * HOUR_S))
    problem = instance([request(), request("evening", start_h=19.0)], drivers=[driver(on_duty=spans)])
    return problem, usual(problem)


def test_rest_between_duties_is_kept():
    problem, made = duties()
    # Back 9:30 + 5 + 15 min, out again at 19:00 - 5 - 5 min.
    gap_s = 10 * HOUR_S - 1_800 - 300 - 900 - 600
    assert codes(problem, made, params=Params(between_shifts_s=gap_s)) == []
    assert codes(problem, made, params=Params(between_shifts_s=gap_s + 1)) == ["driver_between"]
    one = changed(problem, "driver-1", on_duty=(Span(0, 24 * HOUR_S),), shift_max_s=80_000)
    assert codes(one, made, params=Params(between_shifts_s=gap_s + 1)) == []


def test_rest_counts_from_the_end_of_the_duty_before_the_plan():
    problem = instance()
    for off_s, found in ((31_800 - HOUR_S, []), (31_801 - HOUR_S, ["driver_between"])):
        rested = changed(problem, "driver-1", off_since_s=off_s)
        assert codes(rested, usual(rested), params=Params(between_shifts_s=HOUR_S)) == found


def test_every_duty_has_its_own_longest_shift():
    problem, made = duties()
    assert codes(changed(problem, "driver-1", shift_max_s=3_600), made) == []
    assert codes(changed(problem, "driver-1", shift_max_s=3_599), made) == ["driver_shift"]


def test_driving_of_a_whole_day_is_cut_by_rest_only():
    """Two duties without a pause between them are one run of driving."""
    trip = {"route": ("office", "depot", "office"), "duration_s": 0}
    spans = (Span(0, 10 * HOUR_S + 15 * 60), Span(10 * HOUR_S + 16 * 60, 20 * HOUR_S))
    problem = instance(
        [request(**trip), request("again", start_h=10 + 25 / 60, **trip)],
        [vehicle(), vehicle("sedan-2")], [driver(on_duty=spans)], before_s=0, after_s=0,
    )  # fmt: skip
    made = plan(problem, served(problem, "morning"), served(problem, "again", "sedan-2"))
    assert codes(problem, made, params=Params(drive_max_s=2 * 4_800)) == []
    assert codes(problem, made, params=Params(drive_max_s=2 * 4_800 - 1)) == ["driver_rest"]


# ---- shared rides ---------------------------------------------------------------------------------------------------


def pair(problem, vehicle_id="sedan-1", names=("morning", "other"), **values):
    ride = ride_of(Index(problem, Params()), names)
    return [
        replace(Assignment(r, vehicle_id, "driver-1", a, b, ride.key), **values)
        for r, (a, b) in zip(ride.request_ids, ride.spans, strict=True)
    ]


def test_canonical_ride_passes():
    problem = two()
    assert codes(problem, plan(problem, *pair(problem))) == []
    assert codes(problem, plan(problem, *pair(problem, "van-1"))) == []


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ({}, []),
        ({"ride": "another name"}, ["ride_split"]),
        ({"ride": None}, ["ride_split", "start_window", "vehicle_overlap"]),
        ({"vehicle_id": "van-1", "driver_id": "driver-2"}, ["ride_split"]),
        ({"driver_id": "driver-2"}, ["driver_change", "ride_split"]),
        ({"end_s": 40_000}, ["ride_times"]),
        ({"start_s": 32_521}, ["ride_times"]),
    ],
)
def test_members_share_vehicle_driver_and_the_times_of_the_ride(values, found):
    problem = two()
    first, second = pair(problem)
    made = plan(problem, first, replace(second, **values))
    # Of what follows from a broken ride only the ride's own code is asked.
    assert [c for c in codes(problem, made) if c in found] == found
    assert bool(codes(problem, made)) == bool(found)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"pooling": False}, "consent"),
        ({"secret": True}, "consent"),
        ({"priority": 4}, "consent"),
        ({"duration_s": 3 * HOUR_S}, "consent"),
        ({"purpose": "training"}, "purpose"),
        ({"earliest_s": 11 * HOUR_S, "latest_s": 11 * HOUR_S}, "way"),
    ],
)
def test_what_may_not_ride_together_is_refused_with_the_reason(values, why):
    problem = two()
    made = plan(problem, *pair(problem))
    apart = changed(problem, "other", **values)
    [found] = [v for v in check(apart, priced(apart, made)) if v.code == "ride_members"]
    assert found.detail == {"ride": "ride-morning+other", "why": why}


def test_classes_and_number_of_members_are_obstacles():
    problem = changed(two(), "other", vehicle_class="pickup")
    assert obstacle(Index(problem, Params()), ["morning", "other"]) == "vehicle_class"
    assert obstacle(Index(two(), Params(pool_most=1)), ["morning", "other"]) == "members"
    assert obstacle(Index(two(), Params()), ["morning", "other"]) is None


def test_seats_are_counted_at_the_fullest_moment():
    for seats, found in ((4, []), (3, ["seats"])):
        problem = changed(two(), "sedan-1", seats=seats)
        assert codes(problem, plan(problem, *pair(problem))) == found
    # One after the other: the second is picked up where the first, then the third is set down.
    relay = instance(
        [
            shared("a", ("office", "hall"), 9.0, passengers=2),
            shared("b", ("office", "depot"), 9.0, passengers=1),
            shared("c", ("hall", "depot"), 9.25, passengers=2),
        ]
    )
    ride = ride_of(Index(relay, Params()), ["a", "b", "c"])
    assert (ride.calls, ride.passengers) == (("a", "b", "a", "c", "b", "c"), 3)
    for seats, found in ((3, []), (2, ["seats"])):
        problem = changed(relay, "sedan-1", seats=seats)
        assert codes(problem, plan(problem, *pair(problem, names=("a", "b", "c")))) == found


def test_locked_ride_may_be_late_but_not_too_full():
    problem = two()
    late = [replace(a, start_s=a.start_s + 600, end_s=a.end_s + 700) for a in pair(problem)]
    assert codes(problem, plan(problem, *late)) == ["ride_times"]
    assert codes(problem, plan(problem, *late), locked=late) == []
    full = changed(problem, "sedan-1", seats=3)
    assert codes(full, plan(full, *late), locked=late) == ["seats"]


# ---- cost -----------------------------------------------------------------------------------------------------------


def test_ride_costs_its_metres_once_and_the_highest_class_wanted():
    problem = changed(two(), "other", vehicle_class="suv")
    made = plan(problem, *pair(problem, "van-1"))
    cost = plan_cost(Index(problem, Params()), made)
    assert (cost.empty_km_fen, cost.loaded_km_fen, cost.upgrade_fen) == (45 * 190, 35 * 190, 35 * 30)
    suv = changed(problem, "van-1", vehicle_class="suv")
    assert plan_cost(Index(suv, Params()), made).upgrade_fen == 0


def test_every_request_of_another_organisation_is_lent():
    problem = replace(two(), lending=(Lending("city", "*"),))
    for owner, times in (("city", 0), ("county", 1)):
        lent = changed(problem, "other", owner_org=owner)
        cost = plan_cost(Index(lent, Params(lent_fen=700)), plan(lent, *pair(lent)))
        assert cost.lent_fen == times * 700


@pytest.mark.parametrize(
    ("values", "times"),
    [
        ({}, 0),
        ({"end_s": NINE_S + 3_600}, 0),
        ({"vehicle_id": "sedan-2"}, 1),
        ({"driver_id": "driver-2"}, 1),
        ({"start_s": NINE_S + 1}, 1),
    ],
)
def test_change_of_vehicle_driver_or_start_that_people_were_told_costs(values, times):
    problem = instance([request()])
    told = served(problem, "morning")
    problem = replace(problem, told=(told,))
    made = Plan((replace(told, **values),), {}, (), 0)
    assert plan_cost(Index(problem, Params(change_fen=900)), made).change_fen == times * 900


def test_leaving_out_what_people_were_told_costs():
    problem = instance([request()])
    problem = replace(problem, told=(served(problem, "morning"),))
    for made in (plan(problem, rented=["morning"]), plan(problem, unassigned={"morning": "reserve"})):
        assert plan_cost(Index(problem, Params(change_fen=900)), made).change_fen == 900


@pytest.mark.parametrize(
    ("low", "high", "units"), [(0, 10_000, 0), (0, 9_999, 1), (10_000, 10**6, 0), (10_007, 10**6, 7)]
)
def test_band_of_lent_metres_costs_every_unit_outside(low, high, units):
    band = Band("city", "lent_m", low, high, 3)
    problem = instance(
        [request(owner_org="county"), request("own", start_h=12.0)], lending=(Lending("city", "*"),), bands=(band,)
    )
    assert plan_cost(Index(problem, Params()), usual(problem)).band_fen == 3 * units
    other = replace(problem, bands=(replace(band, org="county", low=0, high=0),))
    assert plan_cost(Index(other, Params()), usual(other)).band_fen == 0


def test_band_of_rented_requests_counts_those_without_own_vehicle():
    requests = [request(f"r{k}", owner_org=org) for k, org in enumerate(("city", "city", "city", "county"))]
    problem = instance(requests, bands=(Band("city", "rented", 1, 1, 50),))
    made = Plan((), {"r1": "reserve", "r3": "reserve"}, ("r0",), 0)
    assert plan_cost(Index(problem, Params()), made).band_fen == 50
    assert plan_cost(Index(problem, Params()), replace(made, rented=())).band_fen == 0
    assert plan_cost(Index(problem, Params()), replace(made, unassigned={}, rented=())).band_fen == 50


def test_all_kinds_of_cost_add_up():
    kinds = [getattr(Cost(*range(1, 11)), name) for name in Cost.__slots__]
    assert Cost(*range(1, 11)).total_fen == sum(kinds) == 55


@settings(max_examples=100, deadline=None)
@given(anyday.instances(), anyday.params, st.data())
def test_any_plan_is_judged_without_failing(problem, figures, data):
    """Ids, times, rides at random: there are violations, and no exception."""
    names = [r.id for r in problem.requests] + ["ghost"]
    cars = [v.id for v in problem.vehicles] + ["no-car"]
    crew = [d.id for d in problem.drivers] + [None]
    anything = st.builds(
        lambda r, v, d, start_s, length_s, ride: Assignment(r, v, d, start_s, start_s + length_s, ride),
        st.sampled_from(names), st.sampled_from(cars), st.sampled_from(crew), st.integers(0, 86_400),
        st.integers(0, 9_000), st.sampled_from([None, None, "a", "b"]),
    )  # fmt: skip
    assignments = tuple(data.draw(st.lists(anything, max_size=8)))
    found = check(problem, Plan(assignments, {}, (), 0), params=figures)
    if any(a.vehicle_id == "no-car" for a in assignments):
        assert "unknown_vehicle" in {v.code for v in found}
    if any(assignments.count(a) > 1 for a in assignments if a.request_id != "ghost"):
        assert "request_twice" in {v.code for v in found}
