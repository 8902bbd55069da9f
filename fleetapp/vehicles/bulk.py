"""Thousands of vehicles at a time, for ledgers: the same rules, constraints and log entries as one by one.

Both functions return their log entries for ``record``: the chain's lock is taken once, at the end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.vehicles import bridge, rules, service
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Acquired, Body, Category, Energy, ManagementMode, Secrecy, VehicleState

Entry = tuple[int, int, Mapping[str, Any]]
"""Vehicle, organisation, and the data of its log entry."""
EDITABLE = service.EDITABLE | {"management_mode"}
"""A ledger may also say who keeps a vehicle."""
DEFAULTS: Mapping[str, Any] = {
    "secrecy": Secrecy.NORMAL, "management_mode": ManagementMode.RETAINED, "acquired_by": Acquired.PURCHASE, "domestic": True,
    "odometer_m": 0,
}  # fmt: skip
"""What a new vehicle is where its row says nothing."""


def register(
    session: Session, rows: Sequence[tuple[Organisation, Mapping[str, Any]]], *, phones: Mapping[int, str], source: Mapping[str, Any], actor: Actor,
    now: datetime,
) -> list[Entry]:  # fmt: skip
    """Enter the opening stock of units, in service.

    ``phones`` are terminals by the place of the row; ``source`` goes into every log entry.

    :raises NotAllowed: a unit is outside the actor's reach.
    :raises RuleBroken: facts of a vehicle do not fit together.
    :raises Conflict: at the end of the transaction, ``vehicles.plate_taken``, ``vin_taken``, ``terminal_elsewhere``.
    """
    for org in {org.id: org for org, _ in rows}.values():
        permits.require("vehicles.register", actor, org_path=org.path)
    made: list[dict[str, Any]] = []
    for org, given in rows:
        rules.check_facts(
            plate=given["plate"], vin=given["vin"], category=Category(given["category"]), body=Body(given["body"]),
            energy=Energy(given["energy"]), seats=given["seats"], range_km=given.get("range_km"),
            registered_on=given["registered_on"],
        )  # fmt: skip
        filled = {name: given.get(name) for name in EDITABLE}
        filled |= {name: value if given.get(name) is None else given[name] for name, value in DEFAULTS.items()}
        made.append(filled | {"org_id": org.id, "state": VehicleState.IN_SERVICE, "created_at": now, "version": 1})
    ids = list(session.scalars(insert(Vehicle).returning(Vehicle.id, sort_by_parameter_order=True), made))
    terminals = bridge.terminal_ids(session, set(phones.values()))
    if phones:
        session.execute(insert(TerminalBinding), [
            {"org_id": made[place]["org_id"], "vehicle_id": ids[place], "terminal_id": terminals[phone], "during": Range(now, None)}
            for place, phone in phones.items()
        ])  # fmt: skip
    return [
        (vehicle_id, row["org_id"], {name: value for name, value in row.items() if name not in {"created_at", "version"} and value is not None}
         | {"terminal": phones.get(place), **source})
        for place, (vehicle_id, row) in enumerate(zip(ids, made, strict=True))
    ]  # fmt: skip


def edit(
    session: Session, rows: Sequence[tuple[Vehicle, Mapping[str, Any]]], *, source: Mapping[str, Any], actor: Actor
) -> list[Entry]:  # fmt: skip
    """Correct facts (``EDITABLE``) of vehicles that were read in this transaction.

    :raises NotAllowed: a vehicle is out of reach or retired.
    :raises RuleBroken: facts of a vehicle do not fit together.
    :raises StaleDataError: somebody changed one of them since it was read.
    """
    entries: list[Entry] = []
    with session.no_autoflush:
        for vehicle, changes in rows:
            permits.require("vehicles.edit", actor, org_path=vehicle.org.path, state=vehicle.state)
            if unknown := changes.keys() - EDITABLE:
                raise ValueError(f"not editable: {sorted(unknown)}")
            entries.append((vehicle.id, vehicle.org_id, {
                "changed": {name: [getattr(vehicle, name), value] for name, value in changes.items()}, **source,
            }))  # fmt: skip
            for name, value in changes.items():
                setattr(vehicle, name, value)
            service.check(vehicle)
    session.flush()
    return entries


def record(
    session: Session, *, registered: Sequence[Entry], edited: Sequence[Entry], actor: Actor, now: datetime
) -> None:
    """Log what was entered and corrected, vehicle by vehicle; call it last."""
    for action, entries in (("vehicles.registered", registered), ("vehicles.edited", edited)):
        if entries:
            audit.record_many(session, actor=actor, now=now, action=action, subject_type="vehicle", entries=entries)
