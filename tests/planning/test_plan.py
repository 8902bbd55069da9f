"""Runs of the optimizer over rows: what they see, what they propose, what confirming makes of it."""

import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

import dispatch
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders.models import DispatchSlip, TravelOrder
from fleetapp.orders.rules import Purpose
from fleetapp.planning import bridge, queries, service
from fleetapp.planning.models import Assignment, PlanRun
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.planning.conftest import EAST, LAKE, ORIGIN, approve_one, ids


@pytest.fixture
def plan(database, acting, now):
    """Plan today as a username."""

    def run(by="dispatcher.xihu", *, hours=(0, 12), **options) -> PlanRun:
        window = Span(now + timedelta(hours=hours[0]), now + timedelta(hours=hours[1]))
        return service.plan(database, window=window, actor=acting(by), now=now, time_limit_s=2, **options)

    return run


@pytest.fixture
def confirm(database, acting, now):
    """Confirm a run as a username."""

    def run(run_id, order_ids=None, by="dispatcher.xihu"):
        actor = acting(by)
        with database.transaction(actor) as session:
            return service.confirm(session, run_id=run_id, order_ids=order_ids, actor=actor, now=now)

    return run


def test_a_run_keeps_an_instance_and_a_plan_that_anybody_can_judge(plan, approved, now):
    first, second = approved(start_h=2, end_h=4), approved(start_h=3, end_h=6, stops=[ORIGIN, EAST, LAKE])
    run = plan()
    proposed = bridge.proposals(run.plan)
    assert [proposal.order_id for proposal in proposed] == [first, second]
    assert len({proposal.vehicle_id for proposal in proposed}) == 2
    instance, params, _ = dispatch.load_instance(json.loads(json.dumps(run.instance)))
    assert dispatch.check(instance, dispatch.load_plan(run.plan["plan"]), params=params) == []
    assert run.plan["figures"]["served"] == 2
    assert sum(row["cost_fen"] for row in run.plan["orders"].values()) == run.plan["figures"]["cost_fen"]


def test_drivers_stay_with_their_own_holders_vehicles(plan, approved, database, known):
    """Only the unit without drivers has the vehicle that is big enough: nobody from next door drives it."""
    order_id = approved(passenger_count=6, body="mpv")
    with database.transaction(SYSTEM) as session:
        session.execute(update(Vehicle).where(Vehicle.plate.in_(["浙A10001", "浙AD00002"])).values(state="SEALED"))
    with pytest.raises(RuleBroken, match="no_drivers"):
        plan()
    with database.transaction(SYSTEM) as session:
        session.execute(update(Vehicle).where(Vehicle.plate == "浙A10001").values(state="IN_SERVICE"))
    run = plan()
    assert bridge.proposals(run.plan) == []
    assert bridge.left_over(run.plan) in ({order_id: "no_free_driver"}, {order_id: "rented"})


def test_what_is_taken_sealed_or_of_the_wrong_class_is_not_proposed(plan, approved, assign, known):
    assign(approved())
    assign(approved(), plate="浙AD00002", driver="driver2.xhedu")
    third = approved()
    run = plan()
    assert bridge.proposals(run.plan) == []
    assert third in bridge.left_over(run.plan)
    city = plan("dispatcher.city")
    assert [proposal.vehicle_id for proposal in bridge.proposals(city.plan)] == [known["浙AF00006"]]


def test_a_plan_lends_within_the_district_and_from_the_citys_operator_only(plan, approved, known):
    approved(unit="bjwater", purpose=Purpose.MEETING)  # Binjiang's own suv is for enforcement
    run = plan("dispatcher.city")
    assert {proposal.vehicle_id for proposal in bridge.proposals(run.plan)} == {known["浙AF00006"]}


def test_the_dispatchers_own_approvals_and_other_windows_stay_out(plan, approved):
    with pytest.raises(RuleBroken, match="nothing_to_plan"):
        plan()
    approved(start_h=20, end_h=22)
    with pytest.raises(RuleBroken, match="nothing_to_plan"):
        plan(hours=(0, 12))
    assert plan(hours=(12, 24)).plan["figures"]["served"] == 1


def test_only_dispatchers_plan_and_only_for_a_time_to_come(plan, approved):
    approved()
    for username in ("fleet_manager.xihu", "auditor.city", "applicant.xhedu"):
        with pytest.raises(NotAllowed):
            plan(username)
    with pytest.raises(RuleBroken, match="window_over"):
        plan(hours=(-10, -1))
    with pytest.raises(RuleBroken, match="window_too_long"):
        plan(hours=(0, 24 * 8))


def test_confirming_part_then_all_then_again(plan, approved, confirm, database):
    orders = [approved(start_h=2, end_h=4), approved(start_h=3, end_h=6)]
    run = plan()
    assert [(o.order_id, o.code) for o in confirm(run.id, [orders[0]])] == [(orders[0], None)]
    assert {(o.order_id, o.code) for o in confirm(run.id)} == {(order, None) for order in orders}
    assert {o.code for o in confirm(run.id)} == {None}
    with database.transaction(SYSTEM) as session:
        assert session.scalar(select(func.count()).select_from(Assignment).where(Assignment.run_id == run.id)) == 2
        assert session.scalar(select(func.count()).select_from(DispatchSlip)) == 2
        assert session.get_one(PlanRun, run.id).state == "CONFIRMED"
        assert set(session.scalars(select(TravelOrder.state))) == {"DISPATCHED"}
    with pytest.raises(RuleBroken, match="not_in_run"):
        confirm(run.id, [orders[0], 999_999])


def test_an_order_taken_meanwhile_is_named_and_the_rest_goes_on(plan, approved, confirm, assign, database, known):
    orders = [approved(start_h=2, end_h=4), approved(start_h=3, end_h=6)]
    run = plan()
    first = bridge.proposals(run.plan)[0]
    plate = next(name for name, row_id in known.items() if name.startswith("浙") and row_id == first.vehicle_id)
    driver = next(name for name, row_id in known.items() if name.startswith("driver") and row_id == first.driver_id)
    assign(approved(start_h=2, end_h=4), plate=plate, driver=driver)
    outcomes = {o.order_id: o.code for o in confirm(run.id)}
    assert outcomes[first.order_id] == "planning.vehicle_taken"
    assert outcomes[next(order for order in orders if order != first.order_id)] is None


def test_a_run_of_another_district_is_not_there(plan, approved, confirm, database, acting):
    approved()
    run = plan()
    with pytest.raises(NotFound):
        confirm(run.id, by="dispatcher.binjiang")
    with pytest.raises(NotAllowed):
        confirm(run.id, by="fleet_manager.xihu")
    with database.transaction(acting("dispatcher.binjiang")) as session:
        assert session.scalars(select(PlanRun)).all() == []


def test_a_run_that_failed_is_kept_and_cannot_be_confirmed(database, acting, confirm, browse, now):
    dispatcher = acting("dispatcher.xihu")
    with database.transaction(dispatcher) as session:
        run = PlanRun(org_id=dispatcher.org_id, requested_by=dispatcher.user_id, requested_at=now, start_at=now,
                      end_at=now + timedelta(hours=8), state="FAILED", instance={}, plan={}, failure="breaks 1 rule")  # fmt: skip
        session.add(run)
    with pytest.raises(RuleBroken, match="run_failed"):
        confirm(run.id)
    page = browse("dispatcher.xihu").get(f"/board/plans/{run.id}").get_data(as_text=True)
    assert "方案未能生成" in page
    assert "breaks 1 rule" not in page


def test_candidates_say_why_and_why_not(approved, database, acting, known, now):
    order_id = approved(passenger_count=5, body="sedan")
    city = acting("dispatcher.city")
    with database.transaction(city) as session:
        order = queries.orders_by_id(session, order_ids=[order_id], actor=city)[order_id]
        options, _, people = service.candidates(session, order=order, actor=city, now=now)
    told = {option.vehicle_id: option for option in options}
    assert told[known["浙A10001"]].fault.code == "seats"
    assert told[known["浙A10003"]].fault.code == "driver_missing"
    assert told[known["浙A10005"]].fault.code in {"seats", "purpose"}
    assert known["driver.xhedu"] in {driver.id for driver in people}
    order_id = approved()
    with database.transaction(city) as session:
        order = queries.orders_by_id(session, order_ids=[order_id], actor=city)[order_id]
        options, _, _ = service.candidates(session, order=order, actor=city, now=now)
    assert options[0].fault is None
    assert options[0].vehicle_id in {known["浙A10001"], known["浙AD00002"]}
    assert options[0].driver_id is not None
    assert options[0].cost_fen == min(option.cost_fen for option in options if option.fault is None)


@pytest.mark.parametrize("shared", ["vehicle", "driver"])
def test_of_many_at_once_exactly_one_gets_the_vehicle_or_driver(live_database, now, shared):
    database = live_database
    orders = [approve_one(database, now, start_h=4 + k / 10, end_h=7) for k in range(8)]
    known = ids(database)
    cars, people = ["浙A10001", "浙AD00002"], ["driver.xhedu", "driver2.xhedu"]
    dispatcher = world.actor(database, "dispatcher.xihu")
    barrier, outcomes = threading.Barrier(8), []

    def work(k: int) -> None:
        plate = cars[0 if shared == "vehicle" else k % 2]
        driver = people[k % 2 if shared == "vehicle" else 0]
        barrier.wait()
        try:
            with database.transaction(dispatcher) as session:
                service.assign(
                    session,
                    order_id=orders[k],
                    vehicle_id=known[plate],
                    driver_id=known[driver],
                    actor=dispatcher,
                    now=now,
                )
            outcomes.append("won")
        except Conflict as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("won") == 1
    # Those who also wanted the winner's other half are told about the vehicle first.
    assert set(outcomes) - {"won"} <= {"planning.vehicle_taken", "planning.driver_taken"}
    assert outcomes.count(f"planning.{shared}_taken") >= 4
    with database.transaction(SYSTEM) as session:
        assert session.scalar(select(func.count()).select_from(Assignment)) == 1
        assert session.scalar(select(func.count()).select_from(DispatchSlip)) == 1


def test_confirming_twice_at_once_assigns_every_order_once(live_database, now):
    database = live_database
    orders = [approve_one(database, now, start_h=2 + 3 * k, end_h=4 + 3 * k) for k in range(3)]
    dispatcher = world.actor(database, "dispatcher.xihu")
    run = service.plan(database, window=Span(now, now + timedelta(hours=12)), actor=dispatcher, now=now, time_limit_s=2)
    assert len(bridge.proposals(run.plan)) == 3
    results = []

    def work() -> None:
        with database.transaction(dispatcher) as session:
            results.append(service.confirm(session, run_id=run.id, actor=dispatcher, now=now))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [{o.code for o in outcomes} for outcomes in results] == [{None}] * 4
    with database.transaction(SYSTEM) as session:
        assert session.scalar(select(func.count()).select_from(Assignment)) == len(orders)
