"""Limits of an application, and the table of states."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.orders import cases, rules
from fleetapp.orders.rules import OrderAction, OrderKind, OrderState, Purpose, Stop

NOW = datetime(2026, 11, 18, 1, 0, 30, tzinfo=UTC)
LIMITS = rules.Limits(lead_time=timedelta(minutes=30), supplementary=timedelta(hours=24))
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
THIS_MINUTE = NOW.replace(second=0)
HERE, THERE = Stop("甲地", 30.2, 120.2), Stop("乙地", 30.3, 120.1)


def check(start_at, end_at=None, kind=OrderKind.ORDINARY, supplementary=False):
    rules.check_window(
        start_at, end_at or start_at + HOUR, kind=kind, supplementary=supplementary, limits=LIMITS, now=NOW
    )


def refused(code, *args, **options):
    with pytest.raises(RuleBroken) as caught:
        check(*args, **options)
    assert caught.value.code == f"orders.{code}"


def test_the_notice_of_ordinary_orders_ends_at_the_minute():
    check(THIS_MINUTE + 30 * MINUTE)
    refused("too_short_notice", THIS_MINUTE + 29 * MINUTE)


@pytest.mark.parametrize("kind", [OrderKind.EMERGENCY, OrderKind.SERVICE])
def test_urgent_and_service_orders_need_no_notice_but_do_not_start_in_the_past(kind):
    check(THIS_MINUTE, kind=kind)
    refused("in_the_past", THIS_MINUTE - MINUTE, kind=kind)


def test_a_window_is_not_reversed_empty_too_long_or_too_far_ahead():
    start = NOW + HOUR
    refused("window_reversed", start, start)
    refused("window_reversed", start, start - MINUTE)
    check(start, start + timedelta(days=15))
    refused("window_too_long", start, start + timedelta(days=15, seconds=1))
    refused("too_far_ahead", NOW + timedelta(days=367))


def test_a_supplementary_order_lies_in_the_past_and_is_late_after_the_limit():
    for hours, is_late in ((24, False), (24.1, True)):
        start_at = THIS_MINUTE - timedelta(hours=hours)
        check(start_at, supplementary=True)
        assert cases.is_late(start_at, supplementary=True, limits=LIMITS, filed_at=NOW) is is_late
    refused("supplementary_too_late", THIS_MINUTE - timedelta(days=92, minutes=1), supplementary=True)
    refused("not_supplementary", NOW + MINUTE, supplementary=True)


@pytest.mark.parametrize(
    ("kind", "passengers", "count", "code"),
    [
        (OrderKind.ORDINARY, "教研员甲", 1, None),
        (OrderKind.ORDINARY, "", 0, "orders.nobody"),
        (OrderKind.EMERGENCY, "值班员", 0, "orders.nobody"),
        (OrderKind.ORDINARY, "  ", 2, "orders.passengers_unnamed"),
        (OrderKind.SERVICE, "", 0, None),
        (OrderKind.SERVICE, "", 1, "orders.passengers_unnamed"),
    ],
)
def test_somebody_travels_except_on_service_orders(kind, passengers, count, code):
    if code is None:
        rules.check_people(kind, passengers, count)
        return
    with pytest.raises(RuleBroken, match=code):
        rules.check_people(kind, passengers, count)


@pytest.mark.parametrize(
    ("stops", "code"),
    [
        ([HERE, THERE], None),
        ([HERE, *[THERE] * 8], None),
        ([HERE], "orders.no_destination"),
        ([], "orders.no_destination"),
        ([HERE, *[THERE] * 9], "orders.too_many_stops"),
        ([HERE, Stop("填反", 120.1, 30.3)], "orders.stop_outside"),
        ([Stop("境外", 0, 0), HERE], "orders.stop_outside"),
        ([HERE, Stop("非数", float("nan"), 120.0)], "orders.stop_outside"),
    ],
)
def test_a_journey_has_one_to_eight_destinations_inside_china(stops, code):
    if code is None:
        rules.check_stops(stops)
        return
    with pytest.raises(RuleBroken, match=code):
        rules.check_stops(stops)


def test_every_kind_has_purposes_and_every_purpose_a_kind():
    assert all(rules.PURPOSES[kind] for kind in OrderKind)
    assert frozenset().union(*rules.PURPOSES.values()) == frozenset(Purpose)
    rules.check_purpose(OrderKind.SERVICE, Purpose.MAINTENANCE)
    with pytest.raises(RuleBroken, match="purpose_not_for_kind"):
        rules.check_purpose(OrderKind.ORDINARY, Purpose.MAINTENANCE)


def test_every_state_is_in_exactly_one_tab():
    assert sorted(state for group in rules.GROUPS.values() for state in group) == sorted(OrderState)


def test_every_state_is_reached_and_only_final_ones_have_no_way_on():
    reached = set(rules.TRANSITIONS.values())
    starts = {state for state, _ in rules.TRANSITIONS}
    assert reached == set(OrderState)
    assert set(OrderState) - starts == rules.GROUPS["over"]


@given(state=st.none() | st.sampled_from(OrderState), action=st.sampled_from(OrderAction))
def test_whatever_is_not_in_the_table_is_refused(state, action):
    if (state, action) in rules.TRANSITIONS:
        assert rules.next_state(state, action) == rules.TRANSITIONS[state, action]
        return
    with pytest.raises(RuleBroken, match="wrong_step"):
        rules.next_state(state, action)


@pytest.mark.parametrize("action", sorted(rules.NEEDS_REASON))
def test_taking_something_away_needs_a_reason(action):
    for reason in (None, "", "  "):
        with pytest.raises(RuleBroken, match="reason_needed"):
            rules.check_reason(action, reason)
    rules.check_reason(action, "会议改期")


def test_a_name_is_found_among_passengers_whatever_the_blanks():
    assert rules.is_named("科长 甲、主任乙", ["主任 乙"])
    assert not rules.is_named("科长甲", ["主任乙", ""])


def test_the_round_trip_is_the_beeline_there_and_back():
    one_degree_m = 111_195
    assert rules.round_trip_m([(30.0, 120.0), (31.0, 120.0)]) == pytest.approx(2 * one_degree_m, rel=1e-3)
    assert rules.round_trip_m([(30.0, 120.0)]) == 0


def test_the_diagram_names_every_step_of_the_table():
    lines = rules.mermaid().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert "    SUBMITTED --> APPROVED: approve" in lines
    assert sum(" --> " in line and ": " in line for line in lines) == len(rules.TRANSITIONS)
