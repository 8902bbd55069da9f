"""Writing of disposal cases: every step once, each by whoever may take it."""

import hashlib
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.acquisitions import service as acquisitions
from fleetapp.audit import service as audit
from fleetapp.disposal import queries, rules
from fleetapp.disposal.models import DisposalCase, DisposalEvent
from fleetapp.disposal.rules import DisposalAction, DisposalState, Mode
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.kit.jsonable import jsonable
from fleetapp.orders import service as orders
from fleetapp.policies import queries as policies
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles import service as vehicle_service
from fleetapp.vehicles.rules import Category, VehicleState

PAST_TENSE = {
    DisposalAction.WITHDRAW: "withdrawn", DisposalAction.APPRAISE: "appraised", DisposalAction.REJECT: "rejected",
    DisposalAction.APPROVE: "approved", DisposalAction.DEAL: "dealt", DisposalAction.HAND_OVER: "handed_over",
    DisposalAction.REMIT: "remitted", DisposalAction.DEREGISTER: "deregistered", DisposalAction.ARCHIVE: "archived",
}  # fmt: skip
"""What events and the audit log call each action."""
PERMIT = {
    DisposalAction.WITHDRAW: "disposal.ask", DisposalAction.APPRAISE: "disposal.carry_out", DisposalAction.REJECT: "disposal.decide",
    DisposalAction.APPROVE: "disposal.decide", DisposalAction.DEAL: "disposal.carry_out", DisposalAction.HAND_OVER: "disposal.carry_out",
    DisposalAction.REMIT: "disposal.remit", DisposalAction.DEREGISTER: "disposal.carry_out", DisposalAction.ARCHIVE: "disposal.carry_out",
}  # fmt: skip


def ask(
    session: Session, *, vehicle_id: int, mode: Mode, reason: str, actor: Actor, now: datetime,
    special_approval: str | None = None, receiver_org_id: int | None = None,
) -> DisposalCase:  # fmt: skip
    """Ask for a vehicle's disposal; a transfer names the unit that receives it.

    :raises RuleBroken: ``disposal.too_young``, ``receiver``, or ``vehicle_state`` for a retired or new vehicle.
    :raises Conflict: at the end, ``disposal.there``: another case of it is living.
    """
    vehicle = vehicles.get_vehicle(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("disposal.ask", actor, org_path=vehicle.org.path, state="REQUESTED")
    if vehicle.state in {VehicleState.RETIRED, VehicleState.PREPARING, VehicleState.DISPOSING}:
        raise RuleBroken("disposal.vehicle_state")
    if (mode is Mode.TRANSFER) != (receiver_org_id is not None) or receiver_org_id == vehicle.org_id:
        raise RuleBroken("disposal.receiver")
    if receiver_org_id is not None:
        accounts.get_org(session, org_id=receiver_org_id)
    on = clock.local_date(now)
    rules.check_age(mode=mode, registered_on=vehicle.registered_on, on=on, special_approval=special_approval,
                    min_years=policies.value(session, "renewal.min_years", on, vehicle.org.path))  # fmt: skip
    series = f"CZ{on.year}"
    made = DisposalCase(
        org_id=vehicle.org_id, number=f"{series}-{orders.next_number(session, series):05d}", vehicle_id=vehicle.id, mode=mode,
        receiver_org_id=receiver_org_id, state=DisposalState.REQUESTED, reason=reason, special_approval=special_approval,
        applicant_id=actor.user_id, created_at=now,
    )  # fmt: skip
    made.org, made.vehicle = vehicle.org, vehicle
    session.add(made)
    session.flush()
    _record(session, made, "requested", None, actor=actor, now=now, note=reason)
    return made


def _take(session: Session, case_id: int, action: DisposalAction, actor: Actor) -> tuple[DisposalCase, DisposalState]:
    case = queries.get_case(session, case_id=case_id, actor=actor, lock=True)
    permits.require(PERMIT[action], actor, org_path=case.org.path, owner_id=case.applicant_id, state=case.state)
    return case, rules.next_state(case.state, action, case.mode)


def _reach(
    session: Session, case: DisposalCase, action: DisposalAction, after: DisposalState, *, actor: Actor, now: datetime,
    note: str | None = None,
) -> DisposalCase:  # fmt: skip
    before, case.state = case.state, after
    _record(session, case, PAST_TENSE[action], before, actor=actor, now=now, note=note)
    return case


def withdraw(session: Session, *, case_id: int, note: str, actor: Actor, now: datetime) -> DisposalCase:
    """Take the request back before it is decided."""
    case, after = _take(session, case_id, DisposalAction.WITHDRAW, actor)
    return _reach(session, case, DisposalAction.WITHDRAW, after, actor=actor, now=now, note=note)


def appraise(
    session: Session, *, case_id: int, appraised_value: Decimal, appraiser: str, actor: Actor, now: datetime,
    reserve_price: Decimal | None = None,
) -> DisposalCase:  # fmt: skip
    """Note what the vehicle is worth; an auction also gets its reserve price.

    :raises RuleBroken: ``disposal.reserve_needed``.
    """
    case, after = _take(session, case_id, DisposalAction.APPRAISE, actor)
    if (case.mode == Mode.AUCTION) != (reserve_price is not None):
        raise RuleBroken("disposal.reserve_needed")
    case.appraised_value, case.appraiser, case.reserve_price = appraised_value, appraiser, reserve_price
    return _reach(session, case, DisposalAction.APPRAISE, after, actor=actor, now=now, note=f"{appraised_value:,.2f}")


def decide(
    session: Session,
    *,
    case_id: int,
    approve: bool,
    note: str,
    actor: Actor,
    now: datetime,
    approval_no: str | None = None,
) -> DisposalCase:
    """Approve or reject; with the approval the vehicle leaves service.

    :raises NotAllowed: one's own request, or not this role.
    :raises RuleBroken: ``disposal.approval_no``.
    """
    action = DisposalAction.APPROVE if approve else DisposalAction.REJECT
    case, after = _take(session, case_id, action, actor)
    if approve and not approval_no:
        raise RuleBroken("disposal.approval_no")
    case.decided_by, case.decided_at, case.approval_no = actor.user_id, now, approval_no
    if approve:
        vehicle_service.move(
            session, vehicle_id=case.vehicle_id, to=VehicleState.DISPOSING, reason=case.number, actor=actor, now=now
        )
    return _reach(session, case, action, after, actor=actor, now=now, note=note)


def deal(
    session: Session, *, case_id: int, deal_on: date, deal_price: Decimal, buyer: str, actor: Actor, now: datetime,
    licence_no: str | None = None,
) -> DisposalCase:  # fmt: skip
    """Note the sale, or the scrapping by a licensed dismantler.

    :raises RuleBroken: ``disposal.below_reserve``, ``licence_needed``.
    """
    case, after = _take(session, case_id, DisposalAction.DEAL, actor)
    rules.check_deal(
        mode=Mode(case.mode), reserve_price=case.reserve_price, deal_price=deal_price, licence_no=licence_no
    )
    case.deal_on, case.deal_price, case.buyer, case.licence_no = deal_on, deal_price, buyer, licence_no
    return _reach(session, case, DisposalAction.DEAL, after, actor=actor, now=now, note=f"{buyer} · {deal_price:,.2f}")


def hand_over(session: Session, *, case_id: int, actor: Actor, now: datetime) -> DisposalCase:
    """Hand a transferred vehicle to the unit that receives it: it is in service there from now on, its past stays where it was.

    :raises RuleBroken: ``acquisitions.transfer_indicator``: the receiving unit needs an approved indicator, as for any other vehicle.
    """
    case, after = _take(session, case_id, DisposalAction.HAND_OVER, actor)
    if case.receiver_org_id is None:
        raise RuleBroken("disposal.receiver")
    receiver = accounts.get_org(session, org_id=case.receiver_org_id)
    permits.require("disposal.carry_out", actor, org_path=receiver.path, state=case.state)
    acquisitions.take_in(session, org_id=receiver.id, category=Category(case.vehicle.category), vehicle_id=case.vehicle_id,
                         actor=actor, now=now)  # fmt: skip
    vehicle_service.transfer(
        session, vehicle_id=case.vehicle_id, org=receiver, reason=case.number, actor=actor, now=now
    )
    case.archive_sha256 = _sha256(case)
    return _reach(session, case, DisposalAction.HAND_OVER, after, actor=actor, now=now, note=receiver.name_zh)


def remit(
    session: Session,
    *,
    case_id: int,
    allowed_fees: Decimal,
    remitted_on: date,
    receipt_no: str,
    actor: Actor,
    now: datetime,
) -> DisposalCase:
    """Note that price less allowed fees went to the treasury.

    :raises RuleBroken: ``disposal.fees``.
    """
    case, after = _take(session, case_id, DisposalAction.REMIT, actor)
    case.remitted = rules.proceeds(case.deal_price or Decimal(0), allowed_fees)
    case.allowed_fees, case.remitted_on, case.receipt_no = allowed_fees, remitted_on, receipt_no
    return _reach(
        session, case, DisposalAction.REMIT, after, actor=actor, now=now, note=f"{receipt_no} · {case.remitted:,.2f}"
    )


def deregister(
    session: Session, *, case_id: int, certificate_no: str, deregistered_on: date, marking_removed: bool, cards_cancelled: bool,
    insurance_ended: bool, actor: Actor, now: datetime,
) -> DisposalCase:  # fmt: skip
    """Note the cancelled registration; the vehicle is retired, its terminal taken out, its place in the quota free.

    :raises RuleBroken: ``disposal.checklist``.
    """
    case, after = _take(session, case_id, DisposalAction.DEREGISTER, actor)
    if not (marking_removed and cards_cancelled and insurance_ended):
        raise RuleBroken("disposal.checklist")
    case.certificate_no, case.deregistered_on = certificate_no, deregistered_on
    case.marking_removed, case.cards_cancelled, case.insurance_ended = True, True, True
    _reach(session, case, DisposalAction.DEREGISTER, after, actor=actor, now=now, note=certificate_no)
    vehicle_service.move(
        session, vehicle_id=case.vehicle_id, to=VehicleState.RETIRED, reason=case.number, actor=actor, now=now
    )
    return case


def archive(session: Session, *, case_id: int, actor: Actor, now: datetime) -> DisposalCase:
    """Close the file with a hash over the case and the vehicle as they are."""
    case, after = _take(session, case_id, DisposalAction.ARCHIVE, actor)
    case.archive_sha256 = _sha256(case)
    return _reach(session, case, DisposalAction.ARCHIVE, after, actor=actor, now=now, note=case.archive_sha256)


def _sha256(case: DisposalCase) -> str:
    """Return the hash over every column of the case (but state, version and the hash) and of its vehicle (but version)."""
    rows = {
        name: {column.key: getattr(row, column.key) for column in row.__table__.columns if column.key not in left_out}
        for name, row, left_out in (
            ("case", case, {"state", "version", "archive_sha256"}), ("vehicle", case.vehicle, {"version"}),
        )
    }  # fmt: skip
    return hashlib.sha256(jsonable(rows).encode()).hexdigest()


def _record(
    session: Session,
    case: DisposalCase,
    what: str,
    before: str | None,
    *,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> None:
    session.flush()
    session.add(DisposalEvent(case_id=case.id, action=what, from_state=before, to_state=case.state, actor_id=actor.user_id,
                              at=now, note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"disposal.{what}", subject_type="disposal_case", subject_id=case.id,
                 org_id=case.org_id, number=case.number, before=before, after=case.state, note=note)  # fmt: skip
