"""Jobs: what a vehicle can be given, by numbers - every request alone, then shared rides."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dispatch.model import EMERGENCY, VEHICLE_CLASSES, Assignment, Request
from dispatch.ride import Ride, as_given
from dispatch.route import Index, Timeline
from dispatch.tariff import rental_fen

NEVER = 10**15
NOBODY, NO_VEHICLE = -1, -2  # pinned to nothing; served by no vehicle, for it is part of a locked ride

Pin = tuple[int, int]  # vehicle, driver


@dataclass(frozen=True, slots=True)
class Job:
    """A request alone or a shared ride; a ride and a locked job have one start.

    `members` are the requests served; the job begins where `first` of them is picked up and ends where `last` is set
    down. `wanted` is a member that wants the highest class, `passengers` are the most on board at once. A ride has its
    name in the plan and the `times` of its members. `pinned` vehicle and driver positions are -1 where free.
    """

    earliest_s: int
    latest_s: int
    busy_s: int
    loaded_m: int
    timeline: Timeline
    emergency: bool
    secret: bool
    kept: bool  # locked: its times are given
    pinned_vehicle: int
    pinned_driver: int
    members: tuple[int, ...]
    first: int
    last: int
    wanted: int
    passengers: int
    else_fen: int  # cost when no own vehicle serves it
    else_rented: bool
    ride: str | None = None
    times: tuple[tuple[int, int], ...] = ()


def jobs_of(
    index: Index, locked: Sequence[Assignment], pins: Mapping[str, Pin], rides: Sequence[Ride]
) -> tuple[Job, ...]:
    """List the requests of an instance in order, then locked rides, then those rides that touch nothing locked.

    `pins` gives vehicle and driver of locked requests.
    """
    kept = {a.request_id: a for a in locked}
    groups: dict[tuple[str, str], list[Assignment]] = defaultdict(list)
    for a in locked:
        if a.ride is not None:
            groups[a.vehicle_id, a.ride].append(a)
    together = [group for group in groups.values() if len(group) > 1]
    shared = {a.request_id for group in together for a in group}
    number = {r.id: k for k, r in enumerate(index.instance.requests)}
    singles = [
        _single(
            index, k, r, kept.get(r.id), (NO_VEHICLE, NOBODY) if r.id in shared else pins.get(r.id, (NOBODY, NOBODY))
        )
        for k, r in enumerate(index.instance.requests)
    ]
    listed = [(as_given(index, group), pins[group[0].request_id], group[0].ride) for group in together]
    free = (NOBODY, NOBODY)
    listed += [(ride, free, ride.key) for ride in rides if kept.keys().isdisjoint(ride.request_ids)]
    return (*singles, *(_shared(index, singles, number, ride, pin=pin, name=name) for ride, pin, name in listed))


def _single(index: Index, number: int, request: Request, kept: Assignment | None, pin: Pin) -> Job:
    served, params = index.services[request.id], index.params
    price = rental_fen(params, request, served.distance_m, served.busy_s)
    penalty = params.penalty_fen[request.priority]
    rented = price is not None and price <= penalty
    return Job(
        earliest_s=kept.start_s if kept else request.earliest_s,
        latest_s=kept.start_s if kept else request.latest_s,
        busy_s=kept.end_s - kept.start_s if kept else served.busy_s,
        loaded_m=served.distance_m,
        timeline=served.timeline,
        emergency=request.priority == EMERGENCY,
        secret=request.secret,
        kept=kept is not None,
        pinned_vehicle=pin[0],
        pinned_driver=pin[1],
        members=(number,),
        first=number,
        last=number,
        wanted=number,
        passengers=request.passengers,
        else_fen=NEVER if kept else price if rented and price is not None else penalty,
        else_rented=rented,
        ride=kept.ride if kept else None,
    )


def _shared(
    index: Index, singles: Sequence[Job], number: Mapping[str, int], ride: Ride, *, pin: Pin, name: str | None
) -> Job:
    members = tuple(number[r] for r in ride.request_ids)
    wanted = max(members, key=lambda k: VEHICLE_CLASSES.index(index.instance.requests[k].vehicle_class))
    return replace(
        singles[members[0]],
        earliest_s=ride.start_s,
        latest_s=ride.start_s,
        busy_s=ride.end_s - ride.start_s,
        loaded_m=ride.loaded_m,
        timeline=ride.timeline,
        emergency=all(singles[k].emergency for k in members),
        secret=any(singles[k].secret for k in members),
        pinned_vehicle=pin[0],
        pinned_driver=pin[1],
        members=members,
        first=number[ride.calls[0]],
        last=number[ride.calls[-1]],
        wanted=wanted,
        passengers=ride.passengers,
        else_fen=min(NEVER, sum(singles[k].else_fen for k in members)),
        else_rented=False,
        ride=name,
        times=ride.spans,
    )
