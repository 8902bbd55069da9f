"""One vehicle living through the days: where it drives, what its people write down, what its terminal reports."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from fleetapp.demo.drive import PLAIN, Quirks, drive, park
from fleetapp.demo.labelled.world import Unit, World, apart_m, shifted
from fleetapp.duty.queries import OrderOfVehicle, Stop
from fleetapp.findings.known import Car, External, Fill, Life, Paper, Reading, Rental, SealFacts, Ticket, Work
from fleetapp.findings.semantics import Site
from fleetapp.kit import clock
from fleetapp.places.roads import LonLat
from telematics.model import Fix

MINUTE = timedelta(minutes=1)
KWH_PER_100KM = 17.0


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was done on purpose, with the rules that are about it."""

    name: str
    car_id: int
    start_at: datetime
    end_at: datetime
    must: tuple[str, ...]
    may: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drive:
    """What was really driven: the truth about trips."""

    start_at: datetime
    end_at: datetime
    order_id: int | None
    dark: bool = False
    metres: float = 0.0


@dataclass(slots=True)
class Sim:
    """A vehicle with its clock, its place and everything written about it."""

    world: World
    unit: Unit
    car: Car
    rng: Random
    at: datetime
    spot: LonLat
    driver_id: int
    people: tuple[int, ...]
    per_100km: float = 9.0
    odometer_m: float = 30_000_000.0
    tank: float = 40.0
    electric: float = 0.0
    used_kwh: float = 0.0
    electric_m: float = 0.0
    shown_offset_m: float = 0.0
    fixes: list[Fix] = field(default_factory=list)
    orders: list[OrderOfVehicle] = field(default_factory=list)
    papers: list[Paper] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    drives: list[Drive] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    seals: list[SealFacts] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    externals: list[External] = field(default_factory=list)
    rentals: list[Rental] = field(default_factory=list)
    dark: list[tuple[datetime, datetime]] = field(default_factory=list)
    alarms: list[tuple[datetime, datetime, int]] = field(default_factory=list)
    life: Life | None = None
    areas: dict[int, str] = field(default_factory=dict)
    at_home: list[bool] = field(default_factory=list)
    serial: int = 0
    compliant: bool = False

    @property
    def homes(self) -> Site:
        """Return where the one who likes the car lives: always the same place."""
        sites = self.world.of("residential")
        return sites[self.car.id % len(sites)]

    @property
    def schools(self) -> Site:
        """Return the school of the one's child."""
        sites = self.world.of("school")
        return sites[self.car.id % len(sites)]

    def worth(self, on: date) -> float:
        """Return what the vehicle would still fetch, CNY: an eighth less each year, something at the end."""
        years = (on - self.car.registered_on).days / 365.25 if self.car.registered_on else 0.0
        return (self.car.price or 0.0) * max(0.05, 1 - years / 8)

    def next_id(self) -> int:
        """Return a number that nothing else of the city has."""
        self.serial += 1
        return self.car.id * 100_000 + self.serial

    # ---- moving -----------------------------------------------------------------------------------------------------

    def wait(self, until: datetime) -> None:
        """Stand until a moment."""
        if until > self.at:
            self.fixes += park(self.spot, self.at, until, self.rng, odometer_m=self.odometer_m)
            self.at = until

    def go(
        self,
        to: LonLat,
        *,
        at: datetime | None = None,
        order_id: int | None = None,
        pace: float | None = None,
        quirks: Quirks = PLAIN,
        via: Sequence[LonLat] = (),
        dark: bool = False,
    ) -> tuple[datetime, datetime]:
        """Drive somewhere, at a moment or at once; returns departure and arrival."""
        if at is not None:
            self.wait(at)
        start = self.at
        begun = len(self.fixes)
        begun_m = self.odometer_m
        for target in (*via, to):
            route = self.world.graph.route(self.spot, target)
            factor = pace if pace is not None else self.rng.uniform(0.8, 1.0)
            fixes = drive(
                route, self.at, self.rng, odometer_m=self.odometer_m, sampling_s=30, pace=factor, quirks=quirks
            )
            self.fixes += fixes
            self.odometer_m += route.length_m
            # A hybrid whose battery is empty goes on with petrol; who has nothing else charges on the way.
            empty = self.electric < 1 and self.used_kwh >= (self.car.battery_kwh or 0.0)
            share = 0.0 if empty else self.electric
            self.tank -= route.length_m / 100_000 * self.per_100km * (1 - share)
            self.electric_m += route.length_m * share
            self.used_kwh += route.length_m / 100_000 * KWH_PER_100KM * share
            self.at = (fixes[-1].at if fixes else self.at + timedelta(seconds=route.seconds)) + timedelta(seconds=1)
            if quirks.basement:
                self.at += timedelta(seconds=60)
            self.spot = target
        if dark:
            self.dark.append((start, self.at))
            del self.fixes[begun:]
        self.drives.append(Drive(start, self.at, order_id, dark, self.odometer_m - begun_m))
        self.at_home.append(apart_m(self.spot, self.unit.yard) < 60)
        return start, self.at

    def beside(self, site: Site) -> LonLat:
        """Return where one parks at a site: some steps from its middle."""
        return shifted((site.lon, site.lat), self.rng.gauss(0, 16), self.rng.gauss(0, 16))

    def home(self, **how: Any) -> tuple[datetime, datetime]:
        """Drive back into the yard."""
        return self.go(shifted(self.unit.yard, self.rng.uniform(-20, 20), self.rng.uniform(-20, 20)), **how)

    @property
    def shown_m(self) -> int:
        """What a driver writes down: whole kilometres."""
        return int((self.odometer_m + self.shown_offset_m) // 1000) * 1000

    # ---- papers -----------------------------------------------------------------------------------------------------

    def order(
        self,
        start: datetime,
        end: datetime,
        sites: Sequence[Site],
        *,
        kind: str = "ordinary",
        purpose: str | None = None,
        at: Sequence[LonLat] | None = None,
        out: datetime | None = None,
        back: datetime | None = None,
        out_m: int | None = None,
        back_m: int | None = None,
        tolerance_m: int | None = None,
        **paper: Any,
    ) -> int:
        """Write an order with its slip; ``at`` are the approved positions where they differ from the sites'."""
        order_id = self.next_id()
        stops = [Stop("yard", self.unit.yard[1], self.unit.yard[0], 200)]
        for number, site in enumerate(sites):
            lon, lat = at[number] if at else (site.lon, site.lat)
            stops.append(Stop(site.name, lat, lon, tolerance_m or self.rng.choice([200, 200, 300])))
        self.orders.append(OrderOfVehicle(
            order_id=order_id, journey=order_id, order_kind=kind, slip=f"S{order_id}", start_at=start, end_at=end, stops=tuple(stops),
            driver_id=self.driver_id, driver_user_id=self.driver_id + 5000, checked_out_at=out, checked_out_odometer_m=out_m,
            returned_at=back, returned_odometer_m=back_m,
        ))  # fmt: skip
        far = any(self.world.of(site.kind) and abs(site.lat - 30.25) + abs(site.lon - 120.17) > 0.35 for site in sites)
        values: dict[str, Any] = {
            "state": "CLOSED", "created_at": start - timedelta(hours=self.rng.uniform(3, 40)), "applicant_id": self.rng.choice(self.people),
            "approver_id": 900 + self.unit.id, "driver_id": self.driver_id, "driver_user_id": self.driver_id + 5000,
            "checked_out_by": self.driver_id + 5000, "passenger_count": self.rng.randint(1, max(1, self.car.seats - 2)),
            "purpose": purpose or self.rng.choice(["inspection", "research", "documents"]), "route_m": 60_000.0 if far else 20_000.0,
            "licence": "C1", "licence_valid_to": date(2031, 1, 1), "driven": True,
        }  # fmt: skip
        self.papers.append(
            Paper(order_id=order_id, slip=f"S{order_id}", kind=kind, start_at=start, end_at=end, **(values | paper))
        )
        return order_id

    def close_order(self, order_id: int, **changes: Any) -> None:
        """Write down check-out and check-in on the last order."""
        index = next(number for number, order in enumerate(self.orders) if order.order_id == order_id)
        self.orders[index] = replace(self.orders[index], **changes)

    def paper(self, order_id: int, **changes: Any) -> None:
        """Change what the office has of an order."""
        index = next(number for number, paper in enumerate(self.papers) if paper.order_id == order_id)
        self.papers[index] = replace(self.papers[index], **changes)

    def journey(
        self,
        day: date,
        hour: float,
        sites: Sequence[Site],
        *,
        dwell: Sequence[float] | None = None,
        kind: str = "ordinary",
        purpose: str | None = None,
        between: Any = None,
        home: bool = True,
        late: float = 0.0,
        pad: float | None = None,
        **more: Any,
    ) -> int:
        """Live an order through: out of the yard, to the sites, back; ``between`` is done after the first leg.

        The approved window is what the applicant guessed: real times scatter around it.
        """
        start = clock.start_of(day) + timedelta(hours=hour)
        order_id = self.order(start, start + timedelta(hours=2), sites, kind=kind, purpose=purpose, **more)
        leave = start + timedelta(minutes=self.rng.gauss(4, 6))
        self.wait(max(leave - 2 * MINUTE, self.at))
        out_at, out_m = self.at, self.shown_m
        self.wait(out_at + 2 * MINUTE)
        for number, site in enumerate(sites):
            self.go(self.beside(site), order_id=order_id)
            stay = dwell[number] if dwell else self.rng.uniform(25, 110)
            self.wait(self.at + timedelta(minutes=stay))
            if between is not None and number == 0:
                between(order_id)
        if self.tank < 18 and self.car.tank_l:
            self.fill(order_id)
        if late:
            self.wait(self.at + timedelta(minutes=late))
        if home:
            self.home(order_id=order_id)
        arrived = self.at
        guess = timedelta(minutes=(self.rng.gauss(15, 18) if pad is None else pad))
        end = max(start + timedelta(minutes=40), arrived - timedelta(minutes=late) + guess)
        end -= timedelta(minutes=end.minute % 10, seconds=end.second, microseconds=end.microsecond)
        self.close_order(order_id, end_at=end, checked_out_at=out_at, checked_out_odometer_m=out_m)
        self.paper(order_id, end_at=end)
        if home:
            back = arrived + timedelta(minutes=self.rng.uniform(1, 12))
            self.close_order(order_id, returned_at=back, returned_odometer_m=self.shown_m)
            self.wait(back)
        return order_id

    def fill(self, order_id: int | None = None, *, station: Site | None = None, **changes: Any) -> Fill:
        """Drive to a station and fill up."""
        station = station or min(
            self.world.of("energy"),
            key=lambda site: apart_m((site.lon, site.lat), self.spot) + apart_m((site.lon, site.lat), self.unit.yard),
        )
        self.go(self.beside(station), order_id=order_id)
        self.wait(self.at + timedelta(minutes=self.rng.uniform(4, 9)))
        return self.top_up(station, at=self.at - timedelta(minutes=self.rng.uniform(0, 3)), **changes)

    def top_up(self, station: Site, *, at: datetime, **changes: Any) -> Fill:
        """Fill up at a station and keep the slip."""
        size = self.car.tank_l or 50
        if self.tank < 0:  # it came so far only by a filling on the way of which no slip was kept
            self.tank, changes = 0.2 * size, {"breaks": "missed", **changes}
        litres = max(1.0, size - self.tank)
        self.tank = size
        return self.note_fill(litres, station, at=at, **changes)

    def plug_in(self) -> None:
        """Charge in the yard what was driven on electricity; the meter of the pile counts what is lost on the way as well."""
        size = self.car.battery_kwh
        if size is None or self.used_kwh < 0.35 * size:
            return
        missed = {"breaks": "missed"} if self.used_kwh > size else {}
        kwh = min(self.used_kwh, 0.95 * size) * self.rng.uniform(1.02, 1.12)
        self.used_kwh = 0.0
        self.note_fill(
            kwh,
            None,
            at=self.at,
            kind="charge",
            product=None,
            card=None,
            card_vehicle_id=None,
            amount=round(kwh, 2),
            **missed,
        )

    def note_fill(self, litres: float, station: Site | None, *, at: datetime, **changes: Any) -> Fill:
        """Write down a filling."""
        grade = self.car.fuel_grade or "92"
        values: dict[str, Any] = {
            "kind": "fuel", "quantity": round(litres, 2), "amount": round(litres * 7.6, 2), "odometer_m": int(self.odometer_m), "full": True,
            "product": f"{grade}号车用汽油", "station": station.name if station else None, "lat": station.lat if station else None,
            "lon": station.lon if station else None, "card": f"6000{self.car.id:04d}", "card_vehicle_id": self.car.id,
        }  # fmt: skip
        found = Fill(id=self.next_id(), at=at, **(values | changes))
        self.fills.append(found)
        return found

    def act(self, name: str, start: datetime, end: datetime, must: Sequence[str], may: Sequence[str] = ()) -> None:
        """Remember what was done."""
        self.acts.append(Act(name, self.car.id, start, end, tuple(must), tuple(may)))

    def reported(self) -> list[Fix]:
        """Return the fixes as the terminal sent them: dark times missing, alarms set."""
        kept = [fix for fix in self.fixes if not any(start <= fix.at < end for start, end in self.dark)]
        for start, end, bits in self.alarms:
            kept = [replace(fix, alarm=fix.alarm | bits) if start <= fix.at < end else fix for fix in kept]
        return kept
