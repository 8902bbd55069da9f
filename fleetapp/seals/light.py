"""The live light of a notice: per unit how far it is, and which sealed vehicles moved or stand outside their place.

Vehicles whose tracks are confidential count as sealed, but nothing is said about where they are.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import func, literal, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.places import queries as places
from fleetapp.policies import queries as policies
from fleetapp.seals import queries, rules
from fleetapp.seals.models import SealCampaign, SealException, SealRecord
from fleetapp.seals.rules import CampaignState, ExceptionState, Light, RecordState, UnitCount
from fleetapp.tracking import queries as tracking
from fleetapp.trips.models import Trip
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

RED_FIRST = (Light.RED, Light.AMBER, Light.GREEN)


@dataclass(frozen=True, slots=True)
class Moved:
    """A trip made while sealed."""

    record: SealRecord
    trip_id: int
    start_at: datetime
    end_at: datetime
    distance_m: float


@dataclass(frozen=True, slots=True)
class Outside:
    """A sealed vehicle whose newest position since then is ``away_m`` from its place."""

    record: SealRecord
    at: datetime
    lat: float
    lon: float
    away_m: float


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit with its numbers and its light."""

    org: Organisation
    count: UnitCount
    light: Light
    too_many_exempt: bool


@dataclass(frozen=True, slots=True)
class View:
    """All of it at a moment, the worst units first; ``tolerance_m`` is how much an odometer may differ."""

    at: datetime
    light: Light
    late: bool
    total: UnitCount
    units: list[Unit] = field(default_factory=list)
    moved: list[Moved] = field(default_factory=list)
    outside: list[Outside] = field(default_factory=list)
    odd: list[SealRecord] = field(default_factory=list)
    tolerance_m: int = 0


def view(session: Session, *, campaign: SealCampaign, actor: Actor, now: datetime) -> View:
    """Return the light over the vehicles within reach; call it only after ``get_campaign``."""
    on, path = campaign.start_on, campaign.org.path
    figures = {
        name: policies.value(session, f"seal.{name}", on, path)
        for name in ("grace_min", "exempt_share", "odometer_m", "moved_m")
    }
    buffer_m = float(policies.value(session, "E-01.buffer_m", on, path))
    records = session.scalars(queries.filtered(queries.records_visible_to(actor), campaign_id=campaign.id)).all()
    moved = _moved(session, records, least_m=float(figures["moved_m"]), now=now)
    outside = _outside(session, records, buffer_m=buffer_m, now=now)
    odd = [record for record in records if record.moved_m is not None and record.moved_m > figures["odometer_m"]]
    flags = {
        "moved": (row.record for row in moved), "outside": (row.record for row in outside), "odd": odd,
        "asked": _asked(session, records),
    }  # fmt: skip
    counts = _count(campaign, records, flags, now)
    end = clock.start_of(campaign.end_on)
    late = now >= clock.start_of(campaign.start_on) + timedelta(minutes=float(figures["grace_min"]))
    ended = now >= end or campaign.state not in rules.IN_FORCE
    orgs = {record.org_id: record.org for record in records}
    units = [
        Unit(orgs[org_id], count, rules.light(count, late=late, ended=ended, share=figures["exempt_share"]),
             rules.too_many_exempt(count, figures["exempt_share"]))
        for org_id, count in counts.items()
    ]  # fmt: skip
    units.sort(key=lambda unit: (RED_FIRST.index(unit.light), unit.org.path))
    names = UnitCount.__slots__
    total = UnitCount(**{name: sum(getattr(unit.count, name) for unit in units) for name in names})
    worst = min((unit.light for unit in units), key=RED_FIRST.index, default=Light.GREEN)
    return View(now, worst, late, total, units, moved, outside, odd, int(figures["odometer_m"]))


def _count(
    campaign: SealCampaign, records: Sequence[SealRecord], flags: Mapping[str, Iterable[SealRecord]], now: datetime
) -> dict[int, UnitCount]:
    """Return the numbers by unit, each vehicle once in each; a cancelled record is no longer one."""
    on = min(clock.local_date(now), campaign.end_on - timedelta(days=1))
    numbers: dict[int, Counter[str]] = {}
    for record in records:
        state = rules.standing(
            record.state, exempt_from=record.exempt_from, exempt_until=record.exempt_until, start_on=campaign.start_on, on=on
        )  # fmt: skip
        of_unit = numbers.setdefault(record.org_id, Counter())
        if state is not RecordState.CANCELLED:
            of_unit[state.lower()] += 1
    for flag, flagged in flags.items():
        for record in {record.id: record for record in flagged}.values():
            numbers[record.org_id][flag] += 1
    return {org_id: UnitCount(**of_unit) for org_id, of_unit in numbers.items()}


def _asked(session: Session, records: Sequence[SealRecord]) -> list[SealRecord]:
    """Return the records with a request that waits."""
    ids = select(SealException.record_id).where(
        SealException.record_id.in_([record.id for record in records]), SealException.state == ExceptionState.REQUESTED
    )
    waiting = set(session.scalars(ids))
    return [record for record in records if record.id in waiting]


def _moved(session: Session, records: Sequence[SealRecord], *, least_m: float, now: datetime) -> list[Moved]:
    """Return the current trips that began between sealing and unsealing, the newest first."""
    by_id = {record.id: record for record in records}
    query = (
        select(SealRecord.id, Trip.id, Trip.start_at, Trip.end_at, Trip.best_m)
        .join(Trip, Trip.vehicle_id == SealRecord.vehicle_id)
        .join(Vehicle, Vehicle.id == SealRecord.vehicle_id)
        .where(
            SealRecord.id.in_(by_id), Trip.superseded_at.is_(None), Trip.start_at >= SealRecord.sealed_at,
            Trip.start_at < func.coalesce(SealRecord.unsealed_at, literal(now)), Trip.best_m >= least_m,
            Vehicle.secrecy == Secrecy.NORMAL,
        )
        .order_by(Trip.start_at.desc(), Trip.id)
    )  # fmt: skip
    return [
        Moved(by_id[record_id], trip_id, start_at, end_at, best_m)
        for record_id, trip_id, start_at, end_at, best_m in session.execute(query)
    ]


def _outside(session: Session, records: Sequence[SealRecord], *, buffer_m: float, now: datetime) -> list[Outside]:
    """Return the sealed vehicles that stand further from their place than the buffer, the farthest first."""
    sealed = {
        record.vehicle_id: record
        for record in records
        if record.state == RecordState.SEALED and record.vehicle.secrecy == Secrecy.NORMAL
    }
    newest = tracking.newest(session, vehicle_ids=sorted(sealed), now=now)
    since = {}
    for vehicle_id, position in newest.items():
        sealed_at = sealed[vehicle_id].sealed_at
        if position.fixed and sealed_at is not None and position.at > sealed_at:
            since[vehicle_id] = position
    away = places.distances_m(
        session,
        [(vehicle_id, sealed[vehicle_id].parking_id or 0, one.lat, one.lon) for vehicle_id, one in since.items()],
    )
    found = [
        Outside(sealed[vehicle_id], since[vehicle_id].at, since[vehicle_id].lat, since[vehicle_id].lon, metres)
        for vehicle_id, metres in away.items()
        if metres > buffer_m
    ]
    return sorted(found, key=lambda row: -row.away_m)


def may_change(campaign: SealCampaign) -> bool:
    """Tell whether the light still changes by itself, so that a page asks again."""
    return campaign.state in {CampaignState.PUBLISHED, CampaignState.RUNNING}
