"""The preview of a call-up: every vehicle that could come with its way and what it does now, and what taking one would do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from fleetapp.accounts import queries as accounts
from fleetapp.drivers import queries as drivers
from fleetapp.drivers.models import Driver
from fleetapp.drivers.rules import Licence, may_drive
from fleetapp.emergency import rules
from fleetapp.emergency.models import EmergencyActivation
from fleetapp.emergency.rules import Standing, Way
from fleetapp.kit import clock
from fleetapp.kit.actor import Actor
from fleetapp.kit.spans import Span
from fleetapp.orders.models import TravelOrder
from fleetapp.orders.rules import ASSIGNED, OrderKind, Stop
from fleetapp.places.roads import RoadGraph, distance_m, load_roads
from fleetapp.planning import floors, urgent
from fleetapp.planning import queries as planning
from fleetapp.planning import rules as planning_rules
from fleetapp.planning.models import Assignment
from fleetapp.planning.scene import centre
from fleetapp.policies import queries as policies
from fleetapp.reserves.rules import ANY_BODY
from fleetapp.sharing import rules as sharing_rules
from fleetapp.tracking import queries as tracking
from fleetapp.vehicles import queries as vehicles
from fleetapp.vehicles.models import Vehicle
from fleetapp.vehicles.rules import Secrecy

MOST_SHOWN = 60
"""Vehicles of one line of a call-up that are shown, those that can come first."""


@dataclass(slots=True)
class Candidate:
    """A vehicle that could be called: how far and from where (``at``, lon and lat), what stands in its way, which orders it would leave."""

    vehicle: Vehicle
    standing: Standing
    eta_s: int
    distance_m: int
    at: tuple[float, float]
    way: Way
    seen_at: datetime | None
    bookings: list[Assignment]
    drivers: list[Driver]
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the call-up: so many vehicles of a body from a pool, and who could come, nearest first."""

    pool_id: int
    pool_path: str
    body: str
    vehicles: int
    candidates: Sequence[Candidate]

    @property
    def missing(self) -> int:
        """How many vehicles are wanted that nobody can send."""
        return max(0, self.vehicles - sum(1 for one in self.candidates if one.chosen))


@dataclass(frozen=True, slots=True)
class Effect:
    """An order that would lose its vehicle, and how many others could take it over; ``substitute`` is the first."""

    order: TravelOrder
    vehicle: Vehicle
    substitutes: int
    substitute: Vehicle | None


@dataclass(slots=True)
class Scene:
    """Everything that a preview is made from, over the span that vehicles would be taken."""

    span: Span
    candidates: dict[int, Candidate]
    fleet: Sequence[Vehicle]
    busy: Mapping[int, Sequence[Span]]
    people: Sequence[Driver]
    busy_people: Mapping[int, Sequence[Span]]
    pools: Mapping[int, str] = field(default_factory=dict)


def scene(session: Session, *, activation: EmergencyActivation, actor: Actor, now: datetime) -> Scene:
    """Return every vehicle in service of the actor's part of the tree with its standing and way, by vehicle id."""
    end_at = now + timedelta(hours=activation.hours)
    span = urgent.span_of(session, org_path=activation.org.path, start_at=now, end_at=end_at, now=now)
    last_on = clock.local_date(end_at)
    fleet = [car for car in session.scalars(vehicles.in_service(actor)).all() if car.secrecy == Secrecy.NORMAL]
    ended = vehicles.papers_ended(session, vehicle_ids=[car.id for car in fleet], last_on=last_on)
    fleet = [car for car in fleet if car.id not in ended and car.org.path.startswith(activation.org.path)]
    kept_out = {actor.user_id, activation.leader_id, activation.officer_id}
    people = [row for row in drivers.available(session, actor=actor, until_on=last_on) if row.user_id not in kept_out]
    held: dict[int, list[Assignment]] = {}
    wide = span.widened(timedelta(days=1), timedelta(days=2))
    for row in session.scalars(planning.between(planning.visible_to(actor), wide)).unique():
        held.setdefault(row.vehicle_id, []).append(row)
    ids, people_ids = [car.id for car in fleet], [row.id for row in people]
    kept = {row.vehicle_id for row in planning.holds(session, span=span, vehicle_ids=ids, driver_ids=())}
    busy, busy_people = planning.busy(session, span=wide, vehicle_ids=ids, driver_ids=people_ids)
    where = places(session, fleet, now=now, org_path=activation.org.path)
    districts = [district.path for district in accounts.list_districts(session)]
    roads, target = load_roads(), (activation.lon, activation.lat)
    found = {}
    for car in fleet:
        bookings = [row for row in held.get(car.id, ()) if _span(row).overlaps(span)]
        free = _free_drivers(car, people, busy_people, span, bookings)
        at, way, seen_at = where.get(car.id, (target, Way.YARD, None))
        length_m, took_s = reach(roads, at, target)
        standing = _standing(car.id in kept, bookings, free)
        found[car.id] = Candidate(car, standing, took_s, length_m, at, way, seen_at, bookings, free)
    pools = {car.id: sharing_rules.pool_of(car.org.path, districts) for car in fleet}
    return Scene(span, found, fleet, busy, people, busy_people, pools)


def lines(*, activation: EmergencyActivation, view: Scene, pools: Mapping[int, str]) -> list[Line]:
    """Return the call-up of an activation line by line with the proposed vehicles chosen; ``pools`` are paths by id."""
    found, taken = [], set[int]()
    for wish in activation.wanted:
        path, body = pools[wish["pool_id"]], wish["body"]
        fitting = [
            one for one in view.candidates.values()
            if view.pools[one.vehicle.id] == path and body in {one.vehicle.body, ANY_BODY}
        ]  # fmt: skip
        fitting.sort(key=lambda one: (one.eta_s, one.vehicle.plate))
        order = [one.vehicle.id for one in fitting]
        standings = {one.vehicle.id: one.standing for one in fitting}
        # More are tried than wanted: a vehicle whose driver another one needs is passed over.
        tried = rules.pick(order, standings, wish["vehicles"] + len(taken) + 5, drill=activation.drill, but=taken)
        able = rules.crew([*taken, *tried], {v: [d.id for d in view.candidates[v].drivers] for v in [*taken, *tried]})
        chosen = [vehicle_id for vehicle_id in tried if vehicle_id in able][: wish["vehicles"]]
        for vehicle_id in chosen:
            view.candidates[vehicle_id].chosen = True
        taken.update(chosen)
        fitting.sort(key=lambda one: (not one.chosen, one.standing not in {Standing.FREE, Standing.BOOKED}, one.eta_s))
        found.append(Line(wish["pool_id"], path, body, wish["vehicles"], fitting[:MOST_SHOWN]))
    return found


def effects(session: Session, *, view: Scene, chosen: Collection[int], now: datetime) -> list[Effect]:
    """Return the orders that lose their vehicle when some are taken, soonest first, with what could take them over."""
    given_up = [booking for vehicle_id in chosen for booking in view.candidates[vehicle_id].bookings]
    found = [_effect(session, view, booking, set(chosen), now) for booking in given_up]
    return sorted(found, key=lambda effect: (effect.order.start_at, effect.order.id))


def _effect(session: Session, view: Scene, booking: Assignment, chosen: set[int], now: datetime) -> Effect:
    order = booking.order
    limits = planning.figures(session, now=now, org_path=order.org.path)
    span = planning_rules.taken(order.start_at, order.end_at, limits)
    able = [
        car for car in view.fleet
        if car.id not in chosen and view.pools[car.id] == view.pools[booking.vehicle_id] and car.seats > order.passenger_count
        and _may_serve(car, order)
        and not any(taken.overlaps(span) for taken in view.busy.get(car.id, ()))
        and _free_drivers(car, view.people, view.busy_people, span, ())
    ]  # fmt: skip
    short = floors.faults(session, order=order, vehicles=able, span=span)
    able = [car for car in able if car.id not in short]
    able.sort(key=lambda car: (car.body != order.body, car.plate))
    return Effect(order, booking.vehicle, len(able), able[0] if able else None)


def places(
    session: Session, fleet: Sequence[Vehicle], *, now: datetime, org_path: str
) -> dict[int, tuple[tuple[float, float], Way, datetime | None]]:
    """Return where each vehicle is, (lon, lat): heard of lately from there, else at its yard or that of its holder."""
    fresh_min = float(policies.value(session, "emergency.position_fresh_min", clock.local_date(now), org_path))
    yards = planning.parking_of(session, {car.org_id for car in fleet})
    found: dict[int, tuple[tuple[float, float], Way, datetime | None]] = {}
    for car in fleet:
        area = car.parking or yards.get(car.org_id)
        if area is not None:
            lat, lon = centre(area)
            found[car.id] = ((lon, lat), Way.YARD, None)
    for vehicle_id, seen in tracking.newest(session, vehicle_ids=[car.id for car in fleet], now=now).items():
        if seen.fixed and timedelta() <= now - seen.at <= timedelta(minutes=fresh_min):
            found[vehicle_id] = ((seen.lon, seen.lat), Way.POSITION, seen.at)
    return found


def reach(roads: RoadGraph, at: tuple[float, float], target: tuple[float, float]) -> tuple[int, int]:
    """Return metres and seconds of the way: by main roads without traffic, by beeline where none joins the two."""
    try:
        route = roads.route(at, target)
    except ValueError:
        length_m = distance_m(at, target) * rules.DETOUR
        return round(length_m), round(length_m * 3.6 / rules.CITY_KMH)
    return round(route.length_m), round(route.seconds)


def _standing(is_kept: bool, bookings: Sequence[Assignment], free: Sequence[Driver]) -> Standing:
    if is_kept:
        return Standing.KEPT
    if any(row.order.state not in ASSIGNED or OrderKind(row.order.kind) not in rules.YIELDING for row in bookings):
        return Standing.OUT
    if not free:
        return Standing.NO_DRIVER
    return Standing.BOOKED if bookings else Standing.FREE


def _free_drivers(
    car: Vehicle,
    people: Sequence[Driver],
    busy: Mapping[int, Sequence[Span]],
    span: Span,
    given_up: Collection[Assignment],
) -> list[Driver]:
    """Return the drivers of the holder who may drive the vehicle and are free but for what it gives up, its own first."""
    mine = {row.driver_id for row in given_up}
    dropped = [(row.driver_id, _span(row)) for row in given_up]
    found = [
        row for row in people
        if row.org_id == car.org_id and may_drive(Licence(row.licence), car.seats)
        and not any(taken.overlaps(span) and (row.id, taken) not in dropped for taken in busy.get(row.id, ()))
    ]  # fmt: skip
    return sorted(found, key=lambda row: (row.id not in mine, row.id))


def _span(row: Assignment) -> Span:
    lower, upper = row.during.lower, row.during.upper
    if lower is None or upper is None:
        raise ValueError("an assignment has a beginning and an end")  # the database refuses any other
    return Span(lower, upper)


def _may_serve(car: Vehicle, order: TravelOrder) -> bool:
    purposes = planning_rules.purposes_of(car.category)
    return purposes is None or planning_rules.purpose_served(order.kind, order.purpose) in purposes


def yard_of(session: Session, *, vehicle: Vehicle) -> Stop | None:
    """Return the yard that a vehicle sets out from, if it or its holder has one."""
    area = vehicle.parking or planning.parking_of(session, [vehicle.org_id]).get(vehicle.org_id)
    return None if area is None else Stop(area.name_zh, *centre(area))
