"""Values of a dispatch problem and of its plan: frozen, validated where they are made.

Units: ``_s`` whole seconds after ``Instance.epoch`` (or a length in seconds), ``_m`` whole metres, ``_fen`` whole
0.01 CNY. Every span is half-open: it holds its start and not its end. Coordinates are WGS-84 degrees.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.bounds import LONGEST_M, LONGEST_S, member, number, require, text, unique, whole

Matrix = npt.NDArray[np.int32]

VEHICLE_CLASSES = ("sedan", "suv", "mpv", "van", "minibus", "coach", "pickup", "special")
ENERGIES = ("petrol", "diesel", "bev", "phev")

# Wanted class -> classes that may serve it. An upgrade is allowed, a downgrade never.
SERVED_BY: Mapping[str, tuple[str, ...]] = {
    "sedan": ("sedan", "suv", "mpv", "van"),
    "suv": ("suv", "van"),
    "mpv": ("mpv", "van"),
    "van": ("van", "minibus"),
    "minibus": ("minibus", "coach"),
    "coach": ("coach",),
    "pickup": ("pickup",),
    "special": ("special",),
}

# What a licence class allows to drive (source: 机动车驾驶证申领和使用规定, 附件1 准驾车型及代号; van here means <= 9 seats).
_SMALL = ("sedan", "suv", "mpv", "van", "pickup")
LICENCES: Mapping[str, tuple[str, ...]] = {
    "A1": (*_SMALL, "minibus", "coach", "special"),
    "A2": (*_SMALL, "minibus", "special"),
    "A3": _SMALL,
    "B1": (*_SMALL, "minibus"),
    "B2": (*_SMALL, "special"),
    "C1": _SMALL,
    "C2": _SMALL,
}

ROUTINE, IMPORTANT, URGENT, EMERGENCY = 1, 2, 3, 4
SECRET_TAG = "secret"  # noqa: S105 - the tag of vehicles and drivers cleared for secret errands
ANY_ORG = "*"


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open time span ``[start_s, end_s)``."""

    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        whole(self.start_s, "Span", "start_s", -LONGEST_S, LONGEST_S)
        whole(self.end_s, "Span", "end_s", -LONGEST_S, LONGEST_S)
        require(self.start_s < self.end_s, "Span", "start_s must be before end_s", (self.start_s, self.end_s))

    def holds(self, start_s: int, end_s: int) -> bool:
        """Tell whether the whole of ``[start_s, end_s)`` lies inside."""
        return self.start_s <= start_s and end_s <= self.end_s


def _spans(spans: tuple[Span, ...], who: str, name: str) -> None:
    require(isinstance(spans, tuple) and bool(spans), who, f"{name} must be at least one span", spans)
    gaps = all(a.end_s < b.start_s for a, b in pairwise(spans))
    require(gaps, who, f"{name} must be in order and apart from each other (join spans that touch)", spans)


@dataclass(frozen=True, slots=True)
class Place:
    """A point vehicles drive to, WGS-84 degrees."""

    id: str
    lat: float
    lon: float

    def __post_init__(self) -> None:
        text(self.id, "Place", "id")
        number(self.lat, f"Place {self.id}", "lat", -90, 90)
        number(self.lon, f"Place {self.id}", "lon", -180, 180)


@dataclass(frozen=True, eq=False)
class Travel:
    """Driving time and distance between all places, row = from, column = to.

    ``time_s`` and ``distance_m`` are int32 arrays of shape (n, n) in the order of ``places``; ``source`` says where
    they come from ("estimate": see `estimate_travel`; else the name of the road data).
    """

    places: tuple[Place, ...]
    time_s: Matrix = field(repr=False)
    distance_m: Matrix = field(repr=False)
    source: str
    detour: float | None = None
    speed_kmh: float | None = None
    index: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        text(self.source, "Travel", "source")
        n = len(self.places)
        unique((p.id for p in self.places), "Place")
        for name, matrix, most in (("time_s", self.time_s, LONGEST_S), ("distance_m", self.distance_m, LONGEST_M)):
            require(matrix.shape == (n, n), "Travel", f"{name} must have {n} rows and {n} columns", matrix.shape)
            low, high = (int(matrix.min()), int(matrix.max())) if n else (0, 0)
            require(low >= 0 and high <= most, "Travel", f"{name} must lie between 0 and {most}", (low, high))
            require(not matrix.diagonal().any(), "Travel", f"{name} from a place to itself must be 0", "another value")
        object.__setattr__(self, "index", {p.id: k for k, p in enumerate(self.places)})

    def leg(self, start: str, end: str) -> tuple[int, int]:
        """Return seconds and metres from one place to another."""
        a, b = self.index[start], self.index[end]
        return int(self.time_s[a, b]), int(self.distance_m[a, b])


def estimate_travel(places: Iterable[Place], *, detour: float = 1.35, speed_kmh: float = 32.0) -> Travel:
    """Estimate travel where no road data is at hand: great circle x `detour`, driven at `speed_kmh`.

    The great circle is the haversine formula on a sphere of 6,371,008.8 m (IUGG mean radius). The result is marked
    ``source="estimate"``, so that a plan made with it can say so.
    """
    number(detour, "Travel", "detour", 1, 5)
    number(speed_kmh, "Travel", "speed_kmh", 5, 150)
    points = tuple(places)
    lat = np.radians(np.array([p.lat for p in points], dtype=np.float64))
    lon = np.radians(np.array([p.lon for p in points], dtype=np.float64))
    half = np.sin((lat[:, None] - lat[None, :]) / 2) ** 2
    half += np.cos(lat[:, None]) * np.cos(lat[None, :]) * np.sin((lon[:, None] - lon[None, :]) / 2) ** 2
    road_m = np.ceil(2 * 6_371_008.8 * np.arcsin(np.sqrt(np.clip(half, 0, 1))) * detour)
    time_s = np.ceil(road_m * 3.6 / speed_kmh)
    return Travel(points, time_s.astype(np.int32), road_m.astype(np.int32), "estimate", float(detour), float(speed_kmh))


@dataclass(frozen=True, slots=True)
class Stop:
    """A place of a request and how long the vehicle stands there with its driver at rest."""

    place: str
    dwell_s: int = 0

    def __post_init__(self) -> None:
        text(self.place, "Stop", "place")
        whole(self.dwell_s, f"Stop at {self.place}", "dwell_s", 0, LONGEST_S)


@dataclass(frozen=True, slots=True)
class Request:
    """An approved order: from the first stop (pick-up) to the last (where the vehicle becomes free).

    The start lies in ``[earliest_s, latest_s]`` (both included; equal = fixed). The vehicle is busy for `duration_s`
    or for driving plus dwell, whichever is longer. `rental_fen` is a quoted price; without it the price table of
    the parameters applies; `rentable` False forbids rental, a `secret` request is never rented.
    `pooling` records consent to share a vehicle; a request is served alone as long as no method pools.
    """

    id: str
    stops: tuple[Stop, ...]
    earliest_s: int
    latest_s: int
    duration_s: int
    passengers: int
    vehicle_class: str
    purpose: str
    owner_org: str
    priority: int = ROUTINE
    needs: frozenset[str] = frozenset()
    secret: bool = False
    pooling: bool = False
    rentable: bool = True
    rental_fen: int | None = None

    def __post_init__(self) -> None:
        text(self.id, "Request", "id")
        who = f"Request {self.id}"
        require(2 <= len(self.stops) <= 50, who, "stops must be 2 to 50", len(self.stops))
        whole(self.earliest_s, who, "earliest_s", -LONGEST_S, LONGEST_S)
        whole(self.latest_s, who, "latest_s", self.earliest_s, LONGEST_S)
        whole(self.duration_s, who, "duration_s", 0, LONGEST_S)
        whole(self.passengers, who, "passengers", 0, 60)
        member(self.vehicle_class, who, "vehicle_class", VEHICLE_CLASSES)
        text(self.purpose, who, "purpose")
        text(self.owner_org, who, "owner_org")
        whole(self.priority, who, "priority", ROUTINE, EMERGENCY)
        if self.rental_fen is not None:
            whole(self.rental_fen, who, "rental_fen", 0, 10**9)


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A vehicle, parked at its yard at both ends of every outing. `seats` are passenger seats, without the driver's.

    `range_m` is the full range of a battery-electric vehicle and `soc` its charge (0 to 1) at the start; fuel is not
    limited. `purposes` None allows every purpose.
    """

    id: str
    yard: str
    owner_org: str
    vehicle_class: str
    seats: int
    available: tuple[Span, ...]
    energy: str = "petrol"
    range_m: int | None = None
    soc: float = 1.0
    purposes: frozenset[str] | None = None
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        text(self.id, "Vehicle", "id")
        who = f"Vehicle {self.id}"
        text(self.yard, who, "yard")
        text(self.owner_org, who, "owner_org")
        member(self.vehicle_class, who, "vehicle_class", VEHICLE_CLASSES)
        whole(self.seats, who, "seats", 1, 60)
        _spans(self.available, who, "available")
        member(self.energy, who, "energy", ENERGIES)
        if self.energy == "bev" or self.range_m is not None:
            whole(self.range_m, who, "range_m of a bev", 1_000, 2_000_000)
        number(self.soc, who, "soc", 0, 1)


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver: starts and ends each shift at the home yard; one shift per on-duty span.

    `may_drive` None means what the licence allows. It may narrow the licence and add "special" vehicles.
    """

    id: str
    yard: str
    org: str
    licence: str
    on_duty: tuple[Span, ...]
    shift_max_s: int = 36_000
    may_drive: frozenset[str] | None = None
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        text(self.id, "Driver", "id")
        who = f"Driver {self.id}"
        text(self.yard, who, "yard")
        text(self.org, who, "org")
        member(self.licence, who, "licence", LICENCES)
        _spans(self.on_duty, who, "on_duty")
        whole(self.shift_max_s, who, "shift_max_s", 600, 86_400)
        if self.may_drive is not None:
            beyond = sorted(self.may_drive - {*LICENCES[self.licence], "special"})
            require(not beyond, who, f"may_drive must stay within licence {self.licence}", beyond)

    def classes(self) -> frozenset[str]:
        """Vehicle classes this driver may drive."""
        return frozenset(LICENCES[self.licence]) if self.may_drive is None else self.may_drive


@dataclass(frozen=True, slots=True)
class Lending:
    """Vehicles of `owner_org` may serve requests of `borrower_org` ("*" = of every organisation)."""

    owner_org: str
    borrower_org: str

    def __post_init__(self) -> None:
        text(self.owner_org, "Lending", "owner_org")
        text(self.borrower_org, "Lending", "borrower_org")


@dataclass(frozen=True, slots=True)
class Reserve:
    """At least `min_free` vehicles of the class stay at the yard over the span; only emergencies may draw on them."""

    yard: str
    vehicle_class: str
    span: Span
    min_free: int

    def __post_init__(self) -> None:
        text(self.yard, "Reserve", "yard")
        member(self.vehicle_class, f"Reserve at {self.yard}", "vehicle_class", VEHICLE_CLASSES)
        whole(self.min_free, f"Reserve at {self.yard}", "min_free", 1, 10_000)


@dataclass(frozen=True, eq=False)
class Instance:
    """A dispatch problem. Without `drivers` the plan names vehicles only and no driver rule applies.

    `before_s` and `after_s` are the buffers kept at the pick-up before the start and at the last stop after the end.
    """

    epoch: datetime
    travel: Travel
    requests: tuple[Request, ...]
    vehicles: tuple[Vehicle, ...]
    drivers: tuple[Driver, ...] = ()
    lending: tuple[Lending, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    before_s: int = 300
    after_s: int = 300

    def __post_init__(self) -> None:
        aware = isinstance(self.epoch, datetime) and self.epoch.utcoffset() == timedelta(0)
        require(aware, "Instance", "epoch must be a UTC time with its zone", self.epoch)
        whole(self.before_s, "Instance", "before_s", 0, 7_200)
        whole(self.after_s, "Instance", "after_s", 0, 7_200)
        unique((r.id for r in self.requests), "Request")
        unique((v.id for v in self.vehicles), "Vehicle")
        unique((d.id for d in self.drivers), "Driver")
        named = [(f"Request {r.id}", stop.place) for r in self.requests for stop in r.stops]
        named += [(f"Vehicle {v.id}", v.yard) for v in self.vehicles] + [
            (f"Driver {d.id}", d.yard) for d in self.drivers
        ]
        named += [("Reserve", s.yard) for s in self.reserves]
        for who, place in named:
            require(place in self.travel.index, who, "the place must be one of travel.places", place)

    def lends(self, owner_org: str, borrower_org: str) -> bool:
        """Tell whether vehicles of one organisation may serve requests of another (its own always)."""
        return owner_org == borrower_org or any(
            rule.owner_org == owner_org and rule.borrower_org in (borrower_org, ANY_ORG) for rule in self.lending
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """A request given to a vehicle and a driver (None where the instance has no drivers) over ``[start_s, end_s)``."""

    request_id: str
    vehicle_id: str
    driver_id: str | None
    start_s: int
    end_s: int

    def __post_init__(self) -> None:
        who = f"Assignment of {self.request_id}"
        whole(self.start_s, who, "start_s", -LONGEST_S, LONGEST_S)
        whole(self.end_s, who, "end_s", self.start_s, 2 * LONGEST_S)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with every request: assigned, rented, or left unassigned with a reason code.

    `bound_fen` is a proven lower bound of the cost of any plan or None; `gap` = (cost - bound) / cost.
    `stopped`: optimal, no_improvement, rounds, time_limit or cancelled.
    """

    assignments: tuple[Assignment, ...]
    unassigned: Mapping[str, str]
    rented: tuple[str, ...]
    cost_fen: int
    bound_fen: int | None = None
    gap: float | None = None
    stopped: str = "given"
    method: str = "manual"
    seed: int = 0
    elapsed_s: float = 0.0

    def __post_init__(self) -> None:
        whole(self.cost_fen, "Plan", "cost_fen", 0, 10**15)
        if self.bound_fen is not None:
            whole(self.bound_fen, "Plan", "bound_fen", 0, 10**15)


def by_id(items: Iterable[Any]) -> dict[str, Any]:
    """Index values by their id."""
    return {item.id: item for item in items}
