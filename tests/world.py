"""A small standing world: city > two districts > units, one account per role, vehicles, drivers, terminals.

Accounts are named ``<role>.<organisation>``; the organisations are ``city``, ``fleet`` (the city's operator),
``cityedu`` (a unit of the city), ``xihu`` and ``binjiang`` (districts), ``xhedu`` and ``xhhealth`` (units of Xihu)
and ``bjwater`` (a unit of Binjiang).
"""

import functools
from datetime import UTC, date, datetime

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.orm import joinedload, selectinload

from fleetapp.accounts.models import Organisation, RoleGrant, UserAccount
from fleetapp.accounts.queries import actor_of
from fleetapp.accounts.sign_ins import hash_password
from fleetapp.approvals import chains
from fleetapp.drivers.models import Driver
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.places import service as places
from fleetapp.places.models import ParkingArea
from fleetapp.policies import service as policies
from fleetapp.pricing import service as pricing
from fleetapp.vehicles.models import TerminalBinding, Vehicle
from fleetapp.workdays import service as workdays

PASSWORD = "correct horse battery"

ORGS = [
    # key, parent, kind, code, zh, en, parking centre (lon, lat)
    ("city", None, "city", "330100", "杭州市机关事务管理局", "Hangzhou bureau", (120.2059, 30.2486)),
    ("fleet", "city", "operator", "330100-FLEET", "市车队管理服务中心", "City fleet centre", (120.1700, 30.2700)),
    ("cityedu", "city", "unit", "330100-EDU", "市教育局", "City education bureau", (120.1640, 30.2740)),
    ("xihu", "city", "district", "330106", "西湖区", "West Lake district", (120.1300, 30.2590)),
    ("binjiang", "city", "district", "330108", "滨江区", "Binjiang district", (120.2110, 30.2080)),
    ("xhedu", "xihu", "unit", "330106-EDU", "西湖区教育局", "West Lake education bureau", (120.1260, 30.2640)),
    ("xhhealth", "xihu", "unit", "330106-HEALTH", "西湖区卫生健康局", "West Lake health bureau", (120.1200, 30.2700)),
    ("bjwater", "binjiang", "unit", "330108-WATER", "滨江区农业农村局", "Binjiang water bureau", (120.2000, 30.2000)),
]

USERS = [
    *((f"{role}.city", role, "city") for role in ("dispatcher", "vehicle_office", "finance", "auditor", "leader", "system_admin")),
    ("fleet_manager.city", "fleet_manager", "city"),
    *((f"{role}.xihu", role, "xihu") for role in ("dispatcher", "fleet_manager", "auditor", "system_admin")),
    *((f"{role}.binjiang", role, "binjiang") for role in ("dispatcher", "fleet_manager", "auditor")),
    *((f"{role}.{unit}", role, unit) for unit in ("cityedu", "xhedu", "xhhealth", "bjwater")
      for role in ("applicant", "approver", "unit_admin")),
    *((f"driver.{unit}", "driver", unit) for unit in ("fleet", "xhedu", "bjwater")),
    ("driver2.xhedu", "driver", "xhedu"),
    *((f"{role}.{where}", role, where) for where in ("city", "xihu") for role in ("security_admin", "audit_admin")),
]  # fmt: skip

VEHICLES = [
    # plate, holder, category, body, energy, seats, vin, terminal phone
    ("浙A10001", "xhedu", "YJBZ", "sedan", "petrol", 5, "LSVAA11Z5M2000001", "13900000001"),
    ("浙AD00002", "xhedu", "YJBZ", "sedan", "bev", 5, "LSVAA11Z5M2000002", "13900000002"),
    ("浙A10003", "xhhealth", "YJBZ", "mpv", "petrol", 7, "LSVAA11Z5M2000003", "13900000003"),
    ("浙A10004", "fleet", "YJBZ", "minibus", "diesel", 14, "LSVAA11Z5M2000004", "13900000004"),
    ("浙A10005", "bjwater", "ZFZQ", "suv", "petrol", 5, "LSVAA11Z5M2000005", "13900000005"),
    ("浙AF00006", "fleet", "YJBZ", "sedan", "phev", 5, "LSVAA11Z5M2000006", "13900000006"),
]

WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
LETTERS = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)


def with_check_digit(vin: str) -> str:
    """Return the VIN with position 9 as GB 16735 wants it."""
    total = sum(
        weight * (int(char) if char.isdigit() else LETTERS[char]) for weight, char in zip(WEIGHTS, vin, strict=True)
    )
    return vin[:8] + "0123456789X"[total % 11] + vin[9:]


@functools.cache
def password_hash() -> str:
    """Return one hash for all accounts: hashing is meant to be slow."""
    return hash_password(PASSWORD)


def square(lon: float, lat: float, half_m: float = 60) -> str:
    """Return a square around a point as EWKT."""
    dy, dx = half_m / 111_320, half_m / 96_100
    corners = [
        (lon - dx, lat - dy),
        (lon + dx, lat - dy),
        (lon + dx, lat + dy),
        (lon - dx, lat + dy),
        (lon - dx, lat - dy),
    ]
    return f"SRID=4326;POLYGON(({', '.join(f'{x} {y}' for x, y in corners)}))"


def build(database: Database, now: datetime) -> None:
    """Put the world into an empty, migrated database."""
    orgs: dict[str, Organisation] = {}
    parking: dict[str, ParkingArea] = {}
    with database.transaction(SYSTEM) as session:
        for key, parent, kind, code, zh, en, (lon, lat) in ORGS:
            org_id = session.scalar(text("SELECT nextval(pg_get_serial_sequence('organisation', 'id'))"))
            above = orgs[parent] if parent else None
            org = Organisation(id=org_id, parent_id=above.id if above else None, kind=kind, code=code, name_zh=zh, name_en=en,
                               adcode=code[:6], path=f"{above.path if above else '/'}{org_id}/")  # fmt: skip
            session.add(org)
            session.flush()
            orgs[key] = org
            parking[key] = ParkingArea(
                org_id=org.id, name_zh=f"{zh}停车场", name_en=f"{en} car park", area=square(lon, lat)
            )
            session.add(parking[key])
        people = {}
        for username, role, where in USERS:
            user = UserAccount(username=username, name_zh=f"{role} {orgs[where].name_zh}", name_en=f"{role}, {orgs[where].name_en}",
                               org_id=orgs[where].id, password_hash=password_hash(), created_at=now)  # fmt: skip
            user.grants.append(RoleGrant(role=role, org_id=orgs[where].id))
            session.add(user)
            people[username] = user
        session.flush()
        for username, user in people.items():
            if username.startswith("driver"):
                session.add(Driver(org_id=user.org_id, user_id=user.id, licence="A1" if "fleet" in username else "C1",
                                   licence_valid_to=date(2030, 1, 1)))  # fmt: skip
        for plate, where, category, body, energy, seats, vin, phone in VEHICLES:
            vehicle = Vehicle(org_id=orgs[where].id, plate=plate, vin=with_check_digit(vin), category=category, body=body, energy=energy,
                              seats=seats, model="示例车型", state="IN_SERVICE", range_km=400 if energy == "bev" else None,
                              odometer_m=10_000_000, registered_on=date(2022, 3, 1), parking=parking[where],
                              created_at=datetime(2022, 3, 1, tzinfo=UTC))  # fmt: skip
            session.add(vehicle)
            session.flush()
            terminal_id = session.scalar(
                text("INSERT INTO gps_terminal (phone, kind, enabled) VALUES (:phone, 'jt808', true) RETURNING id"),
                {"phone": phone},
            )
            session.add(TerminalBinding(org_id=vehicle.org_id, vehicle_id=vehicle.id, terminal_id=terminal_id,
                                        during=Range(datetime(2022, 3, 1, tzinfo=UTC), None)))  # fmt: skip

    with database.transaction(SYSTEM) as session:
        policies.load_file(session, actor=SYSTEM, now=now)
        places.load_file(session, actor=SYSTEM, now=now)
        pricing.load_file(session, actor=SYSTEM, now=now)
        workdays.load_year(session, year=now.year, actor=SYSTEM, now=now)
        chains.load_default(session, actor=SYSTEM, now=now)


def actor(database: Database, username: str) -> Actor:
    """Return the actor of a username."""
    with database.transaction(SYSTEM) as session:
        user = session.scalars(
            select(UserAccount).where(UserAccount.username == username).options(
                joinedload(UserAccount.org), selectinload(UserAccount.grants).joinedload(RoleGrant.org))
        ).one()  # fmt: skip
        return actor_of(user)


def user_id(database: Database, username: str) -> int:
    """Return the id of a username."""
    found = actor(database, username).user_id
    assert found is not None
    return found
