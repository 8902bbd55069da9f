import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetapp.demo.places import CITY_SEAT, DISTRICTS, SEATS, load_places, shifted
from fleetapp.places.roads import ROADS_FILE, distance_m, load_roads


@pytest.fixture(scope="module")
def roads():
    return load_roads()


PLACES = load_places()
AT = {place.point.name: place.point.lonlat for place in PLACES}


def test_places_cover_all_thirteen_districts_with_unique_names_in_two_languages():
    assert {place.adcode for place in PLACES} == set(DISTRICTS) == set(SEATS)
    assert len({place.point.name for place in PLACES}) == len(PLACES) == 97
    assert all(place.point.name_en.isascii() and place.point.name_en for place in PLACES)
    assert all(SEATS[code] in AT for code in DISTRICTS)


def test_places_file_with_a_bad_number_names_its_line(tmp_path):
    bad = tmp_path / "places.csv"
    bad.write_text("name,name_en,category,adcode,lon,lat,accuracy_m,source\nA,A,town,330102,x,30.2,60,made\n", "utf-8")
    with pytest.raises(ValueError, match=r"places.csv line 2"):
        load_places(bad)


def test_every_junction_can_be_reached_from_every_other(roads):
    start = next(iter(roads.nodes))
    seen, waiting = {start}, [start]
    while waiting:
        for neighbour, _ in roads.neighbours[waiting.pop()]:
            if neighbour not in seen:
                seen.add(neighbour)
                waiting.append(neighbour)
    assert seen == set(roads.nodes)


def test_the_graph_has_the_promised_size_and_shape_points(roads):
    assert 150 <= len(roads.nodes) <= 300
    assert all(2 <= len(edge.shape) <= 8 for edge in roads.edges)
    assert all(edge.name and edge.name_en.isascii() for edge in roads.edges)


def test_every_place_is_near_a_road(roads):
    far = {name: roads.foot(lonlat).away_m for name, lonlat in AT.items() if roads.foot(lonlat).away_m > 1_500}
    assert far == {}


def test_curves_never_stray_far_from_the_straight_line(roads):
    stretched = [edge.name for edge in roads.edges if edge.length_m > 1.25 * distance_m(edge.shape[0], edge.shape[-1])]
    assert stretched == []


@pytest.mark.parametrize(
    ("name", "least_km", "most_km"),
    [
        ("杭州东站", 5, 9),
        ("萧山国际机场T4航站楼", 22, 32),
        ("临平区人民政府", 20, 30),
        ("富阳区人民政府", 30, 42),
        ("临安区人民政府", 47, 62),
        ("桐庐县人民政府", 70, 95),
        ("建德市人民政府", 115, 160),
        ("淳安县人民政府", 135, 185),
    ],
)
def test_routes_from_the_city_seat_have_the_length_people_know(roads, name, least_km, most_km):
    route = roads.route(AT[CITY_SEAT], AT[name])
    assert least_km * 1000 <= route.length_m <= most_km * 1000
    assert 25 <= route.length_m / route.seconds * 3.6 <= 105


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ends=st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)),
    offset=st.tuples(st.floats(-800, 800), st.floats(-800, 800)),
)
def test_any_two_points_are_joined_by_a_continuous_route(roads, ends, offset):
    origin = shifted(ends[0].point.lonlat, east_m=offset[0], north_m=offset[1])
    destination = ends[1].point.lonlat
    route = roads.route(origin, destination)
    assert tuple(route.points[0]) == origin
    assert distance_m(tuple(route.points[-1]), destination) < 1.0
    assert len(route.points) == len(route.limits_kmh) == len(route.lights) >= 2
    assert route.length_m >= distance_m(origin, destination) * 0.99 - 2
    assert np.all(route.limits_kmh > 0)
    assert not route.lights[0]
    assert not route.lights[-1]


def test_there_and_back_takes_the_same_time(roads):
    there = roads.route(AT["武林广场"], AT["富阳区人民政府"])
    back = roads.route(AT["富阳区人民政府"], AT["武林广场"])
    assert back.seconds == pytest.approx(there.seconds, rel=1e-3)


def test_nobody_leaves_an_expressway_between_its_nodes(roads):
    on_the_ring = next(edge for edge in roads.edges if edge.name == "绕城高速西线").shape[2]
    assert roads.edges[roads.foot(on_the_ring).edge].road_class != "expressway"


def test_nearest_node_of_wulin_square_is_beside_it(roads):
    node, away_m = roads.nearest_node(AT["武林广场"])
    assert node == "hcb_yanan"
    assert away_m < 100


def test_a_road_with_an_unknown_node_is_named(tmp_path):
    data = json.loads(ROADS_FILE.read_text("utf-8"))
    data["roads"][0]["nodes"].append("nowhere")
    broken = tmp_path / "roads.json"
    broken.write_text(json.dumps(data), "utf-8")
    with pytest.raises(ValueError, match=r"天目山路.*nowhere"):
        load_roads(broken)


def test_points_that_no_road_joins_are_refused(tmp_path):
    two_islands = tmp_path / "roads.json"
    roads = [
        {"name": name, "name_en": name, "class": "street", "speed_kmh": 40, "nodes": nodes}
        for name, nodes in (("甲", ["a", "b"]), ("乙", ["c", "d"]))
    ]
    nodes = {"a": [120.0, 30.0], "b": [120.01, 30.0], "c": [121.0, 30.0], "d": [121.01, 30.0]}
    two_islands.write_text(json.dumps({"nodes": nodes, "roads": roads}), "utf-8")
    with pytest.raises(ValueError, match="no road joins"):
        load_roads(two_islands).route((120.0, 30.001), (121.0, 30.001))
