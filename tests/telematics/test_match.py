from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.match import MatchParams, match, score, window
from telematics.model import Distance, Fix, MatchKind, OrderWindow, Place, Stop, Trip
from tests.telematics.driving import MORNING, at_metres

HOUR = timedelta(hours=1)
OFFICE, SITE = at_metres(0, 0), at_metres(10_000, 0)


def trip(start_h: float, end_h: float, *, start=OFFICE, end=SITE, stops=()) -> Trip:
    start_at, end_at = MORNING + start_h * HOUR, MORNING + end_h * HOUR
    return Trip(
        start_at,
        end_at,
        fixes=(Fix(start_at, *start), Fix(end_at, *end)),
        distance=Distance(10_000, None, None, 10_000, "gps", 100),
        coverage=1.0,
        max_speed_kmh=60,
        stops=tuple(Stop(start_at, end_at, *stop, 3) for stop in stops),
    )


def order(order_id: int, start_h: float, end_h: float, **more) -> OrderWindow:
    given_ = {"slip": f"slip {order_id}", "origin": Place(*OFFICE), "stops": (Place(*SITE),), "driver_id": 7}
    return OrderWindow(
        order_id=order_id, start_at=MORNING + start_h * HOUR, end_at=MORNING + end_h * HOUR, **given_ | more
    )


OUT = trip(1, 2)
FITTING = order(1, 1, 4, checked_out_at=MORNING + 0.9 * HOUR, returned_at=MORNING + 3.9 * HOUR)


def test_everything_right_scores_one():
    full = score(OUT, FITTING, driver_id=7)
    assert (full.time, full.dest, full.orig, full.driver, full.events) == (1, 1, 1, 1, 1)
    assert full.total == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "part", "value", "total"),
    [
        ({"driver_id": 8}, "driver", 0.0, 0.9),
        ({"driver_id": None}, "driver", 0.5, 0.95),
        ({"stops": ()}, "dest", 0.0, 0.7),
        ({"origin": None}, "orig", 0.0, 0.9),
        ({"checked_out_at": None}, "events", 0.5, 0.95),
        ({"checked_out_at": None, "returned_at": None}, "events", 0.0, 0.9),
        ({"checked_out_at": MORNING + 2.5 * HOUR}, "events", 0.5, 0.95),
        ({"returned_at": MORNING + 0.9 * HOUR}, "events", 0.5, 0.95),
        ({"returned_at": MORNING + 5 * HOUR}, "events", 0.5, 0.95),
    ],
)
def test_each_part_can_be_lost_by_itself(change, part, value, total):
    scored = score(OUT, replace(FITTING, **change), driver_id=7)
    assert getattr(scored, part) == value
    assert scored.total == pytest.approx(total)


@pytest.mark.parametrize(
    ("off_m", "tolerance_m", "dest"),
    [(200, 200, 1.0), (290, 300, 1.0), (600, 300, 0.5), (900, 300, 0.0), (2_000, 2_000, 1.0), (4_000, 2_000, 0.5)],
)
def test_a_destination_counts_by_the_precision_of_its_address(off_m, tolerance_m, dest):
    place = Place(*at_metres(10_000, off_m), tolerance_m=tolerance_m)
    assert score(OUT, order(1, 1, 4, stops=(place,))).dest == pytest.approx(dest, abs=0.01)


def test_a_stay_on_the_way_reaches_the_destination_too():
    round_trip = trip(1, 3, end=OFFICE, stops=[SITE])
    assert score(round_trip, FITTING).dest == 1
    assert score(trip(1, 3, end=OFFICE), FITTING).dest == 0


def test_the_window_is_half_an_hour_before_to_an_hour_after():
    assert window(FITTING) == (MORNING + 0.5 * HOUR, MORNING + 5 * HOUR)


def test_many_trips_may_belong_to_one_order():
    found = match([OUT, trip(3, 4, start=SITE, end=OFFICE)], [FITTING], trip_drivers={0: 7, 1: 7})
    assert [(one.trip_index, one.order_id, one.kind) for one in found] == [
        (0, 1, MatchKind.MATCHED),
        (1, 1, MatchKind.MATCHED),
    ]


def test_a_trip_belongs_to_one_order_only_the_best():
    elsewhere = order(2, 1, 4, stops=(Place(*at_metres(0, 9_000)),))
    (found,) = match([OUT], [elsewhere, FITTING])
    assert found.order_id == 1
    assert [order_id for order_id, _ in found.candidates] == [1, 2]
    assert found.margin == pytest.approx(found.candidates[0][1].total - found.candidates[1][1].total)
    assert found.kind is MatchKind.MATCHED


def test_two_orders_alike_are_ambiguous_and_the_lower_id_is_named():
    (found,) = match([OUT], [replace(FITTING, order_id=5, slip="other"), FITTING])
    assert (found.order_id, found.kind, found.margin) == (1, MatchKind.AMBIGUOUS, 0)


def test_orders_of_one_slip_share_the_trip_and_are_no_rivals():
    pooled = replace(FITTING, order_id=5)
    found = match([OUT], [pooled, FITTING])
    assert [(one.order_id, one.kind) for one in found] == [(1, MatchKind.MATCHED), (5, MatchKind.MATCHED)]
    assert all(one.margin > 0.9 for one in found)


def test_a_pooled_order_that_does_not_fit_is_left_out():
    found = match([OUT], [FITTING, replace(FITTING, order_id=5, stops=(), driver_id=8, start_at=FITTING.end_at)])
    assert [one.order_id for one in found] == [1]


@pytest.mark.parametrize(
    ("stops", "driver", "kind"),
    [
        ((Place(*SITE),), 8, MatchKind.MATCHED),
        ((), 7, MatchKind.MATCHED),
        ((), None, MatchKind.WEAK),
        ((), 8, MatchKind.WEAK),
    ],
)
def test_matched_from_sixty_weak_from_forty(stops, driver, kind):
    """0.40 for the time, 0.30 destination, 0.10 origin and driver: 0.80, 0.60, 0.55, 0.50."""
    (found,) = match([OUT], [order(1, 1, 4, stops=stops)], trip_drivers={0: driver})
    assert found.kind is kind
    assert found.order_id == 1


def test_below_forty_it_is_unmatched_but_the_candidate_stays_visible():
    """A tenth of the trip inside, nothing else right."""
    (found,) = match([trip(4.9, 5.9)], [order(1, 1, 4, stops=(), origin=None)], trip_drivers={0: 9})
    assert (found.order_id, found.kind) == (None, MatchKind.UNMATCHED)
    assert found.score.total == pytest.approx(0.04)
    assert found.candidates[0][0] == 1


@pytest.mark.parametrize("start_h", [5.0, -3.0])
def test_a_trip_outside_the_window_is_no_candidate(start_h):
    (found,) = match([trip(start_h, start_h + 1)], [FITTING])
    assert (found.order_id, found.kind, found.candidates, found.score) == (None, MatchKind.UNMATCHED, (), None)


def test_a_trip_over_both_edges_is_split_and_only_the_inside_matched():
    before, inside, after = match([trip(0, 6)], [FITTING], trip_drivers={0: 7})
    assert [one.order_id for one in (before, inside, after)] == [None, 1, None]
    assert (before.start_at, before.end_at) == (MORNING, MORNING + 0.5 * HOUR)
    assert (inside.start_at, inside.end_at) == (MORNING + 0.5 * HOUR, MORNING + 5 * HOUR)
    assert (after.start_at, after.end_at) == (MORNING + 5 * HOUR, MORNING + 6 * HOUR)
    assert {before.kind, after.kind} == {MatchKind.UNMATCHED}
    assert inside.score.time == pytest.approx(4.5 / 6)


def test_no_trips_or_no_orders():
    assert match([], [FITTING]) == []
    assert [one.kind for one in match([OUT], [])] == [MatchKind.UNMATCHED]


def test_the_same_order_twice_is_a_mistake():
    with pytest.raises(ValueError, match="once"):
        match([OUT], [FITTING, FITTING])


def test_a_trip_without_fixes_or_length_can_still_be_scored():
    bare = replace(OUT, fixes=(), end_at=OUT.start_at)
    assert score(bare, FITTING).time == 1
    assert score(bare, FITTING).dest == 0


hours = st.integers(0, 20).map(lambda half: half / 2)
orders_drawn = st.lists(
    st.tuples(hours, st.integers(1, 8), st.sampled_from(["a", "b", "c"]), st.sampled_from([7, 8, None])), max_size=5
).map(
    lambda rows: [
        order(k, start, start + length / 2, slip=slip, driver_id=driver)
        for k, (start, length, slip, driver) in enumerate(rows)
    ]
)
trips_drawn = st.lists(st.tuples(hours, st.integers(1, 6)), max_size=4).map(
    lambda rows: [trip(start, start + length / 4) for start, length in sorted(rows)]
)


@given(trips_drawn, orders_drawn, st.randoms())
@settings(max_examples=60)
def test_parts_cover_each_trip_and_the_order_of_orders_does_not_matter(trips, orders, rng):
    found = match(trips, orders)
    shuffled = orders[:]
    rng.shuffle(shuffled)
    assert match(trips, shuffled) == found
    slips = {one.order_id: one.slip for one in orders}
    for index, driven in enumerate(trips):
        parts = [one for one in found if one.trip_index == index]
        assert len({slips[one.order_id] for one in parts if one.order_id is not None}) <= 1
        assert min(one.start_at for one in parts) == driven.start_at
        reached = driven.start_at
        for one in parts:
            assert one.start_at <= reached
            assert one.start_at < one.end_at
            reached = max(reached, one.end_at)
        assert reached == driven.end_at
        best = max((score(driven, one).total for one in orders if score(driven, one).time > 0), default=0)
        assert all(one.score.total <= best + 1e-12 for one in parts if one.score)
        assert any(one.order_id is not None for one in parts) == (best >= 0.4 - 1e-9)


@given(trips_drawn, orders_drawn)
@settings(max_examples=60, deadline=None)
def test_the_total_is_that_of_the_best_of_all_assignments(trips, orders):
    """Every way to give each trip one slip or none is tried: no constraint links two trips, and none does better."""
    weight = {
        (index, slip): max(
            score(driven, one).total for one in orders if one.slip == slip and score(driven, one).time > 0
        )
        for index, driven in enumerate(trips)
        for slip in {one.slip for one in orders if score(driven, one).time > 0}
    }
    weight = {pair: total for pair, total in weight.items() if total >= 0.4 - 1e-9}
    choices = [[None, *(slip for other, slip in weight if other == index)] for index in range(len(trips))]
    best = max(sum(weight.get((index, slip), 0.0) for index, slip in enumerate(chosen)) for chosen in product(*choices))
    given_ = {}
    for part in match(trips, orders):
        if part.order_id is not None:
            given_[part.trip_index] = max(given_.get(part.trip_index, 0.0), part.score.total)
    assert sum(given_.values()) == pytest.approx(best)


@pytest.mark.parametrize(
    "bad",
    [{"weight_time": 0.5}, {"weight_dest": -0.3}, {"weak": 0.7}, {"matched": 1.2}, {"fade": 1.0}, {"before_s": -1}],
)
def test_senseless_parameters_are_refused(bad):
    with pytest.raises(ValueError, match="MatchParams"):
        MatchParams(**bad)
