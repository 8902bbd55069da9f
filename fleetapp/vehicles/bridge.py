"""Identities of terminals in the GPS store."""

from collections.abc import Collection

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from telematics.tables import gps_terminal


def terminal_id(session: Session, phone: str, *, create: bool) -> int | None:
    """Return the id of a terminal by its identity on the wire; makes it known to the gateway if asked to."""
    if create:
        session.execute(insert(gps_terminal).values(phone=phone, kind="jt808").on_conflict_do_nothing())
    return session.scalar(select(gps_terminal.c.id).where(gps_terminal.c.phone == phone))


def terminal_ids(session: Session, phones: Collection[str]) -> dict[str, int]:
    """Return the ids of terminals by their identities on the wire; unknown ones become known to the gateway."""
    if not phones:
        return {}
    known = insert(gps_terminal).on_conflict_do_nothing()
    session.execute(known, [{"phone": phone, "kind": "jt808"} for phone in phones])
    rows = select(gps_terminal.c.phone, gps_terminal.c.id).where(gps_terminal.c.phone == func.any(list(phones)))
    return {row.phone: row.id for row in session.execute(rows)}


def phones(session: Session, terminal_ids: Collection[int]) -> dict[int, str]:
    """Return the identities on the wire by id."""
    rows = select(gps_terminal.c.id, gps_terminal.c.phone).where(gps_terminal.c.id.in_(terminal_ids))
    return {row.id: row.phone for row in session.execute(rows)}
