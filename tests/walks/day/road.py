"""What drivers do with the app, and what their terminals report meanwhile."""

import itertools
import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

from fleetapp.demo import drive
from telematics.model import Fix
from tests.walks.day.fleet import Car, LonLat
from tests.walks.day.life import Day, Held
from tests.walks.day.people import Person

PARTS = ("tyres", "lights", "glass", "leaks", "brakes", "warnings", "body", "kit")
READY = timedelta(minutes=12)
"""So long before the start a driver is at the vehicle."""
GIVEN_UP = timedelta(minutes=90)


def act(
    day: Day, who: Person, kind: str, duty_id: int | None, body: dict[str, Any] | None = None, at: LonLat | None = None
) -> bool:
    """Send one action as the app does, in the phone's own time; tells whether it was applied."""
    now = day.clock.now().isoformat()
    said = {
        "kind": kind,
        "key": uuid.uuid4().hex,
        "tapped_at": now,
        "sent_at": now,
        "assignment_id": duty_id,
        "body": body or {},
    }
    if at is not None:
        said |= {"lon": at[0], "lat": at[1], "accuracy_m": 8}
    answer = who.ask("POST", "/api/v1/phone/actions", form=[("action", json.dumps(said))], files=True)
    day.count(f"phone {kind} {'applied' if answer.status == 200 else 'refused'}")
    return answer.status == 200


def look(day: Day) -> None:
    """Let every driver with something new open the app and accept it."""
    for held in day.held():
        if held.state == "DISPATCHED" and day.first_look(held.assignment_id):
            day.later(day.clock.now(), "driver accepts", lambda held=held: accept(day, held))


def accept(day: Day, held: Held) -> None:
    """Open the app and accept what stands there, if it still does."""
    who = day.who(day.fleet.driver_names[held.driver_id])
    shown = who.must("GET", "/api/v1/phone/state")
    task = next((one for one in shown["tasks"] if one["id"] == held.assignment_id), None) if shown else None
    if task is not None and task["state"] == "DISPATCHED":
        act(day, who, "ACCEPT", held.assignment_id)


def set_out(day: Day, order_id: int, *, late: timedelta = timedelta(0)) -> None:
    """Go to the vehicle that the order has by now, read its code, look it over and check out; then the way begins."""
    now, wish = day.clock.now(), day.wish_of(order_id)
    held = next(iter(day.held(order_id)), None)
    if held is None:
        if now < wish.end_at:  # it waits for a vehicle: perhaps it gets one yet
            day.later(now + timedelta(minutes=10), "driver sets out", lambda: set_out(day, order_id, late=late))
        return
    if held.state not in {"DISPATCHED", "DRIVER_ACCEPTED"} or day.troubles.get(order_id) == "no_show":
        return
    car = day.fleet.cars[held.vehicle_id]
    if car.busy_until > now or now < wish.start_at - READY + late:
        if now < wish.start_at + GIVEN_UP:
            at = max(
                min(car.busy_until, now + timedelta(minutes=10)),
                now + timedelta(minutes=1),
                wish.start_at - READY + late,
            )
            day.later(at, "driver sets out", lambda: set_out(day, order_id, late=late))
        return
    if held.state == "DISPATCHED":
        accept(day, held)
    who = day.who(day.fleet.driver_names[held.driver_id])
    act(day, who, "SCAN", held.assignment_id, {"code": car.code}, car.at)
    act(day, who, "WALK_ROUND", held.assignment_id, {"good": list(PARTS)}, car.at)
    if act(
        day, who, "CHECK_OUT", held.assignment_id, {"odometer_km": car.odometer_m / 1000, "level_percent": 80}, car.at
    ):
        on_the_way(day, held, who)
    else:
        again_at = now + timedelta(minutes=10)
        if now < wish.start_at + GIVEN_UP:
            day.later(again_at, "driver sets out", lambda: set_out(day, order_id, late=late))


def on_the_way(day: Day, held: Held, who: Person) -> None:
    """Drive from the yard to the origin, on and back; the steps on the phone come when the vehicle is there."""
    wish, car = day.wish_of(held.order_id), day.fleet.cars[held.vehicle_id]
    trouble = day.troubles.get(held.order_id)
    places = [car.at, wish.origin[1], wish.there[1], wish.origin[1], car.yard]
    if trouble == "silent":
        car.silent_until = day.clock.now() + timedelta(hours=2)
        day.count("terminals silent")
    wait = max(timedelta(minutes=2), wish.start_at - day.clock.now())
    stays = [timedelta(minutes=2), min(wait, timedelta(minutes=15)), wish.stay, timedelta(minutes=2)]
    fixes, reached, gone_m = way(day, car, places, stays, seed=held.assignment_id)
    if trouble == "breakdown":
        there_at = reached[0] + (reached[1] - reached[0]) / 2
        fixes = [fix for fix in fixes if fix.at <= there_at]
        car.at = (fixes[-1].lon, fixes[-1].lat)
        car.odometer_m = 100.0 * -(-(fixes[-1].odometer_m or car.odometer_m) // 100)
        car.busy_until = there_at
        day.drives(car, fixes)
        day.later(there_at, "breakdown", lambda: broken_down(day, held, who))
        return
    car.busy_until, car.at = reached[-1] + timedelta(minutes=4), car.yard
    day.drives(car, fixes)
    steps = [("BOARD", reached[0]), ("ARRIVE", reached[1]), ("CHECK_IN", reached[3] + timedelta(minutes=3))]
    if trouble == "overstay":
        steps[2] = ("CHECK_IN", max(reached[3], wish.end_at) + timedelta(minutes=50))
    reading_m = 100.0 * round((car.odometer_m + gone_m) / 100)  # as the dashboard shows it, and as it is read next time
    for kind, at in steps:
        body = {"odometer_km": round(reading_m / 1000, 1), "level_percent": 60} if kind == "CHECK_IN" else {}
        day.later(at, "driver on the way", lambda kind=kind, body=body: _step(day, held, who, kind, body, car))
    if held.assignment_id % 7 == 0:
        toll = {"kind": "TOLL", "amount": "15.00"}
        day.later(reached[1], "driver pays", lambda: act(day, who, "EXPENSE", held.assignment_id, toll) and None)
    day.later(car.busy_until, "vehicle back", lambda: setattr(car, "odometer_m", reading_m))


def _step(day: Day, held: Held, who: Person, kind: str, body: dict[str, Any], car: Car) -> None:
    if not act(day, who, kind, held.assignment_id, body):
        day.book.failed(f"{who.username} {kind} of {held.assignment_id} was refused")
    if kind == "ARRIVE" and held.assignment_id % 3 == 0:
        now = day.clock.now()
        rows = [
            {"at": (now - timedelta(seconds=30 * k)).isoformat(), "lat": car.at[1], "lon": car.at[0], "accuracy_m": 9}
            for k in range(3)
        ]
        who.must("POST", "/api/v1/phone/positions",
                 data={"assignment_id": held.assignment_id, "sent_at": now.isoformat(), "positions": rows})  # fmt: skip


def broken_down(day: Day, held: Held, who: Person) -> None:
    """Report the breakdown from the roadside and wait for what the dispatcher does."""
    from tests.walks.day import office

    body = {"place": "途中", "account": "发动机故障，车辆无法行驶"}
    act(day, who, "ACCIDENT", held.assignment_id, body, day.fleet.cars[held.vehicle_id].at)
    day.later(day.clock.now() + timedelta(minutes=3), "dispatcher substitutes", lambda: office.substitute(day, held))


def way(
    day: Day, car: Car, places: Sequence[LonLat], stays: Sequence[timedelta], *, seed: int
) -> tuple[list[Fix], list[datetime], float]:  # fmt: skip
    """Return what a terminal reports on the way through places, standing ``stays`` at each but the last; when each next place
    is reached; and the metres gone."""
    rng, at, gone_m = Random(seed), day.clock.now().replace(microsecond=0), 0.0
    fixes: list[Fix] = []
    reached = []
    for (here, there), stay in zip(itertools.pairwise(places), stays, strict=True):
        odometer_m = car.odometer_m + gone_m
        fixes += drive.park(here, at, at + stay, rng, odometer_m=odometer_m, every_s=60)
        at += stay
        if here != there:
            route = day.fleet.roads.route(here, there)
            run = drive.drive(route, at, rng, odometer_m=odometer_m, sampling_s=20)
            fixes, at, gone_m = fixes + run, run[-1].at, gone_m + route.length_m
        reached.append(at)
    parked = drive.park(places[-1], at, at + timedelta(minutes=4), rng, odometer_m=car.odometer_m + gone_m, every_s=60)
    return fixes + parked, reached, gone_m
