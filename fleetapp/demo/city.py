"""The organisation of the demo city: bureaus, units, parking, drivers, accounts. Accounts are roles, not people."""

import math
from dataclasses import dataclass
from datetime import date
from random import Random

from fleetapp.demo.fleet import Berth, Vehicle, make_vehicles
from fleetapp.demo.places import (
    CITY_SEAT,
    DISTRICTS,
    SEATS,
    KnownPlace,
    Point,
    load_places,
    shifted,
)
from fleetapp.kit.actor import Role
from fleetapp.places.roads import RoadGraph, distance_m

CITY = "330100"
OPERATOR = "330100-operator"
DRIVERS_PER_VEHICLE = 0.66
LEAST_BETWEEN_YARDS_M = 260.0
YARD_BACK_FROM_ROAD_M = 85.0

KINDS = {
    "office": ("人民政府办公厅", "Government Office", "JYTX:sedan JYTX:sedan JYTX:sedan QT:sedan YJBZ:mpv JYTX:sedan"),
    "education": ("教育局", "Education Bureau", "QT:sedan YJBZ:sedan QT:mpv QT:minibus"),
    "police": ("公安局", "Public Security Bureau", "ZFZQ:suv ZFZQ:sedan ZFZQ:sedan ZFZQ:offroad"),
    "civil": ("民政局", "Civil Affairs Bureau", "QT:sedan YJBZ:suv QT:mpv QT:sedan"),
    "finance": ("财政局", "Finance Bureau", "YJBZ:sedan QT:sedan QT:mpv JYTX:sedan"),
    "housing": ("城乡建设局", "Housing and Construction Bureau", "YJBZ:suv QT:sedan TZZY:special YJBZ:sedan"),
    "transport": ("交通运输局", "Transport Bureau", "ZFZQ:suv YJBZ:sedan TZZY:pickup ZFZQ:sedan"),
    "agriculture": ("农业农村局", "Agriculture Bureau", "YJBZ:suv QT:sedan TZZY:pickup YJBZ:suv"),
    "culture": ("文化广电旅游局", "Culture and Tourism Bureau", "QT:sedan ZFZQ:sedan QT:minibus YJBZ:sedan"),
    "health": ("卫生健康局", "Health Bureau", "YJBZ:suv QT:sedan TZZY:special YJBZ:mpv"),
    "veterans": ("退役军人事务局", "Veterans Affairs Bureau", "QT:sedan QT:mpv YJBZ:sedan QT:sedan"),
    "emergency": ("应急管理局", "Emergency Management Bureau", "YJBZ:suv YJBZ:pickup TZZY:special YJBZ:offroad"),
    "market": ("市场监督管理局", "Market Supervision Bureau", "ZFZQ:sedan ZFZQ:suv TZZY:special YJBZ:sedan"),
    "ecology": ("生态环境局", "Ecology and Environment Bureau", "TZZY:special ZFZQ:sedan YJBZ:suv QT:sedan"),
    "enforcement": (
        "综合行政执法局",
        "Comprehensive Law Enforcement Bureau",
        "ZFZQ:sedan ZFZQ:pickup YJBZ:suv ZFZQ:suv",
    ),
}
"""Kind of a unit -> name after its level, English name, vehicles (category:body); a district unit has the first three."""

CITY_KINDS = tuple(kind for kind in KINDS if kind != "enforcement")
DISTRICT_KINDS = {
    "330102": ("health", "enforcement"),
    "330105": ("education", "housing"),
    "330106": ("health", "market"),
    "330108": ("emergency", "enforcement"),
    "330109": ("education", "agriculture"),
    "330110": ("enforcement", "health"),
    "330111": ("agriculture", "emergency"),
    "330112": ("transport", "agriculture"),
    "330113": ("market", "housing"),
    "330114": ("emergency", "education"),
    "330122": ("health", "agriculture"),
    "330127": ("agriculture", "enforcement"),
    "330182": ("education", "emergency"),
}
OPERATOR_FLEET = (
    "YJBZ:sedan " * 22 + "YJBZ:suv " * 8 + "YJBZ:mpv " * 10 + "YJBZ:minibus " * 8 + "YJBZ:coach " * 4 + "QT:sedan " * 8
)
DISTRICT_FLEET = "YJBZ:sedan YJBZ:sedan YJBZ:sedan YJBZ:sedan YJBZ:suv YJBZ:mpv YJBZ:minibus QT:sedan"
KIND_ANCHORS = {"office": CITY_SEAT, "police": "杭州市公安局", "finance": "杭州市财政局"}
CITY_ANCHORS = (CITY_SEAT, "浙江省人民政府", "武林广场", "杭州东站", "黄龙体育中心")

ROLE_NAMES = {
    Role.APPLICANT: ("申请员", "Applicant"),
    Role.UNIT_ADMIN: ("单位车管员", "Unit vehicle administrator"),
    Role.APPROVER: ("审批人", "Approver"),
    Role.DISPATCHER: ("调度员", "Dispatcher"),
    Role.DRIVER: ("驾驶员", "Driver"),
    Role.FLEET_MANAGER: ("车队管理员", "Fleet manager"),
    Role.VEHICLE_OFFICE: ("车管处", "Vehicle office"),
    Role.FINANCE: ("财政人员", "Finance officer"),
    Role.AUDITOR: ("审计监督员", "Auditor"),
    Role.LEADER: ("局领导", "Bureau leader"),
    Role.SYSTEM_ADMIN: ("系统管理员", "System administrator"),
    Role.SECURITY_ADMIN: ("安全管理员", "Security administrator"),
    Role.AUDIT_ADMIN: ("审计管理员", "Audit administrator"),
}
UNIT_ROLES = (Role.APPLICANT, Role.APPROVER, Role.UNIT_ADMIN)
ROLES_OF_KIND = {
    "city": (
        *UNIT_ROLES,
        Role.DISPATCHER,
        Role.FLEET_MANAGER,
        Role.VEHICLE_OFFICE,
        Role.FINANCE,
        Role.AUDITOR,
        Role.LEADER,
        Role.SYSTEM_ADMIN,
        Role.SECURITY_ADMIN,
        Role.AUDIT_ADMIN,
    ),
    "district": (*UNIT_ROLES, Role.DISPATCHER, Role.FLEET_MANAGER, Role.VEHICLE_OFFICE, Role.AUDITOR),
    "operator": (*UNIT_ROLES, Role.FLEET_MANAGER),
    "unit": UNIT_ROLES,
}
SERVICES = (
    ("wash", "定点洗车点", "Designated Car Wash"),
    ("fuel", "定点加油站", "Designated Fuel Station"),
    ("charging", "定点充电站", "Designated Charging Station"),
    ("repair", "定点维修厂", "Designated Repair Shop"),
)


@dataclass(frozen=True, slots=True)
class Org:
    """A node of the tree; ``kind`` is city, district, unit or operator; ``pool`` may lend it cars; ``slug`` names users."""

    code: str
    kind: str
    parent: str | None
    name: str
    name_en: str
    adcode: str
    slug: str
    home: Point
    pool: str


@dataclass(frozen=True, slots=True)
class Parking:
    """Designated parking; ``ring`` is a closed ring of (lon, lat)."""

    code: str
    org: str
    name: str
    name_en: str
    centre: Point
    ring: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver; ``username`` is also an account."""

    username: str
    org: str
    licence: str
    licence_valid_to: date


@dataclass(frozen=True, slots=True)
class Account:
    """A sign-in with one role at one organisation."""

    username: str
    name: str
    name_en: str
    role: str
    org: str


@dataclass(frozen=True, slots=True)
class City:
    """Everything that exists before the first order."""

    orgs: tuple[Org, ...]
    parkings: tuple[Parking, ...]
    vehicles: tuple[Vehicle, ...]
    drivers: tuple[Driver, ...]
    accounts: tuple[Account, ...]
    places: tuple[KnownPlace, ...]

    def vehicle(self, plate: str) -> Vehicle:
        """Return a vehicle by plate; raises ``KeyError`` when there is none."""
        for vehicle in self.vehicles:
            if vehicle.plate == plate:
                return vehicle
        raise KeyError(plate)


def build(*, seed: int, as_of: date, roads: RoadGraph, places: tuple[KnownPlace, ...] | None = None) -> City:
    """Build the city; the same seed, day, roads and places always give the same one."""
    rng = Random(seed)
    known = places if places is not None else load_places()
    at = {place.point.name: place.point for place in known}
    yards: list[tuple[float, float]] = []
    orgs = _orgs(at, yards, roads, rng)
    parkings = tuple(_parking(org, rng) for org in orgs if org.kind != "city")
    owners = [org for org in orgs if org.kind != "city"]
    wanted = [berth for org, parking in zip(owners, parkings, strict=True) for berth in _berths(org, parking, rng)]
    vehicles = make_vehicles(wanted, as_of=as_of, rng=rng)
    drivers = _drivers(orgs, vehicles, as_of, rng)
    return City(
        orgs=orgs,
        parkings=parkings,
        vehicles=vehicles,
        drivers=drivers,
        accounts=_accounts(orgs, drivers),
        places=(*known, *_service_places(at, roads, rng)),
    )


def _orgs(at: dict[str, Point], yards: list[tuple[float, float]], roads: RoadGraph, rng: Random) -> tuple[Org, ...]:
    def org(code: str, kind: str, parent: str | None, names: tuple[str, str], *, slug: str, anchor: str) -> Org:
        lon, lat = _yard(at[anchor], yards, roads, rng)
        district = code[:6] if kind in ("district", "unit") else CITY
        pool = OPERATOR if district == CITY else district
        return Org(code, kind, parent, *names, district, slug, Point(*names, lon, lat, 300), pool)

    city = ("杭州市机关事务管理局", "Hangzhou Government Offices Administration")
    operator = ("杭州市直属机关车队管理服务中心", "Hangzhou Government Fleet Service Center")
    orgs = [
        org(CITY, "city", None, city, slug="city", anchor=CITY_SEAT),
        org(OPERATOR, "operator", CITY, operator, slug="operator", anchor=CITY_SEAT),
    ]
    for kind in CITY_KINDS:
        zh, en, _ = KINDS[kind]
        anchor = KIND_ANCHORS.get(kind) or rng.choice(CITY_ANCHORS)
        names = (f"杭州市{zh}", f"Hangzhou {en}")
        orgs.append(org(f"{CITY}-{kind}", "unit", CITY, names, slug=f"city.{kind}", anchor=anchor))
    for code, (zh, en, slug) in DISTRICTS.items():
        level = {"区": "District", "县": "County", "市": "City"}[zh[-1]]
        names = (f"{zh}机关事务服务中心", f"{en} {level} Government Offices Service Center")
        orgs.append(org(code, "district", CITY, names, slug=slug, anchor=SEATS[code]))
        for kind in DISTRICT_KINDS[code]:
            names = (zh + KINDS[kind][0], f"{en} {level} {KINDS[kind][1]}")
            orgs.append(org(f"{code}-{kind}", "unit", code, names, slug=f"{slug}.{kind}", anchor=SEATS[code]))
    return tuple(orgs)


def _yard(anchor: Point, yards: list[tuple[float, float]], roads: RoadGraph, rng: Random) -> tuple[float, float]:
    """Find a place beside a road near the anchor and away from other yards; widen the search until one fits."""
    for attempt in range(200):
        reach_m = 300.0 + 60.0 * attempt
        near = shifted(anchor.lonlat, east_m=rng.uniform(-reach_m, reach_m), north_m=rng.uniform(-reach_m, reach_m))
        road = roads.roadside(near)
        away_m = distance_m(road, near)
        if away_m < 1.0 or distance_m(road, anchor.lonlat) > reach_m + 600.0:
            continue
        back = YARD_BACK_FROM_ROAD_M / away_m
        yard = (
            round(road[0] + (near[0] - road[0]) * back, 6),
            round(road[1] + (near[1] - road[1]) * back, 6),
        )
        if all(distance_m(yard, other) >= LEAST_BETWEEN_YARDS_M for other in yards):
            yards.append(yard)
            return yard
    raise ValueError(f"no free yard near {anchor.name}: add roads there or fewer units")


def _parking(org: Org, rng: Random) -> Parking:
    half_m = rng.uniform(40.0, 75.0)
    turn = rng.uniform(0.0, math.pi / 2)
    corners = [
        shifted(
            org.home.lonlat,
            east_m=half_m * math.sqrt(2) * math.cos(turn + quarter * math.pi / 2),
            north_m=half_m * math.sqrt(2) * math.sin(turn + quarter * math.pi / 2),
        )
        for quarter in range(4)
    ]
    name, name_en = f"{org.name} 定点停车场", f"{org.name_en}, designated parking"
    centre = Point(name, name_en, org.home.lon, org.home.lat, 200)
    return Parking(f"P-{org.code}", org.code, name, name_en, centre, (*corners, corners[0]))


def _berths(org: Org, parking: Parking, rng: Random) -> list[Berth]:
    """Give each vehicle its own slot within 28 m of the centre, hence inside the smallest ring (half side 40 m)."""
    berths = []
    for pair in _fleet_of(org):
        category, body = pair.split(":")
        lon, lat = shifted(parking.centre.lonlat, east_m=rng.uniform(-20, 20), north_m=rng.uniform(-20, 20))
        slot = Point(parking.name, parking.name_en, lon, lat, 200)
        kept = "retained" if org.kind == "unit" else "pool"
        berths.append(Berth(org.code, category, body, kept, parking.code, slot))
    return berths


def _fleet_of(org: Org) -> list[str]:
    if org.kind == "operator":
        return OPERATOR_FLEET.split()
    if org.kind == "district":
        return DISTRICT_FLEET.split()
    fleet = KINDS[org.slug.split(".")[1]][2].split()
    return fleet if org.parent == CITY else fleet[:3]


def _drivers(orgs: tuple[Org, ...], vehicles: tuple[Vehicle, ...], as_of: date, rng: Random) -> tuple[Driver, ...]:
    """About 0.66 drivers a vehicle; the first ones of an organisation hold the licences its large vehicles need."""
    drivers = []
    counts: dict[str, int] = {}
    for org in orgs:
        bodies = [vehicle.model.body for vehicle in vehicles if vehicle.org == org.code]
        large = ["A1" for body in bodies if body == "coach"] + ["B1" for body in bodies if body == "minibus"]
        for position in range(math.ceil(len(bodies) * DRIVERS_PER_VEHICLE)):
            slug = org.slug.split(".")[0].replace("operator", "city")
            counts[slug] = counts.get(slug, 0) + 1
            licence = large[position] if position < len(large) else rng.choice(("C1", "C1", "B1"))
            valid_to = date(as_of.year + rng.randint(1, 6), rng.randint(1, 12), rng.randint(1, 28))
            drivers.append(Driver(f"driver.{slug}.{counts[slug]:02d}", org.code, licence, valid_to))
    return tuple(drivers)


def _accounts(orgs: tuple[Org, ...], drivers: tuple[Driver, ...]) -> tuple[Account, ...]:
    accounts = []
    for org in orgs:
        for role in ROLES_OF_KIND[org.kind]:
            zh, en = ROLE_NAMES[role]
            where, where_en = _short_name(org)
            accounts.append(
                Account(f"{role.replace('_', '-')}.{org.slug}", f"{zh} {where}", f"{en}, {where_en}", role, org.code)
            )
    zh, en = ROLE_NAMES[Role.DRIVER]
    for driver in drivers:
        _, slug, number = driver.username.split(".")
        where, where_en = next(
            ((name, english) for name, english, short in DISTRICTS.values() if short == slug), ("市本级", "city")
        )
        accounts.append(
            Account(driver.username, f"{zh} {where} {number}", f"{en}, {where_en} {number}", Role.DRIVER, driver.org)
        )
    return tuple(accounts)


def _short_name(org: Org) -> tuple[str, str]:
    if org.kind == "district":
        zh, en, _ = DISTRICTS[org.code]
        return zh, f"{en} {org.name_en.removeprefix(en).split()[0]}"
    return {"city": ("市本级", "city"), "operator": ("市级车队", "city fleet")}.get(org.kind, (org.name, org.name_en))


def _service_places(at: dict[str, Point], roads: RoadGraph, rng: Random) -> list[KnownPlace]:
    """One designated car wash, fuel station, charging station and repair shop in every district, beside a road."""
    places = []
    for code, (zh, en, _) in DISTRICTS.items():
        for category, name, name_en in SERVICES:
            near = shifted(at[SEATS[code]].lonlat, east_m=rng.uniform(-2500, 2500), north_m=rng.uniform(-2500, 2500))
            lon, lat = shifted(roads.roadside(near), east_m=25.0, north_m=25.0)
            point = Point(f"{zh}{name}", f"{en} {name_en}", lon, lat, 200)
            places.append(KnownPlace(point, category, code, 50, "made for the demo city"))
    return places
