"""The emergency reserve in a plan: what a booking would leave too little of, and vehicles kept out of the optimizer's reach."""

from collections.abc import Collection
from dataclasses import replace

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.kit import clock
from fleetapp.kit.spans import Span
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import OrderKind, Purpose
from fleetapp.planning import rules
from fleetapp.planning.rules import Fault
from fleetapp.planning.scene import Scene
from fleetapp.reserves import queries as reserves
from fleetapp.reserves.rules import ANY_BODY
from fleetapp.sharing import rules as sharing_rules
from fleetapp.vehicles.models import Vehicle


def faults(session: Session, *, order: TravelOrder, vehicles: Collection[Vehicle], span: Span) -> dict[int, Fault]:
    """Return the fault ``reserve_floor`` of each vehicle that an order may not have over a span, by vehicle id.

    An emergency may use the reserve; a drill may not. The vehicles are free over the span, so that those of one pool
    and body stand for each other.
    """
    if not vehicles or (order.kind == OrderKind.EMERGENCY and order.purpose != Purpose.DRILL):
        return {}
    districts = [district.path for district in accounts.list_districts(session)]
    alike: dict[tuple[str, str], list[int]] = {}
    for vehicle in vehicles:
        alike.setdefault((sharing_rules.pool_of(vehicle.org.path, districts), vehicle.body), []).append(vehicle.id)
    breaches = reserves.breaches(session, vehicle_ids=[ids[0] for ids in alike.values()], span=span)
    return {
        vehicle_id: _fault(breaches[ids[0]])
        for ids in alike.values() if ids[0] in breaches for vehicle_id in ids
    }  # fmt: skip


def kept_back(session: Session, *, scene: Scene) -> Scene:
    """Return a scene without as many free vehicles of each pool and body as its floor asks for.

    With those at rest no plan of the others can break the floor. Where fewer are free all day, confirming judges each
    order; so it does where the plan serves emergencies, which may need the reserve.
    """
    if any(order.kind == OrderKind.EMERGENCY for order in scene.orders):
        return scene
    first, last = min(order.start_at for order in scene.orders), max(order.end_at for order in scene.orders)
    span = rules.taken(first, last, scene.figures)
    floors = reserves.floors(session, span=span)
    resting = [
        vehicle for vehicle in reversed(scene.vehicles)
        if not any(taken.overlaps(span) for taken in scene.busy_vehicles.get(vehicle.id, ()))
    ]  # fmt: skip
    pools = {vehicle.id: sharing_rules.pool_of(vehicle.org.path, scene.lending.terms.districts) for vehicle in resting}
    kept: set[int] = set()
    # The floor over all bodies comes last: what is kept of single bodies counts for it.
    for (path, body), vehicles in sorted(floors.items(), key=lambda item: (item[0][1] == ANY_BODY, item[0])):
        fitting = [car.id for car in resting if pools[car.id] == path and body in {car.body, ANY_BODY}]
        fitting.sort(key=lambda vehicle_id: vehicle_id not in kept)
        kept.update(fitting[:vehicles])
    return replace(scene, vehicles=[vehicle for vehicle in scene.vehicles if vehicle.id not in kept])


def _fault(breach: reserves.Breach) -> Fault:
    body = "reserves.body.any" if breach.body == ANY_BODY else f"vehicles.body.{breach.body}"
    return Fault("reserve_floor", {
        "pool": {"zh": breach.pool_zh, "en": breach.pool_en}, "body": {"text": body}, "floor": breach.floor,
        "free": breach.free, "at": clock.local(breach.at).strftime("%m-%d %H:%M"),
    })  # fmt: skip
