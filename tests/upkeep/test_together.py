"""Two at once: of two readings that contradict each other one is refused, of two works on one vehicle one waits."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from threading import Barrier

import pytest
from sqlalchemy import select, text

from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict
from fleetapp.orders.rules import Stop
from fleetapp.upkeep import ledger, service
from fleetapp.upkeep.rules import SupplierKind, WorkKind
from fleetapp.vehicles.models import Vehicle
from tests import world
from tests.serving import furnish
from tests.upkeep.conftest import MANAGER, OFFICE, PLATE, UNIT
from tests.walks import steps

STOPS = [Stop("西湖区人民政府", 30.261755, 120.125436), Stop("杭州东站", 30.293549, 120.208203)]
INSERT = text(
    "INSERT INTO odometer_reading (org_id, vehicle_id, meter, at, reading_m, source, created_at)"
    " SELECT org_id, id, 1, :at, :m, 'manual', :at FROM vehicle WHERE plate = :plate"
)


@pytest.mark.parametrize("attempt", range(3))
def test_of_two_readings_that_contradict_each_other_one_is_refused(live_database, now, attempt):
    who, together = world.actor(live_database, MANAGER), Barrier(2)

    def insert(days_ago, km):
        together.wait()
        try:
            with live_database.transaction(who) as session:
                session.execute(INSERT, {"at": now - timedelta(days=days_ago), "m": km * 1000, "plate": PLATE})
        except Conflict as error:
            return error.code
        return "stored"

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(insert, (5, 3), (10_900, 10_500)))
    assert sorted(found) == ["stored", "vehicles.reading_order"]


def approved(take, car_id, shops):
    order_id = take(UNIT, service.report, vehicle_id=car_id, kind=WorkKind.REPAIR, fault="制动异响").id
    for shop in shops[:2]:
        take(UNIT, service.add_quote, order_id=order_id, supplier_id=shop, amount=Decimal(900))
    take(UNIT, service.submit, order_id=order_id, supplier_id=shops[0])
    return take(OFFICE, service.decide, order_id=order_id, approve=True, note="同意").id


def test_a_vehicle_on_a_journey_goes_to_the_shop_after_its_return(database, car_id, shops, take, now):
    order_id = approved(take, car_id, shops)
    _, duty_id = steps.dispatched(
        database, start=now + timedelta(hours=1), end=now + timedelta(hours=3), stops=STOPS, plate=PLATE
    )
    steps.report(database, duty_id, DutyAction.ACCEPT, now)
    steps.report(database, duty_id, DutyAction.CHECK_OUT, now + timedelta(hours=1), odometer_m=10_000_000)
    later = now + timedelta(hours=2)
    with pytest.raises(Conflict) as broken:
        take(UNIT, service.start, later, order_id=order_id, entry_m=10_020_000)
    assert broken.value.code == "upkeep.on_journey"
    steps.report(database, duty_id, DutyAction.CHECK_IN, now + timedelta(hours=3), odometer_m=10_030_000)
    assert take(UNIT, service.start, now + timedelta(hours=4), order_id=order_id, entry_m=10_030_000).state == "IN_WORK"
    with database.transaction(SYSTEM) as session:
        sources = session.scalars(
            text("SELECT source FROM odometer_reading WHERE vehicle_id = :id ORDER BY at, id"), {"id": car_id}
        ).all()
        assert session.scalars(select(Vehicle.odometer_m).where(Vehicle.id == car_id)).one() == 10_030_000
    assert sources == ["import", "check_out", "check_in", "work_order"]


def test_of_two_works_begun_at_once_one_waits(live_database, now):
    furnish(live_database, now)

    def take(username, function, **wanted):
        who = world.actor(live_database, username)
        with live_database.transaction(who) as session:
            return function(session, actor=who, now=now, **wanted)

    city_id = world.actor(live_database, OFFICE).org_id
    today = now.date()
    shops = [
        take(OFFICE, ledger.add_supplier, org_id=city_id, name=f"定点厂 {number}", kind=SupplierKind.REPAIR, contract_no=f"DD-{number}",
             contract_from=today, contract_to=today + timedelta(days=300)).id
        for number in (1, 2)
    ]  # fmt: skip
    with live_database.transaction(SYSTEM) as session:
        car_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == PLATE)).one()
    waiting, together = [approved(take, car_id, shops), approved(take, car_id, shops)], Barrier(2)

    def start(order_id):
        together.wait()
        try:
            return take(UNIT, service.start, order_id=order_id, entry_m=10_000_000).state
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(start, waiting))
    assert sorted(found) == ["IN_WORK", "upkeep.in_shop"]
