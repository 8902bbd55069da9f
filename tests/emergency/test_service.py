"""An activation from its preview to its figures: what is taken, who is told, what is given back, and what is refused."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from fleetapp.duty.rules import DutyAction
from fleetapp.emergency import figures, plans, queries, service
from fleetapp.emergency.models import EmergencyEffect, EmergencyEvent
from fleetapp.emergency.rules import Standing
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.notices.models import Notice
from fleetapp.orders import queries as orders
from fleetapp.orders.rules import OrderKind, OrderState, Purpose
from fleetapp.planning.models import Hold
from fleetapp.reserves import queries as reserves
from fleetapp.reserves import service as reserve_service
from fleetapp.reserves.rules import Level
from tests.emergency.conftest import DISPATCHER, FIRST, FLEET, LEADER, OFFICE, OFFICER, SECOND


def order(emergencies, order_id):
    with emergencies.database.transaction(SYSTEM) as session:
        return orders.get_order(session, order_id=order_id, actor=SYSTEM)


def told(emergencies, username):
    with emergencies.database.transaction(SYSTEM) as session:
        mine = Notice.user_id == emergencies.user(username)
        rows = select(Notice).where(mine, Notice.code.startswith("emergency.")).order_by(Notice.id)
        return [(row.code.removeprefix("emergency.notice."), row.urgent) for row in session.scalars(rows)]


def test_the_preview_says_who_comes_and_what_it_costs_others(emergencies):
    waiting = emergencies.approved(start_h=1, end_h=3)
    emergencies.assign(waiting)
    made = emergencies.draft()
    lines, [effect] = emergencies.preview(made)
    assert [(line.vehicles, line.missing) for line in lines] == [(2, 0), (1, 0)]
    by_plate = {one.vehicle.plate: one for line in lines for one in line.candidates}
    assert {plate: by_plate[plate].standing for plate in (FIRST[0], SECOND[0])} == {
        FIRST[0]: Standing.BOOKED,
        SECOND[0]: Standing.FREE,
    }
    assert [one.vehicle.plate for one in lines[0].candidates[:2]] == [FIRST[0], SECOND[0]]
    assert (effect.order.id, effect.vehicle.plate, effect.substitutes) == (waiting, FIRST[0], 0)
    first = by_plate[FIRST[0]]
    assert first.way == "yard"
    assert 8_000 < first.distance_m < 20_000
    assert 600 < first.eta_s < 2_400
    # One vehicle wanted: the free one goes first, and nobody loses theirs.
    _, none = emergencies.preview(emergencies.draft(wanted=[emergencies.call("330106", "sedan", 1)]))
    assert none == []


def test_level_ii_takes_three_vehicles_and_an_order_waits_again(emergencies):
    waiting = emergencies.approved(start_h=1, end_h=3)
    slip_id = emergencies.assign(waiting)
    made = emergencies.draft()
    chosen = emergencies.chosen(made)
    assert (len(chosen["vehicle_ids"]), chosen["bumped"]) == (3, [waiting])
    for _ in range(2):
        active = emergencies.take(service.confirm, **chosen)
        assert active.state == "ACTIVE"
    cars = emergencies.cars(active)
    assert {FIRST[0], SECOND[0]} < {car.vehicle.plate for car in cars}
    assert {car.vehicle.plate: car.driver.user.username for car in cars}[FIRST[0]] == FIRST[1]
    bumped = order(emergencies, waiting)
    assert (bumped.state, bumped.events[-1].action) == (OrderState.APPROVED, "release")
    with emergencies.database.transaction(SYSTEM) as session:
        assert session.scalar(text("SELECT void_reason FROM dispatch_slip WHERE id = :id"), {"id": slip_id}).startswith(
            "应急启动 YJ2026-0001"
        )
        [effect] = session.scalars(select(EmergencyEffect)).all()
        assert (effect.order_id, effect.vehicle_id) == (waiting, emergencies.known[FIRST[0]])
        assert [alert.level for alert in reserves.alerts(session, at=emergencies.now)] == ["II"]
    made_order = order(emergencies, cars[0].order_id)
    assert (made_order.kind, made_order.state) == (OrderKind.EMERGENCY, OrderState.DISPATCHED)
    people = [made_order.applicant_id, made_order.approver_id, made_order.filed_by_id]
    assert people == [emergencies.user(OFFICER), emergencies.user(LEADER), emergencies.user(DISPATCHER)]
    assert [event.action for event in made_order.events] == ["submit", "approve", "dispatch"]
    assert told(emergencies, "applicant.xhedu") == [("taken", True)]
    assert told(emergencies, FIRST[1]) == [("go", True)]
    assert told(emergencies, OFFICER) == [("activated", True)]
    assert told(emergencies, LEADER) == [("sign", True)]


def test_figures_from_the_call_to_the_place_and_standing_down(emergencies):
    active = emergencies.activate()
    cars = {car.vehicle.plate: car for car in emergencies.cars(active)}
    quick, slow = cars[FIRST[0]].order_id, cars[SECOND[0]].order_id
    emergencies.step(quick, DutyAction.ACCEPT, 2)
    emergencies.step(quick, DutyAction.CHECK_OUT, 6, odometer_m=10_000_000)
    emergencies.step(quick, DutyAction.ARRIVE, 24)
    emergencies.step(slow, DutyAction.ACCEPT, 8)
    over = emergencies.take(
        service.stand_down, activation_id=active.id, note="雨势减弱，解除响应", at=emergencies.now + timedelta(hours=1)
    )
    assert over.state == "STOOD_DOWN"
    with emergencies.acting(DISPATCHER) as (session, who):
        seen = queries.get_activation(session, activation_id=active.id, actor=who)
        found = figures.record_of(session, activation=seen, now=emergencies.now).figures
        assert reserves.alerts(session, at=emergencies.now + timedelta(hours=2)) == []
        [of_year] = figures.of_year(session, year=2026, actor=who, now=emergencies.now)
    assert (found.called, found.accepted, found.left, found.arrived) == (3, 1, 1, 1)
    assert (found.accept_min, found.leave_min, found.arrive_min, found.share) == (2.0, 6.0, 24.0, 0.333)
    assert figures.together([of_year]) == of_year.figures
    assert order(emergencies, quick).state == OrderState.EN_ROUTE
    assert order(emergencies, slow).state == OrderState.CANCELLED
    assert emergencies.take(service.stand_down, activation_id=active.id, note="再次").state == "STOOD_DOWN"
    assert [code for code, _ in told(emergencies, SECOND[1])] == ["go", "stood_down"]


def test_standing_by_then_going(emergencies):
    active = emergencies.activate(level=Level.IV, goes=False)
    cars = emergencies.cars(active)
    assert [car.order_id for car in cars] == [None, None, None]
    with emergencies.database.transaction(SYSTEM) as session:
        assert session.query(Hold).filter(Hold.released_at.is_(None), Hold.cause_id == active.id).count() == 6
    with pytest.raises(Conflict, match="kept_for_other"):
        emergencies.assign(emergencies.approved(start_h=1, end_h=2))
    for _ in range(2):
        emergencies.take(service.send, activation_id=active.id, car_ids=[cars[0].id])
    assert [car.order_id is None for car in emergencies.cars(active)] == [False, True, True]
    emergencies.take(service.stand_down, activation_id=active.id, note="解除")
    with emergencies.database.transaction(SYSTEM) as session:
        assert session.query(Hold).filter(Hold.released_at.is_(None)).count() == 0


def test_a_drill_takes_nothing_from_orders_and_keeps_the_floor(emergencies):
    waiting = emergencies.approved(start_h=1, end_h=3)
    emergencies.assign(waiting)
    made = emergencies.draft(drill=True)
    lines, effects = emergencies.preview(made)
    assert (lines[0].missing, effects, made.number) == (1, [], "YL2026-0001")
    with pytest.raises(Conflict, match="changed"):
        emergencies.take(
            service.confirm, activation_id=made.id, vehicle_ids=[emergencies.known[FIRST[0]]], bumped=[waiting]
        )
    with emergencies.acting(OFFICE) as (session, who):
        reserve_service.set_floor(session, org_id=emergencies.orgs["330106"], body="sedan", level=Level.USUAL, from_min=0, until_min=1440,
                                  start_on=emergencies.now.date(), vehicles=1, reason="防汛", actor=who, now=emergencies.now)  # fmt: skip
    with pytest.raises(RuleBroken, match="reserve_floor"):
        emergencies.take(service.confirm, activation_id=made.id, vehicle_ids=[emergencies.known[SECOND[0]]], bumped=[])
    drilled = emergencies.take(
        service.confirm, activation_id=made.id, vehicle_ids=[emergencies.known[FLEET]], bumped=[]
    )
    [car] = emergencies.cars(drilled)
    assert (order(emergencies, car.order_id).kind, order(emergencies, car.order_id).purpose) == (
        OrderKind.SERVICE,
        Purpose.DRILL,
    )
    assert told(emergencies, OFFICER) == [("drill", False)]
    with emergencies.database.transaction(SYSTEM) as session:
        assert reserves.alerts(session, at=emergencies.now) == []
    effect = EmergencyEffect(activation_id=made.id, order_id=waiting, vehicle_id=1, slip="x", at=emergencies.now)
    with pytest.raises(Conflict, match="drill_takes_nothing"), emergencies.database.transaction(SYSTEM) as session:
        session.merge(effect)
    # A drill in the way of nothing: the real thing can begin beside it, with what is left.
    assert emergencies.activate(wanted=[emergencies.call("330106", "sedan", 2)]).state == "ACTIVE"


def test_a_second_activation_is_refused_and_the_level_changes_in_the_first(emergencies):
    first, second = emergencies.draft(wanted=[emergencies.call("330106", "sedan", 1)]), emergencies.draft(by=OFFICE)
    emergencies.take(service.confirm, **emergencies.chosen(first))
    with pytest.raises(Conflict) as refused:
        emergencies.take(service.confirm, by=OFFICE, **emergencies.chosen(second, by=OFFICE))
    assert (refused.value.code, refused.value.params["number"]) == ("emergency.active_already", first.number)
    later = emergencies.now + timedelta(minutes=5)
    emergencies.take(service.change_level, activation_id=first.id, level=Level.I, note="水位上涨", at=later)
    with pytest.raises(RuleBroken, match="same_level"):
        emergencies.take(service.change_level, activation_id=first.id, level=Level.I, note="再报", at=later)
    with emergencies.database.transaction(SYSTEM) as session:
        assert [alert.level for alert in reserves.alerts(session, at=later)] == ["I"]
    free = [
        emergencies.known[plate]
        for plate in (FIRST[0], SECOND[0])
        if plate not in {car.vehicle.plate for car in emergencies.cars(first)}
    ]
    for _ in range(2):
        emergencies.take(service.call_more, activation_id=first.id, vehicle_ids=free, bumped=[])
    assert len(emergencies.cars(first)) == 2
    assert emergencies.take(service.cancel, activation_id=second.id, note="重复", by=OFFICE).state == "CANCELLED"
    with emergencies.database.transaction(SYSTEM) as session:
        done = session.scalars(
            select(EmergencyEvent.action).where(EmergencyEvent.activation_id == first.id).order_by(EmergencyEvent.id)
        ).all()
    assert done == ["drafted", "confirmed", "raised", "called_more"]


def test_a_preview_that_no_longer_holds_is_not_confirmed(emergencies):
    made = emergencies.draft()
    chosen = emergencies.chosen(made)
    assert chosen["bumped"] == []
    emergencies.assign(emergencies.approved(start_h=1, end_h=3))
    with pytest.raises(Conflict, match="changed"):
        emergencies.take(service.confirm, **chosen)
    assert emergencies.cars(made) == []
    with emergencies.acting(DISPATCHER) as (session, who):
        assert queries.get_activation(session, activation_id=made.id, actor=who).state == "DRAFT"


def test_who_may_and_who_may_not(emergencies):
    for username in ("fleet_manager.city", "auditor.city", LEADER):
        with pytest.raises(NotAllowed):
            emergencies.draft(by=username)
    with pytest.raises(NotFound):
        emergencies.draft(by="dispatcher.xihu")  # the city's plan is above a district
    with pytest.raises(NotAllowed):
        emergencies.take(plans.make, org_id=emergencies.orgs["330106"], title="区级预案")
    active = emergencies.activate()
    with pytest.raises(NotAllowed):
        emergencies.take(service.sign, activation_id=active.id, note="同意。")
    for _ in range(2):
        assert (
            emergencies.take(service.sign, by=LEADER, activation_id=active.id, note="同意。").signed_at
            == emergencies.now
        )


@pytest.mark.parametrize(
    ("given", "code"),
    [({"officer": LEADER}, "same_person"), ({"leader": "vehicle_office.city"}, "not_leader"), ({"officer": "applicant.xhedu"}, "not_officer"),
     ({"level": Level.USUAL}, "no_level"), ({"vehicles": 0}, "nothing_wanted")],
)  # fmt: skip
def test_what_an_activation_may_not_be(emergencies, given, code):
    wish = {f"{name}_id": emergencies.user(given[name]) for name in ("officer", "leader") if name in given}
    wish |= {"level": given["level"]} if "level" in given else {}
    wish |= {"wanted": [emergencies.call("330106", "sedan", 0)]} if "vehicles" in given else {}
    with pytest.raises(RuleBroken, match=code):
        emergencies.draft(**wish)


BEGUN = (
    "INSERT INTO emergency_activation (org_id, plan_id, number, drill, level, reason, place, lat, lon, hours, goes, wanted, state, leader_id,"
    " officer_id, made_at, confirmed_at, version) SELECT org_id, plan_id, 'X', drill, level, reason, place, lat, lon, hours, goes, wanted,"
    " 'ACTIVE', leader_id, officer_id, made_at, made_at, 1 FROM emergency_activation LIMIT 1"
)


@pytest.mark.parametrize(
    ("statement", "said"),
    [("UPDATE emergency_activation SET state = 'STOOD_DOWN', ended_at = now() WHERE state = 'DRAFT'", "frozen"),
     ("UPDATE emergency_activation SET reason = 'x' WHERE state = 'ACTIVE'", "frozen"),
     ("UPDATE emergency_car SET vehicle_id = 3", "called up as it was"), (BEGUN, "begins as a draft")],
)  # fmt: skip
def test_raw_sql_is_refused(emergencies, statement, said):
    emergencies.activate()
    emergencies.draft()
    with pytest.raises(IntegrityError, match=said), emergencies.acting(DISPATCHER) as (session, _):
        session.execute(text(statement))
