"""What the board knows of vehicles beside their orders: where they are, charge, shop and seal, silent terminals, phones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.board.queries import Held
from fleetapp.energy import queries as energy
from fleetapp.energy.rules import EntryKind
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.spans import Span
from fleetapp.phone import queries as phone
from fleetapp.planning import rules
from fleetapp.seals import queries as seals
from fleetapp.tracking import queries as tracking
from fleetapp.tracking.rules import LiveState, live_state
from fleetapp.upkeep import queries as upkeep
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

CHARGED_WITHIN = timedelta(days=7)
"""A state of charge noted longer ago says nothing of now."""


@dataclass(frozen=True, slots=True)
class Where:
    """A position (lon, lat; WGS-84) as of a moment; ``source`` is the vehicle's terminal or, support only, the driver's phone."""

    lonlat: tuple[float, float]
    at: datetime
    source: str
    state: LiveState


@dataclass(frozen=True, slots=True)
class Idle:
    """A span in which a vehicle cannot go: ``cause`` is upkeep or seal."""

    vehicle_id: int
    span: Span
    cause: str


def charge(session: Session, *, vehicle_ids: Collection[int], now: datetime) -> dict[int, tuple[int, datetime]]:
    """Return the state of charge noted at the last charging, per cent, and when, by vehicle id."""
    rows = energy.valid_in(session, vehicle_ids=vehicle_ids, start=now - CHARGED_WITHIN, end=now)
    return {
        row.vehicle_id: (row.soc_percent, row.at)
        for row in rows if row.kind == EntryKind.CHARGE and row.soc_percent is not None
    }  # fmt: skip


def idle(session: Session, *, vehicle_ids: Collection[int], span: Span) -> list[Idle]:
    """Return when vehicles are in the shop or sealed during a span; a seal that is only announced counts too."""
    found = [
        Idle(vehicle_id, Span(max(during.lower or span.start, span.start), min(during.upper or span.end, span.end)), "upkeep")
        for vehicle_id, during in upkeep.in_shop(session, vehicle_ids=vehicle_ids, span=span)
    ]  # fmt: skip
    for vehicle_id, days in seals.days_of(session, vehicle_ids=vehicle_ids, span=span):
        if days.lower is None or days.upper is None:
            continue  # a notice has a first and a last day; the type allows others
        start, end = clock.start_of(days.lower), clock.start_of(days.upper)
        if max(start, span.start) < min(end, span.end):
            found.append(Idle(vehicle_id, Span(max(start, span.start), min(end, span.end)), "seal"))
    return found


def places(
    session: Session, *, cars: Sequence[Vehicle], held: Sequence[Held], actor: Actor, now: datetime
) -> tuple[dict[int, Where], dict[int, Where]]:
    """Return where vehicles are by their terminals, and where the phones of drivers under way are, by vehicle id.

    Of restricted vehicles nobody sees either; without leave to watch nobody sees any.
    """
    if not permits.may("tracking.live", actor):
        return {}, {}
    watched = {
        car.id
        for car in cars
        if car.secrecy == Secrecy.NORMAL and permits.may("tracking.live", actor, org_path=car.org.path)
    }
    own = {
        vehicle_id: Where((one.lon, one.lat), one.at, "terminal",
                          live_state(at=one.at, received_at=one.received_at, speed_kmh=one.speed_kmh, now=now))
        for vehicle_id, one in tracking.newest(session, vehicle_ids=watched, now=now).items()
    }  # fmt: skip
    out = {row.id: row.vehicle_id for row in held if row.state in rules.OUT and row.vehicle_id in watched}
    phones = {
        out[row.assignment_id]: Where(
            (row.lon, row.lat), row.at, "phone", live_state(at=row.at, received_at=row.received_at, speed_kmh=None, now=now)
        )
        for row in phone.newest_positions(session, assignment_ids=list(out))
    }  # fmt: skip
    return own, phones


def silent(own: dict[int, Where], row: Held, bound: Collection[int]) -> bool:
    """Tell whether the terminal of a vehicle under way says nothing: offline, or never heard of though it carries one."""
    if row.state not in rules.OUT or row.vehicle_id not in bound:
        return False
    return row.vehicle_id not in own or own[row.vehicle_id].state is LiveState.OFFLINE


def bound(session: Session, *, vehicle_ids: Collection[int], now: datetime) -> set[int]:
    """Return those of the vehicles that carry a terminal."""
    return {row.vehicle_id for row in session.scalars(tracking.bindings_at(now=now)) if row.vehicle_id in vehicle_ids}
