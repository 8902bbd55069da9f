"""Reading of upkeep: work orders, suppliers, plans, what was done, incidents, costs, and one vehicle's whole upkeep."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.dialects.postgresql import Range, distinct_on
from sqlalchemy.orm import Session, contains_eager, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.attachments import queries as attachments
from fleetapp.attachments.models import Attachment
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotFound
from fleetapp.kit.spans import Span
from fleetapp.upkeep.models import (
    Supplier,
    UpkeepDone,
    UpkeepPlan,
    UpkeepReminder,
    VehicleIncident,
    WorkEvent,
    WorkOrder,
    WorkQuote,
)
from fleetapp.upkeep.rules import COST_KIND, IncidentKind, LineKind, WorkKind, WorkState
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import MeterChange, OdometerReading, Vehicle
from fleetapp.vehicles.rules import CostKind, CostRow, DocumentKind, VehicleState

if TYPE_CHECKING:
    from fleetapp.upkeep.due import DueRow

PAPER_COSTS = {
    DocumentKind.COMPULSORY_INSURANCE: CostKind.INSURANCE, DocumentKind.COMMERCIAL_INSURANCE: CostKind.INSURANCE,
    DocumentKind.INSPECTION: CostKind.INSPECTION,
}  # fmt: skip
NOT_KEPT_UP = (VehicleState.PREPARING, VehicleState.DISPOSING, VehicleState.RETIRED)
"""Nothing comes due and nothing is reported for a vehicle that is not in the fleet yet or on its way out."""


def _below(paths: Sequence[str]) -> ColumnElement[bool]:
    return or_(False, *(Organisation.path.startswith(path, autoescape=True) for path in paths))


def _paths(actor: Actor, action: str, *scopes: str) -> tuple[str, ...]:
    roles = permits.table()[action].roles
    return actor.paths({*(role for role, scope in roles.items() if scope in scopes), Role.SYSTEM})


def visible_to(actor: Actor) -> Select[WorkOrder]:
    """Return the work orders of the units within reach and those the actor reported, the newest first."""
    return (
        select(WorkOrder)
        .join(WorkOrder.org)
        .where(or_(WorkOrder.requester_id == actor.user_id, _below(_paths(actor, "upkeep.read", "unit", "subtree"))))
        .options(contains_eager(WorkOrder.org), joinedload(WorkOrder.vehicle), joinedload(WorkOrder.supplier))
        .order_by(WorkOrder.created_at.desc(), WorkOrder.id.desc())
    )


def filtered(query: Select[WorkOrder], *, state: str | None = None, q: str = "") -> Select[WorkOrder]:
    """Narrow work orders by state and by text in number, plate, fault or unit."""
    if state:
        query = query.where(WorkOrder.state == state)
    if q:
        columns = (WorkOrder.number, Vehicle.plate, WorkOrder.fault, Organisation.name_zh)
        query = query.join(Vehicle, Vehicle.id == WorkOrder.vehicle_id).where(
            or_(*(column.icontains(q, autoescape=True) for column in columns))
        )
    return query


def count_by_state(session: Session, query: Select[WorkOrder]) -> dict[str, int]:
    """Return how many orders of a list are in each state; every state is there."""
    rows = query.order_by(None).options().with_only_columns(WorkOrder.state, func.count()).group_by(WorkOrder.state)
    found = {row[0]: row[1] for row in session.execute(rows)}
    return {state.value: found.get(state.value, 0) for state in WorkState}


def get_order(session: Session, *, order_id: int, actor: Actor, lock: bool = False) -> WorkOrder:
    """Return a work order that the actor may read.

    :raises NotFound: no such order, or out of reach.
    """
    query = visible_to(actor).where(WorkOrder.id == order_id)
    query = query.options(selectinload(WorkOrder.quotes).joinedload(WorkQuote.supplier), selectinload(WorkOrder.lines),
                          joinedload(WorkOrder.requester))  # fmt: skip
    if lock:
        query = query.with_for_update(of=WorkOrder).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def events(session: Session, *, order_id: int) -> Sequence[WorkEvent]:
    """Return the steps of an order, the oldest first."""
    query = select(WorkEvent).where(WorkEvent.order_id == order_id).options(joinedload(WorkEvent.actor))
    return session.scalars(query.order_by(WorkEvent.id)).all()


def reportable(actor: Actor) -> Select[Vehicle]:
    """Return the vehicles of which the actor may report a fault, by plate."""
    paths = _paths(actor, "upkeep.report", "unit", "subtree")
    return (
        select(Vehicle)
        .join(Vehicle.org)
        .where(_below(paths), Vehicle.state.not_in(NOT_KEPT_UP))
        .options(contains_eager(Vehicle.org))
        .order_by(Vehicle.plate)
    )


def get_reportable(session: Session, *, vehicle_id: int, actor: Actor) -> Vehicle:
    """Return a vehicle of which the actor may report a fault.

    :raises NotFound: no such vehicle, out of reach, or not in the fleet.
    """
    found = session.scalar(reportable(actor).where(Vehicle.id == vehicle_id))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def _above_or_below(paths: Sequence[str]) -> ColumnElement[bool]:
    """Match organisations that hold for the actor's part of the tree: within it, or above it."""
    return or_(_below(paths), *(func.starts_with(path, Organisation.path) for path in paths))


def suppliers(actor: Actor, *, kind: str | None = None, on: date | None = None) -> Select[Supplier]:
    """Return the designated suppliers that hold for the actor's units, by name; with ``on`` those under contract that day."""
    query = (
        select(Supplier)
        .join(Supplier.org)
        .where(_above_or_below(_paths(actor, "upkeep.overview", "subtree")))
        .options(contains_eager(Supplier.org))
        .order_by(Supplier.name, Supplier.id)
    )
    if kind:
        query = query.where(Supplier.kind == kind)
    if on:
        query = query.where(Supplier.contract_from <= on, Supplier.contract_to > on)
    return query


def get_supplier(session: Session, *, supplier_id: int, actor: Actor) -> Supplier:
    """Return a supplier that holds for the actor's units.

    :raises NotFound: no such supplier.
    """
    found = session.scalar(suppliers(actor).where(Supplier.id == supplier_id))
    if found is None:
        raise NotFound("kit.not_found")
    return found


def plans(actor: Actor) -> Select[UpkeepPlan]:
    """Return the open plans that hold for the actor's units, by item."""
    return (
        select(UpkeepPlan)
        .join(UpkeepPlan.org)
        .where(UpkeepPlan.ended_at.is_(None), _above_or_below(_paths(actor, "upkeep.overview", "subtree")))
        .options(contains_eager(UpkeepPlan.org), joinedload(UpkeepPlan.vehicle))
        .order_by(UpkeepPlan.item, UpkeepPlan.id)
    )


def last_done(session: Session, *, vehicle_ids: Collection[int]) -> dict[tuple[int, str], UpkeepDone]:
    """Return when each item was last maintained, by (vehicle, item)."""
    query = (
        select(UpkeepDone)
        .where(UpkeepDone.vehicle_id.in_(vehicle_ids))
        .ext(distinct_on(UpkeepDone.vehicle_id, UpkeepDone.item))
        .order_by(UpkeepDone.vehicle_id, UpkeepDone.item, UpkeepDone.done_on.desc(), UpkeepDone.id.desc())
    )
    return {(one.vehicle_id, one.item): one for one in session.scalars(query)}


def reminders(session: Session, *, vehicle_ids: Collection[int]) -> dict[tuple[int, str], UpkeepReminder]:
    """Return the latest reminder of each subject, by (vehicle, subject)."""
    query = (
        select(UpkeepReminder).where(UpkeepReminder.vehicle_id.in_(vehicle_ids)).order_by(UpkeepReminder.lead_days.desc())
    )  # fmt: skip
    return {(one.vehicle_id, one.subject): one for one in session.scalars(query)}


def incidents(
    actor: Actor, *, state: str | None = None, q: str = "", kind: str | None = None
) -> Select[VehicleIncident]:
    """Return the accidents and violations of the units within reach, the latest first."""
    query = (
        select(VehicleIncident)
        .join(VehicleIncident.org)
        .join(VehicleIncident.vehicle)
        .where(_below(_paths(actor, "upkeep.overview", "subtree")))
        .options(contains_eager(VehicleIncident.org), contains_eager(VehicleIncident.vehicle))
        .order_by(VehicleIncident.happened_at.desc(), VehicleIncident.id.desc())
    )
    if state:
        query = query.where(VehicleIncident.state == state)
    if kind:
        query = query.where(VehicleIncident.kind == kind)
    if q:
        query = query.where(
            or_(Vehicle.plate.icontains(q, autoescape=True), VehicleIncident.place.icontains(q, autoescape=True))
        )
    return query


def get_incident(session: Session, *, incident_id: int, actor: Actor, lock: bool = False) -> VehicleIncident:
    """Return an incident that the actor may read.

    :raises NotFound: no such incident, or out of reach.
    """
    query = incidents(actor).where(VehicleIncident.id == incident_id)
    if lock:
        query = query.with_for_update(of=VehicleIncident).execution_options(populate_existing=True)
    found = session.scalar(query)
    if found is None:
        raise NotFound("kit.not_found")
    return found


def files(session: Session, *, subject: str, row_id: int, actor: Actor) -> Sequence[Attachment]:
    """Return the files of a work order or an incident."""
    return attachments.of(session, subject_type=subject, subject_ids=[row_id], actor=actor)


def downtime_h(order: WorkOrder, *, now: datetime) -> float | None:
    """Return the hours a vehicle has been in the shop for an order, until now while it still is."""
    if order.during is None or order.during.lower is None:
        return None
    return ((order.during.upper or now) - order.during.lower).total_seconds() / 3600


def cost_rows(
    session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None
) -> list[CostRow]:
    """Return what upkeep cost over ``[start, end)`` of local days: accepted work, papers with a fee, losses of accidents."""
    first, last = clock.start_of(start), clock.start_of(end)
    work = visible_to(actor).where(WorkOrder.accepted_at >= first, WorkOrder.accepted_at < last)
    work = work.options(selectinload(WorkOrder.lines))
    losses = incidents(actor, kind=IncidentKind.ACCIDENT).where(
        VehicleIncident.happened_at >= first, VehicleIncident.happened_at < last, VehicleIncident.loss > 0
    )
    if vehicle_id is not None:
        work, losses = (
            work.where(WorkOrder.vehicle_id == vehicle_id),
            losses.where(VehicleIncident.vehicle_id == vehicle_id),
        )
    found = [row for order in session.scalars(work) for row in _cost_of(order)]
    paid = vehicles.papers_paid(session, actor=actor, start=start, end=end, vehicle_id=vehicle_id)
    found += [
        CostRow(paper.vehicle_id, paper.org_id, paper.valid_from, PAPER_COSTS.get(DocumentKind(paper.kind), CostKind.OTHER), paper.fee,
                f"upkeep:paper-{paper.id}", note=paper.number) for paper in paid if paper.fee
    ]  # fmt: skip
    found += [
        CostRow(one.vehicle_id, one.org_id, clock.local_date(one.happened_at), CostKind.ACCIDENT, one.loss, f"upkeep:incident-{one.id}",
                note=one.place) for one in session.scalars(losses) if one.loss
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row.on, row.vehicle_id, row.source))


def _cost_of(order: WorkOrder) -> list[CostRow]:
    tyres = sum((line.amount for line in order.lines if line.kind == LineKind.TYRE), Decimal(0))
    parts = {CostKind.TYRES: tyres, COST_KIND[WorkKind(order.kind)]: (order.final_cost or Decimal(0)) - tyres}
    if order.kind == WorkKind.TYRES:
        parts = {CostKind.TYRES: order.final_cost or Decimal(0)}
    on = clock.local_date(order.accepted_at) if order.accepted_at else date.min
    return [CostRow(order.vehicle_id, order.org_id, on, kind, amount, f"upkeep:order-{order.id}", note=order.number)
            for kind, amount in parts.items() if amount]  # fmt: skip


@dataclass(frozen=True, slots=True)
class VehicleUpkeep:
    """Everything about one vehicle's upkeep; lists have the latest first."""

    orders: Sequence[WorkOrder]
    incidents: Sequence[VehicleIncident]
    done: Sequence[UpkeepDone]
    readings: Sequence[OdometerReading]
    meter_changes: Sequence[MeterChange]
    due: Sequence["DueRow"]


def of_vehicle(session: Session, *, vehicle_id: int, actor: Actor, now: datetime | None = None) -> VehicleUpkeep:
    """Return one vehicle's work orders, incidents, maintenance done and readings; with ``now`` also what comes due.

    :raises NotFound: no such vehicle, or out of reach.
    """
    from fleetapp.upkeep import due  # which stands on these queries

    vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    done = select(UpkeepDone).where(UpkeepDone.vehicle_id == vehicle_id)
    return VehicleUpkeep(
        orders=session.scalars(visible_to(actor).where(WorkOrder.vehicle_id == vehicle_id)).all(),
        incidents=session.scalars(incidents(actor).where(VehicleIncident.vehicle_id == vehicle_id)).all(),
        done=session.scalars(done.order_by(UpkeepDone.done_on.desc(), UpkeepDone.id.desc())).all(),
        readings=vehicles.readings(session, vehicle_id=vehicle_id, limit=200),
        meter_changes=vehicles.meter_changes(session, vehicle_id=vehicle_id),
        due=due.of_vehicle(session, vehicle_id=vehicle_id, actor=actor, now=now) if now else (),
    )


def same_lately(session: Session, order: WorkOrder, *, days: int) -> Sequence[WorkOrder]:
    """Return other orders of the same kind on the same vehicle that were begun in the days before: work repeated (rule I-03)."""
    query = select(WorkOrder).where(
        WorkOrder.vehicle_id == order.vehicle_id, WorkOrder.kind == order.kind, WorkOrder.id != order.id,
        WorkOrder.state.not_in([WorkState.REJECTED, WorkState.CANCELLED]), WorkOrder.created_at <= order.created_at,
        WorkOrder.created_at > order.created_at - timedelta(days=days),
    )  # fmt: skip
    return session.scalars(query.order_by(WorkOrder.created_at.desc())).all()


def in_shop(session: Session, *, vehicle_ids: Collection[int], span: Span) -> list[tuple[int, Range[datetime]]]:
    """Return when some vehicles are in the shop during a span, as far as row-level security shows it; open where not back yet."""
    query = select(WorkOrder.vehicle_id, WorkOrder.during).where(
        WorkOrder.vehicle_id.in_(vehicle_ids), WorkOrder.during.overlaps(Range(span.start, span.end))
    )
    return [(vehicle_id, during) for vehicle_id, during in session.execute(query) if during is not None]
