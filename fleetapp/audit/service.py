"""Append to the chain."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.kit.actor import Actor
from fleetapp.kit.db import at_commit
from fleetapp.kit.jsonable import jsonable

INSERT = text(
    "INSERT INTO audit_entry (at, actor_id, actor_name, action, subject_type, subject_id, org_id, data)"
    " VALUES (:at, :actor_id, :actor_name, :action, :subject_type, :subject_id, :org_id, CAST(:data AS jsonb))"
)


INSERT_MANY = text(
    "INSERT INTO audit_entry (at, actor_id, actor_name, action, subject_type, subject_id, org_id, data)"
    " SELECT :at, :actor_id, :actor_name, :action, :subject_type, one.subject_id, one.org_id, one.data"
    " FROM unnest(CAST(:subject_ids AS text[]), CAST(:org_ids AS bigint[]), CAST(:datas AS jsonb[]))"
    " WITH ORDINALITY AS one (subject_id, org_id, data, place) ORDER BY one.place"
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
    """Append one entry, at the end of the transaction: writers of the chain wait for each other from then on only."""
    session.flush()
    at_commit(
        session,
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


def record_many(
    session: Session, *, actor: Actor, now: datetime, action: str, subject_type: str,
    entries: Sequence[tuple[int, int, Mapping[str, Any]]],
) -> None:  # fmt: skip
    """Append one entry for each (subject id, org id, data) in one statement, in their order, at the end of the transaction."""
    session.flush()
    at_commit(
        session,
        INSERT_MANY,
        {
            "at": now,
            "actor_id": actor.user_id,
            "actor_name": actor.name,
            "action": action,
            "subject_type": subject_type,
            "subject_ids": [str(subject_id) for subject_id, _, _ in entries],
            "org_ids": [org_id for _, org_id, _ in entries],
            "datas": [jsonable(data) for _, _, data in entries],
        },
    )
