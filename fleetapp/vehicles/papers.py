"""Papers of a vehicle: registration, insurance, inspection, marking; and whether a new one may go into service."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.vehicles import queries, rules
from fleetapp.vehicles.models import Vehicle, VehicleDocument
from fleetapp.vehicles.rules import DocumentKind


def add(
    session: Session, *, vehicle_id: int, kind: DocumentKind, valid_from: date, actor: Actor, now: datetime,
    number: str | None = None, issuer: str | None = None, valid_to: date | None = None, exempt_reason: str | None = None,
    scan: tuple[str, bytes] | None = None, fee: Decimal | None = None,
) -> VehicleDocument:  # fmt: skip
    """Enter a paper, or why none is needed; ``scan`` is its file as (name, bytes), ``fee`` what was paid for it.

    :raises NotAllowed: out of reach or retired.
    :raises RuleBroken: ``vehicles.document_content``, ``document_exempt``, ``document_period``, or the scan is no such file.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("vehicles.papers", actor, org_path=vehicle.org.path, state=vehicle.state)
    rules.check_document(kind, number=number, exempt_reason=exempt_reason, valid_from=valid_from, valid_to=valid_to)
    file = scan and attachments.attach(
        session, org_id=vehicle.org_id, subject_type="vehicle", subject_id=vehicle.id, label=kind, name=scan[0], content=scan[1],
        actor=actor, now=now,
    )  # fmt: skip
    made = VehicleDocument(
        org_id=vehicle.org_id, vehicle_id=vehicle.id, kind=kind, number=number, issuer=issuer, valid_from=valid_from,
        valid_to=valid_to, exempt_reason=exempt_reason, fee=fee, attachment_id=file.id if file else None,
        created_at=now, created_by=actor.user_id,
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="vehicles.document_added", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, document=made.id, kind=kind, number=number, valid_from=valid_from, valid_to=valid_to,
                 exempt_reason=exempt_reason, fee=fee)  # fmt: skip
    return made


def void(
    session: Session, *, vehicle_id: int, document_id: int, reason: str, actor: Actor, now: datetime
) -> VehicleDocument:
    """Make a wrong paper void; it stays on record.

    :raises NotFound: no such paper of this vehicle.
    :raises RuleBroken: ``vehicles.document_is_gone``.
    """
    vehicle = queries.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("vehicles.papers", actor, org_path=vehicle.org.path, state=vehicle.state)
    found = session.get(VehicleDocument, document_id, with_for_update=True, populate_existing=True)
    if found is None or found.vehicle_id != vehicle.id:
        raise NotFound("kit.not_found")
    if found.void_at is not None:
        raise RuleBroken("vehicles.document_is_gone")
    found.void_at, found.void_reason = now, reason
    audit.record(session, actor=actor, now=now, action="vehicles.document_voided", subject_type="vehicle", subject_id=vehicle.id,
                 org_id=vehicle.org_id, document=found.id, kind=found.kind, reason=reason)  # fmt: skip
    return found


def readiness(session: Session, vehicle: Vehicle, *, now: datetime) -> dict[DocumentKind, bool]:
    """Return for everything a new vehicle needs whether it is there today."""
    in_force = queries.kinds_in_force(session, vehicle_id=vehicle.id, on=clock.local_date(now))
    fitted = queries.open_binding(session, vehicle_id=vehicle.id) is not None
    return rules.readiness(in_force, has_terminal=fitted, has_parking=vehicle.parking_id is not None)


def require_ready(session: Session, vehicle: Vehicle, *, now: datetime) -> None:
    """Refuse to put a new vehicle into service while something is missing and not exempted.

    :raises RuleBroken: ``vehicles.not_ready``, naming what is missing.
    """
    missing = [kind.value for kind, there in readiness(session, vehicle, now=now).items() if not there]
    if missing:
        raise RuleBroken("vehicles.not_ready", missing=", ".join(missing))
