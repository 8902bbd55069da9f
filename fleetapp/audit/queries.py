"""Reading of the audit log."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, column, false, or_, select, table, text, true
from sqlalchemy.orm import Session

from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import Actor, Role

ORGANISATION = table("organisation", column("id"), column("path"))
"""The tree as plain columns: accounts stand on this slice, not the other way round."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken place of the chain: the row's ``seq`` and ``altered``, ``missing`` (rows before it) or ``tail``."""

    seq: int
    fault: str


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of the chain; ``hash`` in hex."""

    seq: int
    hash: str


def visible_to(actor: Actor) -> Select[AuditEntry]:
    """Return the entries about organisations where the actor audits, newest first; entries without one need the root."""
    roles = {Role.AUDITOR, Role.SYSTEM_ADMIN, Role.SYSTEM}
    paths = actor.paths(roles)
    inside = select(ORGANISATION.c.id).where(
        or_(False, *(ORGANISATION.c.path.startswith(path, autoescape=True) for path in paths))
    )
    whole = true() if any(path.count("/") <= 2 for path in paths) else false()
    return select(AuditEntry).where(or_(whole, AuditEntry.org_id.in_(inside))).order_by(AuditEntry.seq.desc())


def filtered(
    query: Select[AuditEntry],
    *,
    q: str = "",
    subject_type: str = "",
    subject_id: str = "",
    start: datetime | None = None,
    end: datetime | None = None,
) -> Select[AuditEntry]:
    """Narrow entries by text in action or name, by subject, by time."""
    if q:
        query = query.where(
            or_(AuditEntry.action.contains(q, autoescape=True), AuditEntry.actor_name.contains(q, autoescape=True))
        )
    if subject_type:
        query = query.where(AuditEntry.subject_type == subject_type)
    if subject_id:
        query = query.where(AuditEntry.subject_id == subject_id)
    if start:
        query = query.where(AuditEntry.at >= start)
    if end:
        query = query.where(AuditEntry.at < end)
    return query


def verify(session: Session) -> list[Fault]:
    """Walk the whole chain and return every broken place; an empty list means that it is whole."""
    rows = session.execute(text("SELECT seq, fault FROM audit_verify()"))
    return [Fault(row.seq, row.fault) for row in rows]


def head(session: Session) -> Head:
    """Return the newest link of the chain: evidence files name it, so that a later rewrite would show."""
    row = session.execute(text("SELECT seq, encode(hash, 'hex') AS hash FROM audit_head")).one()
    return Head(row.seq, row.hash)
