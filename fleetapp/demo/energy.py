"""Fuel cards and a quarter of fillings and chargings, sent in as the companies' files."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random

from sqlalchemy import select

from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.demo.fleet import Vehicle as Told
from fleetapp.energy import importing, service
from fleetapp.energy.rules import FITS, EntryKind
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM
from fleetapp.kit.db import Database
from fleetapp.vehicles.models import Vehicle

DAYS = 90
TANK_L = {"sedan": 50, "suv": 55, "mpv": 60, "minibus": 75, "coach": 140, "pickup": 68, "offroad": 70, "special": 80}
BATTERY_KWH = {"sedan": 55, "suv": 72, "mpv": 80, "minibus": 85, "coach": 180}
PHEV_BATTERY_KWH = 18
L_100KM = {
    "sedan": 7.4,
    "suv": 8.6,
    "mpv": 9.4,
    "minibus": 11.2,
    "coach": 19.5,
    "pickup": 9.8,
    "offroad": 11.6,
    "special": 11.0,
}
KWH_100KM = {"sedan": 13.8, "suv": 16.5, "mpv": 18.0, "minibus": 24.0, "coach": 62.0}
THIRSTY, LAZY = 11, 3
"""Every so manyeth car burns far more than its like; every so manyeth plug-in hybrid is hardly ever charged."""
STATIONS = {
    EntryKind.FUEL: ("文三路加油站", "古墩路加油站", "江南大道加油站", "绍兴路加油站", "市心路加油站"),
    EntryKind.CHARGE: ("黄龙充电站", "武林广场充电站", "滨江公共充电站", "机关院内充电桩"),
}
HEADS = {
    EntryKind.FUEL: (
        "车牌号",
        "加油卡号",
        "交易时间",
        "油品名称",
        "数量(升)",
        "单价(元)",
        "金额(元)",
        "里程",
        "是否加满",
        "加油站名称",
    ),
    EntryKind.CHARGE: (
        "车牌号",
        "充电卡号",
        "充电结束时间",
        "充电量(千瓦时)",
        "单价(元)",
        "金额(元)",
        "里程",
        "结束SOC",
        "充电站名称",
    ),
}
FILES = {EntryKind.FUEL: "石油公司对账单.csv", EntryKind.CHARGE: "充电运营商对账单.csv"}


@dataclass(frozen=True, slots=True)
class _Car:
    """A car as the files tell of it: kilometres a day, and what it takes per 100 km of each kind."""

    told: Told
    number: int
    daily_km: float
    first_on: date
    rates: dict[EntryKind, float]

    def card(self) -> str:
        """Return the number of its fuel card."""
        return f"90301{self.number:05d}"


def fuel_and_charge(database: Database, city: City, *, first_on: date, now: datetime) -> int:
    """Bind the fuel cards, then import a file of each kind; returns how many rows went in."""
    finance = next(account.username for account in city.accounts if account.role == "finance")
    cars = [_car(told, number, first_on) for number, told in enumerate(city.vehicles)]
    begin = clock.start_of(first_on - timedelta(days=DAYS))
    with database.transaction(SYSTEM) as session:
        who = people.everybody(session)[finance]
        rows = {car.plate: car for car in session.scalars(select(Vehicle))}
        for car in cars:
            row, body = rows[car.told.plate], car.told.model.body
            electric = car.told.model.energy in FITS[EntryKind.CHARGE]
            row.battery_kwh = (
                Decimal(PHEV_BATTERY_KWH if car.told.model.energy == "phev" else BATTERY_KWH[body])
                if electric
                else None
            )
            row.tank_l = Decimal(TANK_L[body]) if car.told.model.energy in FITS[EntryKind.FUEL] else None
            if row.tank_l:
                service.add_card(session, vehicle_id=row.id, kind=EntryKind.FUEL, number=car.card(), issuer="石油公司",
                                 valid_from=max(car.told.registered_on, date(2024, 1, 1)), actor=SYSTEM, now=begin)  # fmt: skip
    put_in = 0
    for kind, name in FILES.items():
        out = io.StringIO(newline="")
        lines = csv.writer(out)
        lines.writerow(HEADS[kind])
        for car in cars:
            lines.writerows(_fillings(car, kind, now) if kind in car.rates else ())
        lines.writerow(("浙Z99999", *next(_fillings(next(car for car in cars if kind in car.rates), kind, now))[1:]))
        with database.transaction(who) as session:
            made = importing.check(session, name=name, content=out.getvalue().encode("gb18030"), actor=who, now=now)
            put_in += importing.put_in(session, import_id=made.id, actor=who, now=now).fresh
    return put_in


def _car(told: Told, number: int, first_on: date) -> _Car:
    rng = Random(f"energy {told.plate}")
    body, energy = told.model.body, told.model.energy
    rates = {}
    if energy in FITS[EntryKind.FUEL]:
        rates[EntryKind.FUEL] = L_100KM[body] * rng.uniform(0.93, 1.07) * (1.75 if number % THIRSTY == 5 else 1)
    if energy in FITS[EntryKind.CHARGE]:
        rates[EntryKind.CHARGE] = KWH_100KM[body] * rng.uniform(0.94, 1.06)
    if energy == "phev":
        charged = 0.06 if number % LAZY == 0 else rng.uniform(0.4, 0.7)
        rates = {
            EntryKind.FUEL: rates[EntryKind.FUEL] * (1 - charged),
            EntryKind.CHARGE: rates[EntryKind.CHARGE] * charged,
        }
    return _Car(told, number, told.daily_km(first_on), first_on, rates)


def _fillings(car: _Car, kind: EntryKind, now: datetime) -> Iterator[tuple[object, ...]]:
    """Yield the rows of a car's file, from its registration or a quarter before the story to yesterday."""
    rng = Random(f"{kind} {car.told.plate}")
    fuel, model = kind is EntryKind.FUEL, car.told.model
    store = TANK_L[model.body] if fuel else PHEV_BATTERY_KWH if model.energy == "phev" else BATTERY_KWH[model.body]
    every_km = store * rng.uniform(0.55, 0.7) / car.rates[kind] * 100
    start_on = max(car.told.registered_on + timedelta(days=5), car.first_on - timedelta(days=DAYS))
    last_on = clock.local_date(now) - timedelta(days=1)
    driven, on = car.told.odometer_m / 1000 - (car.first_on - start_on).days * car.daily_km, start_on
    while on <= last_on:
        quantity = Decimal(f"{min(every_km * car.rates[kind] / 100 * rng.uniform(0.97, 1.03), store * 0.98):.2f}")
        station = rng.choice(STATIONS[kind])
        at = f"{on.isoformat()} {rng.randint(8, 17):02d}:{rng.randint(0, 59):02d}:00"
        if fuel:
            product = "0号柴油" if model.energy == "diesel" else "92号汽油"
            price = Decimal(f"{rng.uniform(7.2, 7.9):.2f}")
            yield (
                car.told.plate,
                car.card(),
                at,
                product,
                quantity,
                price,
                f"{quantity * price:.2f}",
                f"{max(driven, 0):.0f}",
                "是",
                station,
            )
        else:
            price = Decimal(f"{rng.uniform(0.9, 1.4):.2f}")
            yield (
                car.told.plate,
                "",
                at,
                quantity,
                price,
                f"{quantity * price:.2f}",
                f"{max(driven, 0):.0f}",
                100,
                station,
            )
        ahead = max(1, round(every_km / car.daily_km))
        on += timedelta(days=ahead)
        driven += ahead * car.daily_km
        every_km = ahead * car.daily_km
