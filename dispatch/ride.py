"""What a shared ride is: for every set of requests at most one, with its order of calls and its times.

The passengers of a ride sit in one vehicle: every request overlaps with another and the vehicle is never empty in
between. The vehicle drives from call to call without waiting and stands at each for the dwell of the stop.
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache

from dispatch.index import Index, Timeline
from dispatch.model import EMERGENCY, SERVED_BY, VEHICLE_CLASSES, Assignment, Request

LEAST_SAVED_M = 500  # a ride must save more than this against driving everybody alone
MINUTE_S = 60  # rides start on whole minutes after the epoch

Order = tuple[int, ...]  # members in order of calls: the first call of each picks up, the second sets down


@dataclass(frozen=True, slots=True)
class Ride:
    """Requests served together; `request_ids` in ascending order, `spans` their own times in that order.

    `calls` lists the request of every call, first its pick-up and then its drop. `passengers` are the most on board at
    once, `classes` the vehicle classes that may serve everybody, `timeline` driving and standing from start to end.
    """

    request_ids: tuple[str, ...]
    calls: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    loaded_m: int
    passengers: int
    classes: tuple[str, ...]
    timeline: Timeline

    @property
    def start_s(self) -> int:
        """Arrival at the first pick-up."""
        return min(start_s for start_s, _ in self.spans)

    @property
    def end_s(self) -> int:
        """End of the dwell at the last drop."""
        return max(end_s for _, end_s in self.spans)

    @property
    def key(self) -> str:
        """Name of the ride in a plan."""
        return "ride-" + "+".join(self.request_ids)


@cache
def orders(count: int) -> tuple[Order, ...]:
    """List the orders of calls in which the vehicle is never empty in between, ascending."""
    every = sorted(set(itertools.permutations(tuple(range(count)) * 2)))
    return tuple(o for o in every if all(any(o[:n].count(m) == 1 for m in range(count)) for n in range(1, 2 * count)))


def shares(index: Index, request: Request) -> bool:
    """Tell whether a request may be part of a ride: by consent, plain from pick-up to drop, no secret, no emergency."""
    served = index.services[request.id]
    return (
        request.pooling
        and len(request.stops) == 2
        and not request.secret
        and request.priority < EMERGENCY
        and request.duration_s <= served.drive_s + sum(stop.dwell_s for stop in request.stops)
    )


def common_classes(requests: Collection[Request]) -> tuple[str, ...]:
    """List the vehicle classes that may serve every one of the requests."""
    return tuple(c for c in VEHICLE_CLASSES if all(c in SERVED_BY[r.vehicle_class] for r in requests))


def obstacle(index: Index, request_ids: Collection[str]) -> str | None:
    """Return what forbids requests to ride together wherever they go: members, consent, purpose, vehicle_class; or None."""
    members = [index.requests[r] for r in set(request_ids)]
    if not 2 <= len(members) <= index.params.pool_most:
        return "members"
    if not all(shares(index, r) for r in members):
        return "consent"
    if len({r.purpose for r in members}) > 1:
        return "purpose"
    return None if common_classes(members) else "vehicle_class"


def ride_of(index: Index, request_ids: Collection[str]) -> Ride | None:
    """Return the ride of a set of requests, or None where they cannot ride together or save too little.

    Of the orders of calls that keep everybody's times, the one with the least driving counts (ties: by request ids in
    order of calls); of its starts on whole minutes, the one that moves nobody far (ties: the earliest).
    """
    ids = tuple(sorted(set(request_ids)))
    if ids not in index.rides:
        index.rides[ids] = None if obstacle(index, ids) else _found(index, [index.requests[r] for r in ids])
    return index.rides[ids]


def _found(index: Index, members: Sequence[Request]) -> Ride | None:
    least_m = sum(index.services[r.id].distance_m for r in members) - LEAST_SAVED_M
    found: Ride | None = None
    for order in orders(len(members)):
        loaded_m = _loaded_m(index, members, order)
        start_s = _best_start(index, members, order) if loaded_m < least_m else None
        if start_s is not None:
            least_m, found = loaded_m, unrolled(index, members, order, start_s)
    return found


def as_given(index: Index, assignments: Collection[Assignment]) -> Ride:
    """Return the ride that assignments to one vehicle make up, whether allowed or not: calls in order of their times."""
    ordered = sorted(assignments, key=lambda a: a.request_id)
    spans = tuple((a.start_s, a.end_s) for a in ordered)
    ride = ride_of(index, [a.request_id for a in ordered])
    if ride is not None and ride.spans == spans:
        return ride
    members = [index.requests[a.request_id] for a in ordered]
    drops = [(a.end_s - r.stops[-1].dwell_s, 1, m) for m, (a, r) in enumerate(zip(ordered, members, strict=True))]
    calls = sorted([*((a.start_s, 0, m) for m, a in enumerate(ordered)), *drops])
    given = unrolled(index, members, tuple(m for _, _, m in calls), min(a.start_s for a in ordered))
    return replace(given, spans=spans)


def unrolled(index: Index, members: Sequence[Request], order: Order, start_s: int) -> Ride:
    """Return the ride that serves members (in order of id) in an order of calls from a start."""
    spans, timeline = _times(index, members, order, start_s)
    aboard = most = 0
    for n, m in enumerate(order):
        aboard += members[m].passengers if m not in order[:n] else -members[m].passengers
        most = max(most, aboard)
    return Ride(
        tuple(r.id for r in members),
        tuple(members[m].id for m in order),
        spans,
        _loaded_m(index, members, order),
        most,
        common_classes(members),
        timeline,
    )


def _places(members: Sequence[Request], order: Order) -> list[tuple[str, int]]:
    """Return place and dwell of every call."""
    stops = [members[m].stops[-1 if m in order[:n] else 0] for n, m in enumerate(order)]
    return [(stop.place, stop.dwell_s) for stop in stops]


def _loaded_m(index: Index, members: Sequence[Request], order: Order) -> int:
    calls = _places(members, order)
    return sum(index.instance.travel.leg(a, b)[1] for (a, _), (b, _) in itertools.pairwise(calls))


def _times(
    index: Index, members: Sequence[Request], order: Order, start_s: int
) -> tuple[tuple[tuple[int, int], ...], Timeline]:
    """Return each member's own times and the driving and standing of the whole ride."""
    timeline: list[tuple[bool, int]] = []
    picked: dict[int, int] = {}
    dropped: dict[int, int] = {}
    at_s, before = start_s, None
    for m, (place, dwell_s) in zip(order, _places(members, order), strict=True):
        if before is not None:
            leg_s, _ = index.instance.travel.leg_after(before, place, at_s)
            timeline.append((True, leg_s))
            at_s += leg_s
        if m in picked:
            dropped[m] = at_s + dwell_s
        else:
            picked[m] = at_s
        timeline.append((False, dwell_s))
        at_s, before = at_s + dwell_s, place
    return tuple((picked[m], dropped[m]) for m in range(len(members))), tuple(timeline)


def _best_start(index: Index, members: Sequence[Request], order: Order) -> int | None:
    """Return the start that keeps everybody's times and moves nobody far, or None."""
    params, first = index.params, members[order[0]]
    low_s, high_s = first.earliest_s - params.pool_shift_s, first.latest_s + params.pool_shift_s
    always, _ = _times(index, members, order, 0)  # what driving takes does not depend on the start, but for paces
    best: tuple[int, int] | None = None
    for at_s in range(-(-low_s // MINUTE_S) * MINUTE_S, high_s + 1, MINUTE_S):
        if index.instance.travel.paces:
            spans, _ = _times(index, members, order, at_s)
        else:
            spans = tuple((at_s + start_s, at_s + end_s) for start_s, end_s in always)
        moved_s = max(_moved_s(r, start_s) for r, (start_s, _) in zip(members, spans, strict=True))
        if moved_s <= params.pool_shift_s and (best is None or moved_s < best[0]):
            longer = [
                end_s - start_s - index.service_at(r.id, start_s).busy_s
                for r, (start_s, end_s) in zip(members, spans, strict=True)
            ]
            if max(longer) <= params.pool_detour_s:
                best = moved_s, at_s
    return None if best is None else best[1]


def _moved_s(request: Request, start_s: int) -> int:
    """Return how far a start lies outside the window the request asks for."""
    return max(request.earliest_s - start_s, start_s - request.latest_s, 0)
