from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.clean import CleanParams, clean
from telematics.model import Fix, Rejection
from tests.telematics.driving import MORNING, at_metres


def straight(count: int, *, step_m: float = 200.0, every_s: int = 15) -> list[Fix]:
    """Due east at 48 km/h."""
    return [
        Fix(MORNING + timedelta(seconds=k * every_s), *at_metres(k * step_m, 0.0), speed_kmh=48.0) for k in range(count)
    ]


def moved(fix: Fix, east_m: float) -> Fix:
    lat, lon = at_metres(east_m, 0.0)
    return replace(fix, lat=lat, lon=lon)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"fixed": False}, Rejection.NO_FIX),
        ({"lat": 90.1}, Rejection.OUT_OF_RANGE),
        ({"lon": -180.5}, Rejection.OUT_OF_RANGE),
        ({"lat": float("nan")}, Rejection.OUT_OF_RANGE),
        ({"lat": 0.0, "lon": 0.0}, Rejection.ZERO_POSITION),
        ({"mock": True}, Rejection.MOCK),
        ({"accuracy_m": 100.5}, Rejection.POOR_ACCURACY),
        ({"items": {"hdop": 8.5}}, Rejection.POOR_ACCURACY),
        ({"items": {"satellites": 3}}, Rejection.POOR_ACCURACY),
        ({"speed_kmh": 181.0}, Rejection.SPEED_IMPOSSIBLE),
        ({"speed_kmh": -1.0}, Rejection.SPEED_IMPOSSIBLE),
    ],
)
def test_a_fault_costs_one_fix_and_names_its_reason(fault, reason):
    track = straight(5)
    track[2] = replace(track[2], **fault)
    kept, rejected = clean(track)
    assert kept == [track[0], track[1], track[3], track[4]]
    assert [one.reason for one in rejected] == [reason]
    assert rejected[0].fix is track[2]


@pytest.mark.parametrize(
    "harmless", [{"accuracy_m": 100.0}, {"items": {"satellites": 0, "hdop": 8}}, {"speed_kmh": 180.0}, {"lat": 30.2741}]
)
def test_the_limits_themselves_are_allowed(harmless):
    track = straight(3)
    track[1] = replace(track[1], **harmless)
    assert clean(track) == (track, [])


def test_the_future_is_rejected_only_against_a_given_now():
    track = straight(3)
    now = track[1].at - timedelta(seconds=120)
    kept, rejected = clean(track, now=now)
    assert kept == track[:2]
    assert [one.reason for one in rejected] == [Rejection.FUTURE]
    assert clean(track) == (track, [])


@given(st.sets(st.integers(0, 19), max_size=6), st.floats(20_000, 900_000))
@settings(max_examples=60)
def test_spikes_cost_themselves_and_nothing_after_them(spikes, far_m):
    """Each one elsewhere, so that they do not look like a second place."""
    track = straight(20)
    for nth, k in enumerate(sorted(spikes)):
        track[k] = moved(track[k], -far_m - nth * 50_000)
    kept, rejected = clean(track)
    assert kept == [fix for k, fix in enumerate(track) if k not in spikes]
    assert {one.reason for one in rejected} <= {Rejection.JUMP}


def test_a_jump_that_persists_keeps_both_sides():
    """The terminal was moved to another place, or was off on the way: a gap, not an error."""
    track = straight(10)
    track[5:] = [moved(fix, 60_000 + k * 200) for k, fix in enumerate(track[5:])]
    assert clean(track) == (track, [])


def test_a_spike_before_a_silence_is_still_a_spike():
    """From the spike the next place can be reached in the time; from the fix before it too, so the spike goes."""
    track = straight(6)
    spike = moved(replace(track[-1], at=track[-1].at + timedelta(seconds=15)), 15_000)
    later = [replace(fix, at=fix.at + timedelta(minutes=10)) for fix in straight(6)]
    kept, rejected = clean([*track, spike, *later])
    assert kept == [*track, *later]
    assert [one.fix for one in rejected] == [spike]


def test_of_two_tracks_at_once_the_longer_wins():
    """Two devices under one identity: every second fix is 40 km away."""
    track = straight(21)
    clone = [moved(fix, 40_000) for fix in track]
    mixed = [clone[k] if k % 2 else track[k] for k in range(21)]
    kept, rejected = clean(mixed)
    assert kept == track[::2]
    assert {one.reason for one in rejected} == {Rejection.JUMP}


def test_scattered_points_leave_one_chain_and_lose_none_silently():
    track = [moved(fix, (k * 7_919 % 97) * 50_000.0) for k, fix in enumerate(straight(30))]
    kept, rejected = clean(track)
    assert len(kept) >= 1
    assert len(kept) + len(rejected) == 30


def test_a_second_fix_of_the_same_second_is_a_duplicate_if_near_and_a_jump_if_far():
    first, second, third = straight(3)
    near, far = replace(second, lat=second.lat + 1e-5), moved(second, 50_000)
    assert [one.reason for one in clean([first, second, near, third])[1]] == [Rejection.DUPLICATE]
    assert [one.reason for one in clean([first, second, far, third])[1]] == [Rejection.JUMP]


def test_noise_that_looks_like_a_jump_costs_a_few_fixes_not_a_rival_half():
    rng = Random(5)
    parked = [moved(fix, rng.gauss(0, 35)) for fix in straight(2_000, step_m=0, every_s=1)]
    kept, rejected = clean(parked)
    assert len(rejected) < 0.05 * len(parked)
    assert len(kept) + len(rejected) == len(parked)


def test_noise_at_one_fix_a_second_is_not_a_jump():
    track = [moved(fix, 45.0 * (k % 2)) for k, fix in enumerate(straight(10, step_m=0, every_s=1))]
    assert clean(track) == (track, [])


def test_nothing_in_nothing_out():
    assert clean([]) == ([], [])


@pytest.mark.parametrize("bad", [{"max_implied_kmh": 0}, {"slack_m": -1}, {"max_accuracy_m": float("nan")}])
def test_senseless_limits_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        CleanParams(**bad)
