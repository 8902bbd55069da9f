"""Values of a dispatch problem and of its plan: frozen, validated where they are made.

Units: ``_s`` whole seconds after ``Instance.epoch`` (or a length in seconds), ``_m`` whole metres, ``_fen`` whole
0.01 CNY. Every span is half-open: it holds its start and not its end. Coordinates are WGS-84 degrees.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from dispatch.bounds import LONGEST_S, member, number, require, text, unique, whole
from dispatch.plan import Assignment, Plan
from dispatch.travel import Matrix, Pace, Place, Span, Travel, estimate_travel

__all__ = ["Assignment", "Matrix", "Pace", "Place", "Plan", "Span", "Travel", "estimate_travel"]

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


def _spans(spans: tuple[Span, ...], who: str, name: str) -> None:
    require(isinstance(spans, tuple) and bool(spans), who, f"{name} must be at least one span", spans)
    gaps = all(a.end_s < b.start_s for a, b in pairwise(spans))
    require(gaps, who, f"{name} must be in order and apart from each other (join spans that touch)", spans)


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
    limited. `charge_m_per_h` is the range regained per hour at the yard, None = the parameters' figure. With a
    `driver_id` this driver alone drives it, and nothing else. `purposes` None allows every purpose.
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
    charge_m_per_h: int | None = None
    driver_id: str | None = None
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
        if self.charge_m_per_h is not None:
            whole(self.charge_m_per_h, who, "charge_m_per_h", 0, 10**6)


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver: starts and ends each shift at the home yard; one shift per on-duty span.

    `may_drive` None means what the licence allows. It may narrow the licence and add "special" vehicles.
    `off_since_s` is the end of the duty before this plan, from which the rest between duties counts.
    """

    id: str
    yard: str
    org: str
    licence: str
    on_duty: tuple[Span, ...]
    shift_max_s: int = 36_000
    may_drive: frozenset[str] | None = None
    off_since_s: int | None = None
    tags: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        text(self.id, "Driver", "id")
        who = f"Driver {self.id}"
        text(self.yard, who, "yard")
        text(self.org, who, "org")
        member(self.licence, who, "licence", LICENCES)
        _spans(self.on_duty, who, "on_duty")
        whole(self.shift_max_s, who, "shift_max_s", 600, 86_400)
        if self.off_since_s is not None:
            whole(self.off_since_s, who, "off_since_s", -LONGEST_S, LONGEST_S)
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


@dataclass(frozen=True, slots=True)
class Band:
    """What should lie between `low` and `high`, at `fen` for every unit outside: fairness between organisations.

    `measure` "lent_m": loaded metres that vehicles of `org` drive for others; "rented": requests of `org` that no own
    vehicle serves.
    """

    org: str
    measure: str
    low: int
    high: int
    fen: int

    def __post_init__(self) -> None:
        text(self.org, "Band", "org")
        member(self.measure, f"Band of {self.org}", "measure", ("lent_m", "rented"))
        whole(self.low, f"Band of {self.org}", "low", 0, 10**12)
        whole(self.high, f"Band of {self.org}", "high", self.low, 10**12)
        whole(self.fen, f"Band of {self.org}", "fen", 0, 10**7)


@dataclass(frozen=True, eq=False)
class Instance:
    """A dispatch problem. Without `drivers` the plan names vehicles only and no driver rule applies.

    `before_s` and `after_s` are the buffers kept at the pick-up before the start and at the last stop after the end.
    `told` are assignments people know of already: a plan that changes one pays for it. Where a start may be shifted it
    lies a whole number of `start_step_s` after the earliest.
    """

    epoch: datetime
    travel: Travel
    requests: tuple[Request, ...]
    vehicles: tuple[Vehicle, ...]
    drivers: tuple[Driver, ...] = ()
    lending: tuple[Lending, ...] = ()
    reserves: tuple[Reserve, ...] = ()
    bands: tuple[Band, ...] = ()
    told: tuple[Assignment, ...] = ()
    before_s: int = 300
    after_s: int = 300
    start_step_s: int = 300

    def __post_init__(self) -> None:
        aware = isinstance(self.epoch, datetime) and self.epoch.utcoffset() == timedelta(0)
        require(aware, "Instance", "epoch must be a UTC time with its zone", self.epoch)
        whole(self.before_s, "Instance", "before_s", 0, 7_200)
        whole(self.after_s, "Instance", "after_s", 0, 7_200)
        whole(self.start_step_s, "Instance", "start_step_s", 60, 3_600)
        unique((r.id for r in self.requests), "Request")
        unique((v.id for v in self.vehicles), "Vehicle")
        unique((d.id for d in self.drivers), "Driver")
        unique((v.driver_id for v in self.vehicles if v.driver_id is not None), "Vehicle.driver_id")
        crew = {None, *(d.id for d in self.drivers)}
        for v in self.vehicles:
            require(v.driver_id in crew, f"Vehicle {v.id}", "driver_id must be one of the drivers", v.driver_id)
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


def by_id(items: Iterable[Any]) -> dict[str, Any]:
    """Index values by their id."""
    return {item.id: item for item in items}
