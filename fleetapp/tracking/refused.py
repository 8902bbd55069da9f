"""Senders whose frames were refused: who they may be, registering them to a vehicle, leaving them out of the list."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, and_, exists, func, or_, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import within_reach
from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import NotFound, RuleBroken
from fleetapp.tracking import bridge
from fleetapp.tracking.models import IgnoredSender
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles import service as vehicle_service
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import VehicleState

LOOKED_BACK = timedelta(days=7)


def listed(actor: Actor, *, now: datetime, q: str = "", ignored: bool = False) -> Select[Any]:
    """Return the senders refused in the last seven days, the latest first: unknown ones, those in no vehicle, those in one within reach.

    What the terminals of other units send is theirs to see, whether or not it was refused.
    """
    refused, device = bridge.refused_by_identity(since=now - LOOKED_BACK), bridge.device()
    names: Any = func.array_remove(array([refused.c.phone]), None)
    nobody: Any = func.array_remove(array([""]), "")
    taken = func.vehicle_identities_taken(nobody, nobody, names).table_valued("kind", "value", "vin")
    query = (
        select(
            refused, device.c.terminal_id, device.c.enabled, Vehicle.id.label("vehicle_id"), Vehicle.plate, Organisation.name_zh, Organisation.name_en,
            IgnoredSender.id.label("ignored_id"), IgnoredSender.reason.label("ignored_reason"), IgnoredSender.org_id.label("ignored_org_id"),
        )
        .select_from(refused)
        .outerjoin(device, device.c.phone == refused.c.phone)
        .outerjoin(TerminalBinding, and_(TerminalBinding.terminal_id == device.c.terminal_id, func.upper_inf(TerminalBinding.during)))
        .outerjoin(Vehicle, Vehicle.id == TerminalBinding.vehicle_id)
        .outerjoin(Organisation, Organisation.id == Vehicle.org_id)
        .outerjoin(IgnoredSender, and_(IgnoredSender.phone == refused.c.phone, IgnoredSender.ended_at.is_(None)))
        .where(or_(within_reach(actor, "tracking.quarantine"), ~exists(select(taken.c.value))))
        .where(IgnoredSender.id.is_not(None) if ignored else IgnoredSender.id.is_(None))
    )  # fmt: skip
    if q:
        query = query.where(refused.c.phone.like(f"%{q}%"))
    return query.order_by(refused.c.last_at.desc(), refused.c.phone)


def get(session: Session, *, phone: str, actor: Actor, now: datetime) -> Any:
    """Return one sender.

    :raises NotFound: nothing of it was refused lately, or it is another unit's.
    """
    for ignored in (False, True):
        query = listed(actor, now=now, q=phone, ignored=ignored)
        for row in session.execute(query):
            if row.phone == phone:
                return row
    raise NotFound("kit.not_found")


def register(session: Session, *, phone: str, plate: str, replace: bool, actor: Actor, now: datetime) -> int:
    """Fit a sender as the terminal of a vehicle; returns the vehicle. Its next registration is accepted.

    :raises NotAllowed: not the actor's vehicle to fit.
    :raises NotFound: no such vehicle within reach.
    :raises RuleBroken: the vehicle carries another terminal and ``replace`` is not said, or no number of a terminal.
    :raises Conflict: ``vehicles.terminal_elsewhere``, at the end.
    """
    permits.require("tracking.quarantine", actor)
    vehicle = session.scalar(
        select(Vehicle)
        .join(Organisation, Organisation.id == Vehicle.org_id)
        .where(
            Vehicle.plate == plate.strip().upper(),
            Vehicle.state != VehicleState.RETIRED,
            within_reach(actor, "tracking.quarantine"),
        )
    )
    if vehicle is None:
        raise NotFound("tracking.no_such_plate", plate=plate)
    present = vehicles.open_phones(session, vehicle_ids=[vehicle.id]).get(vehicle.id)
    if present is not None and present != phone and not replace:
        raise RuleBroken("tracking.has_terminal", plate=vehicle.plate, phone=present)
    vehicle_service.bind_terminal(session, vehicle_id=vehicle.id, phone=phone, actor=actor, now=now)
    return vehicle.id


def ignore(session: Session, *, phone: str, reason: str, actor: Actor, now: datetime) -> None:
    """Leave a sender out of the list; its frames stay refused and on record.

    :raises NotFound: not to be seen.
    :raises RuleBroken: no reason.
    """
    permits.require("tracking.quarantine", actor)
    row = get(session, phone=phone, actor=actor, now=now)
    if len(reason.strip()) < 2:
        raise RuleBroken("tracking.reason_missing")
    if row.ignored_id is not None:
        return
    org_id = next(grant.org_id for grant in actor.grants if grant.role in permits.table()["tracking.quarantine"].roles)
    session.add(
        IgnoredSender(org_id=org_id, phone=phone, reason=reason.strip(), ignored_at=now, ignored_by=actor.user_id)
    )
    audit.record(session, actor=actor, now=now, action="tracking.sender_ignored", subject_type="gps_sender", subject_id=phone,
                 org_id=org_id, reason=reason.strip())  # fmt: skip


def heed(session: Session, *, phone: str, actor: Actor, now: datetime) -> None:
    """Put a sender back on the list.

    :raises NotFound: it is not ignored within reach.
    """
    permits.require("tracking.quarantine", actor)
    found = session.scalar(
        select(IgnoredSender)
        .join(Organisation, Organisation.id == IgnoredSender.org_id)
        .where(
            IgnoredSender.phone == phone, IgnoredSender.ended_at.is_(None), within_reach(actor, "tracking.quarantine")
        )
    )
    if found is None:
        raise NotFound("kit.not_found")
    found.ended_at = now
    audit.record(session, actor=actor, now=now, action="tracking.sender_heeded", subject_type="gps_sender", subject_id=phone,
                 org_id=found.org_id)  # fmt: skip
