"""What a row looks like to a superior platform: rows in, the values of an interface's form out. Pure.

Times are office time with its offset, money CNY with two decimals, distances km, all as text so that nothing is rounded on the way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from fleetapp.accounts.models import Organisation
from fleetapp.acquisitions.rules import Cap, nominal_ml
from fleetapp.costs.models import CostEntry
from fleetapp.disposal.models import DisposalCase
from fleetapp.disposal.rules import Mode
from fleetapp.drivers.models import Driver
from fleetapp.duty.models import TripExpense
from fleetapp.duty.rules import DutyAction, ExpenseKind
from fleetapp.energy.models import EnergyEntry
from fleetapp.findings.models import FindingCase
from fleetapp.kit import clock
from fleetapp.orders.rules import OrderState
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.sharing.models import Fallback
from fleetapp.upkeep.models import VehicleIncident, WorkOrder
from fleetapp.upkeep.rules import IncidentState
from fleetapp.vehicles.models import Vehicle, VehicleDocument
from fleetapp.vehicles.rules import CostKind, VehicleState

NO_TASK = "未关联单次任务"
NOT_OF_A_TASK = "按车辆发生，不属于单次任务"


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a feed.

    ``subject_id`` is what the page opens to mend it, ``label`` what a person knows it by.
    ``void``: taken back, to be told only to a platform that may have it.
    """

    org_id: int
    subject_id: int
    label: str
    values: Mapping[str, Any]
    void: bool = False


def made(*, org_id: int, subject_id: int, label: str, void: bool = False, **values: Any) -> Record:
    """Return a record without the fields that nothing is known of, with its status."""
    known = {name: value for name, value in values.items() if value is not None and value != ""}
    return Record(org_id, subject_id, label, known | {"record_status": "void" if void else "valid"}, void)


def moment(at: datetime | None) -> str | None:
    """Return office time to the second with its offset."""
    return clock.local(at).isoformat(timespec="seconds") if at else None


def day(on: date | None) -> str | None:
    """Return a local date."""
    return on.isoformat() if on else None


def last_day(end_on: date | None) -> str | None:
    """Return the last day of a half-open period."""
    return None if end_on is None else day(end_on - timedelta(days=1))


def money(amount: Decimal | None) -> str | None:
    """Return CNY with two decimals."""
    return None if amount is None else f"{amount:.2f}"


def plain(value: Decimal | None) -> str | None:
    """Return a number without an exponent and without zeros at its end."""
    return None if value is None else f"{value.normalize():f}"


def km(metres: int | None) -> str | None:
    """Return metres as kilometres, to the metre."""
    return None if metres is None else plain(Decimal(metres) / 1000)


def task(number: str | None, explanation: str | None = None) -> dict[str, Any]:
    """Return the task a cost belongs to, or why there is none."""
    return {"task_no": number} if number else {"no_task_reason": explanation or NO_TASK}


def unit(org: Organisation, parent_code: str | None, vehicles: int) -> Record:
    """Return a unit; its number of vehicles counts those that are not named as well."""
    return made(
        org_id=org.id, subject_id=org.id, label=org.name_zh, void=org.closed_on is not None,
        code=org.code, name=org.name_zh, parent_code=parent_code, level=org.kind, region_code=org.adcode, vehicle_count=vehicles,
    )  # fmt: skip


def vehicle(car: Vehicle) -> Record:
    """Return a vehicle."""
    return made(
        org_id=car.org_id, subject_id=car.id, label=car.plate, plate=car.plate, vin=car.vin,
        unit_code=car.org.code, category=car.category, body=car.body, energy=car.energy, seats=car.seats, model=car.model,
        state=car.state, management_mode=car.management_mode, registered_on=day(car.registered_on), acquired_on=day(car.acquired_on),
        engine_no=car.engine_no, price_cny=money(car.price_ex_tax), displacement_ml=car.displacement_ml, colour=car.colour,
    )  # fmt: skip


def over_standard(car: Vehicle, cap: Cap | None) -> Record | None:
    """Return a vehicle above the cap of the day it was acquired on; one within it as taken back, None where no cap is known."""
    if cap is None or car.price_ex_tax is None:
        return None
    limit, volume = cap.displacement_ml, car.displacement_ml
    above = car.price_ex_tax > cap.price or (limit is not None and volume is not None and nominal_ml(volume) > limit)
    on = car.acquired_on or car.registered_on
    return made(
        org_id=car.org_id, subject_id=car.id, label=car.plate, void=not above or car.state == VehicleState.RETIRED,
        plate=car.plate, unit_code=car.org.code, category=car.category, acquired_on=day(on), price_cny=money(car.price_ex_tax),
        cap_price_cny=money(cap.price), displacement_ml=volume, cap_displacement_ml=limit, basis=cap.source,
    )  # fmt: skip


def driver_no(driver_id: int) -> str:
    """Return the number a driver goes by outside."""
    return f"D{driver_id}"


def driver(one: Driver) -> Record:
    """Return a driver: name, unit and licence, nothing else of the person."""
    return made(
        org_id=one.org_id, subject_id=one.id, label=one.user.name_zh, void=one.left_at is not None,
        driver_no=driver_no(one.id), name=one.user.name_zh, unit_code=one.org.code, licence_class=one.licence,
        licence_valid_to=day(one.licence_valid_to),
    )  # fmt: skip


UNDER_WAY = frozenset({OrderState.CHECKED_OUT, OrderState.EN_ROUTE})
BACK = frozenset({OrderState.RETURNED, OrderState.MILEAGE_CONFIRMED, OrderState.SETTLED, OrderState.CLOSED})
NOT_DRIVEN = frozenset({OrderState.NO_SHOW, OrderState.CANCELLED})


def progress(state: str) -> str:
    """Return how far a dispatched order has come, in the four words of the form."""
    if state in UNDER_WAY:
        return "under_way"
    if state in BACK:
        return "returned"
    return "not_driven" if state in NOT_DRIVEN else "dispatched"


def dispatch(one: Assignment, holder_code: str, steps: Mapping[str, tuple[datetime, int | None]]) -> Record:
    """Return a dispatch; ``steps`` are the driver's check-out and check-in with their odometers in metres."""
    order, out, back = one.order, steps.get(DutyAction.CHECK_OUT), steps.get(DutyAction.CHECK_IN)
    names = [stop.name for stop in order.stops]
    driven = (
        back[1] - out[1] if out and back and out[1] is not None and back[1] is not None and back[1] >= out[1] else None
    )
    return made(
        org_id=one.order_org_id, subject_id=order.id, label=one.slip.number,
        void=one.state == AssignmentState.RELEASED, slip_no=one.slip.number, order_no=order.number, unit_code=order.org.code,
        holder_code=holder_code, plate=one.vehicle.plate, driver_no=driver_no(one.driver_id), purpose=order.purpose,
        passenger_count=order.passenger_count, start_at=moment(order.start_at), end_at=moment(order.end_at),
        origin=names[0] if names else None, destination=names[-1] if len(names) > 1 else None, progress=progress(order.state),
        departed_at=moment(out[0]) if out else None, returned_at=moment(back[0]) if back else None, distance_km=km(driven),
    )  # fmt: skip


def maintenance(one: WorkOrder) -> Record:
    """Return an accepted work on a vehicle."""
    in_at = one.during.lower if one.during else None
    return made(
        org_id=one.org_id, subject_id=one.id, label=one.number,
        work_no=one.number, plate=one.vehicle.plate, unit_code=one.org.code, kind=one.kind,
        supplier=one.supplier.name if one.supplier else None, in_at=moment(in_at), done_at=moment(one.done_at),
        odometer_km=km(one.entry_m), amount_cny=money(one.final_cost), **task(None, NOT_OF_A_TASK),
    )  # fmt: skip


def inspection(paper: VehicleDocument, car: Vehicle) -> Record:
    """Return an inspection."""
    return made(
        org_id=paper.org_id, subject_id=car.id, label=car.plate, void=paper.void_at is not None,
        plate=car.plate, unit_code=car.org.code, number=paper.number, issuer=paper.issuer, valid_from=day(paper.valid_from),
        valid_to=last_day(paper.valid_to), fee_cny=money(paper.fee),
    )  # fmt: skip


def insurance(paper: VehicleDocument, car: Vehicle) -> Record:
    """Return an insurance with its premium."""
    return made(
        org_id=paper.org_id, subject_id=car.id, label=car.plate, void=paper.void_at is not None,
        plate=car.plate, unit_code=car.org.code, kind=paper.kind, policy_no=paper.number, insurer=paper.issuer,
        valid_from=day(paper.valid_from), valid_to=last_day(paper.valid_to), amount_cny=money(paper.fee), **task(None, NOT_OF_A_TASK),
    )  # fmt: skip


def energy(one: EnergyEntry, order_no: str | None) -> Record:
    """Return a filling or charging with the task that the vehicle was on."""
    return made(
        org_id=one.org_id, subject_id=one.vehicle_id, label=one.vehicle.plate,
        void=one.void_at is not None, plate=one.vehicle.plate, unit_code=one.org.code, kind=one.kind, at=moment(one.at),
        quantity=plain(one.quantity), amount_cny=money(one.amount), odometer_km=km(one.odometer_m), station=one.station,
        **task(order_no),
    )  # fmt: skip


def cost(one: CostEntry) -> Record:
    """Return a cost entered by hand."""
    return made(
        org_id=one.org_id, subject_id=one.vehicle_id, label=one.vehicle.plate, void=one.void_at is not None,
        plate=one.vehicle.plate, unit_code=one.org.code, kind=one.kind, spent_on=day(one.on), amount_cny=money(one.amount),
        document_no=one.document_no, **task(one.order.number if one.order else None, one.explanation),
    )  # fmt: skip


PAID = {ExpenseKind.TOLL: CostKind.TOLL, ExpenseKind.PARKING: CostKind.PARKING_FEE, ExpenseKind.OTHER: CostKind.OTHER}


def expense(one: TripExpense) -> Record:
    """Return what a driver paid on a journey."""
    car, on = one.assignment.vehicle, clock.local_date(one.at)
    return made(
        org_id=one.org_id, subject_id=one.assignment.order_id, label=car.plate, void=one.void_at is not None,
        plate=car.plate, unit_code=one.org.code, kind=PAID[ExpenseKind(one.kind)].value, spent_on=day(on), amount_cny=money(one.amount),
        **task(one.assignment.order.number),
    )  # fmt: skip


def supervision(case: FindingCase) -> Record:
    """Return a concluded case: what was looked into and what came of it, nobody's name."""
    rules = sorted({clue.rule for clue in case.findings if clue.merged_into_id is None and clue.suppression_id is None})
    return made(
        org_id=case.org_id, subject_id=case.id, label=case.number, case_no=case.number,
        plate=case.vehicle.plate, unit_code=case.org.code, severity=case.severity, rules=rules, outcome=case.outcome,
        started_at=moment(case.start_at), ended_at=moment(case.end_at), decided_at=moment(case.decided_at),
    )  # fmt: skip


def rental(one: Fallback, org: Organisation) -> Record:
    """Return a journey served by a rented car."""
    order = one.order
    return made(
        org_id=one.org_id, subject_id=order.id, label=order.number, order_no=order.number,
        unit_code=org.code, kind=one.kind, provider=one.provider, reason=one.reason, start_at=moment(order.start_at),
        end_at=moment(order.end_at), amount_cny=money(one.price),
    )  # fmt: skip


def violation(one: VehicleIncident) -> Record:
    """Return a traffic violation of a vehicle; the driver is the unit's own matter."""
    return made(
        org_id=one.org_id, subject_id=one.id, label=one.vehicle.plate,
        plate=one.vehicle.plate, unit_code=one.org.code, at=moment(one.happened_at), place=one.place, account=one.account,
        fine_cny=money(one.fine), points=one.points, handled=one.state == IncidentState.CLOSED,
    )  # fmt: skip


def disposal(case: DisposalCase) -> Record:
    """Return a disposal that is through; a transfer ends with the decision's own day where no deregistration is."""
    on = case.deregistered_on or (
        clock.local_date(case.decided_at) if case.decided_at else clock.local_date(case.created_at)
    )
    return made(
        org_id=case.org_id, subject_id=case.id, label=case.number, case_no=case.number, plate=case.vehicle.plate,
        vin=case.vehicle.vin, unit_code=case.org.code, mode=case.mode, deregistered_on=day(on),
        appraised_cny=money(case.appraised_value), deal_cny=money(case.deal_price), remitted_cny=money(case.remitted),
        receiver_code=case.receiver.code if case.mode == Mode.TRANSFER and case.receiver else None,
    )  # fmt: skip
