"""Costs beside what was driven: one vehicle by month, units by year, whole lives."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from fleetapp.accounts.models import Organisation
from fleetapp.accounts.queries import orgs_visible_to
from fleetapp.costs import queries, rules
from fleetapp.costs.rules import Depreciation, Sum
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies
from fleetapp.trips.queries import Driven
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import CostRow, CostSum, VehicleState

FIRST_DAY = date(2000, 1, 1)
"""Before any cost on record: where whole lives begin."""


def last_months(today: date) -> tuple[date, date]:
    """Return ``[start, end)`` of the twelve months up to and including this one."""
    first = rules.month_of(today)
    return date(first.year - (first.month < 12), first.month % 12 + 1, 1), today + timedelta(days=1)


def days_of(asked: Mapping[str, Any], today: date) -> tuple[date, date]:
    """Return ``[start, end)`` of a query's local days, both included there; without them the last twelve months."""
    start, end = last_months(today)
    last_on = asked["end_on"]
    if last_on is not None:
        start, end = last_months(last_on)
    return asked["start_on"] or start, end


@dataclass(frozen=True, slots=True)
class VehicleCosts:
    """One vehicle over ``[start, end)``: all rows, what every month comes to, what was driven."""

    rows: Sequence[CostRow]
    months: dict[date, Sum]
    sum: Sum
    driven: Driven

    @property
    def per_km(self) -> Decimal | None:
        """Running costs per kilometre."""
        return rules.per_km(self.sum.running, self.driven.metres)

    @property
    def per_trip(self) -> Decimal | None:
        """Running costs per trip, from the month of the first trip on: before it no tracks were kept."""
        if self.driven.first_at is None:
            return None
        since = rules.month_of(clock.local_date(self.driven.first_at))
        running = sum((one.running for month, one in self.months.items() if month >= since), Decimal(0))
        return (running / self.driven.trips).quantize(Decimal("0.01"))


def of_vehicle(session: Session, *, vehicle_id: int, actor: Actor, start: date, end: date) -> VehicleCosts:
    """Return a vehicle's costs; call it only after ``get_vehicle``."""
    rows = queries.all_rows(session, actor=actor, start=start, end=end, vehicle_id=vehicle_id)
    by_month: dict[date, list[CostRow]] = {month: [] for month in rules.months_between(start, end)}
    for row in rows:
        by_month[rules.month_of(row.on)].append(row)
    driven = queries.driven(session, vehicle_ids=[vehicle_id], start=start, end=end)
    months = {month: rules.add_up(of_month) for month, of_month in by_month.items()}
    return VehicleCosts(rows, months, rules.add_up(rows), driven.get(vehicle_id, queries.NOTHING))


@dataclass(frozen=True, slots=True)
class UnitYear:
    """One unit's year: vehicles it holds now, what it spent, kilometres of its vehicles."""

    org: Organisation | None
    vehicles: int
    sum: Sum
    metres: float

    @property
    def per_km(self) -> Decimal | None:
        """Running costs per kilometre."""
        return rules.per_km(self.sum.running, self.metres)


def by_unit(session: Session, *, actor: Actor, year: int, org_path: str = "/") -> tuple[UnitYear, list[UnitYear]]:
    """Return the sum and every unit below a place in the tree that spent something or holds a vehicle, in tree order."""
    start, end = date(year, 1, 1), date(year + 1, 1, 1)
    orgs = {org.id: org for org in session.scalars(orgs_visible_to(actor)) if org.path.startswith(org_path)}
    rows: dict[int, list[CostSum]] = defaultdict(list)
    for row in queries.sums(session, actor=actor, start=start, end=end):
        if row.org_id in orgs:
            rows[row.org_id].append(row)
    cars = (
        vehicles.visible_to(actor)
        .where(Vehicle.state != VehicleState.RETIRED)
        .with_only_columns(Vehicle.id, Vehicle.org_id)
    )
    holders = {car.id: car.org_id for car in session.execute(cars) if car.org_id in orgs}
    metres: dict[int, float] = defaultdict(float)
    driven = queries.driven(session, vehicle_ids=holders.keys(), start=start, end=end)
    for vehicle_id, found in driven.items():
        metres[holders[vehicle_id]] += found.metres
    held = Counter(holders.values())
    units = [
        UnitYear(org, held[org.id], rules.add_up(rows[org.id]), metres[org.id])
        for org in orgs.values() if rows[org.id] or org.id in held
    ]  # fmt: skip
    every = [row for of_unit in rows.values() for row in of_unit]
    return UnitYear(None, held.total(), rules.add_up(every), sum(metres.values())), units


@dataclass(frozen=True, slots=True)
class Life:
    """A vehicle's whole-life cost so far; ``depreciation`` is None where no price is known."""

    vehicle: Vehicle
    sum: Sum
    proceeds: Decimal
    depreciation: Depreciation | None
    book_value: Decimal | None

    @property
    def cost(self) -> Decimal:
        """Price and tax and running costs less proceeds."""
        return rules.whole_life(purchase=self.sum.purchase, running=self.sum.running, proceeds=self.proceeds)

    @property
    def per_km(self) -> Decimal | None:
        """Whole-life cost per kilometre on the odometer."""
        return rules.per_km(self.cost, self.vehicle.odometer_m)


def lives(session: Session, *, actor: Actor, cars: Sequence[Vehicle], today: date) -> list[Life]:
    """Return the whole-life costs of some vehicles within reach up to today."""
    only = cars[0].id if len(cars) == 1 else None
    rows: dict[int, list[CostRow]] = defaultdict(list)
    for row in queries.all_rows(session, actor=actor, start=FIRST_DAY, end=today + timedelta(days=1), vehicle_id=only):
        rows[row.vehicle_id].append(row)
    income = queries.proceeds(session, actor=actor, vehicle_id=only)
    given = policies.values(session, "costs.", today)
    found = []
    for car in cars:
        spent, plan = rules.add_up(rows[car.id]), None
        if spent.purchase:
            plan = Depreciation(spent.purchase, car.acquired_on or car.registered_on, given["costs.depreciation_years"],
                                given["costs.residual_share"])  # fmt: skip
        found.append(Life(car, spent, income.get(car.id, Decimal(0)), plan, plan.book_value(today) if plan else None))
    return found
