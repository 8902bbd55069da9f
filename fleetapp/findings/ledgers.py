"""The ledgers of a vehicle as the rules look at them: papers, fuel, readings, repairs, seals, tickets, life cycle."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session, joinedload

from fleetapp.acquisitions.models import Indicator, Procurement, QuotaEntry
from fleetapp.costs import queries as costs
from fleetapp.disposal.models import DisposalCase
from fleetapp.drivers.models import Driver
from fleetapp.duty.models import DutyEvent, TripExpense
from fleetapp.duty.rules import DutyAction
from fleetapp.energy.models import EnergyEntry
from fleetapp.energy.rules import EntryKind
from fleetapp.findings import external, rules
from fleetapp.findings.inputs import ApprovedStop
from fleetapp.findings.known import External, Fill, Life, Paper, Reading, Rental, SealFacts, Ticket, Work
from fleetapp.findings.rules import FigureRow
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.orders.changes import only_shorter
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import DRIVEN, ChangeState, OrderState
from fleetapp.places.models import Place
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.seals.models import SealRecord
from fleetapp.sharing.models import Fallback, ShareLoan
from fleetapp.sharing.rules import FallbackKind, FallbackReason, LoanState
from fleetapp.upkeep.models import VehicleIncident, WorkOrder
from fleetapp.upkeep.rules import IncidentKind
from fleetapp.vehicles.models import OdometerReading, Vehicle, VehicleDocument
from fleetapp.vehicles.rules import PURCHASE_COSTS, DocumentKind, ManagementMode, VehicleState


def papers(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[Paper]:
    """Return the orders assigned to a vehicle that touch ``[start, end)`` with what people did about them, in time order."""
    rows = (
        session.scalars(
            select(Assignment)
            .where(
                Assignment.vehicle_id == vehicle_id, Assignment.state == AssignmentState.ACTIVE,
                Assignment.during.op("&&")(func.tstzrange(start, end)),
            )
            .options(
                joinedload(Assignment.order).selectinload(TravelOrder.stops), joinedload(Assignment.order).selectinload(TravelOrder.changes),
                joinedload(Assignment.slip), joinedload(Assignment.driver),
            )
        )
        .unique().all()
    )  # fmt: skip
    ids = [row.id for row in rows]
    out = dict(
        session.execute(
            select(DutyEvent.assignment_id, Driver.user_id).join(Driver, Driver.id == DutyEvent.driver_id)
            .where(DutyEvent.assignment_id.in_(ids), DutyEvent.action == DutyAction.CHECK_OUT)
        ).all()
    ) if ids else {}  # fmt: skip
    spent = dict(
        session.execute(
            select(TripExpense.assignment_id, func.sum(TripExpense.amount))
            .where(TripExpense.assignment_id.in_(ids), TripExpense.void_at.is_(None)).group_by(TripExpense.assignment_id)
        ).all()
    ) if ids else {}  # fmt: skip
    return sorted(
        (_paper(row, out.get(row.id), float(spent.get(row.id) or 0)) for row in rows), key=lambda paper: paper.start_at
    )


def _paper(row: Assignment, checked_out_by: int | None, expenses: float) -> Paper:
    order = row.order
    unapproved = [
        change for change in order.changes
        if change.state == ChangeState.APPLIED and change.approval_case_id is None and not only_shorter(change.before, change.after)
    ]  # fmt: skip
    return Paper(
        order_id=order.id, slip=row.slip.number, kind=order.kind, purpose=order.purpose, state=order.state, start_at=order.start_at,
        end_at=order.end_at, created_at=order.created_at, applicant_id=order.applicant_id, filed_by_id=order.filed_by_id,
        approver_id=order.approver_id, driver_id=row.driver_id, driver_user_id=row.driver.user_id, checked_out_by=checked_out_by,
        passenger_count=order.passenger_count, supplementary=order.supplementary, route_m=order.route_m, area=order.area, expenses=expenses,
        unapproved_changes=len(unapproved), licence=row.driver.licence, licence_valid_to=row.driver.licence_valid_to,
        driven=order.state in DRIVEN, stops=tuple(ApprovedStop(stop.name, stop.lat, stop.lon, float(stop.tolerance_m)) for stop in order.stops),
    )  # fmt: skip


def fills(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[Fill]:
    """Return the fillings and chargings that are not void, in time order; the station's place where the gazetteer has its name."""
    rows = session.scalars(
        select(EnergyEntry)
        .where(EnergyEntry.vehicle_id == vehicle_id, EnergyEntry.void_at.is_(None), EnergyEntry.at >= start, EnergyEntry.at < end)
        .options(joinedload(EnergyEntry.card))
        .order_by(EnergyEntry.at, EnergyEntry.id)
    ).all()  # fmt: skip
    names = {row.station for row in rows if row.station}
    query = select(Place.name_zh, func.ST_Y(Place.point), func.ST_X(Place.point)).where(Place.name_zh.in_(names))
    where = {name: (lat, lon) for name, lat, lon in session.execute(query)} if names else {}
    return [
        Fill(
            id=row.id, kind=row.kind, at=row.at, quantity=float(row.quantity), amount=float(row.amount), odometer_m=row.odometer_m,
            full=row.full, soc_percent=row.soc_percent, breaks=row.breaks, product=row.product, station=row.station,
            lat=where.get(row.station or "", (None, None))[0], lon=where.get(row.station or "", (None, None))[1],
            card=row.card.number if row.card else None, card_vehicle_id=row.card.vehicle_id if row.card else None,
        )
        for row in rows
    ]  # fmt: skip


def fills_of_unit(session: Session, *, org_id: int, start_on: date, end_on: date) -> list[tuple[int, datetime, float]]:
    """Return (vehicle, moment, CNY) of the unit's fillings from the first of the month to a day, void ones left out."""
    start, end = clock.start_of(start_on.replace(day=1)), clock.start_of(end_on + timedelta(days=1))
    rows = session.execute(
        select(EnergyEntry.vehicle_id, EnergyEntry.at, EnergyEntry.amount).where(
            EnergyEntry.org_id == org_id, EnergyEntry.kind == EntryKind.FUEL, EnergyEntry.void_at.is_(None), EnergyEntry.at >= start,
            EnergyEntry.at < end,
        )
    )  # fmt: skip
    return [(vehicle_id, at, float(amount)) for vehicle_id, at, amount in rows]


WANTING = (FallbackReason.NONE_FREE, FallbackReason.NONE_SUITABLE, FallbackReason.DECLINED)
"""Reasons of a rental that an idle car speaks against; it does not speak against a missing driver or a lower price."""


def rentals(session: Session, *, org_id: int, start: datetime, end: datetime) -> list[Rental]:
    """Return what a unit rented for want of a vehicle for orders that begin in ``[start, end)``, with the own ones idle then."""
    rows = session.execute(
        select(Fallback, TravelOrder).join(TravelOrder, TravelOrder.id == Fallback.order_id).where(
            Fallback.org_id == org_id, Fallback.kind == FallbackKind.RENTAL, Fallback.reason.in_(WANTING), TravelOrder.start_at >= start,
            TravelOrder.start_at < end, TravelOrder.state.not_in([OrderState.CANCELLED, OrderState.WITHDRAWN, OrderState.NO_SHOW]),
        ).order_by(TravelOrder.start_at, TravelOrder.id)
    ).all()  # fmt: skip
    return [
        Rental(
            id=row.id, number=order.number, start_at=order.start_at, end_at=order.end_at, passengers=order.passenger_count,
            price=float(row.price), idle=_idle(session, org_id, order),
        )
        for row, order in rows
    ]  # fmt: skip


def _idle(session: Session, org_id: int, order: TravelOrder) -> tuple[int, ...]:
    """Return the unit's vehicles with the seats for an order that nothing was planned for at its time."""
    span = func.tstzrange(order.start_at, order.end_at)
    taken = (
        select(Assignment.vehicle_id).where(
            Assignment.state == AssignmentState.ACTIVE, Assignment.during.op("&&")(span)
        ),
        select(WorkOrder.vehicle_id).where(WorkOrder.during.op("&&")(span)),
        select(ShareLoan.vehicle_id).where(ShareLoan.state != LoanState.CALLED_OFF, ShareLoan.during.op("&&")(span)),
    )
    query = select(Vehicle.id).where(
        Vehicle.org_id == org_id, Vehicle.state == VehicleState.IN_SERVICE, Vehicle.management_mode != ManagementMode.RENTED,
        Vehicle.seats > order.passenger_count, *(Vehicle.id.not_in(ids) for ids in taken),
    )  # fmt: skip
    return tuple(session.scalars(query.order_by(Vehicle.id)))


def supplementary(session: Session, *, org_id: int, start_on: date, end_on: date) -> dict[str, tuple[int, int]]:
    """Return (supplementary, all) orders of a unit by local month of their start."""
    rows = session.execute(
        select(TravelOrder.start_at, TravelOrder.supplementary).where(
            TravelOrder.org_id == org_id, TravelOrder.start_at >= clock.start_of(start_on),
            TravelOrder.start_at < clock.start_of(end_on + timedelta(days=1)), TravelOrder.approved_at.is_not(None),
        )
    )  # fmt: skip
    counts: dict[str, list[int]] = {}
    for at, late in rows:
        own = counts.setdefault(f"{clock.local(at):%Y-%m}", [0, 0])
        own[0] += late
        own[1] += 1
    return {month: (late, every) for month, (late, every) in counts.items()}


def readings(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[Reading]:
    """Return the readings of ``[start, end)`` by time."""
    query = select(OdometerReading).where(
        OdometerReading.vehicle_id == vehicle_id, OdometerReading.at >= start, OdometerReading.at < end
    )
    rows = session.scalars(query.order_by(OdometerReading.at, OdometerReading.id))
    return [Reading(row.at, row.meter, row.reading_m) for row in rows]


def works(session: Session, *, vehicle_id: int, start: datetime) -> list[Work]:
    """Return the works that have had the vehicle in the shop since a moment."""
    rows = session.scalars(
        select(WorkOrder)
        .where(WorkOrder.vehicle_id == vehicle_id, WorkOrder.during.op("&&")(func.tstzrange(start, None)))
        .options(joinedload(WorkOrder.supplier), joinedload(WorkOrder.lines))
    )
    found = []
    for row in rows.unique():
        span, supplier = row.during, row.supplier
        on = clock.local_date(span.lower) if span is not None and span.lower is not None else None
        contracted = supplier is None or on is None or supplier.contract_from <= on < supplier.contract_to
        found.append(Work(
            id=row.id, number=row.number, supplier=supplier.name if supplier else "", contracted=contracted,
            in_at=span.lower if span else None, out_at=span.upper if span else None, cost=float(row.final_cost or 0),
            parts=tuple(sorted({line.name for line in row.lines if line.kind == "part" and line.quantity > 0})),
        ))  # fmt: skip
    return found


def seals(session: Session, *, vehicle_id: int, start_on: date) -> list[SealFacts]:
    """Return the vehicle's records under notices of sealing whose days end after a day."""
    rows = session.scalars(select(SealRecord).where(SealRecord.vehicle_id == vehicle_id))
    return [
        SealFacts(
            id=row.id, start_on=row.during.lower, end_on=row.during.upper, state=row.state, sealed_at=row.sealed_at,
            unsealed_at=row.unsealed_at, exempt_from=row.exempt_from, exempt_until=row.exempt_until,
        )
        for row in rows
        if row.during.lower is not None and row.during.upper is not None and row.during.upper > start_on
    ]  # fmt: skip


def tickets(session: Session, *, vehicle_id: int, start: datetime) -> list[Ticket]:
    """Return the violations since a moment."""
    query = select(VehicleIncident).where(
        VehicleIncident.vehicle_id == vehicle_id,
        VehicleIncident.kind == IncidentKind.VIOLATION,
        VehicleIncident.happened_at >= start,
    )
    return [Ticket(row.id, row.happened_at, row.place, row.closed_at) for row in session.scalars(query)]


def externals(session: Session, *, plate: str, start: datetime, end: datetime) -> Sequence[External]:
    """Return what car parks and toll stations saw of a plate."""
    return external.of_plate(session, plate=plate, start=start, end=end)


def life(session: Session, *, vehicle: Vehicle, on: date, figure_rows: Sequence[FigureRow]) -> Life:
    """Return what the life-cycle ledgers say of a vehicle as of a local day."""
    buy = session.scalar(
        select(Procurement).where(Procurement.vehicle_id == vehicle.id).options(joinedload(Procurement.indicator))
    )
    indicator = buy.indicator if buy is not None else None
    old = indicator.old_vehicle if indicator is not None else None
    deal = session.scalar(
        select(DisposalCase)
        .where(DisposalCase.vehicle_id == vehicle.id, DisposalCase.deal_on.is_not(None))
        .order_by(DisposalCase.id.desc())
        .limit(1)
    )
    replaced = session.scalar(
        select(func.min(Vehicle.acquired_on))
        .join(Indicator, Indicator.vehicle_id == Vehicle.id)
        .where(Indicator.old_vehicle_id == vehicle.id)
    )
    borrowed = session.scalar(
        select(func.min(func.lower(ShareLoan.during))).where(
            ShareLoan.vehicle_id == vehicle.id, ShareLoan.state.in_([LoanState.AGREED, LoanState.RECALLED]),
            ShareLoan.during.op("@>")(literal(clock.start_of(on))),
        )
    )  # fmt: skip
    documents = session.scalars(
        select(VehicleDocument).where(VehicleDocument.vehicle_id == vehicle.id, VehicleDocument.void_at.is_(None))
    ).all()
    until: dict[str, date] = {}
    for paper in documents:
        if paper.valid_to is not None:
            until[paper.kind] = max(paper.valid_to, until.get(paper.kind, paper.valid_to))
    owner = next(
        (paper.holder_name for paper in documents if paper.kind == DocumentKind.REGISTRATION and paper.holder_name),
        None,
    )
    decided = clock.local_date(indicator.decided_at) if indicator is not None and indicator.decided_at else None
    return Life(
        **_places(session, vehicle, on), contract_on=buy.contract_on if buy else None, indicator_no=indicator.number if indicator else None,
        indicator_id=indicator.id if indicator else None, indicator_on=decided,
        special_approval=bool(indicator is not None and (indicator.special_approval or indicator.step != "normal")),
        old_registered_on=old.registered_on if old is not None else None, replaced_on=replaced, owner=owner, unit=vehicle.org.name_zh,
        marked=any(paper.kind == DocumentKind.MARKING for paper in documents) if documents else None,
        papers_until=until, deal_on=deal.deal_on if deal else None, remitted_on=deal.remitted_on if deal else None,
        borrowed_since=clock.local_date(borrowed) if borrowed else None,
        running_cny=_running(session, vehicle, on), figures_on_contract=rules.figures_on(figure_rows, on=buy.contract_on, org_path=vehicle.org.path, whole=False) if buy and buy.contract_on else None,
    )  # fmt: skip


def _running(session: Session, vehicle: Vehicle, on: date) -> float:
    """Return what a vehicle cost from the first of January up to a local day with it, purchase left out."""
    rows = costs.all_rows(
        session, actor=SYSTEM, start=on.replace(month=1, day=1), end=on + timedelta(days=1), vehicle_id=vehicle.id
    )
    return float(sum(row.amount for row in rows if row.kind not in PURCHASE_COSTS))


def _places(session: Session, vehicle: Vehicle, on: date) -> dict[str, Any]:
    """Return the authorised and the active number of the unit's class; without a ledger of it none is known."""
    quota = session.scalar(
        select(func.sum(QuotaEntry.delta)).where(
            QuotaEntry.org_id == vehicle.org_id, QuotaEntry.category == vehicle.category, QuotaEntry.effective_on <= on
        )
    )
    active = session.scalar(
        select(func.count()).select_from(Vehicle).where(
            Vehicle.org_id == vehicle.org_id, Vehicle.category == vehicle.category, Vehicle.state != VehicleState.RETIRED,
            Vehicle.management_mode != ManagementMode.RENTED,
        )
    )  # fmt: skip
    return {"quota": None if quota is None else int(quota), "active": active or 0}
