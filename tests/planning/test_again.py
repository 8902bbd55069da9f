"""Planning again from now: what stands, what stays, progress and stopping, taking over a part, what-if, an order put in at once."""

import copy
from datetime import timedelta

import pytest

import dispatch
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.planning import again, moves, queries
from fleetapp.planning.again import WhatIf
from fleetapp.planning.bridge import again as bridge
from fleetapp.planning.bridge.again import Extra
from fleetapp.planning.models import Assignment, PlanRun


@pytest.fixture
def ask(database, acting, now):
    """Ask for a plan of today as a dispatcher and let the scheduler make it; returns its id."""

    def run(by="dispatcher.xihu", *, work=True, **options):
        actor = acting(by)
        with database.transaction(actor) as session:
            made = again.ask(
                session, window=Span(now, now + timedelta(hours=12)), actor=actor, now=now, time_limit_s=1, **options
            )
            run_id = made.id
        if work:
            assert again.work(database, tick=lambda: now) == 1
        return run_id

    return run


@pytest.fixture
def changes(row):
    """Return what a run changes, by order."""

    def get(run_id):
        plan = row(PlanRun, run_id).plan
        return {one.order_id: one for one in bridge.changes(plan["plan"], plan["standing"])}

    return get


@pytest.fixture
def accept(database, acting, now):
    """Take over a part of a run as a dispatcher."""

    def run(run_id, order_ids, by="dispatcher.xihu"):
        actor = acting(by)
        with database.transaction(actor) as session:
            done = again.accept(session, run_id=run_id, order_ids=order_ids, reason="重新排班", actor=actor, now=now)
            return [(one.number, one.back) for one in done]

    return run


def held(database, order_id):
    with database.transaction(SYSTEM) as session:
        found = queries.active_of(session, order_id=order_id)
        return found and (found.vehicle_id, found.run_id)


def test_what_waits_is_served_and_what_is_given_stays_where_moving_it_gains_nothing(
    approved, assign, ask, changes, accept, row, database
):
    given, waiting = approved(), approved()
    assign(given)
    run_id = ask()
    run = row(PlanRun, run_id)
    assert run.state == "DONE"
    assert run.plan["before"]["served"] == 1
    assert run.plan["figures"]["served"] == 2
    assert list(changes(run_id)) == [waiting]
    assert held(database, waiting) is None, "nothing is touched before somebody accepts"
    accept(run_id, [waiting])
    assert held(database, waiting) == (changes(run_id)[waiting].now[0], run_id)


def test_locked_shared_and_begun_orders_are_no_part_of_it(approved, assign, ask, database, acting, now, row):
    locked, waiting = approved(), approved()
    made = assign(locked)
    actor = acting("dispatcher.xihu")
    with database.transaction(actor) as session:
        moves.lock(session, order_id=locked, seen=made, locked=True, actor=actor, now=now)
    run = row(PlanRun, ask())
    assert {one["id"] for one in run.instance["requests"]} == {str(waiting)}
    assert run.asked["seen"] == {}
    kept = row(Assignment, made).vehicle_id
    assert all(int(one["vehicle_id"]) != kept for one in run.plan["plan"]["assignments"])


def test_a_vehicle_out_moves_its_orders_in_the_what_if_only_until_it_is_accepted(
    approved, assign, ask, changes, accept, known, database
):
    order_id = approved()
    assign(order_id)
    run_id = ask(what_if=WhatIf(vehicles_out=[known["浙A10001"]], extra=[Extra(order_id, 3600)]))
    found = changes(run_id)
    assert held(database, order_id) == (known["浙A10001"], None)
    assert found[order_id].now[0] == known["浙AD00002"]
    assert {one.key for one in found.values()} <= {str(order_id), "+1"}
    [(_, back)] = accept(run_id, [order_id])
    assert held(database, order_id) == (known["浙AD00002"], run_id)
    assert back.vehicle_id == known["浙A10001"]


def test_a_part_that_breaks_a_rule_is_refused_and_the_judge_says_why(
    approved, assign, ask, changes, accept, known, database
):
    one, two = approved(start_h=2, end_h=4), approved(start_h=2.5, end_h=4)
    assign(one)
    assign(two, "浙AD00002", "driver2.xhedu")
    run_id = ask(what_if=WhatIf())
    assert changes(run_id) == {}
    with database.transaction(SYSTEM) as session:
        run = session.get_one(PlanRun, run_id)
        plan = copy.deepcopy(run.plan["plan"])
        first, second = plan["assignments"]
        swap = {key: first[key] for key in ("vehicle_id", "driver_id")}
        first |= {key: second[key] for key in swap}
        second |= swap
        run.plan = {**run.plan, "plan": plan}
    assert changes(run_id).keys() == {one, two}
    with pytest.raises(RuleBroken) as refused:
        accept(run_id, [one])
    assert refused.value.code == "planning.part_breaks"
    assert held(database, one) == (known["浙A10001"], None)
    accept(run_id, [one, two])
    assert held(database, one) == (known["浙AD00002"], run_id)


def test_what_somebody_else_decided_since_is_refused(approved, assign, ask, accept, database):
    order_id = approved()
    run_id = ask()
    assign(order_id, "浙AD00002", "driver2.xhedu")
    with pytest.raises(Conflict) as late:
        accept(run_id, [order_id])
    assert late.value.code == "planning.changed_meanwhile"
    with pytest.raises(RuleBroken, match="not_in_run"):
        accept(run_id, [order_id + 1000])


def test_a_run_that_is_stopped_gives_what_it_has_and_others_may_not_ask_or_accept(
    approved, ask, accept, row, database, acting, now
):
    order_id = approved()
    run_id = ask(work=False)
    with pytest.raises(RuleBroken, match="run_failed"):
        accept(run_id, [order_id])
    actor = acting("dispatcher.xihu")
    with database.transaction(actor) as session:
        again.stop(session, run_id=run_id, actor=actor, now=now)
    ticks = iter(range(100_000))
    assert again.work(database, tick=lambda: now + timedelta(seconds=10 * next(ticks))) == 1
    run = row(PlanRun, run_id)
    assert (run.state, run.plan["figures"]["stopped"]) == ("DONE", "cancelled")
    for username in ("leader.city", "fleet_manager.xihu"):
        with pytest.raises(NotAllowed):
            accept(run_id, [order_id], by=username)
        with pytest.raises(NotAllowed):
            ask(username)


def test_why_this_vehicle_and_not_that_one(approved, ask, row):
    order_id = approved()
    run = row(PlanRun, ask())
    cases = bridge.why(run.instance, run.plan["plan"], str(order_id))
    assert cases[0].fault is None
    assert any(one.fault is not None for one in cases)
    instance, params, _ = dispatch.load_instance(run.instance)
    assert dispatch.check(instance, dispatch.load_plan(run.plan["plan"]), params=params) == []


def test_a_new_order_is_answered_at_once_with_the_best_vehicles_and_what_they_cost_more(
    approved, assign, database, acting, now, known
):
    assign(approved())
    order_id = approved()
    actor = acting("dispatcher.xihu")
    with database.transaction(actor) as session:
        order = order_queries.get_order(session, order_id=order_id, actor=actor)
        found, _ = again.insert(session, order=order, actor=actor, now=now)
    assert [one.vehicle_id for one in found.best] == [known["浙AD00002"]]
    assert found.best[0].cost_fen > 0
    assert found.moves[0] == (order_id, known["浙AD00002"], known["driver2.xhedu"])
