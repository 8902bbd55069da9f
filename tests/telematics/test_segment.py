from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.geo import haversine_m
from telematics.model import Fix, Place, Rejection, Segmentation
from telematics.motion import SegmentParams, outside_places
from telematics.segment import segment
from tests.telematics.driving import MORNING, Second, at_metres, drive, park, reported, streets

OUT = [(0.0, 0.0), (1500.0, 0.0), (1500.0, 2500.0), (4000.0, 2500.0)]
BACK = OUT[::-1]
OUT_M = BACK_M = 6500.0
MINUTE = 60


def parked_at(corner, at: datetime, duration_s: int, along_m: float = 0.0) -> list[Second]:
    since = Second(at, *corner, 0.0, along_m)
    return [since, *park(since, duration_s)]


def day(pause_s: int) -> list[Second]:
    """Twenty minutes at home, out, a pause, back, twenty minutes at home."""
    seconds = parked_at(OUT[0], MORNING, 20 * MINUTE)
    seconds += drive(OUT, start_at=seconds[-1].at)[1:]
    seconds += park(seconds[-1], pause_s)
    seconds += drive(BACK, start_at=seconds[-1].at, along_m=seconds[-1].along_m)[1:]
    return seconds + park(seconds[-1], 20 * MINUTE)


def departure(seconds: list[Second]) -> datetime:
    return next(second.at for second in seconds if second.speed_kmh > 0)


def arrival(seconds: list[Second]) -> datetime:
    return next(second.at for second in reversed(seconds) if second.speed_kmh > 0)


def seconds_between(one: datetime, other: datetime) -> float:
    return abs((one - other).total_seconds())


@pytest.mark.parametrize("every_s", [1, 5, 15, 30, 60])
@pytest.mark.parametrize("speeds", [True, False])
def test_a_long_pause_cuts_the_day_into_two_trips(every_s, speeds):
    seconds = day(pause_s=30 * MINUTE)
    result = segment(reported(seconds, every_s=every_s, speeds=speeds))
    assert len(result.trips) == 2
    assert len(result.stops) == 3
    assert not result.gaps
    assert not result.rejected
    out, back = result.trips
    for trip in (out, back):
        assert trip.distance.best_m == pytest.approx(OUT_M, rel=0.04)
        assert 0.9 < trip.coverage <= 1
        assert 45 <= trip.max_speed_kmh <= 75
        assert trip.stops == ()
    assert seconds_between(out.start_at, departure(seconds)) <= 2 * every_s + 15
    assert seconds_between(back.end_at, arrival(seconds)) <= 2 * every_s + 15
    assert all(one.end_at <= other.start_at for one, other in pairwise(result.stops))


@pytest.mark.parametrize("pause_s", [6 * MINUTE, 12 * MINUTE])
def test_a_short_pause_stays_in_the_trip_as_a_stop(pause_s):
    (trip,) = segment(reported(day(pause_s))).trips
    assert trip.distance.best_m == pytest.approx(OUT_M + BACK_M, rel=0.03)
    (stop,) = trip.stops
    assert seconds_between(stop.start_at, stop.end_at) == pytest.approx(pause_s, abs=45)
    assert float(haversine_m(stop.lat, stop.lon, *at_metres(*OUT[-1]))) < 10


def test_pauses_of_two_minutes_are_neither_stops_nor_cuts():
    result = segment(reported(day(2 * MINUTE)))
    assert [trip.stops for trip in result.trips] == [()]
    assert len(result.stops) == 2


@pytest.mark.parametrize("every_s", [1, 15, 60, 300])
@pytest.mark.parametrize(("noise_m", "speeds"), [(5, True), (15, False), (30, True)])
def test_a_night_of_jitter_is_one_stop_and_no_trip(every_s, noise_m, speeds):
    hours = 2 if every_s == 1 else 10
    night = reported(parked_at(OUT[0], MORNING, hours * 3600), every_s=every_s, noise_m=noise_m, speeds=speeds)
    result = segment(night)
    assert result.trips == ()
    assert len(result.stops) == 1
    assert result.stops[0].end_at - result.stops[0].start_at > timedelta(hours=hours - 0.25)


@pytest.mark.parametrize(("every_s", "noise_m"), [(15, 5), (15, 10), (60, 5), (60, 10)])
def test_a_receiver_that_drifts_at_walking_pace_makes_no_trip_and_does_not_prolong_one(every_s, noise_m):
    """Parked for ten hours after a drive, with positions and speeds of up to 2 km/h that are nothing but noise."""
    seconds = drive(OUT, start_at=MORNING)
    fixes = reported(seconds + park(seconds[-1], 10 * 3600), every_s=every_s, noise_m=noise_m)
    drifting = [
        replace(fix, acc=None, speed_kmh=float(k % 3)) if fix.at > seconds[-1].at else fix
        for k, fix in enumerate(fixes)
    ]
    result = segment(drifting)
    (trip,) = result.trips
    assert seconds_between(trip.end_at, arrival(seconds)) <= 2 * every_s + 15
    assert len(result.stops) == 1


def test_one_stay_seen_in_pieces_is_one_stop():
    """Half-way through the night the receiver drifts out and back at 4 km/h by its own account."""
    night = reported(parked_at(OUT[0], MORNING, 4 * 3600), every_s=60, noise_m=3)
    lat, lon = at_metres(0, 60)
    night[120] = replace(night[120], lat=lat, lon=lon, speed_kmh=4.0)
    result = segment(night)
    assert result.trips == ()
    assert [(stop.start_at, stop.end_at) for stop in result.stops] == [(night[0].at, night[-1].at)]


def test_a_parked_terminal_may_report_every_five_minutes_or_not_at_all():
    seconds = day(pause_s=2 * 3600)
    every_five = segment(reported(seconds, parked_every_s=300))
    silent = segment([fix for fix in reported(seconds) if fix.acc or fix.at in {MORNING, seconds[-1].at}])
    for result in (every_five, silent):
        assert len(result.trips) == 2
        assert not result.gaps
        assert sum(trip.distance.best_m for trip in result.trips) == pytest.approx(OUT_M + BACK_M, rel=0.06)
        assert any(stop.end_at - stop.start_at > timedelta(minutes=110) for stop in result.stops)


def test_one_second_ignition_flickers_change_nothing():
    fixes = reported(day(pause_s=30 * MINUTE), every_s=5)
    flickering = [replace(fix, acc=not fix.acc) if k % 7 == 0 else fix for k, fix in enumerate(fixes)]
    plain, flickered = segment(fixes), segment(flickering)
    assert len(flickered.trips) == 2
    assert [(trip.start_at, trip.end_at) for trip in flickered.trips] == [
        (trip.start_at, trip.end_at) for trip in plain.trips
    ]


def test_the_trip_does_not_begin_with_the_engine_but_with_the_wheels():
    seconds = day(pause_s=30 * MINUTE)
    warmed_up = [
        replace(fix, acc=True) if fix.at > departure(seconds) - timedelta(minutes=8) else fix
        for fix in reported(seconds)
    ]
    assert segment(warmed_up).trips[0].start_at >= departure(seconds) - timedelta(seconds=30)


def test_a_basement_is_a_stop_although_the_last_fix_was_moving():
    """No reception in the car park: the last fix still drives, the next one comes nine hours later at the exit."""
    into = reported(drive(OUT, start_at=MORNING))[:-2]
    assert into[-1].speed_kmh > 5
    out_of = reported(drive(BACK, start_at=into[-1].at + timedelta(hours=9)))[2:]
    result = segment(into + out_of)
    assert len(result.trips) == 2
    assert not result.gaps
    (stop,) = result.stops
    assert (stop.start_at, stop.end_at) == (into[-1].at, out_of[0].at)
    assert result.trips[0].end_at == stop.start_at
    assert result.trips[1].start_at == stop.end_at


def test_a_basement_visit_during_which_the_odometer_ran_on_is_a_gap():
    """Found again where it fell silent, but 30 km older: not parked."""
    into = reported(drive(OUT, start_at=MORNING), odometer_start_m=0)
    out_of = reported(drive(BACK, start_at=into[-1].at + timedelta(hours=2)), odometer_start_m=36_000)
    (gap,) = segment(into + out_of).gaps
    assert gap.chord_m < 300


def test_silence_while_moving_is_a_gap_and_its_chord_no_distance():
    seconds = drive([(0.0, 0.0), (40_000.0, 0.0)], start_at=MORNING)
    lost = [MORNING + timedelta(minutes=10), MORNING + timedelta(minutes=25)]
    fixes = [fix for fix in reported(seconds) if not lost[0] <= fix.at < lost[1]]
    result = segment(fixes)
    (gap,) = result.gaps
    assert gap.moving_before
    assert (gap.start_at, gap.end_at) == (lost[0] - timedelta(seconds=15), lost[1])
    assert gap.chord_m == pytest.approx(12_708, rel=0.01)
    before, after = result.trips
    assert (before.gaps, after.gaps) == ((gap,), (gap,))
    assert (before.end_at, after.start_at) == (gap.start_at, gap.end_at)
    driven = before.distance.gps_m + after.distance.gps_m
    assert driven + gap.chord_m == pytest.approx(40_000, rel=0.01)


def test_a_silence_of_ten_minutes_is_not_yet_a_gap():
    seconds = drive([(0.0, 0.0), (20_000.0, 0.0)], start_at=MORNING)
    lost = [MORNING + timedelta(minutes=5), MORNING + timedelta(minutes=14, seconds=45)]
    result = segment([fix for fix in reported(seconds) if not lost[0] <= fix.at < lost[1]])
    (trip,) = result.trips
    assert not result.gaps
    assert trip.distance.gps_m == pytest.approx(20_000, rel=0.01)
    assert trip.coverage < 0.7


def test_a_parked_vehicle_found_elsewhere_leaves_a_gap_that_did_not_start_moving():
    parked = reported(parked_at(OUT[0], MORNING, 20 * MINUTE))
    elsewhere = reported(parked_at(OUT[-1], parked[-1].at + timedelta(hours=3), 20 * MINUTE))
    result = segment(parked + elsewhere)
    (gap,) = result.gaps
    assert not gap.moving_before
    assert not result.trips
    assert len(result.stops) == 2


def test_without_reported_speed_the_way_to_the_last_fix_says_whether_it_moved():
    seconds = drive([(0.0, 0.0), (40_000.0, 0.0)], start_at=MORNING)
    lost = [MORNING + timedelta(minutes=10), MORNING + timedelta(minutes=25)]
    result = segment([fix for fix in reported(seconds, speeds=False) if not lost[0] <= fix.at < lost[1]])
    assert [gap.moving_before for gap in result.gaps] == [True]
    assert result.trips[0].max_speed_kmh == pytest.approx(50, abs=5)


def test_a_jump_that_persists_is_a_gap_not_a_ride():
    here = reported(parked_at(OUT[0], MORNING, 20 * MINUTE))
    there = [replace(fix, lat=fix.lat + 1, at=fix.at + timedelta(seconds=20 * MINUTE + 15)) for fix in here]
    result = segment(here + there)
    assert [round(gap.chord_m, -3) for gap in result.gaps] == [111_000]
    assert not result.trips


def test_spikes_make_no_kilometres_and_are_listed():
    fixes = reported(day(pause_s=30 * MINUTE))
    spiked = [replace(fix, lat=fix.lat + 0.5) if k % 40 == 20 else fix for k, fix in enumerate(fixes)]
    clean, dirty = segment(fixes), segment(spiked)
    assert {one.reason for one in dirty.rejected} == {Rejection.JUMP}
    assert len(dirty.rejected) == len(range(20, len(fixes), 40))
    assert len(dirty.trips) == 2
    for one, other in zip(clean.trips, dirty.trips, strict=True):
        assert other.distance.gps_m == pytest.approx(one.distance.gps_m, rel=0.02)


@pytest.mark.parametrize(("way_m", "trips"), [(60, 0), (150, 0), (400, 1)])
def test_moving_the_car_in_the_yard_is_no_trip(way_m, trips):
    seconds = parked_at((0.0, 0.0), MORNING, 20 * MINUTE)
    seconds += drive([(0.0, 0.0), (float(way_m), 0.0)], start_at=seconds[-1].at, cruise_kmh=20)[1:]
    seconds += park(seconds[-1], 20 * MINUTE)
    assert len(segment(reported(seconds)).trips) == trips


def test_a_queue_that_creeps_is_movement_if_the_speed_says_so():
    """Half an hour below the pace that displacement alone would have to show."""
    rows = [Fix(MORNING + timedelta(minutes=k), *at_metres(45.0 * k, 0.0), speed_kmh=3.0, acc=True) for k in range(31)]
    (trip,) = segment(rows).trips
    assert trip.distance.gps_m == pytest.approx(1350, rel=0.01)


def test_a_vehicle_towed_with_the_ignition_off_still_moves():
    towed = [replace(fix, acc=False, speed_kmh=None) for fix in reported(day(pause_s=30 * MINUTE))]
    assert len(segment(towed).trips) == 2


def test_a_speed_sensor_stuck_at_zero_does_not_hide_a_trip():
    stuck = [replace(fix, speed_kmh=0.0) for fix in reported(day(pause_s=30 * MINUTE))]
    assert [round(trip.distance.best_m / 1000, 1) for trip in segment(stuck).trips] == [6.4, 6.4]


def test_a_ride_between_two_heartbeats_is_a_trip():
    """Five minutes between reports: both ends stand still, two kilometres apart."""
    here = reported(parked_at((0.0, 0.0), MORNING, 30 * MINUTE), every_s=300)
    there = reported(parked_at((2000.0, 0.0), here[-1].at + timedelta(minutes=5), 30 * MINUTE), every_s=300)
    (trip,) = segment(here + there).trips
    assert (trip.start_at, trip.end_at) == (here[-1].at, there[0].at)
    assert trip.distance.gps_m == pytest.approx(2000, rel=0.02)


# -- order boundaries and designated places


def test_an_order_boundary_cuts_the_movement_and_loses_nothing():
    fixes = reported(day(pause_s=30 * MINUTE))
    (out, back) = segment(fixes).trips
    edge = out.start_at + timedelta(minutes=4, seconds=7)
    first, second, third = segment(fixes, boundaries=[edge]).trips
    assert (first.start_at, first.end_at, second.start_at, second.end_at) == (out.start_at, edge, edge, out.end_at)
    assert first.distance.gps_m + second.distance.gps_m == pytest.approx(out.distance.gps_m, rel=0.01)
    assert third == back


def test_a_boundary_in_a_stop_cuts_at_the_stop():
    fixes = reported(day(pause_s=10 * MINUTE))
    (whole,) = segment(fixes).trips
    (stop,) = whole.stops
    out, back = segment(fixes, boundaries=[stop.start_at + timedelta(minutes=5)]).trips
    assert out.end_at <= stop.start_at
    assert back.start_at >= stop.end_at
    assert out.distance.gps_m + back.distance.gps_m == pytest.approx(whole.distance.gps_m, rel=0.01)


def test_a_boundary_that_would_leave_a_sliver_does_not_cut():
    fixes = reported(day(pause_s=30 * MINUTE))
    (out, _) = segment(fixes).trips
    edges = [out.end_at - timedelta(seconds=20), out.start_at - timedelta(hours=1), out.start_at]
    assert segment(fixes, boundaries=edges) == segment(fixes)


def test_a_return_to_the_designated_place_ends_the_trip():
    """A pause of six minutes would not cut anywhere else; driving past the gate does not cut either."""
    fixes = reported(day(pause_s=6 * MINUTE))
    base = Place(*at_metres(*OUT[-1]), tolerance_m=60)
    gate = Place(*at_metres(1500.0, 1200.0), tolerance_m=60)
    assert len(segment(fixes).trips) == 1
    assert len(segment(fixes, places=outside_places([gate])).trips) == 1
    out, back = segment(fixes, places=outside_places([gate, base])).trips
    assert out.end_at < back.start_at
    assert out.distance.gps_m == pytest.approx(OUT_M - 110, abs=150)


def test_a_gap_ends_the_visit_to_a_designated_place():
    base = outside_places([Place(*at_metres(0.0, 0.0), tolerance_m=100)])
    here = reported(parked_at((0.0, 0.0), MORNING, 20 * MINUTE), odometer_start_m=0)
    later = reported(parked_at((0.0, 0.0), MORNING + timedelta(hours=5), 20 * MINUTE), odometer_start_m=90_000)
    result = segment(here + later, places=base)
    assert len(result.gaps) == 1
    assert not result.trips


# -- what must always hold

MIXED = reported(day(pause_s=7 * MINUTE), every_s=30, odometer_start_m=10_000)
MIXED[40] = replace(MIXED[40], lat=MIXED[40].lat + 0.4)
MIXED[60] = replace(MIXED[60], lat=0.0, lon=0.0)
MIXED[70] = replace(MIXED[70], fixed=False)
EXPECTED = segment(MIXED)


@given(st.permutations(range(len(MIXED))), st.lists(st.integers(0, len(MIXED) - 1), max_size=40))
@settings(max_examples=25, deadline=None)
def test_any_order_and_any_number_of_copies_give_the_identical_result(order, copies):
    assert segment([MIXED[k] for k in [*order, *copies]]) == EXPECTED


@given(st.integers(0, 999), st.sampled_from([5, 15, 30, 60]), st.integers(0, 1800), st.booleans())
@settings(max_examples=20, deadline=None)
def test_trips_stops_and_gaps_never_overlap_and_account_for_every_fix(seed, every_s, pause_s, speeds):
    first = drive(streets(seed, 6), start_at=MORNING, light_s=[pause_s % 100, pause_s])
    second = park(first[-1], pause_s)
    fixes = reported(first + second, every_s=every_s, seed=seed, speeds=speeds)
    result = segment(fixes)
    _check(result, fixes)


def _check(result: Segmentation, fixes: list[Fix]) -> None:
    spans = sorted((span.start_at, span.end_at) for span in (*result.trips, *result.gaps))
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    for trip in result.trips:
        assert trip.start_at < trip.end_at
        assert 0 <= trip.coverage <= 1
        assert trip.distance.best_m > 0
        assert set(trip.fixes) <= set(fixes)
        assert all(trip.start_at <= stop.start_at < stop.end_at <= trip.end_at for stop in trip.stops)
        assert set(trip.stops) <= set(result.stops)
    for stop in result.stops:
        assert all(
            trip.end_at <= stop.start_at or trip.start_at >= stop.end_at or stop in trip.stops for trip in result.trips
        )
        assert stop.end_at - stop.start_at >= timedelta(minutes=5)


def test_nothing_usable_gives_nothing_but_the_reasons():
    result = segment([Fix(MORNING, 0.0, 0.0)])
    assert (result.trips, result.stops, result.gaps) == ((), (), ())
    assert [one.reason for one in result.rejected] == [Rejection.ZERO_POSITION]
    assert segment([]) == Segmentation((), (), (), ())
    assert segment([Fix(MORNING, 30.0, 120.0)]) == Segmentation((), (), (), ())


def test_the_future_is_rejected_against_a_given_now():
    fixes = reported(day(pause_s=30 * MINUTE))
    cut = fixes[len(fixes) // 2].at
    result = segment(fixes, now=cut - timedelta(minutes=2))
    assert {one.reason for one in result.rejected} == {Rejection.FUTURE}
    assert len(result.trips) == 1


def test_a_boundary_without_zone_is_refused():
    with pytest.raises(ValueError, match="boundary"):
        segment([], boundaries=[MORNING.replace(tzinfo=None)])


@pytest.mark.parametrize("bad", [{"cut_s": 0}, {"stay_radius_m": float("nan")}, {"cut_s": 299}, {"place_points": -1}])
def test_senseless_parameters_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        SegmentParams(**bad)
