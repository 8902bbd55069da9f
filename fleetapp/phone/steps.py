"""What each kind of action does: through the services of the slices it concerns, or as a record of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from geoalchemy2.shape import to_shape
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.attachments import service as attachments
from fleetapp.drivers import rules as driver_rules
from fleetapp.drivers import service as drivers
from fleetapp.duty import bridge, expenses
from fleetapp.duty import queries as duties
from fleetapp.duty import service as duty_service
from fleetapp.duty.rules import DutyAction
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import NotAllowed, NotFound, RuleBroken
from fleetapp.notices import service as notices
from fleetapp.phone import codes, queries, rules
from fleetapp.phone.rules import Kind
from fleetapp.planning import tell
from fleetapp.planning.models import Assignment
from fleetapp.planning.signing import Keys
from fleetapp.policies import queries as policies
from fleetapp.tracking import queries as tracking
from fleetapp.upkeep import ledger
from fleetapp.upkeep import service as upkeep
from fleetapp.upkeep.rules import WorkKind

if TYPE_CHECKING:
    from fleetapp.phone.service import Sent

Remarks = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """An action about to be applied; ``at`` is when it is believed to have been done."""

    session: Session
    sent: "Sent"
    at: datetime
    keys: Keys
    actor: Actor
    now: datetime


def apply(
    session: Session, *, sent: "Sent", duty: Assignment | None, at: datetime, keys: Keys, actor: Actor, now: datetime
) -> Remarks:  # fmt: skip
    """Do what an action asks; returns remarks for the driver and whoever reviews.

    :raises RuleBroken, NotAllowed, NotFound, Conflict: with what is wrong.
    """
    call = Call(session, sent, at, keys, actor, now)
    if sent.kind in rules.FREE:
        return ALONE[sent.kind](call, duty)
    if duty is None:
        raise RuleBroken("phone.duty_needed")
    return ON_DUTY[sent.kind](call, duty)


def _step(call: Call, duty: Assignment) -> Remarks:
    action, body, sent = rules.STEPS[call.sent.kind], call.sent.body, call.sent
    if action is DutyAction.CHECK_OUT:
        _check_ready(call, duty)
    event = duty_service.report(
        call.session, assignment_id=duty.id, action=action, idempotency_key=sent.key, actor=call.actor, now=call.now,
        at=max([call.at, *_events_before(call, duty)]), odometer_m=body.get("odometer_m"), lat=sent.lat, lon=sent.lon,
        accuracy_m=sent.accuracy_m, note=body.get("note"),
    )  # fmt: skip
    call.session.flush()
    for name, content in sent.photos:
        attachments.attach(call.session, org_id=duty.org_id, subject_type="duty_event", subject_id=event.id, label="odometer", name=name,
                           content=content, actor=call.actor, now=call.now)  # fmt: skip
    return [{"code": "noted", "params": {"note": event.note}}] if event.note and event.note != body.get("note") else []


def _events_before(call: Call, duty: Assignment) -> list[datetime]:
    """Return when the journey's step before was done: a phone's clock may not turn the order of steps round."""
    journey = duties.journey_of(call.session, duty=duty, actor=call.actor)
    return [event.at for event in journey.events][-1:]


def _check_ready(call: Call, duty: Assignment) -> None:
    done = queries.kinds_done(call.session, duty=duty, actor=call.actor)
    if Kind.SCAN not in done and queries.newest_codes(call.session, vehicle_ids=[duty.vehicle_id]):
        raise RuleBroken("phone.scan_first", plate=duty.vehicle.plate)
    if Kind.WALK_ROUND not in done:
        raise RuleBroken("phone.walk_first")


def _scan(call: Call, duty: Assignment) -> Remarks:
    """Tell whether the code is that of the duty's vehicle, in time, with a licence that covers it; far away is remarked."""
    permits.require("duty.check_out", call.actor, owner_id=duty.driver.user_id, state=duty.order.state)
    on, path = clock.local_date(call.at), duty.vehicle.org.path
    newest = queries.newest_codes(call.session, vehicle_ids=[duty.vehicle_id]).get(duty.vehicle_id)
    if newest is None:
        raise RuleBroken("phone.no_code", plate=duty.vehicle.plate)
    typed = call.sent.body["code"].strip()
    if len(typed) <= codes.MANUAL + 2:
        if typed.replace("-", "").replace(" ", "").upper() != newest.manual:
            raise RuleBroken("phone.code_wrong", plate=duty.vehicle.plate)
    else:
        read = codes.read(typed, call.keys.public)
        if read.sign is None:
            raise RuleBroken(f"phone.code_{read.state}")
        if read.sign.plate != duty.vehicle.plate:
            raise RuleBroken("phone.code_other", found=read.sign.plate, plate=duty.vehicle.plate)
        if read.sign.serial != newest.serial:
            raise RuleBroken("phone.code_void", plate=duty.vehicle.plate)
    early = timedelta(minutes=float(policies.value(call.session, "phone.scan_early_min", on, path)))
    rules.check_window(call.at, start_at=duty.order.start_at, end_at=duty.order.end_at, early=early)
    driver_rules.check_fit(driver_rules.Licence(duty.driver.licence), duty.driver.licence_valid_to, seats=duty.vehicle.seats,
                           on=max(on, clock.local_date(duty.order.end_at)))  # fmt: skip
    return _far(call, duty, float(policies.value(call.session, "phone.scan_place_m", on, path)))


def _far(call: Call, duty: Assignment, most_m: float) -> Remarks:
    """Return a remark when the phone is far from where the vehicle is by its terminal, else by its parking place."""
    sent = call.sent
    if sent.lat is None or sent.lon is None:
        return [{"code": "no_position"}]
    fix = tracking.newest(call.session, vehicle_ids=[duty.vehicle_id], now=call.now).get(duty.vehicle_id)
    if fix is not None and abs(call.at - fix.at) < timedelta(hours=12):
        away_m = bridge.metres(sent.lat, sent.lon, fix.lat, fix.lon)
    elif duty.vehicle.parking is not None:
        away_m = bridge.distance_m(sent.lat, sent.lon, to_shape(duty.vehicle.parking.area))
    else:
        return []
    return [{"code": "far", "params": {"m": round(away_m)}}] if away_m - (sent.accuracy_m or 0) > most_m else []


def _walk_round(call: Call, duty: Assignment) -> Remarks:
    """Keep the walk-round; defects become one work order with their photographs."""
    permits.require("duty.check_out", call.actor, owner_id=duty.driver.user_id, state=duty.order.state)
    body = call.sent.body
    defects = body.get("defects", [])
    rules.check_walk(body.get("good", []), [one["part"] for one in defects])
    if not defects:
        return []
    fault = "出车前检查 / before departure: " + "; ".join(f"{one['part'].value}: {one['note']}" for one in defects)
    return _to_upkeep(call, duty, WorkKind.REPAIR, fault)


def _to_upkeep(call: Call, duty: Assignment, kind: WorkKind, fault: str) -> Remarks:
    """Report to upkeep; of a borrowed vehicle, whose holder's rows are not the driver's, the holder's managers are told."""
    try:
        with call.session.begin_nested():
            made = upkeep.report(call.session, vehicle_id=duty.vehicle_id, kind=kind, fault=fault[:500], photos=call.sent.photos,
                                 actor=call.actor, now=call.now)  # fmt: skip
    except (NotFound, NotAllowed):
        _tell(call, duty, _managers(call, duty), "phone.notice.defect", fault)
        return [{"code": "told"}]
    return [{"code": "work_order", "params": {"number": made.number}}]


def _board(call: Call, duty: Assignment) -> Remarks:
    permits.require("duty.arrive", call.actor, owner_id=duty.driver.user_id, state=duty.order.state)
    return []


def _expense(call: Call, duty: Assignment) -> Remarks:
    body = call.sent.body
    made = expenses.add(
        call.session, assignment_id=duty.id, kind=body["kind"], amount=body["amount"], idempotency_key=call.sent.key, at=call.at,
        note=body.get("note"), photo=next(iter(call.sent.photos), None), actor=call.actor, now=call.now,
    )  # fmt: skip
    return [{"code": "twin"}] if made.twin_id else []


def _accident(call: Call, duty: Assignment) -> Remarks:
    """Report an accident: a work order with the photographs, the record for the managers, an urgent word to them and dispatchers."""
    body = call.sent.body
    said = [body["place"], body["account"], body.get("other_party"), body.get("injured") and "有人员受伤 / injured"]
    fault = "事故 / accident: " + "; ".join(part for part in said if part)
    remarks = _to_upkeep(call, duty, WorkKind.ACCIDENT, fault)
    if (
        remarks[0]["code"] == "work_order"
    ):  # of a borrowed vehicle the holder's managers, who were told, open the record
        ledger.report_accident(call.session, vehicle_id=duty.vehicle_id, driver_id=duty.driver_id, happened_at=call.at, place=body["place"],
                               account=fault, actor=call.actor, now=call.now)  # fmt: skip
    people = _managers(call, duty) | tell.dispatchers_of(call.session, duty)
    _tell(call, duty, people, "phone.notice.accident", fault[:160])
    return remarks


def _leave(call: Call, _duty: Assignment | None) -> Remarks:
    """Ask for leave; dispatchers and fleet managers of the driver's unit see it and decide."""
    body = call.sent.body
    if body["until_on"] < body["from_on"] or body["from_on"] < clock.local_date(call.at):
        raise RuleBroken("phone.leave_days")
    drivers.ask_leave(
        call.session,
        from_on=body["from_on"],
        until_on=body["until_on"],
        reason=body["reason"],
        actor=call.actor,
        now=call.now,
    )
    return [{"code": "leave_asked"}]


def _sos(call: Call, duty: Assignment | None) -> Remarks:
    """Call for help: dispatchers are told at once, in quiet hours too, with where the phone is."""
    if duty is not None:
        _tell(call, duty, tell.dispatchers_of(call.session, duty) | _managers(call, duty), "phone.notice.sos", "")
        return []
    to = accounts.holders(call.session, role=Role.DISPATCHER, org_path=call.actor.org_path)
    params = {
        "name": call.actor.name,
        "plate": "–",
        "where": _where(call),
        "at": f"{clock.local(call.at):%m-%d %H:%M}",
        "said": "",
    }
    notices.notify(call.session, to=to, code="phone.notice.sos", params=params, link="/live", key=f"phone-{call.sent.key}", now=call.now,
                   urgent=True)  # fmt: skip
    return []


def _managers(call: Call, duty: Assignment) -> set[int]:
    return set(accounts.holders(call.session, role=Role.FLEET_MANAGER, org_path=duty.vehicle.org.path))


def _where(call: Call) -> str:
    sent = call.sent
    return "–" if sent.lat is None else f"{sent.lat:.5f}, {sent.lon:.5f} (±{sent.accuracy_m or 0:.0f} m)"


def _tell(call: Call, duty: Assignment, to: set[int], code: str, said: str) -> None:
    params = {"name": call.actor.name, "plate": duty.vehicle.plate, "where": _where(call), "said": said,
              "at": f"{clock.local(call.at):%m-%d %H:%M}"}  # fmt: skip
    notices.notify(call.session, to=to, code=code, params=params, link=f"/vehicles/{duty.vehicle_id}", key=f"phone-{call.sent.key}",
                   now=call.now, urgent=True)  # fmt: skip


ON_DUTY: dict[Kind, Callable[[Call, Assignment], Remarks]] = {
    **dict.fromkeys(rules.STEPS, _step),
    Kind.SCAN: _scan, Kind.WALK_ROUND: _walk_round, Kind.BOARD: _board, Kind.EXPENSE: _expense, Kind.ACCIDENT: _accident,
}  # fmt: skip
ALONE: dict[Kind, Callable[[Call, Assignment | None], Remarks]] = {Kind.LEAVE: _leave, Kind.SOS: _sos}
