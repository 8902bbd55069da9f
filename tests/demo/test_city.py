import re
from collections import Counter
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point as Spot
from shapely.geometry import Polygon

from fleetapp.demo.city import CITY, OPERATOR, build
from fleetapp.demo.fleet import NEV, VIN_LETTERS, vin_check_digit
from fleetapp.demo.places import DISTRICTS
from fleetapp.kit.actor import Role
from fleetapp.places.roads import METRES_PER_DEGREE, distance_m

ORDINARY = re.compile(r"浙A[A-HJ-NP-Z0-9]{5}")
SMALL_BEV, SMALL_OTHER = (
    re.compile(r"浙A[DABCE][A-HJ-NP-Z0-9][0-9]{4}"),
    re.compile(r"浙A[FGHJK][A-HJ-NP-Z0-9][0-9]{4}"),
)
LARGE_NEV = re.compile(r"浙A[0-9]{5}[DF]")
USERNAME = re.compile(r"[a-z0-9][a-z0-9._-]{1,63}")


def test_check_digit_of_a_published_vin():
    assert vin_check_digit("1M8GDM9AXKP042788") == "X"
    assert vin_check_digit("11111111111111111") == "1"


@pytest.mark.parametrize("wrong", ["", "1M8GDM9AXKP04278", "IM8GDM9AXKP042788", "1M8GDM9AXKP04278o"])
def test_check_digit_refuses_what_is_no_vin(wrong):
    with pytest.raises(ValueError, match="17"):
        vin_check_digit(wrong)


@settings(max_examples=60)
@given(
    vin=st.text(VIN_LETTERS, min_size=17, max_size=17),
    position=st.integers(0, 16),
    letter=st.sampled_from("0123456789"),
)
def test_check_digit_notices_any_changed_digit(vin, position, letter):
    """Every weight but that of the check position is coprime to 11, so one changed digit always shows."""
    changed = vin[:position] + letter + vin[position + 1 :]
    same_value = position == 8 or not vin[position].isdigit() or vin[position] == letter
    assert same_value or vin_check_digit(changed) != vin_check_digit(vin)


def test_the_tree_has_a_city_thirteen_districts_an_operator_and_forty_units(city):
    assert Counter(org.kind for org in city.orgs) == {"city": 1, "operator": 1, "district": 13, "unit": 40}
    assert {org.code for org in city.orgs if org.kind == "district"} == set(DISTRICTS)
    known = {org.code for org in city.orgs}
    assert all(org.parent in known for org in city.orgs if org.code != CITY)
    assert len(known) == len({org.name for org in city.orgs}) == 55


def test_three_hundred_vehicles_of_every_category_a_third_of_them_new_energy(city):
    assert len(city.vehicles) == 300
    assert {vehicle.category for vehicle in city.vehicles} == {"JYTX", "YJBZ", "ZFZQ", "TZZY", "QT"}
    assert 0.25 <= sum(vehicle.model.energy in NEV for vehicle in city.vehicles) / 300 <= 0.42
    for field in ("plate", "vin", "terminal_phone"):
        assert len({getattr(vehicle, field) for vehicle in city.vehicles}) == 300


def test_plates_have_the_form_of_their_energy_and_size(city):
    for vehicle in city.vehicles:
        large = vehicle.model.body in ("minibus", "coach")
        if vehicle.model.energy not in NEV:
            form = ORDINARY
        elif large:
            form = LARGE_NEV
        else:
            form = SMALL_BEV if vehicle.model.energy == "bev" else SMALL_OTHER
        assert form.fullmatch(vehicle.plate), vehicle


def test_vins_are_valid_and_terminals_synthetic(city):
    for vehicle in city.vehicles:
        assert len(vehicle.vin) == 17
        assert vehicle.vin[8] == vin_check_digit(vehicle.vin)
        assert re.fullmatch(r"100000\d{5}", vehicle.terminal_phone)


def test_ranges_and_engines_go_with_the_energy(city):
    for model in {vehicle.model for vehicle in city.vehicles}:
        assert (model.range_km is not None) == (model.energy in NEV)
        assert (model.displacement_ml is None) == (model.energy == "bev")


def test_every_vehicle_stands_inside_its_designated_parking(city):
    rings = {parking.code: parking for parking in city.parkings}
    for parking in city.parkings:
        side_m = distance_m(parking.ring[0], parking.ring[1])
        assert 80 <= side_m <= 151
        assert parking.ring[0] == parking.ring[-1]
    for vehicle in city.vehicles:
        assert rings[vehicle.parking].org == vehicle.org
        inside = Polygon(rings[vehicle.parking].ring).buffer(-5 / METRES_PER_DEGREE)
        assert inside.contains(Spot(vehicle.home.lonlat)), vehicle.plate


def test_yards_are_apart_and_beside_a_road(city, roads):
    centres = [parking.centre.lonlat for parking in city.parkings]
    assert min(distance_m(a, b) for i, a in enumerate(centres) for b in centres[:i]) > 200
    assert max(roads.foot(centre).away_m for centre in centres) < 120


def test_drivers_are_about_two_hundred_and_may_drive_what_their_holder_has(city):
    assert 190 <= len(city.drivers) <= 240
    for org in city.orgs:
        bodies = {vehicle.model.body for vehicle in city.vehicles if vehicle.org == org.code}
        licences = {driver.licence for driver in city.drivers if driver.org == org.code}
        assert "coach" not in bodies or "A1" in licences
        assert "minibus" not in bodies or licences & {"A1", "B1"}
        assert not bodies or licences


def test_accounts_have_every_role_and_plain_names(city):
    by_name = {account.username: account for account in city.accounts}
    assert len(by_name) == len(city.accounts)
    assert all(USERNAME.fullmatch(username) for username in by_name)
    assert {account.role for account in city.accounts} == set(Role) - {Role.SYSTEM}
    xihu = by_name["dispatcher.xihu"]
    assert (xihu.name, xihu.name_en, xihu.org) == ("调度员 西湖区", "Dispatcher, Xihu District", "330106")
    assert by_name["driver.xihu.03"].name == "驾驶员 西湖区 03"
    assert {driver.username for driver in city.drivers} <= set(by_name)


def test_the_operator_only_lends_to_city_units(city):
    for org in city.orgs:
        assert org.pool == (OPERATOR if org.adcode == CITY else org.adcode)


def test_the_same_seed_builds_the_same_city_and_another_does_not(city, roads):
    assert build(seed=3, as_of=date(2026, 11, 13), roads=roads) == city
    assert build(seed=4, as_of=date(2026, 11, 13), roads=roads).vehicles != city.vehicles


def test_an_unknown_plate_is_not_found(city):
    assert city.vehicle(city.vehicles[7].plate) is city.vehicles[7]
    with pytest.raises(KeyError):
        city.vehicle("浙A00000X")
