"""How far readings may be apart and which one counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.confirmations import rules
from fleetapp.confirmations.rules import Distances, Level, Limits, Source

LIMITS = Limits(share=0.1, metres=3000, coverage=0.9)


@pytest.mark.parametrize(
    ("odometer_m", "gps_m", "coverage", "level"),
    [
        (40_000, 39_500, 0.97, Level.NEAR),
        (40_000, 36_000, 0.97, Level.FAR),
        (40_000, 44_500, 0.97, Level.FAR),
        (40_000, 44_500, 0.89, Level.UNSURE),
        (4_000, 3_000, 0.97, Level.APART),
        (100_000, 104_000, 0.97, Level.APART),
        (33_000, 30_000, 0.97, Level.NEAR),
        (4_000, 0, 0.97, Level.FAR),
        (2_000, 0, 0.97, Level.APART),
        (2_000, 2_000, None, Level.NEAR),
    ],
)
def test_a_difference_is_to_be_explained_beyond_both_limits_against_a_sure_reading(odometer_m, gps_m, coverage, level):
    found = rules.differences(Distances(odometer_m=odometer_m, gps_m=gps_m, gps_coverage=coverage), LIMITS)
    assert [(one.of, one.metres, one.level) for one in found] == [(Source.GPS, odometer_m - gps_m, level)]
    assert rules.to_explain(found) is (level is Level.FAR)


def test_a_plan_asks_for_words_when_it_follows_roads_and_gps_does_not_vouch_for_the_odometer():
    for sure in (False, True):
        for gps_m, coverage, vouches in (
            (None, None, False),
            (40_100, 0.97, True),
            (40_100, 0.5, True),
            (20_000, 0.5, False),
        ):
            found = Distances(
                planned_m=20_000, planned_sure=sure, gps_m=gps_m, gps_coverage=coverage, odometer_m=40_000
            )
            assert rules.to_explain(rules.differences(found, LIMITS)) is (sure and not vouches)


@given(*[st.none() | st.integers(0, 3_000_000)] * 4)
def test_the_first_reading_there_is_counts(corrected, odometer, gps, planned):
    found = rules.proposal(Distances(planned_m=planned, gps_m=gps, odometer_m=odometer), corrected_m=corrected)
    known = [metres for metres in (corrected, odometer, gps, planned) if metres is not None]
    assert (found is None) == (not known)
    if found:
        assert found[0] == known[0]
