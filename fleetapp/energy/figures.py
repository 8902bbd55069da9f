"""What vehicles consumed over a period, beside their like; what it stands for in coal and CO2."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal

from sqlalchemy.orm import Session

from fleetapp.energy import queries, rules
from fleetapp.energy.queries import Total, Valid
from fleetapp.energy.rules import EntryKind, Filling, Footprint, Interval, Limits, Outlier
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.policies import queries as policies
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Energy

LOOK_BACK = timedelta(days=120)
"""How far before a period the full filling may lie from which its first interval starts."""


@dataclass(slots=True)
class Consumption:
    """One vehicle over a period. ``share`` is a plug-in hybrid's electric one; ``marks`` say which kind is far off."""

    vehicle: Vehicle
    entries: int = 0
    quantity: dict[EntryKind, Decimal] = field(default_factory=lambda: dict.fromkeys(EntryKind, Decimal(0)))
    amount: Decimal = Decimal(0)
    intervals: dict[EntryKind, list[Interval]] = field(default_factory=dict)
    footprint: Footprint = field(default_factory=Footprint)
    share: Decimal | None = None
    share_low: bool = False
    marks: dict[EntryKind, Outlier] = field(default_factory=dict)

    def per_100km(self, kind: EntryKind) -> Decimal | None:
        """Return litres or kWh per 100 km from level to level."""
        return rules.mean_per_100km(self.intervals.get(kind, ()))


def filling(entry: Valid, battery_kwh: Decimal | None) -> Filling:
    """Return what the rules need of an entry."""
    at_level = rules.level(full=entry.full, soc_percent=entry.soc_percent, battery_kwh=battery_kwh)
    return Filling(entry.at, entry.quantity, entry.odometer_m, at_level, entry.breaks)


def factors(session: Session, *, on: date) -> dict[str, Decimal]:
    """Return all energy figures in force on a day."""
    return policies.values(session, "energy.", on)


def footprint(totals: Iterable[Total], given: Mapping[str, Decimal]) -> Footprint:
    """Return what the sums of a list stand for."""
    return sum((rules.footprint(one.kind, one.energy, one.quantity, given) for one in totals), Footprint())


def consumption(session: Session, *, cars: Sequence[Vehicle], start_on: date, end_on: date) -> list[Consumption]:
    """Return what each of some vehicles consumed over local days, both included: intervals count where they end."""
    given = factors(session, on=end_on)
    start, end = clock.start_of(start_on), clock.start_of(end_on + timedelta(days=1))
    by_car: dict[int, list[Valid]] = {car.id: [] for car in cars}
    for entry in queries.valid_in(session, vehicle_ids=by_car.keys(), start=start - LOOK_BACK, end=end):
        by_car[entry.vehicle_id].append(entry)
    return [_of(car, by_car[car.id], start, given) for car in cars]


def _of(car: Vehicle, entries: Sequence[Valid], start: datetime, given: Mapping[str, Decimal]) -> Consumption:
    found = Consumption(car)
    for kind in rules.kinds_of(car.energy):
        of_kind = [entry for entry in entries if entry.kind == kind]
        found.intervals[kind] = [
            one for one in rules.intervals(filling(entry, car.battery_kwh) for entry in of_kind) if one.end_at >= start
        ]
        for entry in of_kind:
            if entry.at >= start:
                found.entries += 1
                found.quantity[kind] += entry.quantity
                found.amount += entry.amount
        found.footprint += rules.footprint(kind, car.energy, found.quantity[kind], given)
    if car.energy == Energy.PHEV:
        found.share = rules.electric_share(
            litres=found.quantity[EntryKind.FUEL], kwh=found.quantity[EntryKind.CHARGE], l_per_100km=given["energy.phev_l_100km"],
            kwh_per_100km=given["energy.phev_kwh_100km"],
        )  # fmt: skip
        found.share_low = found.share is not None and found.share < given["energy.phev_min_share"]
    return found


def limits(given: Mapping[str, Decimal], kind: EntryKind) -> Limits:
    """Return when a consumption is far from its baseline."""
    excess = given["energy.high_excess_l" if kind is EntryKind.FUEL else "energy.high_excess_kwh"]
    return Limits(given["energy.high_factor"], given["energy.low_factor"], excess)


def ranking(
    session: Session, *, actor: Actor, start_on: date, end_on: date, org_path: str | None = None
) -> list[Consumption]:
    """Return the vehicles within reach that were filled or charged, each marked against the median of its body and energy."""
    cars = session.scalars(vehicles.filtered(vehicles.visible_to(actor), org_path=org_path)).all()
    found = [one for one in consumption(session, cars=cars, start_on=start_on, end_on=end_on) if one.entries]
    given = factors(session, on=end_on)
    for kind in EntryKind:
        like: dict[tuple[str, str], list[Decimal]] = {}
        for one in found:
            if (value := one.per_100km(kind)) is not None:
                like.setdefault((one.vehicle.body, one.vehicle.energy), []).append(value)
        for one in found:
            usual, value = rules.baseline(like.get((one.vehicle.body, one.vehicle.energy), ())), one.per_100km(kind)
            if usual is not None and value is not None and (mark := rules.outlier(value, usual, limits(given, kind))):
                one.marks[kind] = mark
    return found
