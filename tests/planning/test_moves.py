"""Moves on the board: each whole or not at all, never over somebody else's change, and undone by moves."""

import pytest

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import moves, queries
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.planning.moves import Move
from tests.planning.conftest import ASKED, EAST, NEAR_EAST, ORIGIN


@pytest.fixture
def move(database, acting, now):
    """Make moves as a dispatcher; returns what became of each."""

    def run(*wanted, by="dispatcher.xihu", at=now):
        actor = acting(by)
        with database.transaction(actor) as session:
            return moves.move(session, moves=wanted, reason="调度台调整", actor=actor, now=at)

    return run


@pytest.fixture
def held(database):
    """Return the vehicle, the driver and the journey that an order has, or None."""

    def get(order_id):
        with database.transaction(SYSTEM) as session:
            found = queries.active_of(session, order_id=order_id)
            return found and (found.id, found.vehicle_id, found.driver_id, found.pool_key)

    return get


def test_a_waiting_order_is_given_and_undone(approved, move, held, known, row):
    order_id = approved()
    [done] = move(Move(order_id, vehicle_id=known["浙A10001"]))
    assert held(order_id)[1] == known["浙A10001"]
    assert done.back == Move(order_id, seen=held(order_id)[0])
    [undone] = move(done.back)
    assert held(order_id) is None
    assert row(TravelOrder, order_id).state == "APPROVED"
    assert undone.assignment is None


def test_moving_to_another_vehicle_keeps_history_and_undo_brings_it_back(approved, assign, move, held, known, row):
    order_id = approved()
    first = assign(order_id)
    [done] = move(Move(order_id, seen=first, vehicle_id=known["浙AD00002"], driver_id=known["driver2.xhedu"]))
    assert row(Assignment, first).state == AssignmentState.RELEASED
    assert row(Assignment, first).release_reason == "调度台调整"
    assert held(order_id)[1:3] == (known["浙AD00002"], known["driver2.xhedu"])
    move(done.back)
    assert held(order_id)[1:3] == (known["浙A10001"], known["driver.xhedu"])


def test_two_orders_swap_and_neither_moves_when_one_cannot(approved, assign, move, held, known):
    one, two = approved(), approved()
    first, second = assign(one), assign(two, "浙AD00002", "driver2.xhedu")
    move(Move(one, first, known["浙AD00002"], known["driver2.xhedu"]), Move(two, second, known["浙A10001"], known["driver.xhedu"]))  # fmt: skip
    assert (held(one)[1], held(two)[1]) == (known["浙AD00002"], known["浙A10001"])
    before = held(one), held(two)
    with pytest.raises(Conflict):
        move(Move(one, before[0][0], known["浙A10001"], known["driver.xhedu"]))
    assert (held(one), held(two)) == before


def test_what_somebody_else_changed_is_refused_in_words(approved, assign, move, held, known):
    order_id = approved()
    first = assign(order_id)
    with pytest.raises(Conflict) as refused:
        move(Move(order_id, seen=None, vehicle_id=known["浙AD00002"]))
    assert refused.value.code == "planning.changed_meanwhile"
    assert held(order_id)[0] == first
    [done] = move(Move(order_id, seen=first))
    assign(order_id, "浙AD00002", "driver2.xhedu")
    with pytest.raises(Conflict) as late:
        move(done.back)
    assert late.value.code == "planning.changed_meanwhile"
    assert held(order_id)[1] == known["浙AD00002"]


def test_a_locked_order_stays_until_it_is_unlocked(database, acting, approved, assign, move, held, known, now):
    order_id = approved()
    first = assign(order_id)
    actor = acting("dispatcher.xihu")

    def lock(locked):
        with database.transaction(actor) as session:
            moves.lock(session, order_id=order_id, seen=first, locked=locked, actor=actor, now=now)

    lock(True)
    lock(True)
    with pytest.raises(RuleBroken) as refused:
        move(Move(order_id, seen=first))
    assert refused.value.code == "planning.locked"
    lock(False)
    move(Move(order_id, seen=first))
    assert held(order_id) is None
    with database.transaction(SYSTEM) as session:
        said = [entry.action for entry in session.query(AuditEntry).filter(AuditEntry.action.like("planning.%locked"))]
    assert said == ["planning.locked", "planning.unlocked"]
    with pytest.raises((Conflict, NotAllowed)):
        lock(True)


def test_a_journey_is_shared_split_and_shared_again_by_undo(approved, assign, move, held, known):
    one = approved(stops=[ORIGIN, EAST])
    two = approved(stops=[ORIGIN, NEAR_EAST])
    first = assign(one)
    key = held(one)[3]
    move(Move(two, pool_key=key, consent=ASKED))
    assert held(two)[3] == key
    [split] = move(Move(two, seen=held(two)[0], vehicle_id=known["浙AD00002"], driver_id=known["driver2.xhedu"]))
    assert held(two)[3] != key
    assert held(one)[0] == first
    move(split.back)
    assert held(two)[3] == key


def test_who_may_not_dispatch_moves_nothing(approved, assign, move, held, known):
    order_id = approved()
    first = assign(order_id)
    for username in ("applicant.xhedu", "leader.city", "dispatcher.binjiang"):
        with pytest.raises((NotAllowed, NotFound)):
            move(Move(order_id, seen=first, vehicle_id=known["浙AD00002"]), by=username)
    assert held(order_id)[0] == first
