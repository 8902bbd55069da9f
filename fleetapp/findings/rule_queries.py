"""Reading for the job of the rules: what changed besides trips, which vehicles are looked at, which clues still stand."""

from datetime import datetime

from sqlalchemy import and_, func, or_, select, union_all
from sqlalchemy.orm import Session

from fleetapp.energy.models import EnergyEntry
from fleetapp.findings import rules
from fleetapp.findings.escalation import Earlier
from fleetapp.findings.models import Finding, FindingCase, FindingState
from fleetapp.findings.rule_models import ExternalRecord
from fleetapp.findings.workflow import GROUPS
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy, VehicleState


def ledger_changes(
    session: Session, *, since: datetime | None, before: datetime
) -> list[tuple[int, datetime, datetime]]:
    """Return (vehicle, first, last) moments of fillings and of others' records that came in since a moment."""
    if since is None:
        return []
    fills = select(EnergyEntry.vehicle_id, EnergyEntry.at).where(EnergyEntry.created_at >= since)
    seen = select(Vehicle.id, ExternalRecord.at).join(ExternalRecord, ExternalRecord.plate == Vehicle.plate)
    both = union_all(fills, seen.where(ExternalRecord.imported_at >= since)).subquery()
    rows = session.execute(
        select(both.c.vehicle_id, func.min(both.c.at), func.max(both.c.at))
        .join(Vehicle, Vehicle.id == both.c.vehicle_id)
        .where(Vehicle.secrecy == Secrecy.NORMAL, both.c.at < before)
        .group_by(both.c.vehicle_id)
    )
    return [(vehicle_id, first, last) for vehicle_id, first, last in rows]


def watched(session: Session) -> list[int]:
    """Return every vehicle that rules look at: in the fleet, its track shown."""
    query = select(Vehicle.id).where(Vehicle.secrecy == Secrecy.NORMAL, Vehicle.state != VehicleState.RETIRED)
    return list(session.scalars(query.order_by(Vehicle.id)))


def earlier(session: Session, *, vehicle_id: int, start: datetime, end: datetime) -> list[Earlier]:
    """Return a vehicle's clues of ``[start, end)`` that are open or were confirmed, in the colours their rules gave them.

    What was put right or closed counts by its outcome; merged and suppressed ones are no incidents of their own.
    """
    upheld = [FindingState.CONFIRMED, FindingState.REFERRED]
    confirmed = or_(Finding.state.in_(upheld), FindingCase.outcome.in_(upheld))
    kept = or_(
        Finding.state.in_(GROUPS["open"]), Finding.state.in_(upheld),
        and_(Finding.state.in_([FindingState.RECTIFIED, FindingState.CLOSED]), FindingCase.outcome.in_(upheld)),
    )  # fmt: skip
    rows = session.execute(
        select(Finding.dedupe_key, Finding.rule, Finding.start_at, Finding.severity, Finding.evidence_for, confirmed)
        .outerjoin(FindingCase, FindingCase.id == Finding.case_id)
        .where(
            Finding.vehicle_id == vehicle_id, Finding.start_at >= start, Finding.start_at < end, kept,
            Finding.confidence >= rules.SURE,
        )
    )  # fmt: skip
    below = {rules.Severity.ORANGE: rules.Severity.YELLOW, rules.Severity.RED: rules.Severity.ORANGE}
    found = []
    for key, rule, at, colour, lines, is_confirmed in rows:
        severity = rules.Severity(colour)
        raised = any(line.get("code") == "repeated" for line in lines)
        found.append(Earlier(key, rule[0], at, below[severity] if raised else severity, bool(is_confirmed)))
    return found
