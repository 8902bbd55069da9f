"""When and how a notice leaves the system."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetapp.kit import clock
from fleetapp.kit.errors import RuleBroken
from fleetapp.notices import rules
from fleetapp.notices.rules import ChannelName, DeliveryState, Limits

LIMITS = Limits(time(22), time(7), per_hour=3, digest_from=3, most_attempts=4)
MOMENTS = st.integers(0, 365 * 86_400).map(lambda second: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second))
HOURS = st.integers(0, 23).map(time)


def at(text):
    return datetime.fromisoformat(f"{text}+08:00")


@pytest.mark.parametrize(
    ("asked", "loud"),
    [
        ("2026-11-18 21:59", "2026-11-18 21:59"),
        ("2026-11-18 22:00", "2026-11-19 07:00"),
        ("2026-11-18 23:59:59", "2026-11-19 07:00"),
        ("2026-11-19 00:00", "2026-11-19 07:00"),
        ("2026-11-19 06:59", "2026-11-19 07:00"),
        ("2026-11-19 07:00", "2026-11-19 07:00"),
        ("2026-12-31 23:00", "2027-01-01 07:00"),
    ],
)
def test_quiet_hours_end_in_the_morning_of_the_office(asked, loud):
    assert rules.loud_at(at(asked), LIMITS) == at(loud)


@settings(max_examples=60, deadline=None)
@given(MOMENTS, HOURS, HOURS)
def test_what_waits_for_the_end_of_quiet_hours_waits_less_than_a_day_and_is_loud_then(moment, start, end):
    limits = Limits(start, end, 3, 3, 4)
    loud = rules.loud_at(moment, limits)
    assert moment <= loud < moment + timedelta(days=1)
    assert rules.loud_at(loud, limits) == loud
    assert loud == moment or clock.local(loud).time() == end


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_the_wait_doubles_up_to_an_hour_and_jitter_takes_at_most_half(attempts, jitter, other):
    full = min(3600, 30 * 2 ** (attempts - 1))
    found = rules.wait(attempts, jitter).total_seconds()
    assert full / 2 - 1e-6 <= found <= full + 1e-6
    assert (rules.wait(attempts, other) >= rules.wait(attempts, jitter)) == (other >= jitter) or abs(
        other - jitter
    ) < 1e-6


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 7200), max_size=12), st.integers(1, 5))
def test_nobody_gets_more_an_hour_than_allowed(ages, per_hour):
    now = at("2026-11-18 12:00")
    sent = [now - timedelta(seconds=age) for age in ages]
    free = rules.free_at(sent, now, per_hour)
    assert now <= free <= now + rules.HOUR
    assert sum(1 for one in sent if one > free - rules.HOUR) < per_hour


def test_an_urgent_notice_goes_as_routed_and_another_as_chosen():
    routes = {("orders", "sms"): True, ("orders", "chat"): False}
    chosen = {("orders", "sms"): False, ("orders", "chat"): True}
    on = list(ChannelName)
    assert rules.channels_for("orders", on=on, routes=routes, chosen={}, urgent=False) == [ChannelName.SMS]
    assert rules.channels_for("orders", on=on, routes=routes, chosen=chosen, urgent=False) == [ChannelName.CHAT]
    assert rules.channels_for("orders", on=on, routes=routes, chosen=chosen, urgent=True) == [ChannelName.SMS]
    assert rules.channels_for("orders", on=[], routes=routes, chosen=chosen, urgent=True) == []


def test_a_failure_is_tried_again_until_the_last_attempt():
    after = [rules.after_failure(attempts=n, again=True, most_attempts=3) for n in (1, 2, 3)]
    assert after == [DeliveryState.QUEUED, DeliveryState.QUEUED, DeliveryState.FAILED]
    assert rules.after_failure(attempts=1, again=False, most_attempts=3) == DeliveryState.FAILED


def test_numbers_and_addresses_are_never_whole_on_a_page():
    assert (rules.masked("13812341234"), rules.masked("zhang@example.cn"), rules.masked("123")) == (
        "138****1234",
        "zh***@example.cn",
        "****",
    )
    words = rules.scrubbed("no\nsuch 13812341234, ask zhang.san@example.cn " + "x" * 900)
    assert "13812341234" not in words
    assert "zhang.san@" not in words
    assert len(words) == 300


@pytest.mark.parametrize(
    ("channel", "address"), [("mail", "nobody"), ("mail", "a@b"), ("mail", "a b@c.cn"), ("chat", "张三"), ("chat", "x")]
)
def test_a_wrong_address_is_refused(channel, address):
    with pytest.raises(RuleBroken, match=f"{channel}_form"):
        rules.check_address(ChannelName(channel), address)
    assert rules.check_address(ChannelName.MAIL, "a.b@example.gov.cn") == "a.b@example.gov.cn"
