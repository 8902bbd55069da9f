"""What each feed reads: rows of the slices below in the order of their ids, a window at a time, never a confidential one.

A restricted or secret vehicle, a confidential order and whatever was spent on either are not read at all; they count in a
unit's number of vehicles only (``docs/exchange.md``).
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

from fleetapp.accounts.models import Organisation
from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions.rules import Step, cap_of, has_step
from fleetapp.costs.models import CostEntry
from fleetapp.disposal.models import DisposalCase
from fleetapp.disposal.rules import DisposalState
from fleetapp.drivers.models import Driver
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.duty.rules import DutyAction, ExpenseKind
from fleetapp.energy.models import EnergyEntry
from fleetapp.exchange import records
from fleetapp.exchange.records import Record
from fleetapp.findings.models import Finding, FindingCase, FindingState
from fleetapp.orders.models import OrderKind, TravelOrder
from fleetapp.planning.models import Assignment
from fleetapp.sharing.models import Fallback
from fleetapp.sharing.rules import FallbackKind
from fleetapp.upkeep.models import VehicleIncident, WorkOrder
from fleetapp.upkeep.rules import IncidentKind, WorkKind, WorkState
from fleetapp.vehicles.models import Vehicle, VehicleDocument
from fleetapp.vehicles.rules import Body, Category, CostKind, DocumentKind, Energy, Secrecy, VehicleState

Read = list[tuple[int, Record | None]]
"""The id of every row looked at with its record; None where a row has none."""


@dataclass(frozen=True, slots=True)
class Window:
    """Rows with an id in ``(after, upto]``, at most ``limit`` of them; or exactly those of ``ids``."""

    after: int = 0
    limit: int = 500
    upto: int | None = None
    ids: Collection[int] | None = None


Reader = Callable[[Session, Window], Read]
OPEN = Vehicle.secrecy == Secrecy.NORMAL
NAMED = TravelOrder.kind != OrderKind.CONFIDENTIAL
SPENT_OPENLY = TravelOrder.id.is_(None) | NAMED


def _cut(query: Any, column: Any, window: Window) -> Any:
    """Narrow a query to the rows of a window, in the order of their ids."""
    if window.ids is not None:
        return query.where(column.in_(window.ids))
    query = query.where(column > window.after).order_by(column).limit(window.limit)
    return query if window.upto is None else query.where(column <= window.upto)


def units(session: Session, window: Window) -> Read:
    """Read the organisations with the number of vehicles they hold, restricted and secret ones included."""
    above = aliased(Organisation)
    held = (
        select(func.count())
        .where(Vehicle.org_id == Organisation.id, Vehicle.state != VehicleState.RETIRED)
        .scalar_subquery()
    )
    query = select(Organisation, above.code, held).outerjoin(above, above.id == Organisation.parent_id)
    return [
        (org.id, records.unit(org, code, count))
        for org, code, count in session.execute(_cut(query, Organisation.id, window))
    ]


def _cars(session: Session, window: Window) -> Sequence[Vehicle]:
    query = select(Vehicle).where(OPEN).options(joinedload(Vehicle.org))
    return session.scalars(_cut(query, Vehicle.id, window)).all()


def vehicles(session: Session, window: Window) -> Read:
    """Read the vehicles, retired ones too."""
    return [(car.id, records.vehicle(car)) for car in _cars(session, window)]


def over_standard(session: Session, window: Window) -> Read:
    """Read the vehicles against the caps of the day they were acquired on: the widest line of their class counts."""
    book = acquisitions.CapBook(session)
    found: Read = []
    for car in _cars(session, window):
        figures, category = book.on(car.acquired_on or car.registered_on, car.org.path), Category(car.category)
        step = next(
            line for line in (Step.EXCEPTIONAL, Step.WORK_NEED, Step.NORMAL) if has_step(figures, category, line)
        )
        cap = (
            cap_of(figures, category=category, body=Body(car.body), energy=Energy(car.energy), step=step)
            if figures
            else None
        )
        found.append((car.id, records.over_standard(car, cap)))
    return found


def drivers(session: Session, window: Window) -> Read:
    """Read the drivers, those who left too."""
    query = select(Driver).options(joinedload(Driver.org), joinedload(Driver.user))
    return [(one.id, records.driver(one)) for one in session.scalars(_cut(query, Driver.id, window))]


def dispatches(session: Session, window: Window) -> Read:
    """Read the assignments with what the driver reported."""
    query = (
        select(Assignment, Organisation.code)
        .join(Assignment.vehicle)
        .join(Assignment.order)
        .join(Organisation, Organisation.id == Assignment.org_id)
        .where(OPEN, NAMED)
        .options(
            joinedload(Assignment.vehicle), joinedload(Assignment.slip),
            joinedload(Assignment.order).options(joinedload(TravelOrder.org), selectinload(TravelOrder.stops)),
        )
    )  # fmt: skip
    rows = session.execute(_cut(query, Assignment.id, window)).all()
    steps: dict[int, dict[str, Any]] = {}
    wanted = (DutyAction.CHECK_OUT, DutyAction.CHECK_IN)
    told = select(DutyEvent).where(
        DutyEvent.assignment_id.in_([one.id for one, _ in rows]), DutyEvent.action.in_(wanted)
    )
    for event in session.scalars(told.order_by(DutyEvent.id)):
        steps.setdefault(event.assignment_id, {})[event.action] = (event.at, event.odometer_m)
    return [(one.id, records.dispatch(one, code, steps.get(one.id, {}))) for one, code in rows]


def maintenance(session: Session, window: Window) -> Read:
    """Read the accepted works but inspections, which have an interface of their own."""
    query = (
        select(WorkOrder)
        .join(WorkOrder.vehicle)
        .where(OPEN, WorkOrder.state == WorkState.ACCEPTED, WorkOrder.kind != WorkKind.INSPECTION)
        .options(joinedload(WorkOrder.vehicle), joinedload(WorkOrder.org), joinedload(WorkOrder.supplier))
    )
    return [(one.id, records.maintenance(one)) for one in session.scalars(_cut(query, WorkOrder.id, window))]


def _papers(*kinds: DocumentKind, record: Callable[[VehicleDocument, Vehicle], Record]) -> Reader:
    def read(session: Session, window: Window) -> Read:
        query = (
            select(VehicleDocument, Vehicle)
            .join(Vehicle, Vehicle.id == VehicleDocument.vehicle_id)
            .where(OPEN, VehicleDocument.kind.in_(kinds), VehicleDocument.exempt_reason.is_(None))
            .options(joinedload(Vehicle.org))
        )
        return [
            (paper.id, record(paper, car)) for paper, car in session.execute(_cut(query, VehicleDocument.id, window))
        ]

    return read


inspections = _papers(DocumentKind.INSPECTION, record=records.inspection)
insurance = _papers(DocumentKind.COMPULSORY_INSURANCE, DocumentKind.COMMERCIAL_INSURANCE, record=records.insurance)


def energy(session: Session, window: Window) -> Read:
    """Read fillings and chargings with the task the vehicle was out on; what was bought on a confidential one is left out."""
    out = and_(
        Assignment.vehicle_id == EnergyEntry.vehicle_id,
        Assignment.state == "ACTIVE",
        Assignment.during.contains(EnergyEntry.at),
    )
    secret = (
        select(Assignment.id)
        .join(Assignment.order)
        .where(out, TravelOrder.kind == OrderKind.CONFIDENTIAL)
        .correlate(EnergyEntry)
        .exists()
    )
    number = (
        select(func.min(TravelOrder.number))
        .select_from(Assignment)
        .join(Assignment.order)
        .where(out)
        .correlate(EnergyEntry)
        .scalar_subquery()
    )
    query = (
        select(EnergyEntry, number)
        .join(EnergyEntry.vehicle)
        .where(OPEN, ~secret)
        .options(joinedload(EnergyEntry.vehicle), joinedload(EnergyEntry.org))
    )
    return [(one.id, records.energy(one, task)) for one, task in session.execute(_cut(query, EnergyEntry.id, window))]


def costs(*kinds: CostKind, but: bool = False) -> Reader:
    """Return the reader of costs entered by hand of these kinds, or of all others."""

    def read(session: Session, window: Window) -> Read:
        query = (
            select(CostEntry)
            .join(CostEntry.vehicle)
            .outerjoin(CostEntry.order)
            .where(OPEN, SPENT_OPENLY, CostEntry.kind.not_in(kinds) if but else CostEntry.kind.in_(kinds))
            .options(joinedload(CostEntry.vehicle), joinedload(CostEntry.org), joinedload(CostEntry.order))
        )
        return [(one.id, records.cost(one)) for one in session.scalars(_cut(query, CostEntry.id, window))]

    return read


def expenses(kind: ExpenseKind) -> Reader:
    """Return the reader of what drivers paid of a kind; fuel and charging are the energy ledger's."""

    def read(session: Session, window: Window) -> Read:
        query = (
            select(TripExpense)
            .join(TripExpense.assignment)
            .join(Assignment.vehicle)
            .join(Assignment.order)
            .where(OPEN, NAMED, TripExpense.kind == kind)
            .options(
                joinedload(TripExpense.org),
                joinedload(TripExpense.assignment).options(
                    joinedload(Assignment.vehicle), joinedload(Assignment.order)
                ),
            )
        )
        return [(one.id, records.expense(one)) for one in session.scalars(_cut(query, TripExpense.id, window))]

    return read


def supervision(session: Session, window: Window) -> Read:
    """Read the cases that people have concluded and that are not open again, but for those of a confidential order."""
    secret = FindingCase.findings.any(Finding.order_id.in_(select(TravelOrder.id).where(~NAMED)))
    query = (
        select(FindingCase)
        .join(FindingCase.vehicle)
        .where(OPEN, ~secret, FindingCase.outcome.is_not(None), FindingCase.decided_at.is_not(None),
               FindingCase.state != FindingState.REOPENED)
        .options(joinedload(FindingCase.vehicle), joinedload(FindingCase.org), selectinload(FindingCase.findings))
    )  # fmt: skip
    return [(case.id, records.supervision(case)) for case in session.scalars(_cut(query, FindingCase.id, window))]


def rentals(session: Session, window: Window) -> Read:
    """Read the journeys served by rented cars."""
    query = (
        select(Fallback, Organisation)
        .join(Fallback.order)
        .join(Organisation, Organisation.id == Fallback.org_id)
        .where(NAMED, Fallback.kind.in_([FallbackKind.RENTAL, FallbackKind.RIDE_HAILING]))
        .options(joinedload(Fallback.order))
    )
    return [(one.id, records.rental(one, org)) for one, org in session.execute(_cut(query, Fallback.id, window))]


def violations(session: Session, window: Window) -> Read:
    """Read the traffic violations."""
    query = (
        select(VehicleIncident)
        .join(VehicleIncident.vehicle)
        .where(OPEN, VehicleIncident.kind == IncidentKind.VIOLATION)
        .options(joinedload(VehicleIncident.vehicle), joinedload(VehicleIncident.org))
    )
    return [(one.id, records.violation(one)) for one in session.scalars(_cut(query, VehicleIncident.id, window))]


def disposals(session: Session, window: Window) -> Read:
    """Read the disposals that are through."""
    query = (
        select(DisposalCase)
        .join(DisposalCase.vehicle)
        .where(OPEN, DisposalCase.state.in_([DisposalState.DEREGISTERED, DisposalState.ARCHIVED]))
        .options(joinedload(DisposalCase.vehicle), joinedload(DisposalCase.org), joinedload(DisposalCase.receiver))
    )
    return [(case.id, records.disposal(case)) for case in session.scalars(_cut(query, DisposalCase.id, window))]


def unnamed(session: Session) -> tuple[int, int]:
    """Return how many vehicles and orders of those one may see are never named upwards."""
    cars = select(func.count()).where(~OPEN, Vehicle.state != VehicleState.RETIRED)
    orders = select(func.count()).where(~NAMED)
    return session.scalar(cars) or 0, session.scalar(orders) or 0
