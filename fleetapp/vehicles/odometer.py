"""The odometer ledger: every reading with its time and source, and every change of meter. Within one meter nothing goes back."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles import queries, rules
from fleetapp.vehicles.models import MeterChange, OdometerReading, Vehicle
from fleetapp.vehicles.rules import ReadingSource


def enter(
    session: Session, *, vehicle_id: int, reading_m: int, at: datetime, actor: Actor, now: datetime, engine_h: Decimal | None = None,
    source: ReadingSource = ReadingSource.MANUAL,
) -> OdometerReading:  # fmt: skip
    """Enter a reading by hand, also of a past day as long as it fits between its neighbours.

    :raises NotAllowed: out of reach or retired.
    :raises RuleBroken: ``vehicles.reading_ahead``, ``reading_inverted`` naming both neighbours.
    """
    vehicle = hold(session, vehicle_id, actor)
    permits.require("vehicles.odometer", actor, org_path=vehicle.org.path, state=vehicle.state)
    return note(
        session, vehicle=vehicle, reading_m=reading_m, at=at, source=source, engine_h=engine_h, actor=actor, now=now
    )


def note(
    session: Session, *, vehicle: Vehicle, reading_m: int, at: datetime, source: ReadingSource, actor: Actor, now: datetime,
    engine_h: Decimal | None = None,
) -> OdometerReading:  # fmt: skip
    """Append a reading of a vehicle that is held; for slices that have checked that the actor may report it.

    :raises RuleBroken: ``vehicles.reading_ahead``, ``reading_inverted`` naming both neighbours.
    """
    if at > now:
        raise RuleBroken("vehicles.reading_ahead")
    meter = 1 + sum(change.at <= at for change in queries.meter_changes(session, vehicle_id=vehicle.id))
    before, after = _neighbours(session, vehicle.id, meter, at)
    if not rules.fits_between(reading_m, before.reading_m if before else None, after.reading_m if after else None):
        raise RuleBroken("vehicles.reading_inverted", before=_told(before), after=_told(after))
    made = OdometerReading(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, meter=meter, at=at, reading_m=reading_m, engine_h=engine_h, source=source,
        created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    last_m = vehicle.odometer_m
    if meter == vehicle.meter and reading_m > last_m:
        vehicle.odometer_m = reading_m
    what = "odometer_advanced" if vehicle.odometer_m > last_m else "odometer_read"
    audit.record(session, actor=actor, now=now, action=f"vehicles.{what}", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, reading_m=reading_m, at=at, source=source, meter=meter, before_m=last_m,
                 after_m=vehicle.odometer_m)  # fmt: skip
    return made


def change_meter(
    session: Session, *, vehicle_id: int, at: datetime, end_m: int, start_m: int, reason: str, actor: Actor, now: datetime
) -> MeterChange:  # fmt: skip
    """Note that a vehicle got another meter: a new series begins at ``start_m``, the old one has ended at ``end_m``.

    :raises NotAllowed: out of reach or retired.
    :raises RuleBroken: ``vehicles.reading_ahead``, ``meter_late`` when a reading after ``at`` is on record, ``reading_inverted``.
    """
    vehicle = hold(session, vehicle_id, actor)
    permits.require("vehicles.odometer", actor, org_path=vehicle.org.path, state=vehicle.state)
    last = queries.last_reading(session, vehicle_id=vehicle.id)
    if last is not None and last.at > at:
        raise RuleBroken("vehicles.meter_late", last=_told(last))
    if end_m < vehicle.odometer_m:
        raise RuleBroken("vehicles.reading_inverted", before=_told(last), after=_told(None))
    note(session, vehicle=vehicle, reading_m=end_m, at=at, source=ReadingSource.METER_CHANGE, actor=actor, now=now)
    made = MeterChange(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, meter=vehicle.meter + 1, at=at, end_m=end_m, start_m=start_m, reason=reason,
        created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    vehicle.meter, vehicle.odometer_m = made.meter, start_m
    session.add(OdometerReading(org_id=vehicle.org_id, vehicle_id=vehicle.id, meter=made.meter, at=at, reading_m=start_m,
                                source=ReadingSource.METER_CHANGE, created_at=now, created_by=actor.user_id))  # fmt: skip
    audit.record(session, actor=actor, now=now, action="vehicles.meter_changed", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, meter=made.meter, at=at, end_m=end_m, start_m=start_m, reason=reason)  # fmt: skip
    return made


def hold(session: Session, vehicle_id: int, actor: Actor) -> Vehicle:
    """Return a vehicle that the actor may read, locked: its readings are entered one after the other."""
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    session.refresh(vehicle, with_for_update={"of": Vehicle})
    return vehicle


def _neighbours(
    session: Session, vehicle_id: int, meter: int, at: datetime
) -> tuple[OdometerReading | None, OdometerReading | None]:
    """Return the readings next to a moment on one meter; those of the same moment are no neighbours."""
    same = select(OdometerReading).where(OdometerReading.vehicle_id == vehicle_id, OdometerReading.meter == meter)
    before = same.where(OdometerReading.at < at).order_by(OdometerReading.at.desc(), OdometerReading.reading_m.desc())
    after = same.where(OdometerReading.at > at).order_by(OdometerReading.at, OdometerReading.reading_m)
    return session.scalars(before.limit(1)).first(), session.scalars(after.limit(1)).first()


def _told(reading: OdometerReading | None) -> str:
    if reading is None:
        return "–"
    return f"{reading.reading_m / 1000:,.1f} km ({clock.local(reading.at):%Y-%m-%d %H:%M})"
