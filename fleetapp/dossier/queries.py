"""Reading of a vehicle's file: values of its attributes, what happened in its life, use by month."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fleetapp.acquisitions import queries as acquisitions
from fleetapp.acquisitions.models import Indicator
from fleetapp.acquisitions.rules import IndicatorKind
from fleetapp.audit.models import AuditEntry
from fleetapp.disposal import queries as disposal
from fleetapp.disposal.models import DisposalCase
from fleetapp.dossier.models import VehicleFact
from fleetapp.dossier.rules import ATTRIBUTES, Happening, Stretch, stretches
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.trips import queries as trips
from fleetapp.trips.models import Trip
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles import rules as vehicle_rules
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

MONTHS = 12
STATES = frozenset(["vehicles.registered", "vehicles.state_changed"])
TOLD = STATES | {"vehicles.transferred", "vehicles.terminal_bound", "vehicles.terminal_unbound", "vehicles.edited"}
"""Entries of a vehicle's log that belong to its life; papers and readings have their own parts."""


def facts(session: Session, *, vehicle_id: int) -> dict[str, str]:
    """Return the values typed in that are in force, by attribute; call it only after ``get_vehicle``."""
    rows = (
        select(VehicleFact.key, VehicleFact.value).where(VehicleFact.vehicle_id == vehicle_id).order_by(VehicleFact.id)
    )
    return {row.key: row.value for row in session.execute(rows)}


def values(session: Session, vehicle: Vehicle, *, now: datetime) -> dict[str, Any]:
    """Return the value of every attribute of a vehicle, None where there is none: dates, numbers and texts as they are."""
    today = clock.local_date(now)
    typed = facts(session, vehicle_id=vehicle.id)
    papers: dict[str, Any] = {}
    for paper in reversed(vehicles.documents(session, vehicle_id=vehicle.id)):
        if paper.void_at is None and paper.valid_from <= today and (paper.valid_to is None or paper.valid_to > today):
            papers[paper.kind] = paper
    indicator = session.scalar(
        select(Indicator).where(Indicator.vehicle_id == vehicle.id, Indicator.kind != IndicatorKind.TRANSFER)
    )
    got = acquisition(indicator) if indicator else {}
    found: dict[str, Any] = {}
    for one in ATTRIBUTES:
        match one.source.split("."):
            case ["vehicle", column]:
                found[one.key] = _of_vehicle(vehicle, column)
            case ["paper", kind, field]:
                found[one.key] = getattr(papers.get(kind), field, None)
            case ["acquisition", field]:
                found[one.key] = got.get(field) or typed.get(one.key)
            case ["terminal", _]:
                found[one.key] = vehicles.terminal_phone(session, vehicle_id=vehicle.id)
            case _:
                found[one.key] = typed.get(one.key)
    return found


def _of_vehicle(vehicle: Vehicle, column: str) -> Any:
    match column:
        case "unit":
            return vehicle.org
        case "unit_code":
            return vehicle.org.code
        case "parking":
            return vehicle.parking
        case "plate_form":
            return vehicle_rules.plate_form(vehicle.plate).value
    return getattr(vehicle, column)


def acquisition(indicator: Indicator) -> dict[str, Any]:
    """Return what the file tells of how the vehicle came, from its indicator."""
    bought = next((one for one in indicator.procurements if one.vehicle_id is not None), None)
    accepted = [event.at for event in indicator.events if event.action == "accepted"]
    return {
        "number": indicator.number, "budget_no": indicator.budget.document_no if indicator.budget else None,
        "contract_no": bought.contract_no if bought else None, "supplier": bought.supplier if bought else None,
        "accepted_on": clock.local_date(accepted[-1]) if accepted else None,
    }  # fmt: skip


def came_by(session: Session, *, vehicle_id: int, actor: Actor) -> Sequence[Indicator]:
    """Return the indicators that a vehicle came by, its purchase and transfers, as far as the actor reads indicators."""
    return session.scalars(acquisitions.visible_to(actor).where(Indicator.vehicle_id == vehicle_id)).unique().all()


def renewed_by(session: Session, *, vehicle_id: int, actor: Actor) -> Indicator | None:
    """Return the newest indicator that renews a vehicle."""
    return (
        session.scalars(acquisitions.visible_to(actor).where(Indicator.old_vehicle_id == vehicle_id)).unique().first()
    )


def disposals(session: Session, *, vehicle_id: int, actor: Actor) -> Sequence[DisposalCase]:
    """Return a vehicle's cases of disposal, the newest first."""
    if not permits.may("disposal.read", actor):
        return []
    return session.scalars(disposal.visible_to(actor).where(DisposalCase.vehicle_id == vehicle_id)).unique().all()


def log(session: Session, *, vehicle_id: int) -> Sequence[AuditEntry]:
    """Return the whole log of a vehicle, the oldest first; call it only after ``get_vehicle``."""
    query = select(AuditEntry).where(AuditEntry.subject_type == "vehicle", AuditEntry.subject_id == str(vehicle_id))
    return session.scalars(query.order_by(AuditEntry.seq)).all()


def states(entries: Sequence[AuditEntry], vehicle: Vehicle, *, now: datetime) -> list[Stretch]:
    """Return the times a vehicle spent in each state; before its first entry nothing is known."""
    changes: list[tuple[datetime, str]] = []
    for entry in entries:
        if entry.action == "vehicles.state_changed":
            if not changes:
                changes.append((vehicle.created_at, str(entry.data["before"])))
            changes.append((entry.at, str(entry.data["after"])))
    return stretches(changes or [(vehicle.created_at, vehicle.state)], until=now)


def life(session: Session, vehicle: Vehicle, *, entries: Sequence[AuditEntry], actor: Actor) -> list[Happening]:
    """Return what happened from the application for its indicator to its archived file, the newest first.

    Indicators and disposals are told as far as the actor reads them.
    """
    found = []
    for entry in entries:
        if entry.action in TOLD:
            detail = (
                f"{entry.data.get('before')} → {entry.data.get('after')}"
                if entry.action == "vehicles.state_changed"
                else ""
            )
            found.append(Happening(entry.at, "vehicle", entry.action, detail, entry.actor_name))
    renewal = renewed_by(session, vehicle_id=vehicle.id, actor=actor)
    for indicator in (*came_by(session, vehicle_id=vehicle.id, actor=actor), renewal):
        if indicator is not None:
            part = "acquisition" if indicator.vehicle_id == vehicle.id else "renewal"
            found += [
                Happening(event.at, part, event.action, indicator.number, event.actor.name_zh if event.actor else "", f"/indicators/{indicator.id}")
                for event in acquisitions.events(session, indicator_id=indicator.id)
            ]  # fmt: skip
    for case in disposals(session, vehicle_id=vehicle.id, actor=actor):
        found += [
            Happening(event.at, "disposal", event.action, case.number, event.actor.name_zh if event.actor else "", f"/disposal/{case.id}")
            for event in disposal.events(session, case_id=case.id)
        ]  # fmt: skip
    return sorted(found, key=lambda one: one.at, reverse=True)


def use_by_month(session: Session, vehicle: Vehicle, *, actor: Actor, now: datetime) -> list[tuple[str, int, float]]:
    """Return (month, trips, metres) of the last twelve local months, this one last.

    These sums are open to whoever reads the vehicle, those of a restricted one only to whoever reads its trips.
    """
    months = [clock.local(now).replace(day=1, hour=0, minute=0, second=0, microsecond=0)]
    while len(months) < MONTHS:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    month = func.to_char(func.timezone(str(clock.OFFICE_ZONE), Trip.start_at), "YYYY-MM")
    reader = SYSTEM if vehicle.secrecy == Secrecy.NORMAL else actor
    read = trips.filtered(trips.visible_to(reader), vehicle_id=vehicle.id, start=months[-1]).order_by(None).options()
    rows = read.with_only_columns(month, func.count(), func.sum(Trip.best_m)).group_by(month)
    there = {found[0]: (found[1], float(found[2])) for found in session.execute(rows)}
    keys = [f"{one:%Y-%m}" for one in reversed(months)]
    return [(key, *there.get(key, (0, 0.0))) for key in keys]
