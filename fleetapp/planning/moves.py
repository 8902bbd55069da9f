"""Moves on the dispatcher's board: give, take back, move, swap, split, share, lock. Each is whole or not at all.

Every move names what its dispatcher saw; what somebody else has changed meanwhile is refused, never overwritten. A move
answers with the moves that undo it, which are ordinary moves with slips, notices and audit entries of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from fleetapp.audit import service as audit
from fleetapp.kit import permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.planning import journeys, queries, rules, service
from fleetapp.planning.models import Assignment


@dataclass(frozen=True, slots=True)
class Move:
    """Where an order is to go: a vehicle, with a driver or the one the optimizer finds; a journey to share; or neither, to wait.

    ``seen`` is the assignment that the dispatcher saw, None where the order was waiting.
    """

    order_id: int
    seen: int | None = None
    vehicle_id: int | None = None
    driver_id: int | None = None
    pool_key: int | None = None
    consent: str | None = None
    run_id: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of an order, and the move that undoes it."""

    number: str
    assignment: Assignment | None
    back: Move


def move(session: Session, *, moves: Sequence[Move], reason: str, actor: Actor, now: datetime) -> list[Moved]:
    """Make moves together: first everything is taken back, then everything is given, so that two orders can swap.

    :raises Conflict: ``planning.changed_meanwhile``, or a vehicle or driver is taken.
    :raises RuleBroken: ``planning.locked``, ``planning.left_already``, ``planning.why.*``, a person in two parts.
    :raises NotFound: order, vehicle or driver out of reach.
    :raises NotAllowed: not a dispatcher of unit or holder.
    """
    lock_bookings(session)
    queries.lock_orders(session, [one.order_id for one in moves])
    seen = {one.order_id: _seen(session, one, actor) for one in moves}
    before = {order_id: held for order_id, (_, held) in seen.items()}
    backs = {one.order_id: _back(session, one, before[one.order_id]) for one in moves}
    for one in moves:
        if before[one.order_id] is not None:
            service.release(session, order_id=one.order_id, reason=reason, actor=actor, now=now)
    session.flush()
    found = []
    for one in moves:
        made = _place(session, one, before[one.order_id], actor=actor, now=now)
        order, back = seen[one.order_id][0], backs[one.order_id]
        found.append(Moved(order.number, made, Move(
            one.order_id, made.id if made else None, back.vehicle_id, back.driver_id, back.pool_key, back.consent,
        )))  # fmt: skip
    return found


def lock(session: Session, *, order_id: int, seen: int, locked: bool, actor: Actor, now: datetime) -> Assignment:
    """Lock an order to its vehicle, or unlock it: a locked one is not moved on the board by anybody. Again changes nothing.

    :raises Conflict: ``planning.changed_meanwhile``.
    :raises NotAllowed: not a dispatcher of the unit, or the vehicle has left already.
    """
    lock_bookings(session)
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    permits.require("planning.release", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state)
    held = queries.active_of(session, order_id=order_id)
    if held is None or held.id != seen:
        raise Conflict("planning.changed_meanwhile", number=order.number)
    if (held.locked_at is not None) != locked:
        held.locked_at = now if locked else None
        audit.record(session, actor=actor, now=now, action="planning.locked" if locked else "planning.unlocked",
                     subject_type="assignment", subject_id=held.id, org_id=held.org_id, order=order.number,
                     plate=held.vehicle.plate)  # fmt: skip
    return held


def _seen(session: Session, one: Move, actor: Actor) -> tuple[TravelOrder, Assignment | None]:
    """Return an order with the assignment that it has, if that is what the dispatcher saw and may be moved."""
    order = order_queries.lock_order(session, order_id=one.order_id, actor=actor)
    held = queries.active_of(session, order_id=one.order_id)
    if (held.id if held else None) != one.seen:
        raise Conflict("planning.changed_meanwhile", number=order.number)
    if held is None:
        return order, None
    if order.state not in rules.MOVABLE:
        raise RuleBroken("planning.left_already", number=order.number)
    if held.locked_at is not None:
        raise RuleBroken("planning.locked", number=order.number, plate=held.vehicle.plate)
    return order, held


def _back(session: Session, one: Move, held: Assignment | None) -> Move:
    """Return where an order came from: the journey it shared, if others are on it, else its vehicle and driver."""
    if held is None:
        return Move(one.order_id)
    if len(queries.journeys(session, pool_keys=[held.pool_key])) > 1:
        return Move(one.order_id, pool_key=held.pool_key, consent=held.consent)
    return Move(one.order_id, vehicle_id=held.vehicle_id, driver_id=held.driver_id)


def _place(session: Session, one: Move, before: Assignment | None, *, actor: Actor, now: datetime) -> Assignment | None:
    if one.pool_key is not None:
        return journeys.join(
            session, order_id=one.order_id, pool_key=one.pool_key, consent=one.consent, actor=actor, now=now
        )
    if one.vehicle_id is None:
        return None
    driver_id = one.driver_id or _driver(session, one, before, actor=actor, now=now)
    return service.assign(
        session, order_id=one.order_id, vehicle_id=one.vehicle_id, driver_id=driver_id, actor=actor, now=now,
        run_id=one.run_id,
    )  # fmt: skip


def _driver(session: Session, one: Move, before: Assignment | None, *, actor: Actor, now: datetime) -> int:
    """Return who should drive: whoever drove before if the vehicle stays, else whom the optimizer's rules find."""
    if before is not None and before.vehicle_id == one.vehicle_id:
        return before.driver_id
    order = order_queries.get_order(session, order_id=one.order_id, actor=actor)
    found, _, _ = service.candidates(session, order=order, actor=actor, now=now, vehicle_ids={one.vehicle_id or 0})
    option = next(iter(found), None)
    if option is not None and option.driver_id is not None and (option.fault is None or not option.fault.refuses):
        return option.driver_id
    fault = option.fault if option is not None else None
    if fault is None:
        raise RuleBroken("planning.why.driver_missing")
    raise RuleBroken(f"planning.why.{fault.code}", **fault.params)
