"""Writing of the shared pool: journeys that lost their loan wait again, and exports leave their reason."""

from datetime import date, datetime

from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.orders.models import TravelOrder
from fleetapp.planning import service as planning
from fleetapp.pool import queries


def release_next(session: Session, *, actor: Actor, now: datetime) -> TravelOrder | None:
    """Take the vehicle back from one order whose loan was cut short or called off; the order waits again. None: no such order."""
    permits.require("sharing.run", actor)
    found = queries.next_without_loan(session)
    if found is None:
        return None
    order_id, number = found
    return planning.release(session, order_id=order_id, reason=f"借用 {number} 已收回或取消", actor=actor, now=now)


def exported(
    session: Session, *, org_id: int, start_on: date, end_on: date, reason: str, sha256: str, actor: Actor, now: datetime
) -> None:  # fmt: skip
    """Note that the figures of a time left the system, why, and which file it was."""
    audit.record(session, actor=actor, now=now, action="pool.exported", subject_type="organisation", subject_id=org_id,
                 org_id=org_id, start_on=start_on, end_on=end_on, reason=reason, sha256=sha256)  # fmt: skip
