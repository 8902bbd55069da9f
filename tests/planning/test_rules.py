"""Who lends to whom, free time, what a slip's code says, where bars stand, and who is given whose vehicle."""

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dispatch
from fleetapp.accounts.models import Organisation
from fleetapp.drivers.models import Driver
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.planning import bridge, rules
from fleetapp.planning.lending import Lending
from fleetapp.planning.rules import Fault, Figures
from fleetapp.planning.scene import Scene
from fleetapp.sharing import rules as sharing
from fleetapp.sharing.queries import Terms
from fleetapp.vehicles.models import Vehicle

START = datetime(2026, 11, 17, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
DISTRICTS = ["/1/4/", "/1/5/"]
FIGURES = Figures(timedelta(minutes=15), timedelta(minutes=15), 1.2, 10 * HOUR, 4 * HOUR, timedelta(minutes=20))
MOMENTS = st.integers(0, 48).map(lambda quarter: START + quarter * HOUR / 2)
SPANS = st.tuples(MOMENTS, MOMENTS).filter(lambda pair: pair[0] < pair[1]).map(lambda pair: Span(*pair))


@pytest.mark.parametrize(("holder", "operator", "unit", "allowed"), [
    ("/1/4/17/", False, "/1/4/17/", True), ("/1/4/17/", False, "/1/4/18/", True), ("/1/4/17/", False, "/1/5/19/", False),
    ("/1/3/", False, "/1/6/", True), ("/1/3/", False, "/1/4/17/", False), ("/1/2/", True, "/1/4/17/", True),
    ("/1/4/20/", True, "/1/5/19/", False), ("/1/4/17/", False, "/1/3/", False), ("/1/4/", False, "/1/4/17/", True),
])  # fmt: skip
def test_plans_lend_within_a_level_and_from_its_operator(holder, operator, unit, allowed):
    assert (
        sharing.lends(holder_path=holder, holder_is_operator=operator, unit_path=unit, districts=DISTRICTS) is allowed
    )


def test_a_service_order_is_upkeep_and_any_vehicle_may_be_kept_up():
    assert rules.purpose_served("service", "other") == "maintenance"
    assert "maintenance" in rules.purposes_of("ZFZQ")
    assert "meeting" not in rules.purposes_of("JYTX")
    assert rules.purposes_of("YJBZ") is None


@settings(max_examples=40, deadline=None)
@given(st.lists(SPANS, max_size=6))
def test_free_time_and_taken_time_make_the_whole(busy):
    horizon = Span(START, START + 24 * HOUR)
    left = rules.free(horizon, busy)
    assert all(a.end < b.start for a, b in itertools.pairwise(left))
    for minute in range(0, 24 * 60, 15):
        at = START + timedelta(minutes=minute)
        assert any(at in span for span in left) is not any(at in span for span in busy)


@pytest.mark.parametrize(("actor", "approver", "driver", "code"), [
    (1, 1, 2, "own_approval"), (1, 2, 1, "own_driving"), (1, 2, 2, "approver_drives"),
])  # fmt: skip
def test_one_person_in_two_parts_is_refused(actor, approver, driver, code):
    with pytest.raises(RuleBroken, match=code):
        rules.check_separation(actor_id=actor, approver_id=approver, driver_user_id=driver)
    rules.check_separation(actor_id=3, approver_id=4, driver_user_id=5)


def test_a_dispatcher_may_decide_against_soft_faults_only():
    soft = [Fault("lending"), Fault("driver_shift")]
    assert rules.first_refusal(soft) is None
    assert rules.first_refusal([*soft, Fault("seats")]) == Fault("seats")


@st.composite
def scenes(draw):
    """Draw two holders next door to each other, one with few drivers, and a handful of orders."""
    orgs = [Organisation(id=k, path=f"/1/4/{k}/", kind="unit") for k in (10, 11)]
    vehicles, drivers, orders = [], [], []
    for org in orgs:
        for _ in range(draw(st.integers(1, 3))):
            vehicles.append(
                Vehicle(
                    id=len(vehicles) + 1,
                    org_id=org.id,
                    org=org,
                    seats=5,
                    body="sedan",
                    energy="petrol",
                    category="YJBZ",
                )
            )
        for _ in range(draw(st.integers(0, 2))):
            drivers.append(Driver(id=len(drivers) + 1, org_id=org.id, licence="C1", licence_valid_to=date(2030, 1, 1)))
    for k in range(draw(st.integers(1, 5))):
        org = draw(st.sampled_from(orgs))
        start = START + HOUR * draw(st.integers(8, 15))
        stops = [
            OrderStop(lat=30.26, lon=120.13),
            OrderStop(lat=draw(st.floats(30.2, 30.35)), lon=draw(st.floats(120.05, 120.3))),
        ]
        orders.append(TravelOrder(
            id=k + 1, org_id=org.id, org=org, kind="ordinary", purpose="meeting", body="sedan", passenger_count=2, start_at=start,
            end_at=start + HOUR * draw(st.integers(1, 3)), stops=stops,
        ))  # fmt: skip
    day = Span(START, START + 24 * HOUR)
    return Scene(
        day,
        orders,
        vehicles,
        drivers,
        FIGURES,
        {10: (30.26, 120.13), 11: (30.26, 120.13)},
        Lending(Terms(districts=DISTRICTS), FIGURES, START),
        {},
        {},
    )


@settings(max_examples=12, deadline=None)
@given(scenes())
def test_a_plan_gives_drivers_their_own_holders_vehicles_and_never_overlaps(scene):
    """Both yards are at one address, so that only the rule keeps drivers from walking next door."""
    instance = bridge.instance_of(scene)
    if not instance.drivers:
        return
    plan = bridge.solve(instance, FIGURES, time_limit_s=2, seed=1).plan
    holder = {vehicle.id: vehicle.org_id for vehicle in scene.vehicles}
    employer = {driver.id: driver.org_id for driver in scene.drivers}
    windows = {order.id: rules.taken(order.start_at, order.end_at, FIGURES) for order in scene.orders}
    given_out = bridge.proposals(plan)
    assert len(given_out) + len(bridge.left_over(plan)) == len(scene.orders)
    for n, one in enumerate(given_out):
        assert holder[one.vehicle_id] == employer[one.driver_id]
        for other in given_out[:n]:
            if one.vehicle_id == other.vehicle_id or one.driver_id == other.driver_id:
                assert not windows[one.order_id].overlaps(windows[other.order_id])


@settings(max_examples=30, deadline=None)
@given(scenes(), st.lists(SPANS, max_size=4), st.lists(SPANS, max_size=4))
def test_the_free_time_around_an_order_is_all_that_its_judgement_needs(scene, busy, away):
    """One span of each is kept: the case of every vehicle not taken then, with its reason, is the same as with all."""
    order = scene.orders[0]
    scene = replace(
        scene, orders=[order], busy_vehicles={row.id: busy for row in scene.vehicles[::2]},
        busy_drivers={row.id: away for row in scene.drivers[::2]},
    )  # fmt: skip
    params = bridge.params_of(FIGURES)
    plan = dispatch.Plan((), {str(order.id): "no_free_vehicle"}, (), 0)
    whole, near = bridge.instance_of(scene), bridge.instance_of(scene, at=order.start_at)
    assert [one.id for one in near.drivers] == [one.id for one in whole.drivers]
    assert all(len(one.available) == 1 for one in near.vehicles)
    told = [dispatch.explain(one, plan, str(order.id), params=params).options for one in (whole, near)]
    out = {str(row.id) for row in scene.vehicles[::2] if any(order.start_at in span for span in busy)}
    assert [one for one in told[0] if one.vehicle_id not in out] == list(told[1])
    assert all(one.code is not None for one in told[0] if one.vehicle_id in out), "taken cannot be given"
