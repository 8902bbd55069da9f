"""How far a journey goes, against places whose district is known and towns around the province."""

import csv

import pytest

from fleetapp.places import areas
from fleetapp.places.service import PLACES_FILE

LAKE, EAST = (120.1290, 30.2300), (120.208203, 30.293549)
FUYANG = (119.955505, 30.05127)
TOWNS = {
    "province": [(120.755, 30.746), (120.087, 30.894), (121.55, 29.87), (120.70, 28.00), (118.87, 28.94), (120.23, 29.71), (119.89, 29.45)],
    "beyond": [(121.47, 31.23), (120.58, 31.30), (118.337, 29.715), (117.97, 28.45), (119.42, 30.90), (119.55, 26.67), (120.64, 31.16)],
}  # fmt: skip


def test_every_place_of_the_gazetteer_lies_in_the_city_and_the_inner_districts_in_the_subsidy_area():
    with PLACES_FILE.open(encoding="utf-8", newline="") as file:
        rows = [(row["name"], row["adcode"], (float(row["lon"]), float(row["lat"]))) for row in csv.DictReader(file)]
    outlines = areas.load_outlines()
    assert [name for name, _, at in rows if not areas.inside(at, outlines.city)] == []
    inner = [row for row in rows if row[1] in {"330102", "330105", "330106", "330108"}]
    assert [name for name, _, at in inner if areas.area_of("330100", [at]) != "urban"] == []


@pytest.mark.parametrize(("area", "at"), [(area, at) for area, towns in TOWNS.items() for at in towns])
def test_towns_around_are_in_the_province_or_beyond(area, at):
    assert areas.area_of("330100", [LAKE, at]) == area


def test_the_subsidy_area_is_that_of_the_unit():
    assert areas.area_of("330106", [LAKE, EAST]) == "urban"
    assert areas.area_of("330111", [FUYANG]) == "urban"
    assert areas.area_of("330106", [FUYANG]) == "city"
    assert areas.area_of("330111", [LAKE, EAST]) == "city"
    assert areas.area_of(None, [LAKE]) == "city"
    assert areas.subsidy_zone("330111", [FUYANG]).name_en == "Fuyang town"


def test_a_round_trip_is_about_twice_the_way_out_and_a_stop_in_one_place_costs_nothing():
    out, back = areas.journey_m([LAKE, EAST], round_trip=False), areas.journey_m([LAKE, EAST])
    assert 8_000 < out < 20_000
    assert 1.8 < back / out < 2.2
    assert areas.journey_m([LAKE, LAKE, LAKE]) == 0
