"""Everything of a case that goes into its package. Nothing here depends on who asks or when: one state, one package."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from geoalchemy2.shape import to_shape
from shapely import get_coordinates
from sqlalchemy import select
from sqlalchemy.orm import Session

from fleetapp.approvals.models import ApprovalStep
from fleetapp.audit import queries as audit
from fleetapp.audit.queries import Head, Proof
from fleetapp.costs import queries as costs
from fleetapp.costs.models import CostEntry
from fleetapp.duty import queries as duties
from fleetapp.duty.models import TripExpense
from fleetapp.energy import queries as energy
from fleetapp.energy.models import EnergyEntry
from fleetapp.evidence.rules import PLACES_SHOWN, PLACES_WITHIN_M
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.places import queries as places
from fleetapp.places.queries import Found
from fleetapp.policies import queries as policies
from fleetapp.reports import case as reports
from fleetapp.reports.case import Case
from fleetapp.tracking import bridge as tracking_bridge
from fleetapp.tracking.bridge import Fix, RawHash, Seal
from fleetapp.tracking.keeping import ACTION as SEALED
from fleetapp.trips import bridge as trips_bridge
from fleetapp.trips.models import Trip
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import Day

GENERATOR = f"fleet evidence 1, rules {trips_bridge.RULES_VERSION}"


@dataclass(frozen=True, slots=True)
class Chained:
    """What the audit chain says of the case: its entries, the last of them as its head, a published head over it, seals with their entry."""

    entries: tuple[Proof, ...]
    published: str | None
    seals: tuple[tuple[Seal, int], ...]

    @property
    def head(self) -> Head:
        """The last entry about the case."""
        return Head(self.entries[-1].seq, self.entries[-1].hash) if self.entries else Head(0, "")


Prove = Callable[[Sequence[tuple[str, str]], Sequence[date]], Chained]


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay of a trip with the nearest known places, and how far the designated place and each approved stop are, metres."""

    trip: int
    number: int
    start_at: datetime
    end_at: datetime
    lat: float
    lon: float
    places: tuple[Found, ...]
    parking_m: float | None
    stops_m: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """A case and what proves it. ``trip_of`` gives for each fix the number of the trip that was computed from it, or None."""

    case: Case
    hashes: tuple[RawHash, ...]
    trip_of: tuple[int | None, ...]
    stays: tuple[Stay, ...]
    days: tuple[Day, ...]
    weights: dict[str, float]
    approval_steps: tuple[ApprovalStep, ...]
    energy: tuple[EnergyEntry, ...]
    costs: tuple[CostEntry, ...]
    expenses: tuple[TripExpense, ...]
    chained: Chained
    state_at: datetime


def gather(session: Session, *, finding_id: int, proof: Prove, actor: Actor, now: datetime) -> Facts:
    """Return the facts of a clue within the actor's reach.

    :raises NotFound: no such clue, or out of reach.
    """
    case = reports.gather(session, finding_id=finding_id, reason="", actor=actor, now=now)
    finding, order = case.finding, case.order
    subjects = [("finding", str(finding.id))]
    if order is not None:
        subjects += [("travel_order", str(order.id)), *(("order_change", str(change.id)) for change in order.changes)]
    if case.assignment is not None:
        subjects += [("assignment", str(case.assignment.id)), ("dispatch_slip", str(case.assignment.slip_id))]
    days_utc = [
        case.start.astimezone(UTC).date() + timedelta(days=n)
        for n in range((case.end.date() - case.start.date()).days + 1)
    ]
    chained = proof(subjects, days_utc)
    state_at = max([entry.at for entry in chained.entries], default=finding.detected_at).astimezone(UTC)
    head = chained.head
    start_on, end_on = clock.local_date(case.start), clock.local_date(case.end)
    of_vehicle: dict[str, Any] = {"start_on": start_on, "end_on": end_on, "vehicle_id": finding.vehicle_id}
    bought = session.scalars(energy.filtered(energy.visible_to(actor), **of_vehicle)).unique().all()
    spent = session.scalars(costs.filtered(costs.visible_to(actor), **of_vehicle)).unique().all()
    duty = case.assignment
    return Facts(
        case=replace(case, head=head, exporter=GENERATOR, as_of=state_at, reason=finding.number),
        hashes=tuple(_hashes(session, case)), trip_of=tuple(_trip_of(case)), stays=tuple(_stays(session, case)),
        days=tuple(workdays.day_kinds(session, start_on, end_on + timedelta(days=1))),
        weights=_weights(session, case), approval_steps=tuple(_steps(session, case)),
        energy=tuple(sorted(bought, key=lambda row: (row.at, row.id))), costs=tuple(sorted(spent, key=lambda row: (row.on, row.id))),
        expenses=tuple(duties.expenses_of(session, assignment_ids=[duty.id]).get(duty.id, [])) if duty else (),
        chained=chained, state_at=state_at,
    )  # fmt: skip


def prove(session: Session, subjects: Sequence[tuple[str, str]], days: Sequence[date]) -> Chained:
    """Return what the chain says of subjects and of UTC days of positions; in a transaction that sees the whole system."""
    entries = audit.proofs(session, subjects=[*subjects, *(("gps_day", day.isoformat()) for day in days)])
    found: list[tuple[Seal, int]] = []
    for day in days:
        for seal in tracking_bridge.seals(session, day=day):
            mine = [e.seq for e in entries if SEALED in e.content and seal.root in e.content]
            found.append((seal, mine[0] if mine else 0))
    published = audit.published_after(session, seq=entries[-1].seq) if entries else None
    return Chained(tuple(entries), published.document if published else None, tuple(found))


def _hashes(session: Session, case: Case) -> list[RawHash]:
    return reports.hashes_of(session, case.finding.vehicle_id, case.start, case.end)


def _path(trip: Trip) -> list[tuple[float, float]]:
    return [(round(lon, 6), round(lat, 6)) for lon, lat in get_coordinates(to_shape(trip.path)).tolist()]


def _trip_of(case: Case) -> list[int | None]:
    """Find the fixes that each trip was computed from: those of its time whose positions are its path, in order."""
    found: list[int | None] = [None] * len(case.fixes)
    for number, trip in enumerate(case.trips, start=1):
        path, at = _path(trip), 0
        for place, fix in enumerate(case.fixes):
            inside = trip.start_at <= fix.at <= trip.end_at and found[place] is None
            if inside and at < len(path) and (round(fix.lon, 6), round(fix.lat, 6)) == path[at]:
                found[place], at = number, at + 1
    return found


def _stays(session: Session, case: Case) -> list[Stay]:
    rows = [(number, trip_stop) for number, trip in enumerate(case.trips, start=1) for trip_stop in trip.stops]
    parking_id = case.finding.vehicle.parking_id
    asked = [
        (key, parking_id, stop["lat"], stop["lon"]) for key, (_, stop) in enumerate(rows) if parking_id is not None
    ]
    parking = places.distances_m(session, asked)
    stops = case.order.stops if case.order else []
    made = []
    for key, (trip, stop) in enumerate(rows):
        lat, lon = stop["lat"], stop["lon"]
        near = places.around(session, lat, lon, within_m=PLACES_WITHIN_M, limit=PLACES_SHOWN)
        away = tuple((one.name, trips_bridge.metres_between(lat, lon, one.lat, one.lon)) for one in stops)
        made.append(Stay(trip, key + 1, datetime.fromisoformat(stop["start"]), datetime.fromisoformat(stop["end"]), lat, lon,
                         tuple(near), parking.get(key), away))  # fmt: skip
    return made


def _weights(session: Session, case: Case) -> dict[str, float]:
    """Return the weights of the match parts that stood on the day of the clue."""
    figures = policies.values(session, "match.weight_", clock.local_date(case.finding.start_at))
    return {code.removeprefix("match.weight_"): float(value) for code, value in figures.items()}


def _steps(session: Session, case: Case) -> Sequence[ApprovalStep]:
    order = case.order
    ids = [] if order is None else [order.approval_case_id, *(change.approval_case_id for change in order.changes)]
    query = select(ApprovalStep).where(ApprovalStep.case_id.in_([one for one in ids if one is not None]))
    return session.scalars(query.order_by(ApprovalStep.id)).all()


def driven(fixes: Sequence[Fix]) -> list[Fix]:
    """Return the fixes that have a position, for files that know no others."""
    return [fix for fix in fixes if fix.fixed]


def distance_method() -> dict[str, Any]:
    """Return the figures of measuring distance over positions, as a checker needs them."""
    return trips_bridge.distance_method()
