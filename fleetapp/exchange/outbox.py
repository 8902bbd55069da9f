"""The way up: versions of records are made of the sources, taken under a lease, sent outside any transaction, and settled.

Called by the job alone, as the system. What was sent and not answered goes out again under the same keys before anything later of
its interface: at least once here, once at the platform's. A record is read again before it goes: what became confidential meanwhile
stays here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.exchange import checking, queries, rules
from fleetapp.exchange.interfaces import BY_CODE, SENT, Feed, Interface
from fleetapp.exchange.mapping import Said, Sending
from fleetapp.exchange.models import ExchangeCursor, ExchangeInterface, ExchangeLink, ExchangeOutbox, ExchangeReceipt
from fleetapp.exchange.records import Record
from fleetapp.exchange.rules import Outcome, RecordState, Trouble
from fleetapp.exchange.sources import Window

_S = RecordState


@dataclass(frozen=True, slots=True)
class Parcel:
    """A batch under a lease."""

    interface: str
    batch: str
    leased_until: datetime
    ids: tuple[int, ...]
    sendings: tuple[Sending, ...]


def prepare(session: Session) -> None:
    """Make the rows of link, interfaces and cursors that are not there yet."""
    session.execute(insert(ExchangeLink).values(id=1).on_conflict_do_nothing())
    session.execute(insert(ExchangeInterface).on_conflict_do_nothing(), [{"code": one.code} for one in SENT])
    cursors = [{"interface": one.code, "feed": feed.name} for one in SENT for feed in one.feeds]
    session.execute(insert(ExchangeCursor).on_conflict_do_nothing(), cursors)


def collect(session: Session, *, interface: Interface, now: datetime) -> int:
    """Make versions of new and changed records of an interface, a bounded number; returns how many.

    New rows are found beyond the newest id seen. Changed rows, and rows whose transaction ended late, are found by looking at
    all the others again in turn, every few minutes.
    """
    made = 0
    query = select(ExchangeCursor).where(ExchangeCursor.interface == interface.code)
    for cursor in session.scalars(query.order_by(ExchangeCursor.feed).with_for_update()).all():
        feed = interface.feed(cursor.feed)
        due = cursor.sweep_id or cursor.swept_at is None or cursor.swept_at <= now - rules.SWEEP_EVERY
        again = (
            feed.read(session, Window(cursor.sweep_id, rules.COLLECT, cursor.head_id)) if due and cursor.head_id else []
        )
        fresh = feed.read(session, Window(cursor.head_id, rules.COLLECT))
        made += _keep(session, interface, feed, {id_: one for id_, one in [*again, *fresh] if one is not None}, now)
        if due:
            full = len(again) == rules.COLLECT
            cursor.sweep_id, cursor.swept_at = (again[-1][0], cursor.swept_at) if full else (0, now)
        if fresh:
            cursor.head_id = fresh[-1][0]
    return made


def _name(feed: Feed, source_id: int) -> str:
    return f"{feed.name}-{source_id}"


def _keep(session: Session, interface: Interface, feed: Feed, found: Mapping[int, Record], now: datetime) -> int:
    if not found:
        return 0
    names = [_name(feed, source_id) for source_id in found]
    known = {row.record: row for row in queries.current(session, interface=interface.code, records=names)}
    made = 0
    for source_id, record in sorted(found.items()):
        old = known.get(_name(feed, source_id))
        if old is None:
            if not record.void:
                session.add(_version(interface, feed, source_id, record, old=None, now=now))
                made += 1
        elif old.digest == rules.digest(record.values):
            _look_again(interface, old)
        elif record.void and not old.tried:
            old.state, old.faults = _S.WITHHELD, []
        else:
            old.current = False
            if old.state in rules.TO_MEND or old.state == _S.WITHHELD or (old.state == _S.QUEUED and not old.attempts):
                old.state = _S.SUPERSEDED
            session.flush()  # one current version at a time
            session.add(_version(interface, feed, source_id, record, old=old, now=now))
            made += 1
    session.flush()
    return made


def _look_again(interface: Interface, row: ExchangeOutbox) -> None:
    """Put a version back in the queue that is good after all: its form was relaxed, or its source is open again."""
    if row.state in {_S.WITHHELD, _S.INVALID}:
        faults = checking.faults(interface.code, row.values)
        row.state, row.faults = (_S.INVALID if faults else _S.QUEUED), [fault.stored() for fault in faults]


def _version(
    interface: Interface, feed: Feed, source_id: int, record: Record, *, old: ExchangeOutbox | None, now: datetime
) -> ExchangeOutbox:
    values = dict(record.values)
    faults = checking.faults(interface.code, values)
    filled = checking.completeness(interface.code, values)
    name, version = _name(feed, source_id), (old.version if old else 0) + 1
    return ExchangeOutbox(
        org_id=record.org_id, interface=interface.code, feed=feed.name, source_id=source_id, record=name, version=version,
        key=rules.key(interface.code, name, version), current=True, label=record.label, subject_id=record.subject_id,
        values=values, digest=rules.digest(values), filled=filled.filled, mandatory=filled.mandatory,
        state=_S.INVALID if faults else _S.QUEUED, faults=[fault.stored() for fault in faults],
        tried=old.tried if old else False, attempts=0, created_at=now,
    )  # fmt: skip


def again(session: Session, *, row: ExchangeOutbox, now: datetime) -> ExchangeOutbox:
    """Return a new version of a refused record with the same content: under its old key the platform would say the same."""
    row.current, row.state = False, _S.SUPERSEDED
    session.flush()  # one current version at a time
    interface, record = BY_CODE[row.interface], Record(row.org_id, row.subject_id, row.label, row.values)
    made = _version(interface, interface.feed(row.feed), row.source_id, record, old=row, now=now)
    session.add(made)
    session.flush()
    return made


def may_try(session: Session, *, now: datetime) -> bool:
    """Tell whether the link has waited long enough after its last failure."""
    link = session.get_one(ExchangeLink, 1)
    return link.next_at is None or link.next_at <= now


def claim(session: Session, *, interface: Interface, now: datetime) -> Parcel | None:
    """Take the oldest waiting versions of an interface under a lease; commit before sending.

    None when it is paused, waits after a failure, has a batch on its way, or nothing. The job asks first whether it is complete enough.
    """
    row = session.scalars(
        select(ExchangeInterface).where(ExchangeInterface.code == interface.code).with_for_update()
    ).one()
    if row.paused_at is not None or (row.next_at is not None and row.next_at > now):
        return None
    if queries.on_its_way(session, interface=interface.code, now=now):
        return None
    held = queries.oldest_waiting(session, interface=interface.code, limit=rules.batch_size(row.failures))
    held = _still_open(session, interface, held)
    if not held:
        return None
    batch, until = f"{interface.code}-{held[0].id}-{held[0].attempts + 1}", now + rules.LEASE
    for one in held:
        one.state, one.leased_until, one.batch, one.tried, one.attempts = (
            _S.SENDING,
            until,
            batch,
            True,
            one.attempts + 1,
        )
    sendings = tuple(Sending(one.key, one.record, one.version, one.values) for one in held)
    return Parcel(interface.code, batch, until, tuple(one.id for one in held), sendings)


def _still_open(session: Session, interface: Interface, held: Sequence[ExchangeOutbox]) -> list[ExchangeOutbox]:
    """Return the versions whose source may still be sent; the others stay here."""
    seen: set[str] = set()
    for feed in interface.feeds:
        ids = {one.source_id for one in held if one.feed == feed.name}
        if ids:
            read = feed.read(session, Window(ids=ids))
            seen |= {_name(feed, source_id) for source_id, record in read if record is not None}
    for one in held:
        if one.record not in seen:
            one.state, one.leased_until = _S.WITHHELD, None
    return [one for one in held if one.record in seen]


def settle(
    session: Session, *, parcel: Parcel, said: Mapping[str, Said], mapping: str, now: datetime
) -> dict[str, int]:
    """Keep what was said of a batch; versions that nothing was said of go back to their place in the queue."""
    counts = {"accepted": 0, "rejected": 0, "unanswered": 0}
    for row in queries.leased(session, ids=parcel.ids, leased_until=parcel.leased_until):
        answer = said.get(row.key)
        row.leased_until = None
        if answer is None:
            row.state = _S.QUEUED
            counts["unanswered"] += 1
            continue
        taken = answer.outcome in {Outcome.ACCEPTED, Outcome.DUPLICATE}
        faults = [fault.stored() for fault in answer.faults]
        if taken:
            row.state, row.faults = _S.ACCEPTED, []
        else:
            row.state, row.faults = (_S.REJECTED if row.current else _S.SUPERSEDED), faults
        row.settled_at = now
        counts["accepted" if taken else "rejected"] += 1
        session.add(_receipt(parcel, mapping, now, outcome=answer.outcome, outbox_id=row.id, org_id=row.org_id, records=1,
                             receipt_no=answer.receipt_no, faults=faults))  # fmt: skip
    if counts["accepted"] or counts["rejected"]:
        _well(session, parcel.interface, now)
    return counts


def _receipt(parcel: Parcel, mapping: str, now: datetime, *, outcome: Outcome, records: int, faults: list[Any],
             **about: Any) -> ExchangeReceipt:  # fmt: skip
    return ExchangeReceipt(interface=parcel.interface, batch=parcel.batch, mapping=mapping, at=now, outcome=outcome, records=records,
                           faults=faults, **about)  # fmt: skip


def _well(session: Session, interface: str, now: datetime) -> None:
    """Forget the failures before: something got through."""
    fine: dict[str, Any] = {"trouble": None, "message": None, "failures": 0, "next_at": None, "last_ok_at": now}
    session.execute(update(ExchangeInterface).where(ExchangeInterface.code == interface).values(**fine))
    session.execute(update(ExchangeLink).values(**fine, since=None))


def failed(
    session: Session, *, parcel: Parcel, trouble: Trouble, message: str, mapping: str, jitter: float, now: datetime
) -> None:
    """Put a batch back that nothing usable was answered to, and wait: the whole link or the interface alone.

    A single record that the platform refuses to take at all goes to the rejections, so that it holds up nobody.
    """
    held = queries.leased(session, ids=parcel.ids, leased_until=parcel.leased_until)
    alone = trouble is Trouble.BATCH_REFUSED and len(held) == 1
    for row in held:
        row.leased_until = None
        row.state = _S.QUEUED
        if alone:
            faults = [checking.Fault("", "platform", message).stored()]
            row.state, row.faults, row.settled_at = (_S.REJECTED if row.current else _S.SUPERSEDED), faults, now
            session.add(_receipt(parcel, mapping, now, outcome=Outcome.REJECTED, outbox_id=row.id, org_id=row.org_id, records=1,
                                 faults=faults, message=message))  # fmt: skip
    if alone:
        _well(session, parcel.interface, now)
        return
    session.add(
        _receipt(
            parcel,
            mapping,
            now,
            outcome=Outcome.FAILED,
            records=len(held),
            faults=[],
            message=f"{trouble.value}: {message}",
        )
    )
    if trouble in rules.OF_LINK:
        link = session.get_one(ExchangeLink, 1, with_for_update=True)
        link.failures += 1
        link.since = link.since if link.trouble == trouble else now
        link.trouble, link.message, link.next_at = trouble, message, now + rules.wait(link.failures, jitter)
        return
    row_ = session.get_one(ExchangeInterface, parcel.interface, with_for_update=True)
    row_.failures += 1
    row_.trouble, row_.message = trouble, message
    # A request refused as a whole is tried again at once with half as many records, until the bad one is alone.
    row_.next_at = None if trouble is Trouble.BATCH_REFUSED else now + rules.wait(row_.failures, jitter)


def note_certificate(session: Session, *, until: datetime | None) -> None:
    """Keep the end of the platform's certificate, for the page to warn of."""
    if until is not None:
        session.execute(update(ExchangeLink).values(certificate_until=until))
