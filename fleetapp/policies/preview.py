"""What a new figure would change, computed by writing it, counting, and taking it back.

Slices above register what of theirs a figure touches in ``EFFECTS`` (filled by ``fleetapp/wiring.py``). A count looks at the
figures as they stand in the session, so it is the same before a change, inside its preview and after its commit.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries, service
from fleetapp.policies.models import PolicyValue


@dataclass(frozen=True, slots=True)
class Measure:
    """What a figure catches: organisation by row id. ``text`` names it, ``page`` and ``args`` are the list it can be seen in.

    ``unit_arg`` is the argument that narrows that list to one organisation: ``org_id``, ``q`` for its name, None for none.
    ``blind`` tells that only what was caught before is known: a stricter figure may catch more.
    """

    text: str
    orgs: Mapping[int, int]
    page: str
    args: Mapping[str, Any] = field(default_factory=dict)
    unit_arg: str | None = None
    blind: bool = False


Effect = Callable[[Session, Actor, str, date, datetime], Sequence[Measure]]
"""Of a code, on a local day, at a moment: everything the figure touches within the actor's reach."""
EFFECTS: dict[str, tuple[Effect, ...]] = {}
"""By the beginning of the code; the longest one that fits counts."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The counts of one organisation."""

    org: Organisation
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Change:
    """What one measure becomes: counts, the ids of rows that come and go, and the organisations where it changes."""

    measure: Measure
    before: int
    after: int
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Below:
    """A row of a scope below, and the value that stands in its place now and with the new row."""

    row: PolicyValue
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Preview:
    """The row as it would be, the one it ends, the one above it, those below, what changes by the data of which day.

    Without any change nothing is counted for this figure.
    """

    row: PolicyValue
    replaces: PolicyValue | None
    above: PolicyValue | None
    below: tuple[Below, ...]
    on: date
    changes: tuple[Change, ...]


def effects_of(code: str) -> tuple[Effect, ...]:
    """Return the counts registered for a code."""
    fits = [start for start in EFFECTS if code.startswith(start)]
    return EFFECTS[max(fits, key=len)] if fits else ()


def measures(session: Session, *, code: str, on: date, actor: Actor, now: datetime) -> list[Measure]:
    """Return what a figure catches on a local day, as the rows stand in the session."""
    return [measure for effect in effects_of(code) for measure in effect(session, actor, code, on, now)]


def preview(session: Session, *, actor: Actor, now: datetime, **given: Any) -> Preview:
    """Return what ``service.enter`` with the same arguments would change; refuses what it refuses, and leaves no trace.

    Counts are of the row's first day, of today for a correction.
    """
    code, on = given["code"], max(given["valid_from"], clock.local_date(now))
    org = session.get(Organisation, given["org_id"]) if given.get("org_id") else None
    before = measures(session, code=code, on=on, actor=actor, now=now)
    stood = queries.below(session, code=code, scope=given["scope"], org=org, on=on)
    inside = session.begin_nested()
    try:
        row = service.add(session, **given, actor=actor, now=now)
        after = measures(session, code=code, on=on, actor=actor, now=now)
        stand = queries.below(session, code=code, scope=given["scope"], org=org, on=on)
        replaces = session.get(PolicyValue, row.replaces_id) if row.replaces_id else None
        above = queries.above(session, code=code, scope=given["scope"], org=org, on=row.valid_from)
        for one in (row, replaces, above):
            if one is not None and one in session:
                session.expunge(one)
    finally:
        inside.rollback()
    pairs = zip(before, after, strict=True)
    changes = tuple(_change(session, one, other) for one, other in pairs)
    below = tuple(Below(one, was, becomes) for (one, was), (_, becomes) in zip(stood, stand, strict=True))
    return Preview(row, replaces, above, below, on, changes)


def _change(session: Session, before: Measure, after: Measure) -> Change:
    orgs = {**before.orgs, **after.orgs}
    gained, lost = sorted(after.orgs.keys() - before.orgs.keys()), sorted(before.orgs.keys() - after.orgs.keys())
    was, becomes = Counter(before.orgs.values()), Counter(after.orgs.values())
    touched = {orgs[key] for key in (*gained, *lost)}
    found = [session.get_one(Organisation, org_id) for org_id in touched]
    units = tuple(Unit(org, was[org.id], becomes[org.id]) for org in sorted(found, key=lambda org: org.path))
    return Change(after, len(before.orgs), len(after.orgs), tuple(gained), tuple(lost), units)
