"""Taking what a phone sent: once, in the driver's own name, with its answer kept; issuing the codes of vehicles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.duty import queries as duties
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, FleetError, Invalid, NotFound
from fleetapp.phone import codes, queries, rules, steps
from fleetapp.phone.models import PhoneAction, PhonePosition, VehicleCode
from fleetapp.phone.rules import Kind, Outcome
from fleetapp.planning.signing import Keys
from fleetapp.vehicles import queries as vehicles


@dataclass(frozen=True, slots=True)
class Sent:
    """What came from a phone; ``body`` is loaded by the schema of its kind, ``said`` the same as it came, photographs as (name, bytes)."""

    kind: Kind
    key: str
    tapped_at: datetime
    sent_at: datetime
    body: dict[str, Any]
    said: dict[str, Any]
    assignment_id: int | None = None
    photos: tuple[tuple[str, bytes], ...] = ()
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None


def receive(session: Session, *, sent: Sent, keys: Keys, actor: Actor, now: datetime) -> PhoneAction:
    """Apply an action, or refuse it with what is wrong; either way the answer is kept and given again to the same key.

    What an action has begun is undone when it is refused; the row that says so stays.

    :raises NotAllowed: no driver.
    :raises Conflict: ``phone.key_reused``, the key came with something else before.
    """
    permits.require("phone.use", actor)
    if actor.user_id is None or actor.org_id is None:
        raise NotFound("kit.not_found")
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 11))"), {"key": sent.key})
    digest = rules.digest(kind=sent.kind, assignment_id=sent.assignment_id, body=sent.said,
                          photos=[content for _, content in sent.photos])  # fmt: skip
    known = queries.find_action(session, key=sent.key)
    if known is not None:
        if known.digest != digest:
            raise Conflict("phone.key_reused")
        return known
    believed = rules.believed(tapped_at=sent.tapped_at, sent_at=sent.sent_at, now=now)
    remarks: list[dict[str, Any]] = [{"code": code} for code in believed.remarks]
    org_id, assignment_id, refused = actor.org_id, None, None
    try:
        with session.begin_nested():
            duty = None
            if sent.assignment_id is not None:
                duty = duties.get_duty(session, assignment_id=sent.assignment_id, actor=actor)
                org_id, assignment_id = duty.org_id, duty.id
            remarks += steps.apply(session, sent=sent, duty=duty, at=believed.at, keys=keys, actor=actor, now=now)
            session.flush()
    except FleetError as error:
        refused = error
    made = PhoneAction(
        org_id=org_id, user_id=actor.user_id, assignment_id=assignment_id, kind=sent.kind, key=sent.key, digest=digest, body=sent.said,
        tapped_at=sent.tapped_at, sent_at=sent.sent_at, at=believed.at, received_at=now, skew_s=believed.skew_s, lat=sent.lat,
        lon=sent.lon, accuracy_m=sent.accuracy_m, outcome=Outcome.REFUSED if refused else Outcome.APPLIED,
        code=refused.code if refused else None, params=plain(refused.params) if refused else None,
        remarks=[{**one, "params": plain(one.get("params", {}))} for one in remarks],
    )  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action=f"phone.{made.outcome.lower()}", subject_type="phone_action", subject_id=made.id,
                 org_id=org_id, kind=sent.kind, assignment=assignment_id, at=believed.at, skew_s=round(believed.skew_s, 1),
                 code=made.code, remarks=[one["code"] for one in remarks])  # fmt: skip
    return made


def plain(params: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a message so that they can be kept as JSON: moments as ISO 8601."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in params.items()}


def add_positions(
    session: Session, *, assignment_id: int, positions: Sequence[dict[str, Any]], sent_at: datetime, actor: Actor, now: datetime
) -> int:  # fmt: skip
    """Keep where the driver's phone was on a journey under way; one that is there already changes nothing.

    :raises NotFound: not the actor's duty.
    :raises Conflict: ``phone.no_journey``, none of the actor's is under way: nothing is kept then.
    """
    permits.require("phone.use", actor)
    duty = duties.get_duty(session, assignment_id=assignment_id, actor=actor)
    if duty.order.state not in rules.UNDER_WAY:
        raise Conflict("phone.no_journey")
    if len({one["at"] for one in positions}) != len(positions):
        raise Invalid(fields={"positions": ["Duplicate moment."]})
    rows = [
        {"org_id": duty.org_id, "assignment_id": duty.id, "user_id": actor.user_id, "received_at": now, "lat": one["lat"],
         "lon": one["lon"], "accuracy_m": one.get("accuracy_m"),
         "at": rules.believed(tapped_at=one["at"], sent_at=sent_at, now=now).at.replace(microsecond=0)}
        for one in positions
    ]  # fmt: skip
    session.execute(insert(PhonePosition).values(rows).on_conflict_do_nothing())
    return len(rows)


def issue(
    session: Session, *, vehicle_ids: Sequence[int], keys: Keys, actor: Actor, now: datetime
) -> list[VehicleCode]:  # fmt: skip
    """Issue a new code for each vehicle; the one before it is void from then on.

    :raises NotFound: one of them is no vehicle within reach.
    :raises NotAllowed: one that the actor does not keep.
    """
    made = []
    for vehicle_id in sorted(set(vehicle_ids)):
        vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
        permits.require("phone.codes", actor, org_path=vehicle.org.path)
        before = queries.newest_codes(session, vehicle_ids=[vehicle.id]).get(vehicle.id)
        serial = before.serial + 1 if before else 1
        signed = codes.sign(codes.VehicleSign(vehicle.plate, serial), keys, now)
        one = VehicleCode(org_id=vehicle.org_id, vehicle_id=vehicle.id, serial=serial, text=signed, manual=codes.manual(signed),
                          issued_at=now, issued_by=actor.user_id)  # fmt: skip
        session.add(one)
        session.flush()
        audit.record(session, actor=actor, now=now, action="phone.code_issued", subject_type="vehicle", subject_id=vehicle.id,
                     org_id=vehicle.org_id, plate=vehicle.plate, serial=serial)  # fmt: skip
        made.append(one)
    return made
