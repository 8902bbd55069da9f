"""Deriving trips and matches: recompute a vehicle's window, supersede what changed, keep what did not."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from geoalchemy2.shape import to_shape
from sqlalchemy import text
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.duty import queries as duty_queries
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound
from fleetapp.places import queries as place_queries
from fleetapp.policies import queries as policy_queries
from fleetapp.tracking import queries as tracking_queries
from fleetapp.trips import bridge, queries
from fleetapp.trips.models import DeriveCursor, Trip, TripMatch
from fleetapp.trips.roads import Roads
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

NEAR_M = 500.0
"""A trip's end is named after the nearest known place within this distance."""


@dataclass(slots=True)
class Derived:
    """What a recomputation changed."""

    added: int = 0
    superseded: int = 0
    matches: int = 0


@dataclass(frozen=True, slots=True)
class _Window:
    """A vehicle's ``[start, end]`` with what its fixes, read from ``first`` to ``last``, give and what they replace."""

    start: datetime
    end: datetime
    first: datetime
    last: datetime
    orders: Sequence[duty_queries.OrderOfVehicle]
    found: bridge.Found
    touched: Sequence[bridge.Trip]
    values: Sequence[dict[str, Any]]
    present: Mapping[str, Trip]
    stale: Sequence[Trip]


def derive_window(
    session: Session, *, vehicle_id: int, start: datetime, end: datetime, now: datetime, roads: Roads | None = None
) -> Derived:
    """Recompute the trips and matches of a vehicle that touch ``[start, end]``.

    The fixes are read with a quiet margin on both sides, so that the result is the same whatever order the fixes
    arrived in. Rows whose content is unchanged stay as they are; others are superseded, never edited.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(808, :vehicle)"), {"vehicle": vehicle_id % 2**31})
    vehicle = queries.vehicle_with_parking(session, vehicle_id=vehicle_id)
    done = Derived()
    if vehicle.secrecy == Secrecy.SECRET:
        return done
    window = _settled(session, vehicle, start, end, now)
    for old in window.stale:
        old.superseded_at = now
        for part in old.matches:
            part.superseded_at = now
    done.superseded = len(window.stale)
    session.flush()
    made = _made(session, vehicle, window, now=now, roads=roads or Roads())
    rows = [made.get(index) or window.present[row["content_digest"]] for index, row in enumerate(window.values)]
    done.added = len(made)
    figures = policy_queries.values(session, "match.", clock.local_date(window.start), vehicle.org.path)
    parts = bridge.match(window.touched, window.orders, params=bridge.match_params(figures))
    done.matches = _store_matches(session, rows, set(made), parts, now)
    return done


def _made(session: Session, vehicle: Vehicle, window: _Window, *, now: datetime, roads: Roads) -> dict[int, Trip]:
    """Add the trips that are not there yet; returns their rows by place in the window."""
    new = [index for index, row in enumerate(window.values) if row["content_digest"] not in window.present]
    if not new:
        return {}
    terminals = tracking_queries.bindings_of(session, vehicle_id=vehicle.id, start=window.first, end=window.last)
    names = bridge.PlaceNames(place_queries.all_points(session), within_m=NEAR_M)
    made: dict[int, Trip] = {}
    for index in new:
        trip = window.touched[index]
        terminal = next(binding.terminal_id for binding in terminals if binding.during.contains(trip.start_at))
        distance = bridge.matched_distance(trip, roads=roads)
        made[index] = Trip(
            org_id=vehicle.org_id, vehicle_id=vehicle.id, terminal_id=terminal, derived_at=now,
            matched_m=round(distance.metres, 1), matched_source=distance.source,
            start_place=names.near(trip.fixes[0]), end_place=names.near(trip.fixes[-1]), **window.values[index],
        )  # fmt: skip
    session.add_all(made.values())
    session.flush()
    return made


def _settled(session: Session, vehicle: Vehicle, start: datetime, end: datetime, now: datetime) -> _Window:
    """Return a window wide enough that the same comes out whatever order the fixes came in.

    What changed touches the trips up to the usable fixes next to it, however long ago: the silence between is theirs.
    A trip that falls away may reach beyond: late fixes of a stay split it, and its other half begins after them. And
    every trip touched is read with an edge around it and the usable fix next to it. So the window is widened until it has
    all that.
    """
    first, last = start - bridge.QUIET, end + bridge.QUIET
    while True:
        window = _read(session, vehicle, (start, end), (first, last), now)
        start = min([start, *(old.start_at for old in window.stale)])
        end = max([end, *(old.end_at for old in window.stale)])
        low = min([start, *(trip.start_at for trip in window.touched)])
        high = max([end, *(trip.end_at for trip in window.touched)])
        wide = min(first, low - bridge.EDGE), max(last, high + bridge.EDGE)
        if window.found.usable_before(low) is None:
            wide = _reach(session, vehicle, before=wide[0]) or wide[0], wide[1]
        if window.found.usable_after(high) is None:
            wide = wide[0], _reach(session, vehicle, after=wide[1]) or wide[1]
        if (start, end, *wide) == (window.start, window.end, first, last):
            return window
        first, last = wide


def _reach(
    session: Session, vehicle: Vehicle, *, before: datetime | None = None, after: datetime | None = None
) -> datetime | None:
    """Return a margin beyond the fix next to what is read, if there is one."""
    if before is not None:
        at = tracking_queries.nearest_at(
            session, vehicle_id=vehicle.id, start=before - bridge.SILENCE, end=before, last=True
        )
        return at - bridge.QUIET if at else None
    assert after is not None
    at = tracking_queries.nearest_at(
        session, vehicle_id=vehicle.id, start=after, end=after + bridge.SILENCE, last=False
    )
    return at + bridge.QUIET if at else None


def _read(
    session: Session,
    vehicle: Vehicle,
    window: tuple[datetime, datetime],
    read: tuple[datetime, datetime],
    now: datetime,
) -> _Window:
    (start, end), (first, last) = window, read
    track = tracking_queries.track_columns(session, vehicle_id=vehicle.id, start=first, end=last)
    orders = duty_queries.orders_of_vehicle(session, vehicle_id=vehicle.id, start=first, end=last)
    events = [at for order in orders for at in (order.checked_out_at, order.returned_at) if at]
    parking = to_shape(vehicle.parking.area) if vehicle.parking else None
    found = bridge.derive(track, parking=parking, boundaries=events, now=now)  # type: ignore[arg-type]
    present = {
        trip.content_digest: trip for trip in queries.current_in(session, vehicle_id=vehicle.id, start=first, end=last)
    }
    low, high = found.usable_before(start) or start, found.usable_after(end) or end
    touched = [trip for trip in found.trips if trip.end_at >= low and trip.start_at <= high]
    values = [bridge.trip_values(trip) for trip in touched]
    wanted = {row["content_digest"] for row in values}
    stale = [
        old
        for digest, old in present.items()
        if digest not in wanted
        and (
            (old.end_at >= low and old.start_at <= high)
            or any(row["start_at"] < old.end_at and old.start_at < row["end_at"] for row in values)
        )
    ]
    return _Window(start, end, first, last, orders, found, touched, values, present, stale)


def _store_matches(
    session: Session,
    trips: Sequence[Trip],
    made: set[int],
    parts: Sequence[tuple[bridge.Match, float]],
    now: datetime,
) -> int:
    """Replace the matches that changed; returns how many are new."""
    added = 0
    for index, trip in enumerate(trips):
        wanted = [_match_values(part, metres) for part, metres in parts if part.trip_index == index]
        current = [] if index in made else [part for part in trip.matches if part.superseded_at is None]
        if [{name: getattr(part, name) for name in wanted[0]} for part in current] == wanted if wanted else not current:
            continue
        for part in current:
            part.superseded_at = now
        session.add_all(TripMatch(org_id=trip.org_id, trip_id=trip.id, derived_at=now, **row) for row in wanted)
        added += len(wanted)
    session.flush()
    return added


def _match_values(part: bridge.Match, metres: float) -> dict[str, Any]:
    return {
        "start_at": part.start_at,
        "end_at": part.end_at,
        "order_id": part.order_id,
        "kind": part.kind.value,
        "distance_m": round(metres, 1),
        "margin": round(part.margin, 4),
        "candidates": [{"order_id": order_id, **bridge.score_values(score)} for order_id, score in part.candidates],
        **bridge.score_values(part.score),
    }


def move_cursor(session: Session, *, name: str, at: datetime) -> None:
    """Remember up to when a job has read."""
    session.merge(DeriveCursor(name=name, at=at))


def view_fixes(session: Session, *, trip: Trip, purpose: str, actor: Actor, now: datetime) -> list[bridge.Fix]:
    """Return a trip's fixes and log who looked and why.

    :raises NotFound: the vehicle's tracks are not shown.
    """
    if trip.vehicle.secrecy != Secrecy.NORMAL:
        raise NotFound("kit.not_found")
    fixes = tracking_queries.track(session, vehicle_id=trip.vehicle_id, start=trip.start_at, end=trip.end_at)
    audit.record(session, actor=actor, now=now, action="tracking.viewed", subject_type="trip", subject_id=trip.id,
                 org_id=trip.org_id, purpose=purpose, fixes=len(fixes))  # fmt: skip
    return fixes
