"""Everything that one clue rests on, gathered for its evidence file."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import shapely
from geoalchemy2.shape import to_shape
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.audit import queries as audit
from fleetapp.audit.queries import Head
from fleetapp.drivers.models import Driver
from fleetapp.duty import queries as duties
from fleetapp.duty.models import DutyEvent
from fleetapp.findings import queries as findings
from fleetapp.findings.models import Finding
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.orders.models import TravelOrder
from fleetapp.planning.models import Assignment, AssignmentState
from fleetapp.tracking import bridge as tracking_bridge
from fleetapp.tracking import queries as tracking
from fleetapp.tracking.bridge import Fix, RawHash
from fleetapp.trips.models import Trip, TripMatch
from fleetapp.workdays import queries as workdays
from fleetapp.workdays.rules import Day

AROUND = timedelta(minutes=10)
LONGEST_TRACK = timedelta(days=3)
"""A clue may stay open for weeks; its file shows the track of its first days."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Fixes of the window: how many, how many with the bytes as received, and one SHA-256 over all in order."""

    fixes: int
    with_raw: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Case:
    """A clue with the rows behind it, for a window ``[start, end)`` around it."""

    finding: Finding
    org: Organisation
    trips: tuple[Trip, ...]
    part: TripMatch | None
    order: TravelOrder | None
    assignment: Assignment | None
    events: tuple[DutyEvent, ...]
    start: datetime
    end: datetime
    fixes: tuple[Fix, ...]
    parking: tuple[tuple[float, float], ...]
    day: Day
    manifest: Manifest
    head: Head
    reason: str
    exporter: str
    as_of: datetime


def gather(session: Session, *, finding_id: int, reason: str, actor: Actor, now: datetime) -> Case:
    """Return the case of a clue within the actor's reach.

    :raises NotFound: no such clue, or out of reach.
    """
    finding = findings.get_finding(session, finding_id=finding_id, actor=actor)
    order, found = finding.order, findings.trips_of(session, finding)
    trips = tuple(found) or ((finding.trip,) if finding.trip else ())
    start = min([finding.start_at, *(trip.start_at for trip in trips)]) - AROUND
    end = min(max([finding.end_at, *(trip.end_at for trip in trips)]) + AROUND, start + LONGEST_TRACK, now)
    end = max(end, start + AROUND)
    assignment = _assignment(session, order, finding.vehicle_id)
    events = duties.events_of(session, assignment_ids=[assignment.id])[assignment.id] if assignment else []
    parking = finding.vehicle.parking
    return Case(
        finding=finding,
        org=finding.org,
        trips=trips,
        part=_part(trips, finding),
        order=order,
        assignment=assignment,
        events=tuple(events),
        start=start,
        end=end,
        fixes=tuple(tracking.track(session, vehicle_id=finding.vehicle_id, start=start, end=end)),
        parking=tuple(shapely.get_coordinates(to_shape(parking.area)).tolist()) if parking else (),
        day=workdays.day_kind(session, clock.local_date(finding.start_at)),
        manifest=manifest_of(hashes_of(session, finding.vehicle_id, start, end)),
        head=audit.head(session),
        reason=reason,
        exporter=actor.name,
        as_of=now,
    )


def _assignment(session: Session, order: TravelOrder | None, vehicle_id: int) -> Assignment | None:
    if order is None:
        return None
    return session.scalar(
        select(Assignment)
        .where(
            Assignment.order_id == order.id,
            Assignment.vehicle_id == vehicle_id,
            Assignment.state == AssignmentState.ACTIVE,
        )
        .options(joinedload(Assignment.slip), joinedload(Assignment.driver).joinedload(Driver.user))
    )


def _part(trips: tuple[Trip, ...], finding: Finding) -> TripMatch | None:
    """Return the part of the trips that the clue is about: the one with its order, else the first that it touches."""
    parts = [part for trip in trips for part in trip.matches]
    touching = [part for part in parts if part.start_at < finding.end_at and finding.start_at < part.end_at]
    of_order = [part for part in parts if finding.order_id is not None and part.order_id == finding.order_id]
    return next(iter([*of_order, *touching, *parts]), None)


def hashes_of(session: Session, vehicle_id: int, start: datetime, end: datetime) -> list[RawHash]:
    """Return the SHA-256 of what was received for each fix of a vehicle in ``[start, end)``, in the order of its track."""
    found: list[RawHash] = []
    for binding in tracking.bindings_of(session, vehicle_id=vehicle_id, start=start, end=end):
        first, last = max(start, binding.during.lower or start), min(end, binding.during.upper or end)
        found += tracking_bridge.raw_hashes(session, terminal_id=binding.terminal_id, start=first, end=last)
    return found


def manifest_of(hashes: Iterable[RawHash]) -> Manifest:
    """Return the manifest of fixes in canonical order.

    The SHA-256 is over one line a fix: time in UTC (ISO 8601), digest of its values, SHA-256 of the bytes received
    or ``-``, separated by blanks, each line ended by a line feed.
    """
    whole = hashlib.sha256()
    count = with_raw = 0
    for fix in hashes:
        whole.update(f"{fix.at.isoformat()} {fix.digest} {fix.sha256 or '-'}\n".encode())
        count += 1
        with_raw += fix.sha256 is not None
    return Manifest(count, with_raw, whole.hexdigest())
