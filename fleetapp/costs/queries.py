"""Reading of costs: the own entries, and those of every slice that has some, in one form."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Date, Select, cast, func, or_, select, text
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.queries import within_reach
from fleetapp.costs import rules
from fleetapp.costs.models import CostEntry
from fleetapp.disposal import queries as disposal
from fleetapp.disposal.models import DisposalCase
from fleetapp.energy import queries as energy
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.orders.models import TravelOrder
from fleetapp.planning.models import Assignment
from fleetapp.trips import queries as trips
from fleetapp.trips.queries import Driven
from fleetapp.upkeep import queries as upkeep
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import PURCHASE_COSTS, Acquired, CostKind, CostRow, CostSum

ORDERS_OFFERED = 30


def visible_to(actor: Actor) -> Select[CostEntry]:
    """Return the own entries within reach, void ones too, the newest first, with unit, vehicle and order loaded."""
    return (
        select(CostEntry)
        .join(CostEntry.org)
        .join(CostEntry.vehicle)
        .where(within_reach(actor, "costs.read"))
        .options(contains_eager(CostEntry.org), contains_eager(CostEntry.vehicle), joinedload(CostEntry.order))
        .order_by(CostEntry.on.desc(), CostEntry.id.desc())
    )


def filtered(
    query: Select[CostEntry],
    *,
    q: str = "",
    kind: str | None = None,
    start_on: date | None = None,
    end_on: date | None = None,
    vehicle_id: int | None = None,
) -> Select[CostEntry]:
    """Narrow entries by text in plate, document or explanation, by kind, local days (both included), vehicle."""
    if q:
        columns = (Vehicle.plate, CostEntry.document_no, CostEntry.explanation)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    if kind:
        query = query.where(CostEntry.kind == kind)
    if start_on:
        query = query.where(CostEntry.on >= start_on)
    if end_on:
        query = query.where(CostEntry.on <= end_on)
    return query if vehicle_id is None else query.where(CostEntry.vehicle_id == vehicle_id)


def total(session: Session, query: Select[CostEntry]) -> Decimal:
    """Return what a list comes to without its void rows."""
    return session.scalar(
        query.where(CostEntry.void_at.is_(None)).order_by(None).with_only_columns(func.sum(CostEntry.amount))
    ) or Decimal(0)


def get_entry(session: Session, *, entry_id: int, actor: Actor, lock: bool = False) -> CostEntry:
    """Return an entry that the actor may read.

    :raises NotFound: no such entry, or out of reach.
    """
    query = visible_to(actor).where(CostEntry.id == entry_id)
    if lock:
        query = query.with_for_update(of=CostEntry).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def orders_of(session: Session, *, vehicle_id: int) -> Sequence[TravelOrder]:
    """Return the latest tasks that a vehicle drove; call it only after ``get_vehicle``."""
    driven = select(Assignment.order_id).where(Assignment.vehicle_id == vehicle_id)
    query = select(TravelOrder).where(TravelOrder.id.in_(driven)).order_by(TravelOrder.start_at.desc())
    return session.scalars(query.limit(ORDERS_OFFERED)).all()


def task_numbers(session: Session, rows: Sequence[CostRow]) -> dict[int, str]:
    """Return the numbers of the tasks that costs name, as far as row-level security shows them."""
    wanted = {row.order_id for row in rows if row.order_id is not None}
    found = session.execute(select(TravelOrder.id, TravelOrder.number).where(TravelOrder.id.in_(wanted)))
    return {order_id: number for order_id, number in found}  # noqa: C416 -- rows are not tuples to a type checker


def drove(session: Session, *, vehicle_id: int, order_id: int) -> bool:
    """Tell whether a vehicle was assigned to an order."""
    query = select(Assignment.id).where(Assignment.vehicle_id == vehicle_id, Assignment.order_id == order_id)
    return session.scalar(query.limit(1)) is not None


def own_rows(session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None) -> list[CostRow]:
    """Return the own entries over the local days ``[start, end)`` as costs."""
    query = filtered(visible_to(actor), start_on=start, end_on=end - timedelta(days=1), vehicle_id=vehicle_id)
    columns = (CostEntry.vehicle_id, CostEntry.org_id, CostEntry.on, CostEntry.kind, CostEntry.amount, CostEntry.id, CostEntry.order_id,
               CostEntry.explanation)  # fmt: skip
    found = session.execute(query.where(CostEntry.void_at.is_(None)).with_only_columns(*columns))
    return [
        CostRow(vehicle, org, on, CostKind(kind), amount, f"costs:{number}", order_id, note)
        for vehicle, org, on, kind, amount, number, order_id, note in found
    ]


def own_sums(session: Session, *, actor: Actor, start: date, end: date) -> list[CostSum]:
    """Return the same added up by the database: by organisation, month and kind."""
    month = cast(func.date_trunc("month", CostEntry.on), Date)
    query = filtered(visible_to(actor), start_on=start, end_on=end - timedelta(days=1)).where(
        CostEntry.void_at.is_(None)
    )
    columns = (CostEntry.org_id, month.label("month"), CostEntry.kind, func.sum(CostEntry.amount))
    found = session.execute(
        query.with_only_columns(*columns).order_by(None).group_by(CostEntry.org_id, text("month"), CostEntry.kind)
    )
    return [CostSum(org, first, CostKind(kind), amount) for org, first, kind, amount in found]


def purchase_rows(
    session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None
) -> list[CostRow]:
    """Return price and purchase tax of the vehicles bought over the local days ``[start, end)``."""
    query = vehicles.visible_to(actor).where(Vehicle.acquired_by == Acquired.PURCHASE)
    if vehicle_id is not None:
        query = query.where(Vehicle.id == vehicle_id)
    found = []
    columns = (
        Vehicle.id,
        Vehicle.org_id,
        Vehicle.acquired_on,
        Vehicle.registered_on,
        Vehicle.price_ex_tax,
        Vehicle.purchase_tax,
    )
    for car in session.execute(query.where(within_reach(actor, "costs.read")).with_only_columns(*columns)):
        on = car.acquired_on or car.registered_on
        parts = ((CostKind.PURCHASE, car.price_ex_tax), (CostKind.PURCHASE_TAX, car.purchase_tax))
        found += [
            CostRow(car.id, car.org_id, on, kind, amount, f"vehicles:{car.id}")
            for kind, amount in parts
            if amount and start <= on < end
        ]
    return found


class Source(Protocol):
    """How a slice reports its costs."""

    def __call__(
        self, session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None
    ) -> list[CostRow]:
        """Return the costs over the local days ``[start, end)``."""


SOURCES: tuple[Source, ...] = (own_rows, purchase_rows, energy.cost_rows, upkeep.cost_rows)
"""Every slice that has costs; proceeds of disposals are income of the treasury, not a cost: see :func:`proceeds`."""


def all_rows(session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None) -> list[CostRow]:
    """Return all costs within reach over the local days ``[start, end)``, the oldest first."""
    rows = [
        row for source in SOURCES for row in source(session, actor=actor, start=start, end=end, vehicle_id=vehicle_id)
    ]
    return sorted(rows, key=lambda row: (row.on, row.source, row.kind))


def sums(session: Session, *, actor: Actor, start: date, end: date) -> list[CostSum]:
    """Return all costs within reach over the local days ``[start, end)`` added up by organisation, month and kind.

    What comes with every journey is added up by the database; a vehicle's few other costs a year are added up here.
    """
    few = [
        *purchase_rows(session, actor=actor, start=start, end=end),
        *upkeep.cost_rows(session, actor=actor, start=start, end=end),
    ]
    return [
        *own_sums(session, actor=actor, start=start, end=end),
        *energy.cost_sums(session, actor=actor, start=start, end=end),
        *(CostSum(row.org_id, rules.month_of(row.on), row.kind, row.amount) for row in few),
    ]


def proceeds(session: Session, *, actor: Actor, vehicle_id: int | None = None) -> dict[int, Decimal]:
    """Return what the disposal of vehicles within reach brought to the treasury, by vehicle."""
    query = disposal.visible_to(actor).where(DisposalCase.remitted.is_not(None))
    if vehicle_id is not None:
        query = query.where(DisposalCase.vehicle_id == vehicle_id)
    return {case.vehicle_id: case.remitted or Decimal(0) for case in session.scalars(query)}


NOTHING = Driven(0.0, 0, None)


def driven(session: Session, *, vehicle_ids: Collection[int], start: date, end: date) -> dict[int, Driven]:
    """Return what vehicles drove over the local days ``[start, end)``; call it for vehicles within reach only.

    Tracks miss what no terminal reported, readings what lies before the first and after the last filling: the longer one counts.
    """
    span = {"start": clock.start_of(start), "end": clock.start_of(end)}
    tracks = trips.driven(session, vehicle_ids=vehicle_ids, **span)
    readings = energy.odometer_m(session, vehicle_ids=vehicle_ids, **span)
    found = {}
    for vehicle_id in tracks.keys() | readings.keys():
        known = tracks.get(vehicle_id, NOTHING)
        found[vehicle_id] = known._replace(metres=max(known.metres, float(readings.get(vehicle_id, 0))))
    return found


def per_km(session: Session, *, vehicle_id: int, actor: Actor, start: date, end: date) -> Decimal | None:
    """Return a vehicle's running costs per kilometre driven over the local days ``[start, end)``, None where it drove none."""
    rows = all_rows(session, actor=actor, start=start, end=end, vehicle_id=vehicle_id)
    known = driven(session, vehicle_ids=[vehicle_id], start=start, end=end).get(vehicle_id, NOTHING)
    running = sum((row.amount for row in rows if row.kind not in PURCHASE_COSTS), Decimal(0))
    return rules.per_km(running, known.metres)
