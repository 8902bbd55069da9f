"""Who may be served by what, spans of offers, the two machines, prices."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.sharing import rules
from fleetapp.sharing.rules import FallbackKind, Loan, LoanAction, LoanState, Offer, RequestAction, RequestState, Way

WEDNESDAY = datetime(2026, 11, 18, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
DISTRICTS = ["/1/4/", "/1/5/"]
EVERY = frozenset(range(1, 8))
ALL_DAY = Offer("/", EVERY, time(0), None, date(2026, 11, 1), None, timedelta(0))


def span(start_h: float, end_h: float) -> Span:
    """Hours from Wednesday 09:00 at the office."""
    return Span(WEDNESDAY + start_h * HOUR, WEDNESDAY + end_h * HOUR)


@pytest.mark.parametrize(("changes", "window", "covers"), [
    ({}, span(1, 3), True), ({}, span(1, 30), True), ({"weekdays": frozenset({3})}, span(1, 3), True),
    ({"weekdays": frozenset({3})}, span(1, 30), False), ({"weekdays": frozenset({1, 2})}, span(1, 3), False),
    ({"from_time": time(9), "to_time": time(12)}, span(0, 3), True), ({"from_time": time(9), "to_time": time(12)}, span(0, 3.1), False),
    ({"from_time": time(9)}, span(-0.1, 3), False), ({"from_time": time(9)}, span(1, 30), False),
    ({"valid_to": date(2026, 11, 18)}, span(1, 3), False), ({"valid_to": date(2026, 11, 19)}, span(1, 15), True),
    ({"valid_to": date(2026, 11, 19)}, span(1, 15.1), False), ({"valid_from": date(2026, 11, 19)}, span(1, 3), False),
])  # fmt: skip
def test_an_offer_covers_half_open_days_and_hours(changes, window, covers):
    given = {name: getattr(ALL_DAY, name) for name in Offer.__slots__} | changes
    assert Offer(**given).covers(window) is covers


def ask(*, unit="/1/4/17/", offers=(), loans=(), by_default=False, home_waits=False, window=None, now=WEDNESDAY):
    window = window or span(4, 6)
    return rules.answer(home_path="/1/5/19/", unit_path=unit, by_default=by_default, offers=offers, loans=loans, window=window,
                        held=window.widened(HOUR / 4, HOUR / 4), now=now, home_waits=home_waits)  # fmt: skip


def loan(to_path: str, during: Span, driver_id: int | None = None) -> Loan:
    return Loan(1, 4, to_path, during, driver_id)


def test_what_was_said_decides_and_silence_leaves_the_default():
    assert ask(unit="/1/5/19/").way is Way.OWN
    assert ask(by_default=True).way is Way.POOL
    assert ask().code == "lending"
    to_xihu = Offer("/1/4/", EVERY, time(0), None, date(2026, 11, 1), None, 3 * HOUR)
    assert ask(offers=[to_xihu]).way is Way.OFFER
    assert ask(offers=[to_xihu], unit="/1/3/", by_default=True).code == "lending", "offered to Xihu alone"
    assert ask(offers=[to_xihu], home_waits=True).code == "home_first"
    assert ask(offers=[to_xihu], unit="/1/5/19/", home_waits=True).way is Way.OWN
    assert ask(offers=[to_xihu], window=span(2, 3)).code == "offer_notice"
    assert ask(offers=[to_xihu, ALL_DAY], window=span(2, 3)).way is Way.OFFER, "the shorter notice will do"


def test_a_loan_stands_above_the_holder_and_ends_when_it_ends():
    lent = loan("/1/4/", span(3, 8))
    assert ask(loans=[lent]).way is Way.LOAN
    assert ask(loans=[lent], unit="/1/5/19/").code == "lent_elsewhere"
    assert ask(loans=[lent], unit="/1/5/19/", window=span(9, 10)).way is Way.OWN
    assert ask(loans=[lent], window=span(4, 9)).code == "loan_ends"
    assert ask(loans=[lent], home_waits=True).way is Way.LOAN


@pytest.mark.parametrize(("asked", "holder", "offers", "may"), [
    ("/1/", "/1/2/", (), True), ("/1/", "/1/3/", (), True), ("/1/", "/1/5/19/", (), False), ("/1/", "/1/5/19/", (ALL_DAY,), True),
    ("/1/5/", "/1/5/19/", (), True), ("/1/5/", "/1/2/", (), False), ("/1/5/19/", "/1/5/19/", (), True), ("/1/5/19/", "/1/5/20/", (), False),
])  # fmt: skip
def test_whoever_is_asked_lends_his_own_or_what_was_offered(asked, holder, offers, may):
    assert rules.may_answer(asked_path=asked, holder_path=holder, offers=offers, asker_path="/1/4/", window=span(1, 3),
                            districts=DISTRICTS) is may  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.sampled_from(list(RequestAction)), max_size=6), st.lists(st.sampled_from(list(LoanAction)), max_size=6)
)
def test_what_is_answered_or_over_never_moves_again(answers, steps):
    for table, state, actions, move in (
        (rules.REQUESTS, RequestState.PENDING, answers, rules.next_request), (rules.LOANS, LoanState.AGREED, steps, rules.next_loan),
    ):  # fmt: skip
        seen = [state]
        for action in actions:
            try:
                seen.append(move(seen[-1], action))
            except RuleBroken:
                assert (seen[-1], action) not in table
        final = [one for one in seen if not any(start == one for start, _ in table)]
        assert len(final) <= 1
        assert not final or seen[-1] == final[0]
        if table is rules.LOANS and LoanState.RECALLED in seen:
            assert LoanState.CALLED_OFF not in seen


@given(st.integers(1, 60 * 24 * 20), st.integers(1, 5000))
def test_the_norm_is_whole_days_and_never_less_than_one(minutes, day):
    norm = rules.rental_norm(Decimal(day), Span(WEDNESDAY, WEDNESDAY + timedelta(minutes=minutes)))
    days = norm / day
    assert days == int(days) >= 1
    assert (days - 1) * 1440 < minutes <= days * 1440


@pytest.mark.parametrize(("kind", "price", "note", "code"), [
    (FallbackKind.RENTAL, "450", None, None), (FallbackKind.RENTAL, "450.01", None, "sharing.above_norm"),
    (FallbackKind.RIDE_HAILING, "900", "高峰期只有商务车", None), (FallbackKind.PUBLIC_TRANSPORT, "900", None, None),
    (FallbackKind.RENTAL, "-0.01", "x", "sharing.price"),
])  # fmt: skip
def test_dearer_than_the_norm_says_why(kind, price, note, code):
    if code is None:
        rules.check_price(kind, Decimal(price), Decimal(450), note)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_price(kind, Decimal(price), Decimal(450), note)
    assert broken.value.code == code


@pytest.mark.parametrize(("hours", "code"), [(24, None), (23.9, "sharing.recall_notice"), (48, "sharing.recall_late")])
def test_a_recall_keeps_the_notice_and_ends_within_the_loan(hours, code):
    given = {"now": WEDNESDAY, "notice": 24 * HOUR}
    if code is None:
        rules.check_recall(span(1, 48), WEDNESDAY + hours * HOUR, **given)
        return
    with pytest.raises(RuleBroken) as broken:
        rules.check_recall(span(1, 48), WEDNESDAY + hours * HOUR, **given)
    assert broken.value.code == code


def test_the_answer_is_due_before_the_journey_but_never_at_once():
    assert rules.reply_by(span(10, 11), WEDNESDAY, 4 * HOUR) == WEDNESDAY + 4 * HOUR
    assert rules.reply_by(span(2, 11), WEDNESDAY, 4 * HOUR) == WEDNESDAY + 2 * HOUR
    assert rules.reply_by(span(0, 11), WEDNESDAY, 4 * HOUR) == WEDNESDAY + timedelta(minutes=10)
