"""Upkeep of the demo's vehicles: designated suppliers, plans, what was done before, work orders at every stage, incidents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from fleetapp.accounts.models import Organisation
from fleetapp.demo import people
from fleetapp.demo.city import City
from fleetapp.demo.records import Story
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.upkeep import jobs, ledger, service
from fleetapp.upkeep.rules import IncidentKind, Item, Liability, LineKind, SupplierKind, WorkKind
from fleetapp.vehicles import odometer
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Energy

SUPPLIERS = (
    ("城西定点汽车维修中心", SupplierKind.REPAIR), ("滨江新能源汽车服务站", SupplierKind.REPAIR), ("钱江汽车维修厂", SupplierKind.REPAIR),
    ("市级机关车辆保险承保单位", SupplierKind.INSURANCE), ("城北机动车检测站", SupplierKind.INSPECTION),
)  # fmt: skip
PLANS: tuple[tuple[Item, dict[str, Any]], ...] = (
    (Item.ENGINE_OIL, {"every_km": 10_000, "every_months": 12}), (Item.HIGH_VOLTAGE, {"every_km": 20_000, "every_months": 12}),
    (Item.GENERAL, {"every_km": 15_000, "every_months": 12}),
)  # fmt: skip
WITHOUT = {Item.ENGINE_OIL: (Energy.BEV, Energy.FCEV), Item.HIGH_VOLTAGE: (Energy.PETROL, Energy.DIESEL, Energy.HEV)}
WORKS: tuple[tuple[WorkKind, str, str, str, tuple[Item, ...]], ...] = (
    (WorkKind.MAINTENANCE, "例行保养，更换机油机滤", "机油机滤", "480", (Item.GENERAL,)),
    (WorkKind.REPAIR, "制动时有异响，制动片已到磨损极限", "前制动片", "860", ()),
    (WorkKind.TYRES, "两条前轮胎花纹低于限值", "轮胎", "620", ()),
    (WorkKind.REPAIR, "空调不制冷，压缩机有渗漏", "空调压缩机", "2150", ()),
    (WorkKind.REPAIR, "启动困难，蓄电池老化", "蓄电池", "640", ()),
)  # fmt: skip
STAGES = ("reported", "reported", "quoted", "quoted", "approved", "in_work", "in_work", "excess")
PAST_ORDERS = 10
SETTLED = timedelta(days=5)
"""A car without journeys for so long may be in the shop now."""
INCIDENTS = (
    (IncidentKind.ACCIDENT, "停车场倒车碰擦立柱，后保险杠受损", "单位停车场", {"liability": Liability.FULL, "loss": Decimal("600.00")}),
    (IncidentKind.ACCIDENT, "等候信号灯时被后车追尾", "文三路", {"liability": Liability.NONE, "loss": Decimal("0.00")}),
    (IncidentKind.VIOLATION, "超过规定时速不足百分之十", "天目山路", {"fine": Decimal("50.00"), "points": 0}),
    (IncidentKind.VIOLATION, "不按导向车道行驶", "江南大道", {"fine": Decimal("100.00"), "points": 1}),
    (IncidentKind.VIOLATION, "违反禁止停车标线", "解放路", {"fine": Decimal("150.00"), "points": 0}),
)  # fmt: skip


def keep_up(database: Database, city: City, story: Story, *, now: datetime) -> int:
    """Fill upkeep up to ``now``; returns how many work orders there are."""
    rng = Random("upkeep")
    with database.transaction(SYSTEM) as session:
        actors = people.everybody(session)
        cars = session.scalars(select(Vehicle).options(joinedload(Vehicle.org)).order_by(Vehicle.id)).all()
        root = session.scalars(select(Organisation).order_by(Organisation.path)).first()
        shops = _ledger(session, root.id if root else 0, cars, rng, now)
    by_org = {account.org: actors[account.username] for account in city.accounts if account.role == "unit_admin"}
    admins = {car.plate: by_org[car.org] for car in city.vehicles if car.org in by_org}
    told = {car.plate: car for car in city.vehicles}
    busy = {order.plate for order in story.orders if order.end_at > now - SETTLED}
    out = {order.plate for order in story.orders if order.state == "driving" or order.end_at > now - timedelta(days=1)}
    office = next(actors[account.username] for account in city.accounts if account.role == "vehicle_office")
    desk = _Desk(database, office, shops, now)
    kept = [car for car in cars if car.plate in admins]
    free = [car for car in kept if car.plate not in busy]
    if len(free) > len(STAGES):
        desk.act(SYSTEM, odometer.change_meter, now, vehicle_id=free[-1].id, at=now - timedelta(hours=1), end_m=free[-1].odometer_m,
                 start_m=0, reason="仪表总成损坏，更换新表")  # fmt: skip
    free = free[: len(STAGES)]
    for number, (car, stage) in enumerate(zip(free, STAGES, strict=False)):
        desk.order(
            car,
            admins[car.plate],
            number,
            stage=stage,
            at=now - timedelta(hours=6 + 9 * number),
            reading_m=car.odometer_m,
        )
    before = clock.start_of(story.first_on)
    old = [car for car in kept if car.plate not in out][-PAST_ORDERS:]
    for number, car in enumerate(old):
        at = before - timedelta(days=9 + 17 * number)
        desk.order(
            car,
            admins[car.plate],
            number,
            stage="accepted",
            at=at,
            reading_m=told[car.plate].odometer_on(clock.local_date(at), story.first_on),
        )
    for number, (kind, account, place, more) in enumerate(INCIDENTS):
        car, at = kept[number * 3 % len(kept)], now - timedelta(days=4 + 11 * number)
        made = desk.act(admins[car.plate], ledger.open_incident, at, vehicle_id=car.id, kind=kind, happened_at=at - timedelta(hours=3),
                        place=place, account=account, **more)  # fmt: skip
        if number % 2:
            desk.act(
                admins[car.plate],
                ledger.close_incident,
                at + timedelta(days=3),
                incident_id=made.id,
                handling="已按规定处理完毕。",
            )
    jobs.remind(database, now)
    return len(free) + len(old)


def _ledger(session: Session, org_id: int, cars: Sequence[Vehicle], rng: Random, now: datetime) -> list[int]:
    """Enter suppliers, plans, and when each item was last done: mostly in time, some late; returns the repair shops."""
    today = clock.local_date(now)
    who: dict[str, Any] = {"actor": SYSTEM, "now": now}
    made = [
        ledger.add_supplier(session, org_id=org_id, name=name, kind=kind, contract_no=f"DD-{today.year - 1}-{number:02d}",
                            contract_from=date(today.year - 1, 1, 1), contract_to=date(today.year + 1, 1, 1), **who)
        for number, (name, kind) in enumerate(SUPPLIERS, start=1)
    ]  # fmt: skip
    for item, every in PLANS:
        ledger.add_plan(session, org_id=org_id, item=item, **every, **who)
    for car in cars:
        items = [item for item, _ in PLANS if Energy(car.energy) not in WITHOUT.get(item, ())]
        used = rng.uniform(0.05, 0.94) if rng.random() > 0.06 else rng.uniform(1.0, 1.1)
        done_on = max(car.registered_on, today - timedelta(days=round(used * 365)))
        ledger.note_done(session, vehicle_id=car.id, items=items, done_on=done_on, note="纸质档案补录",
                         odometer_m=max(0, car.odometer_m - round(used * 9_000) * 1000), **who)  # fmt: skip
    return [one.id for one in made if one.kind == SupplierKind.REPAIR]


@dataclass(frozen=True, slots=True)
class _Desk:
    """Takes work orders as far as their stage, each step by whoever takes it."""

    database: Database
    office: Actor
    shops: Sequence[int]
    now: datetime

    def order(self, car: Vehicle, admin: Actor, number: int, *, stage: str, at: datetime, reading_m: int) -> None:
        kind, fault, part, price, items = WORKS[number % len(WORKS)]
        made = self.act(admin, service.report, at, vehicle_id=car.id, kind=kind, fault=fault, items=items)
        if stage == "reported":
            return
        amount = Decimal(price) + 200
        for shop, more in zip(self.shops, (0, 60, 140), strict=False):
            self.act(admin, service.add_quote, at, order_id=made.id, supplier_id=shop, amount=amount + more)
        self.act(admin, service.submit, at, order_id=made.id, supplier_id=self.shops[0])
        if stage == "quoted":
            return
        self.act(self.office, service.decide, at + timedelta(hours=2), order_id=made.id, approve=True, note="同意。")
        if stage == "approved":
            return
        begun = at + timedelta(hours=4)
        self.act(admin, service.start, begun, order_id=made.id, entry_m=reading_m)
        tyre = kind is WorkKind.TYRES
        costly = Decimal("1.4") if stage == "excess" else Decimal(1)
        self.act(admin, service.add_line, begun, order_id=made.id, kind=LineKind.TYRE if tyre else LineKind.PART, name=part,
                 quantity=Decimal(1), unit_price=Decimal(price) * costly, serial=f"DOT-{number:04d}" if tyre else None)  # fmt: skip
        self.act(admin, service.add_line, begun, order_id=made.id, kind=LineKind.LABOUR, name="工时", quantity=Decimal(2),
                 unit_price=Decimal(100))  # fmt: skip
        if stage == "in_work":
            return
        self.act(admin, service.finish, begun + timedelta(hours=20), order_id=made.id)
        if stage == "accepted":
            self.act(admin, service.accept, begun + timedelta(hours=24), order_id=made.id, note="已修复，试车正常。")

    def act(self, who: Actor, function: Callable[..., Any], when: datetime, **given: Any) -> Any:
        with self.database.transaction(who) as session:
            return function(session, actor=who, now=min(when, self.now), **given)
