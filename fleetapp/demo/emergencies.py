"""The emergency plan of the demo: floors, a plan of the city, a drill and an activation before the story, with how fast cars came."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import func, select

from fleetapp.accounts import queries as accounts
from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.demo.records import Story
from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.emergency import figures, plans, queries, service
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor, Role
from fleetapp.kit.db import Database
from fleetapp.planning import queries as planning
from fleetapp.reserves import service as reserves
from fleetapp.reserves.rules import Level
from fleetapp.sharing import rules as sharing
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import VehicleState

FEWEST = 6
"""A pool keeps one vehicle of a body free where it has so many: the demo's own days never come that near to the last one."""
FLOODS = (
    (timedelta(days=12), True, Level.III, "防汛车辆保障演练", "钱江新城"),
    (timedelta(days=5), False, Level.II, "强降雨内涝应急处置", "杭州东站"),
)
"""How long before the story, whether a drill, level, reason, place."""
PLACES = {"钱江新城": (30.2450, 120.2120), "杭州东站": (30.2905, 120.2125)}
INSTRUCTIONS = {
    Level.I: "全市应急车辆全部集结，取消非必要用车，领导带班值守。",
    Level.II: "抽调相关区县和市级车辆立即到集结地点待命转移群众、运送物资。",
    Level.III: "市级车辆到现场备勤，相关区县做好出车准备。",
    Level.IV: "驾驶员在岗待命，车辆加满油（电）。",
}
CALLED_M = 18_400
"""What a car drives when it is called, there and back."""
MINUTES = ((1.5, 5, 19), (2, 7, 24), (3.5, 9, 28), (4, 12, 41), (6, 15, 33))
"""Minutes from the call until each car in turn accepted, left and arrived."""


@dataclass(frozen=True, slots=True)
class _Cast:
    """Who acts: the office, a dispatcher, the leader, the officer on the spot."""

    office: Actor
    dispatcher: Actor
    leader: Actor
    officer: Actor


def prepare(database: Database, city: City, story: Story, *, now: datetime) -> int:
    """Tell it all; returns how many vehicles came to the drill and the emergency."""
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
        top = accounts.get_org_by_code(session, code=next(org.code for org in city.orgs if org.parent is None))
        districts = list(accounts.list_districts(session))
        paths = [district.path for district in districts]
        counted: dict[tuple[str, str], int] = {}
        rows = session.execute(
            select(Vehicle.org_id, Vehicle.body, func.count())
            .where(Vehicle.state == VehicleState.IN_SERVICE)
            .group_by(Vehicle.org_id, Vehicle.body)
        ).all()
        for org_id, body, number in rows:
            pool = sharing.pool_of(accounts.get_org(session, org_id=org_id).path, paths)
            counted[pool, body] = counted.get((pool, body), 0) + number
    cast = _cast(everybody, top.id)
    act = partial(_act, database)
    for org in (top, *districts):
        for body in sorted(body for (path, body), number in counted.items() if path == org.path and number >= FEWEST):
            act(cast.office, reserves.set_floor, now, org_id=org.id, body=body, level=Level.USUAL, from_min=0, until_min=1440,
                start_on=clock.local_date(now), vehicles=1, reason="防汛防台车辆应急保障预案")  # fmt: skip
    made_at = clock.start_of(story.first_on) - timedelta(days=40)
    plan = act(cast.office, plans.make, made_at, org_id=top.id, title="防汛防台车辆应急保障预案")
    near = [org for org in districts if counted.get((org.path, "sedan"), 0) >= FEWEST][:2]
    for level, share in ((Level.IV, 1), (Level.III, 2), (Level.II, 3), (Level.I, 6)):
        calls = [{"pool_id": top.id, "body": "any", "vehicles": share}]
        calls += [
            {"pool_id": org.id, "body": "any", "vehicles": max(1, share - 1)}
            for org in near
            if level in {Level.II, Level.I}
        ]
        act(cast.office, plans.set_level, made_at, plan_id=plan.id, level=level, instructions=INSTRUCTIONS[level], hours=6,
            goes=level in {Level.I, Level.II}, calls=calls)  # fmt: skip
    act(cast.office, plans.add_officer, made_at, plan_id=plan.id, user_id=cast.officer.user_id, task="现场车辆调度")
    odometers = {car.plate: car for car in city.vehicles}
    return sum(
        _flood(database, act=act, cast=cast, plan_id=plan.id, story=story, odometers=odometers, flood=flood)
        for flood in FLOODS
    )


def _cast(everybody: dict[str, Actor], top_id: int) -> _Cast:
    at_top = [actor for actor in everybody.values() if actor.org_id == top_id]

    def first(role: Role) -> Actor:
        return next(actor for actor in at_top if actor.has(role))

    return _Cast(first(Role.VEHICLE_OFFICE), first(Role.DISPATCHER), first(Role.LEADER), first(Role.FLEET_MANAGER))


def _act(database: Database, actor: Actor, function: Callable[..., Any], at: datetime, **given: Any) -> Any:
    with database.transaction(actor) as session:
        return function(session, actor=actor, now=at, **given)


def _flood(
    database: Database,
    *,
    act: Callable[..., Any],
    cast: _Cast,
    plan_id: int,
    story: Story,
    odometers: dict[str, Any],
    flood: tuple[Any, ...],
) -> int:
    """Tell one drill or activation from the draft to the signature; returns how many vehicles came."""
    before, drill, level, reason, place = flood
    began = clock.start_of(story.first_on) - before + timedelta(hours=14, minutes=5)
    lat, lon = PLACES[place]
    with database.transaction(SYSTEM) as session:
        plan = queries.get_plan(session, plan_id=plan_id, actor=SYSTEM)
        calls = next(one.calls for one in plan.levels if one.level == level)
        wanted = [{"pool_id": call.pool_id, "body": call.body, "vehicles": call.vehicles} for call in calls]
    made = act(cast.dispatcher, service.draft, began, plan_id=plan_id, level=level, drill=drill, reason=reason, place=place, lat=lat, lon=lon,
               hours=4, goes=True, wanted=wanted, leader_id=cast.leader.user_id, officer_id=cast.officer.user_id)  # fmt: skip
    at = began + timedelta(minutes=4)
    with database.transaction(cast.dispatcher) as session:
        seen = queries.get_activation(session, activation_id=made.id, actor=cast.dispatcher)
        lines, effects = figures.preview(session, activation=seen, actor=cast.dispatcher, now=at)
    chosen = [one.vehicle.id for line in lines for one in line.candidates if one.chosen]
    act(
        cast.dispatcher,
        service.confirm,
        at,
        activation_id=made.id,
        vehicle_ids=chosen,
        bumped=[effect.order.id for effect in effects],
    )
    with database.transaction(SYSTEM) as session:
        everybody = {actor.user_id: actor for actor in people.everybody(session).values()}
        cars = queries.cars_of(session, activation_ids=[made.id])
        duties = planning.active_by_order(session, order_ids=[car.order_id or 0 for car in cars])
        readings = {car.vehicle_id: vehicles.last_reading(session, vehicle_id=car.vehicle_id, at=at) for car in cars}
        last = {vehicle_id: found.reading_m if found else 0 for vehicle_id, found in readings.items()}
    for number, car in enumerate(cars):
        # A reading of this day would be more than one journey above the last one on record: the meter goes on from that.
        out_m = last[car.vehicle_id]
        in_m = max(
            out_m, min(out_m + CALLED_M, odometers[car.vehicle.plate].odometer_on(clock.local_date(at), story.first_on))
        )
        accepted, left, arrived = MINUTES[number % len(MINUTES)]
        steps = ((DutyAction.ACCEPT, accepted, None), (DutyAction.CHECK_OUT, left, out_m), (DutyAction.ARRIVE, arrived, None),
                 (DutyAction.CHECK_IN, 130 + 4 * number, in_m))  # fmt: skip
        assignment = duties[car.order_id or 0]
        for action, minutes, odometer_m in steps:
            act(everybody[car.driver.user_id], duty.report, at + timedelta(minutes=minutes), assignment_id=assignment.id, action=action,
                idempotency_key=f"{made.number}/{car.id}/{action}", odometer_m=odometer_m)  # fmt: skip
    act(
        cast.dispatcher, service.stand_down, at + timedelta(hours=3), activation_id=made.id, note="处置结束，车辆归队。"
    )
    act(cast.leader, service.sign, at + timedelta(hours=5), activation_id=made.id, note="同意。")
    return len(cars)
