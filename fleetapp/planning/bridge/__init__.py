"""Rows and the optimizer: orders, vehicles and drivers become an instance, a plan becomes proposals and reasons."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np

import dispatch
from dispatch.costs import vehicle_cost
from dispatch.model import LICENCES, VEHICLE_CLASSES
from dispatch.route import Index, by_vehicle, walk
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence, may_drive
from fleetapp.kit.spans import Span
from fleetapp.orders.models import OrderStop, TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.places.models import ParkingArea
from fleetapp.planning import rules
from fleetapp.planning.rules import Fault, Figures
from fleetapp.planning.scene import Point, Scene, centre, duty_days, duty_spans
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Body, Energy

CLASSES = {body.value: body.value for body in Body} | {Body.OFFROAD.value: "suv"}
ENERGIES = {energy.value: energy.value for energy in Energy} | {Energy.HEV.value: "petrol", Energy.FCEV.value: "phev"}
UNKNOWN_RANGE_KM = 100
"""What an electric vehicle is trusted with whose range nobody entered."""

CITY_KMH, ROAD_KMH = 32.0, 70.0
CITY_M, ROAD_M = 10_000.0, 60_000.0
DETOUR = 1.35
"""Estimate of driving: beeline x detour; city speed up to 10 km, rising to highway speed at 60 km."""
TRAVEL_SOURCE = "beeline x 1.35, 32 km/h up to 10 km rising to 70 km/h at 60 km"
ANOTHER_HOLDER_S = 2 * 86_400
"""Way of a driver to another holder's yard: longer than any shift, for drivers stay with their own vehicles."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """An order given to a vehicle and a driver, by row id."""

    order_id: int
    vehicle_id: int
    driver_id: int


@dataclass(frozen=True, slots=True)
class Solved:
    """A judged plan as JSON values, ready to be kept."""

    instance: dict[str, Any]
    plan: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Option:
    """One vehicle for an order: ``fault`` None and a driver where it could go, at ``cost_fen`` more than without."""

    vehicle_id: int
    driver_id: int | None
    cost_fen: int | None
    fault: Fault | None


# ---- rows to values -------------------------------------------------------------------------------------------------


def instance_of(scene: Scene, *, at: datetime | None = None) -> dispatch.Instance:
    """Return the optimizer's instance of a scene: seconds count from the start of its horizon.

    With ``at`` one span of free time is kept of each driver, the one around this moment or, where it is taken, any, and
    of each vehicle that one alone: an outing then fits into no other, and reading all free time of a city takes longer
    than judging it.
    """
    epoch = scene.horizon.start
    fallback = _point(scene.orders[0].stops[0])
    places: dict[str, dispatch.Place] = {}

    def place(kind: str, point: Point) -> str:
        name = f"{kind}{point[0]:.4f},{point[1]:.4f}"
        places.setdefault(name, dispatch.Place(name, *point))
        return name

    def yard(org_id: int, parking: ParkingArea | None = None) -> str:
        # Yards are named by holder, so that two holders at one address still have two yards.
        point = centre(parking) if parking else scene.yards.get(org_id, fallback)
        return place(f"yard {org_id} ", point)

    routes = {order.id: _route([place("", _point(stop)) for stop in order.stops]) for order in scene.orders}
    owners, borrowers, pairs = scene.lending.grouped(scene.vehicles, scene.orders)
    vehicles = [
        _vehicle(scene, vehicle, yard(scene.home(vehicle), vehicle.parking), owners[vehicle.id], at)
        for vehicle in scene.vehicles
    ]
    special: dict[int, int] = {}  # the most seats of a special vehicle by home; every home of a vehicle is in it
    for vehicle in scene.vehicles:
        home = scene.home(vehicle)
        special[home] = max(special.get(home, 0), vehicle.seats if vehicle.body == Body.SPECIAL else 0)
    days = duty_days(scene.horizon)
    near = [day for day in days if at is not None and at in day]
    idle = _seconds(days, scene, at)

    def on_duty(driver: Driver) -> tuple[dispatch.Span, ...]:
        """Return when a driver is there: every day whenever not taken."""
        if not (busy := scene.busy_drivers.get(driver.id)):
            return idle
        return _seconds(duty_spans(near, busy), scene, at) or _seconds(duty_spans(days, busy), scene, at)

    drivers = [
        _driver(scene, row, yard(scene.home(row)), special[scene.home(row)], on_duty(row))
        for row in scene.drivers if scene.home(row) in special
    ]  # fmt: skip
    travel = _travel(tuple(places.values()))
    requests = [_request(order, routes[order.id], travel, borrowers[order.id], epoch=epoch) for order in scene.orders]
    return dispatch.Instance(
        epoch=epoch,
        travel=travel,
        requests=tuple(requests),
        vehicles=tuple(vehicle for vehicle in vehicles if vehicle is not None),
        drivers=tuple(driver for driver in drivers if driver is not None),
        lending=tuple(dispatch.Lending(*pair) for pair in pairs),
        before_s=round(scene.figures.before.total_seconds()),
        after_s=round(scene.figures.after.total_seconds()),
    )


def params_of(figures: Figures) -> dispatch.Params:
    """Return the optimizer's parameters with the policy figures in force."""
    return dispatch.Params(
        range_reserve_permille=round(figures.range_factor * 1000),
        drive_max_s=round(figures.drive_max.total_seconds()),
        rest_min_s=round(figures.rest_min.total_seconds()),
    )


def leg_between(points: Iterable[Point]) -> Callable[[Point, Point], tuple[float, float]]:
    """Return the estimate of a way between two of the points: seconds and metres."""
    travel = _travel(tuple(dispatch.Place(str(point), *point) for point in set(points)))
    return lambda a, b: travel.leg(str(a), str(b))


def _point(stop: OrderStop) -> Point:
    return stop.lat, stop.lon


def _route(places: list[str]) -> list[str]:
    """Return the places of a journey; it ends where it began."""
    route = [place for place, before in zip(places, [None, *places], strict=False) if place != before]
    return route if len(route) > 1 and route[-1] == route[0] else [*route, route[0]]


def _travel(places: tuple[dispatch.Place, ...]) -> dispatch.Travel:
    """Estimate ways from coordinates; between yards of different holders nobody drives."""
    road_m = dispatch.estimate_travel(places, detour=DETOUR).distance_m
    share = np.clip((road_m - CITY_M) / (ROAD_M - CITY_M), 0.0, 1.0)
    time_s = np.ceil(road_m * 3.6 / (CITY_KMH + share * (ROAD_KMH - CITY_KMH))).astype(np.int32)
    holder = np.array([int(p.id.split()[1]) if p.id.startswith("yard ") else -1 for p in places])
    apart = (holder[:, None] >= 0) & (holder[None, :] >= 0) & (holder[:, None] != holder[None, :])
    time_s[apart] = ANOTHER_HOLDER_S
    return dispatch.Travel(places, time_s, road_m, TRAVEL_SOURCE)


def _request(
    order: TravelOrder, route: list[str], travel: dispatch.Travel, borrower: str, *, epoch: Any
) -> dispatch.Request:
    start_s = round((order.start_at - epoch).total_seconds())
    length_s = round((order.end_at - order.start_at).total_seconds())
    drive_s = sum(travel.leg(a, b)[0] for a, b in pairwise(route))
    # What driving does not need of the window is spent at the stops: there the driver rests.
    dwell_s = max(0, length_s - drive_s) // max(1, len(route) - 2)
    inner = range(1, len(route) - 1)
    stops = tuple(dispatch.Stop(place, dwell_s if k in inner else 0) for k, place in enumerate(route))
    return dispatch.Request(
        id=str(order.id),
        stops=stops,
        earliest_s=start_s,
        latest_s=start_s,
        duration_s=length_s,
        passengers=order.passenger_count,
        vehicle_class=CLASSES[order.body],
        purpose=rules.purpose_served(order.kind, order.purpose),
        owner_org=borrower,
        priority=4 if order.kind == OrderKind.EMERGENCY else 1,
        rentable=order.kind == OrderKind.ORDINARY and order.purpose != Purpose.DOCUMENTS,
    )


def _vehicle(scene: Scene, vehicle: Vehicle, yard: str, owner: str, at: datetime | None) -> dispatch.Vehicle | None:
    """Return the vehicle, or None when it is taken over the whole horizon or ``at`` the moment that counts."""
    busy = scene.busy_vehicles.get(vehicle.id, ())
    if at is not None and any(at in span for span in busy):
        return None
    available = _seconds(rules.free(scene.horizon, busy), scene, at)
    if not available:
        return None
    is_bev = vehicle.energy == Energy.BEV
    return dispatch.Vehicle(
        id=str(vehicle.id),
        yard=yard,
        owner_org=owner,
        vehicle_class=CLASSES[vehicle.body],
        seats=max(1, vehicle.seats - 1),  # ours count the driver's
        available=available,
        energy=ENERGIES[vehicle.energy],
        range_m=(vehicle.range_km or UNKNOWN_RANGE_KM) * 1000 if is_bev else None,
        purposes=rules.purposes_of(vehicle.category),
    )


def _driver(
    scene: Scene, driver: Driver, yard: str, special_seats: int, on_duty: tuple[dispatch.Span, ...]
) -> dispatch.Driver | None:
    """Return the driver, or None when there is no time at which he is there."""
    if not on_duty:
        return None
    drives_special = special_seats > 0 and may_drive(Licence(driver.licence), special_seats)
    return dispatch.Driver(
        id=str(driver.id),
        yard=yard,
        org=str(driver.org_id),
        licence=driver.licence,
        on_duty=on_duty,
        shift_max_s=round(scene.figures.shift_max.total_seconds()),
        may_drive=frozenset({*LICENCES[driver.licence], "special"}) if drives_special else None,
    )


def _seconds(spans: Sequence[Span], scene: Scene, at: datetime | None) -> tuple[dispatch.Span, ...]:
    if at is not None:
        spans = [span for span in spans if at in span] or spans[:1]
    epoch = scene.horizon.start
    pairs = [(round((s.start - epoch).total_seconds()), round((s.end - epoch).total_seconds())) for s in spans]
    return tuple(dispatch.Span(start_s, end_s) for start_s, end_s in pairs if start_s < end_s)


# ---- planning -------------------------------------------------------------------------------------------------------


def solve(instance: dispatch.Instance, figures: Figures, *, time_limit_s: float, seed: int) -> Solved:
    """Solve and judge; the result keeps the whole instance, so that anybody can judge it again.

    The judge has passed every plan that ``dispatch.solve`` returns; it is asked once more, as it will be kept.
    """
    params = params_of(figures)
    plan = dispatch.solve(instance, params=params, stop=dispatch.Until(time_limit_s=time_limit_s), seed=seed)
    broken = dispatch.check(instance, plan, params=params)
    if broken:
        raise AssertionError(f"The plan breaks {len(broken)} rules, first {broken[0]}.")
    return Solved(
        instance=dispatch.dump_instance(instance, params),
        plan={
            "plan": dispatch.dump_plan(plan),
            "figures": figures_of(instance, params, plan),
            "orders": per_order(instance, params, plan),
        },
    )


def proposals(plan: Mapping[str, Any]) -> list[Proposal]:
    """Return what a kept plan gives to whom, by start."""
    rows = sorted(dispatch.load_plan(plan["plan"]).assignments, key=lambda a: (a.start_s, int(a.request_id)))
    return [Proposal(int(a.request_id), int(a.vehicle_id), int(a.driver_id)) for a in rows if a.driver_id is not None]


def left_over(plan: Mapping[str, Any]) -> dict[int, str]:
    """Return the reason code of each order that a kept plan gives to no vehicle; ``rented`` where renting is better."""
    found = dispatch.load_plan(plan["plan"])
    reasons = {int(request_id): reason for request_id, reason in found.unassigned.items()}
    return {**reasons, **dict.fromkeys(map(int, found.rented), "rented")}


def figures_of(instance: dispatch.Instance, params: dispatch.Params, plan: dispatch.Plan) -> dict[str, Any]:
    """Return the key figures of a plan; ``spread_s`` is how much longer the busiest driver of it works than the least busy one."""
    index = Index(instance, params)
    days = by_vehicle(plan.assignments)
    driven = {v: walk(index, index.vehicles[v], day)[0] for v, day in days.items()}
    outings = [outing for found in driven.values() for outing in found]
    electric = [
        outing for v, found in driven.items() if index.vehicles[v].energy in {"bev", "phev"} for outing in found
    ]
    busy_s = Counter[str | None]()
    for row in plan.assignments:
        busy_s[row.driver_id] += row.end_s - row.start_s
    return {
        "pooled": sum(1 for row in plan.assignments if row.ride is not None),
        "electric_m": sum(outing.distance_m for outing in electric),
        "spread_s": max(busy_s.values()) - min(busy_s.values()) if busy_s else 0,
        "orders": len(instance.requests),
        "served": len(plan.assignments),
        "rented": len(plan.rented),
        "unassigned": len(plan.unassigned),
        "vehicles": len(days),
        "distance_m": sum(outing.distance_m for outing in outings),
        "empty_m": sum(sum(outing.empty_m) for outing in outings),
        "cost_fen": plan.cost_fen,
        "bound_fen": plan.bound_fen,
        "gap": plan.gap,
        "elapsed_s": plan.elapsed_s,
        "method": plan.method,
        "stopped": plan.stopped,
        "seed": plan.seed,
    }


def per_order(instance: dispatch.Instance, params: dispatch.Params, plan: dispatch.Plan) -> dict[str, Any]:
    """Return what each order served adds to its vehicle's day: cost and distance."""
    index = Index(instance, params)
    found = {}
    for vehicle_id, day in by_vehicle(plan.assignments).items():
        vehicle = index.vehicles[vehicle_id]

        def weigh(part: list[dispatch.Assignment], vehicle: dispatch.Vehicle = vehicle) -> tuple[int, int]:
            distance_m = sum(outing.distance_m for outing in walk(index, vehicle, part)[0])
            return vehicle_cost(index, vehicle, part).total_fen, distance_m

        whole = weigh(day)
        for assignment in day:
            rest = weigh([other for other in day if other is not assignment])
            found[assignment.request_id] = {"cost_fen": whole[0] - rest[0], "distance_m": whole[1] - rest[1]}
    return found


# ---- one order by hand ----------------------------------------------------------------------------------------------


def options(scene: Scene) -> list[Option]:
    """Return every vehicle's case for the one order of a scene: possible ones by cost, then the others.

    Drivers stay with their holder, so each holder is looked at alone, which also keeps it quick.
    """
    order = scene.orders[0]
    found: list[Option] = []
    homes: dict[int, tuple[list[Vehicle], list[Driver]]] = {}
    for vehicle in scene.vehicles:
        homes.setdefault(scene.home(vehicle), ([], []))[0].append(vehicle)
    for driver in scene.drivers:
        if (home := scene.home(driver)) in homes:
            homes[home][1].append(driver)
    for vehicles, drivers in homes.values():
        part = replace(scene, vehicles=vehicles, drivers=drivers)
        instance = instance_of(part, at=order.start_at)
        if not instance.drivers:
            found += [Option(vehicle.id, None, None, Fault("driver_missing")) for vehicle in vehicles]
            continue
        plan = dispatch.Plan((), {str(order.id): "no_free_vehicle"}, (), 0)
        told = dispatch.explain(instance, plan, str(order.id), params=params_of(scene.figures))
        base_fen = told.penalty_fen
        for option in told.options:
            driver_id = int(option.driver_id) if option.driver_id else None
            cost_fen = None if option.delta_fen is None else option.delta_fen + base_fen
            found.append(Option(int(option.vehicle_id), driver_id, cost_fen, fault_of(option.code, option.detail)))
        known = {option.vehicle_id for option in found}
        found += [Option(v.id, None, None, Fault("vehicle_overlap")) for v in vehicles if v.id not in known]
    cars = {vehicle.id: vehicle for vehicle in scene.vehicles}
    found = [
        replace(option, fault=scene.lending.fault(cars[option.vehicle_id], order), driver_id=None, cost_fen=None)
        if option.fault is not None and option.fault.code == "lending"
        else option
        for option in found
    ]
    return sorted(found, key=lambda o: (o.fault is not None, o.fault is not None and o.fault.refuses, o.cost_fen or 0))


def faults(scene: Scene) -> list[Fault]:
    """Judge the one order of a scene on its one vehicle with its one driver; bookings and licence are not asked here."""
    instance = instance_of(replace(scene, busy_vehicles={}, busy_drivers={}))
    request, vehicle, driver = instance.requests[0], instance.vehicles[0], instance.drivers[0]
    whole = (dispatch.Span(0, round(scene.horizon.seconds)),)
    # A driver of any class: the licence is judged by seats, as the law counts, and by its last day.
    driver = replace(driver, licence="A1", may_drive=frozenset(VEHICLE_CLASSES), on_duty=whole)
    instance = replace(instance, drivers=(driver,))
    busy_s = Index(instance, params_of(scene.figures)).services[request.id].busy_s
    tried = dispatch.Assignment(request.id, vehicle.id, driver.id, request.earliest_s, request.earliest_s + busy_s)
    judged = dispatch.check(instance, dispatch.Plan((tried,), {}, (), 0), params=params_of(scene.figures))
    found = [fault_of(v.code, v.detail) for v in judged if v.code not in {"cost_mismatch", "lending"}]
    found.append(scene.lending.fault(scene.vehicles[0], scene.orders[0]))
    return [fault for fault in found if fault is not None]


def fault_of(code: str | None, detail: Mapping[str, int | str]) -> Fault | None:
    """Return the judge's reason with its figures in the units people read: km and hours."""
    if code is None:
        return None
    params: dict[str, Any] = {}
    for name, value in detail.items():
        if name.endswith("_m"):
            params[f"{name[:-2]}_km"] = round(int(value) / 1000)
        elif name.endswith("_s"):
            params[f"{name[:-2]}_h"] = round(int(value) / 3600, 1)
        else:
            params[name] = value
    return Fault(code, params)
