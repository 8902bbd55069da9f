"""A plan to try changes on: what would happen if a vehicle did something more. Stands on the judge, not on a solver."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from dispatch.check import (
    Violation,
    driver_unfit,
    driver_violations,
    reserve_violations,
    suitable,
    vehicle_violations,
)
from dispatch.costs import band_cost, change_cost, unserved_cost, vehicle_cost
from dispatch.model import SECRET_TAG, Assignment, Driver, Plan, Vehicle
from dispatch.ride import as_given
from dispatch.route import Index, Outing, by_driver, by_vehicle, walk


@dataclass(frozen=True, slots=True)
class Fit:
    """A change that breaks no rule: its driver, and what the plan then costs more."""

    driver_id: str | None
    delta_fen: int


class Board:
    """A plan as it is walked: every vehicle's day and outings, every driver's outings."""

    def __init__(self, index: Index, plan: Plan) -> None:
        self.index, self.plan = index, plan
        self.days: Mapping[str, Sequence[Assignment]] = by_vehicle(plan.assignments)
        self.outings = {v: walk(index, index.vehicles[v], day)[0] for v, day in self.days.items()}
        self.crews: Mapping[str, Sequence[Outing]] = by_driver(chain.from_iterable(self.outings.values()))

    def without(self, request_ids: Collection[str]) -> "Trial":
        """Take requests out, to put them elsewhere."""
        return Trial(self, frozenset(request_ids))


class Trial:
    """A plan without some requests, all of which are put on one vehicle after the other."""

    def __init__(self, board: Board, request_ids: frozenset[str]) -> None:
        index, plan = board.index, board.plan
        self.index, self.plan = index, plan
        self.rest = [a for a in plan.assignments if a.request_id not in request_ids]
        self.left = replace(
            plan,
            assignments=tuple(self.rest),
            rented=tuple(r for r in plan.rented if r not in request_ids),
            unassigned={r: why for r, why in plan.unassigned.items() if r not in request_ids},
        )
        self.days, self.outings = dict(board.days), dict(board.outings)
        self.freed_fen = 0
        touched = {a.vehicle_id for a in plan.assignments if a.request_id in request_ids}
        for v in touched:
            day = [a for a in board.days[v] if a.request_id not in request_ids]
            self.freed_fen += self._day_fen(v, board.days[v]) - self._day_fen(v, day)
            self.days[v], self.outings[v] = day, walk(index, index.vehicles[v], day)[0]
        rented = [r for r in plan.rented if r in request_ids]
        planned = {a.request_id for a in plan.assignments} | set(rented)
        self.freed_fen += unserved_cost(index, rented, [r for r in request_ids if r not in planned]).total_fen
        self.crews = by_driver(chain.from_iterable(self.outings.values())) if touched else board.crews
        self.wishes_fen = self._wishes_fen(plan)

    def _day_fen(self, vehicle_id: str, day: Iterable[Assignment]) -> int:
        return vehicle_cost(self.index, self.index.vehicles[vehicle_id], day).total_fen

    def _wishes_fen(self, plan: Plan) -> int:
        return change_cost(self.index, plan).total_fen + band_cost(self.index, plan).total_fen

    def put(
        self,
        vehicle: Vehicle,
        added: Sequence[Assignment],
        hints: Sequence[str | None] = (),
        *,
        hints_only: bool = False,
    ) -> Fit | Violation:
        """Give requests (one, or those of one ride) to a vehicle at given times; drivers of the hints are asked first.

        Returns the first rule that would be broken: those that no driver can mend come first.
        """
        added = [replace(a, vehicle_id=vehicle.id, driver_id=None) for a in added]
        unfit = self._unsuitable(vehicle, added)
        if unfit:
            return unfit
        day = self.days.get(vehicle.id, ())
        outings, overlaps = walk(self.index, vehicle, [*day, *added])
        for found in vehicle_violations(self.index, vehicle, outings, overlaps):
            if found.code != "driver_change":
                return found
        elsewhere = [o for v, own in self.outings.items() if v != vehicle.id for o in own]
        for reserve in self.index.instance.reserves:
            if (reserve.yard, reserve.vehicle_class) == (vehicle.yard, vehicle.vehicle_class):
                for found in reserve_violations(self.index, reserve, [*elsewhere, *outings]):
                    return found
        here = [a.driver_id for a in day]
        asked = hints if hints_only else [*hints, *here, *self.index.drivers]
        driver_id = self._driver(vehicle, added, outings, asked) if self.index.instance.drivers else None
        if isinstance(driver_id, Violation):
            return driver_id
        after = [replace(a, driver_id=driver_id) for a in added]
        cost_fen = self._day_fen(vehicle.id, [*day, *after]) - self._day_fen(vehicle.id, day) - self.freed_fen
        changed = replace(self.left, assignments=(*self.rest, *after))
        return Fit(driver_id, cost_fen + self._wishes_fen(changed) - self.wishes_fen)

    def _unsuitable(self, vehicle: Vehicle, added: Sequence[Assignment]) -> Violation | None:
        for a in added:
            unfit = suitable(self.index, self.index.requests[a.request_id], vehicle)
            if unfit:
                return unfit
        if len(added) > 1:
            most = as_given(self.index, added).passengers
            if most > vehicle.seats:
                detail: dict[str, int | str] = {"passengers": most, "seats": vehicle.seats}
                return Violation("seats", added[0].request_id, vehicle.id, detail=detail)
        return None

    def _driver(
        self, vehicle: Vehicle, added: Sequence[Assignment], outings: Sequence[Outing], asked: Iterable[str | None]
    ) -> str | Violation:
        """Find a driver for the outing that serves the requests: the one of its other requests, or the first who can."""
        mine = next(o for o in outings if added[0] in o.assignments)
        there = {a.driver_id for a in mine.assignments} - {None}
        if len(there) > 1:
            return Violation("driver_change", added[0].request_id, vehicle.id)
        first: Violation | None = None
        for driver_id in dict.fromkeys(there or ([vehicle.driver_id] if vehicle.driver_id else asked)):
            if driver_id is None:
                continue
            driver = self.index.drivers[driver_id]
            if first is None or self._might(driver, vehicle, added, mine):
                found = next(self._broken(driver, vehicle, added, mine, outings), None)
                if found is None:
                    return driver_id
                first = first or found
        return first or Violation("driver_missing", added[0].request_id, vehicle.id)

    def _might(self, driver: Driver, vehicle: Vehicle, added: Sequence[Assignment], mine: Outing) -> bool:
        """Rule most drivers out quickly."""
        return (
            vehicle.vehicle_class in driver.classes()
            and self.index.vehicle_of.get(driver.id) in (None, vehicle.id)
            and any(span.holds(mine.out_s, mine.in_s) for span in driver.on_duty)
            and (SECRET_TAG in driver.tags or not any(self.index.requests[a.request_id].secret for a in added))
            and not any(
                o.out_s < mine.in_s and mine.out_s < o.in_s
                for o in self.crews.get(driver.id, ())
                if o.vehicle.id != vehicle.id
            )
        )

    def _broken(
        self,
        driver: Driver,
        vehicle: Vehicle,
        added: Sequence[Assignment],
        mine: Outing,
        outings: Sequence[Outing],
    ) -> Iterator[Violation]:
        """Judge a driver of the outing, and the others of the vehicle's day, whose outings may have changed."""
        for a in added:
            yield from driver_unfit(self.index, self.index.requests[a.request_id], vehicle, driver)
        crews = by_driver(outings)
        for driver_id in dict.fromkeys([driver.id, *crews]):
            elsewhere = [o for o in self.crews.get(driver_id, ()) if o.vehicle.id != vehicle.id]
            own = list(crews.get(driver_id, ()))
            if driver_id == driver.id and mine not in own:
                own.append(mine)
            yield from driver_violations(self.index, self.index.drivers[driver_id], [*elsewhere, *own])
