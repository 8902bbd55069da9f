"""Writing of costs."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.costs import queries, rules
from fleetapp.costs.models import CostEntry
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.rules import CostKind


def enter(
    session: Session, *, vehicle_id: int, on: date, kind: CostKind, amount: Decimal, actor: Actor, now: datetime,
    order_id: int | None = None, explanation: str | None = None, document_no: str | None = None, scan: tuple[str, bytes] | None = None,
) -> CostEntry:  # fmt: skip
    """Enter a cost of a vehicle; ``scan`` is its receipt as (name, bytes).

    :raises RuleBroken: ``costs.elsewhere``, ``task_needed``, ``order_other``, ``future``, or the scan is no such file.
    :raises Conflict: ``costs.there``: the document is entered already.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("costs.enter", actor, org_path=vehicle.org.path)
    rules.check_entry(kind=kind, order_id=order_id, explanation=explanation)
    if on > clock.local_date(now):
        raise RuleBroken("costs.future")
    if order_id is not None and not queries.drove(session, vehicle_id=vehicle.id, order_id=order_id):
        raise RuleBroken("costs.order_other")
    made = CostEntry(org_id=vehicle.org_id, vehicle_id=vehicle.id, on=on, kind=kind, amount=amount, order_id=order_id, explanation=explanation,
                     document_no=document_no, created_at=now, created_by=actor.user_id)  # fmt: skip
    session.add(made)
    session.flush()
    if scan:
        made.attachment_id = attachments.attach(
            session, org_id=made.org_id, subject_type="cost_entry", subject_id=made.id, label=kind, name=scan[0], content=scan[1],
            actor=actor, now=now,
        ).id  # fmt: skip
    audit.record(session, actor=actor, now=now, action="costs.entered", subject_type="cost_entry", subject_id=made.id, org_id=made.org_id,
                 vehicle=vehicle.plate, on=on, kind=kind, amount=amount, order=order_id, explanation=explanation)  # fmt: skip
    return made


def void(session: Session, *, entry_id: int, reason: str, actor: Actor, now: datetime) -> CostEntry:
    """Make a wrong cost void; it stays on record.

    :raises RuleBroken: ``costs.is_void``.
    """
    entry = queries.get_entry(session, entry_id=entry_id, actor=actor, lock=True)
    permits.require("costs.enter", actor, org_path=entry.org.path)
    if entry.void_at is not None:
        raise RuleBroken("costs.is_void")
    entry.void_at, entry.void_by, entry.void_reason = now, actor.user_id, reason
    audit.record(session, actor=actor, now=now, action="costs.voided", subject_type="cost_entry", subject_id=entry.id, org_id=entry.org_id,
                 reason=reason)  # fmt: skip
    return entry


def exported(
    session: Session, *, org_id: int, year: int, reason: str, rows: int, sha256: str, actor: Actor, now: datetime
) -> None:
    """Record that a year's costs left the system, by whom and why; call it before the file is handed over."""
    audit.record(session, actor=actor, now=now, action="costs.exported", subject_type="organisation", subject_id=org_id, org_id=org_id,
                 year=year, reason=reason, rows=rows, sha256=sha256)  # fmt: skip
