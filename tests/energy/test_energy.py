"""Entries and cards: written and refused through service, API and raw SQL; permissions beside their refusals; pages."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.energy import figures, queries, service
from fleetapp.energy.rules import CardState, EntryKind, EntrySource
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import Stop
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind
from tests import world
from tests.serving import furnish
from tests.walks import steps

PETROL, ELECTRIC, HYBRID, HEALTH = "浙A10001", "浙AD00002", "浙AF00006", "浙A10003"
UNIT, MANAGER, FINANCE = "unit_admin.xhedu", "fleet_manager.xihu", "finance.city"
AT = datetime(2026, 11, 10, 2, 30, tzinfo=UTC)
FILL = {
    "kind": EntryKind.FUEL,
    "at": AT,
    "quantity": Decimal("40.000"),
    "unit_price": Decimal("7.8500"),
    "amount": Decimal("314.00"),
}
PLACES = [Stop("西湖区人民政府", 30.261755, 120.125436), Stop("杭州东站", 30.293549, 120.208203)]
CARD = {"kind": EntryKind.FUEL, "number": "9030110001", "issuer": "石油公司", "valid_from": date(2026, 1, 1)}


@pytest.fixture
def cars(database, now):
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        found = {car.plate: car for car in session.scalars(select(Vehicle))}
        found[PETROL].tank_l, found[ELECTRIC].battery_kwh = Decimal(50), Decimal(60)
        return {plate: car.id for plate, car in found.items()}


@pytest.fixture
def take(database, now):
    """Take a step as somebody."""

    def taken(username, function, **given):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return function(session, actor=who, now=now, **given)

    return taken


def refused(code, function, *args, **given):
    with pytest.raises((RuleBroken, NotAllowed, Conflict)) as broken:
        function(*args, **given)
    assert broken.value.code == code


def test_who_enters_and_who_does_not(cars, take):
    for number, username in enumerate((UNIT, MANAGER, FINANCE)):
        made = take(username, service.enter, vehicle_id=cars[PETROL], **(FILL | {"at": AT + timedelta(days=number)}))
        assert made.source == EntrySource.MANUAL
    for username in ("vehicle_office.city", "auditor.city", "leader.city"):
        refused("kit.not_allowed", take, username, service.enter, vehicle_id=cars[PETROL], **FILL)
    for username in ("fleet_manager.binjiang", "driver.xhedu"):
        with pytest.raises(NotFound):
            take(username, service.enter, vehicle_id=cars[PETROL], **FILL)


@pytest.mark.parametrize(
    ("plate", "change", "code"),
    [
        (ELECTRIC, {}, "energy.kind_fits"),
        (PETROL, {"kind": EntryKind.CHARGE}, "energy.kind_fits"),
        (PETROL, {"amount": Decimal("320.00")}, "energy.amount"),
        (PETROL, {"at": AT + timedelta(days=30)}, "energy.future"),
        (PETROL, {"soc_percent": 80}, "energy.soc"),
    ],
)
def test_the_service_refuses(cars, take, plate, change, code):
    refused(code, take, UNIT, service.enter, vehicle_id=cars[plate], **(FILL | change))


SQL = text(
    "INSERT INTO energy_entry (org_id, vehicle_id, card_id, kind, at, quantity, unit_price, amount, soc_percent, source, digest, created_at)"
    " SELECT org_id, id, :card, :kind, :at, :quantity, :unit_price, :amount, :soc, :source, :digest, :at FROM vehicle WHERE id = :vehicle"
)


@pytest.mark.parametrize(
    ("plate", "change", "constraint"),
    [
        (ELECTRIC, {}, "energy.kind_fits"),
        (PETROL, {"kind": "charge"}, "energy.kind_fits"),
        (PETROL, {"amount": Decimal("314.06")}, "energy.amount_now"),
        (PETROL, {"quantity": Decimal(-40), "amount": Decimal(-314)}, "ck_energy_entry_positive"),
        (PETROL, {"soc": 50}, "ck_energy_entry_soc"),
        (PETROL, {"source": "import"}, "ck_energy_entry_digest"),
        (PETROL, {"digest": "x"}, "ck_energy_entry_digest"),
        (PETROL, {}, None),
    ],
)
def test_the_database_refuses_by_itself(database, cars, plate, change, constraint):
    values = {
        **FILL,
        "kind": "fuel",
        "card": None,
        "soc": None,
        "source": "manual",
        "digest": None,
        "vehicle": cars[plate],
    } | change
    if constraint is None:
        with database.transaction(world.actor(database, UNIT)) as session:
            assert session.execute(SQL, values).rowcount == 1
        return
    with (
        pytest.raises((IntegrityError, Conflict)) as broken,
        database.transaction(world.actor(database, UNIT)) as session,
    ):
        session.execute(SQL, values)
    assert constraint in str(broken.value)


def test_the_same_filling_twice_is_refused_until_the_first_is_void(database, cars, take):
    first = take(UNIT, service.enter, vehicle_id=cars[PETROL], **FILL)
    refused("energy.there", take, FINANCE, service.enter, vehicle_id=cars[PETROL], **FILL)
    refused("kit.not_allowed", take, "auditor.city", service.void, entry_id=first.id, reason="看错了")
    take(MANAGER, service.void, entry_id=first.id, reason="录错车辆")
    refused("energy.is_void", take, MANAGER, service.void, entry_id=first.id, reason="再作废")
    assert take(UNIT, service.enter, vehicle_id=cars[PETROL], **FILL).id != first.id


def test_entries_are_never_changed_nor_removed(database, cars, take):
    made = take(UNIT, service.enter, vehicle_id=cars[PETROL], **FILL)
    who = world.actor(database, UNIT)
    for statement in (
        "UPDATE energy_entry SET amount = 314.01 WHERE id = :id",
        "UPDATE energy_entry SET void_reason = '没有时间' WHERE id = :id",
        "DELETE FROM energy_entry WHERE id = :id",
    ):
        with pytest.raises((IntegrityError, ProgrammingError)), database.transaction(who) as session:
            session.execute(text(statement), {"id": made.id})
    with database.transaction(who) as session:
        assert session.scalar(text("SELECT amount FROM energy_entry WHERE id = :id"), {"id": made.id}) == Decimal(
            "314.00"
        )


def test_one_card_one_car(database, cars, take):
    card = take(UNIT, service.add_card, vehicle_id=cars[PETROL], **CARD)
    refused("energy.card_taken", take, MANAGER, service.add_card, vehicle_id=cars[HEALTH], **CARD)
    refused(
        "energy.card_second",
        take,
        MANAGER,
        service.add_card,
        vehicle_id=cars[PETROL],
        **(CARD | {"number": "9030110002"}),
    )
    refused(
        "energy.kind_fits",
        take,
        MANAGER,
        service.add_card,
        vehicle_id=cars[ELECTRIC],
        **(CARD | {"number": "9030110003"}),
    )
    refused(
        "kit.not_allowed", take, FINANCE, service.add_card, vehicle_id=cars[HEALTH], **(CARD | {"number": "9030110004"})
    )
    refused("energy.card_other", take, MANAGER, service.enter, vehicle_id=cars[HEALTH], card_id=card.id, **FILL)
    assert take(UNIT, service.enter, vehicle_id=cars[PETROL], card_id=card.id, **FILL).card_id == card.id
    with pytest.raises(Conflict) as broken, database.transaction(world.actor(database, MANAGER)) as session:
        session.execute(
            SQL,
            {
                **FILL,
                "kind": "fuel",
                "card": card.id,
                "soc": None,
                "source": "manual",
                "digest": None,
                "vehicle": cars[HEALTH],
            },
        )
    assert broken.value.code == "energy.card_other_now"
    refused(
        "kit.changed_meanwhile",
        take,
        UNIT,
        service.move_card,
        card_id=card.id,
        to=CardState.SUSPENDED,
        reason="遗失",
        version=9,
    )
    take(UNIT, service.move_card, card_id=card.id, to=CardState.CANCELLED, reason="遗失")
    refused("energy.card_state", take, UNIT, service.move_card, card_id=card.id, to=CardState.ACTIVE, reason="找到")
    assert take(MANAGER, service.add_card, vehicle_id=cars[HEALTH], **CARD).vehicle_id == cars[HEALTH]
    with pytest.raises(IntegrityError), database.transaction(world.actor(database, UNIT)) as session:
        session.execute(text("UPDATE energy_card SET state = 'ACTIVE' WHERE id = :id"), {"id": card.id})


def drive(take, car_id, *, kind, every, username="fleet_manager.city"):
    """Enter full fillings of (quantity, km), a day apart."""
    for number, (quantity, km) in enumerate(every):
        price = Decimal("8.0000") if kind is EntryKind.FUEL else Decimal("1.0000")
        take(username, service.enter, vehicle_id=car_id, kind=kind, at=AT - timedelta(days=20 - number), quantity=Decimal(quantity), unit_price=price,
             amount=Decimal(quantity) * price, odometer_m=km * 1000, full=True)  # fmt: skip


def test_consumption_ranking_and_costs(database, cars, take, now):
    drive(take, cars[PETROL], kind=EntryKind.FUEL, every=[(40, 1000), (40, 1500), (32, 1900)])
    drive(take, cars[HYBRID], kind=EntryKind.FUEL, every=[(30, 1000), (35, 1600)])
    drive(take, cars[HYBRID], kind=EntryKind.CHARGE, every=[(10, 1000), (8, 1100)])
    city = world.actor(database, "vehicle_office.city")
    days = {"start_on": date(2026, 10, 1), "end_on": date(2026, 11, 18)}
    with database.transaction(city) as session:
        found = {one.vehicle.plate: one for one in figures.ranking(session, actor=city, **days)}
        assert set(found) == {PETROL, HYBRID}
        assert found[PETROL].per_100km(EntryKind.FUEL) == Decimal(8)
        assert (found[HYBRID].share < Decimal("0.2"), found[HYBRID].share_low) == (True, True)
        assert found[HYBRID].quantity == {EntryKind.FUEL: Decimal(65), EntryKind.CHARGE: Decimal(18)}
        rows = queries.cost_rows(
            session, actor=city, start=date(2026, 10, 1), end=date(2026, 11, 19), vehicle_id=cars[HYBRID]
        )
        assert sum(row.amount for row in rows) == 65 * 8 + 18
        assert {row.kind for row in rows} == {CostKind.FUEL, CostKind.CHARGING}
        first = rows[0].on
        assert queries.cost_rows(session, actor=city, start=date(2026, 10, 1), end=first, vehicle_id=cars[HYBRID]) == []
    unit = world.actor(database, UNIT)
    with database.transaction(unit) as session:
        assert {one.vehicle.plate for one in figures.ranking(session, actor=unit, **days)} == {PETROL}
        assert {
            row.vehicle_id
            for row in queries.cost_rows(session, actor=unit, start=date(2026, 1, 1), end=date(2027, 1, 1))
        } == {cars[PETROL]}


def test_a_filling_on_the_way_belongs_to_its_task(database, cars, take, now):
    start = now - timedelta(hours=8)
    steps.dispatched(database, start=start, end=now - timedelta(hours=2), stops=PLACES, plate=PETROL)
    for at in (start + timedelta(hours=1), start - timedelta(days=2)):
        take(UNIT, service.enter, vehicle_id=cars[PETROL], **(FILL | {"at": at}))
    city = world.actor(database, "vehicle_office.city")
    with database.transaction(city) as session:
        before, way = queries.cost_rows(session, actor=city, start=date(2026, 11, 1), end=date(2026, 11, 19))
        assert before.order_id is None
        assert way.order_id == session.scalar(select(TravelOrder.id))


def test_pages_and_api(cars, browse, api):
    unit, path = browse(UNIT), f"/energy/vehicles/{cars[PETROL]}"
    assert "还没有导入过文件" in unit.get("/energy/imports").get_data(as_text=True)
    assert "没有记录" in unit.get("/energy").get_data(as_text=True)
    assert f'href="{path}"' in unit.get(f"/vehicles/{cars[PETROL]}").get_data(as_text=True)
    bad = unit.submit(path, kind="fuel", at="2026-11-10T10:30", quantity="40", amount="400", unit_price="7.85")
    assert (bad.status_code, "314.00" in bad.get_data(as_text=True)) == (422, True)
    assert unit.submit(path, kind="fuel", at="2026-11-10T10:30", quantity="x", amount="1").status_code == 422
    good = unit.submit(
        path, kind="fuel", at="2026-11-10T10:30", quantity="56", amount="439.60", odometer_km="10000.5", full="true"
    )
    assert good.status_code == 302
    shown = unit.get(path).get_data(as_text=True)
    assert "超过油箱或电池容量" in shown
    assert "超容量" in unit.get("/energy?q=A10001&kind=fuel&start_on=2026-11-10&end_on=2026-11-10").get_data(
        as_text=True
    )
    assert "没有记录" in unit.get("/energy?end_on=2026-11-09").get_data(as_text=True)
    assert (
        unit.submit(
            f"{path}/cards", kind="fuel", number="9030110001", issuer="石油公司", valid_from="2026-01-01"
        ).status_code
        == 302
    )
    assert "9030110001" in unit.get("/energy/cards?q=9030").get_data(as_text=True)
    call = api(UNIT)
    [entry] = call("GET", "/energy/entries?q=A10001").json
    assert (entry["odometer_m"], entry["unit_price"], entry["full"]) == (10_000_500, "7.850000", True)
    body = {"vehicle_id": cars[PETROL], "kind": "fuel", "at": "2026-11-12T01:00:00Z", "quantity": "40", "amount": "320", "odometer_m": 10_500_500,
            "full": True}  # fmt: skip
    assert call("POST", "/energy/entries", json=body).status_code == 201
    assert call("POST", "/energy/entries", json=body).status_code == 409
    assert (
        call("POST", "/energy/entries", json=body | {"vehicle_id": cars[ELECTRIC]}).json["code"] == "energy.kind_fits"
    )
    found = call("GET", f"/energy/vehicles/{cars[PETROL]}/consumption?end_on=2026-11-18").json
    assert (found["l_per_100km"], found["litres"], len(found["fuel"])) == ("8.00", "96.000", 1)
    [card] = call("GET", "/energy/cards").json
    assert (
        call("POST", f"/energy/cards/{card['id']}/state", json={"to": "SUSPENDED", "reason": "遗失"}).json["state"]
        == "SUSPENDED"
    )
    assert "energy-chart" in unit.get(f"{path}?end_on=2026-11-18").get_data(as_text=True)
    assert unit.submit(f"/energy/entries/{entry['id']}/void", reason="录错").status_code == 302
    assert call("POST", f"/energy/entries/{entry['id']}/void", json={"reason": "再作废"}).status_code == 422
    assert PETROL in unit.get("/energy/ranking?start_on=2026-01-01&end_on=2026-11-18").get_data(as_text=True)
    assert unit.get("/energy/ranking?start_on=2026-11-18&end_on=2026-01-01").status_code == 422
    auditor = browse("auditor.city")
    assert "登记加油充电" not in auditor.get(path).get_data(as_text=True)
    assert auditor.submit(path, kind="fuel", at="2026-11-10T10:30", quantity="40", amount="320").status_code == 403
    assert browse("driver.xhedu").get("/energy").status_code == 403
    assert api("fleet_manager.binjiang")("GET", f"/energy/vehicles/{cars[PETROL]}/consumption").status_code == 404
