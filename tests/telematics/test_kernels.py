"""The compiled loops against plain statements of the same, on drives with lights, parking, noise and silences."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.clean import clean_track
from telematics.geo import haversine_m
from telematics.ingest import order_and_dedupe
from telematics.kernels import moves
from telematics.kernels.length import along
from telematics.mileage import MileageParams
from telematics.motion import SegmentParams, motion
from telematics.track import chained, columns
from tests.telematics import slow
from tests.telematics.driving import MORNING, Second, drive, park, reported, streets

PARAMS, MILEAGE = SegmentParams(), MileageParams()


def wandering(seed: int, every_s: int, speeds: bool):
    """Cleaned columns of a made half day: drives, waits, stays, a hole, noise."""
    rng = Random(seed)
    seconds = [Second(MORNING, 0.0, 0.0, 0.0, 0.0)]
    for leg in range(3):
        seconds += park(seconds[-1], rng.choice([20, 200, 400, 1500]))
        east_m, north_m = seconds[-1].east_m, seconds[-1].north_m
        corners = [(x + east_m, y + north_m) for x, y in streets(seed * 5 + leg, rng.randrange(1, 6))]
        waits = [rng.choice([0, 0, 20, 90, 400]) for _ in corners[1:]]
        seconds += drive(corners, start_at=seconds[-1].at, light_s=waits, along_m=seconds[-1].along_m)[1:]
    seconds += park(seconds[-1], rng.choice([60, 1000]))
    fixes = reported(seconds, every_s=every_s, noise_m=rng.choice([0, 5, 25]), seed=seed, speeds=speeds)
    hole = rng.randrange(len(fixes))
    fixes = [fix for i, fix in enumerate(fixes) if not hole < i < hole + rng.choice([0, 5, 700 // every_s])]
    fixes = [replace(fix, acc=rng.choice([None, True, False])) if rng.random() < 0.1 else fix for fix in fixes]
    track, _ = clean_track(columns(order_and_dedupe(fixes)))
    return track


made = st.builds(wandering, st.integers(0, 10_000), st.sampled_from([2, 7, 15, 30, 60]), st.booleans())


@settings(deadline=None, max_examples=25)
@given(track=made)
def test_stays_and_movement_are_those_of_the_plain_statement(track):
    moved = motion(track, PARAMS)
    unseen, gap = moved.gap | moved.silent_stop, np.append(moved.gap, True)
    least_m = np.where(track.acc == 0, PARAMS.min_trip_m, PARAMS.pace_m_per_min / 60 * PARAMS.pace_window_s)
    assert moved.fix.tolist() == slow.moving(track, least_m, unseen, PARAMS)
    found = moves.stays(
        track.at_s, track.lat, track.lon, moved.fix, gap, track.speed_kmh < PARAMS.moving_kmh, PARAMS.stay_radius_m,
        PARAMS.stay_s, PARAMS.min_trip_m, PARAMS.min_trip_s, PARAMS.drift_m, PARAMS.drift_s,
    )  # fmt: skip
    assert [tuple(span) for span in found.tolist()] == slow.stays(track, moved.fix, gap, PARAMS)


@settings(deadline=None, max_examples=25)
@given(track=made)
def test_the_distance_is_that_of_the_plain_statement(track):
    metres, loss_m = along(
        track.at_s, track.lat, track.lon, track.speed_kmh, MILEAGE.block_s, MILEAGE.gap_s, MILEAGE.still_kmh, MILEAGE.hold_m,
        MILEAGE.hold_still_m,
    )  # fmt: skip
    plain_m, plain_loss_m = slow.along(track, MILEAGE)
    assert metres.tolist() == pytest.approx(plain_m, abs=1e-6)
    assert loss_m == pytest.approx(plain_loss_m, abs=1e-4)
    assert moves.steps_m(track.lat, track.lon).tolist() == pytest.approx(
        haversine_m(track.lat[:-1], track.lon[:-1], track.lat[1:], track.lon[1:]).tolist(), abs=1e-6
    )


def test_tracks_that_follow_each_other_are_one_and_others_are_refused():
    whole = wandering(3, 15, speeds=True)
    pieces = [whole.part(0, 9), whole.part(10, 10), whole.part(11, len(whole) - 1)]
    again = chained(pieces)
    assert again.fixes == whole.fixes
    assert again.at_s.tolist() == whole.at_s.tolist()
    assert len(chained([])) == 0
    with pytest.raises(ValueError, match="overlap"):
        chained([whole.part(0, 10), whole.part(10, 20)])


def test_fixes_of_a_track_are_a_sequence_like_any_other():
    fixes = wandering(4, 30, speeds=False).fixes
    assert fixes == tuple(fixes)
    assert (fixes[0], fixes[-1]) == (fixes[:1][0], fixes[-1:][0])
    assert hash(fixes) == hash(tuple(fixes))
    assert repr(fixes[0]) in repr(fixes)
    assert fixes != fixes[1:]
    assert columns(fixes) is fixes.track
