"""Keeping vehicles and drivers for an event or an emergency, and giving them back."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit.actor import Actor
from fleetapp.kit.spans import Span
from fleetapp.orders.queries import lock_bookings
from fleetapp.planning import queries
from fleetapp.planning.models import Hold, HoldCause


def hold(
    session: Session,
    *,
    org_id: int,
    span: Span,
    cause: HoldCause,
    cause_id: int,
    actor: Actor,
    now: datetime,
    vehicle_ids: Collection[int] = (),
    driver_ids: Collection[int] = (),
) -> list[Hold]:
    """Keep vehicles and drivers over a span, all or none; the caller has checked the permission.

    The database refuses what is kept already (``ex_hold_*``) or has orders of something else (``ck_hold_assignment``).
    """
    lock_bookings(session)
    during = Range(span.start, span.end)
    common = {"org_id": org_id, "during": during, "cause": cause, "cause_id": cause_id,
              "held_by": actor.user_id, "held_at": now}  # fmt: skip
    made = [Hold(vehicle_id=vehicle_id, **common) for vehicle_id in sorted(vehicle_ids)]
    made += [Hold(driver_id=driver_id, **common) for driver_id in sorted(driver_ids)]
    session.add_all(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="planning.held", subject_type=cause, subject_id=cause_id,
                 org_id=org_id, vehicles=sorted(vehicle_ids), drivers=sorted(driver_ids), start_at=span.start,
                 end_at=span.end)  # fmt: skip
    return made


def unhold(
    session: Session,
    *,
    cause: HoldCause,
    cause_id: int,
    actor: Actor,
    now: datetime,
    hold_ids: Collection[int] | None = None,
) -> Sequence[Hold]:
    """Give back what is kept for a cause, all of it or some; what is given back already stays as it is."""
    lock_bookings(session)
    found = queries.held_for(session, cause=cause, cause_id=cause_id, hold_ids=hold_ids)
    for row in found:
        row.released_at = now
    session.flush()
    if found:
        audit.record(session, actor=actor, now=now, action="planning.unheld", subject_type=cause, subject_id=cause_id,
                     org_id=found[0].org_id, vehicles=[row.vehicle_id for row in found if row.vehicle_id],
                     drivers=[row.driver_id for row in found if row.driver_id])  # fmt: skip
    return found
