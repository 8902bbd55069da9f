from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telematics.ingest import digest, order_and_dedupe
from telematics.model import Fix

NOON = datetime(2024, 3, 5, 4, tzinfo=UTC)
FIX = Fix(at=NOON, lat=30.274_1, lon=120.155_1, speed_kmh=42.3, direction_deg=90, odometer_m=12_300)

fixes = st.builds(
    Fix,
    at=st.integers(0, 5).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    lat=st.sampled_from([30.0, 30.000_000_2, 30.001]),
    lon=st.just(120.0),
    speed_kmh=st.sampled_from([None, 0.0, 50.0]),
    acc=st.sampled_from([None, True, False]),
    blind=st.booleans(),
    alarm=st.integers(0, 1),
)


@given(st.data(), st.lists(fixes, min_size=1, max_size=12))
@settings(max_examples=60)
def test_order_and_number_of_copies_do_not_matter(data, given_fixes):
    again = data.draw(st.permutations(given_fixes + data.draw(st.lists(st.sampled_from(given_fixes)))))
    canonical = order_and_dedupe(given_fixes)
    assert order_and_dedupe(again) == canonical
    assert order_and_dedupe(canonical) == canonical
    assert [fix.at for fix in canonical] == sorted(fix.at for fix in canonical)
    identities = [(fix.at, digest(fix)) for fix in canonical]
    assert len(set(identities)) == len(identities)
    assert set(identities) == {(fix.at, digest(fix)) for fix in given_fixes}


def test_of_two_copies_the_live_one_is_kept():
    assert order_and_dedupe([replace(FIX, blind=True), FIX]) == [FIX]


def test_the_same_instant_in_another_zone_is_the_same_fix():
    beijing = replace(FIX, at=NOON.astimezone(timezone(timedelta(hours=8))))
    assert len(order_and_dedupe([FIX, beijing])) == 1


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        order_and_dedupe([replace(FIX, at=NOON.replace(tzinfo=None))])


@pytest.mark.parametrize(
    "other",
    [{"lat": 30.274_101}, {"lon": 120.155_101}, {"speed_kmh": 42.4}, {"direction_deg": 91}, {"odometer_m": 12_400}],
)
def test_the_digest_sees_position_speed_direction_and_odometer(other):
    assert digest(replace(FIX, **other)) != digest(FIX)


@pytest.mark.parametrize("other", [{"lat": 30.274_100_1}, {"speed_kmh": 42.31}, {"alarm": 4}, {"acc": True}])
def test_the_digest_ignores_what_the_store_rounds_and_what_is_no_place(other):
    assert digest(replace(FIX, **other)) == digest(FIX)


def test_the_digest_fits_a_database_bigint_and_never_changes():
    """Stored digests identify fixes for years: the figure is part of the contract."""
    assert digest(FIX) == GOLDEN_DIGEST
    assert -(2**63) <= digest(replace(FIX, lat=float("nan"), lon=1e300)) < 2**63


GOLDEN_DIGEST = 2490055943884873693
