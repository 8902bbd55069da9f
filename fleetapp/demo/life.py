"""Quotas of the demo's units and some acquisitions under way, each step by whoever takes it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from sqlalchemy import select

from fleetapp.accounts.models import Organisation
from fleetapp.acquisitions import purchase, service
from fleetapp.acquisitions.models import Indicator
from fleetapp.acquisitions.rules import IndicatorAction, IndicatorKind, Step
from fleetapp.demo import costs, energy, ledgers, people, policies, upkeep
from fleetapp.demo.city import City
from fleetapp.demo.fleet import Vehicle as Told
from fleetapp.demo.fleet import make_vin
from fleetapp.demo.records import Story
from fleetapp.disposal import service as disposal
from fleetapp.disposal.rules import Mode
from fleetapp.kit import clock
from fleetapp.kit.actor import SYSTEM, Actor
from fleetapp.kit.db import Database
from fleetapp.renewal import service as renewal
from fleetapp.vehicles import odometer, papers
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Category, DocumentKind, Energy

OLD_ENOUGH_YEARS = 8.2
SPARE_EVERY = 4
"""Every so manyeth unit and class has a place to spare; one is over its quota."""
STAGES = ("submitted", "reviewed", "approved", "budget", "open", "contracted", "delivered", "accepted")
PRICES = {"sedan": "159800.00", "suv": "169800.00", "mpv": "175000.00"}
BUDGET_A_YEAR = Decimal(8_000_000)
WAYS_OUT = (6, 1, 0)
"""How many steps after the request each disposal has taken."""
FIRST_DOCUMENT = "杭编办〔2024〕12号"


def authorise(database: Database, city: City, *, at: datetime) -> None:
    """Enter the quotas that the units' vehicles stand on: mostly just enough, some with a place to spare, one too small."""
    held = Counter((car.org, car.category) for car in city.vehicles)
    with database.transaction(SYSTEM) as session:
        ids = dict(session.execute(select(Organisation.code, Organisation.id)).all())
        for number, ((org, category), cars) in enumerate(sorted(held.items())):
            spare = 1 if number % SPARE_EVERY == 0 else -1 if number == 5 and cars > 1 else 0
            service.change_quota(
                session, org_id=ids[org], category=Category(category), delta=cars + spare, effective_on=date(2024, 1, 1),
                document_no=FIRST_DOCUMENT, actor=SYSTEM, now=at,
            )  # fmt: skip


def paper(database: Database, city: City, *, first_on: date, now: datetime) -> None:
    """Give every vehicle its registration, insurance, inspection and marking; some of the insurances end soon."""
    today = clock.local_date(now)
    at = clock.start_of(first_on)
    with database.transaction(SYSTEM) as session:
        ids = dict(session.execute(select(Vehicle.plate, Vehicle.id)).all())
        for number, car in enumerate(city.vehicles):
            ends_on = today + timedelta(days=20 + number * 37 % 340)
            year = {"valid_from": ends_on - timedelta(days=365), "valid_to": ends_on}
            entered: tuple[tuple[DocumentKind, dict[str, Any]], ...] = (
                (DocumentKind.REGISTRATION, {"number": f"XSZ{number:05d}", "issuer": "杭州市公安局交通警察支队", "valid_from": car.registered_on}),
                (DocumentKind.COMPULSORY_INSURANCE, {"number": f"JQX{number:05d}", "issuer": "协议承保单位",
                                                     "fee": _premium(car.model.seats), **year}),
                (DocumentKind.INSPECTION, {"number": f"NJ{number:05d}", "valid_from": first_on - timedelta(days=200),
                                           "valid_to": today + timedelta(days=45 + number * 61 % 600)}),
                (DocumentKind.MARKING, {"number": f"BS{number:05d}", "valid_from": car.registered_on}),
            )  # fmt: skip
            for kind, given in entered:
                papers.add(session, vehicle_id=ids[car.plate], kind=kind, actor=SYSTEM, now=at, **given)


def _premium(seats: int) -> Decimal:
    """Return the base premium of the compulsory insurance for an organ's car."""
    return Decimal(next(premium for below, premium in ((6, 950), (10, 1070), (20, 1140), (99, 1320)) if seats < below))


def read(database: Database, city: City, *, at: datetime) -> None:
    """Enter every vehicle's reading of the first day."""
    with database.transaction(SYSTEM) as session:
        ids = dict(session.execute(select(Vehicle.plate, Vehicle.id)).all())
        for car in city.vehicles:
            odometer.enter(session, vehicle_id=ids[car.plate], reading_m=car.odometer_m, at=at, actor=SYSTEM, now=at)


def keep(database: Database, city: City, story: Story, *, now: datetime, stage: Callable[[str], None]) -> None:
    """Tell what else becomes of vehicles: what they take, cost and need, those that come and those that go."""
    filled = energy.fuel_and_charge(database, city, first_on=story.first_on, now=now)
    spent = costs.buy_and_spend(database, now=now)
    stage(f"{filled} 笔加油充电，{spent} 笔费用 / {filled} fillings and chargings, {spent} costs")
    repaired = upkeep.keep_up(database, city, story, now=now)
    stage(f"{repaired} 张维修保养单 / {repaired} work orders")
    under_way, leaving = acquire(database, city, now=now), dispose(database, city, story, now=now)
    stage(f"{under_way} 项配备更新、{leaving} 项处置 / {under_way} acquisitions, {leaving} disposals")
    policies.set_figures(database, now=now)
    sent = ledgers.send_in(database, city, now=now)
    stage(f"{sent} 份台账已导入核对 / {sent} ledgers sent in")
    with database.transaction(SYSTEM) as session:
        office = _first(city, people.everybody(session), "vehicle_office")
    plan = renewal.plan(database, org_id=office.org_id or 0, years=5, budget=BUDGET_A_YEAR, stock_share=Decimal("0.45"), bought_share=Decimal("0.6"),
                        actor=office, now=now)  # fmt: skip
    stage(f"更新规划 {plan.id} / renewal plan {plan.id}")


def acquire(database: Database, city: City, *, now: datetime) -> int:
    """Take some renewals of old cars to different stages of the chain; returns how many."""
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
        ids = dict(session.execute(select(Vehicle.plate, Vehicle.id)).all())
    admins = {account.org: everybody[account.username] for account in city.accounts if account.role == "unit_admin"}
    today = clock.local_date(now)
    old = [car for car in city.vehicles
           if car.org in admins and car.model.body in PRICES and (today - car.registered_on).days / 365.25 > OLD_ENOUGH_YEARS]  # fmt: skip
    chosen = list({car.org: car for car in old}.values())[: len(STAGES)]
    office, leader, finance = (_first(city, everybody, role) for role in ("vehicle_office", "leader", "finance"))
    for number, (car, stage) in enumerate(zip(chosen, STAGES, strict=False)):
        _Renewal(database, admins[car.org], office, leader, finance, now).take(car, ids[car.plate], stage, number)
    return len(chosen)


def dispose(database: Database, city: City, story: Story, *, now: datetime) -> int:
    """Take old cars that the story leaves in their places out of the fleet: one to its archive, two on their way; returns how many."""
    with database.transaction(SYSTEM) as session:
        everybody = people.everybody(session)
        ids = dict(session.execute(select(Vehicle.plate, Vehicle.id)).all())
        renewed = set(session.scalars(select(Vehicle.plate).join(Indicator, Indicator.old_vehicle_id == Vehicle.id)))
    admins = {account.org: everybody[account.username] for account in city.accounts if account.role == "unit_admin"}
    office, leader, finance = (_first(city, everybody, role) for role in ("vehicle_office", "leader", "finance"))
    today, used = clock.local_date(now), {order.plate for order in story.orders}
    old = [car for car in city.vehicles if car.org in admins and car.plate not in used | renewed and not story.legs.get(car.plate)
           and (today - car.registered_on).days / 365.25 > OLD_ENOUGH_YEARS]  # fmt: skip
    for number, (car, stage) in enumerate(zip(old[::-1], WAYS_OUT, strict=False)):
        at = now - timedelta(days=20 - 4 * number)
        made = _as(
            database,
            admins[car.org],
            disposal.ask,
            at,
            now,
            vehicle_id=ids[car.plate],
            mode=Mode.AUCTION,
            reason="车辆老旧，维修费用高",
        )
        value = Decimal(9000 + 1700 * number)
        steps: list[tuple[Actor, Callable[..., Any], dict[str, Any]]] = [
            (office, disposal.appraise, {"appraised_value": value, "appraiser": "协议评估机构", "reserve_price": value}),
            (leader, disposal.decide, {"approve": True, "note": "同意处置。", "approval_no": f"杭机管处〔{today.year}〕{number + 1}号"}),
            (office, disposal.deal, {"deal_on": today - timedelta(days=8), "deal_price": value + 1300, "buyer": "公开竞价受让方"}),
            (finance, disposal.remit, {"allowed_fees": Decimal(450), "remitted_on": today - timedelta(days=6), "receipt_no": f"FS{today.year}-{number:04d}"}),
            (office, disposal.deregister, {"certificate_no": f"ZX{today.year}-{number:04d}", "deregistered_on": today - timedelta(days=4),
                                           "marking_removed": True, "cards_cancelled": True, "insurance_ended": True}),
            (office, disposal.archive, {}),
        ]  # fmt: skip
        for who, function, given in steps[:stage]:
            at += timedelta(days=2)
            _as(database, who, function, at, now, case_id=made.id, **given)
    return min(len(old), len(WAYS_OUT))


def _as(database: Database, who: Actor, function: Callable[..., Any], at: datetime, now: datetime, **given: Any) -> Any:
    with database.transaction(who) as session:
        return function(session, actor=who, now=min(at, now), **given)


def _first(city: City, everybody: dict[str, Actor], role: str) -> Actor:
    return next(everybody[account.username] for account in city.accounts if account.role == role)


@dataclass(frozen=True, slots=True)
class _Renewal:
    """One renewal as far as its stage, a step every few days."""

    database: Database
    admin: Actor
    office: Actor
    leader: Actor
    finance: Actor
    now: datetime

    def take(self, car: Told, old_vehicle_id: int, stage: str, number: int) -> None:
        """Apply and go on until the stage is reached; the last step was taken some days ago."""
        reached = STAGES.index(stage)
        at = self.now - timedelta(days=4 * reached + 3 + number)
        electric = number % 3 != 2
        made = self._as(self.admin, service.apply, at, kind=IndicatorKind.RENEWAL, category=Category(car.category), body=Body(car.model.body),
                        energy=Energy.BEV if electric else Energy.PETROL, step=Step.NORMAL, max_price=Decimal(self._price(car, electric)),
                        max_displacement_ml=None if electric else 1500, fuel_reason=None if electric else "山区道路多，充电条件不足",
                        justification="车辆老旧，维修频繁，申请更新", fiscal_year=clock.local_date(self.now).year,
                        old_vehicle_id=old_vehicle_id)  # fmt: skip
        steps: list[tuple[Actor, Callable[..., Any], dict[str, Any]]] = [
            (self.admin, service.advance, {"indicator_id": made.id, "action": IndicatorAction.SUBMIT}),
            (self.office, service.advance, {"indicator_id": made.id, "action": IndicatorAction.REVIEW, "note": "符合更新条件。"}),
            (self.leader, service.advance, {"indicator_id": made.id, "action": IndicatorAction.APPROVE, "note": "同意。"}),
            (self.finance, service.add_budget, {"indicator_id": made.id, "amount": made.max_price, "fiscal_year": made.fiscal_year,
                                                "document_no": f"杭财预〔{made.fiscal_year}〕{number + 1}号"}),
        ]  # fmt: skip
        for done in steps[: reached + 1]:
            at += timedelta(days=3)
            self._as(done[0], done[1], at, **done[2])
        if reached >= STAGES.index("open"):
            self._buy(made.id, car, stage, number, at, electric=electric)

    def _buy(self, indicator_id: int, car: Told, stage: str, number: int, at: datetime, *, electric: bool) -> None:
        at += timedelta(days=1)
        opened = self._as(self.office, purchase.open_purchase, at, indicator_id=indicator_id, model="国产新能源车型" if electric else "国产车型",
                          domestic=True, displacement_ml=None if electric else 1498)  # fmt: skip
        vin = make_vin(car.model, self.now.year, 900 + number, Random(f"renewal {number}"))
        price = Decimal(self._price(car, electric)) - 2000
        stages: list[tuple[Callable[..., Any], dict[str, Any]]] = [
            (purchase.contract, {"contract_no": f"CG-{self.now.year}-{number:03d}", "contract_on": clock.local_date(at), "price": price,
                                 "supplier": "协议供货商"}),
            (purchase.deliver, {"vin": vin, "engine_no": None}),
            (purchase.accept, {"vin": vin, "second_acceptor_id": self.finance.user_id, "no_extras": True}),
        ]  # fmt: skip
        for function, given in stages[: STAGES.index(stage) - STAGES.index("open")]:
            at += timedelta(days=1)
            self._as(self.office, function, at, procurement_id=opened.id, **given)

    @staticmethod
    def _price(car: Told, electric: bool) -> str:
        cap = "119800.00" if not electric and car.category in {"JYTX", "ZFZQ"} else PRICES[car.model.body]
        return "119800.00" if car.category in {"JYTX", "ZFZQ"} and car.model.body != "sedan" else cap

    def _as(self, who: Actor, function: Callable[..., Any], at: datetime, **given: Any) -> Any:
        return _as(self.database, who, function, at, self.now, **given)
