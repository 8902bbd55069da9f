"""Reading of the audit log."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Select, column, false, or_, select, table, text, true
from sqlalchemy.orm import Session

from fleetapp.audit.models import AuditEntry, PublishedHead
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound

ORGANISATION = table("organisation", column("id"), column("path"))
"""The tree as plain columns: accounts stand on this slice, not the other way round."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A broken place of the chain: the row's ``seq`` and what is wrong with it.

    ``altered``, ``replaced`` by another whose own hash fits, ``inserted``, ``moved`` from number ``was``, ``missing`` (rows
    just before it), ``head`` (not the one that a published head names), ``tail`` (rows up to it are cut off), ``beyond`` it.
    """

    seq: int
    fault: str
    was: int | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of the chain; ``hash`` in hex."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Proof:
    """An entry as anybody can recompute it: ``hash`` is the SHA-256 of the bytes of ``prev_hash`` and the text, both hex."""

    seq: int
    prev_hash: str
    hash: str
    content: str
    at: datetime


PIECE = 50_000
"""Entries checked at once: a second or two of the database's time."""
DIAGNOSED = 20
WORST = ("moved", "inserted", "beyond", "missing", "altered", "replaced", "head", "tail")
"""What is said of an entry with which more than one thing is wrong: the first of these."""


def visible_to(actor: Actor) -> Select[AuditEntry]:
    """Return the entries about organisations where the actor audits, newest first; entries without one need the root."""
    roles = {Role.AUDITOR, Role.AUDIT_ADMIN, Role.SYSTEM}
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


def verify(session: Session, *, first: int = 1, last: int | None = None) -> list[Fault]:
    """Check entries ``first`` to ``last``, both included, and return every broken place; an empty list means that they are whole.

    The ends of the range are checked against their neighbours outside it; of thousands of places the first are diagnosed.
    """
    query = text("SELECT seq, fault FROM audit_verify(:first, :last)")
    found = [Fault(row.seq, row.fault) for row in session.execute(query, {"first": first, "last": last})]
    told = [_diagnosed(session, fault) if place < DIAGNOSED else fault for place, fault in enumerate(found)]
    one_each: dict[int, Fault] = {}
    for fault in sorted(told, key=lambda fault: WORST.index(fault.fault)):
        one_each.setdefault(fault.seq, fault)
    return sorted(one_each.values(), key=lambda fault: fault.seq)


def _diagnosed(session: Session, fault: Fault) -> Fault:
    """Return a fault as ``moved`` if the entry is one that was written under another number."""
    if fault.fault not in {"altered", "inserted"}:
        return fault
    was = session.scalar(text("SELECT audit_written_as(:seq)"), {"seq": fault.seq})
    return fault if was is None else Fault(fault.seq, "moved", was)


def walk(session: Session, *, first: int, last: int) -> Iterator[tuple[int, list[Fault]]]:
    """Check a long range piece by piece: yield the last entry of each piece and what is broken in it."""
    for start, end in pieces(first, last):
        yield end, verify(session, first=start, last=end)


def pieces(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of at most ``PIECE`` entries that ``[first, last]`` is checked in."""
    for start in range(first, last + 1, PIECE):
        yield start, min(last, start + PIECE - 1)


def range_of(session: Session, *, start: datetime | None, end: datetime | None) -> tuple[int, int]:
    """Return the first and last number of the entries written in ``[start, end)``; (0, 0) if there are none."""
    query = text("SELECT first, last FROM audit_range(:start, :end)")
    first, last = session.execute(query, {"start": start, "end": end}).one()
    return (0, 0) if first is None else (first, last)


def did(
    session: Session, *, actor_id: int | None, action: str, subject_type: str, subject_id: int, since: datetime
) -> bool:  # fmt: skip
    """Tell whether somebody did something to a subject after a moment, as far as the log is open to who asks."""
    mine = select(AuditEntry.seq).where(
        AuditEntry.actor_id == actor_id, AuditEntry.action == action, AuditEntry.subject_type == subject_type,
        AuditEntry.subject_id == str(subject_id), AuditEntry.at > since,
    )  # fmt: skip
    return session.scalar(mine.limit(1)) is not None


def head(session: Session) -> Head:
    """Return the newest link of the chain: evidence files name it, so that a later rewrite would show."""
    row = session.execute(text("SELECT seq, encode(hash, 'hex') AS hash FROM audit_head")).one()
    return Head(row.seq, row.hash)


def last_seq(session: Session) -> int:
    """Return the number of the last entry that is there, whatever the head says."""
    return session.scalar(text("SELECT audit_last_seq()")) or 0


def end_of(session: Session) -> int:
    """Return the number that the chain ends with, by its head or by its entries, whichever is later."""
    return max(head(session).seq, last_seq(session))


def hash_of(session: Session, *, seq: int) -> str | None:
    """Return the hash that the entry of a number has now, None if there is no such entry."""
    query = text("SELECT audit_hash_at(:seq)")
    found: str | None = session.scalar(query, {"seq": seq})
    return found


def published_heads() -> Select[PublishedHead]:
    """Return the published heads, newest first."""
    return select(PublishedHead).order_by(PublishedHead.day.desc())


def get_published(session: Session, *, day: date) -> PublishedHead:
    """Return the head published for a local day.

    :raises NotFound: none was.
    """
    found = session.get(PublishedHead, day)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def published_after(session: Session, *, seq: int) -> PublishedHead | None:
    """Return the first published head that covers an entry, if any does yet."""
    query = select(PublishedHead).where(PublishedHead.seq >= seq).order_by(PublishedHead.day).limit(1)
    return session.scalar(query)


def proofs(session: Session, *, subjects: Sequence[tuple[str, str]]) -> list[Proof]:
    """Return every entry about some (subject type, subject id), in order, with the text that its hash is over."""
    query = text(
        "SELECT e.seq, encode(e.prev_hash, 'hex'), encode(e.hash, 'hex'), audit_entry_text(e), e.at FROM audit_entry e"
        " JOIN unnest(CAST(:types AS text[]), CAST(:ids AS text[])) AS wanted (type, id)"
        " ON e.subject_type = wanted.type AND e.subject_id = wanted.id ORDER BY e.seq"
    )
    types, ids = [kind for kind, _ in subjects], [subject for _, subject in subjects]
    return [Proof(*row) for row in session.execute(query, {"types": types, "ids": ids})]
