"""What was seen of a vehicle on one local day, kept so that patterns of months need not read its fixes again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import date, datetime
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.findings.known import Blank, Poi, Position, Signal, Stay
from fleetapp.findings.rule_models import VehicleDay

T = TypeVar("T")


MADE = {"stays": Stay, "pauses": Stay, "signals": Signal, "blanks": Blank, "positions": Position}
"""Kinds of values of a day, in the words of ``Known``."""


def kept(**values: Iterable[Any]) -> dict[str, Any]:
    """Return values of a day as JSON."""
    return {name: [_plain(asdict(one)) for one in rows] for name, rows in values.items()}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if value is not None
    }


def taken(facts: Mapping[str, Any], name: str) -> list[Any]:
    """Return the values of one kind that were kept."""
    return [_made(MADE[name], row) for row in facts.get(name, [])]


def _made(kind: type[T], row: Mapping[str, Any]) -> T:
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    values = {name: value for name, value in row.items() if name in known}
    for name in ("start_at", "end_at", "at"):
        if name in values:
            values[name] = datetime.fromisoformat(values[name])
    if "pois" in values:
        values["pois"] = tuple(Poi(**poi) for poi in values["pois"])
    return kind(**values)


def save(
    session: Session, *, org_id: int, vehicle_id: int, days: Mapping[date, Mapping[str, Any]], now: datetime
) -> None:
    """Keep what was seen on some days in the place of what was kept of them before."""
    for on, facts in sorted(days.items()):
        row = {"org_id": org_id, "vehicle_id": vehicle_id, "on": on, "facts": dict(facts), "made_at": now}
        fresh = {name: row[name] for name in ("org_id", "facts", "made_at")}
        session.execute(
            insert(VehicleDay).values(row).on_conflict_do_update(index_elements=["vehicle_id", "on"], set_=fresh)
        )


def load(session: Session, *, vehicle_id: int, start_on: date, end_on: date) -> Sequence[VehicleDay]:
    """Return the days kept of ``[start_on, end_on)``, in order."""
    query = select(VehicleDay).where(
        VehicleDay.vehicle_id == vehicle_id, VehicleDay.on >= start_on, VehicleDay.on < end_on
    )
    return session.scalars(query.order_by(VehicleDay.on)).all()


def gatherings(session: Session, *, start_on: date, end_on: date) -> list[tuple[str, datetime, datetime, int]]:
    """Return the stays at hotels and funeral homes on some days over all vehicles: (place, from, to, vehicle)."""
    found = []
    query = select(VehicleDay.vehicle_id, VehicleDay.facts).where(VehicleDay.on >= start_on, VehicleDay.on < end_on)
    for vehicle_id, facts in session.execute(query):
        for stay in facts.get("stays", []):
            names = {poi["name"] for poi in stay.get("pois", []) if poi["kind"] in {"hotel", "funeral"}}
            found += [
                (name, datetime.fromisoformat(stay["start_at"]), datetime.fromisoformat(stay["end_at"]), vehicle_id)
                for name in sorted(names)
            ]
    return found
