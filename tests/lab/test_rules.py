"""Curves, samples and sums of the lab: values in, values out."""

import random
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.lab import rules
from fleetapp.lab.rules import Curve

TODAY = date(2026, 11, 18)
COUNTS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=5), min_size=1, max_size=4)


def curve_of(counts):
    served = tuple(rules.never_fewer([0, *of_day]) for of_day in counts)
    return Curve(tuple(of_day[-1] for of_day in served), served)


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(COUNTS, st.floats(0.5, 1.0))
def test_more_vehicles_never_serve_fewer_and_the_smallest_number_is_smallest(counts, share):
    curve = curve_of(counts)
    shares = [curve.share(n) for n in range(curve.most() + 3)]
    assert shares == sorted(shares)
    need = rules.smallest(curve, share)
    assert need is not None, "with all of them every order that can be served is"
    assert curve.share(need) >= share - 1e-9
    assert need == 0 or curve.share(need - 1) < share


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(COUNTS, st.integers(0, 99))
def test_the_range_is_the_same_for_a_seed_and_within_the_curve(counts, seed):
    curve = curve_of(counts)
    rng = random.Random(seed)
    draws = [rng.choices(range(len(counts)), k=len(counts)) for _ in range(rules.DRAWS)]
    low, high = rules.interval(curve, 0.98, lambda k: draws[k])
    assert 0 <= low <= high <= curve.most()
    assert (low, high) == rules.interval(curve, 0.98, lambda k: draws[k])
    if len(counts) == 1:
        assert low == high == rules.smallest(curve, 0.98)


def test_a_fleet_that_cannot_serve_enough_is_named():
    assert rules.smallest(Curve((4,), ((0, 1, 2),)), 0.98) is None
    assert rules.smallest(Curve((0,), ((0,),)), 0.98) == 0


def test_the_year_is_cheapest_where_a_car_just_pays():
    curve = Curve((3, 3), ((0, 2, 3), (0, 2, 3)))
    given_ = {
        "own_year": Decimal(40_000),
        "own_km": Decimal("0.5"),
        "km_order": Decimal(20),
        "rental_order": Decimal(450),
    }
    costs = [rules.yearly_cost(curve, n, **given_) for n in range(3)]
    assert costs[0] == 3 * 250 * 450
    assert costs[1] == 40_000 + 2 * 250 * 10 + 250 * 450
    assert costs[2] == 80_000 + 3 * 250 * 10
    assert min(costs) == costs[2]


@pytest.mark.parametrize(("wrong", "code"), [
    ({"end_on": date(2026, 10, 1)}, "lab.period_reversed"), ({"start_on": date(2025, 1, 1)}, "lab.period_too_long"),
    ({"end_on": TODAY}, "lab.period_ahead"), ({"days": 2}, "lab.sample_size"), ({"days": 61}, "lab.sample_size"),
])  # fmt: skip
def test_periods_and_samples_that_cannot_be_meant_are_refused(wrong, code):
    right = {"start_on": date(2026, 10, 2), "end_on": date(2026, 11, 17), "today": TODAY, "days": 10}
    rules.check_days(**right)
    with pytest.raises(RuleBroken, match=code):
        rules.check_days(**(right | wrong))
    for share in ("0.4", "1.01"):
        with pytest.raises(RuleBroken, match=r"lab\.share"):
            rules.check_share(Decimal(share))
