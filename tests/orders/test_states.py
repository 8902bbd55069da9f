"""Random people do random things: the order only ever moves as the table and the permissions say."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import FleetError
from fleetapp.orders import queries, service
from fleetapp.orders.rules import OrderAction

# Written out on purpose instead of read from the table under test: (state, action) -> (who may, next state).
ADMIN, APPLICANT, APPROVER, DISPATCHER = "unit_admin.xhedu", "applicant.xhedu", "approver.xhedu", "dispatcher.xihu"
EXPECTED = {
    ("SUBMITTED", "withdraw"): ({APPLICANT}, "WITHDRAWN"),
    ("SUBMITTED", "approve"): ({APPROVER}, "APPROVED"),
    ("SUBMITTED", "reject"): ({APPROVER}, "REJECTED"),
    ("APPROVED", "cancel"): ({APPLICANT, ADMIN, DISPATCHER}, "CANCELLED"),
}
# What higher slices do after checking permissions of their own; here by the dispatcher's hand.
EXPECTED_ADVANCE = {
    ("APPROVED", "dispatch"): "DISPATCHED", ("DISPATCHED", "release"): "APPROVED", ("DISPATCHED", "accept"): "DRIVER_ACCEPTED",
    ("DRIVER_ACCEPTED", "release"): "APPROVED", ("DRIVER_ACCEPTED", "check_out"): "CHECKED_OUT",
    ("DRIVER_ACCEPTED", "no_show"): "NO_SHOW", ("CHECKED_OUT", "arrive"): "EN_ROUTE", ("CHECKED_OUT", "check_in"): "RETURNED",
    ("EN_ROUTE", "arrive"): "EN_ROUTE", ("EN_ROUTE", "check_in"): "RETURNED",
    ("CHECKED_OUT", "hand_over"): "APPROVED", ("EN_ROUTE", "hand_over"): "APPROVED",
}  # fmt: skip
SAME_AGAIN = {
    ("WITHDRAWN", "withdraw"),
    ("APPROVED", "approve"),
    ("REJECTED", "reject"),
    ("CANCELLED", "cancel"),
}
PEOPLE = [ADMIN, APPLICANT, APPROVER, DISPATCHER, "auditor.city", "applicant.bjwater", "driver.xhedu"]
LIKELY = ["approve", "dispatch", "accept", "check_out", "arrive", "check_in"]
ADVANCED = sorted({action for _, action in EXPECTED_ADVANCE})

moves = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE), st.sampled_from([*LIKELY, "withdraw", "reject", "cancel", "release", "no_show"])
    ),
    max_size=10,
)
# A journey that goes well, with other things happening in between.
journeys = st.lists(moves, min_size=len(LIKELY), max_size=len(LIKELY)).map(
    lambda between: [
        move
        for action, rest in zip(LIKELY, between, strict=True)
        for move in ((APPROVER if action == "approve" else APPLICANT, action), *rest[:2])
    ]
)


@pytest.fixture
def actors(acting):
    return {name: acting(name) for name in PEOPLE}


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=moves | journeys)
def test_no_order_of_actions_by_anybody_leaves_the_table(database, actors, application, now, moves):
    with database.transaction(actors[APPLICANT]) as session:
        order_id = service.submit(session, **application(), actor=actors[APPLICANT], now=now).id

    def attempt(who, action, at):
        with database.transaction(who) as session:
            if action in ADVANCED:
                order = queries.hold_order(session, order_id=order_id)
                service.advance(session, order=order, action=OrderAction(action), actor=who, now=at, note="原因")
            else:
                reason = {"reason": "原因"} if action in {"reject", "cancel"} else {}
                getattr(service, action)(session, order_id=order_id, actor=who, now=at, **reason)

    state, events = "SUBMITTED", ["submit"]
    for minute, (named, action) in enumerate(moves, 1):
        name = DISPATCHER if action in ADVANCED else named
        try:
            attempt(actors[name], action, now + timedelta(minutes=minute))
        except FleetError:
            succeeded = False
        else:
            succeeded = True
        people, target = EXPECTED.get((state, action), (set(), None))
        if action in ADVANCED:
            people, target = {DISPATCHER}, EXPECTED_ADVANCE.get((state, action))
        expected = name in people and target is not None
        assert succeeded is expected or (succeeded and (state, action) in SAME_AGAIN), (name, action, state)
        if expected:
            state = target
            events.append(action)
    with database.transaction(SYSTEM) as session:
        order = queries.get_order(session, order_id=order_id, actor=SYSTEM)
        assert order.state == order.events[-1].to_state == state
        assert [event.action for event in order.events] == events
