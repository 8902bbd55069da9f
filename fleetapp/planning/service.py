"""Writing of plans and assignments. Every assignment has its slip, its order on DISPATCHED and its audit entry, or is none."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.approvals import queries as approvals
from fleetapp.audit import service as audit
from fleetapp.drivers import queries as drivers
from fleetapp.drivers import rules as driver_rules
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor, Role
from fleetapp.kit.db import Database
from fleetapp.kit.errors import Conflict, FleetError, NotAllowed, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.orders import queries as order_queries
from fleetapp.orders import service as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OrderAction, OrderState
from fleetapp.planning import bookings, bridge, floors, lending, queries, rules, tell
from fleetapp.planning.models import Assignment, AssignmentState, PlanRun, RunState
from fleetapp.planning.rules import Fault, Figures
from fleetapp.planning.scene import SLACK, Point, Scene, centre
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one order of a confirmed plan: ``code`` None when assigned, else why not."""

    order_id: int
    number: str
    code: str | None = None
    params: dict[str, Any] = field(default_factory=dict)


# ---- plans ----------------------------------------------------------------------------------------------------------


def plan(
    database: Database, *, window: Span, actor: Actor, now: datetime, time_limit_s: float = 10.0, seed: int = 0
) -> PlanRun:
    """Plan the approved orders that start in ``[window.start, window.end)`` and have not started; nothing is assigned.

    Reads in one transaction, solves outside any, keeps the run in another; a run that fails is kept as FAILED.

    :raises RuleBroken: ``planning.window_over``, ``planning.window_too_long``, ``planning.nothing_to_plan``,
        ``planning.no_vehicles``, ``planning.no_drivers``.
    """
    permits.require("planning.plan", actor)
    rules.check_plan_window(window, now)
    org_id, org_path = seat(actor)
    with database.transaction(actor) as session:
        found = _scene(session, window=window, actor=actor, now=now, org_path=org_path)
        instance = bridge.instance_of(found)
    if not instance.vehicles:
        raise RuleBroken("planning.no_vehicles")
    if not instance.drivers:
        raise RuleBroken("planning.no_drivers")
    run = PlanRun(org_id=org_id, requested_by=actor.user_id, requested_at=now, start_at=window.start, end_at=window.end,
                  state=RunState.DONE, instance={}, plan={})  # fmt: skip
    try:
        solved = bridge.solve(instance, found.figures, time_limit_s=time_limit_s, seed=seed)
        run.instance, run.plan = solved.instance, solved.plan
    except (AssertionError, ValueError) as error:
        # The judge refused or the library found the input wrong: a fault of the program, kept for whoever mends it.
        run.state, run.failure = RunState.FAILED, str(error)[:2000]
    with database.transaction(actor) as session:
        session.add(run)
        session.flush()
        audit.record(session, actor=actor, now=now, action="planning.planned", subject_type="plan_run", subject_id=run.id,
                     org_id=org_id, state=run.state, seed=seed, start_at=window.start, end_at=window.end,
                     orders=len(instance.requests), served=run.plan["figures"]["served"] if run.plan else 0)  # fmt: skip
    return run


def confirm(
    session: Session, *, run_id: int, order_ids: Collection[int] | None = None, actor: Actor, now: datetime
) -> list[Outcome]:
    """Make the assignments that a run proposes, all or those of ``order_ids``, each on its own.

    An order that has been decided otherwise meanwhile, or whose vehicle or driver is taken, is told and left out;
    the rest goes on. Confirming again what the run has already assigned changes nothing.

    :raises RuleBroken: ``planning.run_failed``, ``planning.not_in_run``.
    """
    run = queries.get_run(session, run_id=run_id, actor=actor)
    permits.require("planning.plan", actor, org_path=run.org.path)
    if run.state == RunState.FAILED:
        raise RuleBroken("planning.run_failed")
    proposals = {proposal.order_id: proposal for proposal in bridge.proposals(run.plan)}
    if unknown := set(order_ids or ()) - proposals.keys():
        raise RuleBroken("planning.not_in_run", orders=", ".join(str(order_id) for order_id in sorted(unknown)))
    chosen = [p for p in proposals.values() if order_ids is None or p.order_id in set(order_ids)]
    # Everything that others may wait for is held before the first audit entry, always in the same order.
    lock_bookings(session)
    queries.lock_orders(session, [p.order_id for p in chosen])
    queries.lock_vehicles(session, [p.vehicle_id for p in chosen])
    known = queries.orders_by_id(session, order_ids=[p.order_id for p in chosen], actor=actor)
    done = queries.active_by_order(session, order_ids=[p.order_id for p in chosen])
    outcomes = []
    for proposal in chosen:
        number = known[proposal.order_id].number if proposal.order_id in known else str(proposal.order_id)
        held = done.get(proposal.order_id)
        if held is not None and (held.run_id, held.vehicle_id) == (run.id, proposal.vehicle_id):
            outcomes.append(Outcome(proposal.order_id, number))
            continue
        try:
            with session.begin_nested():
                assign(session, order_id=proposal.order_id, vehicle_id=proposal.vehicle_id,
                       driver_id=proposal.driver_id, actor=actor, now=now, run_id=run.id)  # fmt: skip
        except FleetError as error:
            outcomes.append(Outcome(proposal.order_id, number, error.code, dict(error.params)))
        else:
            outcomes.append(Outcome(proposal.order_id, number))
    made = [outcome.number for outcome in outcomes if outcome.code is None]
    if made:
        run.state, run.confirmed_at = RunState.CONFIRMED, run.confirmed_at or now
    audit.record(session, actor=actor, now=now, action="planning.confirmed", subject_type="plan_run", subject_id=run.id,
                 org_id=run.org_id, assigned=made,
                 refused={outcome.number: outcome.code for outcome in outcomes if outcome.code})  # fmt: skip
    return outcomes


# ---- assignments ----------------------------------------------------------------------------------------------------


def assign(
    session: Session,
    *,
    order_id: int,
    vehicle_id: int,
    driver_id: int,
    actor: Actor,
    now: datetime,
    run_id: int | None = None,
    pool_key: int | None = None,
    consent: str | None = None,
) -> Assignment:
    """Give an approved order a vehicle and a driver of the vehicle's holder: a slip is issued, the order DISPATCHED.

    Holds vehicle and driver for the order's window with the policy's buffers. The same assignment again changes
    nothing. What ``rules.SOFT`` names does not refuse; it is kept in the audit entry. ``pool_key`` is the journey to
    share, which ``journeys.join`` has looked at; ``consent`` how the applicant agreed to share it.

    :raises NotFound: order, vehicle or driver out of reach.
    :raises NotAllowed: not a dispatcher of both unit and holder, own order, or the order is not APPROVED.
    :raises Conflict: ``planning.vehicle_taken``, ``planning.driver_taken`` (with the other order), or the order has
        another vehicle (``planning.already_assigned``).
    :raises RuleBroken: a person in two parts, the journey over, or ``planning.why.*`` for what the judge refuses.
    """
    lock_bookings(session)
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    held = queries.active_of(session, order_id=order_id)
    if held is not None:
        permits.require("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id)
        if (held.vehicle_id, held.driver_id) == (vehicle_id, driver_id) and pool_key in {None, held.pool_key}:
            return held
        raise Conflict("planning.already_assigned")
    permits.require("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id, state=order.state)
    queries.lock_vehicles(session, [vehicle_id])
    limits = queries.figures(session, now=now, org_path=order.org.path)
    during = rules.taken(order.start_at, order.end_at, limits)
    vehicle, driver = lending.pair(session, vehicle_id=vehicle_id, driver_id=driver_id, span=during, actor=actor)
    for approver_id in {order.approver_id, *approvals.signers(session, subject_id=order.id)}:
        rules.check_separation(actor_id=actor.user_id, approver_id=approver_id, driver_user_id=driver.user_id)
    rules.check_still_ahead(order.end_at, supplementary=order.supplementary, now=now)
    said = lending.of_holder(session, vehicle=vehicle, order=order, figures=limits, now=now)
    reasons = faults(session, order=order, vehicle=vehicle, driver=driver, limits=limits, said=said)
    refused = rules.first_refusal(reasons)
    if refused:
        raise RuleBroken(f"planning.why.{refused.code}", **refused.params)
    bookings.check(session, vehicle=vehicle, driver=driver, during=during, besides=pool_key)
    assignment = bookings.make(
        session, order=order, vehicle=vehicle, driver=driver, during=during, slip_org_id=said.slip_org(vehicle, order),
        against=reasons, actor=actor, now=now, run_id=run_id, pool_key=pool_key, consent=consent,
    )  # fmt: skip
    tell.assigned(session, held=assignment, now=now)
    return assignment


def release(session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime) -> TravelOrder:
    """Take the vehicle back from an order, which waits again; the slip becomes void. Without a vehicle nothing changes.

    :raises NotAllowed: not a dispatcher of the unit, or the vehicle has left already.
    :raises RuleBroken: ``orders.reason_needed``, or ``planning.locked``: somebody has fixed it to its vehicle.
    """
    lock_bookings(session)
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    where: dict[str, Any] = {"org_path": order.org.path, "owner_id": order.applicant_id}
    if order.state == OrderState.APPROVED:
        permits.require("planning.release", actor, **where)
        return order
    permits.require("planning.release", actor, **where, state=order.state)
    held = queries.active_of(session, order_id=order_id)
    if held is not None and held.locked_at is not None:
        raise RuleBroken("planning.locked", number=order.number, plate=held.vehicle.plate)
    return give_back(session, order=order, action=OrderAction.RELEASE, reason=reason, actor=actor, now=now)


def cancel(session: Session, *, order_id: int, reason: str, actor: Actor, now: datetime) -> TravelOrder:
    """Cancel an order that has a vehicle, which becomes free; the slip becomes void. A second time does nothing.

    An order without a vehicle is left to ``orders.service.cancel``.

    :raises NotAllowed: not the applicant's, the unit's or the dispatcher's to cancel, or the vehicle has left already.
    :raises RuleBroken: ``orders.reason_needed``.
    """
    lock_bookings(session)
    order = order_queries.lock_order(session, order_id=order_id, actor=actor)
    where: dict[str, Any] = {"org_path": order.org.path, "owner_id": order.applicant_id}
    if order.state == OrderState.CANCELLED:
        permits.require("orders.cancel", actor, **where)
        return order
    if order.state == OrderState.APPROVED:
        return orders.cancel(session, order_id=order_id, reason=reason, actor=actor, now=now)
    permits.require("orders.cancel", actor, **where, state=order.state)
    return give_back(session, order=order, action=OrderAction.CANCEL, reason=reason, actor=actor, now=now)


def faults(
    session: Session, *, order: TravelOrder, vehicle: Vehicle, driver: Driver, limits: Figures, said: lending.Lending
) -> list[Fault]:
    """Return everything against a vehicle and driver for an order, except that they are booked."""
    found = []
    if vehicle.state != VehicleState.IN_SERVICE:
        found.append(Fault("vehicle_state"))
    ended = vehicles.papers_ended(session, vehicle_ids=[vehicle.id], last_on=clock.local_date(order.end_at))
    if vehicle.id in ended:
        kind, first_without_on = ended[vehicle.id]
        found.append(Fault("papers_ended", {"kind": kind, "on": first_without_on.isoformat()}))
    fits = said.may_drive(driver, vehicle, order)
    if not fits:
        found.append(Fault("driver_holder"))
    if driver.left_at is not None:
        found.append(Fault("driver_left"))
    if drivers.absent(session, driver_ids=[driver.id], span=Span(order.start_at, order.end_at)):
        found.append(Fault("driver_absent"))
    licence, last_on = driver_rules.Licence(driver.licence), clock.local_date(order.end_at)
    if not driver_rules.may_drive(licence, vehicle.seats):
        found.append(Fault("driver_licence", {"licence": licence.value, "seats": vehicle.seats}))
    if driver.licence_valid_to < last_on:
        found.append(Fault("licence_expired", {"on": driver.licence_valid_to.isoformat()}))
    if order.passenger_count > vehicle.seats - 1:
        found.append(Fault("seats", {"passengers": order.passenger_count, "seats": vehicle.seats - 1}))
    scene = Scene(
        window=Span(order.start_at, order.end_at), orders=[order], vehicles=[vehicle], drivers=[driver],
        figures=limits, yards=_yards(session, {vehicle.org_id, driver.org_id, said.crew_home(vehicle)}), lending=said,
        busy_vehicles={}, busy_drivers={}, hired={driver.id: said.crew_home(vehicle)},
    )  # fmt: skip
    if fits:
        known = {fault.code for fault in found}
        found += [fault for fault in bridge.faults(scene) if fault.code not in known]
    held = rules.taken(order.start_at, order.end_at, limits)
    return [*found, *floors.faults(session, order=order, vehicles=[vehicle], span=held).values()]


def candidates(
    session: Session, *, order: TravelOrder, actor: Actor, now: datetime, vehicle_ids: Collection[int] | None = None
) -> tuple[list[bridge.Option], dict[int, Vehicle], list[Driver]]:
    """Return every vehicle's case for an order with the vehicles and the drivers free over its window.

    ``vehicle_ids`` narrows it. What the order holds already counts as free.
    """
    limits = queries.figures(session, now=now, org_path=order.org.path)
    window = Span(order.start_at, order.end_at)
    cars, people = fleet_of(session, actor=actor, span=window, until_on=clock.local_date(order.end_at))
    if vehicle_ids is not None:
        cars = [car for car in cars if car.id in vehicle_ids]
    scene = furnished(
        session, window=window, found=[order], cars=cars, people=people, limits=limits, now=now, order=order
    )
    held, cars_by_id = rules.taken(order.start_at, order.end_at, limits), {car.id: car for car in cars}

    def is_taken(spans: Collection[Span]) -> bool:
        return any(span.overlaps(held) for span in spans)

    found = [
        replace(option, fault=Fault("vehicle_overlap"), cost_fen=None)
        if is_taken(scene.busy_vehicles.get(option.vehicle_id, ()))
        else option
        for option in (bridge.options(scene) if cars else [])
    ]
    kept = {
        row.vehicle_id: Fault(f"kept_{row.cause}")
        for row in queries.holds(session, span=held, vehicle_ids=cars_by_id, driver_ids=())
        if not queries.admits(hold=row, order=order)
    }
    found = [replace(option, fault=kept.get(option.vehicle_id, option.fault)) for option in found]
    able = [cars_by_id[option.vehicle_id] for option in found if option.fault is None or not option.fault.refuses]
    short = floors.faults(session, order=order, vehicles=able, span=held)
    found = [replace(option, fault=short.get(option.vehicle_id, option.fault)) for option in found]
    found.sort(key=lambda option: option.fault is not None and option.fault.refuses)  # keeps the order by cost
    ready = [driver for driver in people if not is_taken(scene.busy_drivers.get(driver.id, ()))]
    return found, cars_by_id, ready


def seat(actor: Actor) -> tuple[int, str]:
    """Return the organisation in whose name a dispatcher plans: the highest where the role was granted."""
    grants = [grant for grant in actor.grants if grant.role is Role.DISPATCHER]
    if not grants or actor.user_id is None:
        raise NotAllowed("kit.not_allowed", action="planning.plan")  # a plan has a person who asked for it
    top = min(grants, key=lambda grant: (len(grant.org_path), grant.org_path))
    return top.org_id, top.org_path


def _scene(session: Session, *, window: Span, actor: Actor, now: datetime, org_path: str) -> Scene:
    waiting = order_queries.approved_waiting(
        session, actor=actor, start=window.start, end=window.end, limit=rules.MOST_ORDERS
    )
    first_at = max(window.start, now)
    agreed_to = set(session.scalars(approvals.signed_by(actor.user_id)))
    found = [
        order
        for order in waiting
        if order.start_at >= first_at
        and permits.may("planning.assign", actor, org_path=order.org.path, owner_id=order.applicant_id)
        and order.approver_id != actor.user_id
        and order.id not in agreed_to
    ]
    if not found:
        raise RuleBroken("planning.nothing_to_plan")
    last_on = clock.local_date(max(order.end_at for order in found))
    span = Span(window.start, max(window.end, *(order.end_at for order in found)))
    cars, people = fleet_of(session, actor=actor, span=span, until_on=last_on)
    people = [driver for driver in people if driver.user_id != actor.user_id]
    limits = queries.figures(session, now=now, org_path=org_path)
    scene = furnished(session, window=span, found=found, cars=cars, people=people, limits=limits, now=now)
    return floors.kept_back(session, scene=scene)


def fleet_of(session: Session, *, actor: Actor, span: Span, until_on: date) -> tuple[list[Vehicle], list[Driver]]:
    """Return the vehicles and drivers of a dispatcher's part of the tree, and those lent to it over the span."""
    cars, people = queries.fleet(session, actor=actor, until_on=until_on)
    lent, along = lending.borrowed(session, actor=actor, span=span, until_on=until_on, known={car.id for car in cars})
    return [*cars, *lent], [*people, *along]


def furnished(
    session: Session,
    *,
    window: Span,
    found: list[TravelOrder],
    cars: list[Vehicle],
    people: list[Driver],
    limits: Figures,
    now: datetime,
    order: TravelOrder | None = None,
    besides: Collection[int] = (),
) -> Scene:
    """Return a scene with what is taken around it; what the ``order`` and those ``besides`` hold counts as free."""
    of_vehicle, of_driver = queries.busy(
        session, span=window.widened(SLACK, SLACK), vehicle_ids=[car.id for car in cars],
        driver_ids=[driver.id for driver in people], order=order, besides=besides,
    )  # fmt: skip
    return Scene(
        window=window, orders=found, vehicles=cars, drivers=people, figures=limits,
        yards=_yards(session, {car.org_id for car in cars} | {driver.org_id for driver in people}),
        lending=lending.look(session, span=window, cars=cars, busy=of_vehicle, figures=limits, now=now), busy_vehicles=of_vehicle, busy_drivers=of_driver,
    )  # fmt: skip


def _yards(session: Session, org_ids: Collection[int]) -> dict[int, Point]:
    return {org_id: centre(area) for org_id, area in queries.parking_of(session, org_ids).items()}


def give_back(
    session: Session, *, order: TravelOrder, action: OrderAction, reason: str, actor: Actor, now: datetime
) -> TravelOrder:
    """Take the vehicle back from a held order by an action that frees it, permission checked; its slip becomes void."""
    assignment = queries.active_of(session, order_id=order.id)
    if assignment is not None:
        orders.void_slip(session, slip=assignment.slip, reason=reason, actor=actor, now=now)
        assignment.state, assignment.released_at, assignment.release_reason = AssignmentState.RELEASED, now, reason
        order.serving_org_id = None
    orders.advance(session, order=order, action=action, actor=actor, now=now, note=reason)
    if assignment is not None:
        tell.taken_back(session, held=assignment, reason=reason, now=now)
        audit.record(session, actor=actor, now=now, action="planning.released", subject_type="assignment",
                     subject_id=assignment.id, org_id=assignment.org_id, order=order.number,
                     plate=assignment.vehicle.plate, slip=assignment.slip.number, reason=reason)  # fmt: skip
    return order
