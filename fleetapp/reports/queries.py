"""Reading for exports: trips with everything known about them, orders without trips, clues, data quality.

Trips and matches are superseded, never edited: once their ids are taken in one statement, the rows read afterwards
in pieces agree with each other and with the totals, whatever is derived meanwhile.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from fleetapp.accounts import queries as accounts
from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.audit.models import ExportRecord
from fleetapp.drivers.models import Driver
from fleetapp.duty import queries as duties
from fleetapp.duty.models import DutyEvent
from fleetapp.duty.rules import DutyAction
from fleetapp.findings import queries as findings
from fleetapp.findings.models import Finding
from fleetapp.findings.workflow import FindingState
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotAllowed
from fleetapp.orders import queries as orders
from fleetapp.orders.models import DispatchSlip, OrderStop, TravelOrder
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.reports.rules import MEANT_TO_TRAVEL, Period, planned_m
from fleetapp.trips import queries as trips
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Secrecy

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Part:
    """A current part of a trip, as much of it as totals need."""

    id: int
    trip_id: int
    org_id: int
    vehicle_id: int
    kind: str
    distance_m: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Clue:
    """A finding as a line names it."""

    number: str
    rule: str
    rule_version: str
    severity: str
    state: str
    confidence: float
    org_id: int
    vehicle_id: int
    plate: str
    order_number: str | None
    start_at: datetime
    end_at: datetime
    detected_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One part of a trip beside the order it was matched to; ``row`` has the columns of ``_line_query``."""

    row: Any
    stops: tuple[str, ...]
    planned_m: float | None
    out: DutyEvent | None
    back: DutyEvent | None
    clues: tuple[Clue, ...]


def scope_org(session: Session, *, actor: Actor, org_id: int | None) -> Organisation:
    """Return the organisation whose sub-tree is exported: the one asked for, else the highest the actor may export.

    :raises NotAllowed: exporting is open to the actor nowhere, or not there.
    """
    if org_id is None:
        roles = permits.table()["reports.export"].roles
        grants = sorted((grant for grant in actor.grants if grant.role in roles), key=lambda grant: len(grant.org_path))
        if not grants:
            raise NotAllowed("kit.not_allowed", action="reports.export")
        org_id = grants[0].org_id
    org = accounts.get_org(session, org_id=org_id)
    permits.require("reports.export", actor, org_path=org.path)
    return org


def exportable_orgs(session: Session, *, actor: Actor) -> list[Organisation]:
    """Return the organisations whose trips the actor may export, in tree order."""
    return [
        org
        for org in session.scalars(accounts.orgs_visible_to(actor))
        if permits.may("reports.export", actor, org_path=org.path)
    ]


def _inside(org_path: str) -> ColumnElement[bool]:
    return Organisation.path.startswith(org_path, autoescape=True)


def parts(session: Session, *, actor: Actor, org_path: str, period: Period) -> list[Part]:
    """Return the current trip parts that start in the period, of vehicles held in the sub-tree, in time order.

    What several orders share (拼车) is a part of each and has its metres once.
    """
    number = func.row_number().over(partition_by=(TripMatch.trip_id, TripMatch.start_at), order_by=TripMatch.id)
    columns = (
        TripMatch.id,
        TripMatch.trip_id,
        Trip.org_id,
        Trip.vehicle_id,
        TripMatch.kind,
        case((number == 1, TripMatch.distance_m), else_=0.0),
        Trip.coverage,
    )
    query = (
        trips.visible_to(actor)
        .with_only_columns(*columns)
        .join(TripMatch, TripMatch.trip_id == Trip.id)
        .where(
            TripMatch.superseded_at.is_(None),
            TripMatch.start_at >= period.start,
            TripMatch.start_at < period.end,
            _inside(org_path),
        )
        .order_by(None)
        .order_by(TripMatch.start_at, TripMatch.id)
    )
    return [Part(*row) for row in session.execute(query)]


def lines(session: Session, *, part_ids: Sequence[int], clues: Sequence[Clue]) -> Iterator[Line]:
    """Yield the lines of trip parts in the order of the ids, read in batches so that memory stays flat."""
    of_vehicle: dict[int, list[Clue]] = defaultdict(list)
    for clue in clues:
        if clue.state != FindingState.WITHDRAWN:
            of_vehicle[clue.vehicle_id].append(clue)
    for first in range(0, len(part_ids), BATCH):
        yield from _batch(session, part_ids[first : first + BATCH], of_vehicle)


def _batch(session: Session, ids: Sequence[int], of_vehicle: dict[int, list[Clue]]) -> Iterator[Line]:
    rows = {row.part_id: row for row in session.execute(_line_query().where(TripMatch.id.in_(ids)))}
    stops = _stops(session, {row.order_id for row in rows.values() if row.order_id is not None})
    assignments = {row.assignment_id for row in rows.values() if row.assignment_id is not None}
    events = duties.events_of(session, assignment_ids=sorted(assignments))
    for part_id in ids:
        row = rows[part_id]
        found = stops.get(row.order_id, [])
        reported = events.get(row.assignment_id, [])
        yield Line(
            row=row,
            stops=tuple(name for name, _lat, _lon in found),
            planned_m=planned_m([(lat, lon) for _name, lat, lon in found]),
            out=next((event for event in reported if event.action == DutyAction.CHECK_OUT), None),
            back=next((event for event in reported if event.action == DutyAction.CHECK_IN), None),
            clues=tuple(
                clue for clue in of_vehicle[row.vehicle_id] if clue.start_at < row.end_at and row.start_at < clue.end_at
            ),
        )


def _line_query() -> Select[*tuple[Any, ...]]:
    holder, unit = aliased(Organisation), aliased(Organisation)
    applicant, approver, driver = aliased(UserAccount), aliased(UserAccount), aliased(UserAccount)
    return (
        select(
            TripMatch.id.label("part_id"), Trip.id.label("trip_id"), Trip.vehicle_id, TripMatch.start_at, TripMatch.end_at,
            TripMatch.distance_m, TripMatch.kind, TripMatch.score, TripMatch.score_time, TripMatch.score_dest,
            TripMatch.score_orig, TripMatch.score_driver, TripMatch.score_events,
            Trip.start_place, Trip.end_place, Trip.gps_m, Trip.odometer_m, Trip.matched_m, Trip.matched_source,
            Trip.best_m, Trip.best_source, Trip.error_m, Trip.coverage,
            Vehicle.plate, Vehicle.category, holder.name_zh.label("holder_zh"), holder.name_en.label("holder_en"),
            TravelOrder.id.label("order_id"), TravelOrder.number, TravelOrder.purpose, TravelOrder.reason,
            TravelOrder.passengers, TravelOrder.start_at.label("order_start_at"), TravelOrder.end_at.label("order_end_at"),
            unit.name_zh.label("unit_zh"), unit.name_en.label("unit_en"),
            applicant.name_zh.label("applicant_zh"), applicant.name_en.label("applicant_en"),
            approver.name_zh.label("approver_zh"), approver.name_en.label("approver_en"),
            driver.name_zh.label("driver_zh"), driver.name_en.label("driver_en"),
            DispatchSlip.number.label("slip"), Assignment.id.label("assignment_id"),
        )
        .join(Trip, Trip.id == TripMatch.trip_id)
        .join(Vehicle, Vehicle.id == Trip.vehicle_id)
        .join(holder, holder.id == Trip.org_id)
        .outerjoin(TravelOrder, TravelOrder.id == TripMatch.order_id)
        .outerjoin(unit, unit.id == TravelOrder.org_id)
        .outerjoin(applicant, applicant.id == TravelOrder.applicant_id)
        .outerjoin(approver, approver.id == TravelOrder.approver_id)
        .outerjoin(Assignment, and_(
            Assignment.order_id == TravelOrder.id, Assignment.vehicle_id == Trip.vehicle_id,
            Assignment.state == AssignmentState.ACTIVE,
        ))
        .outerjoin(DispatchSlip, DispatchSlip.id == Assignment.slip_id)
        .outerjoin(Driver, Driver.id == Assignment.driver_id)
        .outerjoin(driver, driver.id == Driver.user_id)
    )  # fmt: skip


def _stops(session: Session, order_ids: Collection[int]) -> dict[int, list[tuple[str, float, float]]]:
    found: dict[int, list[tuple[str, float, float]]] = defaultdict(list)
    query = select(OrderStop.order_id, OrderStop.name, OrderStop.lat, OrderStop.lon)
    rows = query.where(OrderStop.order_id.in_(order_ids), OrderStop.ended_at.is_(None)).order_by(
        OrderStop.order_id, OrderStop.position
    )
    for order_id, name, lat, lon in session.execute(rows):
        found[order_id].append((name, lat, lon))
    return found


def orders_without_trip(
    session: Session, *, actor: Actor, org_path: str, period: Period, now: datetime
) -> Sequence[Any]:
    """Return the orders of the period that are over, were meant to travel, and have no current trip part.

    Only vehicles held in the sub-tree count: trips of others are not the actor's to see, so their absence would
    mean nothing; nor would it for restricted vehicles, which have no track on show. ``has_terminal`` says whether a
    terminal was fitted at all.
    """
    applicant, driver = aliased(UserAccount), aliased(UserAccount)
    window = func.tstzrange(TravelOrder.start_at, TravelOrder.end_at)
    travelled = exists().where(TripMatch.order_id == TravelOrder.id, TripMatch.superseded_at.is_(None))
    fitted = exists().where(TerminalBinding.vehicle_id == Vehicle.id, TerminalBinding.during.op("&&")(window))
    visible = orders.visible_to(actor).with_only_columns(TravelOrder.id).order_by(None)
    query = (
        select(
            TravelOrder.id.label("order_id"), TravelOrder.number, TravelOrder.purpose, TravelOrder.reason, TravelOrder.state,
            TravelOrder.start_at, TravelOrder.end_at, Vehicle.plate, Assignment.org_id, DispatchSlip.number.label("slip"),
            Organisation.name_zh.label("holder_zh"), Organisation.name_en.label("holder_en"),
            applicant.name_zh.label("applicant_zh"), applicant.name_en.label("applicant_en"),
            driver.name_zh.label("driver_zh"), driver.name_en.label("driver_en"), fitted.label("has_terminal"),
        )
        .join(Assignment, and_(Assignment.order_id == TravelOrder.id, Assignment.state == AssignmentState.ACTIVE))
        .join(Vehicle, Vehicle.id == Assignment.vehicle_id)
        .join(Organisation, Organisation.id == Assignment.org_id)
        .join(DispatchSlip, DispatchSlip.id == Assignment.slip_id)
        .join(Driver, Driver.id == Assignment.driver_id)
        .join(driver, driver.id == Driver.user_id)
        .join(applicant, applicant.id == TravelOrder.applicant_id)
        .where(
            TravelOrder.id.in_(visible), TravelOrder.state.in_(MEANT_TO_TRAVEL), Vehicle.secrecy == Secrecy.NORMAL,
            TravelOrder.start_at >= period.start, TravelOrder.start_at < period.end, TravelOrder.end_at <= now,
            _inside(org_path), ~travelled,
        )
        .order_by(TravelOrder.start_at, TravelOrder.id)
    )  # fmt: skip
    return session.execute(query).all()


def clues(session: Session, *, actor: Actor, org_path: str, period: Period) -> list[Clue]:
    """Return the clues that touch the period, about units of the sub-tree, in time order."""
    columns: tuple[Any, ...] = (
        Finding.number, Finding.rule, Finding.rule_version, Finding.severity, Finding.state, Finding.confidence,
        Finding.org_id, Finding.vehicle_id, Vehicle.plate, TravelOrder.number, Finding.start_at, Finding.end_at,
        Finding.detected_at, Finding.due_at,
    )  # fmt: skip
    query = (
        findings.visible_to(actor)
        .with_only_columns(*columns)
        .join(Organisation, Organisation.id == Finding.org_id)
        .outerjoin(TravelOrder, TravelOrder.id == Finding.order_id)
        .where(
            Finding.start_at < period.end,
            Finding.end_at > period.start,
            _inside(org_path),
            Vehicle.secrecy == Secrecy.NORMAL,
        )
        .order_by(None)
        .order_by(Finding.start_at, Finding.id)
    )
    return [Clue(*row) for row in session.execute(query)]


def orgs_by_id(session: Session, org_ids: Collection[int]) -> dict[int, Organisation]:
    """Return organisations by id."""
    return {org.id: org for org in session.scalars(select(Organisation).where(Organisation.id.in_(org_ids)))}


def exports_visible_to(actor: Actor) -> Select[*tuple[Any, ...]]:
    """Return what left the system from units the actor may export: (record, who, organisation), newest first."""
    paths = actor.paths(permits.table()["reports.export"].roles)
    return (
        select(ExportRecord, UserAccount, Organisation)
        .join(UserAccount, UserAccount.id == ExportRecord.actor_id)
        .join(Organisation, Organisation.id == ExportRecord.org_id)
        .where(or_(ExportRecord.id.is_(None), *(_inside(path) for path in paths)))
        .order_by(ExportRecord.id.desc())
    )


def count_same(session: Session, *, org_id: int, kind: str, filters: dict[str, Any]) -> int:
    """Return how often the same export has been made before."""
    query = select(func.count()).select_from(ExportRecord)
    where = (ExportRecord.org_id == org_id, ExportRecord.kind == kind, ExportRecord.filters.contains(filters))
    return session.scalar(query.where(*where)) or 0
