"""Writing of activations: every step once, each with its event, its notices and the audit entry."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.emergency import callup, queries, rules, telling
from fleetapp.emergency.models import EmergencyActivation, EmergencyCar, EmergencyEffect, EmergencyEvent
from fleetapp.emergency.rules import ActivationState, Standing, Step
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders import service as orders
from fleetapp.orders import urgent as urgent_orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import ASSIGNED, OrderAction, OrderKind, Purpose, Stop
from fleetapp.planning import holds, urgent
from fleetapp.planning import queries as planning
from fleetapp.planning.models import HoldCause
from fleetapp.reserves import service as reserves
from fleetapp.reserves.rules import Level


def draft(
    session: Session, *, plan_id: int, level: Level, drill: bool, reason: str, place: str, lat: float, lon: float, hours: int, goes: bool,
    wanted: Sequence[dict[str, Any]], leader_id: int, officer_id: int, actor: Actor, now: datetime,
) -> EmergencyActivation:  # fmt: skip
    """Prepare an activation or drill for its preview; nobody is called yet. A drill always sends, as it measures that.

    ``wanted`` lists ``{pool_id, body, vehicles}``; pools lie in the plan's part of the tree.

    :raises NotFound: no such plan within reach.
    :raises RuleBroken: ``emergency.no_level``, ``emergency.plan_retired``, ``emergency.same_person``, ``emergency.nothing_wanted``,
        ``emergency.pool_outside``, ``emergency.not_leader``, ``emergency.not_officer``.
    """
    plan = queries.get_plan(session, plan_id=plan_id, actor=actor)
    permits.require("emergency.activate", actor, org_path=plan.org.path)
    if plan.retired_at is not None:
        raise RuleBroken("emergency.plan_retired")
    if level is Level.USUAL:
        raise RuleBroken("emergency.no_level")
    wishes = [wish for wish in wanted if wish["vehicles"] > 0]
    if not wishes:
        raise RuleBroken("emergency.nothing_wanted")
    for wish in wishes:
        if not accounts.get_org(session, org_id=wish["pool_id"]).path.startswith(plan.org.path):
            raise RuleBroken("emergency.pool_outside")
    rules.check_people(activator_id=actor.user_id, leader_id=leader_id, officer_id=officer_id)
    if leader_id not in {user.id for user in queries.leaders(session, org_path=plan.org.path)}:
        raise RuleBroken("emergency.not_leader")
    if officer_id not in {officer.user_id for officer in plan.officers}:
        raise RuleBroken("emergency.not_officer")
    series = f"{'YL' if drill else 'YJ'}{clock.local_date(now).year}"
    made = EmergencyActivation(
        org_id=plan.org_id, plan_id=plan.id, number=f"{series}-{orders.next_number(session, series):04d}", drill=drill, level=level,
        reason=reason, place=place, lat=lat, lon=lon, hours=hours, goes=goes or drill, wanted=wishes, state=ActivationState.DRAFT,
        leader_id=leader_id, officer_id=officer_id, made_by=actor.user_id, made_at=now,
    )  # fmt: skip
    made.org, made.plan = plan.org, plan
    session.add(made)
    session.flush()
    _event(session, made, "drafted", None, actor=actor, now=now, note=reason)
    return made


def confirm(
    session: Session,
    *,
    activation_id: int,
    vehicle_ids: Collection[int],
    bumped: Collection[int],
    actor: Actor,
    now: datetime,
) -> EmergencyActivation:
    """Activate: the level is in force, the vehicles are called, orders that lose theirs wait again; all of it or nothing.

    ``bumped`` are the orders that the preview said would lose their vehicle. A second time changes nothing.

    :raises Conflict: ``emergency.active_already``, somebody else was faster; ``emergency.changed``, the preview no longer holds.
    :raises RuleBroken: ``emergency.wrong_step``, ``emergency.nobody_chosen``, ``emergency.no_driver``, ``planning.why.*``.
    """
    lock_bookings(session)
    activation = _held(session, activation_id, "emergency.activate", actor)
    if activation.state == ActivationState.ACTIVE:
        return activation
    after = rules.next_state(activation.state, Step.CONFIRM)
    rules.check_people(activator_id=actor.user_id, leader_id=activation.leader_id, officer_id=activation.officer_id)
    if not activation.drill and (other := queries.active_of(session, org_id=activation.org_id)) is not None:
        raise Conflict("emergency.active_already", number=other.number, level=_level(other.level))
    before, activation.state = activation.state, after
    activation.confirmed_by, activation.confirmed_at = actor.user_id, now
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict("emergency.active_now") from error
    cars = _call(session, activation, vehicle_ids, bumped, actor=actor, now=now)
    if not activation.drill:
        reserves.declare(
            session, org=activation.org, level=Level(activation.level), cause=activation.number, actor=actor, now=now
        )
    telling.activated(session, activation=activation, cars=cars, now=now)
    _event(session, activation, "confirmed", before, actor=actor, now=now, note=_plates(cars))
    return activation


def call_more(
    session: Session,
    *,
    activation_id: int,
    vehicle_ids: Collection[int],
    bumped: Collection[int],
    actor: Actor,
    now: datetime,
) -> EmergencyActivation:
    """Call more vehicles up; those called already are passed over.

    :raises Conflict: ``emergency.changed``.
    :raises RuleBroken: ``emergency.wrong_step``, ``emergency.nobody_chosen``, ``emergency.no_driver``.
    """
    lock_bookings(session)
    activation = _held(session, activation_id, "emergency.activate", actor)
    rules.next_state(activation.state, Step.CALL_MORE)
    there = {
        car.vehicle_id for car in queries.cars_of(session, activation_ids=[activation.id]) if car.released_at is None
    }
    wanted = set(vehicle_ids) - there
    if not wanted and vehicle_ids:
        return activation
    cars = _call(session, activation, wanted, bumped, actor=actor, now=now)
    telling.called(session, activation=activation, cars=cars, now=now)
    _event(session, activation, "called_more", activation.state, actor=actor, now=now, note=_plates(cars))
    return activation


def send(
    session: Session, *, activation_id: int, car_ids: Collection[int], actor: Actor, now: datetime
) -> EmergencyActivation:
    """Send vehicles that stand by; one that goes already is passed over.

    :raises RuleBroken: ``emergency.wrong_step``, ``planning.why.*``.
    """
    lock_bookings(session)
    activation = _held(session, activation_id, "emergency.activate", actor)
    rules.next_state(activation.state, Step.SEND)
    ready = [
        car for car in queries.cars_of(session, activation_ids=[activation.id])
        if car.id in set(car_ids) and car.sent_at is None and car.released_at is None
    ]  # fmt: skip
    if not ready:
        return activation
    kept = planning.held_for(session, cause=HoldCause.EMERGENCY, cause_id=activation.id)
    mine = {
        row.id for row in kept for car in ready if car.vehicle_id == row.vehicle_id or car.driver_id == row.driver_id
    }
    holds.unhold(session, cause=HoldCause.EMERGENCY, cause_id=activation.id, hold_ids=mine, actor=actor, now=now)
    for car in ready:
        _send(session, activation, car, actor=actor, now=now)
    telling.called(session, activation=activation, cars=ready, now=now)
    _event(session, activation, "sent", activation.state, actor=actor, now=now, note=_plates(ready))
    return activation


def change_level(
    session: Session, *, activation_id: int, level: Level, note: str, actor: Actor, now: datetime
) -> EmergencyActivation:
    """Raise or lower the level in force, and the floors with it.

    :raises RuleBroken: ``emergency.wrong_step``, ``emergency.same_level``, ``emergency.no_level``.
    """
    activation = _held(session, activation_id, "emergency.activate", actor)
    rules.next_state(activation.state, Step.CHANGE_LEVEL)
    raised = rules.check_level(activation.level, level)
    activation.level = level
    if not activation.drill:
        reserves.declare(session, org=activation.org, level=level, cause=activation.number, actor=actor, now=now)
    telling.level_changed(session, activation=activation, now=now)
    _event(session, activation, "raised" if raised else "lowered", activation.state, actor=actor, now=now, note=note)
    return activation


def stand_down(session: Session, *, activation_id: int, note: str, actor: Actor, now: datetime) -> EmergencyActivation:
    """End an activation: who stands by or has not left is free again, who is out comes back by its order; the level ends.

    A second time changes nothing.

    :raises RuleBroken: ``emergency.wrong_step``.
    """
    lock_bookings(session)
    activation = _held(session, activation_id, "emergency.activate", actor)
    if activation.state == ActivationState.STOOD_DOWN:
        return activation
    before, activation.state = activation.state, rules.next_state(activation.state, Step.STAND_DOWN)
    activation.ended_at = now
    session.flush()
    holds.unhold(session, cause=HoldCause.EMERGENCY, cause_id=activation.id, actor=actor, now=now)
    cars = [car for car in queries.cars_of(session, activation_ids=[activation.id]) if car.released_at is None]
    for car in cars:
        if car.order is not None and car.order.state in ASSIGNED:
            urgent.take_back(
                session, order_id=car.order.id, action=OrderAction.CANCEL, reason=note, actor=actor, now=now
            )
        car.released_at = now
    if not activation.drill:
        reserves.declare(session, org=activation.org, level=None, cause=activation.number, actor=actor, now=now)
    telling.stood_down(session, activation=activation, cars=cars, now=now)
    _event(session, activation, "stood_down", before, actor=actor, now=now, note=note)
    return activation


def cancel(session: Session, *, activation_id: int, note: str, actor: Actor, now: datetime) -> EmergencyActivation:
    """Drop a draft. A second time changes nothing.

    :raises RuleBroken: ``emergency.wrong_step``, it is active: stand it down.
    """
    activation = _held(session, activation_id, "emergency.activate", actor)
    if activation.state == ActivationState.CANCELLED:
        return activation
    before, activation.state = activation.state, rules.next_state(activation.state, Step.CANCEL)
    activation.ended_at = now
    _event(session, activation, "cancelled", before, actor=actor, now=now, note=note)
    return activation


def sign(session: Session, *, activation_id: int, note: str, actor: Actor, now: datetime) -> EmergencyActivation:
    """Sign what was approved by word of mouth; only the leader named may. A second time changes nothing.

    :raises NotAllowed: somebody else.
    :raises RuleBroken: ``emergency.wrong_step``.
    """
    activation = _held(session, activation_id, "emergency.sign", actor)
    if actor.user_id != activation.leader_id:
        raise NotAllowed("emergency.not_the_leader", action="emergency.sign")
    if activation.signed_at is not None:
        return activation
    rules.next_state(activation.state, Step.SIGN)
    activation.signed_at = now
    _event(session, activation, "signed", activation.state, actor=actor, now=now, note=note)
    return activation


def _held(session: Session, activation_id: int, action: str, actor: Actor) -> EmergencyActivation:
    activation = queries.get_activation(session, activation_id=activation_id, actor=actor, lock=True)
    permits.require(action, actor, org_path=activation.org.path)
    return activation


def _call(
    session: Session,
    activation: EmergencyActivation,
    vehicle_ids: Collection[int],
    bumped: Collection[int],
    *,
    actor: Actor,
    now: datetime,
) -> list[EmergencyCar]:
    """Call vehicles up: take them from their orders, then send them or keep them at hand."""
    if not vehicle_ids:
        raise RuleBroken("emergency.nobody_chosen")
    view = callup.scene(session, activation=activation, actor=actor, now=now)
    able = {Standing.FREE} if activation.drill else {Standing.FREE, Standing.BOOKED}
    chosen = [view.candidates.get(vehicle_id) for vehicle_id in sorted(vehicle_ids)]
    ready = [one for one in chosen if one is not None and one.standing in able]
    taken = sorted({row.order_id for one in ready for row in one.bookings})
    if len(ready) < len(chosen) or taken != sorted(bumped):
        raise Conflict("emergency.changed")
    crew = rules.crew(
        [one.vehicle.id for one in ready], {one.vehicle.id: [row.id for row in one.drivers] for one in ready}
    )
    for one in ready:
        if one.vehicle.id not in crew:
            raise RuleBroken("emergency.no_driver", plate=one.vehicle.plate)
    planning.lock_orders(session, taken)
    planning.lock_vehicles(session, [one.vehicle.id for one in ready])
    for one in ready:
        _take(session, activation, one, actor=actor, now=now)
    cars = []
    for one in ready:
        driver = next(row for row in one.drivers if row.id == crew[one.vehicle.id])
        car = EmergencyCar(activation_id=activation.id, vehicle=one.vehicle, driver=driver, called_at=now, eta_s=one.eta_s,
                           distance_m=one.distance_m, way=one.way, seen_at=one.seen_at)  # fmt: skip
        if activation.goes:
            _send(session, activation, car, actor=actor, now=now)
        session.add(car)
        cars.append(car)
    if not activation.goes:
        span = Span(view.span.start, view.span.end)
        holds.hold(session, org_id=activation.org_id, span=span, cause=HoldCause.EMERGENCY, cause_id=activation.id, actor=actor, now=now,
                   vehicle_ids=[car.vehicle.id for car in cars], driver_ids=[car.driver.id for car in cars])  # fmt: skip
    session.flush()
    return cars


def _take(
    session: Session, activation: EmergencyActivation, one: callup.Candidate, *, actor: Actor, now: datetime
) -> None:
    """Take a vehicle from its orders: their slips are void, they wait for another one, and the applicants are told."""
    for booking in one.bookings:
        reason = f"应急启动 {activation.number} 调用 {one.vehicle.plate}"
        order = urgent.take_back(
            session, order_id=booking.order_id, action=OrderAction.RELEASE, reason=reason, actor=actor, now=now
        )
        session.add(
            EmergencyEffect(
                activation_id=activation.id,
                order_id=order.id,
                vehicle_id=one.vehicle.id,
                slip=booking.slip.number,
                at=now,
            )
        )
        telling.bumped(session, activation=activation, order=order, plate=one.vehicle.plate, now=now)


def _send(
    session: Session, activation: EmergencyActivation, car: EmergencyCar, *, actor: Actor, now: datetime
) -> TravelOrder:
    """Give a vehicle its order, approved by word of mouth, and its driver the slip."""
    leader = activation.leader.name_zh
    order = urgent_orders.commission(
        session, kind=OrderKind.SERVICE if activation.drill else OrderKind.EMERGENCY,
        purpose=Purpose.DRILL if activation.drill else Purpose.EMERGENCY, reason=f"{activation.number} {activation.reason}",
        org_id=activation.org_id, applicant_id=activation.officer_id, approver_id=activation.leader_id, passengers=activation.officer.name_zh,
        contact=activation.officer.phone or "-", body=car.vehicle.body, start_at=now, end_at=now + timedelta(hours=activation.hours),
        stops=_stops(session, activation, car), note=f"{leader} 口头批准，事后补签",
        request_key=f"{activation.number}/{car.vehicle.id}/{now.isoformat()}", actor=actor, now=now,
    )  # fmt: skip
    urgent.send(session, order=order, vehicle=car.vehicle, driver=car.driver, actor=actor, now=now)
    car.order_id, car.sent_at = order.id, now
    return order_queries.hold_order(session, order_id=order.id)


def _stops(session: Session, activation: EmergencyActivation, car: EmergencyCar) -> list[Stop]:
    there = Stop(activation.place, activation.lat, activation.lon)
    start = callup.yard_of(session, vehicle=car.vehicle)
    return [start or there, there]


def _level(level: str) -> dict[str, str]:
    return {"text": f"reserves.level.{level}"}


def _plates(cars: Collection[EmergencyCar]) -> str:
    return "、".join(car.vehicle.plate for car in cars)


def _event(
    session: Session,
    activation: EmergencyActivation,
    action: str,
    before: str | None,
    *,
    actor: Actor,
    now: datetime,
    note: str | None,
) -> None:
    session.add(EmergencyEvent(activation_id=activation.id, action=action, from_state=before, to_state=activation.state, level=activation.level,
                               actor_id=actor.user_id, at=now, note=note))  # fmt: skip
    audit.record(session, actor=actor, now=now, action=f"emergency.{action}", subject_type="emergency_activation", subject_id=activation.id,
                 org_id=activation.org_id, number=activation.number, level=activation.level, before=before, after=activation.state,
                 drill=activation.drill, note=note)  # fmt: skip
