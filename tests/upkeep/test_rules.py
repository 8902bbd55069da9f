"""When things come due, and which way a work order may go."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.upkeep import rules
from fleetapp.upkeep.rules import (
    InspectionTable,
    Interval,
    Item,
    LineKind,
    Pace,
    PlanScope,
    Run,
    WorkAction,
    WorkState,
)
from fleetapp.vehicles.rules import Energy

SMALL = InspectionTable(10, 24, 12, frozenset([6, 10]))
LARGE = InspectionTable(10, 12, 6, None)
TODAY = date(2026, 11, 18)
DAYS = st.dates(date(2000, 1, 1), date(2060, 12, 31))


@pytest.mark.parametrize(
    ("on", "months", "expected"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2023, 12, 31), 2, date(2024, 2, 29)),
        (date(2024, 2, 29), 12, date(2025, 2, 28)),
        (date(2026, 11, 18), 1, date(2026, 12, 18)),
        (date(2026, 12, 18), 1, date(2027, 1, 18)),
    ],
)
def test_months_later(on, months, expected):
    assert rules.add_months(on, months) == expected


@given(DAYS, st.integers(0, 240))
def test_months_later_is_in_that_month_and_never_beyond_the_day(on, months):
    after = rules.add_months(on, months)
    assert (after.year * 12 + after.month) - (on.year * 12 + on.month) == months
    assert after.day <= on.day


@pytest.mark.parametrize(
    ("every", "run_km", "pace_km", "expected"),
    [
        (Interval(every_km=10_000), 9_000, 50, (TODAY + timedelta(days=20), "km", 1_000_000)),
        (Interval(every_km=10_000, every_months=6), 2_000, 10, (date(2026, 12, 1), "months", 8_000_000)),
        (Interval(every_km=10_000, every_months=6), 9_900, 50, (TODAY + timedelta(days=2), "km", 100_000)),
        (Interval(every_km=10_000), 10_000, 50, (TODAY, "km", 0)),
        (Interval(every_km=10_000, every_months=5), 10_500, 50, (date(2026, 11, 1), "months", -500_000)),
        (Interval(every_km=10_000), 1_000, 0, (date.max, "km", 9_000_000)),
    ],
)
def test_whichever_comes_first_decides(every, run_km, pace_km, expected):
    last = Run(date(2026, 6, 1), 50_000_000)
    at = Run(TODAY, 50_000_000 + run_km * 1000)
    assert rules.next_maintenance(every, last, at, Pace(pace_km * 1000)) == expected


def test_engine_hours_count_where_they_are_read():
    last, at = Run(date(2026, 6, 1), 0, Decimal(100)), Run(TODAY, 0, Decimal(340))
    assert rules.next_maintenance(Interval(every_hours=250), last, at, Pace(0, 2.0))[:2] == (
        TODAY + timedelta(days=5),
        "hours",
    )
    unread = Run(TODAY, 0)
    assert rules.next_maintenance(Interval(every_hours=250), last, unread, Pace(0, 2.0))[0] == date.max


@given(st.integers(1, 50), st.integers(1, 36), st.integers(0, 80_000), st.integers(0, 400))
def test_another_interval_makes_it_never_later(every_1000_km, months, run_km, pace_km):
    last, at, pace = Run(date(2026, 1, 1), 0), Run(TODAY, run_km * 1000), Pace(pace_km * 1000)

    def due(**every):
        return rules.next_maintenance(Interval(**every), last, at, pace)[0]

    km, time = {"every_km": every_1000_km * 1000}, {"every_months": months}
    assert due(**km, **time) == min(due(**km), due(**time))


def test_the_pace_is_that_of_late_or_of_the_whole_life():
    whole = Run(TODAY, 100_000_000)
    registered_on = TODAY - timedelta(days=1000)
    first, last = Run(TODAY - timedelta(days=50), 98_000_000), Run(TODAY, 100_000_000)
    assert rules.pace(first=first, last=last, whole=whole, registered_on=registered_on).m_a_day == 40_000
    for pair in ((None, None), (Run(TODAY - timedelta(days=3), 99_000_000), last)):
        assert rules.pace(first=pair[0], last=pair[1], whole=whole, registered_on=registered_on).m_a_day == 100_000


@pytest.mark.parametrize(
    ("table", "after", "expected", "item"),
    [
        (SMALL, date(2020, 5, 1), date(2022, 5, 1), "mark"),
        (SMALL, date(2025, 1, 1), date(2026, 5, 1), "test"),
        (SMALL, date(2027, 1, 1), date(2028, 5, 1), "mark"),
        (SMALL, date(2029, 1, 1), date(2030, 5, 1), "test"),
        (SMALL, date(2030, 5, 1), date(2031, 5, 1), "test"),
        (LARGE, date(2020, 5, 1), date(2021, 5, 1), "test"),
        (LARGE, date(2030, 5, 1), date(2030, 11, 1), "test"),
    ],
)
def test_inspection_by_the_law(table, after, expected, item):
    registered_on = date(2020, 5, 1)
    on = rules.next_inspection(registered_on, table, after)
    assert (on, rules.inspection_item(registered_on, table, on)) == (expected, item)


@given(DAYS, st.integers(0, 8000), st.sampled_from([SMALL, LARGE]))
def test_an_inspection_always_lies_ahead_and_within_the_interval(registered_on, days, table):
    after = registered_on + timedelta(days=days)
    on = rules.next_inspection(registered_on, table, after)
    assert after < on <= rules.add_months(after, table.early_months) + timedelta(days=3)


@pytest.mark.parametrize(
    ("left", "lead"), [(91, None), (90, 90), (31, 90), (30, 30), (8, 30), (7, 7), (1, 7), (0, 0), (-400, 0)]
)
def test_reminders_go_by_the_shortest_lead_that_has_begun(left, lead):
    assert rules.lead_reached(left, [90, 30, 7]) == lead


def test_the_most_specific_plan_counts():
    of_all, of_energy = PlanScope(None, None, None, 2), PlanScope(None, None, "bev", 2)
    of_model, of_car, of_unit = (
        PlanScope(None, "X", None, 2),
        PlanScope(7, None, None, 4),
        PlanScope(None, None, None, 4),
    )
    assert sorted([of_car, of_all, of_model, of_unit, of_energy], key=PlanScope.rank) == [
        of_all,
        of_unit,
        of_energy,
        of_model,
        of_car,
    ]
    assert of_energy.covers(1, "X", "bev")
    assert not of_energy.covers(1, "X", "petrol")
    assert not of_car.covers(8, "X", "bev")


@pytest.mark.parametrize(
    ("every", "item", "energy", "code"),
    [
        (Interval(), Item.GENERAL, None, "upkeep.interval"),
        (Interval(every_km=5000), Item.ENGINE_OIL, Energy.BEV, "upkeep.no_engine"),
        (Interval(every_km=5000), Item.ENGINE_OIL, Energy.PHEV, None),
        (Interval(every_hours=50), Item.GENERAL, None, None),
    ],
)
def test_a_plan(every, item, energy, code):
    if code is None:
        rules.check_plan(every, item=item, energy=energy)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_plan(every, item=item, energy=energy)
    assert broken.value.code == code


def step(state, action):
    try:
        return rules.next_state(state, action)
    except RuleBroken:
        return None


@given(st.lists(st.sampled_from(list(WorkAction)), max_size=16))
def test_nothing_is_accepted_that_was_not_quoted_approved_and_done_in_this_order(actions):
    state, seen = WorkState.REPORTED, []
    for action in actions:
        after = step(state, action)
        if after is not None:
            seen.append(action)
            state = after
    if state is WorkState.ACCEPTED:
        wanted = [WorkAction.SUBMIT, WorkAction.APPROVE, WorkAction.START]
        assert [action for action in seen if action in wanted] == wanted
        assert seen[-1] is WorkAction.ACCEPT
        assert seen.count(WorkAction.FINISH) == 1 + seen.count(WorkAction.REWORK)


def test_living_orders_have_a_way_out_and_closed_ones_none():
    for state in WorkState:
        assert any(step(state, action) for action in WorkAction) is (state in rules.LIVING)


@pytest.mark.parametrize(
    ("suppliers", "chosen", "reason", "code"),
    [
        ([1, 2], 2, None, None),
        ([1], 1, "只有一家能修", None),
        ([1], 1, None, "upkeep.more_quotes"),
        ([1, 2], 3, None, "upkeep.not_quoted"),
        ([], 1, "只有一家能修", "upkeep.not_quoted"),
    ],
)
def test_quotes(suppliers, chosen, reason, code):
    if code is None:
        rules.check_quotes(suppliers, chosen=chosen, least=2, single_reason=reason)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_quotes(suppliers, chosen=chosen, least=2, single_reason=reason)
    assert broken.value.code == code


@given(st.decimals(0, 99999, places=2), st.decimals(0, 1, places=2), st.decimals(0, 99999, places=2))
def test_a_cost_above_the_margin_needs_a_second_approval(limit, share, cost):
    most = rules.allowed_cost(limit, share)
    assert most >= limit
    rules.check_cost(cost, limit, share, excess_allowed=True)
    if cost <= most:
        rules.check_cost(cost, limit, share, excess_allowed=False)
    else:
        with pytest.raises(RuleBroken):
            rules.check_cost(cost, limit, share, excess_allowed=False)


def test_a_contract_is_half_open():
    period = {"contract_from": date(2026, 1, 1), "contract_to": date(2027, 1, 1)}
    rules.check_contract(date(2026, 1, 1), **period)
    for on in (date(2025, 12, 31), date(2027, 1, 1)):
        with pytest.raises(RuleBroken):
            rules.check_contract(on, **period)


def test_a_line():
    rules.check_line(LineKind.TYRE, quantity=Decimal(1), serial="DOT 1")
    rules.check_line(LineKind.PART, quantity=Decimal(-1), serial=None)
    for kind, quantity in ((LineKind.TYRE, 1), (LineKind.LABOUR, 0)):
        with pytest.raises(RuleBroken):
            rules.check_line(kind, quantity=Decimal(quantity), serial=None)
