from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetapp.demo.drive import Quirks, drive, park, profile
from fleetapp.demo.places import load_places
from fleetapp.places.roads import distance_m

START = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
POINTS = [place.point.lonlat for place in load_places()]
AT = {place.point.name: place.point.lonlat for place in load_places()}


@pytest.fixture
def across_town(roads):
    return roads.route(AT["武林广场"], AT["杭州国际博览中心"])


def travelled_m(fixes):
    return sum(distance_m((a.lon, a.lat), (b.lon, b.lat)) for a, b in pairwise(fixes))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.lists(st.sampled_from(POINTS), min_size=2, max_size=2, unique=True),
    seed=st.integers(0, 10**6),
    pace=st.floats(0.6, 1),
)
def test_any_drive_is_plausible(roads, ends, seed, pace):
    """Times rise, speeds keep the limit, nothing is dawdling, and the track is as long as the route."""
    route = roads.route(*ends)
    fixes = drive(route, START, Random(seed), pace=pace)
    assert all(a.at < b.at for a, b in pairwise(fixes))
    assert all(fix.at.microsecond == 0 for fix in fixes)
    assert max(fix.speed_kmh for fix in fixes) <= route.limits_kmh.max() * pace + 3
    assert fixes[0].speed_kmh == fixes[-1].speed_kmh == 0
    seconds = (fixes[-1].at - START).total_seconds()
    if route.length_m > 3_000:
        assert travelled_m(fixes) == pytest.approx(route.length_m, rel=0.05)
        assert 9 <= route.length_m / seconds * 3.6 <= 110


def test_the_odometer_counts_true_metres_in_steps_of_a_hundred(across_town):
    fixes = drive(across_town, START, Random(1), odometer_m=55_550.0)
    assert all(fix.odometer_m % 100 == 0 for fix in fixes)
    assert all(a.odometer_m <= b.odometer_m for a, b in pairwise(fixes))
    assert fixes[-1].odometer_m == int((55_550.0 + across_town.length_m) // 100) * 100


def test_fixes_carry_what_a_terminal_sends(across_town):
    fix = drive(across_town, START, Random(1))[3]
    assert fix.acc is True
    assert fix.status == 0b11
    assert fix.items["satellites"] >= 4
    assert 0 <= fix.direction_deg < 360


def test_sampling_is_twenty_seconds_with_extra_fixes_at_corners(across_town):
    fixes = drive(across_town, START, Random(1))
    assert max((b.at - a.at).total_seconds() for a, b in pairwise(fixes)) <= 20
    assert any((fix.at - START).total_seconds() % 20 for fix in fixes[:-1])


def test_noise_is_a_few_metres(across_town):
    """The same drive sampled twice with other noise differs by metres, not by tens of metres."""
    fixes = drive(across_town, START, Random(4))
    end = tuple(across_town.points[-1])
    assert 0.1 < distance_m((fixes[-1].lon, fixes[-1].lat), end) < 20
    start = tuple(across_town.points[0])
    assert distance_m((fixes[0].lon, fixes[0].lat), start) < 20


def test_profile_foretells_the_drive(across_town):
    run = profile(across_town, Random(9), pace=0.8)
    fixes = drive(across_town, START, Random(9), pace=0.8)
    assert fixes[-1].at == START + timedelta(seconds=run.seconds)
    assert run.gone_m[-1] == pytest.approx(across_town.length_m, rel=1e-3)


def test_red_lights_cost_time(across_town):
    seconds = [profile(across_town, Random(seed)).seconds for seed in range(12)]
    assert len(set(seconds)) > 6
    waiting = [fix for seed in range(12) for fix in drive(across_town, START, Random(seed))[1:-1] if fix.speed_kmh == 0]
    assert waiting


def test_a_gap_leaves_out_exactly_its_span(across_town):
    whole = drive(across_town, START, Random(2))
    holed = drive(across_town, START, Random(2), quirks=Quirks(gap_s=(100, 400)))
    missing = [fix for fix in whole if 100 <= (fix.at - START).total_seconds() < 400]
    assert missing
    assert holed == [fix for fix in whole if fix not in missing]


def test_a_blind_area_marks_its_fixes_and_loses_none(across_town):
    whole = drive(across_town, START, Random(2))
    late = drive(across_town, START, Random(2), quirks=Quirks(blind_s=(100, 400)))
    assert [fix.at for fix in late] == [fix.at for fix in whole]
    assert {100 <= (fix.at - START).total_seconds() < 400 for fix in late if fix.blind} == {True}


def test_a_flicker_turns_the_ignition_off_for_one_second(across_town):
    fixes = drive(across_town, START, Random(2), quirks=Quirks(flicker_s=120))
    off = [index for index, fix in enumerate(fixes) if not fix.acc]
    assert len(off) == 1
    assert fixes[off[0] + 1].at - fixes[off[0]].at == timedelta(seconds=1)
    assert all(a.at < b.at for a, b in pairwise(fixes))


def test_a_basement_hides_the_last_minute(across_town):
    whole = drive(across_town, START, Random(2))
    hidden = drive(across_town, START, Random(2), quirks=Quirks(basement=True))
    assert hidden == [fix for fix in whole if fix.at <= whole[-1].at - timedelta(seconds=60)]
    assert hidden[-1].speed_kmh >= 0


def test_a_parked_car_beats_every_five_minutes_and_stays_put():
    fixes = park(AT["武林广场"], START, START + timedelta(hours=1), Random(1), odometer_m=12_345)
    assert len(fixes) == 12
    assert {fix.acc for fix in fixes} == {False}
    assert {fix.odometer_m for fix in fixes} == {12_300}
    assert max(distance_m((fix.lon, fix.lat), AT["武林广场"]) for fix in fixes) < 15


def test_a_parked_car_may_be_silent_at_night():
    """22:00 to 06:00 in Hangzhou is 14:00 to 22:00 UTC."""
    noon = datetime(2026, 11, 2, 4, 0, tzinfo=UTC)
    awake = park(AT["武林广场"], noon, noon + timedelta(days=1), Random(1))
    asleep = park(AT["武林广场"], noon, noon + timedelta(days=1), Random(1), night_silence=True)
    assert len(awake) == 288
    assert {fix.at.hour for fix in asleep} == {hour for hour in range(24) if not 14 <= hour < 22}
