"""Scenes of the past and the optimizer: the same day with other fleets, other lending, other consent; every plan is judged."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dispatch
from fleetapp.lab.history import History
from fleetapp.planning import bridge as planning

SEATS: Mapping[str, int] = {
    "sedan": 4,
    "suv": 4,
    "mpv": 6,
    "van": 8,
    "minibus": 14,
    "coach": 40,
    "pickup": 4,
    "special": 2,
}
"""Passenger seats of a class that the fleet does not have now."""


@dataclass(frozen=True, slots=True)
class Day:
    """A day as the optimizer sees it: organisations are pools, nobody lends to anybody yet."""

    instance: dispatch.Instance
    params: dispatch.Params

    def asked(self, pool: str, vehicle_class: str) -> tuple[dispatch.Request, ...]:
        """Return the orders of a pool for a class."""
        return tuple(
            one for one in self.instance.requests if (one.owner_org, one.vehicle_class) == (pool, vehicle_class)
        )

    def groups(self) -> set[tuple[str, str]]:
        """Return the pools and classes that were asked for."""
        return {(one.owner_org, one.vehicle_class) for one in self.instance.requests}

    def fleet(self) -> list[tuple[str, str]]:
        """Return pool and class of every vehicle there is."""
        return [(one.owner_org, one.vehicle_class) for one in self.instance.vehicles]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a plan came to; money in fen."""

    served: int
    rented: int
    unserved: int
    vehicles: int
    cost_fen: int
    shared: int
    plan: dispatch.Plan


def days_of(history: History) -> list[Day]:
    """Return the sampled days with pools for organisations."""
    found = []
    for scene in history.scenes:
        made = planning.instance_of(scene)
        requests = tuple(
            replace(one, owner_org=history.pool_of_order[int(one.id)], pooling=False) for one in made.requests
        )
        vehicles = tuple(replace(one, owner_org=history.pool_of_vehicle[int(one.id)]) for one in made.vehicles)
        instance = replace(made, requests=requests, vehicles=vehicles, drivers=(), lending=())
        found.append(Day(instance, planning.params_of(scene.figures)))
    return found


def digest(days: Sequence[Day], asked: Mapping[str, object]) -> str:
    """Return the SHA-256 of everything that a study computes from."""
    return digest_of([dispatch.dump_instance(day.instance, day.params) for day in days], asked)


def digest_of(made: Sequence[object], asked: Mapping[str, object]) -> str:
    """Return the same of anything that has a JSON form."""
    return hashlib.sha256(json.dumps([made, dict(asked)], sort_keys=True, default=str).encode()).hexdigest()


def _yard(day: Day, pool: str, request: dispatch.Request) -> str:
    """Return where a pool's vehicles stand: with the first of them by name, else where its people are."""
    own = sorted((one for one in day.instance.vehicles if one.owner_org == pool), key=lambda one: int(one.id))
    return own[0].yard if own else request.stops[0].place


def seats_of(days: Sequence[Day], pool: str, vehicle_class: str) -> int:
    """Return the passenger seats to reckon with: those of the largest such vehicle of the pool, of all pools, or the usual ones."""
    of_class = [(one.owner_org, one.seats) for one in days[0].instance.vehicles if one.vehicle_class == vehicle_class]
    return max(
        (seats for owner, seats in of_class if owner == pool),
        default=max((seats for _, seats in of_class), default=SEATS[vehicle_class]),
    )


def curve_of_day(day: Day, pool: str, vehicle_class: str, *, seats: int, seed: int) -> tuple[int, list[int]]:
    """Return how many orders fit into such a vehicle at all, and how many 0, 1, 2.. of them alone serve, until all are served.

    The fleet is of petrol vehicles of one class at one yard; an order is served or not, nothing is rented.
    """
    requests = tuple(replace(one, rentable=False) for one in day.asked(pool, vehicle_class) if one.passengers <= seats)
    served = [0]
    if not requests:
        return 0, served
    span = day.instance.vehicles[0].available
    whole = (dispatch.Span(min(one.start_s for one in span), max(one.end_s for one in span)),)
    yard = _yard(day, pool, requests[0])
    while served[-1] < len(requests) and len(served) <= len(requests):
        cars = tuple(
            dispatch.Vehicle(
                id=f"v{number}", yard=yard, owner_org=pool, vehicle_class=vehicle_class, seats=seats, available=whole
            )
            for number in range(len(served))
        )
        part = replace(day.instance, requests=requests, vehicles=cars)
        served.append(solved(Day(part, day.params), seed=seed).served)
    return len(requests), served


def km_of(day: Day, pool: str, vehicle_class: str) -> tuple[int, int]:
    """Return metres along the stops of a group's orders and how many these are."""
    requests = day.asked(pool, vehicle_class)
    leg = day.instance.travel.leg
    return sum(
        leg(a.place, b.place)[1] for one in requests for a, b in zip(one.stops, one.stops[1:], strict=False)
    ), len(requests)


def with_lending(day: Day, pools: Sequence[str]) -> Day:
    """Return the day with every pool lending to every other."""
    pairs = tuple(dispatch.Lending(pool, "*") for pool in sorted(pools))
    return replace(day, instance=replace(day.instance, lending=pairs))


def with_pooling(day: Day) -> Day:
    """Return the day with everybody ready to share a vehicle with others of the pool."""
    return replace(
        day, instance=replace(day.instance, requests=tuple(replace(one, pooling=True) for one in day.instance.requests))
    )


def solved(day: Day, *, seed: int, known: dispatch.Plan | None = None) -> Outcome:
    """Plan a day without a limit of time, so that the same seed gives the same plan, and judge it.

    ``known`` is a plan of the same day under narrower rules: where it is the cheaper one it stands, after the judge has
    passed it under the rules of this day, so that more freedom is never shown to cost.

    :raises AssertionError: the judge refused a plan: a fault of the program.
    """
    plan = dispatch.solve(day.instance, params=day.params, stop=dispatch.Until(time_limit_s=None, rounds=0), seed=seed)
    if known is not None and known.cost_fen < plan.cost_fen:
        plan = known
    if broken := dispatch.check(day.instance, plan, params=day.params):
        raise AssertionError(f"The plan breaks {len(broken)} rules, first {broken[0]}.")
    rides: dict[str, int] = {}
    for one in plan.assignments:
        if one.ride is not None:
            rides[one.ride] = rides.get(one.ride, 0) + 1
    return Outcome(
        served=len(plan.assignments), rented=len(plan.rented), unserved=len(plan.unassigned),
        vehicles=len({one.vehicle_id for one in plan.assignments}), cost_fen=plan.cost_fen,
        shared=sum(number for number in rides.values() if number > 1), plan=plan,
    )  # fmt: skip
