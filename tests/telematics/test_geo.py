from math import isclose

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.geo import EARTH_RADIUS_M, bearing_deg, distance_m, haversine_m, local_xy_m, point_segment_m

latitudes = st.floats(-89, 89)
longitudes = st.floats(-180, 180)


def test_a_degree_of_latitude_is_a_ninetieth_of_a_quarter_circle():
    assert isclose(haversine_m(0, 120, 1, 120), EARTH_RADIUS_M * np.pi / 180, rel_tol=1e-12)


def test_hangzhou_to_beijing_is_about_1123_km():
    """Between the government seats; the ellipsoid gives 1,121 to 1,126 km for points within the cities."""
    assert 1_110_000 < float(haversine_m(30.2741, 120.1551, 39.9042, 116.4074)) < 1_135_000


def test_antipodes_are_half_the_circumference_apart_and_not_nan():
    assert isclose(haversine_m(0, 0, 0, 180), np.pi * EARTH_RADIUS_M)
    assert haversine_m(30, 120, 30, 120) == 0


def test_arrays_broadcast():
    distances = haversine_m(np.array([30.0, 31.0]), 120.0, 30.0, 120.0)
    assert distances.shape == (2,)
    assert distances[0] == 0
    assert distances[1] > 111_000


@pytest.mark.parametrize(("to", "bearing"), [((1, 0), 0), ((0, 1), 90), ((-1, 0), 180), ((0, -1), 270)])
def test_bearings_of_the_four_winds(to, bearing):
    assert isclose(bearing_deg(0, 0, *to), bearing, abs_tol=1e-9)


@given(latitudes, longitudes, latitudes, longitudes)
@settings(max_examples=60)
def test_distance_is_symmetric_and_bearing_in_range(lat1, lon1, lat2, lon2):
    assert isclose(haversine_m(lat1, lon1, lat2, lon2), haversine_m(lat2, lon2, lat1, lon1), abs_tol=1e-6)
    assert isclose(distance_m(lat1, lon1, lat2, lon2), haversine_m(lat1, lon1, lat2, lon2), abs_tol=1e-6)
    assert 0 <= float(bearing_deg(lat1, lon1, lat2, lon2)) < 360


def test_local_metres_agree_with_the_great_circle_nearby():
    x, y = local_xy_m(30.30, 120.20, 30.27, 120.16)
    assert isclose(np.hypot(x, y), haversine_m(30.30, 120.20, 30.27, 120.16), rel_tol=1e-3)
    assert x > 0
    assert y > 0


def test_distance_to_a_segment_is_across_it_or_to_its_nearer_end():
    west, east = (30.0, 120.0), (30.0, 120.1)
    beside, beyond = point_segment_m([30.001, 30.0], [120.05, 120.11], west, east)
    assert isclose(beside, haversine_m(30.001, 120.05, 30.0, 120.05), rel_tol=1e-3)
    assert isclose(beyond, haversine_m(30.0, 120.11, *east), rel_tol=1e-3)


def test_a_segment_without_length_is_a_point():
    distance = point_segment_m(30.001, 120.0, (30.0, 120.0), (30.0, 120.0))
    assert isclose(distance, haversine_m(30.001, 120.0, 30.0, 120.0), rel_tol=1e-3)
