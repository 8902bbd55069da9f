"""Everybody's position for whoever watches: all of it once, then what changed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import literal, select
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Invalid
from fleetapp.tracking import bridge, queries
from fleetapp.tracking.bridge import LastPosition, Snapshot
from fleetapp.tracking.rules import Outlook, outlook
from fleetapp.vehicles.models import TerminalBinding, Vehicle

LONGEST_CURSOR = 4000
"""Digits of a few hundred transactions under way at once; whoever has more begins anew."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A vehicle with a terminal that the actor may watch."""

    vehicle_id: int
    terminal_id: int
    plate: str
    org_id: int
    name_zh: str
    name_en: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A vehicle's newest position and what it means."""

    vehicle_id: int
    position: LastPosition
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Changes:
    """What a watcher lacks; ``full``: forget whatever is not in it. ``next`` is the cursor to go on from."""

    next: str
    full: bool
    vehicles: Sequence[Watched]
    positions: Sequence[Seen]


def fleet(session: Session, *, actor: Actor, now: datetime) -> list[Watched]:
    """Return the vehicles that the actor may watch and that carry a terminal, by plate."""
    rows = session.execute(
        select(Vehicle.id, TerminalBinding.terminal_id, Vehicle.plate, Vehicle.org_id, Organisation.name_zh, Organisation.name_en)
        .join(TerminalBinding, TerminalBinding.vehicle_id == Vehicle.id)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(TerminalBinding.during.contains(literal(now)), *queries.watchable(actor))
        .order_by(Vehicle.plate, Vehicle.id)
    )  # fmt: skip
    return [Watched(*row) for row in rows]


def changes(session: Session, *, actor: Actor, now: datetime, since: str | None) -> Changes:
    """Return what changed since the answer whose ``next`` is ``since``; everything where there was none.

    The cursor names the vehicles of that answer by a digest and what the database showed then by its snapshot: where the
    vehicles are others by now, or the snapshot is not of this database's past, everything is sent again.

    :raises Invalid: a cursor that no answer gave.
    """
    vehicles = fleet(session, actor=actor, now=now)
    digest = hashlib.sha256(repr(vehicles).encode()).hexdigest()[:16]
    known, seen = read_cursor(since) if since else ("", None)
    terminals = {one.terminal_id: one.vehicle_id for one in vehicles}
    full = known != digest
    found = bridge.changed_positions(session, seen=None if full else seen, terminal_ids=list(terminals))
    if found is None:
        full, found = True, bridge.changed_positions(session, seen=None, terminal_ids=list(terminals))
        assert found is not None
    positions, snapshot = found
    return Changes(
        next=f"{digest}-{snapshot}",
        full=full,
        vehicles=vehicles if full else (),
        positions=[
            Seen(
                terminals[position.terminal_id],
                position,
                outlook(at=position.at, received_at=position.received_at, speed_kmh=position.speed_kmh, now=now),
            )
            for position in positions
        ],
    )


def read_cursor(text: str) -> tuple[str, Snapshot]:
    """Return the digest of the vehicles and the snapshot that a cursor names.

    :raises Invalid: no cursor.
    """
    digest, dash, snapshot = text.partition("-")
    if not dash or not text.isascii() or len(text) > LONGEST_CURSOR:
        raise Invalid("tracking.cursor")
    try:
        return digest, Snapshot.parse(snapshot)
    except ValueError as error:
        raise Invalid("tracking.cursor") from error
