"""An instance compiled for the solvers: numbers by position instead of values by id.

Requests, vehicles, drivers and yards are positions here; what a vehicle is given are jobs: the requests in order, then
shared rides. Locked assignments are folded in: their job has a fixed start, a known length, one vehicle, one driver, and
must be served.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dispatch.check import suitable
from dispatch.jobs import NEVER, NOBODY, Job, jobs_of
from dispatch.model import (
    SECRET_TAG,
    VEHICLE_CLASSES,
    Assignment,
    Driver,
    Instance,
    Matrix,
    Vehicle,
)
from dispatch.params import Params
from dispatch.ride import Ride
from dispatch.route import Index, Timeline
from dispatch.tariff import drive_fen, km_rate, upgrade_fen

__all__ = ["NEVER", "Crewman", "Floats", "Ints", "Job", "Problem", "VehicleType", "overlaps"]

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Crewman:
    """A driver by numbers; duty begins no earlier than `rested_s`."""

    yard: int
    spans: tuple[tuple[int, int], ...]
    shift_max_s: int
    classes: frozenset[int]
    secret: bool
    bound: bool
    rested_s: int


@dataclass(frozen=True, slots=True)
class VehicleType:
    """Vehicles that are alike for planning; a vehicle with locked assignments is a type of its own."""

    id: int
    yard: int
    class_no: int
    owner_org: str
    rate: int
    day_fen: int
    bev: bool
    range_m: int
    left_m: int
    spans: tuple[tuple[int, int], ...]
    outing_spans: tuple[tuple[int, int], ...]  # available, and its own driver on duty
    crew: Crewman | None  # its own driver
    charge_m_per_h: int
    serves: npt.NDArray[np.bool_] = field(repr=False)
    serve_fen: tuple[int, ...] = field(repr=False)  # loaded km, upgrade and lending per job


def _view(matrix: Matrix) -> Any:
    """Give quick access to single cells as plain ints, ``view[a, b]``."""
    return memoryview(matrix) if matrix.size else matrix  # type: ignore[arg-type]


class Problem:
    """Everything a solver looks up, by position; made once per solve.

    ``jobs[:size]`` are the requests; arrays are by request where they do not say otherwise. `rides` are offered on top;
    `every_ride` tells whether these are all there are.
    """

    def __init__(
        self,
        instance: Instance,
        params: Params,
        locked: Sequence[Assignment] = (),
        rides: Sequence[Ride] = (),
        *,
        every_ride: bool = True,
    ) -> None:
        self.instance, self.params = instance, params
        self.index = Index(instance, params)
        self.before_s, self.after_s = instance.before_s, instance.after_s
        self.paces = bool(instance.travel.paces)
        vehicle_no = {v.id: k for k, v in enumerate(instance.vehicles)}
        driver_no = {d.id: k for k, d in enumerate(instance.drivers)}
        pins = {
            a.request_id: (vehicle_no[a.vehicle_id], NOBODY if a.driver_id is None else driver_no[a.driver_id])
            for a in locked
        }
        self.jobs, self.size, self.every_ride = (
            jobs_of(self.index, locked, pins, rides),
            len(instance.requests),
            every_ride,
        )
        self._told(vehicle_no, driver_no)
        alone = self.jobs[: self.size]
        self.earliest_s: Ints = np.array([j.earliest_s for j in alone], dtype=np.int64)
        self.latest_s: Ints = np.array([j.latest_s for j in alone], dtype=np.int64)
        self.else_fen: Ints = np.array([j.else_fen for j in alone], dtype=np.int64)
        self.busy_s: Ints = np.array([j.busy_s for j in alone], dtype=np.int64)
        self.first_of, self.last_of = [j.first for j in self.jobs], [j.last for j in self.jobs]
        self.rides_of: list[list[int]] = [[] for _ in alone]  # rides by their lowest member
        for k in range(self.size, len(self.jobs)):
            self.rides_of[min(self.jobs[k].members)].append(k)
        self._travel()
        self.bound_to = {v.driver_id for v in instance.vehicles if v.driver_id is not None}
        self.crew = tuple(self._crewman(d) for d in instance.drivers)
        self._vehicles(driver_no)
        self.driver_of = [-1 if v.driver_id is None else driver_no[v.driver_id] for v in instance.vehicles]
        self.longest_out_s = max((c.shift_max_s for c in self.crew), default=NEVER)

    def _told(self, vehicle_no: Mapping[str, int], driver_no: Mapping[str, int]) -> None:
        """Note who was told of which vehicle, driver and start, where a change has a price; leaving them pays it too."""
        number = {r.id: k for k, r in enumerate(self.instance.requests)}
        told = [a for a in self.instance.told if a.request_id in number] if self.params.change_fen else []
        self.told_start = {number[a.request_id]: a.start_s for a in told}
        self.told_vehicle = {number[a.request_id]: vehicle_no.get(a.vehicle_id, NOBODY) for a in told}
        self.told_driver = {number[a.request_id]: driver_no.get(a.driver_id or "", NOBODY) for a in told}
        if told:
            self.jobs = tuple(
                j if j.else_fen >= NEVER else replace(j, else_fen=j.else_fen + self.changed_fen(j, NOBODY))
                for j in self.jobs
            )

    def changed_fen(self, job: Job, t: int) -> int:
        """Return what people told of vehicles that are not of a type cost when it does a job."""
        told = (self.told_vehicle[r] for r in job.members if r in self.told_vehicle)
        return self.params.change_fen * sum(NOBODY in {t, v} or self.type_of[v] != t for v in told)

    def told_of(self, jobs: Iterable[int], v: int) -> int:
        """Return how many people on some jobs were told of a vehicle."""
        return sum(self.told_vehicle.get(r) == v for r in self.covered(jobs)) if self.told_vehicle else 0

    def shifted_fen(self, t: int, job: int, start_s: int) -> int:
        """Return what a start other than the told one costs where the type is the told one."""
        r = self.jobs[job].first
        if job >= self.size or self.told_start.get(r, start_s) == start_s:
            return 0
        v = self.told_vehicle[r]
        return self.params.change_fen if v != NOBODY and self.type_of[v] == t else 0

    def _crewman(self, driver: Driver) -> Crewman:
        rested_s = -NEVER if driver.off_since_s is None else driver.off_since_s + self.params.between_shifts_s
        return Crewman(
            self.yard_no[driver.yard],
            tuple((s.start_s, s.end_s) for s in driver.on_duty),
            driver.shift_max_s,
            frozenset(VEHICLE_CLASSES.index(c) for c in driver.classes()),
            SECRET_TAG in driver.tags,
            driver.id in self.bound_to,
            rested_s,
        )

    def covers(self, job: int) -> tuple[int, ...]:
        """Return the requests a job serves."""
        return self.jobs[job].members

    def covered(self, jobs: Iterable[int]) -> tuple[int, ...]:
        """Return the requests that jobs serve, one job after the other."""
        return tuple(r for job in jobs for r in self.jobs[job].members)

    def jobs_within(self, requests: Iterable[int]) -> tuple[int, ...]:
        """Return the jobs that serve none but these requests."""
        here = set(requests)
        return (
            *sorted(here),
            *(k for r in sorted(here) for k in self.rides_of[r] if here.issuperset(self.jobs[k].members)),
        )

    def order_id(self, job: int) -> str:
        """Return what breaks ties between jobs of equal times."""
        return self.instance.requests[self.jobs[job].members[0]].id

    def busy_at(self, job: int, start_s: int) -> int:
        """Return how long a job takes that starts at a moment."""
        known = self.jobs[job]
        if not self.paces or known.kept or known.times:
            return known.busy_s
        return self.index.service_at(self.order_id(job), start_s).busy_s

    def timeline_at(self, job: int, start_s: int) -> Timeline:
        """Return driving and idle times of a job that starts at a moment."""
        known = self.jobs[job]
        if not self.paces or known.times:
            return known.timeline
        return self.index.service_at(self.order_id(job), start_s).timeline

    def slowed(self, seconds: int, at_s: int) -> int:
        """Return a driving time at a moment."""
        return self.instance.travel.slowed(seconds, at_s) if self.paces else seconds

    def lent_m(self, job: int, org: str) -> int:
        """Return the metres that serving a job lends when a vehicle of `org` does it."""
        owners = {self.instance.requests[r].owner_org for r in self.jobs[job].members}
        return self.jobs[job].loaded_m if owners != {org} else 0

    def pace_at(self, moments_s: Ints) -> Ints:
        """Return the pace of driving at moments, in 1/1000 of the matrix's times."""
        paces = self.instance.travel.paces
        permille = np.full(len(moments_s), 1_000, dtype=np.int64)
        for pace in paces:
            permille[(pace.span.start_s <= moments_s) & (moments_s < pace.span.end_s)] = pace.permille
        return permille

    def _travel(self) -> None:
        """Cut the travel matrices down to what requests and yards need."""
        instance, travel = self.instance, self.instance.travel
        places = [v.yard for v in instance.vehicles] + [d.yard for d in instance.drivers]
        self.yard_no = {place: k for k, place in enumerate(dict.fromkeys(places))}
        yards = [travel.index[p] for p in self.yard_no]
        firsts = [travel.index[r.stops[0].place] for r in instance.requests]
        lasts = [travel.index[r.stops[-1].place] for r in instance.requests]
        self.yard_place: Ints = np.array(yards, dtype=np.int64)
        self.first_place: Ints = np.array(firsts, dtype=np.int64)[self.first_of]  # by job
        self.last_place: Ints = np.array(lasts, dtype=np.int64)[self.last_of]
        # Links are looked up in the whole matrix: a copy would be a large part of all memory.
        self.first_at, self.last_at = self.first_place.tolist(), self.last_place.tolist()
        self.out_s = np.ascontiguousarray(travel.time_s[np.ix_(yards, firsts)])
        self.out_m = np.ascontiguousarray(travel.distance_m[np.ix_(yards, firsts)])
        self.back_s = np.ascontiguousarray(travel.time_s[np.ix_(lasts, yards)])
        self.back_m = np.ascontiguousarray(travel.distance_m[np.ix_(lasts, yards)])
        self.yards_s: list[list[int]] = travel.time_s[np.ix_(yards, yards)].tolist()
        self.at_link_s, self.at_link_m = _view(travel.time_s), _view(travel.distance_m)  # by place
        self.at_out_s, self.at_out_m = _view(self.out_s), _view(self.out_m)
        self.at_back_s, self.at_back_m = _view(self.back_s), _view(self.back_m)

    def _vehicles(self, driver_no: Mapping[str, int]) -> None:
        # Vehicles share few traits and tariffs: judge and price each combination once.
        self._fit: dict[object, npt.NDArray[np.bool_]] = {}
        self._prices: dict[object, tuple[int, ...]] = {}
        instance, pinned = self.instance, {j.pinned_vehicle for j in self.jobs}
        numbers: dict[object, int] = {}
        types: list[VehicleType] = []
        self.type_of: list[int] = []
        for k, v in enumerate(instance.vehicles):
            key = (v.yard, v.owner_org, v.vehicle_class, v.seats, v.energy, v.range_m, v.soc, v.available, v.purposes)
            crew = self.crew[driver_no[v.driver_id]] if v.driver_id is not None else None
            key += (v.tags, v.charge_m_per_h, crew, k if k in pinned else -1)  # type: ignore[assignment]
            if key not in numbers:
                numbers[key] = len(types)
                types.append(self._type(len(types), k, v, crew))
            self.type_of.append(numbers[key])
        if self.told_vehicle:
            types = [self._changing(kind) for kind in types]
        self.types = tuple(types)
        self.members: list[list[int]] = [[] for _ in types]
        for k, t in enumerate(self.type_of):
            self.members[t].append(k)
        n = len(self.jobs)
        stacked = [t.serves for t in types]
        self.serves = np.array(stacked, dtype=np.bool_).reshape(len(types), n)
        self.reserves = tuple(
            (
                reserve,
                [
                    k
                    for k, v in enumerate(instance.vehicles)
                    if (v.yard, v.vehicle_class) == (reserve.yard, reserve.vehicle_class)
                ],
            )
            for reserve in instance.reserves
        )

    def _changing(self, kind: VehicleType) -> VehicleType:
        prices = zip(kind.serve_fen, self.jobs, strict=True)
        return replace(kind, serve_fen=tuple(fen + self.changed_fen(job, kind.id) for fen, job in prices))

    def _serve_fen(self, rate: int, job: Job, v: Vehicle) -> int:
        requests, params = self.instance.requests, self.params
        lent = sum(requests[r].owner_org != v.owner_org for r in job.members)
        upgrade: int = upgrade_fen(params, requests[job.wanted], v, job.loaded_m)
        return drive_fen(rate, job.loaded_m) + upgrade + lent * params.lent_fen

    def _type(self, number: int, position: int, v: Vehicle, crew: Crewman | None) -> VehicleType:
        rate, requests = km_rate(self.params, v), self.instance.requests
        trait = (v.vehicle_class, v.seats, v.purposes, v.tags, v.owner_org)
        if trait not in self._fit:
            fit = [suitable(self.index, r, v) is None for r in requests]
            self._fit[trait] = np.array(
                [j.passengers <= v.seats and all(fit[r] for r in j.members) for j in self.jobs], dtype=np.bool_
            )
        tariff = (v.vehicle_class, rate, v.owner_org)
        if tariff not in self._prices:
            self._prices[tariff] = tuple(self._serve_fen(rate, j, v) for j in self.jobs)
        elsewhere = np.array([j.pinned_vehicle not in (NOBODY, position) for j in self.jobs], dtype=np.bool_)
        serves, prices = self._fit[trait] & ~elsewhere, self._prices[tariff]
        full_m, spans = v.range_m or 0, tuple((s.start_s, s.end_s) for s in v.available)
        return VehicleType(
            id=number,
            yard=self.yard_no[v.yard],
            class_no=VEHICLE_CLASSES.index(v.vehicle_class),
            owner_org=v.owner_org,
            rate=rate,
            day_fen=self.params.day_fen[v.vehicle_class],
            bev=v.energy == "bev",
            range_m=full_m,
            left_m=int(v.soc * full_m),
            spans=spans,
            outing_spans=spans if crew is None else overlaps(spans, crew),
            crew=crew,
            charge_m_per_h=self.params.charge_m_per_h if v.charge_m_per_h is None else v.charge_m_per_h,
            serves=serves,
            serve_fen=prices,
        )


def overlaps(spans: Sequence[tuple[int, int]], crew: Crewman) -> tuple[tuple[int, int], ...]:
    """Return when both a vehicle and its driver are there."""
    both = ((max(a, c, crew.rested_s), min(b, d)) for a, b in spans for c, d in crew.spans)
    return tuple((a, b) for a, b in both if a < b)
