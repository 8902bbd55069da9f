"""What a vehicle does on a day: its assignments unrolled into outings from its yard and back.

This is the meaning of a plan. Prices (`costs`), the judge (`check`) and explanations stand on it; the solvers do not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from dispatch.model import EMERGENCY, Assignment, Driver, Instance, Request, Vehicle, by_id
from dispatch.params import Params
from dispatch.tariff import drive_fen, km_rate, wait_fen

Timeline = tuple[tuple[bool, int], ...]  # (driving, seconds) in order


@dataclass(frozen=True, slots=True)
class Service:
    """The part of a request that does not depend on who serves it; `timeline` leaves out time of unknown use."""

    drive_s: int
    distance_m: int
    busy_s: int
    timeline: Timeline


def service_of(instance: Instance, request: Request, start_s: int | None = None) -> Service:
    """Return driving, distance and busy time of a request along its stops, at the pace of a start where given."""
    timeline: list[tuple[bool, int]] = [(False, request.stops[0].dwell_s)]
    drive_s = distance_m = 0
    at_s = None if start_s is None else start_s + request.stops[0].dwell_s
    for a, b in zip(request.stops, request.stops[1:], strict=False):
        leg_s, leg_m = instance.travel.leg(a.place, b.place)
        if at_s is not None:
            leg_s = instance.travel.slowed(leg_s, at_s)
            at_s += leg_s + b.dwell_s
        drive_s += leg_s
        distance_m += leg_m
        timeline += [(True, leg_s), (False, b.dwell_s)]
    dwell_s = sum(stop.dwell_s for stop in request.stops)
    return Service(drive_s, distance_m, max(request.duration_s, drive_s + dwell_s), tuple(timeline))


@dataclass(frozen=True)
class Index:
    """An instance with look-ups by id, made once and passed along."""

    instance: Instance
    params: Params

    @cached_property
    def requests(self) -> dict[str, Request]:
        """Requests by id."""
        return by_id(self.instance.requests)

    @cached_property
    def vehicles(self) -> dict[str, Vehicle]:
        """Vehicles by id."""
        return by_id(self.instance.vehicles)

    @cached_property
    def drivers(self) -> dict[str, Driver]:
        """Drivers by id."""
        return by_id(self.instance.drivers)

    @cached_property
    def vehicle_of(self) -> dict[str, str]:
        """Vehicles by the driver bound to them."""
        return {v.driver_id: v.id for v in self.instance.vehicles if v.driver_id is not None}

    @cached_property
    def services(self) -> dict[str, Service]:
        """Services by request id."""
        return {r.id: service_of(self.instance, r) for r in self.instance.requests}

    @cached_property
    def _paced(self) -> dict[tuple[str, int], Service]:
        return {}

    def service_at(self, request_id: str, start_s: int) -> Service:
        """Return the service of a request that starts at a moment."""
        if not self.instance.travel.paces:
            return self.services[request_id]
        key = request_id, start_s
        if key not in self._paced:
            self._paced[key] = service_of(self.instance, self.requests[request_id], start_s)
        return self._paced[key]


@dataclass(frozen=True, slots=True)
class Outing:
    """From leaving the yard to being back: `empty_m` are the legs without passengers, `waits_s` waits on the road."""

    vehicle: Vehicle
    assignments: tuple[Assignment, ...]
    out_s: int
    in_s: int
    empty_m: tuple[int, ...]
    loaded_m: int
    waits_s: tuple[int, ...]
    timeline: Timeline

    @property
    def distance_m(self) -> int:
        """Whole distance between the two yard visits."""
        return sum(self.empty_m) + self.loaded_m


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two assignments in a row that one vehicle cannot both serve; `short_s` seconds are missing."""

    earlier: Assignment
    later: Assignment
    short_s: int


def walk(
    index: Index, vehicle: Vehicle, assignments: Iterable[Assignment]
) -> tuple[tuple[Outing, ...], tuple[Overlap, ...]]:
    """Unroll a vehicle's assignments.

    Between two requests the vehicle goes home if it can stand at its yard for `yard_stop_s` and: it is battery-electric
    (to charge), or would otherwise wait longer than `max_wait_s`, or only that way is quick enough, or that way is
    cheaper; else it drives straight to the next pick-up. Buffers are kept around every request.
    """
    instance, params = index.instance, index.params
    leg, rate = instance.travel.leg_after, km_rate(params, vehicle)
    groups: list[list[Assignment]] = []
    overlaps: list[Overlap] = []
    for later in sorted(assignments, key=lambda a: (a.start_s, a.end_s, a.request_id)):
        if not groups:
            groups.append([later])
            continue
        earlier = groups[-1][-1]
        end, start = _last(index, earlier), _first(index, later)
        free_s, ready_s = earlier.end_s + instance.after_s, later.start_s - instance.before_s
        slack_s = ready_s - free_s
        link_s, link_m = leg(end, start, free_s)
        back_s, back_m = leg(end, vehicle.yard, free_s)
        to_s, to_m = leg(vehicle.yard, start, ready_s)
        wait_s, home_s = slack_s - link_s, slack_s - back_s - to_s - params.yard_stop_s
        goes_home = vehicle.energy == "bev" or not 0 <= wait_s <= params.max_wait_s
        cheaper = drive_fen(rate, back_m) + drive_fen(rate, to_m) < drive_fen(rate, link_m) + wait_fen(params, wait_s)
        if home_s >= 0 and (goes_home or cheaper):
            groups.append([later])
        else:
            groups[-1].append(later)
            if wait_s < 0:
                overlaps.append(Overlap(earlier, later, -wait_s))
    return tuple(_outing(index, vehicle, group) for group in groups), tuple(overlaps)


def _first(index: Index, assignment: Assignment) -> str:
    return index.requests[assignment.request_id].stops[0].place


def _last(index: Index, assignment: Assignment) -> str:
    return index.requests[assignment.request_id].stops[-1].place


def _outing(index: Index, vehicle: Vehicle, group: Sequence[Assignment]) -> Outing:
    instance = index.instance
    leg = instance.travel.leg_after
    to_s, to_m = leg(vehicle.yard, _first(index, group[0]), group[0].start_s - instance.before_s)
    back_s, back_m = leg(_last(index, group[-1]), vehicle.yard, group[-1].end_s + instance.after_s)
    timeline: list[tuple[bool, int]] = [(True, to_s), (False, instance.before_s)]
    empty_m, waits_s = [to_m], []
    for earlier, later in zip([None, *group], group, strict=False):
        if earlier is not None:
            link_s, link_m = leg(_last(index, earlier), _first(index, later), earlier.end_s + instance.after_s)
            wait_s = later.start_s - instance.before_s - earlier.end_s - instance.after_s - link_s
            waits_s.append(max(0, wait_s))
            empty_m.append(link_m)
            timeline += [(False, instance.after_s), (True, link_s), (False, max(0, wait_s) + instance.before_s)]
        timeline += index.service_at(later.request_id, later.start_s).timeline
    timeline += [(False, instance.after_s), (True, back_s)]
    return Outing(
        vehicle=vehicle,
        assignments=tuple(group),
        out_s=group[0].start_s - instance.before_s - to_s,
        in_s=group[-1].end_s + instance.after_s + back_s,
        empty_m=(*empty_m, back_m),
        loaded_m=sum(index.services[a.request_id].distance_m for a in group),
        waits_s=tuple(waits_s),
        timeline=tuple(timeline),
    )


def longest_drive_s(timeline: Iterable[tuple[bool, int]], rest_min_s: int) -> int:
    """Return the longest driving time without a rest of at least `rest_min_s` in one piece."""
    longest = run = idle = 0
    for driving, seconds in timeline:
        if driving and seconds > 0:
            run, idle = (0 if idle >= rest_min_s else run) + seconds, 0
            longest = max(longest, run)
        elif not driving:
            idle += seconds
    return longest


def is_emergency(index: Index, outing: Outing) -> bool:
    """Tell whether an outing serves emergencies only, so that it may draw on the reserve."""
    return all(index.requests[a.request_id].priority == EMERGENCY for a in outing.assignments)


def by_vehicle(assignments: Iterable[Assignment]) -> dict[str, list[Assignment]]:
    """Group assignments by vehicle id."""
    groups: dict[str, list[Assignment]] = defaultdict(list)
    for assignment in assignments:
        groups[assignment.vehicle_id].append(assignment)
    return groups
