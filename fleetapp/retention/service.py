"""Removing what is older than the policy figures keep it."""

from datetime import datetime, timedelta
from types import MappingProxyType

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies

KEPT = MappingProxyType(
    {
        "phone_position": "retention.phone_position_days",
        "sign_in": "retention.sign_in_days",
        "sign_in_failure": "retention.sign_in_failure_days",
    }
)
"""Which policy figure says how many days a table's rows are kept."""

FORGET = text("SELECT number, oldest, newest, digest FROM fleet_forget(:name, :before, :moment)")


def forget(session: Session, *, name: str, actor: Actor, now: datetime) -> int:
    """Remove a table's rows that are older than its figure and log how many, of which time, and the digest of their numbers.

    :raises NotAllowed: anybody but the system.
    """
    permits.require("retention.run", actor, org_path="/")
    code = KEPT[name]
    days = int(policies.values(session, code, clock.local_date(now))[code])
    before = now - timedelta(days=days)
    gone = session.execute(FORGET, {"name": name, "before": before, "moment": now}).one()
    if gone.number:
        audit.record(session, actor=actor, now=now, action="retention.removed", subject_type=name, subject_id=None, org_id=None,
                     number=gone.number, before=before, oldest=gone.oldest, newest=gone.newest, sha256=gone.digest, days=days)  # fmt: skip
    return int(gone.number)
