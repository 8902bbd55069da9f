"""Reading of the outbox: what waits, what is to be mended, how interfaces and the link do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Date, Select, cast, func, or_, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.exchange import rules
from fleetapp.exchange.models import ExchangeInterface, ExchangeLink, ExchangeOutbox, ExchangeReceipt, ExchangeReplay
from fleetapp.exchange.rules import Completeness, Outcome, RecordState
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound

CHART_DAYS = 30


def current(session: Session, *, interface: str, records: Collection[str]) -> Sequence[ExchangeOutbox]:
    """Return the newest versions of records."""
    query = select(ExchangeOutbox).where(
        ExchangeOutbox.interface == interface, ExchangeOutbox.current, ExchangeOutbox.record.in_(records)
    )
    return session.scalars(query).all()


def completeness(session: Session, *, interface: str) -> Completeness:
    """Return the share of filled mandatory fields over the newest versions of an interface."""
    query = select(
        func.coalesce(func.sum(ExchangeOutbox.filled), 0), func.coalesce(func.sum(ExchangeOutbox.mandatory), 0)
    ).where(ExchangeOutbox.interface == interface, ExchangeOutbox.current, ExchangeOutbox.state.in_(rules.COUNTED))
    filled, mandatory = session.execute(query).one()
    return Completeness(int(filled), int(mandatory))


def on_its_way(session: Session, *, interface: str, now: datetime) -> bool:
    """Tell whether a batch of an interface is under a lease that has not ended."""
    query = select(ExchangeOutbox.id).where(
        ExchangeOutbox.interface == interface,
        ExchangeOutbox.state == RecordState.SENDING,
        ExchangeOutbox.leased_until > now,
    )
    return session.scalar(query.limit(1)) is not None


def waiting(session: Session) -> set[str]:
    """Return the interfaces that have something to send."""
    return set(
        session.scalars(select(ExchangeOutbox.interface).where(ExchangeOutbox.state.in_(rules.WAITING)).distinct())
    )


def oldest_waiting(session: Session, *, interface: str, limit: int) -> Sequence[ExchangeOutbox]:
    """Return the versions of an interface that go next, locked."""
    query = select(ExchangeOutbox).where(ExchangeOutbox.interface == interface, ExchangeOutbox.state.in_(rules.WAITING))
    return session.scalars(query.order_by(ExchangeOutbox.id).limit(limit).with_for_update()).all()


def leased(session: Session, *, ids: Collection[int], leased_until: datetime) -> Sequence[ExchangeOutbox]:
    """Return the versions of a batch that are still under its lease, locked: a sender that slept through it finds none."""
    query = select(ExchangeOutbox).where(
        ExchangeOutbox.id.in_(ids),
        ExchangeOutbox.state == RecordState.SENDING,
        ExchangeOutbox.leased_until == leased_until,
    )
    return session.scalars(query.order_by(ExchangeOutbox.id).with_for_update()).all()


# ---- pages ------------------------------------------------------------------------------------------------------------


def link(session: Session) -> ExchangeLink | None:
    """Return how the platform did last; None before the first run."""
    return session.get(ExchangeLink, 1)


def interfaces(session: Session) -> Mapping[str, ExchangeInterface]:
    """Return what is known of each interface, by code."""
    return {row.code: row for row in session.scalars(select(ExchangeInterface))}


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of an interface as far as one may see it."""

    waiting: int
    oldest_at: datetime | None
    to_mend: int
    completeness: Completeness


NO_QUEUE = Queue(0, None, 0, Completeness(0, 0))


def queues(session: Session) -> Mapping[str, Queue]:
    """Return the queues by interface."""
    box, waits = ExchangeOutbox, ExchangeOutbox.state.in_(rules.WAITING)
    counted = box.current & box.state.in_(rules.COUNTED)
    query = select(
        box.interface, func.count().filter(waits), func.min(box.created_at).filter(waits),
        func.count().filter(box.state.in_(rules.TO_MEND)), func.coalesce(func.sum(box.filled).filter(counted), 0),
        func.coalesce(func.sum(box.mandatory).filter(counted), 0),
    ).group_by(box.interface)  # fmt: skip
    return {
        code: Queue(waiting, oldest, to_mend, Completeness(int(filled), int(mandatory)))
        for code, waiting, oldest, to_mend, filled, mandatory in session.execute(query)
    }


def last_receipts(session: Session) -> Mapping[str, ExchangeReceipt]:
    """Return the last receipt of each interface."""
    newest = select(func.max(ExchangeReceipt.id)).group_by(ExchangeReceipt.interface)
    return {
        row.interface: row for row in session.scalars(select(ExchangeReceipt).where(ExchangeReceipt.id.in_(newest)))
    }


def by_day(session: Session, *, today: date, interface: str | None = None) -> Mapping[date, Mapping[str, int]]:
    """Return records by local day of the last thirty and by outcome, duplicates counting as accepted."""
    start = today - timedelta(days=CHART_DAYS - 1)
    on = cast(func.timezone(clock.OFFICE_ZONE.key, ExchangeReceipt.at), Date)
    query = select(on, ExchangeReceipt.outcome, func.sum(ExchangeReceipt.records)).where(
        ExchangeReceipt.at >= clock.start_of(start)
    )
    if interface is not None:
        query = query.where(ExchangeReceipt.interface == interface)
    found: dict[date, dict[str, int]] = {start + timedelta(days=n): {} for n in range(CHART_DAYS)}
    for day, outcome, count in session.execute(query.group_by(on, ExchangeReceipt.outcome)):
        if day in found:
            name = "accepted" if outcome in {Outcome.ACCEPTED, Outcome.DUPLICATE} else outcome.lower()
            found[day][name] = found[day].get(name, 0) + int(count)
    return found


def records_visible_to(
    actor: Actor, *, interface: str, states: Collection[RecordState], q: str = ""
) -> Select[ExchangeOutbox]:
    """Return versions of an interface within reach, the oldest first."""
    query = (
        select(ExchangeOutbox)
        .join(ExchangeOutbox.org)
        .where(
            within_reach(actor, "exchange.read"),
            ExchangeOutbox.interface == interface,
            ExchangeOutbox.state.in_(states),
        )
        .options(joinedload(ExchangeOutbox.org))
        .order_by(ExchangeOutbox.id)
    )
    if q:
        query = query.where(
            or_(*(column.icontains(q, autoescape=True) for column in (ExchangeOutbox.label, Organisation.name_zh)))
        )
    return query


def get_record(session: Session, *, outbox_id: int, actor: Actor, lock: bool = False) -> ExchangeOutbox:
    """Return one version within reach.

    :raises NotFound: no such version, or out of reach.
    """
    query = (
        select(ExchangeOutbox)
        .join(ExchangeOutbox.org)
        .where(within_reach(actor, "exchange.read"), ExchangeOutbox.id == outbox_id)
    )
    found = session.scalar(query.with_for_update(of=ExchangeOutbox) if lock else query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def receipts(session: Session, *, interface: str, limit: int = 20) -> Sequence[tuple[ExchangeReceipt, str | None]]:
    """Return the last receipts of an interface with what their records are known by."""
    query = (
        select(ExchangeReceipt, ExchangeOutbox.label)
        .outerjoin(ExchangeOutbox, ExchangeOutbox.id == ExchangeReceipt.outbox_id)
        .where(ExchangeReceipt.interface == interface)
        .order_by(ExchangeReceipt.id.desc())
    )
    return [(receipt, label) for receipt, label in session.execute(query.limit(limit))]


def replays(session: Session, *, interface: str, limit: int = 10) -> Sequence[ExchangeReplay]:
    """Return the last replays of an interface."""
    query = (
        select(ExchangeReplay).where(ExchangeReplay.interface == interface).options(joinedload(ExchangeReplay.actor))
    )
    return session.scalars(query.order_by(ExchangeReplay.id.desc()).limit(limit)).all()
