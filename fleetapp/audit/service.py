"""Append to the chain."""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.kit.actor import Actor
from fleetapp.kit.jsonable import jsonable

INSERT = text(
    "INSERT INTO audit_entry (at, actor_id, actor_name, action, subject_type, subject_id, org_id, data)"
    " VALUES (:at, :actor_id, :actor_name, :action, :subject_type, :subject_id, :org_id, CAST(:data AS jsonb))"
)


def record(
    session: Session,
    *,
    actor: Actor,
    now: datetime,
    action: str,
    subject_type: str,
    subject_id: int | str | None,
    org_id: int | None,
    **data: Any,
) -> None:
    """Append one entry. Call it last in a service: the chain's lock is held until the transaction ends."""
    session.flush()
    session.execute(
        INSERT,
        {
            "at": now,
            "actor_id": actor.user_id,
            "actor_name": actor.name,
            "action": action,
            "subject_type": subject_type,
            "subject_id": None if subject_id is None else str(subject_id),
            "org_id": org_id,
            "data": jsonable(data),
        },
    )
