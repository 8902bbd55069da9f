from dataclasses import replace
from datetime import timedelta
from random import Random
from statistics import median

import pytest

from telematics.mileage import MileageParams, gps_distance_m, measure
from telematics.model import Distance, Fix
from telematics.track import columns
from tests.telematics.driving import MORNING, Second, drive, park, reported, streets

ROUTE = streets(seed=3, blocks=16, block_m=700.0)
DRIVE = drive(ROUTE, start_at=MORNING, light_s=[0, 40, 0, 60])
DRIVE += park(DRIVE[-1], 60)
TRUE_M = DRIVE[-1].along_m


def with_odometer(fixes: list[Fix], change) -> list[Fix]:
    return [replace(fix, odometer_m=change(k, fix.odometer_m)) for k, fix in enumerate(fixes)]


@pytest.mark.parametrize(("every_s", "tolerance"), [(1, 0.02), (5, 0.01), (10, 0.02), (15, 0.03)])
def test_dense_positions_measure_a_drive_through_town(every_s, tolerance):
    distance = measure(reported(DRIVE, every_s=every_s))
    assert distance.best_source == "gps"
    assert distance.best_m == distance.gps_m
    assert distance.gps_m == pytest.approx(TRUE_M, rel=tolerance)


def test_sparse_positions_cut_corners_and_the_odometer_is_better():
    distance = measure(reported(DRIVE, every_s=60, odometer_start_m=53_000_000))
    assert distance.gps_m < 0.95 * TRUE_M
    assert distance.best_source == "odometer"
    assert distance.best_m == pytest.approx(TRUE_M, rel=0.02)
    assert distance.error_m < 0.03 * TRUE_M


def test_sparse_positions_without_odometer_say_how_far_off_they_may_be():
    """A speed a minute is no better witness than two positions, so the positions stay, with their error."""
    distance = measure(reported(DRIVE, every_s=60))
    assert distance.best_source == "gps"
    assert distance.odometer_m is None
    assert distance.speed_m is not None
    assert distance.error_m > 0.04 * TRUE_M


def test_speed_is_better_than_positions_of_a_vehicle_that_turns_between_them():
    """A square of 100 m driven round and round at 36 km/h, a fix every 16 s."""
    square = [(0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0)] * 10
    rounds = drive(square, start_at=MORNING, cruise_kmh=20)
    distance = measure(reported(rounds, every_s=16, noise_m=2))
    assert distance.gps_m < 0.85 * rounds[-1].along_m
    assert distance.speed_m == pytest.approx(rounds[-1].along_m, rel=0.05)
    assert distance.best_source == "speed"


@pytest.mark.parametrize("every_s", [1, 15, 60])
def test_a_parked_vehicle_makes_no_kilometres(every_s):
    parked = park(Second(MORNING, 0.0, 0.0, 0.0, 0.0), 3 * 3600)
    assert measure(reported(parked, every_s=every_s, noise_m=5)).gps_m == 0


def test_waiting_at_lights_adds_nothing():
    waiting = drive(ROUTE, start_at=MORNING, light_s=[120] * 15)
    assert measure(reported(waiting, every_s=10)).gps_m == pytest.approx(waiting[-1].along_m, rel=0.03)


def test_the_chord_of_a_gap_is_not_counted():
    fixes = reported(DRIVE)
    away = [replace(fix, at=fix.at + timedelta(hours=1), lat=fix.lat + 0.2) for fix in fixes]
    both = measure([*fixes, *away])
    assert both.gps_m == pytest.approx(2 * measure(fixes).gps_m, rel=0.002)
    assert both.speed_m == pytest.approx(2 * measure(fixes).speed_m)


@pytest.mark.parametrize(
    "fault",
    [
        lambda k, km: km - 53_000_000 if k >= 50 else km,
        lambda k, km: km + 5_000_000 if k >= 50 else km,
        lambda k, km: 0 if k == 50 else km,
        lambda k, km: None if k % 3 else km,
        lambda k, km: (km - 53_000_000 + 999_999_000) % 1_000_000_000,
        lambda k, km: (km - 53_000_000 + 429_496_726_000) % 429_496_729_600,
    ],
    ids=["reset", "jump", "one zero", "every third", "roll-over at 999,999.9 km", "roll-over of 32 bits"],
)
def test_an_odometer_fault_costs_one_step(fault):
    fixes = with_odometer(reported(DRIVE, odometer_start_m=53_000_000), fault)
    assert measure(fixes).odometer_m == pytest.approx(TRUE_M, abs=350)


@pytest.mark.parametrize(
    "nonsense",
    [
        lambda k, km: None,
        lambda k, km: 0,
        lambda k, km: km if k == 7 else None,
        lambda k, km: km if k > 60 else None,
        lambda k, km: km * (k % 2),
    ],
    ids=["absent", "always zero", "a single reading", "second half only", "alternating"],
)
def test_an_odometer_that_says_nothing_usable_is_none(nonsense):
    distance = measure(with_odometer(reported(DRIVE, odometer_start_m=53_000_000), nonsense))
    assert distance.odometer_m is None
    assert distance.best_source == "gps"


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_an_odometer_that_contradicts_the_positions_is_reported_but_not_believed(factor):
    fixes = with_odometer(reported(DRIVE, every_s=60, odometer_start_m=0), lambda k, km: int(km * factor))
    distance = measure(fixes)
    assert distance.odometer_m == pytest.approx(TRUE_M * factor, rel=0.05)
    assert distance.best_source == "gps"


def test_a_broken_speed_sensor_does_not_zero_the_distance():
    fixes = [replace(fix, speed_kmh=0.0) for fix in reported(DRIVE)]
    distance = measure(fixes)
    assert distance.speed_m == 0
    assert distance.best_source == "gps"
    assert distance.best_m == pytest.approx(TRUE_M, rel=0.05)


def test_speed_is_not_integrated_over_long_steps():
    first, second = (replace(fix, speed_kmh=40.0) for fix in reported(DRIVE)[20:22])
    late = replace(second, at=first.at + timedelta(seconds=121))
    assert measure([first, late]).speed_m == 0
    assert measure([first, replace(late, at=first.at + timedelta(seconds=120))]).speed_m > 0
    assert measure([replace(first, speed_kmh=None), late]).speed_m is None


def test_one_fix_or_none_is_no_distance():
    for fixes in ([], reported(DRIVE)[:1]):
        distance = measure(fixes)
        assert (distance.gps_m, distance.odometer_m, distance.speed_m, distance.best_m) == (0, None, None, 0)
        assert gps_distance_m(columns(fixes)) == 0


@pytest.mark.parametrize("bad", [{"hold_m": 0}, {"gap_s": float("inf")}, {"rollovers_m": (1.0, -1.0)}])
def test_senseless_parameters_are_refused_by_name(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        MileageParams(**bad)


def town_drives(every_s: int, *, noise_m: float, lost: float, odometer: bool) -> list[tuple[float, Distance]]:
    """Twelve drives through town of some 12 km with lights: (true metres, measured); ``lost`` of the fixes never arrive."""
    found = []
    for seed in range(12):
        rng = Random(seed)
        way = drive(
            streets(seed, 24, 500.0),
            start_at=MORNING,
            cruise_kmh=rng.choice([40, 50, 60]),
            light_s=[rng.choice([0, 0, 20, 60]) for _ in range(24)],
        )
        fixes = reported(
            way, every_s=every_s, noise_m=noise_m, seed=seed, odometer_start_m=1_000_000 if odometer else None
        )
        # The ends are what the true figure is about; a terminal keeps its blind-area fixes but for a few.
        fixes = [fix for fix in fixes[1:-1] if rng.random() >= lost] if lost else fixes[1:-1]
        fixes = [*reported(way, noise_m=noise_m)[:1], *fixes, *reported(way, every_s=1, noise_m=noise_m)[-1:]]
        found.append((way[-1].along_m, measure(fixes)))
    return found


def median_error(drives: list[tuple[float, Distance]]) -> float:
    return median(abs(measured.best_m - true_m) / true_m for true_m, measured in drives)


@pytest.mark.parametrize("every_s", [1, 5, 10, 15, 30])
def test_clean_tracks_with_an_odometer_are_within_one_percent_in_the_middle(every_s):
    assert median_error(town_drives(every_s, noise_m=3.0, lost=0.0, odometer=True)) <= 0.01


@pytest.mark.parametrize(("every_s", "most"), [(1, 0.01), (5, 0.01), (10, 0.01), (15, 0.015), (30, 0.02)])
def test_clean_positions_alone_are_within_one_percent_until_they_cut_corners(every_s, most):
    """A right angle every kilometre: from 15 s on the chords lose more than one percent, and the error told says so."""
    assert median_error(town_drives(every_s, noise_m=3.0, lost=0.0, odometer=False)) <= most


@pytest.mark.parametrize("odometer", [False, True])
@pytest.mark.parametrize("every_s", [1, 5, 10, 15])
def test_tracks_with_losses_and_noise_are_within_three_percent_in_the_middle(every_s, odometer):
    assert median_error(town_drives(every_s, noise_m=8.0, lost=0.15, odometer=odometer)) <= 0.03


@pytest.mark.parametrize("every_s", [1, 10, 30])
def test_the_error_told_is_of_the_size_of_the_error_made(every_s):
    drives = town_drives(every_s, noise_m=5.0, lost=0.1, odometer=False)
    within = sum(abs(measured.best_m - true_m) <= 2 * measured.error_m for true_m, measured in drives)
    assert within >= 10
    assert all(measured.error_m <= 0.15 * true_m for true_m, measured in drives)
