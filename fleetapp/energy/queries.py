"""Reading of cards, entries and files; the costs they stand for."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Date, Select, cast, func, or_, select, text
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.energy.models import EnergyCard, EnergyEntry, EnergyImport
from fleetapp.energy.rules import Break, EntryKind
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostKind, CostRow, CostSum

COST_KINDS = {EntryKind.FUEL: CostKind.FUEL, EntryKind.CHARGE: CostKind.CHARGING}


def visible_to(actor: Actor) -> Select[EnergyEntry]:
    """Return the entries within reach, void ones too, the newest first, with unit, vehicle and card loaded."""
    return (
        select(EnergyEntry)
        .join(EnergyEntry.org)
        .join(EnergyEntry.vehicle)
        .where(within_reach(actor, "energy.read"))
        .options(contains_eager(EnergyEntry.org), contains_eager(EnergyEntry.vehicle), joinedload(EnergyEntry.card))
        .order_by(EnergyEntry.at.desc(), EnergyEntry.id.desc())
    )


def filtered(
    query: Select[EnergyEntry],
    *,
    q: str = "",
    kind: str | None = None,
    start_on: date | None = None,
    end_on: date | None = None,
    org_path: str | None = None,
    vehicle_id: int | None = None,
) -> Select[EnergyEntry]:
    """Narrow entries by text in plate, station or card, by kind, local days (both included), sub-tree, vehicle."""
    if q:
        by_card = select(EnergyCard.id).where(EnergyCard.number.icontains(q, autoescape=True))
        query = query.where(
            or_(Vehicle.plate.icontains(q, autoescape=True), EnergyEntry.station.icontains(q, autoescape=True),
                EnergyEntry.card_id.in_(by_card))
        )  # fmt: skip
    if kind:
        query = query.where(EnergyEntry.kind == kind)
    if start_on:
        query = query.where(EnergyEntry.at >= clock.start_of(start_on))
    if end_on:
        query = query.where(EnergyEntry.at < clock.start_of(end_on + timedelta(days=1)))
    if org_path:
        query = query.where(Organisation.path.startswith(org_path, autoescape=True))
    return query if vehicle_id is None else query.where(EnergyEntry.vehicle_id == vehicle_id)


@dataclass(frozen=True, slots=True)
class Total:
    """What the entries of one kind and energy add up to."""

    kind: str
    energy: str
    entries: int
    quantity: Decimal
    amount: Decimal


def totals(session: Session, query: Select[EnergyEntry]) -> list[Total]:
    """Return the sums of a list without its void rows, by kind and the vehicles' energy."""
    rows = (
        query.where(EnergyEntry.void_at.is_(None))
        .order_by(None)
        .with_only_columns(
            EnergyEntry.kind, Vehicle.energy, func.count(), func.sum(EnergyEntry.quantity), func.sum(EnergyEntry.amount)
        )
        .group_by(EnergyEntry.kind, Vehicle.energy)
        .order_by(EnergyEntry.kind, Vehicle.energy)
    )
    return [Total(*row) for row in session.execute(rows)]


def get_entry(session: Session, *, entry_id: int, actor: Actor, lock: bool = False) -> EnergyEntry:
    """Return an entry that the actor may read.

    :raises NotFound: no such entry, or out of reach.
    """
    query = visible_to(actor).where(EnergyEntry.id == entry_id)
    if lock:
        query = query.with_for_update(of=EnergyEntry).execution_options(populate_existing=True)
    found: EnergyEntry = _found(session.scalar(query))
    return found


def _found(row: Any) -> Any:
    if row is None:
        raise NotFound("kit.not_found")
    return row


class Valid(NamedTuple):
    """What counts of an entry."""

    vehicle_id: int
    kind: str
    at: datetime
    quantity: Decimal
    amount: Decimal
    odometer_m: int | None
    full: bool
    soc_percent: int | None
    breaks: str | None


def valid_in(session: Session, *, vehicle_ids: Collection[int], start: datetime, end: datetime) -> list[Valid]:
    """Return the entries that are not void of some vehicles over ``[start, end)``, by time; call it for vehicles within reach only."""
    query = (
        select(*(getattr(EnergyEntry, name) for name in Valid._fields))
        .where(
            EnergyEntry.vehicle_id.in_(vehicle_ids),
            EnergyEntry.void_at.is_(None),
            EnergyEntry.at >= start,
            EnergyEntry.at < end,
        )
        .order_by(EnergyEntry.at, EnergyEntry.id)
    )
    return [Valid(*row) for row in session.execute(query)]


def odometer_m(session: Session, *, vehicle_ids: Collection[int], start: datetime, end: datetime) -> dict[int, int]:
    """Return the metres between the lowest and the highest reading over ``[start, end)`` by vehicle; none where the meter was changed."""
    changed = func.count().filter(EnergyEntry.breaks == Break.METER)
    query = (
        select(EnergyEntry.vehicle_id, func.max(EnergyEntry.odometer_m) - func.min(EnergyEntry.odometer_m))
        .where(
            EnergyEntry.vehicle_id.in_(vehicle_ids),
            EnergyEntry.void_at.is_(None),
            EnergyEntry.at >= start,
            EnergyEntry.at < end,
        )
        .group_by(EnergyEntry.vehicle_id)
        .having(func.count(EnergyEntry.odometer_m) > 1, changed == 0)
    )
    return {vehicle_id: metres or 0 for vehicle_id, metres in session.execute(query)}


def cards_visible_to(actor: Actor) -> Select[EnergyCard]:
    """Return the cards within reach, by number, with unit and vehicle loaded."""
    return (
        select(EnergyCard)
        .join(EnergyCard.org)
        .join(EnergyCard.vehicle)
        .where(within_reach(actor, "energy.read"))
        .options(contains_eager(EnergyCard.org), contains_eager(EnergyCard.vehicle))
        .order_by(EnergyCard.number, EnergyCard.id)
    )


def cards_filtered(query: Select[EnergyCard], *, q: str = "", state: str | None = None) -> Select[EnergyCard]:
    """Narrow cards by text in number, issuer or plate, and by state."""
    if q:
        columns = (EnergyCard.number, EnergyCard.issuer, Vehicle.plate)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    return query.where(EnergyCard.state == state) if state else query


def get_card(session: Session, *, card_id: int, actor: Actor) -> EnergyCard:
    """Return a card that the actor may read.

    :raises NotFound: no such card, or out of reach.
    """
    found: EnergyCard = _found(session.scalar(cards_visible_to(actor).where(EnergyCard.id == card_id)))
    return found


def imports_visible_to(actor: Actor) -> Select[EnergyImport]:
    """Return the files within reach, the newest first."""
    return (
        select(EnergyImport)
        .join(EnergyImport.org)
        .where(within_reach(actor, "energy.read"))
        .options(contains_eager(EnergyImport.org), joinedload(EnergyImport.creator))
        .order_by(EnergyImport.id.desc())
    )


def get_import(session: Session, *, import_id: int, actor: Actor, lock: bool = False) -> EnergyImport:
    """Return a file's row that the actor may read.

    :raises NotFound: no such file, or out of reach.
    """
    query = imports_visible_to(actor).where(EnergyImport.id == import_id)
    if lock:
        query = query.with_for_update(of=EnergyImport).execution_options(populate_existing=True)
    found: EnergyImport = _found(session.scalar(query))
    return found


def digests_known(session: Session, digests: Collection[str]) -> set[str]:
    """Return which rows of a file have been imported before, void ones too: a void row does not come back by itself."""
    found = session.scalars(select(EnergyEntry.digest).where(EnergyEntry.digest.in_(digests)))
    return {digest for digest in found if digest is not None}


def cost_sums(session: Session, *, actor: Actor, start: date, end: date) -> list[CostSum]:
    """Return the same added up by the database: by organisation, local month and kind."""
    month = cast(func.date_trunc("month", func.timezone("Asia/Shanghai", EnergyEntry.at)), Date)
    query = filtered(visible_to(actor), start_on=start, end_on=end - timedelta(days=1)).where(
        EnergyEntry.void_at.is_(None)
    )
    columns = (EnergyEntry.org_id, month.label("month"), EnergyEntry.kind, func.sum(EnergyEntry.amount))
    found = session.execute(
        query.with_only_columns(*columns).order_by(None).group_by(EnergyEntry.org_id, text("month"), EnergyEntry.kind)
    )
    return [CostSum(org, first, COST_KINDS[EntryKind(kind)], amount) for org, first, kind, amount in found]


def cost_rows(
    session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None
) -> list[CostRow]:
    """Return what was filled and charged over the local days ``[start, end)`` as costs, the oldest first.

    What was filled during a task of the vehicle belongs to that task.
    """
    rows = filtered(visible_to(actor), start_on=start, end_on=end - timedelta(days=1), vehicle_id=vehicle_id)
    # Of orders that share the vehicle the first one has it: an entry is counted once.
    first = select(func.min(Assignment.id)).where(
        Assignment.vehicle_id == EnergyEntry.vehicle_id, Assignment.state == AssignmentState.ACTIVE,
        Assignment.during.contains(EnergyEntry.at),
    ).correlate(EnergyEntry).scalar_subquery()  # fmt: skip
    columns = (EnergyEntry.vehicle_id, EnergyEntry.org_id, EnergyEntry.at, EnergyEntry.kind, EnergyEntry.amount, EnergyEntry.id,
               Assignment.order_id, EnergyEntry.station)  # fmt: skip
    query = (
        rows.where(EnergyEntry.void_at.is_(None))
        .with_only_columns(*columns)
        .outerjoin(Assignment, Assignment.id == first)
    )
    found = session.execute(query.order_by(None).order_by(EnergyEntry.at, EnergyEntry.id))
    return [
        CostRow(
            vehicle,
            org,
            clock.local_date(at),
            COST_KINDS[EntryKind(kind)],
            amount,
            f"energy:{number}",
            order_id,
            station,
        )
        for vehicle, org, at, kind, amount, number, order_id, station in found
    ]
