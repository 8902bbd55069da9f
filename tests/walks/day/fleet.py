"""Vehicles, drivers and applicants for a day beside the standing world, and what they want; the same seed, the same day."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random

from geoalchemy2.shape import to_shape
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts import service as accounts
from fleetapp.accounts.models import Organisation, UserAccount
from fleetapp.demo.places import load_places
from fleetapp.drivers import service as drivers
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Role
from fleetapp.kit.db import Database
from fleetapp.phone import service as phone
from fleetapp.places.models import ParkingArea
from fleetapp.places.roads import RoadGraph, distance_m, load_roads
from fleetapp.planning import signing
from fleetapp.vehicles import service as vehicles
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.vehicles.rules import Body, Category, Energy
from tests import world

UNITS = ("cityedu", "xhedu", "xhhealth", "bjwater")
HOLDERS = ("fleet", *UNITS)
CODES = {key: code for key, _, _, code, *_ in world.ORGS}
LonLat = tuple[float, float]
NEAR_M, FAR_M = 1_500, 14_000
STAY_MIN = (15, 45)
SPARE = timedelta(minutes=25)
SLOW_MS = 5.5
"""Metres a second on the way as people reckon it, lights and all."""


@dataclass(slots=True)
class Car:
    """A vehicle as its terminal knows it; ``busy_until`` is when it is back from where it drives."""

    id: int
    plate: str
    terminal_id: int
    yard: LonLat
    at: LonLat
    odometer_m: float
    busy_until: datetime
    code: str = ""
    silent_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """A journey that somebody wants: who, when, where to, how long at the place."""

    number: int
    unit: str
    applicant: str
    start_at: datetime
    end_at: datetime
    origin: tuple[str, LonLat]
    there: tuple[str, LonLat]
    people: int
    stay: timedelta
    asked_at: datetime
    urgent: bool = False


@dataclass(slots=True)
class Fleet:
    """The day's cast by row id and the wishes in the order of their numbers."""

    roads: RoadGraph
    cars: dict[int, Car] = field(default_factory=dict)
    driver_names: dict[int, str] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)


def settle(database: Database, *, cars: int, orders: int, day: date, now: datetime, seed: int) -> Fleet:
    """Put the vehicles, their drivers with codes on the dashboards, and the applicants into the database; think of the wishes."""
    found = Fleet(load_roads())
    with database.transaction(SYSTEM) as session:
        orgs = {one.code: one for one in session.scalars(select(Organisation))}
        yards = {one.org_id: (to_shape(one.area).centroid, one.id) for one in session.scalars(select(ParkingArea))}
        for n in range(1, cars - len(world.VEHICLES) + 1):
            org = orgs[CODES[HOLDERS[n % len(HOLDERS)]]]
            bus = n % 12 == 0
            vehicles.register(
                session, org_id=org.id, plate=f"浙B{n:05d}", vin=world.with_check_digit(f"LSVAA11Z5M3{n:06d}"), category=Category.YJBZ,
                body=Body.MINIBUS if bus else Body.SEDAN, energy=Energy.PETROL, seats=14 if bus else 5, model="示例车型",
                registered_on=date(2022, 3, 1), odometer_m=50_000_000 + n * 1000, parking_id=yards[org.id][1],
                terminal_phone=f"139100{n:05d}", actor=SYSTEM, now=now,
            )  # fmt: skip
            user = _person(session, f"day.driver{n}", f"驾驶员{n}", Role.DRIVER, org, now)
            drivers.create(session, user_id=user.id, licence=Licence.A1 if bus or n % 5 == 0 else Licence.C1,
                           licence_valid_to=date(2030, 1, 1), actor=SYSTEM, now=now)  # fmt: skip
        session.flush()
        for driver in session.scalars(select(Driver).options(joinedload(Driver.user))):
            found.driver_names[driver.id] = driver.user.username
        rows = (
            select(Vehicle, TerminalBinding.terminal_id).join(TerminalBinding).where(Vehicle.category == Category.YJBZ)
        )
        for vehicle, terminal_id in session.execute(rows):
            yard = (yards[vehicle.org_id][0].x, yards[vehicle.org_id][0].y)
            found.cars[vehicle.id] = Car(
                vehicle.id, vehicle.plate, terminal_id, yard, yard, float(vehicle.odometer_m), now
            )
        keys = signing.derived("only for tests")
        for made in phone.issue(session, vehicle_ids=list(found.cars), keys=keys, actor=SYSTEM, now=now):
            found.cars[made.vehicle_id].code = made.manual
        homes = {key: yards[orgs[CODES[key]].id][0] for key in UNITS}
        names = {key: orgs[CODES[key]].name_zh for key in UNITS}
        people = {
            unit: [
                _person(
                    session, f"day.{unit}.{n}", f"{names[unit]}申请人{n}", Role.APPLICANT, orgs[CODES[unit]], now
                ).username
                for n in range(max(2, orders // 16))
            ]
            for unit in UNITS
        }
    origins = {key: (names[key], (homes[key].x, homes[key].y)) for key in UNITS}
    found.wishes = _wishes(found.roads, origins, people, orders=orders, day=day, rng=Random(seed))
    return found


def _person(session: Session, username: str, name: str, role: Role, org: Organisation, now: datetime) -> UserAccount:
    made = accounts.create_user(
        session, username=username, name_zh=name, name_en=username, org_id=org.id, password=world.PASSWORD,
        password_hash=world.password_hash(), grants=[(role, org.id)], actor=SYSTEM, now=now,
    )  # fmt: skip
    session.flush()
    return made


def _wishes(
    roads: RoadGraph, origins: dict[str, tuple[str, LonLat]], people: dict[str, list[str]], *, orders: int, day: date, rng: Random
) -> list[Wish]:  # fmt: skip
    places = [one.point for one in load_places()]
    near = {
        unit: [(one.name, one.lonlat) for one in places if NEAR_M < distance_m(one.lonlat, lonlat) < FAR_M]
        for unit, (_, lonlat) in origins.items()
    }
    made = []
    for n in range(orders):
        unit = UNITS[n % len(UNITS)]
        origin, there = origins[unit], rng.choice(near[unit])
        stay = timedelta(minutes=rng.randint(*STAY_MIN))
        morning = rng.random() < 0.55
        hour = rng.triangular(8.2, 11.2, 9.0) if morning else rng.triangular(12.8, 16.2, 13.8)
        start = moment(day, hour)
        way_s = roads.route(origin[1], there[1]).length_m / SLOW_MS
        took = timedelta(seconds=2 * way_s) + stay + SPARE
        end = start + timedelta(minutes=15 * -(-took // timedelta(minutes=15)))
        early = rng.random() < 0.7
        asked = (
            moment(day - timedelta(days=1), rng.uniform(13.5, 16.8))
            if early
            else start - timedelta(minutes=rng.randint(75, 150))
        )
        asked = asked if early else max(asked, moment(day, 7.2))
        if start - asked < timedelta(minutes=45):
            asked = start - timedelta(minutes=45)
        made.append(Wish(n, unit, people[unit][n // len(UNITS) % len(people[unit])], start, end, origin, there,
                         rng.choice([1, 2, 2, 3, 4, 8] if n % 9 == 0 else [1, 2, 3, 4]), stay, asked))  # fmt: skip
    return made


def moment(day: date, hour: float) -> datetime:
    """Return a local hour of a day in whole five minutes, UTC."""
    return clock.start_of(day) + timedelta(minutes=5 * round(hour * 12))
