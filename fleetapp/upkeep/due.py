"""What comes due of which vehicle and when, put together from plans, readings, papers and the inspection law."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Select
from sqlalchemy.orm import Session

from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies
from fleetapp.upkeep import queries, rules
from fleetapp.upkeep.models import UpkeepDone, UpkeepPlan, UpkeepReminder
from fleetapp.upkeep.rules import Due, DueKind, InspectionTable, Interval, Pace, PlanScope, Run
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import OdometerReading, Vehicle, VehicleDocument
from fleetapp.vehicles.rules import Body, Energy

PACE_DAYS = 90
PAPERS = (DueKind.INSPECTION, DueKind.COMPULSORY_INSURANCE, DueKind.COMMERCIAL_INSURANCE)


@dataclass(frozen=True, slots=True)
class DueRow:
    """Something due with its vehicle and the latest reminder of it, if any."""

    due: Due
    vehicle: Vehicle
    reminder: UpkeepReminder | None
    left_days: int


def listed(
    session: Session, *, actor: Actor, now: datetime, until: date | None = None, org_path: str | None = None,
    vehicle_id: int | None = None,
) -> list[DueRow]:  # fmt: skip
    """Return what comes due before ``until`` of the vehicles within reach, the most overdue first."""
    query = vehicles.filtered(vehicles.visible_to(actor), org_path=org_path)
    query = query.where(Vehicle.state.not_in(queries.NOT_KEPT_UP))
    if vehicle_id is not None:
        query = query.where(Vehicle.id == vehicle_id)
    return _rows(session, query, actor=actor, now=now, until=until)


def of_vehicle(session: Session, *, vehicle_id: int, actor: Actor, now: datetime) -> list[DueRow]:
    """Return everything that comes due of one vehicle, the most urgent first."""
    return listed(session, actor=actor, now=now, vehicle_id=vehicle_id)


def inspection_tables(session: Session, on: date) -> tuple[InspectionTable, InspectionTable]:
    """Return the law's tables for small passenger cars and for all other vehicles as in force on a day."""
    figures = policies.values(session, "inspection.", on)

    def whole(name: str) -> int:
        return int(figures[f"inspection.{name}"])

    small = frozenset([whole("small.first_test_years"), whole("small.second_test_years")])
    return (
        InspectionTable(
            whole("small.old_from_years"), whole("small.mark_every_months"), whole("small.old_every_months"), small
        ),
        InspectionTable(
            whole("large.old_from_years"), whole("large.young_every_months"), whole("large.old_every_months"), None
        ),
    )


def lead_days(session: Session, on: date) -> dict[DueKind, list[int]]:
    """Return the lead times of reminders by kind."""
    figures = policies.values(session, "upkeep.lead.", on)
    return {
        kind: [int(value) for code, value in figures.items() if code.startswith(f"upkeep.lead.{name}.")]
        for kind, name in rules.LEADS.items()
    }


def _rows(
    session: Session, query: Select[Vehicle], *, actor: Actor, now: datetime, until: date | None
) -> list[DueRow]:  # fmt: skip
    today = clock.local_date(now)
    cars = {car.id: car for car in session.scalars(query)}
    known = _Known(session, cars, actor=actor, now=now, today=today)
    found = [due for car in cars.values() for due in known.of(car) if until is None or due.on < until]
    said = queries.reminders(session, vehicle_ids=cars)
    rows = [
        DueRow(due, cars[due.vehicle_id], said.get((due.vehicle_id, due.subject)), (due.on - today).days) for due in found
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (row.due.on, row.vehicle.plate, row.due.kind, row.due.item))


class _Known:
    """All that is known of some vehicles, read once."""

    def __init__(
        self, session: Session, cars: Mapping[int, Vehicle], *, actor: Actor, now: datetime, today: date
    ) -> None:  # fmt: skip
        self.today = today
        self.plans: Sequence[UpkeepPlan] = session.scalars(queries.plans(actor)).all()
        self.done: Mapping[tuple[int, str], UpkeepDone] = queries.last_done(session, vehicle_ids=cars)
        self.papers: Mapping[tuple[int, str], VehicleDocument] = vehicles.latest_papers(
            session, vehicle_ids=cars, kinds=[kind.value for kind in PAPERS]
        )
        self.run: Mapping[int, tuple[OdometerReading, OdometerReading]] = vehicles.spans_run(
            session, vehicle_ids=cars, since=now - timedelta(days=PACE_DAYS)
        )
        self.earlier_m: Mapping[int, int] = vehicles.earlier_meters_m(session, vehicle_ids=cars)
        self.small, self.large = inspection_tables(session, today)

    def of(self, car: Vehicle) -> list[Due]:
        return [*self._maintenance(car), *self._papers(car)]

    def _papers(self, car: Vehicle) -> list[Due]:
        found = []
        table = self.small if car.body in rules.SMALL_BODIES else self.large
        for kind in PAPERS:
            paper = self.papers.get((car.id, kind))
            if paper is not None and paper.valid_to is not None:
                on, by, subject = paper.valid_to, "paper", f"paper:{paper.id}"
            elif kind is DueKind.INSPECTION:
                on, by = rules.next_inspection(car.registered_on, table, self.today), "law"
                subject = f"law:{on.isoformat()}"
            else:
                continue
            item = rules.inspection_item(car.registered_on, table, on) if kind is DueKind.INSPECTION else ""
            found.append(Due(car.id, kind, item, on, by, subject))
        return found

    def _maintenance(self, car: Vehicle) -> list[Due]:
        earlier_m = self.earlier_m.get(car.id, 0)
        first, last = (
            Run(clock.local_date(one.at), one.reading_m + earlier_m, one.engine_h) for one in self.run[car.id]
        ) if car.id in self.run else (None, None)  # fmt: skip
        at = Run(self.today, car.odometer_m + earlier_m, last.engine_h if last else None)
        pace = rules.pace(first=first, last=last, whole=at, registered_on=car.registered_on)
        chosen: dict[str, tuple[tuple[bool, bool, bool, int], UpkeepPlan]] = {}
        for plan in self.plans:
            scope = PlanScope(plan.vehicle_id, plan.model, plan.energy, plan.org.path.count("/"))
            fits = car.org.path.startswith(plan.org.path) and scope.covers(car.id, car.model, car.energy)
            if fits and (plan.item not in chosen or scope.rank() > chosen[plan.item][0]):
                chosen[plan.item] = (scope.rank(), plan)
        return [self._next(car, plan, at, pace) for _, plan in chosen.values() if self._applies(car, plan)]

    @staticmethod
    def _applies(car: Vehicle, plan: UpkeepPlan) -> bool:
        """Tell whether a vehicle has the part at all: no engine oil without an engine, no high voltage without a battery."""
        without = {
            rules.Item.ENGINE_OIL: {Energy.BEV, Energy.FCEV},
            rules.Item.HIGH_VOLTAGE: {Energy.PETROL, Energy.DIESEL},
        }
        return Energy(car.energy) not in without.get(rules.Item(plan.item), set())

    def _next(self, car: Vehicle, plan: UpkeepPlan, at: Run, pace: Pace) -> Due:
        every = Interval(plan.every_km, plan.every_months, plan.every_hours)
        done = self.done.get((car.id, plan.item))
        last = Run(done.done_on, done.at_m, done.engine_h) if done else Run(car.registered_on, 0)
        on, by, left_m = rules.next_maintenance(every, last, at, pace)
        if done is None and on <= self.today:
            on, by, left_m = self.today, "never", None
        subject = f"plan:{plan.id}:{last.on.isoformat()}"
        return Due(car.id, DueKind.MAINTENANCE, plan.item, on, by, subject, left_m)


def body_table(session: Session, car: Vehicle, on: date) -> InspectionTable:
    """Return the inspection table that holds for a vehicle."""
    small, large = inspection_tables(session, on)
    return small if Body(car.body) in rules.SMALL_BODIES else large
