"""Writing of notices, proof, exceptions and unsealing: every step once, each by whoever may take it."""

from datetime import date, datetime

from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.attachments import rules as files
from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import service as orders
from fleetapp.places import queries as places
from fleetapp.planning import queries as planning
from fleetapp.seals import queries, rules
from fleetapp.seals.models import SealCampaign, SealEvent, SealException, SealRecord
from fleetapp.seals.rules import CampaignAction, CampaignState, ExceptionState, KeyHolder, RecordAction, RecordState
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles import service as vehicle_service
from fleetapp.vehicles.rules import VehicleState

CAMPAIGN_WORDS = {
    CampaignAction.PUBLISH: "published", CampaignAction.START: "started", CampaignAction.CLOSE: "closed",
    CampaignAction.CANCEL: "cancelled",
}  # fmt: skip
"""What events and the audit log call each action."""


def draft(
    session: Session, *, org_id: int, holiday: str, start_on: date, end_on: date, actor: Actor, now: datetime
) -> SealCampaign:
    """Draft a notice for an organisation and all below it.

    :raises NotAllowed: outside the office's reach.
    :raises RuleBroken: ``seals.bad_period``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("seals.publish", actor, org_path=org.path)
    today = clock.local_date(now)
    rules.check_period(start_on, end_on, today=today)
    series = f"FC{today.year}"
    made = SealCampaign(
        org_id=org.id, number=f"{series}-{orders.next_number(session, series):05d}", holiday=holiday, start_on=start_on,
        end_on=end_on, state=CampaignState.DRAFT, made_by=actor.user_id, created_at=now,
    )  # fmt: skip
    made.org = org
    session.add(made)
    session.flush()
    _record_campaign(session, made, "drafted", None, actor=actor, now=now, note=holiday)
    return made


def publish(session: Session, *, campaign_id: int, notice_no: str, actor: Actor, now: datetime) -> SealCampaign:
    """Publish a notice under its number: every vehicle in service of the scope is to be sealed.

    A vehicle that another notice holds in that time stays under that one.

    :raises RuleBroken: ``seals.wrong_step``, ``seals.bad_period`` when it is over already.
    """
    campaign, after = _take_campaign(session, campaign_id, CampaignAction.PUBLISH, actor)
    rules.check_period(campaign.start_on, campaign.end_on, today=clock.local_date(now))
    campaign.notice_no, campaign.published_by, campaign.published_at = notice_no, actor.user_id, now
    return _move_on(session, campaign, CampaignAction.PUBLISH, after, actor=actor, now=now)


def start(session: Session, *, campaign_id: int, actor: Actor, now: datetime) -> SealCampaign:
    """Let a published notice begin; vehicles that came into service meanwhile are under it, too."""
    campaign, after = _take_campaign(session, campaign_id, CampaignAction.START, actor)
    return _move_on(session, campaign, CampaignAction.START, after, actor=actor, now=now)


def close(session: Session, *, campaign_id: int, actor: Actor, now: datetime) -> SealCampaign:
    """Close a running notice: what was not proved is missed, what is sealed may be unsealed."""
    campaign, after = _take_campaign(session, campaign_id, CampaignAction.CLOSE, actor)
    return _move_on(session, campaign, CampaignAction.CLOSE, after, actor=actor, now=now)


def cancel(session: Session, *, campaign_id: int, note: str, actor: Actor, now: datetime) -> SealCampaign:
    """Cancel a notice that has not begun; vehicles sealed already may be unsealed."""
    campaign, after = _take_campaign(session, campaign_id, CampaignAction.CANCEL, actor)
    return _move_on(session, campaign, CampaignAction.CANCEL, after, actor=actor, now=now, note=note)


def move_next(session: Session, *, now: datetime) -> CampaignState | None:
    """Begin or close one notice whose time has come and return what it is then; again, until none is left."""
    campaign = queries.next_due(session, on=clock.local_date(now))
    if campaign is None:
        return None
    action = CampaignAction.START if campaign.state == CampaignState.PUBLISHED else CampaignAction.CLOSE
    after = rules.next_campaign_state(campaign.state, action)
    _move_on(session, campaign, action, after, actor=SYSTEM, now=now)
    return after


def _take_campaign(
    session: Session, campaign_id: int, action: CampaignAction, actor: Actor
) -> tuple[SealCampaign, CampaignState]:
    campaign = queries.get_campaign(session, campaign_id=campaign_id, actor=actor, lock=True)
    permits.require("seals.publish", actor, org_path=campaign.org.path)
    return campaign, rules.next_campaign_state(campaign.state, action)


def _move_on(
    session: Session, campaign: SealCampaign, action: CampaignAction, after: CampaignState, *, actor: Actor, now: datetime,
    note: str | None = None,
) -> SealCampaign:  # fmt: skip
    before, campaign.state = campaign.state, after
    if action in {CampaignAction.CLOSE, CampaignAction.CANCEL}:
        campaign.closed_at = now
    session.flush()
    missed = 0 if action is CampaignAction.PUBLISH else _end(session, campaign, action, actor=actor, now=now)
    if action in {CampaignAction.PUBLISH, CampaignAction.START}:
        note = f"{_enrol(session, campaign, actor=actor, now=now)}"
    elif action is CampaignAction.CLOSE:
        note = f"{missed}"
    _record_campaign(session, campaign, CAMPAIGN_WORDS[action], before, actor=actor, now=now, note=note)
    return campaign


def _enrol(session: Session, campaign: SealCampaign, *, actor: Actor, now: datetime) -> int:
    """Put the vehicles in service of the scope that no notice holds in that time under this one; returns how many."""
    cars = session.scalars(vehicles.filtered(vehicles.in_service(actor), org_path=campaign.org.path)).all()
    during = Range(campaign.start_on, campaign.end_on)
    held = queries.held(session, campaign=campaign, vehicle_ids=[car.id for car in cars])
    new = [
        SealRecord(org_id=car.org_id, campaign_id=campaign.id, vehicle_id=car.id, during=during, state=RecordState.TO_SEAL, created_at=now)
        for car in cars if car.id not in held
    ]  # fmt: skip
    session.add_all(new)
    session.flush()
    return len(new)


def _end(session: Session, campaign: SealCampaign, action: CampaignAction, *, actor: Actor, now: datetime) -> int:
    """Let the records go that such a step ends, and those of vehicles that left their unit or the fleet; returns how many are missed."""
    missed = 0
    for record in queries.lock_unsealed(session, campaign_id=campaign.id, actor=actor):
        to_seal, vehicle = record.state == RecordState.TO_SEAL, record.vehicle
        left = vehicle.org_id != record.org_id or vehicle.state in {VehicleState.DISPOSING, VehicleState.RETIRED}
        if action is CampaignAction.CANCEL or (to_seal and left):
            step, what = RecordAction.CANCEL, "cancelled"
        elif action is CampaignAction.CLOSE and to_seal:
            step, what = RecordAction.MISS, "missed"
            missed += 1
        else:
            continue
        before, record.state = record.state, rules.next_record_state(record.state, step)
        _record(session, record, what, before, actor=actor, now=now)
    return missed


def prove(
    session: Session, *, record_id: int, parking_id: int, odometer_m: int, keys_with: KeyHolder, photo: tuple[str, bytes] | None,
    actor: Actor, now: datetime,
) -> SealRecord:  # fmt: skip
    """Prove that a vehicle is parked: place, odometer, photograph as (name, bytes), key handed over; it is sealed from now on.

    :raises RuleBroken: ``seals.photo_needed``, ``photo_kind``, ``not_in_force``, ``booked``, ``wrong_step``, or ``vehicles.odometer_back``.
    """
    record, after = _take(session, record_id, RecordAction.PROVE, actor)
    if record.campaign.state not in rules.IN_FORCE:
        raise RuleBroken("seals.not_in_force")
    if photo is None:
        raise RuleBroken("seals.photo_needed")
    if not files.media_type(*photo).startswith("image/"):
        raise RuleBroken("seals.photo_kind")
    area = places.get_parking(session, parking_id=parking_id, actor=actor)
    vehicle = vehicle_service.advance_odometer(
        session, vehicle_id=record.vehicle_id, odometer_m=odometer_m, actor=actor, now=now
    )  # holds the vehicle, so that nobody dispatches it meanwhile
    end = clock.start_of(record.campaign.end_on)
    booked = planning.booking(session, span=Span(now, end), vehicle_id=vehicle.id) if now < end else None
    if booked:
        raise RuleBroken("seals.booked", number=booked.order.number)
    state_before = vehicle.state
    if state_before != VehicleState.SEALED:
        vehicle_service.move(
            session, vehicle_id=vehicle.id, to=VehicleState.SEALED, reason=record.campaign.number, actor=actor, now=now
        )
    file = attachments.attach(
        session, org_id=record.org_id, subject_type="seal_record", subject_id=record.id, label="parked", name=photo[0],
        content=photo[1], actor=actor, now=now,
    )  # fmt: skip
    before, record.state = record.state, after
    record.state_before, record.parking, record.keys_with, record.attachment = state_before, area, keys_with, file
    record.sealed_odometer_m, record.sealed_at, record.sealed_by = odometer_m, now, actor.user_id
    record.unsealed_odometer_m = record.unsealed_at = record.unsealed_by = None
    _record(session, record, "sealed", before, actor=actor, now=now, note=f"{odometer_m / 1000:,.1f} km")
    return record


def unseal(session: Session, *, record_id: int, odometer_m: int, actor: Actor, now: datetime) -> SealRecord:
    """Unseal a vehicle after the period, or when its approved duty has begun; it goes back to what it was.

    :raises RuleBroken: ``seals.still_sealed``, ``wrong_step``, or ``vehicles.odometer_back``.
    """
    record, _ = _take(session, record_id, RecordAction.UNSEAL, actor)
    campaign, today = record.campaign, clock.local_date(now)
    action = rules.unsealing(campaign.state, end_on=campaign.end_on, exempt_from=record.exempt_from, exempt_until=record.exempt_until,
                             on=today)  # fmt: skip
    vehicle = vehicle_service.advance_odometer(
        session, vehicle_id=record.vehicle_id, odometer_m=odometer_m, actor=actor, now=now
    )
    before, record.state = record.state, rules.next_record_state(record.state, action)
    record.unsealed_odometer_m, record.unsealed_at, record.unsealed_by = odometer_m, now, actor.user_id
    _record(session, record, "unsealed" if action is RecordAction.UNSEAL else "unsealed_for_duty", before, actor=actor, now=now,
            note=f"{odometer_m / 1000:,.1f} km · +{record.moved_m} m")  # fmt: skip
    if vehicle.state == VehicleState.SEALED and record.state_before not in {None, VehicleState.SEALED}:
        vehicle_service.move(
            session, vehicle_id=vehicle.id, to=VehicleState(str(record.state_before)), reason=campaign.number, actor=actor, now=now
        )  # fmt: skip
    return record


def ask_exception(
    session: Session, *, record_id: int, purpose: str, start_on: date, end_on: date, actor: Actor, now: datetime
) -> SealException:
    """Ask to keep a vehicle for duty over some of the notice's days.

    :raises RuleBroken: ``seals.exception_period``, ``not_in_force``.
    :raises Conflict: at the end, ``seals.exception_there``: another request waits.
    """
    record = queries.get_record(session, record_id=record_id, actor=actor, lock=True)
    permits.require("seals.ask_exception", actor, org_path=record.org.path, state=record.state)
    campaign = record.campaign
    if campaign.state not in rules.IN_FORCE:
        raise RuleBroken("seals.not_in_force")
    rules.check_exception(start_on, end_on, campaign_start_on=campaign.start_on, campaign_end_on=campaign.end_on)
    made = SealException(org_id=record.org_id, record_id=record.id, purpose=purpose, start_on=start_on, end_on=end_on,
                         state=ExceptionState.REQUESTED, requester_id=actor.user_id, created_at=now)  # fmt: skip
    made.record = record
    session.add(made)
    session.flush()
    _record(session, record, "exception_asked", record.state, actor=actor, now=now, note=purpose)
    return made


def decide_exception(
    session: Session, *, exception_id: int, approve: bool, note: str, actor: Actor, now: datetime
) -> SealException:
    """Approve or reject a duty vehicle; one that is sealed already stays so until it is unsealed for its duty.

    :raises NotAllowed: one's own request, or not this role.
    :raises RuleBroken: ``seals.exception_decided``, ``not_in_force``.
    """
    asked = queries.get_exception(session, exception_id=exception_id, actor=actor)
    permits.require("seals.approve_exception", actor, org_path=asked.org.path, owner_id=asked.requester_id)
    record = queries.get_record(session, record_id=asked.record_id, actor=actor, lock=True)
    if asked.state != ExceptionState.REQUESTED:
        raise RuleBroken("seals.exception_decided")
    if approve and record.campaign.state not in rules.IN_FORCE:
        raise RuleBroken("seals.not_in_force")
    asked.state = ExceptionState.APPROVED if approve else ExceptionState.REJECTED
    asked.decided_by, asked.decided_at, asked.note = actor.user_id, now, note
    session.flush()
    before = record.state
    if approve:
        if record.state != RecordState.SEALED:
            record.state = rules.next_record_state(record.state, RecordAction.EXEMPT)
        record.exempt_from, record.exempt_until = asked.start_on, asked.end_on
    what = "exception_approved" if approve else "exception_rejected"
    _record(session, record, what, before, actor=actor, now=now, note=note)
    return asked


def _take(session: Session, record_id: int, action: RecordAction, actor: Actor) -> tuple[SealRecord, RecordState]:
    record = queries.get_record(session, record_id=record_id, actor=actor, lock=True)
    permits.require("seals.prove", actor, org_path=record.org.path)
    return record, rules.next_record_state(record.state, action)


def _record_campaign(
    session: Session, campaign: SealCampaign, what: str, before: str | None, *, actor: Actor, now: datetime, note: str | None
) -> None:  # fmt: skip
    session.flush()
    session.add(SealEvent(campaign_id=campaign.id, action=what, from_state=before, to_state=campaign.state, actor_id=actor.user_id,
                          at=now, note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"seals.{what}", subject_type="seal_campaign", subject_id=campaign.id,
                 org_id=campaign.org_id, number=campaign.number, before=before, after=campaign.state, note=note)  # fmt: skip


def _record(
    session: Session, record: SealRecord, what: str, before: str, *, actor: Actor, now: datetime, note: str | None = None
) -> None:  # fmt: skip
    session.flush()
    session.add(SealEvent(campaign_id=record.campaign_id, record_id=record.id, action=what, from_state=before, to_state=record.state,
                          actor_id=actor.user_id, at=now, note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"seals.{what}", subject_type="vehicle", subject_id=record.vehicle_id,
                 org_id=record.org_id, seal=record.id, before=before, after=record.state, note=note)  # fmt: skip
