"""What dispatchers do about exceptions of the day: a word to whoever can help, another vehicle for one that cannot go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.drivers.models import Driver
from fleetapp.emergency import callup
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.notices import service as notices
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import TravelOrder
from fleetapp.places.roads import load_roads
from fleetapp.planning import handover, lending, moves, queries, rules
from fleetapp.planning import service as planning
from fleetapp.planning.models import Assignment
from fleetapp.planning.moves import Move
from fleetapp.upkeep import service as upkeep
from fleetapp.upkeep.models import WorkOrder
from fleetapp.upkeep.rules import WorkKind
from fleetapp.vehicles.models import Vehicle

NEAREST = 6
"""Vehicles proposed to take over; so many that could go are judged, by how soon they would be there."""
JUDGED = 25
OFTEN = timedelta(minutes=5)
"""A driver is reminded of one thing no more often than this."""


@dataclass(frozen=True, slots=True)
class Substitute:
    """A vehicle that could take over: with whom, in how many seconds it would be there and how far it is."""

    vehicle: Vehicle
    driver: Driver
    eta_s: int
    distance_m: int
    by_position: bool


@dataclass(frozen=True, slots=True)
class Substituted:
    """What came of a substitution: the new assignments, and the work order for the old vehicle, if one was asked for."""

    made: Sequence[Assignment]
    repair: WorkOrder | None


def remind(session: Session, *, order_id: int, seen: int, code: str, actor: Actor, now: datetime) -> Assignment:
    """Tell the people of an exception; again within minutes tells nobody twice.

    The driver always, the applicant of a vehicle that is late or not back, who keeps the vehicle where its terminal is silent.

    :raises Conflict: ``planning.changed_meanwhile``.
    :raises NotAllowed: no dispatcher of the unit.
    """
    order = order_queries.get_order(session, order_id=order_id, actor=actor)
    permits.require("planning.plan", actor, org_path=order.org.path)
    held = _held(session, order, seen)
    to = {held.driver.user_id}
    if code in {"late_start", "overstay"}:
        to |= {order.applicant_id}
    if code == "offline":
        to |= set(accounts.holders(session, role=Role.FLEET_MANAGER, org_path=held.vehicle.org.path))
    round_no = int(now.timestamp() // OFTEN.total_seconds())
    notices.notify(
        session, to=to, code=f"board.notice.{code}", now=now, link=f"/orders/{order.id}", key=f"board.{code}:{held.id}:{round_no}", urgent=True,
        params={"number": order.number, "plate": held.vehicle.plate, "start": f"{clock.local(order.start_at):%m-%d %H:%M}",
                "end": f"{clock.local(order.end_at):%m-%d %H:%M}"},
    )  # fmt: skip
    audit.record(session, actor=actor, now=now, action="board.reminded", subject_type="assignment", subject_id=held.id,
                 org_id=held.org_id, order=order.number, of=code)  # fmt: skip
    return held


def substitutes(session: Session, *, order_id: int, actor: Actor, now: datetime) -> tuple[Assignment, list[Substitute]]:
    """Return who could take over an order's passengers, soonest there first: from where the broken vehicle is, else from the start.

    :raises RuleBroken: ``board.no_vehicle``, the order has none.
    """
    order = order_queries.get_order(session, order_id=order_id, actor=actor)
    permits.require("planning.plan", actor, org_path=order.org.path)
    held = queries.active_of(session, order_id=order_id)
    if held is None:
        raise RuleBroken("board.no_vehicle", number=order.number)
    limits = queries.figures(session, now=now, org_path=order.org.path)
    out = order.state in rules.OUT
    start_at = now if out else order.start_at
    span = Span(start_at, max(order.end_at, start_at + handover.LEAST) + limits.after)
    if not out:
        span = rules.taken(order.start_at, order.end_at, limits)
    cars, people = planning.fleet_of(session, actor=actor, span=span, until_on=clock.local_date(order.end_at))
    cars = [car for car in cars if car.id != held.vehicle_id and car.seats > order.passenger_count]
    of_car, of_driver = queries.busy(
        session, span=span, vehicle_ids=[car.id for car in cars], driver_ids=[one.id for one in people], order=order
    )
    where = callup.places(session, [*cars, held.vehicle], now=now, org_path=order.org.path)
    first = order.stops[0]
    target = where[held.vehicle_id][0] if out and held.vehicle_id in where else (first.lon, first.lat)
    roads, reached = load_roads(), []
    for car in cars:
        if car.id in where and not any(taken.overlaps(span) for taken in of_car.get(car.id, ())):
            length_m, took_s = callup.reach(roads, where[car.id][0], target)
            reached.append((took_s, length_m, car))
    reached.sort(key=lambda one: (one[0], one[2].plate))
    ready = [
        one for one in people
        if not any(taken.overlaps(span) for taken in of_driver.get(one.id, ()))
        and not (out and one.id == held.driver_id)  # who stands beside the broken vehicle
    ]  # fmt: skip
    found: list[Substitute] = []
    for took_s, length_m, car in reached[:JUDGED]:
        said = lending.of_holder(session, vehicle=car, order=order, figures=limits, now=now)
        for driver in ready:
            if not said.may_drive(driver, car, order) or driver.user_id in {actor.user_id, order.approver_id}:
                continue
            against = planning.faults(session, order=order, vehicle=car, driver=driver, limits=limits, said=said)
            refused = rules.first_refusal(against)
            if refused is None:
                found.append(Substitute(car, driver, took_s, length_m, where[car.id][2] is not None))
            if refused is None or not refused.is_of_driver:
                break
        if len(found) == NEAREST:
            break
    return held, found


def substitute(
    session: Session, *, order_id: int, seen: int, vehicle_id: int, reason: str, repair: bool, actor: Actor, now: datetime,
    driver_id: int | None = None,
) -> Substituted:  # fmt: skip
    """Give an order, under way or not, to another vehicle; driver and applicant are told; report the old vehicle for repair.

    :raises Conflict: ``planning.changed_meanwhile``, or vehicle or driver are taken by now.
    :raises RuleBroken: ``planning.locked``, ``board.driver_needed``, ``planning.why.*``.
    :raises NotAllowed: not a dispatcher of unit and holder.
    """
    order = order_queries.get_order(session, order_id=order_id, actor=actor)
    held = _held(session, order, seen)
    old_id = held.vehicle_id
    if order.state in rules.OUT:
        if driver_id is None:
            raise RuleBroken("board.driver_needed")
        made = handover.hand_over(session, order_id=order_id, seen=seen, vehicle_id=vehicle_id, driver_id=driver_id, reason=reason,
                                  actor=actor, now=now)  # fmt: skip
    else:
        done = moves.move(
            session, moves=[Move(order_id, seen, vehicle_id, driver_id)], reason=reason, actor=actor, now=now
        )
        made = [one.assignment for one in done if one.assignment is not None]
    work = None
    if repair:
        work = upkeep.report(
            session, vehicle_id=old_id, kind=WorkKind.REPAIR, fault=f"{order.number}: {reason}", actor=actor, now=now
        )
    return Substituted(made, work)


def _held(session: Session, order: TravelOrder, seen: int) -> Assignment:
    held = queries.active_of(session, order_id=order.id)
    if held is None or held.id != seen:
        raise Conflict("planning.changed_meanwhile", number=order.number)
    return held
