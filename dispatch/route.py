"""What a vehicle does on a day: its assignments unrolled into outings from its yard and back.

This is the meaning of a plan. Prices (`costs`), the judge (`check`) and explanations stand on it; the solvers do not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dispatch.index import Index, Service, Timeline, service_of
from dispatch.model import EMERGENCY, VEHICLE_CLASSES, Assignment, Request, Vehicle
from dispatch.ride import as_given
from dispatch.tariff import drive_fen, km_rate, wait_fen

__all__ = [
    "Index",
    "Outing",
    "Overlap",
    "Service",
    "Task",
    "Timeline",
    "by_driver",
    "by_vehicle",
    "is_emergency",
    "longest_drive_s",
    "service_of",
    "tasks_of",
    "walk",
]


@dataclass(frozen=True, slots=True)
class Task:
    """One request alone or a shared ride: what keeps a vehicle from its first pick-up to its last drop.

    `wanted` is the request that wants the highest class, `passengers` are the most on board at once.
    """

    assignments: tuple[Assignment, ...]
    start_s: int
    end_s: int
    first: str
    last: str
    loaded_m: int
    timeline: Timeline
    wanted: Request
    passengers: int


def tasks_of(index: Index, assignments: Iterable[Assignment]) -> list[Task]:
    """Put the assignments of one vehicle together to tasks, in order of time; those of a ride are one."""
    groups: dict[str, list[Assignment]] = {}
    for a in assignments:
        groups.setdefault(f"ride {a.ride}" if a.ride is not None else f"request {a.request_id} {a.start_s}", []).append(
            a
        )
    made = [_task(index, group) for group in groups.values()]
    return sorted(made, key=lambda t: (t.start_s, t.end_s, t.assignments[0].request_id))


def _task(index: Index, group: Sequence[Assignment]) -> Task:
    requests = [index.requests[a.request_id] for a in group]
    wanted = max(requests, key=lambda r: VEHICLE_CLASSES.index(r.vehicle_class))
    if len(group) == 1 or any(len(r.stops) != 2 for r in requests):
        a, request = group[0], requests[0]
        return Task(
            tuple(group), min(g.start_s for g in group), max(g.end_s for g in group), request.stops[0].place,
            request.stops[-1].place, sum(index.services[r.id].distance_m for r in requests),
            index.service_at(a.request_id, a.start_s).timeline, wanted, sum(r.passengers for r in requests),
        )  # fmt: skip
    ride = as_given(index, group)
    first, last = index.requests[ride.calls[0]], index.requests[ride.calls[-1]]
    ordered = sorted(group, key=lambda a: (a.start_s, a.end_s, a.request_id))
    return Task(
        tuple(ordered), ride.start_s, ride.end_s, first.stops[0].place, last.stops[-1].place, ride.loaded_m, ride.timeline,
        wanted, ride.passengers,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Outing:
    """From leaving the yard to being back: `empty_m` are the legs without passengers, `waits_s` waits on the road."""

    vehicle: Vehicle
    tasks: tuple[Task, ...]
    out_s: int
    in_s: int
    empty_m: tuple[int, ...]
    loaded_m: int
    waits_s: tuple[int, ...]
    timeline: Timeline

    @property
    def assignments(self) -> tuple[Assignment, ...]:
        """Assignments in order of tasks."""
        return tuple(a for task in self.tasks for a in task.assignments)

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

    Between two tasks the vehicle goes home if it can stand at its yard for `yard_stop_s` and: it is battery-electric
    (to charge), or would otherwise wait longer than `max_wait_s`, or only that way is quick enough, or that way is
    cheaper; else it drives straight to the next pick-up. Buffers are kept around every task.
    """
    instance, params = index.instance, index.params
    leg, rate = instance.travel.leg_after, km_rate(params, vehicle)
    groups: list[list[Task]] = []
    overlaps: list[Overlap] = []
    for later in tasks_of(index, assignments):
        if not groups:
            groups.append([later])
            continue
        earlier = groups[-1][-1]
        end, start = earlier.last, later.first
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
                overlaps.append(Overlap(earlier.assignments[-1], later.assignments[0], -wait_s))
    return tuple(_outing(index, vehicle, group) for group in groups), tuple(overlaps)


def _outing(index: Index, vehicle: Vehicle, group: Sequence[Task]) -> Outing:
    instance = index.instance
    leg = instance.travel.leg_after
    to_s, to_m = leg(vehicle.yard, group[0].first, group[0].start_s - instance.before_s)
    back_s, back_m = leg(group[-1].last, vehicle.yard, group[-1].end_s + instance.after_s)
    timeline: list[tuple[bool, int]] = [(True, to_s), (False, instance.before_s)]
    empty_m, waits_s = [to_m], []
    for earlier, later in zip([None, *group], group, strict=False):
        if earlier is not None:
            link_s, link_m = leg(earlier.last, later.first, earlier.end_s + instance.after_s)
            wait_s = later.start_s - instance.before_s - earlier.end_s - instance.after_s - link_s
            waits_s.append(max(0, wait_s))
            empty_m.append(link_m)
            timeline += [(False, instance.after_s), (True, link_s), (False, max(0, wait_s) + instance.before_s)]
        timeline += later.timeline
    timeline += [(False, instance.after_s), (True, back_s)]
    return Outing(
        vehicle=vehicle,
        tasks=tuple(group),
        out_s=group[0].start_s - instance.before_s - to_s,
        in_s=group[-1].end_s + instance.after_s + back_s,
        empty_m=(*empty_m, back_m),
        loaded_m=sum(task.loaded_m for task in group),
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


def by_driver(outings: Iterable[Outing]) -> dict[str, list[Outing]]:
    """Group outings by the drivers named in them."""
    groups: dict[str, list[Outing]] = defaultdict(list)
    for outing in outings:
        for driver_id in dict.fromkeys(a.driver_id for a in outing.assignments):
            if driver_id is not None:
                groups[driver_id].append(outing)
    return groups
