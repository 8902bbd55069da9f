"""Costs of every source together; written and refused through service, API and raw SQL; permissions beside refusals; pages."""

import io
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest
from geoalchemy2 import WKTElement
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from fleetapp.costs import figures, queries, service
from fleetapp.disposal import service as disposal
from fleetapp.disposal.rules import Mode
from fleetapp.energy import service as energy
from fleetapp.energy.rules import Break, EntryKind
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.errors import Conflict, NotAllowed, NotFound, RuleBroken
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import Stop
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind
from tests import world
from tests.serving import furnish
from tests.walks import steps

CAR, OTHER, FAR = "浙A10001", "浙A10003", "浙A10005"
UNIT, MANAGER, FINANCE, AUDITOR = "unit_admin.xhedu", "fleet_manager.xihu", "finance.city", "auditor.city"
TOLL = {"on": date(2026, 11, 10), "kind": CostKind.TOLL, "amount": Decimal("35.00")}
PLACES = [Stop("西湖区人民政府", 30.261755, 120.125436), Stop("杭州东站", 30.293549, 120.208203)]


@pytest.fixture
def cars(database, now):
    furnish(database, now)
    with database.transaction(SYSTEM) as session:
        found = {car.plate: car for car in session.scalars(select(Vehicle))}
        found[CAR].price_ex_tax, found[CAR].purchase_tax, found[CAR].acquired_on = (
            Decimal(150000),
            Decimal(15000),
            date(2022, 2, 10),
        )
        return {plate: car.id for plate, car in found.items()}


@pytest.fixture
def order_id(database, cars, now):
    """A task of the first car."""
    number, _ = steps.dispatched(
        database, start=now + timedelta(days=1), end=now + timedelta(days=1, hours=3), stops=PLACES, plate=CAR
    )
    with database.transaction(SYSTEM) as session:
        return session.scalar(select(TravelOrder.id).where(TravelOrder.number == number))


@pytest.fixture
def take(database, now):
    def taken(username, function, **given):
        who = world.actor(database, username)
        with database.transaction(who) as session:
            return function(session, actor=who, now=now, **given)

    return taken


def refused(code, function, *args, **given):
    with pytest.raises((RuleBroken, NotAllowed, Conflict)) as broken:
        function(*args, **given)
    assert broken.value.code == code


def drive(database, vehicle_id, *, at, metres):
    """Give a vehicle a trip of a length."""
    with database.transaction(SYSTEM) as session:
        org_id = session.get(Vehicle, vehicle_id).org_id
        session.add(Trip(org_id=org_id, vehicle_id=vehicle_id, terminal_id=1, start_at=at, end_at=at + timedelta(hours=1),
                         path=WKTElement("LINESTRING(120.1 30.2, 120.2 30.3)", srid=4326), gps_m=metres, best_m=metres, best_source="gps", error_m=1,
                         coverage=1, points=9, max_speed_kmh=60, stops=[], gaps=[], content_digest=str(at), derived_at=at))  # fmt: skip


def test_who_enters_and_who_only_reads(cars, order_id, take):
    for number, username in enumerate((UNIT, MANAGER, FINANCE)):
        assert (
            take(
                username, service.enter, vehicle_id=cars[CAR], order_id=order_id, document_no=f"F{number}", **TOLL
            ).order_id
            == order_id
        )
    for username in ("vehicle_office.city", AUDITOR, "leader.city"):
        refused("kit.not_allowed", take, username, service.enter, vehicle_id=cars[CAR], order_id=order_id, **TOLL)
    with pytest.raises(NotFound):
        take("fleet_manager.binjiang", service.enter, vehicle_id=cars[CAR], order_id=order_id, **TOLL)


def test_a_cost_names_its_task_or_says_why_there_is_none(cars, order_id, take):
    refused("costs.task_needed", take, UNIT, service.enter, vehicle_id=cars[CAR], **TOLL)
    refused("costs.order_other", take, MANAGER, service.enter, vehicle_id=cars[OTHER], order_id=order_id, **TOLL)
    refused(
        "costs.elsewhere",
        take,
        UNIT,
        service.enter,
        vehicle_id=cars[CAR],
        **(TOLL | {"kind": CostKind.FUEL}),
        explanation="现金加油",
    )
    refused(
        "costs.future",
        take,
        UNIT,
        service.enter,
        vehicle_id=cars[CAR],
        **(TOLL | {"on": date(2026, 11, 19)}),
        explanation="送修途中",
    )
    assert (
        take(UNIT, service.enter, vehicle_id=cars[CAR], explanation="送修途中", document_no="F9", **TOLL).order_id
        is None
    )
    refused(
        "costs.there", take, UNIT, service.enter, vehicle_id=cars[CAR], explanation="送修途中", document_no="F9", **TOLL
    )


SQL = text(
    'INSERT INTO cost_entry (org_id, vehicle_id, "on", kind, amount, order_id, explanation, created_at)'
    " SELECT org_id, id, '2026-11-10', :kind, :amount, :order, :explanation, now() FROM vehicle WHERE id = :vehicle"
)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"explanation": None}, "costs.task_needed"),
        ({"kind": "parking_fee", "explanation": "无"}, "costs.task_needed"),
        ({"kind": "fuel"}, "costs.elsewhere"),
        ({"kind": "purchase"}, "costs.elsewhere"),
        ({"amount": 0}, "ck_cost_entry_amount"),
        ({"vehicle": OTHER, "order": True}, "costs.order_other"),
        ({"order": True, "explanation": None}, None),
        ({}, None),
    ],
)
def test_the_database_refuses_by_itself(database, cars, order_id, change, code):
    given = {"kind": "toll", "amount": 35, "order": None, "explanation": "送修途中", "vehicle": CAR} | change
    given |= {"vehicle": cars[given["vehicle"]], "order": order_id if given["order"] else None}
    if code is None:
        with database.transaction(world.actor(database, MANAGER)) as session:
            assert session.execute(SQL, given).rowcount == 1
        return
    with (
        pytest.raises((IntegrityError, Conflict)) as broken,
        database.transaction(world.actor(database, MANAGER)) as session,
    ):
        session.execute(SQL, given)
    assert code in str(broken.value)


def test_entries_are_made_void_once_and_never_changed(database, cars, take):
    made = take(
        UNIT, service.enter, vehicle_id=cars[CAR], explanation="送修途中", scan=("票.pdf", b"%PDF-1.7 x"), **TOLL
    )
    assert made.attachment_id is not None
    refused("kit.not_allowed", take, AUDITOR, service.void, entry_id=made.id, reason="看错了")
    who = world.actor(database, UNIT)
    for statement in (
        "UPDATE cost_entry SET amount = 1 WHERE id = :id",
        "UPDATE cost_entry SET attachment_id = NULL WHERE id = :id",
        "DELETE FROM cost_entry WHERE id = :id",
    ):
        with pytest.raises((IntegrityError, ProgrammingError)), database.transaction(who) as session:
            session.execute(text(statement), {"id": made.id})
    take(UNIT, service.void, entry_id=made.id, reason="重复报销")
    refused("costs.is_void", take, UNIT, service.void, entry_id=made.id, reason="再作废")
    with database.transaction(who) as session:
        assert queries.own_rows(session, actor=who, start=date(2026, 1, 1), end=date(2027, 1, 1)) == []


@pytest.fixture
def spent(database, cars, order_id, take, now):
    """A year of costs of every source, and 200 km driven in two trips."""
    take(UNIT, service.enter, vehicle_id=cars[CAR], order_id=order_id, **TOLL)
    take(UNIT, service.enter, vehicle_id=cars[CAR], on=date(2026, 10, 8), kind=CostKind.WASH, amount=Decimal("25.00"))
    take(
        "fleet_manager.binjiang",
        service.enter,
        vehicle_id=cars[FAR],
        on=date(2026, 10, 8),
        kind=CostKind.WASH,
        amount=Decimal("40.00"),
    )
    take(FINANCE, energy.enter, vehicle_id=cars[CAR], kind=EntryKind.FUEL, at=datetime(2026, 11, 9, 16, 30, tzinfo=UTC), quantity=Decimal(40),
         unit_price=Decimal("8.5"), amount=Decimal(340))  # fmt: skip
    for day in (1, 2):
        drive(database, cars[CAR], at=now - timedelta(days=day), metres=100_000)


def test_every_source_counts_once(database, cars, spent):
    city, unit = world.actor(database, AUDITOR), world.actor(database, UNIT)
    with database.transaction(city) as session:
        rows = queries.all_rows(session, actor=city, start=date(2022, 1, 1), end=date(2026, 11, 19))
        assert len({row.source + row.kind for row in rows}) == len(rows)
        assert {row.source.split(":")[0] for row in rows} == {"costs", "vehicles", "energy"}
        assert sum(row.amount for row in rows if row.vehicle_id == cars[CAR]) == 150000 + 15000 + 35 + 25 + 340
        # half open: the fuel of 00:30 on the tenth belongs to the tenth
        assert [
            row.kind for row in queries.all_rows(session, actor=city, start=date(2026, 11, 10), end=date(2026, 11, 11))
        ] == ["toll", "fuel"]
        assert queries.all_rows(session, actor=city, start=date(2026, 11, 11), end=date(2026, 11, 19)) == []
        assert queries.per_km(
            session, vehicle_id=cars[CAR], actor=city, start=date(2025, 12, 1), end=date(2026, 11, 19)
        ) == Decimal("2.000")
        assert (
            queries.per_km(session, vehicle_id=cars[FAR], actor=city, start=date(2025, 12, 1), end=date(2026, 11, 19))
            is None
        )
    with database.transaction(unit) as session:
        assert {
            row.vehicle_id
            for row in queries.all_rows(session, actor=unit, start=date(2022, 1, 1), end=date(2026, 11, 19))
        } == {cars[CAR]}


def test_the_longer_of_tracks_and_readings_counts_unless_the_meter_was_changed(database, cars, spent, take):
    year = {"start": date(2026, 1, 1), "end": date(2026, 11, 19)}
    city = world.actor(database, AUDITOR)

    def fill(day, km, breaks=None):
        take(FINANCE, energy.enter, vehicle_id=cars[CAR], kind=EntryKind.FUEL, at=datetime(2026, 5, day, tzinfo=UTC), quantity=Decimal(1),
             unit_price=Decimal(5), amount=Decimal(5), odometer_m=km * 1000, breaks=breaks)  # fmt: skip
        with database.transaction(city) as session:
            return queries.driven(session, vehicle_ids=[cars[CAR]], **year)[cars[CAR]].metres

    assert [fill(1, 1000), fill(2, 1100), fill(3, 1450), fill(4, 20, Break.METER)] == [
        200_000,
        200_000,
        450_000,
        200_000,
    ]


def test_purchase_and_running_by_unit_and_year(database, cars, spent):
    city = world.actor(database, FINANCE)
    with database.transaction(city) as session:
        total, units = figures.by_unit(session, actor=city, year=2026)
        by_code = {one.org.code: one for one in units}
        assert (total.sum.purchase, total.sum.running) == (0, 440)
        assert (by_code["330106-EDU"].sum.running, by_code["330108-WATER"].sum.running) == (400, 40)
        assert sum(one.sum.total for one in units) == total.sum.total
        assert by_code["330106-EDU"].per_km == Decimal("2.000")
        before, _ = figures.by_unit(session, actor=city, year=2022)
        assert (before.sum.purchase, before.sum.running) == (165000, 0)
        xihu, _ = figures.by_unit(session, actor=city, year=2026, org_path=world.actor(database, MANAGER).org_path)
        assert xihu.sum.running == 400


def test_the_whole_life_ends_with_what_the_disposal_brought(database, cars, spent, take):
    office = "vehicle_office.city"
    case = take(
        UNIT, disposal.ask, vehicle_id=cars[CAR], mode=Mode.BUYBACK, reason="更新置换", special_approval="特批1号"
    )
    take(office, disposal.appraise, case_id=case.id, appraised_value=Decimal(20000), appraiser="评估机构")
    take("leader.city", disposal.decide, case_id=case.id, approve=True, note="同意", approval_no="杭1号")
    take(office, disposal.deal, case_id=case.id, deal_on=date(2026, 11, 18), deal_price=Decimal(21000), buyer="厂家")
    city = world.actor(database, FINANCE)
    with database.transaction(city) as session:
        car = session.get(Vehicle, cars[CAR])
        [life] = figures.lives(session, actor=city, cars=[car], today=date(2026, 11, 18))
        assert (life.cost, life.proceeds) == (165400, 0)
        assert life.depreciation.yearly == Decimal("20625.00")
        assert life.book_value == Decimal(165000) - Decimal(165000) * 58 / 96
    take(
        FINANCE,
        disposal.remit,
        case_id=case.id,
        allowed_fees=Decimal(1000),
        remitted_on=date(2026, 11, 18),
        receipt_no="FS-1",
    )
    with database.transaction(city) as session:
        [life] = figures.lives(session, actor=city, cars=[car], today=date(2026, 11, 18))
        assert (life.cost, life.proceeds) == (145400, 20000)
        assert life.per_km == Decimal("14.540")


def test_pages(database, cars, order_id, spent, browse):
    with database.transaction(SYSTEM) as session:
        number = session.get(TravelOrder, order_id).number
    unit, path = browse(UNIT), f"/costs/vehicles/{cars[CAR]}"
    assert f'href="{path}"' in unit.get(f"/vehicles/{cars[CAR]}").get_data(as_text=True)
    shown = unit.get(f"{path}?end_on=2026-11-18").get_data(as_text=True)
    assert "costs-chart" in shown
    assert "165,400.00" in shown
    bad = unit.submit(path, on="2026-11-10", kind="toll", amount="35")
    assert (bad.status_code, "选择派车任务" in bad.get_data(as_text=True)) == (422, True)
    assert unit.submit(path, on="2026-11-10", kind="toll", amount="x", order_id=order_id).status_code == 422
    assert unit.submit(path, on="2026-11-10", kind="toll", amount="12.50", order_id=order_id).status_code == 302
    listed = unit.get("/costs/entries?q=A10001&kind=toll").get_data(as_text=True)
    assert "47.50" in listed
    assert "没有费用" in unit.get("/costs/entries?end_on=2026-01-01").get_data(as_text=True)
    assert "412.50" in unit.get("/costs?year=2026").get_data(as_text=True)
    assert "165,000.00" in unit.get("/costs?year=2022").get_data(as_text=True)
    assert CAR in unit.get("/costs/lives?q=A10001").get_data(as_text=True)
    assert "没有车辆" in unit.get("/costs/lives?q=zzz").get_data(as_text=True)
    org_id = world.actor(database, UNIT).org_id
    behind = unit.get(f"/costs/rows?year=2026&org_id={org_id}").get_data(as_text=True)
    assert "412.50" in behind
    assert number in behind
    assert "47.50" in unit.get(f"/costs/rows?year=2026&org_id={org_id}&part=road").get_data(as_text=True)
    assert "412.50" in unit.get(f"/costs/rows?year=2026&org_id={org_id}&part=running").get_data(as_text=True)
    assert "没有费用" in unit.get(f"/costs/rows?year=2026&org_id={org_id}&part=purchase").get_data(as_text=True)
    assert "没有费用" in unit.get(f"/costs/rows?year=2021&org_id={org_id}").get_data(as_text=True)
    assert browse("unit_admin.bjwater").get(f"/costs/rows?year=2026&org_id={org_id}").status_code == 403
    auditor = browse(AUDITOR)
    assert "登记费用" not in auditor.get(path).get_data(as_text=True)
    assert auditor.submit(path, on="2026-11-10", kind="wash", amount="5").status_code == 403
    assert browse("driver.xhedu").get("/costs").status_code == 403
    each = browse("leader.city").get(f"{path}/per-km")
    assert (each.status_code, each.get_data(as_text=True).endswith("元")) == (200, True)
    assert browse("driver.xhedu").get(f"{path}/per-km").status_code == 403
    assert browse("unit_admin.bjwater").get(f"{path}/per-km").status_code == 404


def test_the_export_says_why_in_the_audit_log(database, cars, spent, browse):
    org_id = world.actor(database, UNIT).org_id
    unit = browse(UNIT)
    assert unit.submit("/costs", year=2026, org_id=org_id, reason="x").status_code == 422
    answer = unit.submit("/costs", year=2026, org_id=org_id, reason="年度决算核对")
    assert answer.headers["Content-Disposition"].isascii()
    book = openpyxl.load_workbook(io.BytesIO(answer.get_data()))
    units, rows = book.worksheets
    assert [cell.value for cell in units[3]][:4] == ["合计", 2, 0, 400]
    assert sum(row[4].value for row in rows.iter_rows(min_row=2)) == 400
    with database.transaction(SYSTEM) as session:
        entry = session.execute(
            text("SELECT org_id, data->>'reason', data->>'sha256' FROM audit_entry WHERE action = 'costs.exported'")
        ).one()
    assert tuple(entry) == (org_id, "年度决算核对", answer.headers["X-Content-SHA256"])
    assert browse("leader.city").submit("/costs", year=2026, org_id=org_id, reason="年度决算核对").status_code == 403
    assert (
        browse("unit_admin.bjwater").submit("/costs", year=2026, org_id=org_id, reason="年度决算核对").status_code
        == 403
    )


def test_the_api(database, cars, order_id, spent, api):
    call = api(UNIT)
    body = {"vehicle_id": cars[CAR], "on": "2026-11-10", "kind": "parking_fee", "amount": "8.00"}
    assert call("POST", "/costs/entries", json=body).json["code"] == "costs.task_needed"
    made = call("POST", "/costs/entries", json=body | {"order_id": order_id})
    assert made.status_code == 201
    assert len(call("GET", "/costs/entries?kind=parking_fee").json) == 1
    assert call("POST", f"/costs/entries/{made.json['id']}/void", json={"reason": "录错"}).json["void_reason"] == "录错"
    assert sum(Decimal(row["amount"]) for row in call("GET", "/costs/rows?end_on=2026-11-18").json) == 400
    assert call("GET", "/costs/rows?start_on=2026-11-10&end_on=2026-01-01").status_code == 422
    found = call("GET", f"/costs/vehicles/{cars[CAR]}?end_on=2026-11-18").json
    assert (found["per_km"], found["per_trip"], found["whole_life"]) == ("2.000", "187.50", "165400.00")
    units = call("GET", "/costs/units?year=2026").json
    assert (units[0]["org_id"], units[0]["running"], units[1]["by_kind"]["fuel"]) == (None, "400.00", "340.00")
    org_id = world.actor(database, UNIT).org_id
    assert call("POST", "/costs/export", json={"year": 2026, "org_id": org_id, "reason": "年度决算"}).status_code == 200
    assert api("auditor.binjiang")("GET", f"/costs/vehicles/{cars[CAR]}").status_code == 404
    assert api("driver.xhedu")("GET", "/costs/rows").status_code == 403
