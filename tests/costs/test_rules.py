"""Grouping, splitting and spreading of costs, as pure functions."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.costs import rules
from fleetapp.costs.chart import round_top
from fleetapp.costs.rules import Depreciation, Group
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles.rules import PURCHASE_COSTS, CostKind, CostRow

CENTS = st.integers(1, 10_000_000).map(lambda cents: Decimal(cents) / 100)
ROWS = st.lists(
    st.builds(
        CostRow,
        vehicle_id=st.just(1),
        org_id=st.just(1),
        on=st.dates(date(2020, 1, 1), date(2026, 12, 31)),
        kind=st.sampled_from(list(CostKind)),
        amount=CENTS,
        source=st.just("x:1"),
    )
)


@given(ROWS)
def test_every_cost_counts_once_as_purchase_or_as_running_and_in_one_group(rows):
    found = rules.add_up(rows)
    assert found.total == sum((row.amount for row in rows), Decimal(0))
    assert (
        found.running
        == sum(found.by_kind.values(), Decimal(0))
        == sum((found.of(group) for group in Group), Decimal(0))
    )
    assert not found.by_kind.keys() & PURCHASE_COSTS


@given(st.dates(date(2020, 1, 1), date(2026, 12, 31)), st.integers(1, 800))
def test_months_cover_every_day_of_a_period(start, days):
    end = date.fromordinal(start.toordinal() + days)
    months = rules.months_between(start, end)
    assert months == sorted(set(months))
    assert {rules.month_of(date.fromordinal(start.toordinal() + day)) for day in range(days)} == set(months)


@given(
    CENTS,
    st.dates(date(2015, 1, 1), date(2026, 12, 31)),
    st.integers(0, 200),
    st.sampled_from([Decimal(0), Decimal("0.05")]),
)
def test_depreciation_never_takes_more_than_its_share_and_never_goes_back(value, since, months, residual):
    plan = Depreciation(value, since, Decimal(8), residual)
    on = rules.months_between(since, date(2060, 1, 1))[months]
    left = plan.book_value(on)
    assert value * residual - Decimal("0.01") <= left <= value
    assert plan.book_value(rules.months_between(on, date(2061, 1, 1))[1]) <= left


def test_depreciation_begins_in_the_month_of_acquisition_and_ends_after_its_years():
    plan = Depreciation(Decimal("96000.00"), date(2020, 3, 20), Decimal(8), Decimal(0))
    assert plan.yearly == Decimal(12000)
    assert plan.written_off(date(2020, 3, 1)) == Decimal(1000)
    assert plan.book_value(date(2020, 2, 29)) == Decimal(96000)
    assert plan.book_value(date(2028, 2, 1)) == plan.book_value(date(2040, 1, 1)) == 0


@pytest.mark.parametrize(
    ("kind", "order_id", "explanation", "code"),
    [
        (CostKind.TOLL, 1, None, None),
        (CostKind.TOLL, None, "送修途中", None),
        (CostKind.TOLL, None, None, "costs.task_needed"),
        (CostKind.PARKING_FEE, None, " 无  ", "costs.task_needed"),
        (CostKind.WASH, None, None, None),
        (CostKind.FUEL, 1, "加油加油", "costs.elsewhere"),
        (CostKind.PURCHASE, 1, "购置购置", "costs.elsewhere"),
    ],
)
def test_what_a_cost_must_state(kind, order_id, explanation, code):
    if code is None:
        rules.check_entry(kind=kind, order_id=order_id, explanation=explanation)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_entry(kind=kind, order_id=order_id, explanation=explanation)
    assert broken.value.code == code


def test_per_kilometre_and_whole_life():
    assert rules.per_km(Decimal(500), 1_000_000) == Decimal("0.500")
    assert rules.per_km(Decimal(500), 0) is None
    assert rules.whole_life(purchase=Decimal(180), running=Decimal(90), proceeds=Decimal(21)) == 249


@given(st.floats(0.01, 1e9))
def test_the_top_of_a_chart_is_round_and_just_above(value):
    top = round_top(value)
    assert value <= top < 2.6 * value
