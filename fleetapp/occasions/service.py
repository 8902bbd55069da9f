"""Writing of events: made, moved on, vehicles and drivers kept all or none, the roster filled in."""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.audit import service as audit
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.kit import clock, permits
from fleetapp.kit.actor import Actor
from fleetapp.kit.errors import Conflict, RuleBroken
from fleetapp.kit.spans import Span
from fleetapp.occasions import queries, rules
from fleetapp.occasions.models import OccasionEvent, OccasionShift
from fleetapp.occasions.rules import OccasionAction
from fleetapp.orders import service as orders
from fleetapp.orders.models import Occasion
from fleetapp.orders.queries import lock_bookings
from fleetapp.orders.rules import OccasionState
from fleetapp.planning import holds
from fleetapp.planning import queries as planning
from fleetapp.planning.models import Hold, HoldCause
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState

PAST_TENSE = {OccasionAction.START: "started", OccasionAction.FINISH: "finished", OccasionAction.CANCEL: "cancelled"}
"""What events and the audit log call each action."""


def create(
    session: Session, *, org_id: int, name: str, start_at: datetime, end_at: datetime, actor: Actor, now: datetime, note: str = ""
) -> Occasion:  # fmt: skip
    """Plan an event over ``[start_at, end_at)`` for the units below an organisation.

    :raises NotAllowed: the organisation is not within reach.
    :raises RuleBroken: ``occasions.reversed``, ``over``, ``too_long``.
    """
    org = accounts.get_org(session, org_id=org_id)
    permits.require("occasions.run", actor, org_path=org.path)
    rules.check_window(start_at, end_at, now)
    series = f"HD{clock.local_date(now).year}"
    made = Occasion(
        org_id=org.id, number=f"{series}-{orders.next_number(session, series):04d}", name=name, start_at=start_at, end_at=end_at,
        state=OccasionState.PLANNED, note=note, created_by=actor.user_id, created_at=now,
    )  # fmt: skip
    made.org = org
    session.add(made)
    session.flush()
    _record(session, made, "planned", actor=actor, now=now, note=name)
    return made


def step(
    session: Session, *, occasion_id: int, action: OccasionAction, actor: Actor, now: datetime, note: str | None = None
) -> Occasion:
    """Move an event on; with its end everything kept for it is given back. The same step again changes nothing.

    :raises RuleBroken: ``occasions.wrong_step``; ``orders_live`` where an event to cancel has living orders.
    """
    occasion = _take(session, occasion_id, actor)
    if (OccasionState(occasion.state), action) not in rules.TRANSITIONS and occasion.state == rules.REACHED[action]:
        return occasion
    return _move(session, occasion, action, actor=actor, now=now, note=note)


def move_due(session: Session, *, actor: Actor, now: datetime) -> bool:
    """Move one event whose time has come, for the job; tells whether there was one."""
    occasion = queries.next_due(session, now=now)
    if occasion is None:
        return False
    action = OccasionAction.START if occasion.state == OccasionState.PLANNED else OccasionAction.FINISH
    _move(session, occasion, action, actor=actor, now=now, note=None)
    return True


def _move(
    session: Session, occasion: Occasion, action: OccasionAction, *, actor: Actor, now: datetime, note: str | None
) -> Occasion:
    after = rules.next_state(occasion.state, action)
    if action is OccasionAction.CANCEL:
        rules.check_cancel(queries.states_of(session, occasion_id=occasion.id))
    if after not in rules.OPEN:
        holds.unhold(session, cause=HoldCause.OCCASION, cause_id=occasion.id, actor=actor, now=now)
    occasion.state = after
    session.flush()
    _record(session, occasion, PAST_TENSE[action], actor=actor, now=now, note=note)
    return occasion


def reserve(
    session: Session,
    *,
    occasion_id: int,
    actor: Actor,
    now: datetime,
    vehicle_ids: Collection[int] = (),
    driver_ids: Collection[int] = (),
) -> list[Hold]:
    """Keep vehicles and drivers over the whole event, all of them or none.

    :raises NotFound: a vehicle or driver out of reach.
    :raises NotAllowed: a holder is not within reach.
    :raises RuleBroken: ``occasions.closed``, ``none_chosen``, ``not_ready`` for a vehicle out of service, papers that
        end or a licence that ends before the event does.
    :raises Conflict: ``occasions.clash`` names who has other orders or is kept already.
    """
    occasion = _take(session, occasion_id, actor)
    rules.check_open(occasion.state)
    if not (vehicle_ids or driver_ids):
        raise RuleBroken("occasions.none_chosen")
    lock_bookings(session)
    planning.lock_vehicles(session, vehicle_ids)
    cars = [vehicles.get_vehicle(session, vehicle_id=one, actor=actor) for one in sorted(set(vehicle_ids))]
    people = [drivers.get_driver(session, driver_id=one, actor=actor) for one in sorted(set(driver_ids))]
    chosen: list[Vehicle | Driver] = [*cars, *people]
    for row in chosen:
        permits.require("occasions.run", actor, org_path=row.org.path)
    _check_ready(session, occasion, cars, people)
    of_vehicle, of_driver = queries.clashes(session, occasion=occasion, vehicle_ids=vehicle_ids, driver_ids=driver_ids)
    busy = [car.plate for car in cars if car.id in of_vehicle]
    busy += [driver.user.name_zh for driver in people if driver.id in of_driver]
    if busy:
        raise Conflict("occasions.clash", names="、".join(busy))
    made: list[Hold] = []
    # By holder, so that its own dispatchers see what is kept of theirs.
    for org_id in sorted({row.org_id for row in chosen}):
        made += holds.hold(
            session, org_id=org_id, span=Span(occasion.start_at, occasion.end_at), cause=HoldCause.OCCASION,
            cause_id=occasion.id, actor=actor, now=now, vehicle_ids=[car.id for car in cars if car.org_id == org_id],
            driver_ids=[driver.id for driver in people if driver.org_id == org_id],
        )  # fmt: skip
    _record(session, occasion, "reserved", actor=actor, now=now, note=f"{len(cars)} + {len(people)}")
    return made


def give_back(
    session: Session, *, occasion_id: int, hold_ids: Collection[int], actor: Actor, now: datetime
) -> Occasion:
    """Give some of what is kept back, with its shifts; what is given back already stays as it is.

    :raises RuleBroken: ``occasions.none_chosen``.
    """
    occasion = _take(session, occasion_id, actor)
    if not hold_ids:
        raise RuleBroken("occasions.none_chosen")
    gone = holds.unhold(
        session, cause=HoldCause.OCCASION, cause_id=occasion.id, hold_ids=hold_ids, actor=actor, now=now
    )
    for shift in queries.shifts(session, occasion_id=occasion.id):
        if any(shift.vehicle_id == row.vehicle_id or shift.driver_id == row.driver_id for row in gone):
            shift.removed_at = now
    if gone:
        _record(session, occasion, "given_back", actor=actor, now=now, note=str(len(gone)))
    return occasion


def roster(
    session: Session,
    *,
    occasion_id: int,
    vehicle_id: int,
    driver_id: int | None,
    from_on: date,
    to_on: date,
    actor: Actor,
    now: datetime,
) -> list[OccasionShift]:
    """Put a kept driver on a kept vehicle for the local days ``from_on`` to ``to_on``; without a driver clear them.

    :raises RuleBroken: ``occasions.closed``, ``not_kept``, ``other_holder``, ``outside`` the days of the event.
    :raises Conflict: ``occasions.driver_elsewhere``, the driver has another vehicle on one of the days.
    """
    occasion = _take(session, occasion_id, actor)
    rules.check_open(occasion.state)
    kept = queries.holds(session, occasion_id=occasion.id)
    car = next((row.vehicle for row in kept if row.vehicle_id == vehicle_id), None)
    driver = next((row.driver for row in kept if row.driver_id == driver_id), None) if driver_id else None
    if car is None or (driver_id and driver is None):
        raise RuleBroken("occasions.not_kept")
    if driver is not None and driver.org_id != car.org_id:
        raise RuleBroken("occasions.other_holder")
    days = [on for on in rules.days_of(occasion.start_at, occasion.end_at) if from_on <= on <= to_on]
    if not days or from_on < days[0] or to_on > days[-1]:
        raise RuleBroken("occasions.outside")
    standing = queries.shifts(session, occasion_id=occasion.id)
    for shift in standing:
        if shift.on in days and shift.vehicle_id == vehicle_id and shift.driver_id != driver_id:
            shift.removed_at = now
        elif driver_id and shift.on in days and shift.driver_id == driver_id and shift.vehicle_id != vehicle_id:
            raise Conflict("occasions.driver_elsewhere", on=shift.on.isoformat())
    session.flush()
    there = {shift.on for shift in standing if (shift.vehicle_id, shift.driver_id) == (vehicle_id, driver_id)}
    made = [
        OccasionShift(org_id=car.org_id, occasion_id=occasion.id, vehicle_id=vehicle_id, driver_id=driver.id, on=on,
                      made_at=now, made_by=actor.user_id)
        for on in days if driver is not None and on not in there
    ]  # fmt: skip
    session.add_all(made)
    session.flush()
    _record(session, occasion, "rostered", actor=actor, now=now,
            note=f"{car.plate} {from_on.isoformat()} – {to_on.isoformat()}")  # fmt: skip
    return made


def _take(session: Session, occasion_id: int, actor: Actor) -> Occasion:
    occasion = queries.get_occasion(session, occasion_id=occasion_id, actor=actor, lock=True)
    permits.require("occasions.run", actor, org_path=occasion.org.path)
    return occasion


def _check_ready(session: Session, occasion: Occasion, cars: Collection[Vehicle], people: Collection[Driver]) -> None:
    last_on = clock.local_date(occasion.end_at - timedelta(microseconds=1))
    ended = vehicles.papers_ended(session, vehicle_ids=[car.id for car in cars], last_on=last_on)
    out = [car.plate for car in cars if car.state != VehicleState.IN_SERVICE or car.id in ended]
    out += [one.user.name_zh for one in people if one.left_at is not None or one.licence_valid_to < last_on]
    if out:
        raise RuleBroken("occasions.not_ready", names="、".join(out))


def _record(session: Session, occasion: Occasion, what: str, *, actor: Actor, now: datetime, note: str | None) -> None:
    session.add(OccasionEvent(occasion_id=occasion.id, action=what, to_state=occasion.state, actor_id=actor.user_id, at=now,
                              note=note))  # fmt: skip
    session.flush()
    audit.record(session, actor=actor, now=now, action=f"occasions.{what}", subject_type="occasion", subject_id=occasion.id,
                 org_id=occasion.org_id, number=occasion.number, state=occasion.state, note=note)  # fmt: skip
