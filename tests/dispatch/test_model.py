"""Values refuse what is out of bounds, and prices are what a person would compute by hand."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest

from dispatch import Cost, InvalidModel, Params, Place, Rental, Span, Stop, Travel, estimate_travel, plan_cost
from dispatch.costs import rental_fen
from dispatch.model import LICENCES, SERVED_BY, VEHICLE_CLASSES
from dispatch.route import Index, longest_drive_s, walk
from tests.dispatch.instances import HOUR_S, driver, instance, plan, request, served, usual, vehicle


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Span(5, 5), "start_s must be before end_s"),
        (lambda: Span(0, 10**9), "end_s must be a whole number from -2678400 to 2678400, got 1000000000"),
        (lambda: Place("", 0, 0), "id must be a text of 1 to 200 characters"),
        (lambda: Place("x", 91, 0), "Place x: lat must be a number from -90 to 90, got 91"),
        (lambda: Stop("x", -1), "Stop at x: dwell_s must be a whole number from 0 to"),
        (lambda: request(route=("office",)), "Request morning: stops must be 2 to 50, got 1"),
        (lambda: request(latest_s=0), "latest_s must be a whole number from 32400 to"),
        (lambda: request(passengers=1.0), "passengers must be a whole number from 0 to 60, got 1.0"),
        (lambda: request(priority=5), "priority must be a whole number from 1 to 4, got 5"),
        (lambda: request(vehicle_class="bike"), "vehicle_class must be one of sedan"),
        (lambda: request(rental_fen=-1), "rental_fen must be a whole number from 0"),
        (lambda: vehicle(seats=0), "Vehicle sedan-1: seats must be a whole number from 1 to 60, got 0"),
        (lambda: vehicle(energy="bev"), "range_m of a bev must be a whole number from 1000 to 2000000, got None"),
        (lambda: vehicle(energy="steam"), "energy must be one of petrol, diesel, bev, phev"),
        (lambda: vehicle(available=()), "available must be at least one span"),
        (lambda: vehicle(available=(Span(0, 5), Span(5, 9))), "in order and apart from each other"),
        (lambda: driver(licence="D"), "licence must be one of A1"),
        (lambda: driver(may_drive=frozenset({"coach"})), "may_drive must stay within licence C1, got ['coach']"),
        (lambda: vehicle(charge_m_per_h=-1), "charge_m_per_h must be a whole number from 0 to 1000000, got -1"),
        (lambda: driver(off_since_s=10**9), "off_since_s must be a whole number from -2678400 to 2678400"),
        (lambda: driver(shift_max_s=90_000), "shift_max_s must be a whole number from 600 to 86400"),
        (lambda: instance(vehicles=[vehicle(), vehicle()]), "Vehicle: every id must occur once, got 'sedan-1'"),
        (lambda: instance([request(route=("office", "moon"))]), "the place must be one of travel.places, got 'moon'"),
        (lambda: instance(before_s=7_201), "before_s must be a whole number from 0 to 7200, got 7201"),
        (lambda: replace(instance(), epoch=datetime(2026, 3, 1)), "epoch must be a UTC time with its zone"),  # noqa: DTZ001
        (
            lambda: replace(instance(), epoch=datetime(2026, 3, 1, tzinfo=timezone(timedelta(hours=8)))),
            "epoch must be a UTC time",
        ),
        (lambda: Params(max_wait_s=-1), "Params: max_wait_s must be a whole number from 0 to 86400, got -1"),
        (lambda: Params(km_fen={}), "Params: km_fen[sedan] must be a whole number from 0 to 100000000, got None"),
        (lambda: Rental(-1, 0, 0), "base_fen must be a whole number from 0"),
    ],
)
def test_bound_is_in_the_message(make, message):
    with pytest.raises(InvalidModel) as caught:
        make()
    assert message in str(caught.value)


def test_travel_matrix_must_fit_its_places():
    places = (Place("a", 30, 120), Place("b", 30, 121))
    zero, flat = np.zeros((2, 2), dtype=np.int32), np.zeros((2, 1), dtype=np.int32)
    Travel(places, zero, zero, "roads")
    with pytest.raises(InvalidModel, match="time_s must have 2 rows and 2 columns"):
        Travel(places, flat, zero, "roads")
    with pytest.raises(InvalidModel, match="distance_m must lie between 0"):
        Travel(places, zero, zero - 1, "roads")
    with pytest.raises(InvalidModel, match="from a place to itself must be 0"):
        Travel(places, np.eye(2, dtype=np.int32), zero, "roads")


def test_estimate_is_great_circle_times_detour_at_the_given_speed():
    # One degree of latitude on a sphere of 6,371,008.8 m is 111,195.1 m.
    travel = estimate_travel([Place("a", 30, 120), Place("b", 31, 120)], detour=1.5, speed_kmh=60)
    seconds, metres = travel.leg("a", "b")
    assert metres == pytest.approx(166_793, abs=1)
    assert seconds == pytest.approx(metres / 60_000 * 3_600, abs=1)
    assert (travel.source, travel.leg("a", "a")) == ("estimate", (0, 0))


def test_classes_serve_themselves_and_never_fewer_seats():
    usual_seats = dict(zip(VEHICLE_CLASSES, (4, 4, 6, 8, 18, 40, 4, 4), strict=True))
    assert set(SERVED_BY) == set(VEHICLE_CLASSES)
    for wanted, given in SERVED_BY.items():
        assert given[0] == wanted
        assert all(usual_seats[c] >= usual_seats[wanted] for c in given)
    assert all("sedan" in classes for classes in LICENCES.values())


def test_cost_of_a_day_by_hand():
    # Out 5 km, morning 10 km, 10 min wait at the hall after buffers, noon 10 km, back 5 km.
    problem = instance([request(), request("noon", ("hall", "office"), 9 + 50 / 60)], before_s=300, after_s=300)
    params = Params(km_fen={**Params().km_fen, "sedan": 100}, day_fen={**Params().day_fen, "sedan": 5_000})
    cost = plan_cost(Index(problem, params), usual(problem, params))
    assert cost == Cost(days_fen=5_000, empty_km_fen=1_000, loaded_km_fen=2_000, wait_fen=100)
    assert cost.total_fen == 8_100


def test_long_wait_sends_the_vehicle_home_and_electric_ones_always_when_they_can():
    problem = instance([request(), request("later", ("hall", "office"), 11.0)])
    index = Index(problem, Params())
    for energy, max_wait_s, outings in (("petrol", 4_800, 1), ("petrol", 4_799, 2), ("bev", 86_400, 2)):
        car = vehicle(energy=energy, range_m=300_000)
        index = Index(problem, Params(max_wait_s=max_wait_s))
        assert len(walk(index, car, usual(problem).assignments)[0]) == outings


def test_upgrade_and_electric_drive_change_the_price_of_a_km():
    for car, loaded_fen, upgrade_fen in (
        (vehicle(), 1_100, 0),
        (vehicle(vehicle_class="mpv"), 1_500, 300),
        (vehicle(energy="bev", range_m=300_000), 605, 0),
    ):
        problem = instance([request()], [car])
        cost = plan_cost(Index(problem, Params()), usual(problem))
        assert (cost.loaded_km_fen, cost.upgrade_fen) == (loaded_fen, upgrade_fen)


def test_rental_price_is_quoted_or_from_the_table():
    params = Params(rental={"sedan": Rental(7_000, 420, 3_600)})
    assert rental_fen(params, request(), 10_000, HOUR_S // 2) == 7_000 + 4_200 + 1_800
    assert rental_fen(params, request(rental_fen=99), 10_000, HOUR_S) == 99
    assert rental_fen(params, request(vehicle_class="van"), 10_000, HOUR_S) is None
    assert rental_fen(params, request(rentable=False, rental_fen=99), 10_000, HOUR_S) is None


def test_unassigned_request_costs_its_priority():
    problem = instance([request(priority=3)])
    cost = plan_cost(Index(problem, Params()), plan(problem, unassigned={"morning": "no_free_vehicle"}))
    assert cost == Cost(penalty_fen=2_000_000)


def test_rest_is_counted_in_one_piece():
    hour, rest = (True, 3_600), (False, 1_200)
    assert longest_drive_s([hour, rest, hour], 1_200) == 3_600
    assert longest_drive_s([hour, (False, 600), (True, 0), (False, 600), hour], 1_200) == 3_600
    assert longest_drive_s([hour, (False, 1_199), hour, rest, hour], 1_200) == 7_200
    assert longest_drive_s([], 1_200) == 0


def test_plan_is_told_in_seconds_after_the_epoch():
    problem = instance()
    first = served(problem, "morning")
    assert problem.epoch + timedelta(seconds=first.start_s) == datetime(2026, 3, 2, 1, tzinfo=UTC)
