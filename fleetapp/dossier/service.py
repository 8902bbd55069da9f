"""Completing a vehicle's file."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.dossier import queries, rules
from fleetapp.dossier.models import VehicleFact
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Invalid, RuleBroken
from fleetapp.vehicles import queries as vehicles


def complete(
    session: Session, *, vehicle_id: int, values: Mapping[str, str], actor: Actor, now: datetime
) -> list[VehicleFact]:
    """Enter values by attribute; what is already so is left alone, what differs supersedes what was there.

    :raises NotAllowed: out of reach, retired, or not this role.
    :raises Invalid: by attribute what is wrong with it; nothing is entered then.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("dossier.edit", actor, org_path=vehicle.org.path, state=vehicle.state)
    parsed: dict[str, str] = {}
    wrong: dict[str, list[str]] = {}
    for key, text in values.items():
        try:
            parsed[key] = rules.parse(key, text)
        except RuleBroken as error:
            wrong[key] = [error.code]
    if wrong:
        raise Invalid(fields=wrong)
    there = queries.facts(session, vehicle_id=vehicle.id)
    changed = {key: value for key, value in parsed.items() if there.get(key) != value}
    made = [
        VehicleFact(org_id=vehicle.org_id, vehicle_id=vehicle.id, key=key, value=value, entered_at=now, entered_by=actor.user_id)
        for key, value in changed.items()
    ]  # fmt: skip
    if made:
        session.add_all(made)
        session.flush()
        audit.record(session, actor=actor, now=now, action="vehicles.facts_entered", subject_type="vehicle", subject_id=vehicle.id,
                     org_id=vehicle.org_id, facts=[{"key": key, "before": there.get(key), "after": value} for key, value in changed.items()])  # fmt: skip
    return made
