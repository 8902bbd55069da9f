"""Why this vehicle, why not that one, why none: codes and figures for every vehicle (texts are made elsewhere).

Stands on the judge and the cost function, not on a solver, so it explains any plan, also one changed by hand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dispatch.check import (
    Violation,
    driver_violations,
    request_violations,
    reserve_violations,
    suitable,
    vehicle_violations,
)
from dispatch.costs import unserved_cost, vehicle_cost
from dispatch.model import Assignment, Instance, Plan, Request, Vehicle
from dispatch.params import Params
from dispatch.route import Index, Outing, by_driver, by_vehicle, walk
from dispatch.tariff import rental_fen


@dataclass(frozen=True, slots=True)
class Option:
    """One vehicle for a request, all else as planned.

    `code` is None where the vehicle could take it (with `driver_id`, from `start_s`), else the first rule it would
    break, with figures in `detail`. `delta_fen` is what the plan would cost more, where it is possible.
    """

    vehicle_id: str
    code: str | None
    driver_id: str | None = None
    start_s: int | None = None
    delta_fen: int | None = None
    detail: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of a request and every vehicle's case: possible ones by cost, then the others by id.

    `outcome` is assigned, rented, unassigned or missing; `reason` the plan's reason code where unassigned;
    `rental_fen` None where it must not or cannot be rented.
    """

    request_id: str
    outcome: str
    vehicle_id: str | None
    driver_id: str | None
    reason: str | None
    rental_fen: int | None
    penalty_fen: int
    options: tuple[Option, ...]


def explain(instance: Instance, plan: Plan, request_id: str, *, params: Params | None = None) -> Explanation:
    """Explain one request of a plan that passes `check`.

    Raises
    ------
    KeyError
        The instance has no such request.
    """
    index = Index(instance, params or Params())
    request = index.requests[request_id]
    mine = next((a for a in plan.assignments if a.request_id == request_id), None)
    others = [a for a in plan.assignments if a.request_id != request_id]
    case = _Case(index, request, mine, others, now_fen=_now_fen(index, plan, mine, request_id))
    options = [case.option(vehicle) for vehicle in instance.vehicles]
    options.sort(key=lambda o: (o.code is not None, o.delta_fen or 0, o.vehicle_id))
    served = index.services[request_id]
    outcome = (
        "assigned" if mine else "rented" if request_id in plan.rented
        else "unassigned" if request_id in plan.unassigned else "missing"
    )  # fmt: skip
    return Explanation(
        request_id=request_id,
        outcome=outcome,
        vehicle_id=mine.vehicle_id if mine else None,
        driver_id=mine.driver_id if mine else None,
        reason=plan.unassigned.get(request_id),
        rental_fen=rental_fen(index.params, request, served.distance_m, served.busy_s),
        penalty_fen=index.params.penalty_fen[request.priority],
        options=tuple(options),
    )


def _now_fen(index: Index, plan: Plan, mine: Assignment | None, request_id: str) -> int:
    """Cost that goes away when the request is taken out of the plan."""
    if mine is None:
        rented = [request_id] if request_id in plan.rented else []
        return unserved_cost(index, rented, [] if rented else [request_id]).total_fen
    vehicle = index.vehicles[mine.vehicle_id]
    day = [a for a in plan.assignments if a.vehicle_id == mine.vehicle_id]
    rest = [a for a in day if a.request_id != request_id]
    return vehicle_cost(index, vehicle, day).total_fen - vehicle_cost(index, vehicle, rest).total_fen


class _Case:
    """The plan without the request, and the request tried on one vehicle after the other."""

    def __init__(
        self, index: Index, request: Request, mine: Assignment | None, others: Sequence[Assignment], *, now_fen: int
    ) -> None:
        self.index, self.request, self.mine, self.now_fen = index, request, mine, now_fen
        self.days = by_vehicle(others)
        self.outings = {v: walk(index, index.vehicles[v], day)[0] for v, day in self.days.items()}

    def option(self, vehicle: Vehicle) -> Option:
        unfit = suitable(self.index, self.request, vehicle)
        if unfit:
            return Option(vehicle.id, unfit.code, detail=unfit.detail)
        first: Violation | None = None
        for start_s in self._starts(vehicle):
            found = self._at(vehicle, start_s)
            if isinstance(found, Option):
                return found
            first = first or found
        assert first is not None
        return Option(vehicle.id, first.code, detail=first.detail)

    def _starts(self, vehicle: Vehicle) -> list[int]:
        """Starts worth trying: as planned, or the window's ends and as soon as the vehicle is free."""
        if self.mine:
            return [self.mine.start_s]
        request, instance = self.request, self.index.instance
        starts = [request.earliest_s]
        for a in self.days.get(vehicle.id, ()):
            last = self.index.requests[a.request_id].stops[-1].place
            link_s, _ = instance.travel.leg(last, request.stops[0].place)
            starts.append(a.end_s + instance.after_s + link_s + instance.before_s)
        starts.append(request.latest_s)
        return sorted({s for s in map(self._on_grid, starts) if request.earliest_s <= s <= request.latest_s})

    def _on_grid(self, start_s: int) -> int:
        """Return the first permitted start no earlier than a moment (beyond the window if there is none)."""
        request, step_s = self.request, self.index.instance.start_step_s
        later = request.earliest_s - (request.earliest_s - max(start_s, request.earliest_s)) // step_s * step_s
        return request.latest_s if start_s <= request.latest_s < later else later

    def _at(self, vehicle: Vehicle, start_s: int) -> Option | Violation:
        length_s = self.index.services[self.request.id].busy_s
        if self.mine:
            length_s = self.mine.end_s - self.mine.start_s
        day = self.days.get(vehicle.id, [])
        first: Violation | None = None
        for driver_id in self._drivers(vehicle):
            tried = Assignment(self.request.id, vehicle.id, driver_id, start_s, start_s + length_s)
            broken = self._broken(vehicle, [*day, tried], tried)
            if broken is None:
                cost_fen = vehicle_cost(self.index, vehicle, [*day, tried]).total_fen
                before_fen = vehicle_cost(self.index, vehicle, day).total_fen
                return Option(vehicle.id, None, driver_id, start_s, cost_fen - before_fen - self.now_fen)
            first = first or broken
            if not broken.code.startswith("driver_"):
                return broken  # no other driver changes that
        return first or Violation("driver_missing", self.request.id, vehicle.id)

    def _drivers(self, vehicle: Vehicle) -> Iterable[str | None]:
        if not self.index.instance.drivers:
            return [None]
        planned = [self.mine.driver_id] if self.mine else []
        here = [a.driver_id for a in self.days.get(vehicle.id, ())]
        return dict.fromkeys([*planned, *here, *self.index.drivers])

    def _broken(self, vehicle: Vehicle, day: Sequence[Assignment], tried: Assignment) -> Violation | None:
        """Return the first rule broken by a vehicle's new day."""
        index = self.index
        found = [*request_violations(index, tried), *vehicle_violations(index, vehicle, *walk(index, vehicle, day))]
        # Rules that no driver can mend come first.
        found.sort(key=lambda v: v.code.startswith("driver_"))
        if found:
            return found[0]
        outings: list[Outing] = [o for v, own in self.outings.items() if v != vehicle.id for o in own]
        outings += walk(index, vehicle, day)[0]
        for reserve in index.instance.reserves:
            if (reserve.yard, reserve.vehicle_class) == (vehicle.yard, vehicle.vehicle_class):
                found += reserve_violations(index, reserve, outings)
        if not found and tried.driver_id is not None:
            found += driver_violations(index, index.drivers[tried.driver_id], by_driver(outings)[tried.driver_id])
        return found[0] if found else None
