"""Makes one order after another so that no vehicle and no driver is booked twice."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random

from fleetapp.demo.city import CITY, City, Driver, Org
from fleetapp.demo.drive import LOCAL
from fleetapp.demo.fleet import Vehicle
from fleetapp.demo.places import Point
from fleetapp.demo.purposes import PURPOSES, Purpose
from fleetapp.demo.records import Label, Leg, Order
from fleetapp.demo.tours import Ledger, ceil_to, floor_to, local_moment, tour
from fleetapp.places.roads import RoadGraph, distance_m

LICENCES = {"coach": ("A1",), "minibus": ("A1", "B1")}
BODIES_BY_SEATS = ((4, "sedan"), (6, "mpv"), (13, "minibus"), (60, "coach"))
BUSY_UNITS = {"city.office": 3.0, "city.veterans": 1.5}
"""Slug of a unit -> how many times as many orders as an ordinary one has."""
NEAR_M = 400.0
DECAY_M = 8_000.0
FAR_FLOOR = 0.003
TRIED_VEHICLES = 6
SHORTEST_WINDOW = timedelta(minutes=45)
PATROL_WINDOW = timedelta(hours=4)
RANGE_KEPT = 0.65
OVERRUN_EXTRA_S = (6_000, 11_400)
Choose = Callable[[Vehicle], list[Leg]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What to order: for whom, why, where to, how long at each stop."""

    unit: Org
    purpose: str
    passengers: int
    stops: tuple[Point, ...]
    dwells_s: tuple[float, ...]
    reason: tuple[str, str]
    kind: str = "ordinary"


@dataclass(slots=True)
class Planner:
    """The month in the making."""

    city: City
    roads: RoadGraph
    rng: Random
    day_kind: Callable[[date], str]
    vehicles: Ledger = field(default_factory=Ledger)
    drivers: Ledger = field(default_factory=Ledger)
    orders: list[Order] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    # -- what to order --------------------------------------------------------------------------------------------

    def wish(self, purpose: str | None = None) -> Wish:
        """Choose a unit, a purpose that its vehicles may serve, passengers and stops."""
        units = [org for org in self.city.orgs if org.kind == "unit"]
        unit = self.rng.choices(units, [BUSY_UNITS.get(org.slug, 1.0) for org in units])[0]
        held = {vehicle.category for vehicle in self._reach(unit)}
        own = {vehicle.category for vehicle in self.city.vehicles if vehicle.org == unit.code}
        weights = {
            code: spec.weight * (2.5 if own & set(spec.categories) else 1.0)
            for code, spec in PURPOSES.items()
            if held & set(spec.categories) and (code != "veterans" or unit.code.endswith(("veterans", "civil")))
        }
        code = purpose or self.rng.choices(list(weights), list(weights.values()))[0]
        spec = PURPOSES[code]
        stops = self.stops(unit.home, spec)
        return Wish(
            unit=unit,
            purpose=code,
            passengers=self.rng.randint(*spec.passengers),
            stops=stops,
            dwells_s=tuple(self.rng.uniform(*spec.dwell_min) * 60 for _ in stops),
            reason=self.rng.choice(spec.reasons),
            kind="emergency" if code == "emergency" else "ordinary",
        )

    def stops(self, origin: Point, spec: Purpose, count: int | None = None) -> tuple[Point, ...]:
        """Choose different destinations, near ones far more often; a few are at the other end of the city."""
        chosen: list[Point] = []
        for _ in range(count or self.rng.randint(*spec.stops)):
            here = chosen[-1] if chosen else origin
            options = [
                place.point
                for place in self.city.places
                if place.category in spec.destinations
                and distance_m(place.point.lonlat, here.lonlat) > NEAR_M
                and distance_m(place.point.lonlat, origin.lonlat) > NEAR_M
                and place.point not in chosen
            ]
            if not options:
                break
            weights = [math.exp(-distance_m(point.lonlat, here.lonlat) / DECAY_M) + FAR_FLOOR for point in options]
            chosen.append(self.rng.choices(options, weights)[0])
        return tuple(chosen)

    def _reach(self, unit: Org) -> list[Vehicle]:
        """Vehicles a unit may be given: its own and those of its level's pool."""
        return [vehicle for vehicle in self.city.vehicles if vehicle.org in (unit.code, unit.pool)]

    # -- vehicles and drivers ---------------------------------------------------------------------------------------

    def suitable(self, wish: Wish) -> list[Vehicle]:
        """Vehicles of the right category with enough seats and range, the smallest that do first, then by chance."""
        spec = PURPOSES.get(wish.purpose)
        around_m = sum(
            distance_m(a.lonlat, b.lonlat)
            for a, b in zip((wish.unit.home, *wish.stops), (*wish.stops, wish.unit.home), strict=True)
        )
        fitting = [
            vehicle
            for vehicle in self._reach(wish.unit)
            if (spec is None or vehicle.category in spec.categories)
            and vehicle.model.seats > wish.passengers
            and (
                vehicle.model.energy != "bev"
                or vehicle.model.range_km is None
                or around_m * 1.4 < vehicle.model.range_km * 1000 * RANGE_KEPT
            )
        ]
        needed = self.body_for(wish.passengers)
        spare = {"coach": 9.0, "minibus": 5.0}
        return sorted(
            fitting,
            key=lambda vehicle: (
                (0.0 if vehicle.model.body == needed else spare.get(vehicle.model.body, 1.0)) + self.rng.random() * 3
            ),
        )

    @staticmethod
    def body_for(passengers: int) -> str:
        """The smallest body that seats so many passengers."""
        return next(body for seats, body in BODIES_BY_SEATS if passengers <= seats)

    def free_driver(self, vehicle: Vehicle, start_at: datetime, end_at: datetime) -> Driver | None:
        """Choose a licensed free driver of the vehicle's holder."""
        able = [
            driver
            for driver in self.city.drivers
            if driver.org == vehicle.org and driver.licence in LICENCES.get(vehicle.model.body, ("A1", "B1", "C1"))
        ]
        self.rng.shuffle(able)
        return next((driver for driver in able if self.drivers.free(driver.username, start_at, end_at)), None)

    # -- orders -----------------------------------------------------------------------------------------------------

    def paper(self, wish: Wish, *, start_at: datetime, end_at: datetime, created_at: datetime) -> Order:
        """Add a pending order and return it; nothing has happened to it yet."""
        slug = wish.unit.slug
        order = Order(
            key=f"D{len(self.orders) + 1:05d}",
            kind=wish.kind,
            state="pending",
            unit=wish.unit.code,
            applicant=f"applicant.{slug}",
            approver=f"approver.{slug}",
            purpose=wish.purpose,
            reason=wish.reason[0],
            reason_en=wish.reason[1],
            passengers=wish.passengers,
            body=self.body_for(wish.passengers),
            origin=wish.unit.home,
            stops=wish.stops,
            start_at=start_at,
            end_at=end_at,
            created_at=created_at,
        )
        self.orders.append(order)
        return order

    def change(self, order: Order, **changes: object) -> Order:
        """Replace the newest order by its changed self."""
        changed = replace(order, **changes)  # type: ignore[arg-type]
        self.orders[-1] = changed
        return changed

    def dispatcher_of(self, unit: Org) -> str:
        """Username of the dispatcher of the unit's level."""
        return "dispatcher.city" if unit.adcode == CITY else f"dispatcher.{unit.slug.split('.')[0]}"

    def lead(self, out_at: datetime, *, urgent: bool) -> tuple[datetime, datetime, datetime, datetime]:
        """Times of application, approval, dispatch and the driver's acceptance before a check-out."""
        rng = self.rng
        on = out_at.astimezone(LOCAL)
        if urgent:
            created_at = out_at - timedelta(minutes=rng.uniform(40, 55))
            steps = ((3, 8), (3, 8), (1, 4))
        elif on.hour >= 10 and rng.random() < 0.5:
            created_at = out_at - timedelta(minutes=rng.uniform(80, 150))
            steps = ((5, 20), (5, 20), (1, 8))
        else:
            day = on.date() - timedelta(days=1)
            while self.day_kind(day) != "workday":
                day -= timedelta(days=1)
            created_at = local_moment(day, rng.uniform(8.7, 15.8))
            steps = ((5, 70), (10, 45), (2, 9))
        times = [created_at.replace(microsecond=0)]
        for low, high in steps:
            times.append(times[-1] + timedelta(seconds=round(rng.uniform(low, high) * 60)))
        return times[0], times[1], times[2], times[3]

    def driven(
        self,
        wish: Wish,
        *,
        depart_at: datetime,
        latest_at: datetime,
        earliest_at: datetime | None = None,
        variant: str = "plain",
    ) -> Order | None:
        """Add an order driven from its start to its end; ``None`` when nobody is free or it would end at a wrong time.

        ``variant``: plain; patrol (a long window); overrun (back long after the window); overnight (kept out without
        leave); approved_overnight. The return lies between ``earliest_at`` and ``latest_at``, but for nights out.
        """
        for vehicle in self.suitable(wish)[:TRIED_VEHICLES]:
            legs = self._way(wish, vehicle, depart_at, variant)
            out_at = legs[0].start_at - timedelta(seconds=self.rng.randint(180, 360))
            back_at = legs[-1].end_at
            start_at, end_at = self._window(legs, out_at, variant)
            too_late = "overnight" not in variant and back_at > latest_at
            if too_late or end_at < start_at + SHORTEST_WINDOW or (earliest_at and back_at < earliest_at):
                continue
            span = (min(out_at, start_at), max(back_at, end_at))
            driver = self.free_driver(vehicle, *span)
            if driver is None or not self.vehicles.free(vehicle.plate, *span):
                continue
            self.vehicles.book(vehicle.plate, *span)
            self.drivers.book(driver.username, *span)
            created_at, decided_at, dispatched_at, accepted_at = self.lead(out_at, urgent=wish.kind == "emergency")
            order = self.paper(wish, start_at=start_at, end_at=end_at, created_at=created_at)
            self.legs += [replace(leg, order=order.key) for leg in legs]
            reached = {leg.destination: leg.end_at for leg in legs}
            return self.change(
                order,
                state="done",
                body=vehicle.model.body,
                decided_at=decided_at,
                dispatched_at=dispatched_at,
                dispatcher=self.dispatcher_of(wish.unit),
                plate=vehicle.plate,
                driver=driver.username,
                accepted_at=accepted_at,
                checked_out_at=out_at,
                arrivals=tuple(reached[stop] for stop in wish.stops),
                checked_in_at=back_at + timedelta(seconds=self.rng.randint(150, 420)),
            )
        return None

    def _way(self, wish: Wish, vehicle: Vehicle, depart_at: datetime, variant: str) -> list[Leg]:
        rng = self.rng
        dwells_s = list(wish.dwells_s)
        if variant == "overrun":
            dwells_s[-1] += rng.uniform(*OVERRUN_EXTRA_S)
        calls = [(stop, dwell_s, wish.purpose) for stop, dwell_s in zip(wish.stops, dwells_s, strict=True)]
        if distance_m(vehicle.home.lonlat, wish.unit.home.lonlat) > 300.0:
            calls = [
                (wish.unit.home, rng.uniform(180, 480), "pick up"),
                *calls,
                (wish.unit.home, rng.uniform(120, 240), "drop"),
            ]
        if variant == "approved_overnight":
            calls = calls[: calls.index((wish.stops[-1], dwells_s[-1], wish.purpose)) + 1]
        elif variant == "overnight":
            calls.append((self.roadside_near(vehicle.home, 2_000, 6_000), 0.0, "overnight"))
        else:
            calls.append((vehicle.home, 0.0, "return"))
        legs = self._drive(vehicle, depart_at, vehicle.home, calls)
        if "overnight" in variant:
            morning = legs[-1].end_at.astimezone(LOCAL).date() + timedelta(days=1)
            hour = rng.uniform(7.1, 7.6) if variant == "overnight" else rng.uniform(9.0, 10.5)
            legs += self._drive(
                vehicle, local_moment(morning, hour), legs[-1].destination, [(vehicle.home, 0.0, "return")]
            )
        return legs

    def _drive(
        self, vehicle: Vehicle, start_at: datetime, origin: Point, calls: Sequence[tuple[Point, float, str]]
    ) -> list[Leg]:
        return tour(
            self.roads, self.rng, plate=vehicle.plate, order=None, start_at=start_at, origin=origin, calls=calls
        )

    def _window(self, legs: list[Leg], out_at: datetime, variant: str) -> tuple[datetime, datetime]:
        start_at = ceil_to(out_at + timedelta(minutes=5), 15)
        back_at = legs[-1].end_at
        if variant == "overrun":
            return start_at, floor_to(back_at - timedelta(minutes=self.rng.uniform(75, 150)), 15)
        if variant == "overnight":
            return start_at, ceil_to(legs[-2].end_at + timedelta(minutes=5), 30)
        if variant == "patrol":
            back_at = max(back_at, start_at + PATROL_WINDOW)
        return start_at, ceil_to(back_at + timedelta(minutes=self.rng.uniform(10, 35)), 30)

    def reserved(self, wish: Wish, *, start_at: datetime, end_at: datetime) -> tuple[Vehicle, Driver] | None:
        """Book a vehicle and a driver for a window that has not begun, or return ``None`` when nobody is free."""
        for vehicle in self.suitable(wish):
            driver = self.free_driver(vehicle, start_at, end_at)
            if driver and self.vehicles.free(vehicle.plate, start_at, end_at):
                self.vehicles.book(vehicle.plate, start_at, end_at)
                self.drivers.book(driver.username, start_at, end_at)
                return vehicle, driver
        return None

    # -- without an order -------------------------------------------------------------------------------------------

    def undeclared(
        self, vehicle: Vehicle, *, start_at: datetime, destination: Point, dwell_s: float, label: str, margin: timedelta
    ) -> tuple[datetime, datetime] | None:
        """Drive out and back without any order near in time, or return ``None`` when the vehicle is not free."""
        calls = [(destination, dwell_s, label), (vehicle.home, 0.0, "return")]
        legs = self._drive(vehicle, start_at, vehicle.home, calls)
        span = (start_at - margin, legs[-1].end_at + margin)
        if not self.vehicles.free(vehicle.plate, *span):
            return None
        self.vehicles.book(vehicle.plate, *span)
        self.legs += legs
        return start_at, legs[-1].end_at

    def roadside_near(self, around: Point, least_m: float, most_m: float) -> Point:
        """Return an unnamed point on a road between two distances of a place; raises ``ValueError`` if roads are few."""
        for _ in range(400):
            angle, reach_m = self.rng.uniform(0, 2 * math.pi), self.rng.uniform(least_m, most_m)
            lon = around.lon + reach_m * math.cos(angle) / (111_195.0 * math.cos(math.radians(around.lat)))
            lat = around.lat + reach_m * math.sin(angle) / 111_195.0
            road = self.roads.roadside((lon, lat))
            if least_m <= distance_m(road, around.lonlat) <= most_m:
                return Point("路边", "Roadside", round(road[0], 6), round(road[1], 6), 200)
        raise ValueError(f"no road between {least_m:.0f} and {most_m:.0f} m of {around.name}: draw more roads there")
