"""Plans, papers and the law put together; reminders once per lead; suppliers, incidents, costs."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.upkeep import due, jobs, ledger, queries
from fleetapp.upkeep.models import UpkeepReminder
from fleetapp.upkeep.rules import DueKind, IncidentKind, Item, Liability, SupplierKind
from fleetapp.vehicles import odometer, papers
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind, DocumentKind, Energy
from tests import world
from tests.upkeep.conftest import MANAGER, OFFICE, UNIT

KM = 10_000_000


@pytest.fixture
def listed(database, now):
    def found(username, at=None, **wanted):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return due.listed(session, actor=who, now=at or now, **wanted)

    return found


def of(rows, car_id, kind):
    return [row for row in rows if row.vehicle.id == car_id and row.due.kind == kind]


def paper(take, car_id, kind, valid_to, **more):
    return take(MANAGER, papers.add, vehicle_id=car_id, kind=kind, number=f"P-{valid_to}", valid_from=valid_to - timedelta(days=365),
                valid_to=valid_to, **more)  # fmt: skip


def test_the_latest_paper_decides_else_the_inspection_law(car_id, take, listed):
    [by_law] = of(listed(MANAGER), car_id, DueKind.INSPECTION)
    assert (by_law.due.on, by_law.due.by, by_law.due.item) == (date(2028, 3, 1), "law", "test")
    paper(take, car_id, DocumentKind.COMPULSORY_INSURANCE, date(2026, 11, 30))
    paper(take, car_id, DocumentKind.COMPULSORY_INSURANCE, date(2026, 11, 10))
    paper(take, car_id, DocumentKind.INSPECTION, date(2026, 11, 18))
    [insurance] = of(listed(MANAGER), car_id, DueKind.COMPULSORY_INSURANCE)
    [inspection] = of(listed(MANAGER), car_id, DueKind.INSPECTION)
    assert (insurance.due.on, insurance.left_days, insurance.due.overdue(date(2026, 11, 18))) == (
        date(2026, 11, 30),
        12,
        False,
    )
    assert (inspection.left_days, inspection.due.overdue(date(2026, 11, 18))) == (0, True)
    paper(take, car_id, DocumentKind.INSPECTION, date(2028, 3, 1))
    assert of(listed(MANAGER, until=date(2027, 11, 1)), car_id, DueKind.INSPECTION) == []
    assert of(listed("auditor.binjiang"), car_id, DueKind.INSPECTION) == []


def test_maintenance_is_projected_from_late_readings_and_the_nearest_plan_counts(database, car_id, take, listed, now):
    city_id = world.actor(database, OFFICE).org_id
    plan = {"item": Item.ENGINE_OIL, "every_km": 10_000, "every_months": 12}
    take(OFFICE, ledger.add_plan, org_id=city_id, **plan)
    [never] = of(listed(MANAGER), car_id, DueKind.MAINTENANCE)
    assert (never.due.by, never.due.overdue(date(2026, 11, 18))) == ("never", True)
    for days_ago, km in ((80, 10_500), (0, 14_500)):
        take(MANAGER, odometer.enter, vehicle_id=car_id, reading_m=km * 1000, at=now - timedelta(days=days_ago))
    take(
        MANAGER,
        ledger.note_done,
        vehicle_id=car_id,
        items=[Item.ENGINE_OIL],
        done_on=date(2026, 9, 1),
        odometer_m=11_000_000,
    )
    [projected] = of(listed(MANAGER), car_id, DueKind.MAINTENANCE)
    assert (projected.due.on, projected.due.by, projected.due.left_m) == (
        date(2026, 11, 18) + timedelta(days=130),
        "km",
        6_500_000,
    )
    take(MANAGER, ledger.add_plan, org_id=city_id, vehicle_id=car_id, item=Item.ENGINE_OIL, every_months=3)
    [nearer] = of(listed(MANAGER), car_id, DueKind.MAINTENANCE)
    assert (nearer.due.on, nearer.due.by) == (date(2026, 12, 1), "months")
    take(MANAGER, odometer.change_meter, vehicle_id=car_id, at=now, end_m=14_500_000, start_m=0, reason="仪表损坏更换")
    who = world.actor(database, MANAGER)
    with database.transaction(who) as session:
        [own] = [one for one in session.scalars(queries.plans(who)) if one.vehicle_id == car_id]
    take(MANAGER, ledger.end_plan, plan_id=own.id)
    [after_change] = of(listed(MANAGER), car_id, DueKind.MAINTENANCE)
    assert after_change.due.left_m == 6_500_000
    refused = pytest.raises((RuleBroken, Conflict))
    with refused as broken:
        take(OFFICE, ledger.add_plan, org_id=city_id, **plan)
    assert broken.value.code == "upkeep.plan_there"


def test_engine_hours_decide_where_they_run_out_first(database, car_id, take, listed, now):
    city_id = world.actor(database, OFFICE).org_id
    take(OFFICE, ledger.add_plan, org_id=city_id, item=Item.GENERAL, every_km=100_000, every_hours=250)
    for days_ago, km, hours in ((80, 10_500, 100), (0, 10_900, 340)):
        take(
            MANAGER,
            odometer.enter,
            vehicle_id=car_id,
            reading_m=km * 1000,
            at=now - timedelta(days=days_ago),
            engine_h=Decimal(hours),
        )
    take(MANAGER, ledger.note_done, vehicle_id=car_id, items=[Item.GENERAL], done_on=date(2026, 8, 30), odometer_m=10_500_000,
         engine_h=Decimal(100))  # fmt: skip
    [row] = of(listed(MANAGER), car_id, DueKind.MAINTENANCE)
    assert (row.due.by, row.due.on, row.left_days) == ("hours", date(2026, 11, 22), 4)


def test_no_engine_no_oil(database, car_id, take, listed):
    city_id = world.actor(database, OFFICE).org_id
    take(OFFICE, ledger.add_plan, org_id=city_id, item=Item.ENGINE_OIL, every_km=10_000)
    take(OFFICE, ledger.add_plan, org_id=city_id, item=Item.HIGH_VOLTAGE, every_months=12)
    found = {
        (row.vehicle.energy, row.due.item)
        for row in listed("fleet_manager.city")
        if row.due.kind == DueKind.MAINTENANCE
    }
    assert ("bev", "engine_oil") not in found
    assert ("petrol", "high_voltage") not in found
    assert {
        ("petrol", "engine_oil"),
        ("bev", "high_voltage"),
        ("phev", "engine_oil"),
        ("phev", "high_voltage"),
    } <= found
    with pytest.raises(RuleBroken):
        take(OFFICE, ledger.add_plan, org_id=city_id, item=Item.ENGINE_OIL, energy=Energy.BEV, every_km=10_000)


def test_a_reminder_is_said_once_per_lead_and_not_after_the_renewal(database, car_id, take, listed, now):
    paper(take, car_id, DocumentKind.COMPULSORY_INSURANCE, date(2027, 1, 10))

    def said(days):
        jobs.remind(database, now + timedelta(days=days))
        with database.transaction(SYSTEM) as session:
            query = select(UpkeepReminder.lead_days).where(
                UpkeepReminder.vehicle_id == car_id, UpkeepReminder.kind.contains("insurance")
            )
            return session.scalars(query.order_by(UpkeepReminder.id)).all()

    assert jobs.remind(database, now) == {"reminders": 1}
    assert jobs.remind(database, now) == {"reminders": 0}
    assert said(1) == [60]
    assert said(22) == [60]
    assert said(24) == [60, 30]
    assert said(60) == [60, 30, 0]
    [row] = of(listed(MANAGER), car_id, DueKind.COMPULSORY_INSURANCE)
    assert row.reminder.lead_days == 0
    paper(take, car_id, DocumentKind.COMPULSORY_INSURANCE, date(2028, 1, 10))
    assert said(61) == [60, 30, 0]
    [renewed] = of(listed(MANAGER), car_id, DueKind.COMPULSORY_INSURANCE)
    assert renewed.reminder is None
    with pytest.raises(NotAllowed):
        take(MANAGER, ledger.remind)


def test_designated_suppliers_hold_downwards_and_only_their_end_moves(database, shops, take):
    for username, expected in ((UNIT, 3), ("unit_admin.bjwater", 3), ("dispatcher.city", 0)):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            assert len(session.scalars(queries.suppliers(who)).all()) == expected, username
    xihu = world.actor(database, MANAGER).org_id
    wanted = {
        "name": "区定点厂",
        "kind": SupplierKind.REPAIR,
        "contract_no": "QD-1",
        "contract_from": date(2026, 1, 1),
        "contract_to": date(2027, 1, 1),
    }
    with pytest.raises(NotAllowed):
        take(MANAGER, ledger.add_supplier, org_id=xihu, **wanted)
    take(OFFICE, ledger.add_supplier, org_id=xihu, **wanted)
    for username, expected in ((UNIT, 4), ("unit_admin.bjwater", 3)):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            assert len(session.scalars(text("SELECT id FROM supplier")).all()) == expected, username
    assert take(
        OFFICE, ledger.end_contract, supplier_id=shops[0], contract_to=date(2026, 11, 1), reason="服务差"
    ).contract_to == date(2026, 11, 1)
    with pytest.raises(RuleBroken):
        take(OFFICE, ledger.end_contract, supplier_id=shops[0], contract_to=date(2019, 11, 1), reason="误填")
    for statement in (
        "UPDATE supplier SET name = 'x'",
        "DELETE FROM supplier",
        "UPDATE upkeep_reminder SET lead_days = 1",
    ):
        with (
            pytest.raises((DBAPIError, ProgrammingError)),
            database.transaction(world.actor(database, OFFICE)) as session,
        ):
            session.execute(text(statement))


def test_incidents_are_entered_and_closed_once_and_their_losses_are_costs(database, car_id, take, now):
    at = now - timedelta(days=8)
    given = {"vehicle_id": car_id, "happened_at": at, "place": "文三路", "account": "倒车时碰擦立柱"}
    accident = take(UNIT, ledger.open_incident, **given, kind=IncidentKind.ACCIDENT, liability=Liability.FULL, loss=Decimal("800.00"),
                    scans=[("photo.png", b"\x89PNG\r\n\x1a\n0")])  # fmt: skip
    violation = take(MANAGER, ledger.open_incident, **given, kind=IncidentKind.VIOLATION, fine=Decimal(200), points=6)
    for wrong in (
        {"kind": IncidentKind.ACCIDENT},
        {"kind": IncidentKind.VIOLATION, "liability": Liability.NONE},
        {"kind": IncidentKind.VIOLATION, "loss": Decimal(1)},
        {"kind": IncidentKind.VIOLATION, "happened_at": now + timedelta(days=1)},
    ):
        with pytest.raises(RuleBroken):
            take(UNIT, ledger.open_incident, **(given | wrong))
    for username in ("auditor.city", "finance.city", "leader.city"):
        with pytest.raises(NotAllowed):
            take(username, ledger.open_incident, **given, kind=IncidentKind.VIOLATION)
    with pytest.raises(NotFound):
        take("unit_admin.bjwater", ledger.close_incident, incident_id=violation.id, handling="已缴款结案")
    with pytest.raises(RuleBroken):
        take(UNIT, ledger.close_incident, incident_id=violation.id, handling="已缴款结案", loss=Decimal(1))
    assert take(UNIT, ledger.close_incident, incident_id=violation.id, handling="已缴款结案", points=3).points == 3
    with pytest.raises(RuleBroken):
        take(UNIT, ledger.close_incident, incident_id=violation.id, handling="再次结案")
    open_one = take(UNIT, ledger.open_incident, **given, kind=IncidentKind.ACCIDENT, liability=Liability.PENDING)
    with pytest.raises(RuleBroken, match="liability_needed"):
        take(UNIT, ledger.close_incident, incident_id=open_one.id, handling="已赔付")
    closed = take(UNIT, ledger.close_incident, incident_id=open_one.id, handling="已赔付", liability=Liability.MINOR)
    assert closed.liability == "minor"
    for statement in ("UPDATE vehicle_incident SET fine = 1 WHERE state = 'CLOSED'", "DELETE FROM vehicle_incident",
                      "UPDATE vehicle_incident SET happened_at = now()", "UPDATE vehicle_incident SET points = 13"):  # fmt: skip
        with (
            pytest.raises((DBAPIError, ProgrammingError)),
            database.transaction(world.actor(database, UNIT)) as session,
        ):
            session.execute(text(statement))
    paper(take, car_id, DocumentKind.COMPULSORY_INSURANCE, date(2027, 11, 15), fee=Decimal("950.00"))
    who = world.actor(database, "finance.city")
    with database.transaction(who) as session:
        rows = queries.cost_rows(session, actor=who, start=date(2026, 11, 1), end=date(2026, 12, 1))
        found = queries.of_vehicle(session, vehicle_id=car_id, actor=who, now=now)
        assert len(queries.files(session, subject="vehicle_incident", row_id=accident.id, actor=who)) == 1
    assert [(row.kind, row.amount, row.on) for row in rows] == [
        (CostKind.ACCIDENT, Decimal("800.00"), date(2026, 11, 10)), (CostKind.INSURANCE, Decimal("950.00"), date(2026, 11, 15)),
    ]  # fmt: skip
    assert {row.source for row in rows} >= {f"upkeep:incident-{accident.id}"}
    assert (len(found.incidents), len(found.readings)) == (3, 1)
    assert {row.due.kind for row in found.due} == {DueKind.INSPECTION, DueKind.COMPULSORY_INSURANCE}


def test_another_district_sees_nothing_of_it(database, car_id, take, now):
    take(
        UNIT,
        ledger.open_incident,
        vehicle_id=car_id,
        happened_at=now,
        place="文三路",
        account="压线行驶",
        kind=IncidentKind.VIOLATION,
    )
    who = world.actor(database, "fleet_manager.binjiang")
    with database.transaction(who) as session:
        assert queries.cost_rows(session, actor=who, start=date(2026, 1, 1), end=date(2027, 1, 1)) == []
        assert session.scalars(queries.incidents(who)).all() == []
        assert session.scalars(text("SELECT id FROM vehicle_incident")).all() == []
        with pytest.raises(NotFound):
            queries.of_vehicle(session, vehicle_id=car_id, actor=who)
        assert session.scalars(select(Vehicle.id).where(Vehicle.id == car_id)).all() == []
