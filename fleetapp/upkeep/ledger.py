"""Writing of what upkeep stands on: suppliers, plans, maintenance done before, accidents and violations, reminders."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.drivers import queries as drivers
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.upkeep import due, queries, rules
from fleetapp.upkeep.models import Supplier, UpkeepDone, UpkeepPlan, UpkeepReminder, VehicleIncident
from fleetapp.upkeep.rules import IncidentKind, IncidentState, Interval, Item, Liability, SupplierKind
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.rules import Energy


def add_supplier(
    session: Session, *, org_id: int, name: str, kind: SupplierKind, contract_no: str, contract_from: date, contract_to: date,
    actor: Actor, now: datetime, phone: str | None = None,
) -> Supplier:  # fmt: skip
    """Designate a supplier for an organisation and all below it over ``[contract_from, contract_to)``.

    :raises RuleBroken: ``upkeep.contract_period``.
    :raises Conflict: at the end, ``upkeep.contract_there``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("upkeep.suppliers", actor, org_path=org.path)
    if contract_to <= contract_from:
        raise RuleBroken("upkeep.contract_period")
    made = Supplier(
        org_id=org_id, name=name, kind=kind, contract_no=contract_no, contract_from=contract_from, contract_to=contract_to, phone=phone,
        created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="upkeep.supplier_added", subject_type="supplier", subject_id=made.id,
                 org_id=org_id, name=name, kind=kind, contract_no=contract_no, contract_from=contract_from, contract_to=contract_to)  # fmt: skip
    return made


def end_contract(
    session: Session, *, supplier_id: int, contract_to: date, reason: str, actor: Actor, now: datetime
) -> Supplier:  # fmt: skip
    """Move the end of a supplier's contract, earlier or later.

    :raises RuleBroken: ``upkeep.contract_period``.
    """
    found = queries.get_supplier(session, supplier_id=supplier_id, actor=actor)
    permits.require("upkeep.suppliers", actor, org_path=found.org.path)
    if contract_to < found.contract_from:
        raise RuleBroken("upkeep.contract_period")
    before, found.contract_to = found.contract_to, contract_to
    audit.record(session, actor=actor, now=now, action="upkeep.contract_changed", subject_type="supplier", subject_id=found.id,
                 org_id=found.org_id, before=before, after=contract_to, reason=reason)  # fmt: skip
    return found


def add_plan(
    session: Session, *, org_id: int, item: Item, actor: Actor, now: datetime, vehicle_id: int | None = None, model: str | None = None,
    energy: Energy | None = None, every_km: int | None = None, every_months: int | None = None, every_hours: int | None = None,
) -> UpkeepPlan:  # fmt: skip
    """Plan how often an item is maintained; a plan for one vehicle is kept by the unit that holds it.

    :raises RuleBroken: ``upkeep.interval``, ``no_engine``.
    :raises Conflict: at the end, ``upkeep.plan_there``.
    """
    if vehicle_id is not None:
        vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
        org_id, energy, model = vehicle.org_id, None, None
    org = accounts.get_org(session, org_id=org_id)
    permits.require("upkeep.plan", actor, org_path=org.path)
    every = Interval(every_km, every_months, every_hours)
    rules.check_plan(every, item=item, energy=Energy(vehicle.energy) if vehicle_id is not None else energy)
    made = UpkeepPlan(
        org_id=org_id, vehicle_id=vehicle_id, model=model, energy=energy, item=item, every_km=every_km, every_months=every_months,
        every_hours=every_hours, created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="upkeep.plan_added", subject_type="upkeep_plan", subject_id=made.id,
                 org_id=org_id, vehicle_id=vehicle_id, model=model, energy=energy, item=item, every_km=every_km,
                 every_months=every_months, every_hours=every_hours)  # fmt: skip
    return made


def end_plan(session: Session, *, plan_id: int, actor: Actor, now: datetime) -> UpkeepPlan:
    """End a plan; what was done by it stays on record.

    :raises NotFound: no such open plan.
    """
    found = session.scalar(queries.plans(actor).where(UpkeepPlan.id == plan_id))
    if found is None:
        raise NotFound("kit.not_found")
    permits.require("upkeep.plan", actor, org_path=found.org.path)
    found.ended_at = now
    audit.record(session, actor=actor, now=now, action="upkeep.plan_ended", subject_type="upkeep_plan", subject_id=found.id,
                 org_id=found.org_id, item=found.item)  # fmt: skip
    return found


def note_done(
    session: Session, *, vehicle_id: int, items: Sequence[Item], done_on: date, odometer_m: int, actor: Actor, now: datetime,
    engine_h: Decimal | None = None, note: str | None = None,
) -> list[UpkeepDone]:  # fmt: skip
    """Enter maintenance from former records, done at a reading of the present meter.

    :raises RuleBroken: ``upkeep.done_ahead``, ``done_beyond`` a reading the vehicle has not reached yet.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("upkeep.plan", actor, org_path=vehicle.org.path)
    if done_on > clock.local_date(now):
        raise RuleBroken("upkeep.done_ahead")
    if odometer_m > vehicle.odometer_m:
        raise RuleBroken("upkeep.done_beyond", last=f"{vehicle.odometer_m / 1000:,.0f}")
    at_m = odometer_m
    if vehicle.meter > 1:
        at_m += vehicles.earlier_meters_m(session, vehicle_ids=[vehicle.id])[vehicle.id]
    made = [
        UpkeepDone(org_id=vehicle.org_id, vehicle_id=vehicle.id, item=item, done_on=done_on, at_m=at_m, engine_h=engine_h, note=note,
                   created_at=now, created_by=actor.user_id)
        for item in items
    ]  # fmt: skip
    session.add_all(made)
    audit.record(session, actor=actor, now=now, action="upkeep.done_noted", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, items=list(items), done_on=done_on, odometer_m=odometer_m)  # fmt: skip
    return made


def open_incident(
    session: Session, *, vehicle_id: int, kind: IncidentKind, happened_at: datetime, place: str, account: str, actor: Actor,
    now: datetime, driver_id: int | None = None, liability: Liability | None = None, loss: Decimal | None = None,
    fine: Decimal | None = None, points: int | None = None, scans: Sequence[tuple[str, bytes]] = (),
) -> VehicleIncident:  # fmt: skip
    """Enter an accident (with its liability) or a violation.

    :raises RuleBroken: ``upkeep.incident_ahead``, ``liability_needed`` for an accident or out of place for a violation.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("upkeep.record", actor, org_path=vehicle.org.path)
    if happened_at > now:
        raise RuleBroken("upkeep.incident_ahead")
    if (kind is IncidentKind.ACCIDENT) != (liability is not None) or (
        kind is IncidentKind.VIOLATION and loss is not None
    ):
        raise RuleBroken("upkeep.liability_needed")
    if driver_id is not None:
        drivers.get_driver(session, driver_id=driver_id, actor=actor)
    made = VehicleIncident(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, driver_id=driver_id, kind=kind, state=IncidentState.OPEN, happened_at=happened_at,
        place=place, account=account, liability=liability, loss=loss, fine=fine, points=points, created_at=now,
        created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    for name, content in scans:
        attachments.attach(session, org_id=made.org_id, subject_type="vehicle_incident", subject_id=made.id, label=kind, name=name,
                           content=content, actor=actor, now=now)  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"upkeep.{kind}_entered", subject_type="vehicle_incident", subject_id=made.id,
                 org_id=made.org_id, vehicle_id=vehicle.id, happened_at=happened_at, place=place, liability=liability, loss=loss,
                 fine=fine, points=points)  # fmt: skip
    return made


def report_accident(
    session: Session, *, vehicle_id: int, driver_id: int, happened_at: datetime, place: str, account: str, actor: Actor, now: datetime
) -> VehicleIncident:  # fmt: skip
    """Open the record of an accident that the driver reports; who keeps the vehicle completes and closes it.

    :raises NotFound: not a vehicle of which the actor may report.
    """
    vehicle = queries.get_reportable(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("upkeep.report", actor, org_path=vehicle.org.path)
    made = VehicleIncident(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, driver_id=driver_id, kind=IncidentKind.ACCIDENT, state=IncidentState.OPEN,
        happened_at=happened_at, place=place, account=account, liability=Liability.PENDING, created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="upkeep.accident_reported", subject_type="vehicle_incident", subject_id=made.id,
                 org_id=made.org_id, vehicle_id=vehicle.id, happened_at=happened_at, place=place)  # fmt: skip
    return made


def close_incident(
    session: Session, *, incident_id: int, handling: str, actor: Actor, now: datetime, loss: Decimal | None = None,
    fine: Decimal | None = None, points: int | None = None, liability: Liability | None = None,
) -> VehicleIncident:  # fmt: skip
    """Note how an incident was handled, with the figures as they came out; it is closed for good.

    :raises RuleBroken: ``upkeep.incident_closed``, ``liability_needed`` for a loss by a violation, or of an accident whose
        liability is still to be found.
    """
    found = queries.get_incident(session, incident_id=incident_id, actor=actor, lock=True)
    permits.require("upkeep.record", actor, org_path=found.org.path)
    if found.state == IncidentState.CLOSED:
        raise RuleBroken("upkeep.incident_closed")
    if found.kind == IncidentKind.VIOLATION and loss is not None:
        raise RuleBroken("upkeep.liability_needed")
    if liability in {None, Liability.PENDING} and found.liability == Liability.PENDING:
        raise RuleBroken("upkeep.liability_needed")
    if liability is not None and found.kind == IncidentKind.ACCIDENT:
        found.liability = liability
    for name, value in (("loss", loss), ("fine", fine), ("points", points)):
        if value is not None:
            setattr(found, name, value)
    found.state, found.handling, found.closed_at, found.closed_by = IncidentState.CLOSED, handling, now, actor.user_id
    audit.record(session, actor=actor, now=now, action="upkeep.incident_closed", subject_type="vehicle_incident", subject_id=found.id,
                 org_id=found.org_id, handling=handling, loss=found.loss, fine=found.fine, points=found.points)  # fmt: skip
    return found


def remind(session: Session, *, actor: Actor, now: datetime) -> int:
    """Say what has come within a lead time since the last run, once per subject and lead; returns how many were said.

    :raises NotAllowed: for anybody but the scheduled job.
    """
    permits.require("upkeep.remind", actor)
    leads = due.lead_days(session, clock.local_date(now))
    rows = []
    for row in due.listed(session, actor=actor, now=now):
        lead = rules.lead_reached(row.left_days, leads[row.due.kind])
        if lead is not None and (row.reminder is None or row.reminder.lead_days > lead):
            rows.append({"org_id": row.vehicle.org_id, "vehicle_id": row.vehicle.id, "kind": row.due.kind, "item": row.due.item,
                         "subject": row.due.subject, "lead_days": lead, "due_on": row.due.on, "created_at": now})  # fmt: skip
    if not rows:
        return 0
    made = session.execute(insert(UpkeepReminder).on_conflict_do_nothing().returning(UpkeepReminder.id), rows)
    said = len(made.all())
    audit.record(session, actor=actor, now=now, action="upkeep.reminded", subject_type="upkeep_reminder", subject_id=None,
                 org_id=None, reminders=said)  # fmt: skip
    return said
