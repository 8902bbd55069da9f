"""Work orders: quotes, approval by another, one work at a time, cost against the limit; refused by service and database."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.upkeep import queries, service
from fleetapp.upkeep.models import UpkeepDone, WorkOrder
from fleetapp.upkeep.rules import Item, LineKind, WorkKind
from fleetapp.vehicles import odometer
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind, VehicleState
from tests import world
from tests.upkeep.conftest import MANAGER, OFFICE, UNIT

DRIVER, KM = "driver.xhedu", 10_000_000


def refused(code, function, *args, **wanted):
    with pytest.raises((RuleBroken, NotAllowed, NotFound, Conflict)) as broken:
        function(*args, **wanted)
    assert broken.value.code == code


def car(database, car_id):
    with database.transaction(SYSTEM) as session:
        session.expire_all()
        return session.get(Vehicle, car_id)


@pytest.fixture
def reported(car_id, take):
    return take(DRIVER, service.report, vehicle_id=car_id, kind=WorkKind.REPAIR, fault="制动异响，可行驶").id


@pytest.fixture
def quoted(reported, shops, take):
    for shop, amount in zip(shops[:2], ("1200", "1000"), strict=True):
        take(UNIT, service.add_quote, order_id=reported, supplier_id=shop, amount=Decimal(amount))
    take(UNIT, service.submit, order_id=reported, supplier_id=shops[1])
    return reported


@pytest.fixture
def in_work(quoted, take):
    take(OFFICE, service.decide, order_id=quoted, approve=True, note="同意")
    take(UNIT, service.start, order_id=quoted, entry_m=KM + 5000)
    return quoted


def line(take, order_id, amount="1000", kind=LineKind.PART, serial=None, quantity="1"):
    take(UNIT, service.add_line, order_id=order_id, kind=kind, name="制动片", quantity=Decimal(quantity), unit_price=Decimal(amount),
         serial=serial)  # fmt: skip


def test_from_the_report_to_the_acceptance(database, car_id, in_work, take, now):
    assert car(database, car_id).state == VehicleState.MAINTENANCE
    assert car(database, car_id).odometer_m == KM + 5000
    refused("upkeep.no_lines", take, UNIT, service.finish, order_id=in_work)
    line(take, in_work, "600")
    line(take, in_work, "200", LineKind.TYRE, "DOT 2026", "2")
    later = now + timedelta(hours=30)
    assert take(UNIT, service.finish, later, order_id=in_work).final_cost == Decimal("1000.00")
    take(UNIT, service.accept, later, order_id=in_work, note="已修复")
    assert car(database, car_id).state == VehicleState.IN_SERVICE
    who = world.actor(database, "finance.city")
    with database.transaction(who) as session:
        order = queries.get_order(session, order_id=in_work, actor=who)
        assert queries.downtime_h(order, now=later + timedelta(days=9)) == 30
        steps = [event.action for event in queries.events(session, order_id=in_work)]
        rows = queries.cost_rows(session, actor=who, start=date(2026, 11, 1), end=date(2026, 12, 1), vehicle_id=car_id)
        assert queries.cost_rows(session, actor=who, start=date(2026, 12, 1), end=date(2027, 1, 1)) == []
    assert steps == ["reported", "quoted", "quoted", "submitted", "approved", "started", "finished", "accepted"]
    assert {row.kind: row.amount for row in rows} == {
        CostKind.TYRES: Decimal("400.00"),
        CostKind.REPAIR: Decimal("600.00"),
    }
    assert {(row.source, row.on) for row in rows} == {(f"upkeep:order-{in_work}", date(2026, 11, 19))}
    with pytest.raises(NotAllowed):
        take(UNIT, service.cancel, order_id=in_work, note="不修了")


def test_a_sealed_car_goes_back_to_its_seal_and_rework_keeps_it_in_the_shop(database, car_id, quoted, take):
    take(MANAGER, vehicles.change_state, vehicle_id=car_id, to=VehicleState.SEALED, reason="节假日封存")
    take(OFFICE, service.decide, order_id=quoted, approve=True, note="同意")
    take(UNIT, service.start, order_id=quoted, entry_m=KM)
    line(take, quoted)
    take(UNIT, service.finish, order_id=quoted)
    assert take(UNIT, service.rework, order_id=quoted, note="仍有异响").state == "IN_WORK"
    assert car(database, car_id).state == VehicleState.MAINTENANCE
    take(UNIT, service.finish, order_id=quoted)
    take(UNIT, service.accept, order_id=quoted, note="已修复")
    assert car(database, car_id).state == VehicleState.SEALED


def test_maintenance_done_is_on_record_at_the_reading(database, car_id, shops, take, now):
    order_id = take(
        UNIT, service.report, vehicle_id=car_id, kind=WorkKind.MAINTENANCE, fault="例行保养", items=[Item.ENGINE_OIL]
    ).id
    take(UNIT, service.add_quote, order_id=order_id, supplier_id=shops[0], amount=Decimal(500))
    take(UNIT, service.submit, order_id=order_id, supplier_id=shops[0], single_reason="执行年度协议价")
    take(MANAGER, service.decide, order_id=order_id, approve=True, note="同意")
    take(UNIT, service.start, order_id=order_id, entry_m=KM + 1000)
    line(take, order_id, "500")
    later = now + timedelta(hours=2)
    take(
        UNIT,
        odometer.change_meter,
        later,
        vehicle_id=car_id,
        at=later,
        end_m=KM + 1000,
        start_m=0,
        reason="仪表同时更换",
    )
    take(UNIT, service.finish, later, order_id=order_id)
    take(UNIT, service.accept, later, order_id=order_id, note="完成")
    with database.transaction(SYSTEM) as session:
        [done] = session.scalars(select(UpkeepDone)).all()
    assert (done.item, done.at_m, done.done_on, done.order_id) == (
        "engine_oil",
        KM + 1000,
        date(2026, 11, 18),
        order_id,
    )


def test_quotes_come_from_designated_suppliers_two_or_a_reason(reported, shops, take):
    refused(
        "upkeep.no_contract", take, UNIT, service.add_quote, order_id=reported, supplier_id=shops[2], amount=Decimal(1)
    )
    take(UNIT, service.add_quote, order_id=reported, supplier_id=shops[0], amount=Decimal(900))
    refused(
        "upkeep.quote_there",
        take,
        UNIT,
        service.add_quote,
        order_id=reported,
        supplier_id=shops[0],
        amount=Decimal(800),
    )
    refused("upkeep.not_quoted", take, UNIT, service.submit, order_id=reported, supplier_id=shops[1])
    refused("upkeep.more_quotes", take, UNIT, service.submit, order_id=reported, supplier_id=shops[0])
    assert (
        take(UNIT, service.submit, order_id=reported, supplier_id=shops[0], single_reason="只有一家有配件").state
        == "QUOTED"
    )
    refused(
        "upkeep.wrong_step", take, UNIT, service.add_quote, order_id=reported, supplier_id=shops[1], amount=Decimal(1)
    )


def test_whoever_asked_or_quoted_does_not_approve(database, car_id, shops, take):
    order_id = take(MANAGER, service.report, vehicle_id=car_id, kind=WorkKind.REPAIR, fault="空调不制冷").id
    for shop in shops[:2]:
        take("fleet_manager.city", service.add_quote, order_id=order_id, supplier_id=shop, amount=Decimal(800))
    take("fleet_manager.city", service.submit, order_id=order_id, supplier_id=shops[0])
    for username in (MANAGER, "fleet_manager.city"):
        refused("kit.own_row", take, username, service.decide, order_id=order_id, approve=True, note="同意")
        asker = world.user_id(database, username)
        with pytest.raises((Conflict, IntegrityError)), database.transaction(world.actor(database, MANAGER)) as session:
            session.execute(text("UPDATE work_order SET state = 'APPROVED', approved_by = :who, approved_limit = 1, over_share = 0"
                                 " WHERE id = :id"), {"who": asker, "id": order_id})  # fmt: skip
    for username in (UNIT, "finance.city", "auditor.city", "leader.city"):
        refused("kit.not_allowed", take, username, service.decide, order_id=order_id, approve=True, note="同意")
    assert take(OFFICE, service.decide, order_id=order_id, approve=True, note="同意").approved_limit == Decimal(800)


def test_a_fleet_manager_approves_up_to_the_amount_of_policy(reported, shops, take):
    for shop in shops[:2]:
        take(UNIT, service.add_quote, order_id=reported, supplier_id=shop, amount=Decimal("3000.01"))
    take(UNIT, service.submit, order_id=reported, supplier_id=shops[0])
    refused("upkeep.above_amount", take, MANAGER, service.decide, order_id=reported, approve=True, note="同意")
    assert take(MANAGER, service.decide, order_id=reported, approve=False, note="太贵").state == "REJECTED"


def test_a_cost_above_the_margin_is_approved_twice_before_acceptance(database, in_work, take):
    line(take, in_work, "1100.01")
    take(UNIT, service.finish, order_id=in_work)
    refused("upkeep.excess", take, UNIT, service.accept, order_id=in_work, note="完成")
    with pytest.raises(Conflict) as broken, database.transaction(world.actor(database, UNIT)) as session:
        session.execute(text("UPDATE work_order SET state = 'ACCEPTED', accepted_by = requester_id, accepted_at = now(),"
                             " during = tstzrange(lower(during), now()) WHERE id = :id"), {"id": in_work})  # fmt: skip
    assert broken.value.code == "upkeep.excess_again"
    refused("kit.own_row", take, UNIT, service.allow_excess, order_id=in_work, note="增项")
    take(MANAGER, service.allow_excess, order_id=in_work, note="增项属实")
    assert take(UNIT, service.accept, order_id=in_work, note="完成").state == "ACCEPTED"


def test_within_the_margin_there_is_nothing_to_allow_and_a_line_is_taken_back(in_work, take):
    line(take, in_work, "1500")
    line(take, in_work, "1500", quantity="-1")
    line(take, in_work, "1100")
    take(UNIT, service.finish, order_id=in_work)
    refused("upkeep.no_excess", take, OFFICE, service.allow_excess, order_id=in_work, note="同意")
    assert take(UNIT, service.accept, order_id=in_work, note="完成").final_cost == Decimal("1100.00")


def test_one_vehicle_is_in_one_shop_at_a_time(database, car_id, in_work, shops, take, now):
    other = take(UNIT, service.report, vehicle_id=car_id, kind=WorkKind.TYRES, fault="轮胎磨损").id
    take(UNIT, service.add_quote, order_id=other, supplier_id=shops[0], amount=Decimal(900))
    take(UNIT, service.submit, order_id=other, supplier_id=shops[0], single_reason="执行年度协议价")
    take(OFFICE, service.decide, order_id=other, approve=True, note="同意")
    refused("upkeep.in_shop", take, UNIT, service.start, order_id=other, entry_m=KM + 6000)
    refused(
        "upkeep.vehicle_in_work",
        take,
        MANAGER,
        vehicles.change_state,
        vehicle_id=car_id,
        to=VehicleState.IN_SERVICE,
        reason="急用",
    )
    line(take, in_work)
    take(UNIT, service.finish, order_id=in_work)
    take(UNIT, service.accept, now + timedelta(hours=1), order_id=in_work, note="完成")
    assert take(UNIT, service.start, now + timedelta(hours=1), order_id=other, entry_m=KM + 6000).state == "IN_WORK"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE vehicle SET state = 'IN_SERVICE' WHERE id = (SELECT vehicle_id FROM work_order WHERE id = :id)",
        "UPDATE work_order SET state = 'ACCEPTED' WHERE id = :id",
        "UPDATE work_order SET state = 'DONE', final_cost = 1 WHERE id = :id",
        "UPDATE work_order SET approved_limit = 99999 WHERE id = :id",
        "UPDATE work_order SET vehicle_id = vehicle_id + 1 WHERE id = :id",
        "UPDATE work_quote SET amount = 1 WHERE order_id = :id",
        "UPDATE work_line SET unit_price = 1 WHERE order_id = :id",
        "DELETE FROM work_line WHERE order_id = :id",
        "DELETE FROM work_order WHERE id = :id",
        "UPDATE work_event SET note = 'x' WHERE order_id = :id",
        "INSERT INTO work_quote (order_id, supplier_id, amount, created_at) SELECT :id, id, 1, now() FROM supplier WHERE contract_no = 'DD-3'",
        "INSERT INTO work_line (order_id, kind, name, quantity, unit_price, created_at) VALUES (:id, 'tyre', 'x', 1, 1, now())",
    ],
)
def test_the_database_refuses_what_goes_round_the_service(database, in_work, statement):
    with (
        pytest.raises((Conflict, DBAPIError, ProgrammingError)),
        database.transaction(world.actor(database, MANAGER)) as session,
    ):
        session.execute(text(statement), {"id": in_work})


def test_the_database_wants_two_quotes_or_a_reason_and_the_first_state(database, reported, shops, take):
    take(UNIT, service.add_quote, order_id=reported, supplier_id=shops[0], amount=Decimal(900))
    who = world.actor(database, UNIT)
    with pytest.raises(Conflict) as broken, database.transaction(who) as session:
        session.execute(text("UPDATE work_order SET state = 'QUOTED', supplier_id = :shop, quoted_by = :who WHERE id = :id"),
                        {"id": reported, "shop": shops[0], "who": who.user_id})  # fmt: skip
    assert broken.value.code == "upkeep.quotes_or_reason"
    with pytest.raises(IntegrityError, match="begins as reported"), database.transaction(who) as session:
        session.execute(text("INSERT INTO work_order (org_id, number, vehicle_id, kind, state, fault, items, requester_id, created_at,"
                             " version) SELECT org_id, 'WX-X', vehicle_id, kind, 'ACCEPTED', fault, items, requester_id, created_at, 1"
                             " FROM work_order WHERE id = :id"), {"id": reported})  # fmt: skip


def test_a_driver_reports_for_the_own_unit_and_sees_the_own_reports(database, car_id, reported, take):
    with database.transaction(SYSTEM) as session:
        elsewhere = session.scalars(select(Vehicle.id).where(Vehicle.plate == "浙A10005")).one()
    refused(
        "kit.not_found", take, DRIVER, service.report, vehicle_id=elsewhere, kind=WorkKind.REPAIR, fault="不是我的车"
    )
    refused(
        "kit.not_found", take, "auditor.city", service.report, vehicle_id=car_id, kind=WorkKind.REPAIR, fault="无权报修"
    )
    refused("kit.not_allowed", take, DRIVER, service.cancel, order_id=reported, note="不修了")
    for username, seen in (
        (DRIVER, 1),
        ("driver2.xhedu", 0),
        ("driver.bjwater", 0),
        ("auditor.xihu", 1),
        ("auditor.binjiang", 0),
    ):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            assert len(session.scalars(queries.visible_to(who)).all()) == seen, username
            assert len(session.scalars(select(WorkOrder)).all()) == (1 if username == "driver2.xhedu" else seen), (
                username
            )
