"""Writing of work orders: reported, quoted, approved, done in the shop, accepted; each step by whoever may take it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import Session

from fleetapp.attachments import service as attachments
from fleetapp.audit import service as audit
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import RuleBroken
from fleetapp.policies import queries as policies
from fleetapp.upkeep import queries, rules
from fleetapp.upkeep.models import UpkeepDone, WorkEvent, WorkLine, WorkOrder, WorkQuote
from fleetapp.upkeep.rules import Item, LineKind, WorkAction, WorkKind, WorkState
from fleetapp.vehicles import odometer
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles import rules as vehicle_rules
from fleetapp.vehicles import service as vehicle_service
from fleetapp.vehicles.rules import ReadingSource, VehicleState

PAST_TENSE = {
    WorkAction.SUBMIT: "submitted", WorkAction.APPROVE: "approved", WorkAction.REJECT: "rejected", WorkAction.CANCEL: "cancelled",
    WorkAction.START: "started", WorkAction.FINISH: "finished", WorkAction.REWORK: "sent_back",
    WorkAction.ALLOW_EXCESS: "excess_allowed", WorkAction.ACCEPT: "accepted",
}  # fmt: skip
"""What events and the audit log call each action."""
DECISIONS = frozenset([WorkAction.APPROVE, WorkAction.REJECT, WorkAction.ALLOW_EXCESS])


def report(
    session: Session, *, vehicle_id: int, kind: WorkKind, fault: str, actor: Actor, now: datetime, items: Sequence[Item] = (),
    photos: Sequence[tuple[str, bytes]] = (),
) -> WorkOrder:  # fmt: skip
    """Report a fault or ask for maintenance (``items`` of its plan); ``photos`` as (name, bytes).

    :raises NotFound: not a vehicle of which the actor may report.
    """
    vehicle = queries.get_reportable(session, vehicle_id=vehicle_id, actor=actor)
    permits.require("upkeep.report", actor, org_path=vehicle.org.path)
    key = session.scalar(text("SELECT nextval(pg_get_serial_sequence('work_order', 'id'))"))
    made = WorkOrder(
        id=key, org_id=vehicle.org_id, number=f"WX{clock.local_date(now).year}-{key:05d}", vehicle_id=vehicle.id, kind=kind,
        state=WorkState.REPORTED, fault=fault, items=[item.value for item in items], requester_id=actor.user_id, created_at=now,
    )  # fmt: skip
    made.org, made.vehicle = vehicle.org, vehicle
    session.add(made)
    session.flush()
    for name, content in photos:
        attachments.attach(session, org_id=made.org_id, subject_type="work_order", subject_id=made.id, label="photo", name=name,
                           content=content, actor=actor, now=now)  # fmt: skip
    _record(session, made, "reported", None, actor=actor, now=now, note=fault)
    return made


def add_quote(
    session: Session, *, order_id: int, supplier_id: int, amount: Decimal, actor: Actor, now: datetime, note: str | None = None,
    file: tuple[str, bytes] | None = None,
) -> WorkQuote:  # fmt: skip
    """Enter what a designated supplier asks; ``file`` is its paper as (name, bytes).

    :raises RuleBroken: ``upkeep.wrong_step``, ``no_contract`` for a supplier that is not designated today.
    :raises Conflict: at the end, ``upkeep.quote_there``.
    """
    order = _may_run(session, order_id, actor, WorkState.REPORTED)
    supplier = queries.get_supplier(session, supplier_id=supplier_id, actor=actor)
    rules.check_contract(
        clock.local_date(now), contract_from=supplier.contract_from, contract_to=supplier.contract_to
    )  # fmt: skip
    made = WorkQuote(
        order_id=order.id, supplier_id=supplier.id, amount=amount, note=note, created_at=now, created_by=actor.user_id
    )  # fmt: skip
    session.add(made)
    session.flush()
    if file is not None:
        attachments.attach(session, org_id=order.org_id, subject_type="work_order", subject_id=order.id, label="quote", name=file[0],
                           content=file[1], actor=actor, now=now)  # fmt: skip
    _record(session, order, "quoted", order.state, actor=actor, now=now, note=f"{supplier.name} · {amount:,.2f}")
    return made


def submit(
    session: Session, *, order_id: int, supplier_id: int, actor: Actor, now: datetime, single_reason: str | None = None
) -> WorkOrder:  # fmt: skip
    """Choose a quote and send the order to approval.

    :raises RuleBroken: ``upkeep.not_quoted``, ``more_quotes`` with fewer suppliers than wanted and no reason.
    """
    order, after = _take(session, order_id, WorkAction.SUBMIT, actor)
    least = int(policies.value(session, "upkeep.quotes_min", clock.local_date(now), order.org.path))
    rules.check_quotes(
        [quote.supplier_id for quote in order.quotes], chosen=supplier_id, least=least, single_reason=single_reason
    )
    order.supplier_id, order.single_reason, order.quoted_by = supplier_id, single_reason, actor.user_id
    return _reach(session, order, WorkAction.SUBMIT, after, actor=actor, now=now, note=single_reason)


def decide(
    session: Session, *, order_id: int, approve: bool, note: str, actor: Actor, now: datetime
) -> WorkOrder:  # fmt: skip
    """Approve up to the chosen quote, or reject; a fleet manager up to the amount of policy only.

    :raises NotAllowed: whoever reported or quoted, or not this role.
    :raises RuleBroken: ``upkeep.above_amount``.
    """
    action = WorkAction.APPROVE if approve else WorkAction.REJECT
    order, after = _take(session, order_id, action, actor)
    if approve:
        limit = next(quote.amount for quote in order.quotes if quote.supplier_id == order.supplier_id)
        _check_amount(session, order, limit, actor, now)
        share = policies.value(session, "upkeep.over_share", clock.local_date(now), order.org.path)
        order.approved_by, order.approved_at, order.approved_limit, order.over_share = actor.user_id, now, limit, share
    return _reach(session, order, action, after, actor=actor, now=now, note=note)


def cancel(session: Session, *, order_id: int, note: str, actor: Actor, now: datetime) -> WorkOrder:
    """Give an order up before the vehicle goes to the shop."""
    order, after = _take(session, order_id, WorkAction.CANCEL, actor)
    return _reach(session, order, WorkAction.CANCEL, after, actor=actor, now=now, note=note)


def start(session: Session, *, order_id: int, entry_m: int, actor: Actor, now: datetime) -> WorkOrder:
    """Hand the vehicle to the shop with its reading: it is in maintenance from now on.

    :raises RuleBroken: ``vehicles.reading_inverted``, ``vehicles.state_move`` for a vehicle that is being disposed of.
    :raises Conflict: at the end, ``upkeep.in_shop`` when another work is being done on it, ``on_journey`` before its return.
    """
    order, after = _take(session, order_id, WorkAction.START, actor)
    vehicle = odometer.hold(session, order.vehicle_id, actor)
    order.state_before = vehicle.state if vehicle.state != VehicleState.MAINTENANCE else VehicleState.IN_SERVICE
    odometer.note(
        session, vehicle=vehicle, reading_m=entry_m, at=now, source=ReadingSource.WORK_ORDER, actor=actor, now=now
    )
    if vehicle.state != VehicleState.MAINTENANCE:
        vehicle_service.move(
            session, vehicle_id=vehicle.id, to=VehicleState.MAINTENANCE, reason=order.number, actor=actor, now=now
        )  # fmt: skip
    order.entry_m, order.during = entry_m, Range(now, None)
    return _reach(session, order, WorkAction.START, after, actor=actor, now=now, note=f"{entry_m / 1000:,.1f} km")


def add_line(
    session: Session, *, order_id: int, kind: LineKind, name: str, quantity: Decimal, unit_price: Decimal, actor: Actor, now: datetime,
    serial: str | None = None,
) -> WorkLine:  # fmt: skip
    """Enter labour, a part or a tyre; a negative quantity takes a wrong line back.

    :raises RuleBroken: ``upkeep.wrong_step``, ``tyre_serial``, ``quantity_zero``.
    """
    order = _may_run(session, order_id, actor, WorkState.IN_WORK)
    rules.check_line(kind, quantity=quantity, serial=serial)
    made = WorkLine(order_id=order.id, kind=kind, name=name, quantity=quantity, unit_price=unit_price, serial=serial, created_at=now,
                    created_by=actor.user_id)  # fmt: skip
    session.add(made)
    session.flush()
    audit.record(session, actor=actor, now=now, action="upkeep.line_added", subject_type="work_order", subject_id=order.id,
                 org_id=order.org_id, number=order.number, kind=kind, name=name, quantity=quantity, unit_price=unit_price,
                 serial=serial)  # fmt: skip
    return made


def finish(session: Session, *, order_id: int, actor: Actor, now: datetime, note: str | None = None) -> WorkOrder:
    """Note that the shop is done; the cost is the sum of the lines.

    :raises RuleBroken: ``upkeep.no_lines``.
    """
    order, after = _take(session, order_id, WorkAction.FINISH, actor)
    cost = sum((line.amount for line in order.lines), Decimal(0))
    if not order.lines or cost < 0:
        raise RuleBroken("upkeep.no_lines")
    order.final_cost, order.done_at = cost, now
    return _reach(session, order, WorkAction.FINISH, after, actor=actor, now=now, note=note or f"{cost:,.2f}")


def rework(session: Session, *, order_id: int, note: str, actor: Actor, now: datetime) -> WorkOrder:
    """Send the vehicle back to the shop: not what was ordered. A cost allowed before is to be allowed again."""
    order, after = _take(session, order_id, WorkAction.REWORK, actor)
    order.excess_by = None
    return _reach(session, order, WorkAction.REWORK, after, actor=actor, now=now, note=note)


def allow_excess(session: Session, *, order_id: int, note: str, actor: Actor, now: datetime) -> WorkOrder:
    """Approve a second time what costs more than the limit and its margin.

    :raises NotAllowed: whoever reported or quoted, or not this role.
    :raises RuleBroken: ``upkeep.no_excess``, ``above_amount``.
    """
    order, after = _take(session, order_id, WorkAction.ALLOW_EXCESS, actor)
    cost = order.final_cost or Decimal(0)
    if cost <= rules.allowed_cost(order.approved_limit or Decimal(0), order.over_share or Decimal(0)):
        raise RuleBroken("upkeep.no_excess")
    _check_amount(session, order, cost, actor, now)
    order.excess_by = actor.user_id
    return _reach(session, order, WorkAction.ALLOW_EXCESS, after, actor=actor, now=now, note=note)


def accept(session: Session, *, order_id: int, note: str, actor: Actor, now: datetime) -> WorkOrder:
    """Accept the work: the vehicle is back where it was before, what was maintained is on record.

    :raises RuleBroken: ``upkeep.excess`` while a second approval is missing.
    """
    order, after = _take(session, order_id, WorkAction.ACCEPT, actor)
    limit, share = order.approved_limit or Decimal(0), order.over_share or Decimal(0)
    rules.check_cost(order.final_cost or Decimal(0), limit, share, excess_allowed=order.excess_by is not None)
    begun = order.during.lower if order.during else now
    order.accepted_by, order.accepted_at, order.during = actor.user_id, now, Range(begun, now)
    _reach(session, order, WorkAction.ACCEPT, after, actor=actor, now=now, note=note)
    before = [one for one in vehicles.meter_changes(session, vehicle_id=order.vehicle_id) if one.at <= (begun or now)]
    at_m = vehicle_rules.lifetime_m(order.entry_m or 0, [(one.end_m, one.start_m) for one in before])
    for item in order.items:
        session.add(UpkeepDone(org_id=order.org_id, vehicle_id=order.vehicle_id, item=item, done_on=clock.local_date(begun or now),
                               at_m=at_m, order_id=order.id, created_at=now, created_by=actor.user_id))  # fmt: skip
    odometer.hold(session, order.vehicle_id, actor)
    back = VehicleState(order.state_before or VehicleState.IN_SERVICE)
    vehicle_service.move(session, vehicle_id=order.vehicle_id, to=back, reason=order.number, actor=actor, now=now)
    return order


def _check_amount(session: Session, order: WorkOrder, amount: Decimal, actor: Actor, now: datetime) -> None:
    if permits.may("upkeep.approve_any", actor, org_path=order.org.path):
        return
    most = policies.value(session, "upkeep.fleet_manager_cny", clock.local_date(now), order.org.path)
    if amount > most:
        raise RuleBroken("upkeep.above_amount", amount=f"{amount:,.2f}", most=f"{most:,.2f}")


def _may_run(session: Session, order_id: int, actor: Actor, state: WorkState) -> WorkOrder:
    """Return an order, locked, to which the actor may add something in this state."""
    order = queries.get_order(session, order_id=order_id, actor=actor, lock=True)
    permits.require("upkeep.run", actor, org_path=order.org.path, state=order.state)
    if order.state != state:
        raise RuleBroken("upkeep.wrong_step", state=order.state)
    return order


def _take(session: Session, order_id: int, action: WorkAction, actor: Actor) -> tuple[WorkOrder, WorkState]:
    order = queries.get_order(session, order_id=order_id, actor=actor, lock=True)
    whose = {"owner_id": order.requester_id, "org_path": order.org.path, "state": order.state}
    if action in DECISIONS and actor.user_id == order.quoted_by:
        whose["owner_id"] = order.quoted_by or 0
    permits.require("upkeep.approve" if action in DECISIONS else "upkeep.run", actor, **whose)  # type: ignore[arg-type]
    return order, rules.next_state(order.state, action)


def _reach(
    session: Session, order: WorkOrder, action: WorkAction, after: WorkState, *, actor: Actor, now: datetime, note: str | None = None
) -> WorkOrder:  # fmt: skip
    before, order.state = order.state, after
    _record(session, order, PAST_TENSE[action], before, actor=actor, now=now, note=note)
    return order


def _record(
    session: Session, order: WorkOrder, what: str, before: str | None, *, actor: Actor, now: datetime, note: str | None
) -> None:  # fmt: skip
    session.flush()
    session.add(WorkEvent(order_id=order.id, action=what, from_state=before, to_state=order.state, actor_id=actor.user_id, at=now,
                          note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"upkeep.{what}", subject_type="work_order", subject_id=order.id,
                 org_id=order.org_id, number=order.number, before=before, after=order.state, note=note)  # fmt: skip
