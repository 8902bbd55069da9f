"""Reading of the registry."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.dialects.postgresql import Range, distinct_on
from sqlalchemy.orm import Session, contains_eager, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.audit import queries as audit
from fleetapp.audit.models import AuditEntry
from fleetapp.kit.actor import Actor
from fleetapp.kit.columns import among
from fleetapp.kit.errors import NotFound
from fleetapp.policies import queries as policies
from fleetapp.policies.preview import Measure
from fleetapp.vehicles import bridge
from fleetapp.vehicles.models import MeterChange, OdometerReading, TerminalBinding, Vehicle, VehicleDocument
from fleetapp.vehicles.rules import BLOCKING, Body, ManagementMode, VehicleState


def visible_to(actor: Actor) -> Select[Vehicle]:
    """Return the vehicles that the actor may read, by plate, with holder and parking area loaded."""
    return (
        select(Vehicle)
        .join(Vehicle.org)
        .where(within_reach(actor, "vehicles.read"))
        .options(contains_eager(Vehicle.org), joinedload(Vehicle.parking))
        .order_by(Vehicle.plate, Vehicle.id)
    )


def filtered(
    query: Select[Vehicle],
    *,
    q: str = "",
    state: str | None = None,
    category: str | None = None,
    energy: str | None = None,
    org_path: str | None = None,
) -> Select[Vehicle]:
    """Narrow vehicles by text in plate, VIN, model or holder (any case), by state, class, energy, sub-tree."""
    if q:
        columns = (Vehicle.plate, Vehicle.vin, Vehicle.model, Organisation.name_zh, Organisation.name_en)
        query = query.where(or_(*(column.icontains(q, autoescape=True) for column in columns)))
    for column, wanted in ((Vehicle.state, state), (Vehicle.category, category), (Vehicle.energy, energy)):
        if wanted:
            query = query.where(column == wanted)
    if org_path:
        query = query.where(Organisation.path.startswith(org_path, autoescape=True))
    return query


def count_by_state(session: Session, query: Select[Vehicle]) -> dict[str, int]:
    """Return how many vehicles of a list are in each state; every state is there."""
    rows = query.order_by(None).with_only_columns(Vehicle.state, func.count()).group_by(Vehicle.state)
    found: dict[str, int] = {row[0]: row[1] for row in session.execute(rows)}
    return {state.value: found.get(state.value, 0) for state in VehicleState}


def get_vehicle(session: Session, *, vehicle_id: int, actor: Actor) -> Vehicle:
    """Return a vehicle that the actor may read.

    :raises NotFound: no such vehicle, or out of reach.
    """
    vehicle = session.scalar(visible_to(actor).where(Vehicle.id == vehicle_id))
    if vehicle is None:
        raise NotFound("kit.not_found")
    return vehicle


def find_vehicle(session: Session, *, vehicle_id: int) -> Vehicle | None:
    """Return a vehicle as far as row-level security shows it: for slices whose own row names it (an order's vehicle)."""
    return session.get(Vehicle, vehicle_id, options=[joinedload(Vehicle.org)])


def by_plate(session: Session, *, plate: str) -> Vehicle | None:
    """Return the living vehicle of a plate as far as row-level security shows it."""
    living = Vehicle.state != VehicleState.RETIRED
    return session.scalar(select(Vehicle).where(Vehicle.plate == plate.strip().upper(), living))


def active_by_vin(session: Session, *, vins: Collection[str], actor: Actor) -> dict[str, Vehicle]:
    """Return the vehicles within reach that are not retired, by VIN."""
    query = visible_to(actor).where(Vehicle.state != VehicleState.RETIRED, Vehicle.vin == func.any(list(vins)))
    return {vehicle.vin: vehicle for vehicle in session.scalars(query)}


def identities_taken(
    session: Session, *, plates: Collection[str], vins: Collection[str], phones: Collection[str]
) -> dict[tuple[str, str], str]:
    """Return the VIN of the active vehicle of any unit that has each ("plate" | "vin" | "terminal", value)."""
    taken = func.vehicle_identities_taken(list(plates), list(vins), list(phones)).table_valued("kind", "value", "vin")
    return {(row.kind, row.value): row.vin for row in session.execute(select(taken))}


def open_phones(session: Session, *, vehicle_ids: Collection[int]) -> dict[int, str]:
    """Return the identity on the wire of the terminal that each vehicle carries now."""
    query = select(TerminalBinding.vehicle_id, TerminalBinding.terminal_id).where(
        func.upper_inf(TerminalBinding.during), TerminalBinding.vehicle_id == func.any(list(vehicle_ids))
    )
    found = {row.vehicle_id: row.terminal_id for row in session.execute(query)}
    names = bridge.phones(session, set(found.values()))
    return {vehicle_id: names[terminal_id] for vehicle_id, terminal_id in found.items() if terminal_id in names}


def in_service(actor: Actor) -> Select[Vehicle]:
    """Return the vehicles within reach that can be dispatched."""
    return visible_to(actor).where(Vehicle.state == VehicleState.IN_SERVICE)


def bindings(
    session: Session,
    *,
    start: datetime,
    end: datetime,
    vehicle_ids: Collection[int] | None = None,
    terminal_ids: Collection[int] | None = None,
) -> Sequence[TerminalBinding]:
    """Return which terminal was in which vehicle at any time of ``[start, end)``, by start."""
    query = select(TerminalBinding).where(TerminalBinding.during.overlaps(Range(start, end)))
    if vehicle_ids is not None:
        query = query.where(TerminalBinding.vehicle_id.in_(vehicle_ids))
    if terminal_ids is not None:
        query = query.where(TerminalBinding.terminal_id.in_(terminal_ids))
    return session.scalars(query.order_by(func.lower(TerminalBinding.during), TerminalBinding.id)).all()


def binding_history(session: Session, *, vehicle_id: int) -> Sequence[TerminalBinding]:
    """Return all terminals a vehicle has had, the newest first."""
    query = select(TerminalBinding).where(TerminalBinding.vehicle_id == vehicle_id)
    return session.scalars(query.order_by(func.lower(TerminalBinding.during).desc(), TerminalBinding.id.desc())).all()


def open_binding(session: Session, *, vehicle_id: int) -> TerminalBinding | None:
    """Return the binding without an end, if any."""
    return session.scalar(
        select(TerminalBinding).where(TerminalBinding.vehicle_id == vehicle_id, func.upper_inf(TerminalBinding.during))
    )


def terminal_phone(session: Session, *, vehicle_id: int) -> str | None:
    """Return the identity on the wire of the terminal a vehicle has now, if any."""
    binding = open_binding(session, vehicle_id=vehicle_id)
    return bridge.phones(session, [binding.terminal_id])[binding.terminal_id] if binding else None


def documents(session: Session, *, vehicle_id: int) -> Sequence[VehicleDocument]:
    """Return a vehicle's papers, void ones too, by kind, the newest first; call it only after ``get_vehicle``."""
    query = select(VehicleDocument).where(VehicleDocument.vehicle_id == vehicle_id)
    query = query.options(joinedload(VehicleDocument.attachment))
    return session.scalars(
        query.order_by(VehicleDocument.kind, VehicleDocument.valid_from.desc(), VehicleDocument.id.desc())
    ).all()


def kinds_in_force(session: Session, *, vehicle_id: int, on: date) -> frozenset[str]:
    """Return the kinds of which a vehicle has a paper or an exemption in force on a local day."""
    query = select(VehicleDocument.kind).where(
        VehicleDocument.vehicle_id == vehicle_id, VehicleDocument.void_at.is_(None), VehicleDocument.valid_from <= on,
        or_(VehicleDocument.valid_to.is_(None), VehicleDocument.valid_to > on),
    )  # fmt: skip
    return frozenset(session.scalars(query))


def papers_ended(session: Session, *, vehicle_ids: Collection[int], last_on: date) -> dict[int, tuple[str, date]]:
    """Return (kind, first day without) by vehicle where a paper that must last does not reach the end of a local day.

    Only kinds a vehicle has on record count: before any was entered nothing is known.
    """
    ends = (
        select(VehicleDocument.vehicle_id, VehicleDocument.kind, func.max(func.coalesce(VehicleDocument.valid_to, date.max)))
        .where(
            among(VehicleDocument.vehicle_id, vehicle_ids), VehicleDocument.kind.in_([kind.value for kind in BLOCKING]),
            VehicleDocument.void_at.is_(None),
        )
        .group_by(VehicleDocument.vehicle_id, VehicleDocument.kind)
        .order_by(VehicleDocument.kind)
    )  # fmt: skip
    return {vehicle_id: (kind, end) for vehicle_id, kind, end in session.execute(ends) if end <= last_on}


def latest_papers(
    session: Session, *, vehicle_ids: Collection[int], kinds: Collection[str]
) -> dict[tuple[int, str], VehicleDocument]:
    """Return the paper with an end that lasts longest, by (vehicle, kind)."""
    query = (
        select(VehicleDocument)
        .where(VehicleDocument.vehicle_id.in_(vehicle_ids), VehicleDocument.kind.in_(kinds), VehicleDocument.void_at.is_(None),
               VehicleDocument.valid_to.is_not(None))
        .ext(distinct_on(VehicleDocument.vehicle_id, VehicleDocument.kind))
        .order_by(VehicleDocument.vehicle_id, VehicleDocument.kind, VehicleDocument.valid_to.desc(), VehicleDocument.id.desc())
    )  # fmt: skip
    return {(paper.vehicle_id, paper.kind): paper for paper in session.scalars(query)}


def papers_paid(
    session: Session, *, actor: Actor, start: date, end: date, vehicle_id: int | None = None
) -> Sequence[VehicleDocument]:
    """Return the papers with a fee that came into force over ``[start, end)`` of the units within reach."""
    query = (
        select(VehicleDocument)
        .join(Organisation, Organisation.id == VehicleDocument.org_id)
        .where(
            VehicleDocument.fee > 0, VehicleDocument.void_at.is_(None), VehicleDocument.valid_from >= start,
            VehicleDocument.valid_from < end,
            within_reach(actor, "vehicles.read"),
        )
    )  # fmt: skip
    if vehicle_id is not None:
        query = query.where(VehicleDocument.vehicle_id == vehicle_id)
    return session.scalars(query.order_by(VehicleDocument.id)).all()


def spans_run(
    session: Session, *, vehicle_ids: Collection[int], since: datetime
) -> dict[int, tuple[OdometerReading, OdometerReading]]:
    """Return the first and the last reading since a moment on the present meter, by vehicle."""
    found: dict[int, tuple[OdometerReading, OdometerReading]] = {}
    query = (
        select(OdometerReading)
        .join(Vehicle, and_(Vehicle.id == OdometerReading.vehicle_id, Vehicle.meter == OdometerReading.meter))
        .where(OdometerReading.vehicle_id.in_(vehicle_ids), OdometerReading.at >= since)
    )
    for last in (False, True):
        way = (
            (OdometerReading.at.desc(), OdometerReading.id.desc()) if last else (OdometerReading.at, OdometerReading.id)
        )
        ends = query.ext(distinct_on(OdometerReading.vehicle_id)).order_by(OdometerReading.vehicle_id, *way)
        for reading in session.scalars(ends):
            found[reading.vehicle_id] = (found.get(reading.vehicle_id, (reading, reading))[0], reading)
    return found


def earlier_meters_m(session: Session, *, vehicle_ids: Collection[int]) -> dict[int, int]:
    """Return what earlier meters counted beyond the present one's reading, by vehicle that had any."""
    query = select(MeterChange.vehicle_id, func.sum(MeterChange.end_m - MeterChange.start_m))
    rows = session.execute(query.where(MeterChange.vehicle_id.in_(vehicle_ids)).group_by(MeterChange.vehicle_id))
    return {vehicle_id: int(metres) for vehicle_id, metres in rows}


def readings(session: Session, *, vehicle_id: int, limit: int = 50) -> Sequence[OdometerReading]:
    """Return a vehicle's odometer readings, the latest first; call it only after ``get_vehicle``."""
    query = select(OdometerReading).where(OdometerReading.vehicle_id == vehicle_id)
    return session.scalars(query.order_by(OdometerReading.at.desc(), OdometerReading.id.desc()).limit(limit)).all()


def last_reading(session: Session, *, vehicle_id: int, at: datetime | None = None) -> OdometerReading | None:
    """Return the reading that is latest in time, or was at a moment."""
    query = select(OdometerReading).where(OdometerReading.vehicle_id == vehicle_id)
    if at is not None:
        query = query.where(OdometerReading.at <= at)
    return session.scalars(query.order_by(OdometerReading.at.desc(), OdometerReading.id.desc()).limit(1)).first()


def meter_changes(session: Session, *, vehicle_id: int) -> Sequence[MeterChange]:
    """Return a vehicle's changes of meter in order."""
    return session.scalars(
        select(MeterChange).where(MeterChange.vehicle_id == vehicle_id).order_by(MeterChange.meter)
    ).all()


def history(session: Session, *, vehicle_id: int, limit: int = 50) -> Sequence[AuditEntry]:
    """Return the log of one vehicle, newest first; call it only after ``get_vehicle``: its readers may read its log."""
    entries = select(AuditEntry).order_by(AuditEntry.seq.desc())
    return session.scalars(
        audit.filtered(entries, subject_type="vehicle", subject_id=str(vehicle_id)).limit(limit)
    ).all()


# ---- what a policy figure touches -----------------------------------------------------------------------------------------

DAYS_OF_YEAR = Decimal("365.25")


def renewable(session: Session, actor: Actor, code: str, on: date, _now: datetime) -> list[Measure]:
    """Return the vehicles within reach that are of the age to be renewed on a day: owned, not retired, beyond it."""
    cars = session.scalars(
        visible_to(actor).where(Vehicle.state != VehicleState.RETIRED, Vehicle.management_mode != ManagementMode.RENTED)
    ).all()
    years = policies.by_org(session, code, on=on, org_paths={car.org.path for car in cars})
    found = {car.id: car.org_id for car in cars if car.org.path in years and _years(car, on) > years[car.org.path]}
    return [Measure("vehicles.effect_renewable", found, "vehicles.index", {}, "org_id")]


def to_scrap(session: Session, actor: Actor, code: str, on: date, _now: datetime) -> list[Measure]:
    """Return the vehicles within reach that are at the age or distance of scrapping on a day (``scrap.<body>.<limit>``)."""
    _, body, *limit = code.split(".")
    if limit not in (["max_years"], ["guide_km"]):
        return []
    small = [one.value for one in Body if one not in {Body.MINIBUS, Body.COACH, Body.PICKUP, Body.SPECIAL}]
    rented = body == "rental"
    bodies = [one.value for one in Body] if rented else small if body == "small" else [body]
    cars = session.scalars(
        visible_to(actor).where(
            Vehicle.state != VehicleState.RETIRED, Vehicle.body.in_(bodies),
            (Vehicle.management_mode == ManagementMode.RENTED) == rented,
        )
    ).all()  # fmt: skip
    most = policies.by_org(session, code, on=on, org_paths={car.org.path for car in cars})
    reached = {car.id: _years(car, on) if limit == ["max_years"] else Decimal(car.odometer_m) / 1000 for car in cars}
    found = {car.id: car.org_id for car in cars if car.org.path in most and reached[car.id] >= most[car.org.path]}
    return [Measure("vehicles.effect_scrap", found, "vehicles.index", {}, "org_id")]


def _years(car: Vehicle, on: date) -> Decimal:
    return Decimal((on - car.registered_on).days) / DAYS_OF_YEAR
