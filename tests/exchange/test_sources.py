"""What each interface carries, in its form; what is confidential stays here."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range

from fleetapp.costs.models import CostEntry
from fleetapp.disposal.models import DisposalCase
from fleetapp.drivers.models import Driver
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.exchange import checking, jobs, sources
from fleetapp.exchange.interfaces import BY_CODE, SENT
from fleetapp.exchange.rules import RecordState
from fleetapp.exchange.sources import Window
from fleetapp.findings.models import Finding, FindingCase
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.models import DispatchSlip, OrderStop, TravelOrder
from fleetapp.planning.models import Assignment
from fleetapp.sharing.models import Fallback
from fleetapp.upkeep.models import Supplier, VehicleIncident, WorkOrder
from fleetapp.vehicles.models import Vehicle, VehicleDocument
from tests import world

CAR, SECRET_CAR = "浙A10001", "浙A10003"
HOUR = timedelta(hours=1)


@dataclass
class Life:
    """Makes a row of every kind for a vehicle, and for an order of a kind."""

    desk: object
    now: object

    def of(self, plate, kind, tag):
        database, now = self.desk.database, self.now
        office, other = world.user_id(database, "vehicle_office.city"), world.user_id(database, "fleet_manager.xihu")
        with database.transaction(SYSTEM) as s:
            s.execute(text("RESET ROLE"))  # histories of many steps in one: their guards are tested where they belong
            s.execute(text("SET LOCAL session_replication_role = replica"))
            car = s.scalars(select(Vehicle).where(Vehicle.plate == plate)).one()
            driver = s.scalars(select(Driver).order_by(Driver.id)).first()
            own = {"org_id": car.org_id, "vehicle_id": car.id, "created_at": now}
            order = TravelOrder(
                org_id=car.org_id, number=f"YC-{tag}", kind=kind, purpose="documents", reason="送件", applicant_id=office, passengers="一人",
                passenger_count=1, contact="0571-85000000", body="sedan", start_at=now + self.days(tag), end_at=now + self.days(tag) + 4 * HOUR,
                state="SUBMITTED", supplementary=False, created_at=now,
            )  # fmt: skip
            s.add(order)
            s.flush()
            for position, name in enumerate(("教育局", "东站")):
                s.add(
                    OrderStop(
                        order_id=order.id,
                        position=position,
                        name=name,
                        point="SRID=4326;POINT(120.1 30.2)",
                        tolerance_m=300,
                    )
                )
            s.flush()
            order.state = "RETURNED"
            slip = DispatchSlip(org_id=car.org_id, year=2026, seq=1, number=f"PC-{tag}", issued_at=now)
            s.add(slip)
            s.flush()
            duty = Assignment(org_id=car.org_id, order_org_id=order.org_id, order_id=order.id, vehicle_id=car.id, driver_id=driver.id,
                              slip_id=slip.id, during=Range(order.start_at, order.end_at), state="ACTIVE", assigned_at=now)  # fmt: skip
            s.add(duty)
            s.flush()
            for action, at, metres in (
                ("CHECK_OUT", order.start_at, 10_000_000),
                ("CHECK_IN", order.end_at, 10_042_500),
            ):
                s.add(DutyEvent(org_id=car.org_id, assignment_id=duty.id, driver_id=driver.id, action=action, idempotency_key=f"{tag}-{action}",
                                at=at, received_at=at, odometer_m=metres))  # fmt: skip
            for what in ("TOLL", "PARKING", "OTHER", "FUEL"):
                s.add(TripExpense(org_id=car.org_id, assignment_id=duty.id, driver_id=driver.id, kind=what, amount=Decimal(15), at=order.start_at,
                                  received_at=now, idempotency_key=f"{tag}-{what}"))  # fmt: skip
            for what in ("toll", "parking_fee", "wash"):
                s.add(CostEntry(**own, on=date(2026, 11, 18), kind=what, amount=Decimal(20), order_id=order.id))
            for paper in ("inspection", "compulsory_insurance", "commercial_insurance", "registration"):
                s.add(VehicleDocument(**own, kind=paper, number=f"{tag}-{paper}", issuer="某机构", valid_from=date(2026, 1, 1),
                                      valid_to=date(2027, 1, 1), fee=Decimal(950)))  # fmt: skip
            shop = Supplier(org_id=car.org_id, name="定点维修厂", kind="repair", contract_no=f"HT-{tag}", contract_from=date(2026, 1, 1),
                            contract_to=date(2027, 1, 1), created_at=now)  # fmt: skip
            s.add(shop)
            s.flush()
            for what in ("maintenance", "inspection"):
                work = WorkOrder(
                    **own,
                    number=f"WX-{tag}-{what}",
                    kind=what,
                    state="REPORTED",
                    fault="常规保养",
                    items=[],
                    requester_id=office,
                )
                s.add(work)
                s.flush()
                days = timedelta(days=10 + (what == "inspection"))
                work.supplier_id, work.quoted_by, work.approved_by, work.approved_at = shop.id, office, other, now
                work.approved_limit, work.over_share = Decimal(800), Decimal("0.1")
                work.state = "ACCEPTED"
                work.during, work.entry_m, work.final_cost = (
                    Range(now - days, now - days + HOUR),
                    9_000_000,
                    Decimal("712.50"),
                )
                work.done_at = work.accepted_at = now - days + HOUR
                work.accepted_by = other
            s.add(
                VehicleIncident(
                    **own,
                    kind="violation",
                    state="OPEN",
                    happened_at=now,
                    place="文一路",
                    account="违停",
                    fine=Decimal(150),
                    points=0,
                )
            )
            s.add(
                VehicleIncident(
                    **own,
                    kind="accident",
                    state="OPEN",
                    happened_at=now,
                    place="文一路",
                    account="剐蹭",
                    liability="none",
                )
            )
            case = FindingCase(org_id=car.org_id, number=f"XS-{tag}", vehicle_id=car.id, severity="orange", state="CONFIRMED",
                               outcome="CONFIRMED", start_at=now, end_at=now + HOUR, detected_at=now, due_at=now, decided_at=now)  # fmt: skip
            s.add(case)
            s.flush()
            s.add(Finding(org_id=car.org_id, number=f"XS-{tag}-1", dedupe_key=tag, rule="A-01", rule_version="1", vehicle_id=car.id, case_id=case.id,
                          order_id=order.id, start_at=now, end_at=now + HOUR, severity="orange", state="CONFIRMED", confidence=0.9, facts={},
                          params={}, evidence_for=[], evidence_against=[], detected_at=now, due_at=now))  # fmt: skip
            s.add(Fallback(org_id=car.org_id, order_id=order.id, kind="rental", reason="none_free", provider="某租赁公司", price=Decimal(300),
                           norm=Decimal(400), decided_by=office, decided_at=now))  # fmt: skip
            s.add(DisposalCase(**own, number=f"CZ-{tag}", mode="auction", state="DEREGISTERED", reason="到期更新", applicant_id=office,
                               appraised_value=Decimal(20000), decided_by=other, decided_at=now, deal_price=Decimal(21000),
                               allowed_fees=Decimal(500), remitted=Decimal(20500), receipt_no="R1", certificate_no="Z1", marking_removed=True,
                               cards_cancelled=True, insurance_ended=True, deregistered_on=date(2026, 11, 1)))  # fmt: skip
            at = order.start_at + HOUR
            s.flush()
            s.execute(text("SET LOCAL session_replication_role = origin"))
            s.execute(text("SET ROLE fleet_app"))
        self.desk.fill(at, plate)

    @staticmethod
    def days(tag):
        return timedelta(days={"open": 1, "secret": 2, "car": 3, "dear": 1}[tag])


@pytest.fixture
def life(desk, now, monkeypatch):
    monkeypatch.setattr(jobs, "SENT", SENT)
    return Life(desk, now)


def read(desk, code):
    with desk.database.transaction(SYSTEM) as session:
        return [
            record for feed in BY_CODE[code].feeds for _, record in feed.read(session, Window()) if record is not None
        ]


def test_every_interface_has_its_records_in_form_and_sends_them(life, desk):
    life.of(CAR, "ordinary", "open")
    desk.sql("UPDATE vehicle SET price_ex_tax = 900000 WHERE plate = :plate", plate=CAR)
    found = {one.code: read(desk, one.code) for one in SENT}
    assert {code: len([one for one in records if not one.void]) for code, records in found.items()} == {
        "units": 8, "vehicles": 6, "over_standard": 1, "drivers": 4, "dispatches": 1, "maintenance": 1, "inspections": 1, "energy": 1,
        "insurance": 2, "tolls": 2, "parking": 2, "other_costs": 2, "supervision": 1, "rentals": 1, "violations": 1, "disposals": 1,
    }  # fmt: skip
    assert [(code, checking.faults(code, one.values)) for code, records in found.items() for one in records
            if checking.faults(code, one.values)] == []  # fmt: skip
    desk.run()
    assert desk.states() == {RecordState.ACCEPTED}
    assert {row.interface for row in desk.rows()} == {one.code for one in SENT}


def test_values_are_in_the_units_of_their_forms(life, desk):
    life.of(CAR, "ordinary", "open")
    [trip] = read(desk, "dispatches")
    assert {name: trip.values[name] for name in ("order_no", "origin", "destination", "progress", "distance_km", "departed_at")} == {
        "order_no": "YC-open", "origin": "教育局", "destination": "东站", "progress": "returned", "distance_km": "42.5",
        "departed_at": "2026-11-19T09:00:00+08:00",
    }  # fmt: skip
    [filled] = read(desk, "energy")
    assert (filled.values["task_no"], filled.values["quantity"], filled.values["odometer_km"]) == (
        "YC-open",
        "40",
        "10000",
    )
    [paper] = read(desk, "inspections")
    assert (paper.values["valid_to"], paper.values["fee_cny"]) == ("2026-12-31", "950.00")
    [work] = read(desk, "maintenance")
    assert (work.values["amount_cny"], work.values["no_task_reason"]) == ("712.50", "按车辆发生，不属于单次任务")
    [gone] = read(desk, "disposals")
    assert (gone.values["remitted_cny"], gone.values["deregistered_on"]) == ("20500.00", "2026-11-01")


def test_nothing_of_a_confidential_order_goes_up(life, desk):
    life.of(CAR, "confidential", "secret")
    desk.run()
    assert not [row for row in desk.rows() if "YC-secret" in str(row.values)]
    assert {row.interface for row in desk.rows()} == {"units", "vehicles", "drivers", "maintenance", "inspections", "insurance",
                                                      "violations", "disposals"}  # fmt: skip


@pytest.mark.parametrize("secrecy", ["restricted", "secret"])
def test_such_a_vehicle_is_counted_and_never_named(life, desk, secrecy):
    life.of(SECRET_CAR, "ordinary", "car")
    desk.sql("UPDATE vehicle SET secrecy = :secrecy WHERE plate = :plate", secrecy=secrecy, plate=SECRET_CAR)
    with desk.database.transaction(SYSTEM) as session:
        vin = session.scalars(select(Vehicle.vin).where(Vehicle.plate == SECRET_CAR)).one()
        assert sources.unnamed(session) == (1, 0)
    desk.run()
    sent = str([row.values for row in desk.rows()])
    assert SECRET_CAR not in sent
    assert vin not in sent
    assert {row.values["code"]: row.values["vehicle_count"] for row in desk.rows("units")}["330106-HEALTH"] == 1
    assert {row.interface for row in desk.rows()} == {
        "units",
        "vehicles",
        "drivers",
        "rentals",
    }  # a rental needs no vehicle of ours


def test_what_becomes_secret_while_it_waits_stays_here_until_it_is_open_again(desk):
    desk.platform.behave = lambda path, records: "500" if path == "/vehicles" else "ok"
    desk.run()
    desk.sql("UPDATE vehicle SET secrecy = 'secret' WHERE plate = :plate", plate=SECRET_CAR)
    desk.platform.behave = lambda path, records: "ok"
    desk.platform.bodies.clear()
    desk.run(HOUR)
    assert [row.label for row in desk.rows("vehicles", RecordState.WITHHELD)] == [SECRET_CAR]
    assert SECRET_CAR not in str(desk.platform.bodies)
    desk.sql("UPDATE vehicle SET secrecy = 'normal' WHERE plate = :plate", plate=SECRET_CAR)
    desk.run(2 * HOUR)
    assert desk.states("vehicles") == {RecordState.ACCEPTED}


def test_a_vehicle_within_its_cap_is_none_above_the_standard(life, desk):
    desk.sql("UPDATE vehicle SET price_ex_tax = 900000 WHERE plate = :plate", plate=CAR)
    desk.run()
    [above] = desk.rows("over_standard")
    assert (above.label, above.values["price_cny"], above.values["record_status"]) == (CAR, "900000.00", "valid")
    assert above.values["basis"]
    desk.sql("UPDATE vehicle SET price_ex_tax = 100000 WHERE plate = :plate", plate=CAR)
    desk.run(HOUR)
    assert [row.values["record_status"] for row in desk.rows("over_standard")] == ["valid", "void"]


def test_a_driver_is_a_name_and_a_licence(life, desk):
    assert set(read(desk, "drivers")[0].values) == {
        "driver_no",
        "name",
        "unit_code",
        "licence_class",
        "licence_valid_to",
        "record_status",
    }


def test_one_source_that_fails_keeps_no_other_back(life, desk, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("fleetapp.exchange.records.driver", broken)
    desk.run()
    assert {row.interface for row in desk.rows(None, RecordState.ACCEPTED)} == {"units", "vehicles"}
