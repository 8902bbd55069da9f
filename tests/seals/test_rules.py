"""Ways of notices and records, proposals from the calendar, the light."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fleetapp.kit.errors import RuleBroken
from fleetapp.seals import rules
from fleetapp.seals.rules import CampaignAction, CampaignState, Light, RecordAction, RecordState, UnitCount
from fleetapp.workdays.rules import Day, DayKind

SHARE = Decimal("0.2")


class RecordMachine(RuleBasedStateMachine):
    """Any steps in any order: what a record says is what happened to it."""

    def __init__(self):
        super().__init__()
        self.state = RecordState.TO_SEAL
        self.done = []

    @rule(action=st.sampled_from(list(RecordAction)))
    def take(self, action):
        before, possible = self.state, (self.state, action) in rules.RECORD_STEPS
        try:
            self.state = rules.next_record_state(before, action)
        except RuleBroken:
            assert not possible
        else:
            assert possible
            assert before in rules.LIVING
            self.done.append(action)

    @invariant()
    def nothing_is_unsealed_that_was_not_sealed(self):
        if self.state in {RecordState.SEALED, RecordState.UNSEALED}:
            assert RecordAction.PROVE in self.done
        if self.state is RecordState.UNSEALED:
            assert self.done[-2:] == [RecordAction.PROVE, RecordAction.UNSEAL]

    @invariant()
    def a_sealed_vehicle_is_never_missed_nor_cancelled(self):
        if self.state in {RecordState.MISSED, RecordState.CANCELLED}:
            assert self.done[-2:-1] != [RecordAction.PROVE]
        if self.state is RecordState.MISSED:
            assert self.done == [RecordAction.MISS]

    @invariant()
    def no_duty_without_its_approval_or_unsealing(self):
        if self.state is RecordState.EXEMPT:
            assert self.done[-1] in {RecordAction.EXEMPT, RecordAction.UNSEAL_FOR_DUTY}


TestRecordMachine = RecordMachine.TestCase


@given(st.lists(st.sampled_from(list(CampaignAction)), max_size=10))
def test_a_notice_closes_only_after_it_ran_and_ends_once(actions):
    state, seen = CampaignState.DRAFT, []
    for action in actions:
        try:
            state = rules.next_campaign_state(state, action)
        except RuleBroken:
            continue
        seen.append(action)
    if state is CampaignState.CLOSED:
        assert seen == [CampaignAction.PUBLISH, CampaignAction.START, CampaignAction.CLOSE]
    if state is CampaignState.CANCELLED:
        assert seen[-1] is CampaignAction.CANCEL
        assert CampaignAction.START not in seen


def holiday(*days):
    return [Day(on, DayKind.HOLIDAY, "国庆节") for on in days]


def test_the_next_holiday_of_the_calendar_with_all_its_days():
    days = [Day(date(2026, 9, 30), DayKind.WORKDAY), *holiday(*(date(2026, 10, n) for n in range(1, 8))),
            Day(date(2026, 10, 8), DayKind.WORKDAY)]  # fmt: skip
    found = rules.next_holiday(days, date(2026, 9, 29))
    assert (found.holiday, found.start_on, found.end_on, found.known) == (
        "国庆节",
        date(2026, 10, 1),
        date(2026, 10, 8),
        True,
    )


@pytest.mark.parametrize(
    ("on", "name", "start_on", "end_on"),
    [
        (date(2026, 11, 18), "元旦", date(2027, 1, 1), date(2027, 1, 2)),
        (date(2027, 1, 1), "劳动节", date(2027, 5, 1), date(2027, 5, 3)),
        (date(2027, 6, 1), "国庆节", date(2027, 10, 1), date(2027, 10, 4)),
    ],
)
def test_without_a_notice_the_statutory_days_are_proposed_and_said_to_be_so(on, name, start_on, end_on):
    days = [Day(on + timedelta(days=n), DayKind.REST, known=False) for n in range(1, 400)]
    found = rules.next_holiday(days, on)
    assert (found.holiday, found.start_on, found.end_on, found.known) == (name, start_on, end_on, False)


@pytest.mark.parametrize(
    ("state", "on", "duty", "expected"),
    [
        ("PUBLISHED", date(2026, 9, 30), None, None),
        ("RUNNING", date(2026, 10, 7), None, None),
        ("RUNNING", date(2026, 10, 8), None, RecordAction.UNSEAL),
        ("RUNNING", date(2026, 10, 1), (date(2026, 10, 2), date(2026, 10, 4)), None),
        ("RUNNING", date(2026, 10, 2), (date(2026, 10, 2), date(2026, 10, 4)), RecordAction.UNSEAL_FOR_DUTY),
        ("RUNNING", date(2026, 10, 4), (date(2026, 10, 2), date(2026, 10, 4)), None),
        ("CLOSED", date(2026, 10, 4), None, RecordAction.UNSEAL),
        ("CANCELLED", date(2026, 9, 30), None, RecordAction.UNSEAL),
    ],
)
def test_when_a_vehicle_may_be_unsealed(state, on, duty, expected):
    exempt_from, exempt_until = duty or (None, None)
    days = {"end_on": date(2026, 10, 8), "exempt_from": exempt_from, "exempt_until": exempt_until, "on": on}
    if expected is None:
        with pytest.raises(RuleBroken, match=r"seals\.still_sealed"):
            rules.unsealing(state, **days)
    else:
        assert rules.unsealing(state, **days) is expected


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        (date(2026, 9, 28), RecordState.EXEMPT),
        (date(2026, 10, 1), RecordState.EXEMPT),
        (date(2026, 10, 3), RecordState.EXEMPT),
        (date(2026, 10, 4), RecordState.TO_SEAL),
    ],
)
def test_a_duty_that_is_over_is_no_excuse(on, expected):
    given_ = {"exempt_from": date(2026, 10, 1), "exempt_until": date(2026, 10, 4), "start_on": date(2026, 10, 1)}
    assert rules.standing("EXEMPT", on=on, **given_) is expected
    assert rules.standing("SEALED", on=on, **given_) is RecordState.SEALED


@pytest.mark.parametrize(
    ("count", "late", "ended", "expected"),
    [
        (UnitCount(sealed=4), True, False, Light.GREEN),
        (UnitCount(sealed=3, exempt=1), True, False, Light.GREEN),
        (UnitCount(sealed=3, to_seal=1), False, False, Light.AMBER),
        (UnitCount(sealed=3, to_seal=1), True, False, Light.RED),
        (UnitCount(sealed=3, exempt=2), True, False, Light.AMBER),
        (UnitCount(unsealed=3, exempt=2), True, True, Light.GREEN),
        (UnitCount(sealed=4, asked=1), True, False, Light.AMBER),
        (UnitCount(sealed=4, moved=1), True, False, Light.RED),
        (UnitCount(sealed=4, outside=1), True, False, Light.RED),
        (UnitCount(sealed=4), True, True, Light.AMBER),
        (UnitCount(unsealed=4), True, True, Light.GREEN),
        (UnitCount(unsealed=4, odd=1), True, True, Light.RED),
        (UnitCount(unsealed=4, missed=1), True, True, Light.RED),
    ],
)
def test_the_light(count, late, ended, expected):
    assert rules.light(count, late=late, ended=ended, share=SHARE) is expected


@given(st.integers(0, 40), st.integers(0, 40))
def test_one_duty_vehicle_is_never_too_many_and_the_share_is_kept(exempt, sealed):
    many = rules.too_many_exempt(UnitCount(exempt=exempt, sealed=sealed), SHARE)
    assert many == (exempt > 1 and exempt > SHARE * (exempt + sealed))


@pytest.mark.parametrize(
    ("start_on", "end_on", "fits"),
    [
        (date(2026, 10, 1), date(2026, 10, 8), True),
        (date(2026, 10, 8), date(2026, 10, 8), False),
        (date(2026, 10, 1), date(2026, 11, 1), True),
        (date(2026, 10, 1), date(2026, 11, 2), False),
        (date(2026, 9, 20), date(2026, 9, 30), False),
    ],
)
def test_a_period_has_an_end_and_is_not_over(start_on, end_on, fits):
    if fits:
        rules.check_period(start_on, end_on, today=date(2026, 9, 30))
    else:
        with pytest.raises(RuleBroken, match=r"seals\.bad_period"):
            rules.check_period(start_on, end_on, today=date(2026, 9, 30))
