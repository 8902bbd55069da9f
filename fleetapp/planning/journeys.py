"""Shared journeys (拼车): an order joins another one's vehicle and driver. Leaving is giving the vehicle back, as ever."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.approvals import queries as approvals
from fleetapp.audit import service as audit
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.notices import service as notices
from fleetapp.orders import queries as order_queries
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.planning import bridge, lending, pooling, queries, rules, service, turns
from fleetapp.planning.models import Assignment, JourneyStop
from fleetapp.planning.pooling import Joint, Rider
from fleetapp.planning.rules import Fault, Figures
from fleetapp.policies import queries as policies
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Energy


@dataclass(frozen=True, slots=True)
class JoinOption:
    """A journey that an order could join: what it saves against two vehicles, or the first thing against it.

    ``consent_of`` are the numbers of the orders whose applicants must be asked first.
    """

    pool_key: int
    members: Sequence[Assignment]
    saved_m: float
    fault: Fault | None
    consent_of: tuple[str, ...]

    @property
    def vehicle(self) -> Vehicle:
        """The vehicle they share."""
        return self.members[0].vehicle

    @property
    def driver(self) -> Driver:
        """The driver they share."""
        return self.members[0].driver


def options(
    session: Session, *, order: TravelOrder, actor: Actor, now: datetime, pool_key: int | None = None
) -> list[JoinOption]:
    """Return the journeys at the time of an approved order, those it can join first, by what that saves.

    ``pool_key`` asks for one of them alone: there may be hundreds, and each takes milliseconds to judge.
    """
    limits, pool_limits = _limits(session, now=now, org_path=order.org.path)
    span, found = Span(order.start_at, order.end_at), []
    for key, members in queries.journeys_at(session, span=span, actor=actor, pool_key=pool_key).items():
        joint, saved_m = _joint(session, order, members, agreed=True, limits=limits, pool_limits=pool_limits)
        fault = _apart(session, order, members, actor) or (joint.faults[0] if joint.faults else None)
        if fault is None:
            car = members[0].vehicle
            said = lending.of_holder(session, vehicle=car, order=order, figures=limits, now=now)
            against = service.faults(
                session, order=order, vehicle=car, driver=members[0].driver, limits=limits, said=said
            )
            fault = rules.first_refusal(against)
        unasked = [order, *(row.order for row in members if not row.consent)]
        asking = tuple(one.number for one in unasked if not one.pooling_ok)
        found.append(JoinOption(key, members, saved_m, fault, asking))
    return sorted(found, key=lambda option: (option.fault is not None, -option.saved_m, option.pool_key))


def join(
    session: Session, *, order_id: int, pool_key: int, actor: Actor, now: datetime, consent: str | None = None
) -> Assignment:
    """Give an approved order a place in a journey: a slip of its own, the stops of all in one turn.

    ``consent`` says how those who had not ticked pooling agreed; it is kept on each of their assignments. Joining
    the same journey again changes nothing.

    :raises NotFound: order out of reach.
    :raises NotAllowed: not a dispatcher of unit and holder, or an own order among those of the journey.
    :raises Conflict: the order has another vehicle, or vehicle or driver are taken by another journey.
    :raises RuleBroken: ``planning.journey_gone`` over or given back; a person in two parts; ``planning.why.*``.
    """
    lock_bookings(session)
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    held = queries.active_of(session, order_id=order_id)
    if held is not None:
        permits.require("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id)
        if held.pool_key == pool_key:
            return held
        raise Conflict("planning.already_assigned")
    permits.require("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state)
    queries.lock_orders(session, [row.order_id for row in queries.journeys(session, pool_keys=[pool_key])])
    members = queries.journeys(session, pool_keys=[pool_key])
    if not members or not {row.order.state for row in members} <= queries.SHARED:
        raise RuleBroken("planning.journey_gone")
    vehicle, driver = members[0].vehicle, members[0].driver
    for row in members:
        permits.require("planning.assign", actor, org_path=vehicle.org.path, owner_id=row.order.applicant_id)
    for one in (order, *(row.order for row in members)):
        _check_separation(session, one, driver=driver, actor=actor)
    limits, pool_limits = _limits(session, now=now, org_path=order.org.path)
    joint, _ = _joint(session, order, members, agreed=bool(consent), limits=limits, pool_limits=pool_limits)
    if joint.faults:
        raise RuleBroken(f"planning.why.{joint.faults[0].code}", **joint.faults[0].params)
    for row in members:
        if consent and not row.order.pooling_ok:
            row.consent = row.consent or consent
    session.flush()
    made = service.assign(
        session, order_id=order_id, vehicle_id=vehicle.id, driver_id=driver.id, actor=actor, now=now,
        pool_key=pool_key, consent=None if order.pooling_ok else consent,
    )  # fmt: skip
    _keep_turns(session, [*members, made], joint)
    numbers = [row.order.number for row in (*members, made)]
    told = [driver.user_id, *(row.order.applicant_id for row in (*members, made))]
    notices.notify(
        session, to=told, code="planning.notice.pooled", link=f"/orders/{order_id}", now=now, urgent=False,
        params={"plate": vehicle.plate, "numbers": "、".join(numbers)}, key=f"pooled-{made.id}",
    )  # fmt: skip
    audit.record(session, actor=actor, now=now, action="planning.pooled", subject_type="assignment", subject_id=made.id,
                 org_id=vehicle.org_id, journey=pool_key, orders=numbers, consent=consent,
                 distance_m=round(joint.distance_m))  # fmt: skip
    return made


def _joint(
    session: Session, order: TravelOrder, members: Sequence[Assignment], *, agreed: bool, limits: Figures, pool_limits: pooling.Limits
) -> tuple[Joint, float]:  # fmt: skip
    """Return the journey with the order in it and what it saves in metres; ``agreed``: who has not ticked it was asked."""
    orders = [row.order for row in members]
    known = [turn.stop.id for turn in turns.of(session, rows=members)]
    riders = [_rider(row.order, agreed=agreed or bool(row.consent)) for row in members]
    riders.append(_rider(order, agreed=agreed))
    leg = bridge.leg_between([point for rider in riders for _, point in rider.stops])
    vehicle = members[0].vehicle
    range_m = (
        vehicle.range_km * 1000 / limits.range_factor if vehicle.energy == Energy.BEV and vehicle.range_km else None
    )
    points = {stop_id: point for rider in riders for stop_id, point in rider.stops}
    before = [points[stop_id] for stop_id in known]
    been = turns.arrivals(session, order_ids=[one.id for one in orders])
    reached = sum(place < been for place in pooling.places(before))
    joint = pooling.join(riders, known, reached, seats=vehicle.seats - 1, range_m=range_m, limits=pool_limits, leg=leg)
    so_far_m = sum(leg(a, b)[1] for a, b in zip(before, [*before[1:], before[0]], strict=True))
    return joint, so_far_m + pooling.alone_m(riders[-1], leg) - joint.distance_m


def _rider(order: TravelOrder, *, agreed: bool) -> Rider:
    stops = tuple((stop.id, (stop.lat, stop.lon)) for stop in order.stops)
    return Rider(order.id, order.number, order.kind, order.start_at, order.end_at, order.passenger_count,
                 agreed or order.pooling_ok, stops)  # fmt: skip


def _limits(session: Session, *, now: datetime, org_path: str) -> tuple[Figures, pooling.Limits]:
    on = clock.local_date(now)
    minutes = [float(policies.value(session, f"pool.{name}_min", on, org_path)) for name in ("detour", "wait")]
    pool_limits = pooling.Limits(*(timedelta(minutes=minute) for minute in minutes))
    return queries.figures(session, now=now, org_path=org_path), pool_limits


def _apart(session: Session, order: TravelOrder, members: Sequence[Assignment], actor: Actor) -> Fault | None:
    """Return who among the people of the journey may not be in it together, if anybody."""
    try:
        for one in (order, *(row.order for row in members)):
            _check_separation(session, one, driver=members[0].driver, actor=actor)
            permits.require("planning.assign", actor, org_path=order.org.path, owner_id=one.applicant_id)
    except (RuleBroken, NotAllowed):
        return Fault("pool_people")
    return None


def _check_separation(session: Session, order: TravelOrder, *, driver: Driver, actor: Actor) -> None:
    """Refuse one person in two of the parts approver (of any level), dispatcher and driver of an order."""
    for approver_id in {order.approver_id, *approvals.signers(session, subject_id=order.id)}:
        rules.check_separation(actor_id=actor.user_id, approver_id=approver_id, driver_user_id=driver.user_id)


def _keep_turns(session: Session, rows: Sequence[Assignment], joint: Joint) -> None:
    """Write the turn of every stop; those of whoever left keep theirs and count no more."""
    assignments = {row.order_id: row.id for row in rows}
    known = {stop.order_stop_id: stop for stop in turns.kept(session, assignment_ids=list(assignments.values()))}
    for number, turn in enumerate(joint.turns):
        kept = known.get(turn.stop_id)
        if kept is None:
            kept = JourneyStop(assignment_id=assignments[turn.order_id], order_stop_id=turn.stop_id)
            session.add(kept)
        kept.turn, kept.planned_at = number, turn.at
    session.flush()
