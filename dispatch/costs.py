"""The one cost function: every method plans with these prices and every plan is priced by `plan_cost`.

All amounts are integer fen. Each leg, each loaded trip and each wait is rounded half up on its own, so that costs add.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from dispatch.model import Assignment, Plan, Vehicle
from dispatch.route import Index, Outing, by_vehicle, tasks_of, walk
from dispatch.tariff import drive_fen, km_rate, rental_fen, upgrade_fen, wait_fen


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of a plan by kind, fen."""

    days_fen: int = 0
    empty_km_fen: int = 0
    loaded_km_fen: int = 0
    upgrade_fen: int = 0
    wait_fen: int = 0
    rental_fen: int = 0
    penalty_fen: int = 0
    lent_fen: int = 0
    change_fen: int = 0
    band_fen: int = 0

    @property
    def total_fen(self) -> int:
        """Sum of all kinds."""
        return sum(getattr(self, f.name) for f in fields(self))

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def outing_cost(index: Index, outing: Outing) -> Cost:
    """Price one outing, without the vehicle's day."""
    rate = km_rate(index.params, outing.vehicle)
    lent = sum(index.requests[a.request_id].owner_org != outing.vehicle.owner_org for a in outing.assignments)
    return Cost(
        empty_km_fen=sum(drive_fen(rate, m) for m in outing.empty_m),
        loaded_km_fen=sum(drive_fen(rate, task.loaded_m) for task in outing.tasks),
        upgrade_fen=sum(upgrade_fen(index.params, t.wanted, outing.vehicle, t.loaded_m) for t in outing.tasks),
        lent_fen=lent * index.params.lent_fen,
        wait_fen=sum(wait_fen(index.params, s) for s in outing.waits_s),
    )


def vehicle_cost(index: Index, vehicle: Vehicle, assignments: Iterable[Assignment]) -> Cost:
    """Price everything one vehicle does; a vehicle without assignments costs nothing."""
    outings, _ = walk(index, vehicle, assignments)
    cost = Cost(days_fen=index.params.day_fen[vehicle.vehicle_class] if outings else 0)
    for outing in outings:
        cost += outing_cost(index, outing)
    return cost


def unserved_cost(index: Index, rented: Iterable[str], unassigned: Iterable[str]) -> Cost:
    """Price the requests no own vehicle serves; one that cannot be rented is priced as left unassigned."""
    rental = penalty = 0
    for request_id in rented:
        request, served = index.requests[request_id], index.services[request_id]
        price = rental_fen(index.params, request, served.distance_m, served.busy_s)
        if price is None:
            penalty += index.params.penalty_fen[request.priority]
        else:
            rental += price
    penalty += sum(index.params.penalty_fen[index.requests[r].priority] for r in unassigned)
    return Cost(rental_fen=rental, penalty_fen=penalty)


def known_ids(index: Index, plan: Plan) -> bool:
    """Tell whether all requests and vehicles of a plan exist, so that it can be priced."""
    requests = {*plan.rented, *plan.unassigned, *(a.request_id for a in plan.assignments)}
    return requests <= index.requests.keys() and {a.vehicle_id for a in plan.assignments} <= index.vehicles.keys()


def plan_cost(index: Index, plan: Plan) -> Cost:
    """Price a whole plan; its ids must be known (`known_ids`)."""
    cost = unserved_cost(index, plan.rented, plan.unassigned)
    for vehicle_id, assignments in by_vehicle(plan.assignments).items():
        cost += vehicle_cost(index, index.vehicles[vehicle_id], assignments)
    return cost + change_cost(index, plan) + band_cost(index, plan)


def change_cost(index: Index, plan: Plan) -> Cost:
    """Price assignments people were told of that are not in the plan with the same vehicle, driver and start."""
    kept = {(a.request_id, a.vehicle_id, a.driver_id, a.start_s) for a in plan.assignments}
    told = index.instance.told
    changed = sum((a.request_id, a.vehicle_id, a.driver_id, a.start_s) not in kept for a in told)
    return Cost(change_fen=changed * index.params.change_fen)


def band_values(index: Index, plan: Plan) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return by organisation the metres lent and the requests without own vehicle: what bands measure (0 where missing).

    A task lends all its loaded metres if any of its passengers belongs to another organisation.
    """
    lent_m: dict[str, int] = defaultdict(int)
    for vehicle_id, assignments in by_vehicle(plan.assignments).items():
        owner = index.vehicles[vehicle_id].owner_org
        for task in tasks_of(index, assignments):
            if {index.requests[a.request_id].owner_org for a in task.assignments} != {owner}:
                lent_m[owner] += task.loaded_m
    return lent_m, Counter(index.requests[r].owner_org for r in (*plan.rented, *plan.unassigned))


def band_cost(index: Index, plan: Plan) -> Cost:
    """Price what organisations lend or have rented outside of their bands."""
    if not index.instance.bands:
        return Cost()
    lent_m, rented = band_values(index, plan)
    fen = 0
    for band in index.instance.bands:
        value = lent_m[band.org] if band.measure == "lent_m" else rented[band.org]
        fen += band.fen * max(0, band.low - value, value - band.high)
    return Cost(band_fen=fen)
