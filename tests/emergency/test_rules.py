"""The steps of an activation, the crew, and the figures, by example and by chance."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetapp.emergency import rules
from fleetapp.emergency.rules import ActivationState, Response, Standing, Step
from fleetapp.kit.errors import RuleBroken
from fleetapp.reserves.rules import Level

CALL = datetime(2026, 7, 1, tzinfo=UTC)
minutes = st.floats(0, 600).map(lambda value: CALL + timedelta(minutes=round(value, 3)))


@given(st.lists(st.sampled_from(list(Step)), max_size=12))
def test_an_activation_is_confirmed_once_and_ends_once(steps):
    state, taken = ActivationState.DRAFT, []
    for step in steps:
        if (state, step) in rules.STEPS:
            state = rules.next_state(state, step)
            taken.append(step)
        else:
            with pytest.raises(RuleBroken, match="wrong_step"):
                rules.next_state(state, step)
    assert taken.count(Step.CONFIRM) <= 1
    assert taken.count(Step.STAND_DOWN) + taken.count(Step.CANCEL) <= 1
    working = {Step.CALL_MORE, Step.SEND, Step.CHANGE_LEVEL, Step.SIGN, Step.STAND_DOWN} & set(taken)
    assert not working or taken[0] is Step.CONFIRM
    if Step.STAND_DOWN in taken:
        assert set(taken[taken.index(Step.STAND_DOWN) + 1 :]) <= {Step.SIGN}
    assert (state is ActivationState.CANCELLED) == (Step.CANCEL in taken)


@given(st.dictionaries(st.integers(1, 8), st.lists(st.integers(11, 16), unique=True, max_size=4), max_size=8))
def test_as_many_vehicles_as_possible_get_a_driver_of_their_own(drivers):
    found = rules.crew(list(drivers), drivers)
    assert len(set(found.values())) == len(found)
    assert all(driver in drivers[vehicle] for vehicle, driver in found.items())
    assert len(found) == most(list(drivers), drivers, frozenset())


def most(left, drivers, used):
    """Try every way: the plain count to compare with."""
    if not left:
        return 0
    without = most(left[1:], drivers, used)
    return max([without, *(1 + most(left[1:], drivers, used | {d}) for d in drivers[left[0]] if d not in used)])


@given(st.lists(st.builds(lambda a, b, c, n: Response(CALL, *(sorted([a, b, c])[:n] + [None] * (3 - n))), minutes, minutes, minutes, st.integers(0, 3))),
       st.integers(1, 120))  # fmt: skip
def test_figures_count_everybody_once(responses, target):
    found = rules.figures(responses, timedelta(minutes=target))
    assert found.called == len(responses) >= found.accepted >= found.left >= found.arrived >= found.within
    if not responses:
        assert found.share is None
        return
    late = sum(1 for one in responses if one.arrived_at is None or one.arrived_at - CALL > timedelta(minutes=target))
    assert found.within == len(responses) - late
    assert found.share == round(found.within / len(responses), 3)
    if found.arrived:
        took = sorted((one.arrived_at - CALL).total_seconds() / 60 for one in responses if one.arrived_at)
        assert took[0] - 0.06 <= found.arrive_min <= took[-1] + 0.06


def test_free_vehicles_come_first_and_drills_take_only_those():
    standings = {1: Standing.BOOKED, 2: Standing.FREE, 3: Standing.OUT, 4: Standing.FREE, 5: Standing.NO_DRIVER}
    order = [1, 2, 3, 4, 5]
    assert rules.pick(order, standings, 3, drill=False) == [2, 4, 1]
    assert rules.pick(order, standings, 3, drill=True) == [2, 4]
    assert rules.pick(order, standings, 3, drill=False, but={2}) == [4, 1]


def test_levels_go_up_and_down():
    assert rules.check_level("III", Level.II)
    assert not rules.check_level("II", Level.IV)
    for after in (Level.USUAL, Level.II):
        with pytest.raises(RuleBroken):
            rules.check_level("II", after)
    rules.check_people(activator_id=1, leader_id=2, officer_id=3)
    with pytest.raises(RuleBroken, match="same_person"):
        rules.check_people(activator_id=1, leader_id=2, officer_id=1)
