import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.gcj02 import gcj02_to_wgs84, wgs84_to_gcj02
from telematics.geo import haversine_m

PUBLISHED = {
    "Shanghai": ((31.1774276, 121.5272106), (31.17530398364597, 121.531541859215)),
    "Shenzhen": ((22.543847, 113.912316), (22.540796131694766, 113.9171764808363)),
    "Beijing": ((39.911954, 116.377817), (39.91334545536069, 116.38404722455657)),
}
"""Pairs that the open implementations of the offset agree on."""


@pytest.mark.parametrize("city", PUBLISHED)
def test_published_pairs_are_met_both_ways(city):
    wgs, gcj = PUBLISHED[city]
    assert float(haversine_m(*wgs84_to_gcj02(*wgs), *gcj)) < 0.01
    assert float(haversine_m(*gcj02_to_wgs84(*gcj), *wgs)) < 0.01


def test_hangzhou_is_shifted_by_about_half_a_kilometre_south_east():
    lat, lon = wgs84_to_gcj02(30.2741, 120.1551)
    assert lat < 30.2741
    assert lon > 120.1551
    assert 400 < float(haversine_m(30.2741, 120.1551, lat, lon)) < 600


@given(st.floats(18, 53), st.floats(74, 134))
@settings(max_examples=60)
def test_the_inverse_is_exact_to_a_centimetre(lat, lon):
    assert float(haversine_m(*gcj02_to_wgs84(*wgs84_to_gcj02(lat, lon)), lat, lon)) < 0.01


@pytest.mark.parametrize("abroad", [(51.5, -0.1), (-33.9, 151.2), (0.0, 0.0)])
def test_points_abroad_are_not_shifted(abroad):
    assert wgs84_to_gcj02(*abroad) == abroad
    assert gcj02_to_wgs84(*abroad) == abroad
