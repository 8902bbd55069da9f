"""The order's table of states as a graph: nothing is skipped on the way to the file, and nobody is stuck."""

import pytest

from fleetapp.orders.rules import GROUPS, TRANSITIONS, OrderAction, OrderState

ENDS = {
    OrderState.CLOSED, OrderState.REJECTED, OrderState.WITHDRAWN, OrderState.CANCELLED, OrderState.NO_SHOW,
}  # fmt: skip


def reached(start, without=()):
    """Return the states that can follow ``start``, by any action but those left out."""
    found, todo = {start}, [start]
    while todo:
        state = todo.pop()
        for (before, action), after in TRANSITIONS.items():
            if before == state and action not in without and after not in found:
                found.add(after)
                todo.append(after)
    return found


@pytest.mark.parametrize(
    "left_out",
    [{OrderAction.SUBMIT}, {OrderAction.APPROVE}, {OrderAction.CHECK_IN, OrderAction.OUTSOURCE}, {OrderAction.CONFIRM},
     {OrderAction.SETTLE}, {OrderAction.CLOSE}, {OrderAction.DISPATCH, OrderAction.OUTSOURCE},
     {OrderAction.ACCEPT, OrderAction.OUTSOURCE}, {OrderAction.CHECK_OUT, OrderAction.OUTSOURCE}],
)  # fmt: skip
def test_no_path_to_the_file_leaves_a_step_out(left_out):
    assert OrderState.CLOSED in reached(None)
    assert OrderState.CLOSED not in reached(None, without=left_out)


def test_every_state_is_reached_and_has_a_way_to_an_end():
    assert reached(None) - {None} == set(OrderState)
    stuck = [state for state in OrderState if state not in ENDS and not reached(state) & ENDS]
    assert stuck == []
    assert {state for state in OrderState if reached(state) == {state}} == ENDS


def test_every_state_stands_in_one_tab():
    assert sorted(state for group in GROUPS.values() for state in group) == sorted(OrderState)
