"""Steps of a day in the past, through the services and through the gateway."""

import itertools
import json
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from sqlalchemy import select

from fleetapp.accounts.models import UserAccount
from fleetapp.demo import drive
from fleetapp.drivers.models import Driver
from fleetapp.duty import service as duty
from fleetapp.duty.rules import DutyAction
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.occasions import service as occasions
from fleetapp.orders import service as orders
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose, Stop
from fleetapp.places.roads import RoadGraph
from fleetapp.planning import journeys
from fleetapp.planning import service as planning
from fleetapp.planning.models import Assignment
from fleetapp.vehicles.models import Vehicle
from telematics.model import Fix
from tests import serving, world


def asked(
    database: Database, *, start: datetime, end: datetime, stops: Sequence[Stop], approve: bool, unit: str = "xhedu"
) -> TravelOrder:  # fmt: skip
    """Apply in the name of a unit 12 hours before the journey and, if told so, approve."""
    at = start - timedelta(hours=12)
    applicant, approver = (world.actor(database, f"{role}.{unit}") for role in ("applicant", "approver"))
    with database.transaction(applicant) as session:
        order = orders.submit(
            session, kind=OrderKind.ORDINARY, purpose=Purpose.MEETING, reason="参加全市教育工作会议", passengers="科室 2 人",
            passenger_count=2, contact="0571-87000000", body="sedan", start_at=start, end_at=end, stops=stops,
            actor=applicant, now=at,
        )  # fmt: skip
    if approve:
        with database.transaction(approver) as session:
            orders.approve(session, order_id=order.id, actor=approver, now=at + timedelta(minutes=10))
    return order


def dispatched(
    database: Database,
    *,
    start: datetime,
    end: datetime,
    stops: Sequence[Stop],
    plate: str,
    driver: str = "driver.xhedu",
    dispatcher: str = "dispatcher.xihu",
) -> tuple[str, int]:
    """Apply, approve and dispatch 12 hours before the journey; returns the order's number and the duty's id."""
    order = asked(database, start=start, end=end, stops=stops, approve=True)
    with database.transaction(SYSTEM) as session:
        vehicle_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == plate)).one()
        drivers = select(Driver.id).join(UserAccount, UserAccount.id == Driver.user_id)
        driver_id = session.scalars(drivers.where(UserAccount.username == driver)).one()
    who = world.actor(database, dispatcher)
    with database.transaction(who) as session:
        made = planning.assign(session, order_id=order.id, vehicle_id=vehicle_id, driver_id=driver_id, actor=who,
                               now=start - timedelta(hours=11))  # fmt: skip
    return order.number, made.id


def joined(
    database: Database, into: int, *, start: datetime, end: datetime, stops: Sequence[Stop], unit: str, dispatcher: str = "dispatcher.xihu"
) -> tuple[str, int]:  # fmt: skip
    """Apply, approve and join the journey of a duty 10 hours before; returns the order's number and the new duty's id."""
    order = asked(database, start=start, end=end, stops=stops, approve=True, unit=unit)
    who = world.actor(database, dispatcher)
    with database.transaction(who) as session:
        key = session.get_one(Assignment, into).pool_key
        made = journeys.join(session, order_id=order.id, pool_key=key, actor=who, now=start - timedelta(hours=10),
                             consent="已电话征得双方同意")  # fmt: skip
    return order.number, made.id


def event(
    database: Database, *, start: datetime, end: datetime, plate: str, driver: str, now: datetime, by: str = "dispatcher.xihu"
) -> int:  # fmt: skip
    """Plan an event of Xihu that keeps a vehicle and a driver; returns its id."""
    with database.transaction(SYSTEM) as session:
        vehicle_id = session.scalars(select(Vehicle.id).where(Vehicle.plate == plate)).one()
        drivers = select(Driver.id).join(UserAccount, UserAccount.id == Driver.user_id)
        driver_id = session.scalars(drivers.where(UserAccount.username == driver)).one()
    who = world.actor(database, by)
    with database.transaction(who) as session:
        made = occasions.create(
            session, org_id=who.org_id, name="西湖论坛", start_at=start, end_at=end, actor=who, now=now
        )
        occasions.reserve(
            session, occasion_id=made.id, vehicle_ids=[vehicle_id], driver_ids=[driver_id], actor=who, now=now
        )
        return made.id


def report(
    database: Database, duty_id: int, action: DutyAction, at: datetime, *, driver: str = "driver.xhedu", odometer_m: int | None = None
) -> None:  # fmt: skip
    """Take a step of a duty at a moment of the past."""
    who = world.actor(database, driver)
    with database.transaction(who) as session:
        duty.report(session, assignment_id=duty_id, action=action, idempotency_key=uuid.uuid4().hex, actor=who, now=at,
                    odometer_m=odometer_m)  # fmt: skip


def driven(
    roads: RoadGraph, places: Sequence[tuple[float, float]], start: datetime, *, stay: timedelta, odometer_m: float, seed: int
) -> list[Fix]:  # fmt: skip
    """Return what a terminal reports on a drive by roads through (lon, lat) places, standing at each for ``stay``."""
    rng = Random(seed)
    fixes: list[Fix] = []
    at = start
    for here, there in itertools.pairwise(places):
        route = roads.route(here, there)
        fixes += drive.park(here, at, at + stay, rng, odometer_m=odometer_m, every_s=60)
        at += stay
        fixes += drive.drive(route, at, rng, odometer_m=odometer_m, sampling_s=15)
        odometer_m += route.length_m
        at = fixes[-1].at
    return fixes + drive.park(places[-1], at, at + stay, rng, odometer_m=odometer_m, every_s=60)


def as_json_lines(fixes: Iterable[Fix], file: Path) -> Path:
    """Write fixes as a track file of JSON lines."""
    lines = [
        {
            "at": fix.at.isoformat(), "lat": fix.lat, "lon": fix.lon, "speed_kmh": fix.speed_kmh, "direction_deg": fix.direction_deg,
            "acc": fix.acc, "odometer_km": None if fix.odometer_m is None else fix.odometer_m / 1000,
        }
        for fix in fixes
    ]  # fmt: skip
    file.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return file


def replayed(url: str, gateway: serving.Gateway, file: Path, *, terminal: str) -> dict[str, int]:
    """Send a track file as a real terminal would; returns what became of it."""
    done = serving.command(
        url, "telematics", "replay", str(file), "--terminal", terminal, "--port", str(gateway.port), "--batch"
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found
